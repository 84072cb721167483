/** Lines of a text table: the first column left-aligned, numbers right-aligned, two spaces between. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = head.map((cell, c) => Math.max(cell.length, ...rows.map((row) => row[c].length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, c) => (c < left ? cell.padEnd(widths[c]) : cell.padStart(widths[c])))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)];
}

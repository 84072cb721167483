import { escapeHtml } from "./escape.js";

/** An HTML table that scrolls sideways where it is wider than the screen; the last `sums` rows stand out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], sums = 0): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("");
  const body = rows.map((row, r) => `<tr${r >= rows.length - sums ? ' class="sum"' : ""}>${cells(row, "td")}</tr>`);
  return `<div class="scroll"><table><thead><tr>${cells(head, "th")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

import { escapeHtml } from "./escape.js";

/** A number keeps its unit, and "top-1" its 1, when a narrow screen breaks lines. */
const unbroken = (text: string) => text.replace(/(\d) (%|ms|B)/g, "$1\u00a0$2").replaceAll("top-1", "top\u20111");

/** An HTML table that scrolls sideways where it is wider than the screen; the last `sums` rows stand out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], sums = 0): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeHtml(unbroken(cell))}</${tag}>`).join("");
  const body = rows.map((row, r) => `<tr${r >= rows.length - sums ? ' class="sum"' : ""}>${cells(row, "td")}</tr>`);
  return `<div class="scroll"><table><thead><tr>${cells(head, "th")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** The pieces of every page: its frame and style, text, tables, figures. A browser loads this file too. */

/** Text as HTML and SVG show it. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A number keeps its unit, and "top-1" its 1, when a narrow screen breaks lines. */
const unbroken = (text: string) => text.replace(/(\d) (%|ms|B)/g, "$1\u00a0$2").replaceAll("top-1", "top\u20111");

/** An HTML table that scrolls sideways where it is wider than the screen; rows that `isStrong` stand out. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  isStrong: (row: number) => boolean = () => false,
): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeHtml(unbroken(cell))}</${tag}>`).join("");
  const body = rows.map((row, r) => `<tr${isStrong(r) ? ' class="strong"' : ""}>${cells(row, "td")}</tr>`);
  return `<div class="scroll"><table><thead><tr>${cells(head, "th")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** A few figures side by side, each with its name, and what else is to be said of it. */
export function facts(list: readonly (readonly [name: string, value: string, more?: string])[]): string {
  const cells = list.map(([name, value, more]) => {
    const note = more === undefined ? "" : `<small>${escapeHtml(unbroken(more))}</small>`;
    return `<div><dt>${escapeHtml(name)}${note}</dt><dd>${escapeHtml(unbroken(value))}</dd></div>`;
  });
  return `<dl class="facts">${cells.join("")}</dl>`;
}

/** A page of its own; `main` is its content, `style` what it has beside the style of every page. */
export const page = (title: string, main: string, style = "") => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title><style>${STYLE}${style}</style></head><body><main>
${main}
</main></body></html>
`;

/** Of every page: colours, text, cards, charts, tables. The ways to send an image have one colour everywhere. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfbf9; --card: #fff; --ink: #1d2126; --soft: #5d6670; --line: #dfe2e0;
  --own: #0b7a75; --own-ink: #08635f; --bad: #a3381b; --latent: #7d868e; --jpeg: #c0704d; --webp: #8a7fb8;
  --send: #2d6a9f; --transfer: #dba33a; --rtt: #c3c8cc; --receive: #86b4da; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --card: #1c2024; --ink: #e8e8e4; --soft: #9aa4ad; --line: #30363b;
  --own: #35b5ab; --own-ink: #4fd0c6; --bad: #f0a184; --latent: #9aa4ad; --jpeg: #d98b67; --webp: #a79ddb;
  --send: #5b9bd5; --transfer: #dcae4f; --rtt: #545c64; --receive: #9cc7ee; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
a { color: var(--own-ink); }
.brand { font-weight: 700; letter-spacing: .02em; color: var(--own-ink); margin: 0; }
h1 { font-size: clamp(1.5rem, 4.2vw, 2.4rem); line-height: 1.2; margin: .2rem 0 .6rem; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 44rem; }
.soft, figcaption, .rules { color: var(--soft); font-size: .875rem; }
.card, .chart, .facts div { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem; margin: 0; }
.card h2, .card h3, .chart h3 { margin-top: 0; }
.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; margin: 1.2rem 0; padding: 0; }
.facts div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.facts dt { color: var(--soft); font-size: .8125rem; line-height: 1.35; }
.facts dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.facts small { display: block; font-size: inherit; opacity: .85; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; margin: .8rem 0; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif; font-size: 12px; fill: var(--ink); font-variant-numeric: tabular-nums; }
.latentwire { fill: var(--own); background: var(--own); stroke: var(--own); } .latent { fill: var(--latent); background: var(--latent); stroke: var(--latent); }
.jpeg { fill: var(--jpeg); background: var(--jpeg); stroke: var(--jpeg); } .webp { fill: var(--webp); background: var(--webp); stroke: var(--webp); }
.send { background: var(--send); } .transfer { background: var(--transfer); } .rtt { background: var(--rtt); } .receive { background: var(--receive); }
.line { fill: none; stroke-width: 2; } .grid { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .875rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--bg); }
th { color: var(--soft); font-weight: 500; }
tr.strong td { font-weight: 600; }
.quad { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 1rem; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: .4rem; background: var(--line); }
.same { color: var(--own-ink); } .other { color: var(--bad); }
.coarse { image-rendering: pixelated; }
figcaption { margin-top: .4rem; line-height: 1.35; }
.chart figcaption { margin: 0 0 .5rem; color: var(--ink); }
@media (max-width: 44rem) { .quad, .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .6rem; } .facts dd { font-size: 1.2rem; } .card, .chart, .facts div { padding: .75rem; }
  th, td { white-space: normal; padding: .35rem .4rem; } th { vertical-align: bottom; }
  table { font-size: .8125rem; } td:first-child { min-width: 6.5rem; } }
@media print { .card, .chart, .facts div, figure { break-inside: avoid; } }
`;

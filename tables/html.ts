// The pieces of every page: style, text, tables and figures. A browser loads this file too.

/** Text as HTML and SVG show it. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A number keeps its unit, and "top-1" its 1, when a narrow screen breaks lines. */
const unbroken = (text: string) => text.replace(/(\d) (%|ms|B)/g, "$1\u00a0$2").replaceAll("top-1", "top\u20111");

/** An HTML table that scrolls sideways where it is wider than the screen; the last `sums` rows stand out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], sums = 0): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeHtml(unbroken(cell))}</${tag}>`).join("");
  const body = rows.map((row, r) => `<tr${r >= rows.length - sums ? ' class="sum"' : ""}>${cells(row, "td")}</tr>`);
  return `<div class="scroll"><table><thead><tr>${cells(head, "th")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

export const dataUri = (type: string, bytes: Buffer) => `data:image/${type};base64,${bytes.toString("base64")}`;

export function figure(source: string, caption: string, css = ""): string {
  return `<figure><img src="${source}" alt="" class="${css}"><figcaption>${caption}</figcaption></figure>`;
}

export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfbf9; --card: #fff; --ink: #1d2126; --soft: #5d6670; --line: #dfe2e0;
  --own: #0b7a75; --jpeg: #c0704d; --webp: #8a7fb8; --mozjpeg: #d9a441; --avif: #5f8f4e; --latent: #7d868e; --send: #2d6a9f; --transfer: #dba33a; --rtt: #c3c8cc; --receive: #86b4da; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --card: #1c2024; --ink: #e8e8e4; --soft: #9aa4ad; --line: #30363b;
  --own: #35b5ab; --jpeg: #d98b67; --webp: #a79ddb; --mozjpeg: #e3b65c; --avif: #86b874; --latent: #9aa4ad; --send: #5b9bd5; --transfer: #dcae4f; --rtt: #545c64; --receive: #9cc7ee; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 44rem; }
.soft, figcaption, .rules { color: var(--soft); font-size: .875rem; }
.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: .75rem; margin: 1.2rem 0; padding: 0; }
.facts div, .chart { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem .9rem; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .75rem; }
.chart h3 { margin: 0 0 .4rem; }
.chart.wide { max-width: 36rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg text.strong { font-weight: 700; }
.latentwire { fill: var(--own); background: var(--own); stroke: var(--own); } .jpeg { fill: var(--jpeg); background: var(--jpeg); stroke: var(--jpeg); }
.webp { fill: var(--webp); background: var(--webp); stroke: var(--webp); }
.mozjpeg { fill: var(--mozjpeg); background: var(--mozjpeg); stroke: var(--mozjpeg); } .avif { fill: var(--avif); background: var(--avif); stroke: var(--avif); }
.latent, .png { fill: var(--latent); background: var(--latent); stroke: var(--latent); }
.line { fill: none; stroke-width: 2; } .grid { stroke: var(--line); }
.send { fill: var(--send); background: var(--send); } .transfer { fill: var(--transfer); background: var(--transfer); }
.rtt { fill: var(--rtt); background: var(--rtt); } .receive { fill: var(--receive); background: var(--receive); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .875rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--bg); }
th { color: var(--soft); font-weight: 500; }
tr.sum td { font-weight: 600; }
.trio, .quad { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem; max-width: 46rem; }
.quad { grid-template-columns: repeat(4, 1fr); max-width: none; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: .3rem; background: var(--line); }
.same { color: var(--own); } .other { color: var(--jpeg); }
img.heat { image-rendering: pixelated; }
figcaption { margin-top: .3rem; line-height: 1.35; }
@media (max-width: 38rem) { .trio, .quad, .facts { grid-template-columns: 1fr 1fr; } .facts dd { font-size: 1.15rem; }
  th, td { white-space: normal; padding: .35rem .4rem; } th { vertical-align: bottom; }
  table { font-size: .8125rem; } td:first-child { min-width: 6.5rem; } }
`;

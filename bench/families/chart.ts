import { number } from "../numbers.js";
import type { Result } from "./measure.js";

const [WIDTH, LABEL, VALUE, ROW, BAR, HEAD] = [720, 190, 200, 22, 14, 30];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1d2126; } .head { font-weight: 600; } .over { fill: #d06a2c; } .ideal { fill: #0b7a75; }
  @media (prefers-color-scheme: dark) { text { fill: #e8e8e4; } .over { fill: #ef9a63; } .ideal { fill: #35b5ab; } }
`;

/** Mean bytes of a packet by family: what the rows allow, and what the packet adds. */
export function chart(results: readonly Result[]): string {
  const shown = results.filter(({ garbageBytesPerPixel }) => garbageBytesPerPixel === undefined);
  const scale = (WIDTH - LABEL - VALUE) / Math.max(...shown.map(({ bytes }) => bytes));
  const bars = shown.map(({ family, bytes, idealBytes, encodeNsPerSymbol, decodeNsPerSymbol }, r) => {
    const y = HEAD + r * ROW;
    const [ideal, all] = [idealBytes * scale, bytes * scale];
    const ns = `${number(encodeNsPerSymbol, 1)} / ${number(decodeNsPerSymbol, 1)} ns`;
    const value = `${number(bytes)} B, +${number(bytes - idealBytes, 1)} B, ${ns}`;
    return (
      `<text x="${LABEL - 6}" y="${y + 11}" text-anchor="end">${family}</text>` +
      `<rect x="${LABEL}" y="${y}" width="${all.toFixed(1)}" height="${BAR}" class="over"/>` +
      `<rect x="${LABEL}" y="${y}" width="${ideal.toFixed(1)}" height="${BAR}" class="ideal"/>` +
      `<text x="${(LABEL + all + 6).toFixed(1)}" y="${y + 11}">${value}</text>`
    );
  });
  const box = `viewBox="0 0 ${WIDTH} ${HEAD + shown.length * ROW}"`;
  const title = "bytes of a packet, over the ideal, encode / decode per symbol";
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} role="img" aria-label="${title}">\n<style>${STYLE}</style>\n<text x="${LABEL}" y="16" class="head">${title}</text>\n${bars.join("\n")}\n</svg>\n`;
}

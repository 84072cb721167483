import { readFileSync } from "node:fs";
import { number } from "../numbers.js";
import { escapeHtml } from "./escape.js";

interface Point {
  readonly label: string;
  readonly bytes: number;
  readonly top1: number;
}

/** A codec's way through rate and accuracy. */
export interface Curve {
  readonly name: string;
  readonly family: string;
  readonly points: readonly Point[];
}

interface Accuracy {
  readonly images: string;
  readonly network: string;
  readonly curves: readonly Curve[];
}

const WIDTH = 360;
const HEIGHT = 230;
const LEFT = 34;
const RIGHT = 8;
const TOP = 18;
const BOTTOM = 30;
const BYTE_TICKS = [500, 1000, 2000, 5000, 10000, 20000];
const TOP1_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1];

const [least, most] = [BYTE_TICKS[0], BYTE_TICKS[BYTE_TICKS.length - 1]];
const x = (bytes: number) => LEFT + (Math.log(bytes / least) / Math.log(most / least)) * (WIDTH - LEFT - RIGHT);

/** Top-1 against mean bytes on a logarithmic scale. */
export function accuracyChart(curves: readonly Curve[]): string {
  const best = Math.max(...curves.flatMap(({ points }) => points.map(({ top1 }) => top1)));
  const top1Ticks = TOP1_TICKS.filter((_, t) => t < 2 || TOP1_TICKS[t - 1] < best);
  const y = (top1: number) => TOP + (1 - top1 / top1Ticks[top1Ticks.length - 1]) * (HEIGHT - TOP - BOTTOM);
  const grid = [
    ...BYTE_TICKS.map(
      (bytes) =>
        `<text x="${x(bytes)}" y="${HEIGHT - 12}" text-anchor="${bytes === most ? "end" : "middle"}">${bytes / 1000} KB</text>`,
    ),
    ...top1Ticks.map(
      (top1) =>
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(top1)}" y2="${y(top1)}" class="grid"/><text x="${LEFT - 6}" y="${y(top1) + 4}" text-anchor="end">${top1}</text>`,
    ),
  ];
  const lines = curves.map(({ name, family, points: all }) => {
    const points = all.filter(({ bytes }) => bytes >= least && bytes <= most);
    const css = family.toLowerCase();
    const path = points.map((point) => `${x(point.bytes).toFixed(1)},${y(point.top1).toFixed(1)}`).join(" ");
    const dots = points.map((point) => {
      const title = `${name} ${point.label}: ${number(point.bytes)} B, top-1 ${number(point.top1, 3)}`;
      return `<circle cx="${x(point.bytes).toFixed(1)}" cy="${y(point.top1).toFixed(1)}" r="4" class="${css}"><title>${escapeHtml(title)}</title></circle>`;
    });
    return `<polyline points="${path}" class="line ${css}"/>${dots.join("")}`;
  });
  const legend = curves.map(
    ({ name, family }) => `<span><i class="${family.toLowerCase()}"></i>${escapeHtml(name)}</span>`,
  );
  return `<p class="legend">${legend.join("")}</p><div class="chart wide"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="top-1 accuracy against bytes">${grid.join("")}${lines.join("")}</svg></div>`;
}

/** The curves as the model card has them: known beforehand, not measured by this run. */
export function accuracySection(): string {
  const file = new URL("../model/accuracy.json", import.meta.url);
  const { images, network, curves }: Accuracy = JSON.parse(readFileSync(file, "utf8"));
  return `${accuracyChart(curves)}
<p class="rules">Top-1 accuracy against mean bytes per image. Measured once, when the model was trained, and not by this run: ${escapeHtml(images)}; ${escapeHtml(network)}.</p>`;
}

/** Marks on two axes, as SVG: the charts of the study's page. */
import { escapeHtml } from "../html.js";

// One narrow drawing serves phone and desk: at this width 12 units of type are 12 pixels on a phone.
const WIDTH = 360;
const HEIGHT = 260;
const LEFT = 44;
const RIGHT = 8;
const TOP = 12;
const BOTTOM = 40;

export interface Mark {
  readonly x: number;
  readonly y: number;
  /** Shown by the pointer. */
  readonly title: string;
  /** Gets a ring around it. */
  readonly isRinged?: boolean;
}

export interface Series {
  readonly name: string;
  /** Classes of the page's style, which say the colour. */
  readonly css: string;
  readonly marks: readonly Mark[];
  /** Whether its marks are joined by a line. */
  readonly isLine: boolean;
}

export interface Axis {
  /** From the least value that is drawn to the greatest. */
  readonly ticks: readonly number[];
  readonly label: string;
  readonly isLogarithmic: boolean;
  /** The text of a tick; empty where there is no room for one. */
  show(tick: number): string;
}

/** Where a value stands between two places; those off the axis stand at its ends. */
function scaleOf({ ticks, isLogarithmic }: Axis, from: number, to: number): (value: number) => number {
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  return (value) => {
    const share = isLogarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return from + Math.min(1, Math.max(0, share)) * (to - from);
  };
}

/** A drawing with its title and legend. `ringed` is what a ring means. */
export function chart(title: string, series: readonly Series[], xAxis: Axis, yAxis: Axis, ringed: string): string {
  const [x, y] = [scaleOf(xAxis, LEFT, WIDTH - RIGHT), scaleOf(yAxis, HEIGHT - BOTTOM, TOP)];
  const text = (left: number, top: number, anchor: string, shown: string) =>
    `<text x="${left.toFixed(1)}" y="${top.toFixed(1)}" text-anchor="${anchor}">${escapeHtml(shown)}</text>`;
  // The last text ends at its tick, so that it is not cut off.
  const anchorOf = (t: number) => (t === xAxis.ticks.length - 1 ? "end" : "middle");
  const grid = [
    ...xAxis.ticks.map((tick, t) => text(x(tick), HEIGHT - BOTTOM + 16, anchorOf(t), xAxis.show(tick))),
    ...yAxis.ticks.flatMap((tick) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" class="grid"/>`,
      text(LEFT - 6, y(tick) + 4, "end", yAxis.show(tick)),
    ]),
    text(WIDTH - RIGHT, HEIGHT - 4, "end", xAxis.label),
  ];
  const circle = ({ x: left, y: top, title: shown }: Mark, radius: number, css: string) =>
    `<circle cx="${x(left).toFixed(1)}" cy="${y(top).toFixed(1)}" r="${radius}" class="${css}"><title>${escapeHtml(shown)}</title></circle>`;
  const drawn = series.map(({ css, marks, isLine }) => {
    const points = marks.map((mark) => `${x(mark.x).toFixed(1)},${y(mark.y).toFixed(1)}`).join(" ");
    const line = isLine ? `<polyline points="${points}" class="line ${css}"/>` : "";
    return line + marks.map((mark) => circle(mark, 4, css)).join("");
  });
  const rings = series.flatMap(({ marks }) => marks.filter(({ isRinged }) => isRinged));
  const keys = [
    ...series.map(({ name, css }) => ({ name, css: isRound(css) })),
    ...(rings.length > 0 ? [{ name: ringed, css: "round ring" }] : []),
  ];
  const legend = keys.map(({ name, css }) => `<span><i class="${css}"></i>${escapeHtml(name)}</span>`);
  const rest = rings.map((mark) => circle(mark, 8, "ring"));
  return `<div class="chart"><h3>${escapeHtml(title)}</h3><p class="legend">${legend.join("")}</p><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${[...grid, ...drawn, ...rest].join("")}</svg></div>`;
}

const isRound = (css: string): string => `round ${css}`;

/** 1, 2 and 5 times every power of ten. */
const ROUND_BYTES = Array.from({ length: 30 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3));
/** More texts do not fit side by side. */
const MOST_TEXTS = 8;

/** Of bytes, logarithmic: from the round number below the least to the one above the greatest. */
export function bytesAxis(values: readonly number[]): Axis {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const from = Math.max(0, ROUND_BYTES.filter((tick) => tick <= least).length - 1);
  const to = ROUND_BYTES.findIndex((tick, t) => t > from && tick >= most);
  const ticks = ROUND_BYTES.slice(from, to < 0 ? undefined : to + 1);
  const isPower = (tick: number) => Number.isInteger(Math.log10(tick));
  return {
    ticks,
    label: "bytes",
    isLogarithmic: true,
    show: (tick) => (ticks.length <= MOST_TEXTS || isPower(tick) ? kilobytes(tick) : ""),
  };
}

const kilobytes = (bytes: number): string =>
  bytes < 1000 ? String(bytes) : bytes < 1e6 ? `${bytes / 1000}K` : `${bytes / 1e6}M`;

/** Of shares, from `least` to 1. */
export const shareAxis = (label: string, least: number): Axis => ({
  ticks: Array.from({ length: 11 }, (_, i) => i / 10).filter(
    (tick) => tick >= least && (least > 0.4 || Math.round(10 * tick) % 2 === 0),
  ),
  label,
  isLogarithmic: false,
  show: (tick) => `${Math.round(100 * tick)} %`,
});

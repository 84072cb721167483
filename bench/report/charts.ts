import { escapeHtml } from "../../tables/html.js";
import type { LinkRow, Sender } from "../links.js";
import { milliseconds, number } from "../numbers.js";

// One narrow drawing serves phone and desk: at this width 13 units of type are 13 pixels on a phone.
const WIDTH = 360;
const LABEL = 108;
const VALUE = 62;
const ROW = 24;
const BAR = 16;

const PARTS = [
  { key: "senderMs", name: "sender", css: "send" },
  { key: "transferMs", name: "bytes on the link", css: "transfer" },
  { key: "rttMs", name: "round trip", css: "rtt" },
  { key: "receiverMs", name: "receiver", css: "receive" },
] as const;

interface Segment {
  readonly value: number;
  readonly css: string;
  readonly title: string;
}

interface Bar {
  readonly label: string;
  readonly value: string;
  readonly strong: boolean;
  readonly segments: readonly Segment[];
}

/** Horizontal bars on one scale from 0. */
function bars(title: string, rows: readonly Bar[]): string {
  const length = (row: Bar) => row.segments.reduce((sum, segment) => sum + segment.value, 0);
  const longest = Math.max(...rows.map(length));
  const scale = (WIDTH - LABEL - VALUE) / longest;
  const drawn = rows.map((row, r) => {
    const y = r * ROW;
    const middle = y + ROW / 2 + 4;
    let x = LABEL;
    const rects = row.segments.map((segment) => {
      const width = segment.value * scale;
      const rect = `<rect x="${x.toFixed(1)}" y="${y + (ROW - BAR) / 2}" width="${Math.max(width, 0.5).toFixed(1)}" height="${BAR}" class="${segment.css}"><title>${escapeHtml(segment.title)}</title></rect>`;
      x += width;
      return rect;
    });
    const strong = row.strong ? ' class="strong"' : "";
    return (
      `<text x="${LABEL - 8}" y="${middle}" text-anchor="end"${strong}>${escapeHtml(row.label)}</text>${rects.join("")}` +
      `<text x="${(x + 6).toFixed(1)}" y="${middle}"${strong}>${escapeHtml(row.value)}</text>`
    );
  });
  return `<svg viewBox="0 0 ${WIDTH} ${rows.length * ROW}" role="img" aria-label="${escapeHtml(title)}">${drawn.join("")}</svg>`;
}

export function bytesChart(senders: readonly Pick<Sender, "name" | "family" | "bytes">[]): string {
  const rows = [...senders]
    .sort((a, b) => a.bytes - b.bytes)
    .map(({ name, family, bytes }) => {
      const value = `${number(bytes)} B`;
      const segment = { value: bytes, css: family.toLowerCase(), title: `${name}: ${value}` };
      return { label: name, value, strong: family === "latentwire", segments: [segment] };
    });
  return bars("bytes per image", rows);
}

export function linkChart({ link, ways }: LinkRow): string {
  const rows = ways.map(({ sender, time }) => ({
    label: sender.name,
    value: milliseconds(time.totalMs),
    strong: sender.family === "latentwire",
    segments: PARTS.map(({ key, name, css }) => ({
      value: time[key],
      css,
      title: `${sender.name}, ${name}: ${milliseconds(time[key])}`,
    })),
  }));
  return bars(`end-to-end time over ${link.name}`, rows);
}

export function linkLegend(): string {
  const keys = PARTS.map(({ name, css }) => `<span><i class="${css}"></i>${name}</span>`);
  return `<p class="legend">${keys.join("")}</p>`;
}

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

import { milliseconds, number } from "../numbers.js";
import type { LinkRow, Sender } from "../summary.js";
import { escapeHtml } from "./escape.js";

// One narrow drawing serves phone and desk: at this width 13 units of type are 13 pixels on a phone.
const WIDTH = 360;
const LABEL = 84;
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

export function bytesChart(senders: readonly Sender[]): string {
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

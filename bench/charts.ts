/** Every chart of docs/demo, of the report of `npm start`, of `bench:browser` and of docs/benchmarks.md, drawn with Observable Plot. */
import * as Plot from "@observablehq/plot";
import { escapeHtml } from "../tables/html.js";
import type { Link } from "../tables/links.js";
import { overLink, type Sender } from "./links.js";
import { milliseconds, number, percent } from "./numbers.js";

/** What a chart is drawn on. */
export interface Paper {
  /** CSS pixels. Text has 12 of them, so a page that stretches a chart stretches its text, too. */
  readonly width: number;
  /** Left out: the browser's own. Node has none. */
  readonly document?: Document;
}

/** A bar, with its name on the left and its value behind its end. */
export interface Bar {
  readonly name: string;
  readonly value: string;
  /** Drawn one behind the other; `fill` is a CSS colour, `title` is shown under the pointer. */
  readonly segments: readonly { readonly length: number; readonly fill: string; readonly title: string }[];
  /** The bar that the chart is about: its text is bold. */
  readonly isMain: boolean;
}

const ROW = 28;
const MARGIN = { top: 4, bottom: 28 };
/** Room for the longest of some bold texts of 12 pixels, at most a third of the width. */
const room = (texts: readonly string[], width: number) =>
  Math.min(width / 3, 16 + 7 * Math.max(...texts.map(({ length }) => length)));

/** The colours of the ways to send an image, as the style of tables/html.ts has them. */
export const colorOf = (family: Sender["family"]) => `var(--${family === "latentwire" ? "own" : family.toLowerCase()})`;

/** One picture with one description: its parts may not have names of their own (WAI-ARIA). */
function described(svg: Element, description: string): Element {
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", description);
  for (const part of svg.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
  return svg;
}

/** Horizontal bars from 0, in the given order. `title` says what is drawn, for those who cannot see it. */
export function barChart(title: string, bars: readonly Bar[], { width, document }: Paper): Element {
  const segments = bars.flatMap(({ name, segments }) => segments.map((segment) => ({ name, ...segment })));
  const rows = bars.map((bar) => ({ ...bar, end: bar.segments.reduce((sum, { length }) => sum + length, 0) }));
  const texts = (options: Plot.TextOptions) =>
    [true, false].map((isMain) =>
      Plot.text(
        rows.filter((row) => row.isMain === isMain),
        { y: "name", fill: "currentColor", fontWeight: isMain ? 700 : 400, ...options },
      ),
    );
  const svg = Plot.plot({
    ...(document && { document }),
    width,
    height: bars.length * ROW + MARGIN.top + MARGIN.bottom,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    marginLeft: room(
      bars.map(({ name }) => name),
      width,
    ),
    marginRight: room(
      bars.map(({ value }) => value),
      width,
    ),
    style: { fontSize: "12px", background: "transparent" },
    x: { label: null, grid: true, ticks: 3 },
    y: { axis: null, domain: bars.map(({ name }) => name) },
    marks: [
      Plot.barX(segments, {
        x: "length",
        y: "name",
        fill: ({ fill }) => fill,
        title: "title",
        order: null,
        insetTop: 5,
        insetBottom: 5,
      }),
      texts({ text: "name", frameAnchor: "left", textAnchor: "end", dx: -8 }),
      texts({ text: "value", x: "end", textAnchor: "start", dx: 6 }),
      Plot.ruleX([0]),
    ],
  });
  return described(svg, `${title}: ${bars.map(({ name, value }) => `${name} ${value}`).join(", ")}`);
}

export function bytesChart(ways: readonly Pick<Sender, "name" | "family" | "bytes">[], paper: Paper): Element {
  const bars = ways.map(({ name, family, bytes }): Bar => {
    const value = `${number(bytes)} B`;
    const segment = { length: bytes, fill: colorOf(family), title: `${name}: ${value}` };
    return { name, value, segments: [segment], isMain: family === "latentwire" };
  });
  return barChart("bytes per image", bars, paper);
}

const TIMES = [
  { key: "senderMs", name: "device", css: "send" },
  { key: "transferMs", name: "bytes on the link", css: "transfer" },
  { key: "rttMs", name: "round trip", css: "rtt" },
  { key: "receiverMs", name: "server", css: "receive" },
] as const;

/** From the image to its label over a link. */
export function timeChart(senders: readonly Sender[], link: Link, paper: Paper): Element {
  const bars = overLink(link, senders).ways.map(
    ({ sender: { name, family }, time }): Bar => ({
      name,
      value: milliseconds(time.totalMs),
      segments: TIMES.map((part) => ({
        length: time[part.key],
        fill: `var(--${part.css})`,
        title: `${name}, ${part.name}: ${milliseconds(time[part.key])}`,
      })),
      isMain: family === "latentwire",
    }),
  );
  return barChart(`time over ${link.name}`, bars, paper);
}

/** A legend in HTML; `css` is a class of the style. */
const legend = (entries: readonly { readonly name: string; readonly css: string }[]) =>
  `<p class="legend">${entries.map(({ name, css }) => `<span><i class="${css}"></i>${escapeHtml(name)}</span>`).join("")}</p>`;

export const timeLegend = () => legend(TIMES);

/** A codec's way through rate and accuracy. */
export interface Curve {
  readonly name: string;
  readonly family: Sender["family"];
  readonly points: readonly { readonly label: string; readonly bytes: number; readonly top1: number }[];
}

export const curveLegend = (curves: readonly Curve[]) =>
  legend(curves.map(({ name, family }) => ({ name, css: family.toLowerCase() })));

const BYTE_TICKS = [500, 1000, 2000, 5000, 10000, 20000];

/** Top-1 against mean bytes on a logarithmic scale. */
export function accuracyChart(curves: readonly Curve[], { width, document }: Paper): Element {
  const [least, most] = [BYTE_TICKS[0], BYTE_TICKS[BYTE_TICKS.length - 1]];
  const marks = curves.flatMap(({ name, family, points }) => {
    const shown = points.filter(({ bytes }) => bytes >= least && bytes <= most);
    const at = { x: "bytes", y: "top1" };
    const title = ({ label, bytes, top1 }: Curve["points"][number]) =>
      `${name} ${label}: ${number(bytes)} B, top-1 ${percent(top1)}`;
    return [
      Plot.line(shown, { ...at, stroke: colorOf(family), strokeWidth: 2 }),
      Plot.dot(shown, { ...at, fill: colorOf(family), r: 4, title }),
    ];
  });
  const svg = Plot.plot({
    ...(document && { document }),
    width,
    height: 0.62 * width,
    marginTop: 14,
    marginLeft: 46,
    marginRight: 28,
    style: { fontSize: "12px", background: "transparent" },
    x: {
      type: "log",
      label: null,
      ticks: BYTE_TICKS,
      tickFormat: (bytes: number) => `${bytes / 1000} KB`,
      tickSize: 0,
    },
    y: {
      label: null,
      domain: [0, 1],
      grid: true,
      ticks: 5,
      tickFormat: (top1: number) => percent(top1, 0),
      tickSize: 0,
    },
    marks,
  });
  return described(svg, "share of correct labels (top-1) against bytes");
}

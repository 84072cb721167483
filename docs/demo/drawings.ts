/** What the page draws: bars with Observable Plot, pictures of features and of channels on canvases. */
import * as Plot from "@observablehq/plot";
import { milliseconds, number } from "../../bench/numbers.js";
import { endToEnd, type Link } from "../../tables/links.js";
import type { Answer } from "./setup.js";

/** A way to send the photograph. */
export interface Way {
  readonly name: string;
  readonly bytes: number;
  /** A colour of the page's style. */
  readonly color: string;
  /** Milliseconds of each end; left out where they are not measured. */
  readonly deviceMs?: number;
  readonly serverMs?: number;
}

const css = (name: string) => `var(--${name})`;
const MARGINS = { marginLeft: 112, marginRight: 70, marginTop: 4, marginBottom: 32 };
const ROW = 32;

/** Horizontal bars in the given order. */
function frame(names: readonly string[], width: number, title: string, marks: Plot.Markish[]) {
  const drawn = Plot.plot({
    ...MARGINS,
    width,
    height: names.length * ROW + MARGINS.marginTop + MARGINS.marginBottom,
    style: { fontSize: "13px", background: "transparent" },
    x: { label: null, grid: true, ticks: 3 },
    y: { domain: names, label: null, tickSize: 0 },
    ariaLabel: title,
    marks: [...marks, Plot.ruleX([0])],
  });
  // One picture, with one description: its parts may not have names of their own (WAI-ARIA).
  drawn.setAttribute("role", "img");
  for (const part of drawn.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
  return drawn;
}

export function bytesPlot(ways: readonly Way[], width: number): Element {
  const title = `bytes: ${ways.map(({ name, bytes }) => `${name} ${number(bytes)}`).join(", ")}`;
  const names = ways.map(({ name }) => name);
  return frame(names, width, title, [
    Plot.barX(ways, { x: "bytes", y: "name", fill: ({ color }: Way) => css(color), insetTop: 5, insetBottom: 5 }),
    Plot.text(ways, {
      x: "bytes",
      y: "name",
      text: ({ bytes }: Way) => `${number(bytes)} B`,
      textAnchor: "start",
      dx: 6,
      fill: "currentColor",
    }),
  ]);
}

const PARTS = [
  { key: "senderMs", name: "device", color: "send" },
  { key: "transferMs", name: "bytes on the link", color: "transfer" },
  { key: "rttMs", name: "round trip", color: "rtt" },
  { key: "receiverMs", name: "server", color: "receive" },
] as const;

export const TIME_LEGEND = PARTS.map(({ name, color }) => ({ name, color }));

export function timePlot(ways: readonly Way[], link: Link, width: number): Element {
  const times = ways.flatMap(({ name, bytes, deviceMs, serverMs }) =>
    deviceMs === undefined || serverMs === undefined ? [] : { name, ...endToEnd(link, bytes, deviceMs, serverMs) },
  );
  const title = `time over ${link.name}: ${times.map(({ name, totalMs }) => `${name} ${milliseconds(totalMs)}`).join(", ")}`;
  const parts = times.flatMap((way) =>
    PARTS.map(({ key, color }) => ({ name: way.name, value: way[key], fill: css(color) })),
  );
  const names = times.map(({ name }) => name);
  return frame(names, width, title, [
    Plot.barX(parts, { x: "value", y: "name", fill: ({ fill }) => fill, order: null, insetTop: 5, insetBottom: 5 }),
    Plot.text(times, {
      x: "totalMs",
      y: "name",
      text: ({ totalMs }) => milliseconds(totalMs),
      textAnchor: "start",
      dx: 6,
      fill: "currentColor",
    }),
  ]);
}

/** One grey value a place, as a picture. */
export function drawStrength(canvas: HTMLCanvasElement, { width, bytes }: NonNullable<Answer["strength"]>): void {
  canvas.width = width;
  canvas.height = bytes.length / width;
  const image = new ImageData(canvas.width, canvas.height);
  for (const [i, value] of bytes.entries()) image.data.set([value, value, value, 255], 4 * i);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** A channel's symbols: the farther from its usual symbol, the darker. */
function drawChannel(canvas: HTMLCanvasElement, symbols: Int32Array, width: number): void {
  canvas.width = width;
  canvas.height = symbols.length / width;
  const image = new ImageData(canvas.width, canvas.height);
  const usual = symbols.slice().sort()[symbols.length >> 1]!;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? 255 : 0;
  for (const [i, symbol] of symbols.entries()) {
    const away = Math.min(Math.abs(symbol - usual), 4);
    image.data.set([dark, dark, dark, away * 50], 4 * i);
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

export interface Channels {
  readonly dims: readonly number[];
  readonly symbols: Int32Array;
  readonly bits: { readonly fixed: Float64Array; readonly context: Float64Array };
}

/** A tile for each channel: its symbols on a ground that is the stronger, the more bits the channel takes. */
export function drawChannels(list: HTMLElement, { dims, symbols, bits }: Channels, withContext: boolean): void {
  const [, channels, height, width] = dims as [number, number, number, number];
  const cells = height * width;
  const most = Math.max(...bits.fixed);
  const shown = withContext ? bits.context : bits.fixed;
  const order = Array.from({ length: channels }, (_, c) => c).sort((a, b) => bits.fixed[b]! - bits.fixed[a]!);
  list.replaceChildren(
    ...order.map((c) => {
      const [bytes, before] = [shown[c]! / 8, bits.fixed[c]! / 8];
      const item = document.createElement("li");
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      drawChannel(canvas, symbols.subarray(c * cells, (c + 1) * cells), width);
      canvas.style.backgroundColor = `color-mix(in srgb, var(--own) ${Math.round((100 * shown[c]!) / most)}%, var(--card))`;
      const saved = Math.round(100 * (bytes / before - 1));
      const text = document.createElement("span");
      text.textContent = `${number(bytes)} B${withContext && before >= 1 && saved !== 0 ? ` (${saved > 0 ? "+" : "\u2212"}${Math.abs(saved)} %)` : ""}`;
      const name = document.createElement("span");
      name.className = "hidden";
      name.textContent = `Channel ${c}: `;
      item.append(canvas, name, text);
      return item;
    }),
  );
}

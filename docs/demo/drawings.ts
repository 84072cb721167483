/** What the page draws on canvases: photographs, how strong features are, the channels of a latent. */
import { number } from "../../bench/numbers.js";
import type { Answer } from "./setup.js";

export const drawImage = (image: CanvasImageSource) => (canvas: HTMLCanvasElement) => {
  [canvas.width, canvas.height] = [224, 224];
  canvas.getContext("2d")!.drawImage(image, 0, 0);
};

/** One pixel for each of `values`; `rgbaOf` gives its colour, 0 to 255 each. */
function drawPixels<T extends ArrayLike<number>>(
  canvas: HTMLCanvasElement,
  values: T,
  width: number,
  rgbaOf: (value: number) => readonly number[],
): void {
  [canvas.width, canvas.height] = [width, values.length / width];
  const image = new ImageData(canvas.width, canvas.height);
  for (let i = 0; i < values.length; i++) image.data.set(rgbaOf(values[i]!), 4 * i);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

export const drawStrength =
  ({ width, bytes }: NonNullable<Answer["strength"]>) =>
  (canvas: HTMLCanvasElement) =>
    drawPixels(canvas, bytes, width, (value) => [value, value, value, 255]);

/** A channel's symbols on the colour of its canvas: the farther from its usual symbol, the darker, or the lighter on a dark page. */
function drawSymbols(canvas: HTMLCanvasElement, symbols: Int32Array, width: number): void {
  const usual = symbols.slice().sort()[symbols.length >> 1]!;
  const ink = matchMedia("(prefers-color-scheme: dark)").matches ? 255 : 0;
  drawPixels(canvas, symbols, width, (symbol) => [ink, ink, ink, 50 * Math.min(Math.abs(symbol - usual), 4)]);
}

export interface Channels {
  readonly dims: readonly number[];
  readonly symbols: Int32Array;
  /** Of each channel, without and with the context. */
  readonly bits: { readonly fixed: Float64Array; readonly context: Float64Array };
}

/**
 * A tile for each channel, coloured by the bits that a symbol of it takes, in the order of their bits without the context.
 * Returns the bits per symbol of the strongest colour. It is the same with the context and without, so that tiles can be compared.
 */
export function drawChannels(list: HTMLElement, { dims, symbols, bits }: Channels, withContext: boolean): number {
  const [, channels, height, width] = dims as [number, number, number, number];
  const places = height * width;
  const most = Math.max(...bits.fixed, ...bits.context);
  const shown = withContext ? bits.context : bits.fixed;
  const order = Array.from({ length: channels }, (_, c) => c).sort((a, b) => bits.fixed[b]! - bits.fixed[a]!);
  list.replaceChildren(
    ...order.map((c) => {
      const [bytes, before] = [shown[c]! / 8, bits.fixed[c]! / 8];
      const item = document.createElement("li");
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      drawSymbols(canvas, symbols.subarray(c * places, (c + 1) * places), width);
      canvas.style.backgroundColor = `color-mix(in srgb, var(--own) ${Math.round((100 * shown[c]!) / most)}%, var(--card))`;
      const perSymbol = `${number(shown[c]! / places, 2)} bits per symbol`;
      const saved = Math.round(100 * (bytes / before - 1));
      const change =
        withContext && before >= 1 && saved !== 0 ? `${saved > 0 ? "+" : "\u2212"}${Math.abs(saved)} %` : "";
      item.title = `channel ${c}: ${perSymbol}`;
      item.innerHTML = `<span class="hidden">Channel ${c}, ${perSymbol}: </span><b>${number(bytes)} B</b> <span>${change}</span>`;
      item.prepend(canvas);
      return item;
    }),
  );
  return most / places;
}

/** Images as a network's input: read by the user's own sharp, in the size, layout and range that the network takes. */
import { CodecError } from "latentwire";
import { refusedAs, type Sharp } from "./packages.js";

/** What is subtracted from a value of 0 to 1 and what divides it, per channel. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Ranges by name, as `--normalize` has them. */
export const RANGES = {
  "0..1": { mean: [0, 0, 0], std: [1, 1, 1] },
  "0..255": { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
  "-1..1": { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
} as const satisfies Record<string, Normalization>;
export type Range = keyof typeof RANGES;

/** File names of images. */
export const IMAGE_NAMES = /\.(jpe?g|png|webp|avif|tiff?|gif)$/i;

/** RGB bytes of an image, upright, cut to the wanted shape around its centre and scaled. Throws CodecError `INVALID_FILE`. */
export async function readImage(sharp: Sharp, path: string, height: number, width: number): Promise<Uint8Array> {
  const image = sharp(path).rotate().resize({ width, height, fit: "cover" }).flatten({ background: "white" });
  const pixels = await refusedAs("INVALID_FILE", path, image.removeAlpha().toColourspace("srgb").raw().toBuffer());
  if (pixels.length !== 3 * height * width)
    throw new CodecError("INVALID_FILE", `${path}: it has ${pixels.length / (height * width)} channels, not 3`);
  return pixels;
}

/** RGB pixels as [channels, height, width], or with the channels last; of one channel their luma (BT.601). */
export function normalized(
  pixels: Uint8Array,
  { mean, std }: Normalization,
  channels: 1 | 3 = 3,
  isLast = false,
): Float32Array {
  const count = pixels.length / 3;
  const found = new Float32Array(channels * count);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < count; i++) {
      const value = channels === 3 ? pixels[3 * i + c]! : luma(pixels, 3 * i);
      found[isLast ? i * channels + c : c * count + i] = (value / 255 - mean[c]!) / std[c]!;
    }
  return found;
}

const luma = (pixels: Uint8Array, at: number): number =>
  0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;

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

/**
 * A range by name, or `MEAN,STD` of pixels: of 0 to 255, or of 0 to 1 where all are at most 1. Three numbers for three channels may stand in the place of one.
 * Throws RangeError.
 */
export function rangeOf(given: string): Normalization {
  if (Object.hasOwn(RANGES, given)) return RANGES[given as Range];
  const numbers = given.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const half = numbers.length / 2;
  const std = numbers.slice(half);
  const isUsable = numbers.every(Number.isFinite) && (half === 1 || half === 3) && std.every((value) => value > 0);
  if (!isUsable)
    throw new RangeError(`--normalize must be ${Object.keys(RANGES).join(", ")}, or MEAN,STD, not ${given}`);
  const unit = numbers.every((value) => value <= 1) ? 1 : 255;
  const three = (list: readonly number[]) => [0, 1, 2].map((c) => list[c % list.length]! / unit);
  return { mean: three(numbers.slice(0, half)), std: three(std) };
}

/** File names of images. */
export const IMAGE_NAMES = /\.(jpe?g|png|webp|avif|tiff?|gif)$/i;

/** An image so little larger than the input was prepared for it (256 for 224). It is cut and not scaled, which would blur it. */
const PREPARED = 256 / 224;

/** What {@link readImage} does, for those who do the same elsewhere. */
export const PREPARATION = {
  upright: "by EXIF orientation",
  fit: "cover",
  crop: "centre",
  /** Of sharp. */
  filter: "lanczos3",
  /** An image that covers the input and is at most so many times as large is cut and not scaled. */
  unscaledUpTo: PREPARED,
  background: "white",
  colours: "sRGB",
} as const;

/** RGB bytes of an image, upright, its middle in the wanted shape, scaled unless it was prepared. Throws CodecError `INVALID_FILE`. */
export async function readImage(sharp: Sharp, path: string, height: number, width: number): Promise<Uint8Array> {
  const {
    width: w = 0,
    height: h = 0,
    orientation = 1,
  } = await refusedAs("INVALID_FILE", path, sharp(path).metadata());
  // Orientations from 5 on turn by a right angle.
  const [across, down] = orientation < 5 ? [w, h] : [h, w];
  const larger = Math.min(across / width, down / height);
  const upright = sharp(path).rotate();
  const image =
    larger >= 1 && larger <= PREPARED
      ? upright.extract({ left: (across - width) >> 1, top: (down - height) >> 1, width, height })
      : upright.resize({ width, height, fit: PREPARATION.fit, kernel: PREPARATION.filter });
  const whole = image.flatten({ background: PREPARATION.background }).removeAlpha().toColourspace("srgb").raw();
  const pixels = await refusedAs("INVALID_FILE", path, whole.toBuffer());
  if (pixels.length !== 3 * height * width)
    throw new CodecError("INVALID_FILE", `${path}: it has ${pixels.length / (height * width)} channels, not 3`);
  return pixels;
}

/** Reads images of one size. Files of folders that cannot be read are skipped; a file that the user named is an error. */
export class ImageReader {
  readonly #named: ReadonlySet<string>;
  readonly #skipped: string[] = [];
  #refusal: CodecError | undefined;

  constructor(
    readonly sharp: Sharp,
    readonly height: number,
    readonly width: number,
    /** The files and folders that the user named. */
    named: readonly string[],
  ) {
    this.#named = new Set(named);
  }

  /** As {@link readImage}; undefined for a file that is skipped. */
  async read(path: string): Promise<Uint8Array | undefined> {
    try {
      return await readImage(this.sharp, path, this.height, this.width);
    } catch (error) {
      if (this.#named.has(path) || !(error instanceof CodecError)) throw error;
      this.#refusal ??= error;
      this.#skipped.push(path);
      return undefined;
    }
  }

  /** Says what was skipped of `count` files. Throws CodecError `INVALID_FILE` where that is all of them. */
  finish(count: number, say: (text: string) => void): void {
    const skipped = this.#skipped;
    if (this.#refusal === undefined) return;
    if (skipped.length === count)
      throw new CodecError("INVALID_FILE", `none of ${count} images can be read: ${this.#refusal.message}`);
    const more = skipped.length > 8 ? ` and ${skipped.length - 8} more` : "";
    say(`skipped, cannot be read: ${skipped.slice(0, 8).join(", ")}${more}`);
  }
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

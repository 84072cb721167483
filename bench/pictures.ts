import sharp from "sharp";
import { SIDE } from "./images.js";
import { strengths } from "./numbers.js";

export type Format = "PNG" | "JPEG" | "mozjpeg" | "WebP" | "AVIF";

/** As sharp calls the encoders: 4:2:0 (AVIF 4:4:4), JPEG with optimized Huffman tables, WebP effort 4, AVIF effort 2; PNG knows no quality. */
export function encodePicture(rgb: Buffer, format: Format, quality: number): Promise<Buffer> {
  const image = sharp(rgb, { raw: { width: SIDE, height: SIDE, channels: 3 } });
  const encoded = {
    PNG: () => image.png({ compressionLevel: 9 }),
    JPEG: () => image.jpeg({ quality }),
    mozjpeg: () => image.jpeg({ quality, mozjpeg: true }),
    WebP: () => image.webp({ quality, effort: 4 }),
    AVIF: () => image.avif({ quality, effort: 2 }),
  };
  return encoded[format]().toBuffer();
}

/** The picture of this format whose size comes nearest to `bytes`: quality 1, the smallest there is, where all are larger. */
export async function pictureNear(
  rgb: Buffer,
  format: Format,
  bytes: number,
): Promise<{ quality: number; file: Buffer }> {
  let [low, high] = [1, 100];
  let best = { quality: 1, file: await encodePicture(rgb, format, 1) };
  while (low <= high) {
    const quality = (low + high) >> 1;
    const file = await encodePicture(rgb, format, quality);
    if (Math.abs(file.length - bytes) < Math.abs(best.file.length - bytes)) best = { quality, file };
    if (file.length < bytes) low = quality + 1;
    else high = quality - 1;
  }
  return best;
}

/** A PNG of one grey pixel for each place of the features: the stronger they are, the lighter. */
export function strengthPicture(features: {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}): Promise<Buffer> {
  const { width, height, bytes } = strengths(features);
  return sharp(bytes, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}

/** What JPEG and WebP need for the same agreement: pictures of many qualities through the uncut model. */
import { refusedAs, type Session, type Sharp } from "../packages.js";
import { agreementOf, answerOf, type RatePoint } from "./agreement.js";
import { type Bench, mean } from "./measure.js";
import type { Samples } from "./samples.js";

export type Format = "JPEG" | "WebP";

/** A codec at a quality: means over the samples that are reported on. */
export interface PicturePoint extends RatePoint {
  readonly format: Format;
  /** `lossless`, or a quality from 1 to 100. */
  readonly quality: number | "lossless";
  readonly encodeMs: number;
  readonly decodeMs: number;
}

const QUALITIES: Readonly<Record<Format, readonly (number | "lossless")[]>> = {
  JPEG: [10, 20, 30, 50, 75, 85, 90, 95, 98, 100],
  WebP: [5, 10, 20, 35, 50, 75, 85, 90, 95, 98, 100, "lossless"],
};

export async function picturePoints(
  bench: Bench,
  sharp: Sharp,
  samples: Samples,
  uncut: Session,
  numbers: readonly number[],
  progress: (done: number, total: number) => void,
): Promise<PicturePoint[]> {
  const { height, width, pixels, feedsOf } = samples.images!;
  const raw = { raw: { width, height, channels: 3 as const } };
  const settings = (Object.keys(QUALITIES) as Format[]).flatMap((format) =>
    QUALITIES[format].map((quality) => ({
      format,
      quality,
      bytes: [] as number[],
      right: [] as number[],
      encode: 0,
      decode: 0,
    })),
  );
  let done = 0;
  for (const i of numbers) {
    const rgb = await pixels(i);
    for (const setting of settings) {
      const { format, quality } = setting;
      const t0 = performance.now();
      const image = sharp(rgb, raw);
      const file = await (quality === "lossless"
        ? image.webp({ lossless: true })
        : format === "JPEG"
          ? image.jpeg({ quality })
          : image.webp({ quality })
      ).toBuffer();
      const t1 = performance.now();
      const back = await sharp(file).removeAlpha().toColourspace("srgb").raw().toBuffer();
      const t2 = performance.now();
      const outputs = await refusedAs("MODEL", bench.opened.path, uncut.run(feedsOf(back)));
      setting.bytes.push(file.length);
      setting.right.push(agreementOf(bench.metric, answerOf(outputs, bench.outputs), bench.expected(i)));
      setting.encode += (t1 - t0) / numbers.length;
      setting.decode += (t2 - t1) / numbers.length;
    }
    progress(++done, numbers.length);
  }
  return settings.map(({ format, quality, bytes, right, encode, decode }) => ({
    format,
    quality,
    bytes: mean(bytes),
    agreement: mean(right),
    encodeMs: encode,
    decodeMs: decode,
  }));
}

import sharp from "sharp";
import { type Picture, SIDE } from "../images.js";
import { number } from "../numbers.js";
import { pictureNear } from "../pictures.js";
import type { Passed } from "../pipeline.js";
import type { ImageResult } from "../summary.js";
import { escapeHtml } from "./escape.js";

/** Pictures make the file large; a long list shows its first ones. */
const SHOWN = 12;

export const dataUri = (type: string, bytes: Buffer) => `data:image/${type};base64,${bytes.toString("base64")}`;

/** Mean magnitude of the features at each place: what the receiver's network gets to see. */
export async function heat({ dims, data }: Passed["features"]): Promise<Buffer> {
  const [, channels, height, width] = dims;
  const plane = height * width;
  const sums = new Float64Array(plane);
  for (let i = 0; i < channels * plane; i++) sums[i % plane] += Math.abs(data[i]);
  const [low, high] = [Math.min(...sums), Math.max(...sums)];
  const grey = Uint8Array.from(sums, (sum) => (255 * (sum - low)) / (high - low || 1));
  return sharp(grey, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}

export function figure(source: string, caption: string, css = ""): string {
  return `<figure><img src="${source}" width="${SIDE}" height="${SIDE}" alt="" class="${css}"><figcaption>${caption}</figcaption></figure>`;
}

async function card(picture: Picture, { name, passed }: ImageResult): Promise<string> {
  const raw = { raw: { width: SIDE, height: SIDE, channels: 3 as const } };
  const png = await sharp(picture.rgb, raw).png().toBuffer();
  const bytes = passed.packet.length;
  const jpeg = await pictureNear(picture.rgb, "JPEG", bytes);
  const features = await heat(passed.features);
  return (
    `<h3>${escapeHtml(name)}</h3><div class="trio">` +
    figure(dataUri("png", png), `what the encoder sees<br>${SIDE}x${SIDE}, ${number(png.length)} B as PNG`) +
    figure(
      dataUri("jpeg", jpeg.file),
      `JPEG of about that size<br>${number(jpeg.file.length)} B, quality ${jpeg.quality}`,
    ) +
    figure(dataUri("png", features), `features decoded from the latent<br>${number(bytes)} B packet`, "heat") +
    "</div>"
  );
}

export async function gallery(pictures: readonly Picture[], results: readonly ImageResult[]): Promise<string> {
  const cards: string[] = [];
  for (let i = 0; i < Math.min(results.length, SHOWN); i++) cards.push(await card(pictures[i], results[i]));
  if (results.length > SHOWN) cards.push(`<p>The first ${SHOWN} of ${results.length} images are shown.</p>`);
  return cards.join("");
}

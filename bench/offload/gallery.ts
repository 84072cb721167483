import sharp from "sharp";
import { type Picture, SIDE } from "../images.js";
import { number } from "../numbers.js";
import { type Format, heat, pictureNear } from "../pictures.js";
import { dataUri, escapeHtml, figure } from "../report/html.js";
import type { Way } from "./way.js";

const SHOWN = 4;
const FORMATS: readonly Format[] = ["JPEG", "mozjpeg", "WebP", "AVIF"];

/** Of MobileNetV2's split, and of every model here: a place of the features is 8x8 pixels. */
const PLACES = SIDE / 8;

async function card(picture: Picture, own: Way): Promise<string> {
  const raw = { raw: { width: SIDE, height: SIDE, channels: 3 as const } };
  const png = await sharp(picture.rgb, raw).png().toBuffer();
  const { message } = await own.client(picture);
  const { features } = await own.server(message);
  const figures = [figure(dataUri("png", png), `as it is<br>${number(png.length)} B as PNG`)];
  if (features !== null) {
    const dims = [1, features.length / PLACES ** 2, PLACES, PLACES];
    const map = dataUri("png", await heat(dims, features));
    figures.push(figure(map, `features from the packet<br>${number(message.length)} B`, "heat"));
  }
  for (const format of FORMATS) {
    const { quality, file } = await pictureNear(picture.rgb, format, message.length);
    const type = format === "mozjpeg" ? "jpeg" : format.toLowerCase();
    const smallest = quality === 1 && file.length > message.length ? ", its smallest" : "";
    figures.push(figure(dataUri(type, file), `${format}, quality ${quality}<br>${number(file.length)} B${smallest}`));
  }
  return `<h3>${escapeHtml(picture.name)}</h3><div class="trio">${figures.join("")}</div>`;
}

/** The first pictures beside what each competitor makes of them within the bytes of the packet. */
export async function offloadGallery(pictures: readonly Picture[], own: Way): Promise<string> {
  const cards: string[] = [];
  for (const picture of pictures.slice(0, SHOWN)) cards.push(await card(picture, own));
  return cards.join("");
}

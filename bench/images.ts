import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import sharp from "sharp";

/** Side of the square that the networks see. */
export const SIDE = 224;
const SHORT_SIDE = 256;

/** How an image becomes input, in the words of the report. */
export const PREPARATION = `short side to ${SHORT_SIDE}, centre ${SIDE}x${SIDE}, RGB 0..255`;

export interface Picture {
  readonly name: string;
  /** SIDE x SIDE x 3 bytes. */
  readonly rgb: Buffer;
  /** 1 x 3 x SIDE x SIDE. */
  readonly planes: Float32Array;
}

export function listImages(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Error(`there is no folder ${folder}`);
  const files = readdirSync(folder)
    .filter((name) => /\.(png|jpe?g|webp)$/i.test(name))
    .filter((name) => !statSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory())
    .sort();
  if (files.length === 0) throw new Error(`no PNG, JPEG or WebP image in ${folder}; folders in it are not searched`);
  return files.map((name) => join(folder, name));
}

/** RGB bytes as the networks take them: 1 x 3 x SIDE x SIDE. */
export function toPlanes(rgb: Uint8Array): Float32Array {
  const plane = SIDE * SIDE;
  const planes = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) planes[c * plane + i] = rgb[3 * i + c];
  return planes;
}

/** The centre of the upright image, which is scaled first to `shortSide` where that is given. */
async function centre(file: string, shortSide?: number): Promise<Picture> {
  const upright = sharp(file).autoOrient().flatten({ background: "white" }).toColourspace("srgb");
  const scaled = shortSide === undefined ? upright : upright.resize(shortSide, shortSide, { fit: "cover" });
  const { data, info } = await scaled.raw().toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: info.channels };
  const [left, top] = [(info.width - SIDE) >> 1, (info.height - SIDE) >> 1];
  const rgb = await sharp(data, { raw }).extract({ left, top, width: SIDE, height: SIDE }).raw().toBuffer();
  return { name: basename(file), rgb, planes: toPlanes(rgb) };
}

export function loadImage(file: string): Promise<Picture> {
  return centre(file, SHORT_SIDE);
}

/** As `loadImage`, but pictures that somebody has prepared already, their short side SIDE to SHORT_SIDE, are cropped and not scaled. */
export async function loadPrepared(file: string): Promise<Picture> {
  const { autoOrient } = await sharp(file).metadata();
  const short = Math.min(autoOrient.width, autoOrient.height);
  return centre(file, short >= SIDE && short <= SHORT_SIDE ? undefined : SHORT_SIDE);
}

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
    .sort();
  if (files.length === 0) throw new Error(`no PNG, JPEG or WebP image in ${folder}`);
  return files.map((name) => join(folder, name));
}

export async function loadImage(file: string): Promise<Picture> {
  const rgb = await sharp(file)
    .autoOrient()
    .flatten({ background: "white" })
    .toColourspace("srgb")
    .resize(SHORT_SIDE, SHORT_SIDE, { fit: "cover" })
    .extract({ left: (SHORT_SIDE - SIDE) / 2, top: (SHORT_SIDE - SIDE) / 2, width: SIDE, height: SIDE })
    .raw()
    .toBuffer();
  const plane = SIDE * SIDE;
  const planes = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) planes[c * plane + i] = rgb[3 * i + c];
  return { name: basename(file), rgb, planes };
}

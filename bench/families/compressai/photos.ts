// The images of the trial: square cuts of the bundled photographs, 0 to 1.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const folder = fileURLToPath(new URL("../../photos/", import.meta.url));

/** `count` images of 3 x `side` x `side`, from different places of the photographs. */
export async function dataset(count: number, side: number): Promise<Float32Array[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith(".png"));
  const found: Float32Array[] = [];
  for (let k = 0; k < count; k++) {
    const image = sharp(`${folder}${files[k % files.length]}`)
      .removeAlpha()
      .toColourspace("srgb");
    const { width, height } = await image.metadata();
    const place = (length: number) => Math.floor(((k * 0.37) % 1) * (length - side));
    const cut = image.extract({ left: place(width), top: place(height), width: side, height: side });
    const pixels = await cut.raw().toBuffer();
    const planes = new Float32Array(3 * side * side);
    for (let i = 0; i < side * side; i++)
      for (let c = 0; c < 3; c++) planes[c * side * side + i] = pixels[3 * i + c]! / 255;
    found.push(planes);
  }
  return found;
}

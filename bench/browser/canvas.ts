export const SIDE = 224;
/** Images with a longer short side are scaled down to this; as bench:offload does it, with the browser's own scaling. */
const SHORT_SIDE = 256;

export const DIMS = [1, 3, SIDE, SIDE];

function canvasOf(): { canvas: OffscreenCanvas; context: OffscreenCanvasRenderingContext2D } {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser gives no 2d canvas");
  return { canvas, context };
}

/** The centre of an image, on white. */
export async function centre(blob: Blob): Promise<OffscreenCanvas> {
  const bitmap = await createImageBitmap(blob);
  const short = Math.min(bitmap.width, bitmap.height);
  const scale = short >= SIDE && short <= SHORT_SIDE ? 1 : SHORT_SIDE / short;
  const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const { canvas, context } = canvasOf();
  context.fillStyle = "white";
  context.fillRect(0, 0, SIDE, SIDE);
  context.drawImage(bitmap, -((width - SIDE) >> 1), -((height - SIDE) >> 1), width, height);
  return canvas;
}

/** RGB 0..255 as the networks take them: 1 x 3 x SIDE x SIDE. */
export function planesOf(canvas: OffscreenCanvas): Float32Array {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("the canvas has another context");
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const plane = SIDE * SIDE;
  const planes = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) planes[c * plane + i] = data[4 * i + c];
  return planes;
}

export async function encodeCanvas(canvas: OffscreenCanvas, type: string, quality: number): Promise<Blob> {
  const blob = await canvas.convertToBlob({ type, quality });
  // A browser that cannot write a format gives PNG and says nothing.
  if (blob.type !== type) throw new Error(`this browser writes no ${type}`);
  return blob;
}

/** Safari, for one, reads WebP and does not write it. */
export async function canEncode(type: string): Promise<boolean> {
  return (await canvasOf().canvas.convertToBlob({ type })).type === type;
}

export async function decodePlanes(blob: Blob): Promise<Float32Array> {
  const { canvas, context } = canvasOf();
  context.drawImage(await createImageBitmap(blob), 0, 0);
  return planesOf(canvas);
}

/** What a browser gives: pictures through a canvas, networks through onnxruntime-web. */
import * as ort from "onnxruntime-web/wasm";

ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
// One thread: more need a page that is isolated from other origins, and a phone's encoder should not take its cores.
ort.env.wasm.numThreads = 1;

/** A network with one input and one output. */
export class Network {
  private constructor(private readonly session: ort.InferenceSession) {}

  static async open(url: string): Promise<Network> {
    return new Network(await ort.InferenceSession.create(url, { executionProviders: ["wasm"] }));
  }

  async run(data: Float32Array, dims: readonly number[]): Promise<{ data: Float32Array; dims: readonly number[] }> {
    const { inputNames, outputNames } = this.session;
    const outputs = await this.session.run({ [inputNames[0]]: new ort.Tensor("float32", data, dims) });
    const output = outputs[outputNames[0]];
    return { data: output.data as Float32Array, dims: output.dims };
  }
}

const SIDE = 224;
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
  // A large photograph would hold gigabytes until the garbage is collected.
  bitmap.close();
  return canvas;
}

/** RGB 0..255 as the networks take them: 1 x 3 x SIDE x SIDE. */
export function planesOf(canvas: OffscreenCanvas): Float32Array {
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, SIDE, SIDE);
  const plane = SIDE * SIDE;
  const planes = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) planes[c * plane + i] = data[4 * i + c];
  return planes;
}

/** What a canvas may be asked to write. */
export const FORMATS = [
  { name: "JPEG", type: "image/jpeg" },
  { name: "WebP", type: "image/webp" },
] as const;

/** What one sends today: a picture of this quality, of 0 to 1 as a canvas takes it. */
export const USUAL_QUALITY = 0.75;

/** Safari, for one, reads WebP and does not write it: a browser that cannot write a format gives PNG and says nothing. */
export async function canEncode(type: string): Promise<boolean> {
  return (await canvasOf().canvas.convertToBlob({ type })).type === type;
}

export async function decodePlanes(blob: Blob): Promise<Float32Array> {
  const { canvas, context } = canvasOf();
  context.drawImage(await createImageBitmap(blob), 0, 0);
  return planesOf(canvas);
}

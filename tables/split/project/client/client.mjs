// The client: runs the head, packs what it gives, sends one packet. split.json has what is this model's own.
import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import * as ort from "onnxruntime-web";

const split = await (await fetch("split.json")).json();
const codec = await create();
const bundle = await loadBundle("bundle.lwb");
const priors = split.latents.map(({ entry }) => bundle.factorized(codec, entry));
const session = await ort.InferenceSession.create("head.onnx");
// Where packets go: the page's own server, or another one, ?server=http://localhost:8090
const server = new URLSearchParams(location.search).get("server") ?? "/answer";

/** The inputs of a photograph: its middle, in the size and range that the model takes. */
export async function imageOf(file) {
  if (!split.image) throw new Error("this model takes no photograph");
  const { name, type, dims, height, width, channels, channelsLast, mean, std, preparation } = split.image;
  const bitmap = await createImageBitmap(file);
  const cover = Math.max(width / bitmap.width, height / bitmap.height);
  // What is little larger was prepared for the model: it is cut and not scaled.
  const scale = cover <= 1 && 1 <= cover * preparation.unscaledUpTo ? 1 : cover;
  const [w, h] = [scale * bitmap.width, scale * bitmap.height];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = preparation.background;
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = context.getImageData(0, 0, width, height);
  const count = width * height;
  const planes = type === "uint8" ? new Uint8Array(channels * count) : new Float32Array(channels * count);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < count; i++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
      const value = channels === 3 ? data[4 * i + c] : 0.299 * r + 0.587 * g + 0.114 * b;
      planes[channelsLast ? i * channels + c : c * count + i] = (value / 255 - mean[c]) / std[c];
    }
  return { [name]: new ort.Tensor(type, planes, dims) };
}

/** The inputs of one of the samples that the model was measured with. */
export async function sample() {
  const response = await fetch("sample.json");
  if (!response.ok) throw new Error("there is no sample.json");
  const arrays = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int32: Int32Array, bool: Uint8Array };
  const tensor = ({ type, dims, data }) =>
    new ort.Tensor(type, type === "int64" ? BigInt64Array.from(data, BigInt) : arrays[type].from(data), dims);
  return Object.fromEntries(Object.entries(await response.json()).map(([name, one]) => [name, tensor(one)]));
}

/** Runs the head, sends one packet, and returns what the server answers. */
export async function answerTo(inputs) {
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]]));
  const outputs = await session.run(feeds);
  const writer = codec.writer();
  for (const [i, { tensor }] of split.latents.entries()) writer.write(outputs[tensor], priors[i]);
  const packet = writer.finish();
  const response = await fetch(server, { method: "POST", body: packet });
  if (!response.ok) throw new Error(await response.text());
  return { bytes: packet.length, ...(await response.json()) };
}

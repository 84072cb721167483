// A split model small enough to write down: run through latentwire/onnx by Node and by pages with whichever runtime they have.
import { create } from "latentwire";
import { type SessionLike, splitDecoder, splitEncoder } from "latentwire/onnx";
import { generator, testTable } from "./engines/cases.js";
import { castTo, type ElementType, onnxModel } from "./onnx-model.js";

/** The part of an ONNX runtime's module that is used. */
export interface Runtime {
  InferenceSession: { create(model: Uint8Array): Promise<SessionLike> };
}

// Sixteenths and quarters: every sum is exact in float32, so all runtimes agree whatever order they add in.
const random = generator(7);
const quarters = (dims: number[]) => ({
  dims,
  data: Array.from({ length: dims.reduce((a, b) => a * b) }, () => Math.floor(random() * 9) / 4 - 1),
});

const image = { type: "float32" as const, dims: ["n", 3, "h", "w"] };
const latent = (type: ElementType) => ({ type, dims: ["n", 4, "h2", "w2"] });
const conv = {
  op: "Conv",
  inputs: ["image", "w"],
  output: "y",
  attributes: { strides: [2, 2], kernel_shape: [2, 2] },
};
const w = quarters([4, 3, 2, 2]);
const v = quarters([2, 4, 1, 1]);
const half = { dims: [1], data: [0.5] };

/** image -> y. */
export const encoderModel = onnxModel({
  nodes: [conv],
  inputs: { image },
  outputs: { y: latent("float32") },
  weights: { w },
});

/** image -> y, in several types, and scales for it. */
export const richEncoderModel = onnxModel({
  nodes: [
    conv,
    ...(["float16", "int32", "int64"] as const).map((type) => ({
      op: "Cast",
      inputs: ["y"],
      output: type,
      attributes: castTo(type),
    })),
    { op: "Abs", inputs: ["y"], output: "magnitude" },
    { op: "Add", inputs: ["magnitude", "half"], output: "scales" },
  ],
  inputs: { image },
  outputs: {
    y: latent("float32"),
    float16: latent("float16"),
    int32: latent("int32"),
    int64: latent("int64"),
    scales: latent("float32"),
  },
  weights: { w, half },
});

/** latent (of a type) -> features, positive. */
export const decoderModel = (type: "float32" | "float16" = "float32") =>
  onnxModel({
    nodes: [
      { op: "Cast", inputs: ["latent"], output: "x", attributes: castTo("float32") },
      { op: "Conv", inputs: ["x", "v"], output: "features", attributes: { kernel_shape: [1, 1] } },
      { op: "Relu", inputs: ["features"], output: "positive" },
    ],
    inputs: { latent: latent(type) },
    outputs: {
      features: { type: "float32", dims: ["n", 2, "h2", "w2"] },
      positive: { type: "float32", dims: ["n", 2, "h2", "w2"] },
    },
    weights: { v },
  });

/** A plain object, as any runtime takes it once `latentwire/onnx` has completed it. */
export function testImage() {
  const pixels = generator(8);
  return {
    type: "float32",
    dims: [2, 3, 12, 20],
    data: Float32Array.from({ length: 2 * 3 * 12 * 20 }, () => Math.floor(pixels() * 16) / 16),
  };
}

/** Packets and decoder outputs of one runtime, as JSON-able lists. */
export async function splitOutcomes({ InferenceSession }: Runtime): Promise<Record<string, number[]>> {
  const codec = await create();
  const prior = codec.factorized(testTable(4));
  const encoder = await InferenceSession.create(encoderModel);
  const rich = await InferenceSession.create(richEncoderModel);
  const packets: Record<string, Uint8Array> = {
    plain: await splitEncoder({ session: encoder, codec, prior })(testImage()),
  };
  for (const output of ["y", "float16", "int32"])
    packets[output] = await splitEncoder({ session: rich, codec, prior, output })(testImage());

  const lists: Record<string, number[]> = {};
  for (const [name, packet] of Object.entries(packets)) lists[name] = Array.from(packet);
  for (const type of ["float32", "float16"] as const) {
    const session = await InferenceSession.create(decoderModel(type));
    const outputs = await splitDecoder({ session, codec, prior })(packets.plain);
    for (const name of ["features", "positive"])
      lists[`${type} ${name}`] = Array.from(outputs[name].data as Float32Array);
  }
  return lists;
}

// Compiled by package.test.ts, never run: what a user's TypeScript must accept and what it must refuse.
import {
  type Codec,
  CodecError,
  type CreateOptions,
  create,
  type ErrorCode,
  type Prior,
  type TensorLike,
} from "latentwire";
import { splitDecoder, splitEncoder } from "latentwire/onnx";
import type { InferenceSession as CommonSession } from "onnxruntime-common";
import { InferenceSession as NodeSession, Tensor as NodeTensor } from "onnxruntime-node";
import { InferenceSession as WebSession, Tensor as WebTensor } from "onnxruntime-web";

export async function everyRuntime(common: CommonSession, prior: Prior, codec: Codec): Promise<void> {
  const node = await NodeSession.create("encoder.onnx");
  const web = await WebSession.create("encoder.onnx");
  const image = new NodeTensor("float32", new Float32Array(3), [1, 3, 1, 1]);
  for (const session of [common, node, web]) {
    const packet: Uint8Array = await splitEncoder({ session, codec, prior })(image);
    const outputs = await splitDecoder({ session, codec, prior })(packet);
    // The runtime's own tensors come back, with their own types.
    const dims: readonly number[] = outputs.features.dims;
    console.log(dims);
  }
  codec.encode(new WebTensor("int8", new Int8Array(4), [1, 4, 1, 1]), prior);
}

export async function plain(options: CreateOptions): Promise<Float32Array> {
  const codec = await create(options);
  const latent: TensorLike = { type: "float32", dims: [1, 2, 1, 1], data: new Float32Array(2) };
  const prior = codec.factorized({ offsets: [0], cdfs: [[0, 65536]] });
  const packet = codec.encode(latent, prior, { lanes: 8, out: new Uint8Array(100) });
  const symbols: Int16Array = codec.decode(packet, prior, { type: "int16" }).data;
  // @ts-expect-error There is no such lane count.
  codec.encode(latent, prior, { lanes: 4 });
  // @ts-expect-error int16 symbols are no floats.
  const floats: Float32Array = codec.decode(packet, prior, { type: "int16" }).data;
  console.log(symbols, floats);
  return codec.decode(packet, prior).data;
}

export function code(error: unknown): ErrorCode | undefined {
  return error instanceof CodecError ? error.code : undefined;
}

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
import type { Pool, PoolPrior } from "latentwire/pool";
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

/** TypeScript 5.9 and later let none of these take what may lie in shared memory. */
export async function send(
  codec: Codec,
  prior: Prior,
  pool: Pool,
  pooled: PoolPrior,
  session: CommonSession,
): Promise<void> {
  const latent: TensorLike = { type: "float32", dims: [1, 1, 1, 1], data: new Float32Array(1) };
  const writer = codec.writer();
  const encode = splitEncoder({ session, codec, prior, encode: { lanes: 8 } });
  for (const packet of [
    codec.encode(latent, prior),
    codec.encode(latent, prior, { header: "compact", checksum: 2 }),
    writer.finish(),
    ...writer.finishStrings(),
    await pool.encode(latent, pooled),
    await encode(latent),
    prior.table.bytes(),
  ]) {
    await fetch("/decode", { method: "POST", body: packet });
    console.log(new Blob([packet]), new Response(packet));
  }
  const shared: Uint8Array = codec.encode(latent, prior, { out: new Uint8Array(new SharedArrayBuffer(99)) });
  console.log(shared, await create({ module: codec.encode(latent, prior) }));
}

export function code(error: unknown): ErrorCode | undefined {
  return error instanceof CodecError ? error.code : undefined;
}

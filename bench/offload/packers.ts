import { brotliCompressSync, brotliDecompressSync, deflateRawSync, inflateRawSync, constants as zlib } from "node:zlib";
import { compress as zstdCompress, decompress as zstdDecompress } from "@bokuweb/zstd-wasm";
import type { Codec, Prior, TensorLike } from "latentwire";
import { fromHalf, toHalf } from "./half.js";

interface Unpacked {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** From the encoder network's latent to a message and back. */
export interface Packer {
  pack(latent: TensorLike): Uint8Array;
  /** `dims` for messages that do not carry their shape. */
  unpack(message: Uint8Array, dims: readonly number[]): Unpacked;
}

interface RawPacker extends Packer {
  readonly name: string;
  readonly slow: boolean;
  /** It carries the same symbols as the packet of step 1. */
  readonly exact: boolean;
}

type Squeeze = (bytes: Uint8Array) => Uint8Array;

const float16: RawPacker = {
  name: "latent float16",
  slow: false,
  exact: false,
  pack: ({ data }) => new Uint8Array(Uint16Array.from(data as Float32Array, toHalf).buffer),
  unpack(message, dims) {
    const halves = new Uint16Array(message.slice().buffer);
    return { data: Float32Array.from(halves, fromHalf), dims };
  },
};

function int8(codec: Codec, prior: Prior, name: string, slow: boolean, squeeze: Squeeze, expand: Squeeze): RawPacker {
  return {
    name,
    slow,
    exact: true,
    pack(latent) {
      const { data } = codec.quantize(latent, prior, { type: "int8" });
      return squeeze(new Uint8Array(data.buffer, data.byteOffset, data.length));
    },
    unpack(message, dims) {
      const bytes = expand(message);
      const symbols = { type: "int8", dims, data: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
      return { data: codec.dequantize(symbols, prior).data, dims };
    },
  };
}

/** Ours at a quantization step, and what stands in its place without an entropy codec. zstd must have been initialized. */
export function packers(codec: Codec, priorOf: (step: number) => Prior) {
  const packet = (step: number): Packer => {
    const prior = priorOf(step);
    return {
      pack: (latent) => codec.encode(latent, prior),
      unpack: (message) => codec.decode(message, prior),
    };
  };
  const prior = priorOf(1);
  const squeezed = (name: string, slow: boolean, squeeze: Squeeze, expand: Squeeze) =>
    int8(codec, prior, name, slow, squeeze, expand);
  const params = { [zlib.BROTLI_PARAM_QUALITY]: 11 };
  const raw = [
    float16,
    squeezed(
      "latent int8",
      false,
      (b) => b,
      (b) => b,
    ),
    squeezed("int8 deflate", false, (b) => deflateRawSync(b, { level: 9, strategy: zlib.Z_RLE }), inflateRawSync),
    squeezed("int8 brotli", true, (b) => brotliCompressSync(b, { params }), brotliDecompressSync),
    squeezed("int8 zstd", true, (b) => zstdCompress(b, 19), zstdDecompress),
  ];
  return { packet, raw };
}

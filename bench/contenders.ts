import { brotliCompressSync, brotliDecompressSync, deflateRawSync, inflateRawSync, constants as zlib } from "node:zlib";
import { compress as zstdCompress, decompress as zstdDecompress, init as zstdInit } from "@bokuweb/zstd-wasm";
import type { Codec, DecodeOptions, EncodeOptions, Prior } from "latentwire";
import * as reference from "./plain.js";
import type { Workload } from "./workloads.js";

/** Something that turns the symbols of a workload's i-th item into bytes and back. */
export interface Coder {
  lanes(packet: Uint8Array): number | null;
  encode(i: number): Uint8Array;
  decode(packet: Uint8Array): ArrayLike<number>;
}

/** By name: how a coder is made; a RangeError where it cannot code the workload. */
export type Choices = Readonly<Record<string, (workload: Workload) => Coder>>;

const LANES = [1, 8, 16, 32];

/** Room for any packet of these items; the timed loops write into it instead of allocating. */
function packetRoom(workload: Workload): Uint8Array {
  return new Uint8Array(workload.rows.length * 16 + 1024);
}

/** Ours with these options; `prior` is called anew for every packet. */
export function latentwire(codec: Codec, workload: Workload, encode: EncodeOptions, prior?: () => Prior): Coder {
  const bare = encode.header === "none";
  const fixed = workload.prior(codec);
  const priorOf = prior ?? (() => fixed);
  const encodeOptions = { ...encode, out: packetRoom(workload) };
  const out = new Int32Array(workload.rows.length);
  const decodeOptions: DecodeOptions<"int32"> = { type: "int32", out };
  if (bare) {
    decodeOptions.header = "none";
    decodeOptions.stream = encode.stream ?? "native";
    decodeOptions.dims = workload.items[0].dims;
  }
  const tensors = workload.items.map((item) => ({ type: "int32", dims: item.dims, data: item.symbols }));
  return {
    lanes(packet) {
      if (encode.stream === "compressai") return 1;
      // A bare native stream opens with the control byte, whose low bits name the lanes (docs/format.md section 2).
      return bare ? LANES[packet[0] & 3] : codec.inspect(packet).lanes;
    },
    encode: (i) => codec.encode(tensors[i], priorOf(), encodeOptions),
    decode: (packet) => codec.decode(packet, priorOf(), decodeOptions).data,
  };
}

function plain(workload: Workload): Coder {
  const { items, rows, run } = workload;
  const table = reference.plainTable(workload.table.toJSON());
  const out = new Int32Array(rows.length);
  return {
    lanes: () => reference.LANES,
    encode: (i) => reference.encode(items[i].symbols, table, rows, run),
    decode(packet) {
      reference.decode(packet, table, rows, run, out);
      return out;
    },
  };
}

export type Squeeze = (bytes: Uint8Array) => Uint8Array;

/** The smallest integer type that holds every symbol of the workload. */
function narrowest({ items }: Workload) {
  const types = [Int8Array, Int16Array, Int32Array] as const;
  const holds = (bits: number) =>
    items.every((item) => item.symbols.every((symbol) => (symbol << (32 - bits)) >> (32 - bits) === symbol));
  return types.find((type) => holds(8 * type.BYTES_PER_ELEMENT)) ?? Int32Array;
}

/** A general-purpose compressor on the symbols as bytes; the conversion is not timed. */
function general(workload: Workload, squeeze: Squeeze, expand: Squeeze): Coder {
  const Elements = narrowest(workload);
  const size = Elements.BYTES_PER_ELEMENT;
  const inputs = workload.items.map((item) => new Uint8Array(Elements.from(item.symbols).buffer));
  return {
    lanes: () => null,
    encode: (i) => squeeze(inputs[i]),
    decode(packet) {
      const bytes = expand(packet);
      const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
      return new Elements(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / size);
    },
  };
}

const brotli =
  (quality: number): Squeeze =>
  (bytes) => {
    const params = { [zlib.BROTLI_PARAM_QUALITY]: quality, [zlib.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    return brotliCompressSync(bytes, { params });
  };

/** General-purpose compressors, there and back; zstd needs `zstdInit` once. */
export const COMPRESSORS = {
  deflate: [(bytes) => deflateRawSync(bytes, { level: 9, strategy: zlib.Z_RLE }), inflateRawSync],
  brotli: [brotli(11), brotliDecompressSync],
  "brotli-5": [brotli(5), brotliDecompressSync],
  zstd: [(bytes) => zstdCompress(bytes, 19), zstdDecompress],
} satisfies Record<string, readonly [Squeeze, Squeeze]>;

/** Every codec that can be timed, in the order of the report. */
export async function choices(simd: Codec, scalar: Codec, javascript: Codec): Promise<Choices> {
  await zstdInit();
  return {
    latentwire: (w) => latentwire(simd, w, {}),
    "latentwire-scalar": (w) => latentwire(scalar, w, {}),
    "latentwire-javascript": (w) => latentwire(javascript, w, {}),
    "latentwire-bare": (w) => latentwire(simd, w, { header: "none" }),
    "latentwire-gaussian": (w) => {
      const { scales } = w;
      if (scales === undefined) throw new RangeError("the workload has no scales");
      // Scales differ from image to image, so the prior is made anew inside the timed call.
      return latentwire(simd, w, {}, () => simd.gaussian(scales));
    },
    "compressai-stream": (w) => latentwire(simd, w, { stream: "compressai", header: "none" }),
    "reference-ts": plain,
    ...Object.fromEntries(
      Object.entries(COMPRESSORS).map(([name, [squeeze, expand]]) => [
        name,
        (w: Workload) => general(w, squeeze, expand),
      ]),
    ),
  };
}

import { brotliCompressSync, brotliDecompressSync, deflateRawSync, inflateRawSync, constants as zlib } from "node:zlib";
import { compress as zstdCompress, decompress as zstdDecompress, init as zstdInit } from "@bokuweb/zstd-wasm";
import type { Codec, DecodeOptions, EncodeOptions, Prior } from "latentwire";
import { LANES as PLAIN_LANES, decode as plainDecode, encode as plainEncode, plainTable } from "./plain/index.js";
import type { Workload } from "./workloads.js";

/** Something that turns the symbols of a workload's i-th item into bytes and back. */
export interface Coder {
  readonly name: string;
  lanes(packet: Uint8Array): number | null;
  encode(i: number): Uint8Array;
  decode(packet: Uint8Array): ArrayLike<number>;
}

/** A codec that a workload cannot be given to, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

export interface Choice {
  readonly name: string;
  readonly make: (workload: Workload) => Coder;
}

const LANES = [1, 8, 16, 32];

/** Room for any packet of these items; the timed loops write into it instead of allocating. */
function packetRoom(workload: Workload): Uint8Array {
  return new Uint8Array(workload.rows.length * 16 + 1024);
}

/** Ours with these options; `prior` is called anew for every packet. */
export function latentwire(
  name: string,
  codec: Codec,
  workload: Workload,
  encode: EncodeOptions,
  prior?: () => Prior,
): Coder {
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
    name,
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
  const table = plainTable(workload.table.toJSON());
  const out = new Int32Array(workload.rows.length);
  return {
    name: "reference-ts",
    lanes: () => PLAIN_LANES,
    encode: (i) => plainEncode(workload.items[i].symbols, table, workload.rows, workload.run),
    decode(packet) {
      plainDecode(packet, table, workload.rows, workload.run, out);
      return out;
    },
  };
}

type Squeeze = (bytes: Uint8Array) => Uint8Array;

/** The smallest integer type that holds every symbol of the workload. */
function narrowest({ items }: Workload) {
  const types = [Int8Array, Int16Array, Int32Array] as const;
  const holds = (bits: number) =>
    items.every((item) => item.symbols.every((symbol) => (symbol << (32 - bits)) >> (32 - bits) === symbol));
  return types.find((type) => holds(8 * type.BYTES_PER_ELEMENT)) ?? Int32Array;
}

/** A general-purpose compressor on the symbols as bytes; the conversion is not timed. */
function general(name: string, workload: Workload, squeeze: Squeeze, expand: Squeeze): Coder {
  const Elements = narrowest(workload);
  const size = Elements.BYTES_PER_ELEMENT;
  const inputs = workload.items.map((item) => new Uint8Array(Elements.from(item.symbols).buffer));
  return {
    name,
    lanes: () => null,
    encode: (i) => squeeze(inputs[i]),
    decode(packet) {
      const bytes = expand(packet);
      const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
      return new Elements(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / size);
    },
  };
}

function brotli(quality: number): Squeeze {
  return (bytes) =>
    brotliCompressSync(bytes, {
      params: { [zlib.BROTLI_PARAM_QUALITY]: quality, [zlib.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    });
}

/** Every codec that can be timed, in the order of the report. */
export async function choices(simd: Codec, scalar: Codec): Promise<Choice[]> {
  await zstdInit();
  return [
    { name: "latentwire", make: (w) => latentwire("latentwire", simd, w, {}) },
    { name: "latentwire-scalar", make: (w) => latentwire("latentwire-scalar", scalar, w, {}) },
    { name: "latentwire-bare", make: (w) => latentwire("latentwire-bare", simd, w, { header: "none" }) },
    {
      // Scales differ from image to image, so the prior is made anew inside the timed call.
      name: "latentwire-gaussian",
      make: (w) => {
        const { scales } = w;
        if (scales === undefined) throw new RangeError("the workload has no scales");
        return latentwire("latentwire-gaussian", simd, w, {}, () => simd.gaussian(scales));
      },
    },
    {
      name: "compressai-stream",
      make: (w) => latentwire("compressai-stream", simd, w, { stream: "compressai", header: "none" }),
    },
    { name: "reference-ts", make: plain },
    {
      name: "deflate",
      make: (w) => general("deflate", w, (b) => deflateRawSync(b, { level: 9, strategy: zlib.Z_RLE }), inflateRawSync),
    },
    { name: "brotli", make: (w) => general("brotli", w, brotli(11), brotliDecompressSync) },
    { name: "brotli-5", make: (w) => general("brotli-5", w, brotli(5), brotliDecompressSync) },
    { name: "zstd", make: (w) => general("zstd", w, (b) => zstdCompress(b, 19), zstdDecompress) },
  ];
}

/** The coders for a workload, among `wanted` names; those that cannot take it are named with the reason. */
export function coders(all: readonly Choice[], workload: Workload, wanted: (name: string) => boolean) {
  const ready: Coder[] = [];
  const skipped: Skipped[] = [];
  for (const { name, make } of all) {
    if (!wanted(name)) continue;
    try {
      ready.push(make(workload));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      skipped.push({ name, reason: error.message });
    }
  }
  return { ready, skipped };
}

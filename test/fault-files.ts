// Files made to do harm, or that readers once got wrong: test/vectors/faults, and what is made here. faults.test.ts says what each ends in.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { createSync } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { parseBundle } from "../tables/bundle-format.js";
import type { ByteSource, MemorySource } from "../tables/byte-source.js";
import { openCheckpoint } from "../tables/checkpoint.js";
import { openTables } from "../tables/cli-prior.js";
import { importModels } from "../tables/entropy-models.js";
import { writeNpy } from "../tables/npy.js";
import { ZipArchive } from "../tables/zip.js";
import { root } from "./pack.js";
import { concat, dictOf, P, string, tensor, text, torchZip } from "./pickle-writer.js";
import { xxh32 } from "./reference.js";
import { writeZip } from "./zip-writer.js";

export const file = (name: string) => new Uint8Array(readFileSync(join(root, "test/vectors/faults", name)));
export const many = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const floatBytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
/** JSON of this many levels. */
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

/** A bundle with a right checksum, whatever its directory. */
export function bundleOf(directory: unknown, blobs: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json =
    directory instanceof Uint8Array
      ? directory
      : text(typeof directory === "string" ? directory : JSON.stringify(directory));
  const body = concat(P("LWB", 1), u32(json.length), json, blobs);
  return concat(body, u32(xxh32(body)));
}

export function safetensorsOf(header: unknown): Uint8Array {
  const json = text(typeof header === "string" ? header : JSON.stringify(header));
  return concat(u32(json.length), u32(0), json, new Uint8Array(16));
}

/** An .npy file, version 1, with this header. */
export const npyOf = (header: string, data: readonly number[] = []) =>
  concat(P(0x93, "NUMPY", 1, 0, header.length & 255, header.length >> 8), text(header), Uint8Array.from(data));

const int32 = (shape: number[], ...data: number[]) => writeNpy("int32", shape, Int32Array.from(data));
const model = {
  _quantized_cdf: int32([2, 3], 0, 9, 65536, 0, 7, 65536),
  _offset: int32([2], 0, 0),
  _cdf_length: int32([2], 3, 3),
};
const emptyCdf = { _quantized_cdf: int32([0]) };
export const brokenCdf = { _quantized_cdf: int32([2, 3], 0, 9, 65535, 0, 7, 65536) };

/** An .npz of models of two rows; of each, these arrays are other ones. */
export const npz = (models: Record<string, Record<string, Uint8Array>>) =>
  writeZip(
    Object.entries(models).flatMap(([name, changes]) =>
      Object.entries({ ...model, ...changes }).map(([array, data]) => ({ name: `${name}.${array}.npy`, data })),
    ),
  );

/** Memo 0: a list of 8,000 pairs; memo 1: OrderedDict; memo 2: `args`. Then 20,000 times a call of `callable` with memo 2. */
function dictBomb(args: Uint8Array, callable: Uint8Array): Uint8Array {
  const pairs = concat(P("]("), ...many(8000, (i) => P("M", i & 255, i >> 8, "N", 0x86)), P("eq", 0, "0"));
  const calls = many(20_000, () => concat(callable, P("h", 2, "R")));
  const prepared = concat(pairs, P("ccollections\nOrderedDict\nq", 1, "0"), args, P("q", 2, "0"));
  return torchZip(concat(prepared, P("]("), ...calls, P("e")), { deflated: true });
}
/** Inside the arguments of a tensor subclass, where a list was not counted: `(OrderedDict, None, (pairs,))`. */
const innerArgs = P("h", 1, "Nh", 0, 0x85, 0x87);
const innerCall = P("ctorch._tensor\n_rebuild_from_type_v2\n");
const plainArgs = P("h", 0, 0x85);
const plainCall = P("h", 1);

/** Models whose quantiles are one number, again and again. */
const spread = (models: number, count: number) =>
  torchZip(
    dictOf({
      ...Object.fromEntries(many(models, (m) => [`m${m}.quantiles`, tensor([count], [0])])),
      ...Object.fromEntries(many(models, (m) => [`m${m}.matrices.0`, tensor([1], [1])])),
    }),
    { deflated: true },
  );

/** 3,000 paths of 500 characters each to one tensor, of a few bytes each. */
const longNames = torchZip(
  concat(
    concat(tensor([1], [1]), P("q", 0, "0}("), string("a".repeat(250)), P("}(")),
    ...many(60_000, (i) => concat(string("b".repeat(240) + i), P("h", 0))),
    P("uu"),
  ),
  { deflated: true },
);

const megabyte = new Uint8Array(1 << 20);
const hidden = (name: string, at: number, packed: number, size = packed) => ({
  name,
  data: new Uint8Array(0),
  size,
  crc: 0,
  claimed: { at, packed },
}); // The checksum 0 is none.

/** 1,000 stored members, each from a place of its own to the end of the first one's megabyte. */
function overlapping(): Uint8Array {
  const data = megabyte.slice();
  // A local header each, without a name; the first member's own has 30 bytes and its name.
  for (let i = 0; i < 1000; i++) data.set([0x50, 0x4b, 3, 4], 1000 * i);
  return writeZip([
    { name: "m", data },
    ...many(1000, (i) => hidden(`n${i}`, 31 + 1000 * i, data.length - 1000 * i - 30)),
  ]);
}
/** 300 members that are the same deflated megabyte. */
function sharedDeflated(): Uint8Array {
  const packed = deflateRawSync(megabyte);
  const same = many(300, (i) => ({ ...hidden(`n${i}`, 0, packed.length, 1 << 20), packed: new Uint8Array(0) }));
  return writeZip([{ name: "m", data: megabyte, packed }, ...same]);
}
const deflatedMegabytes = () =>
  writeZip(many(200, (i) => ({ name: `m${i}`, data: megabyte, packed: deflateRawSync(megabyte) })));
export const deflated = (data: Uint8Array) => new Uint8Array(deflateRawSync(data));

const HEX = "0".repeat(16);
/** The binary form of a table of two rows, and an entry of it. */
const rows = new Uint8Array(Buffer.from("4c57540100020002080002062268cab91fba4fd0", "hex"));
export const stored = {
  ...{ name: "g", kind: "gaussian", rows: 2, table: [0, rows.length], scales: [rows.length, 8] },
  fingerprint: "d04fba1fb9ca6822",
};
/** A bundle of this entry, one field of it changed. */
export const withField = (key: string, value: unknown) =>
  bundleOf({ entries: [{ ...stored, [key]: value }] }, concat(rows, floatBytes(1, 2)));
export const withScales = (...scales: number[]) => bundleOf({ entries: [stored] }, concat(rows, floatBytes(...scales)));
/** A Gaussian entry whose rows are to be built. */
const built = (...scales: number[]) =>
  bundleOf(
    {
      entries: [{ name: "g", kind: "gaussian", rows: scales.length, fingerprint: HEX, scales: [0, 4 * scales.length] }],
    },
    floatBytes(...scales),
  );
/** The same table under 4,096 names. */
function sharing(table: { fingerprint: string; bytes(): Uint8Array }): Uint8Array {
  const bytes = table.bytes();
  const { fingerprint } = table;
  const entry = { kind: "indexed", rows: 1, fingerprint, table: [0, bytes.length] };
  return bundleOf({ entries: many(4096, (i) => ({ ...entry, name: `n${i}` })) }, bytes);
}

/** A table of one row. */
export const tableJson = {
  format: "latentwire-tables",
  version: 1,
  offsets: [-1],
  cdfs: [[0, 9, 60000, 65536]],
  medians: [0.5],
};

export const codec = createSync();

// ---- what reads a file; each asks for all that the file has

export const checkpoint = (source: ByteSource) => importModels(codec, openCheckpoint(source));
function zip(source: ByteSource): void {
  const archive = new ZipArchive(source);
  for (const name of archive.names) archive.read(name);
}
export function bundle({ bytes, budget }: MemorySource): void {
  const read = readBundle(bytes);
  for (const { name, kind } of read.entries)
    if (kind === "gaussian") read.gaussian(codec, name, Float32Array.of(1, 2));
    else read.table(codec, name);
  JSON.stringify([read.entries, read.meta]);
  parseBundle(bytes, budget);
}

export const tables = ({ bytes }: MemorySource) => openTables(codec, bytes, "factorized");

const large = codec.table({ offsets: [0], cdfs: [[...many(30_000, (i) => i), 65536]] });
/** What reads it, and the error that it ends in. */
type Fault = [read: (source: MemorySource) => unknown, bytes: Uint8Array, code: string, message?: RegExp];
const limit = "LIMIT_EXCEEDED";
/** Each within the budget of its size. */
export const hostile: Record<string, Fault> = {
  "a list inside a constructor's arguments": [checkpoint, dictBomb(innerArgs, innerCall), limit, /the dicts/],
  "a dict of one list, again and again": [checkpoint, dictBomb(plainArgs, plainCall), limit, /the dicts/],
  "stride 0 in 16 models": [checkpoint, file("stride0_16_models.pth"), limit, /scale_table/],
  "stride 0 in one model": [checkpoint, spread(1, 2 ** 25), limit],
  "stride 0 in 400 models": [checkpoint, spread(400, 2 ** 17), limit, /quantiles|one piece/],
  "long names": [checkpoint, longNames, limit, /its tensors/],
  "stored members that overlap": [zip, overlapping(), "INVALID_FILE", /shares bytes/],
  "deflated members that overlap": [zip, sharedDeflated(), "INVALID_FILE", /shares bytes/],
  "deflated zeros": [zip, deflatedMegabytes(), limit, /zip: m/],
  "scales that would earn work": [
    checkpoint,
    npz({ a: { ...emptyCdf, scale_table: writeNpy("float32", [2], Float32Array.of(-1e30, 4e8)) } }),
    limit,
  ],
  "400 rows near scale 4,900": [bundle, file("bundle_scale_bomb_400.lwb"), limit, /bundle: g/],
  "one row too large": [bundle, built(5001), "CORRUPTED", /5001/],
  "a table under 4,096 names": [bundle, sharing(large), limit],
  "a deep name": [bundle, bundleOf(`{"entries":[{"name":${deep(100_000)}}]}`), "CORRUPTED", /nested/],
  "deep meta": [bundle, bundleOf(`{"entries":[],"meta":{"a":${deep(100_000)}}}`), "CORRUPTED", /nested/],
  "scales that descend": [bundle, withScales(2, 1), "CORRUPTED", /ascend/],
  "scales that are not numbers": [bundle, withScales(1, Number.NaN), "CORRUPTED", /ascend/],
  "scales of rows to be built that descend": [bundle, built(2, 1), "CORRUPTED", /ascend/],
  "bytes that are no UTF-8": [bundle, bundleOf(P(0x7b, 0xff, 0x7d)), "CORRUPTED", /no JSON/],
  "a table of deep JSON": [tables, text(`{"offsets":${deep(100_000)}}`), "INVALID_TABLE", /nested/],
  "a table whose version is an object": [tables, text('{"version":{"toString":1}}'), "INVALID_TABLE", /Object/],
  "dtype is an object": [checkpoint, file("dtype_object.safetensors"), "INVALID_FILE", /dtype is an object/],
  "a deep header": [checkpoint, safetensorsOf(`{"a":${deep(100_000)}}`), "INVALID_FILE", /nested/],
  "metadata is null's list": [checkpoint, safetensorsOf({ __metadata__: [null] }), "INVALID_FILE"],
  "metadata of an object": [checkpoint, safetensorsOf({ __metadata__: { a: { b: 1 } } }), "NO_TABLES"],
};

/** Zips in zips, so many around an empty one. */
export const nested = (levels: number): Uint8Array =>
  writeZip(levels === 0 ? [] : [{ name: "model.pth", data: nested(levels - 1) }]);

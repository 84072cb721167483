// The files that the fuzzer begins with: small ones of every kind, made here, and those of test/vectors that are small enough.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import type { Codec } from "latentwire";
import { writeBundle } from "latentwire/bundle";
import { writeNpy } from "../../tables/npy.js";
import { makeTable, random } from "../cases.js";
import { root } from "../pack.js";
import { concat, dictOf, int, P, string, tensor, text, torchZip, tuple } from "../pickle-writer.js";
import { writeZip } from "../zip-writer.js";

/** Larger ones take too long, one by one. */
const MAX_BYTES = 4096;

/** Small files of a folder of test/vectors whose names end so. */
function vectors(folder: string, ending: RegExp): Uint8Array[] {
  const path = join(root, "test/vectors", folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => ending.test(name))
    .sort()
    .map((name) => new Uint8Array(readFileSync(join(path, name))))
    .filter(({ length }) => length <= MAX_BYTES);
}

/** What earlier runs found, kept under the name of its target: test/vectors/fuzz/TARGET-*.bin. */
export const kept = (target: string): Uint8Array[] => vectors("fuzz", new RegExp(`^${target}-.*\\.bin$`));

const rng = random(2718);
const floats = (count: number) => Float32Array.from({ length: count }, () => rng.unit() * 4 - 2);

// ---- tables

export const tableJson = [
  makeTable(rng, { rows: 3, entries: 6, flavour: "peaked", medians: true }),
  makeTable(rng, { rows: 5, entries: 3, flavour: "random" }),
  makeTable(rng, { rows: 5, entries: 9, flavour: "extreme" }),
  { offsets: [3], cdfs: [[0, 65536]] },
  { format: "latentwire-tables", version: 1, offsets: [-1], cdfs: [[0, 1, 65536]], medians: [0.5] } as const,
];

const tableFiles = (codec: Codec): Uint8Array[] => [
  ...tableJson.map((json) => text(JSON.stringify(json))),
  ...tableJson.map((json) => codec.table(json).bytes()),
];

// ---- bundles

function bundles(codec: Codec): Uint8Array[] {
  const [first, second] = tableJson.map((json) => codec.table(json));
  const scaleTable = Float32Array.of(0.2, 0.7, 2);
  const built = codec.gaussianTable(scaleTable);
  return [
    writeBundle([]),
    writeBundle([{ name: "z", kind: "factorized", table: first, step: 0.5, axis: 1, shape: [null, 3, null, null] }]),
    writeBundle([{ name: "y", kind: "gaussian", table: built, scaleTable, rebuild: true }], {
      made: "here",
      n: [1, { a: null }],
    }),
    writeBundle([
      { name: "y", kind: "gaussian", table: first, scaleTable },
      { name: "z", kind: "indexed", table: second, meta: { notes: ["a"] } },
      { name: "again", kind: "indexed", table: second },
    ]),
    ...vectors("", /\.lwb$/),
    ...vectors("faults", /\.lwb$/),
  ];
}

// ---- arrays

const npyOf = (header: string, data: Uint8Array, version = 1): Uint8Array => {
  const { length } = header;
  const sizes = version === 1 ? P(length & 255, length >> 8) : P(length & 255, length >> 8, 0, 0);
  return concat(P(0x93, "NUMPY", version, 0), sizes, text(header), data);
};

const arrays = (): Uint8Array[] => [
  writeNpy("float32", [2, 3], floats(6)),
  writeNpy("int32", [4], Int32Array.of(0, 1, -1, 2)),
  writeNpy("int8", [1, 1, 3], Int8Array.of(1, 2, 3)),
  writeNpy("int16", [], Int16Array.of(7)),
  npyOf("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n", new Uint8Array(floats(8).buffer)),
  npyOf("{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", P(0, 0x3c, 0, 0xc0), 2),
  npyOf(`{"shape": (1L, 2), "descr": "|b1", "fortran_order": False}`, P(0, 1), 3),
  npyOf("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", new Uint8Array(8)),
  ...vectors("faults", /\.npy$/),
];

const int32 = (shape: number[], ...data: number[]) => writeNpy("int32", shape, Int32Array.from(data));
const model = {
  _quantized_cdf: int32([2, 3], 0, 9, 65536, 0, 7, 65536),
  _offset: int32([2], 0, 0),
  _cdf_length: int32([2], 3, 3),
};
const named = (prefix: string, members: Record<string, Uint8Array>, packed = false) =>
  Object.entries(members).map(([name, data]) => ({
    name: `${prefix}${name}.npy`,
    data,
    ...(packed && { packed: new Uint8Array(deflateRawSync(data)) }),
  }));
const float32 = (shape: number[], data = floats(shape.reduce((a, b) => a * b, 1))) => writeNpy("float32", shape, data);

/** A factorized prior before update(): a chain of small layers. */
const untrained = {
  quantiles: float32([1, 1, 3], Float32Array.of(-2, 0.25, 2)),
  "matrices.0": float32([1, 2, 1]),
  "biases.0": float32([1, 2, 1]),
  "factors.0": float32([1, 2, 1]),
  "matrices.1": float32([1, 1, 2]),
  "biases.1": float32([1, 1, 1]),
};

const archives = (): Uint8Array[] => [
  writeZip(named("a.", model)),
  writeZip(named("a.", model, true), { zip64: true }),
  writeZip([...named("gaussian_conditional.", { ...model, scale_table: float32([2], Float32Array.of(0.11, 1)) })]),
  writeZip(named("eb.", { ...untrained, _quantized_cdf: int32([0]) })),
  writeZip([{ name: "run/model.npz", data: writeZip(named("a.", model)) }], { comment: "a zip in a zip" }),
  writeZip([]),
];

// ---- torch

const rank = (...dims: number[]) => dims;
const cdf = () => tensor(rank(2, 3), rank(3, 1), { type: "IntStorage" });

const torches = (): Uint8Array[] => {
  const shared = {
    "eb._quantized_cdf": cdf(),
    "eb._offset": tensor(rank(2), rank(1), { type: "IntStorage", offset: 6 }),
    "eb._cdf_length": tensor(rank(2), rank(1), { type: "IntStorage", offset: 8 }),
    "eb.quantiles": tensor(rank(2, 1, 3), rank(3, 3, 1)),
  };
  return [
    torchZip(dictOf(shared)),
    torchZip(dictOf(shared), { deflated: true }),
    torchZip(dictOf({ state_dict: dictOf({ a: tensor(rank(3, 4), rank(4, 1)), b: tensor(rank(4, 3), rank(1, 4)) }) })),
    torchZip(concat(P("]("), tensor(rank(2), rank(1)), tuple(int(1), string("a")), P("e"))),
    ...vectors("checkpoints", /\.(pth|pt)$/),
    ...vectors("faults", /\.pth$/),
  ];
};

/** Pickles alone: of the archives above, and of every opcode. */
const pickles = (): Uint8Array[] => [
  concat(P(0x80, 2), dictOf({ a: tuple(int(1), int(-1)), b: P("]"), c: P("N") }), P(".")),
  concat(P(0x80, 4, 0x95, 9, 0, 0, 0, 0, 0, 0, 0), P(0x8c, 1, "a", 0x94, "K", 7, 0x86, 0x94, ".")),
  concat(P(0x80, 2, "ccollections\nOrderedDict\nq", 0), P(")Rq", 1, "h", 1, "X", 1, 0, 0, 0, "k", "K", 3, "s.")),
  P(0x80, 5, 0x8f, "(K", 1, "K", 2, 0x90, "."),
  P(0x80, 2, "(cm\nC\nK", 1, "o}b."),
  P(0x80, 2, "]q", 0, "(h", 0, 0x8a, 2, 1, 255, "G", 64, 9, 33, 251, 84, 68, 45, 24, "e."),
];

// ---- safetensors

function safetensorsOf(header: unknown, data: number): Uint8Array {
  const json = text(JSON.stringify(header));
  return concat(P(json.length & 255, json.length >> 8, 0, 0, 0, 0, 0, 0), json, new Uint8Array(data).fill(1));
}

const entry = (dtype: string, shape: number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

const safes = (): Uint8Array[] => [
  safetensorsOf({ a: entry("F32", [2], 0, 8), b: entry("I8", [1], 8, 9) }, 9),
  safetensorsOf(
    {
      __metadata__: { "b._offset": "eb._offset", format: "pt" },
      "eb._quantized_cdf": entry("I32", [2, 3], 0, 24),
      "eb._offset": entry("I32", [2], 24, 32),
      "eb._cdf_length": entry("I32", [2], 32, 40),
    },
    40,
  ),
  safetensorsOf(
    { "eb.quantiles": entry("F32", [1, 1, 3], 0, 12), "eb.matrices.0": entry("BF16", [1, 1, 1], 12, 14) },
    14,
  ),
  ...vectors("faults", /\.safetensors$/),
];

/** The first files of each target. */
export const fileSeeds: Record<string, (codec: Codec) => Uint8Array[]> = {
  tables: tableFiles,
  bundles,
  npy: arrays,
  npz: archives,
  torch: torches,
  pickles,
  safetensors: safes,
};

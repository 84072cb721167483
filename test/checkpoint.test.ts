// Checkpoints of real CompressAI (test/vectors/checkpoints/make.py) against what CompressAI itself had in its buffers, and files made to do harm.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { CodecError, create, type Prior } from "latentwire";
import { type Bundle, readBundle, writeBundle } from "latentwire/bundle";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemorySource } from "../tables/byte-source.js";
import { openCheckpoint } from "../tables/checkpoint.js";
import { importModels } from "../tables/entropy-models.js";
import { writeNpy } from "../tables/npy.js";
import { isFull } from "./builds.js";
import { random } from "./cases.js";
import { runIn, scratchFolder } from "./command.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { mutate } from "./mutate.js";
import { root } from "./pack.js";
import { type Member, writeZip } from "./zip-writer.js";

const folder = join(root, "test/vectors/checkpoints");
const file = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
const codec = await create();

const open = (bytes: Uint8Array) => openCheckpoint(new MemorySource(bytes));
const imported = (bytes: Uint8Array, only: string[] = []) => importModels(codec, open(bytes), only).models;

function bundleOf(name: string): Bundle {
  return readBundle(writeBundle(imported(file(name)).map(({ input }) => input)));
}

for (const [name, model, format] of [
  ["factorized.pth.tar", "factorized", "torch"],
  ["factorized.safetensors", "factorized", "safetensors"],
  ["factorized.npz", "factorized", "npz"],
  ["module.pt", "factorized", "torch"],
  ["mean-scale.pth", "mean-scale", "torch"],
  ["joint-old-keys.pth", "joint-old-keys", "torch"],
  ["deflated.pth", "joint-old-keys", "torch"],
] as const) {
  test(`${name}: the tables are CompressAI's`, () => {
    assert.is(open(file(name)).format, format);
    const bundle = bundleOf(name);
    const { tables } = expected[model];
    assert.equal(bundle.entries.map((entry) => entry.name).sort(), Object.keys(tables).sort());
    for (const { name: entry, kind } of bundle.entries) {
      const { offsets, cdfs, medians } = bundle.table(codec, entry).toJSON();
      assert.is(kind, medians === undefined ? "gaussian" : "factorized");
      assert.equal(offsets, tables[entry].offsets);
      assert.equal(cdfs, tables[entry].cdfs);
      assert.equal(medians, tables[entry].medians?.map(Math.fround));
    }
    assert.ok(imported(file(name)).every(({ from, notes }) => from === "buffers" && notes.length === 0));
  });
}

test("priors out of a checkpoint write and read CompressAI's own strings", () => {
  const options = { stream: "compressai", header: "none" } as const;
  const { factorized, "mean-scale": hyper } = expected;
  const encoded = ({ dims, latent }: typeof factorized, prior: Prior) =>
    codec.encode({ type: "float32", dims, data: Float32Array.from(latent) }, prior, options);
  const prior = bundleOf("factorized.pth.tar").factorized(codec, "entropy_bottleneck");
  const bytes = Buffer.from(factorized.string, "hex");
  assert.equal(Buffer.from(encoded(factorized, prior)), bytes);
  const { data } = codec.decode(new Uint8Array(bytes), prior, { ...options, dims: factorized.dims });
  sameNumbers(data, Float32Array.from(factorized.decoded));
  const [scales, means] = [hyper.scales, hyper.means].map((values: number[]) => Float32Array.from(values));
  const gaussian = bundleOf("mean-scale.pth").gaussian(codec, "gaussian_conditional", scales, { means });
  assert.is(Buffer.from(encoded(hyper, gaussian)).toString("hex"), hyper.string);
});

test("a bottleneck whose step follows the gain: step 1 is written, and that is said", () => {
  assert.equal(imported(npz())[0].notes, []);
  const rated = npz({ "gayn2zqstep.0.weight": float32([1, 1], [1]) }, "");
  const [{ notes, input }] = imported(rated);
  assert.match(notes[0], /step of z follows the gain.*step 1 was written/);
  assert.equal(input.kind, "factorized");
});

test("a model saved before update() is rebuilt, to the tables that update() makes, and that is said", () => {
  const models = imported(file("not-updated.pth"));
  assert.equal(
    models.map(({ input }) => input.name),
    ["entropy_bottleneck", "gaussian_conditional"],
  );
  for (const { from, notes } of models) {
    assert.is(from, "parameters");
    assert.match(notes[0], /before update\(\)/);
  }
  // The same model, updated, is in mean-scale.pth, with scales of its own.
  const { offsets, cdfs } = models[0].table.toJSON();
  assert.equal(offsets, expected["mean-scale"].tables.entropy_bottleneck.offsets);
  assert.equal(cdfs, expected["mean-scale"].tables.entropy_bottleneck.cdfs);
  assert.is(models[1].table.fingerprint, codec.gaussianTable().fingerprint);
});

test("what has no tables says why", () => {
  for (const [name, code, message] of [
    ["empty.pth", "NO_TABLES", /^bottleneck: .*before update\(\).*update\(\)/],
    ["no-entropy-model.pth", "NO_TABLES", /no entropy model/],
    ["big-endian.pth", "UNSUPPORTED_FILE", /big-endian/],
    ["legacy.pth", "UNSUPPORTED_FILE", /former format/],
  ] as const)
    throwsCode(() => imported(file(name)), code, message);
  throwsCode(() => imported(file("factorized.pth.tar"), ["other"]), "NO_TABLES", /entropy_bottleneck/);
  for (const text of ["", "not a checkpoint at all", "\x80\x04N."])
    throwsCode(() => open(new Uint8Array(Buffer.from(text, "latin1"))), "UNSUPPORTED_FILE");
});

test("only the wanted models are imported", () => {
  const [model, ...others] = imported(file("mean-scale.pth"), ["gaussian_conditional"]);
  assert.is(others.length, 0);
  assert.is(model.path, "model.gaussian_conditional");
  assert.is(imported(file("mean-scale.pth"), ["model.entropy_bottleneck"])[0].input.name, "entropy_bottleneck");
});

test("a malicious pickle does nothing but give its tables", () => {
  // It is one: this is what Python would run.
  assert.match(Buffer.from(file("malicious.pth")).toString("latin1"), /\nsystem\n|posix.system|os\nsystem/s);
  const away = scratchFolder("malicious");
  const { status, text, error } = runIn(away.folder, ["tables", "import", join(folder, "malicious.pth"), "--json"]);
  assert.is(status, 0, error);
  assert.is(JSON.parse(text).entries[0].name, "entropy_bottleneck");
  assert.not(existsSync(away.at("LATENTWIRE_WAS_HERE")));
  assert.equal(readdirSync(away.folder), ["malicious.lwb"]);
  assert.is(
    imported(file("malicious.pth"))[0].table.fingerprint,
    imported(file("factorized.npz"))[0].table.fingerprint,
  );
});

// ---- made by hand

const float32 = (shape: number[], data: number[]) => writeNpy("float32", shape, Float32Array.from(data));
const int32 = (shape: number[], data: number[]) => writeNpy("int32", shape, Int32Array.from(data));

/** An .npz with a factorized model of two channels, some arrays changed or left out. */
function npz(changes: Record<string, Uint8Array | undefined> = {}, prefix = "eb."): Uint8Array {
  const arrays: Record<string, Uint8Array | undefined> = {
    _quantized_cdf: int32([2, 4], [0, 30000, 60000, 65536, 0, 100, 65536, 0]),
    _offset: int32([2], [-1, 0]),
    _cdf_length: int32([2], [4, 3]),
    quantiles: float32([2, 1, 3], [-5, 0.25, 5, -4, -1, 3]),
    ...changes,
  };
  const members = Object.entries(arrays).flatMap(([name, data]): Member[] =>
    data === undefined ? [] : [{ name: `${prefix}${name}.npy`, data }],
  );
  return writeZip(members);
}

test("buffers that are no table are INVALID_TABLE, and the model is named", () => {
  const [{ table }] = imported(npz());
  assert.equal(table.toJSON().cdfs, [
    [0, 30000, 60000, 65536],
    [0, 100, 65536],
  ]);
  const broken: Record<string, Uint8Array>[] = [
    { _quantized_cdf: int32([2, 4], [0, 30000, 20000, 65536, 0, 100, 65536, 0]) },
    { _quantized_cdf: int32([2, 4], [0, 30000, 60000, 65535, 0, 100, 65536, 0]) },
    { _quantized_cdf: int32([2, 4], [1, 30000, 60000, 65536, 0, 100, 65536, 0]) },
    { _quantized_cdf: int32([8], [0, 30000, 60000, 65536, 0, 100, 65536, 0]) },
    { _cdf_length: int32([2], [5, 3]) },
    { _cdf_length: int32([2], [4, 1]) },
    { _cdf_length: int32([2], [4, -3]) },
    { _cdf_length: int32([3], [4, 3, 3]) },
    { _offset: int32([2], [-1, 2 ** 30 + 1]) },
    { _offset: int32([1], [-1]) },
    { quantiles: float32([1, 1, 3], [-5, 0, 5]) },
  ];
  for (const change of broken) throwsCode(() => imported(npz(change)), "INVALID_TABLE", /^eb: /);
  const coarse = int32([2, 4], [0, 1000, 2000, 4096, 0, 100, 4096, 0]);
  const message = /^eb: its rows end at 4096: they have a precision of 12 bits/;
  throwsCode(() => imported(npz({ _quantized_cdf: coarse })), "INVALID_TABLE", message);
  throwsCode(() => imported(npz({ quantiles: float32([2, 1, 3], [1, Number.NaN, 1, 1, 1, 1]) })), "NON_FINITE");
  throwsCode(() => imported(npz({ _offset: float32([2], [0.5, 1]) })), "INVALID_FILE");
});

test("a Gaussian model that was not updated is rebuilt from its scales, if they are scales", () => {
  const none = int32([0], []);
  const empty = { _quantized_cdf: none, _offset: none, _cdf_length: none, quantiles: undefined };
  const built = imported(npz({ ...empty, scale_table: float32([2], [0.5, 2]) }))[0];
  assert.equal([built.from, built.table.rows], ["parameters", 2]);
  assert.match(built.notes[0], /built from its scale table/);
  for (const [first, message] of [
    [4, /eb: .*cannot be rebuilt: scales.*; in Python, call model\.update\(\)/],
    [-1, /eb: .*cannot be rebuilt: scales/],
  ] as const)
    throwsCode(() => imported(npz({ ...empty, scale_table: float32([2], [first, 2]) })), "NO_TABLES", message);
});

test("rows without scales, or with others' scales, are left to the caller", () => {
  const gaussian = { quantiles: undefined };
  const kindOf = (changes: Record<string, Uint8Array | undefined>) => imported(npz({ ...gaussian, ...changes }))[0];
  assert.is(kindOf({}).input.kind, "indexed");
  assert.is(kindOf({ scale_table: float32([2], [0.5, 2]) }).input.kind, "gaussian");
  assert.is(kindOf({ scale_table: float32([2], [2, 0.5]) }).input.kind, "indexed");
  const three = kindOf({ scale_table: float32([3], [0.5, 1, 2]) });
  assert.is(three.input.kind, "indexed");
  assert.match(three.notes[0], /3 scales/);
});

test("names are the modules' own, and stay apart where two models have the same", () => {
  for (const [prefix, name] of Object.entries({
    "model.eb.": "eb",
    "": "entropy_bottleneck",
    "state_dict.module.codec.hyper.": "codec.hyper",
    // What torch.compile adds leaves no trace.
    "_orig_mod.codec.hyper.": "codec.hyper",
    "state_dict.module._orig_mod.codec.hyper.": "codec.hyper",
    "_orig_mod.module.codec.hyper.": "codec.hyper",
    "codec.hyper._orig_mod.": "codec.hyper",
  }))
    assert.is(imported(npz({}, prefix))[0].input.name, name, prefix);
  const arrays = { "model.eb.": [0, 9, 65536], "net.eb.": [0, 7, 65536] };
  const members = Object.entries(arrays).flatMap(([prefix, cdf]): Member[] => [
    { name: `${prefix}_quantized_cdf.npy`, data: int32([1, 3], cdf) },
    { name: `${prefix}_offset.npy`, data: int32([1], [0]) },
    { name: `${prefix}_cdf_length.npy`, data: int32([1], [3]) },
  ]);
  assert.equal(
    imported(writeZip(members)).map(({ input }) => input.name),
    ["eb", "net.eb"],
  );
});

test("arrays in Fortran order are read as what they are", () => {
  // Columns of [[0, 30000, 60000, 65536], [0, 100, 65536, 0]].
  const columns = int32([2, 4], [0, 0, 30000, 100, 60000, 65536, 65536, 0]);
  const fortran = Buffer.from(Buffer.from(columns).toString("latin1").replace("False", "True "), "latin1");
  assert.equal(
    imported(npz({ _quantized_cdf: new Uint8Array(fortran) }))[0].table.toJSON(),
    imported(npz())[0].table.toJSON(),
  );
});

test("rebuilding needs all layers", () => {
  const none = int32([0], []);
  const empty = { _quantized_cdf: none, _offset: none, _cdf_length: none };
  const layer = (out: number, inner: number) => float32([2, out, inner], new Array(2 * out * inner).fill(0.5));
  const first = { "matrices.0": layer(3, 1), "biases.0": layer(3, 1), "factors.0": layer(3, 1) };
  const layers = { ...first, "matrices.1": layer(1, 3), "biases.1": layer(1, 1) };
  assert.is(imported(npz({ ...empty, ...layers }))[0].from, "parameters");
  throwsCode(() => imported(npz(empty)), "NO_TABLES");
  throwsCode(() => imported(npz({ ...empty, ...layers, "matrices.0": undefined })), "NO_TABLES");
  throwsCode(() => imported(npz({ ...empty, ...layers, "biases.1": layer(2, 1) })), "NO_TABLES");
  const infinite = { "biases.1": float32([2, 1, 1], [0.5, Number.POSITIVE_INFINITY]) };
  throwsCode(() => imported(npz({ ...empty, ...layers, ...infinite })), "NON_FINITE", /eb\.biases\.1: element 1/);
});

// ---- hostile

test("a zip that promises more than it holds allocates nothing like it", () => {
  const bomb = deflateRawSync(Buffer.alloc(1 << 24));
  const member = { name: "eb._quantized_cdf.npy", data: new Uint8Array(1 << 24), packed: bomb };
  throwsCode(() => imported(writeZip([{ ...member, size: 100 }])), "INVALID_FILE");
  throwsCode(() => imported(writeZip([{ ...member, size: 2 ** 31 }])), "LIMIT_EXCEEDED");
  throwsCode(() => imported(writeZip([{ ...member, packed: new Uint8Array(10), size: 2 ** 23 }])), "INVALID_FILE");
});

test("arrays of an .npz that no table is made of are not unpacked", () => {
  const weights = { name: "g_a.0.weight.npy", data: new Uint8Array(8), packed: new Uint8Array(10), size: 2 ** 27 };
  throwsCode(() => imported(writeZip([weights])), "NO_TABLES");
});

test("a pickle that deflates to nothing cannot make more than some million values", () => {
  const many = (head: string, opcodes: string) => {
    const data = new Uint8Array(Buffer.from(`\x80\x02${head}${opcodes.repeat(2 ** 22)}.`, "latin1"));
    return writeZip([{ name: "a/data.pkl", data, packed: deflateRawSync(data) }]);
  };
  // Lists, dicts, sets, objects, calls with one list, memo entries.
  for (const [head, opcodes] of [
    ["", "]"],
    ["", "}"],
    ["", "\x8f"],
    ["cos\nsystem\nq\x00", "h\x00)R"],
    ["cbuiltins\ndict\nq\x00](NNNNNNNNe\x85q\x01", "h\x00h\x01R0"],
    ["N", "\x94\x94\x94\x94"],
  ] as const)
    throwsCode(() => open(many(head, opcodes)), "LIMIT_EXCEEDED");
});

test("tables that are computed are limited together, not each", () => {
  const thousands = Array.from({ length: 64 }, (_, j) => 3000 + j);
  const scales = float32([64], thousands);
  const members = Array.from({ length: 100 }, (_, m): Member => ({ name: `m${m}.scale_table.npy`, data: scales }));
  const empty = members.map((_, m): Member => ({ name: `m${m}._quantized_cdf.npy`, data: int32([0], []) }));
  throwsCode(() => imported(writeZip([...members, ...empty])), "LIMIT_EXCEEDED");
});

test("fuzz: damaged checkpoints end in an error with a code, or in tables that are tables", () => {
  const rng = random(12);
  const codes = "UNSUPPORTED_FILE INVALID_FILE TRUNCATED LIMIT_EXCEEDED NO_TABLES INVALID_TABLE NON_FINITE".split(" ");
  const names = ["deflated.pth", "not-updated.pth", "factorized.npz", "factorized.safetensors", "module.pt"];
  const sources = names.map(file);
  const outcomes: Record<string, number> = {};
  const count = isFull ? 3000 : 400;
  for (let i = 0; i < count; i++) {
    const bytes = mutate(sources[i % sources.length], rng, sources[rng(sources.length)]);
    let outcome = "imported";
    try {
      for (const { table } of imported(bytes)) assert.ok(table.rows >= 1);
    } catch (error) {
      if (!(error instanceof CodecError) || !codes.includes(error.code)) throw error;
      outcome = error.code;
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  assert.ok((outcomes.imported ?? 0) > count / 75, JSON.stringify(outcomes));
  assert.ok((outcomes.INVALID_FILE ?? 0) > count / 15, JSON.stringify(outcomes));
});

test.run();

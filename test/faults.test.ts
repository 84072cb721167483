// Files that once stopped, fooled or misled a reader, with their siblings: what each ends in, and what it may cost.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CodecError } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BASE_BYTES, BASE_WORK, type Budget, PER_BYTE } from "../tables/budget.js";
import { parseBundle } from "../tables/bundle-format.js";
import { type ByteSource, budgetOf, MemorySource, PartSource } from "../tables/byte-source.js";
import { openCheckpoint } from "../tables/checkpoint.js";
import { openTables } from "../tables/cli-prior.js";
import { importModels } from "../tables/entropy-models.js";
import { readPickle } from "../tables/pickle.js";
import { ZipArchive } from "../tables/zip.js";
import { watched } from "./builds.js";
import { throwsCode } from "./expect.js";
import * as make from "./fault-files.js";
import { root } from "./pack.js";
import { concat, P, string, tensor, text, torchZip } from "./pickle-writer.js";
import { writeZip } from "./zip-writer.js";

const { checkpoint, codec, file, many } = make;
for (const [name, [read, bytes, code, message]] of Object.entries(make.hostile))
  test(`hostile: ${name}`, () => {
    const source = new MemorySource(bytes);
    throwsCode(() => read(source), code, message);
    const { work, bytes: spent } = source.budget;
    assert.ok(work <= BASE_WORK + PER_BYTE * bytes.length, `${work} units of work`);
    assert.ok(spent <= BASE_BYTES + PER_BYTE * bytes.length, `${spent} bytes`);
  });

test("all of these together took little memory", () => {
  // In kilobytes. One of them alone took 2 GB.
  assert.ok(process.resourceUsage().maxRSS < 700_000, `${process.resourceUsage().maxRSS} KB`);
});

test("what is charged covers what is allocated", () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const held = () => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const n = 30_000;
  const listOf = (head: Uint8Array, one: Uint8Array) => concat(head, P("("), ...many(n, () => one), P("l."));
  const unpickle = (bytes: Uint8Array, budget: Budget) => readPickle(bytes, {}, budget);
  const pickle = (head: Uint8Array, one: Uint8Array) => [listOf(head, one), unpickle] as const;
  const directory = (value: string) =>
    [make.bundleOf(`{"entries":[],"meta":{"a":[${many(n, () => value)}]}}`), parseBundle] as const;
  const builders: Record<string, readonly [Uint8Array, (bytes: Uint8Array, budget: Budget) => unknown]> = {
    dicts: pickle(P(), P("}")),
    lists: pickle(P(), P("]")),
    sets: pickle(P(), P(0x8f)),
    tuples: pickle(P(), P("N", 0x85)),
    items: [concat(P("}("), ...many(n, (i) => P("M", i & 255, i >> 8, "N")), P("u.")), unpickle],
    strings: pickle(P(), string("a".repeat(300))),
    numbers: pickle(P(), P("G", 64, 1, 2, 3, 4, 5, 6, 7)),
    objects: pickle(P("cm\nC\nq", 0, "0"), P("h", 0, ")R")),
    "JSON lists": directory("[]"),
    "JSON objects": directory('{"a":0}'),
    members: [
      writeZip(many(n / 10, (i) => ({ name: `member ${i}`, data: new Uint8Array(0) }))),
      (bytes, budget) => new ZipArchive(new MemorySource(bytes, budget)),
    ],
    tensors: [
      torchZip(concat(P("("), ...many(n / 30, () => tensor([1], [1])), P("l"))),
      (bytes, budget) => openCheckpoint(new MemorySource(bytes, budget)),
    ],
  };
  for (const [name, [bytes, build]] of Object.entries(builders)) {
    const budget = budgetOf(bytes.length);
    const before = held();
    const result = build(bytes, budget);
    const taken = held() - before;
    assert.ok(result);
    assert.ok(taken <= 1.25 * budget.bytes + 2 ** 17, `${name}: ${taken} bytes, ${budget.bytes} charged`);
    assert.ok(budget.work > n / 30, `${name}: ${budget.work} units`);
  }
});

test("SECURITY.md states the constants", () => {
  const page = readFileSync(join(root, "SECURITY.md"), "utf8");
  const [work, bytes] = [BASE_WORK, BASE_BYTES].map((base) => `2^${Math.log2(base)} + ${PER_BYTE} n`);
  assert.ok(page.includes(`| work | ${work} units.`) && page.includes(`| memory | ${bytes} bytes,`));
});

test("a table with the most rows takes the memory that SECURITY.md states", () => {
  const { codec, bytes } = watched("simd");
  const [rows, before] = [65_535, bytes()];
  const table = codec.table({ offsets: many(rows, () => 0), cdfs: many(rows, () => [0, 32768, 65536]) });
  const prior = codec.factorized(table, { axis: 0 });
  const symbols = new Int32Array(rows);
  codec.decode(codec.encode({ type: "int32", dims: [rows], data: symbols }, prior), prior);
  const each = (bytes() - before) / rows;
  assert.ok(each < 2500, `${each} bytes a row`);
});

// ---- files that were read wrongly, or refused

const named = (bytes: Uint8Array, name: string) => new PartSource(new MemorySource(bytes), 0, bytes.length, name);

test("tensors are found wherever they lie", () => {
  const inner = { name: "run/model.pth", data: file("list_top.pth") };
  const zipped = writeZip([inner, { name: "__MACOSX/run/._model.pth", data: P() }]);
  const deflated = writeZip([{ ...inner, packed: make.deflated(inner.data) }]);
  const places = {
    list: [inner.data, zipped, deflated],
    others: ["tuple", "int-key", "numpy", "numpy-fortran"].map((name) => file(`${name}.pth`)),
  };
  for (const same of Object.values(places)) {
    const found = same.map((bytes) => checkpoint(new MemorySource(bytes)).models);
    for (const [{ input, from, table }, ...more] of found)
      assert.equal(
        [input.name, from, table.fingerprint, more.length],
        ["entropy_bottleneck", "buffers", found[0][0].table.fingerprint, 0],
      );
  }
  const shared = checkpoint(new MemorySource(file("partly_tied.safetensors"))).models;
  assert.equal(
    shared.map(({ input, from }) => `${input.name} ${from}`),
    ["entropy_bottleneck buffers", "b buffers"],
  );
});

test("what is not read is named", () => {
  const shard = "model-00002-of-00003.safetensors";
  const tied = new TextDecoder("latin1").decode(file("partly_tied.safetensors")).replace('"b._offset"', '"c._offset"');
  const messages: [source: ByteSource, code: string, message: RegExp][] = [
    [new MemorySource(file("unread.pth")), "NO_TABLES", /x \(torch.ComplexFloatStorage\), q \(torch.*sparse/],
    [named(make.safetensorsOf({}), shard), "NO_TABLES", /other files of the model \(this is 2 of 3\)/],
    [named(P(), "__0_0.distcp"), "UNSUPPORTED_FILE", /dcp_to_torch_save/],
    [new MemorySource(text('{"metadata":{},"weight_map":{"a":"b"}}')), "UNSUPPORTED_FILE", /sharded/],
    [new MemorySource(text('{"weight_map":{"e._offset":"2-of-3.bin"}}')), "UNSUPPORTED_FILE", /give 2-of-3\.bin/],
    [
      new MemorySource(writeZip(["a.pth", "b.pt"].map((name) => ({ name, data: P() })))),
      "UNSUPPORTED_FILE",
      /a\.pth, b\.pt/,
    ],
    [new MemorySource(make.nested(3)), "UNSUPPORTED_FILE", /in a zip/],
  ];
  for (const [source, code, message] of messages) throwsCode(() => checkpoint(source), code, message);
  const { models, failed } = checkpoint(new MemorySource(new Uint8Array(Buffer.from(tied, "latin1"))));
  assert.equal([models.length, failed[0].name, failed[0].error.code], [1, "b", "NO_TABLES"]);
  assert.match(failed[0].error.message, /but not _offset/);
});

test("an entropy model that fails does not stop the others", () => {
  const two = new MemorySource(make.npz({ good: {}, bad: make.brokenCdf }));
  const { models, failed } = checkpoint(two);
  assert.equal([models.map(({ input }) => input.name), failed.map(({ name }) => name)], [["good"], ["bad"]]);
  throwsCode(() => importModels(codec, openCheckpoint(two), ["bad"]), "INVALID_TABLE", /^bad/);
  throwsCode(() => checkpoint(new MemorySource(make.npz({ bad: make.brokenCdf }))), "INVALID_TABLE", /^bad/);
});

// ---- faults that are not the file's

test("every field may be anything", () => {
  const values = [null, { toString: 1 }, [[[]]], "", "x".repeat(300), -1, 1.5, 1e300, true, [null], [1, 2, 3]];
  const counts = { read: 0, refused: 0 };
  const tensorFields = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
  for (const value of values) {
    const bundles = [
      ...[...Object.keys(make.stored), "shape", "axis", "step", "meta"].map((key) => make.withField(key, value)),
      ...["entries", "meta"].map((key) => make.bundleOf({ entries: [], [key]: value })),
      make.bundleOf(value),
    ];
    const headers = [
      ...Object.keys(tensorFields).map((key) => ({ quantiles: { ...tensorFields, [key]: value } })),
      ...["quantiles", "__metadata__"].map((key) => ({ [key]: value })),
      value,
    ];
    const tables = [
      ...[...Object.keys(make.tableJson), "bytes", "entries"].map((key) => ({ ...make.tableJson, [key]: value })),
      ...[0, 1, 2, 3].map((k) => ({
        ...make.tableJson,
        cdfs: [make.tableJson.cdfs[0].map((freq, i) => (i === k ? value : freq))],
      })),
      { ...make.tableJson, offsets: [value] },
      { ...make.tableJson, medians: [value] },
      value,
    ];
    const outcomes = [
      ...tables.map((json) => () => openTables(codec, text(JSON.stringify(json)), "factorized")),
      ...bundles.map((bytes) => () => make.bundle(new MemorySource(bytes))),
      ...headers.map((header) => () => checkpoint(new MemorySource(make.safetensorsOf(header)))),
    ];
    for (const outcome of outcomes)
      try {
        outcome();
        counts.read++;
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        counts.refused++;
      }
  }
  assert.ok(counts.read >= 30 && counts.refused > 250, JSON.stringify(counts));
});

test("a fault of the environment or of a program stays what it is", () => {
  const files = [file("list_top.pth"), file("partly_tied.safetensors"), make.npz({ a: {} })];
  for (const fault of [new TypeError("a bug"), new RangeError("Array buffer allocation failed")])
    for (const bytes of files)
      for (const after of [0, 1, 2, 3, 5]) {
        let reads = 0;
        const source = new MemorySource(bytes);
        source.read = (offset, length) => {
          if (reads++ >= after) throw fault;
          return bytes.subarray(offset, offset + length);
        };
        try {
          checkpoint(source);
          assert.unreachable();
        } catch (error) {
          assert.is(error, fault);
        }
      }
  const { TextDecoder: decoder } = globalThis;
  try {
    Reflect.deleteProperty(globalThis, "TextDecoder");
    assert.is(readBundle(make.withScales(1, 2)).entries.length, 1);
  } finally {
    globalThis.TextDecoder = decoder;
  }
});

test.run();

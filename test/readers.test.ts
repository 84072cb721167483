// The readers below the checkpoint importer, one by one: zip, pickle, torch's archives, safetensors, npy. What they take, and what they must survive.
import { deflateRawSync } from "node:zlib";
import { CodecError } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemorySource } from "../tables/byte-source.js";
import { readNpy, writeNpy } from "../tables/npy.js";
import { readPickle } from "../tables/pickle.js";
import { PickleGlobal, PickleObject, PickleTuple, type PickleValue } from "../tables/pickle-values.js";
import { safetensors } from "../tables/safetensors.js";
import { floats, integers, type StoredTensor } from "../tables/stored-tensor.js";
import { torchTensors } from "../tables/torch-file.js";
import { ZipArchive } from "../tables/zip.js";
import { isFull } from "./builds.js";
import { random } from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { file, npyOf } from "./fault-files.js";
import { mutate } from "./mutate.js";
import { concat, dictOf, int, P, string, tensor, text, torchZip, tuple } from "./pickle-writer.js";
import { type Member, writeZip } from "./zip-writer.js";

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const archiveOf = (bytes: Uint8Array) => new ZipArchive(new MemorySource(bytes));

// ---- zip

test("zip: stored and deflated members, zip64, comments", () => {
  const long = new Uint8Array(3000).map((_, i) => i % 7);
  const members = [
    { name: "a/plain", data: text("hello") },
    { name: "a/packed", data: long, packed: new Uint8Array(deflateRawSync(long)) },
    { name: "empty", data: new Uint8Array(0) },
  ];
  for (const options of [{}, { zip64: true }, { comment: "PK\u0005\u0006 is not the end" }]) {
    const archive = archiveOf(writeZip(members, options));
    assert.equal(archive.names, ["a/plain", "a/packed", "empty"]);
    assert.equal(archive.read("a/plain"), text("hello"));
    sameNumbers(archive.read("a/packed"), long);
    assert.equal(archive.read("empty").length, 0);
    assert.equal(archive.readPart("a/plain", 1, 3), text("ell"));
    assert.equal(archive.readPart("a/packed", 7, 7), Uint8Array.of(0, 1, 2, 3, 4, 5, 6));
    assert.is(archive.size("a/packed"), 3000);
    assert.is(archive.size("b"), undefined);
    throwsCode(() => archive.read("b"), "INVALID_FILE");
    throwsCode(() => archive.readPart("a/plain", 3, 3), "TRUNCATED");
  }
});

test("zip: what contradicts itself is refused", () => {
  const data = text("some bytes");
  const read = (bytes: Uint8Array) => archiveOf(bytes).read("m");
  assert.equal(read(writeZip([{ name: "m", data }])), data);
  assert.equal(read(writeZip([{ name: "m", data, crc: 0 }])), data, "torch leaves a 0 where it computes no checksum");
  const name = "m";
  const packed = new Uint8Array(deflateRawSync(data));
  const lies: Member[][] = [
    [{ name, data, crc: 1 }],
    [{ name, data, size: 9 }],
    [0, 1].map(() => ({ name, data })),
    ...[0, 5, 11, 900].map((size) => [{ name, data, packed, size }]),
  ];
  for (const members of lies) throwsCode(() => read(writeZip(members)), "INVALID_FILE");
  const strange = writeZip([{ name: "m", data }]);
  for (let at = 0; at < strange.length - 4; at++)
    if (strange[at] === 0x50 && strange[at + 2] === 1 && strange[at + 3] === 2) strange[at + 10] = 99;
  throwsCode(() => read(strange), "UNSUPPORTED_FILE", /method 99/);
});

// ---- pickle

/** As JSON, so that it can be compared: tuples are {t: []}, sets {set: []}, dicts lists of pairs. */
function plain(value: PickleValue): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof PickleTuple) return { t: value.items.map(plain) };
  if (value instanceof PickleGlobal) return String(value);
  if (value instanceof PickleObject) return { call: plain(value.callable), args: plain(value.args) };
  if (value instanceof Set) return { set: [...value].map(plain) };
  if (value instanceof Map) return [...value].map(([key, item]) => [plain(key), plain(item)]);
  if (value instanceof Uint8Array) return { bytes: [...value] };
  return Array.isArray(value) ? value.map(plain) : value;
}

// pickle.dumps(v, protocol).hex() of CPython 3.11, for
// v = {"a": [1, -2, 300, 70000, 2**40, -2**70, True, None, 1.5], "t": (), "u": (1,), "v": (1, 2, 3, 4), "s": "é", "b": b"\x00\xff",
//      "n": {"x": {5}}, "od": collections.OrderedDict([("k", 1)])}; v["self"] = v["a"]
const PICKLES = {
  2: "80027d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a060000000000018a090000000000000000c0884e473ff80000000000006558010000007471032958010000007571044b018571055801000000767106284b014b024b034b0474710758010000007371085802000000c3a97109580100000062710a635f636f646563730a656e636f64650a710b580300000000c3bf710c58060000006c6174696e31710d86710e52710f58010000006e71107d71115801000000787112635f5f6275696c74696e5f5f0a7365740a71135d71144b05618571155271167358020000006f64711763636f6c6c656374696f6e730a4f726465726564446963740a71182952711958010000006b711a4b0173580400000073656c66711b6802752e",
  3: "80037d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a060000000000018a090000000000000000c0884e473ff80000000000006558010000007471032958010000007571044b018571055801000000767106284b014b024b034b0474710758010000007371085802000000c3a97109580100000062710a430200ff710b58010000006e710c7d710d580100000078710e636275696c74696e730a7365740a710f5d71104b05618571115271127358020000006f64711363636f6c6c656374696f6e730a4f726465726564446963740a71142952711558010000006b71164b0173580400000073656c6671176802752e",
  4: "800495af000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a090000000000000000c0884e473ff8000000000000658c017494298c0175944b0185948c017694284b014b024b034b0474948c0173948c02c3a9948c016294430200ff948c016e947d948c0178948f94284b0590738c026f64948c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c016b944b01738c0473656c66946802752e",
  5: "800595af000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a090000000000000000c0884e473ff8000000000000658c017494298c0175944b0185948c017694284b014b024b034b0474948c0173948c02c3a9948c016294430200ff948c016e947d948c0178948f94284b0590738c026f64948c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c016b944b01738c0473656c66946802752e",
};

for (const [protocol, hex] of Object.entries(PICKLES)) {
  test(`pickle: CPython's protocol ${protocol}`, () => {
    const list = [1, -2, 300, 70000, 2 ** 40, `${-(2n ** 70n)}n`, true, null, 1.5];
    const encoded = { call: "_codecs.encode", args: { t: ["\u0000ÿ", "latin1"] } };
    const set = { call: `${protocol === "2" ? "__builtin__" : "builtins"}.set`, args: { t: [[5]] } };
    const ordered = { call: "collections.OrderedDict", args: { t: [] } };
    const value = readPickle(fromHex(hex)) as Map<PickleValue, PickleValue>;
    assert.equal(plain(value), [
      ["a", list],
      ["t", { t: [] }],
      ["u", { t: [1] }],
      ["v", { t: [1, 2, 3, 4] }],
      ["s", "é"],
      ["b", protocol === "2" ? encoded : { bytes: [0, 255] }],
      ["n", [["x", Number(protocol) < 4 ? set : { set: [5] }]]],
      ["od", ordered],
      ["self", list],
    ]);
    assert.is(value.get("self"), value.get("a"), "the same list, not a copy");
    assert.equal([...(value.get("od") as PickleObject).items], [["k", 1]]);
  });
}

test("pickle: a call is a record, never a call", () => {
  const value = readPickle(P(0x80, 2, "cos\nsystem\n", "X", 4, 0, 0, 0, "true", 0x85, "R."));
  assert.instance(value, PickleObject);
  assert.equal(plain(value), { call: "os.system", args: { t: ["true"] } });
  // An attribute of a call's result, called: the trick of many exploits.
  const nested = readPickle(P("cbuiltins\ngetattr\n", "cos\nsystem\n", "X", 1, 0, 0, 0, "x", 0x86, "R", ")", "R."));
  assert.instance((nested as PickleObject).callable, PickleObject);
  const built = readPickle(P("cm\nC\n", ")", 0x81, "}", "b.")) as PickleObject;
  assert.instance(built.state, Map);
  assert.equal(plain(readPickle(P("(cm\nC\n", "K", 7, "o."))), { call: "m.C", args: { t: [7] } });
});

test("pickle: hooks make what they know", () => {
  const hooks = {
    reduce: (callable: PickleGlobal, [first]: readonly PickleValue[]) =>
      String(callable) === "m.double" ? Number(first) * 2 : undefined,
    persistent: (id: PickleValue) => `stored ${id}`,
  };
  assert.is(readPickle(P("cm\ndouble\n", "K", 21, 0x85, "R."), hooks), 42);
  assert.is(readPickle(P("K", 3, "Q."), hooks), "stored 3");
  throwsCode(() => readPickle(P("K", 3, "Q.")), "INVALID_FILE");
});

test("pickle: what is none ends in an error with a code", () => {
  const max = [255, 255, 255, 255];
  const cases: Record<string, (number | string)[][]> = {
    TRUNCATED: [[], ["K"], ["X", ...max, "abc"], [0x8d, ...max, ...max, "abc"], ["cno newline"]],
    INVALID_FILE: [
      ...[".", "NN.", "a.", "e.", "(a.", "NNs.", "NNNs.", "}(Nu.", "](N(0a.", "(o."].map((all) => [all]),
      ...[
        [0x80, 6, "N."],
        ["h", 0, "."],
        ["N(N", 0x90, "."],
        ["K", 1, "K", 2, 0x93, "."],
      ],
      ...[127, 255].map((high) => [0x8b, 255, 255, 255, high, 0, "."]),
    ],
    UNSUPPORTED_FILE: [["I12\n."], [0xff, "."], [0x82, 1, "."]],
  };
  for (const [code, sources] of Object.entries(cases))
    for (const source of sources) throwsCode(() => readPickle(P(...source)), code, /./);
});

test("pickle: neither depth nor length is a problem", () => {
  const depth = 200_000;
  const deep = new Uint8Array(2 * depth + 2);
  deep.fill(0x5d, 0, depth + 1);
  deep.fill(0x61, depth + 1, 2 * depth + 1);
  deep[2 * depth + 1] = 0x2e;
  assert.instance(readPickle(deep), Array);
  // A list of itself, and lists of lists of the same list: small to say, endless to walk.
  const itself = readPickle(P("]q", 0, "h", 0, "a.")) as PickleValue[];
  assert.is(itself[0], itself);
  const wide = Uint8Array.from([0x28, ...new Array(300_000).fill(0x4e), 0x6c, 0x2e]);
  assert.is((readPickle(wide) as PickleValue[]).length, 300_000);
});

// ---- torch

/** The tensors of an archive whose one storage is 0 .. 11. */
const torchFile = (pickle: Uint8Array) => torchTensors(archiveOf(torchZip(pickle)));

test("torch: tensors are found through dicts and modules, views and transposes included", () => {
  const found = torchFile(
    dictOf({
      whole: tensor([3, 4], [4, 1]),
      nested: dictOf({ column: tensor([3], [4], { offset: 1 }), turned: tensor([4, 3], [1, 4]) }),
      spread: tensor([2, 3], [0, 1], { offset: 6 }),
      none: tensor([0], [1]),
      scalar: tensor([], [], { offset: 5 }),
      module: concat(P("cm\nC\n)", 0x81), dictOf({ _parameters: dictOf({ w: tensor([2], [1]) }) }), P("b")),
      odd: tensor([2], [1], { type: "ComplexFloatStorage" }),
    }),
  );
  const values = Object.fromEntries([...found].map(([name, stored]) => [name, [...floats(stored, name)]]));
  assert.equal(values, {
    whole: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "nested.column": [1, 5, 9],
    "nested.turned": [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11],
    spread: [6, 7, 8, 6, 7, 8],
    none: [],
    scalar: [5],
    "module.w": [0, 1],
  });
});

test("torch: tensors that are not where they say are refused when they are read", () => {
  const cases: [code: string, ...Parameters<typeof tensor>][] = [
    ["INVALID_FILE", [13], [1]],
    ["INVALID_FILE", [3, 4], [4, 2]],
    ["INVALID_FILE", [2], [1], { offset: 11 }],
    ["INVALID_FILE", [2], [1], { key: "7" }],
    ["INVALID_FILE", [2], [1], { key: "../data.pkl" }],
    ["TRUNCATED", [12], [1], { count: 10_000, offset: 500 }],
    ["LIMIT_EXCEEDED", [2 ** 30], [0]],
    ["LIMIT_EXCEEDED", [2 ** 15, 2 ** 10], [0, 0]],
    ["TRUNCATED", [2, 2], [2 ** 30, 1], { count: 2 ** 31 - 1 }],
  ];
  for (const [code, ...args] of cases) {
    const found = torchFile(dictOf({ t: tensor(...args) })).get("t")!;
    throwsCode(() => floats(found, "t"), code);
  }
  for (const bad of [tensor([-1], [1]), tensor([2], [-1]), tensor([2, 2], [1]), tensor([2], [1], { offset: -1 })])
    throwsCode(() => torchFile(dictOf({ t: bad })), "INVALID_FILE");
  throwsCode(() => torchFile(concat(P("K", 1, "Q"))), "INVALID_FILE");
});

test("torch: modules in modules without end, and the same dict everywhere, are walked once", () => {
  const depth = 30_000;
  const levels = Array.from({ length: depth }, () =>
    concat(P("cm\nC\n)", 0x81, "}"), string("_modules"), P("}"), string("m")),
  );
  const closing = Array.from({ length: depth }, () => P("ssb"));
  assert.is(torchFile(concat(...levels, P("N"), ...closing)).size, 0);
  // 40 dicts, each with the one before it twice: 2^40 paths.
  const doubling = Array.from({ length: 40 }, (_, i) =>
    concat(P("}("), string("a"), P("h", i), string("b"), P("h", i), P("uq", i + 1)),
  );
  const dropped = new Array(41).fill(P("0"));
  const pickle = concat(dictOf({ t: tensor([1], [1]) }), P("q", 0), ...doubling, ...dropped, P("h", 40));
  assert.is(torchFile(pickle).size, 1);
});

/** NumPy's pickle of an array: `_reconstruct`, then the state that it sets. */
function ndarray(state: Uint8Array): Uint8Array {
  const made = tuple(P("cnumpy\nndarray\n"), tuple(int(0)), string("b"));
  return concat(P("cnumpy.core.multiarray\n_reconstruct\n"), made, P("R"), state, P("b"));
}
const dtype = (code: string, order = "<") =>
  concat(P("cnumpy\ndtype\n"), tuple(string(code), P(0x89), P(0x88)), P("R"), tuple(int(3), string(order)), P("b"));
const bytes = (...values: number[]) => P("C", values.length, ...values);

test("torch: arrays of NumPy are read in both orders of bytes; odd ones are named, or refused when they are read", () => {
  const state = (shape: Uint8Array, type: Uint8Array, data: Uint8Array, columns = 0x89) =>
    tuple(int(1), shape, type, P(columns), data);
  const pair = tuple(int(2));
  const skipped: string[] = [];
  const archive = archiveOf(
    torchZip(
      dictOf({
        little: ndarray(state(pair, dtype("f4"), bytes(0, 0, 192, 63, 0, 0, 0, 192))),
        big: ndarray(state(pair, dtype("f4", ">"), bytes(63, 192, 0, 0, 192, 0, 0, 0))),
        columns: ndarray(state(tuple(int(2), int(2)), dtype("i1"), bytes(1, 2, 3, 4), 0x88)),
        none: ndarray(state(pair, dtype("f4"), P("N"))),
        short: ndarray(state(tuple(int(2), int(2)), dtype("i1"), bytes(1, 2, 3), 0x88)),
        shapeless: ndarray(P("N")),
        negative: ndarray(state(tuple(int(-2)), dtype("f4"), bytes())),
        complex: ndarray(state(pair, dtype("c8"), bytes())),
      }),
    ),
  );
  const found = torchTensors(archive, skipped);
  assert.equal([...found.keys()], ["little", "big", "columns", "none", "short"]);
  for (const name of ["little", "big"]) sameNumbers(floats(found.get(name)!, name), [1.5, -2]);
  sameNumbers(integers(found.get("columns")!, "columns"), [1, 3, 2, 4]);
  throwsCode(() => floats(found.get("none")!, "none"), "INVALID_FILE", /without bytes/);
  throwsCode(() => integers(found.get("short")!, "short"), "INVALID_FILE", /3 bytes for the shape \[2,2\]/);
  assert.is(skipped.length, 3);
  assert.match(skipped[0], /^shapeless \(an array of NumPy without a shape\)$/);
  assert.match(skipped[1], /^negative /);
  assert.match(skipped[2], /^complex \(an array of NumPy: .*c8/);
});

test("torch: what is kept under no name is named by where it lies; a subclass of a subclass is followed", () => {
  const one = tensor([1], [1]);
  const subclass = (inner: Uint8Array, args: Uint8Array) =>
    concat(P("ctorch._tensor\n_rebuild_from_type_v2\n"), tuple(inner, P("N"), args, P("N")), P("R"));
  const parameter = subclass(P("ctorch._utils\n_rebuild_parameter\n"), tuple(one, P(0x88), P("}")));
  const endless = subclass(P("ctorch._tensor\n_rebuild_from_type_v2\n"), tuple(one));
  const keyed = concat(P("}("), P("N"), one, tuple(int(1)), one, string("a".repeat(2000)), one, P("u"));
  const skipped: string[] = [];
  const found = torchTensors(archiveOf(torchZip(dictOf({ parameter, endless, keyed }))), skipped);
  assert.equal([...found.keys()], ["parameter"]);
  assert.equal(skipped, [
    "endless (torch._tensor._rebuild_from_type_v2)",
    ...new Array(3).fill("keyed (a key that is no name or number)"),
  ]);
});

// ---- safetensors, npy

const safe = (header: unknown, data: Uint8Array) => {
  const json = text(typeof header === "string" ? header : JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(0, json.length, true);
  return safetensors(new MemorySource(concat(length, json, data)));
};

test("safetensors: every type that a table may be kept in", () => {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  view.setFloat64(0, 1.5, true);
  view.setFloat32(8, -2.5, true);
  view.setUint16(12, 0x3e00, true);
  view.setUint16(14, 0xc040, true);
  view.setBigInt64(16, -7n, true);
  view.setInt32(24, 70000, true);
  view.setInt16(28, -300, true);
  data.set([0xfe, 200, 1], 30);
  // Place and value of each.
  const types: Record<string, [number, number, number]> = {
    F64: [0, 8, 1.5],
    F32: [8, 12, -2.5],
    F16: [12, 14, 1.5],
    BF16: [14, 16, -3],
    I64: [16, 24, -7],
    I32: [24, 28, 70000],
    I16: [28, 30, -300],
    I8: [30, 31, -2],
    U8: [31, 32, 200],
    BOOL: [32, 33, 1],
  };
  const entry = (dtype: string, place: number[]) => [dtype, { dtype, shape: [1], data_offsets: place }];
  const header = Object.fromEntries(Object.entries(types).map(([dtype, [from, to]]) => entry(dtype, [from, to])));
  const found = safe({ ...header, ...Object.fromEntries([entry("F8_E4M3", [0, 1])]), __metadata__: { a: "b" } }, data);
  const values = Object.fromEntries([...found].map(([name, stored]) => [name, floats(stored, name)[0]]));
  assert.equal(values, Object.fromEntries(Object.entries(types).map(([dtype, [, , value]]) => [dtype, value])));
  throwsCode(() => integers(found.get("F64")!, "F64"), "INVALID_FILE");
  assert.equal([...integers(found.get("I64")!, "I64")], [-7]);
});

test("safetensors: headers that are none, and places outside", () => {
  const data = new Uint8Array(8);
  const entries = [null, { dtype: "F32" }, { dtype: "F32", shape: "x", data_offsets: [0, 4] }];
  for (const header of ["{", [], 5, ...entries.map((a) => ({ a }))])
    throwsCode(() => safe(header, data), "INVALID_FILE");
  const read = (shape: number[], place: number[]) => () =>
    floats(safe({ a: { dtype: "F32", shape, data_offsets: place } }, data).get("a")!, "a");
  assert.equal([...read([2], [0, 8])()], [0, 0]);
  throwsCode(read([2], [0, 4]), "INVALID_FILE");
  throwsCode(read([1], [8, 4]), "INVALID_FILE");
  throwsCode(read([2], [4, 12]), "TRUNCATED");
  throwsCode(read([2 ** 40], [0, 2 ** 42]), "LIMIT_EXCEEDED");
  const huge = new Uint8Array(16).fill(255);
  throwsCode(() => safetensors(new MemorySource(huge)), "LIMIT_EXCEEDED");
});

test("npy: what is written is read, and NumPy's headers are", () => {
  for (const shape of [[], [5], [2, 3], [0, 4]]) {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: count }, (_, i) => i / 3);
    const bytes = writeNpy("float32", shape, data);
    assert.is((bytes.length - data.byteLength) % 64, 0);
    const stored = readNpy(new MemorySource(bytes));
    assert.equal([...stored.shape], shape);
    sameNumbers(floats(stored, "a"), data);
  }
  const header = "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }";
  const columns = npyOf(header, [1, 4, 2, 5, 3, 6]);
  assert.equal([...integers(readNpy(new MemorySource(columns)), "a")], [1, 2, 3, 4, 5, 6]);
  // Version 2 has a header length of 32 bits.
  const second = concat(columns.subarray(0, 6), P(2, 0), columns.subarray(8, 10), P(0, 0), columns.subarray(10));
  assert.equal([...integers(readNpy(new MemorySource(second)), "a")], [1, 2, 3, 4, 5, 6]);
  for (const type of ["<c8", "<U5", "|V2", "<float32", "O"])
    throwsCode(() => readNpy(new MemorySource(npyOf(header.replace("|i1", type)))), "UNSUPPORTED_FILE");
  throwsCode(() => readNpy(new MemorySource(text("nothing"))), "INVALID_FILE");
});

test("npy: headers as NumPy reads them, every type, one array", () => {
  assert.is(floats(readNpy(new MemorySource(file("doublequotes.npy"))), "a")[1], Math.fround(1 / 7));
  assert.equal([...integers(readNpy(new MemorySource(file("x_u2.npy"))), "a")].slice(0, 6), [0, 1, 2, 3, 4, 0]);
  const read = (header: string, data: number[]) => [...floats(readNpy(new MemorySource(npyOf(header, data))), "a")];
  const order = "'fortran_order': False";
  for (const header of [
    `{'descr':'|u1','fortran_order':False,'shape':(2,)}`,
    `{ "shape" : ( 2 , ) ,\n"descr" : "|u1" ,\t"fortran_order" : False , }  \n`,
    `\n{'shape': (2L,), ${order}, 'descr': 'u1'}`,
    `{'descr': '<u1', ${order}, 'shape': (1, 2), }`,
    `{u'descr': 'uint8', # elements\n ${order}, r"shape": (0x1, +0b10, 0o1)} # the end`,
  ])
    assert.equal(read(header, [7, 200]), [7, 200], header);
  const types: Record<string, [number[], number]> = {
    ...{
      "|b1": [[3], 1],
      "|i1": [[255], -1],
      "|u1": [[255], 255],
      "<i2": [[255, 255], -1],
      "<u2": [[255, 255], 65535],
    },
    ...{
      "<i4": [[1, 0, 0, 128], -(2 ** 31) + 1 - 1],
      "<u4": [[0, 0, 0, 128], 2 ** 31],
      "<i8": [[9, 0, 0, 0, 0, 0, 0, 0], 9],
    },
    ...{ "<u8": [[0, 0, 0, 0, 1, 0, 0, 0], 2 ** 32], "<f2": [[0, 0x3e], 1.5], "<f4": [[0, 0, 192, 63], 1.5] },
    "<f8": [[0, 0, 0, 0, 0, 0, 248, 63], 1.5],
  };
  for (const [descr, [data, value]] of Object.entries(types)) {
    const turned = [...data].reverse();
    assert.equal(read(`{'descr': '${descr}', ${order}, 'shape': (2,)}`, [...data, ...data]), [value, value], descr);
    const big = `{'descr': '${descr.replace("<", ">")}', ${order}, 'shape': (2,)}`;
    assert.equal(read(big, [...turned, ...turned]), [value, value], `big-endian ${descr}`);
  }
  // Two rows of three, column by column, the high byte first.
  const columns = "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3)}";
  assert.equal(read(columns, [0, 1, 1, 4, 0, 2, 1, 5, 0, 3, 1, 6]), [1, 2, 3, 260, 261, 262]);
  const one = `{'descr': '|u1', ${order}, 'shape': (1,)}`;
  const two = new MemorySource(concat(npyOf(one, [1]), npyOf(one, [2])));
  throwsCode(() => floats(readNpy(two), "a"), "UNSUPPORTED_FILE", /several arrays in one file/);
  throwsCode(() => read(one, [1, 2, 3]), "INVALID_FILE", /2 bytes behind/);
  throwsCode(() => read(one.replace("(1,)", "(300,)"), [1]), "TRUNCATED");
  throwsCode(() => read(one.replace("(1,)", "(99999999999, 9999999)"), []), "LIMIT_EXCEEDED");
  throwsCode(() => read(one.replace("'|u1'", "[('a', '<f4')]"), [1]), "UNSUPPORTED_FILE", /structured/);
  const wrong = ["(1)", "[1]", "(-1,)", "(1.5,)", "(1 2)", "(1,,)", "1,", "(01,)", "(0_1,)", "(1__0,)"].map((shape) =>
    one.replace("(1,)", shape),
  );
  for (const header of [...wrong, `${one} x`, one.slice(1), one.slice(0, -1), "{}", one.replace("False", "0"), ""])
    throwsCode(() => read(header, [1]), "INVALID_FILE", /^npy: /);
});

// ---- any bytes

const safeHeader = text(
  '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}}',
);
const readAll = (tensors: ReadonlyMap<string, StoredTensor>) => {
  for (const [name, stored] of tensors) floats(stored, name);
};

/** Sources, what reads them, and how many mutations the full tier makes. */
const readers: Record<string, [Uint8Array[], (bytes: Uint8Array) => unknown, number]> = {
  pickle: [Object.values(PICKLES).map(fromHex), (bytes) => readPickle(bytes), 20_000],
  "torch archive, its pickle damaged": [
    [dictOf({ whole: tensor([3, 4], [4, 1]), nested: dictOf({ turned: tensor([4, 3], [1, 4]) }) })],
    (bytes) => readAll(torchFile(bytes)),
    5000,
  ],
  zip: [
    [
      writeZip([{ name: "a", data: text("hello hello hello") }]),
      writeZip([{ name: "b", data: new Uint8Array(99), packed: deflateRawSync(new Uint8Array(99)) }], { zip64: true }),
    ],
    (bytes) => {
      const archive = archiveOf(bytes);
      for (const name of archive.names) archive.read(name);
    },
    10_000,
  ],
  npy: [
    [writeNpy("float32", [2, 3], new Float32Array(6)), writeNpy("int8", [7], new Int8Array(7))],
    (bytes) => floats(readNpy(new MemorySource(bytes)), "a"),
    10_000,
  ],
  safetensors: [
    [concat(P(safeHeader.length, 0, 0, 0, 0, 0, 0, 0), safeHeader, new Uint8Array(9))],
    (bytes) => readAll(safetensors(new MemorySource(bytes))),
    10_000,
  ],
};

for (const [name, [sources, read, full]] of Object.entries(readers))
  test(`fuzz: ${name}: any bytes end in a value or in an error with a code`, () => {
    const count = isFull ? full : full / 5;
    const rng = random(name.length * 1000 + 5);
    const outcomes = { read: 0, refused: 0 };
    for (let i = 0; i < count; i++) {
      const bytes = mutate(sources[i % sources.length], rng, sources[rng(sources.length)]);
      try {
        read(bytes);
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.read > 0 && outcomes.refused > count / 20, JSON.stringify(outcomes));
  });

test.run();

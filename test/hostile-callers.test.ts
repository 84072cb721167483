// What callers pass that is not what it seems: changed Object.prototype, getters that answer differently each time, arrays that only look like typed
// arrays, buffers that shrink or vanish, memory that another thread writes. Each call returns what it should, or throws an error that names the cause;
// and the codec works as before.
import { Worker } from "node:worker_threads";
import type { Codec } from "latentwire";
import { CodecError } from "latentwire";
import { splitDecoder, splitEncoder } from "latentwire/onnx";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import { random } from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";

const row = [0, 300, 900, 2000, 9000, 20000, 45000, 56000, 63000, 65000, 65536];
const table = { offsets: [-3, -6, -2], cdfs: [row, row, row] };
const n = 120;
const dims = [1, 3, 40];
const data = Float32Array.from({ length: n }, (_, i) => (i % 7) - 3);
const latent = { type: "float32", dims, data };
const ones = new Float32Array(n).fill(1);

/** The packets of every way of writing, and what comes out of them. */
function everything(codec: Codec): number[][] {
  const factorized = codec.factorized(table);
  const gaussian = codec.gaussian(ones);
  const mixture = codec.mixture({ means: data, scales: ones });
  const flat = { type: "float32", dims: [n], data };
  const writer = codec.writer();
  writer.write(latent, factorized);
  writer.write(flat, gaussian);
  const several = writer.finish();
  const reader = codec.reader(several);
  const packet = codec.encode(latent, factorized, {});
  const options = { type: "int32" } as const;
  return [
    packet,
    several,
    codec.encode(flat, gaussian),
    codec.encode(flat, mixture),
    codec.encode(latent, codec.indexed(table, new Uint16Array(n))),
    codec.decode(packet, factorized, options).data,
    reader.read(factorized).data as Float32Array,
    reader.read(gaussian, { dims: [n] }).data as Float32Array,
    codec.quantize(latent, factorized, {}).data,
    [codec.rate(latent, factorized).bits, codec.inspect(packet).headerBytes],
  ].map((values) => Array.from(values));
}

/** A test after which the codec must still make the packet and the latent that it made before. */
const survives = (what: string, run: (codec: Codec) => void | Promise<void>) =>
  both(what, async (codec) => {
    const before = everything(codec);
    await run(codec);
    assert.equal(everything(codec), before);
  });

/** Runs it; what it throws must be an error that the documents name. */
function failsWell(what: string, run: () => unknown): void {
  try {
    run();
  } catch (error) {
    const known = error instanceof CodecError || error instanceof TypeError || error instanceof RangeError;
    assert.ok(known, `${what}: ${error}`);
  }
}

// ---- Object.prototype

const POLLUTED: Record<string, unknown> = {
  lanes: 3,
  header: "compact",
  stream: "compressai",
  checksum: false,
  fingerprint: false,
  out: new Uint8Array(9),
  type: "int8",
  maxElements: 1,
  dims: [3],
  axis: 2,
  step: 2,
  means: ones,
  scaleTable: Float32Array.of(1),
  components: 2,
  support: [0, 1],
  weights: ones,
  dequantize: true,
  format: "strings",
  guard: 0.1,
  relative: 0.1,
  indexChecks: true,
  strides: [1, 1, 1],
  offset: 5,
  // What the codec itself keeps of a prior.
  rows: [1],
  sigmas: 1,
  mixture: {},
  scales: 1,
  anything: 1,
};

survives("what somebody adds to Object.prototype changes no packet", (codec) => {
  const expected = everything(codec);
  for (const [name, value] of Object.entries(POLLUTED))
    for (const enumerable of [true, false]) {
      Object.defineProperty(Object.prototype, name, { value, enumerable, configurable: true, writable: true });
      let found: number[][];
      try {
        found = everything(codec);
      } finally {
        Reflect.deleteProperty(Object.prototype, name);
      }
      assert.equal(found, expected, name);
    }
});

both("options that were given count, whatever Object.prototype has and wherever they come from", (codec) => {
  const prior = codec.factorized(table);
  const packet = codec.encode(latent, prior, { lanes: 8, checksum: false });
  class Options {
    get lanes() {
      return 8 as const;
    }
    checksum = false;
  }
  const hidden = Object.defineProperty({ checksum: false }, "lanes", { value: 8 });
  const given = [new Options(), Object.create({ lanes: 8, checksum: false }), hidden];
  const same = () => {
    for (const options of given) assert.equal(codec.encode(latent, prior, options), packet);
  };
  same();
  Object.defineProperty(Object.prototype, "lanes", { value: 16, configurable: true });
  try {
    same();
  } finally {
    Reflect.deleteProperty(Object.prototype, "lanes");
  }
});

// ---- getters

/** An object that counts how often each value is read. */
function counting(values: object): { object: never; counts: Record<string, number> } {
  const object = {};
  const counts: Record<string, number> = {};
  for (const [name, value] of Object.entries(values)) {
    counts[name] = 0;
    Object.defineProperty(object, name, {
      enumerable: true,
      get: () => {
        counts[name]++;
        return value;
      },
    });
  }
  return { object: object as never, counts };
}

survives("each option and each part of a tensor is read once", (codec) => {
  const prior = codec.factorized(table);
  const packet = codec.encode(latent, prior);
  const string = codec.encode(latent, prior, { header: "none", stream: "compressai" });
  const floats = () => new Float32Array(n);
  const scaleTable = Float32Array.of(1, 2, 3);
  const strides = [n, 40, 1];
  const session = { inputNames: ["x"], outputNames: ["y"], run: async () => ({}) };
  const split = { session, codec, prior, input: "x", output: "y" };
  const agreed = { header: "packet", checksum: true };
  const form = { ...agreed, lanes: 1, fingerprint: true };
  const calls: [string, object, (given: never) => unknown][] = [
    ["encode", { ...form, stream: "native", out: new Uint8Array(999) }, (given) => codec.encode(latent, prior, given)],
    [
      "decode",
      { ...agreed, stream: "native", type: "float32", out: floats(), dims, maxElements: 1e6 },
      (given) => codec.decode(packet, prior, given),
    ],
    ["factorized", { axis: 1, step: 1 }, (given) => codec.factorized(table, given)],
    ["indexed", { means: ones, step: 1 }, (given) => codec.indexed(table, new Uint8Array(n), given)],
    ["gaussian", { means: ones, step: 1, scaleTable, table }, (given) => codec.gaussian(ones, given)],
    ["gaussian without table", { scaleTable }, (given) => codec.gaussian(ones, given)],
    ["mixture", { means: data, scales: ones, weights: ones }, (given) => codec.mixture(given)],
    [
      "mixture's options",
      { components: 1, kind: "gaussian", support: [-9, 9], dims: [n] },
      (given) => codec.mixture({ means: data, scales: ones }, given),
    ],
    ["quantize", { type: "int16", out: new Int16Array(n) }, (given) => codec.quantize(latent, prior, given)],
    ["rate", { axis: 1 }, (given) => codec.rate(latent, prior, given)],
    [
      "writer",
      { ...form, format: "packet", guard: { relative: 1e-4 }, indexChecks: true },
      (given) => codec.writer(given).write(latent, prior),
    ],
    ["guard", { relative: 1e-4, absolute: 0 }, (guard) => codec.writer({ guard })],
    ["write", { dequantize: true, out: floats() }, (given) => codec.writer().write(latent, prior, given)],
    ["reader", { ...agreed, maxElements: 1e6 }, (given) => codec.reader(packet, given).read(prior)],
    [
      "reader of strings",
      { ...agreed, maxElements: 1e6 },
      (given) => codec.reader([string, string], given).read(prior, { dims }),
    ],
    ["read", { type: "float32", out: floats(), dims }, (given) => codec.reader(packet).read(prior, given)],
    ["sequence", { table, scaleTable, step: 2 }, (given) => codec.writer().sequence(given).end()],
    ["tensor", latent, (given) => codec.encode(given, prior)],
    ["view", { ...latent, strides, offset: 0 }, (given) => codec.encode(given, prior)],
    ["out", { ...latent, data: floats(), strides, offset: 0 }, (out) => codec.reader(packet).read(prior, { out })],
    ["table", { ...table, format: "latentwire-tables", version: 1, medians: [0, 0, 0] }, (given) => codec.table(given)],
    ["splitEncoder", { ...split, encode: {} }, splitEncoder],
    ["splitDecoder", { ...split, decode: {} }, splitDecoder],
  ];
  for (const [name, values, call] of calls) {
    const { object, counts } = counting(values);
    call(object);
    for (const [value, count] of Object.entries(counts))
      assert.is(count, 1, `${name}: ${value} was read ${count} times`);
  }
});

survives("shapes, strides and cdfs whose numbers change while they are read", (codec) => {
  const prior = codec.factorized(table);
  const rng = random(4);
  const odd = [
    0,
    1,
    -1,
    2 ** 31,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1e300,
    "1",
    40,
    65536,
  ];
  /** Answers with the right values, then and when with others. */
  const changing = (list: readonly number[]) =>
    new Proxy([...list], {
      get: (target, name, self) =>
        typeof name === "string" && rng(3) === 0 ? odd[rng(odd.length)] : Reflect.get(target, name, self),
    });
  for (let i = 0; i < 400; i++) {
    failsWell("dims", () => codec.encode({ ...latent, dims: changing(dims) }, prior));
    failsWell("strides", () => codec.encode({ ...latent, strides: changing([n, 40, 1]) } as never, prior));
    failsWell("expected", () => codec.decode(codec.encode(latent, prior), prior, { dims: changing(dims) }));
    failsWell("cdfs", () => codec.table({ offsets: [-3], cdfs: [changing(row)] }));
    failsWell("support", () => codec.mixture({ means: data, scales: ones }, { support: changing([-9, 9]) as never }));
  }
});

// ---- what only looks like a typed array

class Lying extends Float32Array {
  claimed: number | undefined;
  override get length() {
    return this.claimed ?? super.length;
  }
  override subarray(): never {
    throw new Error("called");
  }
  override set(): never {
    throw new Error("called");
  }
}

survives("a typed array is what it is, not what it says", (codec) => {
  const gaussian = (scales: unknown) => codec.gaussian(scales as never);
  const flat = { type: "float32", dims: [n], data };
  const expected = codec.encode(flat, gaussian(ones));
  // A subclass is read by its real elements and length.
  for (const claimed of [undefined, 3, 1e9, -1, Number.NaN]) {
    const lying = (values: Float32Array) => Object.assign(new Lying(values), { claimed });
    assert.equal(codec.encode({ ...flat, data: lying(data) }, gaussian(lying(ones))), expected);
    const out = lying(ones);
    codec.decode(expected, gaussian(ones), { out });
    assert.equal(Array.from(new Float32Array(out.buffer)), Array.from(data));
    const bytes = class extends Uint8Array {
      override get length() {
        return claimed ?? 5;
      }
    };
    sameNumbers(codec.decode(new bytes(expected), gaussian(ones)).data, data);
    const reader = codec.reader(new bytes(expected));
    sameNumbers(reader.read(gaussian(ones), { dims: [n] }).data as Float32Array, data);
    const sequence = codec.writer().sequence();
    sequence.next(lying(data), lying(ones), undefined, new Float32Array(n));
    throwsMistake(
      () => sequence.next(lying(data), lying(ones.slice(1)), undefined, new Float32Array(n)),
      TypeError,
      "scales",
    );
  }
  // An own property that lies: the array counts as it is.
  const own = Object.defineProperty(data.slice(), "length", { value: 7 });
  assert.equal(codec.encode({ ...flat, data: own }, gaussian(ones)), expected);
  // These are no typed arrays.
  const fakes = [
    new Proxy(data, {}),
    Object.create(Float32Array.prototype),
    { [Symbol.toStringTag]: "Float32Array", length: n, 0: 1 },
    { constructor: Float32Array, length: n },
    new DataView(data.buffer),
    [...data],
    new Float64Array(data),
  ];
  for (const fake of fakes) {
    throwsMistake(() => codec.encode({ ...flat, data: fake } as never, gaussian(ones)), TypeError, "data");
    throwsMistake(() => gaussian({ ...flat, data: fake }), TypeError, "data");
    throwsMistake(() => codec.decode(expected, gaussian(ones), { out: fake as never }), TypeError, "out");
    throwsMistake(() => codec.quantizedCdf(fake as never), TypeError, "pmf");
    throwsMistake(() => codec.gaussian(ones, { scaleTable: fake as never }), TypeError, "scales");
  }
  const fakeBytes = [
    new Proxy(expected, {}),
    Object.create(Uint8Array.prototype),
    { [Symbol.toStringTag]: "Uint8Array", length: 1e9 },
    { [Symbol.toStringTag]: "ArrayBuffer", byteLength: 1e9, length: 1e9 },
  ];
  for (const fake of fakeBytes as Uint8Array[])
    for (const call of [
      () => codec.decode(fake, gaussian(ones)),
      () => codec.inspect(fake),
      () => codec.reader(fake),
      () => codec.reader([fake]).read(gaussian(ones)),
      () => codec.encode(flat, gaussian(ones), { out: fake }),
    ])
      assert.throws(call, (error: Error) => error instanceof TypeError || error instanceof CodecError);
});

// ---- buffers that shrink or vanish

type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (values: Float32Array): { buffer: Resizable; array: Float32Array<ArrayBuffer> } => {
  const bytes = values.byteLength;
  const buffer = new (ArrayBuffer as never as new (n: number, o: object) => Resizable)(bytes, {
    maxByteLength: 2 * bytes,
  });
  const array = new Float32Array(buffer);
  array.set(values);
  return { buffer, array };
};

survives("a buffer that was detached or has shrunk since it was given is an error", (codec) => {
  const flat = { type: "float32", dims: [n], data };
  const strided = (array: Float32Array) => ({
    type: "float32",
    dims: [3, 40],
    data: array,
    strides: [1, 3],
    offset: 0,
  });
  const ways: [string, (buffer: Resizable) => void][] = [
    ["detached", (buffer) => structuredClone(buffer, { transfer: [buffer] })],
    ["shrunk", (buffer) => buffer.resize(8)],
    ["shrunk to nothing", (buffer) => buffer.resize(0)],
  ];
  for (const [what, change] of ways) {
    const scales = resizable(ones);
    const means = resizable(data);
    const priors = [
      [scales, codec.gaussian(scales.array)],
      [means, codec.gaussian(ones, { means: means.array })],
    ] as const;
    const packets = priors.map(([, prior]) => codec.encode(flat, prior));
    const wide = resizable(data);
    const byView = codec.gaussian(strided(wide.array));
    change(wide.buffer);
    throwsMistake(() => codec.encode({ ...flat, dims: [3, 40] }, byView), TypeError, "shrunk");
    for (const [i, [{ buffer }, prior]] of priors.entries()) {
      change(buffer);
      throwsMistake(() => codec.encode(flat, prior), TypeError, "shrunk");
      throwsMistake(() => codec.decode(packets[i], prior), TypeError, "shrunk");
      const writer = codec.writer();
      throwsMistake(() => writer.write(flat, prior), TypeError, "shrunk");
      writer.close();
    }
    // While an option is read.
    const latents = resizable(data);
    const options = {
      get lanes() {
        change(latents.buffer);
        return 8 as const;
      },
    };
    throwsCode(() => codec.encode({ ...flat, data: latents.array }, codec.gaussian(ones), options), "SHAPE_MISMATCH");
    const shape = resizable(data);
    const dimensions = Object.defineProperty([0], "0", {
      get: () => {
        change(shape.buffer);
        return n;
      },
    });
    throwsCode(
      () => codec.encode({ ...flat, data: shape.array, dims: dimensions }, codec.gaussian(ones)),
      "SHAPE_MISMATCH",
    );
    const out = resizable(data);
    const reading = {
      get maxElements() {
        change(out.buffer);
        return 1e6;
      },
      out: out.array,
    };
    throwsMistake(() => codec.decode(packets[0], codec.gaussian(ones), reading), RangeError, "out");
    assert.ok(what);
  }
});

// ---- another thread

/** Runs something while another thread writes random bytes into shared memory. */
async function raced(memory: SharedArrayBuffer, run: () => void): Promise<void> {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { flags, memory } = workerData;
    const bytes = new Uint8Array(memory);
    parentPort.postMessage("ready");
    let x = 1;
    while (Atomics.load(flags, 0) === 0)
      for (let i = 0; i < 1000; i++) {
        x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
        bytes[x % bytes.length] ^= x >>> 24;
      }`;
  const flags = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(code, { eval: true, workerData: { flags, memory } });
  await new Promise((resolve) => worker.once("message", resolve));
  try {
    run();
  } finally {
    Atomics.store(flags, 0, 1);
    await worker.terminate();
  }
}

survives("a thread that writes into a packet while it is read", async (codec) => {
  const count = 20_000;
  const scales = new Float32Array(count).fill(3);
  const values = Float32Array.from({ length: count }, (_, i) => ((i * 7) % 13) - 6);
  const y = { type: "float32", dims: [count], data: values };
  const prior = codec.gaussian(scales);
  const whole = codec.encode(y, prior);
  const plain = codec.encode(y, prior, { checksum: false });
  const memory = new SharedArrayBuffer(Math.max(whole.length, plain.length));
  await raced(memory, () => {
    for (let i = 0; i < 300; i++) {
      const packet = i % 2 ? whole : plain;
      const shared = new Uint8Array(memory, 0, packet.length);
      shared.set(packet);
      failsWell("decode", () => assert.is(codec.decode(shared, prior).data.length, count));
      shared.set(packet);
      failsWell("reader", () => codec.reader(shared).read(prior, { dims: [count] }));
      failsWell("inspect", () => codec.inspect(shared));
      failsWell("table", () => codec.table(shared));
    }
  });
  sameNumbers(codec.decode(whole, prior).data, values);
});

survives("a thread that writes into a latent, its scales and its means while they are coded", async (codec) => {
  const count = 70_000;
  const memory = new SharedArrayBuffer(3 * 4 * count);
  const [values, scales, means] = [0, 1, 2].map((i) => new Float32Array(memory, 4 * count * i, count));
  const prior = codec.gaussian(scales, { means });
  const still = codec.gaussian(new Float32Array(count).fill(1));
  await raced(memory, () => {
    for (let i = 0; i < 60; i++) {
      for (const array of [values, scales, means]) array.fill(1);
      const y = { type: "float32", dims: [count], data: values };
      const options = ([{}, { lanes: 32 }, { stream: "compressai" }, { lanes: 8 }] as const)[i % 4];
      failsWell("encode", () => codec.encode(y, prior, options));
      // A packet that was made is whole: it decodes under a prior that stays as it is.
      failsWell("encode", () =>
        assert.is(codec.decode(codec.encode(y, still, options), still, options).data.length, count),
      );
      const view = { ...y, dims: [2, count / 2], strides: [1, 2], offset: 0 };
      failsWell("view", () =>
        codec.encode({ ...view, type: "float32" } as never, codec.gaussian(new Float32Array(count).fill(1))),
      );
      failsWell("writer", () => {
        const writer = codec.writer({ guard: 1e-4 });
        try {
          writer.write(y, prior);
          writer.finish();
        } finally {
          writer.close();
        }
      });
      failsWell("out", () => codec.decode(codec.encode(y, still), still, { out: means }));
    }
  });
});

test.run();

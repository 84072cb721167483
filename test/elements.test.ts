// Element types of latents: what encode, decode, rate, writer and reader make of each, the zero points of quantized tensors.
import { channels, type ElementType, permute, type TensorLike } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { narrow, widen } from "../bindings/float16.js";
import { both } from "./builds.js";
import { generator } from "./engines/cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";

/** A row for symbols from -8 to 8; others escape. */
const row = (channels: number) => ({
  offsets: new Array(channels).fill(-8),
  cdfs: new Array(channels).fill(Array.from({ length: 19 }, (_, k) => (k < 18 ? 3600 * k : 65536))),
});

const BIG = { int64: BigInt64Array, uint64: BigUint64Array };
const ARRAYS = {
  ...{ int8: Int8Array, int16: Int16Array, int32: Int32Array, uint8: Uint8Array, uint16: Uint16Array },
  ...{ uint32: Uint32Array, bool: Uint8Array },
};
type Small = keyof typeof ARRAYS;
const integerTypes = [...(Object.keys(ARRAYS) as Small[]), "int64", "uint64"] as const;

/** Symbols as an array of a type. */
const arrayOf = (type: (typeof integerTypes)[number], symbols: readonly number[]) =>
  type === "int64" || type === "uint64" ? BIG[type].from(symbols.map(BigInt)) : ARRAYS[type].from(symbols);

const numbersOf = (data: unknown): number[] => Array.from(data as ArrayLike<number | bigint>, Number);

const DIMS = [2, 3, 5, 7];
const COUNT = 210;
const random = generator(11);
const whole = (low: number, high: number) =>
  Array.from({ length: COUNT }, () => low + Math.floor(random() * (high - low + 1)));

both("integers of every type are symbols: one packet whatever the type, and each comes back", (codec) => {
  const prior = codec.factorized(row(3), { step: 0.25 });
  for (const type of integerTypes) {
    const symbols = type === "bool" ? whole(0, 1) : type.startsWith("u") ? whole(0, 127) : whole(-128, 127);
    const latent = { type, dims: DIMS, data: arrayOf(type, symbols) };
    const plain = { type: "int32", dims: DIMS, data: Int32Array.from(symbols) };
    const packet = codec.encode(latent, prior);
    assert.equal(packet, codec.encode(plain, prior), type);
    assert.equal(codec.rate(latent, prior), codec.rate(plain, prior), type);
    sameNumbers(codec.quantize(latent, prior).data, symbols, type);
    sameNumbers(codec.dequantize(latent, prior).data, codec.decode(packet, prior).data, type);

    const back = codec.decode(packet, prior, { type });
    assert.is(back.type, type);
    assert.equal(back.data, latent.data, type);
    const out = arrayOf(type, new Array(COUNT + 2).fill(0));
    codec.decode(packet, prior, { type, out });
    assert.equal(numbersOf(out), [...symbols, 0, 0], type);

    const writer = codec.writer();
    sameNumbers(writer.write(latent, prior, { dequantize: true }).data, codec.decode(packet, prior).data, type);
    const reader = codec.reader(writer.finish());
    assert.equal(reader.read(prior, { type }).data, latent.data, type);
    reader.finish();
  }
});

both("floats of every type: float16 exactly, float64 rounded to float32 first", (codec) => {
  const prior = codec.factorized(row(3), { step: 0.5 });
  const half = narrow(Float32Array.from({ length: COUNT }, () => 8 * random() - 4));
  const wide = Float64Array.from({ length: COUNT }, () => 8 * random() - 4);
  const rounded = Float32Array.from(wide);
  for (const [type, data, floats] of [
    ["float16", half, widen(half)],
    ["float64", wide, rounded],
  ] as const) {
    const packet = codec.encode({ type, dims: DIMS, data }, prior);
    assert.equal(packet, codec.encode({ type: "float32", dims: DIMS, data: floats }, prior), type);
    const expected = codec.decode(packet, prior).data;
    const back = codec.decode(packet, prior, { type });
    // Half steps of this size are float16 numbers.
    const found = type === "float16" ? widen(back.data as ArrayBufferView) : (back.data as Float64Array);
    sameNumbers(found, expected, type);
  }
  // Just above 2.5, which float32 does not tell from 2.5: that is a tie, and goes to the even symbol.
  const tie = Float64Array.of(2.5 + 2 ** -40);
  const one = codec.factorized(row(1));
  const packet = codec.encode({ type: "float64", dims: [1], data: tie }, one);
  assert.is(codec.decode(packet, one).data[0], 2);
});

both("a Float16Array, where the engine has it, is taken and returned", (codec) => {
  const prior = codec.factorized(row(3));
  const half = narrow(Float32Array.from({ length: COUNT }, () => 8 * random() - 4));
  const packet = codec.encode({ type: "float16", dims: DIMS, data: half }, prior);
  // Node 20 has none. This one answers as an engine's own does where the codec looks: by its tag and its buffer.
  const native = (globalThis as { Float16Array?: unknown }).Float16Array;
  if (native === undefined) {
    assert.ok(codec.decode(packet, prior, { type: "float16" }).data instanceof Uint16Array);
    return;
  }
  const Float16 = native as new (buffer: ArrayBufferLike) => ArrayBufferView;
  const data = new Float16(half.buffer);
  assert.equal(codec.encode({ type: "float16", dims: DIMS, data }, prior), packet);
  const back = codec.decode(packet, prior, { type: "float16" }).data as unknown;
  assert.ok(back instanceof Float16);
});

both("what a symbol or the type cannot hold is refused, with value and position", (codec) => {
  const prior = codec.factorized(row(1));
  // Beyond a chunk of 65,536 elements, so that the position is one of the whole latent.
  const place = 70_001;
  const refused = (
    type: ElementType,
    data: { [at: number]: unknown; fill(value: never): unknown },
    value: unknown,
    message: RegExp,
  ) => {
    data[place] = value;
    const latent = { type, dims: [1, 1, 70_002], data };
    throwsCode(() => codec.encode(latent, prior), "OUT_OF_RANGE", message);
    throwsCode(() => codec.rate(latent, prior), "OUT_OF_RANGE", message);
    throwsCode(() => codec.writer().write(latent, prior), "OUT_OF_RANGE", message);
  };
  refused("uint32", new Uint32Array(70_002), 2 ** 31, /element 70001 is 2147483648, which int32 cannot hold/);
  refused("int64", new BigInt64Array(70_002), 2n ** 31n, /element 70001 is 2147483648, which int32/);
  refused("int64", new BigInt64Array(70_002), -(2n ** 31n) - 1n, /element 70001 is -2147483649, which int32/);
  refused("int64", new BigInt64Array(70_002), 2n ** 32n, /element 70001 is 4294967296, which int32/);
  refused("uint64", new BigUint64Array(70_002), 2n ** 64n - 1n, /element 70001 is 18446744073709551615, which int32/);
  refused("uint64", new BigUint64Array(70_002), 2n ** 31n, /element 70001 is 2147483648, which int32/);
  refused("bool", new Uint8Array(70_002), 2, /element 70001 is 2, which bool/);
  refused("float64", new Float64Array(70_002), 1e39, /element 70001 is 1e\+39, which float32/);
  refused("float64", new Float64Array(70_002), -1e300, /element 70001 is -1e\+300, which float32/);
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const data = new Float64Array(70_002);
    data[place] = value;
    throwsCode(
      () => codec.encode({ type: "float64", dims: [1, 1, 70_002], data }, prior),
      "NON_FINITE",
      new RegExp(`element 70001 of the latent is ${value}`),
    );
  }
  throwsCode(
    () => codec.encode({ type: "float16", dims: [2], data: Uint16Array.of(0, 0x7c00) }, codec.factorized(row(2))),
    "NON_FINITE",
    /element 1 of the latent is Infinity/,
  );
  // The largest that go.
  const edges = { type: "int64", dims: [1, 1, 2], data: BigInt64Array.of(2n ** 31n - 1n, -(2n ** 31n)) };
  assert.equal(codec.decode(codec.encode(edges, prior), prior, { type: "int64" }).data, edges.data);
});

both("decoding: a symbol that the type cannot hold", (codec) => {
  const prior = codec.factorized(row(1));
  const data = new Int32Array(70_002);
  const decoded = (value: number, type: ElementType) => () => {
    data[70_001] = value;
    return codec.decode(codec.encode({ type: "int32", dims: [1, 1, 70_002], data }, prior), prior, { type });
  };
  for (const [value, type] of [
    [-1, "uint8"],
    [256, "uint8"],
    [65_536, "uint16"],
    [-1, "uint32"],
    [-1, "uint64"],
    [2, "bool"],
    [-1, "bool"],
    [70_000, "float16"],
  ] as const)
    throwsCode(
      decoded(value, type),
      "OUT_OF_RANGE",
      new RegExp(`element 70001 is ${value}, which ${type} cannot hold`),
    );
  assert.is(decoded(-5, "int64")().data[70_001], -5n);
});

both("quantized tensors: the same elements come back, and float32 is (element - zero point) x scale", (codec) => {
  const scale = 0.0471;
  const prior = codec.factorized(row(3), { step: scale });
  for (const [type, low, high, zeroPoint] of [
    ["uint8", 0, 255, 128],
    ["uint8", 0, 255, 0],
    ["int8", -128, 127, -3],
    ["int8", -128, 127, 0],
    ["uint16", 0, 65_535, 32_768],
    ["int16", -32_768, 32_767, 1000],
  ] as const) {
    const elements = whole(low, high);
    elements[0] = low;
    elements[1] = high;
    const latent = { type, dims: DIMS, data: arrayOf(type, elements) };
    const affine = { scale, zeroPoint };
    const packet = codec.encode(latent, prior, { affine });
    const symbols = { type: "int32", dims: DIMS, data: Int32Array.from(elements, (q) => q - zeroPoint) };
    assert.equal(packet, codec.encode(symbols, prior), type);
    assert.equal(codec.rate(latent, prior, { affine }), codec.rate(symbols, prior), type);
    assert.equal(codec.decode(packet, prior, { type, affine }).data, latent.data, type);
    const step = Math.fround(scale);
    const values = elements.map((q) => Math.fround((q - zeroPoint) * step));
    sameNumbers(codec.decode(packet, prior, { affine }).data, values, type);

    const writer = codec.writer();
    writer.write(latent, prior, { affine });
    const reader = codec.reader(writer.finish());
    assert.equal(reader.read(prior, { type, affine }).data, latent.data, type);
    reader.finish();
  }
});

both("affine that does not fit is refused", (codec) => {
  const prior = codec.factorized(row(1), { step: 0.5 });
  const latent = { type: "uint8", dims: [1], data: Uint8Array.of(3) };
  const encode =
    (affine: object, one: TensorLike = latent, under = prior) =>
    () =>
      codec.encode(one, under, { affine: affine as never });
  throwsMistake(encode({ scale: 0.25 }), RangeError, "step 0.25");
  throwsMistake(encode({ zeroPoint: 3 }), RangeError, "step undefined");
  throwsMistake(encode({ scale: 0.5, zeroPoint: 256 }), RangeError, "256 is no zero point of uint8");
  throwsMistake(encode({ scale: 0.5, zeroPoint: 0.5 }), RangeError, "0.5 is no zero point");
  throwsMistake(encode({ scale: 0.5, zero_point: 1 }), TypeError, "zero_point");
  throwsMistake(encode({ scale: 0.5 }, { type: "int64", dims: [1], data: new BigInt64Array(1) }), RangeError, "int64");
  const centred = codec.factorized({ ...row(1), medians: [0.25] }, { step: 0.5 });
  throwsMistake(encode({ scale: 0.5 }, latent, centred), RangeError, "subtract nothing");
  const packet = codec.encode(latent, prior, { affine: { scale: 0.5, zeroPoint: 1 } });
  // Without the zero point the symbol is what comes back.
  assert.is(codec.decode(packet, prior, { type: "uint8" }).data[0], 2);
  const tooFar = { type: "uint8" as const, affine: { scale: 0.5, zeroPoint: 255 } };
  throwsCode(() => codec.decode(packet, prior, tooFar), "OUT_OF_RANGE", /element 0 is 257, which uint8/);
});

both("views of every type", (codec) => {
  const prior = codec.factorized(row(5));
  for (const type of [...integerTypes, "float64", "float16"] as const) {
    const numbers = type === "bool" ? whole(0, 1) : whole(0, 8);
    const data =
      type === "float64"
        ? Float64Array.from(numbers)
        : type === "float16"
          ? narrow(Float32Array.from(numbers))
          : arrayOf(type, numbers);
    const view = channels(permute({ type, dims: DIMS, data }, [3, 2, 0, 1]), 1, 3, 3);
    const same = channels(
      permute({ type: "float32", dims: DIMS, data: Float32Array.from(numbers) }, [3, 2, 0, 1]),
      1,
      3,
      3,
    );
    assert.equal(codec.encode(view, prior), codec.encode(same, prior), type);
  }
});

both("scales and means may be float16 and float64", (codec) => {
  const numbers = Float32Array.from({ length: 8 }, (_, i) => 0.5 + i / 4);
  const y = { type: "float32", dims: [8], data: Float32Array.from(numbers, (x) => 3 * x) };
  const of = (type: string, data: unknown) => ({ type, dims: [8], data });
  const packets = [
    of("float32", numbers),
    of("float64", Float64Array.from(numbers)),
    of("float16", narrow(numbers)),
  ].map((tensor) => codec.encode(y, codec.gaussian(tensor, { means: tensor })));
  assert.equal(packets[1], packets[0]);
  assert.equal(packets[2], packets[0]);
});

both("types and arrays that do not belong together", (codec) => {
  const prior = codec.factorized(row(1));
  const encode = (type: string, data: unknown) => () => codec.encode({ type, dims: [1], data }, prior);
  throwsMistake(encode("int4", new Int8Array(1)), TypeError, "latent.type must be float32, int32");
  throwsMistake(encode("uint8", new Int8Array(1)), TypeError, "Uint8Array for type uint8, not Int8Array");
  throwsMistake(encode("int64", new Int32Array(2)), TypeError, "BigInt64Array");
  throwsMistake(encode("float16", new Float32Array(1)), TypeError, "Uint16Array for type float16");
  throwsMistake(encode("toString", new Float32Array(1)), TypeError, "latent.type");
  throwsMistake(
    () => codec.quantize({ type: "int8", dims: [1], data: new Int8Array(1) }, prior, { type: "uint8" as never }),
    TypeError,
    "type",
  );
  const writer = codec.writer();
  writer.write({ type: "int8", dims: [1], data: new Int8Array(1) }, prior);
  const packet = writer.finish();
  throwsMistake(() => codec.reader(packet).read(prior, { type: "int4" as never }), TypeError, "type");
});

test.run();

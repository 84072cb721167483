// float32 latents to symbols and back, against the reference: every bit, at every position of a vector register.
import { type Codec, CodecError, type LatentType, type Prior, type TensorLike } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import { makeTable, type Random, random } from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import { dequantize, encodePacket, quantize, tableFromJson } from "./reference.js";

const plain = { offsets: [-8], cdfs: [makeTable(random(1), { rows: 1, entries: 17, flavour: "random" }).cdfs[0]] };

function float(data: Float32Array | number[], dims = [data.length]): TensorLike {
  return { type: "float32", dims, data: Float32Array.from(data) };
}

/** No means, step 1: symbols as they are. */
function bare(codec: Codec, n: number, options = {}) {
  return codec.indexed(plain, new Int32Array(n), options);
}

function symbolsOf(codec: Codec, y: Float32Array | number[], options = {}): number[] {
  return [...(codec.quantize(float(y), bare(codec, y.length, options)).data as Int32Array)];
}

both(
  "a finite latent never decodes to infinity: the largest step is 2^94, and every larger one is refused",
  (codec) => {
    const rng = random(94);
    const largest = (2 - 2 ** -23) * 2 ** 127;
    const near = (limit: number) => Math.fround((1 - rng.unit() * 2 ** -rng(24)) * limit * (rng(2) ? 1 : -1));
    let coded = 0;
    for (let i = 0; i < 4000; i++) {
      const step = Math.fround(2 ** 94 * (1 - rng.unit() * rng(2)));
      const y = Float32Array.from({ length: 32 }, () => near(largest));
      // So far from y that the symbol is just an int32.
      const means = y.map((value) =>
        Math.fround(value - Math.sign(value) * step * 2 ** 31 * (1 - 2 ** -rng(8) * rng.unit())),
      );
      const prior = bare(codec, 32, { step, means });
      try {
        const symbols = codec.quantize(float(y), prior);
        assert.ok(codec.dequantize(symbols, prior).data.every(Number.isFinite));
        coded++;
      } catch (error) {
        if (!(error instanceof CodecError && error.code === "OUT_OF_RANGE")) throw error;
      }
    }
    assert.ok(coded > 1000, `${coded} coded`);
    for (const step of [2 ** 94 * (1 + 2 ** -23), 7.5e37, Number.POSITIVE_INFINITY, 0, -1, Number.NaN])
      for (const make of [
        () => bare(codec, 1, { step }),
        () => codec.factorized(plain, { step }),
        () => codec.gaussian(Float32Array.of(1), { step }),
        () => codec.writer().sequence({ step }),
      ])
        throwsMistake(make, RangeError, "2^94");
  },
);

both("the first element that cannot be coded is named, wherever others are", (codec) => {
  const prior = codec.factorized(plain, { axis: 0 });
  for (const [n, bad] of [
    [200_000, [3, 150_000]],
    [200_000, [70_000, 199_999]],
    [5000, [3, 4900]],
  ] as const) {
    for (const lanes of [1, 32] as const) {
      const y = new Float32Array(n);
      y[bad[0]] = Number.NaN;
      y[bad[1]] = Number.POSITIVE_INFINITY;
      throwsCode(
        () => codec.encode(float(y, [1, n]), prior, { lanes }),
        "NON_FINITE",
        new RegExp(`element ${bad[0]} `),
      );
      y[bad[0]] = 1e30;
      throwsCode(
        () => codec.encode(float(y, [1, n]), prior, { lanes }),
        "OUT_OF_RANGE",
        new RegExp(`element ${bad[0]} `),
      );
      const wide = Float64Array.from(y, (_, i) => ((bad as readonly number[]).includes(i) ? 1e300 : 0));
      const latent = { type: "float64", dims: [1, n], data: wide };
      throwsCode(() => codec.encode(latent, prior, { lanes }), "OUT_OF_RANGE", new RegExp(`element ${bad[0]} `));
    }
  }
});

/** Ordinary values, ties, neighbours of ties, subnormals, the edges of float32's integers. */
function awkwardFloats(rng: Random, n: number, limit: number): Float32Array {
  return Float32Array.from({ length: n }, () => {
    const whole = rng(2 * limit) - limit;
    switch (rng(6)) {
      case 0:
        return whole + 0.5;
      case 1:
        return (whole + 0.5) * (1 + (rng(3) - 1) * 2 ** -23);
      case 2:
        return (rng.unit() - 0.5) * 2e-39;
      case 3:
        return whole;
      default:
        return (rng.unit() - 0.5) * limit;
    }
  });
}

both("ties go to the even neighbour", (codec) => {
  assert.equal(symbolsOf(codec, [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5]), [-4, -2, -2, 0, 0, 2, 2, 4, 4]);
  assert.equal(symbolsOf(codec, [-0, 0.49999997, 0.50000006, -0.49999997, -0.50000006]), [0, 0, 1, 0, -1]);
  assert.equal(
    symbolsOf(codec, [8388607.5, 8388608, 8388609, -8388607.5, 16777215]),
    [8388608, 8388608, 8388609, -8388608, 16777215],
  );
});

both("the edges of int32", (codec) => {
  assert.equal(symbolsOf(codec, [2147483520, -2147483648, 1e-45, -1e-45]), [2147483520, -2147483648, 0, 0]);
  throwsCode(() => symbolsOf(codec, [2147483648]), "OUT_OF_RANGE");
  throwsCode(() => symbolsOf(codec, [-2147483904]), "OUT_OF_RANGE");
  throwsCode(() => symbolsOf(codec, [3.4e38]), "OUT_OF_RANGE");
});

both("symbols equal the reference's: means, steps, every length up to 70", (codec) => {
  const rng = random(5);
  for (let n = 0; n <= 70; n++) {
    for (const step of [1, 0.5, 0.3, 1.7, 64]) {
      for (const withMeans of [false, true]) {
        const y = awkwardFloats(rng, n, 3000);
        const means = Float32Array.from(y, () => (rng.unit() - 0.5) * 20);
        const options = withMeans ? { means, step } : { step };
        const meanOf = withMeans ? (i: number) => means[i] : undefined;
        assert.equal(
          codec.quantize(float(y), bare(codec, n, options)).data,
          quantize(y, meanOf, step),
          `${n} values, step ${step}`,
        );
      }
    }
  }
});

both("symbols equal the reference's at every magnitude, alone among small ones and in company", (codec) => {
  const rng = random(15);
  for (let power = 18; power <= 30; power++) {
    for (const n of [16, 33, 64, 129]) {
      const small = awkwardFloats(rng, n, 40);
      const large = awkwardFloats(rng, n, 2 ** power);
      const mixed = small.slice();
      const at = rng(n);
      mixed[at] = large[at];
      // The float32 numbers on each side of a power of two, where a kernel may change its arithmetic.
      const edge = 2 ** power;
      large.set([edge, -edge, edge - 0.5, 0.5 - edge, edge * (1 - 2 ** -24), edge * (1 + 2 ** -23), -0], rng(n - 7));
      const means = Float32Array.from(small, () => (rng.unit() - 0.5) * 20);
      for (const y of [large, mixed]) {
        assert.equal(codec.quantize(float(y), bare(codec, n)).data, quantize(y));
        assert.equal(codec.quantize(float(y), bare(codec, n, { step: 0.75 })).data, quantize(y, undefined, 0.75));
        assert.equal(
          codec.quantize(float(y), bare(codec, n, { means })).data,
          quantize(y, (k) => means[k]),
        );
      }
    }
  }
});

both("medians of a factorized prior are subtracted and added back", (codec) => {
  const rng = random(6);
  for (const [batch, rows, run] of [
    [1, 1, 1],
    [2, 5, 7],
    [1, 48, 33],
    [3, 4, 64],
    [2, 9, 1],
  ]) {
    const table = makeTable(rng, { rows, entries: 30, flavour: "peaked", medians: true });
    const medians = tableFromJson(table).medians as Float32Array;
    const medianOf = (i: number) => medians[Math.floor(i / run) % rows];
    const dims = [batch, rows, run];
    const y = awkwardFloats(rng, batch * rows * run, 40);
    for (const step of [1, 0.7]) {
      const prior = codec.factorized(table, { step });
      const symbols = codec.quantize(float(y, dims), prior);
      assert.equal(symbols, { type: "int32", dims, data: quantize(y, medianOf, step), location: "cpu" });
      const restored = codec.dequantize(symbols, prior);
      assert.equal(restored, {
        type: "float32",
        dims,
        data: dequantize(symbols.data, medianOf, step),
        location: "cpu",
      });
      const packet = codec.encode(float(y, dims), prior);
      assert.equal(codec.decode(packet, prior), restored, "decode dequantizes likewise");
      assert.equal(packet, codec.encode(symbols, prior), "encode quantizes likewise");
    }
  }
});

both("means may be a tensor, and integers are taken as symbols", (codec) => {
  const rng = random(8);
  const n = 333;
  const means = Float32Array.from({ length: n }, () => rng.unit() * 8 - 4);
  const y = Float32Array.from(means, (mean) => mean + rng.unit() * 12 - 6);
  const prior = bare(codec, n, { means: float(means) });
  const symbols = quantize(y, (i) => means[i]);
  const reference = { kind: "rows", table: tableFromJson(plain), index: new Int32Array(n) } as const;
  const expected = encodePacket([{ prior: reference, dims: [n], symbols }], { form: "compact", check: 0 });
  const options = { header: "none", lanes: 1 } as const;
  assert.equal(codec.encode(float(y), prior, options), expected);
  for (const [type, Kind] of [
    ["int32", Int32Array],
    ["int16", Int16Array],
    ["int8", Int8Array],
  ] as const) {
    assert.equal(codec.encode({ type, dims: [n], data: Kind.from(symbols) }, prior, options), expected, type);
  }
});

both("dequantized values equal the reference's, large symbols too", (codec) => {
  const rng = random(9);
  for (let n = 0; n <= 40; n++) {
    const symbols = Int32Array.from({ length: n }, () =>
      rng(3) === 0 ? Math.floor((rng.unit() - 0.5) * 2 ** 32) : rng(200) - 100,
    );
    const means = Float32Array.from({ length: n }, () => rng.unit() * 8 - 4);
    for (const step of [1, 0.1, 3]) {
      const latent = { type: "int32", dims: [n], data: symbols };
      assert.equal(codec.dequantize(latent, bare(codec, n, { step })).data, dequantize(symbols, undefined, step));
      assert.equal(
        codec.dequantize(latent, bare(codec, n, { means, step })).data,
        dequantize(symbols, (i) => means[i], step),
      );
    }
  }
});

for (const [type, Kind, low, high] of [
  ["int8", Int8Array, -128, 127],
  ["int16", Int16Array, -32768, 32767],
] as const) {
  both(`${type} output holds its range and reports what does not fit`, (codec) => {
    const rng = random(10);
    for (const n of [1, 5, 15, 16, 17, 31, 32, 33, 64, 100]) {
      const y = Float32Array.from({ length: n }, () => low + rng(high - low + 1) + rng.unit() * 0.8 - 0.4);
      y[0] = low - 0.5;
      y[n - 1] = n > 1 ? high + 0.25 : low - 0.5;
      const prior = bare(codec, n);
      const symbols = codec.quantize(float(y), prior, { type });
      assert.equal(symbols, { type, dims: [n], data: Kind.from(quantize(y)), location: "cpu" });
      const packet = codec.encode(float(y), prior);
      assert.equal(codec.decode(packet, prior, { type }).data, symbols.data);
      for (const [at, value] of [
        [0, high + 1],
        [n - 1, low - 1],
      ]) {
        const outside = y.slice();
        outside[at] = value;
        const place = new RegExp(`\\b${at}\\b`);
        throwsCode(() => codec.quantize(float(outside), prior, { type }), "OUT_OF_RANGE", place);
        const wide = codec.encode(float(outside), prior);
        throwsCode(() => codec.decode(wide, prior, { type }), "OUT_OF_RANGE");
        assert.is(codec.decode(wide, prior, { type: "int32" }).data[at], value, "a wider type still decodes it");
      }
    }
  });
}

both("NaN and infinities are reported with their position, wherever they stand", (codec) => {
  const rng = random(12);
  for (const n of [1, 4, 7, 16, 33, 70]) {
    for (let at = 0; at < n; at++) {
      const y = Float32Array.from({ length: n }, () => rng.unit() * 10 - 5);
      y[at] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][rng(3)];
      for (const call of [
        () => codec.quantize(float(y), bare(codec, n)),
        () => codec.encode(float(y), bare(codec, n)),
      ]) {
        throwsCode(call, "NON_FINITE", new RegExp(`\\b${at}\\b`));
      }
    }
  }
});

both("NaN is not silently coded where medians, means or a step are in play", (codec) => {
  const table = makeTable(random(13), { rows: 3, entries: 9, flavour: "peaked", medians: true });
  const y = new Float32Array(3 * 50);
  y[101] = Number.NaN;
  const prior = codec.factorized(table, { step: 0.5 });
  throwsCode(() => codec.encode(float(y, [1, 3, 50]), prior), "NON_FINITE", /\b101\b/);
  const badMeans = new Float32Array(20);
  badMeans[7] = Number.NaN;
  // Where the NaN is found, when the prior is made or when it is used, is not promised; that it is found is.
  assert.throws(
    () => codec.encode(float(new Float32Array(20)), bare(codec, 20, { means: badMeans })),
    (error: unknown) => error instanceof CodecError && error.code === "NON_FINITE",
  );
});

both("longer than a chunk: every element type, and positions in errors are those of the tensor", (codec) => {
  const rng = random(12);
  const n = 150_001;
  const sigmas = Float32Array.from({ length: n }, () => Math.fround(0.05 + 4 * rng.unit() ** 4));
  const means = Float32Array.from({ length: n }, () => Math.fround(rng.unit() * 6 - 3));
  const symbols = Int8Array.from(sigmas, (sigma) => Math.round((rng.unit() + rng.unit() - 1) * 2 * sigma));
  const y = Float32Array.from(symbols, (symbol, i) => Math.fround(symbol + means[i]) + (rng.unit() - 0.5) * 0.9);
  const prior = codec.gaussian(sigmas, { means });
  const latent = { type: "float32", dims: [n], data: y };
  const packet = codec.encode(latent, prior);
  for (const [type, Kind] of Object.entries({ int8: Int8Array, int16: Int16Array, int32: Int32Array })) {
    sameNumbers(codec.encode({ type, dims: [n], data: Kind.from(symbols) }, prior), packet, `${type} in`);
    sameNumbers(codec.decode(packet, prior, { type: type as "int8" }).data, symbols, `${type} out`);
  }
  sameNumbers(
    codec.decode(packet, prior).data,
    dequantize(symbols, (i) => means[i]),
  );
  const hurt = (array: Float32Array, at: number) => Object.assign(array.slice(), { [at]: Number.NaN });
  const fails = (data: Float32Array, own: Prior, place: RegExp) =>
    throwsCode(() => codec.encode({ ...latent, data }, own), "NON_FINITE", place);
  fails(hurt(y, 70_007), prior, /\b70007\b/);
  fails(y, codec.gaussian(hurt(sigmas, 70_007)), /\b70007\b/);
  fails(y, codec.gaussian(sigmas, { means: hurt(means, 3) }), /\b3\b/);
  const wide = Object.assign(Int32Array.from(symbols), { 140000: 300 });
  const widePacket = codec.encode({ type: "int32", dims: [n], data: wide }, prior);
  throwsCode(() => codec.decode(widePacket, prior, { type: "int8" }), "OUT_OF_RANGE", /140000 is 300/);
  sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, symbols, "and the codec goes on");
});

both("out arrays take the result", (codec) => {
  const y = [1.2, -3.7, 0.5, 2.5];
  const prior = bare(codec, 4);
  const out = new Int32Array(6).fill(99);
  const symbols = codec.quantize(float(y), prior, { out });
  assert.is(symbols.data.buffer, out.buffer);
  assert.equal([...out], [1, -4, 0, 2, 99, 99]);
  assert.is(symbols.data.length, 4);
  const floats = new Float32Array(5).fill(-1);
  const restored = codec.dequantize(symbols, prior, { out: floats });
  assert.is(restored.data.buffer, floats.buffer);
  assert.equal([...floats], [1, -4, 0, 2, -1]);
  throwsMistake(() => codec.quantize(float(y), prior, { out: new Int32Array(3) }), RangeError, "out");
  throwsMistake(() => codec.dequantize(symbols, prior, { out: new Float32Array(3) }), RangeError, "out");
});

both("a step that is none is refused", (codec) => {
  for (const step of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    throwsMistake(() => bare(codec, 1, { step }), RangeError, "step");
    throwsMistake(() => codec.factorized(plain, { step }), RangeError, "step");
  }
});

both("a type that is none is refused", (codec) => {
  const latent = { type: "string", dims: [1], data: ["a"] };
  throwsMistake(() => codec.quantize(latent, bare(codec, 1)), TypeError, "type");
  const quantizeTo = (type: LatentType) => codec.quantize(float([1]), bare(codec, 1), { type: type as "int8" });
  throwsMistake(() => quantizeTo("uint8" as LatentType), TypeError, "type");
});

test.run();

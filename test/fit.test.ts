// Tables fitted to samples: what the rows are worth, and that nothing about them is left to chance.
import { create } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fit } from "../tables/fit.js";
import { Counter, chooseRecipe, fitRow, type Histogram, merged, rowBits } from "../tables/fit-rows.js";
import { forRuns, mediansOf, sampleSet, splitSamples } from "../tables/fit-samples.js";
import { inMemory } from "../tables/layout.js";
import { type Random, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";

const codec = await create();

const normal = (rng: Random) => Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
const laplace = (rng: Random) => -Math.log(1 - rng.unit()) * (rng(2) === 0 ? 1 : -1);

/** [1, scales.length, 12, 12] latents, channel c with mean c and its own scale. */
function latents(count: number, scales: readonly number[], draw: (rng: Random) => number, seed = 1) {
  const rng = random(seed);
  return Array.from({ length: count }, (_, i) => {
    const data = Float32Array.from(
      { length: scales.length * 144 },
      (_, k) => Math.floor(k / 144) + scales[Math.floor(k / 144)] * draw(rng),
    );
    return { name: `${i}`, data, latent: inMemory("float32", [1, scales.length, 12, 12], data) };
  });
}

function histogram(parts: readonly Int32Array[]): Histogram {
  const counter = new Counter();
  for (const part of parts) counter.add(part, 0, part.length);
  return counter.histogram();
}

test("arrays become samples: batches are split, CHW is one, an axis leaves them whole", () => {
  const array = (...dims: number[]) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i);
    return { name: "a", latent: inMemory("float32", dims, data) };
  };
  const batch = sampleSet([array(3, 2, 2, 2)], undefined);
  assert.equal(
    batch.samples.map((sample) => [sample.dims, sample.read()[0], sample.elements]),
    [
      [[1, 2, 2, 2], 0, 8],
      [[1, 2, 2, 2], 8, 8],
      [[1, 2, 2, 2], 16, 8],
    ],
  );
  assert.is(batch.axis, 1);
  assert.equal(sampleSet([array(2, 4, 4)], undefined).samples[0].dims, [1, 2, 4, 4]);
  assert.equal(sampleSet([array(2, 4, 3)], 2).samples[0].dims, [2, 4, 3]);
  assert.is(sampleSet([array(2, 4, 3)], 2).channels, 3);
  assert.equal(
    sampleSet([array(5, 7)], undefined).samples.map(({ dims }) => dims),
    new Array(5).fill([1, 7]),
  );
  throwsCode(() => sampleSet([array(1, 2, 2, 2), array(1, 3, 2, 2)], undefined), "SHAPE_MISMATCH");
  throwsCode(() => sampleSet([array(2, 2)], 5), "SHAPE_MISMATCH");
  throwsCode(() => sampleSet([array(0, 2, 2, 2)], undefined), "NO_TABLES");
  const visited: number[][] = [];
  forRuns([2, 3, 2], 1, (...call) => visited.push(call));
  assert.equal(visited, [
    [0, 0, 2],
    [1, 2, 4],
    [2, 4, 6],
    [0, 6, 8],
    [1, 8, 10],
    [2, 10, 12],
  ]);
});

test("every fifth sample is held out, or the last of a few", () => {
  const samples = (n: number) =>
    Array.from({ length: n }, (_, i) => ({
      name: `${i}`,
      dims: [1],
      elements: 1,
      read: () => new Float32Array(1),
    }));
  for (const [count, held] of [
    [1, 0],
    [2, 1],
    [4, 1],
    [5, 1],
    [11, 2],
  ]) {
    const split = splitSamples(samples(count));
    assert.is(split.held.length, held);
    assert.is(split.used.length, count - held);
    assert.ok(split.held.every((sample) => !split.used.includes(sample)));
  }
});

test("a histogram counts, and histograms add up", () => {
  const one = histogram([Int32Array.of(3, -1, 3), Int32Array.of(0)]);
  assert.equal([one.low, [...one.counts], one.total], [-1, [1, 1, 0, 0, 2], 4]);
  const far = histogram([Int32Array.of(2 ** 31 - 1, 5)]);
  assert.equal([far.low, [...far.counts], far.total], [5, [1], 2]);
  const both = merged([one, far]);
  assert.equal([both.low, [...both.counts], both.total], [-1, [1, 1, 0, 0, 2, 0, 1], 6]);
  assert.is(histogram([]).total, 0);
  // In pieces that reach further and further out, on both sides.
  const rng = random(3);
  const symbols = Int32Array.from({ length: 20_000 }, (_, i) => Math.round(laplace(rng) * 1.001 ** i));
  const counter = new Counter();
  for (let at = 0; at < symbols.length; at += 37) counter.add(symbols, at, Math.min(at + 37, symbols.length));
  const { low, counts, total } = counter.histogram();
  const near = symbols.filter((symbol) => Math.abs(symbol) <= 32768);
  const expected = new Float64Array(Math.max(...near) - Math.min(...near) + 1);
  for (const symbol of near) expected[symbol - low] += 1;
  assert.equal([low, total], [Math.min(...near), symbols.length]);
  assert.equal(counts, expected);
});

test("medians are those of sorting, for zeros of both signs and for extremes, too", () => {
  const rng = random(12);
  const kinds: (() => number)[] = [
    () => normal(rng),
    () => 1e-40 * rng(3) - 1e-40,
    () => [0, -0][rng(2)],
    () => [-3e38, 3e38, 1e-45, -1e-45, 0][rng(5)],
    () => rng(3) - 1,
  ];
  for (const [count, size] of [
    [1, 1],
    [3, 7],
    [8, 100],
  ]) {
    const samples = Array.from({ length: count }, (_, i) => {
      const data = Float32Array.from({ length: kinds.length * size }, (_, k) => kinds[Math.floor(k / size)]());
      return { name: `${i}`, latent: inMemory("float32", [1, kinds.length, size], data), data };
    });
    const set = sampleSet(samples, 1);
    const expected = kinds.map((_, c) => {
      const all = samples.flatMap(({ data }) => [...data.subarray(c * size, (c + 1) * size)]);
      return Float32Array.from(all).sort()[(all.length - 1) >> 1] + 0;
    });
    const found = [...mediansOf(set, set.samples)];
    assert.ok(
      expected.every((median, c) => Object.is(median, found[c])),
      `${found}, not ${expected}`,
    );
  }
});

test("a row is a distribution, whatever was counted", () => {
  const counted: Histogram[] = [
    histogram([]),
    histogram([new Int32Array(100)]),
    histogram([Int32Array.of(-30000, 30000)]),
    histogram([Int32Array.from({ length: 70_000 }, (_, i) => i - 35_000)]),
    histogram([Int32Array.of(2 ** 31 - 1)]),
  ];
  for (const one of counted)
    for (const kind of ["laplace", "gaussian", "logistic"] as const)
      for (const weight of [1, 64, Number.POSITIVE_INFINITY]) {
        const { offset, pmf } = fitRow(one, { kind, weight });
        assert.ok(Number.isInteger(offset) && pmf.length >= 2 && pmf.length <= 4097);
        const sum = pmf.reduce((a, b) => a + b, 0);
        assert.ok(Math.abs(sum - 1) < 1e-3 && pmf.every((p) => p > 0), `${kind} ${weight}: ${sum}`);
        codec.quantizedCdf(pmf);
      }
});

test("the recipe suits the data: the curve where there is little, the histogram where there is much", () => {
  const rng = random(5);
  const parts = (draw: () => number, count: number) =>
    Array.from({ length: 5 }, () => histogram([Int32Array.from({ length: count }, () => Math.round(draw()))]));
  assert.is(chooseRecipe(parts(() => 9 * laplace(rng), 400)).kind, "laplace");
  assert.is(chooseRecipe(parts(() => 9 * normal(rng), 400)).kind, "gaussian");
  // Two humps, which no curve has.
  const humps = chooseRecipe(parts(() => (rng(2) === 0 ? 20 : -20) + normal(rng), 4000));
  assert.ok(humps.weight <= 64, `${humps.weight}`);
  assert.ok(chooseRecipe(parts(() => 40 * laplace(rng), 20)).weight >= 64);
});

test("what a row is said to cost is what the codec's rows cost", () => {
  const rng = random(8);
  const symbols = Int32Array.from({ length: 5000 }, () => Math.round(4 * laplace(rng)));
  const row = fitRow(histogram([symbols]), { kind: "laplace", weight: 8 });
  const table = codec.table({ offsets: [row.offset], cdfs: [Array.from(codec.quantizedCdf(row.pmf))] });
  const latent = { type: "int32", dims: [1, 1, 5000], data: symbols };
  const { bits } = codec.rate(latent, codec.factorized(table));
  assert.ok(Math.abs(bits / rowBits(row, histogram([symbols])) - 1) < 0.005);
});

test("fitted tables come within a few percent of the data's own entropy, on samples they have not seen", () => {
  const scales = [0.3, 1, 4, 16];
  // Entropy of a fine-grained Laplace variable: log2(2 e b) bits; coarse ones by their own probabilities.
  const entropy = scales.map((b) => {
    let bits = 0;
    for (let k = -400; k <= 400; k++) {
      const below = (x: number) => (x < 0 ? Math.exp(x / b) / 2 : 1 - Math.exp(-x / b) / 2);
      const p = below(k + 0.5) - below(k - 0.5);
      if (p > 1e-15) bits -= p * Math.log2(p);
    }
    return bits;
  });
  const ideal = (entropy.reduce((a, b) => a + b, 0) * 144) / 8;
  const result = fit(codec, sampleSet(latents(25, scales, laplace), undefined));
  assert.is(result.held!.samples, 5);
  const over = result.held!.idealBytes / ideal - 1;
  assert.ok(over > -0.05 && over < 0.05, `${over}`);
  assert.ok(result.held!.packetBytes < result.held!.idealBytes + 20);
  assert.ok(result.held!.idealBytes <= 1.01 * Math.min(...Object.values(result.held!.others)));
  // The step is 1, so the squared error is that of rounding: 1/12 for the wide channels.
  assert.ok(result.held!.mse > 0.04 && result.held!.mse < 0.084, `${result.held!.mse}`);
});

test("a wanted rate that only medians could meet is refused, with what can be had", () => {
  // As behind a ReLU6: zeros, and values near 6 where the activation was clipped.
  const clipped = latents(20, [1, 2, 3], normal, 12).map(({ name, latent }) => {
    const data = Float32Array.from(
      latent.read(
        0,
        latent.dims.reduce((a, b) => a * b),
      ) as Float32Array,
      (value) => (value > 1 ? 6 : 0),
    );
    return { name, latent: { ...latent, read: (from: number, to: number) => data.subarray(from, to) } };
  });
  const set = sampleSet(clipped, undefined);
  assert.throws(
    () => fit(codec, set, { targetBytes: 20 }),
    /targetBytes 20 is out of reach: packets that small hold nothing but medians \(step \S+\)\. Step 1?\d\.?\d* leaves something and takes \d+ bytes/,
  );
  assert.ok(fit(codec, set, { step: 5 }).kept > 0.9);
  assert.ok(fit(codec, set, { step: 13 }).kept < 0.05);
});

test("the step for a wanted rate", () => {
  const set = sampleSet(latents(20, [1, 2, 3], normal, 4), undefined);
  for (const targetBytes of [60, 150, 400]) {
    const { held, step } = fit(codec, set, { targetBytes });
    assert.is(step, Math.fround(step));
    assert.ok(Math.abs(held!.packetBytes / targetBytes - 1) < 0.06, `${held!.packetBytes} for ${targetBytes}`);
  }
  throwsMistake(() => fit(codec, set, { targetBytes: 3 }), RangeError, "targetBytes");
  throwsMistake(() => fit(codec, set, { targetBytes: 1e9 }), RangeError, "targetBytes");
});

test("the same samples give the same table and the same report", () => {
  const set = sampleSet(latents(12, [0.5, 3], laplace, 9), undefined);
  const [one, two] = [fit(codec, set, { step: 0.5 }), fit(codec, set, { step: 0.5 })];
  assert.is(one.table.fingerprint, two.table.fingerprint);
  assert.equal(one.held, two.held);
});

test("odd latents: one sample, constants, zeros, a value far away, NaN", () => {
  const single = fit(codec, sampleSet(latents(1, [1, 2], normal), undefined));
  assert.is(single.held, undefined);
  const constant = latents(6, [0, 0], normal);
  constant[2].data[7] = 1e6;
  const { table, held } = fit(codec, sampleSet(constant, undefined));
  // Channel c is c throughout, and its median is a value that occurs.
  assert.equal(table.medians, Float32Array.of(0, 1));
  assert.is(held!.mse, 0);
  assert.ok(held!.packetBytes < 40, `${held!.packetBytes}`);
  const broken = latents(3, [1], normal);
  broken[0].data[3] = Number.NaN;
  throwsCode(() => fit(codec, sampleSet(broken, undefined)), "NON_FINITE");
});

test("integers are symbols: no median is subtracted, no step divides them", () => {
  const rng = random(8);
  const dims = [20, 2, 6, 6];
  const data = Int8Array.from({ length: 20 * 72 }, () => 7 + rng(5) - rng(5));
  const symbols = { type: "int8" as const, dims, read: (from: number, to: number) => data.subarray(from, to) };
  const set = sampleSet([{ name: "symbols", latent: symbols }], undefined);
  const { table } = fit(codec, set);
  assert.is(table.medians, undefined);
  const { bits, escapes } = codec.rate({ type: "int8", dims, data }, codec.factorized(table));
  assert.ok(escapes < 20 && bits < 3.5 * data.length, `${bits} bits, ${escapes} escapes`);
  throwsMistake(() => fit(codec, set, { step: 2 }), RangeError, "step");
});

test.run();

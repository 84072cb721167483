// The ideal code length: the reference's sum over entries, in total and per channel, and what packets cost beyond it.
import type { Codec } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, builds } from "./builds.js";
import {
  anySample,
  factorizedSample,
  featureMap,
  hyperprior,
  indexedSample,
  makeTable,
  mixtureSample,
  peakedCdf,
  random,
  type Sample,
} from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { type Coding, entryOf } from "./reference.js";

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

interface Expected {
  bits: number;
  escapes: number;
}

function add(sum: Expected, { rows, index }: Pick<Coding, "rows" | "index">, symbol: number, i: number): void {
  const { freq, raw } = entryOf(rows[index[i]], symbol);
  sum.bits += 16 - Math.log2(freq);
  if (raw === undefined) return;
  sum.bits += 8 * varintBytes(raw);
  sum.escapes++;
}

function expectedRate(coding: Pick<Coding, "rows" | "index">, symbols: ArrayLike<number>): Expected {
  const sum = { bits: 0, escapes: 0 };
  for (let i = 0; i < symbols.length; i++) add(sum, coding, symbols[i], i);
  return sum;
}

/** Sums of logarithms in another order and from another library. */
function near(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * expected + 1e-6, `${what}: ${actual}, not ${expected}`);
}

const rng = random(404);
const samples: Record<string, Sample> = {
  nothing: indexedSample(rng, makeTable(rng, { rows: 3, entries: 9, flavour: "random" }), [0]),
  "a feature map": featureMap(1),
  "a hyperprior": hyperprior(2, 30_000),
  "escapes everywhere": featureMap(3, 24, 20, 0.3),
  "extreme rows": indexedSample(rng, makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" }), [9000], {
    escapeRate: 0.02,
  }),
};

for (const [what, sample] of Object.entries(samples))
  both(`bits and escapes, and a packet that costs that and a little: ${what}`, (codec) => {
    const prior = sample.prior(codec);
    const { bits, escapes, symbols, channels } = codec.rate(sample.latent, prior);
    const expected = expectedRate(sample.coding, sample.symbols);
    assert.equal([symbols, escapes, channels], [sample.symbols.length, expected.escapes, undefined]);
    near(bits, expected.bits, "bits");
    const { length } = codec.encode(sample.latent, prior, { lanes: 1, header: "none" });
    assert.ok(length >= bits / 8 - 1 && length <= (bits / 8) * 1.0001 + 10, `${length} bytes, ${bits / 8} ideally`);
  });

both("parts of every kind", (codec) => {
  for (let round = 0; round < 60; round++) {
    const part = anySample(rng, rng(1200), [0, 0.01, 1][round % 3]);
    const { bits, escapes } = codec.rate(part.latent, part.prior(codec));
    const expected = expectedRate(part.coding, part.symbols);
    assert.is(escapes, expected.escapes, part.name);
    near(bits, expected.bits, part.name);
  }
});

both("along each dimension", (codec) => {
  const table = makeTable(rng, { rows: 6, entries: 30, flavour: "random" });
  const dims = [2, 6, 5, 9];
  const sample = factorizedSample(rng, table, dims, 1, { escapeRate: 0.05 });
  const prior = sample.prior(codec);
  const total = expectedRate(sample.coding, sample.symbols);
  for (let axis = 0; axis < 4; axis++) {
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const sums: Expected[] = Array.from({ length: dims[axis] }, () => ({ bits: 0, escapes: 0 }));
    sample.symbols.forEach((symbol, i) => {
      add(sums[Math.floor(i / inner) % dims[axis]], sample.coding, symbol, i);
    });
    const { channels, bits } = codec.rate(sample.latent, prior, { axis });
    assert.ok(channels);
    near(bits, total.bits, "total");
    assert.equal(
      [...channels.escapes],
      sums.map(({ escapes }) => escapes),
    );
    sums.forEach((sum, c) => {
      near(channels.bits[c], sum.bits, `channel ${c} of axis ${axis}`);
    });
  }
  for (const axis of [4, -1]) throwsMistake(() => codec.rate(sample.latent, prior, { axis }), RangeError, "axis");
});

both("float32 latents count as they would be quantized", (codec) => {
  const part = mixtureSample(rng, [500], { float: true });
  const whole = { ...part.latent, type: "int32", data: part.symbols };
  const prior = part.prior(codec);
  assert.equal(codec.rate(part.latent, prior), codec.rate(whole, prior));
});

both("a table that does not fit is said so, one that fits is not", (codec) => {
  const table = { offsets: [-4], cdfs: [peakedCdf(10, 0.5)] };
  const zeros = new Uint16Array(2000);
  const latentOf = (of: (i: number) => number) => ({
    type: "int32",
    dims: [2000],
    data: Int32Array.from({ length: 2000 }, (_, i) => of(i)),
  });
  const warningOf = (of: (i: number) => number) => codec.rate(latentOf(of), codec.indexed(table, zeros)).warning;
  const geometric = random(3);
  const fitting = () => {
    let k = 0;
    while (geometric.unit() < 1 / 3 && k < 4) k++;
    return geometric(2) ? k : -k;
  };
  assert.is(warningOf(fitting), undefined);
  // Most of it outside the row.
  const far = warningOf((i) => 100 + i);
  assert.type(far, "string");
  const zero = latentOf(() => 0);
  assert.is(codec.rate(zero, codec.indexed(table, zeros)).escapes, 0);
});

both("what rate refuses", (codec) => {
  const bad = { type: "float32", dims: [2], data: Float32Array.of(0, Number.NaN) };
  throwsCode(() => codec.rate(bad, codec.gaussian(Float32Array.of(1, 1))), "NON_FINITE");
  throwsCode(() => codec.rate(bad, codec.gaussian(Float32Array.of(1))), "SHAPE_MISMATCH");
});

test("both builds say the same, bit for bit", () => {
  const rate = (codec: Codec, sample: Sample) => codec.rate(sample.latent, sample.prior(codec), { axis: 0 });
  for (const sample of Object.values(samples)) {
    const [first, second] = builds.map(({ codec }) => rate(codec, sample));
    assert.equal(first, second);
  }
});

test.run();

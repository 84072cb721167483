// Tables that the package computes: Gaussian rows and the factorized prior's.
import type { Codec, FactorizedParameters, TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { builds } from "./builds.js";
import { type Random, random } from "./cases.js";
import { throwsMistake } from "./expect.js";
import { factorizedRows, gaussianRow } from "./formulas.js";
import { partFingerprint, tableFromJson } from "./reference.js";

const [{ codec }] = builds;

function randomParameters(rng: Random, channels: number, filters: readonly number[]): FactorizedParameters {
  const sizes = [1, ...filters, 1];
  const draw = (count: number, scale: number) => Float32Array.from({ length: count }, () => (rng.unit() - 0.5) * scale);
  const layers = sizes.slice(1).map((outputs, i) => ({ outputs, inputs: sizes[i] }));
  const quantiles = Array.from({ length: channels }, () => rng.unit() * 2 - 1).flatMap((median) => [
    median - 0.2 - rng.unit() * 12,
    median,
    median + 0.2 + rng.unit() * 12,
  ]);
  return {
    matrices: layers.map(({ outputs, inputs }) => draw(channels * outputs * inputs, 2)),
    biases: layers.map(({ outputs }) => draw(channels * outputs, 1)),
    factors: layers.slice(0, -1).map(({ outputs }) => draw(channels * outputs, 1.5)),
    quantiles: Float32Array.from(quantiles),
  };
}

/**
 * How far two quantizations of one density may lie apart. Both are of float32 probabilities; where two doubles in the 16th
 * digit apart fall on two sides of a float32 tie and that on two sides of a half, one frequency differs. That has odds of about
 * 1e-9 an entry, so equality is what this asks for.
 */
function sameRows(actual: TableJson, expected: TableJson): void {
  assert.equal(actual.offsets, expected.offsets);
  assert.is(actual.cdfs.length, expected.cdfs.length);
  for (const [r, cdf] of actual.cdfs.entries()) assert.equal(cdf, expected.cdfs[r], `row ${r}`);
}

const gaussianScales = Float32Array.from([0.01, 0.05, 0.11, 0.2, 0.5, 1, 1.5, 3, 10, 31.7, 100, 256, 700]);

test("Gaussian rows equal an independent computation", () => {
  const rows = Array.from(gaussianScales, gaussianRow);
  const expected = { offsets: rows.map((row) => row.offset), cdfs: rows.map((row) => row.cdf) };
  sameRows(codec.gaussianTable(gaussianScales).toJSON(), expected);
});

test("the stock scales are torch's, bit for bit", () => {
  const bits = [
    0x3de147ae, 0x3dfec793, 0x3e101230, 0x3e22efc7, 0x3e3845c8, 0x3e506704, 0x3e6bb124, 0x3e85470a, 0x3e96bacd,
    0x3eaa779a, 0x3ec0ca0e, 0x3eda08ca, 0x3ef695cc, 0x3f0b6ff2, 0x3f1db234, 0x3f325889, 0x3f49b318, 0x3f641c86,
    0x3f80fdab, 0x3f91e1bd, 0x3fa4fc07, 0x3fba96af, 0x3fd3058f, 0x3feea77c, 0x4006f3dc, 0x40189fc7, 0x402c9c16,
    0x4043365c, 0x405cc651, 0x4079af2f, 0x408d3097, 0x409fad98, 0x40b4965b, 0x40cc3c0e, 0x40e6fa78, 0x41029cb1,
    0x4113b71b, 0x41270edd, 0x413cef07, 0x4155ac83, 0x4171a758, 0x4188a610, 0x419a8ad8, 0x41aec774, 0x41c5aa71,
    0x41df8ca9, 0x41fcd28b, 0x420ef6dd, 0x4221af59, 0x4236db65, 0x424ecd30, 0x4269e1a0, 0x428440f0, 0x42959263,
    0x42a9285d, 0x42bf4eec, 0x42d85c06, 0x42f4b0de, 0x430a5dbd, 0x431c7c18, 0x4330f9ce, 0x43482672, 0x43625beb,
    0x43800000,
  ];
  assert.equal([...new Uint32Array(stockScales.buffer)], bits);
});

test("the stock Gaussian table has CompressAI's shape and is what gaussianTable builds", () => {
  const stock = codec.gaussian(new Float32Array(1)).table;
  const json = stock.toJSON();
  const lengths = json.cdfs.map(({ length }) => length);
  assert.equal([lengths.length, lengths[63], lengths.reduce((a, b) => a + b, 0)], [64, 3133, 27256]);
  assert.is(codec.gaussianTable().fingerprint, stock.fingerprint);
});

test("the factorized prior's rows equal an independent computation", () => {
  const rng = random(77);
  for (const filters of [[3, 3, 3, 3], [3, 3, 3], [], [1], [5, 2]]) {
    for (const channels of [1, 3, 20]) {
      const parameters = randomParameters(rng, channels, filters);
      const table = codec.factorizedTable(parameters).toJSON();
      const expected = factorizedRows(parameters);
      sameRows(table, expected);
      assert.equal(table.medians, expected.medians);
    }
  }
});

test("both builds compute identical tables, another for each density", () => {
  const rng = random(78);
  const parameters = Array.from({ length: 10 }, () => randomParameters(rng, 1 + rng(40), [3, 3, 3]));
  const scales = Float32Array.from({ length: 300 }, (_, j) => 0.02 * 1.03 ** j);
  const identities = (codec: Codec) => [
    ...[codec.gaussianTable(), codec.gaussianTable(scales), codec.laplaceTable(), codec.logisticTable()],
    ...parameters.map((p) => codec.factorizedTable(p)),
  ];
  const [first, second] = builds.map(({ codec }) => identities(codec).map(({ fingerprint }) => fingerprint));
  assert.equal(first, second);
  assert.is(new Set(first).size, first.length);
});

test("a built table codes", () => {
  const table = codec.factorizedTable(randomParameters(random(79), 6, [3, 3]));
  const prior = codec.factorized(table);
  const y = Float32Array.from({ length: 6 * 100 }, (_, i) => Math.sin(i) * 5);
  const packet = codec.encode({ type: "float32", dims: [1, 6, 10, 10], data: y }, prior);
  const reference = { kind: "channels", table: tableFromJson(table.toJSON()), axis: 1 } as const;
  assert.is(codec.inspect(packet).fingerprint, partFingerprint(reference).toString(16).padStart(8, "0"));
  const restored = codec.decode(packet, prior);
  assert.ok(restored.data.every((value, i) => Math.abs(value - y[i]) <= 0.5000001));
});

test("parameters that do not fit each other are refused", () => {
  const parameters = randomParameters(random(80), 4, [3, 3]);
  const { biases, matrices } = parameters;
  for (const [argument, change] of Object.entries({
    biases: { biases: biases.slice(1) },
    factor: { factors: [] },
    quantiles: { quantiles: new Float32Array(5) },
    matrices: { matrices: [new Float32Array(1), ...matrices.slice(1)] },
  }))
    throwsMistake(() => codec.factorizedTable({ ...parameters, ...change }), RangeError, argument);
  throwsMistake(() => codec.gaussianTable(Float32Array.of(1, -1)), RangeError, "scales");
});

test.run();

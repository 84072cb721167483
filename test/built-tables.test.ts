// Tables that the package computes: Gaussian rows and the factorized prior's.
import { type Codec, type FactorizedParameters, inspect, type TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { type Random, random } from "./cases.js";
import { throwsMistake } from "./expect.js";
import { factorizedRows, gaussianRow } from "./formulas.js";

function randomParameters(rng: Random, channels: number, filters: readonly number[]): FactorizedParameters {
  const sizes = [1, ...filters, 1];
  const draw = (count: number, scale: number) => Float32Array.from({ length: count }, () => (rng.unit() - 0.5) * scale);
  const layers = sizes.slice(1).map((outputs, i) => ({ outputs, inputs: sizes[i] }));
  const quantiles = Float32Array.from({ length: channels }, () => rng.unit() * 2 - 1).reduce<number[]>(
    (all, median) => {
      all.push(median - 0.2 - rng.unit() * 12, median, median + 0.2 + rng.unit() * 12);
      return all;
    },
    [],
  );
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
  const [{ codec }] = builds;
  const rows = Array.from(gaussianScales, gaussianRow);
  const expected = { offsets: rows.map((row) => row.offset), cdfs: rows.map((row) => row.cdf) };
  sameRows(codec.gaussianTable(gaussianScales).toJSON(), expected);
});

test("the stock Gaussian table has CompressAI's shape and is what gaussianTable builds", () => {
  const [{ codec }] = builds;
  const stock = codec.gaussian(new Float32Array(1)).table;
  const json = stock.toJSON();
  assert.is(json.cdfs.length, 64);
  assert.is(json.cdfs[63].length, 3133);
  assert.is(
    json.cdfs.reduce((sum, cdf) => sum + cdf.length, 0),
    27256,
  );
  assert.is(codec.gaussianTable().fingerprint, stock.fingerprint);
});

test("the factorized prior's rows equal an independent computation", () => {
  const [{ codec }] = builds;
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

test("both builds compute identical tables", () => {
  const rng = random(78);
  const parameters = Array.from({ length: 10 }, () => randomParameters(rng, 1 + rng(40), [3, 3, 3]));
  const scales = Float32Array.from({ length: 300 }, (_, j) => 0.02 * 1.03 ** j);
  const identities = (codec: Codec) => [
    codec.gaussianTable().fingerprint,
    codec.gaussianTable(scales).fingerprint,
    ...parameters.map((p) => codec.factorizedTable(p).fingerprint),
  ];
  const [first, second] = builds.map(({ codec }) => identities(codec));
  assert.equal(first, second);
});

test("a built table codes", () => {
  const [{ codec }] = builds;
  const prior = codec.factorized(codec.factorizedTable(randomParameters(random(79), 6, [3, 3])));
  const y = Float32Array.from({ length: 6 * 100 }, (_, i) => Math.sin(i) * 5);
  const packet = codec.encode({ type: "float32", dims: [1, 6, 10, 10], data: y }, prior);
  assert.is(inspect(packet).fingerprint, prior.table.fingerprint.slice(8));
  const restored = codec.decode(packet, prior);
  assert.ok(restored.data.every((value, i) => Math.abs(value - y[i]) <= 0.5000001));
});

test("parameters that do not fit each other are refused", () => {
  const [{ codec }] = builds;
  const parameters = randomParameters(random(80), 4, [3, 3]);
  throwsMistake(
    () => codec.factorizedTable({ ...parameters, biases: parameters.biases.slice(1) }),
    RangeError,
    "biases",
  );
  throwsMistake(() => codec.factorizedTable({ ...parameters, factors: [] }), RangeError, "factor");
  throwsMistake(
    () => codec.factorizedTable({ ...parameters, quantiles: new Float32Array(5) }),
    RangeError,
    "quantiles",
  );
  throwsMistake(
    () => codec.factorizedTable({ ...parameters, matrices: [new Float32Array(1), ...parameters.matrices.slice(1)] }),
    RangeError,
    "matrices",
  );
  throwsMistake(() => codec.gaussianTable(Float32Array.of(1, -1)), RangeError, "scales");
});

test.run();

// The ideal code length against a sum of logarithms.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { makeTable, random } from "./cases.js";
import { throwsCode } from "./expect.js";

for (const { name, codec } of builds) {
  for (const flavour of ["peaked", "random", "extreme"] as const) {
    test(`${name}: ${flavour} rows, elements of every type, escapes counted`, () => {
      const rng = random(31);
      const table = makeTable(rng, { rows: 12, entries: 30, flavour });
      const n = 5000;
      const rows = Uint16Array.from({ length: n }, () => rng(12));
      const symbols = Int32Array.from(rows, (row) => table.offsets[row] + rng(table.cdfs[row].length + 1) - 1);
      let bits = 0;
      let escapes = 0;
      for (let i = 0; i < n; i++) {
        const cdf = table.cdfs[rows[i]];
        const max = cdf.length - 2;
        const u = symbols[i] - table.offsets[rows[i]];
        const k = u >= 0 && u < max ? u : max;
        if (k === max) escapes++;
        bits -= Math.log2((cdf[k + 1] - cdf[k]) / 65536);
      }
      const prior = codec.indexed(table, rows);
      for (const [type, data] of [
        ["int32", symbols],
        ["float32", Float32Array.from(symbols)],
        ["int16", Int16Array.from(symbols)],
      ] as const) {
        const ideal = codec.idealLength({ type, dims: [n], data }, prior);
        assert.is(ideal.escapes, escapes);
        assert.ok(Math.abs(ideal.bits - bits) < 1e-6 * (1 + bits), `${ideal.bits} instead of ${bits}`);
      }
    });
  }

  test(`${name}: runs, medians, and what cannot be quantized`, () => {
    const table = {
      offsets: [-1, 0],
      cdfs: [
        [0, 16384, 49152, 65535, 65536],
        [0, 32768, 65536],
      ],
      medians: [0.5, -2],
    };
    const prior = codec.factorized(table);
    // Symbols -1 0 | 0 and an escape: 2 + 1 and 1 + 1 bits.
    const latent = { type: "float32", dims: [1, 2, 2], data: Float32Array.of(-0.5, 0.5, -2, 7) };
    assert.equal(codec.idealLength(latent, prior), { bits: 5, escapes: 1 });
    assert.equal(codec.idealLength({ type: "float32", dims: [0, 2], data: new Float32Array(0) }, prior), {
      bits: 0,
      escapes: 0,
    });
    const broken = { ...latent, data: Float32Array.of(0, 0, Number.NaN, 0) };
    assert.match(
      throwsCode(() => codec.idealLength(broken, prior), "NON_FINITE"),
      "[2]",
    );
  });
}

test.run();

// From scales to rows: the gaussian prior's choice, seen through the bytes it leads to.
import type { Codec, TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import { makeTable, type Random, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { encodePacket, tableFromJson } from "./reference.js";

/** CompressAI's scale table: 64 scales from 0.11 to 256, even in the logarithm, as float32. */
const defaultScales = Float32Array.from({ length: 64 }, (_, j) =>
  Math.exp(Math.log(0.11) + (j * (Math.log(256) - Math.log(0.11))) / 63),
);

function neighbour(x: number, by: number): number {
  const bits = new Int32Array(Float32Array.of(x).buffer);
  bits[0] += by;
  return new Float32Array(bits.buffer)[0];
}

/** Each scale of the table, its two float32 neighbours, and everything odd. */
function boundaryScales(table: Float32Array): Float32Array {
  const odd = [0, -0, 1e-45, -1, 3.4e38, Infinity, -Infinity, 0.10999999, 0.11, 255.99, 256, 257];
  return Float32Array.from([...table].flatMap((s) => [neighbour(s, -1), s, neighbour(s, 1)]).concat(odd));
}

function randomScaleTable(rng: Random, rows: number): Float32Array {
  const table = new Float32Array(rows);
  let scale = 0.001 + rng.unit();
  for (let j = 0; j < rows; j++) {
    table[j] = scale;
    scale = neighbour(scale, 1 + rng(rng(2) === 0 ? 3 : 3_000_000));
  }
  return table;
}

/** The reference's compact packet without a check: its bytes follow from the rows. */
function expected(
  json: TableJson,
  scales: Float32Array,
  scaleTable: Float32Array,
  symbols: Int32Array,
  lanes: 1 | 16,
): Uint8Array {
  const prior = { kind: "scales", table: tableFromJson(json), scales, scaleTable } as const;
  return encodePacket([{ prior, dims: [scales.length], symbols }], { form: "compact", check: 0, lanes });
}

const check = (codec: Codec, rng: Random, scaleTable: Float32Array, scales: Float32Array) => {
  const table = makeTable(rng, { rows: scaleTable.length, entries: 12, flavour: "random" });
  const symbols = Int32Array.from(scales, () => rng(9) - 4);
  const prior = codec.gaussian(scales, { table, scaleTable });
  const bytes = codec.encode({ type: "int32", dims: [scales.length], data: symbols }, prior, {
    header: "none",
    lanes: 1,
  });
  assert.equal(bytes, expected(table, scales, scaleTable, symbols, 1));
  assert.equal(codec.decode(bytes, prior, { header: "none", type: "int32", dims: [scales.length] }).data, symbols);
};

both("CompressAI's 64 scales, at and beside every boundary", (codec) => {
  const scales = boundaryScales(defaultScales);
  check(codec, random(1), defaultScales, scales);
  for (let drop = 0; drop < 20; drop++) check(codec, random(drop), defaultScales, scales.subarray(drop));
});

both("without options the 64 default scales and their stock table apply", (codec) => {
  const rng = random(2);
  const scales = Float32Array.from({ length: 5000 }, () => Math.exp(rng.unit() * 9 - 3));
  const symbols = Int32Array.from(scales, (sigma) =>
    Math.round((rng.unit() + rng.unit() + rng.unit() - 1.5) * 2 * sigma),
  );
  const prior = codec.gaussian(scales);
  assert.is(prior.kind, "gaussian");
  assert.is(prior.table.rows, 64);
  const latent = { type: "int32", dims: [5000], data: symbols };
  assert.equal(
    codec.encode(latent, prior, { header: "none", lanes: 16 }),
    expected(prior.table.toJSON(), scales, defaultScales, symbols, 16),
  );
});

both("random scale tables, from one row to 700", (codec) => {
  const rng = random(3);
  // Powers of two and their halves begin the bins of the search (assembly/rows.ts).
  const powers = Float32Array.from({ length: 40 }, (_, j) => 2 ** ((j >> 1) - 10) * (1 + 0.5 * (j & 1)));
  check(codec, rng, powers, boundaryScales(powers));
  for (const rows of [1, 2, 3, 4, 5, 8, 63, 64, 65, 128, 700]) {
    const scaleTable = randomScaleTable(rng, rows);
    const scales = boundaryScales(scaleTable);
    check(codec, rng, scaleTable, scales);
    const near = Float32Array.from({ length: 3000 }, () => scaleTable[rng(rows)] * (0.9 + rng.unit() * 0.2));
    check(codec, rng, scaleTable, near);
  }
});

both("a NaN among the scales is an error that names its position", (codec) => {
  for (const n of [1, 7, 16, 40]) {
    for (let at = 0; at < n; at++) {
      const scales = new Float32Array(n).fill(1);
      scales[at] = Number.NaN;
      const latent = { type: "int32", dims: [n], data: new Int32Array(n) };
      throwsCode(() => codec.encode(latent, codec.gaussian(scales)), "NON_FINITE", new RegExp(`\\b${at}\\b`));
    }
  }
});

both("scale tables that do not ascend or do not fit are refused", (codec) => {
  const table = makeTable(random(5), { rows: 3, entries: 5, flavour: "random" });
  for (const scaleTable of [
    [1, 1, 2],
    [1, Number.NaN, 2],
    [1, 2],
  ].map((scales) => Float32Array.from(scales)))
    throwsMistake(() => codec.gaussian(new Float32Array(3), { table, scaleTable }), RangeError, "scaleTable");
});

both("scales without a table get one of their own, also after the stock table was used", (codec) => {
  const sigmas = Float32Array.of(0.4, 1, 5);
  const scaleTable = Float32Array.of(0.5, 2, 9);
  assert.is(codec.gaussian(sigmas).table.rows, 64);
  assert.is(codec.gaussian(sigmas, { scaleTable }).table.fingerprint, codec.gaussianTable(scaleTable).fingerprint);
  assert.is(codec.gaussian(sigmas).table.rows, 64);
});

both("rows given directly must exist", (codec) => {
  const table = makeTable(random(5), { rows: 3, entries: 5, flavour: "random" });
  for (const bad of [3, -1, 65536, 1.5, Number.NaN])
    throwsMistake(() => codec.indexed(table, [0, bad, 1]), RangeError, "rows");
});

test.run();

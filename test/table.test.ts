// Tables as JSON and as bytes: both lead to one table, the reference's, and whatever is none is refused.

import * as fc from "fast-check";
import type { TableJson, TableSource } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, builds } from "./builds.js";
import { makeTable, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { mutate } from "./mutate.js";
import {
  type FormatError,
  fingerprint,
  type ReferenceTable,
  tableFromBytes,
  tableFromJson,
  tableToBytes,
  tableToJson,
  xxh64,
} from "./reference.js";
import { twinTables } from "./twin.js";

const good: TableJson = {
  offsets: [-1, 4],
  cdfs: [
    [0, 20000, 45000, 65535, 65536],
    [0, 65536],
  ],
  medians: [0.5, -2],
};

/** The bytes of `body` with a fingerprint that is right for them. */
function sealed(body: readonly number[]): Uint8Array {
  const hash = xxh64(Uint8Array.from(body));
  return Uint8Array.from([...body, ...Array.from({ length: 8 }, (_, i) => Number((hash >> BigInt(8 * i)) & 0xffn))]);
}

const magic = [0x4c, 0x57, 0x54];

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
const freqVarint = (freq: number): number[] => varint(freq - 1);

function isInvalid(what: string, call: () => unknown): void {
  try {
    throwsCode(call, "INVALID_TABLE");
  } catch (error) {
    throw new Error(`${what}: ${error}`);
  }
}

both("JSON and binary form lead to one table, with the reference's bytes and fingerprint", (codec) => {
  const rng = random(1);
  for (const flavour of ["peaked", "random", "extreme"] as const)
    for (const medians of [false, true])
      for (const rows of [1, 2, 64, 300]) {
        const json = makeTable(rng, { rows, entries: 70, flavour, medians });
        const reference = tableFromJson(json);
        const table = codec.table(json);
        assert.equal(table.bytes(), tableToBytes(reference));
        assert.equal([table.fingerprint, table.rows], [fingerprint(reference), rows]);
        assert.equal(table.medians, reference.medians);
        assert.equal(table.toJSON(), json);
        assert.equal(JSON.parse(JSON.stringify(table)), JSON.parse(JSON.stringify(json)));
        const again = codec.table(table.bytes().buffer);
        assert.equal(again.toJSON(), json);
        assert.is(again.fingerprint, table.fingerprint);
      }
});

both("a median of -0 is one of 0, which is all that JSON can say", (codec) => {
  const json: TableJson = { ...good, medians: [-0, 2] };
  const table = codec.table(json);
  assert.is(table.fingerprint, codec.table({ ...good, medians: [0, 2] }).fingerprint);
  assert.is(table.fingerprint, codec.table(JSON.parse(JSON.stringify(table))).fingerprint);
  assert.equal(table.bytes(), tableToBytes(tableFromJson(json)));
});

both("the largest rows and offsets are legal", (codec) => {
  const widest = Array.from({ length: 65537 }, (_, k) => k);
  const json: TableJson = { offsets: [2 ** 30, -(2 ** 30)], cdfs: [widest, [0, 65536]] };
  const table = codec.table(json);
  assert.equal(table.bytes(), tableToBytes(tableFromJson(json)));
  assert.equal(codec.table(table.bytes()).toJSON().cdfs, json.cdfs);
  const symbols = Int32Array.of(2 ** 30, 2 ** 30 + 65534, 2 ** 30 + 65535, 2 ** 30 - 1, -(2 ** 31), 2 ** 31 - 1);
  const prior = codec.indexed(table, new Int32Array(6));
  for (const stream of ["native", "compressai"] as const) {
    const packet = codec.encode({ type: "int32", dims: [6], data: symbols }, prior, { stream });
    assert.equal(codec.decode(packet, prior, { type: "int32" }).data, symbols);
  }
});

both("a table is the caller's to change afterwards", (codec) => {
  const json = structuredClone(good) as { offsets: number[]; cdfs: number[][]; medians: number[] };
  const table = codec.table(json);
  const bytes = table.bytes();
  json.cdfs[0][1] = 5;
  json.medians[0] = 99;
  table.bytes().fill(0);
  table.medians?.fill(7);
  assert.equal(table.bytes(), bytes);
  assert.equal(table.toJSON().medians, [0.5, -2]);
  assert.is(codec.table(bytes).fingerprint, table.fingerprint);
});

const broken: Record<string, unknown> = {
  "no rows": { offsets: [], cdfs: [] },
  "fewer offsets than rows": { offsets: [1], cdfs: good.cdfs },
  "more offsets than rows": { offsets: [1, 2, 3], cdfs: good.cdfs },
  "an offset that is no integer": { offsets: [0.5, 0], cdfs: good.cdfs },
  "an offset beyond 2^30": { offsets: [2 ** 30 + 1, 0], cdfs: good.cdfs },
  "an offset below -2^30": { offsets: [-(2 ** 30) - 1, 0], cdfs: good.cdfs },
  "an offset that is NaN": { offsets: [Number.NaN, 0], cdfs: good.cdfs },
  "an empty row": { offsets: [0], cdfs: [[]] },
  "a row of a single number": { offsets: [0], cdfs: [[65536]] },
  "a row that starts above 0": { offsets: [0], cdfs: [[1, 65536]] },
  "a row that ends below 65536": { offsets: [0], cdfs: [[0, 65535]] },
  "a row that ends above 65536": { offsets: [0], cdfs: [[0, 65537]] },
  "a frequency of 0": { offsets: [0], cdfs: [[0, 5, 5, 65536]] },
  "a frequency of 0 at the end": { offsets: [0], cdfs: [[0, 65536, 65536]] },
  "a row that descends": { offsets: [0], cdfs: [[0, 7, 5, 65536]] },
  "a row with a fraction": { offsets: [0], cdfs: [[0, 7.5, 65536]] },
  "a row with NaN": { offsets: [0], cdfs: [[0, Number.NaN, 65536]] },
  "a row filled up with zeros": { offsets: [0], cdfs: [[0, 7, 65536, 0, 0]] },
  "fewer medians than rows": { ...good, medians: [0] },
  "more medians than rows": { ...good, medians: [0, 0, 0] },
  "a median that is NaN": { ...good, medians: [0, Number.NaN] },
  "a median that is infinite": { ...good, medians: [0, Number.POSITIVE_INFINITY] },
  "a median beyond float32": { ...good, medians: [0, 1e39] },
  "another format": { ...good, format: "tables" },
  "a version that is none": { ...good, version: "1" },
  "more rows than 65535": { offsets: new Array(65536).fill(0), cdfs: new Array(65536).fill([0, 65536]) },
};
both("every invalid JSON table is refused, and the codec goes on", (codec) => {
  for (const [what, json] of Object.entries(broken)) isInvalid(what, () => codec.table(json as TableJson));
  assert.is(codec.table(good).fingerprint, fingerprint(tableFromJson(good)));
});

both("every invalid binary table is refused", (codec) => {
  const bytes = codec.table(good).bytes();
  for (let length = 0; length < bytes.length; length++)
    throwsCode(() => codec.table(bytes.slice(0, length)), "INVALID_TABLE");
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] ^= 1 << (at % 8);
    throwsCode(() => codec.table(changed), at === 3 ? "UNSUPPORTED_VERSION" : "INVALID_TABLE");
  }
  throwsCode(() => codec.table(Uint8Array.from([...bytes, 0])), "INVALID_TABLE");

  // From here on the fingerprints are right and the contents are not.
  const one = [1, 0, 1, 0, 1];
  assert.is(codec.table(sealed([...magic, ...one])).rows, 1, "the smallest table is legal");
  const bodies: Record<string, number[]> = {
    "no rows": [1, 0, 0],
    "no entries": [1, 0, 1, 0, 0],
    "more entries than 65536": [1, 0, 1, 0, 0x81, 0x80, 0x04],
    "more entries than bytes": [1, 0, 1, 0, 0xff, 0x7f, 0],
    "frequencies that leave nothing for the last": [1, 0, 1, 0, 2, 0xff, 0xff, 0x03],
    "frequencies above 65536": [1, 0, 1, 0, 2, 0xff, 0xff, 0x7f],
    "a freq so large that its cum is less": [1, 0, 1, 0, 4, ...[30000, 2 ** 32 - 20000, 40000].flatMap(freqVarint)],
    "a freq of 2^32": [1, 0, 1, 0, 3, ...[5, 2 ** 32].flatMap(freqVarint)],
    "a varint that is not minimal": [1, 0, 0x81, 0x00, 0, 1],
    "a varint without an end": [1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    "an offset beyond 2^30": [1, 0, 1, 0x82, 0x80, 0x80, 0x80, 0x08, 1],
    "no medians where the flags promise them": [1, 1, 1, 0, 1],
    "a NaN median": [1, 1, 1, 0, 1, 0, 0, 0xc0, 0x7f],
    "bytes left over": [...one, 0],
    "fewer rows than promised": [1, 0, 2, 0, 1],
  };
  for (const [what, body] of Object.entries(bodies)) isInvalid(what, () => codec.table(sealed([...magic, ...body])));
});

both("a table of a later version is refused as one, in both forms", (codec) => {
  for (const later of [
    { ...good, version: 2 },
    sealed([...magic, 2, 0, 1, 0, 1]),
    sealed([...magic, 1, 2, 1, 0, 1]),
    sealed([...magic, 1, 0x81, 1, 0, 1, 0, 0, 0, 0]),
  ])
    throwsCode(() => codec.table(later as TableSource), "UNSUPPORTED_VERSION");
  // A flag that damage has set.
  const damaged = codec.table(good).bytes();
  damaged[4] ^= 2;
  throwsCode(() => codec.table(damaged), "INVALID_TABLE");
});

both("two tables with one fingerprint stay two", (codec) => {
  const pair = twinTables(40, (json) => codec.table(json).bytes());
  const tables = pair.map((bytes) => codec.table(bytes));
  assert.is(tables[0].fingerprint, tables[1].fingerprint);
  for (const [i, table] of tables.entries()) {
    assert.equal(table.bytes(), pair[i]);
    assert.is(codec.table(pair[i]), table);
    assert.equal(table.medians, tableFromBytes(pair[i]).medians);
  }
  const data = new Int32Array(40);
  const latents = tables.map((table) =>
    codec.dequantize({ type: "int32", dims: [1, 40], data }, codec.factorized(table)),
  );
  assert.not.equal(latents[0].data, latents[1].data);
});

test("whatever numbers a binary table has: it is the reference's, its rows rise to 65536, and it codes what they say", () => {
  // Mutations change a number here and there. A row that is wrong in two places that make up for one another is made on purpose.
  const freq = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 9000 }) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 65537 }) },
    // As a number below 0, modulo 2^32.
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 9000 }).map((back) => 2 ** 32 - back) },
    { weight: 1, arbitrary: fc.constantFrom(2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 35) },
  );
  const offset = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(2 ** 31, 2 ** 31 - 1, 2 ** 31 + 1, 2 ** 32));
  const row = fc.record({ offset, freqs: fc.array(freq, { maxLength: 8 }) });
  const legal = fc.record({ offset, freqs: fc.array(fc.integer({ min: 1, max: 9000 }), { maxLength: 7 }) });
  const rows = fc.oneof(fc.array(row, { minLength: 1, maxLength: 3 }), fc.array(legal, { minLength: 1, maxLength: 3 }));
  let accepted = 0;
  let refused = 0;
  const isValid = (source: Uint8Array) => {
    try {
      return tableFromBytes(source);
    } catch {
      return undefined;
    }
  };
  fc.assert(
    fc.property(rows, (list) => {
      const body = list.flatMap(({ offset, freqs }) => [
        ...varint(offset),
        ...varint(freqs.length + 1),
        ...freqs.flatMap(freqVarint),
      ]);
      const source = sealed([...magic, 1, 0, ...varint(list.length), ...body]);
      const expected = isValid(source);
      for (const { codec } of builds) {
        if (!expected) {
          throwsCode(() => codec.table(source), "INVALID_TABLE");
          continue;
        }
        const table = codec.table(source);
        for (const cdf of table.toJSON().cdfs) {
          assert.is(cdf[0], 0);
          assert.is(cdf[cdf.length - 1], 65536);
          for (let k = 1; k < cdf.length; k++) assert.ok(cdf[k] > cdf[k - 1]);
        }
        assert.equal(table.toJSON(), tableToJson(expected));
        // Entries as the kernels have them.
        const symbols = expected.rows.flatMap(({ offset, cdf }) => cdf.map((_, k) => (offset + k) | 0));
        const index = expected.rows.flatMap(({ cdf }, r) => cdf.map(() => r));
        const prior = codec.indexed(table, index);
        const latent = { type: "int32", dims: [index.length], data: Int32Array.from(symbols) };
        assert.equal(codec.decode(codec.encode(latent, prior), prior, { type: "int32" }).data, latent.data);
      }
      if (expected) accepted++;
      else refused++;
    }),
    { seed: 20261127, numRuns: 2000 },
  );
  assert.ok(accepted > 300 && refused > 300, `${accepted} accepted, ${refused} refused`);
});

both("damaged binary tables are refused, or read as the reference reads them", (codec) => {
  const rng = random(90);
  const originals = [
    good,
    makeTable(rng, { rows: 5, entries: 12, flavour: "random", medians: true }),
    makeTable(rng, { rows: 3, entries: 4, flavour: "extreme" }),
  ];
  const bytes = originals.map((json) => codec.table(json).bytes());
  let accepted = 0;
  for (let i = 0; i < 6000; i++) {
    const damaged = mutate(bytes[i % 3], rng, bytes[(i + 1) % 3]);
    const body = damaged.subarray(0, Math.max(0, damaged.length - 8));
    const source = rng(4) > 0 ? sealed([...body]) : damaged;
    let expected: ReferenceTable;
    try {
      expected = tableFromBytes(source);
    } catch (error) {
      throwsCode(() => codec.table(source), (error as FormatError).code);
      continue;
    }
    assert.is(codec.table(source).fingerprint, fingerprint(expected));
    accepted++;
  }
  assert.ok(accepted > 300 && accepted < 5700, `${accepted} of 6000 accepted`);
});

both("what is no table at all is refused as an argument or as a table", (codec) => {
  for (const source of [undefined, null, 5, "table"])
    throwsMistake(() => codec.table(source as never), TypeError, "table");
});

both("quantizedCdf refuses what CompressAI refuses", (codec) => {
  for (const pmf of [[Number.NaN, 1], [-0.5, 1], [Number.POSITIVE_INFINITY], [0, 0], [1e-9, 1e-9], []]) {
    throwsCode(() => codec.quantizedCdf(Float32Array.from(pmf)), "INVALID_PMF");
  }
  throwsCode(() => codec.quantizedCdf(new Float32Array(5).fill(0.2), 2), "INVALID_PMF", /5 probabilities do not fit 4/);
  throwsCode(() => codec.quantizedCdf(new Float32Array(3)), "INVALID_PMF", /are all 0/);
  throwsCode(() => codec.quantizedCdf(Float32Array.of(1e30, 1)), "INVALID_PMF", /far above 1/);
  throwsMistake(() => codec.quantizedCdf(Float32Array.of(1), 0), RangeError, "precision");
  throwsMistake(() => codec.quantizedCdf(Float32Array.of(1), 17), RangeError, "precision");
  throwsMistake(() => codec.quantizedCdf([0.5, 0.5] as never), TypeError, "pmf");
});

test.run();

// Tables as JSON and as bytes: both lead to one table, the reference's, and whatever is none is refused.
import type { TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import { makeTable, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { mutate } from "./mutate.js";
import { fingerprint, type ReferenceTable, tableFromBytes, tableFromJson, tableToBytes, xxh64 } from "./reference.js";

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
  "another version": { ...good, version: 2 },
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
    throwsCode(() => codec.table(changed), "INVALID_TABLE");
  }
  throwsCode(() => codec.table(Uint8Array.from([...bytes, 0])), "INVALID_TABLE");

  // From here on the fingerprints are right and the contents are not.
  const one = [1, 0, 1, 0, 1];
  assert.is(codec.table(sealed([...magic, ...one])).rows, 1, "the smallest table is legal");
  const bodies: Record<string, number[]> = {
    "another version": [2, 0, 1, 0, 1],
    "unknown flags": [1, 2, 1, 0, 1],
    "no rows": [1, 0, 0],
    "no entries": [1, 0, 1, 0, 0],
    "more entries than 65536": [1, 0, 1, 0, 0x81, 0x80, 0x04],
    "more entries than bytes": [1, 0, 1, 0, 0xff, 0x7f, 0],
    "frequencies that leave nothing for the last": [1, 0, 1, 0, 2, 0xff, 0xff, 0x03],
    "frequencies above 65536": [1, 0, 1, 0, 2, 0xff, 0xff, 0x7f],
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
    } catch {
      throwsCode(() => codec.table(source), "INVALID_TABLE");
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
  throwsCode(() => codec.quantizedCdf(new Float32Array(5).fill(0.2), 2), "INVALID_PMF");
  throwsMistake(() => codec.quantizedCdf(Float32Array.of(1), 0), RangeError, "precision");
  throwsMistake(() => codec.quantizedCdf(Float32Array.of(1), 17), RangeError, "precision");
  throwsMistake(() => codec.quantizedCdf([0.5, 0.5] as never), TypeError, "pmf");
});

test.run();

// The package against the reference: the same bytes from both encoders, and each decoder reads the other's, for one tensor and for lists of parts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, laneCounts } from "./builds.js";
import {
  anySample,
  factorizedSample,
  featureMap,
  gaussianSample,
  hyperprior,
  indexedSample,
  makeTable,
  makeTableOfLength,
  mixtureSample,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { sameNumbers } from "./expect.js";
import { agree, type Options, writeParts } from "./io.js";
import { mixtureKinds, parsePacket } from "./reference.js";

const rng = random(2024);
const wide = makeTable(rng, { rows: 5, entries: 4000, flavour: "random" });
const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });
const medians = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked", medians: true });
const small = makeTable(rng, { rows: 48, entries: 12, flavour: "peaked" });
const extreme = makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" });
// More rows than a SIMD kernel can number in 16 bits.
const manyRows = makeTable(rng, { rows: 700, entries: 9, flavour: "peaked" });
const certain = { offsets: [3], cdfs: [[0, 65536]] };
const scaled = scaledTable(rng, 12);

const samples: Record<string, Sample> = {
  "no symbols": indexedSample(rng, mixed, [0]),
  "no symbols, rank 4": factorizedSample(rng, mixed, [0, 7, 3, 3]),
  "no symbols, channels of none": factorizedSample(rng, mixed, [1, 7, 0, 3]),
  "no symbols, channels of 2^32": factorizedSample(rng, mixed, [0, 7, 65536, 65536]),
  "one symbol": indexedSample(rng, mixed, [1]),
  "one symbol, an escape": indexedSample(rng, mixed, [1], { escapeRate: 1 }),
  "two symbols": indexedSample(rng, mixed, [2]),
  "33 symbols": indexedSample(rng, mixed, [33]),
  "a feature map": featureMap(1),
  "a hyperprior": hyperprior(2, 40000),
  "escapes now and then": featureMap(3, 24, 20, 0.01),
  "nothing but escapes": indexedSample(rng, mixed, [3, 700], { escapeRate: 1 }),
  "wide rows": indexedSample(rng, wide, [5000], { escapeRate: 0.001 }),
  "wide rows by channel": factorizedSample(rng, wide, [2, 5, 30, 17]),
  "extreme rows": indexedSample(rng, extreme, [9000], { escapeRate: 0.02 }),
  "extreme rows by channel": factorizedSample(rng, extreme, [1, 10, 25, 24], 1, { escapeRate: 0.02 }),
  "700 rows": indexedSample(rng, manyRows, [6000], { escapeRate: 0.001 }),
  "700 channels": factorizedSample(rng, manyRows, [1, 700, 3, 3], 1, { escapeRate: 0.001 }),
  "a large hyperprior": hyperprior(70, 70000),
  "a row of one entry": indexedSample(rng, certain, [900], { escapeRate: 0.2 }),
  "nothing to say": factorizedSample(rng, certain, [1, 1, 700]),
  "rank 1": factorizedSample(rng, mixed, [7], 0),
  "rank 7": factorizedSample(rng, mixed, [2, 3, 1, 7, 2, 5, 3], 3, { escapeRate: 0.001 }),
  "the last axis": factorizedSample(rng, mixed, [600, 7], 1, { escapeRate: 0.001 }),
  "a batch": factorizedSample(rng, small, [5, 48, 9, 11], 1, { escapeRate: 0.0005 }),
  "medians and a step": factorizedSample(rng, medians, [2, 7, 100], 1, { step: 1.7, float: true }),
  "a shape that begins with 1": indexedSample(rng, mixed, [1, 1, 200], { means: true, float: true }),
  "scales, means and a step": gaussianSample(rng, scaled, [3, 1000], { means: true, step: 0.25, float: true }),
  "scales alone": gaussianSample(rng, scaled, [2500], { escapeRate: 0.01 }),
};
// Around each length at which something changes in one kernel or another.
for (const run of [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100])
  samples[`runs of ${run}`] = factorizedSample(rng, small, [3, 48, run], 1, { escapeRate: 0.002 });
for (const entries of [2, 3, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 255, 256, 257, 1000]) {
  const table = makeTableOfLength(rng, 6, entries);
  samples[`rows of ${entries} entries`] = indexedSample(rng, table, [1500], { escapeRate: 0.003 });
  samples[`channels of ${entries} entries`] = factorizedSample(rng, table, [1, 6, 15, 17], 1, { escapeRate: 0.003 });
}
for (const n of [500, 999, 1024, 1025, 2047, 4095, 4096, 4097])
  samples[`${n} symbols of a hyperprior`] = hyperprior(n, n, 0.001);
for (const kind of mixtureKinds) samples[`a ${kind} mixture`] = mixtureSample(rng, [1, 3, 50], { kind, components: 5 });

const empty = () => indexedSample(rng, mixed, [0]);

const lists: Record<string, Sample[]> = {
  "no parts": [],
  "empty parts of every kind": [
    empty(),
    factorizedSample(rng, medians, [0, 7, 3]),
    factorizedSample(rng, mixed, [1, 7, 0, 5]),
    gaussianSample(rng, scaled, [0, 4]),
    mixtureSample(rng, [0]),
  ],
  "empty parts among others": [
    empty(),
    indexedSample(rng, mixed, [900]),
    empty(),
    empty(),
    indexedSample(rng, mixed, [1]),
  ],
  "300 parts of one symbol": Array.from({ length: 300 }, () => indexedSample(rng, mixed, [1])),
  "a large part and parts of one symbol": [
    indexedSample(rng, mixed, [3000]),
    ...Array.from({ length: 40 }, () => gaussianSample(rng, scaled, [1])),
  ],
  "a tail over many parts": [
    indexedSample(rng, mixed, [2000]),
    ...Array.from({ length: 60 }, (_, i) => indexedSample(rng, i % 2 ? mixed : extreme, [9])),
  ],
  "a tail over parts of every kind": [
    factorizedSample(rng, mixed, [1, 7, 40, 5]),
    gaussianSample(rng, scaled, [77]),
    factorizedSample(rng, medians, [1, 7, 9]),
    mixtureSample(rng, [50]),
    factorizedSample(rng, medians, [3, 7]),
    indexedSample(rng, mixed, [70]),
  ],
  "a tail in the middle of a run": [indexedSample(rng, mixed, [500]), factorizedSample(rng, medians, [1, 7, 300])],
  "long runs": [
    factorizedSample(rng, medians, [1, 7, 28, 28]),
    factorizedSample(rng, mixed, [2, 7, 100], 1, { step: 0.5 }),
  ],
  "runs around the lane counts": [7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65].map((run) =>
    factorizedSample(rng, mixed, [3, 7, run], 1, { escapeRate: 0.003 }),
  ),
  "every axis": [
    factorizedSample(rng, mixed, [7, 40], 0),
    factorizedSample(rng, mixed, [40, 7], 1),
    factorizedSample(rng, medians, [2, 3, 7, 5, 4], 2),
    factorizedSample(rng, medians, [7], 0),
    factorizedSample(rng, mixed, [1, 2, 1, 7, 2, 5, 3], 3),
    factorizedSample(rng, mixed, [1, 2, 1, 3, 2, 5, 7], 6),
  ],
  "parts with different tables": Array.from({ length: 12 }, (_, i) =>
    indexedSample(rng, makeTable(rng, { rows: 1 + i, entries: 3 + 5 * i, flavour: "peaked" }), [101 + i]),
  ),
  "part sizes around the lane counts": Array.from({ length: 70 }, (_, n) => gaussianSample(rng, scaled, [n])),
  "escapes everywhere": Array.from({ length: 8 }, (_, i) => indexedSample(rng, mixed, [3 + 40 * i], { escapeRate: 1 })),
  "escapes now and then, in parts of every kind": [
    factorizedSample(rng, medians, [1, 7, 20, 20], 1, { escapeRate: 0.01 }),
    indexedSample(rng, extreme, [1200], { escapeRate: 0.05 }),
    gaussianSample(rng, scaled, [1300], { escapeRate: 0.01 }),
    mixtureSample(rng, [400], { escapeRate: 0.05 }),
  ],
  "int32 symbols": [
    indexedSample(rng, extreme, [800], { escapeRate: 0.5 }),
    factorizedSample(rng, extreme, [1, 10, 90]),
  ],
  "nothing to say": [factorizedSample(rng, certain, [1, 1, 700]), indexedSample(rng, certain, [900])],
  "means and steps": [
    indexedSample(rng, mixed, [700], { means: true, float: true }),
    indexedSample(rng, mixed, [700], { means: true, step: 0.25, float: true }),
    gaussianSample(rng, scaled, [1, 10, 70], { means: true, step: 7, float: true }),
    gaussianSample(rng, scaled, [700], { step: 0.1 }),
    factorizedSample(rng, medians, [1, 7, 100], 1, { step: 1.7, float: true }),
  ],
  "mixtures of each kind": mixtureKinds.flatMap((kind) => [
    mixtureSample(rng, [300], { kind, components: 1 }),
    mixtureSample(rng, [1, 3, 50], { kind, components: 5, escapeRate: 0.02 }),
  ]),
  anything: Array.from({ length: 20 }, () => anySample(rng, rng(900), 0.001)),
};
// From seven parts on their number is a varint.
for (const count of [2, 6, 7, 8])
  lists[`${count} parts`] = Array.from({ length: count }, () => anySample(rng, 1 + rng(60)));

/** The widest that the mixtures here allow: means up to 14. */
const guardOf = (parts: readonly Sample[]) =>
  parts.some(({ reference }) => reference.kind === "mixture") ? 2e-4 : 0.004;

const compactForms: readonly Options[] = [
  { header: "compact" },
  { header: "compact", checksum: 2 },
  { header: "compact", checksum: false },
  { header: "none" },
];

test("the builds are what they say", () => {
  assert.equal(
    builds.map(({ codec }) => codec.simd),
    [true, false],
  );
});

for (const { name: build, codec } of builds) {
  for (const [name, parts] of [
    ...Object.entries(samples).map(([name, sample]) => [name, [sample]] as const),
    ...Object.entries(lists),
  ]) {
    test(`${build}: packets are equal, and each reads the other's: ${name}`, () => {
      for (const lanes of [...laneCounts, "auto"] as const) agree(codec, parts, { lanes });
      agree(codec, parts, { lanes: 8, guard: guardOf(parts), checksum: false });
      agree(codec, parts, { lanes: 1, indexChecks: true, fingerprint: false });
      // Of two lane counts each: all of them, over the forms.
      compactForms.forEach((form, i) => {
        agree(codec, parts, { ...form, lanes: laneCounts[i] });
        agree(codec, parts, { ...form, lanes: laneCounts[(i + 2) % 4] });
      });
      agree(codec, parts, { header: "compact", lanes: 16, guard: guardOf(parts) });
    });
  }

  for (const [name, sample] of Object.entries(samples)) {
    if (sample.reference.kind === "mixture") continue;
    test(`${build}: CompressAI streams are equal: ${name}`, () => {
      for (const form of [{}, ...compactForms]) agree(codec, [sample], { ...form, stream: "compressai" });
    });
  }

  test(`${build}: every combination of options`, () => {
    for (const parts of [[samples["escapes now and then"]], lists["a tail over parts of every kind"]]) {
      for (let bits = 0; bits < 16; bits++)
        agree(codec, parts, {
          checksum: !!(bits & 1),
          fingerprint: !!(bits & 2),
          indexChecks: !!(bits & 4),
          guard: bits & 8 ? 2e-4 : 0,
          lanes: 16,
        });
    }
    for (const checksum of [false, true])
      for (const fingerprint of [false, true])
        agree(codec, [samples["escapes now and then"]], { stream: "compressai", checksum, fingerprint });
  });

  test(`${build}: parts larger than any buffer of the kernels`, () => {
    const seeded = random(2026);
    const table = makeTable(seeded, { rows: 48, entries: 20, flavour: "peaked" });
    const parts = [
      gaussianSample(seeded, scaled, [70_001], { escapeRate: 0.0005, means: true, float: true }),
      factorizedSample(seeded, table, [1, 48, 56, 57], 1, { escapeRate: 0.0005 }),
      indexedSample(seeded, table, [5]),
      factorizedSample(seeded, table, [900, 48, 3], 1),
      mixtureSample(seeded, [5000], { components: 2, support: [-20, 20] }),
      indexedSample(seeded, table, [66_000]),
    ];
    for (const lanes of [1, 8, 32] as const) agree(codec, parts, { lanes, guard: 2e-4 });
  });
}

test("both builds choose alike", () => {
  for (const parts of [...Object.values(samples).map((sample) => [sample]), ...Object.values(lists)]) {
    const [first, second] = builds.map(({ codec }) => writeParts(codec, parts));
    sameNumbers(first, second);
    assert.ok(parsePacket(first).lanes > 0);
  }
});

test.run();

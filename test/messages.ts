// Messages of every kind, by name: one tensor, or a list of parts. cross.test.ts codes them in every form, fuzz.test.ts damages the small ones.

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
import { contextSample, randomNetwork } from "./context-cases.js";
import { mixtureKinds } from "./reference.js";

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

/** Networks that are small enough for short tests. */
const networkOf = (channels: number, active: number) =>
  randomNetwork(rng, { channels, active, H: 32, Z: 8, taps: 12, ends: [-6, 6] });
const network = networkOf(3, 2);

/** One tensor each. */
export const samples: Record<string, Sample> = {
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
  "a context": contextSample(rng, [1, 3, 5, 6], { parameters: network }),
  "a context, channels last": contextSample(rng, [4, 3, 3], { parameters: network, axis: 2, symbols: "large" }),
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

/** Several parts each, or none. */
export const lists: Record<string, Sample[]> = {
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
  "contexts and others": [
    contextSample(rng, [3, 4, 5], { parameters: network, axis: 0 }),
    factorizedSample(rng, medians, [1, 7, 6]),
    // Zeros under a table that expects them: static rows.
    contextSample(rng, [2, 1, 20], {
      parameters: randomNetwork(rng, { channels: 1, H: 32, Z: 8, taps: 12, temper: "extreme" }),
      table: { offsets: [0], cdfs: [[0, 65000, 65536]] },
      drawn: new Int32Array(40),
    }),
    contextSample(rng, [1, 1, 3, 3], { parameters: networkOf(1, 1), symbols: "int32" }),
  ],
  anything: Array.from({ length: 20 }, () => anySample(rng, rng(900), 0.001)),
};
// From seven parts on their number is a varint.
for (const count of [2, 6, 7, 8])
  lists[`${count} parts`] = Array.from({ length: count }, () => anySample(rng, 1 + rng(60)));

/** Tensors of several chunks, which the bindings bring into Wasm memory one by one (65,536 elements), and parts larger than any buffer of the kernels. */
export function largeMessages(): Record<string, Sample[]> {
  const own = random(2026);
  const peaked = (rows: number, entries = 20) => makeTable(own, { rows, entries, flavour: "peaked" });
  const table = peaked(48);
  // Two symbols in 65,536 are not 0, so the tail alone is longer than a chunk.
  const sparse = { offsets: [-1], cdfs: [[0, 1, 65534, 65535, 65536]] };
  return {
    "a row per symbol": [hyperprior(3, 150_001, 0.001)],
    "runs longer than a chunk": [factorizedSample(own, peaked(2), [1, 2, 75_013])],
    "runs that end inside chunks": [factorizedSample(own, peaked(30), [1, 30, 77, 65], 1, { escapeRate: 0.01 })],
    "short runs": [factorizedSample(own, peaked(50, 9), [300, 50, 3, 3], 1, { escapeRate: 0.01 })],
    "a tail of several chunks": [factorizedSample(own, sparse, [1, 1, 400_000])],
    "parts of every kind": [
      gaussianSample(own, scaled, [70_001], { escapeRate: 0.0005, means: true, float: true }),
      factorizedSample(own, table, [1, 48, 56, 57], 1, { escapeRate: 0.0005 }),
      indexedSample(own, table, [5]),
      factorizedSample(own, table, [900, 48, 3], 1),
      mixtureSample(own, [5000], { components: 2, support: [-20, 20] }),
      indexedSample(own, table, [66_000]),
    ],
  };
}

const own = random(77);
/** One part of each kind, and what the first three are coded with. */
export const kinds = (() => {
  const table = makeTable(own, { rows: 7, entries: 30, flavour: "peaked" });
  const scaled = scaledTable(own, 12);
  const parts = [
    factorizedSample(own, table, [1, 7, 6, 5]),
    gaussianSample(own, scaled, [500]),
    indexedSample(own, table, [400]),
    mixtureSample(own, [100], { components: 2, weights: true }),
  ] as const;
  return { table, scaled, parts };
})();

// Seeded tables and latents for every test: the same on every machine, no Math.random.
import type { Codec, Prior, TableJson, TensorLike } from "latentwire";
import { type Coding, rowsOfAxis, tableFromJson } from "./reference.js";

export type Random = {
  /** An integer from 0 to below `limit`. */
  (limit: number): number;
  /** A number from 0 to below 1. */
  unit(): number;
};

/** mulberry32. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Object.assign((limit: number) => Math.floor(next() * limit), { unit: next });
}

/** Any legal row: `entries - 1` different cuts of 0 .. 65536. */
function randomCdf(rng: Random, entries: number): number[] {
  const cuts = new Set<number>();
  while (cuts.size < entries - 1) cuts.add(1 + rng(65535));
  return [0, ...[...cuts].sort((a, b) => a - b), 65536];
}

/** A row as a trained model has it: a two-sided geometric around the middle, the escape with frequency 1. */
export function peakedCdf(entries: number, decay: number): number[] {
  const weights = Array.from({ length: entries - 1 }, (_, k) => decay ** Math.abs(k - (entries - 2) / 2));
  const sum = weights.reduce((a, b) => a + b, 0);
  const cdf = [0];
  const free = 65536 - entries;
  for (const w of weights) cdf.push(cdf[cdf.length - 1] + 1 + Math.floor((w / sum) * free));
  cdf[entries - 1] = 65535;
  return entries === 1 ? [0, 65536] : [...cdf, 65536];
}

export interface TableShape {
  rows: number;
  /** Entries of a row, at most. */
  entries: number;
  /** `peaked` rows, `random` rows, or `extreme` ones: one entry, two entries with frequency 1 for either, the widest allowed here. */
  flavour: "peaked" | "random" | "extreme";
  medians?: boolean;
}

export function makeTable(rng: Random, shape: TableShape): TableJson {
  const cdfs: number[][] = [];
  const offsets: number[] = [];
  for (let r = 0; r < shape.rows; r++) {
    const entries = 2 + rng(Math.max(1, shape.entries - 1));
    if (shape.flavour === "peaked") cdfs.push(peakedCdf(entries, 0.05 + 0.9 * rng.unit()));
    else if (shape.flavour === "random") cdfs.push(randomCdf(rng, entries));
    else
      cdfs.push(
        [[0, 65536], [0, 1, 65536], [0, 65535, 65536], [0, 1, 2, 65535, 65536], randomCdf(rng, shape.entries)][r % 5],
      );
    const far = shape.flavour === "extreme" && rng(4) === 0;
    offsets.push(far ? [-(2 ** 30), 2 ** 30, -5, 7][rng(4)] : 0 - Math.floor((cdfs[r].length - 2) / 2));
  }
  const medians = shape.medians
    ? { medians: Array.from({ length: shape.rows }, () => Math.fround(rng.unit() * 4 - 2)) }
    : {};
  return { format: "latentwire-tables", version: 1, offsets, cdfs, ...medians };
}

/** Rows of one length, peaked and random in turn: kernels change with the length of a row. */
export function makeTableOfLength(rng: Random, rows: number, entries: number): TableJson {
  const cdfs = Array.from({ length: rows }, (_, r) =>
    r % 2 ? randomCdf(rng, entries) : peakedCdf(entries, 0.2 + 0.7 * rng.unit()),
  );
  return { format: "latentwire-tables", version: 1, offsets: cdfs.map(() => 0 - (entries >> 1)), cdfs };
}

const int32Edges = [-(2 ** 31), 2 ** 31 - 1, 0, -1, 2 ** 27, -(2 ** 27) - 1];

/** A symbol as the row expects it, or, once in `1 / escapeRate`, any int32. */
export function drawSymbol(rng: Random, offset: number, cdf: readonly number[], escapeRate: number): number {
  const max = cdf.length - 2;
  const outlier = rng.unit() < escapeRate;
  if (outlier) {
    const style = rng(4);
    if (style === 0) return int32Edges[rng(int32Edges.length)];
    if (style === 1) return Math.floor((rng.unit() - 0.5) * 2 ** 32);
    return (offset + (style === 2 ? max + rng(40) : -1 - rng(40))) | 0;
  }
  if (max === 0) return (offset + rng(3)) | 0;
  const slot = rng(cdf[max]);
  let k = 0;
  while (cdf[k + 1] <= slot) k++;
  return (offset + k) | 0;
}

export interface Sample {
  readonly table: TableJson;
  readonly dims: number[];
  readonly coding: Coding;
  readonly symbols: Int32Array;
  readonly latent: TensorLike;
  prior(codec: Codec): Prior;
}

/** Symbols under one row per position of `axis`. */
export function factorizedSample(rng: Random, table: TableJson, dims: number[], axis = 1, escapeRate = 0): Sample {
  return sampleOf(rng, table, dims, rowsOfAxis(dims, axis), escapeRate, (codec) => codec.factorized(table, { axis }));
}

/** Symbols under a row each, drawn at random. */
export function indexedSample(rng: Random, table: TableJson, dims: number[], escapeRate = 0): Sample {
  const n = dims.reduce((a, b) => a * b, 1);
  const index = Int32Array.from({ length: n }, () => rng(table.cdfs.length));
  return sampleOf(rng, table, dims, { index, run: 1 }, escapeRate, (codec) => codec.indexed(table, index));
}

function sampleOf(
  rng: Random,
  table: TableJson,
  dims: number[],
  { index, run }: { index: Int32Array; run: number },
  escapeRate: number,
  prior: (codec: Codec) => Prior,
): Sample {
  const symbols = Int32Array.from(index, (row) => drawSymbol(rng, table.offsets[row], table.cdfs[row], escapeRate));
  const coding = { rows: tableFromJson(table).rows, index, run };
  return { table, dims, coding, symbols, latent: { type: "int32", dims, data: symbols }, prior };
}

/** As W2 of the benchmarks, at any size: peaked rows of one channel each, NCHW. */
export function featureMap(seed: number, channels = 48, side = 28, escapeRate = 0.0001): Sample {
  const rng = random(seed);
  return factorizedSample(
    rng,
    makeTable(rng, { rows: channels, entries: 20, flavour: "peaked" }),
    [1, channels, side, side],
    1,
    escapeRate,
  );
}

/** As W1: a row per symbol out of 64. */
export function hyperprior(seed: number, n: number, escapeRate = 0.0001): Sample {
  const rng = random(seed);
  return indexedSample(rng, makeTable(rng, { rows: 64, entries: 60, flavour: "peaked" }), [n], escapeRate);
}

// Seeded tables, latents and priors for every test, each prior as the package takes it and as the reference does: the same on every machine,
// no Math.random.
import type { Codec, Prior, TableJson, TensorLike, TensorView } from "latentwire";
import {
  type Coding,
  compressaiScales,
  dequantize,
  type Mixture,
  mixtureKinds,
  mixtureRow,
  type PartPrior,
  quantize,
  quantizeMixture,
  type ReferencePart,
  rowsOfAxis,
  rowsOfScales,
  tableFromJson,
} from "./reference.js";

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

export const pick = <T>(rng: Random, list: readonly T[]): T => list[rng(list.length)];

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

type PriorOf<Kind extends PartPrior["kind"]> = Extract<PartPrior, { kind: Kind }>;

/** A part, or a tensor that is coded alone. */
export interface Sample<Reference extends PartPrior = PartPrior> {
  readonly name: string;
  readonly dims: number[];
  readonly symbols: Int32Array;
  /** float32, which quantizes to the symbols, or the symbols themselves. */
  readonly latent: TensorLike & { data: Float32Array | Int32Array | Int16Array | Int8Array };
  /** What a reader returns as float32. */
  readonly values: Float32Array;
  readonly reference: Reference;
  readonly coding: Coding;
  /** One per symbol, where the prior has them. */
  readonly means?: Float32Array;
  /** What the reference does without a packet to follow: under a context, the rows of the table. */
  readonly isStatic?: boolean;
  prior(codec: Codec): Prior;
}

/** Under a table that is given as JSON. */
export interface TableSample extends Sample<PriorOf<"channels" | "rows">> {
  readonly table: TableJson;
}

export interface Style {
  /** Share of symbols that may be any int32. */
  escapeRate?: number;
  step?: number;
  /** Random means. Medians come with their table. */
  means?: boolean;
  /** The latent is float32. */
  float?: boolean;
}

export const productOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** Everything that follows from symbols, means and step. */
export function finish(
  rng: Random,
  drawn: Int32Array,
  dims: number[],
  { step = 1, float = false }: Style,
  meanOf: ((i: number) => number) | undefined,
): Pick<Sample, "dims" | "symbols" | "latent" | "values"> {
  if (!float) {
    const latent = { type: "int32", dims, data: drawn };
    return { dims, symbols: drawn, latent, values: dequantize(drawn, meanOf, step) };
  }
  // Far outside the means would be lost in the rounding.
  const near = drawn.map((symbol) => Math.max(-(2 ** 20), Math.min(2 ** 20, symbol)));
  const data = dequantize(near, meanOf, step).map((y) => y + (rng.unit() - 0.5) * 0.9 * step);
  const symbols = quantize(data, meanOf, step);
  return { dims, symbols, latent: { type: "float32", dims, data }, values: dequantize(symbols, meanOf, step) };
}

function drawUnder(rng: Random, { rows, index }: Coding, escapeRate = 0): Int32Array {
  return Int32Array.from(index, (row) => drawSymbol(rng, rows[row].offset, rows[row].cdf, escapeRate));
}

export const randomMeans = (rng: Random, n: number) => Float32Array.from({ length: n }, () => rng.unit() * 20 - 10);
const centred = (means: Float32Array | undefined) => (means ? { centre: "means" as const } : {});

/** One row per position of `axis`. */
export function factorizedSample(
  rng: Random,
  table: TableJson,
  dims: number[],
  axis = 1,
  style: Style = {},
): TableSample {
  const own = tableFromJson(table);
  const coding = { rows: own.rows, ...rowsOfAxis(dims, axis) };
  const { step } = style;
  const { medians } = own;
  const meanOf = medians && ((i: number) => medians[Math.floor(i / coding.run) % medians.length]);
  return {
    name: `factorized [${dims}]`,
    table,
    ...finish(rng, drawUnder(rng, coding, style.escapeRate), dims, style, meanOf),
    coding,
    reference: { kind: "channels", table: own, axis, step },
    prior: (codec) => codec.factorized(table, { axis, step }),
  };
}

/** A row per symbol, drawn at random. */
export function indexedSample(rng: Random, table: TableJson, dims: number[], style: Style = {}): TableSample {
  const own = tableFromJson(table);
  const index = Int32Array.from({ length: productOf(dims) }, () => rng(own.rows.length));
  const means = style.means ? randomMeans(rng, index.length) : undefined;
  const coding = { rows: own.rows, index, run: 1 };
  const { step } = style;
  return {
    name: `indexed [${dims}]`,
    table,
    ...finish(rng, drawUnder(rng, coding, style.escapeRate), dims, style, means && ((i) => means[i])),
    coding,
    means,
    reference: { kind: "rows", table: own, index, step, ...centred(means) },
    prior: (codec) => codec.indexed(table, index, { means: means && { type: "float32", dims, data: means }, step }),
  };
}

/** Ascending scales, not far apart, and rows whose width is about theirs. */
export function scaledTable(rng: Random, rows: number): { table: TableJson; scaleTable: Float32Array } {
  const scaleTable = Float32Array.from({ length: rows }, (_, j) => 0.11 * 1.2 ** j * (1 + 0.05 * rng.unit()));
  const cdfs = Array.from(scaleTable, (s) => peakedCdf(2 * Math.ceil(3 * s) + 2, Math.exp(-1.2 / s)));
  const table: TableJson = {
    format: "latentwire-tables",
    version: 1,
    offsets: cdfs.map((cdf) => 1 - (cdf.length >> 1)),
    cdfs,
  };
  return { table, scaleTable };
}

/** A scale that lies in the row, somewhere. */
export function scaleIn(rng: Random, row: number, scaleTable: Float32Array): number {
  const low = row === 0 ? 0 : scaleTable[row - 1];
  const high = row === scaleTable.length - 1 ? 2 * scaleTable[row] : scaleTable[row];
  const scale = Math.fround(low + (high - low) * (1 - rng.unit()));
  return scale > low ? scale : high;
}

export function gaussianSample(
  rng: Random,
  { table, scaleTable }: { table: TableJson; scaleTable: Float32Array },
  dims: number[],
  style: Style = {},
): Sample<PriorOf<"scales">> {
  const own = tableFromJson(table);
  const rows = Int32Array.from({ length: productOf(dims) }, () => rng(own.rows.length));
  const scales = Float32Array.from(rows, (row) => scaleIn(rng, row, scaleTable));
  const means = style.means ? randomMeans(rng, rows.length) : undefined;
  const coding = { rows: own.rows, index: rowsOfScales(scales, scaleTable), run: 1 };
  const { step } = style;
  const tensor = (data: Float32Array) => ({ type: "float32", dims, data });
  return {
    name: `gaussian [${dims}]`,
    ...finish(rng, drawUnder(rng, coding, style.escapeRate), dims, style, means && ((i) => means[i])),
    coding,
    means,
    reference: { kind: "scales", table: own, scaleTable, scales, step, ...centred(means) },
    prior: (codec) => codec.gaussian(tensor(scales), { table, scaleTable, means: means && tensor(means), step }),
  };
}

export interface MixtureStyle extends Pick<Style, "escapeRate" | "float"> {
  components?: number;
  kind?: Mixture["kind"];
  support?: readonly [number, number];
  /** Default: sometimes. */
  weights?: boolean;
}

export function mixtureSample(rng: Random, dims: number[], style: MixtureStyle = {}): Sample<PriorOf<"mixture">> {
  const { components = 1 + rng(3), kind = mixtureKinds[rng(3)] } = style;
  const support = style.support ?? [-5 - rng(20), 5 + rng(20)];
  const n = productOf(dims);
  const floats = (make: () => number) => Float32Array.from({ length: components * n }, make);
  const mixture = {
    kind,
    components,
    support,
    weights: (style.weights ?? rng(5) > 0) ? floats(() => (rng(8) === 0 ? 0 : rng.unit())) : undefined,
    means: floats(() => (support[0] + support[1]) / 2 + (rng.unit() - 0.5) * 8),
    scales: floats(() => Math.exp(rng.unit() * 5 - 2.5)),
  } satisfies Mixture;
  const rows = quantizeMixture(mixture, compressaiScales).map((own) => mixtureRow(own, mixture, compressaiScales));
  const coding = { rows, index: Int32Array.from(rows.keys()), run: 1 };
  const stacked = (data: Float32Array) => ({ type: "float32", dims: [components, ...dims], data });
  return {
    name: `${kind} mixture [${dims}]`,
    ...finish(rng, drawUnder(rng, coding, style.escapeRate), dims, { float: style.float }, undefined),
    coding,
    reference: { kind: "mixture", mixture },
    prior: (codec) =>
      codec.mixture(
        {
          weights: mixture.weights && stacked(mixture.weights),
          means: stacked(mixture.means),
          scales: stacked(mixture.scales),
        },
        { components, kind, support, dims },
      ),
  };
}

/** Any sample at all, of about `size` symbols, of any type that holds them; without mixtures a guard may be wide. */
export function anySample(rng: Random, size: number, escapeRate = 0, mixtures = true): Sample {
  const sample = anyWide(rng, size, escapeRate, mixtures);
  const { symbols, dims, latent } = sample;
  if (latent.type === "float32" || rng(2) === 0) return sample;
  const [type, Kind, most] = rng(2) ? (["int8", Int8Array, 127] as const) : (["int16", Int16Array, 32767] as const);
  if (symbols.some((symbol) => symbol > most || symbol < -most)) return sample;
  return { ...sample, latent: { type, dims, data: Kind.from(symbols) } };
}

function anyWide(rng: Random, size: number, escapeRate: number, mixtures: boolean): Sample {
  const style: Style = {
    escapeRate,
    step: [1, 1, 0.5, 3][rng(4)],
    means: rng(2) === 0,
    float: rng(2) === 0,
  };
  const flavour = (["peaked", "random", "extreme"] as const)[rng(3)];
  const shape = { rows: 1 + rng(9), entries: 2 + rng(60), flavour };
  switch (rng(mixtures ? 5 : 4)) {
    case 0: {
      const table = makeTable(rng, { ...shape, medians: style.means });
      const run = Math.ceil(size / table.cdfs.length);
      const dims = rng(2) === 0 ? [1, table.cdfs.length, run] : [1 + rng(2), table.cdfs.length, 1, run];
      return factorizedSample(rng, table, dims, 1, style);
    }
    case 1: {
      // The last axis: a row per run of one.
      const table = makeTable(rng, { ...shape, medians: style.means });
      const dims = [Math.ceil(size / table.cdfs.length), table.cdfs.length];
      return factorizedSample(rng, table, dims, 1, style);
    }
    case 2:
      return indexedSample(rng, makeTable(rng, shape), rng(2) === 0 ? [size] : [1, size, 1], style);
    case 3:
      return gaussianSample(rng, scaledTable(rng, 2 + rng(20)), [size], style);
    default:
      return mixtureSample(rng, [1, Math.min(size, 300)], style);
  }
}

/** As the reference takes it. */
export function referencePart({ reference, dims, symbols }: Sample, corrections?: number[]): ReferencePart {
  return { prior: reference, dims, symbols, corrections };
}

/** As W2 of the benchmarks, at any size: peaked rows of one channel each, NCHW. */
export function featureMap(seed: number, channels = 48, side = 28, escapeRate = 0.0001): TableSample {
  const rng = random(seed);
  const table = makeTable(rng, { rows: channels, entries: 20, flavour: "peaked" });
  return factorizedSample(rng, table, [1, channels, side, side], 1, { escapeRate });
}

/** As W1: a row per symbol out of 64. */
export function hyperprior(seed: number, n: number, escapeRate = 0.0001): TableSample {
  const rng = random(seed);
  return indexedSample(rng, makeTable(rng, { rows: 64, entries: 60, flavour: "peaked" }), [n], { escapeRate });
}

/** The elements of a view in order, as a tensor of its own: by the definition of a view and nothing else. */
export function copyOf({ type, dims: shape, data, strides, offset = 0 }: TensorView) {
  const source = data as Float32Array | Int32Array;
  const count = shape.reduce((a, b) => a * b, 1);
  const copy = source.slice(0, 0).constructor as typeof Float32Array;
  const out = new copy(count);
  for (let i = 0; i < count; i++) {
    let at = offset;
    for (let d = shape.length - 1, rest = i; d >= 0; d--) {
      at += (rest % shape[d]) * strides[d];
      rest = Math.floor(rest / shape[d]);
    }
    out[i] = source[at];
  }
  return { type, dims: [...shape], data: out };
}

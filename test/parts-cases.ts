// Parts for packets of several parts: each with its prior as the package takes it and as the reference does.
import type { Prior, TableJson, TensorLike } from "latentwire";
import type { FullCodec } from "latentwire/full";
import { stockScales } from "../bindings/scales.js";
import { drawSymbol, makeTable, peakedCdf, type Random } from "./cases.js";
import {
  dequantize,
  type Mixture,
  mixtureKinds,
  mixtureRow,
  type PartPrior,
  quantize,
  quantizeMixture,
  type ReferencePart,
  rowsOfAxis,
  tableFromJson,
} from "./reference.js";

export interface PartCase {
  readonly name: string;
  readonly dims: number[];
  readonly symbols: Int32Array;
  /** float32, which quantizes to the symbols, or the symbols themselves. */
  readonly latent: TensorLike;
  /** What a reader returns as float32. */
  readonly values: Float32Array;
  readonly reference: PartPrior;
  prior(codec: FullCodec): Prior;
}

export interface PartStyle {
  /** Share of symbols that may be any int32. */
  escapeRate?: number;
  step?: number;
  /** Random means, or medians of the table. */
  means?: boolean;
  /** The latent is float32. */
  float?: boolean;
}

const productOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** Everything that follows from symbols, means and step. */
function finish(
  rng: Random,
  drawn: Int32Array,
  dims: number[],
  { step = 1, float = false }: PartStyle,
  meanOf: ((i: number) => number) | undefined,
): Pick<PartCase, "dims" | "symbols" | "latent" | "values"> {
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

export function factorizedPart(
  rng: Random,
  table: TableJson,
  dims: number[],
  axis = 1,
  style: PartStyle = {},
): PartCase {
  const { index, run } = rowsOfAxis(dims, axis);
  const { escapeRate = 0, step = 1 } = style;
  const drawn = Int32Array.from(index, (row) => drawSymbol(rng, table.offsets[row], table.cdfs[row], escapeRate));
  const { medians } = tableFromJson(table);
  const meanOf = medians && ((i: number) => medians[Math.floor(i / run) % medians.length]);
  return {
    name: `factorized [${dims}]`,
    ...finish(rng, drawn, dims, style, meanOf),
    reference: { kind: "factorized", table: tableFromJson(table), axis },
    prior: (codec) => codec.factorized(table, { axis, step }),
  };
}

function randomMeans(rng: Random, n: number): Float32Array {
  return Float32Array.from({ length: n }, () => rng.unit() * 20 - 10);
}

function drawUnder(rng: Random, table: TableJson, rows: ArrayLike<number>, escapeRate: number): Int32Array {
  return Int32Array.from(rows, (row) => drawSymbol(rng, table.offsets[row], table.cdfs[row], escapeRate));
}

export function indexedPart(rng: Random, table: TableJson, dims: number[], style: PartStyle = {}): PartCase {
  const { escapeRate = 0, step = 1 } = style;
  const rows = Int32Array.from({ length: productOf(dims) }, () => rng(table.cdfs.length));
  const means = style.means ? randomMeans(rng, rows.length) : undefined;
  return {
    name: `indexed [${dims}]`,
    ...finish(rng, drawUnder(rng, table, rows, escapeRate), dims, style, means && ((i) => means[i])),
    reference: { kind: "rows", table: tableFromJson(table), rows },
    prior: (codec) => codec.indexed(table, rows, { means: means && { type: "float32", dims, data: means }, step }),
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
function scaleIn(rng: Random, row: number, scaleTable: Float32Array): number {
  const low = row === 0 ? 0 : scaleTable[row - 1];
  const high = row === scaleTable.length - 1 ? 2 * scaleTable[row] : scaleTable[row];
  const scale = Math.fround(low + (high - low) * (1 - rng.unit()));
  return scale > low ? scale : high;
}

export function gaussianPart(
  rng: Random,
  { table, scaleTable }: { table: TableJson; scaleTable: Float32Array },
  dims: number[],
  style: PartStyle = {},
): PartCase {
  const { escapeRate = 0, step = 1 } = style;
  const rows = Int32Array.from({ length: productOf(dims) }, () => rng(table.cdfs.length));
  const scales = Float32Array.from(rows, (row) => scaleIn(rng, row, scaleTable));
  const means = style.means ? randomMeans(rng, rows.length) : undefined;
  return {
    name: `gaussian [${dims}]`,
    ...finish(rng, drawUnder(rng, table, rows, escapeRate), dims, style, means && ((i) => means[i])),
    reference: { kind: "scales", table: tableFromJson(table), scaleTable, scales },
    prior: (codec) =>
      codec.gaussian(
        { type: "float32", dims, data: scales },
        {
          table,
          scaleTable,
          means: means && { type: "float32", dims, data: means },
          step,
        },
      ),
  };
}

export interface MixtureStyle extends PartStyle {
  components?: number;
  kind?: Mixture["kind"];
  support?: readonly [number, number];
  /** Default: sometimes. */
  weights?: boolean;
}

export function mixturePart(rng: Random, dims: number[], style: MixtureStyle = {}): PartCase {
  const { escapeRate = 0, components = 1 + rng(3), kind = mixtureKinds[rng(3)] } = style;
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
  const rows = quantizeMixture(mixture, stockScales).map((own) => mixtureRow(own, mixture, stockScales));
  const drawn = Int32Array.from(rows, (row) => drawSymbol(rng, row.offset, row.cdf, escapeRate));
  const stacked = (data: Float32Array) => ({ type: "float32", dims: [components, ...dims], data });
  return {
    name: `${kind} mixture [${dims}]`,
    ...finish(rng, drawn, dims, { float: style.float }, undefined),
    reference: { kind: "mixture", mixture, scaleTable: stockScales },
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

/** Any part at all, of about `size` symbols; without mixtures a guard may be wide. */
export function anyPart(rng: Random, size: number, escapeRate = 0, mixtures = true): PartCase {
  const style: PartStyle = {
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
      return factorizedPart(rng, table, dims, 1, style);
    }
    case 1: {
      // The last axis: a row per run of one.
      const table = makeTable(rng, { ...shape, medians: style.means });
      const dims = [Math.ceil(size / table.cdfs.length), table.cdfs.length];
      return factorizedPart(rng, table, dims, 1, style);
    }
    case 2:
      return indexedPart(rng, makeTable(rng, shape), rng(2) === 0 ? [size] : [1, size, 1], style);
    case 3:
      return gaussianPart(rng, scaledTable(rng, 2 + rng(20)), [size], style);
    default:
      return mixturePart(rng, [1, Math.min(size, 300)], style);
  }
}

/** As the reference takes it. */
export function referencePart({ reference, dims, symbols }: PartCase, corrections: number[] = []): ReferencePart {
  return { prior: reference, dims, symbols, corrections };
}

// Seeded context priors and latents under them: networks of every size, tame ones whose rows differ, and such that every sum saturates or wraps.
import type { Codec, Prior, TableJson } from "latentwire";
import { finish, pick, productOf, type Random, randomMeans, type Sample, type Style, scaleIn } from "./cases.js";
import {
  type ContextChannel,
  type ContextParameters,
  contextToBytes,
  type PartPrior,
  rowsOfAxis,
  rowsOfScales,
  tableFromJson,
  type WeightRow,
} from "./reference.js";

/** `tame`: sums stay small. `wild`: any numbers. `extreme`: every number at an end of its range. */
export const tempers = ["tame", "wild", "extreme"] as const;
export type Temper = (typeof tempers)[number];

export interface NetworkShape {
  channels: number;
  /** Default: any number. */
  active?: number;
  H?: 32 | 64 | 128;
  Z?: 8 | 16 | 24 | 32;
  taps?: 12 | 20;
  temper?: Temper;
  /** lo and hi of every channel. Default: drawn. */
  ends?: readonly [number, number];
  /** Rows of the table, where each symbol is given one. Default: rows belong to channels. */
  given?: number;
}

const between = (rng: Random, low: number, high: number) => low + Math.floor(rng.unit() * (high - low + 1));

function weightRow(rng: Random, length: number, temper: Temper): WeightRow {
  if (temper === "extreme") return { shift: 8, numbers: Array.from({ length }, () => pick(rng, [-127, 127])) };
  if (temper === "wild") return { shift: rng(9), numbers: Array.from({ length }, () => between(rng, -127, 127)) };
  const reach = pick(rng, [1, 8, 60]);
  return { shift: pick(rng, [0, 0, 1]), numbers: Array.from({ length }, () => between(rng, -reach, reach)) };
}

function biasOf(rng: Random, temper: Temper, bits: 16 | 32): number {
  const end = 2 ** (bits - 1);
  if (temper === "extreme") return pick(rng, [-end, end - 1]);
  if (temper === "wild") return between(rng, -end, end - 1);
  return bits === 16 ? between(rng, -900, 900) : between(rng, -(2 ** 18), 2 ** 18);
}

function endsOf(rng: Random): readonly [number, number] {
  const low = pick(rng, [-1, -2, -4, -9, -40, 3, -32768, 32765]);
  const most = Math.min(4095, 32767 - low);
  return [low, low + Math.max(2, Math.min(most, pick(rng, [2, 3, 9, 20, 90, rng(20) ? 30 : 4095])))];
}

function anOrder(rng: Random, channels: number, active: number): number[] {
  const left = Array.from({ length: channels }, (_, c) => c);
  return Array.from({ length: active }, () => left.splice(rng(left.length), 1)[0]);
}

export function randomNetwork(rng: Random, shape: NetworkShape): ContextParameters {
  const { channels, active = 1 + rng(channels), temper = "tame" } = shape;
  const H: number = shape.H ?? pick(rng, [32, 64, 128]);
  const Z: number = shape.Z ?? pick(rng, [8, 16, 24, 32]);
  const taps = shape.taps ?? pick(rng, [12, 20] as const);
  const rows = (count: number, length = H) => Array.from({ length: count }, () => weightRow(rng, length, temper));
  const biases = (count: number, bits: 16 | 32) => Array.from({ length: count }, () => biasOf(rng, temper, bits));
  const order = anOrder(rng, channels, active);
  const given =
    shape.given === undefined ? undefined : Array.from({ length: shape.given }, () => between(rng, -127, 127));
  const own = order.map((channel, k): ContextChannel => {
    const [low, high] = shape.ends ?? endsOf(rng);
    return {
      ...{ channel, low, high },
      taps: rows(2 * taps + 1),
      given: rows(given ? 2 : 0),
      spread: rows(k < active - 1 ? 20 : 0),
      second: rows(Z + 2),
      third: rows(2, Z),
      biases: Array.from({ length: 5 }, () => biases(H, 16)),
      secondBias: biases(Z + 2, 32),
    };
  });
  return { H, Z, taps, channels, given, active: own };
}

/** Rows that hold one value which no latent has: everything is an escape of 16 bits and 5 bytes, and the context never needs more. */
export function uselessTable(channels: number, medians?: number[]): TableJson {
  const rows = Array.from({ length: channels });
  return {
    offsets: rows.map(() => 2 ** 30),
    cdfs: rows.map(() => [0, 65535, 65536]),
    ...(medians && { medians }),
  };
}

export type Symbols = "zero" | "small" | "large" | "int32";
const int32Edges = [-(2 ** 31), 2 ** 31 - 1, -(2 ** 31) + 1, 511, -511, 512, -512, 32767, -32768];

function drawSymbol(rng: Random, { low, high }: { low: number; high: number }, kind: Symbols): number {
  if (kind === "zero") return rng(9) ? 0 : between(rng, -1, 1);
  if (kind === "small") return between(rng, Math.max(low - 1, -32768), Math.min(high + 1, low + 12));
  if (kind === "large") return rng(3) ? between(rng, -3, 3) : between(rng, -700, 700);
  return rng(2) ? pick(rng, int32Edges) : between(rng, -(2 ** 31), 2 ** 31 - 1);
}

/** Symbols around what each channel's network has a place for. */
function drawSymbols(
  rng: Random,
  { channels, active }: ContextParameters,
  dims: number[],
  axis: number,
  kind: Symbols,
) {
  const ends = Array.from({ length: channels }, (_, c) => active.find(({ channel }) => channel === c));
  const { index } = rowsOfAxis(dims, axis);
  return Int32Array.from(index, (channel) => drawSymbol(rng, ends[channel] ?? { low: -3, high: 3 }, kind));
}

export interface ContextStyle extends Style {
  parameters: ContextParameters;
  /** Default: useless, so that the context is used. */
  table?: TableJson;
  axis?: number;
  symbols?: Symbols;
  /** The symbols themselves. */
  drawn?: Int32Array;
}

export type ContextSample = Sample<Extract<PartPrior, { kind: "channels" }>> & {
  readonly table: TableJson;
  readonly bytes: Uint8Array;
};

export function contextSample(rng: Random, dims: number[], style: ContextStyle): ContextSample {
  const { parameters, axis = 1, symbols = "small", step } = style;
  const table = style.table ?? uselessTable(parameters.channels);
  const own = tableFromJson(table);
  const bytes = contextToBytes(parameters);
  const coding = { rows: own.rows, ...rowsOfAxis(dims, axis) };
  const { medians } = own;
  const meanOf = medians && ((i: number) => medians[coding.index[i]]);
  const drawn = style.drawn ?? drawSymbols(rng, parameters, dims, axis, symbols);
  return {
    name: `context [${dims}], axis ${axis}`,
    ...{ table, bytes, coding },
    ...finish(rng, drawn, dims, style, meanOf),
    reference: { kind: "channels", table: own, axis, context: parameters, ...(step !== undefined && { step }) },
    prior: (codec: Codec) => codec.context(bytes, { table, axis, ...(step !== undefined && { step }) }),
  };
}

/** A context over rows that are given: of a table, or by scales. */
export interface GivenStyle extends Omit<ContextStyle, "table"> {
  table: TableJson;
  /** Ascending, a scale per row: the rows follow from scales. */
  scaleTable?: Float32Array;
  /** The rows themselves. */
  rows?: ArrayLike<number>;
}

export type GivenSample = Sample<Extract<PartPrior, { kind: "rows" | "scales" }>> & {
  readonly table: TableJson;
  readonly bytes: Uint8Array;
  /** The prior under the context. */
  over(codec: Codec): Prior;
};

export function givenSample(rng: Random, dims: number[], style: GivenStyle): GivenSample {
  const { parameters, table, scaleTable, axis = 1, symbols = "small", step } = style;
  const own = tableFromJson(table);
  const bytes = contextToBytes(parameters);
  const n = productOf(dims);
  const drawnRows = Int32Array.from(style.rows ?? Array.from({ length: n }, () => rng(own.rows.length)));
  const scales = scaleTable && Float32Array.from(drawnRows, (row) => scaleIn(rng, row, scaleTable));
  const index = scales ? rowsOfScales(scales, scaleTable) : drawnRows;
  const means = style.means ? randomMeans(rng, n) : undefined;
  const drawn = style.drawn ?? drawSymbols(rng, parameters, dims, axis, symbols);
  const shared = {
    table: own,
    axis,
    context: parameters,
    shape: dims,
    step,
    ...(means && { centre: "means" as const }),
  };
  const tensor = (data: Float32Array) => ({ type: "float32", dims, data });
  const options = { step, means: means && tensor(means) };
  const over = (codec: Codec) =>
    scales
      ? codec.gaussian(tensor(scales), { ...options, table, scaleTable })
      : codec.indexed(table, drawnRows, options);
  return {
    name: `context over given rows [${dims}], axis ${axis}`,
    ...{ table, bytes, means, over },
    coding: { rows: own.rows, index, run: 1 },
    ...finish(rng, drawn, dims, style, means && ((i) => means[i])),
    reference: scales ? { kind: "scales", scales, scaleTable, ...shared } : { kind: "rows", index, ...shared },
    prior: (codec) => codec.context(bytes, { over: over(codec), axis }),
  };
}

// Seeded context priors and latents under them: networks of every size, tame ones whose rows differ, and such that every sum saturates or wraps.
import type { Codec, TableJson } from "latentwire";
import { finish, productOf, type Random, type Sample, type Style } from "./cases.js";
import {
  type ContextChannel,
  type ContextParameters,
  contextToBytes,
  type PartPrior,
  rowsOfAxis,
  tableFromJson,
  type WeightRow,
} from "./reference.js";

/** `tame`: sums stay small. `wild`: any numbers. `extreme`: every number at an end of its range. */
export type Temper = "tame" | "wild" | "extreme";

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
}

const pick = <T>(rng: Random, list: readonly T[]): T => list[rng(list.length)];
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
  const own = order.map((channel, k): ContextChannel => {
    const [low, high] = shape.ends ?? endsOf(rng);
    return {
      ...{ channel, low, high },
      taps: rows(2 * taps + 1),
      spread: rows(k < active - 1 ? 20 : 0),
      second: rows(Z + 2),
      third: rows(2, Z),
      biases: Array.from({ length: 5 }, () => biases(H, 16)),
      secondBias: biases(Z + 2, 32),
    };
  });
  return { H, Z, taps, channels, active: own };
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
  const ends = own.rows.map((_, c) => parameters.active.find(({ channel }) => channel === c) ?? { low: -3, high: 3 });
  const drawn =
    style.drawn ??
    Int32Array.from({ length: productOf(dims) }, (_, i) => drawSymbol(rng, ends[coding.index[i]], symbols));
  return {
    name: `context [${dims}], axis ${axis}`,
    ...{ table, bytes, coding },
    ...finish(rng, drawn, dims, style, meanOf),
    reference: { kind: "channels", table: own, axis, context: parameters, ...(step !== undefined && { step }) },
    prior: (codec: Codec) => codec.context(bytes, { table, axis, ...(step !== undefined && { step }) }),
  };
}

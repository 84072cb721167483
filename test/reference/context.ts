// Rows from a context: shape and order, features, network, distribution; docs/format.md sections 10.1 to 10.4.
import type { ContextChannel, ContextParameters, WeightRow } from "./context-parameters.js";
import { exp } from "./exp.js";
import { nearest, type Turn } from "./symbol.js";
import type { Row } from "./table.js";

const maxPlane = 2 ** 22;

/** How the symbols of a part lie: items of C planes. */
export interface Planes {
  readonly items: number;
  readonly channels: number;
  readonly h: number;
  readonly w: number;
  /** Where a symbol is in row-major order. */
  at(item: number, channel: number, y: number, x: number): number;
}

const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);

/** Undefined where the planes are too large for a context. */
export function planesOf(dims: readonly number[], axis: number): Planes | undefined {
  const r = dims.length;
  const C = dims[axis];
  const isLast = axis === r - 1 && r > 2;
  const behind = dims.slice(axis + 1);
  const [h, w] = isLast ? dims.slice(r - 3, r - 1) : [product(behind.slice(0, -1)), behind[behind.length - 1] ?? 1];
  const items = product(dims.slice(0, isLast ? r - 3 : axis));
  if (h * w > maxPlane) return undefined;
  const at = isLast
    ? (item: number, c: number, y: number, x: number) => ((item * h + y) * w + x) * C + c
    : (item: number, c: number, y: number, x: number) => ((item * C + c) * h + y) * w + x;
  return { items, channels: C, h, w, at };
}

const tapPlaces = [
  ...[
    [0, -1],
    [-1, 0],
    [-1, -1],
    [-1, 1],
    [0, -2],
    [-2, 0],
    [-2, -1],
    [-2, 1],
    [-1, -2],
    [-1, 2],
    [-2, -2],
    [-2, 2],
  ],
  ...[
    [0, -3],
    [-3, 0],
    [-3, -1],
    [-3, 1],
    [-1, -3],
    [-1, 3],
    [-2, 3],
    [-2, -3],
  ],
];
const neighbours = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => [dy, dx]));
const ringPlaces = [-2, -1, 0, 1, 2]
  .flatMap((dy) => [-2, -1, 0, 1, 2].map((dx) => [dy, dx]))
  .filter(([dy, dx]) => Math.max(Math.abs(dy), Math.abs(dx)) === 2);

const clamp = (x: number, a: number, b: number) => Math.min(b, Math.max(a, x));
const sat16 = (x: number) => clamp(x, -32768, 32767);
const leak = (x: number) => Math.max(x, x >> 3);
/** An int32 sum. */
const add = (sum: number, weight: number, factor: number) => (sum + Math.imul(weight, factor)) | 0;
const weightsOf = (rows: readonly WeightRow[]) => rows.map(({ shift, numbers }) => numbers.map((v) => v << shift));

/** run and glob, without overflow. */
const meanOf = (s: number, count: number) => Math.floor((64 * s + (count >> 1)) / count);

const mantissas = [1024, 1069, 1117, 1166, 1218, 1272, 1328, 1387, 1448, 1512, 1579, 1649, 1722, 1798, 1878, 1961];
/** LT of section 10.4. */
export const logistic = Array.from({ length: 3073 }, (_, i) =>
  Math.min(65535, nearest(65536 / (1 + exp(-(i - 1536) / 128)))),
);

/** The row of a distribution. */
export function contextRow(low: number, high: number, mu: number, l: number): Row {
  const n = 65536 - (high - low + 2);
  const cdf = [0];
  for (let v = low + 1; v <= high; v++) {
    const d = clamp(256 * v - mu - 128, -(2 ** 19), 2 ** 19);
    const u = clamp((d * mantissas[l & 15]) >> (11 - (l >> 4)), -1536, 1536);
    cdf.push(Math.floor((logistic[u + 1536] * n) / 65536) + v - low);
  }
  cdf.push(65535, 65536);
  return { offset: low, cdf, wholeEscapes: true };
}

/** One plane of p, with 0 around it. */
class Plane {
  readonly p: Int32Array;
  readonly h: number;
  readonly w: number;
  constructor(h: number, w: number) {
    this.h = h;
    this.w = w;
    this.p = new Int32Array(h * w);
  }

  get(y: number, x: number): number {
    return y >= 0 && y < this.h && x >= 0 && x < this.w ? this.p[y * this.w + x] : 0;
  }

  /** Takes a symbol. */
  set(y: number, x: number, symbol: number): void {
    this.p[y * this.w + x] = clamp(symbol, -511, 511);
  }

  /** Sum of |p| over the first so many rows. */
  sum(rows: number): number {
    return this.p.subarray(0, rows * this.w).reduce((s, p) => s + Math.abs(p), 0);
  }
}

/** A channel's weights, made from its bytes once. */
function layersOf({ taps, given, spread, second, third }: ContextChannel) {
  return {
    taps: weightsOf(taps),
    given: weightsOf(given),
    spread: weightsOf(spread),
    second: weightsOf(second),
    third: weightsOf(third),
  };
}
type Layers = ReturnType<typeof layersOf>;

/** mu and l of the symbol at (y, x). `state`: its S. `run`: of its row. `g`: of the row of the table that it is given, 0 without. */
function networkAt(
  { H, Z, taps }: ContextParameters,
  { biases, secondBias }: ContextChannel,
  layers: Layers,
  plane: Plane,
  state: Int32Array,
  [y, x]: readonly [number, number],
  run: number,
  g: number,
): { mu: number; l: number } {
  const isAt = [true, y === 0, y === plane.h - 1, x === 0, x === plane.w - 1];
  const seen = tapPlaces.slice(0, taps).map(([dy, dx]) => plane.get(y + dy, x + dx));
  const u = Array.from({ length: H }, (_, i) => {
    let a = state[i];
    for (const [which, bias] of biases.entries()) if (isAt[which]) a = (a + bias[i]) | 0;
    a = add(a, layers.taps[2 * taps][i], run);
    for (const [t, p] of seen.entries()) {
      a = add(a, layers.taps[2 * t][i], p);
      a = add(a, layers.taps[2 * t + 1][i], Math.abs(p));
    }
    for (const [which, weights] of layers.given.entries()) a = add(a, weights[i], which === 0 ? g : Math.abs(g));
    return sat16(leak(a) >> 2);
  });
  const o = layers.second.map((row, j) => u.reduce((sum, value, i) => add(sum, row[i], value), secondBias[j]));
  const z = o.slice(0, Z).map((value) => sat16(leak(value) >> 10));
  const e = layers.third.map((row, c) => z.reduce((sum, value, j) => add(sum, row[j], value), o[Z + c]));
  return { mu: e[0] >> 10, l: clamp(e[1] >> 14, -92, 128) };
}

/** A complete plane adds what it knows to the state of every position. */
function spreadPlane(plane: Plane, { spread }: Layers, states: readonly Int32Array[]): void {
  const glob = meanOf(plane.sum(plane.h), plane.h * plane.w);
  states.forEach((state, at) => {
    const [y, x] = [Math.floor(at / plane.w), at % plane.w];
    const near = neighbours.flatMap(([dy, dx]) => {
      const p = plane.get(y + dy, x + dx);
      return [p, Math.abs(p)];
    });
    const ring = ringPlaces.reduce((sum, [dy, dx]) => sum + Math.abs(plane.get(y + dy, x + dx)), 0);
    for (const [row, value] of [...near, ring, glob].entries())
      for (let i = 0; i < state.length; i++) state[i] = add(state[i], spread[row][i], value);
  });
}

/**
 * The symbols of a part in the order in which they are coded, each with its row. The caller has written a symbol into `symbols` before it asks
 * for the next. `rows` are the table's, `index` says which of them each symbol has without a context.
 */
export function* contextTurns(
  parameters: ContextParameters,
  planes: Planes,
  rows: readonly Row[],
  index: ArrayLike<number>,
  symbols: ArrayLike<number>,
): Generator<Turn> {
  const { items, channels, h, w, at } = planes;
  const { active, H, given } = parameters;
  const layers = active.map(layersOf);
  let place = 0;
  for (let item = 0; item < items; item++) {
    const states = Array.from({ length: h * w }, () => new Int32Array(H));
    for (const [k, own] of active.entries()) {
      const plane = new Plane(h, w);
      for (let y = 0; y < h; y++) {
        const run = y === 0 ? 0 : meanOf(plane.sum(y), w * y);
        for (let x = 0; x < w; x++) {
          const position = at(item, own.channel, y, x);
          const g = given ? given[index[position]] : 0;
          const { mu, l } = networkAt(parameters, own, layers[k], plane, states[y * w + x], [y, x], run, g);
          yield { at: position, place: place++, row: contextRow(own.low, own.high, mu, l) };
          plane.set(y, x, symbols[position]);
        }
      }
      if (k < active.length - 1) spreadPlane(plane, layers[k], states);
    }
  }
  const isActive = new Set(active.map(({ channel }) => channel));
  place = 0;
  for (let item = 0; item < items; item++)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < h * w && !isActive.has(c); i++) {
        const position = at(item, c, Math.floor(i / w), i % w);
        yield { at: position, place: place++, row: rows[index[position]] };
      }
}

// From a float32 to a symbol and from a symbol to an entry; docs/format.md sections 6 and 1.
import { corrupted, fail } from "./bytes.js";
import type { Row } from "./table.js";

const lowest = -(2 ** 31);
const highest = 2 ** 31 - 128;

export function nearest(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

// Math.fround after every operation is what makes it exact.

/** `meanOf` is undefined where there are no means: then the subtraction is left out. */
export function quantize(y: Float32Array, meanOf?: (i: number) => number, step = 1): Int32Array {
  return Int32Array.from(y, (value, i) => {
    if (!Number.isFinite(value)) fail("NON_FINITE", `${value} at position ${i}`);
    let x = value;
    if (meanOf) x = Math.fround(x - meanOf(i));
    if (step !== 1) x = Math.fround(x / Math.fround(step));
    const symbol = nearest(x);
    if (!(symbol >= lowest && symbol <= highest)) fail("OUT_OF_RANGE", `${symbol} at position ${i}`);
    return symbol;
  });
}

export function dequantize(symbols: ArrayLike<number>, meanOf?: (i: number) => number, step = 1): Float32Array {
  return Float32Array.from(symbols, (symbol, i) => {
    let x = Math.fround(symbol);
    if (step !== 1) x = Math.fround(x * Math.fround(step));
    return meanOf ? Math.fround(x + meanOf(i)) : x;
  });
}

/** Which row codes which symbol of a part: `rows[index[i]]` codes symbol i. */
export interface Coding {
  readonly rows: readonly Row[];
  readonly index: ArrayLike<number>;
  /** Neighbours that share a row, where rows belong to channels. Otherwise 1. */
  readonly run: number;
  /** Under a context: the order and rows instead of `index`. Each symbol is written into the array before the next is asked for. */
  turns?(symbols: ArrayLike<number>): Iterable<Turn>;
}

/** One symbol in the order of coding. */
export interface Turn {
  /** Its position in the part. */
  readonly at: number;
  readonly row: Row;
  /** j of section 3.2: lane `j mod lanes` codes it, unless it is in the tail. */
  readonly place: number;
}

export interface Entry {
  readonly k: number;
  readonly freq: number;
  readonly cum: number;
  /** Set where the entry is the escape. */
  readonly raw: number | undefined;
}

function maxOf(row: Row): number {
  return row.cdf.length - 2;
}

/** The offset and max that the numbers of escapes are made with. */
const escapesFrom = (row: Row) => (row.wholeEscapes ? { offset: 0, max: 0 } : { offset: row.offset, max: maxOf(row) });

function interval(row: Row, k: number) {
  return { k, freq: row.cdf[k + 1] - row.cdf[k], cum: row.cdf[k] };
}

export function entryOf(row: Row, symbol: number): Entry {
  const max = maxOf(row);
  const k = symbol - row.offset;
  if (k >= 0 && k < max) return { ...interval(row, k), raw: undefined };
  const from = escapesFrom(row);
  const u = symbol - from.offset;
  return { ...interval(row, max), raw: u < 0 ? -2 * u - 1 : 2 * (u - from.max) };
}

/** The entry whose interval holds the slot. */
export function entryAt(row: Row, slot: number) {
  let low = 0;
  let high = row.cdf.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (row.cdf[middle] <= slot) low = middle;
    else high = middle;
  }
  return { ...interval(row, low), escape: low === maxOf(row) };
}

export function symbolOf(row: Row, k: number): number {
  return checkInt32(row.offset + k);
}

export function symbolOfEscape(row: Row, raw: number): number {
  const { offset, max } = escapesFrom(row);
  const u = raw % 2 === 1 ? -(raw + 1) / 2 : raw / 2 + max;
  return checkInt32(offset + u);
}

function checkInt32(value: number): number {
  if (value < -(2 ** 31) || value >= 2 ** 31) corrupted(`symbol ${value} is outside int32`);
  return value;
}

/** Sum of -log2(freq / 65536) over all entries, in bits: what no entropy coder can beat on average. Escapes' raw values are extra. */
export function idealBits(symbols: ArrayLike<number>, { rows, index }: Coding): number {
  let bits = 0;
  for (let i = 0; i < symbols.length; i++) bits += 16 - Math.log2(entryOf(rows[index[i]], symbols[i]).freq);
  return bits;
}

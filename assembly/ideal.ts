// The ideal code length of a latent: the sum of -log2(freq / 65536) over its entries. Multiplying frequencies and counting exponents is exact to
// 1e-13 and needs one multiplication a symbol; a logarithm each would take ten times as long.

import { escapeToRaw } from "./escape";
import { TABLE_RECORDS } from "./table";
import { readTile, TILE } from "./tile";

// 32 frequencies of at most 2^16 stay below 2^1023.
const BLOCK: u32 = 32;

let exponent: i64 = 0;
let escapes: u32 = 0;
let escapeBytes: u32 = 0;

/** The product of all frequencies is idealMantissa's result times 2^this. */
export function idealExponent(): f64 {
  return <f64>exponent;
}

export function idealEscapes(): u32 {
  return escapes;
}

/** Bytes of the escapes' numbers (docs/format.md section 3.3). */
export function idealEscapeBytes(): u32 {
  return escapeBytes;
}

/** Goes over the n elements of the source (tile.ts); `run` elements share a row (u16). Returns the mantissa, 1 .. 2, or 0 if an element has no symbol. */
export function idealMantissa(n: u32, rows: usize, run: u32, table: usize): f64 {
  const records = <usize>load<u32>(table, TABLE_RECORDS);
  let product: f64 = 1;
  let left: u32 = 0;
  let record: usize = 0;
  exponent = 0;
  escapes = 0;
  escapeBytes = 0;
  for (let from: u32 = 0; from < n; from += TILE) {
    const to = min<u32>(from + TILE, n);
    const symbols = readTile(from, to);
    if (symbols == 0) return 0;
    for (let i = from; i < to; ) {
      // Blocks and tiles are independent products, so they overlap in the processor.
      let block: f64 = 1;
      for (const end = min<u32>(i + BLOCK, to); i < end; i++) {
        if (left == 0) {
          left = run;
          record = records + (<usize>load<u16>(rows) << 4);
          rows += 2;
        }
        left--;
        const max = load<u32>(record, 4);
        const value = load<i32>(symbols + (<usize>(i - from) << 2));
        const offset = load<i32>(record, 8);
        const k = min<u32>(<u32>(value - offset), max);
        if (k == max) countEscape(escapeToRaw(value, offset, max));
        const freq = <u32>load<u16>(<usize>load<u32>(record) + (<usize>k << 3));
        block *= <f64>(freq ? freq : 65536);
      }
      product = normalised(product) * normalised(block);
    }
  }
  return normalised(product);
}

function countEscape(raw: u64): void {
  escapes++;
  escapeBytes++;
  for (let rest = raw >> 7; rest != 0; rest >>= 7) escapeBytes++;
}

// The mantissa; the exponent goes to the sum.
function normalised(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  exponent += <i64>(bits >> 52) - 1023;
  return reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
}

// From a scale to a row (docs/format.md section 7). Rows of channels for every symbol.

import { xxh32 } from "./checksum";
import { keep } from "./memory";

// A positive float32's upper 13 bits: exponent and 4 mantissa bits, 16 bins an octave.
const BIN_SHIFT: u32 = 19;
const BINS: u32 = 4096;

// The structure of ascending scales: their number, whether no bin holds more than one of them, their XXH32; then the
// bins, then the scales.
export const SCALES_COUNT: usize = 0;
const SCALES_SINGLE: usize = 4;
export const SCALES_HASH: usize = 8;
const SCALES_BINS: usize = 64;
/** Offset of the scales, float32: behind the bins, of 8 bytes each. */
export const SCALES_VALUES: usize = 32832;

/**
 * Memory for `count` scales; 0: there is none. The host puts them at SCALES_VALUES and then calls buildScales.
 */
export function newScales(count: u32): usize {
  const scales = keep(SCALES_VALUES + (<usize>count << 2));
  if (scales) store<u32>(scales, count);
  return scales;
}

/**
 * Builds the bins. A bin stands for all float32 with the same upper bits. It holds the first scale that is not below
 * its smallest member (infinity if there is none), and that scale's row. If a bin has one scale at most, the row of
 * sigma is row + (scale < sigma).
 */
export function buildScales(scales: usize): void {
  const values = scales + SCALES_VALUES;
  const count = load<u32>(scales);
  let row: u32 = 0;
  let single: u32 = 1;
  for (let b: u32 = 0; b < BINS; b++) {
    const before = row;
    // These bits are infinity or NaN. NaN is never looked up.
    while (row + 1 < count && load<f32>(values + (<usize>row << 2)) < reinterpret<f32>(b << BIN_SHIFT)) row++;
    // There was more than one scale in bin b - 1.
    if (row > before + 1) single = 0;
    const bin = scales + SCALES_BINS + (<usize>b << 3);
    store<f32>(bin, row + 1 < count ? load<f32>(values + (<usize>row << 2)) : Infinity);
    store<u32>(bin, row, 4);
  }
  store<u32>(scales, single, SCALES_SINGLE);
  store<u32>(scales, xxh32(values, <usize>count << 2, 0), SCALES_HASH);
}

/** rows[i] (u16) = #{ j < count - 1 : scales[j] < sigma[i] }. Returns -1, or the position of a NaN. */
export function scaleToRow(sigmas: usize, n: i32, scales: usize, rows: usize): i32 {
  const last = load<u32>(scales) - 1;
  const values = scales + SCALES_VALUES;
  const bins = scales + SCALES_BINS;
  const single = load<u32>(scales, SCALES_SINGLE) != 0;
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    if (single) {
      const zero = f32x4.splat(0);
      const base = i32x4.splat(<i32>bins);
      for (; i <= n - 8; i += 8) {
        const a = v128.load(sigmas + (<usize>i << 2));
        const b = v128.load(sigmas + (<usize>i << 2), 16);
        if (v128.any_true(v128.or(f32x4.ne(a, a), f32x4.ne(b, b)))) break;
        // pmax(0, sigma) turns -0 and everything below 0 into 0.
        const low = fourRows(f32x4.pmax(zero, a), base);
        const high = fourRows(f32x4.pmax(zero, b), base);
        v128.store(rows + (<usize>i << 1), v128.shuffle<u16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14));
      }
    }
  }
  for (; i < n; i++) {
    const sigma = load<f32>(sigmas + (<usize>i << 2));
    if (sigma != sigma) return i;
    const bin = bins + (<usize>(sigma > 0 ? reinterpret<u32>(sigma) >> BIN_SHIFT : <u32>0) << 3);
    // Without a branch, because no processor can predict this comparison (encode of W1 by scales 123 -> 244 Msym/s,
    // bench latentwire-gaussian).
    let row = load<u32>(bin, 4) + u32(load<f32>(bin) < sigma);
    if (!single) while (row < last && load<f32>(values + (<usize>row << 2)) < sigma) row++;
    store<u16>(rows + (<usize>i << 1), <u16>row);
  }
  return -1;
}

// The rows of four positive scales.
// @ts-ignore: decorator
@inline
function fourRows(sigma: v128, base: v128): v128 {
  const at = i32x4.add(base, i32x4.shl(i32x4.shr_u(sigma, BIN_SHIFT), 3));
  const low = v128.load64_lane(<usize>i32x4.extract_lane(at, 1), v128.load64_zero(<usize>i32x4.extract_lane(at, 0)), 1);
  const high = v128.load64_lane(<usize>i32x4.extract_lane(at, 3), v128.load64_zero(<usize>i32x4.extract_lane(at, 2)), 1);
  const below = f32x4.lt(v128.shuffle<u32>(low, high, 0, 2, 4, 6), sigma);
  return i32x4.sub(v128.shuffle<u32>(low, high, 1, 3, 5, 7), below);
}

/** out[i] (u16) = ((first + i) / run) mod rows, for i < n. */
export function expandRows(rows: u32, run: u32, first: u32, n: u32, out: usize): void {
  let row = (first / run) % rows;
  let left = run - (first % run);
  for (let i: u32 = 0; i < n; i++) {
    store<u16>(out + (<usize>i << 1), <u16>row);
    if (--left == 0) {
      left = run;
      if (++row == rows) row = 0;
    }
  }
}

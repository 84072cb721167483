// Rows made at run time (docs/format.md section 9): a mixture per symbol. A row is never stored; only the edges that
// are needed are computed. An encoder needs the two edges of its symbol. A decoder searches outward from the mean of
// the heaviest component in growing steps, then bisects: 4 to 8 edges instead of the hundreds of a row.

import { erfc, exp, GAUSSIAN, LAPLACE, sigmoid } from "./cdf";
import { failAt, FIELD_MEAN, FIELD_SCALE, FIELD_WEIGHT, GUARD_TOO_WIDE, NON_FINITE, OK } from "./codes";
import { GUARD_ABSOLUTE, GUARD_HASH, GUARD_RELATIVE, guardedRow, recordCorrection, takeCorrection } from "./guard";
import {
  COMPONENT_BYTES, PART_AT_CENTRES, PART_AT_ROWS_OR_SCALES, PART_AT_WEIGHTS, PART_COMPONENTS, PART_DISTRIBUTION, PART_ENTRY_CUM,
  PART_ENTRY_FREQ, PART_GUARD, PART_LOW, PART_PARAMETERS, PART_SCALES, PART_SIZE, PART_WEIGHTED, tileRows,
} from "./part";
import { SCALES_VALUES, scaleToRow } from "./rows";

// Constants of the format.
/** cum of the escape (entry m). Its freq is 1. */
export const ESCAPE_CUM: u32 = 65535;
const MEAN_ONE: f64 = 64;
const MEAN_LIMIT: f64 = 2097152;
const WEIGHT_ONE: f64 = 256;
const OFFSET: f64 = 0.6180339887498949;

// Rounds a weight or mean to the grid of 1 / one. NaN: the guard is too wide for it. In a writer the guard finds the
// positions to correct; in a reader the packet says them.
function quantizeParameter(guard: usize, v: f64, one: f64, low: f64, high: f64, position: u32): f64 {
  const x = v * one;
  const margin = (load<f64>(guard, GUARD_RELATIVE) * abs(v) + load<f64>(guard, GUARD_ABSOLUTE)) * one;
  let corrected = false;
  // A value that is clamped on both machines needs no guard.
  if (margin > 0 && x + margin >= low && x - margin <= high) {
    // The reader's value may be off by the same margin, and must still have the same nearest boundary.
    if (margin >= 0.25) return NaN;
    corrected = abs(x - floor<f64>(x) - 0.5) <= margin;
    if (corrected) recordCorrection(guard, position);
  } else {
    corrected = takeCorrection(guard, position);
  }
  return min<f64>(max<f64>(corrected ? floor<f64>(x) + 1 : nearest<f64>(x), low), high);
}

/**
 * Quantizes the parameters of the n symbols of a part. The host has put them in place as float32, component k of symbol
 * i at k * n + i. The result goes to PART_PARAMETERS, 24 bytes per symbol and component, and into the index check.
 * Returns 0 or a code.
 */
export function quantizeMixture(part: usize, n: u32): i32 {
  const guard = <usize>load<u32>(part, PART_GUARD);
  const count = load<u32>(part, PART_COMPONENTS);
  const scales = <usize>load<u32>(part, PART_SCALES);
  const weights = load<u32>(part, PART_WEIGHTED) ? <usize>load<u32>(part, PART_AT_WEIGHTS) : 0;
  const means = <usize>load<u32>(part, PART_AT_CENTRES);
  const sigmas = <usize>load<u32>(part, PART_AT_ROWS_OR_SCALES);
  let quantized = <usize>load<u32>(part, PART_PARAMETERS);
  let h = load<u32>(guard, GUARD_HASH);
  let position: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    let sum: f64 = 0;
    const first = quantized;
    for (let k: u32 = 0; k < count; k++, quantized += COMPONENT_BYTES, position += 3) {
      const at = <usize>(k * n + i) << 2;
      let weight = WEIGHT_ONE;
      if (weights) {
        const w = <f64>load<f32>(weights + at);
        if (w != w) return failAt(NON_FINITE, FIELD_WEIGHT, i, 0);
        weight = quantizeParameter(guard, w, WEIGHT_ONE, 0, WEIGHT_ONE, position);
        if (weight != weight) return failAt(GUARD_TOO_WIDE, FIELD_WEIGHT, i, load<u32>(weights + at));
      }
      const m = <f64>load<f32>(means + at);
      if (m != m) return failAt(NON_FINITE, FIELD_MEAN, i, load<u32>(means + at));
      const mean = quantizeParameter(guard, m, MEAN_ONE, -MEAN_LIMIT, MEAN_LIMIT, position + 1);
      if (mean != mean) return failAt(GUARD_TOO_WIDE, FIELD_MEAN, i, load<u32>(means + at));
      if (scaleToRow(sigmas + at, 1, scales, tileRows) >= 0) return failAt(NON_FINITE, FIELD_SCALE, i, 0);
      sum += weight;
      store<f64>(quantized, weight);
      store<f64>(quantized, mean, 8);
      store<f64>(quantized, <f64>guardedRow(guard, <f64>load<f32>(sigmas + at), load<u16>(tileRows), scales, position + 2), 16);
    }
    quantized = first;
    for (let k: u32 = 0; k < count; k++, quantized += COMPONENT_BYTES) {
      // If all weights are 0, they count as equal.
      const weight = sum == 0 ? 1 : load<f64>(quantized);
      const mean = load<f64>(quantized, 8);
      const row = <u32>load<f64>(quantized, 16);
      h = (h ^ <u32>weight) * 0x9e3779b1;
      h = (h ^ <u32>(mean + MEAN_LIMIT)) * 0x9e3779b1;
      h = (h ^ row) * 0x9e3779b1;
      store<f64>(quantized, weight);
      store<f64>(quantized, mean / MEAN_ONE, 8);
      store<f64>(quantized, <f64>load<f32>(scales + SCALES_VALUES + (<usize>row << 2)), 16);
    }
  }
  store<u32>(guard, h, GUARD_HASH);
  return OK;
}

// G of docs/format.md section 9.
function cumulative(x: f64, distribution: u32): f64 {
  if (distribution == GAUSSIAN) return 0.5 * erfc(-x * 0.7071067811865476);
  if (distribution == LAPLACE) return x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x);
  return sigmoid(x);
}

// cum(k) of the symbol whose parameters lie at p, 0 <= k <= m.
function cumAt(part: usize, p: usize, k: i32): u32 {
  const size = load<u32>(part, PART_SIZE);
  const components = load<u32>(part, PART_COMPONENTS);
  const distribution = load<u32>(part, PART_DISTRIBUTION);
  if (k <= 0) return 0;
  if (k >= <i32>size) return ESCAPE_CUM;
  const edge = <f64>(load<i32>(part, PART_LOW) + k) - 0.5;
  let sum: f64 = 0;
  let total: f64 = 0;
  for (let c: u32 = 0; c < components; c++, p += COMPONENT_BYTES) {
    const weight = load<f64>(p);
    total += weight;
    sum += weight * cumulative((edge - load<f64>(p, 8)) / load<f64>(p, 16), distribution);
  }
  return <u32>k + <u32>floor<f64>(<f64>(ESCAPE_CUM - size) * (sum / total) + OFFSET);
}

// @ts-ignore: decorator
@inline
function parametersAt(part: usize, i: u32): usize {
  return <usize>load<u32>(part, PART_PARAMETERS) + <usize>i * load<u32>(part, PART_COMPONENTS) * COMPONENT_BYTES;
}

/** entries[i] = freq | cum << 16, for n symbols of a part from symbol `first` on. */
export function mixtureEntries(part: usize, symbols: usize, first: u32, n: u32, entries: usize): void {
  const size = load<u32>(part, PART_SIZE);
  for (let i: u32 = 0; i < n; i++) {
    const k = <u32>(load<i32>(symbols + (<usize>i << 2)) - load<i32>(part, PART_LOW));
    let entry: u32 = 1 | (ESCAPE_CUM << 16);
    if (k < size) {
      const p = parametersAt(part, first + i);
      const low = cumAt(part, p, <i32>k);
      entry = (cumAt(part, p, <i32>k + 1) - low) | (low << 16);
    }
    store<u32>(entries + (<usize>i << 2), entry);
  }
}

/**
 * The value of the i-th symbol from its slot. Its entry goes to PART_ENTRY_FREQ and PART_ENTRY_CUM. For an escape the
 * value has no meaning.
 */
export function mixtureValue(part: usize, i: u32, slot: u32): i32 {
  if (slot == ESCAPE_CUM) {
    store<u32>(part, 1, PART_ENTRY_FREQ);
    store<u32>(part, ESCAPE_CUM, PART_ENTRY_CUM);
    return 0;
  }
  const p = parametersAt(part, i);
  const components = load<u32>(part, PART_COMPONENTS);
  const size = <i32>load<u32>(part, PART_SIZE);
  const bottom = load<i32>(part, PART_LOW);
  // The mean of the heaviest component.
  let heaviest = p;
  for (let c: u32 = 1; c < components; c++) {
    if (load<f64>(p + <usize>c * COMPONENT_BYTES) > load<f64>(heaviest)) heaviest = p + <usize>c * COMPONENT_BYTES;
  }
  let low = <i32>min<f64>(max<f64>(nearest<f64>(load<f64>(heaviest, 8)) - <f64>bottom, 0), <f64>(size - 1));
  let lowCum = cumAt(part, p, low);
  let high = low + 1;
  let highCum: u32 = 0;
  let stride = 1;
  if (lowCum > slot) {
    while (lowCum > slot) {
      high = low;
      highCum = lowCum;
      low = max<i32>(low - stride, 0);
      lowCum = cumAt(part, p, low);
      stride <<= 1;
    }
  } else {
    highCum = cumAt(part, p, high);
    while (highCum <= slot) {
      low = high;
      lowCum = highCum;
      high = min<i32>(high + stride, size);
      highCum = cumAt(part, p, high);
      stride <<= 1;
    }
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const middleCum = cumAt(part, p, middle);
    if (middleCum <= slot) {
      low = middle;
      lowCum = middleCum;
    } else {
      high = middle;
      highCum = middleCum;
    }
  }
  store<u32>(part, highCum - lowCum, PART_ENTRY_FREQ);
  store<u32>(part, lowCum, PART_ENTRY_CUM);
  return bottom + low;
}

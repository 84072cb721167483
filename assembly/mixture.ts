// Rows made at run time (docs/format.md section 9): a mixture per symbol, evaluated where it is needed and nowhere stored. An encoder evaluates the two
// edges of its symbol; a decoder gallops from the heaviest component's mean and bisects: 4 to 8 edges instead of the hundreds of a row.

import { erfc, exp, sigmoid } from "./cdf";
import { correctedRow, isAmbiguous } from "./guard";

export const GAUSSIAN: u32 = 0;
export const LAPLACE: u32 = 1;
// Constants of the format.
/** cum of the escape, entry m; its freq is 1. */
export const ESCAPE_CUM: u32 = 65535;
const MEAN_ONE: f64 = 64;
const MEAN_LIMIT: f64 = 2097152;
const WEIGHT_ONE: f64 = 256;
const OFFSET: f64 = 0.6180339887498949;

/** a and m = b - a + 1. */
export let supportLow: i32 = 0;
export let supportSize: u32 = 0;
let kind: u32 = 0;
let components: u32 = 0;
let parameters: usize = 0;

/** freq and cum of the entry found last. */
export let entryFreq: u32 = 0;
export let entryCum: u32 = 0;

/** Says what the parameters at `quantized` (see quantizeMixture) describe. */
export function mixtureBegin(quantized: usize, componentCount: u32, componentKind: u32, low: i32, size: u32): void {
  parameters = quantized;
  components = componentCount;
  kind = componentKind;
  supportLow = low;
  supportSize = size;
}

/** Positions of parameters to correct: those that a writer finds, or those that a reader was told. */
let positions: usize = 0;
let positionCount: u32 = 0;
let taken: u32 = 0;
let relative: f64 = 0;
let absolute: f64 = 0;

/** Sets the margins of a writer, whose list begins empty, or the `count` ascending positions (u32) of a reader, whose margins are 0. */
export function guardMixture(relativeMargin: f64, absoluteMargin: f64, list: usize, count: u32): void {
  relative = relativeMargin;
  absolute = absoluteMargin;
  positions = list;
  positionCount = count;
  taken = 0;
}

/** Positions that have been found, or used. */
export function correctedParameters(): u32 {
  return taken;
}

// Whether a reader was told of the parameter.
// @ts-ignore: decorator
@inline
function told(position: u32): bool {
  if (taken >= positionCount || load<u32>(positions + (<usize>taken << 2)) != position) return false;
  taken++;
  return true;
}

function tell(position: u32): void {
  store<u32>(positions + (<usize>taken << 2), position);
  taken++;
}

let tooWide: bool = false;

// A weight or mean on its grid of 1 / one.
function quantizeParameter(v: f64, one: f64, low: f64, high: f64, position: u32): f64 {
  const x = v * one;
  const margin = (relative * abs(v) + absolute) * one;
  let corrected = false;
  // What is clamped on either machine needs no guard.
  if (margin > 0 && x + margin >= low && x - margin <= high) {
    // A reader, whose value may be as far from ours, must find the same boundary nearest.
    if (margin >= 0.25) tooWide = true;
    if (abs(x - floor<f64>(x) - 0.5) <= margin) {
      tell(position);
      corrected = true;
    }
  } else if (told(position)) {
    corrected = true;
  }
  return min<f64>(max<f64>(corrected ? floor<f64>(x) + 1 : nearest<f64>(x), low), high);
}

/** What quantizeMixture returns beside the position of a NaN. */
const DONE: i32 = -1;
const TOO_WIDE: i32 = -2;

/**
 * Quantizes the parameters of n symbols, K float32 each (component k of symbol i at k * n + i; weights may be 0: all are 1), `rows` (u16) being those of the
 * scales. Leaves per symbol and component 24 bytes of f64: w', m' / 64, s'; and feeds `hash`. Returns the position of a NaN, -1, or -2 where guardMixture's
 * margins are too wide for a weight or mean.
 */
export function quantizeMixture(weights: usize, means: usize, sigmas: usize, rows: usize, scales: usize, scaleCount: u32, n: u32, count: u32, quantized: usize, hash: usize): i32 {
  let h = load<u32>(hash);
  let position: u32 = 0;
  tooWide = false;
  for (let i: u32 = 0; i < n; i++) {
    let sum: f64 = 0;
    const first = quantized;
    for (let k: u32 = 0; k < count; k++, quantized += 24, position += 3) {
      const at = k * n + i;
      let weight = WEIGHT_ONE;
      if (weights) {
        const w = <f64>load<f32>(weights + (<usize>at << 2));
        if (w != w) return at;
        weight = quantizeParameter(w, WEIGHT_ONE, 0, WEIGHT_ONE, position);
      }
      const m = <f64>load<f32>(means + (<usize>at << 2));
      if (m != m) return at;
      const mean = quantizeParameter(m, MEAN_ONE, -MEAN_LIMIT, MEAN_LIMIT, position + 1);
      sum += weight;
      store<f64>(quantized, weight);
      store<f64>(quantized, mean, 8);
      store<f64>(quantized, <f64>rowOf(sigmas, rows, scales, scaleCount, at, position + 2), 16);
    }
    quantized = first;
    for (let k: u32 = 0; k < count; k++, quantized += 24) {
      // Weights of 0 alone count as equal.
      const weight = sum == 0 ? 1 : load<f64>(quantized);
      const mean = load<f64>(quantized, 8);
      const row = <u32>load<f64>(quantized, 16);
      h = (h ^ <u32>weight) * 0x9e3779b1;
      h = (h ^ <u32>(mean + MEAN_LIMIT)) * 0x9e3779b1;
      h = (h ^ row) * 0x9e3779b1;
      store<f64>(quantized, weight);
      store<f64>(quantized, mean / MEAN_ONE, 8);
      store<f64>(quantized, <f64>load<f32>(scales + (<usize>row << 2)), 16);
    }
  }
  store<u32>(hash, h);
  return tooWide ? TOO_WIDE : DONE;
}

// The row of a scale, corrected where it has to be.
function rowOf(sigmas: usize, rows: usize, scales: usize, count: u32, at: u32, position: u32): u32 {
  const row = <u32>load<u16>(rows + (<usize>at << 1));
  const sigma = <f64>load<f32>(sigmas + (<usize>at << 2));
  if (isAmbiguous(sigma, row, scales, count, relative * abs(sigma) + absolute)) tell(position);
  else if (!told(position)) return row;
  return correctedRow(sigma, row, scales, count);
}

// G of docs/format.md section 9.
function distribution(x: f64): f64 {
  if (kind == GAUSSIAN) return 0.5 * erfc(-x * 0.7071067811865476);
  if (kind == LAPLACE) return x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x);
  return sigmoid(x);
}

// cum(k) of the symbol whose parameters lie at p, 0 <= k <= m.
function cum(p: usize, k: i32): u32 {
  if (k <= 0) return 0;
  if (k >= <i32>supportSize) return ESCAPE_CUM;
  const edge = <f64>(supportLow + k) - 0.5;
  let sum: f64 = 0;
  let total: f64 = 0;
  for (let c: u32 = 0; c < components; c++, p += 24) {
    const weight = load<f64>(p);
    total += weight;
    sum += weight * distribution((edge - load<f64>(p, 8)) / load<f64>(p, 16));
  }
  return <u32>k + <u32>floor<f64>(<f64>(ESCAPE_CUM - supportSize) * (sum / total) + OFFSET);
}

// @ts-ignore: decorator
@inline
function parametersOf(i: u32): usize {
  return parameters + <usize>(i * components) * 24;
}

/** entries[i] = freq | cum << 16 of n symbols. */
export function mixtureEntries(symbols: usize, n: u32, entries: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    const k = <u32>(load<i32>(symbols + (<usize>i << 2)) - supportLow);
    let entry: u32 = 1 | (ESCAPE_CUM << 16);
    if (k < supportSize) {
      const p = parametersOf(i);
      const low = cum(p, <i32>k);
      entry = (cum(p, <i32>k + 1) - low) | (low << 16);
    }
    store<u32>(entries + (<usize>i << 2), entry);
  }
}

/** The value of the i-th symbol whose slot is given, its entry in entryFreq and entryCum. For an escape the value means nothing. */
export function mixtureValue(i: u32, slot: u32): i32 {
  if (slot == ESCAPE_CUM) {
    entryFreq = 1;
    entryCum = ESCAPE_CUM;
    return 0;
  }
  const p = parametersOf(i);
  // Where the heaviest component has its middle.
  let heaviest = p;
  for (let c: u32 = 1; c < components; c++) {
    if (load<f64>(p + <usize>c * 24) > load<f64>(heaviest)) heaviest = p + <usize>c * 24;
  }
  const size = <i32>supportSize;
  let low = <i32>min<f64>(max<f64>(nearest<f64>(load<f64>(heaviest, 8)) - <f64>supportLow, 0), <f64>(size - 1));
  let lowCum = cum(p, low);
  let high = low + 1;
  let highCum: u32 = 0;
  let stride = 1;
  if (lowCum > slot) {
    while (lowCum > slot) {
      high = low;
      highCum = lowCum;
      low = max<i32>(low - stride, 0);
      lowCum = cum(p, low);
      stride <<= 1;
    }
  } else {
    highCum = cum(p, high);
    while (highCum <= slot) {
      low = high;
      lowCum = highCum;
      high = min<i32>(high + stride, size);
      highCum = cum(p, high);
      stride <<= 1;
    }
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const middleCum = cum(p, middle);
    if (middleCum <= slot) {
      low = middle;
      lowCum = middleCum;
    } else {
      high = middle;
      highCum = middleCum;
    }
  }
  entryFreq = highCum - lowCum;
  entryCum = lowCum;
  return supportLow + low;
}

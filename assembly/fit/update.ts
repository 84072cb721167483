// Gradients of a strip of a channel over the whole batch, and Adam's step. One thread does a strip, so sums have one order.
import { gaussian, halfCosine, power } from "./arithmetic";
import {
  BATCH,
  cellsOf,
  channels,
  channelBytes,
  edgeRow,
  firstMoments,
  givenRow,
  givenSlot,
  hasGiven,
  hidden2,
  hiddenGradients,
  hiddenOf,
  hiddens,
  lossesOf,
  MORE_SLOTS,
  nextGradients,
  NEXT_ROWS,
  nextRow,
  ones,
  outputGradients,
  outputRow,
  outputs,
  outputsOf,
  ROW_BYTES,
  rows,
  runRow,
  SCRATCH_BYTES,
  SHARED_SLOTS,
  scaleOf,
  scratch,
  secondHiddens,
  secondMoments,
  signedOf,
  stripOf,
  strips,
  sums,
  tailOf,
  taps,
  valuesOf,
  weights,
} from "./layout";
import { tapOf } from "./samples";
import { collect, combine } from "./sums";

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f32 = 1e-8;
const DECAY: f64 = 1e-3;
/** The numbers of given rows are some tens: this makes them about 1. */
const GIVEN_SCALE: f32 = 1.0 / 32;
/** A slot's cells of the batch. */
const COLUMN_BYTES: usize = 2 * 256;
/** Share of the steps during which the rate rises. */
const WARM_UP: f64 = 0.05;

/** Random weights, the moments 0. */
export function initialize(seed: u32): void {
  memory.fill(weights, 0, <usize>channels * channelBytes);
  memory.fill(firstMoments, 0, <usize>channels * channelBytes);
  memory.fill(secondMoments, 0, <usize>channels * channelBytes);
  const own: f32 = inverseRoot(1.5 * <f32>(taps * 2 + 6));
  const next: f32 = inverseRoot(3 * <f32>NEXT_ROWS);
  const second: f32 = inverseRoot(<f32>(strips * 32) / 1.5);
  const last: f32 = inverseRoot(100 * <f32>hidden2);
  let counter: u32 = 0;
  for (let k = 0; k < channels; k++) {
    for (let s = 0; s < strips; s++) {
      const base = stripOf(weights, k, s);
      for (let row = 0; row < outputRow + hidden2; row++) {
        const scale = row < nextRow ? own : row < outputRow ? next : second;
        for (let i = 0; i < 32; i++) store<f32>(base + (<usize>(row * 32 + i) << 2), gaussian(seed, counter++) * scale);
      }
      // Numbers of their own, so that the others are the same with and without given rows.
      if (hasGiven)
        for (let i = 0; i < 64; i++)
          store<f32>(base + (<usize>(givenRow * 32 + i) << 2), gaussian(seed ^ 0x6a09e667, 64 * (k * strips + s) + i) * own);
      writeSigned(k, s);
    }
    const tail = tailOf(weights, k);
    for (let c = 0; c < 2; c++)
      for (let j = 0; j < hidden2; j++)
        store<f32>(tail + (<usize>(c * outputs + j) << 2), gaussian(seed, counter++) * last);
    store<f32>(tail + (<usize>(2 * outputs + hidden2 + 1) << 2), 0.5);
  }
}

@inline
function inverseRoot(x: f32): f32 {
  return <f32>1 / sqrt<f32>(x);
}

/** Adds the code lengths of a channel. */
export function addLosses(k: i32): void {
  let sum: f64 = 0;
  const from = lossesOf(k, 0);
  for (let at: usize = 0; at < 4 * BATCH; at += 4) sum += <f64>load<f32>(from + at);
  store<f64>(sums + (<usize>k << 3), load<f64>(sums + (<usize>k << 3)) + sum);
}

/** One step of a strip of a channel. */
export function update(k: i32, strip: i32, thread: i32, step: i32, total: i32, peak: f32): void {
  const gradients = scratch + <usize>thread * SCRATCH_BYTES;
  firstGradients(k, strip, gradients);
  const from = outputsOf(outputGradients, k, 0);
  const hidden = hiddenOf(hiddens, k, strip, 0);
  for (let j = 0; j < hidden2 + 2; j++)
    combine(
      gradients + <usize>(outputRow + j) * ROW_BYTES,
      from + (<usize>j << 2),
      <usize>outputs << 2,
      hidden,
      ROW_BYTES,
      BATCH,
    );
  memory.fill(gradients + <usize>(outputRow + hidden2 + 2) * ROW_BYTES, 0, 2 * ROW_BYTES);

  const done = <f64>step / <f64>total;
  const rate = <f64>peak * (done < WARM_UP ? done / WARM_UP : halfCosine((done - WARM_UP) / (1 - WARM_UP))) + 1e-6;
  const correct1 = 1 - power(BETA1, step + 1);
  const correct2 = 1 - power(BETA2, step + 1);
  const keep = <f32>(1 - rate * DECAY);
  const inverse = <f32>(1 / correct2);
  const size = <f32>(rate / correct1);
  const offset = stripOf(0, k, strip);
  adam(offset, gradients, <usize>rows * ROW_BYTES, size, inverse, keep);
  if (strip === 0) {
    tailGradients(k, gradients);
    adam(tailOf(0, k), gradients, 3 * (<usize>outputs << 2), size, inverse, keep);
  }
  writeSigned(k, strip);
}

/** Gradients of the rows of what a position reads. */
function firstGradients(k: i32, strip: i32, gradients: usize): void {
  const temporary = gradients + 128 * ROW_BYTES;
  const columns = temporary + 2 * ROW_BYTES;
  const own = hiddenOf(hiddenGradients, k, strip, 0);
  const next = hiddenOf(nextGradients, k, strip, 0);
  const scale = f32x4.splat(load<f32>(scaleOf(k, 0)));
  transpose(k, columns);
  for (let slot = 0; slot < taps; slot++)
    pairGradients(gradients + <usize>(2 * tapOf(slot)) * ROW_BYTES, columns + <usize>slot * COLUMN_BYTES, own, temporary, scale);
  for (let e = 0; e < 4; e++)
    collect(
      gradients + <usize>(edgeRow + e) * ROW_BYTES,
      columns + <usize>(taps + 5 + e) * COLUMN_BYTES,
      BATCH,
      false,
      own,
    );
  if (hasGiven) {
    const column = columns + <usize>givenSlot() * COLUMN_BYTES;
    pairGradients(gradients + <usize>givenRow * ROW_BYTES, column, own, temporary, f32x4.splat(GIVEN_SCALE));
  }
  const run = gradients + <usize>runRow * ROW_BYTES;
  combine(run, valuesOf(k, 0), 4, own, ROW_BYTES, BATCH);
  combine(run + ROW_BYTES, ones(), 0, own, ROW_BYTES, BATCH);
  if (k === channels - 1) {
    memory.fill(gradients + <usize>nextRow * ROW_BYTES, 0, <usize>NEXT_ROWS * ROW_BYTES);
    return;
  }
  for (let i = 0; i < 9; i++)
    pairGradients(
      gradients + <usize>(nextRow + 2 * i) * ROW_BYTES,
      columns + <usize>(taps - SHARED_SLOTS + i) * COLUMN_BYTES,
      next,
      temporary,
      scale,
    );
  const ring = gradients + <usize>(nextRow + 18) * ROW_BYTES;
  combine(ring, valuesOf(k, 1), 4, next, ROW_BYTES, BATCH);
  combine(ring + ROW_BYTES, valuesOf(k, 2), 4, next, ROW_BYTES, BATCH);
}

/** Gradients of the two weights of a cell. */
function pairGradients(to: usize, column: usize, rows: usize, temporary: usize, scale: v128): void {
  collect(temporary, column, BATCH, false, rows);
  collect(temporary + ROW_BYTES, column, BATCH, true, rows);
  for (let at: usize = 0; at < ROW_BYTES; at += 16) {
    const plus = f32x4.mul(v128.load(temporary + at), scale);
    const minus = f32x4.mul(v128.load(temporary + at, 128), scale);
    v128.store(to + at, f32x4.sub(plus, minus));
    v128.store(to + at, f32x4.add(plus, minus), 128);
  }
}

/** Cells of the batch by slot. */
function transpose(k: i32, columns: usize): void {
  const count = taps + MORE_SLOTS;
  for (let position = 0; position < BATCH; position++) {
    const from = cellsOf(k, position);
    const to = columns + (<usize>position << 1);
    for (let t = 0; t < count; t++)
      store<i16>(to + <usize>t * COLUMN_BYTES, load<i16>(from + (<usize>t << 1)));
  }
}

/** Gradients of W3 and b. */
function tailGradients(k: i32, to: usize): void {
  const bytes = <usize>outputs << 2;
  const means = lossesOf(k, 2);
  const spreads = lossesOf(k, 3);
  for (let j: usize = 0; j < bytes; j += 16) {
    let mean = f32x4.splat(0);
    let spread = mean;
    let bias = mean;
    let z = outputsOf(secondHiddens, k, 0) + j;
    let d = outputsOf(outputGradients, k, 0) + j;
    for (let at: usize = 0; at < 4 * BATCH; at += 4) {
      const units = v128.load(z);
      mean = f32x4.add(mean, f32x4.mul(v128.load32_splat(means + at), units));
      spread = f32x4.add(spread, f32x4.mul(v128.load32_splat(spreads + at), units));
      bias = f32x4.add(bias, v128.load(d));
      z += bytes;
      d += bytes;
    }
    // Behind the hidden units are the outputs themselves, which W3 does not read.
    const isHidden = j < <usize>hidden2 << 2;
    v128.store(to + j, isHidden ? mean : f32x4.splat(0));
    v128.store(to + bytes + j, isHidden ? spread : f32x4.splat(0));
    v128.store(to + 2 * bytes + j, bias);
  }
}

/** Adam with decoupled decay; `offset` is the place within weights and moments. */
function adam(offset: usize, gradients: usize, bytes: usize, size: f32, inverse: f32, keep: f32): void {
  const b1 = f32x4.splat(<f32>BETA1);
  const c1 = f32x4.splat(<f32>(1 - BETA1));
  const b2 = f32x4.splat(<f32>BETA2);
  const c2 = f32x4.splat(<f32>(1 - BETA2));
  const sizes = f32x4.splat(size);
  const inverses = f32x4.splat(inverse);
  const keeps = f32x4.splat(keep);
  const epsilon = f32x4.splat(EPSILON);
  for (let at: usize = 0; at < bytes; at += 16) {
    const g = v128.load(gradients + at);
    const first = firstMoments + offset + at;
    const second = secondMoments + offset + at;
    const weight = weights + offset + at;
    const m = f32x4.add(f32x4.mul(b1, v128.load(first)), f32x4.mul(c1, g));
    const v = f32x4.add(f32x4.mul(b2, v128.load(second)), f32x4.mul(f32x4.mul(c2, g), g));
    v128.store(first, m);
    v128.store(second, v);
    const step = f32x4.div(m, f32x4.add(f32x4.sqrt(f32x4.mul(v, inverses)), epsilon));
    v128.store(weight, f32x4.sub(f32x4.mul(keeps, v128.load(weight)), f32x4.mul(sizes, step)));
  }
}

/**
 * The pair (v, |v|) of a cell under its two weights is |v| under their sum or difference: one row per sign, which holds 1 / sd, too.
 * The edges' rows are copied, so that a position finds them among its cells.
 */
export function writeSigned(k: i32, strip: i32): void {
  const base = stripOf(weights, k, strip);
  const to = signedOf(k, strip);
  const scale = f32x4.splat(load<f32>(scaleOf(k, 0)));
  for (let slot = 0; slot < taps; slot++)
    signedPair(to + 2 * <usize>slot * ROW_BYTES, base + 2 * <usize>tapOf(slot) * ROW_BYTES, scale);
  for (let e = 0; e < 4; e++)
    memory.copy(to + 2 * <usize>(taps + 5 + e) * ROW_BYTES, base + <usize>(edgeRow + e) * ROW_BYTES, ROW_BYTES);
  if (hasGiven)
    signedPair(to + 2 * <usize>givenSlot() * ROW_BYTES, base + <usize>givenRow * ROW_BYTES, f32x4.splat(GIVEN_SCALE));
  const next = to + 2 * <usize>(taps + MORE_SLOTS) * ROW_BYTES;
  for (let i = 0; i < 9; i++)
    signedPair(next + 2 * <usize>i * ROW_BYTES, base + <usize>(nextRow + 2 * i) * ROW_BYTES, scale);
}

@inline
function signedPair(to: usize, pair: usize, scale: v128): void {
  for (let at: usize = 0; at < ROW_BYTES; at += 16) {
    const value = v128.load(pair + at);
    const size = v128.load(pair + at, 128);
    v128.store(to + at, f32x4.mul(f32x4.add(size, value), scale));
    v128.store(to + at, f32x4.mul(f32x4.sub(size, value), scale), 128);
  }
}

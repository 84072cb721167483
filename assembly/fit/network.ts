// The network forward and backward for the positions of a chunk, through all channels. What the weights' gradients need is kept.
import { exp2, log2 } from "./arithmetic";
import {
  BATCH,
  BATCH_BYTES,
  CHUNK,
  cellsOf,
  channels,
  HIDDEN_STRIDE,
  hidden2,
  hiddenGradients,
  hiddenOf,
  hiddens,
  lossesOf,
  MORE_SLOTS,
  nextGradients,
  nextRow,
  outputGradients,
  outputRow,
  outputs,
  outputsOf,
  ROW_BYTES,
  rows,
  runRow,
  SHARED_SLOTS,
  scaleOf,
  secondHiddens,
  signedOf,
  stateGradients,
  states,
  stripOf,
  strips,
  tailOf,
  taps,
  valuesOf,
  weights,
} from "./layout";
import { maskOf } from "./samples";
import { combine, project, walk } from "./sums";

/** Slope of the units below 0. */
const LEAK: f32 = 0.125;
/** Bounds of the scale's exponent, in octaves: -92 and 128 sixteenths. */
const LEAST: f32 = -5.75;
const MOST: f32 = 8;
/** The integer form gives each symbol one slot of 65,536. */
const FLOOR: f32 = 1.0 / 65536.0;
/** Gradients of one symbol are no larger. */
const STEEPEST_MEAN: f32 = 20;
const STEEPEST_SCALE: f32 = 8;
const LOG2_E: f32 = 1.4426950408889634;

@inline
function leaky(x: v128): v128 {
  return f32x4.max(x, f32x4.mul(x, f32x4.splat(LEAK)));
}

/** The slope of {@link leaky}, from what it returned. */
@inline
function slope(y: v128): v128 {
  return v128.bitselect(f32x4.splat(1), f32x4.splat(LEAK), f32x4.gt(y, f32x4.splat(0)));
}

@inline
function stateOf(base: usize, strip: i32, position: i32): usize {
  return base + <usize>(strip * BATCH + position) * ROW_BYTES;
}

/** Computes the code length of each symbol of a chunk and, with `isTraining`, the gradients of mean and scale. */
export function forward(chunk: i32, isTraining: bool): void {
  const from = chunk * CHUNK;
  for (let s = 0; s < strips; s++) memory.fill(stateOf(states, s, from), 0, <usize>CHUNK * ROW_BYTES);
  for (let k = 0; k < channels; k++) {
    for (let i = 0; i < CHUNK; i++) firstLayer(k, from + i);
    secondLayer(k, from);
    for (let i = 0; i < CHUNK; i += 4) measure(k, from + i, isTraining);
  }
}

/** Hidden units of a position, and what it adds to the state of later channels. */
function firstLayer(k: i32, position: i32): void {
  const cells = cellsOf(k, position);
  const mask = maskOf(cells);
  const own = mask & ~(<u32>31 << taps);
  const firstOfNext = taps - SHARED_SLOTS;
  const next = (mask >> firstOfNext) & 511;
  const values = valuesOf(k, 0) + (<usize>position << 2);
  const run = load<f32>(values);
  const ring = load<f32>(values, BATCH_BYTES);
  const glob = load<f32>(values, 2 * BATCH_BYTES);
  const isLast = k === channels - 1;
  for (let s = 0; s < strips; s++) {
    const weight = stripOf(weights, k, s);
    const signed = signedOf(k, s);
    const state = stateOf(states, s, position);
    const runAndBias = weight + <usize>runRow * ROW_BYTES;
    walk(hiddenOf(hiddens, k, s, position), state, runAndBias, run, 1, cells, own, signed, LEAK);
    if (isLast) continue;
    const ringAndGlob = weight + <usize>(nextRow + 18) * ROW_BYTES;
    const signedNext = signed + 2 * <usize>(taps + MORE_SLOTS) * ROW_BYTES;
    walk(state, state, ringAndGlob, ring, glob, cells + (<usize>firstOfNext << 1), next, signedNext, 1);
  }
}

/** The second layer of a chunk's positions: mean in units of sd, log of the inverse scale. They take the places of the gradients. */
function secondLayer(k: i32, from: i32): void {
  const tail = tailOf(weights, k);
  const bias = tail + 2 * (<usize>outputs << 2);
  const row = stripOf(weights, k, 0) + <usize>outputRow * ROW_BYTES;
  const bytes = <usize>outputs << 2;
  for (let i = from; i < from + CHUNK; i += 2) {
    const a = outputsOf(secondHiddens, k, i);
    const b = a + bytes;
    memory.copy(a, bias, bytes);
    memory.copy(b, bias, bytes);
    const hidden = hiddenOf(hiddens, k, 0, i);
    for (let j = 0; j < outputs; j += 4)
      project(
        a + (<usize>j << 2),
        b + (<usize>j << 2),
        hidden,
        hidden + ROW_BYTES,
        HIDDEN_STRIDE,
        row + <usize>j * ROW_BYTES,
        <usize>rows * ROW_BYTES,
        strips,
      );
    finish(k, i, a, tail);
    finish(k, i + 1, b, tail);
  }
}

@inline
function finish(k: i32, position: i32, at: usize, tail: usize): void {
  let mean = f32x4.splat(0);
  let scale = f32x4.splat(0);
  const bytes = <usize>hidden2 << 2;
  const second = <usize>outputs << 2;
  for (let j: usize = 0; j < bytes; j += 16) {
    const z = leaky(v128.load(at + j));
    v128.store(at + j, z);
    mean = f32x4.add(mean, f32x4.mul(z, v128.load(tail + j)));
    scale = f32x4.add(scale, f32x4.mul(z, v128.load(tail + second + j)));
  }
  const to = <usize>position << 2;
  store<f32>(lossesOf(k, 2) + to, load<f32>(at + bytes) + lanes(mean));
  store<f32>(lossesOf(k, 3) + to, load<f32>(at + bytes, 4) + lanes(scale));
}

@inline
function lanes(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
  );
}

/** Code lengths of four positions, and the gradients where mean and scale were. */
function measure(k: i32, position: i32, isTraining: bool): void {
  const at = <usize>position << 2;
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  const sd = v128.load32_splat(scaleOf(k, 1));
  const shared = v128.load32_splat(scaleOf(k, 3));
  const mean = f32x4.mul(v128.load(lossesOf(k, 2) + at), sd);
  const whole = f32x4.sub(
    f32x4.mul(v128.load(lossesOf(k, 3) + at), f32x4.splat(LOG2_E)),
    v128.load32_splat(scaleOf(k, 2)),
  );
  const octaves = f32x4.max(f32x4.min(whole, f32x4.splat(MOST)), f32x4.splat(LEAST));
  const inverse = exp2(octaves);
  // The logistic is symmetric: left of the mean neither side of the difference is near 1.
  const distance = f32x4.sub(v128.load(lossesOf(k, 1) + at), mean);
  const t = f32x4.neg(f32x4.abs(distance));
  const half = f32x4.splat(0.5);
  const u1 = bounded(f32x4.mul(f32x4.add(t, half), inverse));
  const u0 = bounded(f32x4.mul(f32x4.sub(t, half), inverse));
  const e1 = exp2(f32x4.mul(u1, f32x4.splat(LOG2_E)));
  const e0 = exp2(f32x4.mul(u0, f32x4.splat(LOG2_E)));
  const r1 = f32x4.div(one, f32x4.add(one, e1));
  const r0 = f32x4.div(one, f32x4.add(one, e0));
  const mass = f32x4.mul(f32x4.mul(f32x4.sub(e1, e0), r1), f32x4.mul(r0, shared));
  const paid = f32x4.add(mass, f32x4.splat(FLOOR));
  v128.store(lossesOf(k, 0) + at, f32x4.neg(log2(paid)));
  if (!isTraining) return;
  const g1 = f32x4.mul(f32x4.mul(e1, r1), r1);
  const g0 = f32x4.mul(f32x4.mul(e0, r0), r0);
  const over = f32x4.div(shared, paid);
  // By the mean: the distance's sign turns it.
  const rise = f32x4.mul(f32x4.mul(f32x4.mul(inverse, f32x4.sub(g1, g0)), over), sd);
  const steep = f32x4.min(f32x4.max(rise, f32x4.splat(-STEEPEST_MEAN)), f32x4.splat(STEEPEST_MEAN));
  const turned = v128.bitselect(f32x4.neg(steep), steep, f32x4.gt(distance, zero));
  const share = f32x4.splat(1.0 / <f32>BATCH);
  v128.store(lossesOf(k, 2) + at, f32x4.mul(turned, share));
  const growth = f32x4.mul(f32x4.sub(f32x4.mul(g0, u0), f32x4.mul(g1, u1)), over);
  const held = f32x4.min(f32x4.max(growth, f32x4.splat(-STEEPEST_SCALE)), f32x4.splat(STEEPEST_SCALE));
  v128.store(lossesOf(k, 3) + at, f32x4.mul(v128.and(held, f32x4.eq(whole, octaves)), share));
}

@inline
function bounded(u: v128): v128 {
  return f32x4.max(f32x4.min(u, f32x4.splat(60)), f32x4.splat(-60));
}

/** Gradients of the hidden units of a chunk, from the last channel to the first. */
export function backward(chunk: i32): void {
  const from = chunk * CHUNK;
  for (let s = 0; s < strips; s++) memory.fill(stateOf(stateGradients, s, from), 0, <usize>CHUNK * ROW_BYTES);
  for (let k = channels - 1; k >= 0; k--) {
    const tail = tailOf(weights, k);
    for (let position = from; position < from + CHUNK; position++) {
      const gradient = outputsOf(outputGradients, k, position);
      outputGradient(k, position, gradient, tail);
      for (let s = 0; s < strips; s++) {
        const row = stripOf(weights, k, s) + <usize>outputRow * ROW_BYTES;
        const hidden = hiddenOf(hiddens, k, s, position);
        const to = hiddenOf(hiddenGradients, k, s, position);
        const next = hiddenOf(nextGradients, k, s, position);
        const state = stateOf(stateGradients, s, position);
        combine(to, gradient, 4, row, ROW_BYTES, hidden2 + 2);
        for (let at: usize = 0; at < ROW_BYTES; at += 16) {
          const d = f32x4.mul(v128.load(to + at), slope(v128.load(hidden + at)));
          v128.store(to + at, d);
          const later = v128.load(state + at);
          v128.store(next + at, later);
          v128.store(state + at, f32x4.add(later, d));
        }
      }
    }
  }
}

@inline
function outputGradient(k: i32, position: i32, to: usize, tail: usize): void {
  const at = <usize>position << 2;
  const z = outputsOf(secondHiddens, k, position);
  const mean = v128.load32_splat(lossesOf(k, 2) + at);
  const scale = v128.load32_splat(lossesOf(k, 3) + at);
  const bytes = <usize>hidden2 << 2;
  const second = <usize>outputs << 2;
  for (let j: usize = 0; j < bytes; j += 16) {
    const d = f32x4.add(f32x4.mul(mean, v128.load(tail + j)), f32x4.mul(scale, v128.load(tail + second + j)));
    v128.store(to + j, f32x4.mul(d, slope(v128.load(z + j))));
  }
  store<f32>(to + bytes, f32x4.extract_lane(mean, 0));
  store<f32>(to + bytes, f32x4.extract_lane(scale, 0), 4);
  store<u64>(to + bytes, 0, 8);
}

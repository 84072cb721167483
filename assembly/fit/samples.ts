// Samples in memory: symbols with zeros around them, all channels of a position side by side, so that what a position reads lies
// in few cache lines. docs/format.md section 10 has the features.
import { below, random, shuffled } from "./arithmetic";
import {
  BATCH,
  BATCH_BYTES,
  CELL_STRIDE,
  CHUNK,
  cellsOf,
  channels,
  LOSS_STRIDE,
  lossesOf,
  scaleOf,
  taps,
  VALUE_STRIDE,
  valuesOf,
} from "./layout";

/** A sample: clamped symbols, whole symbols, run, glob, height, width, numbers of given rows (0: none). */
export const SAMPLE_BYTES: usize = 32;
/** Zeros left of a row and above it, and below. */
const MARGIN: i32 = 3;
const BELOW: i32 = 2;

/** Bytes of a position: i16 for each channel, in groups of eight. */
@inline
function cellBytes(): usize {
  return (<usize>(channels + 7) >> 3) << 4;
}

/** Bytes of a sample's symbols with their margins. */
export function symbolBytes(height: i32, width: i32): usize {
  return <usize>((height + MARGIN + BELOW) * (width + MARGIN) + MARGIN) * cellBytes();
}

/** Where the symbol of a position and channel lies in them. */
export function symbolPlace(width: i32, y: i32, x: i32, channel: i32): usize {
  return <usize>((y + MARGIN) * (width + MARGIN) + x + MARGIN) * cellBytes() + (<usize>channel << 1);
}

/** Bytes of the runs of a sample, f32 per row and channel; of its globs, if `height` is 1. */
export function runBytes(height: i32): usize {
  return <usize>height * 2 * cellBytes();
}

/** Computes run and glob of a sample, divided by sd, from its symbols. */
export function prepare(sample: usize): void {
  const symbols = load<usize>(sample);
  const runs = load<usize>(sample, 8);
  const globs = load<usize>(sample, 12);
  const height = load<i32>(sample, 16);
  const width = load<i32>(sample, 20);
  for (let k = 0; k < channels; k++) {
    const scale = load<f32>(scaleOf(k, 0)) / 64;
    const at = <usize>k << 2;
    let sum: i64 = 0;
    for (let y = 0; y < height; y++) {
      store<f32>(runs + runBytes(y) + at, <f32>mean64(sum, <i64>width * y) * scale);
      let cell = symbols + symbolPlace(width, y, 0, k);
      for (let x = 0; x < width; x++) {
        sum += abs(<i32>load<i16>(cell));
        cell += cellBytes();
      }
    }
    store<f32>(globs + at, <f32>mean64(sum, <i64>width * height) * scale);
  }
}

/** A mean in 64ths, rounded. */
@inline
function mean64(sum: i64, count: i64): i64 {
  return count === 0 ? 0 : (64 * sum + (count >> 1)) / count;
}

/**
 * Chooses the positions of a chunk at random and gathers what they read. `visits` lists samples, larger ones more often; each is
 * visited once before one is visited again. `perVisit` positions of a sample are taken together.
 */
export function choose(seed: u32, step: i32, chunk: i32, visits: usize, count: i32, samples: usize, perVisit: i32): void {
  for (let i = 0; i < CHUNK; i++) {
    const position = chunk * CHUNK + i;
    const number = <u32>step * <u32>BATCH + <u32>position;
    const visit = number / <u32>perVisit;
    const index = shuffled(visit % <u32>count, <u32>count, random(seed, visit / <u32>count));
    const sample = samples + <usize>load<u32>(visits + (<usize>index << 2)) * SAMPLE_BYTES;
    const y = <i32>below(load<u32>(sample, 16), random(seed ^ 0x51f15eed, number));
    const x = <i32>below(load<u32>(sample, 20), random(seed ^ 0x2545f491, number));
    gather(position, sample, y, x);
  }
}

/**
 * Gathers what a position reads, of eight channels at a time. Slots of a position: its own taps from the fifth on, the four nearest, which
 * are the first of the 3 x 3 neighbourhood, the other five of it, then 1 for each edge that it touches, and the number of its given row.
 */
function gather(position: i32, sample: usize, y: i32, x: i32): void {
  const height = load<i32>(sample, 16);
  const width = load<i32>(sample, 20);
  const c = cellBytes();
  const row = <usize>(width + MARGIN) * c;
  const offset = symbolPlace(width, y, x, 0);
  const runs = load<usize>(sample, 8) + runBytes(y);
  const globs = load<usize>(sample, 12);
  const top = i16x8.splat(i16(y === 0));
  const bottom = i16x8.splat(i16(y === height - 1));
  const left = i16x8.splat(i16(x === 0));
  const right = i16x8.splat(i16(x === width - 1));
  for (let k = 0; k < channels; k += 8) {
    const here = load<usize>(sample) + offset + (<usize>k << 1);
    const up = here - row;
    const up2 = up - row;
    const down = here + row;
    let to = cellsOf(k, position);
    transposed(
      to,
      v128.load(here - 2 * c),
      v128.load(up2),
      v128.load(up2 - c),
      v128.load(up2 + c),
      v128.load(up - 2 * c),
      v128.load(up + 2 * c),
      v128.load(up2 - 2 * c),
      v128.load(up2 + 2 * c),
    );
    to += 16;
    if (taps === 20) {
      const up3 = up2 - row;
      transposed(
        to,
        v128.load(here - 3 * c),
        v128.load(up3),
        v128.load(up3 - c),
        v128.load(up3 + c),
        v128.load(up - 3 * c),
        v128.load(up + 3 * c),
        v128.load(up2 + 3 * c),
        v128.load(up2 - 3 * c),
      );
      to += 16;
    }
    transposed(
      to,
      v128.load(up - c),
      v128.load(up),
      v128.load(up + c),
      v128.load(here - c),
      v128.load(here),
      v128.load(here + c),
      v128.load(down - c),
      v128.load(down),
    );
    const none = i16x8.splat(0);
    const given = load<usize>(sample, 24);
    const numbers = given ? v128.load(given + offset + (<usize>k << 1)) : none;
    transposed(to + 16, v128.load(down + c), top, bottom, left, right, numbers, none, none);

    const values = valuesOf(k, 0) + (<usize>position << 2);
    const at = <usize>k << 2;
    scatter(values, VALUE_STRIDE, v128.load(runs + at), v128.load(runs + at, 16));
    scatter(values + 2 * BATCH_BYTES, VALUE_STRIDE, v128.load(globs + at), v128.load(globs + at, 16));
    const around = ring(here, row, c);
    const symbols = v128.load(load<usize>(sample, 4) + offset + (<usize>k << 1));
    const eighth = f32x4.splat(0.125);
    const low = f32x4.mul(f32x4.mul(lowFloats(around), v128.load(scaleOf(k, 0))), eighth);
    const high = f32x4.mul(f32x4.mul(highFloats(around), v128.load(scaleOf(k, 0), 16)), eighth);
    scatter(values + BATCH_BYTES, VALUE_STRIDE, low, high);
    scatter(lossesOf(k, 1) + (<usize>position << 2), LOSS_STRIDE, lowFloats(symbols), highFloats(symbols));
  }
}

/** The sum of |symbol| over the 16 border cells of the 5 x 5 around a position. */
@inline
function ring(here: usize, row: usize, c: usize): v128 {
  let sum = i16x8.splat(0);
  for (let x: usize = 0; x < 5; x++) {
    const at = here + x * c - 2 * c;
    sum = i16x8.add(sum, i16x8.add(size(at - 2 * row), size(at + 2 * row)));
  }
  for (let x: usize = 0; x < 2; x++) {
    const at = here + 4 * x * c - 2 * c;
    sum = i16x8.add(sum, i16x8.add(size(at), i16x8.add(size(at - row), size(at + row))));
  }
  return sum;
}

@inline
function size(cell: usize): v128 {
  return i16x8.abs(v128.load(cell));
}

/** Eight vectors, one per slot, as eight rows, one per channel. */
@inline
function transposed(to: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128): void {
  const stride = CELL_STRIDE;
  const ab0 = low16(a, b);
  const ab1 = high16(a, b);
  const cd0 = low16(c, d);
  const cd1 = high16(c, d);
  const ef0 = low16(e, f);
  const ef1 = high16(e, f);
  const gh0 = low16(g, h);
  const gh1 = high16(g, h);
  const abcd0 = low32(ab0, cd0);
  const abcd1 = high32(ab0, cd0);
  const abcd2 = low32(ab1, cd1);
  const abcd3 = high32(ab1, cd1);
  const efgh0 = low32(ef0, gh0);
  const efgh1 = high32(ef0, gh0);
  const efgh2 = low32(ef1, gh1);
  const efgh3 = high32(ef1, gh1);
  v128.store(to, v128.shuffle<i64>(abcd0, efgh0, 0, 2));
  v128.store(to + stride, v128.shuffle<i64>(abcd0, efgh0, 1, 3));
  v128.store(to + 2 * stride, v128.shuffle<i64>(abcd1, efgh1, 0, 2));
  v128.store(to + 3 * stride, v128.shuffle<i64>(abcd1, efgh1, 1, 3));
  v128.store(to + 4 * stride, v128.shuffle<i64>(abcd2, efgh2, 0, 2));
  v128.store(to + 5 * stride, v128.shuffle<i64>(abcd2, efgh2, 1, 3));
  v128.store(to + 6 * stride, v128.shuffle<i64>(abcd3, efgh3, 0, 2));
  v128.store(to + 7 * stride, v128.shuffle<i64>(abcd3, efgh3, 1, 3));
}

@inline
function low16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline
function high16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

@inline
function low32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

@inline
function high32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

/** Stores a number of each of eight channels; there is room for those that are not. */
@inline
function scatter(to: usize, stride: usize, low: v128, high: v128): void {
  v128.store_lane<f32>(to, low, 0);
  v128.store_lane<f32>(to + stride, low, 1);
  v128.store_lane<f32>(to + 2 * stride, low, 2);
  v128.store_lane<f32>(to + 3 * stride, low, 3);
  v128.store_lane<f32>(to + 4 * stride, high, 0);
  v128.store_lane<f32>(to + 5 * stride, high, 1);
  v128.store_lane<f32>(to + 6 * stride, high, 2);
  v128.store_lane<f32>(to + 7 * stride, high, 3);
}

@inline
function lowFloats(whole: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(whole));
}

@inline
function highFloats(whole: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(whole));
}

/** Which cells of a position are not 0, a bit per slot. */
@inline
export function maskOf(cells: usize): u32 {
  const zero = i16x8.splat(0);
  return (
    <u32>i16x8.bitmask(i16x8.ne(v128.load(cells), zero)) |
    (<u32>i16x8.bitmask(i16x8.ne(v128.load(cells, 16), zero)) << 8) |
    (<u32>i16x8.bitmask(i16x8.ne(v128.load(cells, 32), zero)) << 16) |
    (<u32>i16x8.bitmask(i16x8.ne(v128.load(cells, 48), zero)) << 24)
  );
}

/** The tap of a slot: an index of the list in docs/format.md. */
@inline
export function tapOf(slot: i32): i32 {
  return slot < taps - 4 ? slot + 4 : (0x0312 >> (4 * (slot - taps + 4))) & 15;
}

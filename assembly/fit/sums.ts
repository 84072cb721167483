// Sums of rows of 32 floats, which are held in eight registers. Almost all time of a fit is spent here.
import { ROW_BYTES } from "./layout";

/**
 * to = from + x rowA + y rowB + the rows of the cells that are not 0, negative results times `slope`. `pair` are rowA and rowB.
 * Bit t of `mask` says that cell t is not 0. `signed` has two rows per cell, for positive and for negative ones.
 */
export function walk(
  to: usize,
  from: usize,
  pair: usize,
  x: f32,
  y: f32,
  cells: usize,
  mask: u32,
  signed: usize,
  slope: f32,
): void {
  const xs = f32x4.splat(x);
  const ys = f32x4.splat(y);
  let a0 = first(from, pair, xs, ys, 0);
  let a1 = first(from, pair, xs, ys, 16);
  let a2 = first(from, pair, xs, ys, 32);
  let a3 = first(from, pair, xs, ys, 48);
  let a4 = first(from, pair, xs, ys, 64);
  let a5 = first(from, pair, xs, ys, 80);
  let a6 = first(from, pair, xs, ys, 96);
  let a7 = first(from, pair, xs, ys, 112);
  while (mask) {
    const t = ctz(mask);
    mask &= mask - 1;
    const cell = <i32>load<i16>(cells + (t << 1));
    const row = signed + <usize>(2 * t + (<u32>cell >> 31)) * ROW_BYTES;
    const s = f32x4.splat(<f32>abs(cell));
    a0 = f32x4.add(a0, f32x4.mul(s, v128.load(row)));
    a1 = f32x4.add(a1, f32x4.mul(s, v128.load(row, 16)));
    a2 = f32x4.add(a2, f32x4.mul(s, v128.load(row, 32)));
    a3 = f32x4.add(a3, f32x4.mul(s, v128.load(row, 48)));
    a4 = f32x4.add(a4, f32x4.mul(s, v128.load(row, 64)));
    a5 = f32x4.add(a5, f32x4.mul(s, v128.load(row, 80)));
    a6 = f32x4.add(a6, f32x4.mul(s, v128.load(row, 96)));
    a7 = f32x4.add(a7, f32x4.mul(s, v128.load(row, 112)));
  }
  const slopes = f32x4.splat(slope);
  v128.store(to, f32x4.max(a0, f32x4.mul(a0, slopes)));
  v128.store(to, f32x4.max(a1, f32x4.mul(a1, slopes)), 16);
  v128.store(to, f32x4.max(a2, f32x4.mul(a2, slopes)), 32);
  v128.store(to, f32x4.max(a3, f32x4.mul(a3, slopes)), 48);
  v128.store(to, f32x4.max(a4, f32x4.mul(a4, slopes)), 64);
  v128.store(to, f32x4.max(a5, f32x4.mul(a5, slopes)), 80);
  v128.store(to, f32x4.max(a6, f32x4.mul(a6, slopes)), 96);
  v128.store(to, f32x4.max(a7, f32x4.mul(a7, slopes)), 112);
}

@inline
function first(from: usize, pair: usize, xs: v128, ys: v128, at: usize): v128 {
  const x = f32x4.mul(xs, v128.load(pair + at));
  const y = f32x4.mul(ys, v128.load(pair + at, 128));
  return f32x4.add(f32x4.add(v128.load(from + at), x), y);
}

/** to = the sum of |cell| x row over the cells of one sign, of `count` cells (a multiple of 64) and as many rows. */
export function collect(to: usize, cells: usize, count: i32, isNegative: bool, rows: usize): void {
  const zero = i16x8.splat(0);
  let a0 = zero;
  let a1 = zero;
  let a2 = zero;
  let a3 = zero;
  let a4 = zero;
  let a5 = zero;
  let a6 = zero;
  let a7 = zero;
  for (let base = 0; base < count; base += 64) {
    let mask: u64 = 0;
    for (let i = 0; i < 8; i++) {
      const eight = v128.load(cells + <usize>(base + 8 * i) * 2);
      const bits = i16x8.bitmask(isNegative ? i16x8.lt_s(eight, zero) : i16x8.gt_s(eight, zero));
      mask |= <u64>(<u32>bits) << (8 * i);
    }
    while (mask) {
      const at = <usize>base + <usize>ctz(mask);
      mask &= mask - 1;
      const s = f32x4.splat(<f32>abs(<i32>load<i16>(cells + at * 2)));
      const row = rows + at * ROW_BYTES;
      a0 = f32x4.add(a0, f32x4.mul(s, v128.load(row)));
      a1 = f32x4.add(a1, f32x4.mul(s, v128.load(row, 16)));
      a2 = f32x4.add(a2, f32x4.mul(s, v128.load(row, 32)));
      a3 = f32x4.add(a3, f32x4.mul(s, v128.load(row, 48)));
      a4 = f32x4.add(a4, f32x4.mul(s, v128.load(row, 64)));
      a5 = f32x4.add(a5, f32x4.mul(s, v128.load(row, 80)));
      a6 = f32x4.add(a6, f32x4.mul(s, v128.load(row, 96)));
      a7 = f32x4.add(a7, f32x4.mul(s, v128.load(row, 112)));
    }
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
  v128.store(to, a4, 64);
  v128.store(to, a5, 80);
  v128.store(to, a6, 96);
  v128.store(to, a7, 112);
}

/** to = the sum of value x row over `count` values, `valueStride` bytes apart, and rows, `rowStride` bytes apart. */
export function combine(
  to: usize,
  values: usize,
  valueStride: usize,
  rows: usize,
  rowStride: usize,
  count: i32,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let a4 = a0;
  let a5 = a0;
  let a6 = a0;
  let a7 = a0;
  for (; count > 0; count--) {
    const s = v128.load32_splat(values);
    values += valueStride;
    a0 = f32x4.add(a0, f32x4.mul(s, v128.load(rows)));
    a1 = f32x4.add(a1, f32x4.mul(s, v128.load(rows, 16)));
    a2 = f32x4.add(a2, f32x4.mul(s, v128.load(rows, 32)));
    a3 = f32x4.add(a3, f32x4.mul(s, v128.load(rows, 48)));
    a4 = f32x4.add(a4, f32x4.mul(s, v128.load(rows, 64)));
    a5 = f32x4.add(a5, f32x4.mul(s, v128.load(rows, 80)));
    a6 = f32x4.add(a6, f32x4.mul(s, v128.load(rows, 96)));
    a7 = f32x4.add(a7, f32x4.mul(s, v128.load(rows, 112)));
    rows += rowStride;
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
  v128.store(to, a4, 64);
  v128.store(to, a5, 80);
  v128.store(to, a6, 96);
  v128.store(to, a7, 112);
}

/**
 * Four products of rows with the hidden units of two positions, added to `toA` and `toB`. The rows of a strip follow each other, the
 * strips are `stripStride` bytes apart, those of the positions `hiddenStride`.
 */
export function project(
  toA: usize,
  toB: usize,
  hiddenA: usize,
  hiddenB: usize,
  hiddenStride: usize,
  row: usize,
  stripStride: usize,
  strips: i32,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  for (; strips > 0; strips--) {
    for (let at: usize = 0; at < ROW_BYTES; at += 16) {
      const x = v128.load(hiddenA + at);
      const y = v128.load(hiddenB + at);
      let w = v128.load(row + at);
      a0 = f32x4.add(a0, f32x4.mul(w, x));
      b0 = f32x4.add(b0, f32x4.mul(w, y));
      w = v128.load(row + at, 128);
      a1 = f32x4.add(a1, f32x4.mul(w, x));
      b1 = f32x4.add(b1, f32x4.mul(w, y));
      w = v128.load(row + at, 256);
      a2 = f32x4.add(a2, f32x4.mul(w, x));
      b2 = f32x4.add(b2, f32x4.mul(w, y));
      w = v128.load(row + at, 384);
      a3 = f32x4.add(a3, f32x4.mul(w, x));
      b3 = f32x4.add(b3, f32x4.mul(w, y));
    }
    hiddenA += hiddenStride;
    hiddenB += hiddenStride;
    row += stripStride;
  }
  v128.store(toA, f32x4.add(v128.load(toA), across(a0, a1, a2, a3)));
  v128.store(toB, f32x4.add(v128.load(toB), across(b0, b1, b2, b3)));
}

/** The sums of the lanes of four vectors. */
@inline
export function across(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

// The network of a context prior (docs/format.md section 10.3): integers only, so SIMD and scalar give the same
// numbers. Hidden units are worked on 32 at a time: 8 vectors that stay in registers.

import {
  BLOCK_OWN, CELLS_ABOVE, CONTEXT_HIDDEN, CONTEXT_SECOND, CONTEXT_SECOND_BIASES,
  CONTEXT_SECOND_WEIGHTS, CONTEXT_THIRD_WEIGHTS,
} from "./context-parameters";

/** Results of `infer`: mu (Q8) and l (sixteenths of an octave). They hold until `infer` runs for the next symbol. */
export const distribution: usize = memory.data(8, 16);

/** Hidden units of a layer, int16. Only `infer` and what it calls use them. */
const units: usize = memory.data(256, 16);

// The two int16 products of a pair, added: what i32x4.dot_i16x8_s does in a lane.
// @ts-ignore: decorator
@inline
function dot(a: u32, weights: usize): i32 {
  return <i32>(<i16>a) * <i32>load<i16>(weights) + (<i32>a >> 16) * <i32>load<i16>(weights, 2);
}

// @ts-ignore: decorator
@inline
function saturate(v: i32): i32 {
  return max<i32>(-32768, min<i32>(32767, v));
}

/**
 * to[h] = from[h] + bias[h] + the products of the pairs that `mask` names, for all hidden units; `bias` may be 0. Bit b is
 * the pair at `pairs + offsets[b]`, whose weights are the b-th.
 */
export function addPairs(
  to: usize, from: usize, bias: usize, pairs: usize, offsets: usize, mask: u32, weights: usize, hidden: usize,
): void {
  sumPairs(to, from, bias, pairs, offsets, mask, weights, hidden, false);
}

// The units of the first layer, int16: `from` and the products of the cells to the left of `cell`, as far as they are taps.
// @ts-ignore: decorator
@inline
function addLeft(from: usize, cell: usize, cells: usize, weights: usize, hidden: usize): void {
  sumPairs(units, from, 0, cell, 0, <u32>cells, weights, hidden, true);
}

// What both do; as a call from both it takes 12 % more time of a context (measured). `which` is the mask of addPairs, or
// with `isLeft` the number of cells. The nearest one is the last: its symbol has just been decoded.
// @ts-ignore: decorator
@inline
function sumPairs(
  to: usize, from: usize, bias: usize, pairs: usize, offsets: usize, which: u32, weights: usize, hidden: usize,
  isLeft: bool,
): void {
  const bytes = hidden << 2;
  if (!ASC_FEATURE_SIMD) {
    for (let h: usize = 0; h < bytes; h += 4) {
      let sum = load<i32>(from + h) + (bias ? load<i32>(bias + h) : 0);
      for (let rest = which; rest != 0; rest = isLeft ? rest - 1 : rest & (rest - 1)) {
        const b = <usize>(isLeft ? 3 - rest : ctz<u32>(rest));
        const pair = load<u32>(isLeft ? pairs - (<usize>rest << 2) : pairs + <usize>load<i32>(offsets + (b << 2)));
        if (isLeft && pair == 0) continue;
        sum += dot(pair, weights + b * bytes + h);
      }
      if (isLeft) store<i16>(to + (h >> 1), <i16>saturate(max<i32>(sum, sum >> 3) >> 2));
      else store<i32>(to + h, sum);
    }
    return;
  }
  for (let c: usize = 0; c < bytes; c += 128) {
    let a0 = v128.load(from + c, 0);
    let a1 = v128.load(from + c, 16);
    let a2 = v128.load(from + c, 32);
    let a3 = v128.load(from + c, 48);
    let a4 = v128.load(from + c, 64);
    let a5 = v128.load(from + c, 80);
    let a6 = v128.load(from + c, 96);
    let a7 = v128.load(from + c, 112);
    if (bias) {
      const b = bias + c;
      a0 = i32x4.add(a0, v128.load(b, 0));
      a1 = i32x4.add(a1, v128.load(b, 16));
      a2 = i32x4.add(a2, v128.load(b, 32));
      a3 = i32x4.add(a3, v128.load(b, 48));
      a4 = i32x4.add(a4, v128.load(b, 64));
      a5 = i32x4.add(a5, v128.load(b, 80));
      a6 = i32x4.add(a6, v128.load(b, 96));
      a7 = i32x4.add(a7, v128.load(b, 112));
    }
    for (let rest = which; rest != 0; rest = isLeft ? rest - 1 : rest & (rest - 1)) {
      const b = <usize>(isLeft ? 3 - rest : ctz<u32>(rest));
      const p = isLeft ? pairs - (<usize>rest << 2) : pairs + <usize>load<i32>(offsets + (b << 2));
      if (isLeft && load<u32>(p) == 0) continue;
      const pair = v128.load32_splat(p);
      const w = weights + b * bytes + c;
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pair, v128.load(w, 0)));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pair, v128.load(w, 16)));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(pair, v128.load(w, 32)));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(pair, v128.load(w, 48)));
      a4 = i32x4.add(a4, i32x4.dot_i16x8_s(pair, v128.load(w, 64)));
      a5 = i32x4.add(a5, i32x4.dot_i16x8_s(pair, v128.load(w, 80)));
      a6 = i32x4.add(a6, i32x4.dot_i16x8_s(pair, v128.load(w, 96)));
      a7 = i32x4.add(a7, i32x4.dot_i16x8_s(pair, v128.load(w, 112)));
    }
    if (isLeft) {
      const u = to + (c >> 1);
      v128.store(u, i16x8.narrow_i32x4_s(leaky(a0, 2), leaky(a1, 2)), 0);
      v128.store(u, i16x8.narrow_i32x4_s(leaky(a2, 2), leaky(a3, 2)), 16);
      v128.store(u, i16x8.narrow_i32x4_s(leaky(a4, 2), leaky(a5, 2)), 32);
      v128.store(u, i16x8.narrow_i32x4_s(leaky(a6, 2), leaky(a7, 2)), 48);
      continue;
    }
    v128.store(to + c, a0, 0);
    v128.store(to + c, a1, 16);
    v128.store(to + c, a2, 32);
    v128.store(to + c, a3, 48);
    v128.store(to + c, a4, 64);
    v128.store(to + c, a5, 80);
    v128.store(to + c, a6, 96);
    v128.store(to + c, a7, 112);
  }
}

/**
 * From `row`, the sums of one position without its taps to the left, to `distribution`. `cell` is the address of the
 * position's pair; so many cells to the left of it are taps.
 */
export function infer(context: usize, block: usize, row: usize, cell: usize, cells: usize): void {
  const hidden = <usize>load<u32>(context, CONTEXT_HIDDEN);
  const second = <usize>load<u32>(context, CONTEXT_SECOND);
  const weights = block + <usize>load<u32>(context, CONTEXT_SECOND_WEIGHTS);
  const secondBiases = block + <usize>load<u32>(context, CONTEXT_SECOND_BIASES);
  const third = block + <usize>load<u32>(context, CONTEXT_THIRD_WEIGHTS);
  const own = block + BLOCK_OWN + CELLS_ABOVE * (hidden << 2);
  addLeft(row, cell, cells, own, hidden);
  if (!ASC_FEATURE_SIMD) {
    inferScalar(hidden, second, weights, secondBiases, third);
    return;
  }
  // Four outputs at a time. The last group has the two direct outputs.
  const rowBytes = hidden << 1;
  let w = weights;
  let z0 = i32x4.splat(0);
  let e0 = i32x4.splat(0);
  let e1 = i32x4.splat(0);
  for (let j: usize = 0; ; j += 4) {
    let s0 = i32x4.splat(0);
    let s1 = i32x4.splat(0);
    let s2 = i32x4.splat(0);
    let s3 = i32x4.splat(0);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const u = v128.load(units + i);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(u, v128.load(w + i)));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(u, v128.load(w + rowBytes + i)));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(u, v128.load(w + 2 * rowBytes + i)));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(u, v128.load(w + 3 * rowBytes + i)));
    }
    const o = i32x4.add(laneSums(s0, s1, s2, s3), v128.load(secondBiases + (j << 2)));
    if (j == second) {
      // Lane 0: e_0, lane 1: e_1.
      const e = i32x4.add(o, laneSums(e0, e1, i32x4.splat(0), i32x4.splat(0)));
      finish(i32x4.extract_lane(e, 0), i32x4.extract_lane(e, 1));
      return;
    }
    if (j & 4) {
      const z = i16x8.narrow_i32x4_s(z0, leaky(o, 10));
      const at = third + ((j - 4) << 1);
      e0 = i32x4.add(e0, i32x4.dot_i16x8_s(z, v128.load(at)));
      e1 = i32x4.add(e1, i32x4.dot_i16x8_s(z, v128.load(at + (second << 1))));
    } else {
      z0 = leaky(o, 10);
    }
    w += 4 * rowBytes;
  }
}

// @ts-ignore: decorator
@inline
function leaky(a: v128, shift: i32): v128 {
  return i32x4.shr_s(i32x4.max_s(a, i32x4.shr_s(a, 3)), shift);
}

// The sums of the lanes of four vectors, as the lanes of one.
// @ts-ignore: decorator
@inline
function laneSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<u32>(a, b, 0, 4, 1, 5), v128.shuffle<u32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<u32>(c, d, 0, 4, 1, 5), v128.shuffle<u32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<u64>(ab, cd, 0, 2), v128.shuffle<u64>(ab, cd, 1, 3));
}

// @ts-ignore: decorator
@inline
function finish(e0: i32, e1: i32): void {
  store<i32>(distribution, e0 >> 10);
  store<i32>(distribution, max<i32>(-92, min<i32>(128, e1 >> 14)), 4);
}

// The second and the third layer.
function inferScalar(hidden: usize, second: usize, weights: usize, secondBiases: usize, third: usize): void {
  let e0 = 0;
  let e1 = 0;
  for (let j: usize = 0; j < second + 2; j++) {
    let o = load<i32>(secondBiases + (j << 2));
    for (let h: usize = 0; h < hidden; h++)
      o += <i32>load<i16>(units + (h << 1)) * <i32>load<i16>(weights + ((j * hidden + h) << 1));
    if (j >= second) {
      if (j == second) e0 += o;
      else e1 += o;
      continue;
    }
    const z = saturate(max<i32>(o, o >> 3) >> 10);
    e0 += z * <i32>load<i16>(third + (j << 1));
    e1 += z * <i32>load<i16>(third + ((second + j) << 1));
  }
  finish(e0, e1);
}

// float32 <-> symbols, docs/format.md section 6. SIMD and scalar do the same IEEE operations in the same order; relaxed SIMD and fused
// operations differ between engines and must not appear here.

// The largest float32 below 2^31.
const HIGHEST: f32 = 2147483520;
const LOWEST: f32 = -2147483648;

// @ts-ignore: decorator
@inline
function quantizeOne(y: f32, mean: f32, step: f32): f32 {
  return nearest<f32>((y - mean) / step);
}

// @ts-ignore: decorator
@inline
function quantizeFour(y: v128, mean: v128, step: v128, divide: bool): v128 {
  const centred = f32x4.sub(y, mean);
  return f32x4.nearest(divide ? f32x4.div(centred, step) : centred);
}

/**
 * dst (int32) = nearest((src - mean) / step); `means` is the address of a mean per element, or 0 for `mean`. In place is allowed.
 * Returns -1, or the position of the first value that is not finite or not an int32.
 */
export function quantize(src: usize, dst: usize, n: i32, means: usize, mean: f32, step: f32): i32 {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    const high = f32x4.splat(HIGHEST);
    const low = f32x4.splat(LOWEST);
    const steps = f32x4.splat(step);
    const divide = step != 1;
    let mean0 = f32x4.splat(mean);
    let mean1 = mean0;
    let mean2 = mean0;
    let mean3 = mean0;
    for (; i <= n - 16; i += 16) {
      const at = <usize>i << 2;
      if (means) {
        mean0 = v128.load(means + at);
        mean1 = v128.load(means + at, 16);
        mean2 = v128.load(means + at, 32);
        mean3 = v128.load(means + at, 48);
      }
      const a = quantizeFour(v128.load(src + at), mean0, steps, divide);
      const b = quantizeFour(v128.load(src + at, 16), mean1, steps, divide);
      const c = quantizeFour(v128.load(src + at, 32), mean2, steps, divide);
      const d = quantizeFour(v128.load(src + at, 48), mean3, steps, divide);
      // Before anything is stored: in place, the scalar loop could not read again what it is to report.
      const good = v128.and(v128.and(inRange(a, low, high), inRange(b, low, high)), v128.and(inRange(c, low, high), inRange(d, low, high)));
      if (!i32x4.all_true(good)) break;
      v128.store(dst + at, i32x4.trunc_sat_f32x4_s(a));
      v128.store(dst + at, i32x4.trunc_sat_f32x4_s(b), 16);
      v128.store(dst + at, i32x4.trunc_sat_f32x4_s(c), 32);
      v128.store(dst + at, i32x4.trunc_sat_f32x4_s(d), 48);
    }
  }
  for (; i < n; i++) {
    const at = <usize>i << 2;
    const v = quantizeOne(load<f32>(src + at), means ? load<f32>(means + at) : mean, step);
    if (!(v <= HIGHEST && v >= LOWEST)) return i;
    store<i32>(dst + at, <i32>v);
  }
  return -1;
}

// Both comparisons are false for NaN.
// @ts-ignore: decorator
@inline
function inRange(v: v128, low: v128, high: v128): v128 {
  return v128.and(f32x4.le(v, high), f32x4.ge(v, low));
}

/** dst (float32) = src (int32) * step + mean, each operation rounded. In place is allowed. */
export function dequantize(src: usize, dst: usize, n: i32, means: usize, mean: f32, step: f32): void {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    const steps = f32x4.splat(step);
    let mean4 = f32x4.splat(mean);
    for (; i <= n - 4; i += 4) {
      const at = <usize>i << 2;
      if (means) mean4 = v128.load(means + at);
      v128.store(dst + at, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(src + at)), steps), mean4));
    }
  }
  for (; i < n; i++) {
    const at = <usize>i << 2;
    store<f32>(dst + at, <f32>load<i32>(src + at) * step + (means ? load<f32>(means + at) : mean));
  }
}

/** int8 or int16 (`bytes` 1 or 2) -> int32. */
export function widen(src: usize, dst: usize, n: i32, bytes: i32): void {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i <= n - 8; i += 8) {
      const half = bytes == 1 ? i16x8.extend_low_i8x16_s(v128.load64_zero(src + <usize>i)) : v128.load(src + (<usize>i << 1));
      v128.store(dst + (<usize>i << 2), i32x4.extend_low_i16x8_s(half));
      v128.store(dst + (<usize>i << 2), i32x4.extend_high_i16x8_s(half), 16);
    }
  }
  for (; i < n; i++) {
    const value = bytes == 1 ? <i32>load<i8>(src + <usize>i) : <i32>load<i16>(src + (<usize>i << 1));
    store<i32>(dst + (<usize>i << 2), value);
  }
}

/** int32 -> int8 or int16. Returns -1, or the position of the first value that does not fit. In place is allowed. */
export function narrow(src: usize, dst: usize, n: i32, bytes: i32): i32 {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i <= n - 8; i += 8) {
      const a = v128.load(src + (<usize>i << 2));
      const b = v128.load(src + (<usize>i << 2), 16);
      let half = i16x8.narrow_i32x4_s(a, b);
      if (bytes == 1) {
        const byte = i8x16.narrow_i16x8_s(half, half);
        half = i16x8.extend_low_i8x16_s(byte);
        if (!fits(half, a, b)) break;
        v128.store64_lane(dst + <usize>i, byte, 0);
      } else {
        if (!fits(half, a, b)) break;
        v128.store(dst + (<usize>i << 1), half);
      }
    }
  }
  for (; i < n; i++) {
    const value = load<i32>(src + (<usize>i << 2));
    if (bytes == 1) {
      if (value != <i32>(<i8>value)) return i;
      store<i8>(dst + <usize>i, <i8>value);
    } else {
      if (value != <i32>(<i16>value)) return i;
      store<i16>(dst + (<usize>i << 1), <i16>value);
    }
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function fits(half: v128, a: v128, b: v128): bool {
  const same = v128.and(i32x4.eq(i32x4.extend_low_i16x8_s(half), a), i32x4.eq(i32x4.extend_high_i16x8_s(half), b));
  return i32x4.all_true(same);
}

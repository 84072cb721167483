// float32 <-> symbols, docs/format.md section 6. SIMD and scalar code do the same IEEE operations in the same order.
// Relaxed SIMD and fused operations differ between engines, so they are not used.

// The largest float32 below 2^31.
const HIGHEST: f32 = 2147483520;
const LOWEST: f32 = -2147483648;

// 1.5 * 2^23. In v + MAGIC, |v| < 2^22, the low bits of the float32 are the integer nearest to v, ties to even.
const MAGIC: f32 = 12582912;
const MAGIC_BITS: i32 = 0x4b400000;
const MAGIC_LIMIT_BITS: i32 = 0x4a800000;

// @ts-ignore: decorator
@inline
function centred(src: usize, mean: v128, step: v128, divide: bool): v128 {
  const y = f32x4.sub(v128.load(src), mean);
  return divide ? f32x4.div(y, step) : y;
}

/**
 * dst (int32) = nearest((src - mean) / step). `means` is the address of a mean per element; if 0, `mean` is used. dst
 * may be src. Returns -1, or the position of the first value that is not finite or not an int32.
 */
export function quantize(src: usize, dst: usize, n: i32, means: usize, mean: f32, step: f32): i32 {
  let i = 0;
  while (i < n) {
    if (ASC_FEATURE_SIMD) {
      i = quantizeSmall(src, dst, i, n, means, mean, step);
    }
    const end = min<i32>(i + 16, n);
    for (; i < end; i++) {
      const at = <usize>i << 2;
      const v = nearest<f32>((load<f32>(src + at) - (means ? load<f32>(means + at) : mean)) / step);
      if (!(v <= HIGHEST && v >= LOWEST)) return i;
      store<i32>(dst + at, <i32>v);
    }
  }
  return -1;
}

// Quantizes from element i on, while all 16 values of a block are below 2^22. Adding MAGIC takes a third of the time of
// nearest and trunc_sat with their range checks. Returns where it stopped. Nothing of that block has been stored, so
// the caller can read it again, also where dst is src.
function quantizeSmall(src: usize, dst: usize, i: i32, n: i32, means: usize, mean: f32, step: f32): i32 {
  const steps = f32x4.splat(step);
  const divide = step != 1;
  const magic = f32x4.splat(MAGIC);
  const bits = i32x4.splat(MAGIC_BITS);
  const limit = i32x4.splat(MAGIC_LIMIT_BITS);
  const magnitude = i32x4.splat(0x7fffffff);
  let m0 = f32x4.splat(mean);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  for (; i <= n - 16; i += 16) {
    const at = <usize>i << 2;
    if (means) {
      m0 = v128.load(means + at);
      m1 = v128.load(means + at, 16);
      m2 = v128.load(means + at, 32);
      m3 = v128.load(means + at, 48);
    }
    const a = centred(src + at, m0, steps, divide);
    const b = centred(src + at + 16, m1, steps, divide);
    const c = centred(src + at + 32, m2, steps, divide);
    const d = centred(src + at + 48, m3, steps, divide);
    // Magnitudes compare as integers as they do as floats; NaN and infinity are above all.
    const ab = i32x4.max_s(v128.and(a, magnitude), v128.and(b, magnitude));
    const cd = i32x4.max_s(v128.and(c, magnitude), v128.and(d, magnitude));
    if (!i32x4.all_true(i32x4.lt_s(i32x4.max_s(ab, cd), limit))) break;
    v128.store(dst + at, i32x4.sub(f32x4.add(a, magic), bits));
    v128.store(dst + at, i32x4.sub(f32x4.add(b, magic), bits), 16);
    v128.store(dst + at, i32x4.sub(f32x4.add(c, magic), bits), 32);
    v128.store(dst + at, i32x4.sub(f32x4.add(d, magic), bits), 48);
  }
  return i;
}

/** dst (float32) = src (int32) * step + mean, each operation rounded. dst may be src. */
export function dequantize(src: usize, dst: usize, n: i32, means: usize, mean: f32, step: f32): void {
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    const steps = f32x4.splat(step);
    let m0 = f32x4.splat(mean);
    let m1 = m0;
    for (; i <= n - 8; i += 8) {
      const at = <usize>i << 2;
      if (means) {
        m0 = v128.load(means + at);
        m1 = v128.load(means + at, 16);
      }
      v128.store(dst + at, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(src + at)), steps), m0));
      v128.store(dst + at, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(src + at, 16)), steps), m1), 16);
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

/** int32 -> int8 or int16. Returns -1, or the position of the first value that does not fit. dst may be src. */
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

// exp, log2, cosine and random numbers of the fit, from plain arithmetic: every engine computes the same bits.

/** 2^x for four x, |x| <= 120; relative error about 1e-7. */
@inline
export function exp2(x: v128): v128 {
  const whole = f32x4.nearest(x);
  const rest = f32x4.sub(x, whole);
  // Taylor's series of 2^r on [-1/2, 1/2].
  let p = f32x4.splat(0.00015403530393381608);
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(0.0013333558146428443));
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(0.009618129107628477));
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(0.05550410866482158));
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(0.24022650695910072));
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(0.6931471805599453));
  p = f32x4.add(f32x4.mul(p, rest), f32x4.splat(1));
  return i32x4.add(p, i32x4.shl(i32x4.trunc_sat_f32x4_s(whole), 23));
}

/** log2 of four positive normal numbers; absolute error about 1e-7. */
@inline
export function log2(x: v128): v128 {
  // x = m 2^e with m in [0.707, 1.414): 0x3f3504f3 is the square root of 1/2.
  const shifted = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(shifted, 23);
  const m = i32x4.sub(x, i32x4.shl(e, 23));
  const one = f32x4.splat(1);
  const z = f32x4.div(f32x4.sub(m, one), f32x4.add(m, one));
  const zz = f32x4.mul(z, z);
  // 2 / ln 2 times the series of artanh.
  let p = f32x4.splat(0.4121985831111324);
  p = f32x4.add(f32x4.mul(p, zz), f32x4.splat(0.5770780163555854));
  p = f32x4.add(f32x4.mul(p, zz), f32x4.splat(0.9617966939259756));
  p = f32x4.add(f32x4.mul(p, zz), f32x4.splat(2.8853900817779268));
  return f32x4.add(f32x4.mul(p, z), f32x4.convert_i32x4_s(e));
}

/** log2 of one positive normal number, as the fit computes it. */
export function log2Of(x: f32): f32 {
  return f32x4.extract_lane(log2(f32x4.splat(x)), 0);
}

/** cos(pi x / 2)^2 for x in [0, 1]: half a cosine, from 1 down to 0. */
export function halfCosine(x: f64): f64 {
  const a = x * 1.5707963267948966;
  const q = a * a;
  const c = 1 - (q / 2) * (1 - (q / 12) * (1 - (q / 30) * (1 - (q / 56) * (1 - (q / 90) * (1 - q / 132)))));
  return c * c;
}

/** base^n for n >= 0. */
export function power(base: f64, n: i32): f64 {
  let result: f64 = 1;
  for (let square = base; n > 0; n >>= 1) {
    if (n & 1) result *= square;
    square *= square;
  }
  return result;
}

/** 32 random bits for a seed and a counter: the finalizer of MurmurHash3, twice. */
@inline
export function random(seed: u32, counter: u32): u32 {
  return mix(mix(seed ^ 0x9e3779b9) + counter * 0x9e3779b1);
}

function mix(x: u32): u32 {
  x ^= x >> 16;
  x *= 0x85ebca6b;
  x ^= x >> 13;
  x *= 0xc2b2ae35;
  return x ^ (x >> 16);
}

/** A number from 0 to count - 1, made of random bits. */
@inline
export function below(count: u32, bits: u32): u32 {
  return <u32>((<u64>bits * count) >> 32);
}

/** Roughly normal, mean 0, variance 1: a sum of 12 uniform numbers. */
export function gaussian(seed: u32, counter: u32): f32 {
  let sum: f32 = -6;
  for (let i: u32 = 0; i < 12; i++) sum += <f32>(random(seed, counter * 12 + i) >> 8) * (1.0 / 16777216.0);
  return sum;
}

/** Where `i` goes in a random order of 0 .. count - 1, one order per key: four Feistel rounds, until the result is in range. */
export function shuffled(i: u32, count: u32, key: u32): u32 {
  let half: u32 = 1;
  while (half < 16 && (<u32>1 << (2 * half)) < count) half++;
  const mask: u32 = (1 << half) - 1;
  do {
    let left = i >> half;
    let right = i & mask;
    for (let round: u32 = 0; round < 4; round++) {
      const next = left ^ (random(key + round, right) & mask);
      left = right;
      right = next;
    }
    i = (left << half) | right;
  } while (i >= count);
  return i;
}

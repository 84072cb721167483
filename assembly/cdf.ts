// Probabilities -> integer CDFs, and the probabilities of Gaussian and factorized priors. All is computed in f64 with
// functions of this module, so that every machine builds the same table. A JavaScript engine's Math.exp gives another
// result for 9 % of inputs. docs/math.md 1 and 2.

import { INVALID_PMF, NON_FINITE } from "./codes";

/**
 * CompressAI's pmf_to_quantized_cdf. pmf: n float32, cdf: n + 1 u32 (0 .. 2^precision). Returns 0 or an error code.
 *
 * For each empty bin the original takes 1 from the bin with the smallest frequency above 1, and searches all bins for
 * it: O(n^2), 128 ms for the stock table. A bin that has given stays the smallest until it is down to 1. So the bins
 * give in the order of (freq, index), each down to 1: one pass per distinct frequency.
 */
export function quantizedCdf(pmf: usize, n: u32, precision: u32, cdf: usize): i32 {
  const one: u64 = <u64>1 << precision;
  let total: u64 = 0;
  for (let i: usize = 0; i < <usize>n; i++) {
    const p = load<f32>(pmf + (i << 2));
    if (!(p >= 0 && p < Infinity)) return NON_FINITE;
    // round half away from zero of a float32 product, exact in f64
    const freq = floor<f64>(<f64>(p * <f32>one) + 0.5);
    if (freq > 4294967295.0) return INVALID_PMF;
    store<u32>(cdf + (i << 2), <u32>freq, 4);
    total += <u64>freq;
  }
  if (total == 0 || total > 0xffffffff) return INVALID_PMF;

  let empty: u32 = 0;
  let sum: u32 = 0;
  for (let i: usize = 0; i < <usize>n; i++) {
    const at = cdf + (i << 2);
    let freq = <u32>((one * <u64>load<u32>(at, 4)) / total);
    if (i == <usize>n - 1) freq = <u32>one - sum;
    sum += freq;
    if (freq == 0) empty++;
    store<u32>(at, freq, 4);
  }

  // Empty bins get their 1 in the prefix sum below. Here it is taken from the others.
  let owed = empty;
  for (let level: u32 = 2; owed > 0; ) {
    let next: u32 = 0xffffffff;
    for (let i: usize = 0; i < <usize>n && owed > 0; i++) {
      const freq = load<u32>(cdf + (i << 2), 4);
      if (freq == level) {
        const given = min<u32>(freq - 1, owed);
        store<u32>(cdf + (i << 2), freq - given, 4);
        owed -= given;
      } else if (freq > level && freq < next) {
        next = freq;
      }
    }
    if (owed > 0 && next == 0xffffffff) return INVALID_PMF;
    level = next;
  }
  sum = 0;
  store<u32>(cdf, 0);
  for (let i: usize = 0; i < <usize>n; i++) {
    const at = cdf + (i << 2);
    sum += max<u32>(load<u32>(at, 4), 1);
    store<u32>(at, sum, 4);
  }
  return 0;
}

// ---- rows of scales: Gaussian, Laplace, logistic; the numbers are those of docs/format.md section 9

export const GAUSSIAN: u32 = 0;
export const LAPLACE: u32 = 1;

// Both tails together hold 1e-9: exp(-x) = 1e-9 for Laplace, and 2 / (1 + exp(x)) = 1e-9 for the logistic.
const LAPLACE_TAIL: f64 = 20.723265836946414;
const LOGISTIC_TAIL: f64 = 21.416413017506358;

/** Half the width of a row whose tails hold 1e-9. A Gaussian's is computed in float32, as in CompressAI. */
export function halfWidth(distribution: u32, scale: f32): u32 {
  if (distribution == GAUSSIAN) return <u32>ceil<f32>(scale * <f32>6.109410204869);
  return <u32>ceil<f64>(<f64>scale * (distribution == LAPLACE ? LAPLACE_TAIL : LOGISTIC_TAIL));
}

// The mass above x >= 0 for scale 1, computed without cancellation.
function massAbove(distribution: u32, x: f64): f64 {
  if (distribution == GAUSSIAN) return phi(-x);
  return distribution == LAPLACE ? 0.5 * exp(-x) : sigmoid(-x);
}

/** pmf (2 half + 2 float32) of a row: values -half .. half, then the tail mass. docs/math.md 2. */
export function scalePmf(distribution: u32, scale: f32, pmf: usize): void {
  const half = halfWidth(distribution, scale);
  const s = <f64>scale;
  let above = massAbove(distribution, 0.5 / s);
  store<f32>(pmf + (<usize>half << 2), <f32>(distribution == GAUSSIAN ? phi(0.5 / s) - above : 1 - 2 * above));
  for (let v: u32 = 1; v <= half; v++) {
    // The lower edge of v is the upper one of v - 1.
    const beyond = massAbove(distribution, (<f64>v + 0.5) / s);
    const p = <f32>(above - beyond);
    store<f32>(pmf + (<usize>(half - v) << 2), p);
    store<f32>(pmf + (<usize>(half + v) << 2), p);
    above = beyond;
  }
  store<f32>(pmf + (<usize>(2 * half + 1) << 2), <f32>(2 * above));
}

// Phi(x) = erfc(-x / sqrt 2) / 2
function phi(x: f64): f64 {
  return 0.5 * erfc(-x * 0.7071067811865476);
}

// @ts-ignore: decorator
@inline
export function sigmoid(x: f64): f64 {
  return 1 / (1 + exp(-x));
}

// s = ln(1 + e^x) solves e^s = 1 + e^x. Halley's iteration starts within 0.4 of s and is exact to 1e-15 after four
// steps. A logarithm function would add 250 bytes to the module.
function softplus(x: f64): f64 {
  if (x > 36) return x;
  const z = 1 + exp(x);
  let s = max<f64>(x, 0) + 0.3;
  for (let i = 0; i < 4; i++) {
    const e = exp(s);
    s += (2 * (z - e)) / (z + e);
  }
  return s;
}

/**
 * pmf (length + 1 float32: the values, then the tail mass) of one channel of a factorized prior (Balle et al. 2018,
 * appendix 6.1).
 * parameters: float32, per layer the matrix (filters[i+1] x filters[i]), the bias and, but for the last layer, the
 * factor.
 * filters: layers + 1 u32, each at most 256. start: position of the first value. The tail's upper end is that of the
 * longest row, as in CompressAI.
 * work: 4,096 bytes for a layer's input and output.
 */
export function factorizedPmf(
  parameters: usize, layers: u32, filters: usize, start: f64, length: u32, longest: u32, pmf: usize, work: usize,
): void {
  let lower: f64 = 0;
  let tail: f64 = 0;
  // Edge k lies below value k; the one after the last value's upper edge is that of the longest row.
  for (let k: u32 = 0; k <= length + 1; k++) {
    const edge = logits(start + <f64>(k <= length ? k : longest) - 0.5, parameters, layers, filters, work);
    if (k > length) {
      tail += sigmoid(-edge);
      break;
    }
    const upper = sigmoid(edge);
    if (k == 0) tail = upper;
    else store<f32>(pmf + (<usize>(k - 1) << 2), <f32>max<f64>(upper - lower, 0));
    lower = upper;
  }
  store<f32>(pmf + (<usize>length << 2), <f32>tail);
}

function logits(x: f64, p: usize, layers: u32, filters: usize, work: usize): f64 {
  let input = work;
  let output = work + 2048;
  store<f64>(input, x);
  for (let layer: u32 = 0; layer < layers; layer++) {
    const inputs = load<u32>(filters + (<usize>layer << 2));
    const outputs = load<u32>(filters + (<usize>layer << 2), 4);
    const bias = p + (<usize>(inputs * outputs) << 2);
    const factor = bias + (<usize>outputs << 2);
    for (let o: usize = 0; o < <usize>outputs; o++) {
      let sum = <f64>load<f32>(bias + (o << 2));
      for (let i: usize = 0; i < <usize>inputs; i++, p += 4)
        sum += softplus(<f64>load<f32>(p)) * load<f64>(input + (i << 3));
      if (layer + 1 < layers) sum += tanh(<f64>load<f32>(factor + (o << 2))) * tanh(sum);
      store<f64>(output + (o << 3), sum);
    }
    p = factor + (<usize>outputs << 2);
    const swap = input;
    input = output;
    output = swap;
  }
  return load<f64>(input);
}

// exp after fdlibm's e_exp.c (Sun Microsystems 1993, freely redistributable), error below 1 ulp. AssemblyScript's own
// is faster, but has a 2 KB look-up table, and no caller here is hot.
export function exp(x: f64): f64 {
  if (x > 709) return Infinity;
  if (x < -745) return 0;
  const k = nearest<f64>(x * 1.44269504088896338700);
  const high = x - k * 6.93147180369123816490e-1;
  const low = k * 1.90821492927058770002e-10;
  const r = high - low;
  const z = r * r;
  const c = r - z * (1.66666666666666019037e-1 + z * (-2.77777777770155933842e-3 + z * (6.61375632143793436117e-5 + z * (-1.65339022054652515390e-6 + z * 4.13813679705723846039e-8))));
  const y = 1 + ((r * c) / (2 - c) - low + high);
  // In two steps, because 2^k alone leaves the normal range.
  const half = <i64>k >> 1;
  return y * power2(half) * power2(<i64>k - half);
}

// @ts-ignore: decorator
@inline
function power2(k: i64): f64 {
  return reinterpret<f64>((k + 1023) << 52);
}

function tanh(x: f64): f64 {
  return 1 - 2 / (exp(2 * x) + 1);
}

// The complementary error function after fdlibm's s_erf.c (Sun Microsystems 1993, freely redistributable), error below
// 1 ulp.
export function erfc(x: f64): f64 {
  const a = abs(x);
  if (a < 0.84375) {
    const z = x * x;
    const r = 1.28379167095512558561e-1 + z * (-3.25042107247001499370e-1 + z * (-2.84817495755985104766e-2 + z * (-5.77027029648944159157e-3 + z * -2.37630166566501626084e-5)));
    const s = 1 + z * (3.97917223959155352819e-1 + z * (6.50222499887672944485e-2 + z * (5.08130628187576562776e-3 + z * (1.32494738004321644526e-4 + z * -3.96022827877536812320e-6))));
    const y = r / s;
    if (x < 0.25) return 1 - (x + x * y);
    return 0.5 - (x - 0.5 + x * y);
  }
  if (a >= 28) return x < 0 ? 2 : 0;
  const y = erfcTail(a);
  return x < 0 ? 2 - y : y;
}

// erfc for 0.84375 <= a < 28
function erfcTail(a: f64): f64 {
  if (a < 1.25) {
    const s = a - 1;
    const p = -2.36211856075265944077e-3 + s * (4.14856118683748331666e-1 + s * (-3.72207876035701323847e-1 + s * (3.18346619901161753674e-1 + s * (-1.10894694282396677476e-1 + s * (3.54783043256182359371e-2 + s * -2.16637559486879084300e-3)))));
    const q = 1 + s * (1.06420880400844228286e-1 + s * (5.40397917702171048937e-1 + s * (7.18286544141962662868e-2 + s * (1.26171219808761642112e-1 + s * (1.36370839120290507362e-2 + s * 1.19844998467991074170e-2)))));
    return 1 - 8.45062911510467529297e-1 - p / q;
  }
  const s = 1 / (a * a);
  let r: f64;
  let t: f64;
  if (a < 2.857142857142857) {
    r = -9.86494403484714822705e-3 + s * (-6.93858572707181764372e-1 + s * (-1.05586262253232909814e1 + s * (-6.23753324503260060396e1 + s * (-1.62396669462573470355e2 + s * (-1.84605092906711035994e2 + s * (-8.12874355063065934246e1 + s * -9.81432934416914548592))))));
    t = 1 + s * (1.96512716674392571292e1 + s * (1.37657754143519042600e2 + s * (4.34565877475229228821e2 + s * (6.45387271733267880336e2 + s * (4.29008140027567833386e2 + s * (1.08635005541779435134e2 + s * (6.57024977031928170135 + s * -6.04244152148580987438e-2)))))));
  } else {
    r = -9.86494292470009928597e-3 + s * (-7.99283237680523006574e-1 + s * (-1.77579549177547519889e1 + s * (-1.60636384855821916062e2 + s * (-6.37566443368389627722e2 + s * (-1.02509513161107724954e3 + s * -4.83519191608651397019e2)))));
    t = 1 + s * (3.03380607434824582924e1 + s * (3.25792512996573918826e2 + s * (1.53672958608443695994e3 + s * (3.19985821950859553908e3 + s * (2.55305040643316442583e3 + s * (4.74528541206955367215e2 + s * -2.24409524465858183362e1))))));
  }
  // a with its low word cleared squares exactly.
  const z = reinterpret<f64>(reinterpret<u64>(a) & 0xffffffff00000000);
  return (exp(-z * z - 0.5625) * exp((z - a) * (z + a) + r / t)) / a;
}

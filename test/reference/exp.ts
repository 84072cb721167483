// exp and erfc, bit for bit as docs/format.md section 9.1 wants them: assembly/cdf.ts line by line. JavaScript's numbers are the same float64
// and its + - * / round the same way; Math.exp would not do, engines differ in it.
import { nearest } from "./symbol.js";

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
// Where the high half of a double lies in memory.
const high = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** 2^k, -1022 <= k <= 1023. */
function power2(k: number): number {
  words[1 - high] = 0;
  words[high] = (k + 1023) * 2 ** 20;
  return double[0];
}

function withoutLowWord(x: number): number {
  double[0] = x;
  words[1 - high] = 0;
  return double[0];
}

export function exp(x: number): number {
  if (x > 709) return Number.POSITIVE_INFINITY;
  if (x < -745) return 0;
  const k = nearest(x * Math.LOG2E);
  const upper = x - k * 0.6931471803691238;
  const lower = k * 1.9082149292705877e-10;
  const r = upper - lower;
  const z = r * r;
  const c =
    r -
    z *
      (0.16666666666666602 +
        z *
          (-0.0027777777777015593 +
            z * (6.613756321437934e-5 + z * (-1.6533902205465252e-6 + z * 4.1381367970572385e-8))));
  const y = 1 + ((r * c) / (2 - c) - lower + upper);
  const half = Math.floor(k / 2);
  return y * power2(half) * power2(k - half);
}

/** A polynomial by Horner's rule, the lowest coefficient first. */
function horner(x: number, coefficients: readonly number[]): number {
  return coefficients.reduceRight((sum, c) => c + x * sum);
}

export function erfc(x: number): number {
  const a = Math.abs(x);
  if (a < 0.84375) {
    const z = x * x;
    const r = horner(
      z,
      [0.12837916709551256, -0.3250421072470015, -0.02848174957559851, -0.005770270296489442, -2.3763016656650163e-5],
    );
    const s = horner(
      z,
      [1, 0.39791722395915535, 0.0650222499887673, 0.005081306281875766, 0.00013249473800432164, -3.960228278775368e-6],
    );
    const y = r / s;
    if (x < 0.25) return 1 - (x + x * y);
    return 0.5 - (x - 0.5 + x * y);
  }
  if (a >= 28) return x < 0 ? 2 : 0;
  const y = erfcTail(a);
  return x < 0 ? 2 - y : y;
}

/** erfc for 0.84375 <= a < 28. */
function erfcTail(a: number): number {
  if (a < 1.25) {
    const s = a - 1;
    const p = horner(
      s,
      [
        -0.0023621185607526594, 0.41485611868374833, -0.3722078760357013, 0.31834661990116175, -0.11089469428239668,
        0.035478304325618236, -0.002166375594868791,
      ],
    );
    const q = horner(
      s,
      [
        1, 0.10642088040084423, 0.540397917702171, 0.07182865441419627, 0.12617121980876164, 0.01363708391202905,
        0.011984499846799107,
      ],
    );
    return 1 - 0.8450629115104675 - p / q;
  }
  const s = 1 / (a * a);
  const near = a < 2.857142857142857;
  const r = near
    ? horner(
        s,
        [
          -0.009864944034847148, -0.6938585727071818, -10.558626225323291, -62.375332450326006, -162.39666946257347,
          -184.60509290671104, -81.2874355063066, -9.814329344169145,
        ],
      )
    : horner(
        s,
        [
          -0.0098649429247001, -0.799283237680523, -17.757954917754752, -160.63638485582192, -637.5664433683896,
          -1025.0951316110772, -483.5191916086514,
        ],
      );
  const t = near
    ? horner(
        s,
        [
          1, 19.651271667439257, 137.65775414351904, 434.56587747522923, 645.3872717332679, 429.00814002756783,
          108.63500554177944, 6.570249770319282, -0.0604244152148581,
        ],
      )
    : horner(
        s,
        [
          1, 30.33806074348246, 325.7925129965739, 1536.729586084437, 3199.8582195085955, 2553.0504064331644,
          474.52854120695537, -22.44095244658582,
        ],
      );
  const z = withoutLowWord(a);
  return (exp(-z * z - 0.5625) * exp((z - a) * (z + a) + r / t)) / a;
}

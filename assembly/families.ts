// Rows of Laplace and logistic priors, built like the Gaussian ones of cdf.ts: values -center .. center and the mass of both tails. docs/math.md 2.

import { exp, sigmoid } from "./cdf";

// Tails of 1e-9 in all, as a Gaussian row has: exp(-x) = 1e-9, and 2 / (1 + exp(x)) = 1e-9.
const LAPLACE_TAIL: f64 = 20.723265836946414;
const LOGISTIC_TAIL: f64 = 21.416413017506358;

/** Half the width of a row. */
export function tailedCenter(scale: f32, logistic: bool): u32 {
  return <u32>ceil<f64>(<f64>scale * (logistic ? LOGISTIC_TAIL : LAPLACE_TAIL));
}

// The mass above x >= 0 where the scale is 1, from the side where no digits are lost.
// @ts-ignore: decorator
@inline
function upper(x: f64, logistic: bool): f64 {
  return logistic ? sigmoid(-x) : 0.5 * exp(-x);
}

function pmf(scale: f32, center: u32, out: usize, logistic: bool): void {
  const s = <f64>scale;
  let above = upper(0.5 / s, logistic);
  store<f32>(out + (<usize>center << 2), <f32>(1 - 2 * above));
  for (let v: u32 = 1; v <= center; v++) {
    const beyond = upper((<f64>v + 0.5) / s, logistic);
    const p = <f32>(above - beyond);
    store<f32>(out + (<usize>(center - v) << 2), p);
    store<f32>(out + (<usize>(center + v) << 2), p);
    above = beyond;
  }
  store<f32>(out + (<usize>(2 * center + 1) << 2), <f32>(2 * above));
}

/** pmf (2 center + 2 float32) of a Laplace row. */
export function laplacePmf(scale: f32, out: usize): void {
  pmf(scale, tailedCenter(scale, false), out, false);
}

/** pmf (2 center + 2 float32) of a logistic row. */
export function logisticPmf(scale: f32, out: usize): void {
  pmf(scale, tailedCenter(scale, true), out, true);
}

// CompressAI's pmf_to_quantized_cdf: probabilities -> cumulative frequencies in which nothing has frequency 0.
import { FormatError } from "./errors.js";

function invalid(message: string): never {
  throw new FormatError("INVALID_PMF", message);
}

/** C's `round`: halves away from zero. Never called with a negative number. */
function roundHalfAway(x: number): number {
  const floor = Math.floor(x);
  return x - floor >= 0.5 ? floor + 1 : floor;
}

export function pmfToQuantizedCdf(pmf: Float32Array, precision = 16): number[] {
  const whole = 2 ** precision;
  pmf.forEach((p, i) => {
    if (!Number.isFinite(p) || p < 0) invalid(`element ${i} is ${p}`);
  });
  const rounded = Array.from(pmf, (p) => roundHalfAway(Math.fround(p * whole)));
  const sum = rounded.reduce((a, b) => a + b, 0);
  if (sum === 0) invalid("all probabilities are zero");

  const cdf = [0];
  for (const f of rounded) cdf.push(cdf[cdf.length - 1] + Number((BigInt(whole) * BigInt(f)) / BigInt(sum)));
  cdf[cdf.length - 1] = whole;

  for (let i = 0; i < pmf.length; i++) {
    if (cdf[i] !== cdf[i + 1]) continue;
    let giver = -1;
    let smallest = Number.POSITIVE_INFINITY;
    for (let j = 0; j < pmf.length; j++) {
      const freq = cdf[j + 1] - cdf[j];
      if (freq > 1 && freq < smallest) {
        smallest = freq;
        giver = j;
      }
    }
    if (giver < 0) invalid("more elements than frequencies");
    if (giver < i) for (let k = giver + 1; k <= i; k++) cdf[k]--;
    else for (let k = i + 1; k <= giver; k++) cdf[k]++;
  }
  return cdf;
}

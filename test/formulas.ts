// The densities behind the two kinds of rows, in double precision, after the papers: what the tables built in Wasm are compared with.
import type { FactorizedParameters, TableJson } from "latentwire";
import { pmfToQuantizedCdf } from "./reference.js";

/** erfc, to about 15 digits: the Taylor series of erf near 0, the continued fraction of the upper tail beyond. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(sum); k++) {
      term *= (-x * x) / k;
      sum += term / (2 * k + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 200; k >= 1; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

const phi = (x: number) => erfc(-x / Math.SQRT2) / 2;

/** Minus the quantile of 5e-10: CompressAI cuts a Gaussian where 1e-9 of its mass lies outside. */
const cut = 6.109410204869;

function row(probabilities: readonly number[], tail: number): number[] {
  return pmfToQuantizedCdf(Float32Array.from([...probabilities, tail]));
}

/** CompressAI's GaussianConditional.update for one scale. */
export function gaussianRow(scale: number): { offset: number; cdf: number[] } {
  const center = Math.ceil(scale * cut);
  const lower = (k: number) => phi((-0.5 - Math.abs(k)) / scale);
  const pmf = Array.from(
    { length: 2 * center + 1 },
    (_, i) => phi((0.5 - Math.abs(i - center)) / scale) - lower(i - center),
  );
  return { offset: -center, cdf: row(pmf, 2 * lower(-center)) };
}

const softplus = (x: number) => (x > 30 ? x : Math.log1p(Math.exp(x)));
const sigmoid = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** The logit of the cumulative density of one channel: Balle et al. 2018, appendix 6.1. */
function logit(
  { matrices, biases, factors }: FactorizedParameters,
  channels: number,
  channel: number,
  x: number,
): number {
  let values = [x];
  matrices.forEach((matrix, layer) => {
    const outputs = biases[layer].length / channels;
    const inputs = values.length;
    values = Array.from({ length: outputs }, (_, o) => {
      let sum = biases[layer][channel * outputs + o];
      for (let i = 0; i < inputs; i++) sum += softplus(matrix[(channel * outputs + o) * inputs + i]) * values[i];
      return layer < factors.length ? sum + Math.tanh(factors[layer][channel * outputs + o]) * Math.tanh(sum) : sum;
    });
  });
  return values[0];
}

/** CompressAI's EntropyBottleneck.update. */
export function factorizedRows(parameters: FactorizedParameters): TableJson {
  const { quantiles } = parameters;
  const channels = quantiles.length / 3;
  const medians = Array.from({ length: channels }, (_, c) => quantiles[3 * c + 1]);
  const below = medians.map((median, c) => Math.max(0, Math.ceil(median - quantiles[3 * c])));
  const above = medians.map((median, c) => Math.max(0, Math.ceil(quantiles[3 * c + 2] - median)));
  const longest = Math.max(...below.map((b, c) => b + above[c] + 1));
  const cdfs = medians.map((median, c) => {
    const at = (k: number) => logit(parameters, channels, c, median - below[c] + k);
    const pmf = Array.from({ length: below[c] + above[c] + 1 }, (_, k) => {
      const low = at(k - 0.5);
      const high = at(k + 0.5);
      // The side on which the sigmoids are small, where their difference loses no digits.
      const sign = low + high > 0 ? -1 : 1;
      return Math.abs(sigmoid(sign * high) - sigmoid(sign * low));
    });
    // CompressAI measures the tail behind the longest row, whichever channel's row it is.
    return row(pmf, sigmoid(at(-0.5)) + sigmoid(-at(longest - 0.5)));
  });
  return { offsets: below.map((b) => -b), cdfs, medians };
}

/** A factorized prior's rows from its parameters: CompressAI's EntropyBottleneck.update (Balle et al. 2018, appendix 6.1; docs/math.md 2). */
import type { Core } from "./core.js";
import type { FactorizedParameters, TableJson } from "./types.js";

const MAX_FILTER = 256;

/** Throws RangeError where the arrays contradict each other. */
export function factorizedTableJson(core: Core, parameters: FactorizedParameters): TableJson {
  const { matrices, biases, factors, quantiles } = parameters;
  const layers = matrices.length;
  const channels = quantiles.length / 3;
  if (!Number.isInteger(channels) || channels < 1) throw new RangeError("quantiles must have 3 numbers per channel");
  if (layers < 1 || biases.length !== layers || factors.length !== layers - 1)
    throw new RangeError("biases: one per matrix; factors: one less");
  const filters = new Uint32Array(layers + 1).fill(1);
  for (let i = 0; i < layers; i++) {
    filters[i + 1] = biases[i]!.length / channels;
    const width = filters[i + 1]!;
    const fits =
      biases[i]!.length === width * channels &&
      width >= 1 &&
      width <= MAX_FILTER &&
      matrices[i]!.length === channels * width * filters[i]! &&
      (i === layers - 1 ? width === 1 : factors[i]!.length === width * channels);
    if (!fits) throw new RangeError(`layer ${i}: matrices, biases and factors do not fit ${channels} channels`);
  }

  const rows = Array.from({ length: channels }, (_, c) => {
    const [low, median, high] = quantiles.subarray(3 * c, 3 * c + 3) as unknown as [number, number, number];
    const below = Math.max(0, Math.ceil(Math.fround(median - low)));
    const above = Math.max(0, Math.ceil(Math.fround(high - median)));
    // Also false for NaN.
    if (!(below + above < 65535)) throw new RangeError(`quantiles of channel ${c} are ${low} .. ${high}: too wide`);
    return { median, below, length: below + above + 1 };
  });
  const longest = Math.max(...rows.map((row) => row.length));
  return {
    offsets: rows.map((row) => -row.below),
    medians: rows.map((row) => row.median),
    cdfs: rows.map((row, c) => {
      const channel = channelParameters(parameters, filters, c);
      return Array.from(core.factorizedRow(channel, filters, row.median - row.below, row.length, longest));
    }),
  };
}

/** Matrix, bias and factor of each layer for one channel, in the order the kernel reads. */
function channelParameters(
  { matrices, biases, factors }: FactorizedParameters,
  filters: Uint32Array,
  c: number,
): Float32Array {
  const parts: Float32Array[] = [];
  for (let i = 0; i < matrices.length; i++) {
    const width = filters[i + 1]!;
    const weights = width * filters[i]!;
    parts.push(matrices[i]!.subarray(c * weights, (c + 1) * weights), biases[i]!.subarray(c * width, (c + 1) * width));
    if (i + 1 < matrices.length) parts.push(factors[i]!.subarray(c * width, (c + 1) * width));
  }
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

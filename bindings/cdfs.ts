/** Rows made from probabilities. Wasm computes them, so that every engine makes the same rows: docs/math.md 1 and 2. */
import { NON_FINITE } from "./abi.js";
import { CodecError } from "./errors.js";
import type { Memory } from "./memory.js";
import type { FactorizedParameters, TableJson } from "./types.js";

const PADDING = 256;
const MAX_FILTER = 256;

// CompressAI's get_scale_table(): exp(linspace(ln 0.11, ln 256, 64)) as torch computes it in float32 (2.13, CPU): from
// both ends to the middle, each point rounded once. A scale between two versions would choose another row. Every
// exponential is 6 million float64 steps or more away from where it would round to another float32, so no engine's
// Math.exp makes a difference (test/built-tables.test.ts has the bits).
const LOWEST = -2.207274913787842;
const HIGHEST = 5.545177459716797;
const STEP = 0.12305480241775513;

export const stockScales = Float32Array.from({ length: 64 }, (_, i) =>
  Math.exp(Math.fround(i < 32 ? LOWEST + i * STEP : HIGHEST - (63 - i) * STEP)),
);

/** CompressAI's pmf_to_quantized_cdf. Throws INVALID_PMF. */
export function quantizedCdf(memory: Memory, pmf: Float32Array, precision: number): Uint32Array {
  if (pmf.length === 0) throw new CodecError("INVALID_PMF", "pmf is empty");
  const at = memory.scratch(8 * pmf.length + 4 * PADDING);
  memory.f32.set(pmf, at / 4);
  return cdfAt(memory, at, pmf.length, precision);
}

/** The cdf of the n probabilities at address `pmf`. Behind them there is room for it. */
function cdfAt(memory: Memory, pmf: number, n: number, precision = 16): Uint32Array {
  const cdf = pmf + 4 * n + PADDING;
  const code = memory.wasm.quantizedCdf(pmf, n, precision, cdf);
  if (code === NON_FINITE) throw new CodecError("INVALID_PMF", "a probability is negative, NaN or infinite");
  const most = 2 ** precision;
  if (code !== 0)
    throw new CodecError(
      "INVALID_PMF",
      `${n} probabilities ${n > most ? `do not fit ${most}` : "are all 0, or far above 1"}`,
    );
  return memory.u32.slice(cdf / 4, cdf / 4 + n + 1);
}

/** Distributions by number: constants of the format (docs/format.md section 9), and those of assembly/cdf.ts. */
export const DISTRIBUTIONS = ["gaussian", "laplace", "logistic"] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

/** The largest scale at which every symbol still gets a frequency of 1. */
const LARGEST: Record<Distribution, number> = { gaussian: 5000, laplace: 1500, logistic: 1500 };

/** A row per scale. Throws RangeError for a scale that is too large. */
export function scaleRows(memory: Memory, kind: Distribution, scales: Float32Array): TableJson {
  const { wasm } = memory;
  const distribution = DISTRIBUTIONS.indexOf(kind);
  const offsets: number[] = [];
  const cdfs: number[][] = [];
  for (const [j, scale] of scales.entries()) {
    if (scale > LARGEST[kind]) throw new RangeError(`scales[${j}] = ${scale} is above ${LARGEST[kind]}`);
    const half = wasm.halfWidth(distribution, scale);
    const n = 2 * half + 2;
    const at = memory.scratch(8 * n + 4 * PADDING);
    wasm.scalePmf(distribution, scale, at);
    offsets.push(-half);
    cdfs.push(Array.from(cdfAt(memory, at, n)));
  }
  return { offsets, cdfs };
}

/**
 * The rows of a factorized prior from its parameters, as CompressAI's EntropyBottleneck.update computes them. Throws
 * RangeError where the arrays contradict each other.
 */
export function factorizedRows(memory: Memory, parameters: FactorizedParameters): TableJson {
  const { quantiles } = parameters;
  const channels = quantiles.length / 3;
  if (!Number.isInteger(channels) || channels < 1) throw new RangeError("quantiles must have 3 numbers per channel");
  const filters = filtersOf(parameters, channels);
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
      return Array.from(factorizedRow(memory, channel, filters, row.median - row.below, row.length, longest));
    }),
  };
}

/** Number of values before the first layer, between layers, and after the last. */
function filtersOf({ matrices, biases, factors }: FactorizedParameters, channels: number): Uint32Array {
  const layers = matrices.length;
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
  return filters;
}

/** Matrix, bias and factor of each layer for one channel, in the order in which Wasm reads them. */
function channelParameters(
  { matrices, biases, factors }: FactorizedParameters,
  filters: Uint32Array,
  c: number,
): Float32Array {
  const parts: number[] = [];
  for (let i = 0; i < matrices.length; i++) {
    const width = filters[i + 1]!;
    const weights = width * filters[i]!;
    parts.push(...matrices[i]!.subarray(c * weights, (c + 1) * weights));
    parts.push(...biases[i]!.subarray(c * width, (c + 1) * width));
    if (i + 1 < matrices.length) parts.push(...factors[i]!.subarray(c * width, (c + 1) * width));
  }
  return Float32Array.from(parts);
}

function factorizedRow(
  memory: Memory,
  channel: Float32Array,
  filters: Uint32Array,
  start: number,
  length: number,
  longest: number,
): Uint32Array {
  // A layer's input and output, float64.
  const work = 2 * MAX_FILTER * 8;
  const at = memory.scratch(work + 4 * channel.length + 4 * filters.length + 8 * (length + 1) + 8 * PADDING);
  const parameters = at + work;
  const widths = parameters + 4 * channel.length;
  const pmf = widths + 4 * filters.length;
  memory.f32.set(channel, parameters / 4);
  memory.u32.set(filters, widths / 4);
  memory.wasm.factorizedPmf(parameters, filters.length - 1, widths, start, length, longest, pmf, at);
  return cdfAt(memory, pmf, length + 1);
}

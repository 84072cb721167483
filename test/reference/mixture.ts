// Rows made at run time: mixtures; docs/format.md section 9.
import { corrupted, fail } from "./bytes.js";
import { erfc, exp } from "./exp.js";
import { correctedRow, guardedPositions, type ReferenceGuard, rowsOfScales } from "./rows.js";
import { nearest } from "./symbol.js";
import type { Row } from "./table.js";

export const mixtureKinds = ["gaussian", "laplace", "logistic"] as const;
export type MixtureKind = (typeof mixtureKinds)[number];

/** Component k of symbol i is at `k * n + i`. */
export interface Mixture {
  readonly kind: MixtureKind;
  readonly components: number;
  readonly support: readonly [number, number];
  /** Left out: all are 1. */
  readonly weights: Float32Array | undefined;
  readonly means: Float32Array;
  readonly scales: Float32Array;
}

/** Of one component of one symbol: what the row is made of, all integers. */
export interface Component {
  readonly weight: number;
  /** In 64ths. */
  readonly mean: number;
  /** A row of section 7 in the 64 scales. */
  readonly scale: number;
}

const meanLimit = 2 ** 21;

function clamp(x: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, x));
}

/** The grid point above the nearest boundary where the parameter is corrected (section 8.3), else the nearest one. */
const gridPoint = (x: number, corrected: boolean) => (corrected ? Math.floor(x) + 1 : nearest(x));

/** The components of every symbol. `corrections`: positions of parameters within the part. */
export function quantizeMixture(
  mixture: Mixture,
  scaleTable: Float32Array,
  corrections: readonly number[] = [],
): Component[][] {
  const { components, weights, means, scales } = mixture;
  const n = means.length / components;
  const isCorrected = new Set(corrections);
  if (!weights && corrections.some((at) => at % 3 === 0)) corrupted("a correction of weights that are left out");
  for (const values of [weights, means, scales])
    if (values?.some(Number.isNaN)) fail("NON_FINITE", "a parameter is NaN");
  const rows = rowsOfScales(scales, scaleTable);
  return Array.from({ length: n }, (_, i) => {
    const own = Array.from({ length: components }, (_, k) => {
      const at = k * n + i;
      const [weight, mean, scale] = [0, 1, 2].map((which) => isCorrected.has(3 * (i * components + k) + which));
      return {
        weight: clamp(gridPoint((weights?.[at] ?? 1) * 256, weight), 0, 256) + 0,
        mean: clamp(gridPoint(means[at] * 64, mean), -meanLimit, meanLimit) + 0,
        scale: scale ? correctedRow(scales[at], rows[at], scaleTable) : rows[at],
      };
    });
    return own.every(({ weight }) => weight === 0) ? own.map((component) => ({ ...component, weight: 1 })) : own;
  });
}

/** Positions of the parameters that a guard corrects: those at either end of whose margin another row or grid point is nearest. */
export function guardedParameters(mixture: Mixture, scaleTable: Float32Array, guard: ReferenceGuard): number[] {
  const { components, weights, means, scales } = mixture;
  const n = means.length / components;
  const placeOf = (at: number, which: number) => 3 * ((at % n) * components + Math.floor(at / n)) + which;
  const onGrid = (values: Float32Array, one: number, low: number, high: number, which: number) =>
    [...values.keys()]
      .filter((at) => {
        const x = values[at] * one;
        const margin = (Math.abs(values[at]) * guard.relative + guard.absolute) * one;
        const clamped = x + margin < low || x - margin > high;
        return margin > 0 && !clamped && Math.abs(x - Math.floor(x) - 0.5) <= margin;
      })
      .map((at) => placeOf(at, which));
  return [
    ...(weights ? onGrid(weights, 256, 0, 256, 0) : []),
    ...onGrid(means, 64, -meanLimit, meanLimit, 1),
    ...guardedPositions(scales, scaleTable, guard).map((at) => placeOf(at, 2)),
  ].sort((a, b) => a - b);
}

const cumulatives: Record<MixtureKind, (x: number) => number> = {
  gaussian: (x) => 0.5 * erfc(-x * Math.SQRT1_2),
  laplace: (x) => (x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x)),
  logistic: (x) => 1 / (1 + exp(-x)),
};

export function mixtureRow(
  own: readonly Component[],
  { kind, support }: Pick<Mixture, "kind" | "support">,
  scaleTable: Float32Array,
): Row {
  const [a, b] = support;
  const m = b - a + 1;
  const M = 65535 - m;
  const G = cumulatives[kind];
  const W = own.reduce((sum, { weight }) => sum + weight, 0);
  const F = (x: number) =>
    own.reduce((sum, { weight, mean, scale }) => sum + weight * G((x - mean / 64) / scaleTable[scale]), 0) / W;
  const cdf = [0];
  for (let k = 1; k < m; k++) cdf.push(k + Math.floor(M * F(a + k - 0.5) + 0.6180339887498949));
  cdf.push(65535, 65536);
  return { offset: a, cdf };
}

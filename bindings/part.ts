/** A part: a tensor with its prior, as the core codes it (docs/format.md section 8). */
import type { Centre } from "./centre.js";
import type { LoadedScales, LoadedTable } from "./core-tables.js";
import { CodecError } from "./errors.js";
import type { SequenceOptions } from "./full-types.js";
import { applyPrior, type PriorData } from "./prior.js";
import type { Prior } from "./types.js";
import type { Span } from "./view.js";

/** Which row codes which symbol. */
export type PartRows =
  | { kind: "runs"; rows: Uint16Array; run: number }
  | { kind: "symbols"; rows: Uint16Array }
  | { kind: "scales"; sigmas: Span; scales: LoadedScales }
  | MixtureRows;

/** Parameters of `components` * n elements each; support and kind of docs/format.md section 9. */
export interface MixtureRows {
  kind: "mixture";
  sigmas: Span;
  means: Span;
  weights: Span | undefined;
  components: number;
  /** 0 Gaussian, 1 Laplace, 2 logistic. */
  shape: number;
  low: number;
  size: number;
  scales: LoadedScales;
}

/** What is subtracted. */
export type PartCentre = Centre<Span>;

/** Symbols that wait to be coded, which has to begin with the last. */
export interface CodedPart {
  table: LoadedTable | undefined;
  symbols: Int32Array;
  /** A row per symbol; empty where `runs` or `entries` say more. */
  rows: Uint16Array;
  runs: { rows: Uint16Array; run: number } | undefined;
  /** Entries made at run time. */
  entries: Uint32Array | undefined;
  support: { low: number; size: number } | undefined;
}

/** A part without symbols yet. */
export const emptyPart = (prior: PartPrior, rows: PartRows): CodedPart => ({
  table: prior.base?.loaded,
  symbols: new Int32Array(0),
  rows: new Uint16Array(0),
  runs: rows.kind === "runs" ? rows : undefined,
  entries: undefined,
  support: rows.kind === "mixture" ? rows : undefined,
});

/** What a codec keeps behind a prior, for parts. */
export interface PartPrior {
  /** Undefined for a mixture, which has no table. */
  readonly base: PriorData | undefined;
  readonly mixture: MixtureRows | undefined;
  readonly sigmas: Span | undefined;
  readonly means: Span | undefined;
  /** The shape, where the prior implies one. */
  readonly dims: number[] | undefined;
  /** Enters the chain of docs/format.md section 8.1. */
  readonly fingerprint: number;
  /** float32 scales behind the rows, for the guard's limit. */
  readonly scaleTable: Float32Array | undefined;
}

/** What makes parts of priors: the codec. */
export interface Priors {
  partPrior(prior: Prior): PartPrior;
  /** A prior without scales, for a sequence. */
  sequencePrior(options: SequenceOptions): PartPrior;
}

/** Parameters of a symbol: docs/format.md section 8.3. */
export const parametersPerSymbol = (rows: PartRows): number => (rows.kind === "mixture" ? 3 * rows.components : 1);

/** Rows and centre of a prior for a part of this shape. Throws SHAPE_MISMATCH. */
export function applyPartPrior(
  prior: PartPrior,
  dims: readonly number[],
  n: number,
): { rows: PartRows; centre: PartCentre } {
  const { base, mixture, sigmas, means } = prior;
  const fit = (what: string, span: Span | undefined, factor = 1) => {
    if (span && span.n !== factor * n)
      throw new CodecError(
        "SHAPE_MISMATCH",
        `the prior has ${span.n} ${what}, the shape [${dims}] needs ${factor * n}`,
      );
  };
  if (mixture || !base) {
    const rows = mixture as MixtureRows;
    fit("scales", rows.sigmas, rows.components);
    fit("means", rows.means, rows.components);
    fit("weights", rows.weights, rows.components);
    return { rows, centre: { means: undefined, medians: undefined, run: n, step: 1 } };
  }
  fit("means", means);
  const centre = { means, medians: undefined, run: n, step: base.step };
  if (base.rows.kind === "scales" && sigmas) {
    fit("scales", sigmas);
    return { rows: { kind: "scales", sigmas, scales: base.rows.scales }, centre };
  }
  const applied = applyPrior({ ...base, means: undefined }, dims, n);
  const { source } = applied;
  if (source.kind === "runs") {
    const { rows, run } = source;
    return { rows: { kind: "runs", rows, run }, centre: { ...applied.centre, means: undefined } };
  }
  return { rows: { kind: "symbols", rows: (base.rows as { rows: Uint16Array }).rows }, centre };
}

/**
 * Throws SHAPE_MISMATCH where prior and latent both say a shape and it is not the same one, dimensions of 1 apart: a transposed export has as many elements.
 * A single dimension says only their number.
 */
export function checkShape(prior: readonly number[] | undefined, dims: readonly number[]): void {
  if (prior !== undefined && !shapesAgree(prior, dims))
    throw new CodecError("SHAPE_MISMATCH", `the prior has the shape [${prior}], the part [${dims}]`);
}

export function shapesAgree(a: readonly number[], b: readonly number[]): boolean {
  const [x, y] = [a, b].map((dims) => dims.filter((size) => size !== 1));
  return x.length < 2 || y.length < 2 || x.join() === y.join();
}

// What a part of a packet is coded under: rows, places in the lanes, what feeds its check; docs/format.md sections 8 and 9.
import { correctedRow } from "./corrections.js";
import { corrupted, FormatError } from "./errors.js";
import { xxh64 } from "./hash.js";
import { type Mixture, mixtureKinds, mixtureRow, quantizeMixture } from "./mixture.js";
import { rowsOfAxis, rowsOfScales } from "./rows.js";
import { type ReferenceTable, type Row, tableToBytes } from "./table.js";

export type PartPrior =
  | { readonly kind: "factorized"; readonly table: ReferenceTable; readonly axis: number }
  | { readonly kind: "rows"; readonly table: ReferenceTable; readonly rows: ArrayLike<number> }
  | {
      readonly kind: "scales";
      readonly table: ReferenceTable;
      readonly scaleTable: Float32Array;
      readonly scales: Float32Array;
    }
  | { readonly kind: "mixture"; readonly mixture: Mixture; readonly scaleTable: Float32Array };

/** One part, ready to be coded. */
export interface PartCoding {
  readonly rows: readonly Row[];
  readonly index: ArrayLike<number>;
  /** Factorized parts: symbols that share a row. */
  readonly run: number | undefined;
  /** What section 8.4 hashes. */
  readonly checked: ArrayLike<number>;
}

/** How many symbols the prior says there are; a factorized one does not. */
export function countOf(prior: PartPrior): number | undefined {
  if (prior.kind === "rows") return prior.rows.length;
  if (prior.kind === "scales") return prior.scales.length;
  return prior.kind === "mixture" ? prior.mixture.means.length / prior.mixture.components : undefined;
}

/** Parameters of a part of n symbols: what section 8.3 counts. */
export function parametersOf(prior: PartPrior, n: number): number {
  return prior.kind === "mixture" ? 3 * prior.mixture.components * n : n;
}

/** `corrections`: positions of parameters within the part. `dims`: of a factorized part. */
export function partCoding(prior: PartPrior, dims: readonly number[], corrections: readonly number[]): PartCoding {
  if (corrections.length > 0 && (!("scaleTable" in prior) || prior.scaleTable.length < 2))
    corrupted("a correction of a symbol without scales");
  if (prior.kind === "mixture") {
    const symbols = quantizeMixture(prior.mixture, prior.scaleTable, corrections);
    return {
      rows: symbols.map((own) => mixtureRow(own, prior.mixture, prior.scaleTable)),
      index: symbols.map((_, i) => i),
      run: undefined,
      checked: symbols.flat().flatMap(({ weight, mean, scale }) => [weight, mean + 2 ** 21, scale]),
    };
  }
  const { rows } = prior.table;
  if (prior.kind === "factorized") {
    if (dims[prior.axis] !== rows.length) throw new FormatError("SHAPE_MISMATCH", `[${dims}], ${rows.length} rows`);
    const { index, run } = rowsOfAxis(dims, prior.axis);
    return { rows, index, run, checked: index };
  }
  const index = prior.kind === "rows" ? Int32Array.from(prior.rows) : rowsOfScales(prior.scales, prior.scaleTable);
  if (prior.kind === "scales")
    for (const at of corrections) index[at] = correctedRow(prior.scales[at], index[at], prior.scaleTable);
  return { rows, index, run: undefined, checked: index };
}

/** The 32 bits that a part adds to the packet's fingerprint. */
function partFingerprint(prior: PartPrior): number {
  if (prior.kind === "mixture") return 0x80000000 + mixtureKinds.indexOf(prior.mixture.kind);
  const bytes = tableToBytes(prior.table);
  return Number(xxh64(bytes.subarray(0, bytes.length - 8)) & 0xffffffffn);
}

export function chainFingerprints(priors: readonly PartPrior[]): number {
  return priors.reduce((h, prior) => Math.imul(h ^ partFingerprint(prior), 0x9e3779b1), 0) >>> 0;
}

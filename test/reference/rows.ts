// Which row codes which symbol; docs/format.md sections 3.2 and 7.
import { FormatError } from "./errors.js";

/** A row per scale: how many of all scales but the last are below sigma. */
export function rowsOfScales(scales: Float32Array, scaleTable: Float32Array): Int32Array {
  return Int32Array.from(scales, (sigma, i) => {
    if (Number.isNaN(sigma)) throw new FormatError("NON_FINITE", `scale ${i} is NaN`);
    return scaleTable.subarray(0, -1).filter((s) => s < sigma).length;
  });
}

/** The factorized prior: the position along `axis` is the row, and `run` neighbours share it. */
export function rowsOfAxis(dims: readonly number[], axis: number): { index: Int32Array; run: number } {
  const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);
  const run = product(dims.slice(axis + 1));
  const index = Int32Array.from({ length: product(dims) }, (_, i) => Math.floor(i / run) % dims[axis]);
  return { index, run };
}

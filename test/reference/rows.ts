// Which row codes which symbol, and what two machines do to agree about it; docs/format.md sections 3.2, 7, 8.3 and 8.4.
// Which rows to correct is the rule of docs/determinism.md.
import { fail } from "./bytes.js";
import { exp } from "./exp.js";

/** CompressAI's 64 scales. */
export const compressaiScales = Float32Array.from({ length: 64 }, (_, j) => {
  const distance = 0.12305480241775513;
  const e = j < 32 ? -2.207274913787842 + j * distance : 5.545177459716797 - (63 - j) * distance;
  return exp(Math.fround(e));
});

/** How many of all scales but the last are below sigma. */
function rowOf(sigma: number, scaleTable: Float32Array): number {
  let row = 0;
  while (row < scaleTable.length - 1 && scaleTable[row] < sigma) row++;
  return row;
}

/** A row per scale. */
export function rowsOfScales(scales: Float32Array, scaleTable: Float32Array): Int32Array {
  return Int32Array.from(scales, (sigma, i) => {
    if (Number.isNaN(sigma)) fail("NON_FINITE", `scale ${i} is NaN`);
    return rowOf(sigma, scaleTable);
  });
}

/** Rows that belong to channels: the position along `axis` is the row, and `run` neighbours share it. */
export function rowsOfAxis(dims: readonly number[], axis: number): { index: Int32Array; run: number } {
  const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);
  const run = product(dims.slice(axis + 1));
  const index = Int32Array.from({ length: product(dims) }, (_, i) => Math.floor(i / run) % dims[axis]);
  return { index, run };
}

/** The row above the boundary nearest to sigma. `row` is section 7's. At least two scales. */
export function correctedRow(sigma: number, row: number, scaleTable: Float32Array): number {
  const below = row > 0 && (row === scaleTable.length - 1 || sigma * sigma < scaleTable[row - 1] * scaleTable[row]);
  return below ? row : row + 1;
}

export interface ReferenceGuard {
  readonly relative: number;
  readonly absolute: number;
}

/** Positions whose row is another one at either end of the guard. */
export function guardedPositions(
  scales: Float32Array,
  scaleTable: Float32Array,
  { relative, absolute }: ReferenceGuard,
): number[] {
  const found: number[] = [];
  scales.forEach((sigma, i) => {
    // An infinite scale is the same on every machine, or is not within any guard.
    if (!Number.isFinite(sigma)) return;
    const distance = Math.abs(sigma) * relative + absolute;
    if (rowOf(sigma - distance, scaleTable) !== rowOf(sigma + distance, scaleTable)) found.push(i);
  });
  return found;
}

/** The check of a part: 16 bits of a hash over its rows, or over what its rows are made of. */
export function indexCheck(values: ArrayLike<number>): number {
  let h = 0;
  for (let i = 0; i < values.length; i++) h = Math.imul(h ^ values[i], 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h, 0x85ebca77);
  h ^= h >>> 13;
  return h >>> 16;
}

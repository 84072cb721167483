// Rows where two machines may disagree: docs/format.md section 8.3 and 8.4; which to correct: docs/determinism.md.

/** The row above the boundary nearest to sigma. `row` is section 7's. At least two scales. */
export function correctedRow(sigma: number, row: number, scaleTable: Float32Array): number {
  const below = row > 0 && (row === scaleTable.length - 1 || sigma * sigma < scaleTable[row - 1] * scaleTable[row]);
  return below ? row : row + 1;
}

export interface ReferenceGuard {
  readonly relative: number;
  readonly absolute: number;
}

function rowOf(sigma: number, scaleTable: Float32Array): number {
  let row = 0;
  while (row < scaleTable.length - 1 && scaleTable[row] < sigma) row++;
  return row;
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

// Rows that two machines must agree on (docs/format.md sections 8.3 and 8.4, docs/determinism.md). All in f64, so that both sides decide alike.

/**
 * Looks for scales whose row a change by relative * |sigma| + absolute would change, puts their positions (u32) at `positions` and their rows above the nearest
 * boundary into `rows`, which holds the rows as they are. Returns how many there are.
 */
export function guardRows(sigmas: usize, n: u32, scales: usize, count: u32, relative: f64, absolute: f64, rows: usize, positions: usize): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const sigma = <f64>load<f32>(sigmas + (<usize>i << 2));
    const row = <u32>load<u16>(rows + (<usize>i << 1));
    if (!isAmbiguous(sigma, row, scales, count, relative * abs(sigma) + absolute)) continue;
    store<u32>(positions + (<usize>found << 2), i);
    found++;
    store<u16>(rows + (<usize>i << 1), <u16>correctedRow(sigma, row, scales, count));
  }
  return found;
}

/** Whether a scale that is `margin` smaller or larger has another row than `row`. */
// @ts-ignore: decorator
@inline
export function isAmbiguous(sigma: f64, row: u32, scales: usize, count: u32, margin: f64): bool {
  if (row > 0 && <f64>load<f32>(scales + (<usize>(row - 1) << 2)) >= sigma - margin) return true;
  return row + 1 < count && <f64>load<f32>(scales + (<usize>row << 2)) < sigma + margin;
}

/** The row above the boundary nearest to sigma, whose own row is `row`. */
export function correctedRow(sigma: f64, row: u32, scales: usize, count: u32): u32 {
  const last = count - 1;
  if (row == last) return row;
  if (row == 0) return 1;
  const at = scales + (<usize>row << 2);
  return sigma * sigma < <f64>load<f32>(at - 4) * <f64>load<f32>(at) ? row : row + 1;
}

/** Feeds n rows (u16) to the index check. */
export function hashRows(h: u32, rows: usize, n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) h = (h ^ <u32>load<u16>(rows + (<usize>i << 1))) * 0x9e3779b1;
  return h;
}

// Rows near a boundary, on which two machines must agree (docs/format.md sections 8.3 and 8.4, docs/determinism.md).
// All is computed in f64, so that both sides decide alike.

import { readVarint, room, varintLength, writeVarint } from "./memory";
import { SCALES_COUNT, SCALES_VALUES } from "./rows";

// The guard's state, in the structure of a writer or reader: docs/abi.md.
/** f64: the writer's bounds. Both are 0 without a guard, and in a reader. */
export const GUARD_RELATIVE: usize = 0;
export const GUARD_ABSOLUTE: usize = 8;
/** Whether rows feed the index check, and its hash so far. */
export const GUARD_HASHED: usize = 16;
export const GUARD_HASH: usize = 20;
/** Number of parameters of all parts before the present one. */
export const GUARD_FIRST: usize = 24;
/** Corrections written, or left to read. */
export const GUARD_COUNT: usize = 28;
/** One more than the last correction that was written or read. */
export const GUARD_POSITION: usize = 32;
// The corrections themselves. A writer and a reader have different things at the same place:
/** Writer: those written, a list of bytes (memory.ts). */
export const GUARD_WRITTEN: usize = 36;
/** Reader: those left to read, a cursor (memory.ts). */
export const GUARD_UNREAD: usize = 36;
/** 1: the list could not grow. */
export const GUARD_FULL: usize = 48;
/** Reader: the next correction. NO_CORRECTION behind the last one, and in a writer. */
export const GUARD_NEXT: usize = 52;
export const GUARD_BYTES: usize = 64;

export const NO_CORRECTION: u32 = 0xffffffff;

export function isGuarded(guard: usize): bool {
  return load<f64>(guard, GUARD_RELATIVE) > 0 || load<f64>(guard, GUARD_ABSOLUTE) > 0;
}

/** Saves the state that a part changes (16 bytes at `saved`), so that a part that fails can be taken back. */
export function saveGuard(guard: usize, saved: usize): void {
  store<u32>(saved, load<u32>(guard, GUARD_COUNT));
  store<u32>(saved, load<u32>(guard, GUARD_POSITION), 4);
  store<u32>(saved, load<u32>(guard, GUARD_WRITTEN + 4), 8);
  store<u32>(saved, load<u32>(guard, GUARD_HASH), 12);
}

export function restoreGuard(guard: usize, saved: usize): void {
  store<u32>(guard, load<u32>(saved), GUARD_COUNT);
  store<u32>(guard, load<u32>(saved, 4), GUARD_POSITION);
  store<u32>(guard, load<u32>(saved, 8), GUARD_WRITTEN + 4);
  store<u32>(guard, load<u32>(saved, 12), GUARD_HASH);
  store<u32>(guard, 0, GUARD_FULL);
}

/** Adds the correction of parameter `position` of the present part. */
export function recordCorrection(guard: usize, position: u32): void {
  const value = load<u32>(guard, GUARD_FIRST) + position;
  const delta = value - load<u32>(guard, GUARD_POSITION);
  const at = room(guard + GUARD_WRITTEN, 5);
  if (at == 0) {
    store<u32>(guard, 1, GUARD_FULL);
    return;
  }
  writeVarint(at, delta);
  store<u32>(guard, load<u32>(guard, GUARD_WRITTEN + 4) + varintLength(delta), GUARD_WRITTEN + 4);
  store<u32>(guard, load<u32>(guard, GUARD_COUNT) + 1, GUARD_COUNT);
  store<u32>(guard, value + 1, GUARD_POSITION);
}

/**
 * Whether the packet corrects parameter `position` of the present part. Ask in order: each correction is taken once.
 */
export function takeCorrection(guard: usize, position: u32): bool {
  const next = load<u32>(guard, GUARD_NEXT);
  if (next == NO_CORRECTION || next != load<u32>(guard, GUARD_FIRST) + position) return false;
  nextCorrection(guard);
  return true;
}

/** Reads the next correction. The section has been checked before. */
export function nextCorrection(guard: usize): void {
  const left = load<u32>(guard, GUARD_COUNT);
  let next = NO_CORRECTION;
  if (left) {
    next = load<u32>(guard, GUARD_POSITION) + readVarint(guard + GUARD_UNREAD);
    store<u32>(guard, left - 1, GUARD_COUNT);
    store<u32>(guard, next + 1, GUARD_POSITION);
  }
  store<u32>(guard, next, GUARD_NEXT);
}

/**
 * Corrects the rows of scales near a boundary. A writer finds these scales and records their positions; a reader takes
 * the positions from the packet. `first` is the number of the first scale.
 */
export function guardRows(guard: usize, sigmas: usize, first: u32, n: u32, scales: usize, rows: usize): void {
  if (load<u32>(scales, SCALES_COUNT) == 1 || (!isGuarded(guard) && load<u32>(guard, GUARD_NEXT) == NO_CORRECTION))
    return;
  for (let i: u32 = 0; i < n; i++) {
    const at = rows + (<usize>i << 1);
    store<u16>(at, <u16>guardedRow(guard, <f64>load<f32>(sigmas + (<usize>i << 2)), <u32>load<u16>(at), scales, first + i));
  }
}

/** The corrected row of one scale. `row` is its row by section 7. */
export function guardedRow(guard: usize, sigma: f64, row: u32, scales: usize, position: u32): u32 {
  if (isAmbiguous(sigma, row, scales, load<f64>(guard, GUARD_RELATIVE) * abs(sigma) + load<f64>(guard, GUARD_ABSOLUTE)))
    recordCorrection(guard, position);
  else if (!takeCorrection(guard, position)) return row;
  return correctedRow(sigma, row, scales);
}

/** Whether a scale `margin` smaller or larger would have another row than `row`. */
export function isAmbiguous(sigma: f64, row: u32, scales: usize, margin: f64): bool {
  const values = scales + SCALES_VALUES;
  if (row > 0 && <f64>load<f32>(values + (<usize>(row - 1) << 2)) >= sigma - margin) return true;
  return row + 1 < load<u32>(scales, SCALES_COUNT) && <f64>load<f32>(values + (<usize>row << 2)) < sigma + margin;
}

/** The row above the boundary that is nearest to sigma. `row` is sigma's row by section 7. */
export function correctedRow(sigma: f64, row: u32, scales: usize): u32 {
  const last = load<u32>(scales, SCALES_COUNT) - 1;
  if (row == last) return row;
  if (row == 0) return 1;
  const at = scales + SCALES_VALUES + (<usize>row << 2);
  return sigma * sigma < <f64>load<f32>(at - 4) * <f64>load<f32>(at) ? row : row + 1;
}

/** Adds n rows (u16) to the hash of the index check. */
export function hashRows(h: u32, rows: usize, n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) h = (h ^ <u32>load<u16>(rows + (<usize>i << 1))) * 0x9e3779b1;
  return h;
}

/** The index check that follows from the hash of a part's rows. */
export function checkOfHash(h: u32): u32 {
  h ^= h >> 15;
  h *= 0x85ebca77;
  h ^= h >> 13;
  return h >> 16;
}

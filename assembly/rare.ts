// What the SIMD kernels do with the symbols that their tables do not decide: escapes, and entries outside a bucket pair or a window.

import { readEscape, writeEscape } from "./escape";
import { findEntry } from "./table";

/** Results for a group: decoding F, L, E (8 u16 each); encoding freq | cum << 16 and reciprocals (4 u32 each). */
export const rare: usize = memory.data(48, 16);
/** Values that searching gave, by lane. */
export const found: usize = memory.data(128, 16);

/** Resolves the lanes whose F is 0 by searching their rows: leaves F and E in `rare` and the values in `found`. Returns their mask. */
export function searchGroup(F: v128, L: v128, E: v128, records: usize, rows: usize, step: usize, lane: usize): u32 {
  v128.store(rare, F);
  v128.store(rare, L, 16);
  v128.store(rare, E, 32);
  let mask: u32 = 0;
  for (let j: usize = 0; j < 8; j++) {
    const at = rare + (j << 1);
    if (load<u16>(at) != 0) continue;
    const record = records + (<usize>load<u16>(rows + j * step) << 4);
    const slot = <u32>load<u16>(at, 16);
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    const k = findEntry(record, slot);
    const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
    store<u16>(at, <u16>entry);
    store<u16>(at, <u16>(slot - (entry >> 16)), 32);
    store<i32>(found + ((lane + j) << 2), k == max ? readEscape(offset, max) : offset + <i32>k);
    mask |= 1 << <u32>(lane + j);
  }
  return mask;
}

/** Leaves four entries in `rare`, those with freq 0 filled with their symbol's, writing escapes; last lane first, as the encoder works backward. */
export function searchRare(freqCum: v128, reciprocal: v128, records: usize, symbols: usize, rows: usize, step: usize): void {
  v128.store(rare, freqCum);
  v128.store(rare, reciprocal, 16);
  for (let j: usize = 4; j > 0; ) {
    j--;
    const at = rare + (j << 2);
    if (load<u16>(at) != 0) continue;
    const record = records + (<usize>load<u16>(rows + j * step) << 4);
    const value = load<i32>(symbols + (j << 2));
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    let k = <u32>(value - offset);
    if (k >= max) {
      writeEscape(value, offset, max);
      k = max;
    }
    const entry = load<u64>(<usize>load<u32>(record) + (<usize>k << 3));
    store<u32>(at, <u32>entry);
    store<u32>(at, <u32>(entry >> 32), 16);
  }
}

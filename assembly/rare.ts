// What the decoders with a row per symbol do with the symbols that a bucket does not decide: escapes, and a third entry in a bucket. The other kernels leave
// on such a symbol instead (rans.ts): theirs are rarer, and a call in a loop costs V8 its registers.

import { readEscape } from "./escape";
import { findEntry } from "./table";

/** F, L, E of a group, 8 u16 each. */
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

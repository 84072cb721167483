// A tile of symbols on 8, 16 or 32 lanes (docs/format.md section 3.2): the choice of a kernel, and the scalar loops that are the whole
// scalar build and finish what lanes.ts leaves. Lane states lie in memory at `states`; lanes.ts keeps them in locals between.

import { readEscape, writeEscape } from "./escape";
import { decodeGroups, decodeWindow, encodeRows, encodeWindow, handled } from "./lanes";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, FLAG_ONE_ENTRY_ROW, SIMD_ROWS, TABLE_BUCKETS, TABLE_FLAGS, TABLE_RECORDS, TABLE_ROWS } from "./table";
import { states } from "./states";
import { TILE } from "./tile";
import { WINDOW_BYTES, WINDOW_PAYS } from "./window";

const MAX_LANES: u32 = 32;
// A tile's worth of one row, for the kernels that want a row per symbol; between, the rows of a unit of the tail.
export const splat: usize = memory.data(4096, 16);

// What the loops share about one call.
let table: usize = 0;
let records: usize = 0;
let buckets: usize = 0;
/** Where the words stand: the end of what is free below when encoding, the next one when decoding. */
export let words: usize = 0;
/** The kernels with a row per symbol can run. */
let simdRows: bool = false;
/** For the present run: 0 = scalar, 1 = rows kernel on `splat`, otherwise the address of its window. */
let runKernel: usize = 0;

// @ts-ignore: decorator
@inline
export function setWords(address: usize): void {
  words = address;
}

export function beginTable(tableAddress: usize): void {
  table = tableAddress;
  records = <usize>load<u32>(table, TABLE_RECORDS);
  buckets = <usize>load<u32>(table, TABLE_BUCKETS);
  // freq = 65536 does not fit the kernels' 16-bit lanes.
  simdRows = (load<u32>(table, TABLE_FLAGS) & FLAG_ONE_ENTRY_ROW) == 0 && load<u32>(table, TABLE_ROWS) <= SIMD_ROWS;
}

// Chooses the kernel for a run. The window kernels have 16 lanes and more: with 8 there is one vector and nothing to overlap.
export function beginRun(row: usize, run: u32, lanes: u32, windows: usize): void {
  if (!ASC_FEATURE_SIMD) return;
  const index = load<u16>(row);
  const window = <usize>load<u32>(table + windows) + <usize>index * WINDOW_BYTES;
  if (lanes > 8 && load<u32>(window, WINDOW_PAYS)) {
    runKernel = window;
  } else if (simdRows) {
    runKernel = 1;
    const eight = i16x8.splat(index);
    for (let at: usize = 0; at < <usize>min<u32>(run, TILE) << 1; at += 16) v128.store(splat + at, eight);
  } else {
    runKernel = 0;
  }
}

// D(x) on the state at `lane`, without renormalisation; the value is returned.
// @ts-ignore: decorator
@inline
export function takeSymbol(lane: usize, row: usize): i32 {
  const x = load<u32>(lane);
  const slot = x & 0xffff;
  const bucket = load<u64>(buckets + (row << (BUCKET_BITS + 3)) + (<usize>(slot >> BUCKET_SHIFT) << 3));
  let freq = <u32>bucket & 0xffff;
  let rest = slot - (<u32>bucket >> 16);
  let value = <i32>(<i64>bucket >> 48);
  if (rest >= freq) {
    rest -= freq;
    freq = <u32>(bucket >> 32) & 0xffff;
    value++;
    if (freq == 0) return searchSymbol(lane, records + (row << 4));
  }
  store<u32>(lane, freq * (x >> 16) + rest);
  return value;
}

function searchSymbol(lane: usize, record: usize): i32 {
  const x = load<u32>(lane);
  const slot = x & 0xffff;
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  const k = findEntry(record, slot);
  const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
  const freq = entry & 0xffff;
  if (freq != 0) store<u32>(lane, freq * (x >> 16) + slot - (entry >> 16));
  return k == max ? readEscape(offset, max) : offset + <i32>k;
}

// Symbols [from, to) backward, of which the one at `origin` is on the lane at `base`: C(x) with renormalisation. `step` is 2 for a row (u16) each, 0 for one
// row. An entry's reciprocal gives floor(x / freq) up to 1 (docs/math.md 3).
export function encodeScalar(symbols: usize, rows: usize, step: usize, base: usize, origin: u32, from: u32, to: u32, mask: u32): void {
  let w = words;
  for (let i = to; i > from; ) {
    i--;
    const record = records + (<usize>load<u16>(rows + <usize>i * step) << 4);
    const value = load<i32>(symbols + (<usize>i << 2));
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    let k = <u32>(value - offset);
    if (k >= max) {
      writeEscape(value, offset, max);
      k = max;
    }
    const entry = load<u64>(<usize>load<u32>(record) + (<usize>k << 3));
    const freq = <u32>entry & 0xffff;
    if (freq == 0) continue; // freq = 65536: C(x) = x
    const lane = base + (<usize>((i - origin) & mask) << 2);
    let x = load<u32>(lane);
    if (x >> 16 >= freq) {
      w -= 2;
      store<u16>(w, <u16>x);
      x >>= 16;
    }
    let q = <u32>((<u64>x * (entry >> 32)) >> 32);
    let rest = x - q * freq;
    if (rest >= freq) {
      rest -= freq;
      q++;
    }
    store<u32>(lane, (q << 16) + rest + (<u32>entry >> 16));
  }
  words = w;
}

// The narrowest kernel that suits the present run or rows: 0 if none does.
function narrowestKernel(step: usize): u32 {
  if (!ASC_FEATURE_SIMD) return 0;
  if (step == 0 && runKernel > 1) return 16;
  return (step == 0 ? runKernel != 0 : simdRows) ? 8 : 0;
}

// `count` symbols, a multiple of `width`, whose lanes begin at `lane`.
function encodeKernel(symbols: usize, rows: usize, step: usize, count: u32, width: u32, lane: usize): void {
  const windowed = step == 0 && runKernel > 1;
  for (let to = count; to > 0; ) {
    if (windowed) words = encodeWindow(symbols, to, width, runKernel, words, lane);
    else words = encodeRows(symbols, step == 0 ? splat : rows, to, width, table, words, lane);
    to -= handled;
    // The kernels leave at a group with a rare symbol.
    if (to == 0) return;
    const from = to - (windowed ? 16 : 8);
    encodeScalar(symbols, rows, step, lane, 0, from, to, width - 1);
    to = from;
  }
}

// A tile of the body whose first symbol is on lane 0. What does not fill all lanes goes to kernels of half the width, and only a rest below the
// narrowest one to the scalar loop.
export function encodeTile(symbols: usize, rows: usize, step: usize, count: u32, lanes: u32): void {
  const narrowest = narrowestKernel(step);
  const full = narrowest ? count & ~(lanes - 1) : 0;
  let to: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    // The lanes of the rest, widest group first, so backward the narrowest first.
    if (narrowest) to = full + ((count - full) & ~(narrowest - 1));
  }
  encodeScalar(symbols, rows, step, states, full, to, count, lanes - 1);
  if (ASC_FEATURE_SIMD) {
    if (narrowest == 0) return;
    for (let width = narrowest; width < lanes; width <<= 1) {
      if (((to - full) & width) == 0) continue;
      to -= width;
      encodeKernel(symbols + (<usize>to << 2), rows + <usize>to * step, step, width, width, states + (<usize>(to - full) << 2));
    }
    if (full) encodeKernel(symbols, rows, step, full, lanes, states);
  }
}

// Symbols [from, to) forward; see encodeScalar. Reads at most 2 bytes a symbol beyond the words: the caller checks.
export function decodeScalar(out: usize, rows: usize, step: usize, base: usize, origin: u32, from: u32, to: u32, mask: u32): void {
  let w = words;
  for (let i = from; i < to; i++) {
    const lane = base + (<usize>((i - origin) & mask) << 2);
    store<i32>(out + (<usize>i << 2), takeSymbol(lane, <usize>load<u16>(rows + <usize>i * step)));
    const x = load<u32>(lane);
    if (x < 0x10000) {
      store<u32>(lane, (x << 16) | <u32>load<u16>(w));
      w += 2;
    }
  }
  words = w;
}

function decodeKernel(out: usize, rows: usize, step: usize, count: u32, width: u32, end: usize, lane: usize): void {
  if (step != 0 || runKernel <= 1) {
    words = decodeGroups(out, step == 0 ? splat : rows, count, width, table, words, end, lane);
    return;
  }
  for (let at: u32 = 0; at < count && words <= end; ) {
    words = decodeWindow(out + (<usize>at << 2), count - at, width, runKernel, words, end, lane);
    at += handled;
    if (at >= count || words > end) return;
    decodeScalar(out, rows, 0, lane, 0, at, at + width, width - 1);
    at += width;
  }
}

export function decodeTile(out: usize, rows: usize, step: usize, count: u32, lanes: u32, end: usize): void {
  const narrowest = narrowestKernel(step);
  let full: u32 = 0;
  let from: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    if (narrowest) {
      full = count & ~(lanes - 1);
      if (full) decodeKernel(out, rows, step, full, lanes, end, states);
      from = full;
      for (let width = lanes >> 1; width >= narrowest; width >>= 1) {
        if (((count - full) & width) == 0) continue;
        decodeKernel(out + (<usize>from << 2), rows + <usize>from * step, step, width, width, end, states + (<usize>(from - full) << 2));
        from += width;
      }
    }
  }
  // In blocks, so that a damaged stream is noticed before the word pointer can leave the padding behind `end`.
  while (from < count && words <= end) {
    const to = min<u32>(from + MAX_LANES, count);
    decodeScalar(out, rows, step, states, full, from, to, lanes - 1);
    from = to;
  }
}


// The native stream with 8, 16 or 32 lanes (docs/format.md section 3.2): body and tail, and the scalar loops that are the whole
// scalar build and finish what lanes.ts leaves. Lane states lie in memory at `states`; lanes.ts keeps them in locals between.

import { escapeReaderError, escapesRemain, readEscape, writeEscape } from "./escape";
import { ERROR_CORRUPTED, ERROR_OUT_OF_RANGE, ERROR_TRUNCATED } from "./errors";
import { decodeGroups, decodeWindow, encodeRows, encodeWindow, handled } from "./lanes";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, FLAG_ONE_ENTRY_ROW, SIMD_ROWS, TABLE_BUCKETS, TABLE_DECODE_WINDOWS, TABLE_ENCODE_WINDOWS, TABLE_FLAGS, TABLE_RECORDS, TABLE_ROWS } from "./table";
import { packStates, seedBytes, seeds, seedsFromStates, states, statesFromSeeds, unpackStates } from "./states";
import { readTile, rowsAddress, TILE, tileFor, writeTile } from "./tile";
import { WINDOW_BYTES, WINDOW_PAYS } from "./window";

const MAX_LANES: u32 = 32;
// A constant of the format: the tail is a multiple of 32 symbols.
const TAIL_UNIT: u32 = 32;

// A tile's worth of one row, for the kernels that want a row per symbol; between, the rows of a unit of the tail.
const splat: usize = memory.data(4096, 16);

// What the loops share about one call.
let table: usize = 0;
let records: usize = 0;
let buckets: usize = 0;
let words: usize = 0;
/** The kernels with a row per symbol can run. */
let simdRows: bool = false;
/** For the present run: 0 = scalar, 1 = rows kernel on `splat`, otherwise the address of its window. */
let runKernel: usize = 0;

function begin(tableAddress: usize): void {
  table = tableAddress;
  records = <usize>load<u32>(table, TABLE_RECORDS);
  buckets = <usize>load<u32>(table, TABLE_BUCKETS);
  // freq = 65536 does not fit the kernels' 16-bit lanes.
  simdRows = (load<u32>(table, TABLE_FLAGS) & FLAG_ONE_ENTRY_ROW) == 0 && load<u32>(table, TABLE_ROWS) <= SIMD_ROWS;
}

// Chooses the kernel for a run. The window kernels have 16 lanes and more: with 8 there is one vector and nothing to overlap.
function beginRun(row: usize, windows: usize): void {
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
function takeSymbol(lane: usize, row: usize): i32 {
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
function encodeScalar(symbols: usize, rows: usize, step: usize, base: usize, origin: u32, from: u32, to: u32, mask: u32): void {
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
function encodeTile(symbols: usize, rows: usize, step: usize, count: u32, lanes: u32): void {
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

// Whether a tail code says t: constants of the format, docs/format.md section 3.2.
function hasTailCode(t: u32): bool {
  if (t <= 16) return (t & 1) == 0;
  return t > 64 || (t <= 24 ? (t & 3) == 0 : (t & 7) == 0 && t != 56);
}

// A stream in progress. Elements and rows are given chunk by chunk (setElements), so that a long tensor passes through a few hundred KB of memory
// that stay in L2: W1 x 14 in one piece ran at 0.70 of W1's speed.
let count: u32 = 0;
let run: u32 = 0;
let lanes: u32 = 0;
let layout: u32 = 0;
/** Elements of the tail. */
let coded: u32 = 0;
/** Encoding: elements below it are still to be coded. Decoding: it is the next one. */
let position: u32 = 0;
let end: usize = 0;
let tailDone: bool = false;

function start(n: u32, runLength: u32, laneCount: u32, laneLayout: u32, tableAddress: usize, wordsEnd: usize): void {
  begin(tableAddress);
  count = n;
  run = runLength;
  lanes = laneCount;
  layout = laneLayout;
  end = wordsEnd;
  tailDone = false;
}

/**
 * Begins to code n elements backward; words end at `wordsEnd`. `runLength` elements share a row; layout 0 wants 1, layout 1 restarts the lanes at
 * each run. The words take at most 2 n bytes and the states at most 144, all below `wordsEnd`.
 */
export function encodeBegin(n: u32, runLength: u32, laneCount: u32, laneLayout: u32, tableAddress: usize, wordsEnd: usize): void {
  start(n, runLength, laneCount, laneLayout, tableAddress, wordsEnd);
  words = wordsEnd;
  position = n;
  coded = 0;
  store<u32>(states, 0);
}

/**
 * Codes elements down to `low` or a little above: what a tile does not fit into waits for the next call, which must present the elements below the
 * returned position. 0: all are coded. -1: the tail does not fill the seeds. -2: an element has no symbol.
 */
export function encodeDown(low: u32): i32 {
  const rows = rowsAddress();
  if (!tailDone) {
    const seedsStart = end - seedBytes(lanes);
    // Words that the tail emits land below `end`; the first of them are then taken away as seeds.
    while (words > seedsStart || !hasTailCode(coded / TAIL_UNIT)) {
      if (coded + TAIL_UNIT >= count) return -1;
      if (position < low + TAIL_UNIT) return position;
      coded += TAIL_UNIT;
      position -= TAIL_UNIT;
      const symbols = readTile(position, position + TAIL_UNIT);
      if (symbols == 0) return -2;
      tailRows(rows, position);
      // Mask 0: every symbol on lane 0.
      encodeScalar(symbols, splat, 2, states, 0, 0, TAIL_UNIT, 0);
    }
    statesFromSeeds(seedsStart, lanes);
    // The seeds are no words any more: what the tail emitted beyond them closes the gap.
    const extra = seedsStart - words;
    memory.copy(end - extra, words, extra);
    words = end - extra;
    tailDone = true;
  }
  while (position > 0) {
    // Layout 0 is one run with a row per symbol.
    const first = layout ? ((position - 1) / run) * run : 0;
    const from = first + ((position - 1 - first) & ~(TILE - 1));
    if (from < low) return position;
    if (layout && position == min<u32>(first + run, count - coded)) beginRun(rows + (<usize>(first / run) << 1), TABLE_ENCODE_WINDOWS);
    const symbols = readTile(from, position);
    if (symbols == 0) return -2;
    if (layout) encodeTile(symbols, rows + (<usize>(first / run) << 1), 0, position - from, lanes);
    else encodeTile(symbols, rows + (<usize>from << 1), 2, position - from, lanes);
    position = from;
  }
  return 0;
}

/** Writes the states; returns the start of states-and-words. */
export function encodeEnd(): usize {
  return packStates(words, lanes);
}

export function tailLength(): u32 {
  return coded / TAIL_UNIT;
}

// The rows of a unit of the tail, which may lie in several runs, go to `splat`.
function tailRows(rows: usize, first: u32): void {
  let row = rows + (<usize>(first / run) << 1);
  let left = run - (first % run);
  for (let i: u32 = 0; i < TAIL_UNIT; i++) {
    store<u16>(splat + (<usize>i << 1), load<u16>(row));
    if (--left == 0) {
      left = run;
      row += 2;
    }
  }
}

// @ts-ignore: decorator
@inline
function renormalise(lane: usize): void {
  const x = load<u32>(lane);
  if (x < 0x10000) {
    store<u32>(lane, (x << 16) | <u32>load<u16>(words));
    words += 2;
  }
}

// Symbols [from, to) forward; see encodeScalar. Reads at most 2 bytes a symbol beyond the words: the caller checks.
function decodeScalar(out: usize, rows: usize, step: usize, base: usize, origin: u32, from: u32, to: u32, mask: u32): void {
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

function decodeTile(out: usize, rows: usize, step: usize, count: u32, lanes: u32, end: usize): void {
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

/**
 * Begins to decode n elements from states-and-words [p, wordsEnd); `units` is the tail's t. prepareDecode must have run. Needs 128 readable bytes
 * behind `wordsEnd`. Returns 0 or an error code.
 */
export function decodeBegin(p: usize, wordsEnd: usize, runLength: u32, laneCount: u32, laneLayout: u32, units: u32, tableAddress: usize, n: u32): i32 {
  start(n, runLength, laneCount, laneLayout, tableAddress, wordsEnd);
  position = 0;
  if (units == 0 || <u64>units * TAIL_UNIT >= <u64>n) return ERROR_CORRUPTED;
  coded = units * TAIL_UNIT;
  words = unpackStates(p, end, lanes);
  if (words == 0) return ERROR_TRUNCATED;
  return words == 1 || ((end - words) & 1) != 0 ? ERROR_CORRUPTED : 0;
}

/** Decodes elements up to `high` or a little below, see encodeDown. Returns the position, or an error code, negated. */
export function decodeUp(high: u32): i32 {
  const rows = rowsAddress();
  const body = count - coded;
  while (position < body) {
    const first = layout ? (position / run) * run : 0;
    const to = min<u32>(position + TILE, layout ? min<u32>(first + run, body) : body);
    if (to > high) return position;
    if (layout && position == first) beginRun(rows + (<usize>(first / run) << 1), TABLE_DECODE_WINDOWS);
    if (layout) decodeTile(tileFor(position), rows + (<usize>(first / run) << 1), 0, to - position, lanes, end);
    else decodeTile(tileFor(position), rows + (<usize>position << 1), 2, to - position, lanes, end);
    if (words > end) return -ERROR_TRUNCATED;
    if (!writeTile(position, to)) return -ERROR_OUT_OF_RANGE;
    position = to;
  }
  const seedsEnd = seeds + seedBytes(lanes);
  if (!tailDone) {
    // The seeds continue the words; `end` and `words` are even distances apart, so the change-over is exact.
    if (escapeReaderError()) return -escapeReaderError();
    if (!seedsFromStates(lanes)) return -ERROR_CORRUPTED;
    tailDone = true;
  }
  while (position + TAIL_UNIT <= high) {
    const out = tileFor(position);
    tailRows(rows, position);
    for (let i: usize = 0; i < <usize>TAIL_UNIT; i++) {
      store<i32>(out + (i << 2), takeSymbol(states, <usize>load<u16>(splat + (i << 1))));
      // Once: afterwards `end` is the seeds' own.
      if (words == end && end != seedsEnd) {
        words = seeds;
        end = seedsEnd;
      }
      if (words != end) renormalise(states);
    }
    if (!writeTile(position, position + TAIL_UNIT)) return -ERROR_OUT_OF_RANGE;
    position += TAIL_UNIT;
  }
  return position;
}

/** The checks behind the last element. Returns 0 or an error code. */
export function decodeEnd(): i32 {
  if (escapeReaderError()) return escapeReaderError();
  return load<u32>(states) == 0 && words == seeds + seedBytes(lanes) && !escapesRemain() ? 0 : ERROR_CORRUPTED;
}

// The native stream on 8, 16 or 32 lanes (docs/format.md section 3.2). A piece of a part is coded tile by tile, each
// by the widest SIMD kernel of lanes.ts that suits. The scalar loops here do the rest, and all of it in the scalar
// build. States are stored in the stream's structure between calls; lanes.ts keeps them in locals while it runs.

import { AGAIN, CORRUPTED, faultCode, OK, OUT_OF_RANGE, TRUNCATED } from "./codes";
import { contextFound, contextValue } from "./context";
import { decodeGroups, decodeWindow, encodeRows, encodeWindow } from "./lanes";
import { ESCAPE_CUM, mixtureValue } from "./mixture";
import {
  KIND_CHANNELS, KIND_CONTEXT, KIND_ENTRIES, KIND_MIXTURE, PART_ENTRY_CUM, PART_ENTRY_FREQ, PART_KIND, PART_LOW, PART_ROWS, PART_RUN,
  PART_SIZE, PART_TABLE, readRows, readSymbols, rowOfRun, symbolsAt, TILE, tileRows, writeElements,
} from "./part";
import {
  readEscape, seedBytes, seedsFromStates, statesFromSeeds, STREAM_CODED, STREAM_COUNT, STREAM_END, STREAM_ERROR,
  STREAM_LANES, STREAM_POSITION, STREAM_SEEDS, STREAM_STATES, STREAM_TAIL, STREAM_TAIL_DONE, STREAM_WORDS, writeEscape,
} from "./stream";
import {
  BUCKET_BITS, BUCKET_SHIFT, FLAG_ONE_ENTRY_ROW, findEntry, SIMD_ROWS, TABLE_BUCKETS, TABLE_DECODE_WINDOWS,
  TABLE_ENCODE_WINDOWS, TABLE_FLAGS, TABLE_RECORDS, TABLE_ROWS, WINDOW_BYTES, WINDOW_PAYS,
} from "./table";

// Tail codes, constants of the format. The tail is a multiple of 32 symbols, at most 64 * 32 with a code of its own.
export const TAIL_UNIT: u32 = 32;
/** The code of a longer tail: the header says its length. */
export const LONG_TAIL: u32 = 15;
/** The longest tail with a code of its own, in units. */
export const MOST_CODED_TAIL: u32 = 64;
/** For each code but LONG_TAIL the length of the tail, in units. */
const tailLengths: usize = memory.data<u8>([0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64]);
const NO_TAIL_CODE: u32 = 16;

/** The code of a tail of so many units; NO_TAIL_CODE: there is none. */
export function tailCodeOf(units: u32): u32 {
  if (units > MOST_CODED_TAIL) return LONG_TAIL;
  for (let code: u32 = 0; code < LONG_TAIL; code++) if (tailLengthOf(code) == units) return code;
  return NO_TAIL_CODE;
}

/** The units of a tail from its code, which is not LONG_TAIL. */
export function tailLengthOf(code: u32): u32 {
  return load<u8>(tailLengths + <usize>code);
}
const MAX_LANES: u32 = 32;

// How the entries of a tile are given. The functions that code a tile have two parameters for it: what symbol i takes
// its entry from is `source + i * stride`. The stride says what that is:
/** The address of the symbol's row (u16). */
const EACH: usize = 2;
/** The address of the one row (u16) of all symbols. */
const ONE: usize = 0;
/** The address of the symbol's entry (freq | cum << 16), made before it is encoded. */
const ENTRY: usize = 4;
/** No address, but the number of the symbol in its part: its entry is made while it is decoded. */
const MADE: usize = 1;

/**
 * Whether the lanes restart with lane 0 at each run of a part: a constant of the format. Shorter runs would leave too
 * many lanes idle in their last round.
 */
// @ts-ignore: decorator
@inline
function restarts(part: usize, lanes: u32): bool {
  return load<u32>(part, PART_KIND) == KIND_CHANNELS && load<u32>(part, PART_RUN) >= 2 * lanes;
}

// Whether the kernels with a row per symbol can run. They have 16-bit lanes: freq = 65536 does not fit these, nor the
// bucket number of a table with many rows.
// @ts-ignore: decorator
@inline
function hasRowKernels(table: usize): bool {
  return (load<u32>(table, TABLE_FLAGS) & FLAG_ONE_ENTRY_ROW) == 0 && load<u32>(table, TABLE_ROWS) <= SIMD_ROWS;
}

// The width of the narrowest SIMD kernel that can code a tile; 0: none can.
function narrowestKernel(part: usize, stride: usize, window: usize): u32 {
  if (window) return 16;
  return stride == EACH && hasRowKernels(<usize>load<u32>(part, PART_TABLE)) ? 8 : 0;
}

// The window of the row that all symbols of a tile share, or 0. Window kernels need 16 lanes: with 8 there is only one
// vector, and no work to overlap.
// @ts-ignore: decorator
@inline
function windowOf(table: usize, windows: usize, row: u32, lanes: u32): usize {
  const window = <usize>load<u32>(table + windows) + <usize>row * WINDOW_BYTES;
  return lanes > 8 && load<u32>(window, WINDOW_PAYS) ? window : 0;
}

// Writes `row` to `tileRows`: once for scalar loops and windows, `count` times for kernels with a row per symbol.
function spreadRow(row: u32, count: u32): void {
  const eight = i16x8.splat(<i16>row);
  for (let at: usize = 0; at < <usize>count << 1; at += 16) v128.store(tileRows + at, eight);
}

// ---- encoding

/**
 * Codes symbols [from, to) of a part backward. Returns 0, AGAIN where the tail cannot fill the seeds, or the code of an
 * element without a symbol.
 */
export function encodeInterleaved(stream: usize, part: usize, from: u32, to: u32): i32 {
  const lanes = load<u32>(stream, STREAM_LANES);
  const run = restarts(part, lanes) ? load<u32>(part, PART_RUN) : 0;
  const kind = load<u32>(part, PART_KIND);
  const table = <usize>load<u32>(part, PART_TABLE);
  // The j of docs/format.md counts from `first`; `row` is the row of its run. Both need a division, which costs as much
  // as 30 symbols, so they are computed once per run.
  let first = run && to > from ? ((to - 1) / run) * run : 0;
  let row = run && to > from ? rowOfRun(part, first) : 0;
  while (to > from) {
    if (to <= first) {
      first -= run;
      row = (row ? row : load<u32>(table, TABLE_ROWS)) - 1;
    }
    let inTail = load<u32>(stream, STREAM_TAIL_DONE) == 0;
    if (inTail) {
      const outcome = endTail(stream);
      if (outcome < 0) return AGAIN;
      inTail = outcome == 0;
    }
    let low = first + ((to - 1 - first) & ~(TILE - 1));
    if (inTail) {
      // Not beyond the run, so that `first` need not look back further.
      const left = TAIL_UNIT - (load<u32>(stream, STREAM_TAIL) % TAIL_UNIT);
      low = to - first > left ? to - left : first;
    }
    low = max<u32>(low, from);
    const count = to - low;
    const symbols = readSymbols(part, low, to);
    if (symbols == 0) return load<i32>(faultCode);
    if (inTail || run == 0) {
      const source = kind == KIND_ENTRIES ? <usize>load<u32>(part, PART_ROWS) + (<usize>low << 2) : readRows(part, low, to);
      if (source == 0) return load<i32>(faultCode);
      const stride = kind == KIND_ENTRIES ? ENTRY : EACH;
      // Mask 0: every symbol of the tail on lane 0.
      if (inTail) encodeScalar(stream, part, symbols, source, stride, 0, count, 0, 0);
      else encodeTile(stream, part, symbols, source, stride, 0, count, low - first, lanes);
    } else {
      const window = ASC_FEATURE_SIMD ? windowOf(table, TABLE_ENCODE_WINDOWS, row, lanes) : 0;
      if (ASC_FEATURE_SIMD && window == 0) spreadRow(row, count);
      else store<u16>(tileRows, <u16>row);
      encodeTile(stream, part, symbols, tileRows, ASC_FEATURE_SIMD && window == 0 ? EACH : ONE, window, count, low - first, lanes);
    }
    if (inTail) store<u32>(stream, load<u32>(stream, STREAM_TAIL) + count, STREAM_TAIL);
    to = low;
  }
  return OK;
}

/** Makes the seeds if the tail is complete. Returns 1: done, 0: not yet, -1: the tail cannot be completed. */
export function endTail(stream: usize): i32 {
  const coded = load<u32>(stream, STREAM_TAIL);
  if (coded % TAIL_UNIT != 0) return 0;
  const lanes = load<u32>(stream, STREAM_LANES);
  const words = <usize>load<u32>(stream, STREAM_WORDS);
  const end = <usize>load<u32>(stream, STREAM_END);
  const seedsStart = end - seedBytes(lanes);
  if (words > seedsStart || tailCodeOf(coded / TAIL_UNIT) == NO_TAIL_CODE)
    return coded + TAIL_UNIT >= load<u32>(stream, STREAM_COUNT) ? -1 : 0;
  statesFromSeeds(stream, seedsStart, lanes);
  // Words that became seeds leave the stream: the words that the tail emitted beyond them close the gap.
  const extra = seedsStart - words;
  memory.copy(end - extra, words, extra);
  store<u32>(stream, <u32>(end - extra), STREAM_WORDS);
  store<u32>(stream, 1, STREAM_TAIL_DONE);
  return 1;
}

// Codes a tile of the body. Its first symbol is number `origin` of its part or run. Symbols that do not fill all lanes
// go to kernels of half the width, and what is left below the narrowest kernel to the scalar loop.
function encodeTile(
  stream: usize, part: usize, symbols: usize, source: usize, stride: usize, window: usize, count: u32, origin: u32,
  lanes: u32,
): void {
  const phase = origin & (lanes - 1);
  // The symbols before the first one that is on lane 0. Coding is backward, so they come last.
  const head = phase ? min<u32>(lanes - phase, count) : 0;
  if (head < count)
    encodeAligned(stream, part, symbols + (<usize>head << 2), source + <usize>head * stride, stride, window, count - head, lanes);
  if (head) encodeScalar(stream, part, symbols, source, stride, 0, head, phase, lanes - 1);
}

// @ts-ignore: decorator
@inline
function encodeAligned(
  stream: usize, part: usize, symbols: usize, source: usize, stride: usize, window: usize, count: u32, lanes: u32,
): void {
  const narrowest = ASC_FEATURE_SIMD ? narrowestKernel(part, stride, window) : 0;
  const full = narrowest ? count & ~(lanes - 1) : 0;
  // The rest. In symbol order the widest group comes first, so backward the narrowest.
  let to = narrowest ? full + ((count - full) & ~(narrowest - 1)) : 0;
  encodeScalar(stream, part, symbols, source, stride, to, count, 0 - full, lanes - 1);
  if (ASC_FEATURE_SIMD) {
    if (narrowest == 0) return;
    for (let width = narrowest; width < lanes; width <<= 1) {
      if (((to - full) & width) == 0) continue;
      to -= width;
      encodeKernel(stream, part, symbols + (<usize>to << 2), source + <usize>to * stride, stride, window, width, width, to - full);
    }
    if (full) encodeKernel(stream, part, symbols, source, stride, window, full, lanes, 0);
  }
}

// `count` symbols, a multiple of `width`, whose lanes begin with number `lane`.
function encodeKernel(
  stream: usize, part: usize, symbols: usize, source: usize, stride: usize, window: usize, count: u32, width: u32,
  lane: u32,
): void {
  const states = stream + STREAM_STATES + (<usize>lane << 2);
  const table = <usize>load<u32>(part, PART_TABLE);
  for (let to = count; to > 0; ) {
    const words = <usize>load<u32>(stream, STREAM_WORDS);
    const next = window
      ? encodeWindow(symbols, to, width, window, words, stream, states)
      : encodeRows(symbols, source, to, width, table, words, stream, states);
    store<u32>(stream, <u32>next, STREAM_WORDS);
    to -= load<u32>(stream, STREAM_CODED);
    if (to == 0) return;
    // The kernels return early at a group that has a symbol for the slow path.
    const from = to - (window ? 16 : 8);
    encodeScalar(stream, part, symbols, source, stride, from, to, 0, width - 1, lane);
    to = from;
  }
}

// Codes symbols [from, to) backward, symbol i on lane `base + ((i + origin) & mask)`: C(x) with renormalisation. An
// entry's reciprocal gives floor(x / freq), or one less (docs/math.md 3).
function encodeScalar(
  stream: usize, part: usize, symbols: usize, source: usize, stride: usize, from: u32, to: u32, origin: u32, mask: u32,
  base: u32 = 0,
): void {
  const records: usize = stride == ENTRY ? 0 : <usize>load<u32>(<usize>load<u32>(part, PART_TABLE), TABLE_RECORDS);
  const states = stream + STREAM_STATES + (<usize>base << 2);
  let words = <usize>load<u32>(stream, STREAM_WORDS);
  for (let i = to; i > from; ) {
    i--;
    const value = load<i32>(symbols + (<usize>i << 2));
    const at = source + <usize>i * stride;
    let entry: u64;
    if (records) {
      const record = records + (<usize>load<u16>(at) << 4);
      const max = load<u32>(record, 4);
      const offset = load<i32>(record, 8);
      let k = <u32>(value - offset);
      if (k >= max) {
        writeEscape(stream, value, offset, max);
        k = max;
      }
      entry = load<u64>(<usize>load<u32>(record) + (<usize>k << 3));
    } else {
      entry = <u64>load<u32>(at);
      if (entry >> 16 == <u64>ESCAPE_CUM)
        writeEscape(stream, value, load<i32>(part, PART_LOW), load<u32>(part, PART_SIZE));
      entry |= <u64>(0xffffffff / (<u32>entry & 0xffff)) << 32;
    }
    const freq = <u32>entry & 0xffff;
    if (freq == 0) continue; // freq = 65536: C(x) = x
    const lane = states + (<usize>((i + origin) & mask) << 2);
    let x = load<u32>(lane);
    if (x >> 16 >= freq) {
      words -= 2;
      store<u16>(words, <u16>x, 0, 1);
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
  store<u32>(stream, <u32>words, STREAM_WORDS);
}

// ---- decoding

/**
 * Decodes elements [from, to) of a part: the stream's next symbols. The caller makes sure that so many remain. Returns
 * 0 or a code.
 */
export function decodeInterleaved(stream: usize, part: usize, from: u32, to: u32): i32 {
  const lanes = load<u32>(stream, STREAM_LANES);
  const run = restarts(part, lanes) ? load<u32>(part, PART_RUN) : 0;
  const kind = load<u32>(part, PART_KIND);
  const table = <usize>load<u32>(part, PART_TABLE);
  const body = load<u32>(stream, STREAM_COUNT) - load<u32>(stream, STREAM_TAIL);
  let first = run ? (from / run) * run : 0;
  let row = run ? rowOfRun(part, from) : 0;
  while (from < to) {
    const position = load<u32>(stream, STREAM_POSITION);
    const inBody = position < body;
    let high = first + ((from - first) & ~(TILE - 1)) + TILE;
    if (run) high = min<u32>(high, first + run);
    if (inBody) high = min<u32>(high, from + (body - position));
    high = min<u32>(high, to);
    const count = high - from;
    const out = symbolsAt(part, from);
    let code = OK;
    if (!inBody) code = beginTail(stream);
    if (code) return code;
    if (kind == KIND_MIXTURE || kind == KIND_CONTEXT) {
      const source = <usize>from;
      if (inBody) decodeTile(stream, part, out, source, MADE, 0, count, from - first, lanes);
      else decodeTail(stream, part, out, source, MADE, count);
    } else if (run == 0 || !inBody) {
      const rows = readRows(part, from, high);
      if (rows == 0) return load<i32>(faultCode);
      if (inBody) decodeTile(stream, part, out, rows, EACH, 0, count, from - first, lanes);
      else decodeTail(stream, part, out, rows, EACH, count);
    } else {
      const window = ASC_FEATURE_SIMD ? windowOf(table, TABLE_DECODE_WINDOWS, row, lanes) : 0;
      if (ASC_FEATURE_SIMD && window == 0) spreadRow(row, count);
      else store<u16>(tileRows, <u16>row);
      decodeTile(stream, part, out, tileRows, ASC_FEATURE_SIMD && window == 0 ? EACH : ONE, window, count, from - first, lanes);
    }
    if (load<u32>(stream, STREAM_WORDS) > load<u32>(stream, STREAM_END) && inBody) return TRUNCATED;
    if (load<i32>(stream, STREAM_ERROR)) return load<i32>(stream, STREAM_ERROR);
    if (!writeElements(part, from, high)) return OUT_OF_RANGE;
    store<u32>(stream, position + count, STREAM_POSITION);
    from = high;
    if (run && from == first + run) {
      first = from;
      if (++row == load<u32>(table, TABLE_ROWS)) row = 0;
    }
  }
  return OK;
}

/** Turns the lanes into seeds, before the first symbol of the tail. Returns 0 or a code. */
export function beginTail(stream: usize): i32 {
  if (load<u32>(stream, STREAM_TAIL_DONE)) return OK;
  if (!seedsFromStates(stream, load<u32>(stream, STREAM_LANES))) return CORRUPTED;
  store<u32>(stream, 1, STREAM_TAIL_DONE);
  return OK;
}

// D(x) on the state at `lane`, without renormalisation. Returns the value.
// @ts-ignore: decorator
@inline
function takeSymbol(stream: usize, table: usize, lane: usize, row: usize): i32 {
  const x = load<u32>(lane);
  const slot = x & 0xffff;
  const bucket = load<u64>(<usize>load<u32>(table, TABLE_BUCKETS) + (row << (BUCKET_BITS + 3)) + (<usize>(slot >> BUCKET_SHIFT) << 3));
  let freq = <u32>bucket & 0xffff;
  let rest = slot - (<u32>bucket >> 16);
  let value = <i32>(<i64>bucket >> 48);
  if (rest >= freq) {
    rest -= freq;
    freq = <u32>(bucket >> 32) & 0xffff;
    value++;
    if (freq == 0) return searchSymbol(stream, lane, <usize>load<u32>(table, TABLE_RECORDS) + (row << 4));
  }
  store<u32>(lane, freq * (x >> 16) + rest);
  return value;
}

function searchSymbol(stream: usize, lane: usize, record: usize): i32 {
  const x = load<u32>(lane);
  const slot = x & 0xffff;
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  const k = findEntry(record, slot);
  const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
  const freq = entry & 0xffff;
  if (freq != 0) store<u32>(lane, freq * (x >> 16) + slot - (entry >> 16));
  return k == max ? readEscape(stream, offset, max) : offset + <i32>k;
}

// See encodeTile.
function decodeTile(
  stream: usize, part: usize, out: usize, source: usize, stride: usize, window: usize, count: u32, origin: u32, lanes: u32,
): void {
  const phase = origin & (lanes - 1);
  const head = phase ? min<u32>(lanes - phase, count) : 0;
  if (head) decodeScalar(stream, part, out, source, stride, 0, head, phase, lanes - 1);
  if (head < count)
    decodeAligned(stream, part, out + (<usize>head << 2), source + <usize>head * stride, stride, window, count - head, lanes);
}

// @ts-ignore: decorator
@inline
function decodeAligned(
  stream: usize, part: usize, out: usize, source: usize, stride: usize, window: usize, count: u32, lanes: u32,
): void {
  const end = load<u32>(stream, STREAM_END);
  let full: u32 = 0;
  let from: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const narrowest = narrowestKernel(part, stride, window);
    if (narrowest) {
      full = count & ~(lanes - 1);
      if (full) decodeKernel(stream, part, out, source, stride, window, full, lanes, 0);
      from = full;
      for (let width = lanes >> 1; width >= narrowest; width >>= 1) {
        if (((count - full) & width) == 0) continue;
        decodeKernel(stream, part, out + (<usize>from << 2), source + <usize>from * stride, stride, window, width, width, from - full);
        from += width;
      }
    }
  }
  // In blocks: a damaged stream is found before the word pointer can leave the padding behind `end`.
  while (from < count && load<u32>(stream, STREAM_WORDS) <= end) {
    const to = min<u32>(from + MAX_LANES, count);
    decodeScalar(stream, part, out, source, stride, from, to, 0 - full, lanes - 1);
    from = to;
  }
}

function decodeKernel(
  stream: usize, part: usize, out: usize, source: usize, stride: usize, window: usize, count: u32, width: u32, lane: u32,
): void {
  const states = stream + STREAM_STATES + (<usize>lane << 2);
  const end = <usize>load<u32>(stream, STREAM_END);
  let words = <usize>load<u32>(stream, STREAM_WORDS);
  if (window == 0) {
    const next = decodeGroups(out, source, count, width, <usize>load<u32>(part, PART_TABLE), words, end, stream, states);
    store<u32>(stream, <u32>next, STREAM_WORDS);
    return;
  }
  for (let at: u32 = 0; at < count && words <= end; at += width) {
    words = decodeWindow(out + (<usize>at << 2), count - at, width, window, words, end, stream, states);
    store<u32>(stream, <u32>words, STREAM_WORDS);
    at += load<u32>(stream, STREAM_CODED);
    if (at >= count || words > end) return;
    decodeScalar(stream, part, out, source, ONE, at, at + width, 0, width - 1, lane);
    words = <usize>load<u32>(stream, STREAM_WORDS);
  }
}

// Decodes symbols [from, to); see encodeScalar. May read 2 bytes a symbol behind the words: the caller checks.
function decodeScalar(
  stream: usize, part: usize, out: usize, source: usize, stride: usize, from: u32, to: u32, origin: u32, mask: u32,
  base: u32 = 0,
): void {
  const table: usize = stride == MADE ? 0 : <usize>load<u32>(part, PART_TABLE);
  const states = stream + STREAM_STATES + (<usize>base << 2);
  let words = <usize>load<u32>(stream, STREAM_WORDS);
  for (let i = from; i < to; i++) {
    const lane = states + (<usize>((i + origin) & mask) << 2);
    const at = source + <usize>i * stride;
    const symbol = table
      ? takeSymbol(stream, table, lane, <usize>load<u16>(at))
      : takeMade(stream, part, lane, <u32>at);
    store<i32>(out + (<usize>i << 2), symbol);
    const x = load<u32>(lane);
    if (x < 0x10000) {
      store<u32>(lane, (x << 16) | <u32>load<u16>(words, 0, 1));
      words += 2;
    }
  }
  store<u32>(stream, <u32>words, STREAM_WORDS);
}

// Decodes the tail, on lane 0 alone.
function decodeTail(stream: usize, part: usize, out: usize, source: usize, stride: usize, count: u32): void {
  const table: usize = stride == MADE ? 0 : <usize>load<u32>(part, PART_TABLE);
  const lane = stream + STREAM_STATES;
  for (let i: usize = 0; i < <usize>count; i++) {
    const at = source + i * stride;
    store<i32>(out + (i << 2), table ? takeSymbol(stream, table, lane, <usize>load<u16>(at)) : takeMade(stream, part, lane, <u32>at));
    refillTail(stream);
  }
}

// D(x) under the entries that are made for symbol i.
function takeMade(stream: usize, part: usize, lane: usize, i: u32): i32 {
  const x = load<u32>(lane);
  const context = load<u32>(part, PART_KIND) == KIND_CONTEXT;
  const value = context ? contextValue(x & 0xffff) : mixtureValue(part, i, x & 0xffff);
  const cum = context ? contextFound >> 16 : load<u32>(part, PART_ENTRY_CUM);
  const freq = context ? contextFound & 0xffff : load<u32>(part, PART_ENTRY_FREQ);
  store<u32>(lane, freq * (x >> 16) + (x & 0xffff) - cum);
  return cum == ESCAPE_CUM ? readEscape(stream, load<i32>(part, PART_LOW), load<u32>(part, PART_SIZE)) : value;
}

// Takes the next word for a state below 2^16: from the words and, when they are used up, from the seeds.
function refillTail(stream: usize): void {
  const x = load<u32>(stream, STREAM_STATES);
  if (x >= 0x10000) return;
  const seeds = stream + STREAM_SEEDS;
  const seedsEnd = seeds + seedBytes(load<u32>(stream, STREAM_LANES));
  let words = <usize>load<u32>(stream, STREAM_WORDS);
  // The words end exactly at `end`, because their distance is even. This happens once: then `end` is that of the seeds.
  if (words == <usize>load<u32>(stream, STREAM_END) && words != seedsEnd) {
    words = seeds;
    store<u32>(stream, <u32>seedsEnd, STREAM_END);
  }
  if (words == <usize>load<u32>(stream, STREAM_END)) return;
  store<u32>(stream, (x << 16) | <u32>load<u16>(words, 0, 1), STREAM_STATES);
  store<u32>(stream, <u32>words + 2, STREAM_WORDS);
}

// The native stream with 8, 16 or 32 lanes (docs/format.md section 3.2): states, seeds, tail, and the scalar loops that are the whole
// scalar build and finish what lanes.ts leaves. Lane states lie in memory at `states`; lanes.ts keeps them in locals between.

import { escapeReaderError, escapesRemain, readEscape, writeEscape } from "./escape";
import { ERROR_CORRUPTED, ERROR_TRUNCATED } from "./errors";
import { decodeGroups, encodeGroups } from "./lanes";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, FLAG_ONE_ENTRY_ROW, TABLE_BUCKETS, TABLE_FLAGS, TABLE_RECORDS, TABLE_ROWS } from "./table";

const MAX_LANES: u32 = 32;
// A constant of the format: the tail is a multiple of 32 symbols.
const TAIL_UNIT: u32 = 32;

const states: usize = memory.data(128, 16);
const seeds: usize = memory.data(64, 16);

// What the loops share about one call.
let table: usize = 0;
let records: usize = 0;
let buckets: usize = 0;
let words: usize = 0;
let simd: bool = false;

function begin(tableAddress: usize): void {
  table = tableAddress;
  records = <usize>load<u32>(table, TABLE_RECORDS);
  buckets = <usize>load<u32>(table, TABLE_BUCKETS);
  // freq = 65536 does not fit the kernels' 16-bit lanes.
  simd = (load<u32>(table, TABLE_FLAGS) & FLAG_ONE_ENTRY_ROW) == 0;
}

// C(x) with renormalisation on the state at `lane`. The entry's reciprocal gives floor(x / freq) up to 1 (docs/math.md 3).
// @ts-ignore: decorator
@inline
function putSymbol(lane: usize, value: i32, record: usize): void {
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  let k = <u32>(value - offset);
  if (k >= max) {
    writeEscape(value, offset, max);
    k = max;
  }
  const entry = load<u64>(<usize>load<u32>(record) + (<usize>k << 3));
  const freq = <u32>entry & 0xffff;
  if (freq == 0) return; // freq = 65536: C(x) = x
  let x = load<u32>(lane);
  if (x >> 16 >= freq) {
    words -= 2;
    store<u16>(words, <u16>x);
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

// Body symbols [from, to) backward, one lane each, lane of the first = 0. `step` is 2 for a row per symbol, 0 for one row.
function encodeScalar(symbols: usize, rows: usize, step: usize, from: u32, to: u32, mask: u32): void {
  for (let i = to; i > from; ) {
    i--;
    const record = records + (<usize>load<u16>(rows + <usize>i * step) << 4);
    putSymbol(states + (<usize>((i - from) & mask) << 2), load<i32>(symbols + (<usize>i << 2)), record);
  }
}

// One segment of the body, [0, count) of `symbols`, whose first symbol is on lane 0.
function encodeSegment(symbols: usize, rows: usize, step: usize, count: u32, lanes: u32): void {
  let full: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    if (simd) full = count & ~(lanes - 1);
  }
  encodeScalar(symbols, rows, step, full, count, lanes - 1);
  if (ASC_FEATURE_SIMD) {
    if (full) words = encodeGroups(symbols, rows, step, full, lanes, records, words, states);
  }
}

/** Length of the states' section in the last encodeLanes. */
let packedStates: usize = 0;
let tailUnits: u32 = 0;

export function statesLength(): usize {
  return packedStates;
}

export function tailLength(): u32 {
  return tailUnits;
}

/**
 * Codes n symbols (int32) backward; words end at `end`. `run` symbols share rows[i / run] (u16, all valid); layout 0 wants
 * run = 1, layout 1 restarts the lanes at each run. Returns the start of states-and-words, or 0 if the tail does not fill the seeds.
 * The words take at most 2 n bytes and the states at most 144, all below `end`.
 */
export function encodeLanes(symbols: usize, n: u32, rows: usize, run: u32, lanes: u32, layout: u32, tableAddress: usize, end: usize): usize {
  begin(tableAddress);
  words = end;
  store<u32>(states, 0);
  let coded: u32 = 0;
  // Words that the tail emits land below `end`; the first lanes - 1 of them are then taken away as seeds.
  while (words > end - (<usize>(lanes - 1) << 1) || (coded & (TAIL_UNIT - 1)) != 0) {
    if (coded + 1 >= n) return 0;
    const i = n - ++coded;
    putSymbol(states, load<i32>(symbols + (<usize>i << 2)), records + (<usize>load<u16>(rows + (<usize>(i / run) << 1)) << 4));
  }
  tailUnits = coded / TAIL_UNIT;
  for (let j: u32 = 1; j < lanes; j++) {
    // Lane N-1 holds the first emitted word, which lies highest.
    store<u32>(states + (<usize>j << 2), 0x10000 | <u32>load<u16>(end - (<usize>(lanes - j) << 1)));
  }
  const seedBytes = <usize>(lanes - 1) << 1;
  const extra = end - seedBytes - words;
  memory.copy(end - extra, words, extra);
  words = end - extra;

  const body = n - coded;
  if (layout == 0) {
    encodeSegment(symbols, rows, 2, body, lanes);
  } else {
    let r = (body + run - 1) / run;
    let count = body - (r - 1) * run;
    while (r > 0) {
      r--;
      encodeSegment(symbols + (<usize>(r * run) << 2), rows + (<usize>r << 1), 0, count, lanes);
      count = run;
    }
  }
  return packStates(lanes);
}

// Exponents, then mantissas as one bit string, just below `words`.
function packStates(lanes: u32): usize {
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 31 - clz<u32>(load<u32>(states + (<usize>j << 2)));
  const head = <usize>lanes >> 1;
  packedStates = head + <usize>((bits + 7) >> 3);
  const start = words - packedStates;
  memory.fill(start, 0, head);
  let p = start + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const x = load<u32>(states + (<usize>j << 2));
    const width = 31 - clz<u32>(x);
    const exponent = start + (<usize>j >> 1);
    store<u8>(exponent, load<u8>(exponent) | <u8>((width - 16) << ((j & 1) << 2)));
    buffer |= <u64>(x - (1 << width)) << filled;
    filled += <u64>width;
    while (filled >= 8) {
      store<u8>(p++, <u8>buffer);
      buffer >>= 8;
      filled -= 8;
    }
  }
  if (filled) store<u8>(p, <u8>buffer);
  return start;
}

// Reads the states from [p, end). Returns the address behind them, or 0: truncated, 1: corrupted.
function unpackStates(p: usize, end: usize, lanes: u32): usize {
  const head = <usize>lanes >> 1;
  if (end - p < head) return 0;
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 16 + ((load<u8>(p + (<usize>j >> 1)) >> <u8>((j & 1) << 2)) & 15);
  const length = head + <usize>((bits + 7) >> 3);
  if (end - p < length) return 0;
  let source = p + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const width = 16 + <u64>((load<u8>(p + (<usize>j >> 1)) >> <u8>((j & 1) << 2)) & 15);
    while (filled < width) {
      buffer |= <u64>load<u8>(source++) << filled;
      filled += 8;
    }
    store<u32>(states + (<usize>j << 2), <u32>(buffer & ((1 << width) - 1)) | (<u32>1 << <u32>width));
    buffer >>= width;
    filled -= width;
  }
  return buffer == 0 ? p + length : 1;
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

// Body symbols [from, to) forward; see encodeScalar. Reads at most 2 bytes a symbol beyond the words: the caller checks.
function decodeScalar(out: usize, rows: usize, step: usize, from: u32, to: u32, mask: u32): void {
  for (let i = from; i < to; i++) {
    const lane = states + (<usize>((i - from) & mask) << 2);
    store<i32>(out + (<usize>i << 2), takeSymbol(lane, <usize>load<u16>(rows + <usize>i * step)));
    renormalise(lane);
  }
}

function decodeSegment(out: usize, rows: usize, step: usize, count: u32, lanes: u32, end: usize): void {
  let full: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    // A row's bucket number is computed in 16 bits: 512 rows of 128 buckets.
    if (simd && (step == 0 || load<u32>(table, TABLE_ROWS) <= 512)) full = count & ~(lanes - 1);
    if (full) words = decodeGroups(out, rows, step, full, lanes, table, words, end, states);
  }
  // In blocks, so that a damaged stream is noticed before the word pointer can leave the padding behind `end`.
  while (full < count && words <= end) {
    const to = min<u32>(full + MAX_LANES, count);
    decodeScalar(out, rows, step, full, to, lanes - 1);
    full = to;
  }
}

/**
 * Decodes n symbols from states-and-words [p, end) into int32 `out`; `units` is the tail's t. The buckets must have been built.
 * Needs 128 readable bytes behind `end`. Returns 0 or an error code.
 */
export function decodeLanes(p: usize, end: usize, rows: usize, run: u32, lanes: u32, layout: u32, units: u32, tableAddress: usize, out: usize, n: u32): i32 {
  begin(tableAddress);
  if (units == 0 || <u64>units * TAIL_UNIT >= <u64>n) return ERROR_CORRUPTED;
  const body = n - units * TAIL_UNIT;
  words = unpackStates(p, end, lanes);
  if (words == 0) return ERROR_TRUNCATED;
  if (words == 1 || ((end - words) & 1) != 0) return ERROR_CORRUPTED;

  if (layout == 0) {
    decodeSegment(out, rows, 2, body, lanes, end);
  } else {
    for (let from: u32 = 0, r: usize = 0; from < body && words <= end; from += run, r++) {
      decodeSegment(out + (<usize>from << 2), rows + (r << 1), 0, min<u32>(run, body - from), lanes, end);
    }
  }
  if (words > end) return ERROR_TRUNCATED;

  if (escapeReaderError()) return escapeReaderError();

  // The seeds continue the words; `end` and `words` are even distances apart, so the change-over is exact.
  for (let j: u32 = 1; j < lanes; j++) {
    const x = load<u32>(states + (<usize>j << 2));
    if (x >> 16 != 1) return ERROR_CORRUPTED;
    store<u16>(seeds + (<usize>(j - 1) << 1), <u16>x);
  }
  const seedsEnd = seeds + (<usize>(lanes - 1) << 1);
  let limit = end;
  for (let i = body; i < n; i++) {
    store<i32>(out + (<usize>i << 2), takeSymbol(states, <usize>load<u16>(rows + (<usize>(i / run) << 1))));
    if (words == end) {
      words = seeds;
      limit = seedsEnd;
    }
    if (words != limit) renormalise(states);
  }
  if (escapeReaderError()) return escapeReaderError();
  return load<u32>(states) == 0 && words == seedsEnd && !escapesRemain() ? 0 : ERROR_CORRUPTED;
}

// A loaded table: rows of {freq, cum, reciprocal} entries, and structures for each direction, built when first needed. docs/format.md section 5.
//
// Layout at `table` (all addresses are absolute):
//   0 u32 rows      4 u32 flags (1: has medians, 2: some row has one entry)     8 u32 row records     12 u32 medians
//  16 u32 buckets, 0 until prepareDecode    20 u32 end     24 u64 fingerprint     32 u32 decode windows, likewise
//  36 u32 encode windows, 0 until prepareEncode     40 u32 encode rows, likewise, and 0 with more than SIMD_ROWS rows
// Row record, 16 bytes: u32 entries (address), u32 max (entries - 1, the escape), i32 offset, u32 mode (the entry with the largest freq but the escape)
// Entry, 8 bytes: u16 freq, u16 cum, u32 floor((2^32 - 1) / freq). freq 65536 (a row of one entry) is stored as 0.
// Bucket, 8 bytes, BUCKETS a row: see lookup.

import { xxh64 } from "./checksum";
import { ERROR_INVALID, ERROR_TRUNCATED, ERROR_VERSION } from "./errors";
import { buildWindow, WINDOW_BYTES } from "./window";

export const TABLE_ROWS: usize = 0;
export const TABLE_FLAGS: usize = 4;
export const TABLE_RECORDS: usize = 8;
export const TABLE_MEDIANS: usize = 12;
export const TABLE_BUCKETS: usize = 16;
export const TABLE_END: usize = 20;
export const TABLE_FINGERPRINT: usize = 24;
export const TABLE_DECODE_WINDOWS: usize = 32;
export const TABLE_ENCODE_WINDOWS: usize = 36;
export const TABLE_ENCODE_ROWS: usize = 40;
const TABLE_HEADER: usize = 64;

export const FLAG_ONE_ENTRY_ROW: u32 = 2;

// 256 buckets of 256 slots: 64 rows fill 128 KB. A constant of the kernels, not of the format. 128 buckets are as fast on a latent that is decoded again and
// again, because the processor learns where its rare symbols are; on 4 million fresh ones 256 are 8 % faster.
export const BUCKET_BITS: u32 = 8;
export const BUCKET_SHIFT: u32 = 16 - BUCKET_BITS;
/** Kernels with a row per symbol compute a bucket's number in 16 bits. */
export const SIMD_ROWS: u32 = 65536 >> BUCKET_BITS;
// Entries of the values -128 .. 127, so that encoding a symbol needs one address and no record: 2 KB a row.
export const ENCODE_WINDOW_BITS: u32 = 8;
export const ENCODE_WINDOW: i32 = 1 << ENCODE_WINDOW_BITS;

let cursor: usize = 0;
let cursorEnd: usize = 0;
let cursorBad: bool = false;

// Reads past the end and non-minimal varints set cursorBad and yield 0, so that a row is checked once, not at every byte.
function varint(): u32 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (true) {
    if (cursor >= cursorEnd || shift > 28) {
      cursorBad = true;
      return 0;
    }
    const byte = <u64>load<u8>(cursor++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if ((byte == 0 && shift != 0) || value > 0xffffffff) cursorBad = true;
      return <u32>value;
    }
    shift += 7;
  }
}

/**
 * Parses and validates a binary form, and builds rows and entries at `table`. Returns 0 or an error code.
 * Writes at most 32 * length + 256 bytes: a row takes at least 2 bytes of input and 16 + 8 + 4 of output, a further entry 1 and 8.
 */
export function loadTable(source: usize, length: usize, table: usize): i32 {
  if (length < 5 + 8) return ERROR_TRUNCATED;
  if (load<u8>(source) != 0x4c || load<u8>(source, 1) != 0x57 || load<u8>(source, 2) != 0x54) return ERROR_INVALID;
  if (load<u8>(source, 3) != 1) return ERROR_VERSION;
  const formFlags = load<u8>(source, 4);
  if (formFlags > 1) return ERROR_INVALID;
  const fingerprint = load<u64>(source + length - 8);
  if (xxh64(source, length - 8) != fingerprint) return ERROR_INVALID;
  cursor = source + 5;
  cursorEnd = source + length - 8;
  cursorBad = false;
  const rows = varint();
  if (cursorBad || rows == 0 || rows > 65535 || <usize>rows * 2 > length) return ERROR_INVALID;

  const records = table + TABLE_HEADER;
  let entry = records + (<usize>rows << 4);
  let flags: u32 = formFlags;
  let total: u32 = 0;
  for (let r: u32 = 0; r < rows; r++) {
    const zigzag = varint();
    const offset = <i32>(zigzag >> 1) ^ -(<i32>zigzag & 1);
    const m = varint();
    total += m;
    if (cursorBad || m == 0 || m > 65536 || total > 1 << 24 || zigzag > 0x80000000) return ERROR_INVALID;
    const record = records + (<usize>r << 4);
    store<u32>(record, <u32>entry);
    store<u32>(record, m - 1, 4);
    store<i32>(record, offset, 8);
    store<u32>(record, 0, 12);
    if (m == 1) flags |= FLAG_ONE_ENTRY_ROW;
    let cum: u32 = 0;
    let largest: u32 = 0;
    for (let k: u32 = 0; k < m; k++) {
      const freq = k + 1 < m ? varint() + 1 : 65536 - cum;
      if (cursorBad || freq == 0 || cum + freq > 65536) return ERROR_INVALID;
      storeEntry(entry, freq, cum);
      if (freq > largest && k + 1 < m) {
        largest = freq;
        store<u32>(record, k, 12);
      }
      cum += freq;
      entry += 8;
    }
  }
  let medians: usize = 0;
  if (formFlags & 1) {
    if (cursorEnd - cursor != <usize>rows << 2) return ERROR_INVALID;
    medians = entry;
    for (let r: u32 = 0; r < rows; r++) {
      const median = load<f32>(cursor);
      if (!isFinite<f32>(median)) return ERROR_INVALID;
      store<f32>(entry, median);
      cursor += 4;
      entry += 4;
    }
  }
  if (cursor != cursorEnd) return ERROR_INVALID;
  store<u32>(table, rows, TABLE_ROWS);
  store<u32>(table, flags, TABLE_FLAGS);
  store<u32>(table, <u32>records, TABLE_RECORDS);
  store<u32>(table, <u32>medians, TABLE_MEDIANS);
  store<u32>(table, 0, TABLE_BUCKETS);
  store<u32>(table, 0, TABLE_DECODE_WINDOWS);
  store<u32>(table, 0, TABLE_ENCODE_WINDOWS);
  store<u32>(table, 0, TABLE_ENCODE_ROWS);
  store<u32>(table, <u32>((entry + 63) & ~63), TABLE_END);
  store<u64>(table, fingerprint, TABLE_FINGERPRINT);
  return 0;
}

function storeEntry(entry: usize, freq: u32, cum: u32): void {
  store<u16>(entry, <u16>freq);
  store<u16>(entry, <u16>cum, 2);
  store<u32>(entry, 0xffffffff / freq, 4);
}

/** Bytes that prepareDecode or prepareEncode writes. */
export function preparedBound(table: usize, encode: bool): usize {
  const rows = <usize>load<u32>(table, TABLE_ROWS);
  const perRow: usize = encode ? (<usize>ENCODE_WINDOW << 3) : <usize>1 << (BUCKET_BITS + 3);
  return (encode && rows > SIMD_ROWS ? 0 : rows * perRow) + (ASC_FEATURE_SIMD ? rows * WINDOW_BYTES : 0);
}

/** Builds the structures for decoding at `at`, which is 16-aligned. */
export function prepareDecode(table: usize, at: usize): void {
  const windows = at + (<usize>load<u32>(table, TABLE_ROWS) << (BUCKET_BITS + 3));
  buildBuckets(table, at);
  if (ASC_FEATURE_SIMD) buildWindows(table, windows, false);
  store<u32>(table, <u32>windows, TABLE_DECODE_WINDOWS);
}

/** Builds the structures for encoding at `at`, which is 16-aligned. The scalar build needs none. */
export function prepareEncode(table: usize, at: usize): void {
  store<u32>(table, <u32>at, TABLE_ENCODE_WINDOWS);
  if (!ASC_FEATURE_SIMD) return;
  const rows = load<u32>(table, TABLE_ROWS);
  buildWindows(table, at, true);
  if (rows > SIMD_ROWS) return;
  at += <usize>rows * WINDOW_BYTES;
  store<u32>(table, <u32>at, TABLE_ENCODE_ROWS);
  memory.fill(at, 0, <usize>rows * (<usize>ENCODE_WINDOW << 3));
  for (let r: usize = 0; r < <usize>rows; r++) {
    const record = <usize>load<u32>(table, TABLE_RECORDS) + (r << 4);
    const offset = load<i32>(record, 8);
    // The values of [offset, offset + max) within -128 .. 127, without the first and the last: what lies outside is clamped to those two.
    const low = max<i32>(offset, 1 - ENCODE_WINDOW / 2);
    const high = min<i32>(offset + <i32>load<u32>(record, 4), ENCODE_WINDOW / 2 - 1);
    if (low < high) {
      const row = at + (r << (ENCODE_WINDOW_BITS + 3));
      memory.copy(row + (<usize>(low + ENCODE_WINDOW / 2) << 3), <usize>load<u32>(record) + (<usize>(low - offset) << 3), <usize>(high - low) << 3);
    }
  }
}

function buildWindows(table: usize, windows: usize, encode: bool): void {
  const rows = load<u32>(table, TABLE_ROWS);
  let record = <usize>load<u32>(table, TABLE_RECORDS);
  for (let r: u32 = 0; r < rows; r++, record += 16, windows += WINDOW_BYTES) buildWindow(record, windows, encode);
}

/**
 * Builds the decode buckets at `buckets`. Bucket b of a row covers the slots b * 256 .. b * 256 + 255 and holds
 * {freqA, cumA, freqB, valueA}: A is the first entry that reaches into it, B the next one, so cumB = cumA + freqA and valueB =
 * valueA + 1. freqB = 0 says that entry B does not decide (it is the escape, or a third entry begins in this bucket); both 0 that A
 * does not either. So slot - cumA >= freqA selects B, and a selected freq of 0 means "search": one test for every rare case.
 */
function buildBuckets(table: usize, buckets: usize): void {
  const rows = load<u32>(table, TABLE_ROWS);
  let record = <usize>load<u32>(table, TABLE_RECORDS);
  store<u32>(table, <u32>buckets, TABLE_BUCKETS);
  for (let r: u32 = 0; r < rows; r++) {
    const entries = <usize>load<u32>(record);
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    let k: u32 = 0;
    for (let low: u32 = 0; low < 65536; low += 1 << BUCKET_SHIFT) {
      const high = low + (1 << BUCKET_SHIFT);
      while (entryEnd(entries, k, max) <= low) k++;
      let freqA: u32 = 0;
      let freqB: u32 = 0;
      const value = offset + <i32>k;
      // A row of one entry (freq 65536) is its own escape and always searches; so does a value that int16 cannot hold.
      if (k < max && value >= -32768 && value < 32767) {
        freqA = load<u16>(entries + (<usize>k << 3));
        if (k + 1 < max && entryEnd(entries, k + 1, max) >= high) freqB = load<u16>(entries + (<usize>(k + 1) << 3));
      }
      store<u16>(buckets, <u16>freqA);
      store<u16>(buckets, freqA ? load<u16>(entries + (<usize>k << 3), 2) : 0, 2);
      store<u16>(buckets, <u16>freqB, 4);
      store<i16>(buckets, <i16>value, 6);
      buckets += 8;
    }
    record += 16;
  }
}

// @ts-ignore: decorator
@inline
function entryEnd(entries: usize, k: u32, max: u32): u32 {
  return k == max ? 65536 : <u32>load<u16>(entries + (<usize>(k + 1) << 3), 2);
}

/** The entry of a row (by its record) that contains `slot`: the last one with cum <= slot. */
export function findEntry(record: usize, slot: u32): u32 {
  const entries = <usize>load<u32>(record);
  let low: u32 = 0;
  let high = load<u32>(record, 4);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (<u32>load<u16>(entries + (<usize>middle << 3), 2) <= slot) low = middle;
    else high = middle - 1;
  }
  return low;
}

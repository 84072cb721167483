// A loaded table: rows of {freq, cum, reciprocal} entries, and structures for each direction, built when first needed.
// docs/format.md section 5.
//
// Layout at `table` (all addresses are absolute):
//   0 u32 rows      4 u32 flags (1: has medians, 2: some row has one entry)     8 u32 row records     12 u32 medians
//  16 u32 buckets, 0 until they are built    20 u32 end     24 u64 fingerprint     32 u32 decode windows, likewise
//  36 u32 encode windows, likewise     40 u32 encode rows, likewise, and 0 with more than SIMD_ROWS rows     44 u32 the
// table loaded before
// Row record, 16 bytes: u32 entries (address), u32 max (entries - 1, the escape), i32 offset, u32 mode (the entry with
// the largest freq but the escape)
// Entry, 8 bytes: u16 freq, u16 cum, u32 floor((2^32 - 1) / freq). freq 65536 (a row of one entry) is stored as 0.
// Bucket, 8 bytes, BUCKETS a row: see lookup.

import { xxh64 } from "./checksum";
import { fail, FIELD_TABLE, INVALID_TABLE, OK, TRUNCATED, UNSUPPORTED_VERSION } from "./codes";
import { align, isSameMemory, keep, PADDING, readVarint, scratch } from "./memory";

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
const TABLE_BEFORE: usize = 44;
const TABLE_HEADER: usize = 64;

export const FLAG_ONE_ENTRY_ROW: u32 = 2;

// 256 buckets of 256 slots: 64 rows fill 128 KB. A constant of the kernels, not of the format. On 4 million symbols
// that are decoded once, 256 buckets are 8 % faster than 128. On a latent that is decoded again and again both are
// equal, because the processor learns where its rare symbols are.
export const BUCKET_BITS: u32 = 8;
export const BUCKET_SHIFT: u32 = 16 - BUCKET_BITS;
/** Most rows for kernels with a row per symbol: they compute a bucket's number in 16 bits. */
export const SIMD_ROWS: u32 = 65536 >> BUCKET_BITS;
// Entries of the values -128 .. 127 of each row, 2 KB a row: an encoder finds an entry without the row's record.
export const ENCODE_WINDOW_BITS: u32 = 8;
export const ENCODE_WINDOW: i32 = 1 << ENCODE_WINDOW_BITS;

const cursor: usize = memory.data(12);

/** Address of the table that was loaded last. Each table has the address of the one before. */
const lastTable: usize = memory.data(4, 4);

/** Address at which the host puts a binary form of so many bytes; 0: no memory. */
export function tableSource(length: usize): usize {
  // A row takes at least 2 bytes of input and 16 + 8 + 4 of the table; each further entry takes 1 and 8. There are at
  // most 2^24 entries and 65,535 rows.
  const bound = min<u64>(32 * <u64>length, 1 << 27) + (1 << 21);
  const start = scratch(bound + length + PADDING);
  return start ? align(start + <usize>bound) : 0;
}

/** Fills in the fingerprint of a binary form: its last 8 bytes. */
export function sealTable(source: usize, length: usize): void {
  store<u64>(source + length - 8, xxh64(source, length - 8), 0, 1);
}

/**
 * Address of the table whose binary form is at `source`: a new table, or the one that has the same content. 0: failed,
 * the fault says why.
 */
export function loadTable(source: usize, length: usize): usize {
  const table = scratch(0);
  const code = parseTable(source, length, table);
  if (code != OK) {
    fail(code, FIELD_TABLE);
    return 0;
  }
  for (let known = <usize>load<u32>(lastTable); known != 0; known = <usize>load<u32>(known, TABLE_BEFORE)) {
    if (isSame(known, table)) return known;
  }
  keep(<usize>load<u32>(table, TABLE_END) - table);
  store<u32>(table, load<u32>(lastTable), TABLE_BEFORE);
  store<u32>(lastTable, <u32>table);
  return table;
}

// Whether two tables have the same content. Equal fingerprints alone do not say so: anybody can make a table that has the
// fingerprint of another one.
function isSame(known: usize, table: usize): bool {
  const rows = load<u32>(table, TABLE_ROWS);
  if (
    load<u64>(known, TABLE_FINGERPRINT) != load<u64>(table, TABLE_FINGERPRINT) ||
    load<u32>(known, TABLE_ROWS) != rows ||
    load<u32>(known, TABLE_FLAGS) != load<u32>(table, TABLE_FLAGS)
  ) return false;
  // A record but for the address of its entries.
  const from = table + TABLE_HEADER;
  for (let at = from; at < from + (<usize>rows << 4); at += 16)
    if (!isSameMemory(known - table + at + 4, at + 4, 12)) return false;
  // Entries and medians: as many here as there, now that the records are equal.
  const entries = from + (<usize>rows << 4);
  return isSameMemory(known - table + entries, entries, <usize>load<u32>(table, TABLE_END) - entries);
}

// Parses and validates a binary form, and builds rows and entries at `table`. Returns a code.
function parseTable(source: usize, length: usize, table: usize): i32 {
  if (length < 5 + 8) return TRUNCATED;
  if (load<u8>(source) != 0x4c || load<u8>(source, 1) != 0x57 || load<u8>(source, 2) != 0x54) return INVALID_TABLE;
  if (load<u8>(source, 3) != 1) return UNSUPPORTED_VERSION;
  const fingerprint = load<u64>(source + length - 8, 0, 1);
  if (xxh64(source, length - 8) != fingerprint) return INVALID_TABLE;
  const formFlags = load<u8>(source, 4);
  if (formFlags > 1) return UNSUPPORTED_VERSION;
  store<u32>(cursor, <u32>source + 5);
  store<u32>(cursor, <u32>(source + length - 8), 4);
  store<u32>(cursor, 0, 8);
  const rows = readVarint(cursor);
  if (load<u32>(cursor, 8) || rows == 0 || rows > 65535 || <usize>rows * 2 > length) return INVALID_TABLE;

  const records = table + TABLE_HEADER;
  let entry = records + (<usize>rows << 4);
  let flags: u32 = formFlags;
  let total: u32 = 0;
  for (let r: u32 = 0; r < rows; r++) {
    const zigzag = readVarint(cursor);
    const offset = <i32>(zigzag >> 1) ^ -(<i32>zigzag & 1);
    const m = readVarint(cursor);
    total += m;
    if (load<u32>(cursor, 8) || m == 0 || m > 65536 || total > 1 << 24 || zigzag > 0x80000000) return INVALID_TABLE;
    const record = records + (<usize>r << 4);
    store<u32>(record, <u32>entry);
    store<u32>(record, m - 1, 4);
    store<i32>(record, offset, 8);
    store<u32>(record, 0, 12);
    if (m == 1) flags |= FLAG_ONE_ENTRY_ROW;
    let cum: u32 = 0;
    let largest: u32 = 0;
    for (let k: u32 = 0; k < m; k++) {
      const freq = k + 1 < m ? readVarint(cursor) + 1 : 65536 - cum;
      // Not cum + freq > 65536: that sum wraps.
      if (load<u32>(cursor, 8) || freq == 0 || freq > 65536 - cum) return INVALID_TABLE;
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
  let p = <usize>load<u32>(cursor);
  const end = source + length - 8;
  if (formFlags & 1) {
    if (end - p != <usize>rows << 2) return INVALID_TABLE;
    medians = entry;
    for (let r: u32 = 0; r < rows; r++) {
      const median = load<f32>(p, 0, 1);
      if (!isFinite<f32>(median)) return INVALID_TABLE;
      store<f32>(entry, median);
      p += 4;
      entry += 4;
    }
  }
  if (p != end) return INVALID_TABLE;
  store<u32>(table, rows, TABLE_ROWS);
  store<u32>(table, flags, TABLE_FLAGS);
  store<u32>(table, <u32>records, TABLE_RECORDS);
  store<u32>(table, <u32>medians, TABLE_MEDIANS);
  store<u32>(table, 0, TABLE_BUCKETS);
  store<u32>(table, 0, TABLE_DECODE_WINDOWS);
  store<u32>(table, 0, TABLE_ENCODE_WINDOWS);
  store<u32>(table, 0, TABLE_ENCODE_ROWS);
  store<u32>(table, <u32>entry, TABLE_END);
  store<u64>(table, fingerprint, TABLE_FINGERPRINT);
  return 0;
}

function storeEntry(entry: usize, freq: u32, cum: u32): void {
  store<u16>(entry, <u16>freq);
  store<u16>(entry, <u16>cum, 2);
  store<u32>(entry, 0xffffffff / freq, 4);
}

/**
 * Builds what encoding or decoding needs beside the rows, when it is first needed: a client that only encodes never
 * pays for decoding. False: no memory.
 */
export function prepareTable(table: usize, encode: bool): bool {
  if (load<u32>(table + (encode ? TABLE_ENCODE_WINDOWS : TABLE_BUCKETS))) return true;
  const rows = <usize>load<u32>(table, TABLE_ROWS);
  const perRow: usize = encode ? (<usize>ENCODE_WINDOW << 3) : <usize>1 << (BUCKET_BITS + 3);
  const at = keep((encode && rows > SIMD_ROWS ? 0 : rows * perRow) + (ASC_FEATURE_SIMD ? rows * WINDOW_BYTES : 0) + 64);
  if (at == 0) return false;
  if (encode) prepareEncode(table, at);
  else prepareDecode(table, at);
  return true;
}

function prepareDecode(table: usize, at: usize): void {
  const windows = at + (<usize>load<u32>(table, TABLE_ROWS) << (BUCKET_BITS + 3));
  buildBuckets(table, at);
  if (ASC_FEATURE_SIMD) buildWindows(table, windows, false);
  store<u32>(table, <u32>windows, TABLE_DECODE_WINDOWS);
}

// The scalar build needs nothing.
function prepareEncode(table: usize, at: usize): void {
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
    // The values of [offset, offset + max) within -128 .. 127, without these two: a value outside is clamped to one of
    // them.
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
 * Builds the decode buckets at `buckets`. Bucket b of a row covers the slots b * 256 .. b * 256 + 255 and holds {freqA,
 * cumA, freqB, valueA}: A is the first entry that reaches into it, B the next one, so cumB = cumA + freqA and valueB =
 * valueA + 1. freqB = 0 if B does not decide, because it is the escape or a third entry begins in this bucket. Both are
 * 0 if A does not decide either. So slot - cumA >= freqA selects B, and a selected freq of 0 means "search": one test
 * finds all rare cases.
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
      // A row of one entry (freq 65536) is its own escape, so it always searches. So does a value outside int16.
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

// ---- windows: a few consecutive entries of a row, the most probable ones, as a kernel holds them in registers.
// For runs of one row.

/**
 * Decoding, 5 entries: their first slots (u16) and, sixth, the slot behind the last entry. 65535 where there is no
 * entry.
 */
export const WINDOW_BOUNDS: usize = 0;
/** u16: how many slots the window covers. */
export const WINDOW_WIDTH: usize = 12;
/** int16: the value of the third entry. */
export const WINDOW_MIDDLE: usize = 14;

// Encoding, 15 entries: byte y of each list belongs to the value top - y, y = 1 .. 15. Where there is no entry freq is
// 0, which means "search".
export const WINDOW_FREQ_LOW: usize = 0;
export const WINDOW_FREQ_HIGH: usize = 16;
export const WINDOW_CUM_LOW: usize = 32;
export const WINDOW_CUM_HIGH: usize = 48;
/** 4 lists: the bytes of the reciprocals. */
export const WINDOW_RECIPROCAL: usize = 64;
/** int16: top, the value with y = 0. */
export const WINDOW_TOP: usize = 128;

/** u32: 1 if the window holds enough of the row's mass to pay. */
export const WINDOW_PAYS: usize = 132;
export const WINDOW_BYTES: usize = 144;

// 5 entries and 6 bounds decode W2 14 % faster than 7 and 8 (measured).
const DECODE_ENTRIES: u32 = 5;
const ENCODE_ENTRIES: u32 = 15;
// A window is used only if at most 1/256 (decoding) or 1/64 (encoding) of the mass lies outside: one miss costs what
// about 30 hits save (measured).
const DECODE_OUTSIDE: u32 = 256;
const ENCODE_OUTSIDE: u32 = 1024;

// @ts-ignore: decorator
@inline
function cumAt(entries: usize, k: u32): u32 {
  return <u32>load<u16>(entries + (<usize>k << 3), 2);
}

/** Builds the window of a row, given by its record, at `window`. */
function buildWindow(record: usize, window: usize, encode: bool): void {
  const entries = <usize>load<u32>(record);
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  const width = encode ? ENCODE_ENTRIES : DECODE_ENTRIES;
  // The consecutive entries with the most mass; the escape, entry max, is never one of them.
  const used = min<u32>(max, width);
  let first: u32 = 0;
  let mass: u32 = 0;
  for (let a: u32 = 0; a + used <= max; a++) {
    const held = cumAt(entries, a + used) - cumAt(entries, a);
    if (held > mass) {
      mass = held;
      first = a;
    }
  }
  memory.fill(window, 0, WINDOW_BYTES);
  const top = offset + <i32>(first + width);
  const covers = used > 0 && mass + (encode ? ENCODE_OUTSIDE : DECODE_OUTSIDE) >= 65536;
  store<u32>(window, u32(covers && top < 32767 && top > -32700), WINDOW_PAYS);
  if (!encode) {
    for (let j: u32 = 0; j <= DECODE_ENTRIES; j++)
      store<u16>(window + (<usize>j << 1), <u16>(j <= used ? cumAt(entries, first + j) : 65535), WINDOW_BOUNDS);
    store<u16>(window, <u16>mass, WINDOW_WIDTH);
    store<i16>(window, <i16>(offset + <i32>first + 2), WINDOW_MIDDLE);
    return;
  }
  store<i16>(window, <i16>top, WINDOW_TOP);
  for (let j: u32 = 0; j < used; j++) {
    const at = window + <usize>(width - j);
    const entry = load<u64>(entries + (<usize>(first + j) << 3));
    store<u8>(at, <u8>entry, WINDOW_FREQ_LOW);
    store<u8>(at, <u8>(entry >> 8), WINDOW_FREQ_HIGH);
    store<u8>(at, <u8>(entry >> 16), WINDOW_CUM_LOW);
    store<u8>(at, <u8>(entry >> 24), WINDOW_CUM_HIGH);
    for (let b: usize = 0; b < 4; b++) store<u8>(at + (b << 4), <u8>(entry >> (32 + (<u64>b << 3))), WINDOW_RECIPROCAL);
  }
}

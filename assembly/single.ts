// One lane with a 64-bit state: the native one-lane stream (docs/format.md section 3.1) and CompressAI's stream
// (section 4). C, D and the renormalisation by 32-bit words are the same. The start value, the escapes and the way to
// store the state differ.

import { CORRUPTED, faultCode, OK, OUT_OF_RANGE, TRUNCATED } from "./codes";
import { contextFound, contextValue } from "./context";
import { ESCAPE_CUM, mixtureValue } from "./mixture";
import {
  KIND_CHANNELS, KIND_CONTEXT, KIND_ENTRIES, KIND_MIXTURE, PART_ENTRY_CUM, PART_ENTRY_FREQ, PART_KIND, PART_LOW, PART_ROWS, PART_RUN,
  PART_SIZE, PART_TABLE, readRows, readSymbols, rowOfRun, symbolsAt, TILE, tileRows, writeElements,
} from "./part";
import {
  escapeToRaw, rawToEscape, readEscape, streamError, STREAM_COMPRESSAI, STREAM_END, STREAM_ERROR, STREAM_ESCAPES,
  STREAM_ESCAPES_END, STREAM_POSITION, STREAM_STATES, STREAM_WORDS, writeEscape,
} from "./stream";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, TABLE_BUCKETS, TABLE_RECORDS } from "./table";

const LOW: u64 = 1 << 31;
/** Runs of so many symbols or more are decoded run by run, without looking up rows. For shorter ones that is slower. */
const LONG_RUN: u32 = 16;

// While a tile is coded, state and word pointer are in globals: decoding W1 192 and W2 525 Msym/s. With both in locals
// it is 155 and 358, with the word pointer alone in a global 189 and 430 (V8, Zen 5). Between calls the stream has
// them.
let state: u64 = 0;
let words: usize = 0;

// @ts-ignore: decorator
@inline
function resume(stream: usize): void {
  state = load<u64>(stream, STREAM_STATES);
  words = <usize>load<u32>(stream, STREAM_WORDS);
}

// @ts-ignore: decorator
@inline
function suspend(stream: usize): void {
  store<u64>(stream, state, STREAM_STATES);
  store<u32>(stream, <u32>words, STREAM_WORDS);
}

// The run length of a part that is coded run by run, otherwise 0.
// @ts-ignore: decorator
@inline
function longRun(part: usize): u32 {
  const run = load<u32>(part, PART_RUN);
  return load<u32>(part, PART_KIND) == KIND_CHANNELS && run >= LONG_RUN ? run : 0;
}

// ---- encoding

/** Begins a stream, with its last symbol. */
export function beginSingle(stream: usize, compressai: bool): void {
  store<u64>(stream, compressai ? LOW : 0, STREAM_STATES);
}

/** Codes symbols [from, to) of a part backward. Returns 0, or the code of an element without a symbol. */
export function encodeSingle(stream: usize, part: usize, from: u32, to: u32): i32 {
  const compressai = load<u32>(stream, STREAM_COMPRESSAI) != 0;
  const run = longRun(part);
  while (to > from) {
    const first = run ? ((to - 1) / run) * run : 0;
    const low = max<u32>(from, first + ((to - 1 - first) & ~(TILE - 1)));
    const symbols = readSymbols(part, low, to);
    if (symbols == 0) return load<i32>(faultCode);
    // Where the entries come from: entries that are already made, or rows. A long run has one row for all its symbols.
    const entries = load<u32>(part, PART_KIND) == KIND_ENTRIES;
    const stride: usize = entries ? 4 : run ? 0 : 2;
    const source = entries ? <usize>load<u32>(part, PART_ROWS) + (<usize>low << 2) : run ? tileRows : readRows(part, low, to);
    if (source == 0) return load<i32>(faultCode);
    if (run) store<u16>(source, <u16>rowOfRun(part, low));
    const records: usize = entries ? 0 : <usize>load<u32>(<usize>load<u32>(part, PART_TABLE), TABLE_RECORDS);
    resume(stream);
    for (let i = <usize>(to - low); i > 0; ) {
      i--;
      const at = source + i * stride;
      const value = load<i32>(symbols + (i << 2));
      let entry: u32;
      if (records) {
        const record = records + (<usize>load<u16>(at) << 4);
        const offset = load<i32>(record, 8);
        const max = load<u32>(record, 4);
        let k = <u32>(value - offset);
        if (k >= max) {
          putEscape(stream, value, offset, max, compressai);
          k = max;
        }
        entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
      } else {
        entry = load<u32>(at);
        if (entry >> 16 == ESCAPE_CUM)
          putEscape(stream, value, load<i32>(part, PART_LOW), load<u32>(part, PART_SIZE), compressai);
      }
      put(entry);
    }
    suspend(stream);
    to = low;
  }
  return OK;
}

// C for an entry (freq | cum << 16; a freq of 0 is 65536). If the state is too large, a word is emitted first.
// @ts-ignore: decorator
@inline
function put(entry: u32): void {
  let x = state;
  let freq = <u64>(entry & 0xffff);
  if (freq == 0) freq = 65536;
  if (x >= freq << 47) {
    words -= 4;
    store<u32>(words, <u32>x, 0, 1);
    x >>= 32;
  }
  const q = x / freq;
  state = (q << 16) + (x - q * freq) + <u64>(entry >> 16);
}

// Writes the escaped value: as nibbles in CompressAI's stream, as a number in the escape section in the native one.
function putEscape(stream: usize, value: i32, offset: i32, max: u32, compressai: bool): void {
  if (!compressai) {
    writeEscape(stream, value, offset, max);
    return;
  }
  // The decoder reads the count of nibbles (15 = more follow), then the nibbles of raw, low first. This is backward.
  const raw = escapeToRaw(value, offset, max);
  let count: u32 = 0;
  while (raw >> (<u64>count << 2) != 0) count++;
  for (let j = <i32>count - 1; j >= 0; j--) putNibble((raw >> (<u64>j << 2)) & 15);
  // raw < 2^34 has at most 9 nibbles, so the count is always one nibble.
  putNibble(count);
}

function putNibble(v: u64): void {
  let x = state;
  if (x >= 1 << 59) {
    words -= 4;
    store<u32>(words, <u32>x, 0, 1);
    x >>= 32;
  }
  state = (x << 4) | v;
}

/** Writes the final state in front of the words. Returns its address. */
export function endSingle(stream: usize): usize {
  const x = load<u64>(stream, STREAM_STATES);
  let p = <usize>load<u32>(stream, STREAM_WORDS);
  if (load<u32>(stream, STREAM_COMPRESSAI)) {
    store<u64>(p - 8, x, 0, 1);
    return p - 8;
  }
  let bytes: usize = p == <usize>load<u32>(stream, STREAM_END) ? 0 : 5;
  while (bytes < 8 && x >> (<u64>bytes << 3) != 0) bytes++;
  p -= bytes;
  // Byte by byte: a store<u64> would overwrite the first words.
  for (let b: usize = 0; b < bytes; b++) store<u8>(p + b, <u8>(x >> (<u64>b << 3)));
  return p;
}

// ---- decoding

/** Reads the first state of state-and-words [p, end of the stream). Returns 0 or a code. */
export function openSingle(stream: usize, p: usize): i32 {
  const end = <usize>load<u32>(stream, STREAM_END);
  const bytes = end - p;
  let x: u64 = 0;
  if (load<u32>(stream, STREAM_COMPRESSAI)) {
    if (bytes < 8) return TRUNCATED;
    if (bytes & 3) return CORRUPTED;
    x = load<u64>(p, 0, 1);
    if (x < LOW || x >> 63 != 0) return CORRUPTED;
    p += 8;
  } else {
    const stored = bytes <= 8 ? bytes : 5 + ((bytes - 5) & 3);
    for (let b: usize = 0; b < stored; b++) x |= <u64>load<u8>(p + b) << (<u64>b << 3);
    // The least number of bytes that hold the state; a renormalised state needs at least 5.
    if (stored > (bytes <= 8 ? <usize>0 : <usize>5) && x >> (<u64>(stored - 1) << 3) == 0) return CORRUPTED;
    if (x >> 63 != 0 || (bytes > 8 && x < LOW)) return CORRUPTED;
    p += stored;
  }
  store<u64>(stream, x, STREAM_STATES);
  store<u32>(stream, <u32>p, STREAM_WORDS);
  return OK;
}

/** Decodes elements [from, to) of a part: the stream's next symbols. Returns 0 or a code. */
export function decodeSingle(stream: usize, part: usize, from: u32, to: u32): i32 {
  const kind = load<u32>(part, PART_KIND);
  const made = kind == KIND_MIXTURE || kind == KIND_CONTEXT;
  const run = longRun(part);
  store<u32>(stream, load<u32>(stream, STREAM_POSITION) + (to - from), STREAM_POSITION);
  while (from < to) {
    const first = run ? (from / run) * run : 0;
    let high = min<u32>(to, first + ((from - first) & ~(TILE - 1)) + TILE);
    if (run) high = min<u32>(high, first + run);
    const out = symbolsAt(part, from);
    const rows: usize = run || made ? 0 : readRows(part, from, high);
    if (rows == 0 && !run && !made) return load<i32>(faultCode);
    resume(stream);
    let code = run
      ? decodeRun(stream, part, out, rowOfRun(part, from), high - from)
      : decodeEach(stream, part, out, rows, from, high - from);
    suspend(stream);
    if (code == OK) code = load<i32>(stream, STREAM_ERROR);
    if (code) return code;
    if (!writeElements(part, from, high)) return OUT_OF_RANGE;
    from = high;
  }
  return OK;
}

// Decodes `count` symbols of one run. It tries the row's most probable entry first, without a look-up: W2 347 Msym/s
// instead of 206.
function decodeRun(stream: usize, part: usize, out: usize, row: usize, count: u32): i32 {
  const table = <usize>load<u32>(part, PART_TABLE);
  const record = <usize>load<u32>(table, TABLE_RECORDS) + (row << 4);
  const buckets = <usize>load<u32>(table, TABLE_BUCKETS) + (row << (BUCKET_BITS + 3));
  const compressai = load<u32>(stream, STREAM_COMPRESSAI) != 0;
  const end = <usize>load<u32>(stream, STREAM_END);
  const mode = load<u32>(record, 12);
  const entry = load<u32>(<usize>load<u32>(record) + (<usize>mode << 3));
  // Never taken for a row of one entry, which is its own escape: its freq is stored as 0.
  const modeFreq = load<u32>(record, 4) ? entry & 0xffff : 0;
  const modeCum = entry >> 16;
  const modeValue = load<i32>(record, 8) + <i32>mode;
  for (const stop = out + (<usize>count << 2); out < stop; out += 4) {
    const slot = <u32>state & 0xffff;
    let rest = slot - modeCum;
    let freq = modeFreq;
    let value = modeValue;
    if (rest >= freq) {
      const bucket = load<u64>(buckets + (<usize>(slot >> BUCKET_SHIFT) << 3));
      freq = <u32>bucket & 0xffff;
      rest = slot - (<u32>bucket >> 16);
      value = <i32>(<i64>bucket >> 48);
      if (rest >= freq) {
        rest -= freq;
        freq = <u32>(bucket >> 32) & 0xffff;
        value++;
      }
    }
    if (freq == 0) value = searchEntry(stream, slot, record, end, compressai);
    else state = <u64>freq * (state >> 16) + <u64>rest;
    // Written out here: as a function, even an inlined one, W2 takes a sixth longer (V8).
    const x = state;
    if (x < LOW) {
      if (words < end) {
        state = (x << 32) | <u64>load<u32>(words, 0, 1);
        words += 4;
      } else if (compressai) return TRUNCATED;
    }
    store<i32>(out, value);
  }
  return OK;
}

// Decodes `count` symbols with a row (u16) each. rows = 0: rows are made at run time.
function decodeEach(stream: usize, part: usize, out: usize, rows: usize, from: u32, count: u32): i32 {
  const compressai = load<u32>(stream, STREAM_COMPRESSAI) != 0;
  const end = <usize>load<u32>(stream, STREAM_END);
  const table = <usize>load<u32>(part, PART_TABLE);
  const context = load<u32>(part, PART_KIND) == KIND_CONTEXT;
  const records = rows ? <usize>load<u32>(table, TABLE_RECORDS) : 0;
  const buckets = rows ? <usize>load<u32>(table, TABLE_BUCKETS) : 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const slot = <u32>state & 0xffff;
    let value: i32;
    if (rows) {
      const row = <usize>load<u16>(rows + (i << 1));
      const bucket = load<u64>(buckets + (row << (BUCKET_BITS + 3)) + (<usize>(slot >> BUCKET_SHIFT) << 3));
      let freq = <u32>bucket & 0xffff;
      let rest = slot - (<u32>bucket >> 16);
      value = <i32>(<i64>bucket >> 48);
      if (rest >= freq) {
        rest -= freq;
        freq = <u32>(bucket >> 32) & 0xffff;
        value++;
      }
      if (freq == 0) value = searchEntry(stream, slot, records + (row << 4), end, compressai);
      else state = <u64>freq * (state >> 16) + <u64>rest;
    } else {
      value = context ? contextValue(slot) : mixtureValue(part, from + <u32>i, slot);
      const cum = context ? contextFound >> 16 : load<u32>(part, PART_ENTRY_CUM);
      const freq = context ? contextFound & 0xffff : load<u32>(part, PART_ENTRY_FREQ);
      state = <u64>freq * (state >> 16) + <u64>(slot - cum);
      if (cum == ESCAPE_CUM)
        value = takeEscape(stream, load<i32>(part, PART_LOW), load<u32>(part, PART_SIZE), end, compressai);
    }
    if (state < LOW) {
      if (words < end) {
        state = (state << 32) | <u64>load<u32>(words, 0, 1);
        words += 4;
      } else if (compressai) return TRUNCATED;
    }
    store<i32>(out + (i << 2), value);
  }
  return OK;
}

// Finds a symbol that its bucket does not decide: an escape, or a third entry of the bucket.
function searchEntry(stream: usize, slot: u32, record: usize, end: usize, compressai: bool): i32 {
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  const k = findEntry(record, slot);
  const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
  const freq = entry & 0xffff;
  state = <u64>(freq ? freq : 65536) * (state >> 16) + <u64>(slot - (entry >> 16));
  return k == max ? takeEscape(stream, offset, max, end, compressai) : offset + <i32>k;
}

// Reads an escaped value. 0 after an error.
function takeEscape(stream: usize, offset: i32, max: u32, end: usize, compressai: bool): i32 {
  if (!compressai) return readEscape(stream, offset, max);
  // The nibbles follow the renormalisation of this symbol.
  refill(stream, end);
  const count = takeNibble(stream, end);
  let raw: u64 = 0;
  let bad = count > 9;
  for (let j: u64 = 0; j < <u64>count && !bad; j++) raw |= <u64>takeNibble(stream, end) << (j << 2);
  const value = rawToEscape(raw, offset, max);
  // The count must be the least: an encoder never writes a top nibble of 0.
  bad = bad || (count != 0 && raw >> (<u64>(count - 1) << 2) == 0) || raw >> 34 != 0 || value != <i64>(<i32>value);
  return bad ? streamError(stream, CORRUPTED) : <i32>value;
}

function takeNibble(stream: usize, end: usize): u32 {
  const v = <u32>state & 15;
  state >>= 4;
  refill(stream, end);
  return v;
}

// Renormalises CompressAI's state. A missing word is an error.
function refill(stream: usize, end: usize): void {
  if (state >= LOW) return;
  if (words >= end) {
    streamError(stream, TRUNCATED);
    return;
  }
  state = (state << 32) | <u64>load<u32>(words, 0, 1);
  words += 4;
}

/** Makes the checks that follow the last symbol. Returns 0 or a code. */
export function closeSingle(stream: usize): i32 {
  const ended =
    load<u64>(stream, STREAM_STATES) == (load<u32>(stream, STREAM_COMPRESSAI) ? LOW : 0) &&
    load<u32>(stream, STREAM_WORDS) == load<u32>(stream, STREAM_END);
  return ended && load<u32>(stream, STREAM_ESCAPES) == load<u32>(stream, STREAM_ESCAPES_END) ? OK : CORRUPTED;
}

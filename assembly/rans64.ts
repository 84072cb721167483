// One lane with a 64-bit state: the native one-lane stream (docs/format.md section 3.1) and CompressAI's stream (section 4). Both
// share C and D and the renormalisation by 32-bit words; they differ in the start value, in escapes and in how the state is stored.

import { escapeReaderError, escapesRemain, escapeToRaw, rawToEscape, readEscape, writeEscape } from "./escape";
import { ERROR_CORRUPTED, ERROR_OUT_OF_RANGE, ERROR_TRUNCATED } from "./errors";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, TABLE_BUCKETS, TABLE_RECORDS } from "./table";
import { readTile, TILE, tileFor, writeTile } from "./tile";

export const LOW: u64 = 1 << 31;

// State and word pointer of the stream that is being coded; parts64.ts goes on from them, and so does the escape code of CompressAI's stream.
export let state: u64 = 0;
export let words: usize = 0;

// @ts-ignore: decorator
@inline
export function setState(x: u64, p: usize): void {
  state = x;
  words = p;
}

function putNibble(v: u64): void {
  let x = state;
  if (x >= 1 << 59) {
    words -= 4;
    store<u32>(words, <u32>x);
    x >>= 32;
  }
  state = (x << 4) | v;
}

// Backward of what the decoder reads: count nibbles (15 = more follow), then the nibbles of raw, low first.
export function putRaw(raw: u64): void {
  let count: u32 = 0;
  while (raw >> (<u64>count << 2) != 0) count++;
  for (let j = <i32>count - 1; j >= 0; j--) putNibble((raw >> (<u64>j << 2)) & 15);
  // raw < 2^34 has at most 9 nibbles, so the count is always one nibble.
  putNibble(count);
}

/** C for an entry (freq | cum << 16; a freq of 0 is 65536), a word emitted before it where the state is too large. */
// @ts-ignore: decorator
@inline
export function put(entry: u32): void {
  let x = state;
  let freq = <u64>(entry & 0xffff);
  if (freq == 0) freq = 65536;
  if (x >= freq << 47) {
    words -= 4;
    store<u32>(words, <u32>x);
    x >>= 32;
  }
  const q = x / freq;
  state = (q << 16) + (x - q * freq) + <u64>(entry >> 16);
}

/**
 * Codes the n elements of the source (tile.ts) backward; words end at `end`. `run` elements share the row rows[i / run] (u16).
 * Returns the start of state-and-words, or 1 if an element has no symbol. Escapes of the native stream go to the escape writer.
 */
export function encode64(n: u32, rows: usize, run: u32, table: usize, end: usize, compressai: bool): usize {
  const records = <usize>load<u32>(table, TABLE_RECORDS);
  setState(compressai ? LOW : 0, end);
  let row = rows + (<usize>(n / run) << 1);
  let left: u32 = 0;
  let record: usize = 0;
  for (let to = n; to > 0; ) {
    const from = (to - 1) & ~(TILE - 1);
    const symbols = readTile(from, to);
    if (symbols == 0) return 1;
    let p = symbols + (<usize>(to - from) << 2);
    for (let i = to; i > from; ) {
      if (left == 0) {
        left = run;
        row -= 2;
        record = records + (<usize>load<u16>(row) << 4);
      }
      const entries = <usize>load<u32>(record);
      const max = load<u32>(record, 4);
      const offset = load<i32>(record, 8);
      const count = min<u32>(left, i - from);
      left -= count;
      i -= count;
      for (let j: u32 = 0; j < count; j++) {
        p -= 4;
        const value = load<i32>(p);
        let k = <u32>(value - offset);
        if (k >= max) {
          if (compressai) {
            putRaw(escapeToRaw(value, offset, max));
          } else {
            writeEscape(value, offset, max);
          }
          k = max;
        }
        put(load<u32>(entries + (<usize>k << 3)));
      }
    }
    to = from;
  }
  return storeState(state, words, end, compressai);
}

/** Puts the final state before the words [w, end); returns where it begins. */
// @ts-ignore: decorator
@inline
export function storeState(x: u64, w: usize, end: usize, compressai: bool): usize {
  let p = w;
  if (compressai) {
    p -= 8;
    store<u64>(p, x);
    return p;
  }
  let bytes: usize = p == end ? 0 : 5;
  while (bytes < 8 && x >> (<u64>bytes << 3) != 0) bytes++;
  p -= bytes;
  // Byte by byte: a store<u64> would overwrite the first words.
  for (let b: usize = 0; b < bytes; b++) store<u8>(p + b, <u8>(x >> (<u64>b << 3)));
  return p;
}

let nibbleEnd: usize = 0;
export let nibbleError: i32 = 0;

// @ts-ignore: decorator
@inline
export function startNibbles(end: usize): void {
  nibbleEnd = end;
  nibbleError = 0;
}

function takeNibble(): u32 {
  const v = <u32>state & 15;
  state >>= 4;
  if (state < LOW) {
    if (words + 4 > nibbleEnd) {
      nibbleError = ERROR_TRUNCATED;
      return 0;
    }
    state = (state << 32) | <u64>load<u32>(words);
    words += 4;
  }
  return v;
}

// An escape of CompressAI's stream; the state is exchanged through the module's globals because escapes are rare.
export function takeEscape(offset: i32, max: u32): i32 {
  const count = takeNibble();
  if (count > 9) {
    nibbleError = nibbleError ? nibbleError : ERROR_CORRUPTED;
    return 0;
  }
  let raw: u64 = 0;
  for (let j: u64 = 0; j < <u64>count; j++) raw |= <u64>takeNibble() << (j << 2);
  const value = rawToEscape(raw, offset, max);
  // A shorter count would have given the same raw: the encoder never writes a top nibble of 0.
  if ((count != 0 && raw >> (<u64>(count - 1) << 2) == 0) || raw >> 34 != 0 || value != <i64>(<i32>value)) {
    nibbleError = nibbleError ? nibbleError : ERROR_CORRUPTED;
    return 0;
  }
  return <i32>value;
}

/** Reads the first state of state-and-words [p, end) into `state` and `words`. Returns 0 or an error code. */
// @ts-ignore: decorator
@inline
export function loadState(p: usize, end: usize, compressai: bool): i32 {
  const bytes = end - p;
  let x: u64 = 0;
  if (compressai) {
    if (bytes < 8) return ERROR_TRUNCATED;
    if (bytes & 3) return ERROR_CORRUPTED;
    x = load<u64>(p);
    if (x < LOW || x >> 63 != 0) return ERROR_CORRUPTED;
    p += 8;
  } else {
    const stored = bytes <= 8 ? bytes : 5 + ((bytes - 5) & 3);
    for (let b: usize = 0; b < stored; b++) x |= <u64>load<u8>(p + b) << (<u64>b << 3);
    // The least number of bytes, and never fewer than a state after renormalisation needs.
    if (stored > (bytes <= 8 ? <usize>0 : <usize>5) && x >> (<u64>(stored - 1) << 3) == 0) return ERROR_CORRUPTED;
    if (x >> 63 != 0 || (bytes > 8 && x < LOW)) return ERROR_CORRUPTED;
    p += stored;
  }
  state = x;
  words = p;
  return 0;
}

/** Decodes n symbols from state-and-words [p, end) into the target (tile.ts). Returns 0 or an error code. */
export function decode64(p: usize, end: usize, rows: usize, run: u32, table: usize, n: u32, compressai: bool): i32 {
  const records = <usize>load<u32>(table, TABLE_RECORDS);
  const buckets = <usize>load<u32>(table, TABLE_BUCKETS);
  const code = loadState(p, end, compressai);
  if (code) return code;
  // State and words stay in their globals: W1 192 and W2 525 Msym/s; with both in locals 155 and 358, words alone 189 and 430 (V8, Zen 5).
  startNibbles(end);
  let left: u32 = 0;
  let record: usize = 0;
  let rowBuckets: usize = 0;
  // In runs the row's most probable entry is tried first, without a look-up: W2 347 Msym/s against 206.
  let modeFreq: u32 = 0;
  let modeCum: u32 = 0;
  let modeValue: i32 = 0;
  for (let from: u32 = 0; from < n; from += TILE) {
    const to = min<u32>(from + TILE, n);
    let out = tileFor(from);
    for (let i = from; i < to; ) {
      if (left == 0) {
        left = run;
        const index = <usize>load<u16>(rows);
        record = records + (index << 4);
        rowBuckets = buckets + (index << (BUCKET_BITS + 3));
        rows += 2;
        if (run > 1) {
          const mode = load<u32>(record, 12);
          const entry = load<u32>(<usize>load<u32>(record) + (<usize>mode << 3));
          // Not for a row of one entry, which is its own escape.
          modeFreq = load<u32>(record, 4) ? entry & 0xffff : 0;
          modeCum = entry >> 16;
          modeValue = load<i32>(record, 8) + <i32>mode;
        }
      }
      const count = min<u32>(left, to - i);
      left -= count;
      i += count;
      for (let j: u32 = 0; j < count; j++, out += 4) {
        const slot = <u32>state & 0xffff;
        let rest = slot - modeCum;
        let freq = modeFreq;
        let value = modeValue;
        if (rest >= freq) {
          const bucket = load<u64>(rowBuckets + (<usize>(slot >> BUCKET_SHIFT) << 3));
          freq = <u32>bucket & 0xffff;
          rest = slot - (<u32>bucket >> 16);
          value = <i32>(<i64>bucket >> 48);
          if (rest >= freq) {
            rest -= freq;
            freq = <u32>(bucket >> 32) & 0xffff;
            value++;
          }
        }
        if (freq != 0) {
          state = <u64>freq * (state >> 16) + <u64>rest;
        } else {
          const max = load<u32>(record, 4);
          const k = findEntry(record, slot);
          const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
          freq = entry & 0xffff;
          state = <u64>(freq ? freq : 65536) * (state >> 16) + <u64>(slot - (entry >> 16));
          const offset = load<i32>(record, 8);
          value = offset + <i32>k;
          if (k == max) {
            if (!compressai) {
              value = readEscape(offset, max);
            } else {
              // The nibbles come after this symbol's renormalisation.
              if (state < LOW) {
                if (words + 4 > end) return ERROR_TRUNCATED;
                state = (state << 32) | <u64>load<u32>(words);
                words += 4;
              }
              value = takeEscape(offset, max);
              if (nibbleError) return nibbleError;
            }
          }
        }
        if (state < LOW) {
          if (words < end) {
            state = (state << 32) | <u64>load<u32>(words);
            words += 4;
          } else if (compressai) {
            return ERROR_TRUNCATED;
          }
        }
        store<i32>(out, value);
      }
    }
    if (!writeTile(from, to)) return ERROR_OUT_OF_RANGE;
  }
  if (compressai) return state == LOW && words == end ? 0 : ERROR_CORRUPTED;
  if (escapeReaderError()) return escapeReaderError();
  return state == 0 && words == end && !escapesRemain() ? 0 : ERROR_CORRUPTED;
}

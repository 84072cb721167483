// The stream of several parts on one lane with a 64-bit state (docs/format.md sections 3.1 and 4): as parts.ts, the encoder runs through and the
// decoder is resumed. CompressAI's strings are read and written here too when a part comes in pieces.

import { escapeReader, escapeReaderError, escapesRemain, readEscape, startEscapeReader, writeEscape, escapeToRaw } from "./escape";
import { ERROR_CORRUPTED, ERROR_TRUNCATED } from "./errors";
import { entryCum, entryFreq, ESCAPE_CUM, mixtureValue, supportLow, supportSize } from "./mixture";
import { loadState, LOW, nibbleError, put, putRaw, setState, startNibbles, state, storeState, takeEscape, words } from "./rans64";
import { BUCKET_BITS, BUCKET_SHIFT, findEntry, TABLE_BUCKETS, TABLE_RECORDS } from "./table";

let end: usize = 0;
let foreign: bool = false;

// ---- encoding

/** Begins to code backward; words end at `wordsEnd`. `compressai`: its stream, with escapes inside. */
export function parts64EncodeBegin(wordsEnd: usize, compressai: bool): void {
  end = wordsEnd;
  foreign = compressai;
  setState(compressai ? LOW : 0, wordsEnd);
}

/** Codes n symbols backward. `step` 2: a row (u16) each, 0: one row. */
export function parts64Encode(symbols: usize, rows: usize, step: usize, n: u32, table: usize): void {
  const records = <usize>load<u32>(table, TABLE_RECORDS);
  for (let i = n; i > 0; ) {
    i--;
    const record = records + (<usize>load<u16>(rows + <usize>i * step) << 4);
    const value = load<i32>(symbols + (<usize>i << 2));
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    let k = <u32>(value - offset);
    if (k >= max) {
      putEscape(value, offset, max);
      k = max;
    }
    put(load<u32>(<usize>load<u32>(record) + (<usize>k << 3)));
  }
}

// What comes beside the escape's entry: nibbles in CompressAI's stream, a number in a section of its own in the native one.
function putEscape(value: i32, offset: i32, max: u32): void {
  if (foreign) putRaw(escapeToRaw(value, offset, max));
  else writeEscape(value, offset, max);
}

/** The same for entries made at run time (mixture.ts). */
export function parts64EncodeEntries(entries: usize, symbols: usize, n: u32, low: i32, size: u32): void {
  for (let i = n; i > 0; ) {
    i--;
    const entry = load<u32>(entries + (<usize>i << 2));
    if (entry >> 16 == ESCAPE_CUM) putEscape(load<i32>(symbols + (<usize>i << 2)), low, size);
    put(entry);
  }
}

/** Writes the state; returns the start of state-and-words. */
export function parts64EncodeEnd(): usize {
  return storeState(state, words, end, foreign);
}

// ---- decoding

// Layout of a block: u64 state, then u32 each; parts.ts says how many bytes it has.
const WORDS: usize = 8;
const END: usize = 12;
const FOREIGN: usize = 16;
const ESCAPES: usize = 20;
const ESCAPES_END: usize = 24;

function resume(block: usize): void {
  setState(load<u64>(block), <usize>load<u32>(block, WORDS));
  end = <usize>load<u32>(block, END);
  foreign = load<u32>(block, FOREIGN) != 0;
  startNibbles(end);
  startEscapeReader(<usize>load<u32>(block, ESCAPES), <usize>load<u32>(block, ESCAPES_END));
}

function suspend(block: usize): i32 {
  store<u64>(block, state);
  store<u32>(block, <u32>words, WORDS);
  store<u32>(block, <u32>escapeReader(), ESCAPES);
  return escapeReaderError();
}

/** Begins to decode state-and-words [p, wordsEnd), which the escapes up to `escapesEnd` follow. Returns 0 or an error code. */
export function parts64DecodeBegin(block: usize, p: usize, wordsEnd: usize, escapesEnd: usize, compressai: bool): i32 {
  const code = loadState(p, wordsEnd, compressai);
  if (code) return code;
  startEscapeReader(wordsEnd, escapesEnd);
  store<u32>(block, <u32>wordsEnd, END);
  store<u32>(block, u32(compressai), FOREIGN);
  store<u32>(block, <u32>escapesEnd, ESCAPES_END);
  return suspend(block);
}

// False where CompressAI's stream lacks a word.
// @ts-ignore: decorator
@inline
function renormalise(): bool {
  if (state >= LOW) return true;
  if (words >= end) return !foreign;
  setState((state << 32) | <u64>load<u32>(words), words + 4);
  return true;
}

// The value behind the escape's entry, once its symbol is renormalised. 0 after an error.
function takeRaw(low: i32, size: u32): i32 {
  return foreign ? takeEscape(low, size) : readEscape(low, size);
}

/** Decodes the next n symbols. `step` 2: a row (u16) each, 0: one row. Returns 0 or an error code. */
export function parts64Decode(block: usize, out: usize, rows: usize, step: usize, n: u32, table: usize): i32 {
  resume(block);
  const records = <usize>load<u32>(table, TABLE_RECORDS);
  const buckets = <usize>load<u32>(table, TABLE_BUCKETS);
  // The state stays in its global (rans64.ts): 5.1 ns a symbol under a row each and 3.3 in a run, with a local 6.4 and 4.3 (V8, Zen 5).
  // In a run the row's most probable entry is tried first, without a look-up (rans64.ts). A freq of 0 never fits.
  let modeFreq: u32 = 0;
  let modeCum: u32 = 0;
  let modeValue: i32 = 0;
  if (step == 0) {
    const record = records + (<usize>load<u16>(rows) << 4);
    const mode = load<u32>(record, 12);
    const entry = load<u32>(<usize>load<u32>(record) + (<usize>mode << 3));
    // Not for a row of one entry, which is its own escape.
    modeFreq = load<u32>(record, 4) ? entry & 0xffff : 0;
    modeCum = entry >> 16;
    modeValue = load<i32>(record, 8) + <i32>mode;
  }
  for (let i: u32 = 0; i < n; i++) {
    const slot = <u32>state & 0xffff;
    let rest = slot - modeCum;
    let freq = modeFreq;
    let value = modeValue;
    if (rest >= freq) {
      const row = <usize>load<u16>(rows + <usize>i * step);
      const bucket = load<u64>(buckets + (row << (BUCKET_BITS + 3)) + (<usize>(slot >> BUCKET_SHIFT) << 3));
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
      setState(<u64>freq * (state >> 16) + <u64>rest, words);
    } else {
      const record = records + (<usize>load<u16>(rows + <usize>i * step) << 4);
      const max = load<u32>(record, 4);
      const offset = load<i32>(record, 8);
      const k = findEntry(record, slot);
      const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
      freq = entry & 0xffff;
      setState(<u64>(freq ? freq : 65536) * (state >> 16) + <u64>(slot - (entry >> 16)), words);
      value = offset + <i32>k;
      if (k == max) {
        if (foreign && !renormalise()) return ERROR_TRUNCATED;
        value = takeRaw(offset, max);
        if (nibbleError) return nibbleError;
      }
    }
    if (!renormalise()) return ERROR_TRUNCATED;
    store<i32>(out + (<usize>i << 2), value);
  }
  return suspend(block);
}

/** The same under rows made at run time (mixture.ts). */
export function parts64DecodeMixture(block: usize, out: usize, n: u32): i32 {
  resume(block);
  for (let i: u32 = 0; i < n; i++) {
    const slot = <u32>state & 0xffff;
    let value = mixtureValue(i, slot);
    setState(<u64>entryFreq * (state >> 16) + <u64>(slot - entryCum), words);
    if (!renormalise()) return ERROR_TRUNCATED;
    if (entryCum == ESCAPE_CUM) {
      value = takeRaw(supportLow, supportSize);
      if (nibbleError) return nibbleError;
    }
    store<i32>(out + (<usize>i << 2), value);
  }
  return suspend(block);
}

/** The checks behind the last symbol. Returns 0 or an error code. */
export function parts64DecodeEnd(block: usize): i32 {
  resume(block);
  return state == (foreign ? LOW : 0) && words == end && !escapesRemain() ? 0 : ERROR_CORRUPTED;
}

// The stream of several parts on 8, 16 or 32 lanes (docs/format.md section 8.5). An encoder runs without interruption, from the last part to the
// first. A decoder is resumed for each part, and others run between: all that it must remember lies in its block.

import { beginRun, beginTable, decodeScalar, decodeTile, encodeScalar, encodeTile, setWords, takeSymbol, words } from "./coder";
import { escapeReader, escapeReaderError, escapesRemain, startEscapeReader, writeEscape, readEscape } from "./escape";
import { ERROR_CORRUPTED, ERROR_TRUNCATED } from "./errors";
import { entryCum, entryFreq, ESCAPE_CUM, mixtureValue, supportLow, supportSize } from "./mixture";
import { hasTailCode, TAIL_UNIT } from "./rans";
import { packStates, seedBytes, seeds, seedsFromStates, states, statesFromSeeds, unpackStates } from "./states";
import { TABLE_DECODE_WINDOWS, TABLE_ENCODE_WINDOWS } from "./table";
import { TILE } from "./tile";

// ---- encoding

let count: u32 = 0;
let lanes: u32 = 0;
let end: usize = 0;
let coded: u32 = 0;
let tailDone: bool = false;

/** Begins to code n symbols backward; words end at `wordsEnd`. They take at most 2 n bytes and the states at most 144, all below it. */
export function partsEncodeBegin(n: u32, laneCount: u32, wordsEnd: usize): void {
  count = n;
  lanes = laneCount;
  end = wordsEnd;
  coded = 0;
  tailDone = false;
  setWords(wordsEnd);
  store<u32>(states, 0);
}

// Whether the tail is complete, and then the seeds are made. 1: yes, 0: not yet, -1: it cannot be.
function endTail(): i32 {
  if (coded % TAIL_UNIT != 0) return 0;
  const seedsStart = end - seedBytes(lanes);
  if (words > seedsStart || !hasTailCode(coded / TAIL_UNIT)) return coded + TAIL_UNIT >= count ? -1 : 0;
  statesFromSeeds(seedsStart, lanes);
  const extra = seedsStart - words;
  memory.copy(end - extra, words, extra);
  setWords(end - extra);
  tailDone = true;
  return 1;
}

/**
 * Codes `n` symbols backward, of which the first is on lane 0. `step` 2: a row (u16) each, 0: one row. False if the tail cannot fill the seeds.
 */
export function partsEncode(symbols: usize, rows: usize, step: usize, n: u32, table: usize): bool {
  beginTable(table);
  let to = n;
  while (!tailDone && to > 0) {
    const outcome = endTail();
    if (outcome < 0) return false;
    if (outcome > 0) break;
    const taken = min<u32>(TAIL_UNIT - (coded % TAIL_UNIT), to);
    encodeScalar(symbols, rows, step, states, 0, to - taken, to, 0);
    to -= taken;
    coded += taken;
  }
  if (to > 0 && step == 0) beginRun(rows, to, lanes, TABLE_ENCODE_WINDOWS);
  while (to > 0) {
    const from = (to - 1) & ~(TILE - 1);
    encodeTile(symbols + (<usize>from << 2), rows + <usize>from * step, step, to - from, lanes);
    to = from;
  }
  return true;
}

/** The same for `n` entries (freq | cum << 16) that were made at run time (mixture.ts). */
export function partsEncodeEntries(entries: usize, symbols: usize, n: u32, low: i32, size: u32): bool {
  for (let i = n; i > 0; ) {
    if (!tailDone) {
      const outcome = endTail();
      if (outcome < 0) return false;
    }
    i--;
    const entry = load<u32>(entries + (<usize>i << 2));
    const freq = entry & 0xffff;
    const lane = states + (tailDone ? <usize>(i & (lanes - 1)) << 2 : 0);
    if (!tailDone) coded++;
    if (entry >> 16 == ESCAPE_CUM) writeEscape(load<i32>(symbols + (<usize>i << 2)), low, size);
    let x = load<u32>(lane);
    if (x >> 16 >= freq) {
      setWords(words - 2);
      store<u16>(words, <u16>x);
      x >>= 16;
    }
    const q = x / freq;
    store<u32>(lane, (q << 16) + (x - q * freq) + (entry >> 16));
  }
  return true;
}

/** Writes the states; returns the start of states-and-words, or 0 if the tail does not fill the seeds. */
export function partsEncodeEnd(): usize {
  if (!tailDone && endTail() <= 0) return 0;
  return packStates(words, lanes);
}

/** t of docs/format.md section 3.2. */
export function partsTailLength(): u32 {
  return coded / TAIL_UNIT;
}

// ---- decoding

/** Bytes of a block. */
export const BLOCK_BYTES: u32 = 320;
// Layout of a block: 0 states, 128 seeds, then u32 each:
const WORDS: usize = 208;
const END: usize = 212;
const POSITION: usize = 216;
const COUNT: usize = 220;
const CODED: usize = 224;
const LANES: usize = 228;
const TAIL_DONE: usize = 232;
const ESCAPES: usize = 236;
const ESCAPES_END: usize = 240;

function resume(block: usize): void {
  memory.copy(states, block, 128);
  memory.copy(seeds, block + 128, 80);
  setWords(<usize>load<u32>(block, WORDS));
  end = <usize>load<u32>(block, END);
  count = load<u32>(block, COUNT);
  coded = load<u32>(block, CODED);
  lanes = load<u32>(block, LANES);
  tailDone = load<u32>(block, TAIL_DONE) != 0;
  startEscapeReader(<usize>load<u32>(block, ESCAPES), <usize>load<u32>(block, ESCAPES_END));
}

// An error ends a stream, so its flag need not be kept.
function suspend(block: usize): i32 {
  memory.copy(block, states, 128);
  memory.copy(block + 128, seeds, 80);
  store<u32>(block, <u32>words, WORDS);
  store<u32>(block, <u32>end, END);
  store<u32>(block, u32(tailDone), TAIL_DONE);
  store<u32>(block, <u32>escapeReader(), ESCAPES);
  return escapeReaderError();
}

/**
 * Begins to decode n symbols from states-and-words [p, wordsEnd), which the escapes up to `escapesEnd` follow; `units` is the tail's t. Needs 128
 * readable bytes behind `wordsEnd`. Returns 0 or an error code.
 */
export function partsDecodeBegin(block: usize, p: usize, wordsEnd: usize, escapesEnd: usize, laneCount: u32, units: u32, n: u32): i32 {
  if (units == 0 || <u64>units * TAIL_UNIT >= <u64>n) return ERROR_CORRUPTED;
  const w = unpackStates(p, wordsEnd, laneCount);
  if (w == 0) return ERROR_TRUNCATED;
  if (w == 1 || ((wordsEnd - w) & 1) != 0) return ERROR_CORRUPTED;
  setWords(w);
  end = wordsEnd;
  tailDone = false;
  startEscapeReader(wordsEnd, escapesEnd);
  store<u32>(block, <u32>escapesEnd, ESCAPES_END);
  store<u32>(block, 0, POSITION);
  store<u32>(block, n, COUNT);
  store<u32>(block, units * TAIL_UNIT, CODED);
  store<u32>(block, laneCount, LANES);
  return suspend(block);
}

// Takes the word that a state below 2^16 needs, from the words or, behind them, from the seeds.
function renormaliseTail(): void {
  const seedsEnd = seeds + seedBytes(lanes);
  if (words == end && end != seedsEnd) {
    setWords(seeds);
    end = seedsEnd;
  }
  const x = load<u32>(states);
  if (words == end || x >= 0x10000) return;
  store<u32>(states, (x << 16) | <u32>load<u16>(words));
  setWords(words + 2);
}

// The lanes become seeds before the first symbol of the tail. 0 or an error code.
function beginTail(): i32 {
  if (tailDone) return 0;
  if (!seedsFromStates(lanes)) return ERROR_CORRUPTED;
  tailDone = true;
  return 0;
}

/**
 * Decodes the next `n` symbols, of which the first is the one at `origin` within its part or run. `step` 2: a row (u16) each, 0: one row. Not more than
 * remain: the caller counts. Returns 0 or an error code.
 */
export function partsDecode(block: usize, out: usize, rows: usize, step: usize, n: u32, origin: u32, table: usize): i32 {
  resume(block);
  beginTable(table);
  const position = load<u32>(block, POSITION);
  const body = count - coded;
  const inBody = position < body ? min<u32>(n, body - position) : 0;
  const phase = origin & (lanes - 1);
  let i: u32 = 0;
  if (phase) {
    i = min<u32>(lanes - phase, inBody);
    decodeScalar(out, rows, step, states, 0 - phase, 0, i, lanes - 1);
  }
  if (i < inBody && step == 0) beginRun(rows, inBody - i, lanes, TABLE_DECODE_WINDOWS);
  while (i < inBody && words <= end) {
    const taken = min<u32>(TILE, inBody - i);
    decodeTile(out + (<usize>i << 2), rows + <usize>i * step, step, taken, lanes, end);
    i += taken;
  }
  if (words > end) return ERROR_TRUNCATED;
  if (i < n) {
    const code = beginTail();
    if (code) return code;
  }
  for (; i < n; i++) {
    store<i32>(out + (<usize>i << 2), takeSymbol(states, <usize>load<u16>(rows + <usize>i * step)));
    renormaliseTail();
  }
  store<u32>(block, position + n, POSITION);
  return suspend(block);
}

/** The same under rows made at run time (mixture.ts), whose parameters mixtureBegin was told. */
export function partsDecodeMixture(block: usize, out: usize, n: u32, origin: u32): i32 {
  resume(block);
  const position = load<u32>(block, POSITION);
  const body = count - coded;
  for (let i: u32 = 0; i < n; i++) {
    const inBody = position + i < body;
    if (!inBody) {
      const code = beginTail();
      if (code) return code;
    }
    const lane = states + (inBody ? <usize>((origin + i) & (lanes - 1)) << 2 : 0);
    const x = load<u32>(lane);
    let value = mixtureValue(i, x & 0xffff);
    if (entryCum == ESCAPE_CUM) value = readEscape(supportLow, supportSize);
    store<i32>(out + (<usize>i << 2), value);
    store<u32>(lane, entryFreq * (x >> 16) + (x & 0xffff) - entryCum);
    if (!inBody) {
      renormaliseTail();
    } else if (load<u32>(lane) < 0x10000) {
      if (words >= end) return ERROR_TRUNCATED;
      store<u32>(lane, (load<u32>(lane) << 16) | <u32>load<u16>(words));
      setWords(words + 2);
    }
  }
  store<u32>(block, position + n, POSITION);
  return suspend(block);
}

/** The checks behind the last symbol. Returns 0 or an error code. */
export function partsDecodeEnd(block: usize): i32 {
  resume(block);
  const code = beginTail();
  if (code) return code;
  return load<u32>(states) == 0 && words == seeds + seedBytes(lanes) && !escapesRemain() ? 0 : ERROR_CORRUPTED;
}

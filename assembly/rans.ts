// The native stream with 8, 16 or 32 lanes (docs/format.md section 3.2): body and tail of one tensor.

import { beginRun, beginTable, decodeTile, encodeScalar, encodeTile, setWords, splat, takeSymbol, words } from "./coder";
import { escapeReaderError, escapesRemain } from "./escape";
import { ERROR_CORRUPTED, ERROR_OUT_OF_RANGE, ERROR_TRUNCATED } from "./errors";
import { TABLE_DECODE_WINDOWS, TABLE_ENCODE_WINDOWS } from "./table";
import { packStates, seedBytes, seeds, seedsFromStates, states, statesFromSeeds, unpackStates } from "./states";
import { readTile, rowsAddress, TILE, tileFor, writeTile } from "./tile";

// A constant of the format: the tail is a multiple of 32 symbols.
export const TAIL_UNIT: u32 = 32;

// Whether a tail code says t: constants of the format, docs/format.md section 3.2.
export function hasTailCode(t: u32): bool {
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
  beginTable(tableAddress);
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
  setWords(wordsEnd);
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
    setWords(end - extra);
    tailDone = true;
  }
  while (position > 0) {
    // Layout 0 is one run with a row per symbol.
    const first = layout ? ((position - 1) / run) * run : 0;
    const from = first + ((position - 1 - first) & ~(TILE - 1));
    if (from < low) return position;
    if (layout && position == min<u32>(first + run, count - coded)) beginRun(rows + (<usize>(first / run) << 1), run, lanes, TABLE_ENCODE_WINDOWS);
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
    setWords(words + 2);
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
  setWords(unpackStates(p, end, lanes));
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
    if (layout && position == first) beginRun(rows + (<usize>(first / run) << 1), run, lanes, TABLE_DECODE_WINDOWS);
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
        setWords(seeds);
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

// Parts under a context prior: the order of their symbols (docs/format.md section 10.1), the records of a writer, and
// decoding. The active channels' symbols come first, coded with entries of their own. The others follow with the rows
// of the table, or with those that they were given.

import { beginWalk, buildLogistic, contextEntry, walkBytes } from "./context";
import { CONTEXT_ACTIVE, CONTEXT_CHANNELS, CONTEXT_GIVEN_ROWS, CONTEXT_ORDER } from "./context-parameters";
import { CORRUPTED, fail, faultCode, FIELD_AXIS, FIELD_CONTEXT, LIMIT_EXCEEDED, OK, OUT_OF_RANGE, SHAPE_MISMATCH } from "./codes";
import { decodeInterleaved } from "./interleaved";
import { align, allocate, PADDING, release, varintLength } from "./memory";
import { ESCAPE_CUM } from "./mixture";
import {
  KIND_CONTEXT, KIND_ENTRIES, KIND_ROWS, PART_AXIS, PART_BEFORE, PART_BYTES, PART_CONTEXT, PART_COUNT,
  PART_DIMS, PART_ELEMENTS, PART_KIND, PART_RANK, PART_ROWS, PART_RUN, PART_TABLE, PART_TYPE,
  PART_WORK, readRows, readSymbols, symbolsAt, TILE, TYPE_INT32, writeElements,
} from "./part";
import { decodeSingle } from "./single";
import { escapeToRaw } from "./stream";
import { TABLE_RECORDS } from "./table";

/** Most positions of a plane, so that sums of |p| fit 32 bits. A constant of the format. */
const MOST_CELLS: u64 = 1 << 22;

// The shape of a part, as its context sees it. Each exported function here begins with `readShape`, which sets these
// variables. They hold until that function returns; nothing else sets or reads them.
let items: u32 = 0;
let height: u32 = 0;
let width: u32 = 0;
/** Symbols of a channel in an item. */
let cells: u32 = 0;
let channels: u32 = 0;
let active: u32 = 0;
/** From one position to the next in row-major order: 1, or the channels where they come last. */
let stride: u32 = 0;
/** Whether the prior under the context gives each symbol its row. */
let given: bool = false;

// Reads the shape into the variables above. Returns 0 or a code.
function readShape(part: usize): i32 {
  const context = <usize>load<u32>(part, PART_CONTEXT);
  const rank = load<u32>(part, PART_RANK);
  const axis = load<u32>(part, PART_AXIS);
  const dims = part + PART_DIMS;
  channels = load<u32>(context, CONTEXT_CHANNELS);
  active = load<u32>(context, CONTEXT_ACTIVE);
  given = load<u32>(context, CONTEXT_GIVEN_ROWS) != 0;
  const last = rank > 2 && axis + 1 == rank;
  // Dimensions [first, end) are those of the plane.
  const first = last ? rank - 3 : axis + 1;
  const end = last ? axis : rank;
  let area: u64 = 1;
  let before: u64 = 1;
  for (let d = first; d < end; d++) area = min<u64>(area * load<u32>(dims + (<usize>d << 2)), MOST_CELLS + 1);
  const outer = last ? first : axis;
  for (let d: u32 = 0; d < outer; d++) before *= load<u32>(dims + (<usize>d << 2));
  if (load<u32>(dims + (<usize>axis << 2)) != channels) return fail(SHAPE_MISMATCH, FIELD_AXIS);
  if (area > MOST_CELLS) return fail(CORRUPTED, FIELD_CONTEXT);
  // Planes of no items take no memory, whatever their size.
  cells = before ? <u32>area : 0;
  width = cells ? (end > first ? load<u32>(dims + (<usize>(end - 1) << 2)) : 1) : 0;
  height = cells ? cells / width : 0;
  items = cells ? <u32>before : 0;
  stride = last ? channels : 1;
  return OK;
}

// @ts-ignore: decorator
@inline
function activeCount(): u32 {
  return items * cells * active;
}

/** Symbols of a part that its context would code; the limit of a reader counts them. 2^32 - 1: the fault says why not. */
export function contextSymbols(part: usize): u32 {
  return readShape(part) ? 0xffffffff : activeCount();
}

/** Bytes of working memory that a reader needs for a part. */
export function contextBytes(part: usize): u64 {
  if (readShape(part)) return 0;
  const n = <u64>items * cells * channels;
  return walkBytes(<usize>load<u32>(part, PART_CONTEXT), height, width) + (given ? 8 : 6) * n + 1024;
}

/** Where the symbols of the k-th channel of the order begin, in the order of coding. */
function orderedAt(item: u32, k: u32): u32 {
  if (k < active) return (item * active + k) * cells;
  return activeCount() + (item * (channels - active) + k - active) * cells;
}

// Copies symbols between row-major order and the order of coding: elements [from, to) of the part, at `symbols`. `shift`: 2
// for symbols (int32), 1 for rows (u16).
function reorder(part: usize, symbols: usize, ordered: usize, from: u32, to: u32, back: bool, shift: usize): void {
  const order = <usize>load<u32>(<usize>load<u32>(part, PART_CONTEXT), CONTEXT_ORDER);
  const size = cells * channels;
  for (let item = from / size; item < items && item * size < to; item++) {
    for (let k: u32 = 0; k < channels; k++) {
      const c = load<u32>(order + (<usize>k << 2));
      const first = item * size + (stride == 1 ? c * cells : c);
      // Positions of this channel that lie in [from, to).
      let p: u32 = first < from ? (from - first + stride - 1) / stride : 0;
      const end = first < to ? min<u32>(cells, (to - first + stride - 1) / stride) : 0;
      let inside = symbols + (<usize>(first + p * stride - from) << shift);
      let at = ordered + (<usize>(orderedAt(item, k) + p) << shift);
      for (; p < end; p++, at += <usize>1 << shift, inside += <usize>stride << shift) {
        if (shift == 1) store<u16>(at, load<u16>(inside));
        else if (back) store<i32>(inside, load<i32>(at));
        else store<i32>(at, load<i32>(inside));
      }
    }
  }
}

// Puts the given rows (u16) of all symbols into the order of coding. Returns 0 or a code.
function givenRows(part: usize, ordered: usize): i32 {
  const n = items * cells * channels;
  for (let from: u32 = 0; from < n; from += TILE) {
    const to = min<u32>(from + TILE, n);
    const rows = readRows(part, from, to);
    if (rows == 0) return load<i32>(faultCode);
    reorder(part, rows, ordered, from, to, false, 1);
  }
  return OK;
}

// Rows (u16) of the static channels' symbols, in the order of coding, where they belong to channels.
function staticRows(part: usize, rows: usize): void {
  const order = <usize>load<u32>(<usize>load<u32>(part, PART_CONTEXT), CONTEXT_ORDER);
  for (let item: u32 = 0; item < items; item++) {
    for (let k = active; k < channels; k++) {
      const row = <u16>load<u32>(order + (<usize>k << 2));
      for (let p: u32 = 0; p < cells; p++, rows += 2) store<u16>(rows, row);
    }
  }
}

// A part of its own for each of the two groups.
function fillGroup(group: usize, part: usize, kind: u32, count: u32, symbols: usize, rows: usize): void {
  memory.fill(group, 0, PART_BYTES);
  store<u32>(group, kind, PART_KIND);
  store<u32>(group, TYPE_INT32, PART_TYPE);
  store<u32>(group, 1, PART_RUN);
  store<u32>(group, count, PART_COUNT);
  store<u32>(group, load<u32>(part, PART_TABLE), PART_TABLE);
  store<u32>(group, <u32>symbols, PART_ELEMENTS);
  store<u32>(group, <u32>rows, PART_ROWS);
}

// ---- writing

// Code length: the product of the frequencies as mantissa (32 bits) and exponent. `makeEntries` begins both anew for
// each of its two sums, and reads them at its end.
let mantissa: u64 = 0;
let exponent: u64 = 0;

// @ts-ignore: decorator
@inline
function addCost(freq: u32): void {
  const product = mantissa * <u64>freq;
  const shift = 32 - clz<u64>(product);
  mantissa = product >> shift;
  exponent += shift;
}

/**
 * Replaces the record of a complete part by two, those of its groups, and chains them behind `last`. If static rows
 * take fewer bits it leaves the record as it is. `outcome`: the address of the record that is the last one now; 0
 * where the static rows stay. Returns 0 or a code.
 */
export function contextRecords(record: usize, last: usize, outcome: usize): i32 {
  store<u32>(outcome, 0);
  const shape = readShape(record);
  // Planes that are too large have static rows.
  if (shape) return shape == CORRUPTED ? OK : shape;
  const coded = activeCount();
  const others = items * cells * (channels - active);
  if (coded == 0) return OK;
  const entriesRecord = allocate(PART_BYTES + 8 * <u64>coded + 3 * PADDING);
  const rowsRecord = others ? allocate(PART_BYTES + 6 * <u64>others + 3 * PADDING) : 0;
  const n = coded + others;
  // Symbols, given rows, the walk.
  const work = allocate((given ? 6 : 4) * <u64>n + walkBytes(<usize>load<u32>(record, PART_CONTEXT), height, width) + 2 * PADDING);
  if (entriesRecord == 0 || (others != 0 && rowsRecord == 0) || work == 0) {
    release(entriesRecord);
    release(rowsRecord);
    release(work);
    return LIMIT_EXCEEDED;
  }
  for (let from: u32 = 0; from < n; from += TILE) {
    const to = min<u32>(from + TILE, n);
    // The record holds symbols by now, so none of them can fail.
    reorder(record, readSymbols(record, from, to), work, from, to, false, 2);
  }
  const ordered = given ? align(work + (<usize>n << 2)) : 0;
  if (given) givenRows(record, ordered);
  const symbols = entriesRecord + PART_BYTES;
  const entries = align(symbols + (<usize>coded << 2) + PADDING);
  memory.copy(symbols, work, <usize>coded << 2);
  fillGroup(entriesRecord, record, KIND_ENTRIES, coded, symbols, entries);
  if (!makeEntries(record, symbols, entries, coded, ordered, align(given ? ordered + (<usize>n << 1) : work + (<usize>n << 2)))) {
    release(entriesRecord);
    release(rowsRecord);
    release(work);
    return OK;
  }
  store<u32>(entriesRecord, <u32>last, PART_BEFORE);
  store<u32>(outcome, <u32>entriesRecord);
  if (others) {
    const rest = rowsRecord + PART_BYTES;
    const rows = align(rest + (<usize>others << 2) + PADDING);
    memory.copy(rest, work + (<usize>coded << 2), <usize>others << 2);
    fillGroup(rowsRecord, record, KIND_ROWS, others, rest, rows);
    if (given) memory.copy(rows, ordered + (<usize>coded << 1), <usize>others << 1);
    else staticRows(record, rows);
    store<u32>(rowsRecord, <u32>entriesRecord, PART_BEFORE);
    store<u32>(outcome, <u32>rowsRecord);
  }
  release(work);
  return OK;
}

// Makes the entries of all coded symbols, whose given rows are at `rows`. Whether they take fewer bits than the static rows.
function makeEntries(record: usize, symbols: usize, entries: usize, coded: u32, rows: usize, work: usize): bool {
  buildLogistic();
  beginWalk(<usize>load<u32>(record, PART_CONTEXT), height, width, symbols, rows, work);
  mantissa = 1 << 31;
  exponent = 0;
  let escapeBits: u64 = 0;
  for (let i: usize = 0; i < <usize>coded; i++) {
    const value = load<i32>(symbols + (i << 2));
    const entry = contextEntry(value);
    store<u32>(entries + (i << 2), entry);
    addCost(entry & 0xffff);
    if (entry >> 16 == ESCAPE_CUM) escapeBits += 8 * varintLength(escapeToRaw(value, 0, 0));
  }
  const gained = exponent;
  const spent = escapeBits;
  mantissa = 1 << 31;
  exponent = 0;
  escapeBits = 0;
  const records = <usize>load<u32>(<usize>load<u32>(record, PART_TABLE), TABLE_RECORDS);
  const order = <usize>load<u32>(<usize>load<u32>(record, PART_CONTEXT), CONTEXT_ORDER);
  for (let i: u32 = 0; i < coded; i++) {
    const r = given ? <u32>load<u16>(rows + (<usize>i << 1)) : load<u32>(order + (<usize>((i / cells) % active) << 2));
    const row = records + (<usize>r << 4);
    const value = load<i32>(symbols + (<usize>i << 2));
    const max = load<u32>(row, 4);
    const offset = load<i32>(row, 8);
    const u = <u32>(value - offset);
    if (u >= max) escapeBits += 8 * varintLength(escapeToRaw(value, offset, max));
    const freq = load<u32>(<usize>load<u32>(row) + (<usize>min<u32>(u, max) << 3)) & 0xffff;
    addCost(freq ? freq : 65536);
  }
  // Static rows need two bytes in the header to say so. 16 bits a symbol less its share is what it costs.
  return spent + exponent <= escapeBits + gained + 16;
}

// ---- reading

const group: usize = memory.data(192, 16);

/** Decodes a whole part under its context, to elements in place. Returns 0 or a code. */
export function decodeContext(stream: usize, part: usize, lanes: u32): i32 {
  const shape = readShape(part);
  if (shape) return shape;
  const coded = activeCount();
  const n = items * cells * channels;
  const ordered = <usize>load<u32>(part, PART_WORK);
  const rows = align(ordered + (<usize>n << 2) + 64);
  // Given rows are those of all symbols, others those of the static channels.
  const rest = given ? rows + (<usize>coded << 1) : rows;
  let code = given ? givenRows(part, rows) : OK;
  if (code) return code;
  buildLogistic();
  const work = align(rest + (<usize>(n - coded) << 1) + 64);
  beginWalk(<usize>load<u32>(part, PART_CONTEXT), height, width, ordered, given ? rows : 0, work);
  fillGroup(group, part, KIND_CONTEXT, coded, ordered, 0);
  code = decodeGroup(stream, coded, lanes);
  if (code) return code;
  if (!given) staticRows(part, rows);
  fillGroup(group, part, KIND_ROWS, n - coded, ordered + (<usize>coded << 2), rest);
  code = decodeGroup(stream, n - coded, lanes);
  if (code) return code;
  for (let from: u32 = 0; from < n; from += TILE) {
    const to = min<u32>(from + TILE, n);
    reorder(part, symbolsAt(part, from), ordered, from, to, true, 2);
    if (!writeElements(part, from, to)) return OUT_OF_RANGE;
  }
  return OK;
}

function decodeGroup(stream: usize, count: u32, lanes: u32): i32 {
  return lanes == 1 ? decodeSingle(stream, group, 0, count) : decodeInterleaved(stream, group, 0, count);
}

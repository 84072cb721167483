// Writes packets (docs/format.md section 2). Coding begins with the last part, so parts are kept as symbols and rows
// until it is there. The single part of `codec.encode` passes in chunks instead, and is never stored.

import { xxh32 } from "./checksum";
import { contextRecords } from "./context-part";
import { AGAIN, fail, faultCode, FIELD_COUNT, FIELD_PARTS, LIMIT_EXCEEDED, OK } from "./codes";
import {
  checkOfHash, GUARD_COUNT, GUARD_FIRST, GUARD_FULL, GUARD_HASH, GUARD_HASHED, GUARD_NEXT, GUARD_WRITTEN, isGuarded,
  NO_CORRECTION, restoreGuard, saveGuard,
} from "./guard";
import { encodeInterleaved, endTail, LONG_TAIL, TAIL_UNIT, tailCodeOf } from "./interleaved";
import { align, allocate, PADDING, release, room, scratch, writeVarint } from "./memory";
import { mixtureEntries, quantizeMixture } from "./mixture";
import {
  BATCH_OF_ONE, COUNT_SHIFT, FORM_COMPACT, FORM_FULL, FORM_STRING, HAS_CHECK, HAS_ESCAPES, HAS_FINGERPRINT,
  HAS_SECTIONS, HAS_SHAPES, MAGIC_0, MAGIC_1, MOST_ELEMENTS, MOST_PARTS, PARTS_FOLLOW, SECTION_CHECKS,
  SECTION_CORRECTIONS, SECTION_SEVERAL, SECTION_STATIC, SEVERAL, SHAPE_BATCH_OF_ONE, SHAPE_FOLLOWS, STREAM_CODE_SHIFT,
  VERSION,
} from "./packet-header";
import {
  chain, dequantizePart, elementBytes, KIND_CHANNELS, KIND_ENTRIES, KIND_MIXTURE, KIND_ROWS, KIND_SCALES, parametersOf,
  PART_AT_ELEMENTS, PART_AT_OUT, PART_AT_ROWS_OR_SCALES, PART_BEFORE, PART_BYTES, PART_CAPACITY, PART_CONTEXT, PART_COUNT, PART_DIMS,
  PART_ELEMENTS, PART_GUARD, PART_KIND, PART_RANK, PART_ROWS, PART_TYPE, PART_WORK_BYTES, partFingerprint, placeChunk, quantizePart,
  readRows, readSymbols, seedOfPart, stageBytes, stageElements, TILE, TYPE_FLOAT32, TYPE_INT32,
} from "./part";
import { beginSingle, encodeSingle, endSingle } from "./single";
import {
  packStates, STREAM_COMPRESSAI, STREAM_COUNT, STREAM_END, STREAM_ESCAPES, STREAM_ESCAPES_END, STREAM_LANES,
  STREAM_STATES, STREAM_TAIL, STREAM_TAIL_DONE, STREAM_WORDS,
} from "./stream";

// The structure of a writer, docs/abi.md: u32 each. What the host fills in:
export const WRITER_FORM: usize = 0;
export const WRITER_CHECK: usize = 4;
export const WRITER_FINGERPRINT: usize = 8;
export const WRITER_LANES: usize = 12;
export const WRITER_COMPRESSAI: usize = 16;
export const WRITER_GUARD: usize = 24;
// What the host reads there:
export const WRITER_START: usize = 88;
export const WRITER_LENGTH: usize = 92;
export const WRITER_LAST: usize = 96;
// For the module's own use:
const WRITER_PARTS: usize = 100;
const WRITER_COUNT: usize = 104;
const WRITER_HASH: usize = 108;
const WRITER_SEED: usize = 112;
const WRITER_SEED_ONE: usize = 116;
const WRITER_RANK: usize = 120;
const WRITER_DIMS: usize = 124;
const WRITER_SHAPES: usize = 156; // a list
const WRITER_LAST_SHAPE: usize = 168;
const WRITER_CHECKS: usize = 172; // a list
const WRITER_OPEN: usize = 184;
const WRITER_SAVED: usize = 212; // of the guard, before the open part
const WRITER_STAGE: usize = 188; // address and size
const WRITER_PAYLOAD: usize = 196;
const WRITER_HEADROOM: usize = 200;
const WRITER_COUNTED: usize = 204; // there was a sequence; its reader learns the length from the packet
const WRITER_STATIC: usize = 232; // a list: bits of the parts whose context is not used
const WRITER_STATIC_PARTS: usize = 244;
const WRITER_IN_CONTEXT: usize = 248; // symbols of parts under a context
const WRITER_BYTES: usize = 256;

/** Most bytes of one coded symbol: 2 of words and 5 of escape. CompressAI's escapes need 7, too. */
const BYTES_PER_SYMBOL: u64 = 7;
/** A stream with fewer bytes a lane than this is coded again with fewer lanes: their states cost too much of it. */
const BYTES_PER_LANE: usize = 40;

const stream: usize = memory.data(256, 16);
const encoder: usize = memory.data(256, 16);
const savedGuard: usize = memory.data(16, 16);

/**
 * A writer without parts; 0: no memory. With `kept` it lives until freeWriter. Otherwise it is the writer of single
 * tensors, which has no guard.
 */
export function newWriter(kept: bool): usize {
  const writer = kept ? allocate(WRITER_BYTES) : encoder;
  if (writer == 0) return 0;
  for (let at: usize = 0; at < WRITER_BYTES; at += 8) store<u64>(writer + at, 0);
  store<u32>(writer + WRITER_GUARD, NO_CORRECTION, GUARD_NEXT);
  return writer;
}

/** Frees a writer and its blocks. */
export function freeWriter(writer: usize): void {
  release(<usize>load<u32>(writer, WRITER_OPEN));
  freeRecords(<usize>load<u32>(writer, WRITER_LAST), 0);
  release(<usize>load<u32>(writer, WRITER_SHAPES));
  release(<usize>load<u32>(writer, WRITER_CHECKS));
  release(<usize>load<u32>(writer, WRITER_STATIC));
  release(<usize>load<u32>(writer + WRITER_GUARD, GUARD_WRITTEN));
  release(<usize>load<u32>(writer, WRITER_STAGE));
  release(writer);
}

/** Records what the header will say of a complete part. `kept`: there may be others. Returns 0 or a code. */
function countPart(writer: usize, part: usize, count: u32, kept: bool): i32 {
  const guard = writer + WRITER_GUARD;
  const kind = load<u32>(part, PART_KIND);
  const rank = load<u32>(part, PART_RANK);
  const parameters = <u64>count * parametersOf(part);
  if (<u64>load<u32>(writer, WRITER_COUNT) + count > MOST_ELEMENTS || <u64>load<u32>(guard, GUARD_FIRST) + parameters >= 0xffffffff)
    return fail(LIMIT_EXCEEDED, FIELD_COUNT);
  // Room is made for both before either is written, so that a part that fails leaves nothing behind.
  const shape = kept && kind == KIND_CHANNELS ? room(writer + WRITER_SHAPES, 36) : 1;
  const check = load<u32>(guard, GUARD_HASHED) ? room(writer + WRITER_CHECKS, 2) : 1;
  if (shape == 0 || check == 0) return LIMIT_EXCEEDED;
  if (shape > 1) addShape(writer, part, shape);
  if (check > 1) {
    store<u16>(check, <u16>checkOfHash(load<u32>(guard, GUARD_HASH)));
    store<u32>(writer, load<u32>(writer, WRITER_CHECKS + 4) + 2, WRITER_CHECKS + 4);
  }
  const f = partFingerprint(part);
  store<u32>(writer, chain(load<u32>(writer, WRITER_HASH), f), WRITER_HASH);
  if (load<u32>(writer, WRITER_PARTS) == 0) {
    store<u32>(writer, rank, WRITER_RANK);
    for (let d: usize = 0; d < 28; d += 4) store<u32>(writer + d, load<u32>(part + d, PART_DIMS), WRITER_DIMS);
    store<u32>(writer, seedOfPart(0, f, part, count, true), WRITER_SEED_ONE);
  }
  store<u32>(writer, seedOfPart(load<u32>(writer, WRITER_SEED), f, part, count, false), WRITER_SEED);
  store<u32>(writer, load<u32>(writer, WRITER_PARTS) + 1, WRITER_PARTS);
  store<u32>(writer, load<u32>(writer, WRITER_COUNT) + count, WRITER_COUNT);
  store<u32>(guard, load<u32>(guard, GUARD_FIRST) + <u32>parameters, GUARD_FIRST);
  return OK;
}

function addShape(writer: usize, part: usize, at: usize): void {
  const list = writer + WRITER_SHAPES;
  const length = load<u32>(list, 4);
  if (length) {
    const before = <usize>load<u32>(list) + load<u32>(writer, WRITER_LAST_SHAPE);
    store<u8>(before, load<u8>(before) | <u8>SHAPE_FOLLOWS);
  }
  const rank = load<u32>(part, PART_RANK);
  const one: u32 = load<u32>(part, PART_DIMS) == 1 ? 1 : 0;
  store<u8>(at, <u8>(rank | (one ? SHAPE_BATCH_OF_ONE : 0)));
  const end = writeDims(at + 1, part + PART_DIMS, one, rank);
  store<u32>(writer, length, WRITER_LAST_SHAPE);
  store<u32>(list, length + <u32>(end - at), 4);
}

function writeDims(p: usize, dims: usize, from: u32, rank: u32): usize {
  for (let d = from; d < rank; d++) p = writeVarint(p, load<u32>(dims + (<usize>d << 2)));
  return p;
}

// ---- parts that are kept

// Bytes of a stored row: 0 where it follows from the run, 2 for a u16, 4 for an entry of a mixture.
// @ts-ignore: decorator
@inline
function storedRowBytes(kind: u32): u32 {
  return kind == KIND_CHANNELS ? 0 : kind == KIND_MIXTURE ? 4 : 2;
}

/**
 * Begins a part, with room for so many symbols. The host has filled in its settings. PART_COUNT counts the symbols from
 * here on. Returns 0 or a code.
 */
export function openPart(writer: usize, part: usize, capacity: u32): i32 {
  const guard = writer + WRITER_GUARD;
  const mixture = load<u32>(part, PART_KIND) == KIND_MIXTURE;
  store<u32>(part, 0, PART_COUNT);
  store<u32>(part, 0, PART_WORK_BYTES);
  store<u32>(part, <u32>(mixture || isGuarded(guard) || load<u32>(guard, GUARD_HASHED) ? guard : 0), PART_GUARD);
  store<u32>(guard, 0, GUARD_HASH);
  saveGuard(guard, writer + WRITER_SAVED);
  if (load<u32>(writer, WRITER_PARTS) == MOST_PARTS) return fail(LIMIT_EXCEEDED, FIELD_PARTS);
  return growRecord(writer, part, capacity);
}

// Makes room for so many symbols of the open part, in all.
function growRecord(writer: usize, part: usize, capacity: u32): i32 {
  const bytes = elementBytes(load<u32>(part, PART_TYPE));
  const rowBytes = storedRowBytes(load<u32>(part, PART_KIND));
  const record = <usize>load<u32>(writer, WRITER_OPEN);
  const larger = allocate(PART_BYTES + <u64>capacity * (bytes + rowBytes) + 3 * PADDING);
  if (larger == 0) return LIMIT_EXCEEDED;
  store<u32>(larger, capacity, PART_CAPACITY);
  store<u32>(larger, <u32>(larger + PART_BYTES), PART_ELEMENTS);
  store<u32>(larger, <u32>align(larger + PART_BYTES + <usize>capacity * bytes + PADDING), PART_ROWS);
  if (record) {
    const have = <usize>load<u32>(part, PART_COUNT);
    memory.copy(<usize>load<u32>(larger, PART_ELEMENTS), <usize>load<u32>(record, PART_ELEMENTS), have * bytes);
    memory.copy(<usize>load<u32>(larger, PART_ROWS), <usize>load<u32>(record, PART_ROWS), have * rowBytes);
    release(record);
  }
  store<u32>(writer, <u32>larger, WRITER_OPEN);
  return OK;
}

/** Drops an open part. The writer is as it was before. */
export function dropPart(writer: usize): void {
  const guard = writer + WRITER_GUARD;
  release(<usize>load<u32>(writer, WRITER_OPEN));
  store<u32>(writer, 0, WRITER_OPEN);
  restoreGuard(guard, writer + WRITER_SAVED);
}

/**
 * Makes room for `count` more elements of the open part: sets the addresses at which the host puts them, and their
 * scales, means and rows. `keep`: in a block of the writer, so that the addresses stay the same for pieces of one size;
 * otherwise in scratch. Returns 0 or a code.
 */
export function stagePart(writer: usize, part: usize, count: u32, keep: bool): i32 {
  const have = load<u32>(part, PART_COUNT);
  if (<u64>have + count > MOST_ELEMENTS) return fail(LIMIT_EXCEEDED, FIELD_COUNT);
  if (have + count > load<u32>(<usize>load<u32>(writer, WRITER_OPEN), PART_CAPACITY)) {
    const code = growRecord(writer, part, 2 * (have + count));
    if (code) return code;
  }
  const record = <usize>load<u32>(writer, WRITER_OPEN);
  // Corrections take blocks while elements are read, and a new block begins where scratch does.
  const code = stageElements(part, count, true, keep || isGuarded(writer + WRITER_GUARD) ? writer + WRITER_STAGE : 0, 0);
  if (code) return code;
  store<u32>(part, load<u32>(record, PART_ELEMENTS) + have * elementBytes(load<u32>(part, PART_TYPE)), PART_AT_ELEMENTS);
  if (load<u32>(part, PART_KIND) == KIND_ROWS) store<u32>(part, load<u32>(record, PART_ROWS) + have * 2, PART_AT_ROWS_OR_SCALES);
  return OK;
}

/**
 * Adds the `count` elements that the host has put in place. `restore`: writes what a reader will see to PART_AT_OUT, as
 * float32. Returns 0 or a code; after a code none of them counts.
 */
export function writePart(writer: usize, part: usize, count: u32, restore: bool): i32 {
  saveGuard(writer + WRITER_GUARD, savedGuard);
  const code = takeElements(writer, part, count, restore);
  if (code) restoreGuard(writer + WRITER_GUARD, savedGuard);
  return code;
}

function takeElements(writer: usize, part: usize, count: u32, restore: bool): i32 {
  const record = <usize>load<u32>(writer, WRITER_OPEN);
  const from = load<u32>(part, PART_COUNT);
  const kind = load<u32>(part, PART_KIND);
  const guard = <usize>load<u32>(part, PART_GUARD);
  const floats = load<u32>(part, PART_TYPE) == TYPE_FLOAT32;
  const rows = <usize>load<u32>(record, PART_ROWS);
  const hashed = guard != 0 && load<u32>(guard, GUARD_HASHED) != 0;
  placeChunk(part, from);
  if (kind == KIND_MIXTURE) {
    const code = quantizeMixture(part, count);
    if (code) return code;
  }
  for (let at = from; at < from + count; at += TILE) {
    const to = min<u32>(at + TILE, from + count);
    let symbols: usize = 0;
    if (floats) {
      // In place: the record holds symbols from here on.
      symbols = <usize>load<u32>(record, PART_ELEMENTS) + (<usize>at << 2);
      if (!quantizePart(part, at, to, symbols)) return load<i32>(faultCode);
    } else if (restore || kind == KIND_MIXTURE) {
      symbols = readSymbols(part, at, to);
    }
    if (kind == KIND_MIXTURE) {
      mixtureEntries(part, symbols, at - from, to - at, rows + (<usize>at << 2));
    } else if (kind == KIND_SCALES || hashed) {
      const found = readRows(part, at, to);
      if (found == 0) return load<i32>(faultCode);
      if (kind == KIND_SCALES) memory.copy(rows + (<usize>at << 1), found, <usize>(to - at) << 1);
    }
    if (restore) dequantizePart(part, symbols, at, to, <usize>load<u32>(part, PART_AT_OUT) + (<usize>(at - from) << 2));
  }
  if (guard && load<u32>(guard, GUARD_FULL)) return LIMIT_EXCEEDED;
  store<u32>(part, from + count, PART_COUNT);
  return OK;
}

/** Adds the open part to the packet. Returns 0 or a code. */
export function closePart(writer: usize, part: usize): i32 {
  const count = load<u32>(part, PART_COUNT);
  if (load<u32>(part, PART_RANK) == 0) {
    // A sequence has no shape.
    store<u32>(part, 1, PART_RANK);
    store<u32>(part, count, PART_DIMS);
    store<u32>(writer, 1, WRITER_COUNTED);
  }
  const last = load<u32>(writer, WRITER_LAST);
  const record = <usize>load<u32>(writer, WRITER_OPEN);
  const elements = load<u32>(record, PART_ELEMENTS);
  const rows = load<u32>(record, PART_ROWS);
  const kind = load<u32>(part, PART_KIND);
  memory.copy(record, part, PART_BYTES);
  store<u32>(record, elements, PART_ELEMENTS);
  store<u32>(record, rows, PART_ROWS);
  store<u32>(record, kind == KIND_SCALES ? KIND_ROWS : kind == KIND_MIXTURE ? KIND_ENTRIES : kind, PART_KIND);
  if (load<u32>(record, PART_TYPE) == TYPE_FLOAT32) store<u32>(record, TYPE_INT32, PART_TYPE);
  store<u32>(record, 0, PART_GUARD);
  store<u32>(record, last, PART_BEFORE);
  const context = load<u32>(part, PART_CONTEXT) != 0 && load<u32>(writer, WRITER_COMPRESSAI) == 0;
  const number = load<u32>(writer, WRITER_PARTS);
  let code = context ? closeContext(writer, record, number) : OK;
  if (code == OK) {
    code = countPart(writer, part, count, true);
    if (code && load<u32>(replaced)) freeRecords(<usize>load<u32>(replaced), last);
  }
  if (code) return code;
  if (context && load<u32>(replaced)) {
    release(record);
    store<u32>(writer, load<u32>(replaced), WRITER_LAST);
    store<u32>(writer, load<u32>(writer, WRITER_IN_CONTEXT) + count, WRITER_IN_CONTEXT);
  } else {
    store<u32>(writer, <u32>record, WRITER_LAST);
    if (context) {
      const flags = <usize>load<u32>(writer, WRITER_STATIC) + <usize>(number >> 3);
      store<u8>(flags, load<u8>(flags) | <u8>(<u32>1 << (number & 7)));
      store<u32>(writer, load<u32>(writer, WRITER_STATIC_PARTS) + 1, WRITER_STATIC_PARTS);
    }
  }
  store<u32>(writer, 0, WRITER_OPEN);
  return OK;
}

// The last record of a part under its context, in place of the part's own; 0: its static rows take fewer bits.
const replaced: usize = memory.data(4);

// Codes the symbols of a part under its context, and makes room for its flag. Returns 0 or a code.
function closeContext(writer: usize, record: usize, number: u32): i32 {
  const list = writer + WRITER_STATIC;
  while (load<u32>(list, 4) <= number >> 3) {
    const at = room(list, 1);
    if (at == 0) return LIMIT_EXCEEDED;
    store<u8>(at, 0);
    store<u32>(list, load<u32>(list, 4) + 1, 4);
  }
  return contextRecords(record, <usize>load<u32>(writer, WRITER_LAST), replaced);
}

// Frees a chain of records up to `end`.
function freeRecords(record: usize, end: usize): void {
  while (record != end) {
    const before = <usize>load<u32>(record, PART_BEFORE);
    release(record);
    record = before;
  }
}

/**
 * Codes all parts. WRITER_START and WRITER_LENGTH say where the packet is, until the next call. Returns 0 or a code.
 */
export function finishWriter(writer: usize): i32 {
  let code = beginPayload(writer, scratch(payloadBytes(writer)));
  while (code == OK || code == AGAIN) {
    code = OK;
    for (let record = <usize>load<u32>(writer, WRITER_LAST); record != 0 && code == OK; record = <usize>load<u32>(record, PART_BEFORE)) {
      code = encodeStretch(writer, record, 0, load<u32>(record, PART_COUNT));
    }
    if (code == OK) {
      code = endPayload(writer);
      if (code == OK) return OK;
    }
  }
  return code;
}

// ---- a single part that passes in chunks

/**
 * Begins to encode one part of `count` elements, not a mixture. They come in chunks of at most `chunk`, the last chunk
 * first. Sets the addresses at which the host puts each chunk. Returns 0 or a code.
 */
export function beginEncode(writer: usize, part: usize, count: u32, chunk: u32): i32 {
  store<u32>(part, 0, PART_GUARD);
  const code = countPart(writer, part, count, false);
  if (code) return code;
  const size = <usize>stageBytes(part, chunk, false);
  const base = scratch(size + payloadBytes(writer));
  if (base == 0 || stageElements(part, chunk, false, 0, 0)) return LIMIT_EXCEEDED;
  return beginPayload(writer, base + size);
}

/**
 * Codes elements [from, to), which the host has put in place. Returns 0, a code, or AGAIN: the host starts again with
 * the last chunk.
 */
export function encodeChunk(writer: usize, part: usize, from: u32, to: u32): i32 {
  placeChunk(part, from);
  return encodeStretch(writer, part, from, to);
}

/** Ends the packet after the chunk of element 0, as finishWriter does. Or returns AGAIN. */
export function endEncode(writer: usize): i32 {
  return endPayload(writer);
}

// ---- header, stream and check

// The most bytes that the header and what goes before the words can take.
function headroom(writer: usize): u64 {
  const corrections = load<u32>(writer + WRITER_GUARD, GUARD_WRITTEN + 4);
  const flags = load<u32>(writer, WRITER_PARTS) >> 3;
  const lists = <u64>load<u32>(writer, WRITER_SHAPES + 4) + load<u32>(writer, WRITER_CHECKS + 4) + flags + corrections;
  // Numbers and dimensions. The states, at most 144 bytes, use the same room.
  return 2 * (lists + 96) + 256;
}

function payloadBytes(writer: usize): u64 {
  return headroom(writer) + BYTES_PER_SYMBOL * load<u32>(writer, WRITER_COUNT) + 64;
}

function beginPayload(writer: usize, payload: usize): i32 {
  if (payload == 0) return LIMIT_EXCEEDED;
  // Symbols under a context wait for each other: lanes would not help them, and cost bytes.
  const n = load<u32>(writer, WRITER_COUNT) - load<u32>(writer, WRITER_IN_CONTEXT);
  const wanted = load<u32>(writer, WRITER_LANES);
  store<u32>(writer, <u32>payload, WRITER_PAYLOAD);
  store<u32>(writer, <u32>headroom(writer), WRITER_HEADROOM);
  beginStream(
    writer,
    load<u32>(writer, WRITER_COMPRESSAI) ? 1 : wanted ? wanted : n < 2048 ? 1 : n < 8192 ? 8 : n < 65536 ? 16 : 32,
  );
  return OK;
}

function beginStream(writer: usize, lanes: u32): void {
  const compressai = load<u32>(writer, WRITER_COMPRESSAI);
  const n = <usize>load<u32>(writer, WRITER_COUNT);
  const base = <usize>load<u32>(writer, WRITER_PAYLOAD) + load<u32>(writer, WRITER_HEADROOM);
  const end = base + (compressai ? <usize>BYTES_PER_SYMBOL : 2) * n;
  const escapes = base + <usize>BYTES_PER_SYMBOL * n;
  store<u32>(stream, 0, STREAM_STATES);
  store<u32>(stream, 0, STREAM_TAIL_DONE);
  store<u32>(stream, 0, STREAM_TAIL);
  store<u32>(stream, <u32>end, STREAM_WORDS);
  store<u32>(stream, <u32>end, STREAM_END);
  store<u32>(stream, <u32>escapes, STREAM_ESCAPES);
  store<u32>(stream, <u32>escapes, STREAM_ESCAPES_END);
  store<u32>(stream, <u32>n, STREAM_COUNT);
  store<u32>(stream, lanes, STREAM_LANES);
  store<u32>(stream, compressai, STREAM_COMPRESSAI);
  if (lanes == 1) beginSingle(stream, compressai != 0);
}

function fewerLanes(writer: usize): i32 {
  const lanes = load<u32>(stream, STREAM_LANES);
  beginStream(writer, load<u32>(writer, WRITER_LANES) || lanes == 8 ? 1 : lanes >> 1);
  return AGAIN;
}

function encodeStretch(writer: usize, part: usize, from: u32, to: u32): i32 {
  if (load<u32>(stream, STREAM_LANES) == 1) return encodeSingle(stream, part, from, to);
  const code = encodeInterleaved(stream, part, from, to);
  return code == AGAIN ? fewerLanes(writer) : code;
}

function endPayload(writer: usize): i32 {
  const lanes = load<u32>(stream, STREAM_LANES);
  const end = <usize>load<u32>(stream, STREAM_END);
  let start: usize;
  if (lanes == 1) start = endSingle(stream);
  else {
    if (load<u32>(stream, STREAM_TAIL_DONE) == 0 && endTail(stream) <= 0) return fewerLanes(writer);
    start = packStates(stream, <usize>load<u32>(stream, STREAM_WORDS), lanes);
  }
  const escapes = <usize>load<u32>(stream, STREAM_ESCAPES);
  const escapeBytes = <usize>load<u32>(stream, STREAM_ESCAPES_END) - escapes;
  if (lanes > 1 && load<u32>(writer, WRITER_LANES) == 0 && end - start + escapeBytes < BYTES_PER_LANE * lanes)
    return fewerLanes(writer);
  if (escapeBytes) memory.copy(end, escapes, escapeBytes);
  const header = <usize>load<u32>(writer, WRITER_PAYLOAD);
  const length = writeHeader(writer, header, lanes, <u32>escapeBytes) - header;
  const first = start - length;
  memory.copy(first, header, length);
  const stop = end + escapeBytes;
  const check = <usize>load<u32>(writer, WRITER_CHECK);
  if (check) {
    const compact = load<u32>(writer, WRITER_FORM) == FORM_COMPACT;
    const seed = !compact ? 0 : storesNumbers(writer) ? load<u32>(writer, WRITER_SEED) : load<u32>(writer, WRITER_SEED_ONE);
    const sum = xxh32(first, stop - first, seed);
    if (check == 4) store<u32>(stop, sum, 0, 1);
    else store<u16>(stop, <u16>sum, 0, 1);
  }
  store<u32>(writer, <u32>first, WRITER_START);
  store<u32>(writer, <u32>(stop + check - first), WRITER_LENGTH);
  return OK;
}

// Whether the header holds the numbers of parts and symbols: for several parts, and in compact form for a sequence,
// whose length its reader does not know.
function storesNumbers(writer: usize): bool {
  return (
    load<u32>(writer, WRITER_PARTS) != 1 ||
    (load<u32>(writer, WRITER_COUNTED) != 0 && load<u32>(writer, WRITER_FORM) == FORM_COMPACT)
  );
}

// Writes the header, which is all before the stream, in the order of docs/format.md section 2. Returns its end.
function writeHeader(writer: usize, p: usize, lanes: u32, escapeBytes: u32): usize {
  const form = load<u32>(writer, WRITER_FORM);
  if (form == FORM_STRING) return p;
  const full = form == FORM_FULL;
  const guard = writer + WRITER_GUARD;
  const parts = load<u32>(writer, WRITER_PARTS);
  const rank = load<u32>(writer, WRITER_RANK);
  const numbered = storesNumbers(writer);
  const batchOfOne = !numbered && load<u32>(writer, WRITER_DIMS) == 1;
  const fingerprinted = full && load<u32>(writer, WRITER_FINGERPRINT) != 0;
  if (full) {
    let second: u32 = MAGIC_1;
    if (load<u32>(writer, WRITER_CHECK)) second |= HAS_CHECK;
    if (fingerprinted) second |= HAS_FINGERPRINT;
    if (batchOfOne) second |= BATCH_OF_ONE;
    let third = VERSION;
    if (numbered) third |= SEVERAL | (min<u32>(parts, PARTS_FOLLOW) << COUNT_SHIFT);
    else third |= rank << COUNT_SHIFT;
    if (numbered && load<u32>(writer, WRITER_SHAPES + 4)) third |= HAS_SHAPES;
    store<u8>(p, MAGIC_0);
    store<u8>(p, <u8>second, 1);
    store<u8>(p, <u8>third, 2);
    p += 3;
  }

  const corrections = load<u32>(guard, GUARD_COUNT);
  const hasStatic = load<u32>(writer, WRITER_STATIC_PARTS) != 0;
  let sections: u32 = 0;
  if (corrections) sections |= SECTION_CORRECTIONS;
  if (load<u32>(writer, WRITER_CHECKS + 4)) sections |= SECTION_CHECKS;
  if (hasStatic) sections |= SECTION_STATIC;
  if (numbered && !full) sections |= SECTION_SEVERAL;

  const tail = load<u32>(stream, STREAM_TAIL) / TAIL_UNIT;
  const streamCode = lanes > 1 ? tailCodeOf(tail) : load<u32>(writer, WRITER_COMPRESSAI) ? 1 : 0;
  // 8, 16 and 32 lanes are 1, 2 and 3.
  let control = lanes > 1 ? ctz(lanes) - 2 : 0;
  if (sections) control |= HAS_SECTIONS;
  if (escapeBytes) control |= HAS_ESCAPES;
  control |= streamCode << STREAM_CODE_SHIFT;
  store<u8>(p++, <u8>control);
  if (sections) store<u8>(p++, <u8>sections);

  if (fingerprinted) {
    store<u32>(p, load<u32>(writer, WRITER_HASH), 0, 1);
    p += 4;
  }
  if (numbered) {
    if (!full || parts >= PARTS_FOLLOW) p = writeVarint(p, parts);
    p = writeVarint(p, load<u32>(writer, WRITER_COUNT));
    if (full) p = writeList(p, writer + WRITER_SHAPES);
  } else if (full) {
    p = writeDims(p, writer + WRITER_DIMS, batchOfOne ? 1 : 0, rank);
  }
  if (corrections) {
    p = writeVarint(p, corrections);
    p = writeList(p, guard + GUARD_WRITTEN);
  }
  p = writeList(p, writer + WRITER_CHECKS);
  if (hasStatic) p = writeStatic(p, writer + WRITER_STATIC, (parts + 7) >> 3);
  if (lanes > 1 && streamCode == LONG_TAIL) p = writeVarint(p, tail);
  if (escapeBytes) p = writeVarint(p, escapeBytes);
  return p;
}

// Parts behind the last one with a context have no byte in the list.
function writeStatic(p: usize, list: usize, bytes: u32): usize {
  memory.fill(p, 0, bytes);
  memory.copy(p, <usize>load<u32>(list), min<u32>(bytes, load<u32>(list, 4)));
  return p + bytes;
}

function writeList(p: usize, list: usize): usize {
  const length = load<u32>(list, 4);
  if (length) memory.copy(p, <usize>load<u32>(list), length);
  return p + length;
}

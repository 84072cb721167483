// The header of a packet (docs/format.md section 2): its constants, and reading it. A header is checked before memory
// of the size that it names is taken.

import { addToSum, beginSum, endSum, xxh32 } from "./checksum";
import {
  AGAIN, CORRUPTED, fail, failAt, FIELD_CHECK, FIELD_CONTEXT, FIELD_CONTROL, FIELD_CORRECTIONS, FIELD_COUNT, FIELD_ESCAPES,
  FIELD_FILE_HASHES, FIELD_FINGERPRINT, FIELD_HEADER, FIELD_INDEX_CHECKS, FIELD_PARTS, FIELD_SECTIONS, FIELD_SHAPE,
  FIELD_STREAM, FIELD_TAIL, LIMIT_EXCEEDED, NOT_A_PACKET, OK, TRUNCATED, UNSUPPORTED_VERSION,
} from "./codes";
import { GUARD_COUNT, GUARD_NEXT, GUARD_UNREAD, nextCorrection, NO_CORRECTION } from "./guard";
import { LONG_TAIL, MOST_CODED_TAIL, TAIL_UNIT, tailLengthOf } from "./interleaved";
import { allocate, piece, readVarint, release, room, scratch } from "./memory";
import { openSingle } from "./single";
import {
  STREAM_COMPRESSAI, STREAM_COUNT, STREAM_END, STREAM_ESCAPES, STREAM_ESCAPES_END, STREAM_LANES, STREAM_TAIL,
  STREAM_WORDS, unpackStates,
} from "./stream";

// Constants of the format. Bits of the first bytes are in the order of docs/format.md sections 2.1 to 2.3.
export const FORM_FULL: u32 = 0;
export const FORM_COMPACT: u32 = 1;
/** CompressAI's stream alone. */
export const FORM_STRING: u32 = 2;
export const MAGIC_0: u8 = 0x6c;
export const MAGIC_1: u8 = 0x70;
export const HAS_CHECK: u32 = 1;
export const HAS_FINGERPRINT: u32 = 2;
export const BATCH_OF_ONE: u32 = 4;
export const VERSION: u32 = 1;
/** Where the third byte has the rank, or the number of parts. */
export const COUNT_SHIFT: u32 = 3;
/** In place of a number of parts: it is at least 7 and follows. */
export const PARTS_FOLLOW: u32 = 7;
export const SEVERAL: u32 = 64;
export const HAS_SHAPES: u32 = 128;
export const HAS_SECTIONS: u32 = 4;
export const HAS_ESCAPES: u32 = 8;
/** Where the control byte has the tail code, or with one lane which stream it is. */
export const STREAM_CODE_SHIFT: u32 = 4;
export const SECTION_CORRECTIONS: u32 = 1;
export const SECTION_CHECKS: u32 = 2;
export const SECTION_STATIC: u32 = 4;
export const SECTION_HASHES: u32 = 8;
export const SECTION_SEVERAL: u32 = 16;
export const SHAPE_BATCH_OF_ONE: u32 = 8;
export const SHAPE_FOLLOWS: u32 = 16;
export const MOST_ELEMENTS: u32 = 0x7fffffff;
/** So the length of a packet is bounded by its number of symbols, whatever its parts are: docs/format.md section 2.6. */
export const MOST_PARTS: u32 = 65536;
/** Bytes of the file hashes: 255 of them. */
const MOST_HASHES: u32 = 255 * 9;

// The structure of a reader, docs/abi.md: u32 each. What the host fills in:
export const READER_FORM: usize = 0;
/** Bytes of a compact packet's check. */
export const READER_CHECK: usize = 4;
/** The most elements that are accepted. */
export const READER_LIMIT: usize = 8;
/** 1: only the header is read, and a wrong check is no error. */
export const READER_INSPECT: usize = 12;
// What the host reads there:
export const READER_PARTS: usize = 16;
/** Symbols of all parts. In a compact packet of one part 0 until the part begins. */
export const READER_COUNT: usize = 20;
/** Shape of the only part, or the one that nextShape has read. Rank 0: there is none. */
export const READER_RANK: usize = 24;
export const READER_DIMS: usize = 28;
export const READER_SEVERAL: usize = 56;
export const READER_LANES: usize = 60;
export const READER_COMPRESSAI: usize = 64;
export const READER_ESCAPE_BYTES: usize = 68;
export const READER_FINGERPRINTED: usize = 72;
export const READER_FINGERPRINT: usize = 76;
/** The check. 0: none, or compact; 1: valid; 2: wrong. */
export const READER_CHECK_STATE: usize = 80;
export const READER_HEADER_BYTES: usize = 84;
const READER_STREAM_BYTES: usize = 88;
export const READER_CORRECTIONS: usize = 92;
/**
 * Whether the packet has index checks. Then the host puts in a whole part at once, because all its rows are checked
 * before a symbol is decoded. It does so for a mixture, too.
 */
export const READER_CHECKED: usize = 96;
export const READER_PART: usize = 100;
/** Number of symbols of the parts before, and of the present part. */
export const READER_POSITION: usize = 104;
export const READER_DONE: usize = 108;
/** Address at which the host puts the packet. */
export const READER_START: usize = 112;
// For the module's own use:
export const READER_LENGTH: usize = 116;
const READER_TAIL: usize = 120;
const READER_BODY: usize = 124;
const READER_CURSOR: usize = 128;
export const READER_SHAPES: usize = 140; // a cursor
export const READER_CHECKS: usize = 152; // address
export const READER_HASH: usize = 156;
export const READER_SEED: usize = 160;
export const READER_STAGE: usize = 164; // address and size
export const READER_BASE: usize = 172;
const READER_ERROR: usize = 176;
export const READER_SEQUENCE: usize = 180;
/** Address of the static flags, or 0. */
export const READER_STATIC: usize = 184;
/** The most symbols under a context that are still accepted. The host fills it in. */
export const READER_CONTEXT_LIMIT: usize = 188;
export const READER_GUARD: usize = 192;
export const READER_STREAM: usize = 256;
const READER_BYTES: usize = 512;

const decoder: usize = memory.data(512, 16);

/**
 * A reader for packets of at most `length` bytes; 0: no memory. With `kept` it lives until freeReader. Otherwise it is
 * the reader of single tensors, whose packet is in scratch.
 */
export function newReader(length: u32, kept: bool): usize {
  const room = READER_BYTES + <u64>length + 256;
  const reader = kept ? allocate(room) : scratch(room) ? decoder : 0;
  if (reader == 0) return 0;
  memory.fill(reader, 0, READER_BYTES);
  const start = kept ? reader + READER_BYTES : scratch(0);
  store<u32>(reader, <u32>start, READER_START);
  store<u32>(reader, kept ? 0 : <u32>((start + length + 319) & ~63), READER_BASE);
  store<u32>(reader, length, READER_LENGTH);
  return reader;
}

export function freeReader(reader: usize): void {
  release(<usize>load<u32>(reader, READER_STAGE));
  release(reader);
}

// ---- before a packet is copied

/**
 * Judges a packet that is too large to be copied unseen: its check, then the numbers in its first 64 bytes. The host
 * puts one piece after the other at `piece`, of any multiple of 64 bytes, the last one of at least 16. AGAIN: the next
 * one is wanted. `limit`: the most elements that are accepted; in a form that does not say its number, this is the
 * number.
 */
export function judgePacket(bytes: u32, from: u32, length: u32, form: u32, limit: u32): i32 {
  const reader = decoder;
  if (from == 0) {
    const full = form == FORM_FULL;
    if (full) {
      const code = checkMagic(piece, length);
      if (code) return code;
    }
    memory.fill(reader, 0, READER_BYTES);
    store<u32>(reader, <u32>piece + (full ? 3 : 0), READER_CURSOR);
    store<u32>(reader, <u32>piece + bytes, READER_CURSOR + 4);
    store<u32>(reader, 1, READER_PARTS);
    store<u32>(reader, limit, READER_LIMIT);
    store<u32>(reader, limit, READER_COUNT);
    store<u32>(reader, length, READER_LENGTH);
    const flags: u32 = full ? load<u8>(piece, 1) : 0;
    if (form != FORM_STRING)
      store<u32>(reader, (readFront(reader, flags, full ? load<u8>(piece, 2) : 0) >> 8) & SECTION_CORRECTIONS, READER_CORRECTIONS);
    // A fault of the check comes first, so this one is kept.
    if (load<i32>(reader, READER_ERROR) == OK) store<i32>(reader, checkCount(reader), READER_ERROR);
    store<u32>(reader, flags & HAS_CHECK, READER_CHECK_STATE);
    beginSum(0);
  }
  if (load<u32>(reader, READER_CHECK_STATE)) {
    const last = from + bytes == length;
    const end = piece + bytes - (last ? 4 : 0);
    const rest = addToSum(piece, end - piece);
    if (!last) return AGAIN;
    if (endSum(rest, end) != load<u32>(end, 0, 1)) return fail(CORRUPTED, FIELD_CHECK);
  }
  return load<i32>(reader, READER_ERROR);
}

// Compares the number of symbols with the limit, and the length with what docs/format.md section 2.6 says.
function checkCount(reader: usize): i32 {
  const n = load<u32>(reader, READER_COUNT);
  if (n > load<u32>(reader, READER_LIMIT)) return failAt(LIMIT_EXCEEDED, FIELD_COUNT, n, 0);
  const most = 65536 + <u64>n * (load<u32>(reader, READER_CORRECTIONS) ? 56 : 8) + 40 * <u64>load<u32>(reader, READER_PARTS);
  const length = load<u32>(reader, READER_LENGTH);
  return <u64>length > most ? failAt(CORRUPTED, FIELD_COUNT, n, length) : OK;
}

// The first 4 bytes of a full packet, or all, if there are fewer.
function checkMagic(start: usize, length: u32): i32 {
  if (length < 4) return fail(TRUNCATED, FIELD_HEADER);
  if (load<u8>(start) != MAGIC_0 || (load<u8>(start, 1) & 0xf8) != MAGIC_1) return fail(NOT_A_PACKET, FIELD_HEADER);
  const version = <u32>load<u8>(start, 2) & 7;
  return version == VERSION ? OK : failAt(UNSUPPORTED_VERSION, FIELD_HEADER, version, 0);
}

// ---- the header. Fields are read one after the other; READER_ERROR keeps the first failure.

function refuse(reader: usize, code: i32, field: u32): void {
  if (load<i32>(reader, READER_ERROR) == OK) store<i32>(reader, fail(code, field), READER_ERROR);
}

function require(reader: usize, valid: bool, field: u32): void {
  if (!valid) refuse(reader, CORRUPTED, field);
}

// Reads a number of at most 2^31 - 1. 0 on failure.
function number(reader: usize, field: u32): u32 {
  const cursor = reader + READER_CURSOR;
  const value = readVarint(cursor);
  const wrong = load<u32>(cursor, 8);
  if (wrong) refuse(reader, wrong == 1 ? TRUNCATED : CORRUPTED, field);
  require(reader, value <= MOST_ELEMENTS, field);
  return value;
}

// Skips so many bytes. Returns their address.
function skip(reader: usize, bytes: u32, field: u32): usize {
  const at = <usize>load<u32>(reader, READER_CURSOR);
  if (bytes > left(reader)) refuse(reader, TRUNCATED, field);
  else store<u32>(reader, <u32>at + bytes, READER_CURSOR);
  return at;
}

function left(reader: usize): u32 {
  return load<u32>(reader, READER_CURSOR + 4) - load<u32>(reader, READER_CURSOR);
}

/** Reads the header of the packet that the host has put in place. Returns 0 or a code. */
export function openReader(reader: usize): i32 {
  const form = load<u32>(reader, READER_FORM);
  const start = <usize>load<u32>(reader, READER_START);
  const length = load<u32>(reader, READER_LENGTH);
  store<u32>(reader + READER_GUARD, NO_CORRECTION, GUARD_NEXT);
  store<u32>(reader, 1, READER_LANES);
  store<u32>(reader, 1, READER_PARTS);
  store<u32>(reader, <u32>start, READER_CURSOR);
  store<u32>(reader, <u32>start + length, READER_CURSOR + 4);
  store<u32>(reader, form == FORM_STRING ? 1 : 0, READER_COMPRESSAI);
  if (form == FORM_FULL) {
    const code = checkStart(reader, start, length);
    if (code) return code;
    readHeader(reader, load<u8>(start, 1), load<u8>(start, 2));
  } else if (form == FORM_COMPACT) {
    const check = load<u32>(reader, READER_CHECK);
    if (length < 1 + check) return fail(TRUNCATED, FIELD_HEADER);
    store<u32>(reader, <u32>(start + length - check), READER_CURSOR + 4);
    readHeader(reader, 0, 0);
  }
  if (load<i32>(reader, READER_ERROR)) return load<i32>(reader, READER_ERROR);
  store<u32>(reader, load<u32>(reader, READER_CURSOR), READER_BODY);
  store<u32>(reader, left(reader), READER_STREAM_BYTES);
  if (load<u32>(reader, READER_INSPECT)) return OK;
  // A compact packet of one part, or a string, does not say its number of symbols.
  if (form != FORM_FULL && load<u32>(reader, READER_SEVERAL) == 0) return OK;
  const code = checkCount(reader);
  return code ? code : openStream(reader);
}

// Magic, version and check of a full packet.
function checkStart(reader: usize, start: usize, length: u32): i32 {
  const code = checkMagic(start, length);
  if (code) return code;
  store<u32>(reader, <u32>start + 3, READER_CURSOR);
  if ((load<u8>(start, 1) & HAS_CHECK) == 0) return OK;
  if (length < 8) return fail(TRUNCATED, FIELD_CHECK);
  const end = start + length - 4;
  const valid = xxh32(start, length - 4, 0) == load<u32>(end, 0, 1);
  store<u32>(reader, valid ? 1 : 2, READER_CHECK_STATE);
  store<u32>(reader, <u32>end, READER_CURSOR + 4);
  return valid || load<u32>(reader, READER_INSPECT) ? OK : fail(CORRUPTED, FIELD_CHECK);
}

// Reads all up to the number of symbols. `flags` and `third` are the second and third byte of a full packet; 0 for a
// compact one. Returns the control byte, above it the sections byte.
function readFront(reader: usize, flags: u32, third: u32): u32 {
  const compact = third == 0;
  const c = (third >> COUNT_SHIFT) & 7;
  const valid = third & SEVERAL ? !(flags & BATCH_OF_ONE) && c != 1 : c != 0 && !(third & HAS_SHAPES);
  require(reader, compact || valid, FIELD_HEADER);
  const control = <u32>load<u8>(skip(reader, 1, FIELD_CONTROL));
  const code = control >> STREAM_CODE_SHIFT;
  require(reader, control & 3 ? code != 0 : code <= (control & HAS_ESCAPES ? 0 : 1), FIELD_CONTROL);
  let sections: u32 = 0;
  if (control & HAS_SECTIONS) {
    sections = load<u8>(skip(reader, 1, FIELD_SECTIONS));
    require(reader, sections != 0, FIELD_SECTIONS);
    if (sections & 0xe0) refuse(reader, UNSUPPORTED_VERSION, FIELD_SECTIONS);
    require(reader, compact || (sections & SECTION_SEVERAL) == 0, FIELD_SECTIONS);
  }
  const several = ((third & SEVERAL) | (sections & SECTION_SEVERAL)) != 0;
  require(reader, !several || control & 3 || code == 0, FIELD_CONTROL);
  if (flags & HAS_FINGERPRINT) {
    store<u32>(reader, 1, READER_FINGERPRINTED);
    store<u32>(reader, load<u32>(skip(reader, 4, FIELD_FINGERPRINT), 0, 1), READER_FINGERPRINT);
  }
  store<u32>(reader, u32(several), READER_SEVERAL);
  if (several) {
    const parts = compact || c == PARTS_FOLLOW ? number(reader, FIELD_PARTS) : c;
    require(reader, (compact || c < PARTS_FOLLOW || parts >= PARTS_FOLLOW) && parts <= MOST_PARTS, FIELD_PARTS);
    store<u32>(reader, parts, READER_PARTS);
    store<u32>(reader, number(reader, FIELD_COUNT), READER_COUNT);
  } else if (!compact) store<u32>(reader, readDims(reader, c, (flags & BATCH_OF_ONE) != 0), READER_COUNT);
  return control | (sections << 8);
}

function readHeader(reader: usize, flags: u32, third: u32): void {
  const bytes = readFront(reader, flags, third);
  const sections = bytes >> 8;
  store<u32>(reader, load<u32>(reader, READER_CURSOR), READER_SHAPES);
  // Shapes are only checked here and read again by nextShape: there may be as many as the packet has bytes.
  if (third & HAS_SHAPES) while (readShape(reader) & SHAPE_FOLLOWS && load<i32>(reader, READER_ERROR) == OK);
  store<u32>(reader, load<u32>(reader, READER_CURSOR), READER_SHAPES + 4);
  if (sections & SECTION_CORRECTIONS) readCorrections(reader);
  if (sections & SECTION_CHECKS) {
    const parts = load<u32>(reader, READER_PARTS);
    require(reader, parts != 0, FIELD_INDEX_CHECKS);
    store<u32>(reader, 1, READER_CHECKED);
    store<u32>(reader, <u32>skip(reader, parts > left(reader) ? parts : 2 * parts, FIELD_INDEX_CHECKS), READER_CHECKS);
  }
  if (sections & SECTION_STATIC) {
    const parts = load<u32>(reader, READER_PARTS);
    const bytes = (parts + 7) >> 3;
    const at = skip(reader, bytes, FIELD_CONTEXT);
    if (load<i32>(reader, READER_ERROR) == OK) {
      let any: u32 = 0;
      for (let b: usize = 0; b < <usize>bytes; b++) any |= load<u8>(at + b);
      const unused = parts & 7 ? load<u8>(at + bytes - 1) >> <u8>(parts & 7) : 0;
      require(reader, any != 0 && unused == 0, FIELD_CONTEXT);
      store<u32>(reader, <u32>at, READER_STATIC);
    }
  }
  if (sections & SECTION_HASHES) {
    const hashes = number(reader, FIELD_FILE_HASHES);
    require(reader, hashes != 0 && hashes % 9 == 0 && hashes <= MOST_HASHES, FIELD_FILE_HASHES);
    skip(reader, hashes, FIELD_FILE_HASHES);
  }
  store<u32>(reader, load<u32>(reader, READER_CURSOR) - load<u32>(reader, READER_START), READER_HEADER_BYTES);
  readControl(reader, bytes & 0xff);
}

// Reads dimensions into READER_DIMS. Returns their product.
function readDims(reader: usize, rank: u32, batchOfOne: bool): u32 {
  let n: u64 = 1;
  let zero = false;
  store<u32>(reader, rank, READER_RANK);
  for (let d: u32 = 0; d < rank; d++) {
    const size = d == 0 && batchOfOne ? 1 : number(reader, FIELD_SHAPE);
    require(reader, d != 0 || size != 1 || batchOfOne, FIELD_SHAPE);
    store<u32>(reader + (<usize>d << 2), size, READER_DIMS);
    zero = zero || size == 0;
    // A product that is too large is not multiplied further, so it cannot overflow.
    n = min<u64>(n * max<u32>(size, 1), <u64>MOST_ELEMENTS + 1);
  }
  require(reader, rank != 0 && (zero || n <= MOST_ELEMENTS), FIELD_SHAPE);
  return zero ? 0 : <u32>n;
}

// Reads a shape: its first byte and its dimensions. Returns that byte.
function readShape(reader: usize): u32 {
  const code = <u32>load<u8>(skip(reader, 1, FIELD_SHAPE));
  require(reader, code < 2 * SHAPE_FOLLOWS, FIELD_SHAPE);
  readDims(reader, code & 7, (code & SHAPE_BATCH_OF_ONE) != 0);
  return code;
}

/** Reads the next shape of a packet of several parts into READER_RANK and READER_DIMS. Rank 0: there is none left. */
export function nextShape(reader: usize): void {
  store<u32>(reader, 0, READER_RANK);
  if (load<u32>(reader, READER_SHAPES) == load<u32>(reader, READER_SHAPES + 4)) return;
  memory.copy(reader + READER_CURSOR, reader + READER_SHAPES, 12);
  readShape(reader);
  memory.copy(reader + READER_SHAPES, reader + READER_CURSOR, 12);
}

function readCorrections(reader: usize): void {
  const guard = reader + READER_GUARD;
  const count = number(reader, FIELD_CORRECTIONS);
  // Each one takes at least a byte.
  require(reader, count != 0 && count <= left(reader), FIELD_CORRECTIONS);
  store<u32>(guard, load<u32>(reader, READER_CURSOR), GUARD_UNREAD);
  let last: u64 = 0;
  for (let i: u32 = 0; i < count && load<i32>(reader, READER_ERROR) == OK; i++)
    last += <u64>number(reader, FIELD_CORRECTIONS) + 1;
  require(reader, last < NO_CORRECTION, FIELD_CORRECTIONS);
  store<u32>(guard, load<u32>(reader, READER_CURSOR), GUARD_UNREAD + 4);
  store<u32>(guard, count, GUARD_COUNT);
  store<u32>(reader, count, READER_CORRECTIONS);
  if (load<i32>(reader, READER_ERROR) == OK) nextCorrection(guard);
}

// Reads the control byte, and t and E, which come after all sections.
function readControl(reader: usize, control: u32): void {
  const lanes: u32 = (control & 3) == 0 ? 1 : 4 << (control & 3);
  const code = control >> STREAM_CODE_SHIFT;
  store<u32>(reader, lanes, READER_LANES);
  if (lanes == 1) store<u32>(reader, code, READER_COMPRESSAI);
  else {
    const long = code == LONG_TAIL;
    const units = long ? number(reader, FIELD_TAIL) : tailLengthOf(code);
    require(reader, !long || units > MOST_CODED_TAIL, FIELD_TAIL);
    store<u32>(reader, units, READER_TAIL);
  }
  if (control & HAS_ESCAPES) {
    const bytes = number(reader, FIELD_ESCAPES);
    require(reader, bytes != 0, FIELD_ESCAPES);
    if (bytes > left(reader)) refuse(reader, TRUNCATED, FIELD_ESCAPES);
    store<u32>(reader, bytes, READER_ESCAPE_BYTES);
  }
}

export function openStream(reader: usize): i32 {
  const stream = reader + READER_STREAM;
  const body = <usize>load<u32>(reader, READER_BODY);
  const lanes = load<u32>(reader, READER_LANES);
  const escapesEnd = body + load<u32>(reader, READER_STREAM_BYTES);
  const end = escapesEnd - load<u32>(reader, READER_ESCAPE_BYTES);
  store<u32>(stream, <u32>end, STREAM_END);
  store<u32>(stream, <u32>end, STREAM_ESCAPES);
  store<u32>(stream, <u32>escapesEnd, STREAM_ESCAPES_END);
  store<u32>(stream, load<u32>(reader, READER_COUNT), STREAM_COUNT);
  store<u32>(stream, lanes, STREAM_LANES);
  store<u32>(stream, load<u32>(reader, READER_COMPRESSAI), STREAM_COMPRESSAI);
  if (lanes == 1) {
    const code = openSingle(stream, body);
    return code ? fail(code, FIELD_STREAM) : OK;
  }
  const tail = <u64>load<u32>(reader, READER_TAIL) * TAIL_UNIT;
  if (tail >= load<u32>(reader, READER_COUNT)) return fail(CORRUPTED, FIELD_TAIL);
  const words = unpackStates(stream, body, end, lanes);
  if (words <= <usize>CORRUPTED) return fail(<i32>words, FIELD_STREAM);
  if ((end - words) & 1) return fail(CORRUPTED, FIELD_STREAM);
  store<u32>(stream, <u32>tail, STREAM_TAIL);
  store<u32>(stream, <u32>words, STREAM_WORDS);
  return OK;
}

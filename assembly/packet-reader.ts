// Reads packets (docs/format.md section 2): checks a header before anything of the size that it names is allocated,
// then gives back part after part.

import { xxh32 } from "./checksum";
import {
  CORRUPTED, fail, failAt, faultCode, FIELD_AXIS, FIELD_CENTRE, FIELD_CHECK, FIELD_COMPACT_CHECK, FIELD_CONTEXT,
  FIELD_CONTROL, FIELD_CORRECTIONS, FIELD_COUNT, FIELD_ESCAPES, FIELD_FILE_HASHES, FIELD_FINGERPRINT, FIELD_HEADER,
  FIELD_INDEX_CHECKS, FIELD_PARTS, FIELD_SECTIONS, FIELD_SHAPE, FIELD_STEP, FIELD_STREAM, FIELD_TAIL, LIMIT_EXCEEDED,
  MODEL_MISMATCH, NOT_A_PACKET, OK, SHAPE_MISMATCH, TRUNCATED, UNSUPPORTED_VERSION, WRONG_PRIOR,
} from "./codes";
import {
  checkOfHash, GUARD_COUNT, GUARD_FIRST, GUARD_HASH, GUARD_HASHED, GUARD_LIST, GUARD_NEXT, nextCorrection, NO_CORRECTION,
} from "./guard";
import { beginTail, decodeInterleaved, TAIL_UNIT } from "./interleaved";
import { allocate, readVarint, release, scratch } from "./memory";
import { quantizeMixture } from "./mixture";
import {
  BATCH_OF_ONE, FORM_COMPACT, FORM_FULL, FORM_STRING, HAS_CHECK, HAS_ESCAPES, HAS_FINGERPRINT, HAS_SECTIONS, HAS_SHAPES,
  MAGIC_0, MAGIC_1, MOST_ELEMENTS, SECTION_CHECKS, SECTION_CONTEXT, SECTION_CORRECTIONS, SECTION_HASHES,
  SECTION_SEVERAL, seedOfPart, SEVERAL, SHAPE_BATCH_OF_ONE, SHAPE_FOLLOWS, VERSION,
} from "./packet-writer";
import {
  chain, KIND_CHANNELS, KIND_MIXTURE, KIND_ROWS, KIND_SCALES, PART_AXIS, PART_CENTRE, PART_COUNT, PART_GUARD, PART_KIND,
  PART_ROWS, PART_STEP, PART_STORED, parametersOf, partFingerprint, placeChunk, readRows, settingsHash, stageElements,
  stepOfHash, tableHash, TILE,
} from "./part";
import { closeSingle, decodeSingle, openSingle } from "./single";
import {
  seedBytes, STREAM_COMPRESSAI, STREAM_COUNT, STREAM_END, STREAM_ERROR, STREAM_ESCAPES, STREAM_ESCAPES_END,
  STREAM_LANES, STREAM_POSITION, STREAM_SEEDS, STREAM_STATES, STREAM_TAIL, STREAM_TAIL_DONE, STREAM_WORDS, unpackStates,
} from "./stream";

// The structure of a reader, docs/abi.md: u32 each. What the host fills in:
export const READER_FORM: usize = 0;
/** Bytes of a compact packet's check. */
export const READER_CHECK: usize = 4;
/** The most elements that are accepted. */
export const READER_LIMIT: usize = 8;
/** Only the header is wanted; a wrong check is no error. */
export const READER_INSPECT: usize = 12;
// What it finds there:
export const READER_PARTS: usize = 16;
/** Symbols of all parts; of a compact packet of one part 0 until the part begins. */
export const READER_COUNT: usize = 20;
/** Shape of the only part, or the one that nextShape found; rank 0: there is none. */
export const READER_RANK: usize = 24;
export const READER_DIMS: usize = 28;
export const READER_SEVERAL: usize = 56;
export const READER_LANES: usize = 60;
export const READER_COMPRESSAI: usize = 64;
export const READER_ESCAPE_BYTES: usize = 68;
export const READER_FINGERPRINTED: usize = 72;
export const READER_FINGERPRINT: usize = 76;
/** 0: there is none, or it is compact; 1: valid, 2: wrong. */
export const READER_CHECK_STATE: usize = 80;
export const READER_HEADER_BYTES: usize = 84;
const READER_STREAM_BYTES: usize = 88;
export const READER_CORRECTIONS: usize = 92;
/**
 * Whether there are index checks: then a part is staged whole, because its rows are checked before a symbol is decoded.
 * So is a mixture.
 */
export const READER_CHECKED: usize = 96;
export const READER_PART: usize = 100;
/** Symbols of the parts before, and of the present one. */
export const READER_POSITION: usize = 104;
export const READER_DONE: usize = 108;
/** Where the host puts the packet. */
export const READER_START: usize = 112;
// The module's own:
const READER_LENGTH: usize = 116;
const READER_TAIL: usize = 120;
const READER_BODY: usize = 124;
const READER_CURSOR: usize = 128;
const READER_SHAPES: usize = 140; // a cursor
const READER_CHECKS: usize = 152; // address
const READER_HASH: usize = 156;
const READER_SEED: usize = 160;
const READER_STAGE: usize = 164; // address and size
const READER_BASE: usize = 172;
const READER_ERROR: usize = 176;
const READER_SEQUENCE: usize = 180;
const READER_GUARD: usize = 192;
const READER_STREAM: usize = 256;
const READER_BYTES: usize = 512;

const decoder: usize = memory.data(512, 16);

/**
 * A reader of packets of at most `length` bytes, or 0. `kept`: until freeReader; otherwise the reader of single
 * tensors, whose packet is scratch.
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

/** Judges the first bytes of a full packet, four or all there are, before the rest is copied. Returns 0 or a code. */
export function checkMagic(start: usize, length: u32): i32 {
  if (length < 4) return fail(TRUNCATED, FIELD_HEADER);
  if (load<u8>(start) != MAGIC_0 || (load<u8>(start, 1) & 0xf8) != MAGIC_1) return fail(NOT_A_PACKET, FIELD_HEADER);
  const version = <u32>load<u8>(start, 2) & 7;
  return version == VERSION ? OK : failAt(UNSUPPORTED_VERSION, FIELD_HEADER, version, 0);
}

// ---- the header: fields are read one after the other, and the first thing that is wrong is kept in READER_ERROR

function refuse(reader: usize, code: i32, field: u32): void {
  if (load<i32>(reader, READER_ERROR) == OK) store<i32>(reader, fail(code, field), READER_ERROR);
}

function require(reader: usize, valid: bool, field: u32): void {
  if (!valid) refuse(reader, CORRUPTED, field);
}

// A number of at most 2^31 - 1; 0 where there is none.
function number(reader: usize, field: u32): u32 {
  const cursor = reader + READER_CURSOR;
  const value = readVarint(cursor);
  const wrong = load<u32>(cursor, 8);
  if (wrong) refuse(reader, wrong == 1 ? TRUNCATED : CORRUPTED, field);
  require(reader, value <= MOST_ELEMENTS, field);
  return value;
}

// Goes on by so many bytes; returns where they begin.
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
  const n = load<u32>(reader, READER_COUNT);
  if (n > load<u32>(reader, READER_LIMIT)) return failAt(LIMIT_EXCEEDED, FIELD_COUNT, n, 0);
  // One part in compact form, or a string: its number of symbols is still unknown.
  return form == FORM_FULL || load<u32>(reader, READER_SEVERAL) ? openStream(reader) : OK;
}

// Magic, version and check of a full packet.
function checkStart(reader: usize, start: usize, length: u32): i32 {
  const code = checkMagic(start, length);
  if (code) return code;
  store<u32>(reader, <u32>start + 3, READER_CURSOR);
  if ((load<u8>(start, 1) & HAS_CHECK) == 0) return OK;
  if (length < 8) return fail(TRUNCATED, FIELD_CHECK);
  const end = start + length - 4;
  const valid = xxh32(start, length - 4, 0) == load<u32>(end);
  store<u32>(reader, valid ? 1 : 2, READER_CHECK_STATE);
  store<u32>(reader, <u32>end, READER_CURSOR + 4);
  return valid || load<u32>(reader, READER_INSPECT) ? OK : fail(CORRUPTED, FIELD_CHECK);
}

// `flags` and `third` are the second and third byte of a full packet, 0 of a compact one.
function readHeader(reader: usize, flags: u32, third: u32): void {
  const compact = third == 0;
  const c = (third >> 3) & 7;
  const valid = third & SEVERAL ? !(flags & BATCH_OF_ONE) && c != 1 : c != 0 && !(third & HAS_SHAPES);
  require(reader, compact || valid, FIELD_HEADER);
  const control = <u32>load<u8>(skip(reader, 1, FIELD_CONTROL));
  const code = control >> 4;
  require(reader, control & 3 ? code != 0 : code <= (control & HAS_ESCAPES ? 0 : 1), FIELD_CONTROL);
  let sections: u32 = 0;
  if (control & HAS_SECTIONS) {
    sections = load<u8>(skip(reader, 1, FIELD_SECTIONS));
    require(reader, sections != 0, FIELD_SECTIONS);
    if (sections & SECTION_CONTEXT) refuse(reader, UNSUPPORTED_VERSION, FIELD_CONTEXT);
    if (sections & 0xe0) refuse(reader, UNSUPPORTED_VERSION, FIELD_SECTIONS);
    require(reader, compact || (sections & SECTION_SEVERAL) == 0, FIELD_SECTIONS);
  }
  const several = ((third & SEVERAL) | (sections & SECTION_SEVERAL)) != 0;
  require(reader, !several || control & 3 || code == 0, FIELD_CONTROL);
  if (flags & HAS_FINGERPRINT) {
    store<u32>(reader, 1, READER_FINGERPRINTED);
    store<u32>(reader, load<u32>(skip(reader, 4, FIELD_FINGERPRINT)), READER_FINGERPRINT);
  }
  store<u32>(reader, u32(several), READER_SEVERAL);
  if (several) {
    const parts = compact || c == 7 ? number(reader, FIELD_PARTS) : c;
    require(reader, compact || c < 7 || parts >= 7, FIELD_PARTS);
    store<u32>(reader, parts, READER_PARTS);
    store<u32>(reader, number(reader, FIELD_COUNT), READER_COUNT);
  } else if (!compact) store<u32>(reader, readDims(reader, c, (flags & BATCH_OF_ONE) != 0), READER_COUNT);
  store<u32>(reader, load<u32>(reader, READER_CURSOR), READER_SHAPES);
  // Shapes are read again one by one: there may be as many as the packet has bytes.
  if (third & HAS_SHAPES) while (readShape(reader) & SHAPE_FOLLOWS && load<i32>(reader, READER_ERROR) == OK);
  store<u32>(reader, load<u32>(reader, READER_CURSOR), READER_SHAPES + 4);
  if (sections & SECTION_CORRECTIONS) readCorrections(reader);
  if (sections & SECTION_CHECKS) {
    const parts = load<u32>(reader, READER_PARTS);
    require(reader, parts != 0, FIELD_INDEX_CHECKS);
    store<u32>(reader, 1, READER_CHECKED);
    store<u32>(reader, <u32>skip(reader, parts > left(reader) ? parts : 2 * parts, FIELD_INDEX_CHECKS), READER_CHECKS);
  }
  if (sections & SECTION_HASHES) {
    const bytes = number(reader, FIELD_FILE_HASHES);
    require(reader, bytes != 0 && bytes % 9 == 0, FIELD_FILE_HASHES);
    skip(reader, bytes, FIELD_FILE_HASHES);
  }
  store<u32>(reader, load<u32>(reader, READER_CURSOR) - load<u32>(reader, READER_START), READER_HEADER_BYTES);
  readControl(reader, control);
}

// Dimensions to READER_DIMS; returns their product.
function readDims(reader: usize, rank: u32, batchOfOne: bool): u32 {
  let n: u64 = 1;
  let zero = false;
  store<u32>(reader, rank, READER_RANK);
  for (let d: u32 = 0; d < rank; d++) {
    const size = d == 0 && batchOfOne ? 1 : number(reader, FIELD_SHAPE);
    require(reader, d != 0 || size != 1 || batchOfOne, FIELD_SHAPE);
    store<u32>(reader + (<usize>d << 2), size, READER_DIMS);
    zero = zero || size == 0;
    // A product that is too large stays so, without overflow.
    n = min<u64>(n * max<u32>(size, 1), <u64>MOST_ELEMENTS + 1);
  }
  require(reader, rank != 0 && (zero || n <= MOST_ELEMENTS), FIELD_SHAPE);
  return zero ? 0 : <u32>n;
}

// A shape's first byte and its dimensions; returns that byte.
function readShape(reader: usize): u32 {
  const code = <u32>load<u8>(skip(reader, 1, FIELD_SHAPE));
  require(reader, code < 2 * SHAPE_FOLLOWS, FIELD_SHAPE);
  readDims(reader, code & 7, (code & SHAPE_BATCH_OF_ONE) != 0);
  return code;
}

/** The next shape of a packet of several parts, to READER_RANK and READER_DIMS; rank 0 behind the last one. */
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
  // Each takes at least a byte.
  require(reader, count != 0 && count <= left(reader), FIELD_CORRECTIONS);
  store<u32>(guard, load<u32>(reader, READER_CURSOR), GUARD_LIST);
  let last: u64 = 0;
  for (let i: u32 = 0; i < count && load<i32>(reader, READER_ERROR) == OK; i++)
    last += <u64>number(reader, FIELD_CORRECTIONS) + 1;
  require(reader, last < NO_CORRECTION, FIELD_CORRECTIONS);
  store<u32>(guard, load<u32>(reader, READER_CURSOR), GUARD_LIST + 4);
  store<u32>(guard, count, GUARD_COUNT);
  store<u32>(reader, count, READER_CORRECTIONS);
  if (load<i32>(reader, READER_ERROR) == OK) nextCorrection(guard);
}

// The control byte, and t and E, which stand behind all sections.
function readControl(reader: usize, control: u32): void {
  const lanes: u32 = (control & 3) == 0 ? 1 : 4 << (control & 3);
  const code = control >> 4;
  store<u32>(reader, lanes, READER_LANES);
  if (lanes == 1) store<u32>(reader, code, READER_COMPRESSAI);
  else {
    let t: u32 = code <= 8 ? 2 * code : code <= 10 ? 4 * (code - 4) : code <= 13 ? 8 * (code - 7) : 64;
    if (code == 15) {
      t = number(reader, FIELD_TAIL);
      require(reader, t > 64, FIELD_TAIL);
    }
    store<u32>(reader, t, READER_TAIL);
  }
  if (control & HAS_ESCAPES) {
    const bytes = number(reader, FIELD_ESCAPES);
    require(reader, bytes != 0, FIELD_ESCAPES);
    if (bytes > left(reader)) refuse(reader, TRUNCATED, FIELD_ESCAPES);
    store<u32>(reader, bytes, READER_ESCAPE_BYTES);
  }
}

function openStream(reader: usize): i32 {
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

// ---- parts

/**
 * Begins the next part, whose settings and, but for a sequence, number of symbols the host has filled in. Returns 0 or
 * a code.
 */
export function beginPart(reader: usize, part: usize, sequence: bool): i32 {
  const guard = reader + READER_GUARD;
  const n: u32 = sequence ? 0 : load<u32>(part, PART_COUNT);
  const count = load<u32>(reader, READER_COUNT);
  const several = load<u32>(reader, READER_SEVERAL) != 0;
  const unknown = !several && load<u32>(reader, READER_FORM) != FORM_FULL;
  // A value of 2^32 - 1: a further part was asked for.
  if (load<u32>(reader, READER_PART) >= load<u32>(reader, READER_PARTS))
    return failAt(SHAPE_MISMATCH, FIELD_PARTS, load<u32>(reader, READER_PARTS), 0xffffffff);
  if (n > load<u32>(reader, READER_LIMIT)) return failAt(LIMIT_EXCEEDED, FIELD_COUNT, n, 0);
  // The length of a tensor in compact form is not stored.
  if (unknown && sequence && load<u32>(reader, READER_FORM) == FORM_COMPACT) return fail(SHAPE_MISMATCH, FIELD_TAIL);
  if (unknown) store<u32>(reader, sequence ? load<u32>(reader, READER_LIMIT) : n, READER_COUNT);
  else if (!sequence && (several ? n > count - load<u32>(reader, READER_POSITION) : n != count))
    return failAt(SHAPE_MISMATCH, FIELD_COUNT, count - load<u32>(reader, READER_POSITION), n);
  if (!several) {
    const f = partFingerprint(part);
    if (load<u32>(reader, READER_FINGERPRINTED) && load<u32>(reader, READER_FINGERPRINT) != f)
      return failPrior(reader, part);
    if (load<u32>(reader, READER_FORM) == FORM_COMPACT && !fitsCheck(reader, seedOfPart(0, f, part, n, true)))
      return fail(CORRUPTED, FIELD_COMPACT_CHECK);
    if (unknown) {
      const code = openStream(reader);
      if (code) return code;
    }
  }
  store<u32>(reader, 0, READER_DONE);
  store<u32>(guard, 0, GUARD_HASH);
  store<u32>(guard, load<u32>(reader, READER_CHECKED), GUARD_HASHED);
  store<u32>(reader, u32(sequence), READER_SEQUENCE);
  store<u32>(part, 0, PART_STORED);
  const guarded =
    load<u32>(part, PART_KIND) == KIND_MIXTURE ||
    load<u32>(reader, READER_CHECKED) != 0 ||
    load<u32>(guard, GUARD_NEXT) != NO_CORRECTION;
  store<u32>(part, guarded ? <u32>guard : 0, PART_GUARD);
  return OK;
}

// Says what differs, as far as the fingerprint of one part can tell: docs/format.md section 8.1.
function failPrior(reader: usize, part: usize): i32 {
  const hash = load<u32>(reader, READER_FINGERPRINT) ^ tableHash(part);
  const kind = load<u32>(part, PART_KIND);
  const axis = load<u32>(part, PART_AXIS);
  const centre = load<u32>(part, PART_CENTRE);
  for (let i: u32 = 0; i < 21; i++) {
    const a = i % 7;
    const c = i / 7;
    if (settingsHash(kind, c, a, load<u32>(part, PART_STEP)) == hash)
      return failAt(WRONG_PRIOR, a != axis ? FIELD_AXIS : FIELD_CENTRE, a != axis ? a : c, 0);
  }
  // The packet's step, if the tables are the same. If they are not it is a number that nobody would choose: the host
  // judges.
  return failAt(WRONG_PRIOR, FIELD_STEP, 0, stepOfHash(hash, kind, centre, axis));
}

function fitsCheck(reader: usize, seed: u32): bool {
  const check = load<u32>(reader, READER_CHECK);
  const start = <usize>load<u32>(reader, READER_START);
  const end = start + load<u32>(reader, READER_LENGTH) - check;
  if (check == 0) return true;
  const sum = xxh32(start, end - start, seed);
  return check == 4 ? load<u32>(end) == sum : <u32>load<u16>(end) == (sum & 0xffff);
}

/**
 * Room for `count` elements, as stagePart of a writer; PART_AT_ELEMENTS is where they come out. Returns 0 or a code.
 */
export function stageRead(reader: usize, part: usize, count: u32, keep: bool): i32 {
  const base = <usize>load<u32>(reader, READER_BASE);
  // Rows that are checked before a symbol is decoded lie first.
  const rows: usize =
    load<u32>(reader, READER_CHECKED) && load<u32>(part, PART_KIND) == KIND_SCALES && !keep
      ? (2 * <usize>count + 319) & ~63
      : 0;
  const before = base ? base - scratch(0) : 0;
  if (2 * <u64>count > 0xf0000000) return fail(LIMIT_EXCEEDED, FIELD_COUNT);
  const code = stageElements(part, count, false, keep ? reader + READER_STAGE : 0, before + rows);
  store<u32>(part, rows ? <u32>(scratch(0) + before) : 0, PART_STORED);
  return code;
}

/**
 * Decodes the next `count` elements of the part, whose scales and means the host has put in place. Returns 0 or a code.
 */
export function readPart(reader: usize, part: usize, count: u32): i32 {
  const stream = reader + READER_STREAM;
  const from = load<u32>(reader, READER_DONE);
  const kind = load<u32>(part, PART_KIND);
  const guard = load<u32>(part, PART_GUARD);
  const ahead = <u64>load<u32>(reader, READER_POSITION) + from + count;
  if (ahead > load<u32>(reader, READER_COUNT))
    return failAt(SHAPE_MISMATCH, FIELD_COUNT, load<u32>(reader, READER_COUNT) - load<u32>(reader, READER_POSITION), from + count);
  if (<u64>from + count > load<u32>(reader, READER_LIMIT)) return failAt(LIMIT_EXCEEDED, FIELD_COUNT, from + count, 0);
  placeChunk(part, from);
  let code = kind == KIND_MIXTURE ? quantizeMixture(part, count) : OK;
  if (code) return code;
  if (load<u32>(reader, READER_CHECKED) && load<u32>(reader, READER_SEQUENCE) == 0) {
    code = checkRows(reader, part, count);
    if (code) return code;
    // The rows are known: scales are not looked at again, and nothing feeds the check twice.
    store<u32>(part, 0, PART_GUARD);
    if (kind == KIND_SCALES) {
      store<u32>(part, KIND_ROWS, PART_KIND);
      store<u32>(part, load<u32>(part, PART_STORED), PART_ROWS);
    }
  }
  code = load<u32>(reader, READER_LANES) == 1
    ? decodeSingle(stream, part, from, from + count)
    : decodeInterleaved(stream, part, from, from + count);
  store<u32>(part, kind, PART_KIND);
  store<u32>(part, guard, PART_GUARD);
  store<u32>(reader, from + count, READER_DONE);
  // The reader's own findings; what an element's or a scale's failure is has been said.
  return code == TRUNCATED || code == CORRUPTED ? fail(code, FIELD_STREAM) : code;
}

// Before a symbol is decoded: all rows of the part, compared with the index check.
function checkRows(reader: usize, part: usize, count: u32): i32 {
  const stored = <usize>load<u32>(part, PART_STORED);
  if (load<u32>(part, PART_KIND) != KIND_MIXTURE) {
    for (let at: u32 = 0; at < count; at += TILE) {
      const to = min<u32>(at + TILE, count);
      const rows = readRows(part, at, to);
      if (rows == 0) return load<i32>(faultCode);
      if (stored) memory.copy(stored + (<usize>at << 1), rows, <usize>(to - at) << 1);
    }
  }
  return compareCheck(reader);
}

function compareCheck(reader: usize): i32 {
  const number = load<u32>(reader, READER_PART);
  const check = <u32>load<u16>(<usize>load<u32>(reader, READER_CHECKS) + (<usize>number << 1));
  return check == checkOfHash(load<u32>(reader + READER_GUARD, GUARD_HASH)) ? OK : failAt(MODEL_MISMATCH, FIELD_INDEX_CHECKS, number, 0);
}

/** Ends a part, of which all symbols have been read. Returns 0 or a code. */
export function endPart(reader: usize, part: usize, sequence: bool): i32 {
  const guard = reader + READER_GUARD;
  const n = load<u32>(reader, READER_DONE);
  // An empty part has no rows that readPart could check.
  if (load<u32>(reader, READER_CHECKED) && (sequence || n == 0)) {
    const code = compareCheck(reader);
    if (code) return code;
  }
  const first = <u64>load<u32>(guard, GUARD_FIRST) + <u64>n * parametersOf(part);
  const next = load<u32>(guard, GUARD_NEXT);
  if (next != NO_CORRECTION && <u64>next < first) return failAt(CORRUPTED, FIELD_CORRECTIONS, next, 0);
  const f = partFingerprint(part);
  store<u32>(guard, first < NO_CORRECTION ? <u32>first : NO_CORRECTION, GUARD_FIRST);
  store<u32>(reader, chain(load<u32>(reader, READER_HASH), f), READER_HASH);
  store<u32>(reader, seedOfPart(load<u32>(reader, READER_SEED), f, part, n, false), READER_SEED);
  store<u32>(reader, load<u32>(reader, READER_PART) + 1, READER_PART);
  store<u32>(reader, load<u32>(reader, READER_POSITION) + n, READER_POSITION);
  store<u32>(reader, 0, READER_DONE);
  // Of a string only its end says how long it is.
  if (load<u32>(reader, READER_FORM) == FORM_STRING) store<u32>(reader, n, READER_COUNT);
  return OK;
}

/** The checks behind the last part. Returns 0 or a code. */
export function finishReader(reader: usize): i32 {
  const stream = reader + READER_STREAM;
  const several = load<u32>(reader, READER_SEVERAL) != 0;
  const parts = load<u32>(reader, READER_PARTS);
  if (load<u32>(reader, READER_PART) < parts)
    return failAt(SHAPE_MISMATCH, FIELD_PARTS, parts, load<u32>(reader, READER_PART));
  const count = load<u32>(reader, READER_COUNT);
  if (load<u32>(reader, READER_POSITION) < count)
    return failAt(SHAPE_MISMATCH, FIELD_COUNT, count - load<u32>(reader, READER_POSITION), 0);
  if (several) {
    if (load<u32>(reader, READER_FINGERPRINTED) && load<u32>(reader, READER_FINGERPRINT) != load<u32>(reader, READER_HASH))
      return fail(WRONG_PRIOR, FIELD_PARTS);
    if (load<u32>(reader, READER_FORM) == FORM_COMPACT && !fitsCheck(reader, load<u32>(reader, READER_SEED)))
      return fail(CORRUPTED, FIELD_COMPACT_CHECK);
    if (load<u32>(reader, READER_SHAPES) != load<u32>(reader, READER_SHAPES + 4))
      return fail(SHAPE_MISMATCH, FIELD_SHAPE);
  }
  if (load<u32>(reader + READER_GUARD, GUARD_NEXT) != NO_CORRECTION) return fail(CORRUPTED, FIELD_CORRECTIONS);
  const lanes = load<u32>(reader, READER_LANES);
  let code = load<i32>(stream, STREAM_ERROR);
  if (code == OK && lanes == 1) code = closeSingle(stream);
  else if (code == OK) {
    code = beginTail(stream);
    const seedsEnd = stream + STREAM_SEEDS + seedBytes(lanes);
    const ended =
      load<u32>(stream, STREAM_STATES) == 0 &&
      <usize>load<u32>(stream, STREAM_WORDS) == seedsEnd &&
      load<u32>(stream, STREAM_ESCAPES) == load<u32>(stream, STREAM_ESCAPES_END);
    if (code == OK && !ended) code = CORRUPTED;
  }
  return code ? fail(code, FIELD_STREAM) : OK;
}

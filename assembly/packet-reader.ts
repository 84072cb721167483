// Reads the parts of a packet, one after the other. docs/format.md section 2.5 has the order of the checks.

import { xxh32 } from "./checksum";
import {
  CORRUPTED, fail, failAt, faultCode, FIELD_AXIS, FIELD_CENTRE, FIELD_COMPACT_CHECK, FIELD_CONTEXT, FIELD_CORRECTIONS, FIELD_COUNT,
  FIELD_INDEX_CHECKS, FIELD_NONE, FIELD_PARTS, FIELD_SHAPE, FIELD_STEP, FIELD_STREAM, FIELD_TAIL, LIMIT_EXCEEDED, MODEL_MISMATCH,
  OK, SHAPE_MISMATCH, TRUNCATED, WRONG_PRIOR,
} from "./codes";
import { checkOfHash, GUARD_FIRST, GUARD_HASH, GUARD_HASHED, GUARD_NEXT, NO_CORRECTION } from "./guard";
import { contextBytes, contextSymbols, decodeContext } from "./context-part";
import { beginTail, decodeInterleaved } from "./interleaved";
import { scratch } from "./memory";
import { quantizeMixture } from "./mixture";
import {
  FORM_COMPACT, FORM_FULL, FORM_STRING, openStream, READER_BASE, READER_CHECK, READER_CHECKED, READER_CHECKS,
  READER_COMPRESSAI, READER_CONTEXT_LIMIT, READER_STATIC,
  READER_COUNT, READER_DONE, READER_FINGERPRINT, READER_FINGERPRINTED, READER_FORM, READER_GUARD, READER_HASH,
  READER_LANES, READER_LENGTH, READER_LIMIT, READER_PART, READER_PARTS, READER_POSITION, READER_SEED, READER_SEQUENCE,
  READER_SEVERAL, READER_SHAPES, READER_STAGE, READER_START, READER_STREAM,
} from "./packet-header";
import {
  chain, KIND_MIXTURE, KIND_ROWS, KIND_SCALES, parametersOf, PART_AXIS, PART_CENTRE, PART_CONTEXT, PART_COUNT, PART_GUARD, PART_KIND,
  PART_ROWS, PART_STEP, PART_STORED, PART_WORK_BYTES, partFingerprint, placeChunk, readRows, seedOfPart, settingsHash, stageElements,
  stepOfHash, tableHash, TILE,
} from "./part";
import { closeSingle, decodeSingle } from "./single";
import {
  seedBytes, STREAM_ERROR, STREAM_ESCAPES, STREAM_ESCAPES_END, STREAM_SEEDS, STREAM_STATES, STREAM_WORDS,
} from "./stream";

/**
 * Begins the next part. The host has filled in its settings and, unless it is a sequence, its number of symbols.
 * Returns 0 or a code.
 */
export function beginPart(reader: usize, part: usize, sequence: bool): i32 {
  const guard = reader + READER_GUARD;
  const n: u32 = sequence ? 0 : load<u32>(part, PART_COUNT);
  const count = load<u32>(reader, READER_COUNT);
  const several = load<u32>(reader, READER_SEVERAL) != 0;
  const unknown = !several && load<u32>(reader, READER_FORM) != FORM_FULL;
  // The fault's value 2^32 - 1 says: a part too many was asked for.
  if (load<u32>(reader, READER_PART) >= load<u32>(reader, READER_PARTS))
    return failAt(SHAPE_MISMATCH, FIELD_PARTS, load<u32>(reader, READER_PARTS), 0xffffffff);
  if (n > load<u32>(reader, READER_LIMIT)) return failAt(LIMIT_EXCEEDED, FIELD_COUNT, n, 0);
  // A compact packet of one tensor does not hold its length.
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
  const context = beginContext(reader, part);
  if (context) return context;
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

/** Bytes that each symbol of the context limit stands for, and bytes that every context may take, beside 6 per element. */
const SYMBOL_BYTES: u64 = 256;
const FREE_BYTES: u64 = 1 << 22;

// Decides whether the part's symbols come from its context, and how much memory that takes. Returns 0 or a code.
function beginContext(reader: usize, part: usize): i32 {
  const flags = <usize>load<u32>(reader, READER_STATIC);
  const number = load<u32>(reader, READER_PART);
  const flag = flags != 0 && ((load<u8>(flags + <usize>(number >> 3)) >> <u8>(number & 7)) & 1) != 0;
  store<u32>(part, 0, PART_WORK_BYTES);
  if (load<u32>(part, PART_CONTEXT) == 0) return flag ? fail(CORRUPTED, FIELD_CONTEXT) : OK;
  if (flag || load<u32>(reader, READER_COMPRESSAI)) return OK;
  const symbols = contextSymbols(part);
  if (symbols == 0xffffffff) return load<i32>(faultCode);
  const limit = load<u32>(reader, READER_CONTEXT_LIMIT);
  if (symbols > limit) return failAt(LIMIT_EXCEEDED, FIELD_CONTEXT, symbols, limit);
  const bytes = contextBytes(part);
  if (bytes > 0xf0000000) return fail(LIMIT_EXCEEDED, FIELD_NONE);
  // Planes of one row, or few channels under a wide network, take more memory than work.
  const beside = FREE_BYTES + 6 * <u64>load<u32>(part, PART_COUNT);
  if (bytes > beside + SYMBOL_BYTES * <u64>limit)
    return failAt(LIMIT_EXCEEDED, FIELD_CONTEXT, 0, <u32>((bytes - beside) / SYMBOL_BYTES) + 1);
  store<u32>(reader, limit - symbols, READER_CONTEXT_LIMIT);
  store<u32>(part, <u32>bytes, PART_WORK_BYTES);
  return OK;
}

// Finds what differs, as far as the fingerprint of one part can tell: docs/format.md section 8.1.
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
  // If the tables are equal this is the packet's step. If they are not it is a number that nobody would choose; the
  // host decides which.
  return failAt(WRONG_PRIOR, FIELD_STEP, 0, stepOfHash(hash, kind, centre, axis));
}

function fitsCheck(reader: usize, seed: u32): bool {
  const check = load<u32>(reader, READER_CHECK);
  const start = <usize>load<u32>(reader, READER_START);
  const end = start + load<u32>(reader, READER_LENGTH) - check;
  if (check == 0) return true;
  const sum = xxh32(start, end - start, seed);
  return check == 4 ? load<u32>(end, 0, 1) == sum : <u32>load<u16>(end, 0, 1) == (sum & 0xffff);
}

/**
 * Makes room for `count` elements, as a writer's stagePart does. They come out at PART_AT_ELEMENTS. Returns 0 or a
 * code.
 */
export function stageRead(reader: usize, part: usize, count: u32, keep: bool): i32 {
  const base = <usize>load<u32>(reader, READER_BASE);
  // Rows that are checked before a symbol is decoded come first in memory.
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
    // The rows are known by now: scales are not read again, and nothing enters the check twice.
    store<u32>(part, 0, PART_GUARD);
    if (kind == KIND_SCALES) {
      store<u32>(part, KIND_ROWS, PART_KIND);
      store<u32>(part, load<u32>(part, PART_STORED), PART_ROWS);
    }
  }
  const lanes = load<u32>(reader, READER_LANES);
  // A part under its context comes whole.
  if (load<u32>(part, PART_WORK_BYTES))
    code = count == load<u32>(part, PART_COUNT) ? decodeContext(stream, part, lanes) : fail(SHAPE_MISMATCH, FIELD_COUNT);
  else code = lanes == 1
    ? decodeSingle(stream, part, from, from + count)
    : decodeInterleaved(stream, part, from, from + count);
  store<u32>(part, kind, PART_KIND);
  store<u32>(part, guard, PART_GUARD);
  store<u32>(reader, from + count, READER_DONE);
  // Failures of the stream. For an element or a scale the fault is already set.
  return code == TRUNCATED || code == CORRUPTED ? fail(code, FIELD_STREAM) : code;
}

// Compares all rows of the part with the index check, before a symbol is decoded.
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
  const check = <u32>load<u16>(<usize>load<u32>(reader, READER_CHECKS) + (<usize>number << 1), 0, 1);
  return check == checkOfHash(load<u32>(reader + READER_GUARD, GUARD_HASH)) ? OK : failAt(MODEL_MISMATCH, FIELD_INDEX_CHECKS, number, 0);
}

/** Ends a part. All its symbols have been read. Returns 0 or a code. */
export function endPart(reader: usize, part: usize, sequence: bool): i32 {
  const guard = reader + READER_GUARD;
  const n = load<u32>(reader, READER_DONE);
  // An empty part was never read, so its index check is still to be compared.
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
  // A string does not hold its length: only its end shows it.
  if (load<u32>(reader, READER_FORM) == FORM_STRING) store<u32>(reader, n, READER_COUNT);
  return OK;
}

/** Makes the checks that follow the last part. Returns 0 or a code. */
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

// The state of a stream that is being coded: one structure for both directions, for one lane and for many.
// docs/format.md section 3.
//
// An encoder runs from the last symbol to the first at one go. A decoder stops after each part and goes on with the
// next; other readers may run in between.

import { CORRUPTED, TRUNCATED } from "./codes";
import { findEntry } from "./table";

// u32 each. Address of the words. Encoding: of the first one so far. Decoding: of the next one.
export const STREAM_WORDS: usize = 0;
/** End of the words; later, while the tail is decoded, end of the seeds. */
export const STREAM_END: usize = 4;
/** Symbols decoded so far. */
export const STREAM_POSITION: usize = 8;
/** Symbols of all parts. */
export const STREAM_COUNT: usize = 12;
/** Symbols of the tail. */
export const STREAM_TAIL: usize = 16;
export const STREAM_LANES: usize = 20;
/** Encoding: the seeds are made. Decoding: the lanes have become seeds. */
export const STREAM_TAIL_DONE: usize = 24;
/** The first error in an escape. It is checked once per tile, not once per symbol. */
export const STREAM_ERROR: usize = 28;
/** Address of the escapes. Encoding: of the first one so far. Decoding: of the next one. */
export const STREAM_ESCAPES: usize = 32;
export const STREAM_ESCAPES_END: usize = 36;
export const STREAM_COMPRESSAI: usize = 40;
/** How many symbols a kernel has coded. It stops early before a group that has a symbol for the slow path. */
export const STREAM_CODED: usize = 44;
/** A u32 per lane; with one lane a u64. */
export const STREAM_STATES: usize = 48;
/** Words of a tail's seeds, in the decoder's order: N - 1 low halves, then N / 4 words of nibbles. */
export const STREAM_SEEDS: usize = 176;
export const STREAM_BYTES: usize = 256;

// ---- escapes: section 3.3, and the mapping of section 1

/** raw of an escaped value. |value| <= 2^31 and |offset| <= 2^30, so i64 does not overflow. */
export function escapeToRaw(value: i32, offset: i32, max: u32): u64 {
  const u = <i64>value - <i64>offset;
  return u < 0 ? <u64>(-2 * u - 1) : <u64>(2 * (u - <i64>max));
}

/** The value for raw. i64, because it may be outside int32; the caller refuses that. */
export function rawToEscape(raw: u64, offset: i32, max: u32): i64 {
  const u = raw & 1 ? -<i64>((raw + 1) >> 1) : <i64>(raw >> 1) + <i64>max;
  return u + <i64>offset;
}

/** Writes an escape in front of the others. */
export function writeEscape(stream: usize, value: i32, offset: i32, max: u32): void {
  let raw = escapeToRaw(value, offset, max);
  let length: usize = 1;
  for (let rest = raw >> 7; rest != 0; rest >>= 7) length++;
  let p = <usize>load<u32>(stream, STREAM_ESCAPES) - length;
  store<u32>(stream, <u32>p, STREAM_ESCAPES);
  while (raw >= 0x80) {
    store<u8>(p++, <u8>raw | 0x80);
    raw >>= 7;
  }
  store<u8>(p, <u8>raw);
}

/** Keeps the first error of a stream. Returns 0, in place of a value. */
export function streamError(stream: usize, code: i32): i32 {
  if (load<i32>(stream, STREAM_ERROR) == 0) store<i32>(stream, code, STREAM_ERROR);
  return 0;
}

/** Reads the next escaped value. 0 after an error. */
export function readEscape(stream: usize, offset: i32, max: u32): i32 {
  let at = <usize>load<u32>(stream, STREAM_ESCAPES);
  const end = <usize>load<u32>(stream, STREAM_ESCAPES_END);
  let raw: u64 = 0;
  for (let shift: u64 = 0; shift <= 28; shift += 7) {
    if (at >= end) return streamError(stream, TRUNCATED);
    const byte = <u64>load<u8>(at++);
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      store<u32>(stream, <u32>at, STREAM_ESCAPES);
      const value = rawToEscape(raw, offset, max);
      return (byte == 0 && shift != 0) || value != <i64>(<i32>value) ? streamError(stream, CORRUPTED) : <i32>value;
    }
  }
  return streamError(stream, CORRUPTED);
}

// ---- the slow path of the SIMD kernels

/** F, L, E of a group, 8 u16 each. */
export const slowGroup: usize = memory.data(48, 16);
/** The values that were found by searching, by lane. */
export const slowValues: usize = memory.data(128, 16);

/**
 * Decodes those lanes of a group whose F is 0 by searching their rows: escapes, and third entries of a bucket. F and E
 * go to `slowGroup`, the values to `slowValues`. Returns a mask of these lanes. Only kernels with a row per symbol call
 * it. The others return early at such a symbol: it is rarer there, and a call inside the loop makes V8 move states and
 * bounds out of registers.
 */
export function searchGroup(stream: usize, F: v128, L: v128, E: v128, records: usize, rows: usize, lane: usize): u32 {
  v128.store(slowGroup, F);
  v128.store(slowGroup, L, 16);
  v128.store(slowGroup, E, 32);
  let mask: u32 = 0;
  for (let j: usize = 0; j < 8; j++) {
    const at = slowGroup + (j << 1);
    if (load<u16>(at) != 0) continue;
    const record = records + (<usize>load<u16>(rows + (j << 1)) << 4);
    const slot = <u32>load<u16>(at, 16);
    const max = load<u32>(record, 4);
    const offset = load<i32>(record, 8);
    const k = findEntry(record, slot);
    const entry = load<u32>(<usize>load<u32>(record) + (<usize>k << 3));
    store<u16>(at, <u16>entry);
    store<u16>(at, <u16>(slot - (entry >> 16)), 32);
    store<i32>(slowValues + ((lane + j) << 2), k == max ? readEscape(stream, offset, max) : offset + <i32>k);
    mask |= 1 << <u32>(lane + j);
  }
  return mask;
}

// ---- states and seeds of many lanes: section 3.2

// @ts-ignore: decorator
@inline
export function seedBytes(lanes: u32): usize {
  return <usize>(lanes - 1 + (lanes >> 2)) << 1;
}

// Nibble j of a list, even ones in the low half of a byte: e_j and q_j of docs/format.md section 3.2.
function nibble(nibbles: usize, j: u32): u32 {
  return (<u32>load<u8>(nibbles + <usize>(j >> 1)) >> ((j & 1) << 2)) & 15;
}

/** Rebuilds lanes 1 .. N-1 from the seeds' words, which are at seedsStart in the decoder's order. */
export function statesFromSeeds(stream: usize, seedsStart: usize, lanes: u32): void {
  const nibbles = seedsStart + (<usize>(lanes - 1) << 1);
  for (let j: u32 = 1; j < lanes; j++) {
    let high = nibble(nibbles, j);
    if (j == 1) high = nibble(nibbles, 0) | (high << 4);
    store<u32>(stream + (<usize>j << 2), ((high + 1) << 16) | <u32>load<u16>(seedsStart + (<usize>(j - 1) << 1), 0, 1), STREAM_STATES);
  }
}

/** Turns lanes 1 .. N-1 into the words of the seeds. False if a state cannot be a seed. */
export function seedsFromStates(stream: usize, lanes: u32): bool {
  const seeds = stream + STREAM_SEEDS;
  const nibbles = seeds + (<usize>(lanes - 1) << 1);
  memory.fill(nibbles, 0, <usize>lanes >> 1);
  for (let j: u32 = 1; j < lanes; j++) {
    const x = load<u32>(stream + (<usize>j << 2), STREAM_STATES);
    const high = (x >> 16) - 1;
    store<u16>(seeds + (<usize>(j - 1) << 1), <u16>x, 0, 1);
    if (j == 1) {
      if (high > 255) return false;
      store<u8>(nibbles, <u8>high);
    } else {
      if (high > 15) return false;
      const at = nibbles + <usize>(j >> 1);
      store<u8>(at, load<u8>(at) | <u8>(high << ((j & 1) << 2)));
    }
  }
  return true;
}

/** Writes the states just below `words`: exponents, then mantissas as one bit string. Returns their address. */
export function packStates(stream: usize, words: usize, lanes: u32): usize {
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 31 - clz<u32>(load<u32>(stream + (<usize>j << 2), STREAM_STATES));
  const head = <usize>lanes >> 1;
  const start = words - head - <usize>((bits + 7) >> 3);
  memory.fill(start, 0, head);
  let p = start + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const x = load<u32>(stream + (<usize>j << 2), STREAM_STATES);
    const width = 31 - clz<u32>(x);
    const exponent = start + (<usize>j >> 1);
    store<u8>(exponent, load<u8>(exponent) | <u8>((width - 16) << ((j & 1) << 2)));
    buffer |= <u64>(x - (1 << width)) << filled;
    filled += <u64>width;
    while (filled >= 8) {
      store<u8>(p++, <u8>buffer);
      buffer >>= 8;
      filled -= 8;
    }
  }
  if (filled) store<u8>(p, <u8>buffer);
  return start;
}

/** Reads the states from [p, end). Returns the address behind them, or a code (addresses are larger than codes). */
export function unpackStates(stream: usize, p: usize, end: usize, lanes: u32): usize {
  const head = <usize>lanes >> 1;
  if (end - p < head) return TRUNCATED;
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 16 + nibble(p, j);
  const length = head + <usize>((bits + 7) >> 3);
  if (end - p < length) return TRUNCATED;
  let source = p + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const width = 16 + <u64>nibble(p, j);
    while (filled < width) {
      buffer |= <u64>load<u8>(source++) << filled;
      filled += 8;
    }
    store<u32>(stream + (<usize>j << 2), <u32>(buffer & ((1 << width) - 1)) | (<u32>1 << <u32>width), STREAM_STATES);
    buffer >>= width;
    filled -= width;
  }
  return buffer == 0 ? p + length : CORRUPTED;
}

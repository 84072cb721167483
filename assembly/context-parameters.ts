// Parameters of a context prior (docs/format.md section 10): reads their binary form and expands it to the weights
// that the kernels use.

import { xxh64 } from "./checksum";
import { fail, FIELD_CONTEXT, INVALID_CONTEXT, OK, TRUNCATED, UNSUPPORTED_VERSION } from "./codes";
import { align, isSameMemory, keep, PADDING, readVarint, scratch } from "./memory";

// The structure of parameters: u32 each.
/** Width of the first hidden layer. */
export const CONTEXT_HIDDEN: usize = 0;
/** Width of the second hidden layer. */
export const CONTEXT_SECOND: usize = 4;
const CONTEXT_TAPS: usize = 8;
/** Channels of the tensor. */
export const CONTEXT_CHANNELS: usize = 12;
/** Channels that are coded under the context. */
export const CONTEXT_ACTIVE: usize = 16;
/** u64. */
export const CONTEXT_FINGERPRINT: usize = 24;
/** Address of the active channels' numbers (u32), in the order of coding, then of the others', ascending. */
export const CONTEXT_ORDER: usize = 32;
/** Which of the 20 cells are taps. */
export const CONTEXT_CELLS: usize = 36;
/** Address of the first channel's block, and bytes of a block. */
export const CONTEXT_BLOCKS: usize = 40;
export const CONTEXT_BLOCK_BYTES: usize = 44;
/** Offsets in a block. */
export const CONTEXT_NEXT: usize = 48;
export const CONTEXT_SECOND_WEIGHTS: usize = 52;
export const CONTEXT_THIRD_WEIGHTS: usize = 56;
export const CONTEXT_BIASES: usize = 60;
export const CONTEXT_SECOND_BIASES: usize = 64;
const CONTEXT_BEFORE: usize = 68;
/** Rows of the table where each symbol is given one, otherwise 0; and the address of their pairs (g, |g|). */
export const CONTEXT_GIVEN_ROWS: usize = 72;
export const CONTEXT_GIVEN: usize = 76;
const CONTEXT_HEADER: usize = 128;

// A block: i32 lo, i32 hi, 8 bytes; own weights of 20 cells and, with given rows, of their pair; weights of 10 pairs for the
// channels that follow; second and third layer; biases. A pair of weights is for (p, |p|), so H pairs of int16 take 4 H bytes.
export const BLOCK_LOW: usize = 0;
export const BLOCK_HIGH: usize = 4;
export const BLOCK_OWN: usize = 16;
/** The cells above come first, row by row (dy -1, -2: dx -3 .. 3; dy -3: dx -1 .. 1), then those to the left, dx -3 .. -1. */
export const CELLS_ABOVE: usize = 17;
const CELLS: usize = 20;
/** The pair of a given row follows the cells. */
export const PAIR_GIVEN: usize = 20;
/** Bit of the byte of the taps: each symbol is given a row. */
const HAS_GIVEN: u32 = 128;
export const NEXT_PAIRS: usize = 10;

// Rows of H int32 at CONTEXT_BIASES.
export const BIAS: usize = 0;
export const BIAS_TOP: usize = 1;
export const BIAS_BOTTOM: usize = 2;
export const BIAS_LEFT: usize = 3;
export const BIAS_RIGHT: usize = 4;
/** Not a bias: the weights of run(y). */
export const WEIGHTS_RUN: usize = 5;

// The cell of each tap, in the order of docs/format.md.
const cellOfTap: usize = memory.data<u8>([19, 3, 2, 4, 18, 10, 9, 11, 1, 5, 8, 12, 17, 15, 14, 16, 0, 6, 13, 7]);

const cursor: usize = memory.data(12);

/** The parameters that were loaded last. Each have the address of those before. */
const lastContext: usize = memory.data(4, 16);

/** Address at which the host puts a binary form of so many bytes; 0: no memory. */
export function contextSource(length: usize): usize {
  // A channel takes at least 45 H bytes of input, and less than 4 times that of the structure. The order takes 4 bytes
  // for each of at most 65,535 channels.
  const bound = 6 * <u64>length + 4 * 65536 + 4096;
  const start = scratch(bound + length + PADDING);
  return start ? align(start + <usize>bound) : 0;
}

/**
 * Reads the binary form that the host has put in place. Returns the address of the parameters, of those that are loaded
 * already if they are the same; 0: the fault says why not.
 */
export function loadContext(source: usize, length: usize): usize {
  const context = scratch(0);
  const code = parse(source, length, context);
  if (code != OK) {
    fail(code, FIELD_CONTEXT);
    return 0;
  }
  for (let known = <usize>load<u32>(lastContext); known != 0; known = <usize>load<u32>(known, CONTEXT_BEFORE)) {
    if (isSame(known, context)) return known;
  }
  keep(<usize>load<u32>(context, CONTEXT_BLOCKS) + blocksOf(context) - context);
  store<u32>(context, load<u32>(lastContext), CONTEXT_BEFORE);
  store<u32>(lastContext, <u32>context);
  return context;
}

function blocksOf(context: usize): usize {
  return <usize>load<u32>(context, CONTEXT_ACTIVE) * <usize>load<u32>(context, CONTEXT_BLOCK_BYTES);
}

// Whether two structures are the same parameters. Equal fingerprints alone do not say so: anybody can make parameters that
// have the fingerprint of others.
function isSame(known: usize, context: usize): bool {
  // Sizes and fingerprint; addresses differ. Then what lies at the addresses.
  if (!isSameMemory(known, context, CONTEXT_ORDER)) return false;
  if (load<u32>(known, CONTEXT_CELLS) != load<u32>(context, CONTEXT_CELLS)) return false;
  if (load<u32>(known, CONTEXT_GIVEN_ROWS) != load<u32>(context, CONTEXT_GIVEN_ROWS)) return false;
  return (
    isSameAt(known, context, CONTEXT_ORDER, 4 * <usize>load<u32>(context, CONTEXT_CHANNELS)) &&
    isSameAt(known, context, CONTEXT_GIVEN, 4 * <usize>load<u32>(context, CONTEXT_GIVEN_ROWS)) &&
    isSameAt(known, context, CONTEXT_BLOCKS, blocksOf(context))
  );
}

function isSameAt(known: usize, context: usize, field: usize, bytes: usize): bool {
  return isSameMemory(<usize>load<u32>(known + field), <usize>load<u32>(context + field), bytes);
}

function parse(source: usize, length: usize, context: usize): i32 {
  if (length < 9 + 8) return TRUNCATED;
  if (load<u8>(source) != 0x4c || load<u8>(source, 1) != 0x57 || load<u8>(source, 2) != 0x43) return INVALID_CONTEXT;
  if (load<u8>(source, 3) != 1) return UNSUPPORTED_VERSION;
  const end = source + length - 8;
  if (xxh64(source, length - 8) != load<u64>(end, 0, 1)) return INVALID_CONTEXT;
  const hidden = 8 * <u32>load<u8>(source, 4);
  const second = 8 * <u32>load<u8>(source, 5);
  const taps = <u32>load<u8>(source, 6) & (HAS_GIVEN - 1);
  const given = <u32>load<u8>(source, 6) >= HAS_GIVEN;
  if (hidden != 32 && hidden != 64 && hidden != 128) return INVALID_CONTEXT;
  if (second < 8 || second > 32 || (taps != 12 && taps != 20)) return INVALID_CONTEXT;
  memory.fill(context, 0, CONTEXT_HEADER);
  store<u64>(context, load<u64>(end, 0, 1), CONTEXT_FINGERPRINT);
  store<u32>(context, hidden, CONTEXT_HIDDEN);
  store<u32>(context, second, CONTEXT_SECOND);
  store<u32>(context, taps, CONTEXT_TAPS);
  store<u32>(cursor, <u32>source + 7);
  store<u32>(cursor, <u32>end, 4);
  store<u32>(cursor, 0, 8);
  const channels = readVarint(cursor);
  const active = readVarint(cursor);
  if (load<u32>(cursor, 8) || channels == 0 || channels > 65535 || active == 0 || active > channels) return INVALID_CONTEXT;
  // So all blocks stay within the bound of contextSource.
  if (<u64>active * 45 * hidden > <u64>length) return INVALID_CONTEXT;
  const order = context + CONTEXT_HEADER;
  store<u32>(context, channels, CONTEXT_CHANNELS);
  store<u32>(context, active, CONTEXT_ACTIVE);
  store<u32>(context, <u32>order, CONTEXT_ORDER);
  if (!readOrder(order, channels, active)) return INVALID_CONTEXT;
  let cells: u32 = 0;
  for (let t: usize = 0; t < <usize>taps; t++) cells |= 1 << <u32>load<u8>(cellOfTap + t);
  if (given) cells |= 1 << <u32>PAIR_GIVEN;
  store<u32>(context, cells, CONTEXT_CELLS);
  const rows = order + 4 * <usize>channels;
  if (given && !readGiven(context, rows)) return INVALID_CONTEXT;
  // Both layers have their outputs in groups of four.
  const pairs: usize = 4 * hidden;
  let size = <u32>(BLOCK_OWN + (given ? CELLS + 1 : CELLS) * pairs);
  store<u32>(context, size, CONTEXT_NEXT);
  size += <u32>(NEXT_PAIRS * pairs);
  store<u32>(context, size, CONTEXT_SECOND_WEIGHTS);
  size += (second + 4) * hidden * 2;
  store<u32>(context, size, CONTEXT_THIRD_WEIGHTS);
  size += second * 4;
  store<u32>(context, size, CONTEXT_BIASES);
  size += 6 * <u32>pairs;
  store<u32>(context, size, CONTEXT_SECOND_BIASES);
  size = (size + (second + 4) * 4 + 63) & ~63;
  store<u32>(context, size, CONTEXT_BLOCK_BYTES);
  const blocks = align(rows + 4 * <usize>load<u32>(context, CONTEXT_GIVEN_ROWS));
  store<u32>(context, <u32>blocks, CONTEXT_BLOCKS);
  for (let k: u32 = 0; k < active; k++) {
    const block = blocks + <usize>k * size;
    memory.fill(block, 0, size);
    if (!readBlock(context, block, k + 1 == active)) return INVALID_CONTEXT;
  }
  return load<u32>(cursor) == <u32>end ? OK : INVALID_CONTEXT;
}

// Reads the active channels' numbers, and appends the others in ascending order.
function readOrder(order: usize, channels: u32, active: u32): bool {
  memory.fill(order, 0, <usize>channels << 2);
  // The highest bit of the c-th word says that c is active, until the others are appended behind.
  for (let k: u32 = 0; k < active; k++) {
    const c = readVarint(cursor);
    if (load<u32>(cursor, 8) || c >= channels) return false;
    const mark = order + (<usize>c << 2);
    if (load<u32>(mark) >> 31) return false;
    store<u32>(mark, load<u32>(mark) | (1 << 31));
    store<u32>(order + (<usize>k << 2), load<u32>(order + (<usize>k << 2)) | c);
  }
  // Backward: the r-th of the others is never behind its own place, so no mark is overwritten before it is read.
  let at = channels;
  for (let c = channels; c > 0; ) {
    c--;
    const word = load<u32>(order + (<usize>c << 2));
    if (word >> 31) store<u32>(order + (<usize>c << 2), word & 0x7fffffff);
    else store<u32>(order + (<usize>--at << 2), c);
  }
  return true;
}

// Reads the numbers of the given rows into pairs (g, |g|) at `target`.
function readGiven(context: usize, target: usize): bool {
  const rows = readVarint(cursor);
  if (load<u32>(cursor, 8) || rows == 0 || rows > 65535) return false;
  const at = take(rows);
  if (at == 0) return false;
  for (let r: usize = 0; r < <usize>rows; r++) {
    const g = <i32>load<i8>(at + r);
    if (g == -128) return false;
    store<u32>(target + (r << 2), (<u32>g & 0xffff) | (<u32>abs<i32>(g) << 16));
  }
  store<u32>(context, rows, CONTEXT_GIVEN_ROWS);
  store<u32>(context, <u32>target, CONTEXT_GIVEN);
  return true;
}

function take(bytes: u32): usize {
  const at = <usize>load<u32>(cursor);
  if (load<u32>(cursor, 4) - <u32>at < bytes) {
    store<u32>(cursor, 1, 8);
    return 0;
  }
  store<u32>(cursor, <u32>at + bytes);
  return at;
}

// Reads a row of n int8 weights into every `stride`-th byte of `target`, as int16.
function readWeights(target: usize, stride: usize, n: u32): bool {
  const at = take(n + 1);
  if (at == 0) return false;
  const shift = <i32>load<u8>(at);
  if (shift > 8) return false;
  for (let i: usize = 0; i < <usize>n; i++) {
    const weight = <i32>load<i8>(at + 1 + i);
    if (weight == -128) return false;
    store<i16>(target + i * stride, <i16>(weight << shift));
  }
  return true;
}

function readBlock(context: usize, block: usize, last: bool): bool {
  const hidden = load<u32>(context, CONTEXT_HIDDEN);
  const second = load<u32>(context, CONTEXT_SECOND);
  const pairs = <usize>hidden << 2;
  const zigzag = readVarint(cursor);
  const low = <i32>(zigzag >> 1) ^ -(<i32>zigzag & 1);
  const size = readVarint(cursor);
  if (load<u32>(cursor, 8) || low < -32768 || low > 32767 || size < 2 || size > 4095 || low + <i32>size > 32767) return false;
  store<i32>(block, low, BLOCK_LOW);
  store<i32>(block, low + <i32>size, BLOCK_HIGH);
  const biases = block + <usize>load<u32>(context, CONTEXT_BIASES);
  for (let t: usize = 0; t < <usize>load<u32>(context, CONTEXT_TAPS); t++) {
    const cell = block + BLOCK_OWN + <usize>load<u8>(cellOfTap + t) * pairs;
    if (!readWeights(cell, 4, hidden) || !readWeights(cell + 2, 4, hidden)) return false;
  }
  if (load<u32>(context, CONTEXT_GIVEN_ROWS)) {
    const pair = block + BLOCK_OWN + PAIR_GIVEN * pairs;
    if (!readWeights(pair, 4, hidden) || !readWeights(pair + 2, 4, hidden)) return false;
  }
  // int16 here, widened below.
  const run = biases + WEIGHTS_RUN * pairs;
  if (!readWeights(run, 4, hidden)) return false;
  for (let i: usize = 0; i < pairs; i += 4) store<i32>(run + i, <i32>load<i16>(run + i));
  if (!last)
    for (let r: usize = 0; r < NEXT_PAIRS; r++) {
      const pair = block + <usize>load<u32>(context, CONTEXT_NEXT) + r * pairs;
      if (!readWeights(pair, 4, hidden) || !readWeights(pair + 2, 4, hidden)) return false;
    }
  for (let j: u32 = 0; j < second + 2; j++) {
    if (!readWeights(block + <usize>load<u32>(context, CONTEXT_SECOND_WEIGHTS) + <usize>(j * hidden * 2), 2, hidden)) return false;
  }
  for (let c: u32 = 0; c < 2; c++) {
    if (!readWeights(block + <usize>load<u32>(context, CONTEXT_THIRD_WEIGHTS) + <usize>(c * second * 2), 2, second)) return false;
  }
  const shorts = take(10 * hidden);
  const words = take(4 * (second + 2));
  if (shorts == 0 || words == 0) return false;
  for (let i: usize = 0; i < 5 * <usize>hidden; i++) store<i32>(biases + (i << 2), <i32>load<i16>(shorts + (i << 1), 0, 1));
  memory.copy(block + <usize>load<u32>(context, CONTEXT_SECOND_BIASES), words, 4 * (<usize>second + 2));
  return true;
}

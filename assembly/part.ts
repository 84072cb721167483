// A part: a tensor with its prior. Its elements become symbols and rows here, and elements again. This is done in tiles
// of 2,048, so that quantized data stays in L1: as separate passes over W1 quantizing costs a quarter of encoding
// (measured). int32 elements are used in place.

import {
  failAt, FIELD_ELEMENT, FIELD_MEAN, FIELD_SCALE, FIELD_SYMBOL, LIMIT_EXCEEDED, NON_FINITE, OK, OUT_OF_RANGE,
} from "./codes";
import { CONTEXT_FINGERPRINT } from "./context-parameters";
import { GUARD_HASH, GUARD_HASHED, guardRows, hashRows } from "./guard";
import { allocate, PADDING, release, scratch } from "./memory";
import { dequantize, narrow, quantize, widen } from "./quantize";
import { expandRows, SCALES_HASH, scaleToRow } from "./rows";
import { TABLE_FINGERPRINT, TABLE_MEDIANS, TABLE_ROWS } from "./table";

/** Bytes of a component after `quantizeMixture`: w', m' / 64, s', f64 each. */
export const COMPONENT_BYTES: usize = 24;
/** Symbols of a tile; a multiple of all lane counts. */
export const TILE: u32 = 2048;

const tileSymbols: usize = memory.data(8192, 16);
/** Rows of a tile, u16; a kernel may read 32 bytes more. */
export const tileRows: usize = memory.data(4096 + 64, 16);

// The structure of a part, docs/abi.md: u32 each unless it says otherwise. What the host fills in:
export const PART_KIND: usize = 0;
export const PART_CENTRE: usize = 4;
export const PART_STEP: usize = 8; // f32
export const PART_AXIS: usize = 12;
export const PART_TABLE: usize = 16;
export const PART_COUNT: usize = 20;
export const PART_RUN: usize = 24;
export const PART_TYPE: usize = 28;
export const PART_RANK: usize = 32;
export const PART_DIMS: usize = 36; // 7 of them
export const PART_SCALES: usize = 64;
export const PART_COMPONENTS: usize = 68;
export const PART_DISTRIBUTION: usize = 72;
export const PART_LOW: usize = 76; // i32
export const PART_SIZE: usize = 80;
export const PART_WEIGHTED: usize = 84;
// Addresses at which the host puts the next elements, and what goes with them; or finds the elements:
export const PART_AT_ELEMENTS: usize = 88;
export const PART_AT_MEANS: usize = 92;
/** Given rows (u16), scales (f32), or of a mixture K scales (f32) per element: as the kind says. */
export const PART_AT_ROWS_OR_SCALES: usize = 96;
export const PART_AT_WEIGHTS: usize = 100;
export const PART_AT_CENTRES: usize = 104;
export const PART_AT_OUT: usize = 108;
// For the module's own use. The first three are addresses of element 0. They may wrap: where only later elements are in
// memory, that of element 0 can be below 0.
export const PART_ELEMENTS: usize = 112;
export const PART_MEANS: usize = 116;
/** Of what `PART_AT_ROWS_OR_SCALES` holds; of a mixture that a writer keeps its entries (u32). */
export const PART_ROWS: usize = 120;
export const PART_GUARD: usize = 124;
export const PART_PARAMETERS: usize = 128;
export const PART_ENTRY_FREQ: usize = 132;
export const PART_ENTRY_CUM: usize = 136;
export const PART_BEFORE: usize = 140;
export const PART_CAPACITY: usize = 144;
export const PART_STORED: usize = 148;
/** Working memory of a part under a context: bytes and address. */
export const PART_WORK_BYTES: usize = 152;
export const PART_WORK: usize = 156;
/** Parameters of a context prior, or 0. The host fills it in. */
export const PART_CONTEXT: usize = 160;
export const PART_BYTES: usize = 192;

// Kinds, constants of the format (docs/format.md section 8.1).
export const KIND_CHANNELS: u32 = 0;
export const KIND_ROWS: u32 = 1;
export const KIND_SCALES: u32 = 2;
export const KIND_MIXTURE: u32 = 3;
/** Not in the format: entries of a mixture that are already made. */
export const KIND_ENTRIES: u32 = 4;
/** Not in the format: symbols whose entries follow from those before them. */
export const KIND_CONTEXT: u32 = 5;

export const CENTRE_NONE: u32 = 0;
export const CENTRE_MEDIANS: u32 = 1;
export const CENTRE_MEANS: u32 = 2;

export const TYPE_FLOAT32: u32 = 0;
export const TYPE_INT32: u32 = 1;
export const TYPE_INT16: u32 = 2;
export const TYPE_INT8: u32 = 3;

// @ts-ignore: decorator
@inline
export function elementBytes(type: u32): u32 {
  return type >= TYPE_INT16 ? 4 - type : 4;
}

// The median of run r of a part.
// @ts-ignore: decorator
@inline
function medianOf(part: usize, r: u32): f32 {
  const table = <usize>load<u32>(part, PART_TABLE);
  return load<f32>(<usize>load<u32>(table, TABLE_MEDIANS) + (<usize>(r % load<u32>(table, TABLE_ROWS)) << 2));
}

// Address of the mean of element i; 0: there are none. PART_MEANS cannot say so: the address of element 0 is 0 where those
// of a later piece lie at just as many bytes.
// @ts-ignore: decorator
@inline
function meanAt(part: usize, i: u32): usize {
  return load<u32>(part, PART_CENTRE) == CENTRE_MEANS ? <usize>load<u32>(part, PART_MEANS) + (<usize>i << 2) : 0;
}

/**
 * Address of the symbols (int32) of elements [from, to), at most a tile. 0 if one of them has no symbol; the fault says
 * which.
 */
export function readSymbols(part: usize, from: u32, to: u32): usize {
  const type = load<u32>(part, PART_TYPE);
  const elements = <usize>load<u32>(part, PART_ELEMENTS);
  if (type == TYPE_INT32) return elements + (<usize>from << 2);
  if (type != TYPE_FLOAT32) {
    const bytes = elementBytes(type);
    widen(elements + <usize>from * bytes, tileSymbols, to - from, bytes);
    return tileSymbols;
  }
  return quantizePart(part, from, to, tileSymbols) ? tileSymbols : 0;
}

/** Writes the symbols of float32 elements [from, to) to `target`, which may be where the elements are. */
export function quantizePart(part: usize, from: u32, to: u32, target: usize): bool {
  const elements = <usize>load<u32>(part, PART_ELEMENTS);
  const step = load<f32>(part, PART_STEP);
  const centre = load<u32>(part, PART_CENTRE);
  const run = load<u32>(part, PART_RUN);
  let r = centre == CENTRE_MEDIANS ? from / run : 0;
  for (let i = from; i < to; r++) {
    const end = centre == CENTRE_MEDIANS ? min<u32>(to, (r + 1) * run) : to;
    const mean: f32 = centre == CENTRE_MEDIANS ? medianOf(part, r) : 0;
    const bad = quantize(elements + (<usize>i << 2), target + (<usize>(i - from) << 2), end - i, meanAt(part, i), mean, step);
    if (bad >= 0) {
      failElement(part, i + bad);
      return false;
    }
    i = end;
  }
  return true;
}

function failElement(part: usize, i: u32): void {
  const value = load<f32>(<usize>load<u32>(part, PART_ELEMENTS) + (<usize>i << 2));
  const mean = meanAt(part, i);
  if (!isFinite<f32>(value)) failAt(NON_FINITE, FIELD_ELEMENT, i, reinterpret<u32>(value));
  else if (mean && !isFinite<f32>(load<f32>(mean)))
    failAt(NON_FINITE, FIELD_MEAN, i, load<u32>(mean));
  else failAt(OUT_OF_RANGE, FIELD_ELEMENT, i, reinterpret<u32>(value));
}

/** Address for the symbols of a tile that begins at element `from`. */
// @ts-ignore: decorator
@inline
export function symbolsAt(part: usize, from: u32): usize {
  return load<u32>(part, PART_TYPE) == TYPE_INT32 ? <usize>load<u32>(part, PART_ELEMENTS) + (<usize>from << 2) : tileSymbols;
}

/** Turns the symbols of a tile into elements [from, to). False if one does not fit the type; the fault says which. */
export function writeElements(part: usize, from: u32, to: u32): bool {
  const type = load<u32>(part, PART_TYPE);
  if (type == TYPE_INT32) return true;
  const elements = <usize>load<u32>(part, PART_ELEMENTS);
  if (type != TYPE_FLOAT32) {
    const bytes = elementBytes(type);
    const bad = narrow(tileSymbols, elements + <usize>from * bytes, to - from, bytes);
    if (bad < 0) return true;
    failAt(OUT_OF_RANGE, FIELD_SYMBOL, from + bad, load<u32>(tileSymbols + (<usize>bad << 2)));
    return false;
  }
  dequantizePart(part, tileSymbols, from, to, elements + (<usize>from << 2));
  return true;
}

/** Writes elements [from, to) as float32 to `target`, from their symbols. */
export function dequantizePart(part: usize, symbols: usize, from: u32, to: u32, target: usize): void {
  const step = load<f32>(part, PART_STEP);
  const centre = load<u32>(part, PART_CENTRE);
  const run = load<u32>(part, PART_RUN);
  let r = centre == CENTRE_MEDIANS ? from / run : 0;
  for (let i = from; i < to; r++) {
    const end = centre == CENTRE_MEDIANS ? min<u32>(to, (r + 1) * run) : to;
    const mean: f32 = centre == CENTRE_MEDIANS ? medianOf(part, r) : 0;
    const at = <usize>(i - from) << 2;
    dequantize(symbols + at, target + at, end - i, meanAt(part, i), mean, step);
    i = end;
  }
}

/**
 * Address of the rows (u16) of symbols [from, to), at most a tile. 0 if a scale is NaN; the fault says which. Not for
 * mixtures.
 */
export function readRows(part: usize, from: u32, to: u32): usize {
  const kind = load<u32>(part, PART_KIND);
  let rows = tileRows;
  if (kind == KIND_ROWS) rows = <usize>load<u32>(part, PART_ROWS) + (<usize>from << 1);
  else if (kind == KIND_CHANNELS)
    expandRows(load<u32>(<usize>load<u32>(part, PART_TABLE), TABLE_ROWS), load<u32>(part, PART_RUN), from, to - from, rows);
  else {
    const sigmas = <usize>load<u32>(part, PART_ROWS) + (<usize>from << 2);
    const bad = scaleToRow(sigmas, to - from, <usize>load<u32>(part, PART_SCALES), rows);
    if (bad >= 0) {
      failAt(NON_FINITE, FIELD_SCALE, from + bad, 0);
      return 0;
    }
  }
  const guard = <usize>load<u32>(part, PART_GUARD);
  if (guard) {
    if (kind == KIND_SCALES)
      guardRows(guard, <usize>load<u32>(part, PART_ROWS) + (<usize>from << 2), from, to - from, <usize>load<u32>(part, PART_SCALES), rows);
    if (load<u32>(guard, GUARD_HASHED))
      store<u32>(guard, hashRows(load<u32>(guard, GUARD_HASH), rows, to - from), GUARD_HASH);
  }
  return rows;
}

/** The row of symbol i, in a part whose rows belong to channels. */
// @ts-ignore: decorator
@inline
export function rowOfRun(part: usize, i: u32): u32 {
  return (i / load<u32>(part, PART_RUN)) % load<u32>(<usize>load<u32>(part, PART_TABLE), TABLE_ROWS);
}

/** Number of parameters of a symbol: docs/format.md section 8.3. */
export function parametersOf(part: usize): u32 {
  return load<u32>(part, PART_KIND) == KIND_MIXTURE ? 3 * load<u32>(part, PART_COMPONENTS) : 1;
}

// ---- where a host puts elements

// @ts-ignore: decorator
@inline
function padded(bytes: u64): u64 {
  return (bytes + PADDING + 63) & ~63;
}

/**
 * Bytes for `count` elements with their scales, means and rows. `stored`: elements and given rows are elsewhere; room
 * is needed for the rest and for results.
 */
export function stageBytes(part: usize, count: u32, stored: bool): u64 {
  return layout(0, part, 0, count, stored);
}

/**
 * Sets the addresses for `count` elements with their scales, means and rows. `block`: address and size of a block of
 * the owner, which is used again for pieces of one size; 0: scratch, `before` bytes behind its beginning. Returns 0 or
 * a code.
 */
export function stageElements(part: usize, count: u32, stored: bool, block: usize, before: usize): i32 {
  const size = stageBytes(part, count, stored);
  let base: usize;
  if (block == 0) {
    base = scratch(before + size);
    if (base) base += before;
  } else {
    if (size > load<u32>(block, 4)) {
      release(<usize>load<u32>(block));
      store<u32>(block, <u32>allocate(size));
      store<u32>(block, load<u32>(block) ? <u32>size : 0, 4);
    }
    base = <usize>load<u32>(block);
  }
  if (base == 0) return LIMIT_EXCEEDED;
  layout(part, part, base, count, stored);
  return OK;
}

// Lays out the arrays one after the other, and stores their addresses if there is a `target`. Returns the end.
function layout(target: usize, part: usize, base: u64, count: u32, stored: bool): u64 {
  const kind = load<u32>(part, PART_KIND);
  const components = <u64>load<u32>(part, PART_COMPONENTS) * count;
  let end = base;
  if (load<u32>(part, PART_CENTRE) == CENTRE_MEANS) end = place(target, PART_AT_MEANS, end, 4 * <u64>count);
  if (kind == KIND_SCALES) end = place(target, PART_AT_ROWS_OR_SCALES, end, 4 * <u64>count);
  if (kind == KIND_ROWS && !stored) end = place(target, PART_AT_ROWS_OR_SCALES, end, 2 * <u64>count);
  if (kind == KIND_MIXTURE) {
    end = place(target, PART_AT_ROWS_OR_SCALES, end, 4 * components);
    if (load<u32>(part, PART_WEIGHTED)) end = place(target, PART_AT_WEIGHTS, end, 4 * components);
    end = place(target, PART_AT_CENTRES, end, 4 * components);
    end = place(target, PART_PARAMETERS, end, COMPONENT_BYTES * components);
  }
  const work = load<u32>(part, PART_WORK_BYTES);
  if (work) end = place(target, PART_WORK, end, work);
  if (stored) return place(target, PART_AT_OUT, end, 4 * <u64>count);
  return place(target, PART_AT_ELEMENTS, end, <u64>elementBytes(load<u32>(part, PART_TYPE)) * count);
}

function place(target: usize, field: usize, at: u64, bytes: u64): u64 {
  if (target) store<u32>(target + field, <u32>at);
  return at + padded(bytes);
}

/** Turns the addresses of the next elements, the first of which is `from`, into addresses of element 0. */
export function placeChunk(part: usize, from: u32): void {
  const rowBytes: u32 = load<u32>(part, PART_KIND) == KIND_SCALES ? 4 : 2;
  store<u32>(part, load<u32>(part, PART_AT_ELEMENTS) - from * elementBytes(load<u32>(part, PART_TYPE)), PART_ELEMENTS);
  store<u32>(part, load<u32>(part, PART_AT_MEANS) - from * 4, PART_MEANS);
  store<u32>(part, load<u32>(part, PART_AT_ROWS_OR_SCALES) - from * rowBytes, PART_ROWS);
}

const single: usize = memory.data(192, 16);

/** A part without settings; 0: no memory. With `kept` it lives until `release`, otherwise until the next such call. */
export function newPart(kept: bool): usize {
  const part = kept ? allocate(PART_BYTES) : single;
  if (part) memory.fill(part, 0, PART_BYTES);
  return part;
}

// ---- fingerprint, docs/format.md section 8.1

const P1: u32 = 0x9e3779b1;
const P2: u32 = 0x85ebca77;

/** How a part's settings enter its fingerprint, beside the table. */
// @ts-ignore: decorator
@inline
export function settingsHash(kind: u32, centre: u32, axis: u32, step: u32): u32 {
  return (step ^ ((kind + 4 * centre + 16 * axis) * P2)) * P1;
}

/** The step (float32 bits) with which `settingsHash` gives `hash`. */
export function stepOfHash(hash: u32, kind: u32, centre: u32, axis: u32): u32 {
  // The inverse of P1 modulo 2^32 by Newton's iteration: 3 bits are right at first, and each round doubles them.
  let inverse: u32 = P1;
  for (let i = 0; i < 4; i++) inverse *= 2 - P1 * inverse;
  return (hash * inverse) ^ ((kind + 4 * centre + 16 * axis) * P2);
}

/** T ^ X: the part of the fingerprint that does not depend on step, axis and centre. */
export function tableHash(part: usize): u32 {
  const kind = load<u32>(part, PART_KIND);
  if (kind == KIND_MIXTURE) {
    const low = load<u32>(part, PART_LOW);
    const high = low + load<u32>(part, PART_SIZE) - 1;
    return ((low & 0xffff) | (high << 16)) ^ ((load<u32>(part, PART_DISTRIBUTION) + 4 * load<u32>(part, PART_COMPONENTS)) * P2);
  }
  const table = load<u32>(<usize>load<u32>(part, PART_TABLE), TABLE_FINGERPRINT);
  const context = <usize>load<u32>(part, PART_CONTEXT);
  const scales = kind == KIND_SCALES ? load<u32>(<usize>load<u32>(part, PART_SCALES), SCALES_HASH) : 0;
  return table ^ scales ^ (context ? load<u32>(context, CONTEXT_FINGERPRINT) : 0);
}

export function partFingerprint(part: usize): u32 {
  const kind = load<u32>(part, PART_KIND);
  const centre = load<u32>(part, PART_CENTRE);
  return tableHash(part) ^ settingsHash(kind, centre, load<u32>(part, PART_AXIS), load<u32>(part, PART_STEP));
}

/** Adds one part to the packet's fingerprint. */
// @ts-ignore: decorator
@inline
export function chain(h: u32, f: u32): u32 {
  return (h * P1) ^ f;
}

/** Adds one part to the seed of a compact check: docs/format.md section 2.4. */
export function seedOfPart(seed: u32, fingerprint: u32, part: usize, count: u32, only: bool): u32 {
  let s = chain(seed, fingerprint);
  if (!only && load<u32>(part, PART_KIND) != KIND_CHANNELS) return chain(s, count);
  const rank = load<u32>(part, PART_RANK);
  s = chain(s, rank);
  for (let d: u32 = 0; d < rank; d++) s = chain(s, load<u32>(part + (<usize>d << 2), PART_DIMS));
  return s;
}

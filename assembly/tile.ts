// Between a tensor's elements and the coder's int32 symbols, 2,048 at a time, so that quantizing and dequantizing stay in L1: as separate
// passes over W1 they cost a quarter of encoding it (measured). int32 tensors are used in place.

import { dequantize, narrow, quantize, widen } from "./quantize";

/** Symbols of a tile; a multiple of all lane counts. */
export const TILE: u32 = 2048;

const tile: usize = memory.data(8192, 16);

export const TYPE_FLOAT32: u32 = 0;
export const TYPE_INT32: u32 = 1;
export const TYPE_INT16: u32 = 2;
// TYPE_INT8 = 3

let elements: usize = 0;
let type: u32 = 0;
/** A mean per element, or 0. */
let means: usize = 0;
/** A median per run, `medianCount` of them in turn, or 0. */
let medians: usize = 0;
let medianCount: u32 = 0;
let medianRun: u32 = 0;
let step: f32 = 1;
let rows: usize = 0;

/** The first element that writeTile could not write, and its symbol. */
let refusedPosition: u32 = 0;
let refusedSymbol: i32 = 0;

export function refusedAt(): u32 {
  return refusedPosition;
}

export function refusedValue(): i32 {
  return refusedSymbol;
}

/** Rows (u16): one per element or per run. */
export function rowsAddress(): usize {
  return rows;
}

/**
 * Sets source or target, the rows, and what is subtracted (docs/format.md section 6). Addresses are those of element 0, and wrap if only a later
 * chunk is in memory.
 */
export function setElements(elementsAddress: usize, elementType: u32, rowsStart: usize, meansAddress: usize, mediansAddress: usize, count: u32, run: u32, stepSize: f32): void {
  rows = rowsStart;
  elements = elementsAddress;
  type = elementType;
  means = meansAddress;
  medians = mediansAddress;
  medianCount = count;
  medianRun = run;
  step = stepSize;
}

/** Address of the symbols of elements [from, to), at most a tile; 0 if one of them has no symbol. */
export function readTile(from: u32, to: u32): usize {
  if (type == TYPE_INT32) return elements + (<usize>from << 2);
  if (type != TYPE_FLOAT32) {
    const bytes = type == TYPE_INT16 ? 2 : 1;
    widen(elements + <usize>from * bytes, tile, to - from, bytes);
    return tile;
  }
  for (let i = from; i < to; ) {
    const end = medians ? min<u32>(to, (i / medianRun + 1) * medianRun) : to;
    const mean: f32 = medians ? load<f32>(medians + (<usize>((i / medianRun) % medianCount) << 2)) : 0;
    if (quantize(elements + (<usize>i << 2), tile + (<usize>(i - from) << 2), end - i, means ? means + (<usize>i << 2) : 0, mean, step) >= 0) return 0;
    i = end;
  }
  return tile;
}

/** Where the symbols of a tile that begins at element `from` are to be put. */
export function tileFor(from: u32): usize {
  return type == TYPE_INT32 ? elements + (<usize>from << 2) : tile;
}

/** Turns the tile's symbols into elements [from, to). False if a symbol does not fit the type. */
export function writeTile(from: u32, to: u32): bool {
  if (type == TYPE_INT32) return true;
  if (type != TYPE_FLOAT32) {
    const bytes = type == TYPE_INT16 ? 2 : 1;
    const bad = narrow(tile, elements + <usize>from * bytes, to - from, bytes);
    if (bad < 0) return true;
    refusedPosition = from + bad;
    refusedSymbol = load<i32>(tile + (<usize>bad << 2));
    return false;
  }
  for (let i = from; i < to; ) {
    const end = medians ? min<u32>(to, (i / medianRun + 1) * medianRun) : to;
    const mean: f32 = medians ? load<f32>(medians + (<usize>((i / medianRun) % medianCount) << 2)) : 0;
    dequantize(tile + (<usize>(i - from) << 2), elements + (<usize>i << 2), end - i, means ? means + (<usize>i << 2) : 0, mean, step);
    i = end;
  }
  return true;
}

// Rows from a context (docs/format.md section 10): the symbols of a part one after the other, each with the
// distribution that follows from those before it. What is kept of a part while it is coded is called its walk.

import { sigmoid } from "./cdf";
import { addPairs, distribution, infer } from "./context-network";
import {
  BIAS, BIAS_BOTTOM, BIAS_LEFT, BIAS_RIGHT, BIAS_TOP, BLOCK_HIGH, BLOCK_LOW, BLOCK_OWN, CELLS_ABOVE, CONTEXT_ACTIVE, CONTEXT_CELLS,
  CONTEXT_BIASES, CONTEXT_BLOCK_BYTES, CONTEXT_BLOCKS, CONTEXT_GIVEN, CONTEXT_HIDDEN, CONTEXT_NEXT, NEXT_PAIRS, PAIR_GIVEN, WEIGHTS_RUN,
} from "./context-parameters";
import { ESCAPE_CUM } from "./mixture";

/** The largest symbol that a feature tells apart. */
const FEATURE_LIMIT: i32 = 511;
/** Empty cells around a plane. */
const MARGIN: u32 = 3;

// The walk of the part that is coded now. `beginWalk` fills it in, `contextEntry` and `contextValue` move it on by one
// symbol each. It ends with the call of the host that began it; the next `beginWalk` writes it anew.
const walk: usize = memory.data(128, 16);
const WALK_CONTEXT: usize = 0;
/** Address of the symbols in the order of coding. */
const WALK_SYMBOLS: usize = 4;
/** Number of the next symbol. */
const WALK_INDEX: usize = 8;
const WALK_HEIGHT: usize = 12;
const WALK_WIDTH: usize = 16;
// Where it is.
const WALK_CHANNEL: usize = 20;
const WALK_Y: usize = 24;
const WALK_X: usize = 28;
/** Sum of |p| over the plane so far. */
const WALK_SUM: usize = 32;
const WALK_BLOCK: usize = 36;
// Arrays.
const WALK_STATE: usize = 40;
const WALK_ROW: usize = 44;
const WALK_BIAS: usize = 48;
const WALK_PLANE: usize = 52;
const WALK_BEFORE: usize = 56;
const WALK_BITS: usize = 60;
const WALK_BITS_BEFORE: usize = 64;
const WALK_RINGS: usize = 68;
const WALK_SUMS: usize = 72;
const WALK_OFFSETS: usize = 76;
const WALK_TAPS_LEFT: usize = 80;
const WALK_PLANE_BYTES: usize = 84;
const WALK_BITS_BYTES: usize = 88;
/** Address of the given rows (u16) in the order of coding; 0: there are none. */
const WALK_ROWS: usize = 92;

/** Pairs that the first layer may read, and the pairs for the channels that follow behind them. */
const OWN_PAIRS: usize = PAIR_GIVEN + 1;

/** Bytes of a row of bits. Seven bits are read with a u32 that begins at any byte. */
// @ts-ignore: decorator
@inline
function bitsRow(width: u32): u32 {
  return ((width + 2 * MARGIN) >> 3) + 5;
}

/** Bytes of working memory for planes of height x width. Below 2^32, as a plane has at most 2^22 positions. */
export function walkBytes(context: usize, height: u32, width: u32): u32 {
  return layout(context, 0, height, width);
}

// Lays out the arrays one after the other, behind `base`. Returns the end.
function layout(context: usize, base: u32, height: u32, width: u32): u32 {
  const bytes = load<u32>(context, CONTEXT_HIDDEN) << 2;
  const rows = height + 2 * MARGIN;
  // One channel has no other before it.
  let end = place(WALK_STATE, base, load<u32>(context, CONTEXT_ACTIVE) > 1 ? height * width * bytes : bytes);
  end = place(WALK_ROW, end, width * bytes);
  end = place(WALK_BIAS, end, 2 * bytes);
  end = place(WALK_PLANE, end, 4 * rows * (width + 2 * MARGIN));
  end = place(WALK_BEFORE, end, 4 * rows * (width + 2 * MARGIN));
  end = place(WALK_BITS, end, rows * bitsRow(width));
  end = place(WALK_BITS_BEFORE, end, rows * bitsRow(width));
  end = place(WALK_RINGS, end, 4 * height * width);
  end = place(WALK_SUMS, end, 8 * (height + 4) * width);
  return place(WALK_OFFSETS, end, 4 * <u32>(OWN_PAIRS + NEXT_PAIRS));
}

// Stores the address of an array in its field of the walk. Returns the end of the array.
function place(field: usize, at: u32, bytes: u32): u32 {
  store<u32>(walk + field, at);
  // Vectors may end behind an array.
  return (at + bytes + 79) & ~63;
}

/**
 * Begins a part. `symbols` has its symbols (int32) in the order of coding, or takes them; `rows` has their given rows
 * (u16), 0 without; `work` is walkBytes large.
 */
export function beginWalk(context: usize, height: u32, width: u32, symbols: usize, rows: usize, work: usize): void {
  const row = (width + 2 * MARGIN) << 2;
  memory.fill(walk, 0, 128);
  layout(context, <u32>work, height, width);
  store<u32>(walk, <u32>context, WALK_CONTEXT);
  store<u32>(walk, <u32>symbols, WALK_SYMBOLS);
  store<u32>(walk, <u32>rows, WALK_ROWS);
  store<u32>(walk, height, WALK_HEIGHT);
  store<u32>(walk, width, WALK_WIDTH);
  store<u32>(walk, (height + 2 * MARGIN) * row, WALK_PLANE_BYTES);
  store<u32>(walk, (height + 2 * MARGIN) * bitsRow(width), WALK_BITS_BYTES);
  store<u32>(walk, popcnt<u32>((load<u32>(context, CONTEXT_CELLS) >> <u32>CELLS_ABOVE) & 7), WALK_TAPS_LEFT);
  const offsets = <usize>load<u32>(walk, WALK_OFFSETS);
  for (let b: i32 = 0; b < <i32>CELLS_ABOVE; b++) {
    const up = b < 14 ? 1 + b / 7 : 3;
    const dx = b < 14 ? (b % 7) - 3 : b - 15;
    store<i32>(offsets + (<usize>b << 2), 4 * dx - up * <i32>row);
  }
  for (let b: i32 = 0; b < 9; b++)
    store<i32>(offsets + ((OWN_PAIRS + b) << 2), ((b % 3) - 1) * 4 + (b / 3 - 1) * <i32>row);
  beginItem();
}

function beginItem(): void {
  const context = <usize>load<u32>(walk, WALK_CONTEXT);
  const cells = load<u32>(context, CONTEXT_ACTIVE) > 1 ? load<u32>(walk, WALK_HEIGHT) * load<u32>(walk, WALK_WIDTH) : 1;
  memory.fill(<usize>load<u32>(walk, WALK_STATE), 0, <usize>cells * (load<u32>(context, CONTEXT_HIDDEN) << 2));
  store<u32>(walk, 0, WALK_CHANNEL);
  store<u32>(walk, load<u32>(context, CONTEXT_BLOCKS), WALK_BLOCK);
  clearPlane();
}

function clearPlane(): void {
  memory.fill(<usize>load<u32>(walk, WALK_PLANE), 0, load<u32>(walk, WALK_PLANE_BYTES));
  memory.fill(<usize>load<u32>(walk, WALK_BITS), 0, load<u32>(walk, WALK_BITS_BYTES));
  store<u32>(walk, 0, WALK_SUM);
}

// @ts-ignore: decorator
@inline
function cellAt(plane: usize, y: u32, x: u32): usize {
  return plane + (((y + MARGIN) * (load<u32>(walk, WALK_WIDTH) + 2 * MARGIN) + x + MARGIN) << 2);
}

/**
 * Moves to the next symbol and computes its distribution, to `distribution` of context-network.ts. The symbol before it
 * must be in place.
 */
function predictNext(): void {
  const index = load<u32>(walk, WALK_INDEX);
  store<u32>(walk, index + 1, WALK_INDEX);
  if (index) take(load<i32>(<usize>load<u32>(walk, WALK_SYMBOLS) + (<usize>(index - 1) << 2)));
  const context = <usize>load<u32>(walk, WALK_CONTEXT);
  const y = load<u32>(walk, WALK_Y);
  const x = load<u32>(walk, WALK_X);
  if (x == 0) beginRow(context, y);
  const cell = cellAt(<usize>load<u32>(walk, WALK_PLANE), y, x);
  const row = <usize>load<u32>(walk, WALK_ROW) + <usize>x * (load<u32>(context, CONTEXT_HIDDEN) << 2);
  infer(context, <usize>load<u32>(walk, WALK_BLOCK), row, cell, <usize>load<u32>(walk, WALK_TAPS_LEFT));
}

// Puts a symbol in its cell and moves on.
function take(value: i32): void {
  const y = load<u32>(walk, WALK_Y);
  const x = load<u32>(walk, WALK_X);
  const width = load<u32>(walk, WALK_WIDTH);
  const p = max<i32>(-FEATURE_LIMIT, min<i32>(FEATURE_LIMIT, value));
  if (p != 0) {
    const size = abs<i32>(p);
    store<u32>(cellAt(<usize>load<u32>(walk, WALK_PLANE), y, x), (<u32>p & 0xffff) | (<u32>size << 16));
    const bit = x + MARGIN;
    const at = <usize>load<u32>(walk, WALK_BITS) + (y + MARGIN) * bitsRow(width) + (bit >> 3);
    store<u8>(at, load<u8>(at) | <u8>(<u32>1 << (bit & 7)));
    store<u32>(walk, load<u32>(walk, WALK_SUM) + size, WALK_SUM);
  }
  if (x + 1 < width) {
    store<u32>(walk, x + 1, WALK_X);
    return;
  }
  store<u32>(walk, 0, WALK_X);
  if (y + 1 < load<u32>(walk, WALK_HEIGHT)) {
    store<u32>(walk, y + 1, WALK_Y);
    return;
  }
  store<u32>(walk, 0, WALK_Y);
  endPlane();
}

// round(64 * sum / cells), as docs/format.md defines it.
// @ts-ignore: decorator
@inline
function meanOf(sum: u32, cells: u32): u32 {
  return <u32>((64 * <u64>sum + (cells >> 1)) / cells);
}

function endPlane(): void {
  const context = <usize>load<u32>(walk, WALK_CONTEXT);
  const k = load<u32>(walk, WALK_CHANNEL) + 1;
  if (k == load<u32>(context, CONTEXT_ACTIVE)) {
    beginItem();
    return;
  }
  sumRings();
  const plane = load<u32>(walk, WALK_PLANE);
  const bits = load<u32>(walk, WALK_BITS);
  store<u32>(walk, load<u32>(walk, WALK_BEFORE), WALK_PLANE);
  store<u32>(walk, plane, WALK_BEFORE);
  store<u32>(walk, load<u32>(walk, WALK_BITS_BEFORE), WALK_BITS);
  store<u32>(walk, bits, WALK_BITS_BEFORE);
  store<u32>(walk, k, WALK_CHANNEL);
  store<u32>(walk, load<u32>(walk, WALK_BLOCK) + load<u32>(context, CONTEXT_BLOCK_BYTES), WALK_BLOCK);
  clearPlane();
}

// ring | glob << 16 of each position: |p| over the 16 border cells of the 5x5 around it, and the mean of the plane.
function sumRings(): void {
  const height = load<u32>(walk, WALK_HEIGHT);
  const width = load<u32>(walk, WALK_WIDTH);
  const row = <usize>width << 2;
  // Sums of three and of five neighbours, of rows -2 .. height + 1.
  const threes = <usize>load<u32>(walk, WALK_SUMS);
  const fives = threes + <usize>(height + 4) * row;
  let at = 0 as usize;
  for (let y: u32 = 0; y < height + 4; y++) {
    // The row y - 2 of the plane.
    let cell = <usize>load<u32>(walk, WALK_PLANE) + (((y + 1) * (width + 2 * MARGIN) + MARGIN) << 2);
    for (let x: usize = 0; x < row; x += 4, cell += 4, at += 4) {
      const three = (load<u32>(cell - 4) >> 16) + (load<u32>(cell) >> 16) + (load<u32>(cell, 4) >> 16);
      store<u32>(threes + at, three);
      store<u32>(fives + at, three + (load<u32>(cell - 8) >> 16) + (load<u32>(cell, 8) >> 16));
    }
  }
  const glob = meanOf(load<u32>(walk, WALK_SUM), height * width) << 16;
  const end = <usize>height * row;
  const rings = <usize>load<u32>(walk, WALK_RINGS);
  for (at = 0; at < end; at += 4) {
    let sum: u32 = 0;
    for (let r: usize = 0; r < 5; r++) sum += load<u32>(fives + at + r * row);
    for (let r: usize = 1; r < 4; r++) sum -= load<u32>(threes + at + r * row);
    store<u32>(rings + at, sum | glob);
  }
}

// Adds the channel before to the state of a position.
function updateState(context: usize, y: u32, x: u32): void {
  const hidden = <usize>load<u32>(context, CONTEXT_HIDDEN);
  const width = load<u32>(walk, WALK_WIDTH);
  const stride = bitsRow(width);
  const bit = x + MARGIN - 1;
  const bits = <usize>load<u32>(walk, WALK_BITS_BEFORE) + (y + MARGIN - 1) * stride + (bit >> 3);
  const shift = bit & 7;
  const mask =
    ((load<u32>(bits, 0, 1) >> shift) & 7) |
    (((load<u32>(bits + stride, 0, 1) >> shift) & 7) << 3) |
    (((load<u32>(bits + 2 * stride, 0, 1) >> shift) & 7) << 6);
  const position = <usize>(y * width + x);
  const state = <usize>load<u32>(walk, WALK_STATE) + position * (hidden << 2);
  const weights = <usize>load<u32>(walk, WALK_BLOCK) - load<u32>(context, CONTEXT_BLOCK_BYTES) + load<u32>(context, CONTEXT_NEXT);
  const ring = <usize>load<u32>(walk, WALK_RINGS) + (position << 2);
  const cell = cellAt(<usize>load<u32>(walk, WALK_BEFORE), y, x);
  const offsets = <usize>load<u32>(walk, WALK_OFFSETS) + (OWN_PAIRS << 2);
  // The tenth pair is not a cell.
  store<i32>(offsets + 36, <i32>(ring - cell));
  addPairs(state, state, 0, cell, offsets, load<u32>(ring) ? mask | 512 : mask, weights, hidden);
}

function addBias(to: usize, from: usize, bias: usize, bytes: usize): void {
  for (let h: usize = 0; h < bytes; h += 4) store<i32>(to + h, load<i32>(from + h) + load<i32>(bias + h));
}

// Everything of row y that does not depend on its own symbols.
function beginRow(context: usize, y: u32): void {
  const hidden = <usize>load<u32>(context, CONTEXT_HIDDEN);
  const width = load<u32>(walk, WALK_WIDTH);
  const block = <usize>load<u32>(walk, WALK_BLOCK);
  const several = load<u32>(walk, WALK_CHANNEL) != 0;
  // Between the symbols of the row before, this takes the same time (20 x 28 x 28: 1.33 to 1.37 against 1.31 to 1.36 ms).
  if (several) for (let x: u32 = 0; x < width; x++) updateState(context, y, x);
  const biases = block + <usize>load<u32>(context, CONTEXT_BIASES);
  const bytes = hidden << 2;
  const run = y ? <i32>meanOf(load<u32>(walk, WALK_SUM), width * y) : 0;
  const bias = <usize>load<u32>(walk, WALK_BIAS);
  for (let h: usize = 0; h < bytes; h += 4)
    store<i32>(bias + h, load<i32>(biases + BIAS * bytes + h) + run * load<i32>(biases + WEIGHTS_RUN * bytes + h));
  if (y == 0) addBias(bias, bias, biases + BIAS_TOP * bytes, bytes);
  if (y + 1 == load<u32>(walk, WALK_HEIGHT)) addBias(bias, bias, biases + BIAS_BOTTOM * bytes, bytes);
  const stride = bitsRow(width);
  const first = <usize>load<u32>(walk, WALK_BITS) + y * stride;
  const above = load<u32>(context, CONTEXT_CELLS);
  const state = <usize>load<u32>(walk, WALK_STATE) + (several ? <usize>(y * width) * (hidden << 2) : 0);
  const row = <usize>load<u32>(walk, WALK_ROW);
  const offsets = <usize>load<u32>(walk, WALK_OFFSETS);
  const plane = <usize>load<u32>(walk, WALK_PLANE);
  const given = <usize>load<u32>(walk, WALK_ROWS);
  // The present symbol is the row's first, and counted already.
  const rows = given + ((<usize>load<u32>(walk, WALK_INDEX) - 1) << 1);
  for (let x: u32 = 0; x < width; x++) {
    // Bit x is the cell at dx = -3.
    const bits = first + (x >> 3);
    const shift = x & 7;
    let mask =
      ((load<u32>(bits + 2 * stride, 0, 1) >> shift) & 127) |
      (((load<u32>(bits + stride, 0, 1) >> shift) & 127) << 7) |
      (((load<u32>(bits, 0, 1) >> (shift + 2)) & 7) << 14);
    const from = several ? state + <usize>x * bytes : state;
    // The columns at the edges have a bias of their own.
    let own = bias;
    if (x == 0 || x + 1 == width) {
      own = bias + bytes;
      addBias(own, bias, x == 0 ? biases + BIAS_LEFT * bytes : biases + BIAS_RIGHT * bytes, bytes);
      if (width == 1) addBias(own, own, biases + BIAS_RIGHT * bytes, bytes);
    }
    const cell = cellAt(plane, y, x);
    if (given) {
      const pair = <usize>load<u32>(context, CONTEXT_GIVEN) + (<usize>load<u16>(rows + (<usize>x << 1)) << 2);
      store<i32>(offsets + (PAIR_GIVEN << 2), <i32>(pair - cell));
      mask |= 1 << <u32>PAIR_GIVEN;
    }
    addPairs(row + <usize>x * bytes, from, own, cell, offsets, mask & above, block + BLOCK_OWN, hidden);
  }
}

// ---- from mu and l to cum, docs/format.md section 10.4

const mantissas: usize = memory.data<u16>([
  1024, 1069, 1117, 1166, 1218, 1272, 1328, 1387, 1448, 1512, 1579, 1649, 1722, 1798, 1878, 1961,
]);
/** The table of the logistic function goes from -LOGISTIC_END to LOGISTIC_END, in units of 1/128. */
const LOGISTIC_END: i32 = 1536;
const FAR: i32 = 1 << 19;
// min(65535, nearest(65536 * sigmoid(i / 128))) for i = -1536 .. 1536, u16. Made when it is first needed. No value comes
// nearer than 0.0003 to where it would round the other way.
const logistic: usize = memory.data(6160, 16);

/** Builds the table of the logistic function. Call it before the first walk. */
export function buildLogistic(): void {
  if (load<u16>(logistic + (2 * LOGISTIC_END << 1))) return;
  for (let i = -LOGISTIC_END; i <= LOGISTIC_END; i++) {
    const value = floor<f64>(65536 * sigmoid(<f64>i / 128) + 0.5);
    store<u16>(logistic + (<usize>(i + LOGISTIC_END) << 1), <u16>min<f64>(value, 65535));
  }
}

// cum of value v under the present distribution. It is 0 up to lo, and 65535 (the escape's) beyond hi.
function cumAt(v: i32): u32 {
  const block = <usize>load<u32>(walk, WALK_BLOCK);
  const low = load<i32>(block, BLOCK_LOW);
  const high = load<i32>(block, BLOCK_HIGH);
  if (v <= low) return 0;
  if (v > high) return ESCAPE_CUM;
  const l = load<i32>(distribution, 4);
  const mantissa = <i32>load<u16>(mantissas + (<usize>(l & 15) << 1));
  const d = max<i32>(-FAR, min<i32>(FAR, (v << 8) - load<i32>(distribution) - 128));
  const u = max<i32>(-LOGISTIC_END, min<i32>(LOGISTIC_END, (d * mantissa) >> (11 - (l >> 4))));
  const mass = <u32>load<u16>(logistic + (<usize>(u + LOGISTIC_END) << 1));
  return ((mass * <u32>(65534 - (high - low))) >> 16) + <u32>(v - low);
}

/** The entry (freq | cum << 16) of a symbol's value. For an escape that of the escape. */
export function contextEntry(value: i32): u32 {
  predictNext();
  const block = <usize>load<u32>(walk, WALK_BLOCK);
  if (value < load<i32>(block, BLOCK_LOW) || value > load<i32>(block, BLOCK_HIGH)) return 1 | (ESCAPE_CUM << 16);
  const cum = cumAt(value);
  return (cumAt(value + 1) - cum) | (cum << 16);
}

/**
 * Entry (freq | cum << 16) of the value that `contextValue` has found. Only `contextValue` sets it. Its caller reads it
 * at once: the next symbol overwrites it.
 */
export let contextFound: u32 = 0;

/** The value of the next symbol from its slot. For an escape the value has no meaning. */
export function contextValue(slot: u32): i32 {
  predictNext();
  if (slot == ESCAPE_CUM) {
    contextFound = 1 | (ESCAPE_CUM << 16);
    return 0;
  }
  const block = <usize>load<u32>(walk, WALK_BLOCK);
  const low = load<i32>(block, BLOCK_LOW);
  const high = load<i32>(block, BLOCK_HIGH);
  let value = max<i32>(low, min<i32>(high, (load<i32>(distribution) + 128) >> 8));
  let cum = cumAt(value);
  let next = cumAt(value + 1);
  // Outward from the centre, over distances that double, then by halves: a damaged packet or hostile parameters cost no more
  // than 24 of them.
  if (slot < cum || slot >= next) {
    let from = value;
    let to = value + 1;
    let distance = 1;
    if (slot < cum) {
      while (slot < cum) {
        to = from;
        next = cum;
        from = max<i32>(low, from - distance);
        cum = cumAt(from);
        distance <<= 1;
      }
    } else {
      while (slot >= next) {
        from = to;
        cum = next;
        to = min<i32>(high + 1, to + distance);
        next = cumAt(to);
        distance <<= 1;
      }
    }
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      const middleCum = cumAt(middle);
      if (middleCum <= slot) {
        from = middle;
        cum = middleCum;
      } else {
        to = middle;
        next = middleCum;
      }
    }
    value = from;
  }
  contextFound = (next - cum) | (cum << 16);
  return value;
}

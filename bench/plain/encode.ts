import { type PlainTable, WINDOW_BITS as TABLE_WINDOW_BITS, WINDOW_HALF as TABLE_WINDOW_HALF } from "./table.js";
import { PIECE, pushVarint, LANES as WIRE_LANES, zigzagEncode } from "./wire.js";

// V8 folds the constants of a module, but not those that it imports: 289 against 220 Msym/s on W1.
const LANES = WIRE_LANES;
const WINDOW_BITS = TABLE_WINDOW_BITS;
const WINDOW_HALF = TABLE_WINDOW_HALF;
const WINDOW_MASK = (1 << WINDOW_BITS) - 1;

interface Writer {
  readonly table: PlainTable;
  readonly view: DataView;
  readonly lanes: Int32Array;
  /** Words are written downwards from the end of the scratch buffer. */
  position: number;
  /** Escaped symbols, last one first. */
  readonly escaped: number[];
}

/** The interval of a symbol that the window does not hold. */
function outside(writer: Writer, row: number, symbol: number): number {
  const { cdf, rowStart, escapeEntry, offsets } = writer.table;
  const place = symbol - offsets[row];
  let entry = rowStart[row] + place;
  if (place < 0 || entry >= escapeEntry[row]) {
    writer.escaped.push(symbol);
    entry = escapeEntry[row];
  }
  return ((cdf[entry + 1] - cdf[entry]) << 16) | cdf[entry];
}

/** One symbol on one lane: what is left when a run is no multiple of four. */
function encodeOne(writer: Writer, row: number, lane: number, symbol: number): void {
  const interval = outside(writer, row, symbol);
  const freq = interval >>> 16;
  let x = writer.lanes[lane];
  if (x >>> 16 >= freq) {
    writer.position -= 2;
    writer.view.setUint16(writer.position, x & 0xffff, true);
    x >>>= 16;
  }
  writer.lanes[lane] = x + (interval & 0xffff) + Math.imul(((x >>> 0) / freq) | 0, 65536 - freq);
}

function encodeRun(writer: Writer, symbols: Int32Array, row: number, from: number, to: number): void {
  let i = to;
  for (; (i - from) % LANES !== 0; i--) encodeOne(writer, row, (i - 1 - from) % LANES, symbols[i - 1]);
  const { view, lanes } = writer;
  const { window } = writer.table;
  const first = row << WINDOW_BITS;
  let p = writer.position;
  let a = lanes[0];
  let b = lanes[1];
  let c = lanes[2];
  let d = lanes[3];
  for (i -= LANES; i >= from; i -= LANES) {
    {
      const symbol = symbols[i + 3];
      const place = symbol + WINDOW_HALF;
      let interval = window[first + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, row, symbol);
      const freq = interval >>> 16;
      if (d >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, d & 0xffff, true);
        d >>>= 16;
      }
      const quotient = ((d >>> 0) / freq) | 0;
      d = (d + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i + 2];
      const place = symbol + WINDOW_HALF;
      let interval = window[first + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, row, symbol);
      const freq = interval >>> 16;
      if (c >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, c & 0xffff, true);
        c >>>= 16;
      }
      const quotient = ((c >>> 0) / freq) | 0;
      c = (c + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i + 1];
      const place = symbol + WINDOW_HALF;
      let interval = window[first + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, row, symbol);
      const freq = interval >>> 16;
      if (b >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, b & 0xffff, true);
        b >>>= 16;
      }
      const quotient = ((b >>> 0) / freq) | 0;
      b = (b + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i];
      const place = symbol + WINDOW_HALF;
      let interval = window[first + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, row, symbol);
      const freq = interval >>> 16;
      if (a >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, a & 0xffff, true);
        a >>>= 16;
      }
      const quotient = ((a >>> 0) / freq) | 0;
      a = (a + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
  writer.position = p;
}

function encodeRows(writer: Writer, symbols: Int32Array, rows: Uint16Array, from: number, to: number): void {
  let i = to;
  for (; i % LANES !== 0; i--) encodeOne(writer, rows[i - 1], (i - 1) % LANES, symbols[i - 1]);
  const { view, lanes } = writer;
  const { window } = writer.table;
  let p = writer.position;
  let a = lanes[0];
  let b = lanes[1];
  let c = lanes[2];
  let d = lanes[3];
  for (i -= LANES; i >= from; i -= LANES) {
    {
      const symbol = symbols[i + 3];
      const place = symbol + WINDOW_HALF;
      let interval = window[(rows[i + 3] << WINDOW_BITS) + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, rows[i + 3], symbol);
      const freq = interval >>> 16;
      if (d >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, d & 0xffff, true);
        d >>>= 16;
      }
      const quotient = ((d >>> 0) / freq) | 0;
      d = (d + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i + 2];
      const place = symbol + WINDOW_HALF;
      let interval = window[(rows[i + 2] << WINDOW_BITS) + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, rows[i + 2], symbol);
      const freq = interval >>> 16;
      if (c >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, c & 0xffff, true);
        c >>>= 16;
      }
      const quotient = ((c >>> 0) / freq) | 0;
      c = (c + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i + 1];
      const place = symbol + WINDOW_HALF;
      let interval = window[(rows[i + 1] << WINDOW_BITS) + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, rows[i + 1], symbol);
      const freq = interval >>> 16;
      if (b >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, b & 0xffff, true);
        b >>>= 16;
      }
      const quotient = ((b >>> 0) / freq) | 0;
      b = (b + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
    {
      const symbol = symbols[i];
      const place = symbol + WINDOW_HALF;
      let interval = window[(rows[i] << WINDOW_BITS) + (place & WINDOW_MASK)];
      if (place >>> WINDOW_BITS !== 0 || interval === 0) interval = outside(writer, rows[i], symbol);
      const freq = interval >>> 16;
      if (a >>> 16 >= freq) {
        p -= 2;
        view.setUint16(p, a & 0xffff, true);
        a >>>= 16;
      }
      const quotient = ((a >>> 0) / freq) | 0;
      a = (a + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
    }
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
  writer.position = p;
}

let scratch = new ArrayBuffer(1 << 16);

/** `run`: how many symbols in turn share a row; 0 where each has its own. */
export function encode(symbols: Int32Array, table: PlainTable, rows: Uint16Array, run: number): Uint8Array {
  const n = symbols.length;
  // A symbol emits at most one word of two bytes.
  const room = 2 * n + 4 * LANES + 16;
  if (scratch.byteLength < room) scratch = new ArrayBuffer(room);
  const view = new DataView(scratch);
  const end = scratch.byteLength;
  const writer: Writer = { table, view, lanes: new Int32Array(LANES).fill(0x10000), position: end, escaped: [] };
  if (run === 0) {
    for (let i = Math.floor((n - 1) / PIECE) * PIECE; i >= 0; i -= PIECE)
      encodeRows(writer, symbols, rows, i, Math.min(i + PIECE, n));
  } else {
    for (let i = Math.floor((n - 1) / run) * run; i >= 0; i -= run)
      encodeRun(writer, symbols, rows[i], i, Math.min(i + run, n));
  }
  for (let lane = LANES - 1; lane >= 0; lane--) {
    writer.position -= 4;
    view.setInt32(writer.position, writer.lanes[lane], true);
  }
  const escapes: number[] = [];
  for (let e = writer.escaped.length - 1; e >= 0; e--) pushVarint(escapes, zigzagEncode(writer.escaped[e]));
  const head: number[] = [];
  pushVarint(head, escapes.length);
  const coded = new Uint8Array(scratch, writer.position, end - writer.position);
  const stream = new Uint8Array(head.length + coded.length + escapes.length);
  stream.set(head);
  stream.set(coded, head.length);
  stream.set(escapes, head.length + coded.length);
  return stream;
}

/**
 * The best rANS that we know how to write in plain TypeScript: what good JavaScript reaches without Wasm, to compare with.
 * Its stream is its own and no format to store: varint(bytes of escapes), four 32-bit states, 16-bit words, escapes as zigzag varints.
 */
import type { TableJson } from "latentwire";

/** Eight lanes spill registers and are slower (179 against 269 Msym/s when this was tried on W1). */
export const LANES = 4;

/**
 * Long tensors are coded in pieces of one call each, a multiple of the lanes. V8 compiles one call over everything while it runs,
 * before it knows the rare paths, and then falls back to the interpreter at each of them.
 */
const PIECE = 4096;

/** The decoder's buckets: the top 7 bits of a slot name one of 128 per row. */
const BUCKET_BITS = 7;
const BUCKET_SHIFT = 16 - BUCKET_BITS;

/** The encoder looks up symbols -32 .. 31 without a comparison against the row's ends. */
const WINDOW_BITS = 6;
const WINDOW_HALF = 1 << (WINDOW_BITS - 1);

/**
 * A table laid out for V8. An interval is packed as freq << 16 | cum, so one load serves both; 0 marks what the fast
 * path must leave to the slow one (an escape, a symbol outside the window), because no real freq is 0.
 */
export interface PlainTable {
  /** All rows' cdfs one after the other; `rowStart[row]` is where each begins. */
  readonly cdf: Int32Array;
  readonly rowStart: Int32Array;
  /** Position in `cdf` of each row's escape entry. */
  readonly escapeEntry: Int32Array;
  readonly offsets: Int32Array;
  /** Symbol of each entry of `cdf`. */
  readonly symbols: Int32Array;
  readonly bucketInterval: Int32Array;
  readonly bucketSymbol: Int32Array;
  /** First entry of `cdf` that reaches into the bucket. */
  readonly bucketEntry: Int32Array;
  readonly window: Int32Array;
}

export function plainTable(json: TableJson): PlainTable {
  const rows = json.cdfs.length;
  const total = json.cdfs.reduce((sum, cdf) => sum + cdf.length, 0);
  const table = {
    cdf: new Int32Array(total),
    rowStart: new Int32Array(rows),
    escapeEntry: new Int32Array(rows),
    offsets: Int32Array.from(json.offsets),
    symbols: new Int32Array(total),
    bucketInterval: new Int32Array(rows << BUCKET_BITS),
    bucketSymbol: new Int32Array(rows << BUCKET_BITS),
    bucketEntry: new Int32Array(rows << BUCKET_BITS),
    window: new Int32Array(rows << WINDOW_BITS),
  };
  let start = 0;
  json.cdfs.forEach((cdf, row) => {
    const max = cdf.length - 2;
    const offset = json.offsets[row];
    // A lone entry has freq 65536, which the packed form cannot hold.
    if (max < 1) throw new RangeError(`row ${row} has one entry; the plain codec needs two`);
    const interval = (entry: number) => (entry === max ? 0 : ((cdf[entry + 1] - cdf[entry]) << 16) | cdf[entry]);
    table.rowStart[row] = start;
    table.escapeEntry[row] = start + max;
    table.cdf.set(cdf, start);
    for (let entry = 0; entry < cdf.length; entry++) table.symbols[start + entry] = offset + entry;
    for (let bucket = 0, entry = 0; bucket < 1 << BUCKET_BITS; bucket++) {
      while (cdf[entry + 1] <= bucket << BUCKET_SHIFT) entry++;
      const at = (row << BUCKET_BITS) + bucket;
      table.bucketInterval[at] = interval(entry);
      table.bucketSymbol[at] = offset + entry;
      table.bucketEntry[at] = start + entry;
    }
    for (let place = 0; place < 1 << WINDOW_BITS; place++) {
      const entry = place - WINDOW_HALF - offset;
      if (entry >= 0 && entry < max) table.window[(row << WINDOW_BITS) + place] = interval(entry);
    }
    start += cdf.length;
  });
  return table;
}

/** One direction on its way through a stream. `position`: where the next word is read, or the last one was written. */
interface Coder {
  readonly table: PlainTable;
  readonly view: DataView;
  readonly lanes: Int32Array;
  position: number;
}

interface Reader extends Coder {
  readonly escapes: { readonly bytes: Uint8Array; at: number };
}

interface Writer extends Coder {
  /** Escaped symbols, last one first. */
  readonly escaped: number[];
}

/**
 * A loop over four lanes, each written out: V8 keeps separate locals in registers, and a division or a multiplication of one lane
 * overlaps with the others'. The text of a step stands here once. V8 compiles the four copies like any function.
 * `row` is the text of the row of symbol j: its own, or one for the whole run, which is faster.
 */
function unrolled<Loop>(helpers: Record<string, unknown>, text: (row: (j: number) => string) => string) {
  const compile = (row: (j: number) => string): Loop =>
    new Function(...Object.keys(helpers), text(row))(...Object.values(helpers));
  return { rows: compile((j) => `rows[i + ${j}]`), run: compile(() => "runRow") };
}

const STATES = "let a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];";
const KEEP_STATES = "lanes[0] = a; lanes[1] = b; lanes[2] = c; lanes[3] = d;";

function find(cdf: Int32Array, entry: number, slot: number): number {
  while (cdf[entry + 1] <= slot) entry++;
  return entry;
}

const nextEscape = ({ escapes }: Reader): number => {
  const coded = readVarint(escapes);
  return (coded >>> 1) ^ -(coded & 1);
};

/** Decodes [from, to) as far as all four lanes have a symbol; returns where it stopped. */
type Decode = (reader: Reader, out: Int32Array, rows: Uint16Array, from: number, to: number) => number;

const decodeLanes = unrolled<Decode>({ find, nextEscape }, (row) => {
  const step = (x: string, j: number) => `{
    const row = ${row(j)};
    const slot = ${x} & 0xffff;
    const bucket = (row << ${BUCKET_BITS}) + (slot >>> ${BUCKET_SHIFT});
    let interval = bucketInterval[bucket];
    let symbol = bucketSymbol[bucket];
    let rest = slot - (interval & 0xffff);
    if (rest >= interval >>> 16) {
      const entry = find(cdf, bucketEntry[bucket], slot);
      interval = (cdf[entry + 1] - cdf[entry]) << 16;
      rest = slot - cdf[entry];
      symbol = entry === escapeEntry[row] ? nextEscape(reader) : symbols[entry];
    }
    out[i + ${j}] = symbol;
    ${x} = (Math.imul(interval >>> 16, ${x} >>> 16) + rest) | 0;
    if (${x} >>> 16 === 0) {
      ${x} = (${x} << 16) | view.getUint16(p, true);
      p += 2;
    }
  }`;
  return `return (reader, out, rows, from, to) => {
    const { view, lanes } = reader;
    const { cdf, symbols, escapeEntry, bucketInterval, bucketSymbol, bucketEntry } = reader.table;
    ${STATES}
    const runRow = rows[from];
    let p = reader.position, i = from;
    for (; i + ${LANES} <= to; i += ${LANES}) { ${["a", "b", "c", "d"].map(step).join("\n")} }
    ${KEEP_STATES}
    reader.position = p;
    return i;
  }`;
});

/** One symbol on one lane: what is left when a run is no multiple of four. */
function decodeOne(reader: Reader, row: number, lane: number): number {
  const { table, lanes } = reader;
  const slot = lanes[lane] & 0xffff;
  const entry = find(table.cdf, table.bucketEntry[(row << BUCKET_BITS) + (slot >>> BUCKET_SHIFT)], slot);
  const freq = table.cdf[entry + 1] - table.cdf[entry];
  const x = (Math.imul(freq, lanes[lane] >>> 16) + slot - table.cdf[entry]) | 0;
  if (x >>> 16 === 0) {
    lanes[lane] = (x << 16) | reader.view.getUint16(reader.position, true);
    reader.position += 2;
  } else lanes[lane] = x;
  return entry === table.escapeEntry[row] ? nextEscape(reader) : table.symbols[entry];
}

/** `run`: how many symbols in turn share a row; 0 where each has its own. */
export function decode(stream: Uint8Array, table: PlainTable, rows: Uint16Array, run: number, out: Int32Array): void {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const head = { bytes: stream, at: 0 };
  const escapes = { bytes: stream, at: stream.length - readVarint(head) };
  const lanes = Int32Array.from({ length: LANES }, (_, lane) => view.getInt32(head.at + 4 * lane, true));
  const reader: Reader = { table, view, lanes, position: head.at + 4 * LANES, escapes };
  const [length, loop] = run === 0 ? [PIECE, decodeLanes.rows] : [run, decodeLanes.run];
  for (let from = 0; from < rows.length; from += length) {
    const to = Math.min(from + length, rows.length);
    for (let i = loop(reader, out, rows, from, to); i < to; i++)
      out[i] = decodeOne(reader, rows[i], (i - from) % LANES);
  }
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

/** Encodes [from, to) backward; to - from is a multiple of the lanes. */
type Encode = (writer: Writer, values: Int32Array, rows: Uint16Array, from: number, to: number) => void;

const encodeLanes = unrolled<Encode>({ outside }, (row) => {
  const step = (x: string, j: number) => `{
    const row = ${row(j)};
    const symbol = values[i + ${j}];
    const place = symbol + ${WINDOW_HALF};
    let interval = window[(row << ${WINDOW_BITS}) + (place & ${2 * WINDOW_HALF - 1})];
    if (place >>> ${WINDOW_BITS} !== 0 || interval === 0) interval = outside(writer, row, symbol);
    const freq = interval >>> 16;
    if (${x} >>> 16 >= freq) {
      p -= 2;
      view.setUint16(p, ${x} & 0xffff, true);
      ${x} >>>= 16;
    }
    const quotient = ((${x} >>> 0) / freq) | 0;
    ${x} = (${x} + (interval & 0xffff) + Math.imul(quotient, 65536 - freq)) | 0;
  }`;
  return `return (writer, values, rows, from, to) => {
    const { view, lanes } = writer;
    const { window } = writer.table;
    ${STATES}
    const runRow = rows[from];
    let p = writer.position;
    for (let i = to - ${LANES}; i >= from; i -= ${LANES}) { ${["a", "b", "c", "d"].map(step).reverse().join("\n")} }
    ${KEEP_STATES}
    writer.position = p;
  }`;
});

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
  const [length, loop] = run === 0 ? [PIECE, encodeLanes.rows] : [run, encodeLanes.run];
  for (let from = Math.floor((n - 1) / length) * length; from >= 0; from -= length) {
    let i = Math.min(from + length, n);
    for (; (i - from) % LANES !== 0; i--) encodeOne(writer, rows[i - 1], (i - 1 - from) % LANES, symbols[i - 1]);
    loop(writer, symbols, rows, from, i);
  }
  for (let lane = LANES - 1; lane >= 0; lane--) {
    writer.position -= 4;
    view.setInt32(writer.position, writer.lanes[lane], true);
  }
  const escapes: number[] = [];
  for (const symbol of writer.escaped.reverse()) pushVarint(escapes, ((symbol << 1) ^ (symbol >> 31)) >>> 0);
  const head: number[] = [];
  pushVarint(head, escapes.length);
  const coded = new Uint8Array(scratch, writer.position, end - writer.position);
  const stream = new Uint8Array(head.length + coded.length + escapes.length);
  stream.set(head);
  stream.set(coded, head.length);
  stream.set(escapes, head.length + coded.length);
  return stream;
}

function pushVarint(bytes: number[], value: number): void {
  for (; value >= 128; value >>>= 7) bytes.push((value & 127) | 128);
  bytes.push(value);
}

function readVarint(from: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = from.bytes[from.at++];
    value = (value | ((byte & 127) << shift)) >>> 0;
    if (byte < 128) return value;
    if (byte === undefined || shift === 28) throw new RangeError("damaged plain stream");
  }
}

// Adding and taking away 1.5 * 2^52 leaves the nearest integer, ties to even: the same rule as torch.round, ONNX Round and
// Wasm's f32.nearest. Math.round takes ties up and is slower.
const TIES_TO_EVEN = 1.5 * 2 ** 52;

/** One mean per run of symbols (a row's median), as docs/format.md section 6 has it: float32 arithmetic, rounded once. */
export function quantize(latent: Float32Array, means: Float32Array, run: number, out: Int32Array): void {
  for (let from = 0, c = 0; from < latent.length; from += run, c++) {
    const mean = means[c];
    const to = Math.min(from + run, latent.length);
    for (let i = from; i < to; i++) out[i] = Math.fround(latent[i] - mean) + TIES_TO_EVEN - TIES_TO_EVEN;
  }
}

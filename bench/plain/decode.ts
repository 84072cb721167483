import { type PlainTable, BUCKET_BITS as TABLE_BUCKET_BITS, BUCKET_SHIFT as TABLE_BUCKET_SHIFT } from "./table.js";
import { PIECE, readVarint, LANES as WIRE_LANES, zigzagDecode } from "./wire.js";

// V8 folds the constants of a module, but not those that it imports: 262 against 208 Msym/s on W1.
const LANES = WIRE_LANES;
const BUCKET_BITS = TABLE_BUCKET_BITS;
const BUCKET_SHIFT = TABLE_BUCKET_SHIFT;

/**
 * Four lanes, each written out: V8 keeps separate locals in registers, and a division or a multiplication of one lane
 * overlaps with the others'. Eight lanes spill and are slower (179 against 269 Msym/s when this was tried on W1).
 */
interface Reader {
  readonly table: PlainTable;
  readonly view: DataView;
  readonly lanes: Int32Array;
  position: number;
  readonly escapes: { readonly bytes: Uint8Array; at: number };
}

function nextEscape(reader: Reader): number {
  return zigzagDecode(readVarint(reader.escapes));
}

function find(cdf: Int32Array, entry: number, slot: number): number {
  while (cdf[entry + 1] <= slot) entry++;
  return entry;
}

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

function decodeRun(reader: Reader, out: Int32Array, row: number, from: number, to: number): void {
  const { view, lanes } = reader;
  const { cdf, symbols, bucketInterval, bucketSymbol, bucketEntry } = reader.table;
  const first = row << BUCKET_BITS;
  const escapeEntry = reader.table.escapeEntry[row];
  let p = reader.position;
  let a = lanes[0];
  let b = lanes[1];
  let c = lanes[2];
  let d = lanes[3];
  let i = from;
  for (; i + LANES <= to; i += LANES) {
    {
      const slot = a & 0xffff;
      const bucket = first + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry ? nextEscape(reader) : symbols[entry];
      }
      out[i] = symbol;
      a = (Math.imul(interval >>> 16, a >>> 16) + rest) | 0;
      if (a >>> 16 === 0) {
        a = (a << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = b & 0xffff;
      const bucket = first + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry ? nextEscape(reader) : symbols[entry];
      }
      out[i + 1] = symbol;
      b = (Math.imul(interval >>> 16, b >>> 16) + rest) | 0;
      if (b >>> 16 === 0) {
        b = (b << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = c & 0xffff;
      const bucket = first + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry ? nextEscape(reader) : symbols[entry];
      }
      out[i + 2] = symbol;
      c = (Math.imul(interval >>> 16, c >>> 16) + rest) | 0;
      if (c >>> 16 === 0) {
        c = (c << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = d & 0xffff;
      const bucket = first + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry ? nextEscape(reader) : symbols[entry];
      }
      out[i + 3] = symbol;
      d = (Math.imul(interval >>> 16, d >>> 16) + rest) | 0;
      if (d >>> 16 === 0) {
        d = (d << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
  reader.position = p;
  for (; i < to; i++) out[i] = decodeOne(reader, row, (i - from) % LANES);
}

function decodeRows(reader: Reader, out: Int32Array, rows: Uint16Array, from: number, to: number): void {
  const { view, lanes } = reader;
  const { cdf, symbols, escapeEntry, bucketInterval, bucketSymbol, bucketEntry } = reader.table;
  let p = reader.position;
  let a = lanes[0];
  let b = lanes[1];
  let c = lanes[2];
  let d = lanes[3];
  let i = from;
  for (; i + LANES <= to; i += LANES) {
    {
      const slot = a & 0xffff;
      const bucket = (rows[i] << BUCKET_BITS) + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry[rows[i]] ? nextEscape(reader) : symbols[entry];
      }
      out[i] = symbol;
      a = (Math.imul(interval >>> 16, a >>> 16) + rest) | 0;
      if (a >>> 16 === 0) {
        a = (a << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = b & 0xffff;
      const bucket = (rows[i + 1] << BUCKET_BITS) + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry[rows[i + 1]] ? nextEscape(reader) : symbols[entry];
      }
      out[i + 1] = symbol;
      b = (Math.imul(interval >>> 16, b >>> 16) + rest) | 0;
      if (b >>> 16 === 0) {
        b = (b << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = c & 0xffff;
      const bucket = (rows[i + 2] << BUCKET_BITS) + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry[rows[i + 2]] ? nextEscape(reader) : symbols[entry];
      }
      out[i + 2] = symbol;
      c = (Math.imul(interval >>> 16, c >>> 16) + rest) | 0;
      if (c >>> 16 === 0) {
        c = (c << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
    {
      const slot = d & 0xffff;
      const bucket = (rows[i + 3] << BUCKET_BITS) + (slot >>> BUCKET_SHIFT);
      let interval = bucketInterval[bucket];
      let symbol = bucketSymbol[bucket];
      let rest = slot - (interval & 0xffff);
      if (rest >= interval >>> 16) {
        const entry = find(cdf, bucketEntry[bucket], slot);
        interval = (cdf[entry + 1] - cdf[entry]) << 16;
        rest = slot - cdf[entry];
        symbol = entry === escapeEntry[rows[i + 3]] ? nextEscape(reader) : symbols[entry];
      }
      out[i + 3] = symbol;
      d = (Math.imul(interval >>> 16, d >>> 16) + rest) | 0;
      if (d >>> 16 === 0) {
        d = (d << 16) | view.getUint16(p, true);
        p += 2;
      }
    }
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
  reader.position = p;
  for (; i < to; i++) out[i] = decodeOne(reader, rows[i], i % LANES);
}

/** `run`: how many symbols in turn share a row; 0 where each has its own. */
export function decode(stream: Uint8Array, table: PlainTable, rows: Uint16Array, run: number, out: Int32Array): void {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const head = { bytes: stream, at: 0 };
  const escapeBytes = readVarint(head);
  const reader: Reader = {
    table,
    view,
    lanes: new Int32Array(LANES),
    position: head.at + 4 * LANES,
    escapes: { bytes: stream, at: stream.length - escapeBytes },
  };
  for (let lane = 0; lane < LANES; lane++) reader.lanes[lane] = view.getInt32(head.at + 4 * lane, true);
  const n = rows.length;
  if (run === 0) for (let i = 0; i < n; i += PIECE) decodeRows(reader, out, rows, i, Math.min(i + PIECE, n));
  else for (let i = 0; i < n; i += run) decodeRun(reader, out, rows[i], i, Math.min(i + run, n));
}

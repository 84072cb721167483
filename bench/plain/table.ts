import type { TableJson } from "latentwire";

/** Buckets of the decoder: the top 7 bits of a slot name one of 128 per row. */
export const BUCKET_BITS = 7;
export const BUCKET_SHIFT = 16 - BUCKET_BITS;

/** The encoder looks up symbols -32 .. 31 without a comparison against the row's ends. */
export const WINDOW_BITS = 6;
export const WINDOW_HALF = 1 << (WINDOW_BITS - 1);

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

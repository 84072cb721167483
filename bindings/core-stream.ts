/** Streams of many parts, written and read. */
import { BYTES_PER_SYMBOL, CHUNK, HEADROOM } from "./core.js";
import { align, PADDING } from "./core-memory.js";
import { type Margins, NONE, type Owner, PartMemory, type PlacedRows } from "./core-part.js";
import type { LoadedTable } from "./core-tables.js";
import { CodecError } from "./errors.js";
import { CODES } from "./kernels.js";
import type { StreamHeader } from "./packet.js";
import type { CodedPart, PartCentre, PartRows } from "./part.js";
import type { Bytes, LatentType } from "./types.js";
import { gather, type Span } from "./view.js";

/** Bytes by which packets of the same symbols never differ, whatever their lanes: measured 6, and no lane's state takes more than 4. */
const LANES_DIFFER = 256;

/** What a reader keeps in Wasm memory: its block, then state, words and escapes. */
export interface OpenStream extends Owner {
  readonly oneLane: boolean;
}

/** Whether a part of such runs restarts its lanes at each (docs/format.md section 8.5). One lane has nothing to restart: there a run saves looking up rows. */
const restarts = (run: number, lanes: number): boolean => run >= (lanes === 1 ? 2 : lanes);

export class StreamMemory extends PartMemory {
  // ---- writing

  /** Quantizes a part, keeps its symbols and rows in `part`, and puts what a reader will see into `out`. */
  quantizePart(
    latent: Span,
    rows: PartRows,
    centre: PartCentre,
    margins: Margins | undefined,
    hash: number | undefined,
    out: Span,
    part: CodedPart,
  ): PlacedRows {
    const { n } = latent;
    const at = this.layoutPart(n, rows);
    // First the rows: a mixture's parameters pass where means will lie.
    const placed = this.placeRows(rows, n, at, hash, margins, NONE, false);
    this.quantize(latent, centre, at);
    const { buffer } = this.u8;
    part.symbols = new Int32Array(buffer, at.symbols, n).slice();
    if (rows.kind === "mixture") {
      this.wasm.mixtureEntries(at.symbols, n, at.means);
      part.entries = new Uint32Array(buffer, at.means, n).slice();
    } else if (rows.kind !== "runs") {
      part.rows = new Uint16Array(buffer, at.rows, n).slice();
    }
    this.dequantize(n, "float32", centre, at, out);
    return placed;
  }

  /** Codes the parts as the first of `choices` that suits; the last one, with one lane, always does. Returns a view, valid until the next call. */
  encodeParts(
    parts: readonly CodedPart[],
    n: number,
    choices: readonly { lanes: StreamHeader["lanes"]; least: number }[],
    header: (stream: StreamHeader) => number[],
    checksum: boolean,
  ): Uint8Array {
    const { wasm } = this;
    for (const { table } of parts) if (table) this.prepare(table.address, true);
    const headroom = HEADROOM + header({ compressai: false, lanes: 8, layout: 0, tailUnits: 1, escapeBytes: 1 }).length;
    // With other lanes a packet differs by some ten bytes: one that is far too small need not be tried.
    let small = Number.POSITIVE_INFINITY;
    for (const { lanes, least } of choices) {
      if (small + LANES_DIFFER < least) continue;
      const base = this.#partsMemory(headroom + BYTES_PER_SYMBOL * n + PADDING);
      const end = base.payload + headroom + 2 * n + 16;
      const escapesEnd = base.payload + headroom + BYTES_PER_SYMBOL * n + 16;
      wasm.startEscapeWriter(escapesEnd);
      const start = this.#encodeAll(parts, n, lanes, end, base, false);
      if (start === 0) continue;
      const escapesStart = wasm.escapeWriter() >>> 0;
      const escapeBytes = escapesEnd - escapesStart;
      const bytes = end - start + escapeBytes;
      if (bytes < least) {
        small = bytes;
        continue;
      }
      this.u8.copyWithin(end, escapesStart, escapesEnd);
      const tailUnits = lanes === 1 ? 0 : wasm.partsTailLength();
      const head = header({ compressai: false, lanes, layout: 0, tailUnits, escapeBytes });
      const first = start - head.length;
      this.u8.set(head, first);
      let stop = end + escapeBytes;
      if (checksum) {
        new DataView(this.u8.buffer).setUint32(stop, wasm.xxh32(first, stop - first), true);
        stop += 4;
      }
      return this.u8.subarray(first, stop);
    }
    throw new Error("unreachable");
  }

  /** One part as CompressAI's string. */
  encodeString(part: CodedPart): Bytes {
    if (part.table) this.prepare(part.table.address, true);
    const n = part.symbols.length;
    const base = this.#partsMemory(HEADROOM + BYTES_PER_SYMBOL * n + PADDING);
    const end = base.payload + HEADROOM + BYTES_PER_SYMBOL * n;
    const start = this.#encodeAll([part], n, 1, end, base, true);
    return this.u8.slice(start, end);
  }

  #partsMemory(payloadBytes: number): { symbols: number; rows: number; payload: number } {
    const symbols = this.tablesEnd;
    const rows = symbols + align(4 * CHUNK + PADDING);
    const payload = rows + align(4 * CHUNK + PADDING);
    this.reserve(payload + payloadBytes + PADDING);
    return { symbols, rows, payload };
  }

  /** Start of states-and-words, or 0 if the tail does not fill the seeds. */
  #encodeAll(
    parts: readonly CodedPart[],
    n: number,
    lanes: number,
    end: number,
    at: { symbols: number; rows: number },
    compressai: boolean,
  ): number {
    const { wasm } = this;
    const oneLane = lanes === 1;
    if (oneLane) wasm.parts64EncodeBegin(end, compressai);
    else wasm.partsEncodeBegin(n, lanes, end);
    for (let p = parts.length - 1; p >= 0; p--) {
      const part = parts[p];
      if (part.symbols.length === 0) continue;
      const runs = part.runs && restarts(part.runs.run, lanes) ? part.runs : undefined;
      const stretch = runs ? runs.run : part.symbols.length;
      for (let top = part.symbols.length; top > 0; top -= stretch) {
        const bottom = top - stretch;
        for (let to = top; to > bottom; ) {
          const from = bottom + Math.floor((to - 1 - bottom) / CHUNK) * CHUNK;
          if (!this.#encodeStretch(part, from, to, runs, at, oneLane)) return 0;
          to = from;
        }
      }
    }
    return (oneLane ? wasm.parts64EncodeEnd() : wasm.partsEncodeEnd()) >>> 0;
  }

  #encodeStretch(
    part: CodedPart,
    from: number,
    to: number,
    runs: CodedPart["runs"],
    at: { symbols: number; rows: number },
    oneLane: boolean,
  ): boolean {
    const { wasm } = this;
    const { table, entries, support } = part;
    const n = to - from;
    this.place(part.symbols.subarray(from, to), at.symbols);
    if (entries && support) {
      this.place(entries.subarray(from, to), at.rows);
      if (oneLane) wasm.parts64EncodeEntries(at.rows, at.symbols, n, support.low, support.size);
      return oneLane || Boolean(wasm.partsEncodeEntries(at.rows, at.symbols, n, support.low, support.size));
    }
    let step = 2;
    if (runs) {
      step = 0;
      new DataView(this.u8.buffer).setUint16(at.rows, runs.rows[Math.floor(from / runs.run)], true);
    } else if (part.runs) {
      const rows = new Uint16Array(this.u8.buffer, at.rows, n);
      for (let i = 0; i < n; i++) rows[i] = part.runs.rows[Math.floor((from + i) / part.runs.run)];
    } else {
      this.place(part.rows.subarray(from, to), at.rows);
    }
    const address = (table as LoadedTable).address;
    if (oneLane) wasm.parts64Encode(at.symbols, at.rows, step, n, address);
    return oneLane || Boolean(wasm.partsEncode(at.symbols, at.rows, step, n, address));
  }

  // ---- reading

  /** Brings state, words and escapes in. Throws TRUNCATED or CORRUPTED. */
  openStream(body: Uint8Array, stream: StreamHeader, n: number): OpenStream {
    const { wasm } = this;
    const block = align(wasm.BLOCK_BYTES.value);
    const address = this.allocate(block + body.length + PADDING);
    const p = address + block;
    this.u8.set(body, p);
    const wordsEnd = p + body.length - stream.escapeBytes;
    const escapesEnd = p + body.length;
    const oneLane = stream.lanes === 1;
    const code = oneLane
      ? wasm.parts64DecodeBegin(address, p, wordsEnd, escapesEnd, stream.compressai)
      : wasm.partsDecodeBegin(address, p, wordsEnd, escapesEnd, stream.lanes, stream.tailUnits, n);
    if (code !== 0) {
      this.giveBack(address);
      refuse(code);
    }
    return this.owned({ address, oneLane });
  }

  /** Decodes a part into `out`. `accept` sees the index check's hash before a symbol is decoded. */
  readPart(
    stream: OpenStream,
    lanes: number,
    n: number,
    table: LoadedTable | undefined,
    rows: PartRows,
    centre: PartCentre,
    type: LatentType,
    out: Span,
    corrections: readonly number[],
    accept: ((hash: number) => void) | undefined,
  ): void {
    if (table) this.prepare(table.address, false);
    const at = this.layoutPart(n, rows);
    const byRun = rows.kind === "runs" && restarts(rows.run, lanes);
    const placed = this.placeRows(rows, n, at, accept && 0, undefined, corrections, !byRun);
    accept?.(placed.hash);
    const { wasm } = this;
    const { address, oneLane } = stream;
    if (rows.kind === "mixture") {
      refuse(
        oneLane
          ? wasm.parts64DecodeMixture(address, at.symbols, n)
          : wasm.partsDecodeMixture(address, at.symbols, n, 0),
      );
    } else {
      const run = byRun ? rows.run : n;
      const step = byRun ? 0 : 2;
      const tableAt = (table as LoadedTable).address;
      for (let from = 0; from < n; from += run) {
        const symbols = at.symbols + 4 * from;
        const row = byRun ? at.extra + 2 * (from / run) : at.rows;
        refuse(
          oneLane
            ? wasm.parts64Decode(address, symbols, row, step, run, tableAt)
            : wasm.partsDecode(address, symbols, row, step, run, 0, tableAt),
        );
      }
    }
    if (centre.means) gather(centre.means, this.floats(at.means, n));
    this.dequantize(n, type, centre, at, out);
  }

  /** Throws what the end of the stream says. */
  endStream({ address, oneLane }: OpenStream): void {
    refuse(oneLane ? this.wasm.parts64DecodeEnd(address) : this.wasm.partsDecodeEnd(address));
  }
}

/** Throws what a decoder's code means; 0 is success. */
export function refuse(code: number): void {
  if (code === 0) return;
  throw new CodecError(
    CODES[code],
    code === 1 ? "the stream ends too early" : "the stream contradicts its tables or itself",
  );
}

/** A tensor on its way through Wasm memory: copied in chunk by chunk, quantized, coded, copied out; kernels' codes become errors. */

import { type Centre, forRuns, refuseElement, refuseSymbol } from "./centre.js";
import { align, PADDING } from "./core-memory.js";
import { type LoadedScales, type LoadedTable, TableMemory } from "./core-tables.js";
import { CodecError } from "./errors.js";
import { CODES, NO_SYMBOL, OUT_OF_RANGE, TABLE_MEDIANS, TAIL_TOO_SHORT, TYPE_NUMBERS } from "./kernels.js";
import type { StreamChoice } from "./lanes.js";
import type { StreamHeader } from "./packet.js";
import type { Lanes, LatentData, LatentType } from "./types.js";

/** Room below the payload for a packet's header (at most 4 + 4 + 7 * 5 bytes), t, E and the states. */
export const HEADROOM = 512;
/** Most bytes of one coded symbol: 2 of words and 5 of escape; CompressAI's inline escapes need 7 too. */
export const BYTES_PER_SYMBOL = 7;
/** Elements that are in Wasm memory at once: a chunk with rows, means and elements stays in L2. More than a tile and a tail unit. */
export const CHUNK = 65536;
const BYTES_OF_TYPE = { float32: 4, int32: 4, int16: 2, int8: 1 } as const;

/** Which row codes which symbol. */
export type RowSource = {
  /** Symbols in a row that share one: 1 unless `kind` is "runs". */
  run: number;
} & (
  | { kind: "runs"; rows: Uint16Array }
  | { kind: "symbols"; rows: Uint16Array }
  | { kind: "scales"; sigmas: Float32Array; scales: LoadedScales }
);

/** Addresses of one call. Everything from `symbols` on is scratch. All but `payload` hold one chunk of elements. */
interface Layout {
  symbols: number;
  /** 0 where there are none, as kernels take it. */
  means: number;
  /** Rows per element, or per run for the whole tensor. */
  rows: number;
  /** Rows per element made from rows per run, or scales. */
  expanded: number;
  payload: number;
}

/** A latent on its way: what the chunks are cut from. */
interface Tensor {
  data: LatentData | undefined;
  type: LatentType;
  table: LoadedTable;
  source: RowSource;
  centre: Centre;
  at: Layout;
}

export class Core extends TableMemory {
  // ---- chunks

  #layout(n: number, source: RowSource, centre: Centre, payloadBytes: number): Layout {
    const symbols = this.tablesEnd;
    const means = symbols + align(4 * n + PADDING);
    const rows = means + (centre.means ? align(4 * n + PADDING) : 0);
    const expanded = rows + align(2 * (source.kind === "runs" ? source.rows.length : n) + PADDING);
    const payload = expanded + align((source.kind === "scales" ? 4 : 2) * n + PADDING);
    this.reserve(payload + payloadBytes + PADDING);
    // Rows per run are brought in once, not with every chunk: a run may be one element.
    if (source.kind === "runs") this.place(source.rows, rows);
    return { symbols, means: centre.means ? means : 0, rows, expanded, payload };
  }

  /**
   * Brings elements [from, to) of a tensor in and tells the kernels where element 0 would be. `perElement`: they want a row per element also
   * where the source has runs.
   */
  #placeChunk({ data, type, table, source, centre, at }: Tensor, from: number, to: number, perElement: boolean): void {
    const wasm = this.wasm;
    const bytes = BYTES_OF_TYPE[type];
    let rows = at.rows;
    if (source.kind === "runs") {
      if (perElement && source.run > 1) {
        wasm.expandRows(at.rows, source.run, from, to - from, at.expanded);
        rows = at.expanded - 2 * from;
      }
    } else {
      rows = at.rows - 2 * from;
      if (source.kind === "symbols") this.place(source.rows, at.rows, from, to);
      else {
        this.place(source.sigmas, at.expanded, from, to);
        this.rowsOfScales(at.expanded, to - from, source.scales, at.rows, from);
      }
    }
    if (data) this.place(data, at.symbols, from, to);
    if (centre.means && type === "float32") this.place(centre.means, at.means, from, to);
    wasm.setElements(
      at.symbols - bytes * from,
      TYPE_NUMBERS[type],
      rows,
      centre.means ? at.means - 4 * from : 0,
      centre.medians ? this.word(table.address + 4 * TABLE_MEDIANS) : 0,
      table.rows,
      centre.run,
      centre.step,
    );
  }

  // ---- symbols

  /** Copies a latent in and leaves int32 symbols at `at.symbols`. `spare` takes int8 and int16 elements. */
  #placeSymbols(data: LatentData, type: LatentType, n: number, centre: Centre, at: Layout, spare: number): void {
    if (type !== "float32") {
      const bytes = data.BYTES_PER_ELEMENT;
      this.place(data, bytes === 4 ? at.symbols : spare);
      if (bytes !== 4) this.wasm.widen(spare, at.symbols, n, bytes);
      return;
    }
    this.place(data, at.symbols);
    if (centre.means) this.place(centre.means, at.means);
    forRuns(n, centre, (from, count, mean) => {
      const address = at.symbols + 4 * from;
      const bad = this.wasm.quantize(address, address, count, at.means, mean, centre.step);
      if (bad >= 0) refuseElement(data as Float32Array, centre);
    });
  }

  /** Leaves elements of `type` at `address` (from int32 symbols at `at.symbols`) and copies them to `out`. */
  #takeElements(type: LatentType, n: number, centre: Centre, at: Layout, spare: number, out: LatentData): void {
    let address = at.symbols;
    if (type === "float32") {
      if (centre.means) this.place(centre.means, at.means);
      forRuns(n, centre, (from, count, mean) => {
        const run = at.symbols + 4 * from;
        this.wasm.dequantize(run, run, count, at.means, mean, centre.step);
      });
    } else if (type !== "int32") {
      address = spare;
      const bad = this.wasm.narrow(at.symbols, spare, n, type === "int8" ? 1 : 2);
      if (bad >= 0) refuseSymbol(bad, new Int32Array(this.u8.buffer, at.symbols, n)[bad]!, type);
    }
    this.#copyOut(address, 0, n, out);
  }

  /** float32 or integers -> elements of another type, without coding. */
  convert(data: LatentData, from: LatentType, to: LatentType, centre: Centre, out: LatentData): void {
    const n = data.length;
    const at = this.#layout(n, { kind: "runs", rows: new Uint16Array(0), run: 1 }, centre, 4 * n);
    this.#placeSymbols(data, from, n, centre, at, at.payload);
    this.#takeElements(to, n, centre, at, at.payload, out);
  }

  // ---- streams

  /**
   * Codes a latent as the first of `choices` that suits; the last one, with one lane, always does. `header` gives the bytes before
   * states and words. Returns a view that is valid until the next call.
   */
  encode(
    data: LatentData,
    type: LatentType,
    table: LoadedTable,
    source: RowSource,
    centre: Centre,
    choices: readonly StreamChoice[],
    header: (stream: StreamHeader) => number[],
    checksum: boolean,
  ): Uint8Array {
    const n = data.length;
    const wasm = this.wasm;
    this.prepare(table.address, true);
    for (let i = 0; ; i++) {
      const { compressai, lanes, layout, least } = choices[i]!;
      const oneLane = lanes === 1;
      const chunk = oneLane ? n : Math.min(n, CHUNK);
      const at = this.#layout(chunk, source, centre, HEADROOM + BYTES_PER_SYMBOL * n + PADDING);
      const tensor = { data, type, table, source, centre, at };
      const end = at.payload + HEADROOM + (compressai ? BYTES_PER_SYMBOL : 2) * n;
      const escapesEnd = at.payload + HEADROOM + BYTES_PER_SYMBOL * n;
      wasm.startEscapeWriter(escapesEnd);
      const start = oneLane
        ? this.#encodeOneLane(tensor, n, end, compressai)
        : this.#encodeChunks(tensor, n, chunk, lanes, layout, end);
      if (start === 0) continue;
      const escapesStart = wasm.escapeWriter() >>> 0;
      const escapeBytes = escapesEnd - escapesStart;
      if (end - start + escapeBytes < least) continue;
      this.u8.copyWithin(end, escapesStart, escapesEnd);

      const tailUnits = oneLane ? 0 : wasm.tailLength();
      const head = header({ compressai, lanes, layout, tailUnits, escapeBytes });
      const first = start - head.length;
      this.u8.set(head, first);
      let stop = end + escapeBytes;
      if (checksum) {
        for (let sum = wasm.xxh32(first, stop - first), i = 0; i < 4; i++, sum >>= 8) this.u8[stop++] = sum;
      }
      return this.u8.subarray(first, stop);
    }
  }

  #encodeOneLane(tensor: Tensor, n: number, end: number, compressai: boolean): number {
    const { at, table, source } = tensor;
    this.#placeChunk(tensor, 0, n, false);
    // An i32 in JavaScript: unsigned beyond 2 GB.
    const start = this.wasm.encode64(n, at.rows, source.run, table.address, end, compressai) >>> 0;
    if (start === 1) refuseElement(tensor.data as Float32Array, tensor.centre);
    return start;
  }

  /** Start of states-and-words, or 0 if the tail does not fill the seeds. */
  #encodeChunks(tensor: Tensor, n: number, chunk: number, lanes: Lanes, layout: 0 | 1, end: number): number {
    const { table, source } = tensor;
    const wasm = this.wasm;
    wasm.encodeBegin(n, layout ? source.run : 1, lanes, layout, table.address, end);
    let outcome = n === 0 ? TAIL_TOO_SHORT : 0;
    for (let to = n; to > 0; ) {
      const from = Math.max(0, to - chunk);
      this.#placeChunk(tensor, from, to, layout === 0);
      to = wasm.encodeDown(from);
      outcome = to;
    }
    if (outcome === NO_SYMBOL) refuseElement(tensor.data as Float32Array, tensor.centre);
    return outcome === TAIL_TOO_SHORT ? 0 : wasm.encodeEnd() >>> 0;
  }

  xxh32(bytes: Uint8Array): number {
    const at = this.tablesEnd;
    this.reserve(at + bytes.length + PADDING);
    this.u8.set(bytes, at);
    return this.wasm.xxh32(at, bytes.length) >>> 0;
  }

  /** Decodes n symbols from `body` (states, words and escapes) and copies the elements to `out`. */
  decode(
    body: Uint8Array,
    stream: StreamHeader,
    table: LoadedTable,
    source: RowSource,
    centre: Centre,
    type: LatentType,
    n: number,
    out: LatentData,
  ): void {
    const wasm = this.wasm;
    this.prepare(table.address, false);
    const chunk = stream.lanes === 1 ? n : Math.min(n, CHUNK);
    const at = this.#layout(chunk, source, centre, body.length);
    const tensor = { data: undefined, type, table, source, centre, at };
    this.u8.set(body, at.payload);
    const end = at.payload + body.length - stream.escapeBytes;
    wasm.startEscapeReader(end, end + stream.escapeBytes);
    if (stream.lanes === 1) {
      this.#placeChunk(tensor, 0, n, false);
      this.#check(wasm.decode64(at.payload, end, at.rows, source.run, table.address, n, stream.compressai), type);
      this.#copyOut(at.symbols, 0, n, out);
      return;
    }
    const { lanes, layout, tailUnits } = stream;
    const run = layout ? source.run : 1;
    this.#check(wasm.decodeBegin(at.payload, end, run, lanes, layout, tailUnits, table.address, n), type);
    for (let from = 0; from < n; ) {
      const to = Math.min(n, from + chunk);
      this.#placeChunk(tensor, from, to, layout === 0);
      const next = wasm.decodeUp(to);
      if (next < 0) this.#check(-next, type);
      this.#copyOut(at.symbols, from, next, out);
      from = next;
    }
    this.#check(wasm.decodeEnd(), type);
  }

  /** Throws what a decoder's code means; 0 is success. */
  #check(code: number, type: LatentType): void {
    if (code === 0) return;
    if (code === OUT_OF_RANGE) refuseSymbol(this.wasm.refusedAt(), this.wasm.refusedValue(), type);
    const reason = code === 1 ? "the stream ends too early" : "the stream contradicts its table or itself";
    throw new CodecError(CODES[code]!, reason);
  }

  /** Copies elements [from, to), which begin at `address`, to `out`. */
  #copyOut(address: number, from: number, to: number, out: LatentData): void {
    const bytes = out.BYTES_PER_ELEMENT;
    const target = new Uint8Array(out.buffer, out.byteOffset + from * bytes, (to - from) * bytes);
    target.set(this.u8.subarray(address, address + target.length));
  }
}

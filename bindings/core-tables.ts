/** What stays in Wasm memory for the codec's life: tables and ascending scales. Also the cdfs of which tables are made. */

import { align, Memory, PADDING } from "./core-memory.js";
import { CodecError } from "./errors.js";
import { NON_FINITE, TABLE_BUCKETS, TABLE_ENCODE_WINDOWS } from "./kernels.js";

export const SCALE_BINS_BYTES = 32768;

/** A loaded table. `address` is in Wasm memory for the codec's life. */
export interface LoadedTable {
  readonly address: number;
  readonly rows: number;
  readonly fingerprint: bigint;
  /** Its low 32 bits, which packets carry. */
  readonly shortFingerprint: number;
}

/** Ascending scales and their look-up table, in Wasm memory for the codec's life. */
export interface LoadedScales {
  readonly address: number;
  readonly count: number;
  /** What buildScaleBins returned. */
  readonly single: number;
}

export class TableMemory extends Memory {
  /** A field of a loaded table's header. */
  protected field(table: number, index: number): number {
    return this.u32[(table >>> 2) + index]!;
  }

  /**
   * Loads a binary form. Throws INVALID_TABLE. `seal` computes the fingerprint of a form that was just written. A table that `known` finds by
   * its fingerprint is not loaded again.
   */
  loadTable(bytes: Uint8Array, seal: boolean, known: (fingerprint: bigint) => LoadedTable | undefined): LoadedTable {
    const table = this.tablesEnd;
    const source = align(table + 32 * bytes.length + PADDING);
    this.reserve(source + bytes.length + PADDING);
    this.u8.set(bytes, source);
    if (seal) {
      const fingerprint = this.wasm.xxh64(source, bytes.length - 8);
      new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(bytes.length - 8, fingerprint, true);
      this.u8.set(bytes, source);
    }
    const code = this.wasm.loadTable(source, bytes.length, table);
    if (code !== 0) {
      const reason =
        code === 1 ? "ends too early" : code === 3 ? "breaks docs/format.md section 5" : "has another version";
      throw new CodecError("INVALID_TABLE", `the binary form ${reason}`);
    }
    const header = new Uint32Array(this.u8.buffer, table, 8);
    const fingerprint = BigInt(header[6]!) | (BigInt(header[7]!) << 32n);
    const loaded = known(fingerprint);
    if (loaded) return loaded;
    this.tablesEnd = header[5]!;
    return { address: table, rows: header[0]!, fingerprint, shortFingerprint: header[6]! };
  }

  /** What a direction needs beside the rows is built when first needed: a client that only encodes never pays for decoding. */
  protected prepare(table: number, encode: boolean): void {
    if (this.field(table, encode ? TABLE_ENCODE_WINDOWS : TABLE_BUCKETS) !== 0) return;
    const at = this.tablesEnd;
    const end = align(at + this.wasm.preparedBound(table, encode) + PADDING);
    this.reserve(end);
    if (encode) this.wasm.prepareEncode(table, at);
    else this.wasm.prepareDecode(table, at);
    this.tablesEnd = end;
  }

  loadScales(scales: Float32Array): LoadedScales {
    const address = this.tablesEnd;
    const end = align(address + SCALE_BINS_BYTES + 4 * scales.length);
    this.reserve(end);
    this.place(scales, address + SCALE_BINS_BYTES);
    const single = this.wasm.buildScaleBins(address + SCALE_BINS_BYTES, scales.length, address);
    this.tablesEnd = end;
    return { address, count: scales.length, single };
  }

  quantizedCdf(pmf: Float32Array, precision: number): Uint32Array {
    const at = this.tablesEnd;
    const cdf = align(at + 4 * pmf.length + PADDING);
    this.reserve(cdf + 4 * pmf.length + PADDING);
    this.place(pmf, at);
    return this.#quantizedCdf(at, pmf.length, precision, cdf).slice();
  }

  #quantizedCdf(pmf: number, n: number, precision: number, cdf: number): Uint32Array {
    const code = this.wasm.quantizedCdf(pmf, n, precision, cdf);
    if (code === NON_FINITE) throw new CodecError("INVALID_PMF", "a probability is negative, NaN or infinite");
    if (code !== 0) throw new CodecError("INVALID_PMF", `${n} probabilities do not fit ${2 ** precision}`);
    return new Uint32Array(this.u8.buffer, cdf, n + 1);
  }

  /** offset and cdf of the Gaussian row for a scale. */
  gaussianRow(scale: number): { offset: number; cdf: Uint32Array } {
    const center = this.wasm.gaussianCenter(scale);
    const n = 2 * center + 2;
    const at = this.tablesEnd;
    const cdf = align(at + 4 * n + PADDING);
    this.reserve(cdf + 4 * n + PADDING);
    this.wasm.gaussianPmf(scale, at);
    return { offset: -center, cdf: this.#quantizedCdf(at, n, 16, cdf).slice() };
  }

  /** cdf of one channel of a factorized prior; `filters` has a width before, between and behind the layers. */
  factorizedRow(
    channel: Float32Array,
    filters: Uint32Array,
    start: number,
    length: number,
    longest: number,
  ): Uint32Array {
    const parameters = this.tablesEnd;
    const widths = align(parameters + channel.byteLength);
    const scratch = align(widths + filters.byteLength);
    const pmf = align(scratch + 2 * 256 * 8 + 8 * channel.length);
    const cdf = align(pmf + 4 * (length + 1) + PADDING);
    this.reserve(cdf + 4 * (length + 2) + PADDING);
    this.place(channel, parameters);
    this.place(filters, widths);
    this.wasm.factorizedPmf(parameters, filters.length - 1, widths, start, length, longest, pmf, scratch);
    return this.#quantizedCdf(pmf, length + 1, 16, cdf).slice();
  }
}

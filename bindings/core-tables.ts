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
  /**
   * Loads a binary form. Throws INVALID_TABLE. `seal` computes the fingerprint of a form that was just written. A table that `known` finds by
   * its fingerprint is not loaded again.
   */
  loadTable(bytes: Uint8Array, seal: boolean, known: (fingerprint: bigint) => LoadedTable | undefined): LoadedTable {
    const table = this.tablesEnd;
    // What the kernel writes: at most 32 bytes for one of input, and no more than 2^24 entries and 65,535 rows take, whatever the input claims.
    const source = align(table + Math.min(32 * bytes.length, 2 ** 27 + 2 ** 21) + PADDING);
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
    if (this.word(table + 4 * (encode ? TABLE_ENCODE_WINDOWS : TABLE_BUCKETS)) !== 0) return;
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

  /** The row of each of n scales. `first` is the number that an error gives the first of them. */
  protected rowsOfScales(sigmas: number, n: number, scales: LoadedScales, rows: number, first = 0): void {
    const { address, count, single } = scales;
    const bad = this.wasm.scaleToRow(sigmas, n, address + SCALE_BINS_BYTES, count, address, single, rows);
    if (bad >= 0) throw new CodecError("NON_FINITE", `scales[${first + bad}] is NaN`);
  }

  // ---- cdfs

  quantizedCdf(pmf: Float32Array, precision: number): Uint32Array {
    const at = this.tablesEnd;
    this.reserve(at + pmf.byteLength + PADDING);
    this.place(pmf, at);
    return this.cdfOf(at, pmf.length, precision);
  }

  /** cdf of the n probabilities at `pmf`. Throws INVALID_PMF. */
  protected cdfOf(pmf: number, n: number, precision = 16): Uint32Array {
    const cdf = align(pmf + 4 * n + PADDING);
    this.reserve(cdf + 4 * n + PADDING);
    const code = this.wasm.quantizedCdf(pmf, n, precision, cdf);
    if (code === NON_FINITE) throw new CodecError("INVALID_PMF", "a probability is negative, NaN or infinite");
    if (code !== 0) throw new CodecError("INVALID_PMF", `${n} probabilities do not fit ${2 ** precision}`);
    return new Uint32Array(this.u8.buffer, cdf, n + 1).slice();
  }

  /** offset and cdf of the Gaussian row for a scale. */
  gaussianRow(scale: number): { offset: number; cdf: Uint32Array } {
    const center = this.wasm.gaussianCenter(scale);
    const n = 2 * center + 2;
    const at = this.tablesEnd;
    this.reserve(at + 4 * n + PADDING);
    this.wasm.gaussianPmf(scale, at);
    return { offset: -center, cdf: this.cdfOf(at, n) };
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
    this.reserve(pmf + 4 * (length + 1) + PADDING);
    this.place(channel, parameters);
    this.place(filters, widths);
    this.wasm.factorizedPmf(parameters, filters.length - 1, widths, start, length, longest, pmf, scratch);
    return this.cdfOf(pmf, length + 1);
  }
}

/** The full build's Core: everything below, the rows that its tables are made of, and what `rate` counts. */
import { align, PADDING } from "./core-memory.js";
import { NONE } from "./core-part.js";
import { SequenceMemory } from "./core-sequence.js";
import type { LoadedTable } from "./core-tables.js";
import type { PartRows } from "./part.js";

export class FullCore extends SequenceMemory {
  /** offset and cdf of the Laplace or logistic row for a scale. */
  tailedRow(scale: number, logistic: boolean): { offset: number; cdf: Uint32Array } {
    const center = this.wasm.tailedCenter(scale, logistic);
    const n = 2 * center + 2;
    const at = this.tablesEnd;
    this.reserve(at + 4 * n + PADDING);
    if (logistic) this.wasm.logisticPmf(scale, at);
    else this.wasm.laplacePmf(scale, at);
    return { offset: -center, cdf: this.cdfOf(at, n) };
  }

  /** log2 of the product of all frequencies, escapes and their bytes, of a contiguous stretch of int32 symbols. */
  frequencies(
    symbols: Int32Array,
    rows: Uint16Array,
    run: number,
    table: LoadedTable,
  ): { mantissa: number; exponent: number; escapes: number; escapeBytes: number } {
    const { wasm } = this;
    const n = symbols.length;
    const at = this.tablesEnd;
    const rowsAt = align(at + 4 * n + PADDING);
    this.reserve(rowsAt + rows.byteLength + PADDING);
    this.place(symbols, at);
    this.place(rows, rowsAt);
    wasm.setElements(at, 1, rowsAt, 0, 0, 0, run, 1);
    const mantissa = wasm.idealMantissa(n, rowsAt, run, table.address);
    return {
      mantissa,
      exponent: wasm.idealExponent(),
      escapes: wasm.idealEscapes(),
      escapeBytes: wasm.idealEscapeBytes(),
    };
  }

  /** Rows per symbol of a part, as the coder takes them. */
  rowsOf(rows: PartRows, n: number): Uint16Array {
    const at = this.layoutPart(n, rows);
    this.placeRows(rows, n, at, undefined, undefined, NONE, true);
    return new Uint16Array(this.u8.buffer, at.rows, n).slice();
  }
}

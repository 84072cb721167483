/** Sequences: a part in small steps, which find everything where the step before has left it. */
import { refuseElement } from "./centre.js";
import { align, PADDING } from "./core-memory.js";
import { type Margins, NONE, nameOf, type Owner } from "./core-part.js";
import { type OpenStream, refuse, StreamMemory } from "./core-stream.js";
import type { LoadedScales, LoadedTable } from "./core-tables.js";

/** A staging area of a sequence: fixed addresses and views, so that a step allocates nothing. */
export interface Stage extends Owner {
  readonly n: number;
  /** The index check's hash so far, as int32 so that it stays a small integer. */
  hash: number;
  scales: Float32Array;
  means: Float32Array;
  elements: Float32Array;
  symbols: Int32Array;
  rows: Uint16Array;
}

export class SequenceMemory extends StreamMemory {
  /** Room for steps of n elements. */
  stage(n: number): Stage {
    const part = align(4 * n + PADDING);
    const address = this.allocate(5 * part);
    return this.owned({ address, n, hash: 0, ...this.#stageViews(address, n) });
  }

  #stageViews(address: number, n: number) {
    const part = align(4 * n + PADDING);
    const { buffer } = this.u8;
    return {
      scales: new Float32Array(buffer, address, n),
      means: new Float32Array(buffer, address + part, n),
      elements: new Float32Array(buffer, address + 2 * part, n),
      symbols: new Int32Array(buffer, address + 3 * part, n),
      rows: new Uint16Array(buffer, address + 4 * part, n),
    };
  }

  #placeStep(stage: Stage, scales: Float32Array, means: Float32Array | undefined): void {
    // Memory that has grown has another buffer.
    if (stage.scales.buffer !== this.u8.buffer) Object.assign(stage, this.#stageViews(stage.address, stage.n));
    stage.scales.set(scales);
    if (means) stage.means.set(means);
  }

  /** One step of a sequence: rows and symbols, left in the stage, and what the reader will see. */
  quantizeStep(
    stage: Stage,
    values: Float32Array,
    scales: Float32Array,
    means: Float32Array | undefined,
    loaded: LoadedScales,
    step: number,
    margins: Margins | undefined,
    out: Float32Array,
  ): readonly number[] {
    const { n } = stage;
    const { wasm } = this;
    // For the list of positions, and first: memory that grows takes the stage's views with it.
    if (margins) this.reserve(this.tablesEnd + 4 * n + PADDING);
    this.#placeStep(stage, scales, means);
    stage.elements.set(values);
    const rows = stage.rows.byteOffset;
    const list = this.guardedRows(stage.scales.byteOffset, n, loaded, rows, this.tablesEnd, margins, NONE);
    const meansAt = means ? stage.means.byteOffset : 0;
    const elements = stage.elements.byteOffset;
    const symbols = stage.symbols.byteOffset;
    if (wasm.quantize(elements, symbols, n, meansAt, 0, step) >= 0)
      refuseElement(stage.elements, { means, medians: undefined, run: n, step }, nameOf);
    wasm.dequantize(symbols, elements, n, meansAt, 0, step);
    out.set(stage.elements);
    stage.hash = wasm.hashRows(stage.hash, rows, n) | 0;
    return list;
  }

  /** The next step of a sequence, `origin` symbols into its part. */
  readStep(
    stream: OpenStream,
    stage: Stage,
    scales: Float32Array,
    means: Float32Array | undefined,
    table: LoadedTable,
    loaded: LoadedScales,
    step: number,
    origin: number,
    corrections: readonly number[],
    checked: boolean,
    out: Float32Array,
  ): void {
    this.#placeStep(stage, scales, means);
    const { n } = stage;
    const { wasm } = this;
    const rows = stage.rows.byteOffset;
    const symbols = stage.symbols.byteOffset;
    const elements = stage.elements.byteOffset;
    this.guardedRows(stage.scales.byteOffset, n, loaded, rows, 0, undefined, corrections);
    const { address, oneLane } = stream;
    refuse(
      oneLane
        ? wasm.parts64Decode(address, symbols, rows, 2, n, table.address)
        : wasm.partsDecode(address, symbols, rows, 2, n, origin, table.address),
    );
    wasm.dequantize(symbols, elements, n, means ? stage.means.byteOffset : 0, 0, step);
    out.set(stage.elements);
    if (checked) stage.hash = wasm.hashRows(stage.hash, rows, n) | 0;
  }

  /** What decoding needs of a table is built before the first step. */
  prepareTable(table: LoadedTable): void {
    this.prepare(table.address, false);
  }
}

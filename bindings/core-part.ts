/** A part's elements and rows in Wasm memory, and the blocks above the tables that streams and sequences keep there. */
import { forRuns, refuseElement, refuseSymbol } from "./centre.js";
import { Core } from "./core.js";
import { align, PADDING } from "./core-memory.js";
import { type LoadedScales, SCALE_BINS_BYTES } from "./core-tables.js";
import { CodecError } from "./errors.js";
import { type FullKernels, MIXTURE_COMPONENT_BYTES } from "./full-kernels.js";
import type { PartCentre, PartRows } from "./part.js";
import type { LatentType } from "./types.js";
import { gather, type Span, scatter } from "./view.js";

export const NONE: readonly number[] = [];

/** Margins of a guard; 0 and 0: none. */
export interface Margins {
  readonly relative: number;
  readonly absolute: number;
}

/** Rows of a part whose symbols are about to be coded, and what the index check says of them. */
export interface PlacedRows {
  hash: number;
  /** Positions within the part. */
  corrected: readonly number[];
}

/** Where the arrays of one part of n symbols lie, above all tables and blocks. */
interface PartLayout {
  elements: number;
  symbols: number;
  means: number;
  sigmas: number;
  rows: number;
  extra: number;
}

/** An element of a view has no index in `data` to name. */
export const nameOf = (i: number): string => `element ${i} of the latent`;

/** Who holds it keeps the block at `address`. */
export interface Owner {
  readonly address: number;
}

// Frees the blocks of readers and sequences that nobody ended. Not every engine has it.
const abandoned =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<() => void>((free) => {
        free();
      });

export class PartMemory extends Core {
  declare protected readonly wasm: FullKernels;
  /** Blocks that no reader or sequence uses any more, by size. */
  readonly #free = new Map<number, number[]>();

  constructor(module: WebAssembly.Module) {
    super(module);
    if (typeof (this.wasm as Partial<FullKernels>).hashRows !== "function")
      throw new TypeError("module must be latentwire/codec.full.wasm: it is that of the entry latentwire");
  }

  // ---- blocks

  /** Memory that stays until it is given back. */
  protected allocate(bytes: number): number {
    // Powers of two, so that what one packet gives back suits the next.
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 1024)));
    const reused = this.#free.get(size)?.pop();
    if (reused !== undefined) return reused + 64;
    const block = this.tablesEnd;
    this.reserve(block + 64 + size + PADDING);
    this.tablesEnd = align(block + 64 + size);
    new Float64Array(this.u8.buffer, block, 1)[0] = size;
    return block + 64;
  }

  /** Until `release`, or until the owner is collected. */
  protected owned<O extends Owner>(owner: O): O {
    const { address } = owner;
    abandoned?.register(owner, () => this.giveBack(address), owner);
    return owner;
  }

  /** Gives an owner's block back. Once only. */
  release(owner: Owner): void {
    abandoned?.unregister(owner);
    this.giveBack(owner.address);
  }

  protected giveBack(address: number): void {
    const block = address - 64;
    const size = new Float64Array(this.u8.buffer, block, 1)[0];
    const list = this.#free.get(size);
    if (list) list.push(block);
    else this.#free.set(size, [block]);
  }

  // ---- rows

  protected layoutPart(n: number, rows: PartRows): PartLayout {
    const bytes = align(4 * n + PADDING);
    const wide = rows.kind === "mixture" ? rows.components : 1;
    const elements = this.tablesEnd;
    const symbols = elements + bytes;
    const means = symbols + bytes;
    const sigmas = means + bytes;
    const rowsAt = sigmas + (rows.kind === "mixture" || rows.kind === "scales" ? align(12 * n * wide + PADDING) : 0);
    const extra = rowsAt + align(2 * Math.max(n, 1) * wide + PADDING);
    // A mixture's corrections lie behind its quantized parameters.
    const mixture = align((MIXTURE_COMPONENT_BYTES + 12) * n * wide + 2 * PADDING);
    const end = extra + (rows.kind === "mixture" ? mixture : bytes);
    this.reserve(end);
    return { elements, symbols, means, sigmas, rows: rowsAt, extra };
  }

  protected floats(address: number, n: number): Float32Array {
    return new Float32Array(this.u8.buffer, address, n);
  }

  /** Scales to rows, with the guard's or a packet's corrections. */
  protected guardedRows(
    sigmas: number,
    n: number,
    scales: LoadedScales,
    rows: number,
    positions: number,
    margins: Margins | undefined,
    corrections: readonly number[],
  ): readonly number[] {
    const { wasm } = this;
    const values = scales.address + SCALE_BINS_BYTES;
    this.rowsOfScales(sigmas, n, scales, rows);
    if (margins) {
      const { relative, absolute } = margins;
      const found = wasm.guardRows(sigmas, n, values, scales.count, relative, absolute, rows, positions);
      return found === 0 ? NONE : Array.from(new Uint32Array(this.u8.buffer, positions, found));
    }
    if (corrections.length) {
      if (scales.count === 1) throw new CodecError("CORRUPTED", "a correction under a table of one row");
      const view = new DataView(this.u8.buffer);
      for (const i of corrections) {
        const row = view.getUint16(rows + 2 * i, true);
        const sigma = view.getFloat32(sigmas + 4 * i, true);
        view.setUint16(rows + 2 * i, wasm.correctedRow(sigma, row, values, scales.count), true);
      }
    }
    return NONE;
  }

  /** Leaves the rows of n symbols at `at.rows`, a mixture's parameters at `at.extra`. `corrections` are a reader's, `margins` a writer's. */
  protected placeRows(
    rows: PartRows,
    n: number,
    at: PartLayout,
    hash: number | undefined,
    margins: Margins | undefined,
    corrections: readonly number[],
    perSymbol: boolean,
  ): PlacedRows {
    const { wasm } = this;
    let corrected = NONE;
    if (rows.kind === "mixture") return this.#placeMixture(rows, n, at, hash ?? 0, margins, corrections);
    if (rows.kind !== "scales" && corrections.length) throw new CodecError("CORRUPTED", "a correction without a scale");
    if (rows.kind === "scales") {
      gather(rows.sigmas, this.floats(at.sigmas, n));
      corrected = this.guardedRows(at.sigmas, n, rows.scales, at.rows, at.extra, margins, corrections);
    } else if (rows.kind === "symbols") {
      this.place(rows.rows, at.rows);
    } else {
      // Rows per run come to `extra`; a row per symbol only where somebody reads it.
      this.reserve(at.extra + rows.rows.byteLength + PADDING);
      this.place(rows.rows, at.extra);
      if (hash !== undefined || perSymbol) wasm.expandRows(at.extra, rows.run, 0, n, at.rows);
    }
    const hashed = hash === undefined ? 0 : wasm.hashRows(hash, at.rows, n) >>> 0;
    return { hash: hashed, corrected };
  }

  #placeMixture(
    rows: PartRows & { kind: "mixture" },
    n: number,
    at: PartLayout,
    hash: number,
    margins: Margins | undefined,
    corrections: readonly number[],
  ): PlacedRows {
    const { wasm } = this;
    const { components, scales } = rows;
    const all = n * components;
    const weights = at.sigmas + 4 * all;
    const means = at.sigmas + 8 * all;
    const positions = align(at.extra + MIXTURE_COMPONENT_BYTES * all + PADDING);
    gather(rows.sigmas, this.floats(at.sigmas, all));
    if (rows.weights) gather(rows.weights, this.floats(weights, all));
    gather(rows.means, this.floats(means, all));
    this.rowsOfScales(at.sigmas, all, scales, at.rows);
    new Uint32Array(this.u8.buffer, positions, corrections.length).set(corrections);
    wasm.guardMixture(margins?.relative ?? 0, margins?.absolute ?? 0, positions, corrections.length);
    const hashAt = at.means;
    new DataView(this.u8.buffer).setUint32(hashAt, hash, true);
    const bad = wasm.quantizeMixture(
      rows.weights ? weights : 0,
      means,
      at.sigmas,
      at.rows,
      scales.address + SCALE_BINS_BYTES,
      scales.count,
      n,
      components,
      at.extra,
      hashAt,
    );
    if (bad >= 0) throw new CodecError("NON_FINITE", `a weight or mean of element ${bad % n} is NaN`);
    if (bad < -1) this.#refuseGuard(rows.weights && weights, means, all, margins as Margins);
    const used = wasm.correctedParameters();
    if (used < corrections.length) throw new CodecError("CORRUPTED", "a correction of weights that are left out");
    const corrected = margins && used > 0 ? Array.from(new Uint32Array(this.u8.buffer, positions, used)) : NONE;
    wasm.mixtureBegin(at.extra, components, rows.shape, rows.low, rows.size);
    return { hash: new DataView(this.u8.buffer).getUint32(hashAt, true), corrected };
  }

  /** Finds the parameter that may be further off than the quarter of a grid step that docs/determinism.md 2 allows. */
  #refuseGuard(weights: number | undefined, means: number, n: number, { relative, absolute }: Margins): never {
    const find = (name: string, address: number, step: number, low: number, high: number) => {
      const tooLarge = this.floats(address, n).find((v) => {
        const margin = relative * Math.abs(v) + absolute;
        return margin / step >= 0.25 && v + margin >= low && v - margin <= high;
      });
      if (tooLarge !== undefined)
        throw new RangeError(`the guard is too wide for a mixture's ${name} of ${tooLarge}: at most ${step / 4} off`);
    };
    if (weights !== undefined) find("weight", weights, 1 / 256, 0, 1);
    find("mean", means, 1 / 64, -32768, 32768);
    throw new Error("unreachable");
  }

  // ---- elements

  /** Elements to int32 symbols at `at.symbols`; means come to `at.means` in either direction. */
  protected quantize(latent: Span, centre: PartCentre, at: PartLayout): void {
    const { n, type } = latent;
    const buffer = this.u8.buffer;
    if (centre.means) gather(centre.means, this.floats(at.means, n));
    if (type === "int32") {
      gather(latent, new Int32Array(buffer, at.symbols, n));
      return;
    }
    if (type !== "float32") {
      const view = type === "int16" ? new Int16Array(buffer, at.elements, n) : new Int8Array(buffer, at.elements, n);
      gather(latent, view);
      this.wasm.widen(at.elements, at.symbols, n, view.BYTES_PER_ELEMENT);
      return;
    }
    gather(latent, this.floats(at.elements, n));
    forRuns(n, centre, (from, count, mean) => {
      const means = centre.means ? at.means : 0;
      const bad = this.wasm.quantize(at.elements + 4 * from, at.symbols + 4 * from, count, means, mean, centre.step);
      if (bad >= 0)
        refuseElement(
          this.floats(at.elements, n),
          { ...centre, means: centre.means && this.floats(at.means, n) },
          nameOf,
        );
    });
  }

  /** Symbols at `at.symbols` to elements of `type`, copied to `out`. */
  protected dequantize(n: number, type: LatentType, centre: PartCentre, at: PartLayout, out: Span): void {
    const { wasm } = this;
    const buffer = this.u8.buffer;
    if (type === "int32") {
      scatter(new Int32Array(buffer, at.symbols, n), out);
      return;
    }
    if (type === "float32") {
      forRuns(n, centre, (from, count, mean) => {
        const means = centre.means ? at.means : 0;
        wasm.dequantize(at.symbols + 4 * from, at.elements + 4 * from, count, means, mean, centre.step);
      });
      scatter(this.floats(at.elements, n), out);
      return;
    }
    const bytes = type === "int16" ? 2 : 1;
    const bad = wasm.narrow(at.symbols, at.elements, n, bytes);
    if (bad >= 0) refuseSymbol(bad, new Int32Array(buffer, at.symbols, n)[bad], type);
    scatter(type === "int16" ? new Int16Array(buffer, at.elements, n) : new Int8Array(buffer, at.elements, n), out);
  }
}

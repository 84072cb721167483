/** The full build's share of Wasm memory: parts, sequences, mixtures and rates. With core.ts the only file that touches it. */
import {
  align,
  BYTES_PER_SYMBOL,
  CHUNK,
  Core,
  HEADROOM,
  HIGHEST_SYMBOL,
  type LoadedScales,
  type LoadedTable,
  PADDING,
  SCALE_BINS_BYTES,
} from "./core.js";
import { CodecError } from "./errors.js";
import { type FullKernels, MIXTURE_COMPONENT_BYTES } from "./full-kernels.js";
import { CODES } from "./kernels.js";
import type { StreamHeader } from "./packet.js";
import type { CodedPart, PartCentre, PartRows } from "./part.js";
import type { Bytes, LatentType } from "./types.js";
import { gather, type Span, scatter } from "./view.js";

const NONE: readonly number[] = [];
/** Bytes by which packets of the same symbols never differ, whatever their lanes: measured 6, and no lane's state takes more than 4. */
const LANES_DIFFER = 256;

/** Who holds it keeps the block at `address`. */
interface Owner {
  readonly address: number;
}

/** What a reader keeps in Wasm memory: its block, then state, words and escapes. */
export interface OpenStream extends Owner {
  readonly oneLane: boolean;
}

/** Margins of a guard; 0 and 0: none. */
export interface Margins {
  readonly relative: number;
  readonly absolute: number;
}

/** Rows of a part whose symbols are about to be coded, and what the index check says of them. */
export interface PlacedRows {
  /** u16 per symbol, f64 of a mixture, or per run. */
  address: number;
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

// Frees the blocks of readers and sequences that nobody ended. Not every engine has it.
const abandoned =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<() => void>((free) => {
        free();
      });

export class FullCore extends Core {
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
  #allocate(bytes: number): number {
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
  #owned<O extends Owner>(owner: O): O {
    const { address } = owner;
    abandoned?.register(owner, () => this.#giveBack(address), owner);
    return owner;
  }

  /** Gives an owner's block back. Once only. */
  release(owner: Owner): void {
    abandoned?.unregister(owner);
    this.#giveBack(owner.address);
  }

  #giveBack(address: number): void {
    const block = address - 64;
    const size = new Float64Array(this.u8.buffer, block, 1)[0];
    const list = this.#free.get(size);
    if (list) list.push(block);
    else this.#free.set(size, [block]);
  }

  // ---- rows

  #layoutPart(n: number, rows: PartRows): PartLayout {
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

  #floats(address: number, n: number): Float32Array {
    return new Float32Array(this.u8.buffer, address, n);
  }

  /** Scales to rows, with the guard's or a packet's corrections. */
  #rowsOfScales(
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
    const bad = wasm.scaleToRow(sigmas, n, values, scales.count, scales.address, scales.single, rows);
    if (bad >= 0) throw new CodecError("NON_FINITE", `scales[${bad}] is NaN`);
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
  #placeRows(
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
      gather(rows.sigmas, this.#floats(at.sigmas, n));
      corrected = this.#rowsOfScales(at.sigmas, n, rows.scales, at.rows, at.extra, margins, corrections);
    } else if (rows.kind === "symbols") {
      this.place(rows.rows, at.rows);
    } else {
      // Rows per run come to `extra`; a row per symbol only where somebody reads it.
      this.reserve(at.extra + rows.rows.byteLength + PADDING);
      this.place(rows.rows, at.extra);
      // A run of an empty part may be 0 long.
      if (n > 0 && (hash !== undefined || perSymbol)) wasm.expandRows(at.extra, rows.run, 0, n, at.rows);
    }
    const hashed = hash === undefined ? 0 : wasm.hashRows(hash, at.rows, n) >>> 0;
    return { address: at.rows, hash: hashed, corrected };
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
    gather(rows.sigmas, this.#floats(at.sigmas, all));
    if (rows.weights) gather(rows.weights, this.#floats(weights, all));
    gather(rows.means, this.#floats(means, all));
    this.#rowsOfScales(at.sigmas, all, scales, at.rows, at.extra, undefined, NONE);
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
    return { address: at.rows, hash: new DataView(this.u8.buffer).getUint32(hashAt, true), corrected };
  }

  /** Finds the parameter that may be further off than the quarter of a grid step that docs/determinism.md 2 allows. */
  #refuseGuard(weights: number | undefined, means: number, n: number, { relative, absolute }: Margins): never {
    const find = (name: string, address: number, step: number, low: number, high: number) => {
      const tooLarge = this.#floats(address, n).find((v) => {
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

  #forRuns(n: number, { medians, run }: PartCentre, visit: (from: number, count: number, mean: number) => void): void {
    if (!medians) visit(0, n, 0);
    else for (let from = 0, r = 0; from < n; from += run, r++) visit(from, run, medians[r % medians.length]);
  }

  /** Elements to int32 symbols at `at.symbols`; means come to `at.means` in either direction. */
  #quantize(latent: Span, centre: PartCentre, at: PartLayout): void {
    const { n, type } = latent;
    const buffer = this.u8.buffer;
    if (centre.means) gather(centre.means, this.#floats(at.means, n));
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
    gather(latent, this.#floats(at.elements, n));
    this.#forRuns(n, centre, (from, count, mean) => {
      const means = centre.means ? at.means : 0;
      const bad = this.wasm.quantize(at.elements + 4 * from, at.symbols + 4 * from, count, means, mean, centre.step);
      if (bad >= 0) this.#refuseElement(at.elements, centre.means && at.means, n, centre);
    });
  }

  /** Finds the element that has no symbol. */
  #refuseElement(elements: number, means: number | undefined, n: number, { medians, run, step }: PartCentre): never {
    const values = this.#floats(elements, n);
    for (let i = 0; i < n; i++) {
      const y = values[i];
      const mean = means ? this.#floats(means, n)[i] : medians ? medians[Math.floor(i / run) % medians.length] : 0;
      const scaled = Math.fround(Math.fround(y - mean) / step);
      if (scaled <= HIGHEST_SYMBOL && scaled >= -(2 ** 31)) continue;
      if (!Number.isFinite(y)) throw new CodecError("NON_FINITE", `element ${i} of the latent is ${y}; replace it`);
      if (!Number.isFinite(mean)) throw new CodecError("NON_FINITE", `means[${i}] is ${mean}`);
      throw new CodecError("OUT_OF_RANGE", `element ${i}, ${y}, does not round to an int32; use a larger step`);
    }
    throw new Error("unreachable");
  }

  /** Symbols at `at.symbols` to elements of `type`, copied to `out`. */
  #dequantize(n: number, type: LatentType, centre: PartCentre, at: PartLayout, out: Span): void {
    const { wasm } = this;
    const buffer = this.u8.buffer;
    if (type === "int32") {
      scatter(new Int32Array(buffer, at.symbols, n), out);
      return;
    }
    if (type === "float32") {
      this.#forRuns(n, centre, (from, count, mean) => {
        const means = centre.means ? at.means : 0;
        wasm.dequantize(at.symbols + 4 * from, at.elements + 4 * from, count, means, mean, centre.step);
      });
      scatter(this.#floats(at.elements, n), out);
      return;
    }
    const bytes = type === "int16" ? 2 : 1;
    const bad = wasm.narrow(at.symbols, at.elements, n, bytes);
    if (bad >= 0) {
      const symbol = new Int32Array(buffer, at.symbols, n)[bad];
      throw new CodecError("OUT_OF_RANGE", `symbol ${bad} is ${symbol}, which ${type} cannot hold; ask for int32`);
    }
    scatter(type === "int16" ? new Int16Array(buffer, at.elements, n) : new Int8Array(buffer, at.elements, n), out);
  }

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
    const at = this.#layoutPart(n, rows);
    // First the rows: a mixture's parameters pass where means will lie.
    const placed = this.#placeRows(rows, n, at, hash, margins, NONE, false);
    this.#quantize(latent, centre, at);
    const { buffer } = this.u8;
    part.symbols = new Int32Array(buffer, at.symbols, n).slice();
    if (rows.kind === "mixture") {
      this.wasm.mixtureEntries(at.symbols, n, at.means);
      part.entries = new Uint32Array(buffer, at.means, n).slice();
    } else if (rows.kind !== "runs") {
      part.rows = new Uint16Array(buffer, at.rows, n).slice();
    }
    this.#dequantize(n, "float32", centre, at, out);
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
      // A part of long runs restarts its lanes at each (docs/format.md section 8.5).
      const runs = part.runs && part.runs.run >= (oneLane ? 2 : lanes) ? part.runs : undefined;
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
    const address = this.#allocate(block + body.length + PADDING);
    const p = address + block;
    this.u8.set(body, p);
    const wordsEnd = p + body.length - stream.escapeBytes;
    const escapesEnd = p + body.length;
    const oneLane = stream.lanes === 1;
    const code = oneLane
      ? wasm.parts64DecodeBegin(address, p, wordsEnd, escapesEnd, stream.compressai)
      : wasm.partsDecodeBegin(address, p, wordsEnd, escapesEnd, stream.lanes, stream.tailUnits, n);
    if (code !== 0) {
      this.#giveBack(address);
      refuse(code);
    }
    return this.#owned({ address, oneLane });
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
    const at = this.#layoutPart(n, rows);
    // A part of long runs restarts its lanes at each (docs/format.md section 8.5).
    const byRun = rows.kind === "runs" && rows.run >= (stream.oneLane ? 2 : lanes);
    const placed = this.#placeRows(rows, n, at, accept && 0, undefined, corrections, !byRun);
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
    if (centre.means) gather(centre.means, this.#floats(at.means, n));
    this.#dequantize(n, type, centre, at, out);
  }

  /** Throws what the end of the stream says. */
  endStream({ address, oneLane }: OpenStream): void {
    refuse(oneLane ? this.wasm.parts64DecodeEnd(address) : this.wasm.partsDecodeEnd(address));
  }

  // ---- sequences

  /** Room for steps of n elements. */
  stage(n: number): Stage {
    const part = align(4 * n + PADDING);
    const address = this.#allocate(5 * part);
    return this.#owned({ address, n, hash: 0, ...this.#stageViews(address, n) });
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
    const list = this.#rowsOfScales(stage.scales.byteOffset, n, loaded, rows, this.tablesEnd, margins, NONE);
    const meansAt = means ? stage.means.byteOffset : 0;
    const elements = stage.elements.byteOffset;
    const symbols = stage.symbols.byteOffset;
    if (wasm.quantize(elements, symbols, n, meansAt, 0, step) >= 0)
      this.#refuseElement(elements, means && meansAt, n, { means: undefined, medians: undefined, run: n, step });
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
    this.#rowsOfScales(stage.scales.byteOffset, n, loaded, rows, 0, undefined, corrections);
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

  // ---- tables and rates

  /** offset and cdf of the Laplace or logistic row for a scale. */
  tailedRow(scale: number, logistic: boolean): { offset: number; cdf: Uint32Array } {
    const center = this.wasm.tailedCenter(scale, logistic);
    const n = 2 * center + 2;
    const at = this.tablesEnd;
    this.reserve(at + 4 * n + PADDING);
    if (logistic) this.wasm.logisticPmf(scale, at);
    else this.wasm.laplacePmf(scale, at);
    return { offset: -center, cdf: this.quantizedCdf(this.#floats(at, n).slice(), 16) };
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
    const at = this.#layoutPart(n, rows);
    this.#placeRows(rows, n, at, undefined, undefined, NONE, true);
    return new Uint16Array(this.u8.buffer, at.rows, n).slice();
  }
}

/** Throws what a decoder's code means; 0 is success. */
function refuse(code: number): void {
  if (code === 0) return;
  throw new CodecError(
    CODES[code],
    code === 1 ? "the stream ends too early" : "the stream contradicts its tables or itself",
  );
}

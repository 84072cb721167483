/**
 * The memory of an instance: views of it, copying in and out. Other files use that memory only through this class.
 */
import { type Exports, LIMIT_EXCEEDED } from "./abi.js";
import { fromCore } from "./elements.js";
import { CodecError } from "./errors.js";
import { throwFault } from "./faults.js";
import { checkLength, gather, gridOf, type Span, type Strided, scatter } from "./tensor.js";
import type { BuildName, LatentData, LatentType } from "./types.js";

/**
 * Elements that are in Wasm memory at once. So a chunk with its rows and means stays in L2. (14 times W1 in one piece
 * ran at 0.70 of W1's speed.)
 */
export const CHUNK = 65536;
/** Bytes of the piece: `piece` of assembly/memory.ts. */
export const PIECE = 65536;
/** Unused bytes that stay: a new instance costs more than they do. */
const SPARE = 2 ** 20;
const LARGEST = 2 ** 32 - 2 ** 17;
const BYTES = { float32: 4, int32: 4, int16: 2, int8: 1 } as const;

export class Memory {
  wasm: Exports;
  readonly build: BuildName;
  /** A part for calls that keep none. */
  readonly part: number;
  u8!: Uint8Array;
  u16!: Uint16Array;
  u32!: Uint32Array;
  i32!: Int32Array;
  f32!: Float32Array;
  f64!: Float64Array;
  #byType!: Record<LatentType, LatentData>;
  readonly #instantiate: () => Exports;

  constructor(wasm: Exports, build: BuildName, instantiate: () => Exports) {
    this.wasm = wasm;
    this.build = build;
    this.#instantiate = instantiate;
    this.#refresh();
    this.part = wasm.newPart(0);
  }

  #refresh(): void {
    const { buffer } = this.wasm.memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.#byType = {
      float32: this.f32,
      int32: this.i32,
      int16: new Int16Array(buffer),
      int8: new Int8Array(buffer),
    };
  }

  /** Call this after every call that may grow the memory: growing detaches the views. */
  sync(): void {
    // Plain JavaScript cannot detach the old memory. It is asked only there: the getter of a WebAssembly.Memory takes
    // time.
    if (this.u8.length === 0 || (this.build === "javascript" && this.u8.buffer !== this.wasm.memory.buffer))
      this.#refresh();
  }

  /** Whether so many bytes behind the blocks are more than there are. */
  growsFor(bytes: number): boolean {
    return (this.wasm.scratch(0) >>> 0) + bytes > this.u8.length;
  }

  /**
   * Gives back what no table, reader, writer or sequence needs. Wasm memory cannot shrink, so another instance goes on
   * with the same blocks at the same addresses. Nothing happens without memory for a second instance, and if the memory
   * has not grown beyond `size`.
   */
  trim(size = 0): void {
    if (this.u8.length <= size) return;
    const end = this.wasm.trim() >>> 0;
    if (this.u8.length - end <= SPARE) return;
    let fresh: Exports;
    try {
      fresh = this.#instantiate();
    } catch {
      return;
    }
    if (fresh.scratch(end) === 0) return;
    new Uint8Array(fresh.memory.buffer).set(this.u8.subarray(0, end));
    this.wasm = fresh;
    this.#refresh();
  }

  /** Address of so many bytes, for use until the next call. */
  scratch(bytes: number): number {
    const at = bytes < LARGEST ? this.wasm.scratch(bytes) >>> 0 : 0;
    if (at === 0) throw new CodecError("LIMIT_EXCEEDED", `no ${Math.ceil(bytes / 2 ** 20)} MB of Wasm memory`);
    this.sync();
    return at;
  }

  /**
   * Throws an error for a code other than 0. Afterwards the views are valid. `context` is what messages call the
   * tensor.
   */
  check(code: number, context?: string): void {
    this.sync();
    if (code !== 0) throwFault(this, code, context);
  }

  /** Returns an address. Throws what the fault says for 0. */
  address(address: number): number {
    this.sync();
    if (address === 0) throwFault(this, this.faultCode || LIMIT_EXCEEDED);
    return address >>> 0;
  }

  /** A view of n elements at an address, valid as long as the other views. */
  elements(type: LatentType, address: number, n: number): LatentData {
    const at = address / BYTES[type];
    return this.#byType[type].subarray(at, at + n);
  }

  /** Copies elements [from, to) of a span to an address. */
  place(span: Span, address: number, from: number, to: number): void {
    checkLength(span);
    const target = this.elements(span.core, address, to - from);
    if (!span.strides) gather(span, target, from, to);
    else {
      const [first, end] = this.#copyBlocks(span as Strided, address, from, to, false);
      gather(span, target, from, first);
      gather(span, target.subarray(end - from), end, to);
    }
  }

  /** Copies elements [from, to) of a span from an address. */
  take(span: Span, address: number, from: number, to: number): void {
    checkLength(span);
    const source = this.elements(span.core, address, to - from);
    if (!span.strides) scatter(source, span, from);
    else {
      const [first, end] = this.#copyBlocks(span as Strided, address, from, to, true);
      scatter(source.subarray(0, first - from), span, from);
      scatter(source.subarray(end - from), span, end);
    }
  }

  // Moves whole blocks of a grid through a piece of Wasm memory. This takes 0.3 ns an element, a loop in JavaScript 1.0
  // (V8). Returns which elements it has moved.
  #copyBlocks(span: Strided, address: number, from: number, to: number, back: boolean): [number, number] {
    const grid = gridOf(span);
    if (!grid) return [from, from];
    const { rows, columns, steps, low, high } = grid;
    const block = rows * columns;
    const first = Math.ceil(from / block);
    const end = Math.floor(to / block);
    const most = Math.floor((PIECE / 4 - 1 - high + low) / steps[0]) + 1;
    // If the elements are far apart, most of a piece would be wasted. Not for shared memory: what another thread writes
    // between the elements meanwhile would be lost.
    const suits = end > first && most > 0 && steps[0] + high - low <= 8 * block;
    if (!suits || !(span.data.buffer instanceof ArrayBuffer)) return [from, from];
    const at = this.wasm.pieceAddress();
    for (let b = first; b < end; b += most) {
      const blocks = Math.min(most, end - b);
      const start = span.offset + b * steps[0] + low;
      const outside = span.data.subarray(start, start + (blocks - 1) * steps[0] + high - low + 1);
      const inside = this.elements(span.core, at, outside.length);
      inside.set(outside);
      const dense = address + 4 * (b * block - from);
      this.wasm.copyGrid(dense, at - 4 * low, blocks, rows, columns, ...steps, back ? 1 : 0);
      if (back) outside.set(inside);
    }
    return [first * block, end * block];
  }

  /** Copies n elements of type `from` to an array of `type`. Throws OUT_OF_RANGE where one does not fit. */
  takeAs(data: LatentData, type: LatentType, from: LatentType, address: number, n: number): void {
    const source = this.elements(from, address, n);
    if (type === from) data.set(source);
    else fromCore(type, source as Int32Array, data, 0, 0);
  }

  /** A field of a structure: of a part, a writer or reader, or a table. */
  word(structure: number, offset: number): number {
    return this.u32[(structure + offset) >>> 2]!;
  }

  setWord(structure: number, offset: number, value: number): void {
    this.u32[(structure + offset) >>> 2] = value;
  }

  /** Several consecutive fields. */
  words(structure: number, offset: number, count: number): number[] {
    const at = (structure + offset) >>> 2;
    // Array.from takes 0.2 microseconds, a fifth of the decoding of a small packet.
    const values: number[] = [];
    for (let i = 0; i < count; i++) values.push(this.u32[at + i]!);
    return values;
  }

  /** The code of the last call that failed. */
  get faultCode(): number {
    return this.word(this.wasm.faultAddress(), 12);
  }

  set faultCode(code: number) {
    this.setWord(this.wasm.faultAddress(), 12, code);
  }
}

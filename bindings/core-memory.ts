/** Wasm memory: a build's instance, room in its memory, copying in. The other core files go on from here; nothing else touches that memory. */
import { CodecError } from "./errors.js";
import type { Kernels } from "./kernels.js";
import type { LatentData } from "./types.js";

const PAGE = 65536;
/** Kernels read this much beyond an input and write a little below an output. */
export const PADDING = 256;
// Not `& ~63`: addresses pass 2^31.
export const align = (address: number): number => Math.ceil(address / 64) * 64;

export class Memory {
  readonly simd: boolean;
  // Protected, not private: each core file adds a layer to this class.
  protected readonly wasm: Kernels;
  /** End of the tables; scratch begins here. */
  protected tablesEnd: number;
  protected u8: Uint8Array;
  #u32: Uint32Array;

  constructor(module: WebAssembly.Module) {
    this.wasm = new WebAssembly.Instance(module).exports as unknown as Kernels;
    if (typeof (this.wasm as Partial<Kernels>).init !== "function")
      throw new TypeError("module must be latentwire/codec.wasm");
    this.wasm.init();
    // A Wasm bool is a number.
    this.simd = Number(this.wasm.simdBuild()) === 1;
    this.tablesEnd = align(this.wasm.heapBase());
    this.u8 = new Uint8Array(this.wasm.memory.buffer);
    this.#u32 = new Uint32Array(this.u8.buffer);
  }

  /** Makes [0, end) addressable. */
  protected reserve(end: number): void {
    const { memory } = this.wasm;
    if (end > this.u8.length) {
      try {
        if (end > PAGE * 65535) throw new RangeError();
        memory.grow(Math.ceil((end - this.u8.length) / PAGE));
      } catch {
        throw new CodecError("LIMIT_EXCEEDED", `no ${Math.ceil(end / 2 ** 20)} MB of Wasm memory`);
      }
      this.u8 = new Uint8Array(memory.buffer);
      this.#u32 = new Uint32Array(memory.buffer);
    }
  }

  protected word(address: number): number {
    return this.#u32[address >>> 2]!;
  }

  protected place(array: LatentData | Uint16Array | Uint32Array, address: number, from = 0, to = array.length): void {
    const bytes = array.BYTES_PER_ELEMENT;
    this.u8.set(new Uint8Array(array.buffer, array.byteOffset + from * bytes, (to - from) * bytes), address);
  }
}

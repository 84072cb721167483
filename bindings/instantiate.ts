/** Chooses and compiles a build of assembly/. */
import { CodecImplementation } from "./codec.js";
import { Core } from "./core.js";
import type { Codec, CreateOptions } from "./types.js";

// A module whose only function has v128 in it: valid exactly where the engine has fixed-width SIMD.
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

let hasSimd: boolean | undefined;

/** Whether this engine runs the SIMD build. */
export function simdSupported(): boolean {
  hasSimd ??= WebAssembly.validate(SIMD_PROBE);
  return hasSimd;
}

const isModule = (value: unknown): value is WebAssembly.Module =>
  Object.prototype.toString.call(value) === "[object WebAssembly.Module]";

/** A codec of its own memory over a compiled module. */
export function codecFrom(module: WebAssembly.Module): Codec {
  return new CodecImplementation(new Core(module)) as unknown as Codec;
}

export async function compiled(source: NonNullable<CreateOptions["module"]>): Promise<WebAssembly.Module> {
  return isModule(source) ? source : WebAssembly.compile(source);
}

export function compiledSync(source: NonNullable<CreateOptions["module"]>): WebAssembly.Module {
  return isModule(source) ? source : new WebAssembly.Module(source);
}

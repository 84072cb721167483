/**
 * The entropy codec for neural latents. See the README for examples and docs/format.md for the bytes.
 *
 * @module
 */
import { inlined, inlinedSync } from "./inlined.js";
import { codecFrom, compiled, compiledSync } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { inspect } from "./packet.js";
export type * from "./types.js";

/**
 * Makes a codec with memory of its own.
 *
 * @throws WebAssembly.CompileError where the host forbids compiling Wasm: a Content-Security-Policy needs `wasm-unsafe-eval`; a host that compiles .wasm files
 * beforehand has a `module` to pass.
 */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecFrom(await (options.module === undefined ? inlined(options.simd) : compiled(options.module)));
}

/** {@link create} without waiting: for Workers, Node and engines that compile 40 KB synchronously. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecFrom(options.module === undefined ? inlinedSync(options.simd) : compiledSync(options.module));
}

/**
 * The entropy codec for neural latents. See the README for examples and docs/format.md for the bytes.
 *
 * @module
 */
import { codecFrom } from "./codec.js";
import { moduleOf, moduleOfSync } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { channels, checkerboardHalf, permute } from "./tensor.js";
export type * from "./types.js";

/**
 * Makes a codec with memory of its own.
 *
 * @throws WebAssembly.CompileError where the host forbids compiling Wasm: a Content-Security-Policy needs `wasm-unsafe-eval`; a host that compiles .wasm files
 * beforehand has a `module` to pass. TypeError for a module that is not this release's.
 */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecFrom(await moduleOf(options));
}

/** {@link create} without waiting: for Workers, Node and engines that compile 50 KB synchronously. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecFrom(moduleOfSync(options));
}

/**
 * The entropy codec for neural latents. See the README for examples and docs/format.md for the bytes.
 *
 * @module
 */
import { builds } from "./builds.js";
import { codecOf, readyFrom, readySyncFrom } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { channels, checkerboardHalf, permute } from "./tensor.js";
export type * from "./types.js";

/**
 * Makes a codec with memory of its own.
 *
 * @throws CodecError `WASM_BLOCKED` where the page or host forbids compiling WebAssembly, `BUILD_MISSING` where this engine needs a build that cannot be loaded,
 * `BIG_ENDIAN` on a big-endian processor, `LIMIT_EXCEEDED` where there is no memory. TypeError for a module that is not this release's.
 */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecOf(await readyFrom(builds, options));
}

/**
 * {@link create} without waiting: for Workers, Node and engines that compile 50 KB synchronously.
 *
 * @throws As {@link create}; `BUILD_MISSING` also for a build that is asked for by name and is not `simd`.
 */
export function createSync(options: CreateOptions = {}): Codec {
  return codecOf(readySyncFrom(builds, options));
}

/**
 * The codec with packets of several parts (hyperpriors, channel groups, autoregressive priors), guard bands against disagreeing machines,
 * distributions made at run time, and rates. Everything that `latentwire` has is here too, in one larger Wasm module.
 *
 * @module
 */
import { FullCore } from "./core-full.js";
import { asFullCodec, FullCodecImplementation } from "./full-codec.js";
import type { FullCodec } from "./full-types.js";
import { inlinedFull, inlinedFullSync } from "./inlined-full.js";
import { compiled, compiledSync } from "./instantiate.js";
import type { CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export type * from "./full-types.js";
export { inspect } from "./inspect-any.js";
export type * from "./types.js";
export { channels, checkerboard, permute } from "./view.js";

const codecFrom = (module: WebAssembly.Module) => asFullCodec(new FullCodecImplementation(new FullCore(module)));

/**
 * Makes a codec with memory of its own.
 *
 * @param options - `module` must be `latentwire/codec.full.wasm` or `latentwire/codec.full.scalar.wasm`.
 * @throws WebAssembly.CompileError where the host forbids compiling Wasm: a Content-Security-Policy needs `wasm-unsafe-eval`; a host that compiles .wasm files
 * beforehand has a `module` to pass.
 */
export async function create(options: CreateOptions = {}): Promise<FullCodec> {
  return codecFrom(await (options.module === undefined ? inlinedFull(options.simd) : compiled(options.module)));
}

/** {@link create} without waiting: for Workers, Node and engines that compile 50 KB synchronously. */
export function createSync(options: CreateOptions = {}): FullCodec {
  return codecFrom(options.module === undefined ? inlinedFullSync(options.simd) : compiledSync(options.module));
}

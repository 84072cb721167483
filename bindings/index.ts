/**
 * The entropy codec for neural latents. See the README for examples and docs/format.md for the bytes.
 *
 * @module
 */
import { scalarBinary, simdBinary } from "./binary.js";
import { codecFrom, compiled, compiledSync, simdSupported } from "./instantiate.js";
import { fromText } from "./text.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { inspect } from "./packet.js";
export type * from "./types.js";

// One compilation per build and realm, shared by all codecs.
const modules: { simd?: WebAssembly.Module; scalar?: WebAssembly.Module } = {};

const choose = (options: CreateOptions): "simd" | "scalar" =>
  (options.simd ?? true) && simdSupported() ? "simd" : "scalar";
const binary = (build: "simd" | "scalar") => fromText(build === "simd" ? simdBinary : scalarBinary);

/**
 * Makes a codec with memory of its own.
 *
 * @throws WebAssembly.CompileError where the host forbids compiling Wasm (a CSP without `wasm-unsafe-eval`): pass `module`.
 */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  if (options.module !== undefined) return codecFrom(await compiled(options.module));
  const build = choose(options);
  modules[build] ??= await WebAssembly.compile(binary(build));
  return codecFrom(modules[build]);
}

/** {@link create} without waiting: for Workers, Node and engines that compile 40 KB synchronously. */
export function createSync(options: CreateOptions = {}): Codec {
  if (options.module !== undefined) return codecFrom(compiledSync(options.module));
  const build = choose(options);
  modules[build] ??= new WebAssembly.Module(binary(build));
  return codecFrom(modules[build]);
}

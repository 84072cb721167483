// What index.ts is elsewhere, for Cloudflare's workerd: it forbids compiling at run time and compiles imported .wasm files beforehand.
import simdModule from "../codec.wasm";
import { codecFrom } from "./codec.js";
import { moduleOf, moduleOfSync } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { channels, checkerboard, permute } from "./tensor.js";
export type * from "./types.js";

/** As in index.ts. `simd` is ignored: workerd has SIMD. */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecFrom(await moduleOf({ module: simdModule, ...options }));
}

/** As in index.ts. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecFrom(moduleOfSync({ module: simdModule, ...options }));
}

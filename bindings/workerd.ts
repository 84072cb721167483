// What index.ts is elsewhere, for Cloudflare's workerd: it forbids compiling at run time and compiles imported .wasm files beforehand.
import simdModule from "../codec.wasm";
import { codecFrom, compiled, compiledSync } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { inspect } from "./packet.js";
export type * from "./types.js";

/** As in index.ts. `simd` is ignored: workerd has SIMD. */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecFrom(await compiled(options.module ?? simdModule));
}

/** As in index.ts. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecFrom(compiledSync(options.module ?? simdModule));
}

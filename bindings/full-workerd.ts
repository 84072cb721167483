// What full.ts is elsewhere, for Cloudflare's workerd; see workerd.ts.
import fullModule from "../codec.full.wasm";
import { FullCore } from "./core-full.js";
import { asFullCodec, FullCodecImplementation } from "./full-codec.js";
import type { FullCodec } from "./full-types.js";
import { compiled, compiledSync } from "./instantiate.js";
import type { CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export type * from "./full-types.js";
export { inspect } from "./inspect-any.js";
export type * from "./types.js";
export { channels, checkerboard, permute } from "./view.js";

const codecFrom = (module: WebAssembly.Module) => asFullCodec(new FullCodecImplementation(new FullCore(module)));

/** As in full.ts. `simd` is ignored: workerd has SIMD. */
export async function create(options: CreateOptions = {}): Promise<FullCodec> {
  return codecFrom(await compiled(options.module ?? fullModule));
}

/** As in full.ts. */
export function createSync(options: CreateOptions = {}): FullCodec {
  return codecFrom(compiledSync(options.module ?? fullModule));
}

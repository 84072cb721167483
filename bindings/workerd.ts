// What index.ts is elsewhere, for Cloudflare's workerd: it forbids compiling at run time and compiles imported .wasm files beforehand.
import simdModule from "../codec.wasm";
import { codecFrom } from "./codec.js";
import { isModule } from "./memory.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { channels, checkerboardHalf, permute } from "./tensor.js";
export type * from "./types.js";

// Nothing of instantiate.ts: it carries both builds as text.
const codecOf = ({ module }: CreateOptions): Codec => {
  const given = module ?? simdModule;
  return codecFrom(isModule(given) ? given : new WebAssembly.Module(given));
};

/** As in index.ts. `simd` is ignored: workerd has SIMD. */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecOf(options);
}

/** As in index.ts. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecOf(options);
}

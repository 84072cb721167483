// What index.ts is elsewhere, for Cloudflare's workerd: it forbids compiling at run time and compiles imported .wasm files beforehand.
import simdModule from "../codec.wasm";
import { type Builds, codecOf, readyFrom, readySyncFrom } from "./instantiate.js";
import type { Codec, CreateOptions } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { channels, checkerboardHalf, permute } from "./tensor.js";
export type * from "./types.js";

const builds: Builds = {
  own: simdModule,
  load: {
    scalar: async () => (await import("./scalar.js")).scalar,
    javascript: async () => (await import("./javascript.js")).javascript,
  },
};

/** As in index.ts. The build is `simd`: workerd has it, and compiles no other. */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecOf(await readyFrom(builds, options));
}

/** As in index.ts. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecOf(readySyncFrom(builds, options));
}

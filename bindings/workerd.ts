// What index.ts is elsewhere, for hosts that forbid to compile at run time and compile imported .wasm files beforehand: Cloudflare's workerd, and as
// edge-light.js (assembly/build.mjs) Vercel's Edge Runtime.
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

/** As in index.ts. The build is `simd`: these hosts have it, and compile no other. */
export async function create(options: CreateOptions = {}): Promise<Codec> {
  return codecOf(await readyFrom(builds, options));
}

/** As in index.ts. */
export function createSync(options: CreateOptions = {}): Codec {
  return codecOf(readySyncFrom(builds, options));
}

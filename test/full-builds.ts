// The two builds of latentwire/full under test.

import type { FullCodec } from "latentwire/full";
import { createSync } from "latentwire/full";

export type * from "latentwire/full";

export interface FullBuild {
  readonly name: "simd" | "scalar";
  readonly codec: FullCodec;
}

export const fullBuilds: readonly FullBuild[] = [
  { name: "simd", codec: createSync() },
  { name: "scalar", codec: createSync({ simd: false }) },
];

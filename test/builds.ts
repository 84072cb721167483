// The two builds under test.
import { type Codec, createSync } from "latentwire";

export interface Build {
  readonly name: "simd" | "scalar";
  readonly codec: Codec;
}

export const builds: readonly Build[] = [
  { name: "simd", codec: createSync() },
  { name: "scalar", codec: createSync({ simd: false }) },
];

export const laneCounts = [1, 8, 16, 32] as const;

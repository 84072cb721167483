// The two builds under test.
import { type Codec, create } from "latentwire";

export interface Build {
  readonly name: "simd" | "scalar";
  readonly codec: Codec;
}

export const builds: readonly Build[] = [
  { name: "simd", codec: await create() },
  { name: "scalar", codec: await create({ simd: false }) },
];

export const laneCounts = [1, 8, 16, 32] as const;

/**
 * A SIMD build proves itself before it is used: on some processors engines compute a SIMD instruction wrongly, and a packet
 * from such a build is lost without a word.
 */
import type { Codec, LatentType } from "./types.js";

/** {@link resultsOf} of a build that is right; test/starting.test.ts asks the other builds. */
const RIGHT = 0x343a21e4;

/** Elements: the SIMD loops of every lane count run, and the ends that they leave to scalar ones. */
const COUNT = 256;

/**
 * FNV-1a of packets and decoded values of a small latent: every lane count, rows by channel, by scale and by index, floats
 * and symbols.
 */
export function resultsOf(codec: Codec): number {
  let hash = 0x811c9dc5;
  const add = (values: ArrayLike<number>): void => {
    for (let i = 0; i < values.length; i++) hash = Math.imul(hash ^ (values[i]! * 16), 0x01000193);
  };
  const row = [0, 300, 900, 2000, 9000, 20000, 45000, 56000, 63000, 65000, 65536];
  const table = codec.table({ offsets: [-3, -6], cdfs: [row, row], medians: [0.25, -0.5] });
  // Around 0: the rows have most of them and escape some.
  const data = new Float32Array(COUNT).map((_, i) => ((i * 7919) % 23) / 4 - 2.6875);
  const y = { type: "float32", dims: [1, 2, COUNT / 2], data };
  const symbols = { type: "int16", dims: y.dims, data: Int16Array.from(data, (value) => 4 * value) };
  const scales = data.map((value) => value / 2 + 1.5);
  const cases = [
    [y, codec.factorized(table, { step: 0.5 })],
    [y, codec.gaussian(scales, { table, scaleTable: Float32Array.of(0.5, 2), means: scales })],
    [
      symbols,
      codec.indexed(
        table,
        symbols.data.map((value) => value & 1),
      ),
    ],
  ] as const;
  for (const lanes of [8, 16, 32] as const)
    for (const [latent, prior] of cases) {
      const packet = codec.encode(latent, prior, { lanes });
      add(packet);
      add(codec.decode(packet, prior, { type: latent.type as LatentType }).data);
    }
  return hash >>> 0;
}

/** Whether a build computes what docs/format.md says. A call that throws is wrong, too. */
export function isRight(codec: Codec): boolean {
  try {
    return resultsOf(codec) === RIGHT;
  } catch {
    return false;
  }
}

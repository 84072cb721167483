/**
 * A SIMD build proves itself before it is used: on some processors engines compute a SIMD instruction wrongly, and a packet
 * from such a build is lost without a word.
 */
import type { Codec, LatentType } from "./types.js";

/** {@link resultsOf} of a build that is right; test/proof.test.ts asks the other builds. */
const RIGHT = 0x9dd01c16;

/** Elements: the SIMD loops of every lane count run, and the ends that they leave to scalar ones. */
const COUNT = 256;

/**
 * FNV-1a of packets and decoded values of a small latent: every lane count, rows by channel, by scale and by index, floats
 * and symbols. About 0.3 ms.
 */
export function resultsOf(codec: Codec): number {
  let hash = 0x811c9dc5;
  const add = (values: ArrayLike<number>): void => {
    for (let i = 0; i < values.length; i++) hash = Math.imul(hash ^ (values[i]! * 16), 0x01000193);
  };
  const table = codec.table({
    offsets: [-3, -6],
    cdfs: [
      [0, 6000, 20000, 46000, 60000, 64000, 65000, 65536],
      [0, 300, 900, 2000, 9000, 20000, 45000, 56000, 63000, 64000, 64500, 64800, 65000, 65536],
    ],
    medians: [0.25, -0.5],
  });
  const numbers = (scale: number, base: number) =>
    Float32Array.from({ length: COUNT }, (_, i) => (((i * 7919 + (i >> 4)) % 23) - 11) * scale + base);
  const byChannel = codec.factorized(table, { step: 0.5 });
  const byScale = codec.gaussian(numbers(0.125, 1.5), {
    table,
    scaleTable: Float32Array.of(0.5, 2),
    means: numbers(0.0625, 0),
  });
  const byIndex = codec.indexed(
    table,
    numbers(1, 11).map((value) => value & 1),
  );
  const both = (type: LatentType, data: object, prior: typeof byIndex, lanes: 8 | 16 | 32): void => {
    const packet = codec.encode({ type, dims: [1, 2, COUNT / 2], data }, prior, { lanes });
    add(packet);
    add(codec.decode(packet, prior, { type }).data);
  };
  for (const lanes of [8, 16, 32] as const) {
    for (const prior of [byChannel, byScale, byIndex]) both("float32", numbers(0.25, 0.125), prior, lanes);
    both("int8", Int8Array.from(numbers(0.5, 0)), byChannel, lanes);
    both("int16", Int16Array.from(numbers(0.5, 0)), byIndex, lanes);
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

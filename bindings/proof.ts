/**
 * A SIMD build proves itself before it is used: on some processors engines compute a SIMD instruction wrongly, and a packet
 * from such a build is lost without a word. The kernel of context priors proves itself when the first one is made.
 */
import type { Codec, LatentType } from "./types.js";

/** {@link resultsOf} of a build that is right; test/starting.test.ts asks the other builds. */
const RIGHT = 0x343a21e4;
/** The same of {@link contextResultsOf}. */
const CONTEXT_RIGHT = 0xd9b07125;
/** XXH64 of the other bytes of {@link proofParameters}. */
const FINGERPRINT = [212, 147, 20, 196, 183, 112, 12, 157];

/** FNV-1a. */
const SEED = 0x811c9dc5;
function hashed(hash: number, values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) hash = Math.imul(hash ^ (values[i]! * 16), 0x01000193);
  return hash;
}

/** Elements: the SIMD loops of every lane count run, and the ends that they leave to scalar ones. */
const COUNT = 256;

/**
 * FNV-1a of packets and decoded values of a small latent: every lane count, rows by channel, by scale and by index, floats
 * and symbols.
 */
export function resultsOf(codec: Codec): number {
  let hash = SEED;
  const add = (values: ArrayLike<number>): void => {
    hash = hashed(hash, values);
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
  return hash;
}

/**
 * The parameters of a context prior for two channels: 32 and 8 hidden units, 20 taps, small weights. docs/format.md 10.5
 * has the fields.
 */
export function proofParameters(): Uint8Array {
  const bytes = [76, 87, 67, 1, 4, 1, 20, 2, 2, 1, 0];
  let state = 1;
  const next = (below: number): number => {
    state = Math.imul(state, 69069) + 1;
    return (state >>> 16) % below;
  };
  const rows = (count: number, length: number): void => {
    for (let i = 0; i < count * (length + 1); i++) bytes.push(i % (length + 1) ? next(25) - 12 : next(4));
  };
  for (const own of [71, 51]) {
    bytes.push(5, 9);
    rows(own, 32);
    rows(2, 8);
    // Biases of 2 and of 4 bytes.
    for (let i = 0; i < 160; i++) bytes.push(next(256), next(5) - 2);
    for (let i = 0; i < 10; i++) bytes.push(next(256), next(256), next(4), 0);
  }
  return Uint8Array.of(...bytes, ...FINGERPRINT);
}

/** {@link resultsOf} of packets under a context: two items, planes of several rows, an escape, symbols that are not coded last. */
export function contextResultsOf(codec: Codec): number {
  // Rows without any of the symbols, so that the context is used.
  const table = { offsets: [2 ** 30, 2 ** 30], cdfs: [0, 1].map(() => [0, 65535, 65536]) };
  const prior = codec.context(proofParameters(), { table });
  const data = new Int8Array(80).map((_, i) => ((i * i * 7) % 11) - 3);
  const packet = codec.encode({ type: "int8", dims: [2, 2, 4, 5], data }, prior);
  return hashed(hashed(SEED, packet), codec.decode(packet, prior).data);
}

/** Whether a build computes what docs/format.md says. A call that throws is wrong, too. */
export const isRight = (codec: Codec): boolean => gives(RIGHT, resultsOf, codec);
export const isContextRight = (codec: Codec): boolean => gives(CONTEXT_RIGHT, contextResultsOf, codec);

function gives(right: number, results: (codec: Codec) => number, codec: Codec): boolean {
  try {
    return results(codec) >>> 0 === right;
  } catch {
    return false;
  }
}

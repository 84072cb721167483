// XXH32 and XXH64 after the published specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), in BigInt.

interface Variant {
  readonly bits: bigint;
  readonly primes: readonly [bigint, bigint, bigint, bigint, bigint];
  /** Rotations: lanes of a stripe, then the four that join the lanes. */
  readonly laneRotation: bigint;
  readonly joinRotations: readonly [bigint, bigint, bigint, bigint];
}

const xxh32Variant: Variant = {
  bits: 32n,
  primes: [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn, 0x27d4eb2fn, 0x165667b1n],
  laneRotation: 13n,
  joinRotations: [1n, 7n, 12n, 18n],
};

const xxh64Variant: Variant = {
  bits: 64n,
  primes: [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n],
  laneRotation: 31n,
  joinRotations: [1n, 7n, 12n, 18n],
};

function word(bytes: Uint8Array, at: number, size: number): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]);
  return value;
}

function arithmetic(bits: bigint) {
  const mask = (1n << bits) - 1n;
  return {
    wrap: (x: bigint) => x & mask,
    rotate: (x: bigint, by: bigint) => ((x << by) | (x >> (bits - by))) & mask,
  };
}

/** The part both widths share: four accumulators over whole stripes. Returns the accumulators and where they stopped. */
function stripes(bytes: Uint8Array, seed: bigint, variant: Variant) {
  const { wrap, rotate } = arithmetic(variant.bits);
  const [p1, p2] = variant.primes;
  const size = Number(variant.bits) / 8;
  const lanes = [wrap(seed + p1 + p2), wrap(seed + p2), seed, wrap(seed - p1)];
  let at = 0;
  for (; at + 4 * size <= bytes.length; at += 4 * size) {
    for (let i = 0; i < 4; i++) {
      lanes[i] = wrap(rotate(wrap(lanes[i] + word(bytes, at + i * size, size) * p2), variant.laneRotation) * p1);
    }
  }
  return { lanes, at };
}

function join(lanes: readonly bigint[], variant: Variant): bigint {
  const { wrap, rotate } = arithmetic(variant.bits);
  return wrap(lanes.reduce((sum, lane, i) => sum + rotate(lane, variant.joinRotations[i]), 0n));
}

export function xxh32(bytes: Uint8Array, seed = 0): number {
  const variant = xxh32Variant;
  const { wrap, rotate } = arithmetic(variant.bits);
  const [p1, p2, p3, p4, p5] = variant.primes;
  let { lanes, at } = stripes(bytes, BigInt(seed), variant);
  let h = bytes.length >= 16 ? join(lanes, variant) : wrap(BigInt(seed) + p5);
  h = wrap(h + BigInt(bytes.length));
  for (; at + 4 <= bytes.length; at += 4) h = wrap(rotate(wrap(h + word(bytes, at, 4) * p3), 17n) * p4);
  for (; at < bytes.length; at++) h = wrap(rotate(wrap(h + BigInt(bytes[at]) * p5), 11n) * p1);
  h = wrap((h ^ (h >> 15n)) * p2);
  h = wrap((h ^ (h >> 13n)) * p3);
  return Number(h ^ (h >> 16n));
}

export function xxh64(bytes: Uint8Array, seed = 0n): bigint {
  const variant = xxh64Variant;
  const { wrap, rotate } = arithmetic(variant.bits);
  const [p1, p2, p3, p4, p5] = variant.primes;
  const round = (lane: bigint, input: bigint) => wrap(rotate(wrap(lane + input * p2), 31n) * p1);
  let { lanes, at } = stripes(bytes, seed, variant);
  let h = wrap(seed + p5);
  if (bytes.length >= 32) {
    h = join(lanes, variant);
    for (const lane of lanes) h = wrap((h ^ round(0n, lane)) * p1 + p4);
  }
  h = wrap(h + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) h = wrap(rotate(h ^ round(0n, word(bytes, at, 8)), 27n) * p1 + p4);
  if (at + 4 <= bytes.length) {
    h = wrap(rotate(h ^ wrap(word(bytes, at, 4) * p1), 23n) * p2 + p3);
    at += 4;
  }
  for (; at < bytes.length; at++) h = wrap(rotate(h ^ wrap(BigInt(bytes[at]) * p5), 11n) * p1);
  h = wrap((h ^ (h >> 33n)) * p2);
  h = wrap((h ^ (h >> 29n)) * p3);
  return h ^ (h >> 32n);
}

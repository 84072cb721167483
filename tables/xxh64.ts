const MASK = 2n ** 64n - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const rotl = (x: bigint, r: bigint): bigint => ((x << r) | (x >> (64n - r))) & MASK;
const round = (acc: bigint, word: bigint): bigint => (rotl((acc + word * P2) & MASK, 31n) * P1) & MASK;

/** XXH64 with seed 0 (xxHash specification 0.1.1): for the command line, which writes parameters without a codec. */
export function xxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length;
  const word = (at: number): bigint => view.getBigUint64(at, true);
  let at = 0;
  let h = P5;
  if (length >= 32) {
    const lanes = [(P1 + P2) & MASK, P2, 0n, (-P1 + 2n ** 64n) & MASK];
    for (; at + 32 <= length; at += 32)
      for (let lane = 0; lane < 4; lane++) lanes[lane] = round(lanes[lane]!, word(at + 8 * lane));
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint];
    h = (rotl(a, 1n) + rotl(b, 7n) + rotl(c, 12n) + rotl(d, 18n)) & MASK;
    for (const lane of lanes) h = ((h ^ round(0n, lane)) * P1 + P4) & MASK;
  }
  h = (h + BigInt(length)) & MASK;
  for (; at + 8 <= length; at += 8) h = (rotl(h ^ round(0n, word(at)), 27n) * P1 + P4) & MASK;
  if (at + 4 <= length) {
    h = (rotl(h ^ ((BigInt(view.getUint32(at, true)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < length; at++) h = (rotl(h ^ ((BigInt(bytes[at]!) * P5) & MASK), 11n) * P1) & MASK;
  h = ((h ^ (h >> 33n)) * P2) & MASK;
  h = ((h ^ (h >> 29n)) * P3) & MASK;
  return h ^ (h >> 32n);
}

// Damage to bytes: what a fuzzer does to a packet.
import type { Random } from "./cases.js";
import { xxh32 } from "./reference.js";

type Mutation = (bytes: Uint8Array, rng: Random, other: Uint8Array) => Uint8Array;

const flipBits: Mutation = (bytes, rng) => {
  const out = bytes.slice();
  for (let count = 1 + rng(4); count > 0 && out.length > 0; count--) out[rng(out.length)] ^= 1 << rng(8);
  return out;
};

const overwrite: Mutation = (bytes, rng) => {
  const out = bytes.slice();
  const at = rng(out.length + 1);
  const length = rng(12);
  const style = rng(3);
  for (let i = at; i < Math.min(out.length, at + length); i++) out[i] = style === 0 ? 0 : style === 1 ? 255 : rng(256);
  return out;
};

const truncate: Mutation = (bytes, rng) => bytes.slice(0, rng(bytes.length + 1));

const extend: Mutation = (bytes, rng) => {
  const out = new Uint8Array(bytes.length + 1 + rng(20));
  out.set(bytes);
  for (let i = bytes.length; i < out.length; i++) out[i] = rng(2) * rng(256);
  return out;
};

const splice: Mutation = (bytes, rng, other) => {
  const head = bytes.subarray(0, rng(bytes.length + 1));
  const tail = other.subarray(rng(other.length + 1));
  const out = new Uint8Array(head.length + tail.length);
  out.set(head);
  out.set(tail, head.length);
  return out;
};

const remove: Mutation = (bytes, rng) => {
  const at = rng(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + rng(6));
  const out = new Uint8Array(bytes.length - Math.max(0, end - at));
  out.set(bytes.subarray(0, at));
  out.set(bytes.subarray(end), at);
  return out;
};

const noise: Mutation = (_, rng) => Uint8Array.from({ length: rng(200) }, () => rng(256));

/** The first bytes are where the structure is: control byte, shape, tail, sizes, states. */
const editHeader: Mutation = (bytes, rng) => {
  const out = bytes.slice();
  for (let count = 1 + rng(3); count > 0 && out.length > 0; count--) {
    const at = rng(Math.min(out.length, 24));
    out[at] = rng(3) === 0 ? [0, 1, 127, 128, 255][rng(5)] : out[at] + rng(5) - 2;
  }
  return out;
};

/** Noise behind a header that is in order. */
const keepHeader: Mutation = (bytes, rng) => {
  const out = bytes.slice();
  for (let i = Math.min(out.length, 4 + rng(30)); i < out.length; i++) out[i] = rng(256);
  return out;
};

const mutations = [
  flipBits,
  flipBits,
  overwrite,
  truncate,
  extend,
  splice,
  remove,
  noise,
  editHeader,
  editHeader,
  keepHeader,
];

/** One mutation, now and then two. `other` is a packet to splice with. */
export function mutate(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  const once = mutations[rng(mutations.length)](bytes, rng, other);
  return rng(4) === 0 ? mutations[rng(mutations.length)](once, rng, other) : once;
}

/** Puts a right check on a damaged packet, so that the damage is seen by what lies behind the check. `seed` is not 0 in compact form. */
export function reseal(bytes: Uint8Array, size: 2 | 4 = 4, seed = 0): Uint8Array {
  if (bytes.length < size + 1) return bytes;
  const out = bytes.slice();
  const sum = xxh32(out.subarray(0, -size), seed);
  for (let b = 0; b < size; b++) out[out.length - size + b] = sum >>> (8 * b);
  return out;
}

/**
 * Damage to a stream: bits are flipped, bytes overwritten, inserted, removed or doubled, the end cut off; in 1 to 4 places. `spans` are the places, as
 * [from, to) of the bytes before. What is inserted has an empty span.
 */
export function damageStream(bytes: Uint8Array, rng: Random): { bytes: Uint8Array; spans: [number, number][] } {
  const spans: [number, number][] = [];
  let out = bytes;
  let end = bytes.length;
  if (rng(6) === 0) {
    end = rng(end + 1);
    spans.push([end, bytes.length]);
    out = bytes.slice(0, end);
  }
  // From the end, so that places before it stay what they are.
  for (let count = 1 + rng(4); count > 0 && end > 0; count--) {
    const from = rng(end);
    const to = Math.min(end, from + 1 + rng(rng(4) ? 6 : 400));
    end = from;
    const middle = out.slice(from, to);
    const noise = Uint8Array.from(middle, () => rng(2) * rng(256));
    const flipped = middle.slice();
    flipped[0] ^= 1 << rng(8);
    const [span, ...pieces] = (
      [
        [[from, from + 1], flipped],
        [[from, to], noise],
        [[from, to]],
        [[from, from], noise, middle],
        [[to, to], middle, middle],
      ] as [[number, number], ...Uint8Array[]][]
    )[rng(5)];
    spans.push(span);
    out = new Uint8Array(Buffer.concat([out.subarray(0, from), ...pieces, out.subarray(to)]));
  }
  return { bytes: out, spans };
}

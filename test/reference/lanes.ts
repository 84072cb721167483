// The native stream of 8, 16 or 32 lanes: 32-bit states, 16-bit words; docs/format.md section 3.2.
import { Reader, Writer } from "./bytes.js";
import { corrupted, truncated } from "./errors.js";
import { type Coding, entryAt, entryOf } from "./symbol.js";

export type Layout = "continuous" | "runs";

/** Where symbol i stands among those that are dealt out to the lanes together: its lane is `place(i) % lanes`. */
export type Place = (i: number) => number;

export function placeOf(layout: Layout, run: number): Place {
  return layout === "continuous" ? (i) => i : (i) => i % run;
}

const lowerBound = 0x10000;
const group = 32;

/** Of a multi-lane stream, what lies between the control byte and the escapes. */
export interface LaneStream {
  readonly t: number;
  readonly states: Uint8Array;
  readonly words: Uint8Array;
}

/** Words that the tail leaves in the lanes other than 0. */
function seedCount(lanes: number): number {
  return lanes - 1 + lanes / 4;
}

/** States reach 2^32 - 1, so JavaScript's 32-bit operators are kept away from them. */
function put(x: number, freq: number, cum: number): number {
  return Math.floor(x / freq) * 65536 + (x % freq) + cum;
}

/** Renormalises for one entry and codes it. */
function step(x: number, freq: number, cum: number, emitted: number[]): number {
  let state = x;
  if (state >= freq * 65536) {
    emitted.push(state % 65536);
    state = Math.floor(state / 65536);
  }
  return put(state, freq, cum);
}

/** Returns undefined where the symbols run out before the tail is complete: the stream then has one lane. */
export function encodeLanes(
  symbols: ArrayLike<number>,
  { rows, index }: Coding,
  lanes: number,
  place: Place,
  sayable: (t: number) => boolean,
): LaneStream | undefined {
  const n = symbols.length;
  const x = new Array<number>(lanes).fill(0);
  const tail: number[] = [];
  let k = 0;
  while (k % group !== 0 || !sayable(k / group) || tail.length < seedCount(lanes)) {
    if (k >= n - 1) return undefined;
    const i = n - 1 - k;
    const { freq, cum } = entryOf(rows[index[i]], symbols[i]);
    x[0] = step(x[0], freq, cum, tail);
    k++;
  }
  // In the decoder's order: the low halves of lanes 1 .., then the words of nibbles.
  const seeds = tail.slice(0, seedCount(lanes)).reverse();
  const nibbles = seeds.slice(lanes - 1).flatMap((word) => [0, 4, 8, 12].map((shift) => (word >> shift) & 15));
  for (let lane = 1; lane < lanes; lane++) {
    const high = lane === 1 ? nibbles[0] + 16 * nibbles[1] : nibbles[lane];
    x[lane] = (high + 1) * 65536 + seeds[lane - 1];
  }

  const emitted = tail.slice(seedCount(lanes));
  for (let i = n - k - 1; i >= 0; i--) {
    const { freq, cum } = entryOf(rows[index[i]], symbols[i]);
    const lane = place(i) % lanes;
    x[lane] = step(x[lane], freq, cum, emitted);
  }
  const words = new Writer();
  for (const word of emitted.reverse()) words.u16(word);
  return { t: k / group, states: packStates(x), words: words.done() };
}

export function packStates(states: readonly number[]): Uint8Array {
  const exponents = states.map((x) => 15 - Math.clz32(x));
  const out = new Writer();
  for (let lane = 0; lane < states.length; lane += 2) out.byte(exponents[lane] | (exponents[lane + 1] << 4));
  const bits: number[] = [];
  states.forEach((x, lane) => {
    for (let b = 0; b < 16 + exponents[lane]; b++) bits.push(Math.floor(x / 2 ** b) % 2);
  });
  while (bits.length % 8 !== 0) bits.push(0);
  for (let at = 0; at < bits.length; at += 8)
    out.byte(bits.slice(at, at + 8).reduce((byte, bit, b) => byte | (bit << b), 0));
  return out.done();
}

/** Reads the states of `lanes` lanes off the reader. */
export function unpackStates(reader: Reader, lanes: number): number[] {
  const exponents: number[] = [];
  for (const byte of reader.take(lanes / 2)) exponents.push(byte & 15, byte >> 4);
  const bitCount = exponents.reduce((sum, e) => sum + 16 + e, 0);
  const bytes = reader.take(Math.ceil(bitCount / 8));
  const bit = (at: number) => (bytes[at >> 3] >> (at & 7)) & 1;
  for (let at = bitCount; at < 8 * bytes.length; at++)
    if (bit(at)) corrupted("the states are not filled with zero bits");
  let at = 0;
  return exponents.map((e) => {
    let x = 2 ** (16 + e);
    for (let b = 0; b < 16 + e; b++) x += bit(at++) * 2 ** b;
    return x;
  });
}

/** Calls `found` for every entry, in the order of the symbols. `words` holds the word section and nothing else. */
export function decodeLanes(
  t: number,
  states: readonly number[],
  words: Uint8Array,
  n: number,
  { rows, index }: Coding,
  place: Place,
  found: (i: number, k: number, escape: boolean) => void,
): void {
  const lanes = states.length;
  const x = [...states];
  if (words.length % 2 !== 0) corrupted("the words have an odd length");
  const sequence: number[] = [];
  for (const reader = new Reader(words); reader.left > 0; ) sequence.push(reader.u16());
  let next = 0;

  const decode = (i: number, lane: number) => {
    const { k, freq, cum, escape } = entryAt(rows[index[i]], x[lane] % 65536);
    x[lane] = freq * Math.floor(x[lane] / 65536) + (x[lane] % 65536) - cum;
    found(i, k, escape);
  };
  const body = n - group * t;
  for (let i = 0; i < body; i++) {
    const lane = place(i) % lanes;
    decode(i, lane);
    if (x[lane] < lowerBound) {
      if (next >= sequence.length) truncated("a word is missing");
      x[lane] = x[lane] * 65536 + sequence[next++];
    }
  }
  const nibbles: number[] = [];
  for (let lane = 1; lane < lanes; lane++) {
    const high = Math.floor(x[lane] / 65536) - 1;
    if (high > (lane === 1 ? 255 : 15)) corrupted(`lane ${lane} does not end in a seed`);
    sequence.push(x[lane] % 65536);
    if (lane === 1) nibbles.push(high % 16, high >> 4);
    else nibbles.push(high);
  }
  for (let at = 0; at < lanes; at += 4)
    sequence.push(nibbles[at] | (nibbles[at + 1] << 4) | (nibbles[at + 2] << 8) | (nibbles[at + 3] << 12));
  for (let i = body; i < n; i++) {
    decode(i, 0);
    if (x[0] < lowerBound && next < sequence.length) x[0] = x[0] * 65536 + sequence[next++];
  }
  if (x[0] !== 0 || next < sequence.length) corrupted("the stream does not end in its beginning");
}

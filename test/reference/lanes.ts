// The native stream of 8, 16 or 32 lanes: 32-bit states, 16-bit words; docs/format.md section 3.2.
import { corrupted, Reader, truncated, Writer } from "./bytes.js";
import { type Entry, entryAt } from "./symbol.js";
import type { Row } from "./table.js";

const lowerBound = 0x10000;
const group = 32;
// t of the tail codes 1 .. 14
const tails = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64];
const inStream = 15;

/** An entry and the number that says its lane: j of section 3.2. */
export interface PlacedEntry extends Entry {
  readonly place: number;
}

/** Of a multi-lane stream, everything but the escapes. */
export interface LaneStream {
  readonly tailCode: number;
  /** Set with tail code 15. */
  readonly t: number | undefined;
  readonly states: Uint8Array;
  readonly words: Uint8Array;
}

/** Whether a tail code, or the number behind code 15, can say t. */
function sayable(t: number): boolean {
  return t > tails[tails.length - 1] || tails.includes(t);
}

/** Reads t, where it is in the stream, and checks it. */
export function readTail(tailCode: number, n: number, reader: Reader): number {
  const t = tailCode === inStream ? reader.varint() : tails[tailCode - 1];
  if (tailCode === inStream && tails.some((other) => t <= other)) corrupted(`a tail of ${t} has a code`);
  if (group * t > n - 1) corrupted(`a tail of ${t} x ${group} of ${n} symbols`);
  return t;
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
export function encodeLanes(entries: readonly PlacedEntry[], lanes: number): LaneStream | undefined {
  const n = entries.length;
  const x = new Array<number>(lanes).fill(0);
  const tail: number[] = [];
  let k = 0;
  while (k % group !== 0 || !sayable(k / group) || tail.length < seedCount(lanes)) {
    if (k >= n - 1) return undefined;
    const { freq, cum } = entries[n - 1 - k];
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
    const { freq, cum, place } = entries[i];
    x[place % lanes] = step(x[place % lanes], freq, cum, emitted);
  }
  const words = new Writer();
  for (const word of emitted.reverse()) words.u16(word);
  const code = tails.indexOf(k / group) + 1;
  return {
    tailCode: code || inStream,
    t: code ? undefined : k / group,
    states: packStates(x),
    words: words.done(),
  };
}

function packStates(states: readonly number[]): Uint8Array {
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

/** Decodes one symbol after the other, n of them. `words` holds the word section and nothing else. */
export class LaneDecoder {
  private readonly x: number[];
  private readonly sequence: number[] = [];
  private nextWord = 0;
  /** Symbols of the body that are left. */
  private body: number;

  constructor(t: number, states: readonly number[], words: Uint8Array, n: number) {
    this.x = [...states];
    this.body = n - group * t;
    if (words.length % 2 !== 0) corrupted("the words have an odd length");
    for (const reader = new Reader(words); reader.left > 0; ) this.sequence.push(reader.u16());
  }

  next(row: Row, place: number) {
    const { x } = this;
    const isBody = this.body > 0;
    const lane = isBody ? place % x.length : 0;
    const entry = entryAt(row, x[lane] % 65536);
    x[lane] = entry.freq * Math.floor(x[lane] / 65536) + (x[lane] % 65536) - entry.cum;
    const hasWords = this.nextWord < this.sequence.length;
    if (x[lane] < lowerBound) {
      if (hasWords) x[lane] = x[lane] * 65536 + this.sequence[this.nextWord++];
      else if (isBody) truncated("a word is missing");
    }
    if (isBody && --this.body === 0) this.takeSeeds();
    return entry;
  }

  /** The word sequence goes on with what the lanes other than 0 hold. */
  private takeSeeds(): void {
    const nibbles: number[] = [];
    for (let lane = 1; lane < this.x.length; lane++) {
      const high = Math.floor(this.x[lane] / 65536) - 1;
      if (high > (lane === 1 ? 255 : 15)) corrupted(`lane ${lane} does not end in a seed`);
      this.sequence.push(this.x[lane] % 65536);
      if (lane === 1) nibbles.push(high % 16, high >> 4);
      else nibbles.push(high);
    }
    for (let at = 0; at < nibbles.length; at += 4)
      this.sequence.push(nibbles[at] | (nibbles[at + 1] << 4) | (nibbles[at + 2] << 8) | (nibbles[at + 3] << 12));
  }

  end(): void {
    if (this.x[0] !== 0 || this.nextWord < this.sequence.length) corrupted("the stream does not end in its beginning");
  }
}

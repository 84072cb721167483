// The native stream of one lane: 64-bit state, 32-bit words; docs/format.md section 3.1.
import { corrupted, Reader, Writer } from "./bytes.js";
import { type Entry, entryAt } from "./symbol.js";
import type { Row } from "./table.js";

const lowerBound = 1n << 31n;
const upperBound = 1n << 63n;

/** C(x; freq, cum), which CompressAI's stream shares. */
export function put(x: bigint, freq: number, cum: number): bigint {
  const f = BigInt(freq);
  return ((x / f) << 16n) + (x % f) + BigInt(cum);
}

/** D(x), once the entry is found. */
export function take(x: bigint, freq: number, cum: number): bigint {
  return BigInt(freq) * (x >> 16n) + (x & 0xffffn) - BigInt(cum);
}

function leastBytes(x: bigint): number {
  let count = 0;
  for (let rest = x; rest > 0n; rest >>= 8n) count++;
  return count;
}

export function encodeSingle(entries: readonly Entry[]): Uint8Array {
  let x = 0n;
  const emitted: number[] = [];
  for (let i = entries.length - 1; i >= 0; i--) {
    const { freq, cum } = entries[i];
    if (x >= BigInt(freq) << 47n) {
      emitted.push(Number(x & 0xffffffffn));
      x >>= 32n;
    }
    x = put(x, freq, cum);
  }
  const out = new Writer();
  const size = emitted.length === 0 ? leastBytes(x) : Math.max(5, leastBytes(x));
  for (let b = 0; b < size; b++) out.byte(Number((x >> BigInt(8 * b)) & 0xffn));
  for (const word of emitted.reverse()) out.u32(word);
  return out.done();
}

/** Decodes one symbol after the other. `bytes` holds state and words and nothing else. */
export class SingleDecoder {
  private x = 0n;
  private readonly words: Reader;

  constructor(bytes: Uint8Array) {
    const B = bytes.length;
    const size = B <= 8 ? B : 5 + ((B - 5) % 4);
    this.words = new Reader(bytes.subarray(size));
    for (let b = size - 1; b >= 0; b--) this.x = (this.x << 8n) | BigInt(bytes[b]);
    const hasWords = this.words.left > 0;
    if (leastBytes(this.x) < size && !(size === 5 && hasWords))
      corrupted("the state is not stored in the least number of bytes");
    if (this.x >= upperBound || (hasWords && this.x < lowerBound)) corrupted("the state is out of bounds");
  }

  next(row: Row) {
    const entry = entryAt(row, Number(this.x & 0xffffn));
    this.x = take(this.x, entry.freq, entry.cum);
    if (this.x < lowerBound && this.words.left > 0) this.x = (this.x << 32n) | BigInt(this.words.u32());
    return entry;
  }

  end(): void {
    if (this.x !== 0n || this.words.left > 0) corrupted("the stream does not end in its beginning");
  }
}

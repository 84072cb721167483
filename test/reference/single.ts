// The native stream of one lane: 64-bit state, 32-bit words; docs/format.md section 3.1.
import { Reader, Writer } from "./bytes.js";
import { corrupted } from "./errors.js";
import { type Coding, entryAt, entryOf } from "./symbol.js";

const lowerBound = 1n << 31n;
const upperBound = 1n << 63n;

/** C(x; freq, cum) and D's inverse step are shared with CompressAI's stream. */
export function put(x: bigint, freq: number, cum: number): bigint {
  const f = BigInt(freq);
  return ((x / f) << 16n) + (x % f) + BigInt(cum);
}

export function take(x: bigint, freq: number, cum: number): bigint {
  return BigInt(freq) * (x >> 16n) + (x & 0xffffn) - BigInt(cum);
}

function leastBytes(x: bigint): number {
  let count = 0;
  for (let rest = x; rest > 0n; rest >>= 8n) count++;
  return count;
}

export function encodeSingle(symbols: ArrayLike<number>, { rows, index }: Coding): Uint8Array {
  let x = 0n;
  const emitted: number[] = [];
  for (let i = symbols.length - 1; i >= 0; i--) {
    const { freq, cum } = entryOf(rows[index[i]], symbols[i]);
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

/** Calls `found` for every entry, in the order of the symbols. */
export function decodeSingle(
  bytes: Uint8Array,
  n: number,
  { rows, index }: Coding,
  found: (i: number, k: number, escape: boolean) => void,
): void {
  const B = bytes.length;
  const size = B <= 8 ? B : 5 + ((B - 5) % 4);
  const words = new Reader(bytes.subarray(size));
  let x = 0n;
  for (let b = size - 1; b >= 0; b--) x = (x << 8n) | BigInt(bytes[b]);
  if (leastBytes(x) < size && !(size === 5 && words.left > 0))
    corrupted("the state is not stored in the least number of bytes");
  if (x >= upperBound || (words.left > 0 && x < lowerBound)) corrupted("the state is out of bounds");
  for (let i = 0; i < n; i++) {
    const row = rows[index[i]];
    const { k, freq, cum, escape } = entryAt(row, Number(x & 0xffffn));
    x = take(x, freq, cum);
    if (x < lowerBound && words.left > 0) x = (x << 32n) | BigInt(words.u32());
    found(i, k, escape);
  }
  if (x !== 0n || words.left > 0) corrupted("the stream does not end in its beginning");
}

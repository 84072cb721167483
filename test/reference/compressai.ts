// CompressAI's stream ("rans64"), byte for byte; docs/format.md section 4.
import { corrupted, Reader, Writer } from "./bytes.js";
import { put, take } from "./single.js";
import { type Coding, entryAt, entryOf, symbolOf, symbolOfEscape } from "./symbol.js";

const lowerBound = 1n << 31n;
const upperBound = 1n << 63n;
const maxRaw = 2 ** 34 - 1;

/** What the decoder reads after an escape entry: the nibble count in nibbles, then the nibbles, low first. */
function nibblesOf(raw: number): number[] {
  const digits: number[] = [];
  for (let rest = raw; rest > 0; rest = Math.floor(rest / 16)) digits.push(rest % 16);
  const count: number[] = [];
  let left = digits.length;
  for (; left >= 15; left -= 15) count.push(15);
  return [...count, left, ...digits];
}

export function encodeCompressai(symbols: ArrayLike<number>, { rows, index }: Coding): Uint8Array {
  let x = lowerBound;
  const emitted: number[] = [];
  const emitFrom = (bound: bigint) => {
    if (x < bound) return;
    emitted.push(Number(x & 0xffffffffn));
    x >>= 32n;
  };
  for (let i = symbols.length - 1; i >= 0; i--) {
    const { freq, cum, raw } = entryOf(rows[index[i]], symbols[i]);
    if (raw !== undefined) {
      for (const nibble of nibblesOf(raw).reverse()) {
        emitFrom(1n << 59n);
        x = (x << 4n) | BigInt(nibble);
      }
    }
    emitFrom(BigInt(freq) << 47n);
    x = put(x, freq, cum);
  }
  const out = new Writer();
  out.u32(Number(x & 0xffffffffn));
  out.u32(Number(x >> 32n));
  for (const word of emitted.reverse()) out.u32(word);
  return out.done();
}

export function decodeCompressai(stream: Uint8Array, n: number, { rows, index }: Coding): Int32Array {
  const reader = new Reader(stream);
  let x = BigInt(reader.u32());
  x |= BigInt(reader.u32()) << 32n;
  if (reader.left % 4 !== 0) corrupted("the words are not whole");
  if (x < lowerBound || x >= upperBound) corrupted("the state is out of bounds");
  const refill = () => {
    if (x < lowerBound) x = (x << 32n) | BigInt(reader.u32());
  };
  const nibble = () => {
    const value = Number(x & 15n);
    x >>= 4n;
    refill();
    return value;
  };
  const escape = () => {
    let count = 0;
    for (let part = 15; part === 15; count += part) part = nibble();
    let raw = 0n;
    for (let i = 0; i < count; i++) raw |= BigInt(nibble()) << BigInt(4 * i);
    if (raw > BigInt(maxRaw)) corrupted("an escape above 2^34 - 1");
    if (count > 0 && raw >> BigInt(4 * (count - 1)) === 0n) corrupted("an escape with a leading zero nibble");
    return Number(raw);
  };

  const symbols = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const row = rows[index[i]];
    const entry = entryAt(row, Number(x & 0xffffn));
    x = take(x, entry.freq, entry.cum);
    refill();
    symbols[i] = entry.escape ? symbolOfEscape(row, escape()) : symbolOf(row, entry.k);
  }
  if (x !== lowerBound || reader.left > 0) corrupted("the state does not end at its lower bound");
  return symbols;
}

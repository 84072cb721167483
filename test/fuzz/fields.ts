// Damage that knows fields: varints, numbers of 16 to 64 bits, words of a dictionary, JSON, pieces that are repeated.
import type { Random } from "../cases.js";
import { mutate } from "../mutate.js";

const interesting = [0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 2047, 16383, 16384, 32767, 65535, 65536];
const large = [2 ** 24, 2 ** 24 + 1, 2 ** 28, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1];

/** A number near another one, or one at which programs change what they do. */
export function anyNumber(rng: Random, near: number): number {
  switch (rng(7)) {
    case 0:
      return interesting[rng(interesting.length)];
    case 6:
      // A number below 0, modulo 2^32: a sum with it wraps.
      return 2 ** 32 - 1 - rng(Math.min(near, 2 ** 16) + 2);
    case 1:
      return large[rng(large.length)];
    case 2:
      return Math.max(0, near + rng(17) - 8);
    case 3:
      return Math.floor(near * [2, 0.5, 256, 65536, 1 / 256][rng(5)]);
    case 4:
      return 2 ** rng(33) - rng(2);
    default:
      return rng(2 ** (1 + rng(31)));
  }
}

/** Replaces bytes `start` to `end` by others. */
export function replace(bytes: Uint8Array, start: number, end: number, by: ArrayLike<number>): Uint8Array {
  const out = new Uint8Array(bytes.length - (end - start) + by.length);
  out.set(bytes.subarray(0, start));
  out.set(by, start);
  out.set(bytes.subarray(end), start + by.length);
  return out;
}

/** Unsigned LEB128; now and then one byte longer than it must be. */
function varint(value: number, rng: Random): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  if (rng(16) > 0) return out;
  out[out.length - 1] |= 128;
  return [...out, 0];
}

/** Another number where one of LEB128 may be, among the first `reach` bytes. */
export function editVarint(bytes: Uint8Array, rng: Random, reach: number): Uint8Array {
  const start = rng(Math.min(bytes.length, reach) + 1);
  let end = start;
  let value = 0;
  for (let scale = 1; end < bytes.length && end < start + 5; scale *= 128) {
    const byte = bytes[end++];
    value += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return replace(bytes, start, end, varint(anyNumber(rng, value), rng));
}

/** Another number of 1, 2, 4 or 8 bytes, little-endian, at `at`. */
export function setWord(bytes: Uint8Array, at: number, width: number, value: number): void {
  let rest = value;
  for (let b = 0; b < width && at + b < bytes.length; b++) {
    bytes[at + b] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

export function wordAt(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let b = width - 1; b >= 0; b--) value = value * 256 + (bytes[at + b] ?? 0);
  return value;
}

/** Another number of 1, 2, 4 or 8 bytes somewhere. */
export function editWord(bytes: Uint8Array, rng: Random): Uint8Array {
  const out = bytes.slice();
  const width = [1, 2, 4, 8][rng(4)];
  const at = rng(Math.max(1, bytes.length - width + 1));
  setWord(out, at, width, anyNumber(rng, wordAt(bytes, at, width)));
  return out;
}

/** A word of a dictionary, put in or written over what is there. */
export function insertWord(bytes: Uint8Array, rng: Random, words: readonly Uint8Array[]): Uint8Array {
  const word = words[rng(words.length)];
  const at = rng(bytes.length + 1);
  const end = rng(2) ? at : Math.min(bytes.length, at + word.length);
  return replace(bytes, at, end, word);
}

/** A piece again, once or a few times. */
export function repeatPiece(bytes: Uint8Array, rng: Random): Uint8Array {
  const start = rng(bytes.length + 1);
  const piece = bytes.subarray(start, start + 1 + rng(32));
  const times = 1 + rng(rng(8) ? 3 : 40);
  const many = new Uint8Array(piece.length * times);
  for (let i = 0; i < times; i++) many.set(piece, i * piece.length);
  const at = rng(2) ? start : rng(bytes.length + 1);
  return replace(bytes, at, at, many);
}

/** Damage to bytes with fields. `reach`: how far from the beginning its varints are. `words`: a dictionary. */
export function mutateFields(
  bytes: Uint8Array,
  rng: Random,
  other: Uint8Array,
  { reach = 0, words = [] }: { reach?: number; words?: readonly Uint8Array[] },
): Uint8Array {
  const choice = rng(16);
  if (choice < 4 && reach > 0) return editVarint(bytes, rng, reach);
  if (choice < 6) return editWord(bytes, rng);
  if (choice < 8 && words.length > 0) return insertWord(bytes, rng, words);
  if (choice === 8) return repeatPiece(bytes, rng);
  return mutate(bytes, rng, other);
}

const scraps = [
  ...["null", "true", "-1", "0", "1e999", "-0", "1.5", "4294967296", "9007199254740993", '""', "[]", "{}", "[[]]"],
  ...['"__proto__"', '"constructor"', '"\\u0000"', '"toString"', '{"toString":1}', "[null]", "[1,2,3]", '"a":', ","],
  ...['"bytes":', '"entries":', '"table":', '"length":', '"toJSON":', '"then":', '"valueOf":'],
];
/** A value of JSON, a name with its colon, or one mark. */
const token = /"(?:[^"\\]|\\.)*"\s*:?|-?\d[\d.eE+-]*|true|false|null|[[\]{},:]/g;

/** Damage to JSON: tokens are replaced, removed, doubled, or exchanged for those of another text. */
export function mutateJson(text: string, rng: Random, other: string): string {
  const found = [...text.matchAll(token)];
  if (found.length === 0) return text + scraps[rng(scraps.length)];
  const at = rng(found.length);
  const { index = 0, 0: old } = found[at];
  const end = index + old.length;
  const put = (by: string) => text.slice(0, index) + by + text.slice(end);
  switch (rng(8)) {
    case 0:
      return put("");
    case 1:
      return put(`${old}${old.endsWith(":") ? "" : ","}${old}`);
    case 2: {
      const others = [...other.matchAll(token)];
      return others.length > 0 ? put(others[rng(others.length)][0]) : text;
    }
    case 3: {
      // A piece of several tokens.
      const { index: last = 0 } = found[Math.min(found.length - 1, at + 1 + rng(12))];
      return rng(2) ? text.slice(0, index) + text.slice(last) : text.slice(0, last) + text.slice(index);
    }
    case 4:
    case 5:
      if (/^-?\d/.test(old)) {
        const number = anyNumber(rng, Math.abs(Number(old)));
        return put(String(rng(4) ? number : rng(2) ? -number : number + 0.5));
      }
      return put(scraps[rng(scraps.length)]);
    case 6: {
      const depth = 1 + rng(rng(4) ? 6 : 90);
      return put("[".repeat(depth) + old.replace(/:$/, "") + "]".repeat(depth));
    }
    default:
      return put(scraps[rng(scraps.length)]);
  }
}

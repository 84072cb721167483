// Damage to zip archives and to pickles, which knows their fields: the archive's directory is edited, or a member is damaged and packed again under a
// right checksum.
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import type { Random } from "../cases.js";
import { anyNumber, mutateFields, replace, setWord, wordAt } from "./fields.js";

interface Member {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly stored: Uint8Array;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const DEFLATED = 8;
const ascii = new TextDecoder("latin1");

/** Where the end record is; -1 where there is none. */
function endOf(bytes: Uint8Array): number {
  for (let at = bytes.length - 22; at >= 0; at--) if (wordAt(bytes, at, 4) === END) return at;
  return -1;
}

/** Places of the entries of the directory, as far as they are in order. Not those of zip64. */
function directoryOf(bytes: Uint8Array): number[] {
  const end = endOf(bytes);
  if (end < 0) return [];
  const places: number[] = [];
  let at = wordAt(bytes, end + 16, 4);
  while (places.length < 64 && at + 46 <= end && wordAt(bytes, at, 4) === CENTRAL) {
    places.push(at);
    at += 46 + wordAt(bytes, at + 28, 2) + wordAt(bytes, at + 30, 2) + wordAt(bytes, at + 32, 2);
  }
  return places;
}

function membersOf(bytes: Uint8Array): Member[] {
  return directoryOf(bytes).flatMap((at) => {
    const local = wordAt(bytes, at + 42, 4);
    const nameLength = wordAt(bytes, at + 28, 2);
    if (local + 30 > bytes.length) return [];
    const start = local + 30 + wordAt(bytes, local + 26, 2) + wordAt(bytes, local + 28, 2);
    return {
      name: ascii.decode(bytes.subarray(at + 46, at + 46 + nameLength)),
      method: wordAt(bytes, at + 10, 2),
      crc: wordAt(bytes, at + 16, 4),
      size: wordAt(bytes, at + 24, 4),
      stored: bytes.subarray(start, start + wordAt(bytes, at + 20, 4)),
    };
  });
}

/** An archive of members as they are stored. */
function archiveOf(members: readonly Member[]): Uint8Array {
  const body = members.reduce((sum, { name, stored }) => sum + 30 + name.length + stored.length, 0);
  const out = new Uint8Array(body + members.reduce((sum, { name }) => sum + 46 + name.length, 22));
  let local = 0;
  let central = body;
  for (const { name, method, crc, size, stored } of members) {
    const nameBytes = Buffer.from(name, "latin1");
    const common = (at: number) => {
      setWord(out, at, 2, 20);
      setWord(out, at + 4, 2, method);
      setWord(out, at + 10, 4, crc);
      setWord(out, at + 14, 4, stored.length);
      setWord(out, at + 18, 4, size);
      setWord(out, at + 22, 2, name.length);
    };
    setWord(out, local, 4, LOCAL);
    common(local + 4);
    out.set(nameBytes, local + 30);
    out.set(stored, local + 30 + name.length);
    setWord(out, central, 4, CENTRAL);
    common(central + 6);
    setWord(out, central + 42, 4, local);
    out.set(nameBytes, central + 46);
    local += 30 + name.length + stored.length;
    central += 46 + name.length;
  }
  setWord(out, central, 4, END);
  setWord(out, central + 8, 2, members.length);
  setWord(out, central + 10, 2, members.length);
  setWord(out, central + 12, 4, central - body);
  setWord(out, central + 16, 4, body);
  return out;
}

function unpacked({ method, stored }: Member): Uint8Array {
  if (method !== DEFLATED) return stored;
  try {
    return new Uint8Array(inflateRawSync(stored, { maxOutputLength: 1 << 20 }));
  } catch {
    return stored;
  }
}

function packed(name: string, method: number, data: Uint8Array): Member {
  const stored = method === DEFLATED ? new Uint8Array(deflateRawSync(data, { level: 1 })) : data;
  return { name, method, crc: crc32(data), size: data.length, stored };
}

/** Fields of the directory, of a local header and of the end record: where they are, and how wide. */
const centralFields = [
  [8, 2],
  [10, 2],
  [16, 4],
  [20, 4],
  [24, 4],
  [28, 2],
  [30, 2],
  [32, 2],
  [42, 4],
] as const;
const localFields = [
  [6, 2],
  [8, 2],
  [14, 4],
  [18, 4],
  [22, 4],
  [26, 2],
  [28, 2],
] as const;
const endFields = [
  [4, 2],
  [8, 2],
  [10, 2],
  [12, 4],
  [16, 4],
  [20, 2],
] as const;

function editDirectory(bytes: Uint8Array, rng: Random): Uint8Array {
  const out = bytes.slice();
  const places = directoryOf(bytes);
  const end = endOf(bytes);
  if (end < 0) return out;
  for (let count = 1 + rng(3); count > 0; count--) {
    const at = places.length > 0 ? places[rng(places.length)] : end;
    const [base, fields] =
      places.length === 0 || rng(4) === 0
        ? [end, endFields]
        : rng(3) === 0
          ? [wordAt(bytes, at + 42, 4), localFields]
          : [at, centralFields];
    const [offset, width] = fields[rng(fields.length)];
    // A method is 0 or 8, or none that is read.
    const value =
      width === 2 && offset >= 8 && offset <= 10 && rng(2)
        ? 8 * rng(2)
        : anyNumber(rng, wordAt(bytes, base + offset, width));
    setWord(out, base + offset, width, value);
  }
  return out;
}

/** How a member is damaged, by its name. */
export type Damage = (name: string, data: Uint8Array, rng: Random, other: Uint8Array) => Uint8Array;

/** Damage to an archive: any bytes, its directory, a member under a right checksum, or which members there are. */
export function mutateZip(
  bytes: Uint8Array,
  rng: Random,
  other: Uint8Array,
  damage: Damage,
  words: readonly Uint8Array[],
): Uint8Array {
  const choice = rng(10);
  if (choice === 0) return mutateFields(bytes, rng, other, { words });
  if (choice < 3) return editDirectory(bytes, rng);
  const members = membersOf(bytes);
  if (members.length === 0) return mutateFields(bytes, rng, other, { words });
  const at = rng(3)
    ? Math.max(
        0,
        members.findIndex(({ name }) => name.endsWith("data.pkl")),
      )
    : rng(members.length);
  const one = members[at];
  if (choice === 3) {
    const others = membersOf(other);
    if (rng(2) || others.length === 0) members.splice(rng(members.length), 1);
    else members.push(others[rng(others.length)]);
    return archiveOf(members);
  }
  if (choice === 4) {
    // Stored or deflated, as it was not; or under the name of another.
    if (rng(2)) members[at] = packed(one.name, DEFLATED - one.method, unpacked(one));
    else members[at] = { ...one, name: members[rng(members.length)].name };
    return archiveOf(members);
  }
  const twins = membersOf(other);
  const twin = twins.find(({ name }) => name === one.name) ?? twins[0] ?? one;
  members[at] = packed(one.name, one.method, damage(one.name, unpacked(one), rng, unpacked(twin)));
  return archiveOf(members);
}

// ---- pickles

/** Bytes behind an opcode: a number; the width of a length that follows; two lines. */
const PLAIN: Record<number, number> = { 128: 1, 149: 8, 75: 1, 77: 2, 74: 4, 71: 8, 113: 1, 114: 4, 104: 1, 106: 4 };
const COUNTED: Record<number, number> = {
  138: 1,
  139: 4,
  140: 1,
  88: 4,
  141: 8,
  85: 1,
  84: 4,
  67: 1,
  66: 4,
  142: 8,
  150: 8,
};
const GLOBAL = 0x63;

/** Where the opcodes of a pickle begin, and its end. */
function opcodes(bytes: Uint8Array): number[] {
  const places: number[] = [];
  let at = 0;
  while (at < bytes.length && places.length < 20_000) {
    places.push(at);
    const opcode = bytes[at++];
    if (opcode === GLOBAL) {
      for (let lines = 0; lines < 2; lines++) {
        const end = bytes.indexOf(10, at);
        at = end < 0 ? bytes.length : end + 1;
      }
    } else if (opcode in COUNTED) at += COUNTED[opcode] + wordAt(bytes, at, COUNTED[opcode]);
    else at += PLAIN[opcode] ?? 0;
  }
  places.push(Math.min(at, bytes.length));
  return places;
}

const code = (text: string): Uint8Array => Buffer.from(text, "latin1");
/** Opcodes with what belongs to them. */
const snippets = [
  ...[
    "(",
    "}",
    "]",
    ")",
    "N",
    "\x88",
    "\x89",
    "\x85",
    "\x86",
    "\x87",
    "t",
    "l",
    "d",
    "e",
    "a",
    "u",
    "s",
    "0",
    "1",
    "2",
  ],
  ...["R", "\x81", "\x92", "o", "b", "Q", "\x8f", "\x90", "\x91", "\x94", "\x93", "q\x00", "h\x00", "h\x01", "q\xff"],
  ...[
    "K\x05",
    "M\xff\xff",
    "J\xff\xff\xff\xff",
    "J\x00\x00\x00\x80",
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    "\x8a\x00",
  ],
  ...[
    "X\x07\x00\x00\x00storage",
    "X\x01\x00\x00\x000",
    "X\x09\x00\x00\x00quantiles",
    "\x8c\x00",
    "C\x02ab",
    "G\x7f\xf8\x00\x00\x00\x00\x00\x00",
  ],
  ...["ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n", "ctorch\nIntStorage\n", "ctorch\nBFloat16Storage\n"],
  ...[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch._utils\n_rebuild_parameter\n",
    "ctorch._tensor\n_rebuild_from_type_v2\n",
  ],
  ...[
    "cnumpy.core.multiarray\n_reconstruct\n",
    "cnumpy\ndtype\n",
    "ctorch\nSize\n",
    "c_codecs\nencode\n",
    "cposix\nsystem\n",
  ],
  ...["X\x09\x00\x00\x00__proto__", "(t", "(l", "(d", "}(u", "](e", ")R", "}b", "I01\n", "S'a'\n"],
].map(code);

/** Damage to a pickle: opcodes put in, left out, doubled, exchanged; numbers and lengths edited. */
export function mutatePickle(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  const places = opcodes(bytes);
  const at = rng(places.length);
  const start = places[at];
  const end = places[at + 1] ?? start;
  switch (rng(9)) {
    case 0:
      return mutateFields(bytes, rng, other, { words: snippets });
    case 1:
    case 2:
      return replace(bytes, start, start, snippets[rng(snippets.length)]);
    case 3:
      return replace(bytes, start, end, snippets[rng(snippets.length)]);
    case 4: {
      const last = places[Math.min(places.length - 1, at + 1 + rng(8))];
      return replace(bytes, start, last, []);
    }
    case 5: {
      const last = places[Math.min(places.length - 1, at + 1 + rng(12))];
      const piece = bytes.slice(start, last);
      const to = rng(2) ? last : places[rng(places.length)];
      return replace(bytes, to, to, piece);
    }
    case 6: {
      const from = opcodes(other);
      const first = rng(from.length);
      const piece = other.slice(from[first], from[Math.min(from.length - 1, first + 1 + rng(30))]);
      return replace(bytes, start, rng(2) ? start : end, piece);
    }
    default: {
      // The number or the length behind an opcode.
      const out = bytes.slice();
      const width = PLAIN[bytes[start]] ?? COUNTED[bytes[start]] ?? 0;
      if (width === 0) return replace(bytes, start, start, snippets[rng(snippets.length)]);
      setWord(out, start + 1, width, anyNumber(rng, wordAt(bytes, start + 1, width)));
      return out;
    }
  }
}

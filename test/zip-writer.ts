// Zip archives for tests: what a reader must take, and what it must see through. Written from the specification (APPNOTE.TXT), not from the reader.
import { crc32 } from "node:zlib";

export interface Member {
  name: string;
  data: Uint8Array;
  /** Deflated data; `data` is then what it unpacks to. */
  packed?: Uint8Array;
  /** What the directory says about the size, where that is a lie. */
  size?: number;
  crc?: number;
  /** Where the directory says that it begins, and its packed size, where that is a lie. */
  claimed?: { at: number; packed: number };
}

export interface ZipOptions {
  /** Sizes and places in 64 bits, as torch writes them. */
  zip64?: boolean;
  comment?: string;
}

const u16 = (...values: number[]) => values.flatMap((value) => [value & 255, value >>> 8]);
const u32 = (...values: number[]) => values.flatMap((value) => u16(value & 65535, value >>> 16));
const u64 = (...values: number[]) => values.flatMap((value) => u32(value >>> 0, Math.floor(value / 2 ** 32)));
/** What stands in 32 bits where the value is in 64. */
const elsewhere = 0xffffffff;

export function writeZip(members: readonly Member[], { zip64 = false, comment = "" }: ZipOptions = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: number[] = [];
  let at = 0;
  const push = (bytes: ArrayLike<number>) => {
    parts.push(Uint8Array.from(bytes));
    at += bytes.length;
  };
  for (const { name, data, packed, size = data.length, crc = crc32(data), claimed } of members) {
    const text = new TextEncoder().encode(name);
    const stored = packed ?? data;
    const common = [...u16(20, 0x800, packed ? 8 : 0, 0, 0), ...u32(crc)];
    const place = claimed?.at ?? at;
    const length = claimed?.packed ?? stored.length;
    push([...u32(0x04034b50), ...common, ...u32(stored.length, size), ...u16(text.length, 0), ...text]);
    push(stored);
    const extra = zip64 ? [...u16(1, 24), ...u64(size, length, place)] : [];
    const [sizes, offset] = zip64 ? [[elsewhere, elsewhere], elsewhere] : [[length, size], place];
    const lengths = u16(text.length, extra.length, 0, 0, 0);
    const attributes = u32(0, offset);
    directory.push(...u32(0x02014b50), ...u16(20), ...common, ...u32(...sizes), ...lengths, ...attributes);
    directory.push(...text, ...extra);
  }
  const start = at;
  push(directory);
  const { length } = members;
  if (zip64) {
    const end = at;
    const counts = u64(length, length, directory.length, start);
    push([...u32(0x06064b50), ...u64(44), ...u16(45, 45), ...u32(0, 0), ...counts]);
    push([...u32(0x07064b50, 0), ...u64(end), ...u32(1)]);
  }
  const count = zip64 ? 0xffff : length;
  const places = zip64 ? u32(elsewhere, elsewhere) : u32(directory.length, start);
  const last = [...u16(comment.length), ...new TextEncoder().encode(comment)];
  push([...u32(0x06054b50), ...u16(0, 0, count, count), ...places, ...last]);
  return new Uint8Array(Buffer.concat(parts));
}

// Zip archives for tests: what a reader must take, and what it must see through. Written from the specification (APPNOTE.TXT), not from the reader.
export interface Member {
  name: string;
  data: Uint8Array;
  /** Deflated data; `data` is then what it unpacks to. */
  packed?: Uint8Array;
  /** What the directory says about the size, where that is a lie. */
  size?: number;
  crc?: number;
}

export interface ZipOptions {
  /** Sizes and places in 64 bits, as torch writes them. */
  zip64?: boolean;
  comment?: string;
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const u16 = (value: number) => [value & 255, value >>> 8];
const u32 = (value: number) => [...u16(value & 65535), ...u16(value >>> 16)];
const u64 = (value: number) => [...u32(value >>> 0), ...u32(Math.floor(value / 2 ** 32))];

export function writeZip(members: readonly Member[], { zip64 = false, comment = "" }: ZipOptions = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: number[] = [];
  let at = 0;
  const push = (bytes: ArrayLike<number>) => {
    const part = Uint8Array.from(bytes);
    parts.push(part);
    at += part.length;
  };
  for (const { name, data, packed, size = data.length, crc = crc32(data) } of members) {
    const text = new TextEncoder().encode(name);
    const stored = packed ?? data;
    const common = [...u16(20), ...u16(0x800), ...u16(packed ? 8 : 0), ...u16(0), ...u16(0), ...u32(crc)];
    const full = [0xff, 0xff, 0xff, 0xff];
    const place = at;
    push([...u32(0x04034b50), ...common, ...u32(stored.length), ...u32(size), ...u16(text.length), ...u16(0), ...text]);
    parts.push(stored);
    at += stored.length;
    const extra = zip64 ? [...u16(1), ...u16(24), ...u64(size), ...u64(stored.length), ...u64(place)] : [];
    const [packedSize, fullSize, start] = [stored.length, size, place].map((value) => (zip64 ? full : u32(value)));
    const lengths = [...u16(text.length), ...u16(extra.length), ...u16(0), ...u16(0), ...u16(0), ...u32(0)];
    directory.push(...u32(0x02014b50), ...u16(20), ...common, ...packedSize, ...fullSize, ...lengths, ...start);
    directory.push(...text, ...extra);
  }
  const start = at;
  push(directory);
  if (zip64) {
    const end = at;
    push([...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0)]);
    push([members.length, members.length, directory.length, start].flatMap(u64));
    push([...u32(0x07064b50), ...u32(0), ...u64(end), ...u32(1)]);
  }
  const count = zip64 ? 0xffff : members.length;
  push([...u32(0x06054b50), ...u16(0), ...u16(0), ...u16(count), ...u16(count)]);
  push(zip64 ? new Array(8).fill(0xff) : [...u32(directory.length), ...u32(start)]);
  push([...u16(comment.length), ...new TextEncoder().encode(comment)]);
  const bytes = new Uint8Array(at);
  let to = 0;
  for (const part of parts) {
    bytes.set(part, to);
    to += part.length;
  }
  return bytes;
}

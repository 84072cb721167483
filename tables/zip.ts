/**
 * Zip archives as torch.save and numpy.savez write them: stored and deflated members, zip64. Nothing is unpacked to
 * disk.
 */
import { crc32, inflateRawSync } from "node:zlib";
import { CodecError } from "latentwire";
import type { Budget } from "./budget.js";
import { type ByteSource, MemorySource, PartSource } from "./byte-source.js";

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const MEMBER = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT = 65535;
/** Bytes that a member takes as an object, at least. */
const MEMBER_BYTES = 256;
const STORED = 0;
const DEFLATED = 8;

interface Member {
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly local: number;
  /** Where the next member begins, or the directory: a member that reaches further shares bytes with another. */
  end: number;
}

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `zip: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `zip: ${message}`);
};

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether a file begins like a zip archive. */
export const isZip = (head: Uint8Array): boolean =>
  head[0] === 0x50 && head[1] === 0x4b && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6));

/** The members of an archive by their names. */
export class ZipArchive {
  /** The file's. */
  readonly budget: Budget;
  readonly #source: ByteSource;
  readonly #members = new Map<string, Member>();

  /** Reads the directory. Throws `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`. */
  constructor(source: ByteSource) {
    this.#source = source;
    this.budget = source.budget;
    const { start, length, count } = findDirectory(source);
    const bytes = source.read(start, length);
    const view = viewOf(bytes);
    let at = 0;
    for (let i = 0; i < count; i++) at = this.#addMember(bytes, view, at);
    let end = start;
    for (const member of [...this.#members.values()].sort((a, b) => b.local - a.local)) {
      member.end = end;
      end = member.local;
    }
  }

  #addMember(bytes: Uint8Array, view: DataView, at: number): number {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== MEMBER) invalid("its directory is damaged");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const end = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (end > bytes.length) invalid("its directory ends inside a name");
    this.budget.charge("zip: its directory", 16, MEMBER_BYTES + 2 * nameLength);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if ((view.getUint16(at + 8, true) & 1) !== 0) unsupported(`${name} is encrypted`);
    const [size, packed, local] = zip64Fields(view, at + 46 + nameLength, extraLength, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    // Two members of one name: programs differ in which one they take, and attacks have used that.
    if (this.#members.has(name)) invalid(`two members are named ${name}`);
    this.#members.set(name, {
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed,
      size,
      local,
      end: local,
    });
    return end;
  }

  /** Names, in the order of the directory. */
  get names(): string[] {
    return [...this.#members.keys()];
  }

  /** Unpacked size of a member, or undefined where there is none of the name. */
  size(name: string): number | undefined {
    return this.#members.get(name)?.size;
  }

  /** A whole member, its checksum verified. Throws `LIMIT_EXCEEDED` before anything is unpacked. */
  read(name: string): Uint8Array {
    const member = this.#member(name);
    const isStored = member.method === STORED;
    this.budget.charge(`zip: ${name}`, member.size, isStored ? 0 : member.size);
    const packed = this.#source.read(this.#start(name, member), member.packed);
    const bytes = isStored ? packed : inflate(name, member, packed);
    if (bytes.length !== member.size) invalid(`${name} has ${bytes.length} bytes, its directory says ${member.size}`);
    // torch can be told not to compute checksums, and leaves a 0.
    if (member.crc !== 0 && crc32(bytes) !== member.crc) invalid(`the checksum of ${name} does not match`);
    return bytes;
  }

  /** Part of a member. A stored one is not read as a whole, so its checksum is not verified. */
  readPart(name: string, offset: number, length: number): Uint8Array {
    const member = this.#member(name);
    if (offset + length > member.size)
      throw new CodecError("TRUNCATED", `zip: ${name} has ${member.size} bytes, ${offset + length} are needed`);
    if (member.method !== STORED || (offset === 0 && length === member.size))
      return this.read(name).subarray(offset, offset + length);
    return this.#source.read(this.#start(name, member) + offset, length);
  }

  /** A member as a file of its own. A stored one remains where it is, its checksum not verified. */
  open(name: string): ByteSource {
    const member = this.#member(name);
    if (member.method !== STORED) return new MemorySource(this.read(name), this.budget);
    return new PartSource(this.#source, this.#start(name, member), member.size, name);
  }

  #member(name: string): Member {
    return this.#members.get(name) ?? invalid(`it has no ${name}`);
  }

  #start(name: string, { method, local, packed, size, end }: Member): number {
    if (method !== STORED && method !== DEFLATED) unsupported(`${name} is packed by method ${method}`);
    if (method === STORED && packed !== size) invalid(`the sizes of ${name} contradict each other`);
    const header = viewOf(this.#source.read(local, 30));
    if (header.getUint32(0, true) !== LOCAL) invalid(`${name} is not where the directory says`);
    const start = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    // Else a small file could hold any number of large members.
    if (start + packed > end) invalid(`${name} shares bytes with what follows it`);
    return start;
  }
}

function inflate(name: string, { size }: Member, packed: Uint8Array): Uint8Array {
  try {
    // One byte more than promised is enough to see that the promise is broken.
    const bytes = inflateRawSync(packed, { maxOutputLength: size + 1 });
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "Z_DATA_ERROR" && code !== "Z_BUF_ERROR" && code !== "ERR_BUFFER_TOO_LARGE") throw error;
    return invalid(`${name} cannot be unpacked to the ${size} bytes its directory says`);
  }
}

function findDirectory(source: ByteSource): { start: number; length: number; count: number } {
  const length = Math.min(source.size, END_BYTES + MAX_COMMENT);
  const base = source.size - length;
  const tail = viewOf(source.read(base, length));
  for (let at = length - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END || at + END_BYTES + tail.getUint16(at + 20, true) !== length) continue;
    const count = tail.getUint16(at + 10, true);
    const bytes = tail.getUint32(at + 12, true);
    const start = tail.getUint32(at + 16, true);
    const is64 = count === 0xffff || bytes === 0xffffffff || start === 0xffffffff;
    const locator = base + at - 20;
    if (!is64 || locator < 0) return { start, length: bytes, count };
    const found = viewOf(source.read(locator, 20));
    if (found.getUint32(0, true) !== LOCATOR64) return { start, length: bytes, count };
    const end = viewOf(source.read(whole(found, 8), 56));
    if (end.getUint32(0, true) !== END64) return invalid("its zip64 directory is damaged");
    return { start: whole(end, 48), length: whole(end, 40), count: whole(end, 32) };
  }
  return invalid("it has no directory: the file is damaged or was cut off");
}

function whole(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : invalid(`a size of ${value} bytes`);
}

/** If a field of 32 bits is full, its value is in the extra field, with 64 bits; several in this order. */
function zip64Fields(view: DataView, start: number, length: number, fields: number[]): [number, number, number] {
  const wanted = fields.map((field) => field === 0xffffffff);
  if (wanted.includes(true)) {
    let at = start;
    while (at + 4 <= start + length && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true);
    let next = at + 4;
    for (let i = 0; i < fields.length; i++) {
      if (!wanted[i]) continue;
      if (next + 8 > start + length) invalid("a zip64 size is missing");
      fields[i] = whole(view, next);
      next += 8;
    }
  }
  return fields as [number, number, number];
}

/** The bytes of a packet file, docs/format.md section 13: its records and its index. Every field is checked before it is used. */
import { CodecError } from "../bindings/errors.js";
import type { Judge } from "../bindings/frames.js";
import type { Bytes } from "../bindings/types.js";
import { readVarint, varintSize, writeVarint } from "../bindings/varint.js";
import { xxh32 } from "./xxh32.js";

/** The first bytes of a file, the version among them. */
export const FILE_MAGIC: readonly number[] = [0x4c, 0x57, 0x53, 1];
/** Most bytes of a name. */
export const MOST_NAME = 1024;
/** Most bytes of a record beside its packet. */
export const RECORD_EXTRA = 2 + 5 + 2 + MOST_NAME + 4;
export const TRAILER_BYTES = 16;
const RECORD_MAGIC = [0x4c, 0x52] as const;
const TRAILER_MAGIC = 0x4953574c;
const CHECK = 4;
/** The shortest frame of a record. */
const LEAST_FRAME = 9;

const encoder = new TextEncoder();
/** For one name as bytes. */
const room = new Uint8Array(MOST_NAME);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A name as bytes. Throws RangeError for one that a file cannot hold. */
export function nameBytes(name: string): Uint8Array {
  const bytes = encoder.encode(name);
  if (bytes.length > MOST_NAME)
    throw new RangeError(`the name "${name.slice(0, 40)}.." has ${bytes.length} bytes; ${MOST_NAME} are the most`);
  // A lone surrogate would come back as another name.
  if (decoder.decode(bytes) !== name) throw new RangeError(`the name ${JSON.stringify(name)} is no Unicode text`);
  return bytes;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

// ---- records

/** A record of a file. */
export interface RecordFields {
  readonly number: number;
  readonly name: string;
  /** A view of the record. */
  readonly packet: Uint8Array;
}

/** A record as a frame. */
export function formatRecord(number: number, name: Uint8Array, packet: Uint8Array): Bytes {
  const head = RECORD_MAGIC.length + varintSize(number) + varintSize(name.length);
  const length = head + name.length + packet.length + CHECK;
  const frame = new Uint8Array(varintSize(length) + length);
  const start = writeVarint(frame, 0, length);
  frame.set(RECORD_MAGIC, start);
  const at = writeVarint(frame, writeVarint(frame, start + RECORD_MAGIC.length, number), name.length);
  frame.set(name, at);
  frame.set(packet, at + name.length);
  const end = frame.length - CHECK;
  view(frame).setUint32(end, xxh32(frame.subarray(start, end)), true);
  return frame;
}

interface Head {
  readonly number: number;
  readonly nameAt: number;
  readonly packetAt: number;
}

/** The fields before the name of a record of `total` bytes, of which the first are there; undefined: it is no record. */
function readHead(bytes: Uint8Array, total: number): Head | undefined {
  if (RECORD_MAGIC.some((byte, i) => bytes[i] !== byte)) return undefined;
  const number = readVarint(bytes, RECORD_MAGIC.length, bytes.length);
  const at = RECORD_MAGIC.length + varintSize(number);
  const length = number < 0 ? number : readVarint(bytes, at, bytes.length);
  const nameAt = at + varintSize(length);
  const packetAt = nameAt + length;
  const isRecord = length >= 0 && length <= MOST_NAME && number < 2 ** 31 && packetAt + CHECK <= total;
  return isRecord ? { number, nameAt, packetAt } : undefined;
}

/** What a frame holds, or undefined where that is no record, or a damaged one. */
export function parseRecord(bytes: Uint8Array): RecordFields | undefined {
  const head = readHead(bytes, bytes.length);
  const end = bytes.length - CHECK;
  if (!head || xxh32(bytes.subarray(0, end)) !== view(bytes).getUint32(end, true)) return undefined;
  const name = textOf(bytes.subarray(head.nameAt, head.packetAt));
  return name === undefined ? undefined : { number: head.number, name, packet: bytes.subarray(head.packetAt, end) };
}

/** What frames of a file must hold, for a scan. */
export const recordJudge: Judge = {
  first: RECORD_MAGIC[0],
  otherwise: "no record begins here",
  refused: "a record is damaged",
  front: (bytes, total) => (readHead(bytes, total) ? undefined : "CORRUPTED"),
  whole: (bytes) => (parseRecord(bytes) ? undefined : "CORRUPTED"),
};

// ---- the index

/** Where the records of a file are. */
export interface Places {
  /** Byte at which each frame begins, ascending. */
  readonly offsets: ArrayLike<number>;
  /** Bytes of each record, without the length of its frame. */
  readonly lengths: ArrayLike<number>;
  /** Ascending. */
  readonly numbers: ArrayLike<number>;
  readonly names: readonly string[];
}

/** The index and the trailer for records whose numbers are 0, 1, 2 and so on. */
export function formatIndex({ lengths, names }: Pick<Places, "lengths" | "names">): Bytes {
  // Encoded one after the other: arrays of their own would take ten times the memory of the index.
  const sizeOf = (name: string) => encoder.encodeInto(name, room).written;
  let length = 0;
  for (const [i, name] of names.entries()) {
    const size = sizeOf(name);
    length += varintSize(lengths[i]!) + varintSize(size) + size;
  }
  if (length >= 2 ** 32) throw new RangeError("the names of the file have more than 4 GB");
  const bytes = new Uint8Array(length + TRAILER_BYTES);
  let at = 0;
  for (const [i, name] of names.entries()) {
    const size = sizeOf(name);
    at = writeVarint(bytes, writeVarint(bytes, at, lengths[i]!), size);
    bytes.set(room.subarray(0, size), at);
    at += size;
  }
  const trailer = view(bytes);
  trailer.setUint32(at, length, true);
  trailer.setUint32(at + 4, names.length, true);
  trailer.setUint32(at + 8, xxh32(bytes.subarray(0, at + 8)), true);
  trailer.setUint32(at + 12, TRAILER_MAGIC, true);
  return bytes;
}

/** What the last 16 bytes of a file say. */
export interface Trailer {
  /** Byte at which the index begins, behind the end mark. */
  readonly start: number;
  readonly count: number;
}

/** The trailer of a file of so many bytes; undefined: there is none. */
export function parseTrailer(bytes: Uint8Array, fileBytes: number): Trailer | undefined {
  const fields = view(bytes);
  if (bytes.length !== TRAILER_BYTES || fields.getUint32(12, true) !== TRAILER_MAGIC) return undefined;
  const count = fields.getUint32(4, true);
  const start = fileBytes - TRAILER_BYTES - fields.getUint32(0, true);
  // Not more records than fit before it.
  return start > FILE_MAGIC.length && count <= (start - FILE_MAGIC.length - 1) / LEAST_FRAME
    ? { start, count }
    : undefined;
}

const refuseIndex = (message: string): never => {
  throw new CodecError("CORRUPTED", `the index contradicts the file: ${message}; open it with index: false`);
};

/**
 * Reads the index and the trailer, which lie from `start` to the end of the file. Undefined: their check does not fit. Throws `CORRUPTED` for an index that breaks
 * the rules under a check that fits.
 */
export function parseIndex(bytes: Uint8Array, { start, count }: Trailer): Places | undefined {
  const end = bytes.length - TRAILER_BYTES;
  if (xxh32(bytes.subarray(0, end + 8)) !== view(bytes).getUint32(end + 8, true)) return undefined;
  const offsets = new Float64Array(count);
  const lengths = new Uint32Array(count);
  const numbers = new Uint32Array(count);
  const names: string[] = [];
  let at = 0;
  let offset = FILE_MAGIC.length;
  for (let i = 0; i < count; i++) {
    const length = readVarint(bytes, at, end);
    const nameAt = at + varintSize(length);
    const size = length < 0 ? length : readVarint(bytes, nameAt, end);
    at = nameAt + varintSize(size) + size;
    if (length < LEAST_FRAME - 1 || length >= 2 ** 31 || size < 0 || size > MOST_NAME || at > end)
      refuseIndex(`entry ${i} is none`);
    const name = textOf(bytes.subarray(at - size, at)) ?? refuseIndex(`the name of record ${i} is no UTF-8`);
    offsets[i] = offset;
    lengths[i] = length;
    numbers[i] = i;
    names.push(name);
    offset += varintSize(length) + length;
  }
  if (at !== end || offset !== start - 1) refuseIndex("its records do not fill the file");
  return { offsets, lengths, numbers, names };
}

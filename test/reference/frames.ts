// Packets in a byte stream, and packet files; docs/format.md sections 12 and 13.
import { concat, corrupted, FormatError, fail, most, Reader, truncated, Writer } from "./bytes.js";
import { xxh32 } from "./hash.js";
import { parsePacket } from "./header.js";

// ---- section 12

export function writeFrames(packets: readonly Uint8Array[]): Uint8Array {
  const out = new Writer();
  for (const packet of packets) {
    out.varint(packet.length);
    out.all(packet);
  }
  out.varint(0);
  return out.done();
}

/** Stops at the first fault. `limit`: most bytes of a packet. */
export function readFrames(bytes: Uint8Array, limit = most): Uint8Array[] {
  const reader = new Reader(bytes);
  const packets: Uint8Array[] = [];
  for (let length = reader.varint(); length > 0; length = reader.varint()) {
    if (length > limit) fail("LIMIT_EXCEEDED", `a frame of ${length} bytes`);
    packets.push(reader.take(length));
  }
  if (reader.left > 0) corrupted("bytes follow the end mark");
  return packets;
}

/** A frame that a reader has found, at a byte of the stream. */
export interface FoundFrame {
  readonly at: number;
  readonly content: Uint8Array;
}

export interface FoundFrames {
  readonly frames: readonly FoundFrame[];
  /** Bytes that belong to no frame, as [from, to). */
  readonly lost: readonly (readonly [number, number])[];
  /** Whether the end mark stands behind the last frame, and nothing behind it. */
  readonly isEnded: boolean;
}

/** Section 12.1, for frames that `isGood` judges. */
export function recoverFrames(
  bytes: Uint8Array,
  isGood: (content: Uint8Array) => boolean,
  limit = most,
  start = 0,
): FoundFrames {
  const frames: FoundFrame[] = [];
  const lost: [number, number][] = [];
  let from: number | undefined;
  let at = start;
  const content = (): Uint8Array | undefined => {
    const reader = new Reader(bytes);
    reader.at = at;
    try {
      const length = reader.varint();
      return length > 0 && length <= limit ? reader.take(length) : undefined;
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  };
  while (at < bytes.length) {
    const found = content();
    if (found && isGood(found)) {
      if (from !== undefined) lost.push([from, at]);
      from = undefined;
      frames.push({ at, content: found });
      at = found.byteOffset - bytes.byteOffset + found.length;
    } else {
      const isMark = from === undefined && bytes[at] === 0 && at === bytes.length - 1;
      if (isMark) return { frames, lost, isEnded: true };
      from ??= at;
      at++;
    }
  }
  if (from !== undefined) lost.push([from, bytes.length]);
  return { frames, lost, isEnded: false };
}

/** Whether it is a full packet with a check that fits, no longer than section 2.6 allows. */
export function isGoodPacket(content: Uint8Array): boolean {
  if (content.length < 8 || content[0] !== 0x6c || (content[1] & 0xf9) !== 0x71 || (content[2] & 7) !== 1) return false;
  if (xxh32(content.subarray(0, -4)) !== new Reader(content.slice(-4)).u32()) return false;
  const { n = 0, parts, corrections } = parsePacket(content);
  return content.length <= 65536 + (corrections.length > 0 ? 56 : 8) * n + 40 * parts;
}

// ---- section 13

export interface FileRecord {
  readonly number: number;
  readonly name: string;
  readonly packet: Uint8Array;
}

const fileMagic = [0x4c, 0x57, 0x53, 1] as const;
const recordMagic = [0x4c, 0x52] as const;
const trailerMagic = [0x4c, 0x57, 0x53, 0x49] as const;
const longestName = 1024;

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return corrupted("a name is no UTF-8");
  }
}

/** Numbers are given, so that files can be made that break the rules. */
export function writeRecord({ number, name, packet }: FileRecord): Uint8Array {
  const out = new Writer();
  out.all(recordMagic);
  out.varint(number);
  const text = new TextEncoder().encode(name);
  out.varint(text.length);
  out.all(text);
  out.all(packet);
  out.u32(xxh32(out.done()));
  return out.done();
}

/** Undefined: it is no record, or a damaged one. */
export function readRecord(content: Uint8Array): FileRecord | undefined {
  try {
    const reader = new Reader(content.subarray(0, Math.max(0, content.length - 4)));
    if (reader.byte() !== recordMagic[0] || reader.byte() !== recordMagic[1]) return undefined;
    const number = reader.varint();
    const length = reader.varint(longestName);
    const name = textOf(reader.take(length));
    const packet = reader.take(reader.left);
    const check = new Reader(content.slice(-4)).u32();
    return xxh32(reader.bytes) === check ? { number, name, packet } : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function frame(record: Uint8Array): Uint8Array {
  const out = new Writer();
  out.varint(record.length);
  out.all(record);
  return out.done();
}

export function writeIndex(entries: readonly { readonly bytes: number; readonly name: string }[]): Uint8Array {
  const out = new Writer();
  for (const { bytes, name } of entries) {
    const text = new TextEncoder().encode(name);
    out.varint(bytes);
    out.varint(text.length);
    out.all(text);
  }
  out.u32(out.bytes.length);
  out.u32(entries.length);
  out.u32(xxh32(out.done()));
  out.all(trailerMagic);
  return out.done();
}

export function writePacketFile(records: readonly FileRecord[]): Uint8Array {
  const written = records.map(writeRecord);
  const index = writeIndex(written.map(({ length }, i) => ({ bytes: length, name: records[i].name })));
  return concat(fileMagic, ...written.map(frame), [0], index);
}

export interface ReadFile {
  readonly records: readonly FileRecord[];
  readonly state: "indexed" | "scanned" | "torn" | "damaged";
}

/** Reads all records, by the index if there is one. Throws where the index lies. */
export function readPacketFile(bytes: Uint8Array): ReadFile {
  if (fileMagic.slice(0, 3).some((byte, i) => bytes[i] !== byte)) fail("NOT_A_PACKET", "no packet file");
  if (bytes.length < 4) truncated("the file ends inside its magic");
  if (bytes[3] !== fileMagic[3]) fail("UNSUPPORTED_VERSION", `version ${bytes[3]}`);
  const start = indexStart(bytes);
  const isIndexed = start !== undefined && xxh32(bytes.slice(start, -8)) === new Reader(bytes.slice(-8, -4)).u32();
  return isIndexed ? { records: byIndex(bytes, start), state: "indexed" } : scanFile(bytes, start);
}

/** Where the index begins, if the file ends like one that has an index. */
function indexStart(bytes: Uint8Array): number | undefined {
  if (bytes.length < 4 + 1 + 16 || trailerMagic.some((byte, i) => bytes[bytes.length - 4 + i] !== byte))
    return undefined;
  const reader = new Reader(bytes.slice(-16));
  const start = bytes.length - 16 - reader.u32();
  // A frame of a record has at least 9 bytes.
  return start >= 5 && 9 * reader.u32() <= start - 5 ? start : undefined;
}

function byIndex(bytes: Uint8Array, start: number): FileRecord[] {
  const index = new Reader(bytes.subarray(start, bytes.length - 16));
  const count = new Reader(bytes.slice(-12)).u32();
  const body = new Reader(bytes.subarray(0, start - 1));
  body.at = 4;
  const records: FileRecord[] = [];
  for (let number = 0; number < count; number++) {
    const length = index.varint();
    const name = textOf(index.take(index.varint(longestName)));
    if (body.varint() !== length) corrupted(`record ${number} has another length`);
    const record = readRecord(body.take(length));
    if (record?.number !== number || record.name !== name) return corrupted(`record ${number} is another`);
    if (name !== "" && records.some((one) => one.name === name)) corrupted(`the name ${name} is there twice`);
    records.push(record);
  }
  if (index.left > 0 || body.left > 0 || bytes[start - 1] !== 0) corrupted("the records do not fill the file");
  return records;
}

function scanFile(bytes: Uint8Array, start: number | undefined): ReadFile {
  const records: FileRecord[] = [];
  const { frames, lost } = recoverFrames(
    bytes,
    (content) => {
      const record = readRecord(content);
      if (!record || record.number <= (records.at(-1)?.number ?? -1)) return false;
      if (record.name !== "" && records.some(({ name }) => name === record.name)) return false;
      records.push(record);
      return true;
    },
    most,
    4,
  );
  const last = frames.at(-1);
  const end = last ? last.content.byteOffset - bytes.byteOffset + last.content.length : 4;
  const isDense = records.every(({ number }, i) => number === i);
  if (!isDense || lost.some(([from]) => from < end)) return { records, state: "damaged" };
  const written = records.map((record) => ({ bytes: writeRecord(record).length, name: record.name }));
  const expected = concat([0], writeIndex(written));
  const rest = bytes.subarray(end);
  const isIndex = rest.length > 0 && rest.length <= expected.length && rest.every((byte, i) => byte === expected[i]);
  const isComplete = isIndex || (rest[0] === 0 && start === end + 1);
  return { records, state: isComplete ? "scanned" : "torn" };
}

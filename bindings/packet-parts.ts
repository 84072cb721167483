/** Header bytes of packets of several parts: docs/format.md sections 8 to 8.4. Pure TypeScript, no Wasm. */
import { CodecError } from "./errors.js";
import type { PartsInfo } from "./full-types.js";
import {
  BATCH_OF_ONE,
  type BareHeader,
  checkControl,
  controlByte,
  HAS_CHECKSUM,
  HAS_FINGERPRINT,
  MAGIC_0,
  MAGIC_1,
  MAX_DIMENSION,
  MAX_RANK,
  parsePacketStart,
  pushLengths,
  pushUint32,
  pushVarint,
  readStreamHeader,
  readUint32,
  type StreamHeader,
  VarintReader,
  VERSION,
} from "./packet.js";
import { xxh32 } from "./xxh32.js";

// Constants of the format.
const KIND_PARTS = 2;
const HAS_SHAPES = 1;
const HAS_CORRECTIONS = 2;
const HAS_CHECKS = 4;
const SHAPE_RANK = 7;
const SHAPE_BATCH_OF_ONE = 8;
const SHAPE_FOLLOWS = 16;
const PRIME = 0x9e3779b1;

/** What a packet says beside its stream. */
export interface PartsHeader {
  /** The chained fingerprint of section 8.1. */
  fingerprint: number | undefined;
  elements: number;
  shapes: readonly number[][];
  /** Ascending positions of parameters. */
  corrections: readonly number[];
  checks: readonly number[];
}

/** A header that has been read. Shapes and corrections come one by one: there may be as many as the packet has bytes. */
export interface PartsPacket {
  fingerprint: number | undefined;
  elements: number;
  shapes: Iterator<number[], undefined>;
  /** Ascending positions of parameters. */
  corrections: Iterator<number, undefined>;
  correctionCount: number;
  checks: ArrayLike<number>;
  stream: BareHeader;
  /** The stream is [start, end). */
  start: number;
  end: number;
}

/** One link of section 8.1's chain. */
export const chainFingerprint = (h: number, fingerprint: number): number => Math.imul(h ^ fingerprint, PRIME) >>> 0;

/** What stands for a mixture's table in that chain. */
export const MIXTURE_FINGERPRINT = 0x80000000;

/** The end of section 8.4's hash. */
export function checkOfHash(hash: number): number {
  let h = hash ^ (hash >>> 15);
  h = Math.imul(h, 0x85ebca77);
  h ^= h >>> 13;
  return h >>> 16;
}

/** Bytes that precede states, words and escapes. */
export function writePartsHeader(stream: StreamHeader, parts: PartsHeader, checksum: boolean): number[] {
  const { fingerprint, elements, shapes, corrections, checks } = parts;
  const sections =
    (shapes.length ? HAS_SHAPES : 0) | (corrections.length ? HAS_CORRECTIONS : 0) | (checks.length ? HAS_CHECKS : 0);
  const header = [
    MAGIC_0,
    MAGIC_1 | (checksum ? HAS_CHECKSUM : 0) | (fingerprint === undefined ? 0 : HAS_FINGERPRINT),
    VERSION | (KIND_PARTS << 3) | (sections << 5),
    controlByte(stream),
  ];
  if (fingerprint !== undefined) pushUint32(header, fingerprint);
  pushVarint(header, elements);
  shapes.forEach((dims, i) => {
    const batchOfOne = dims[0] === 1;
    header.push(dims.length | (batchOfOne ? SHAPE_BATCH_OF_ONE : 0) | (i + 1 < shapes.length ? SHAPE_FOLLOWS : 0));
    for (const dimension of batchOfOne ? dims.slice(1) : dims) pushVarint(header, dimension);
  });
  if (corrections.length) {
    pushVarint(header, corrections.length);
    let before = -1;
    for (const position of corrections) {
      pushVarint(header, position - before - 1);
      before = position;
    }
  }
  if (checks.length) {
    pushVarint(header, checks.length);
    for (const check of checks) header.push(check & 0xff, check >> 8);
  }
  return pushLengths(header, stream);
}

function readShape(reader: VarintReader): { dims: number[]; follows: boolean } {
  if (reader.position >= reader.end) throw new CodecError("TRUNCATED", "the input ends inside a shape");
  const code = reader.bytes[reader.position++];
  const rank = code & SHAPE_RANK;
  if (rank === 0 || rank > MAX_RANK || code >= 2 * SHAPE_FOLLOWS) throw new CodecError("CORRUPTED", "a shape's rank");
  const dims = code & SHAPE_BATCH_OF_ONE ? [1] : [];
  while (dims.length < rank) {
    dims.push(reader.read("a shape"));
    if (dims.length === 1 && dims[0] === 1) throw new CodecError("CORRUPTED", "a first dimension of 1 is a flag");
  }
  if (dims.reduce((a, b) => a * b, 1) > MAX_DIMENSION)
    throw new CodecError("CORRUPTED", "a shape of more than 2^31 - 1 elements");
  return { dims, follows: (code & SHAPE_FOLLOWS) !== 0 };
}

/** The entries of a section that has been checked. */
function* shapesIn(section: Uint8Array): Generator<number[], undefined> {
  const reader = new VarintReader(section, 0, section.length);
  while (reader.position < section.length) yield readShape(reader).dims;
  return undefined;
}

function* correctionsIn(section: Uint8Array): Generator<number, undefined> {
  const reader = new VarintReader(section, 0, section.length);
  for (let position = -1; reader.position < section.length; ) {
    position += 1 + reader.read("the corrections");
    yield position;
  }
  return undefined;
}

/** A copy of what `read` goes over: the packet is the caller's, who may change it. */
function section(reader: VarintReader, read: () => void): Uint8Array {
  const start = reader.position;
  read();
  return reader.bytes.slice(start, reader.position);
}

function readCorrectionCount(reader: VarintReader): number {
  const count = reader.read("the corrections");
  // Each takes at least a byte.
  if (count === 0 || count > reader.end - reader.position)
    throw new CodecError("CORRUPTED", "the number of corrections");
  return count;
}

function readChecks(reader: VarintReader): Uint16Array {
  const count = reader.read("the index checks");
  if (count === 0) throw new CodecError("CORRUPTED", "no index checks");
  if (2 * count > reader.end - reader.position)
    throw new CodecError("TRUNCATED", "the input ends inside the index checks");
  const checks = new Uint16Array(count);
  for (let i = 0; i < count; i++, reader.position += 2)
    checks[i] = reader.bytes[reader.position] | (reader.bytes[reader.position + 1] << 8);
  return checks;
}

/** Reads the header of a packet of several parts. `checksumOf` as in parsePacketStart. */
export function parsePartsHeader(bytes: Uint8Array, checksumOf: (length: number) => number): PartsPacket {
  const { flags, upper: sections, end } = parsePacketStart(bytes, KIND_PARTS, KIND_PARTS, checksumOf);
  if (flags & BATCH_OF_ONE) throw new CodecError("CORRUPTED", "a flag of single tensors");
  const reader = new VarintReader(bytes, 4, end);
  let fingerprint: number | undefined;
  if (flags & HAS_FINGERPRINT) {
    if (end < 8) throw new CodecError("TRUNCATED", "the input ends inside the fingerprint");
    fingerprint = readUint32(bytes, 4);
    reader.position = 8;
  }
  const elements = reader.read("the number of symbols");
  const shapes = section(reader, () => {
    if (sections & HAS_SHAPES) while (readShape(reader).follows);
  });
  const correctionCount = sections & HAS_CORRECTIONS ? readCorrectionCount(reader) : 0;
  const corrections = section(reader, () => {
    for (let i = 0; i < correctionCount; i++) reader.read("the corrections");
  });
  const checks = sections & HAS_CHECKS ? readChecks(reader) : [];
  const start = reader.position;
  checkControl(bytes[3], false);
  const stream = readStreamHeader(bytes[3], false, reader);
  if (stream.layout) throw new CodecError("CORRUPTED", "parts have no layout");
  return {
    fingerprint,
    elements,
    shapes: shapesIn(shapes),
    corrections: correctionsIn(corrections),
    correctionCount,
    checks,
    stream,
    start,
    end,
  };
}

/** More shapes than any model has parts; a list of them all would take sixty times the packet's memory. */
const MAX_LISTED = 65536;

function listShapes(shapes: Iterator<number[], undefined>): number[][] {
  const list: number[][] = [];
  for (let next = shapes.next(); !next.done; next = shapes.next()) {
    if (list.length === MAX_LISTED) throw new CodecError("LIMIT_EXCEEDED", `more than ${MAX_LISTED} shapes`);
    list.push(next.value);
  }
  return list;
}

/** As `inspect`, for packets of several parts. */
export function inspectParts(packet: Uint8Array): PartsInfo {
  let checksum: PartsInfo["checksum"] = "absent";
  const header = parsePartsHeader(packet, (length) => {
    const stored = readUint32(packet, length);
    checksum = xxh32(packet.subarray(0, length)) === stored ? "valid" : "invalid";
    return stored;
  });
  return {
    version: VERSION,
    stream: "parts",
    elements: header.elements,
    lanes: header.stream.lanes,
    escapes: header.stream.escapeBytes > 0,
    shapes: listShapes(header.shapes),
    corrections: header.correctionCount,
    indexChecks: header.checks.length,
    fingerprint: header.fingerprint?.toString(16).padStart(8, "0"),
    checksum,
    headerBytes: header.start,
    streamBytes: header.end - header.start,
    totalBytes: packet.length,
  };
}

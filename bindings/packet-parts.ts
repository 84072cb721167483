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
  shapes: number[][];
  /** Ascending positions of parameters. */
  corrections: number[];
  checks: number[];
}

/** A header that has been read. */
export interface PartsPacket extends PartsHeader {
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

function readShapes(reader: VarintReader): number[][] {
  const shapes: number[][] = [];
  for (;;) {
    if (reader.position >= reader.end) throw new CodecError("TRUNCATED", "the input ends inside a shape");
    const code = reader.bytes[reader.position++];
    const rank = code & SHAPE_RANK;
    if (rank === 0 || rank > MAX_RANK || code >= 2 * SHAPE_FOLLOWS) throw new CodecError("CORRUPTED", "a shape's rank");
    const dims = code & SHAPE_BATCH_OF_ONE ? [1] : [];
    while (dims.length < rank) {
      dims.push(reader.read("a shape"));
      if (dims.length === 1 && dims[0] === 1) throw new CodecError("CORRUPTED", "a first dimension of 1 is a flag");
    }
    shapes.push(dims);
    if (!(code & SHAPE_FOLLOWS)) return shapes;
  }
}

function readCorrections(reader: VarintReader): number[] {
  const count = reader.read("the corrections");
  // Each takes at least a byte: a damaged number allocates nothing.
  if (count === 0 || count > reader.end - reader.position)
    throw new CodecError("CORRUPTED", "the number of corrections");
  const corrections: number[] = [];
  let position = -1;
  for (let i = 0; i < count; i++) {
    position += 1 + reader.read("the corrections");
    corrections.push(position);
  }
  return corrections;
}

function readChecks(reader: VarintReader): number[] {
  const count = reader.read("the index checks");
  if (count === 0) throw new CodecError("CORRUPTED", "no index checks");
  if (2 * count > reader.end - reader.position)
    throw new CodecError("TRUNCATED", "the input ends inside the index checks");
  return Array.from({ length: count }, () => {
    const check = reader.bytes[reader.position] | (reader.bytes[reader.position + 1] << 8);
    reader.position += 2;
    return check;
  });
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
  const shapes = sections & HAS_SHAPES ? readShapes(reader) : [];
  const corrections = sections & HAS_CORRECTIONS ? readCorrections(reader) : [];
  const checks = sections & HAS_CHECKS ? readChecks(reader) : [];
  if (shapes.some((dims) => dims.reduce((a, b) => a * b, 1) > MAX_DIMENSION))
    throw new CodecError("CORRUPTED", "a shape of more than 2^31 - 1 elements");
  const start = reader.position;
  checkControl(bytes[3], false);
  const stream = readStreamHeader(bytes[3], false, reader);
  if (stream.layout) throw new CodecError("CORRUPTED", "parts have no layout");
  return { fingerprint, elements, shapes, corrections, checks, stream, start, end };
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
    shapes: header.shapes,
    corrections: header.corrections.length,
    indexChecks: header.checks.length,
    fingerprint: header.fingerprint?.toString(16).padStart(8, "0"),
    checksum,
    headerBytes: header.start,
    streamBytes: header.end - header.start,
    totalBytes: packet.length,
  };
}

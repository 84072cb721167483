/** Header bytes of packets and bare streams: docs/format.md sections 2 and 3. Pure TypeScript, no Wasm. */
import { CodecError } from "./errors.js";
import type { Lanes, PacketInfo } from "./types.js";
import { xxh32 } from "./xxh32.js";

export const LANES: readonly Lanes[] = [1, 8, 16, 32];

// Constants of the format.
export const MAGIC_0 = 0x4c;
export const MAGIC_1 = 0x50;
const MAGIC_1_MASK = 0xf8;
export const VERSION = 1;
const KIND_COMPRESSAI = 1;
const LAYOUT_RUNS = 4;
const HAS_ESCAPES = 8;
const TAIL_CODE_SHIFT = 4;
/** t by tail code; the code after the last one says that t is in the stream. */
const TAILS = [0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64];
// Flags in the second byte.
export const HAS_CHECKSUM = 1;
export const HAS_FINGERPRINT = 2;
export const BATCH_OF_ONE = 4;
export const MAX_DIMENSION = 0x7fffffff;
export const MAX_RANK = 7;

/** The fields of a stream that precede states, words and escapes. */
export interface StreamHeader {
  compressai: boolean;
  lanes: Lanes;
  layout: 0 | 1;
  /** t of docs/format.md section 3.2; 0 with one lane. */
  tailUnits: number;
  /** Length of the escape section. */
  escapeBytes: number;
}

export interface BareHeader extends StreamHeader {
  /** Where states and words begin. */
  body: number;
}

export interface PacketHeader extends BareHeader {
  /** The low 32 bits of the table's fingerprint. */
  fingerprint: number | undefined;
  dims: number[];
  elements: number;
  /** The stream is [start, end) of the packet. */
  start: number;
  end: number;
}

/** Whether it is a Uint8Array, of any realm: a Buffer that comes into a test runner's sandbox is no instance of the sandbox's class. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || Object.prototype.toString.call(value) === "[object Uint8Array]";
}

/** Reads minimal LEB128 numbers; `position` moves on. */
export class VarintReader {
  constructor(
    readonly bytes: Uint8Array,
    public position: number,
    readonly end: number,
  ) {}

  /** Throws TRUNCATED or CORRUPTED, naming `field`. */
  read(field: string): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (this.position >= this.end) throw new CodecError("TRUNCATED", `the input ends inside ${field}`);
      const byte = this.bytes[this.position++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > MAX_DIMENSION || (byte === 0 && scale > 1)) break;
        return value;
      }
      if (scale > 0x1000000) break;
    }
    throw new CodecError("CORRUPTED", `${field} is not a valid number`);
  }
}

/** Appends a minimal LEB128 number. */
export function pushVarint(target: number[], value: number): void {
  while (value >= 0x80) {
    target.push((value % 0x80) | 0x80);
    value = Math.floor(value / 0x80);
  }
  target.push(value);
}

export const pushUint32 = (target: number[], value: number): number =>
  target.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

export function controlByte({ lanes, layout, tailUnits, escapeBytes }: StreamHeader): number {
  const code = TAILS.indexOf(tailUnits);
  return (
    LANES.indexOf(lanes) |
    (layout ? LAYOUT_RUNS : 0) |
    (escapeBytes > 0 ? HAS_ESCAPES : 0) |
    ((code < 0 ? TAILS.length : code) << TAIL_CODE_SHIFT)
  );
}

/** t and E, which follow the control byte and the shape. */
export function pushLengths(header: number[], { tailUnits, escapeBytes }: StreamHeader): number[] {
  if (!TAILS.includes(tailUnits)) pushVarint(header, tailUnits);
  if (escapeBytes > 0) pushVarint(header, escapeBytes);
  return header;
}

/** Bytes of a packet that precede states, words and escapes; `fingerprint` undefined leaves it out. */
export function writePacketHeader(
  stream: StreamHeader,
  dims: readonly number[],
  checksum: boolean,
  fingerprint: number | undefined,
): number[] {
  const batchOfOne = dims[0] === 1;
  const header = [
    MAGIC_0,
    MAGIC_1 |
      (checksum ? HAS_CHECKSUM : 0) |
      (fingerprint === undefined ? 0 : HAS_FINGERPRINT) |
      (batchOfOne ? BATCH_OF_ONE : 0),
    VERSION | ((stream.compressai ? KIND_COMPRESSAI : 0) << 3) | (dims.length << 5),
    controlByte(stream),
  ];
  if (fingerprint !== undefined) pushUint32(header, fingerprint);
  for (let d = batchOfOne ? 1 : 0; d < dims.length; d++) pushVarint(header, dims[d]!);
  return pushLengths(header, stream);
}

/** The same for a bare stream: nothing before CompressAI's. */
export function writeBareHeader(stream: StreamHeader): number[] {
  return stream.compressai ? [] : pushLengths([controlByte(stream)], stream);
}

export function checkControl(control: number, compressai: boolean): void {
  const code = control >> TAIL_CODE_SHIFT;
  const oneLane = (control & 3) === 0;
  if (compressai ? control !== 0 : oneLane ? (control & LAYOUT_RUNS) !== 0 || code !== 0 : code === 0)
    throw new CodecError("CORRUPTED", "contradictions in the control byte");
}

/** Reads t and E with `reader`, which stands behind the shape. */
export function readStreamHeader(control: number, compressai: boolean, reader: VarintReader): BareHeader {
  const lanes = LANES[control & 3]!;
  const code = control >> TAIL_CODE_SHIFT;
  const tailUnits = TAILS[code] ?? reader.read("the tail length");
  if (code === TAILS.length && tailUnits <= TAILS[TAILS.length - 1]!) {
    throw new CodecError("CORRUPTED", "a tail length that has a code");
  }
  let escapeBytes = 0;
  if (control & HAS_ESCAPES) {
    escapeBytes = reader.read("the escape length");
    if (escapeBytes === 0) throw new CodecError("CORRUPTED", "an empty escape section");
    if (escapeBytes > reader.end - reader.position)
      throw new CodecError("TRUNCATED", "the input ends inside the escapes");
  }
  const layout = control & LAYOUT_RUNS ? 1 : 0;
  return { compressai, lanes, layout, tailUnits, escapeBytes, body: reader.position };
}

/** Reads what precedes states and words in a native bare stream. */
export function parseBareHeader(bytes: Uint8Array): BareHeader {
  if (bytes.length === 0) throw new CodecError("TRUNCATED", "a native stream has at least one byte");
  checkControl(bytes[0]!, false);
  return readStreamHeader(bytes[0]!, false, new VarintReader(bytes, 1, bytes.length));
}

/** What every packet begins with. */
export interface PacketStart {
  flags: number;
  /** 0 native, 1 CompressAI, 2 several parts. */
  kind: number;
  /** The upper three bits of the third byte: a rank, or flags. */
  upper: number;
  /** Where the checksum begins. */
  end: number;
}

/** Checks magic, version and checksum; `checksumOf(length)` gives XXH32 of the first bytes and is not called where the packet has no checksum. */
export function parsePacketStart(
  bytes: Uint8Array,
  lowestKind: number,
  highestKind: number,
  checksumOf: (length: number) => number,
): PacketStart {
  if (bytes.length < 4) throw new CodecError("TRUNCATED", "a packet has at least 4 bytes");
  const flags = bytes[1]!;
  if (bytes[0] !== MAGIC_0 || (flags & MAGIC_1_MASK) !== MAGIC_1) {
    throw new CodecError("NOT_A_PACKET", "the packet magic is missing");
  }
  const version = bytes[2]! & 7;
  const kind = (bytes[2]! >> 3) & 3;
  if (version !== VERSION || kind < lowestKind || kind > highestKind) {
    const reader = kind < lowestKind ? "decode() reads kinds 0 and 1" : "kind 2 is for reader() of latentwire/full";
    throw new CodecError("UNSUPPORTED_VERSION", `packet version ${version}, kind ${kind}; ${reader}`);
  }
  const checksum = (flags & HAS_CHECKSUM) !== 0;
  const end = bytes.length - (checksum ? 4 : 0);
  if (checksum) {
    if (end < 4) throw new CodecError("TRUNCATED", "the packet ends before its checksum");
    if (checksumOf(end) !== readUint32(bytes, end)) {
      throw new CodecError("CORRUPTED", "wrong checksum: the packet is damaged");
    }
  }
  return { flags, kind, upper: bytes[2]! >> 5, end };
}

/**
 * Reads a packet's header in the order of docs/format.md section 2. `checksumOf` as in parsePacketStart. `accept` may throw for a
 * fingerprint that is not the wanted one.
 */
export function parsePacketHeader(
  bytes: Uint8Array,
  checksumOf: (length: number) => number,
  accept?: (fingerprint: number | undefined) => void,
): PacketHeader {
  const { flags, kind, upper: rank, end } = parsePacketStart(bytes, 0, KIND_COMPRESSAI, checksumOf);
  if (rank === 0) throw new CodecError("CORRUPTED", "rank 0");
  let position = 4;
  let fingerprint: number | undefined;
  if (flags & HAS_FINGERPRINT) {
    if (end < 8) throw new CodecError("TRUNCATED", "the input ends inside the fingerprint");
    fingerprint = readUint32(bytes, 4);
    position = 8;
  }
  const reader = new VarintReader(bytes, position, end);
  const dims = flags & BATCH_OF_ONE ? [1] : [];
  while (dims.length < rank) {
    dims.push(reader.read("the shape"));
    if (dims.length === 1 && dims[0] === 1) throw new CodecError("CORRUPTED", "a first dimension of 1 is a flag");
  }
  const elements = dims.reduce((a, b) => a * b, 1);
  if (elements > MAX_DIMENSION)
    throw new CodecError("CORRUPTED", `the shape [${dims}] has more than 2^31 - 1 elements`);
  const start = reader.position;
  checkControl(bytes[3]!, kind === KIND_COMPRESSAI);
  accept?.(fingerprint);
  // Not a spread: that alone takes a microsecond, more than the rest of a small packet's header.
  const header = readStreamHeader(bytes[3]!, kind === KIND_COMPRESSAI, reader) as PacketHeader;
  header.fingerprint = fingerprint;
  header.dims = dims;
  header.elements = elements;
  header.start = start;
  header.end = end;
  return header;
}

/**
 * Explains a packet without its table.
 *
 * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED` or `CORRUPTED` if the header cannot be read. A wrong checksum is
 * reported in the result, not thrown.
 */
export function inspect(packet: Uint8Array): PacketInfo {
  if (!isBytes(packet)) throw new TypeError("packet must be a Uint8Array");
  let checksum: PacketInfo["checksum"] = "absent";
  const header = parsePacketHeader(packet, (length) => {
    const stored = readUint32(packet, length);
    checksum = xxh32(packet.subarray(0, length)) === stored ? "valid" : "invalid";
    return stored;
  });
  return {
    version: VERSION,
    stream: header.compressai ? "compressai" : "native",
    dims: header.dims,
    elements: header.elements,
    lanes: header.lanes,
    layout: header.layout ? "runs" : "continuous",
    escapes: header.escapeBytes > 0,
    fingerprint: header.fingerprint?.toString(16).padStart(8, "0"),
    checksum,
    headerBytes: header.start,
    streamBytes: header.end - header.start,
    totalBytes: packet.length,
  };
}

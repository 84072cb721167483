// A packet but for its symbols: prefix, sections and check; docs/format.md sections 2, 8.2 to 8.4 and 10.
import { corrupted, fail, most, Reader, truncated, Writer } from "./bytes.js";
import { xxh32 } from "./hash.js";
import { productOf } from "./part.js";
import type { LaneCount, StreamForm } from "./stream.js";

/** A string is CompressAI's stream alone. */
export type PacketForm = "full" | "compact" | "string";
export type StreamKind = "native" | "compressai";
/** Bytes of the check. A full packet has 0 or 4. */
export type CheckSize = 0 | 2 | 4;

/** An entry of the file hashes, section 11. */
export interface FileHash {
  /** 0: the table bundle, 1: the decoder network, 2: the rest of the network. */
  readonly file: number;
  /** The first 8 bytes of its SHA-256. */
  readonly hash: Uint8Array;
}

export interface Header extends StreamForm {
  readonly form: PacketForm;
  readonly check: CheckSize;
  readonly kind: StreamKind;
  /** Of a full packet that has one. */
  readonly fingerprint: number | undefined;
  /** The form of one part if it is 1, otherwise that of several. */
  readonly parts: number;
  /** Shape of the only part of a full packet. */
  readonly dims: readonly number[] | undefined;
  /** Symbols of all parts. A compact packet of one part does not say, unless it is a sequence. */
  readonly n: number | undefined;
  /** Of the parts whose rows belong to channels, in a full packet of several parts. */
  readonly shapes: readonly (readonly number[])[];
  /** Positions among the parameters of all parts, ascending. */
  readonly corrections: readonly number[];
  /** One per part, or undefined. */
  readonly indexChecks: readonly number[] | undefined;
  /** Numbers of the parts that have static rows though their prior has a context, section 10.6. */
  readonly statics: readonly number[] | undefined;
  readonly files: readonly FileHash[];
  readonly stream: Uint8Array;
}

/** What reader and writer agree on. */
export interface Agreement {
  /** Default: full. */
  readonly form?: PacketForm;
  /** Of a compact packet; a full one says itself. Default: 4. */
  readonly check?: CheckSize;
}

const magic = [0x6c, 0x70] as const;
const version = 1;
const laneCounts: readonly LaneCount[] = [1, 8, 16, 32];
/** Of the second byte. */
const second = { check: 1, fingerprint: 2, batchOfOne: 4, magic: 0xf8 };
/** Of the third byte. */
const third = { version: 7, count: 7 << 3, several: 1 << 6, shapes: 1 << 7 };
/** Of the control byte. */
const control = { lanes: 3, sections: 4, escapes: 8 };
const sections = { corrections: 1, indexChecks: 2, statics: 4, files: 8, several: 16, reserved: 0xe0 };
/** Of the first byte of a shape, section 8.2. */
const shape = { rank: 7, batchOfOne: 8, another: 16, reserved: 0xe0 };
/** In the third byte: the number of parts follows. */
const countFollows = 7;
const fileHashSize = 8;
/** Parts of a packet, and bytes of its file hashes. */
const mostParts = 65536;
const mostFileBytes = 2295;

/** The first dimension is left out where it is 1; a bit elsewhere says so. */
function writtenDims(dims: readonly number[]): readonly number[] {
  return dims[0] === 1 ? dims.slice(1) : dims;
}

function writePrefix(out: Writer, header: Header): void {
  const { check, fingerprint, parts, dims, shapes } = header;
  out.byte(magic[0]);
  out.byte(
    magic[1] |
      (check ? second.check : 0) |
      (fingerprint === undefined ? 0 : second.fingerprint) |
      (parts === 1 && dims?.[0] === 1 ? second.batchOfOne : 0),
  );
  const count = parts === 1 ? dims!.length : Math.min(parts, countFollows);
  out.byte(version | (count << 3) | (parts === 1 ? 0 : third.several) | (shapes.length > 0 ? third.shapes : 0));
}

function writeSections(out: Writer, { parts, shapes, corrections, indexChecks, statics, files }: Header): void {
  shapes.forEach((dims, i) => {
    out.byte(dims.length | (dims[0] === 1 ? shape.batchOfOne : 0) | (i < shapes.length - 1 ? shape.another : 0));
    for (const dim of writtenDims(dims)) out.varint(dim);
  });
  if (corrections.length > 0) out.varint(corrections.length);
  corrections.forEach((at, i) => {
    out.varint(i === 0 ? at : at - corrections[i - 1] - 1);
  });
  for (const check of indexChecks ?? []) out.u16(check);
  if (statics) {
    const flags = new Uint8Array(Math.ceil(parts / 8));
    for (const p of statics) flags[p >> 3] |= 1 << (p & 7);
    out.all(flags);
  }
  if (files.length > 0) out.varint(files.length * (1 + fileHashSize));
  for (const { file, hash } of files) {
    out.byte(file);
    out.all(hash);
  }
}

/** `seed`: of the check, 0 in a full packet. */
export function writePacket(header: Header, seed: number): Uint8Array {
  const { form, check, kind, fingerprint, parts, dims, n, corrections, indexChecks, statics, files } = header;
  const isCompact = form === "compact";
  const sectionsByte =
    (corrections.length > 0 ? sections.corrections : 0) |
    (indexChecks ? sections.indexChecks : 0) |
    (statics ? sections.statics : 0) |
    (files.length > 0 ? sections.files : 0) |
    (isCompact && n !== undefined ? sections.several : 0);
  if (form === "string") {
    if (sectionsByte) throw new RangeError("a stream without a control byte has no room for sections");
    return header.stream;
  }
  const out = new Writer();
  if (!isCompact) writePrefix(out, header);
  out.byte(
    laneCounts.indexOf(header.lanes) |
      (sectionsByte ? control.sections : 0) |
      (header.escapes ? control.escapes : 0) |
      ((kind === "compressai" ? 1 : header.tailCode) << 4),
  );
  if (sectionsByte) out.byte(sectionsByte);
  if (fingerprint !== undefined) out.u32(fingerprint);
  if (isCompact ? n !== undefined : parts !== 1) {
    if (isCompact || parts >= countFollows) out.varint(parts);
    out.varint(n!);
  } else if (!isCompact) for (const dim of writtenDims(dims!)) out.varint(dim);
  writeSections(out, header);
  out.all(header.stream);
  if (check === 4) out.u32(xxh32(out.done(), seed));
  if (check === 2) out.u16(xxh32(out.done(), seed) & 0xffff);
  return out.done();
}

/** Of a packet whose length is known to suffice. */
export function verifyCheck(bytes: Uint8Array, check: CheckSize, seed: number): void {
  const end = bytes.length - check;
  const hash = xxh32(bytes.subarray(0, end), seed);
  const reader = new Reader(bytes.subarray(end));
  if (check === 4 && reader.u32() !== hash) corrupted("the check does not fit");
  if (check === 2 && reader.u16() !== (hash & 0xffff)) corrupted("the check does not fit");
}

function readDims(reader: Reader, rank: number, isBatchOfOne: boolean): number[] {
  if (rank === 0) corrupted("a shape without dimensions");
  const dims = isBatchOfOne ? [1] : [reader.varint()];
  if (dims[0] === 1 && !isBatchOfOne) corrupted("a first dimension of 1 that is written out");
  while (dims.length < rank) dims.push(reader.varint());
  if (productOf(dims) > most) corrupted(`[${dims}] are more than 2^31 - 1 symbols`);
  return dims;
}

function readShapes(reader: Reader): number[][] {
  const shapes: number[][] = [];
  for (let hasAnother = true; hasAnother; ) {
    const first = reader.byte();
    if (first & shape.reserved) corrupted(`a shape that begins with ${first}`);
    shapes.push(readDims(reader, first & shape.rank, (first & shape.batchOfOne) !== 0));
    hasAnother = (first & shape.another) !== 0;
  }
  return shapes;
}

function readCorrections(reader: Reader): number[] {
  const count = reader.varint();
  if (count === 0 || count > reader.left) corrupted(`${count} corrections in ${reader.left} bytes`);
  const positions = [reader.varint()];
  while (positions.length < count) positions.push(positions[positions.length - 1] + 1 + reader.varint());
  return positions;
}

function readIndexChecks(reader: Reader, parts: number): number[] {
  if (parts === 0) corrupted("index checks of no parts");
  if (2 * parts > reader.left) truncated("the index checks are incomplete");
  return Array.from({ length: parts }, () => reader.u16());
}

function readFiles(reader: Reader): FileHash[] {
  const length = reader.varint(mostFileBytes);
  if (length === 0 || length % (1 + fileHashSize) !== 0) corrupted(`${length} bytes of file hashes`);
  const entries = new Reader(reader.take(length));
  const files: FileHash[] = [];
  while (entries.left > 0) files.push({ file: entries.byte(), hash: entries.take(fileHashSize) });
  return files;
}

/** What the control byte says: whether sections follow, which stream, and its form. */
function readControl(byte: number): StreamForm & { kind: StreamKind; hasSections: boolean } {
  const lanes = laneCounts[byte & control.lanes];
  const escapes = (byte & control.escapes) !== 0;
  const code = byte >> 4;
  if (lanes > 1 ? code === 0 : code > 1) corrupted(`code ${code} with ${lanes} lanes`);
  const kind = lanes === 1 && code === 1 ? "compressai" : "native";
  if (kind === "compressai" && escapes) corrupted("CompressAI's stream has no escape section");
  const hasSections = (byte & control.sections) !== 0;
  return { lanes, escapes, tailCode: lanes > 1 ? code : 0, kind, hasSections };
}

function readSectionsByte(reader: Reader, form: PacketForm): number {
  const byte = reader.byte();
  if (byte === 0) corrupted("no sections");
  if (byte & sections.reserved) fail("UNSUPPORTED_VERSION", "a reserved section");
  if (form === "full" && byte & sections.several) corrupted("the prefix says how many parts there are");
  return byte;
}

/** Length, magic, version and check of a full packet. Returns where the check begins. */
function checkWhole(bytes: Uint8Array): number {
  if (bytes.length < 4) truncated("no room for prefix and control byte");
  if (bytes[0] !== magic[0] || (bytes[1] & second.magic) !== magic[1]) fail("NOT_A_PACKET", "no magic");
  if ((bytes[2] & third.version) !== version) fail("UNSUPPORTED_VERSION", `version ${bytes[2] & third.version}`);
  if (!(bytes[1] & second.check)) return bytes.length;
  if (bytes.length < 8) truncated("no room for the check");
  verifyCheck(bytes, 4, 0);
  return bytes.length - 4;
}

interface Prefix {
  readonly hasFingerprint: boolean;
  readonly isBatchOfOne: boolean;
  readonly isSeveral: boolean;
  readonly hasShapes: boolean;
  /** c of section 2.1. */
  readonly count: number;
}

function readPrefix(reader: Reader): Prefix {
  const [, flags, kind] = reader.take(3);
  const prefix = {
    hasFingerprint: (flags & second.fingerprint) !== 0,
    isBatchOfOne: (flags & second.batchOfOne) !== 0,
    isSeveral: (kind & third.several) !== 0,
    hasShapes: (kind & third.shapes) !== 0,
    count: (kind & third.count) >> 3,
  };
  const { isSeveral, isBatchOfOne, hasShapes, count } = prefix;
  if (isSeveral && isBatchOfOne) corrupted("a batch of one in a packet of several parts");
  if (isSeveral && count === 1) corrupted("one part in the form of several");
  if (!isSeveral && hasShapes) corrupted("shapes in a packet of one part");
  if (!isSeveral && count === 0) corrupted("a shape without dimensions");
  return prefix;
}

/** The number of parts, with the shape of the only one or the number of symbols of several. */
function readParts(
  reader: Reader,
  isSeveral: boolean,
  prefix: Prefix | undefined,
): Pick<Header, "parts" | "dims" | "n"> {
  if (!isSeveral) {
    const dims = prefix && readDims(reader, prefix.count, prefix.isBatchOfOne);
    return { parts: 1, dims, n: dims && productOf(dims) };
  }
  const isStored = !prefix || prefix.count === countFollows;
  const parts = isStored ? reader.varint(mostParts) : prefix.count;
  // A compact packet says 1 for a lone sequence, whose length its reader does not know.
  if (prefix && (parts === 1 || (isStored && parts < countFollows))) corrupted(`${parts} parts`);
  return { parts, dims: undefined, n: reader.varint() };
}

function readStatics(reader: Reader, parts: number): number[] {
  const flags = reader.take(Math.ceil(parts / 8));
  const found: number[] = [];
  for (let p = 0; p < 8 * flags.length; p++) if ((flags[p >> 3] >> (p & 7)) & 1) found.push(p);
  if (found.length === 0 || found[found.length - 1] >= parts) corrupted("static flags");
  return found;
}

/** Everything up to the stream, in the order of section 2.5. The check of a compact packet needs priors: it is not verified here. */
export function parsePacket(bytes: Uint8Array, agreement: Agreement = {}): Header {
  const { form = "full", check = 4 } = agreement;
  const nothing = {
    fingerprint: undefined,
    shapes: [],
    corrections: [],
    indexChecks: undefined,
    statics: undefined,
    files: [],
  };
  if (form === "string") {
    const one = { lanes: 1, escapes: false, tailCode: 0, parts: 1, dims: undefined, n: undefined } as const;
    return { ...nothing, ...one, form, check: 0, kind: "compressai", stream: bytes };
  }
  const end = form === "full" ? checkWhole(bytes) : bytes.length - check;
  if (end < 1) truncated("no room for the control byte");
  const reader = new Reader(bytes.subarray(0, end));
  const prefix = form === "full" ? readPrefix(reader) : undefined;
  const { hasSections, ...said } = readControl(reader.byte());
  const present = hasSections ? readSectionsByte(reader, form) : 0;
  const isSeveral = prefix ? prefix.isSeveral : (present & sections.several) !== 0;
  if (isSeveral && said.kind === "compressai") corrupted("CompressAI's stream is for one part");
  const fingerprint = prefix?.hasFingerprint ? reader.u32() : undefined;
  const numbers = readParts(reader, isSeveral, prefix);
  // In the order of the table, one after the other.
  const shapes = prefix?.hasShapes ? readShapes(reader) : [];
  const corrections = present & sections.corrections ? readCorrections(reader) : [];
  const indexChecks = present & sections.indexChecks ? readIndexChecks(reader, numbers.parts) : undefined;
  const statics = present & sections.statics ? readStatics(reader, numbers.parts) : undefined;
  const files = present & sections.files ? readFiles(reader) : [];
  return {
    ...said,
    ...numbers,
    form,
    check: form === "compact" ? check : end === bytes.length ? 0 : 4,
    fingerprint,
    shapes,
    corrections,
    indexChecks,
    statics,
    files,
    stream: reader.take(reader.left),
  };
}

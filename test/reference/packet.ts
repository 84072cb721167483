// Header, checksum and bare streams; docs/format.md section 2.
import { concat, Reader, Writer } from "./bytes.js";
import { decodeCompressai, encodeCompressai } from "./compressai.js";
import { corrupted, FormatError, truncated } from "./errors.js";
import { xxh32 } from "./hash.js";
import type { Layout } from "./lanes.js";
import { decodeNative, encodeNative, type LaneCount, type StreamForm } from "./stream.js";
import type { Coding } from "./symbol.js";

export type StreamKind = "native" | "compressai";

export interface PacketOptions {
  readonly stream?: StreamKind;
  readonly lanes?: LaneCount;
  readonly layout?: Layout;
  readonly checksum?: boolean;
  /** 16 hex digits; left out of the packet where undefined. */
  readonly fingerprint?: string;
}

export interface Header {
  readonly kind: StreamKind;
  readonly form: StreamForm;
  readonly dims: number[];
  readonly fingerprint: string | undefined;
  readonly checksum: boolean;
  readonly stream: Uint8Array;
}

const laneCounts: readonly LaneCount[] = [1, 8, 16, 32];
const checksumBit = 1;
const fingerprintBit = 2;
const batchOfOneBit = 4;
const maxElements = 2 ** 31 - 1;

export function formBits({ lanes, layout, escapes, tailCode }: StreamForm): number {
  return laneCounts.indexOf(lanes) | (layout === "runs" ? 4 : 0) | (escapes ? 8 : 0) | (tailCode << 4);
}

export function formOf(control: number): StreamForm {
  const form: StreamForm = {
    lanes: laneCounts[control & 3],
    layout: control & 4 ? "runs" : "continuous",
    escapes: (control & 8) !== 0,
    tailCode: control >> 4,
  };
  if (form.lanes === 1 && form.layout === "runs") corrupted("one lane has no runs");
  if ((form.lanes === 1) !== (form.tailCode === 0)) corrupted("one lane has no tail, more have one");
  return form;
}

function code(
  symbols: ArrayLike<number>,
  coding: Coding,
  options: PacketOptions,
): { bits: number; stream: Uint8Array } {
  if (options.stream === "compressai") return { bits: 0, stream: encodeCompressai(symbols, coding) };
  const { form, stream } = encodeNative(symbols, coding, options.lanes ?? 1, options.layout);
  return { bits: formBits(form), stream };
}

export function encodePacket(
  symbols: ArrayLike<number>,
  dims: readonly number[],
  coding: Coding,
  options: PacketOptions = {},
): Uint8Array {
  const { bits, stream } = code(symbols, coding, options);
  const out = new Writer();
  out.byte(0x4c);
  out.byte(
    0x50 |
      (options.checksum ? checksumBit : 0) |
      (options.fingerprint ? fingerprintBit : 0) |
      (dims[0] === 1 ? batchOfOneBit : 0),
  );
  out.byte(1 | ((options.stream === "compressai" ? 1 : 0) << 3) | (dims.length << 5));
  out.byte(bits);
  if (options.fingerprint) out.u32(Number.parseInt(options.fingerprint.slice(8), 16));
  for (const dim of dims.slice(dims[0] === 1 ? 1 : 0)) out.varint(dim);
  out.all(stream);
  if (options.checksum) out.u32(xxh32(out.done()));
  return out.done();
}

/** Everything up to the stream, in the order of the checks that section 2 prescribes. */
export function parsePacket(bytes: Uint8Array): Header {
  if (bytes.length < 4) truncated("no room for a header");
  if (bytes[0] !== 0x4c || bytes[1] >> 3 !== 0x0a) throw new FormatError("NOT_A_PACKET", "no magic");
  const version = bytes[2] & 7;
  const kind = (bytes[2] >> 3) & 3;
  const rank = bytes[2] >> 5;
  if (version !== 1 || kind > 1)
    throw new FormatError("UNSUPPORTED_VERSION", `version ${version}, stream kind ${kind}`);
  const flags = bytes[1];
  if (rank === 0) corrupted("rank 0");

  let end = bytes.length;
  const checksum = (flags & checksumBit) !== 0;
  if (checksum) {
    if (end < 8) truncated("no room for the checksum");
    end -= 4;
    if (new Reader(bytes.subarray(end)).u32() !== xxh32(bytes.subarray(0, end))) corrupted("checksum");
  }
  const reader = new Reader(bytes.subarray(0, end));
  reader.take(4);
  const fingerprint = flags & fingerprintBit ? reader.u32().toString(16).padStart(8, "0") : undefined;
  const dims = flags & batchOfOneBit ? [1] : [reader.varint()];
  if (dims[0] === 1 && !(flags & batchOfOneBit)) corrupted("a first dimension of 1 that is written out");
  while (dims.length < rank) dims.push(reader.varint());
  if (dims.some((dim) => dim > maxElements) || dims.reduce((a, b) => a * b, 1) > maxElements) corrupted("shape");
  const control = bytes[3];
  if (kind === 1 && control !== 0) corrupted("stream bits on a CompressAI packet");
  const form = formOf(control);
  return {
    kind: kind === 1 ? "compressai" : "native",
    form,
    dims,
    fingerprint,
    checksum,
    stream: reader.take(reader.left),
  };
}

/** `coding` must be that of the shape in the header; `fingerprint` is the table's own. */
export function decodePacket(
  bytes: Uint8Array,
  coding: Coding,
  fingerprint: string,
): { dims: number[]; symbols: Int32Array } {
  const header = parsePacket(bytes);
  if (header.fingerprint !== undefined && header.fingerprint !== fingerprint.slice(8))
    throw new FormatError("WRONG_TABLES", header.fingerprint);
  const n = header.dims.reduce((a, b) => a * b, 1);
  if (n !== coding.index.length) throw new FormatError("SHAPE_MISMATCH", `${n} symbols, ${coding.index.length} known`);
  const symbols =
    header.kind === "native"
      ? decodeNative(header.stream, header.form, n, coding)
      : decodeCompressai(header.stream, n, coding);
  return { dims: header.dims, symbols };
}

export function encodeBare(symbols: ArrayLike<number>, coding: Coding, options: PacketOptions = {}): Uint8Array {
  const { bits, stream } = code(symbols, coding, options);
  return options.stream === "compressai" ? stream : concat([bits], stream);
}

export function decodeBare(bytes: Uint8Array, n: number, coding: Coding, kind: StreamKind = "native"): Int32Array {
  if (kind === "compressai") return decodeCompressai(bytes, n, coding);
  if (bytes.length < 1) truncated("no control byte");
  return decodeNative(bytes.subarray(1), formOf(bytes[0]), n, coding);
}

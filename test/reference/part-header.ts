// Header of a packet of several parts; docs/format.md section 8.
import { Reader, Writer } from "./bytes.js";
import { corrupted, FormatError, truncated } from "./errors.js";
import { xxh32 } from "./hash.js";
import { formBits, formOf } from "./packet.js";
import type { StreamForm } from "./stream.js";

export interface PartsHeader {
  readonly form: StreamForm;
  readonly n: number;
  /** Of the factorized parts, in order. */
  readonly shapes: readonly (readonly number[])[];
  /** Positions among all symbols, ascending. */
  readonly corrections: readonly number[];
  /** One per part, or none. */
  readonly checks: readonly number[];
  readonly fingerprint: number | undefined;
  readonly checksum: boolean;
}

const checksumBit = 1;
const fingerprintBit = 2;
const batchOfOneBit = 4;
const kind = 2;
const shapesBit = 1 << 5;
const correctionsBit = 1 << 6;
const checksBit = 1 << 7;
const shapeOfBatchOfOne = 1 << 3;
const anotherShape = 1 << 4;
const most = 2 ** 31 - 1;

export function writeParts(header: PartsHeader, stream: Uint8Array): Uint8Array {
  const { form, n, shapes, corrections, checks, fingerprint, checksum } = header;
  const out = new Writer();
  out.byte(0x4c);
  out.byte(0x50 | (checksum ? checksumBit : 0) | (fingerprint === undefined ? 0 : fingerprintBit));
  out.byte(
    1 |
      (kind << 3) |
      (shapes.length > 0 ? shapesBit : 0) |
      (corrections.length > 0 ? correctionsBit : 0) |
      (checks.length > 0 ? checksBit : 0),
  );
  out.byte(formBits(form));
  if (fingerprint !== undefined) out.u32(fingerprint);
  out.varint(n);
  shapes.forEach((dims, i) => {
    const one = dims[0] === 1;
    out.byte(dims.length | (one ? shapeOfBatchOfOne : 0) | (i < shapes.length - 1 ? anotherShape : 0));
    for (const dim of dims.slice(one ? 1 : 0)) out.varint(dim);
  });
  if (corrections.length > 0) out.varint(corrections.length);
  corrections.forEach((at, i) => {
    out.varint(i === 0 ? at : at - corrections[i - 1] - 1);
  });
  if (checks.length > 0) out.varint(checks.length);
  for (const check of checks) out.u16(check);
  out.all(stream);
  if (checksum) out.u32(xxh32(out.done()));
  return out.done();
}

function readShape(reader: Reader): { dims: number[]; another: boolean } {
  const first = reader.byte();
  const rank = first & 7;
  if (rank === 0 || first >> 5 !== 0) corrupted(`a shape that begins with ${first}`);
  const dims = first & shapeOfBatchOfOne ? [1] : [reader.varint()];
  if (dims[0] === 1 && !(first & shapeOfBatchOfOne)) corrupted("a first dimension of 1 that is written out");
  while (dims.length < rank) dims.push(reader.varint());
  if (dims.some((dim) => dim > most) || dims.reduce((a, b) => a * b, 1) > most) corrupted("shape");
  return { dims, another: (first & anotherShape) !== 0 };
}

function readShapes(reader: Reader): number[][] {
  const shapes: number[][] = [];
  for (let another = true; another; ) {
    const shape = readShape(reader);
    shapes.push(shape.dims);
    another = shape.another;
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

function readChecks(reader: Reader): number[] {
  const count = reader.varint();
  if (count === 0) corrupted("index checks of no part");
  if (count > reader.left / 2) truncated("the index checks are incomplete");
  return Array.from({ length: count }, () => reader.u16());
}

/** Everything up to the stream, in the order of the checks that section 2 prescribes. */
export function parseParts(bytes: Uint8Array): PartsHeader & { stream: Uint8Array } {
  if (bytes.length < 4) truncated("no room for a header");
  if (bytes[0] !== 0x4c || bytes[1] >> 3 !== 0x0a) throw new FormatError("NOT_A_PACKET", "no magic");
  const [, flags, kinds, control] = bytes;
  if ((kinds & 7) !== 1 || ((kinds >> 3) & 3) !== kind)
    throw new FormatError("UNSUPPORTED_VERSION", `version ${kinds & 7}, stream kind ${(kinds >> 3) & 3}`);
  let end = bytes.length;
  const checksum = (flags & checksumBit) !== 0;
  if (checksum) {
    if (end < 8) truncated("no room for the checksum");
    end -= 4;
    if (new Reader(bytes.subarray(end)).u32() !== xxh32(bytes.subarray(0, end))) corrupted("checksum");
  }
  if (flags & batchOfOneBit) corrupted("a batch of one");
  const form = formOf(control);
  if (form.layout === "runs") corrupted("layout 1");
  const reader = new Reader(bytes.subarray(4, end));
  const fingerprint = flags & fingerprintBit ? reader.u32() : undefined;
  const n = reader.varint();
  if (n > most) corrupted(`${n} symbols`);
  const shapes = kinds & shapesBit ? readShapes(reader) : [];
  const corrections = kinds & correctionsBit ? readCorrections(reader) : [];
  const checks = kinds & checksBit ? readChecks(reader) : [];
  return { form, n, shapes, corrections, checks, fingerprint, checksum, stream: reader.take(reader.left) };
}

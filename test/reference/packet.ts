// Packets of one part or of several, written and read; docs/format.md sections 2 and 8.
import { corrupted, fail } from "./bytes.js";
import { decodeCompressai, encodeCompressai } from "./compressai.js";
import {
  type Agreement,
  type CheckSize,
  type FileHash,
  type Header,
  parsePacket,
  type StreamKind,
  verifyCheck,
  writePacket,
} from "./header.js";
import {
  compactSeed,
  countOf,
  type PartCoding,
  type PartPrior,
  packetFingerprint,
  parametersOf,
  partCoding,
  productOf,
} from "./part.js";
import { indexCheck } from "./rows.js";
import { type CodedPart, decodeNative, encodeNative, type LaneCount, type StreamForm } from "./stream.js";

export interface ReferencePart {
  readonly prior: PartPrior;
  readonly dims: readonly number[];
  readonly symbols: ArrayLike<number>;
  /** Ascending positions, within the part, of the parameters that are corrected. */
  readonly corrections?: readonly number[];
  /** Rows of the table although the prior has a context. In CompressAI's stream they are used without being asked for. */
  readonly isStatic?: boolean;
}

export interface PacketOptions extends Agreement {
  /** Default: native; of a string, CompressAI's. */
  readonly stream?: StreamKind;
  /** What the encoder would like; short streams have one. Default: 1. */
  readonly lanes?: LaneCount;
  /** 0 or 4 in a full packet. Default: 4. */
  readonly check?: CheckSize;
  /** Of a full packet. Default: true. */
  readonly fingerprint?: boolean;
  readonly indexChecks?: boolean;
  /** The only part is one whose length the reader of a compact packet does not know, section 2.4. */
  readonly sequence?: boolean;
  /** Section 11; none are written where left out. */
  readonly files?: readonly FileHash[];
}

export interface ReadOptions extends Agreement {
  /** The shape of every part. A compact packet does not say them. */
  readonly dims?: readonly (readonly number[])[];
}

function encodeStream(
  coded: readonly CodedPart[],
  { form, stream: kind = form === "string" ? "compressai" : "native", lanes = 1 }: PacketOptions,
): { form: StreamForm; stream: Uint8Array } {
  if (kind === "native") return encodeNative(coded, lanes);
  if (coded.length !== 1) throw new RangeError("CompressAI's stream is for packets of one part");
  const [{ symbols, coding }] = coded;
  return { form: { lanes: 1, escapes: false, tailCode: 0 }, stream: encodeCompressai(symbols, coding) };
}

export function encodePacket(parts: readonly ReferencePart[], options: PacketOptions = {}): Uint8Array {
  const { form = "full", check = 4, stream: kind = "native", files = [] } = options;
  if (form === "full" && check === 2) throw new RangeError("the check of a full packet has 4 bytes or none");
  const isCompressai = kind === "compressai" || form === "string";
  const codings = parts.map(({ prior, dims, corrections = [], isStatic = false }) =>
    partCoding(prior, dims, corrections, isStatic || isCompressai),
  );
  const statics = [...parts.keys()].filter((p) => parts[p].isStatic);
  const coded = encodeStream(
    parts.map(({ symbols }, p) => ({ symbols, coding: codings[p] })),
    options,
  );
  let start = 0;
  const corrections: number[] = [];
  for (const part of parts) {
    for (const at of part.corrections ?? []) corrections.push(start + at);
    start += parametersOf(part.prior, part.symbols.length);
  }
  const isFull = form === "full";
  const isOne = parts.length === 1;
  const header: Header = {
    ...coded.form,
    form,
    check,
    kind,
    fingerprint:
      isFull && (options.fingerprint ?? true) ? packetFingerprint(parts.map(({ prior }) => prior)) : undefined,
    parts: parts.length,
    dims: isFull && isOne ? parts[0].dims : undefined,
    n:
      form === "compact" && isOne && !options.sequence
        ? undefined
        : parts.reduce((n, { symbols }) => n + symbols.length, 0),
    shapes: isFull && !isOne ? parts.filter(({ prior }) => prior.kind === "channels").map(({ dims }) => dims) : [],
    corrections,
    indexChecks:
      options.indexChecks && parts.length > 0 ? codings.map(({ checked }) => indexCheck(checked)) : undefined,
    statics: statics.length > 0 ? statics : undefined,
    files,
    stream: coded.stream,
  };
  return writePacket(header, isFull ? 0 : compactSeed(parts, options.sequence));
}

/** The shape that a full packet stores for part p, if it stores one. `shapes` are those of section 8.2 that are left. */
function storedDims({ form, parts, dims }: Header, prior: PartPrior, shapes: (readonly number[])[], p: number) {
  if (form !== "full") return undefined;
  if (parts === 1) return dims;
  if (prior.kind !== "channels") return undefined;
  return shapes.shift() ?? fail("SHAPE_MISMATCH", `part ${p} has no shape`);
}

/** The shape of part p where the packet does not store it. */
function knownDims({ parts }: Header, prior: PartPrior, agreed: readonly number[] | undefined, p: number) {
  if (agreed) return agreed;
  if ((prior.kind === "scales" || prior.kind === "rows") && prior.shape) return prior.shape;
  const count = countOf(prior);
  if (parts === 1 || count === undefined) throw new TypeError(`part ${p}: a compact packet does not say its shape`);
  return [count];
}

/** Whether the priors, and in a compact packet the shapes, are the writer's. */
function checkPriors(bytes: Uint8Array, { form, check, fingerprint, n }: Header, parts: readonly KnownPart[]): void {
  if (form === "compact" && check > 0) verifyCheck(bytes, check, compactSeed(parts, n !== undefined));
  if (fingerprint !== undefined && fingerprint !== packetFingerprint(parts.map(({ prior }) => prior)))
    fail("WRONG_PRIOR", `fingerprint ${fingerprint.toString(16)}`);
}

interface KnownPart {
  readonly prior: PartPrior;
  readonly dims: readonly number[];
}

/**
 * What codes one part after the other, with all checks that a reader makes who learns of a prior only behind the part before. `known` is filled
 * with the parts.
 */
function* codingsOf(
  bytes: Uint8Array,
  header: Header,
  priors: readonly PartPrior[],
  agreed: ReadOptions["dims"],
  known: KnownPart[],
): Generator<PartCoding> {
  const { n, parts, corrections, indexChecks } = header;
  const shapes = [...header.shapes];
  let symbols = 0;
  let parameters = 0;
  for (const [p, prior] of priors.entries()) {
    const stored = storedDims(header, prior, shapes, p);
    const dims = stored ?? knownDims(header, prior, agreed?.[p], p);
    known.push({ prior, dims });
    if (parts === 1) checkPriors(bytes, header, known);
    if (stored && agreed && String(stored) !== String(agreed[p]))
      fail("SHAPE_MISMATCH", `part ${p}: [${stored}], not [${agreed[p]}]`);
    symbols += productOf(dims);
    if (n !== undefined && symbols > n) fail("SHAPE_MISMATCH", `part ${p} ends behind the last of ${n} symbols`);
    const first = parameters;
    parameters += parametersOf(prior, productOf(dims));
    const own = corrections.filter((at) => at >= first && at < parameters).map((at) => at - first);
    const isStatic = header.statics?.includes(p) ?? false;
    if (isStatic && !(prior.kind !== "mixture" && prior.context)) corrupted(`part ${p} has no context`);
    const coding = partCoding(prior, dims, own, isStatic || header.kind === "compressai");
    if (indexChecks && indexCheck(coding.checked) !== indexChecks[p]) fail("MODEL_MISMATCH", `part ${p}`);
    yield coding;
  }
  if (n !== undefined && symbols !== n) fail("SHAPE_MISMATCH", `${symbols} symbols, not ${n}`);
  if (shapes.length > 0) fail("SHAPE_MISMATCH", "a shape without its part");
  if (parts !== 1) checkPriors(bytes, header, known);
  if (corrections.some((at) => at >= parameters)) corrupted("a correction behind the last parameter");
}

export function decodePacket(
  bytes: Uint8Array,
  priors: readonly PartPrior[],
  options: ReadOptions = {},
): { dims: number[][]; symbols: Int32Array[] } {
  const header = parsePacket(bytes, options);
  const { dims } = options;
  if (header.parts !== priors.length)
    fail("SHAPE_MISMATCH", `the packet has ${header.parts} parts, not ${priors.length}`);
  if (dims && dims.length !== priors.length) fail("SHAPE_MISMATCH", `${dims.length} shapes, ${priors.length} parts`);
  const known: KnownPart[] = [];
  const codings = codingsOf(bytes, header, priors, dims, known);
  const symbols = decodeStream(header, codings);
  return { dims: known.map((part) => [...part.dims]), symbols };
}

function decodeStream(header: Header, codings: Iterable<PartCoding>): Int32Array[] {
  if (header.parts !== 1) return decodeNative(header.stream, header, header.n!, codings);
  // All checks of the only part come before its stream.
  const [coding] = [...codings];
  const n = coding.index.length;
  if (header.kind === "compressai") return [decodeCompressai(header.stream, n, coding)];
  return decodeNative(header.stream, header, n, [coding]);
}

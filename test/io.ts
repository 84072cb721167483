// Writes and reads lists of parts through the package, checking on the way what every write and read must say, and compares all with the reference.
import type { Codec, DecodeOptions, EncodeOptions, PartReader, ReaderOptions, WriterOptions } from "latentwire";
import * as assert from "uvu/assert";
import type { Sample } from "./cases.js";
import { sameNumbers } from "./expect.js";
import {
  type Agreement,
  compressaiScales,
  decodePacket,
  encodePacket,
  guardedParameters,
  guardedPositions,
  type PartPrior,
  parsePacket,
  type ReferencePart,
} from "./reference.js";

/** Every second part asks what the reader will see. */
export function writeParts(codec: Codec, parts: readonly Sample[], options?: WriterOptions): Uint8Array {
  const writer = codec.writer(options);
  parts.forEach((part, i) => {
    if (i % 2) {
      assert.is(writer.write(part.latent, part.prior(codec)), undefined);
      return;
    }
    const { type, dims, data } = writer.write(part.latent, part.prior(codec), { dequantize: true });
    assert.is(type, "float32");
    assert.equal(dims, part.dims, part.name);
    sameNumbers(data, part.values, `written: ${part.name}`);
  });
  return writer.finish();
}

/** One part, as float32 or as symbols. */
export function readPart(reader: PartReader, codec: Codec, part: Sample, asFloats: boolean, withDims = false): void {
  // Only a prior of plain arrays knows no shape.
  const dims = withDims || part.reference.kind === "rows" ? part.dims : undefined;
  const prior = part.prior(codec);
  const found = asFloats ? reader.read(prior, { dims }) : reader.read(prior, { type: "int32", dims });
  assert.is(found.type, asFloats ? "float32" : "int32");
  assert.equal(found.dims, part.dims, part.name);
  sameNumbers(found.data, asFloats ? part.values : part.symbols, `read: ${part.name}`);
}

export function readParts(
  codec: Codec,
  packet: Uint8Array,
  parts: readonly Sample[],
  options: ReaderOptions = {},
): void {
  const reader = codec.reader(packet, options);
  const isCompact = options.header === "compact" || options.header === "none";
  const isUnknown = isCompact && parts.length === 1;
  let remaining = parts.reduce((sum, { symbols }) => sum + symbols.length, 0);
  parts.forEach((part, i) => {
    assert.is(reader.remaining, isUnknown ? undefined : remaining);
    readPart(reader, codec, part, i % 2 === 0, isCompact);
    remaining -= part.symbols.length;
  });
  if (!isUnknown) assert.is(reader.remaining, 0);
  reader.finish();
}

function correctionsOf(prior: PartPrior, relative: number): number[] {
  const guard = { relative, absolute: 0 };
  if (prior.kind === "scales") return guardedPositions(prior.scales, prior.scaleTable, guard);
  return prior.kind === "mixture" ? guardedParameters(prior.mixture, compressaiScales, guard) : [];
}

/** The same parts for the reference, with the corrections that the guard asks for. */
export function toReference(parts: readonly Sample[], guard = 0): ReferencePart[] {
  return parts.map(({ reference, dims, symbols }) => ({
    prior: reference,
    dims,
    symbols,
    corrections: correctionsOf(reference, guard),
  }));
}

export type Options = Pick<EncodeOptions, "header" | "stream" | "checksum" | "lanes" | "fingerprint"> & {
  guard?: number;
  indexChecks?: boolean;
};

/** The package's options as the reference's. */
export function agreementOf({ header = "packet", stream, checksum = true }: Options): Agreement {
  const check = header === "none" || checksum === false ? 0 : checksum === 2 ? 2 : 4;
  const isString = header === "none" && stream === "compressai";
  return { form: header === "packet" ? "full" : isString ? "string" : "compact", check };
}

/** What the reference writes. "auto" lanes, and which parts have static rows, are those of the package's packet. */
export function encodeByReference(parts: readonly Sample[], options: Options, packet?: Uint8Array): Uint8Array {
  const { guard, lanes, fingerprint, indexChecks = Boolean(guard) } = options;
  const agreement = agreementOf(options);
  const chosen = packet && parsePacket(packet, agreement);
  const used = lanes === undefined || lanes === "auto" ? chosen!.lanes : lanes;
  const stream = options.stream ?? "native";
  const isStatic = (p: number) => (chosen ? chosen.statics?.includes(p) : parts[p].isStatic && stream === "native");
  const own = toReference(parts, guard).map((part, p) => ({ ...part, isStatic: isStatic(p) }));
  return encodePacket(own, { ...agreement, stream, lanes: used, fingerprint, indexChecks });
}

/** The package reads it with `decode` or a reader, one part with both. */
export function readByPackage(codec: Codec, packet: Uint8Array, parts: readonly Sample[], options: Options): void {
  const { header, checksum, stream } = options;
  if (parts.length === 1) {
    const [{ dims, symbols, values, prior, name }] = parts;
    const own = prior(codec);
    const given: DecodeOptions = { header, checksum, stream, ...(header !== "packet" && header && { dims }) };
    const floats = codec.decode(packet, own, { ...given, type: "float32" } as DecodeOptions<"float32">);
    assert.equal(floats.dims, dims);
    sameNumbers(floats.data, values, `${name}: floats`);
    const read = codec.decode(packet, own, { ...given, type: "int32" } as DecodeOptions<"int32">);
    assert.equal([read.type, read.dims], ["int32", dims]);
    sameNumbers(read.data, symbols, `${name}: symbols`);
  }
  if (stream !== "compressai" || header !== "none") readParts(codec, packet, parts, { header, checksum });
}

/** What the package writes, with `encode` and with a writer where both can. */
function writeByPackage(codec: Codec, parts: readonly Sample[], options: Options): Uint8Array {
  const { guard, indexChecks, stream, ...common } = options;
  const isEncoded = parts.length === 1 && !guard && !indexChecks;
  const [one] = parts;
  const encoded = isEncoded && codec.encode(one.latent, one.prior(codec), { ...common, stream });
  if (stream === "compressai") return encoded as Uint8Array;
  const written = writeParts(codec, parts, { ...common, guard, indexChecks });
  if (encoded) sameNumbers(written, encoded, `${JSON.stringify(options)}: writer and encode`);
  return written;
}

/** Every codec writes the reference's packet, and all of them read it. Returns the packet. */
export function agree(codecs: readonly Codec[], parts: readonly Sample[], options: Options): Uint8Array {
  const text = JSON.stringify(options);
  const [packet, ...others] = codecs.map((codec) => writeByPackage(codec, parts, options));
  for (const other of others) sameNumbers(other, packet, `${text}: the builds`);
  sameNumbers(packet, encodeByReference(parts, options, packet), text);
  for (const codec of codecs) readByPackage(codec, packet, parts, options);
  const priors = parts.map(({ reference }) => reference);
  const dims = parts.map((part) => part.dims);
  const found = decodePacket(packet, priors, { ...agreementOf(options), dims });
  found.symbols.forEach((symbols, p) => {
    sameNumbers(symbols, parts[p].symbols, `${text}: the reference reads part ${p}`);
  });
  return packet;
}

/** As {@link agree}, and the part is coded under its context. */
export function agreeInContext(codecs: readonly Codec[], sample: Sample, options: Options = {}): Uint8Array {
  const packet = agree(codecs, [sample], options);
  const { statics } = parsePacket(packet, { form: options.header ? "compact" : "full" });
  if (sample.symbols.length > 0) assert.is(statics, undefined, `${sample.name}: static rows`);
  return packet;
}

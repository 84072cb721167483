// Writes and reads lists of parts through the package, checking on the way what every write and read must say.

import type { FullCodec, PartReader, ReaderOptions, WriterOptions } from "latentwire/full";
import * as assert from "uvu/assert";
import { sameNumbers } from "./expect.js";
import type { PartCase } from "./parts-cases.js";
import { guardedParameters, guardedPositions, type PartPrior, type ReferencePart } from "./reference.js";

export function writeParts(codec: FullCodec, parts: readonly PartCase[], options?: WriterOptions): Uint8Array {
  const writer = codec.writer(options);
  for (const part of parts) {
    const { type, dims, data } = writer.write(part.latent, part.prior(codec));
    assert.is(type, "float32");
    assert.equal(dims, part.dims, part.name);
    sameNumbers(data, part.values, `written: ${part.name}`);
  }
  return writer.finish();
}

/** One part, as float32 or as symbols. */
export function readPart(reader: PartReader, codec: FullCodec, part: PartCase, asFloats: boolean): void {
  // Only a prior of plain arrays knows no shape.
  const dims = part.reference.kind === "rows" ? part.dims : undefined;
  const prior = part.prior(codec);
  const found = asFloats ? reader.read(prior, { dims }) : reader.read(prior, { type: "int32", dims });
  assert.is(found.type, asFloats ? "float32" : "int32");
  assert.equal(found.dims, part.dims, part.name);
  sameNumbers(found.data, asFloats ? part.values : part.symbols, `read: ${part.name}`);
}

export function readParts(
  codec: FullCodec,
  packet: Uint8Array,
  parts: readonly PartCase[],
  options?: ReaderOptions,
): void {
  const reader = codec.reader(packet, options);
  let remaining = parts.reduce((sum, { symbols }) => sum + symbols.length, 0);
  parts.forEach((part, i) => {
    assert.is(reader.remaining, remaining);
    readPart(reader, codec, part, i % 2 === 0);
    remaining -= part.symbols.length;
  });
  assert.is(reader.remaining, 0);
  reader.finish();
}

function correctionsOf(prior: PartPrior, relative: number): number[] {
  const guard = { relative, absolute: 0 };
  if (prior.kind === "scales") return guardedPositions(prior.scales, prior.scaleTable, guard);
  return prior.kind === "mixture" ? guardedParameters(prior.mixture, prior.scaleTable, guard) : [];
}

/** The same parts for the reference, with the corrections that the guard asks for. */
export function toReference(parts: readonly PartCase[], guard = 0): ReferencePart[] {
  return parts.map(({ reference, dims, symbols }) => ({
    prior: reference,
    dims,
    symbols,
    corrections: correctionsOf(reference, guard),
  }));
}

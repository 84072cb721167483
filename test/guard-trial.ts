// A hyperprior on two machines: the decoder's scales and means differ from the encoder's by relative errors. For test/guard.test.ts and test/guard-run.ts.

import { type Codec, CodecError, type PartReader, type WriterOptions } from "latentwire";
import { stockScales } from "../bindings/cdfs.js";
import { peakedCdf, type Random } from "./cases.js";
import type { ReferenceGuard } from "./reference.js";

/** Parameters and latent of one part. */
export interface Field {
  readonly scales: Float32Array;
  readonly means: Float32Array;
  readonly latent: Float32Array;
}

export function normal(rng: Random): number {
  return Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
}

/** Scales as trained models have them: around 0.4, a factor of e either way; latents that follow them. */
export function fieldOf(rng: Random, n: number, scaleOf: () => number): Field {
  const scales = Float32Array.from({ length: n }, scaleOf);
  const means = Float32Array.from({ length: n }, () => 3 * normal(rng));
  const latent = means.map((mean, i) => mean + scales[i] * normal(rng));
  return { scales, means, latent };
}

export function naturalScale(rng: Random): () => number {
  return () => 0.4 * Math.exp(normal(rng));
}

/** Every scale within a few errors of a boundary: each is one that two machines may code under different rows. */
export function boundaryScale(rng: Random, error: number): () => number {
  return () => stockScales[rng(stockScales.length)] * (1 + 4 * error * (rng.unit() - 0.5));
}

/** Another machine's values: no further off than the bound, and often as far as that. */
export function perturbed(rng: Random, values: Float32Array, { relative, absolute }: ReferenceGuard): Float32Array {
  return values.map((value) => {
    const bound = Math.abs(value) * relative + absolute;
    let distance = bound * (rng(2) === 0 ? [-1, 1][rng(2)] : 2 * rng.unit() - 1);
    let other = Math.fround(value + distance);
    // The rounding to float32 counts as difference too.
    while (Math.abs(other - value) > bound) {
      distance *= 0.9;
      other = Math.fround(value + distance);
    }
    return other;
  });
}

/** A side channel in front, as hyperpriors have one: parts are counted from 0, and the fields begin with 1. */
const side = { offsets: [-3, -3], cdfs: [peakedCdf(8, 0.4), peakedCdf(8, 0.6)] };
const sideLatent = { type: "int32", dims: [1, 2, 4, 4], data: Int32Array.from({ length: 32 }, (_, i) => (i % 5) - 2) };

export function write(
  codec: Codec,
  fields: readonly Field[],
  options: WriterOptions,
): { packet: Uint8Array; corrections: number } {
  const writer = codec.writer(options);
  writer.write(sideLatent, codec.factorized(side));
  for (const { scales, means, latent } of fields)
    writer.write({ type: "float32", dims: [latent.length], data: latent }, codec.gaussian(scales, { means }));
  const { corrections } = writer;
  return { packet: writer.finish(), corrections };
}

/** The symbols of all fields, or the error. */
export function read(
  codec: Codec,
  packet: Uint8Array,
  fields: readonly Pick<Field, "scales" | "means">[],
): Int32Array[] | CodecError {
  return outcomeOf(codec.reader(packet), (reader) => {
    reader.read(codec.factorized(side));
    return fields.map(({ scales, means }) => reader.read(codec.gaussian(scales, { means }), { type: "int32" }).data);
  });
}

/** What `use` reads, to the packet's end, or the error. */
export function outcomeOf<T>(reader: PartReader, use: (reader: PartReader) => T): T | CodecError {
  try {
    const result = use(reader);
    reader.finish();
    return result;
  } catch (error) {
    if (error instanceof CodecError) return error;
    throw error;
  } finally {
    reader.close();
  }
}

export function wrongSymbols(found: readonly Int32Array[], expected: readonly Int32Array[]): number {
  let wrong = 0;
  expected.forEach((symbols, part) => {
    for (let i = 0; i < symbols.length; i++) if (symbols[i] !== found[part][i]) wrong++;
  });
  return wrong;
}

// A part of mixtures on two machines: every weight, mean and scale of the decoder differs from the encoder's. For test/guard.test.ts and test/guard-run.ts.

import type { Codec, CodecError, MixtureParameters, WriterOptions } from "latentwire";
import type { Random } from "./cases.js";
import { naturalScale, normal, outcomeOf, perturbed } from "./guard-trial.js";
import type { ReferenceGuard } from "./reference.js";

export const COMPONENTS = 3;
const options = { components: COMPONENTS, support: [-64, 63] } as const;

type Arrays = Record<keyof Required<MixtureParameters>, Float32Array>;

export interface MixtureField {
  readonly parameters: Arrays;
  readonly symbols: Int32Array;
}

/** Three components whose weights sum to 1, at means around 0 with a deviation of 3, and symbols drawn from them. */
export function mixtureFieldOf(rng: Random, n: number): MixtureField {
  const draw = (make: () => number) => Float32Array.from({ length: COMPONENTS * n }, make);
  const weights = draw(() => 0.05 + rng.unit());
  for (let i = 0; i < n; i++) {
    const own = [0, 1, 2].map((k) => k * n + i);
    const sum = own.reduce((total, at) => total + weights[at], 0);
    for (const at of own) weights[at] /= sum;
  }
  const means = draw(() => 3 * normal(rng));
  const scales = draw(naturalScale(rng));
  const symbols = Int32Array.from({ length: n }, (_, i) => {
    const u = rng.unit();
    const k = u < weights[i] ? 0 : u < weights[i] + weights[n + i] ? 1 : 2;
    return Math.max(-64, Math.min(63, Math.round(means[k * n + i] + scales[k * n + i] * normal(rng))));
  });
  return { parameters: { weights, means, scales }, symbols };
}

/** Every parameter within a few errors of where it is rounded the other way. */
export function atBoundaries(rng: Random, { parameters, symbols }: MixtureField, error: number): MixtureField {
  const near = (one: number) => (v: number) =>
    ((Math.floor(v * one) + 0.5) / one) * (1 + 4 * error * (rng.unit() - 0.5));
  const { weights, means, scales } = parameters;
  return { parameters: { weights: weights.map(near(256)), means: means.map(near(64)), scales }, symbols };
}

export function perturbedMixture(rng: Random, { weights, means, scales }: Arrays, bound: ReferenceGuard): Arrays {
  const [w, m, s] = [weights, means, scales].map((values) => perturbed(rng, values, bound));
  return { weights: w, means: m, scales: s };
}

export function writeMixture(codec: Codec, field: MixtureField, writerOptions: WriterOptions) {
  const dims = [field.symbols.length];
  const writer = codec.writer(writerOptions);
  writer.write({ type: "int32", dims, data: field.symbols }, codec.mixture(field.parameters, { ...options, dims }));
  const { corrections } = writer;
  return { packet: writer.finish(), corrections };
}

/** The symbols, or the error. */
export function readMixture(codec: Codec, packet: Uint8Array, parameters: Arrays): Int32Array | CodecError {
  const dims = [parameters.means.length / COMPONENTS];
  const prior = codec.mixture(parameters, { ...options, dims });
  return outcomeOf(codec.reader(packet), (reader) => reader.read(prior, { type: "int32" }).data);
}

// Two machines: the parameters of the decoder differ from the encoder's by relative errors. For test/guard.test.ts and test/guard-run.ts.
import { type Codec, CodecError, type PartReader, type WriterOptions } from "latentwire";
import { stockScales } from "../bindings/cdfs.js";
import { peakedCdf, type Random } from "./cases.js";
import { guardedParameters, guardedPositions, type ReferenceGuard } from "./reference.js";

/** The same latents under the parameters of two machines. */
export interface Trial {
  readonly symbols: number;
  /** With the sender's parameters. */
  write(codec: Codec, options: WriterOptions): { packet: Uint8Array; corrections: number };
  /** With the sender's parameters, or with the other machine's. */
  read(codec: Codec, packet: Uint8Array, isOther: boolean): Int32Array[] | CodecError;
  /** The positions that the rule corrects, by the reference. */
  corrected(): number[];
}

export function normal(rng: Random): number {
  return Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
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

/** What `use` reads, to the packet's end, or the error. */
function outcomeOf<T>(reader: PartReader, use: (reader: PartReader) => T): T | CodecError {
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
  const differ = (part: Int32Array, p: number) => part.reduce((sum, symbol, i) => sum + +(symbol !== found[p][i]), 0);
  return expected.map(differ).reduce((a, b) => a + b, 0);
}

// ---- gaussians

/** Parameters and latent of one part. */
export interface Field {
  readonly scales: Float32Array;
  readonly means: Float32Array;
  readonly latent: Float32Array;
}

/** Latents that follow their scales. */
export function fieldOf(rng: Random, n: number, scaleOf: () => number): Field {
  const scales = Float32Array.from({ length: n }, scaleOf);
  const means = Float32Array.from({ length: n }, () => 3 * normal(rng));
  const latent = means.map((mean, i) => mean + scales[i] * normal(rng));
  return { scales, means, latent };
}

/** As trained models have them: around 0.4, a factor of e either way. */
export function naturalScale(rng: Random): () => number {
  return () => 0.4 * Math.exp(normal(rng));
}

/** Every scale within a few errors of a boundary: each is one that two machines may code under different rows. */
function boundaryScale(rng: Random, error: number): () => number {
  return () => stockScales[rng(stockScales.length)] * (1 + 4 * error * (rng.unit() - 0.5));
}

/** A side channel in front, as hyperpriors have one: parts are counted from 0, and the fields begin with 1. */
const side = { offsets: [-3, -3], cdfs: [peakedCdf(8, 0.4), peakedCdf(8, 0.6)] };
const sideLatent = { type: "int32", dims: [1, 2, 4, 4], data: Int32Array.from({ length: 32 }, (_, i) => (i % 5) - 2) };

export function write(codec: Codec, fields: readonly Field[], options: WriterOptions) {
  const writer = codec.writer(options);
  writer.write(sideLatent, codec.factorized(side));
  for (const { scales, means, latent } of fields)
    writer.write({ type: "float32", dims: [latent.length], data: latent }, codec.gaussian(scales, { means }));
  const { corrections } = writer;
  return { packet: writer.finish(), corrections };
}

/** The symbols of all fields, or the error. */
export function read(codec: Codec, packet: Uint8Array, fields: readonly Pick<Field, "scales" | "means">[]) {
  return outcomeOf(codec.reader(packet), (reader) => {
    reader.read(codec.factorized(side));
    return fields.map(({ scales, means }) => reader.read(codec.gaussian(scales, { means }), { type: "int32" }).data);
  });
}

/** The positions that the rule corrects in what `write` makes. */
export function correctedIn(fields: readonly Field[], bound: ReferenceGuard): number[] {
  let first = sideLatent.data.length;
  return fields.flatMap(({ scales }) => {
    const start = first;
    first += scales.length;
    return guardedPositions(scales, stockScales, bound).map((at) => start + at);
  });
}

/** A part of each size. `isHard`: of nothing but scales at boundaries. */
export function gaussianTrial(rng: Random, sizes: readonly number[], bound: ReferenceGuard, isHard: boolean): Trial {
  const scaleOf = isHard ? boundaryScale(rng, bound.relative) : naturalScale(rng);
  const fields = sizes.map((n) => fieldOf(rng, n, scaleOf));
  const others = fields.map(({ scales, means }) => ({
    scales: perturbed(rng, scales, bound),
    means: perturbed(rng, means, bound),
  }));
  return {
    symbols: sizes.reduce((a, b) => a + b, 0),
    write: (codec, options) => write(codec, fields, options),
    read: (codec, packet, isOther) => read(codec, packet, isOther ? others : fields),
    corrected: () => correctedIn(fields, bound),
  };
}

// ---- mixtures

const shape = { kind: "gaussian", components: 3, support: [-64, 63] } as const;
type Parameters = Record<"weights" | "means" | "scales", Float32Array>;

/** Three components whose weights sum to 1, at means around 0 with a deviation of 3. */
function drawMixture(rng: Random, n: number): Parameters {
  const draw = (make: () => number) => Float32Array.from({ length: 3 * n }, make);
  const weights = draw(() => 0.05 + rng.unit());
  for (let i = 0; i < n; i++) {
    const own = [0, 1, 2].map((k) => k * n + i);
    const sum = own.reduce((total, at) => total + weights[at], 0);
    for (const at of own) weights[at] /= sum;
  }
  return { weights, means: draw(() => 3 * normal(rng)), scales: draw(naturalScale(rng)) };
}

function drawSymbols(rng: Random, n: number, { weights, means, scales }: Parameters): Int32Array {
  return Int32Array.from({ length: n }, () => 0).map((_, i) => {
    const u = rng.unit();
    const k = u < weights[i] ? 0 : u < weights[i] + weights[n + i] ? 1 : 2;
    return Math.max(-64, Math.min(63, Math.round(means[k * n + i] + scales[k * n + i] * normal(rng))));
  });
}

/** One part. `isHard`: every weight and mean is within a few errors of where it is rounded the other way. */
export function mixtureTrial(rng: Random, n: number, bound: ReferenceGuard, isHard: boolean): Trial {
  const drawn = drawMixture(rng, n);
  const data = drawSymbols(rng, n, drawn);
  const near = (values: Float32Array, one: number) =>
    values.map((v) => ((Math.floor(v * one) + 0.5) / one) * (1 + 4 * bound.relative * (rng.unit() - 0.5)));
  const own = isHard ? { ...drawn, weights: near(drawn.weights, 256), means: near(drawn.means, 64) } : drawn;
  const other = {
    weights: perturbed(rng, own.weights, bound),
    means: perturbed(rng, own.means, bound),
    scales: perturbed(rng, own.scales, bound),
  };
  const dims = [n];
  return {
    symbols: n,
    write: (codec, options) => {
      const writer = codec.writer(options);
      writer.write({ type: "int32", dims, data }, codec.mixture(own, { ...shape, dims }));
      const { corrections } = writer;
      return { packet: writer.finish(), corrections };
    },
    read: (codec, packet, isOther) => {
      const prior = codec.mixture(isOther ? other : own, { ...shape, dims });
      return outcomeOf(codec.reader(packet), (reader) => [reader.read(prior, { type: "int32" }).data]);
    },
    corrected: () => guardedParameters({ ...shape, ...own }, stockScales, bound),
  };
}

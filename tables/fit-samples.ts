/** Sample latents for fitting: equal channels, any number of positions. Which samples are used for what. */
import { CodecError, type LatentData, type TensorLike } from "latentwire";
import { arrange, elementsOf, type ReadLatent } from "./layout.js";

/** One latent. Its elements are in memory only while they are used: samples may be more than memory holds. */
export interface Sample {
  /** Where it came from, for messages. */
  readonly name: string;
  readonly dims: number[];
  /** Number of its elements. */
  readonly elements: number;
  read(): Float32Array;
  /** The row of the table that each element is given; undefined where rows belong to channels. */
  rows?(): Uint16Array;
}

/** A sample as the codec takes it. */
export const tensorOf = (sample: Sample): TensorLike & { readonly data: Float32Array } => ({
  type: "float32",
  dims: sample.dims,
  data: sample.read(),
});

/** Samples that share a channel dimension. */
export interface SampleSet {
  readonly axis: number;
  readonly channels: number;
  readonly samples: readonly Sample[];
  /** Whether all are integers: then they are symbols, from which no median is subtracted and which no step divides. */
  readonly isSymbols?: boolean;
  /** Where elements are given rows: the number by which a context prior knows each row of the table, docs/format.md 10.2. */
  readonly numbers?: Int8Array;
}

/** Samples from which rows are made, and samples that are only reported on. */
export interface Split {
  readonly used: readonly Sample[];
  /** Empty if there is a single sample. */
  readonly held: readonly Sample[];
}

/**
 * Arrays as samples, their dimensions understood as {@link arrange} says. Without `axis` an array whose first dimension is N is N
 * samples, and [C, H, W] is one. With `axis` each array is one sample as it is.
 *
 * @throws CodecError `SHAPE_MISMATCH` where channels differ, `NO_TABLES` where there is nothing to fit to
 */
export function sampleSet(
  latents: readonly { name: string; latent: ReadLatent<LatentData> }[],
  axis: number | undefined,
): SampleSet {
  const samples: Sample[] = [];
  let channels: number | undefined;
  for (const { name, latent } of latents) {
    const { dims, axis: at } = arrange(latent.dims, { axis, channels }, name);
    channels ??= dims[at]!;
    if (channels === 0) throw new CodecError("SHAPE_MISMATCH", `${name}: the shape [${latent.dims}] has no channels`);
    samples.push(...split(name, latent, dims, axis === undefined && dims.length > 1 ? dims[0]! : 1));
  }
  const used = samples.filter(({ elements }) => elements > 0);
  if (channels === undefined || used.length === 0) throw new CodecError("NO_TABLES", "there are no latents to fit to");
  const isSymbols = latents.every(({ latent }) => latent.type !== "float32");
  return { axis: axis ?? (used[0]!.dims.length === 1 ? 0 : 1), channels, samples: used, isSymbols };
}

/** A latent as `count` samples. */
function split(name: string, latent: ReadLatent<LatentData>, dims: readonly number[], count: number): Sample[] {
  const elements = elementsOf(dims) / Math.max(1, count);
  return Array.from({ length: count }, (_, i) => ({
    name: count > 1 ? `${name}, sample ${i}` : name,
    dims: [dims[0]! / count, ...dims.slice(1)],
    elements,
    read() {
      const data = latent.read(i * elements, (i + 1) * elements);
      return data instanceof Float32Array ? data : Float32Array.from(data);
    },
  }));
}

/** Holds out every fifth sample, or the last one of fewer. By position, so that the same files give the same tables. */
export function splitSamples(samples: readonly Sample[]): Split {
  const isHeld = (i: number) => samples.length > 1 && (samples.length < 5 ? i === samples.length - 1 : i % 5 === 4);
  return { used: samples.filter((_, i) => !isHeld(i)), held: samples.filter((_, i) => isHeld(i)) };
}

/** Calls `visit` for each channel, with an array and a range of it that belongs to the channel. */
export function forRuns(
  dims: readonly number[],
  axis: number,
  visit: (channel: number, start: number, end: number) => void,
): void {
  const channels = dims[axis]!;
  const run = elementsOf(dims.slice(axis + 1));
  const outer = elementsOf(dims.slice(0, axis));
  for (let i = 0; i < outer * channels; i++) visit(i % channels, i * run, (i + 1) * run);
}

/**
 * The lower median of each channel. It is a value that occurs, so a channel of mostly zeros keeps its zeros. It is
 * found digit by digit, each from a count of all samples: they are never in memory together.
 */
export function mediansOf({ channels, axis }: SampleSet, samples: readonly Sample[]): Float32Array {
  const counts = new Float64Array(channels * DIGITS);
  // Of each channel: the digits that are known, and how many values that begin with them are below the median.
  const keys = new Uint32Array(channels);
  const below = new Float64Array(channels);
  for (let shift = 32 - BITS; shift >= 0; shift -= BITS) {
    counts.fill(0);
    for (const sample of samples) {
      const values = sample.read();
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
      forRuns(sample.dims, axis, (channel, start, end) => {
        const known = keys[channel]!;
        for (let i = start; i < end; i++) {
          const key = orderOf(bits[i]!);
          // Not by a shift of 32, which is none.
          if ((key >>> shift) >>> BITS === known) counts[channel * DIGITS + ((key >>> shift) & (DIGITS - 1))]! += 1;
        }
      });
    }
    for (let c = 0; c < channels; c++) {
      const own = counts.subarray(c * DIGITS, (c + 1) * DIGITS);
      if (shift === 32 - BITS) below[c] = Math.floor((own.reduce((a, b) => a + b, 0) - 1) / 2);
      let digit = 0;
      while (digit < DIGITS - 1 && below[c]! >= own[digit]!) below[c]! -= own[digit++]!;
      keys[c] = ((keys[c]! << BITS) | digit) >>> 0;
    }
  }
  // -0 and 0 have different bits, and would give different tables.
  return new Float32Array(keys.map(valueBits).buffer).map((median) => median + 0);
}

const BITS = 8;
const DIGITS = 2 ** BITS;

/** The bits of a float32 as a number that is larger for larger values, and back. */
const orderOf = (bits: number): number => (bits >>> 31 === 1 ? ~bits : bits | 0x80000000) >>> 0;
const valueBits = (key: number): number => (key >>> 31 === 1 ? key & 0x7fffffff : ~key) >>> 0;

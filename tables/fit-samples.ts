/** Sample latents for fitting: equal channels, any number of positions. Which samples are used for what. */
import { CodecError, type TensorLike } from "latentwire";
import { arrange, type ReadLatent } from "./layout.js";

/** One latent, float32. */
export interface Sample extends TensorLike {
  /** Where it came from, for messages. */
  readonly name: string;
  readonly type: "float32";
  readonly dims: number[];
  readonly data: Float32Array;
}

/** Samples that share a channel dimension. */
export interface SampleSet {
  readonly axis: number;
  readonly channels: number;
  readonly samples: readonly Sample[];
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
  latents: readonly { name: string; latent: ReadLatent }[],
  axis: number | undefined,
): SampleSet {
  const samples: Sample[] = [];
  let channels: number | undefined;
  for (const { name, latent } of latents) {
    const data = latent.data instanceof Float32Array ? latent.data : Float32Array.from(latent.data);
    const { dims, axis: at } = arrange(latent.dims, { axis, channels }, name);
    channels ??= dims[at]!;
    if (channels === 0) throw new CodecError("SHAPE_MISMATCH", `${name}: the shape [${latent.dims}] has no channels`);
    const whole: Sample = { name, type: "float32", dims, data };
    samples.push(...(axis === undefined && dims.length > 1 ? split(whole) : [whole]));
  }
  const used = samples.filter(({ data }) => data.length > 0);
  if (channels === undefined || used.length === 0) throw new CodecError("NO_TABLES", "there are no latents to fit to");
  return { axis: axis ?? (used[0]!.dims.length === 1 ? 0 : 1), channels, samples: used };
}

function split({ name, data, dims: [count = 0, ...rest] }: Sample): Sample[] {
  const size = rest.reduce((a, b) => a * b, 1);
  return Array.from({ length: count }, (_, i) => ({
    name: count > 1 ? `${name}, sample ${i}` : name,
    type: "float32",
    dims: [1, ...rest],
    data: data.subarray(i * size, (i + 1) * size),
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
  const run = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  for (let i = 0; i < outer * channels; i++) visit(i % channels, i * run, (i + 1) * run);
}

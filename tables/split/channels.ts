/** A step for each channel, and none for channels that the answers do not need. */

import { forRuns } from "../fit-samples.js";
import { refusedAs } from "../packages.js";
import { answerOf, relativeError } from "./agreement.js";
import type { Scaling } from "./latents.js";
import { type Bench, type Candidate, type Setting, whole } from "./measure.js";
import { tensorOf } from "./network.js";

/** More channels would take longer to try than their steps save. */
const MOST_CHANNELS = 400;
/** Runs of the tail at most, and samples for each channel. */
const MOST_RUNS = 1500;
const MOST_SAMPLES = 8;
const LEAST_SAMPLES = 2;
/** Steps differ from the common one by these factors at most. */
const FINEST = 1 / 3;
const COARSEST = 4;
/** A channel whose step would be so many of its deviations holds nothing worth a symbol. */
const NOTHING_LEFT = 3;

/**
 * Finds steps by which each channel adds the same error to the outputs: what a channel's rounding does to them is tried out, channel by
 * channel. Undefined for several tensors, whole numbers, and too many channels.
 *
 * @returns the scalings under which the common step is each channel's own
 */
export async function channelScaling(
  bench: Bench,
  { tensors, tail }: Candidate,
  setting: Setting,
  numbers: readonly number[],
  progress: (done: number) => void,
): Promise<Scaling | undefined> {
  const [tensor, ...others] = tensors;
  if (tensor === undefined || others.length > 0 || tensor.store.type !== "float32") return undefined;
  const { store, statistics } = tensor;
  const { axis, channels, medians, deviations } = statistics;
  const count = Math.min(MOST_SAMPLES, numbers.length, Math.floor(MOST_RUNS / channels));
  if (channels < 2 || channels > MOST_CHANNELS || count < LEAST_SAMPLES) return undefined;
  const [step] = setting.steps as [number];
  const errors = new Float64Array(channels);
  const squares = new Float64Array(channels);
  let done = 0;
  for (const i of numbers.slice(0, count)) {
    const dims = store.dims(i);
    const data = store.read(i);
    const changed = data.slice();
    const expected = bench.expected(i).values;
    for (let c = 0; c < channels; c++) {
      forRuns(dims, axis, (channel, start, end) => {
        if (channel !== c) return;
        for (let k = start; k < end; k++) {
          changed[k] = medians[c]! + step * Math.round((data[k]! - medians[c]!) / step);
          squares[c]! += (changed[k]! - data[k]!) ** 2;
        }
      });
      const feed = tensorOf(bench.runtime, "float32", whole("float32", changed), dims, store.name);
      const outputs = await refusedAs("MODEL", bench.opened.path, tail.run({ [store.name]: feed }));
      errors[c]! += relativeError(answerOf(outputs, bench.outputs).values, expected) ** 2;
      forRuns(dims, axis, (channel, start, end) => {
        if (channel === c) changed.set(data.subarray(start, end), start);
      });
      progress(++done / (count * channels));
    }
  }
  return scalingOf(errors, squares, step, medians, deviations);
}

/** Steps such that error per square times the square of the step is the same for all channels. */
function scalingOf(
  errors: Float64Array,
  squares: Float64Array,
  step: number,
  medians: Float32Array,
  deviations: Float64Array,
): Scaling | undefined {
  const slopes = errors.map((error, c) => (squares[c]! > 0 ? error / squares[c]! : 0));
  const known = slopes.filter((slope) => slope > 0);
  if (known.length === 0) return undefined;
  const middle = known.reduce((sum, slope) => sum + slope, 0) / known.length;
  const factors = Float32Array.from(slopes, (slope, c) => {
    if (deviations[c] === 0) return 0;
    const own = slope > 0 ? Math.sqrt(middle / slope) : COARSEST;
    const times = Math.min(COARSEST, Math.max(FINEST, own));
    return times * step > NOTHING_LEFT * deviations[c]! ? 0 : 1 / times;
  });
  return { centres: medians, factors };
}

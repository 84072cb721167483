/** Makes tables from sample latents: a row per channel, and the quantization step for a wanted rate. */
import { type Codec, CodecError, type Prior, type Table } from "latentwire";
import {
  Counter,
  chooseRecipe,
  emptyRows,
  fitRow,
  type Histogram,
  type Kind,
  merged,
  quantizedRow,
  type Recipe,
} from "./fit-rows.js";
import { forRuns, mediansOf, type Sample, type SampleSet, splitSamples, tensorOf } from "./fit-samples.js";
import { naming } from "./layout.js";

/** What is wanted. */
export interface FitOptions {
  /** Quantization step. Default: found from `targetBytes`, or 1 without it. */
  step?: number;
  /** Mean size of a packet, in bytes. */
  targetBytes?: number;
  /** Is told how many of `total` fits are done. */
  progress?: (done: number, total: number) => void;
}

/** How good the tables are for samples that they were not made from. Means per sample. */
interface HeldOut {
  readonly samples: number;
  readonly elements: number;
  /** Bytes of whole packets, as `encode` writes them. */
  readonly packetBytes: number;
  /** Ideal bytes under this table. */
  readonly idealBytes: number;
  readonly bitsPerElement: number;
  readonly escapes: number;
  /** Mean squared error of quantization. */
  readonly mse: number;
  /** For comparison: ideal bytes of tables made from curves alone, and from histograms with hardly any curve. */
  readonly others: Readonly<Record<string, number>>;
}

/** Tables, and how good they are. */
export interface Fit {
  readonly table: Table;
  readonly step: number;
  readonly axis: number;
  readonly recipes: readonly Recipe[];
  /** Undefined if there was only one sample. */
  readonly held: HeldOut | undefined;
  /** Share of the latents' squared distance to their medians that the step leaves. Below {@link LEAST_KEPT} it is too coarse. */
  readonly kept: number;
}

/** A step that leaves less of the latents' squared distance to their medians leaves nothing worth sending. */
export const LEAST_KEPT = 0.05;

/** So many samples are enough to search the step. The final rows are made from all. */
const SEARCH_ELEMENTS = 2 ** 21;
const SEARCH_STEPS = 14;
const FOLDS = 5;

/**
 * Fits rows to samples. Deterministic. Throws RangeError if no step gives `targetBytes`, and what the codec throws for
 * the latents.
 */
export function fit(codec: Codec, set: SampleSet, options: FitOptions = {}): Fit {
  const { used, held } = splitSamples(set.samples);
  if (set.isSymbols && (options.step ?? options.targetBytes) !== undefined)
    throw new RangeError("step and targetBytes are for latents of floats: integers are symbols already");
  const fitter = new Fitter(codec, set, set.isSymbols ? undefined : mediansOf(set, used));
  const step = options.step ?? (options.targetBytes === undefined ? 1 : findStep(fitter, used, options));
  const folds = fitter.folds(used, step);
  const recipes = folds.map(chooseRecipe);
  const counted = folds.map(merged);
  const table = fitter.table(counted, recipes);
  const report = held.length === 0 ? undefined : fitter.report(table, step, held, counted);
  const kept = set.isSymbols ? 1 : fitter.kept(step, upTo(used, SEARCH_ELEMENTS));
  return { table, step: Math.fround(step), axis: set.axis, recipes, held: report, kept };
}

/** How {@link fitTable} makes rows. */
export interface FitTableOptions {
  /** Parts for the cross-validation that finds each channel's recipe. 1, which is fast, takes the safe recipe. Default 5. */
  readonly folds?: number;
  /** Of the channels, where they are known; null for none. */
  readonly medians?: Float32Array | null;
}

/** A table for one step, made from all of the samples. */
export function fitTable(codec: Codec, set: SampleSet, step: number, options: FitTableOptions = {}): Table {
  const { folds = FOLDS, medians = set.isSymbols ? null : mediansOf(set, set.samples) } = options;
  const fitter = new Fitter(codec, set, medians ?? undefined);
  const parts = fitter.folds(set.samples, step, folds);
  return fitter.table(parts.map(merged), parts.map(chooseRecipe));
}

class Fitter {
  readonly #codec: Codec;
  readonly #set: SampleSet;
  /** Undefined for symbols. */
  readonly #medians: { medians: number[] } | undefined;
  /** Quantizing needs medians and step, not rows. */
  readonly #emptyTable: Table;

  constructor(codec: Codec, set: SampleSet, medians: Float32Array | undefined) {
    this.#codec = codec;
    this.#set = set;
    this.#medians = medians && { medians: [...medians] };
    this.#emptyTable = codec.table({ ...emptyRows(set.channels), ...this.#medians });
  }

  /** For each channel, the histograms of up to `most` parts of the samples. */
  folds(samples: readonly Sample[], step: number, most = FOLDS): Histogram[][] {
    const { axis, channels } = this.#set;
    const prior = this.prior(this.#emptyTable, step);
    const parts = Math.min(most, samples.length);
    const counters = Array.from({ length: channels }, () => Array.from({ length: parts }, () => new Counter()));
    samples.forEach((sample, i) => {
      const symbols = naming(sample.name, () => this.#codec.quantize(tensorOf(sample), prior).data as Int32Array);
      forRuns(sample.dims, axis, (channel, start, end) => counters[channel]![i % parts]!.add(symbols, start, end));
    });
    return counters.map((own) => own.map((counter) => counter.histogram()));
  }

  table(counted: readonly Histogram[], recipes: readonly Recipe[]): Table {
    const rows = counted.map((one, c) => quantizedRow(this.#codec, fitRow(one, recipes[c]!)));
    return this.#codec.table({
      offsets: rows.map((row) => row.offset),
      cdfs: rows.map((row) => row.cdf),
      ...this.#medians,
    });
  }

  prior(table: Table, step: number): Prior {
    return this.#codec.factorized(table, { axis: this.#set.axis, step });
  }

  /** Mean size of a packet. */
  packetBytes(table: Table, step: number, samples: readonly Sample[]): number {
    const prior = this.prior(table, step);
    return mean(samples.map((sample) => this.#codec.encode(tensorOf(sample), prior).length));
  }

  /** Share of the squared distance to the medians that rounding leaves: 0 where every element becomes its median. */
  kept(step: number, samples: readonly Sample[]): number {
    const prior = this.prior(this.#emptyTable, step);
    let [lost, all] = [0, 0];
    for (const sample of samples) {
      const { data } = tensorOf(sample);
      const symbols = this.#codec.quantize(tensorOf(sample), prior);
      const restored = this.#codec.dequantize(symbols, prior).data;
      const medians = this.#medians?.medians ?? [];
      forRuns(sample.dims, this.#set.axis, (channel, start, end) => {
        for (let i = start; i < end; i++) {
          lost += (restored[i]! - data[i]!) ** 2;
          all += (data[i]! - (medians[channel] ?? 0)) ** 2;
        }
      });
    }
    return all === 0 ? 1 : 1 - lost / all;
  }

  report(table: Table, step: number, held: readonly Sample[], counted: readonly Histogram[]): HeldOut {
    const codec = this.#codec;
    const prior = this.prior(table, step);
    const uniform = (kind: Kind, weight: number) => {
      const recipes = counted.map(() => ({ kind, weight }));
      return this.prior(this.table(counted, recipes), step);
    };
    const others = {
      laplace: uniform("laplace", Number.POSITIVE_INFINITY),
      gaussian: uniform("gaussian", Number.POSITIVE_INFINITY),
      logistic: uniform("logistic", Number.POSITIVE_INFINITY),
      histogram: uniform("laplace", 1),
    };
    const found = held.map((sample) => {
      const tensor = tensorOf(sample);
      const { bits, escapes } = codec.rate(tensor, prior);
      const ideal = (one: Prior) => codec.rate(tensor, one).bits / 8;
      return {
        bits,
        escapes,
        packetBytes: codec.encode(tensor, prior).length,
        mse: errorOf(codec, tensor, prior),
        others: Object.values(others).map(ideal),
      };
    });
    const elements = mean(held.map((sample) => sample.elements));
    const packetBytes = mean(found.map((one) => one.packetBytes));
    return {
      samples: held.length,
      elements,
      packetBytes,
      idealBytes: mean(found.map(({ bits }) => bits / 8)),
      bitsPerElement: (8 * packetBytes) / elements,
      escapes: mean(found.map(({ escapes }) => escapes)),
      mse: mean(found.map(({ mse }) => mse)),
      others: Object.fromEntries(
        Object.keys(others).map((name, k) => [name, mean(found.map((one) => one.others[k]!))]),
      ),
    };
  }
}

/** Mean squared error of quantization. */
function errorOf(codec: Codec, tensor: ReturnType<typeof tensorOf>, prior: Prior): number {
  const { data } = codec.dequantize(codec.quantize(tensor, prior), prior);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += (data[i]! - tensor.data[i]!) ** 2;
  return sum / data.length;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Bisection on the logarithm of the step: a packet shrinks as the step grows. */
function findStep(fitter: Fitter, samples: readonly Sample[], options: FitOptions): number {
  const { targetBytes = 0, progress } = options;
  const used = upTo(samples, SEARCH_ELEMENTS).map((sample) => {
    const data = sample.read().slice();
    return { ...sample, read: () => data };
  });
  let done = 0;
  const bytes = (step: number) => {
    progress?.(Math.min(++done, SEARCH_STEPS + 5), SEARCH_STEPS + 6);
    try {
      const counted = fitter.folds(used, step, 1).map(merged);
      const recipes = counted.map((one) => chooseRecipe([one]));
      return fitter.packetBytes(fitter.table(counted, recipes), step, used);
    } catch (error) {
      // Symbols beyond int32: the step is far too fine.
      if (error instanceof CodecError && error.code === "OUT_OF_RANGE") return Number.POSITIVE_INFINITY;
      throw error;
    }
  };
  let low = 1;
  let high = 1;
  // With step `low` a packet is too large, with `high` it is small enough.
  while (bytes(high) > targetBytes) {
    low = high;
    high *= 4;
    if (high > 2 ** 60) {
      const least = Math.ceil(bytes(low));
      throw new RangeError(`targetBytes ${targetBytes} is out of reach: even the coarsest step takes ${least} bytes`);
    }
  }
  while (low === high || bytes(low) <= targetBytes) {
    high = low;
    low /= 4;
    if (low < 2 ** -40) throw new RangeError(`targetBytes ${targetBytes} is out of reach: the latents hold less`);
  }
  for (let i = 0; i < SEARCH_STEPS && high / low > 1.0005; i++) {
    const middle = Math.sqrt(low * high);
    if (bytes(middle) > targetBytes) low = middle;
    else high = middle;
  }
  if (bytes(low) === Number.POSITIVE_INFINITY)
    throw new RangeError(
      `targetBytes ${targetBytes} is out of reach: the finest step takes ${Math.floor(bytes(high))} bytes`,
    );
  if (fitter.kept(high, used) < LEAST_KEPT) {
    // Finer steps, until one leaves something: its bytes are what can be had.
    let finer = low;
    while (fitter.kept(finer, used) < LEAST_KEPT && finer > 2 ** -40) finer /= 1.25;
    throw new RangeError(
      `targetBytes ${targetBytes} is out of reach: packets that small hold nothing but medians (step ${shown(high)}). ` +
        `Step ${shown(finer)} leaves something and takes ${Math.ceil(bytes(finer))} bytes`,
    );
  }
  progress?.(1, 1);
  // The codec divides by a float32, and a bundle holds one.
  return Math.fround(high);
}

const shown = (step: number): number => Number(step.toPrecision(4));

function upTo(samples: readonly Sample[], elements: number): readonly Sample[] {
  const total = samples.reduce((sum, sample) => sum + sample.elements, 0);
  const every = Math.max(1, Math.ceil(total / elements));
  return samples.filter((_, i) => i % every === 0);
}

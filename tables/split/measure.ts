/** Measures cuts: quantizes what crosses, codes it, runs the rest of the network on what comes out, compares the answers. */
import type { Codec, Prior, Table, TensorLike } from "latentwire";
import { type ContextSize, fitContext } from "../context-fit.js";
import { fitTable } from "../fit.js";
import type { SampleSet } from "../fit-samples.js";
import { type Runtime, refusedAs, type Session } from "../packages.js";
import { type Answer, agreementOf, answerOf, type Interval, type Metric, relativeError } from "./agreement.js";
import type { Cut } from "./graph.js";
import { type ChannelStatistics, type Scaling, sampleSetOf, scaled, type TensorStore, unscaled } from "./latents.js";
import { type Feeds, fixedTensors, type Opened, openSession, tensorOf, typeNumber } from "./network.js";

/** What a run has for every cut. */
export interface Bench {
  readonly codec: Codec;
  readonly runtime: Runtime;
  readonly opened: Opened;
  /** One input, for shapes. */
  readonly feeds: Feeds;
  readonly metric: Metric;
  readonly outputs: readonly string[];
  readonly threads: number;
  /** The uncut model's answer to a sample. */
  expected(sample: number): Answer;
}

/** A tensor that crosses. */
export interface CutTensor {
  readonly store: TensorStore;
  readonly statistics: ChannelStatistics;
  /** Whether its elements are whole numbers that must arrive as they are: indexes, masks. */
  readonly isExact: boolean;
}

/** A cut that is measured: its tensors of all samples, and the rest of the network. */
export interface Candidate {
  readonly cut: Cut;
  readonly tensors: readonly CutTensor[];
  readonly workShare: number | null;
  readonly parametersShare: number;
  readonly tail: Session;
}

/** How the tensors of a cut are rounded. */
export interface Setting {
  /** Of each tensor: its step. */
  readonly steps: readonly number[];
  /** In deviations of the tensors: 1 is one of them. */
  readonly coarseness: number;
  /** Of each tensor: what its channels are scaled by before that; undefined where the step is that of all channels. */
  readonly scalings: readonly (Scaling | undefined)[];
}

/** Opens the tail of a cut. Throws CodecError `MODEL`. */
export async function openTail({ opened, runtime, feeds, threads }: Bench, cut: Cut, stores: readonly TensorStore[]) {
  const { writer, path } = opened;
  const constants = await fixedTensors(runtime, opened, feeds, cut);
  const types = new Map(stores.map(({ name, type }) => [name, typeNumber(type)]));
  const { tail } = writer.plain(cut, types, constants);
  return openSession(runtime, tail, `${path} behind ${cut.tensors.join(", ")}`, threads);
}

/** The same step for all channels, in deviations of the tensor. Whole numbers get whole steps. */
export function uniform({ tensors }: Candidate, coarseness: number): Setting {
  const steps = tensors.map(({ store, statistics, isExact }) => {
    if (isExact) return 1;
    const step = Math.fround(coarseness * (statistics.deviation || 1));
    return /int/.test(store.type) ? Math.max(1, Math.round(step)) : step;
  });
  return { steps, coarseness, scalings: tensors.map(() => undefined) };
}

/** Samples of the tensors of a cut, as they are coded under a setting. */
export const setsOf = ({ tensors }: Candidate, { scalings }: Setting, numbers: readonly number[]): SampleSet[] =>
  tensors.map(({ store, statistics }, t) => sampleSetOf(store, numbers, statistics.axis, scalings[t]));

/** Static rows of every tensor, made from samples. `folds` 1 is fast, 5 is good. */
export function tablesOf(
  bench: Bench,
  candidate: Candidate,
  setting: Setting,
  numbers: readonly number[],
  folds: number,
): Table[] {
  return setsOf(candidate, setting, numbers).map((set, t) => {
    const medians =
      setting.scalings[t] || candidate.tensors[t]!.isExact ? null : candidate.tensors[t]!.statistics.medians;
    return fitTable(bench.codec, set, setting.steps[t]!, { folds, medians });
  });
}

export const priorsOf = (
  { codec }: Bench,
  { tensors }: Candidate,
  { steps }: Setting,
  tables: readonly Table[],
): Prior[] => tables.map((table, t) => codec.factorized(table, { axis: tensors[t]!.statistics.axis, step: steps[t]! }));

/** One packet of all tensors. */
export function pack(codec: Codec, latents: readonly TensorLike[], priors: readonly Prior[]): Uint8Array {
  if (latents.length === 1) return codec.encode(latents[0]!, priors[0]!);
  const writer = codec.writer();
  for (const [t, latent] of latents.entries()) writer.write(latent, priors[t]!);
  return writer.finish();
}

/** What came of some samples. */
export interface Outcome {
  readonly agreements: number[];
  /** Relative errors of the outputs: finer than agreements, to compare two settings. */
  readonly errors: number[];
  readonly tops: number[];
  readonly bytes: number[];
  /** Share of the tensors' squared deviation from their medians that is left: 0 where nothing but the medians is. */
  readonly kept: number;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

/** Sends samples through a cut. */
export async function sendThrough(
  bench: Bench,
  candidate: Candidate,
  setting: Setting,
  priors: readonly Prior[],
  numbers: readonly number[],
): Promise<Outcome> {
  const { codec, runtime, metric, outputs, opened } = bench;
  const { tensors, tail } = candidate;
  const found: Outcome & { kept: number } = { agreements: [], errors: [], tops: [], bytes: [], kept: 0 };
  let [lost, all] = [0, 0];
  for (const i of numbers) {
    const feeds: Record<string, unknown> = {};
    const latents = tensors.map(({ store, statistics }, t) => {
      const { axis, medians } = statistics;
      const dims = store.dims(i);
      const scaling = setting.scalings[t];
      const data = scaling ? scaled(store.read(i), dims, axis, scaling) : store.read(i);
      const latent: TensorLike = { type: "float32", dims, data };
      const restored = codec.dequantize(codec.quantize(latent, priors[t]!), priors[t]!).data;
      const sent = scaling ? unscaled(restored, dims, axis, scaling) : restored;
      const original = store.read(i);
      const run = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
      for (let k = 0; k < sent.length; k++) {
        lost += (sent[k]! - original[k]!) ** 2;
        all += (original[k]! - medians[Math.floor(k / run) % medians.length]!) ** 2;
      }
      feeds[store.name] = tensorOf(runtime, store.type, whole(store.type, sent), dims, store.name);
      return latent;
    });
    const answer = answerOf(await refusedAs("MODEL", opened.path, tail.run(feeds)), outputs);
    const expected = bench.expected(i);
    found.bytes.push(pack(codec, latents, priors).length);
    found.agreements.push(agreementOf(metric, answer, expected));
    found.errors.push(
      answer.values.length === expected.values.length ? relativeError(answer.values, expected.values) : 1,
    );
    found.tops.push(answer.top);
  }
  found.kept = all === 0 ? 1 : 1 - lost / all;
  return found;
}

const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  bool: [0, 1],
};

/** The least and the greatest number of an integer type; of wider ones those of int32, which is what symbols hold. */
export const integerRange = (type: string): readonly [number, number] =>
  INTEGER_RANGES[type] ?? [-(2 ** 31), 2 ** 31 - 1];

/** Whole numbers again, within the range of their type. */
export function whole(type: string, values: Float32Array): Float32Array {
  if (type.startsWith("float")) return values;
  const [low, high] = integerRange(type);
  return values.map((value) => Math.max(low, Math.min(high, Math.round(value))));
}

/** Context rows of the tensors of a cut. */
export interface Contexts {
  readonly parameters: readonly (Uint8Array<ArrayBuffer> | undefined)[];
  readonly priors: readonly Prior[];
  readonly seconds: number;
}

/** Positions per channel that a short training visits: enough for most of what a context saves. */
const CHANNEL_POSITIONS = 32e6;
const LEAST_POSITIONS = 2e5;

/** Trains context rows for a setting. */
export async function contextsOf(
  bench: Bench,
  candidate: Candidate,
  setting: Setting,
  tables: readonly Table[],
  numbers: readonly number[],
  size: ContextSize,
  progress: (done: number) => void,
): Promise<Contexts> {
  const { codec, threads } = bench;
  const began = performance.now();
  const sets = setsOf(candidate, setting, numbers);
  const parameters: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  const priors: Prior[] = [];
  for (const [t, { statistics, isExact }] of candidate.tensors.entries()) {
    const options = { axis: statistics.axis, step: setting.steps[t]! };
    const cells = sets[t]!.samples.reduce((sum, { elements }) => sum + elements / sets[t]!.channels, 0);
    const positions = Math.min(40 * cells, Math.max(LEAST_POSITIONS, CHANNEL_POSITIONS / sets[t]!.channels));
    const made = isExact
      ? undefined
      : await fitContext(codec, sets[t]!, tables[t]!, setting.steps[t]!, {
          size,
          positions,
          threads,
          seed: 1,
          progress: ({ done }) => progress((t + done) / candidate.tensors.length),
        });
    parameters.push(made?.parameters);
    priors.push(
      made?.parameters
        ? codec.context(made.parameters, { table: tables[t]!, ...options })
        : codec.factorized(tables[t]!, options),
    );
  }
  return { parameters, priors, seconds: (performance.now() - began) / 1000 };
}

/** Mean bytes of a packet of some samples. */
export function packetBytes(
  bench: Bench,
  candidate: Candidate,
  setting: Setting,
  priors: readonly Prior[],
  numbers: readonly number[],
) {
  const sets = setsOf(candidate, setting, numbers);
  return numbers.map((_, k) => {
    const latents = sets.map(({ samples }): TensorLike => {
      const sample = samples[k]!;
      return { type: "float32", dims: sample.dims, data: sample.read() };
    });
    return pack(bench.codec, latents, priors).length;
  });
}

/** A cut under a setting, as it is reported. */
export interface Row {
  readonly candidate: Candidate;
  readonly setting: Setting;
  /** Of the samples that choose. */
  readonly chosen: { readonly agreement: number; readonly bytes: number; readonly error: number };
  /** Of the samples that are reported on. */
  readonly bytes: number;
  readonly contextBytes: number | null;
  readonly agreement: number;
  readonly interval: Interval;
  /** Share of right answers; null without labels. */
  readonly accuracy: number | null;
  readonly encoderMs: number;
  /** What the bundle is made of, of rows that may be written. */
  readonly made:
    | { readonly tables: readonly Table[]; readonly contexts: Contexts | undefined; readonly priors: readonly Prior[] }
    | undefined;
}

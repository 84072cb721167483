/** Fits a context prior to samples: trains, turns the weights into integers, keeps the channels for which that pays. */
import { type Codec, CodecError, type Prior, type Table } from "latentwire";
import {
  type ActiveChannel,
  activeChannels,
  type Item,
  type ItemSplit,
  itemsOf,
  splitItems,
} from "./context-samples.js";
import { BATCH, Trainer } from "./context-trainer.js";
import { formatParameters } from "./context-writer.js";
import { emptyRows } from "./fit-rows.js";
import type { SampleSet } from "./fit-samples.js";

/** The sizes by name, and how long each is trained by default. */
export const CONTEXT_SIZES = {
  fast: { hidden: 32, second: 16, taps: 12, positions: 12e6 },
  default: { hidden: 64, second: 8, taps: 12, positions: 40e6 },
  small: { hidden: 64, second: 24, taps: 20, positions: 48e6 },
} as const;

export type ContextSize = keyof typeof CONTEXT_SIZES;

/** What is wanted. */
export interface ContextFitOptions {
  readonly size: ContextSize;
  /** Positions to train on, all channels of one counting once. Default: the size's, or 40 times those of the samples if that is less. */
  readonly positions?: number | undefined;
  /** Instead: minutes to train for. */
  readonly minutes?: number | undefined;
  readonly seed?: number | undefined;
  readonly threads: number;
  /** Highest rate of Adam. Default 0.008. */
  readonly rate?: number | undefined;
  /** Ends the training early. The best weights so far are used. */
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((state: ContextProgress) => void) | undefined;
}

/** How far the training is. */
interface ContextProgress {
  /** From 0 to 1. */
  readonly done: number;
  readonly secondsLeft: number;
  /** Mean bytes of an item's active channels, of some that were held back; undefined before that is measured. */
  readonly bytes: number | undefined;
}

/** Mean bytes of an item that was held back. */
interface ChannelBytes {
  readonly channel: number;
  readonly before: number;
  readonly after: number;
}

export interface ContextFit {
  /** Undefined where no channel gains by a context. */
  readonly parameters: Uint8Array<ArrayBuffer> | undefined;
  /** Channels that are coded under their context. */
  readonly active: number;
  /** `used`: those that the memory of 4 GiB had room for. */
  readonly items: { readonly used: number; readonly checked: number; readonly reported: number };
  /** Positions trained on, before channels were given up. With them as `positions` the same parameters come out again. */
  readonly positions: number;
  readonly isInterrupted: boolean;
  /** Of the items that neither the weights nor any choice depend on. Channels that stay static have equal numbers. */
  readonly channels: readonly ChannelBytes[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Fewer items give nothing that could be judged. */
const LEAST_ITEMS = 10;
const PEAK_RATE = 0.008;
/** The weights are judged so many times. */
const JUDGED = 20;
const SLICES = 10;
/** Without a wish no position is visited more often on average: weights for few samples get worse after that. */
const MOST_VISITS = 40;
/** How long weights are trained again after channels were given up, and at which rate, as shares. */
const AGAIN = 0.1;
/** Milliseconds, and steps at a time, in which the speed is measured. */
const CALIBRATION = 1500;
const CALIBRATION_STEPS = 20;

/**
 * Fits a context prior. The same samples, options and seed give the same parameters, whatever the number of threads; with `minutes`
 * the speed of the machine decides.
 *
 * @param table - static rows of the channels, or those that the set gives its symbols.
 * @param step - quantization step, a positive float32.
 * @throws CodecError `NO_TABLES` where there are too few samples
 */
export async function fitContext(
  codec: Codec,
  set: SampleSet,
  table: Table,
  step: number,
  options: ContextFitOptions,
): Promise<ContextFit> {
  const seed = options.seed ?? 1;
  const prior = codec.factorized(table, { axis: set.axis, step });
  const split = splitItems(itemsOf(codec, set, prior), seed);
  const { used, checked, reported } = split;
  const count = used.length + checked.length + reported.length;
  if (count < LEAST_ITEMS)
    throw new CodecError(
      "NO_TABLES",
      `a context prior needs at least ${LEAST_ITEMS} samples, here are ${count}: add more, best a thousand`,
    );
  const size = CONTEXT_SIZES[options.size];
  const ruler = new Ruler(codec, table, set.channels);
  let channels = activeChannels(used, set.channels);
  let parameters: Uint8Array<ArrayBuffer> | undefined;
  let positions = 0;
  let items = used.length;
  let start: Float32Array | undefined;
  const before = ruler.static(checked);
  while (channels.length > 0) {
    const trained = await train(size, channels, set.numbers, split, seed, start, options);
    if (start === undefined) positions = trained.positions;
    items = trained.items;
    parameters = formatParameters(size, set.channels, channels, trained.weights, set.numbers);
    const after = ruler.active(checked, parameters);
    const pays = channels.map(({ index }) => after[index]! < before[index]!);
    if (pays.every(Boolean)) break;
    // Channels that remain have learned from those that are given up: they are trained a little more without them.
    const each = trained.weights.length / channels.length;
    start = joined(channels.flatMap((_, k) => (pays[k] ? [trained.weights.subarray(k * each, (k + 1) * each)] : [])));
    channels = channels.filter((_, k) => pays[k]);
    parameters = undefined;
  }
  return {
    parameters,
    active: channels.length,
    items: { used: items, checked: checked.length, reported: reported.length },
    positions,
    isInterrupted: options.signal?.aborted ?? false,
    ...compared(ruler.static(reported), parameters ? ruler.packed(reported, parameters) : ruler.static(reported)),
  };
}

/** Bytes of each channel and of all, before and after. */
function compared(before: Float64Array, after: Float64Array) {
  const sum = (list: Float64Array) => list.reduce((a, b) => a + b, 0);
  const channels = Array.from(before, (bytes, channel) => ({ channel, before: bytes, after: after[channel]! }));
  return { channels, bytesBefore: sum(before), bytesAfter: sum(after) };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Code lengths of items, as the codec has them. */
class Ruler {
  readonly #codec: Codec;
  readonly #table: Table;
  readonly #channels: number;
  /** No packet would prefer these rows to a context, whatever single channels cost. */
  readonly #empty: Table;

  constructor(codec: Codec, table: Table, channels: number) {
    this.#codec = codec;
    this.#table = table;
    this.#channels = channels;
    this.#empty = codec.table(emptyRows(table.rows));
  }

  /** Mean bytes of an item per channel, with static rows. */
  static(items: readonly Item[]): Float64Array {
    return this.#bytes(items, this.#table);
  }

  /** As packets have it: an item that has static rows in a packet has them here. */
  packed(items: readonly Item[], parameters: Uint8Array): Float64Array {
    return this.#bytes(items, this.#table, parameters);
  }

  /** Of active channels: under their context, wherever a packet would have it. */
  active(items: readonly Item[], parameters: Uint8Array): Float64Array {
    return this.#bytes(items, this.#empty, parameters);
  }

  #prior(table: Table, parameters: Uint8Array | undefined, rows: Uint16Array | undefined): Prior {
    const codec = this.#codec;
    const over = rows && codec.indexed(table, rows);
    if (parameters === undefined) return over ?? codec.factorized(table, { axis: 1 });
    return codec.context(parameters, over ? { over, axis: 1 } : { table, axis: 1 });
  }

  #bytes(items: readonly Item[], table: Table, parameters?: Uint8Array): Float64Array {
    const sums = new Float64Array(this.#channels);
    for (const { symbols, rows, height, width } of items) {
      const prior = this.#prior(table, parameters, rows);
      const dims = [1, sums.length, height, width];
      const { channels } = this.#codec.rate({ type: "int16", dims, data: symbols }, prior, { axis: 1 });
      for (let c = 0; c < sums.length; c++) sums[c]! += channels.bits[c]! / 8 / items.length;
    }
    return sums;
  }
}

const cellsOf = (items: readonly Item[]): number => items.reduce((sum, { height, width }) => sum + height * width, 0);

/** Trains, from random weights or from `start`, and returns the weights that are best on the items that check. */
async function train(
  size: (typeof CONTEXT_SIZES)[ContextSize],
  channels: readonly ActiveChannel[],
  numbers: Int8Array | undefined,
  { used, checked }: ItemSplit,
  seed: number,
  start: Float32Array | undefined,
  { positions = Math.min(size.positions, MOST_VISITS * cellsOf(used)), minutes, ...options }: ContextFitOptions,
): Promise<{ weights: Float32Array; positions: number; items: number }> {
  const { threads, signal, progress, rate = PEAK_RATE } = options;
  const trainer = new Trainer({ size, channels, numbers, used, checked, seed, threads });
  try {
    let total = Math.max(1, Math.round((positions * (start ? AGAIN : 1)) / BATCH));
    if (minutes !== undefined) total = await stepsIn(trainer, 60000 * minutes * (start ? AGAIN : 1));
    const slice = Math.ceil(total / (JUDGED * SLICES));
    const judged = async () => (await trainer.measure()).reduce((a, b) => a + b, 0);
    if (start) trainer.restore(start);
    // Weights that come from a training may be better than all that follow; random ones are not.
    let best = { weights: trainer.weights(), bits: start ? await judged() : Number.POSITIVE_INFINITY };
    const cells = cellsOf(checked) / checked.length;
    const began = Date.now();
    let done = 0;
    for (let slices = 1; done < total && !signal?.aborted; slices++) {
      const steps = Math.min(slice, total - done);
      await trainer.train(done, steps, total, rate * (start ? AGAIN : 1));
      done += steps;
      if (slices % SLICES === 0 || done === total || signal?.aborted) {
        const bits = await judged();
        if (bits < best.bits) best = { weights: trainer.weights(), bits };
      }
      const secondsLeft = (((Date.now() - began) / done) * (total - done)) / 1000;
      progress?.({
        done: done / total,
        secondsLeft,
        bytes: best.bits === Number.POSITIVE_INFINITY ? undefined : (best.bits / 8) * cells,
      });
    }
    return { weights: best.weights, positions: done * BATCH, items: trainer.used };
  } finally {
    await trainer.close();
  }
}

/** How many steps take so many milliseconds. The weights are those of the beginning afterwards. */
async function stepsIn(trainer: Trainer, milliseconds: number): Promise<number> {
  const began = Date.now();
  let steps = 0;
  for (; Date.now() - began < CALIBRATION; steps += CALIBRATION_STEPS)
    await trainer.train(steps, CALIBRATION_STEPS, 2 ** 30, PEAK_RATE);
  const perStep = (Date.now() - began) / steps;
  trainer.reset();
  return Math.max(1, Math.round(milliseconds / perStep));
}

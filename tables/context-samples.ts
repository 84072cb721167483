/** Samples of a context fit: planes of symbols, which of them are held back, and what their channels are like. */
import type { Codec, Prior } from "latentwire";
import { planesOf } from "../bindings/context-parameters.js";
import { type SampleSet, tensorOf } from "./fit-samples.js";
import { naming } from "./layout.js";

/** What a context prior codes for itself: the planes of all channels, [channels, height, width]. */
export interface Item {
  readonly symbols: Int16Array;
  /** The row that each symbol is given; undefined where rows belong to channels. */
  readonly rows?: Uint16Array | undefined;
  readonly height: number;
  readonly width: number;
}

/** A channel that is coded under its context. */
export interface ActiveChannel {
  readonly index: number;
  /** Symbols from `low + 1` to `high - 1` have a place of their own, others escape. */
  readonly low: number;
  readonly high: number;
  /** Root of the mean square of its symbols, as the network reads them. */
  readonly sd: number;
}

/** Which items are used for what. */
export interface ItemSplit {
  /** Weights are made from these. */
  readonly used: readonly Item[];
  /** These decide: which weights are best, which channels pay. */
  readonly checked: readonly Item[];
  /** These are only reported on. */
  readonly reported: readonly Item[];
}

/** The network reads symbols up to this size; docs/format.md section 10. */
const CLAMP = 511;
/** Fewest bits per item for which a channel has weights. */
const LEAST_BITS = 24;
/** Most items that are held back. */
const MOST_HELD = 400;

/** The symbols of samples, item by item. Symbols beyond int16 are cut: they escape anyway. */
export function itemsOf(codec: Codec, { samples, axis, channels, isSymbols }: SampleSet, prior: Prior): Item[] {
  const items: Item[] = [];
  for (const sample of samples) {
    const symbols = isSymbols
      ? sample.read()
      : naming(sample.name, () => codec.quantize(tensorOf(sample), prior).data as Int32Array);
    const given = sample.rows?.();
    const { items: count, height, width, isLast } = planesOf(sample.dims, axis);
    const cells = height * width;
    for (let i = 0; i < count; i++) {
      const planes = new Int16Array(channels * cells);
      const rows = given && new Uint16Array(planes.length);
      const from = i * planes.length;
      for (let c = 0; c < channels; c++)
        for (let cell = 0; cell < cells; cell++) {
          const at = from + (isLast ? cell * channels + c : c * cells + cell);
          planes[c * cells + cell] = Math.max(-32768, Math.min(32767, symbols[at]!));
          if (rows) rows[c * cells + cell] = given[at]!;
        }
      if (cells > 0) items.push({ symbols: planes, rows, height, width });
    }
  }
  return items;
}

/** Holds a fifth of the items back, at most 400, chosen by the seed: half of them decide, half are reported on. */
export function splitItems(items: readonly Item[], seed: number): ItemSplit {
  const order = shuffled(items, seed);
  const held = Math.min(MOST_HELD, 2 * Math.max(1, Math.round(items.length / 10)));
  return {
    checked: order.slice(0, held >> 1),
    reported: order.slice(held >> 1, held),
    used: order.slice(held),
  };
}

/** A random order: mulberry32. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  const order = [...list];
  let state = seed >>> 0;
  for (let i = order.length - 1; i > 0; i--) {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    const j = Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The channels that have three bytes per item or more, in descending order of their entropy. */
export function activeChannels(items: readonly Item[], channels: number): ActiveChannel[] {
  const counts = new Uint32Array(65536);
  const found: { channel: ActiveChannel; bits: number }[] = [];
  for (let index = 0; index < channels; index++) {
    counts.fill(0);
    let total = 0;
    for (const { symbols, height, width } of items) {
      const cells = height * width;
      for (let i = index * cells; i < (index + 1) * cells; i++) counts[symbols[i]! + 32768]!++;
      total += cells;
    }
    const values: number[] = [];
    let bits = 0;
    let squares = 0;
    counts.forEach((count, i) => {
      if (count === 0) return;
      const value = i - 32768;
      values.push(value);
      bits -= count * Math.log2(count / total);
      squares += count * Math.min(CLAMP, Math.abs(value)) ** 2;
    });
    if (bits < LEAST_BITS * items.length) continue;
    const [least, greatest] = bounds(values, (value) => counts[value + 32768]!, total);
    const sd = Math.fround(Math.sqrt(squares / total));
    const low = Math.min(32765, Math.max(-32768, least - 1));
    found.push({ bits, channel: { index, sd, low, high: Math.max(low + 2, Math.min(32767, greatest + 1)) } });
  }
  return found.sort((a, b) => b.bits - a.bits).map(({ channel }) => channel);
}

/**
 * The least and the greatest symbol that do not escape. Each symbol between them takes a share of all others' probability, so
 * rare ones far away escape where that costs less.
 */
function bounds(values: readonly number[], countOf: (value: number) => number, total: number): [number, number] {
  let from = 0;
  let to = values.length - 1;
  const gain = (gap: number, count: number, value: number): number =>
    (gap * total) / (65536 * Math.LN2) - count * (8 + 2 * Math.log2(1 + Math.abs(value)));
  for (;;) {
    if (from === to) return [values[from]!, values[to]!];
    const [least, greatest] = [values[from]!, values[to]!];
    const below = gain(values[from + 1]! - least, countOf(least), least);
    const above = gain(greatest - values[to - 1]!, countOf(greatest), greatest);
    if (Math.max(below, above) <= 0 && greatest - least + 2 <= 4095) return [least, greatest];
    if (below > above) from++;
    else to--;
  }
}

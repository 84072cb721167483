/** What a latent costs, without coding it. These figures are for people: no packet depends on them. */

import * as abi from "./abi.js";
import { planesOf } from "./context-parameters.js";
import { shown } from "./errors.js";
import type { Memory } from "./memory.js";
import { checkOptions } from "./options.js";
import { axisOf, fillPart, OwnPrior, type PriorSource, shift, TYPES } from "./prior.js";
import { elementsOf, spanOf } from "./tensor.js";
import type { Prior, Rate, RateOptions, TableJson, TensorLike, TensorView } from "./types.js";
import { varintSize } from "./varint.js";
import { writeElements } from "./writer.js";

interface Cost {
  bits: number;
  escapes: number;
}

/** Ideal code length of a latent under a prior. */
export function rateOf(memory: Memory, latent: TensorLike | TensorView, prior: Prior, options: RateOptions): Rate {
  const { axis, affine } = checkOptions("rate", options, ["axis", "affine"]);
  const { wasm, part } = memory;
  const span = spanOf(latent, "latent");
  const source = OwnPrior.sourceOf(prior, memory);
  shift(span, source, affine);
  const { dims, n } = span;
  if (axis !== undefined && !(Number.isInteger(axis) && axis >= 0 && axis < dims.length))
    throw new RangeError(`axis must be a dimension of [${dims}], not ${shown(axis)}`);
  fillPart(memory, part, source, dims, n, span.core);
  const writer = memory.address(wasm.newWriter(1));
  try {
    memory.check(wasm.openPart(writer, part, n));
    writeElements(memory, writer, source, span);
    memory.check(wasm.closePart(writer, part));
    const record = memory.word(writer, abi.WRITER_LAST);
    const kept = keptPart(memory, record, n, prior.table.toJSON());
    // Under a context there are two records; a part whose context does not pay has one, as without.
    const inContext =
      source.network !== undefined &&
      (memory.word(record, abi.PART_KIND) === abi.KIND_ENTRIES || memory.word(record, abi.PART_COUNT) !== n);
    const { total, channels } = inContext
      ? contextCosts(memory, record, prior, source, dims, axis)
      : costs(kept, dims, axis);
    const warning = inContext ? undefined : warningOf(kept, total);
    return { symbols: n, ...total, ...(channels && { channels }), ...(warning && { warning }) };
  } finally {
    wasm.freeWriter(writer);
  }
}

/** A part as a writer keeps it: its symbols, and how each one is coded. */
interface Kept {
  readonly n: number;
  readonly symbols: ArrayLike<number>;
  /** Undefined for a mixture, whose rows are made at run time. */
  readonly rowOf: ((i: number) => number) | undefined;
  /** freq of symbol i, of 65536. For an escape also u and max of docs/format.md section 1. */
  entryOf(i: number): { freq: number; escape?: readonly [number, number] };
}

/** Reads a part that a writer keeps: docs/abi.md. */
function keptPart(memory: Memory, record: number, n: number, { offsets, cdfs }: TableJson): Kept {
  const { u16, u32 } = memory;
  // Floats have become int32 by now.
  const type = TYPES[memory.word(record, abi.PART_TYPE)]!;
  const symbols = memory.elements(type, memory.word(record, abi.PART_ELEMENTS), n);
  const rows = memory.word(record, abi.PART_ROWS);
  const kind = memory.word(record, abi.PART_KIND);
  if (kind === abi.KIND_ENTRIES) {
    const low = memory.word(record, abi.PART_LOW) | 0;
    const size = memory.word(record, abi.PART_SIZE);
    return {
      n,
      symbols,
      rowOf: undefined,
      entryOf(i) {
        const entry = u32[rows / 4 + i]!;
        // The escape is the last entry, with a freq of 1.
        return entry >>> 16 === 65535 ? { freq: 1, escape: [symbols[i]! - low, size] } : { freq: entry & 0xffff };
      },
    };
  }
  const run = memory.word(record, abi.PART_RUN);
  const rowOf = (i: number): number =>
    kind === abi.KIND_CHANNELS ? Math.floor(i / run) % cdfs.length : u16[rows / 2 + i]!;
  return {
    n,
    symbols,
    rowOf,
    entryOf(i) {
      const row = rowOf(i);
      const cdf = cdfs[row]!;
      const u = symbols[i]! - offsets[row]!;
      const max = cdf.length - 2;
      if (u >= 0 && u < max) return { freq: cdf[u + 1]! - cdf[u]! };
      return { freq: cdf[max + 1]! - cdf[max]!, escape: [u, max] };
    },
  };
}

/** Bytes of an escape: docs/format.md sections 1 and 3.3. */
const escapeBytes = ([u, max]: readonly [number, number]): number => varintSize(u < 0 ? -2 * u - 1 : 2 * (u - max));

/** Code length of symbols [from, to). */
function costOf(part: Kept, from: number, to: number): Cost {
  const cost = { bits: 0, escapes: 0 };
  // One logarithm for eight symbols: the product of their frequencies is exact enough in 53 bits, and cannot overflow.
  let product = 1;
  for (let i = from; i < to; i++) {
    const { freq, escape } = part.entryOf(i);
    product *= freq / 65536;
    if ((i & 7) === 7 || i + 1 === to) {
      cost.bits -= Math.log2(product);
      product = 1;
    }
    if (!escape) continue;
    cost.bits += 8 * escapeBytes(escape);
    cost.escapes++;
  }
  return cost;
}

function costs(part: Kept, dims: readonly number[], axis: number | undefined) {
  if (axis === undefined) return { total: costOf(part, 0, part.n) };
  const count = dims[axis]!;
  const inner = elementsOf(dims.slice(axis + 1));
  const channels = { bits: new Float64Array(count), escapes: new Uint32Array(count) };
  const total = { bits: 0, escapes: 0 };
  for (let from = 0, c = 0; from < part.n; from += inner, c = (c + 1) % count) {
    const { bits, escapes } = costOf(part, from, from + inner);
    channels.bits[c]! += bits;
    channels.escapes[c]! += escapes;
    total.bits += bits;
    total.escapes += escapes;
  }
  return { total, channels };
}

/** The same for a part under a context: a record of the active channels, and one of the others. */
function contextCosts(
  memory: Memory,
  last: number,
  prior: Prior,
  source: PriorSource,
  dims: readonly number[],
  axis: number | undefined,
) {
  const { active, order } = source.network!;
  const channelAxis = axisOf(source, dims);
  const { items, height, width, isLast } = planesOf(dims, channelAxis);
  const cells = height * width;
  const inner = elementsOf(dims.slice((axis ?? 0) + 1));
  const count = dims[axis ?? 0]!;
  const channels = axis === undefined ? undefined : { bits: new Float64Array(count), escapes: new Uint32Array(count) };
  const total = { bits: 0, escapes: 0 };
  const others = order.length - active;
  const records = others > 0 ? [memory.word(last, abi.PART_BEFORE), last] : [last];
  // Symbols that belong to one index of the axis, and follow one another.
  const stretch = axis === undefined || axis === channelAxis ? cells : 1;
  for (const [g, record] of records.entries()) {
    const group = g === 0 ? order.slice(0, active) : order.slice(active);
    const kept = keptPart(memory, record, items * cells * group.length, prior.table.toJSON());
    for (let i = 0; i < kept.n; i += stretch) {
      const { bits, escapes } = costOf(kept, i, i + stretch);
      total.bits += bits;
      total.escapes += escapes;
      if (!channels) continue;
      const plane = Math.floor(i / cells);
      const item = Math.floor(plane / group.length);
      const channel = group[plane % group.length]!;
      const element = isLast
        ? (item * cells + (i % cells)) * order.length + channel
        : (item * order.length + channel) * cells + (i % cells);
      const at = Math.floor(element / inner) % count;
      channels.bits[at]! += bits;
      channels.escapes[at]! += escapes;
    }
  }
  return { total, channels };
}

/** A larger share of escapes, or more bits than this many times the latent's own histograms, gives a warning. */
const ESCAPE_SHARE = 0.005;
const EXCESS = 1.2;

function warningOf({ n, symbols, rowOf }: Kept, { bits, escapes }: Cost): string | undefined {
  if (escapes > ESCAPE_SHARE * n && escapes > 1)
    return `${escapes} of ${n} symbols (${((100 * escapes) / n).toFixed(1)} %) are escapes: the table does not reach the latent's values`;
  if (!rowOf) return undefined;
  const own = histogramBits(symbols, rowOf);
  if (bits <= EXCESS * own + 64) return undefined;
  return `${(bits / 8).toFixed(0)} bytes, but ${(own / 8).toFixed(0)} under histograms of the latent itself: the table does not fit it`;
}

/** Code length under a histogram per row. Each parameter of it costs half a logarithm (Rissanen 1978). */
function histogramBits(symbols: ArrayLike<number>, rowOf: (i: number) => number): number {
  const counts = new Map<number, Map<number, number>>();
  for (let i = 0; i < symbols.length; i++) {
    const row = rowOf(i);
    const histogram = counts.get(row) ?? new Map<number, number>();
    counts.set(row, histogram);
    histogram.set(symbols[i]!, (histogram.get(symbols[i]!) ?? 0) + 1);
  }
  let bits = 0;
  for (const histogram of counts.values()) {
    let n = 0;
    for (const count of histogram.values()) n += count;
    for (const count of histogram.values()) bits -= count * Math.log2(count / n);
    bits += 0.5 * (histogram.size - 1) * Math.log2(n);
  }
  return bits;
}

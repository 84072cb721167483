/** Tensors of samples at a cut: kept in files, and what is known of their channels. */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { forRuns, mediansOf, type Sample, type SampleSet } from "../fit-samples.js";
import { elementsOf } from "../layout.js";
import type { RunTensor } from "../packages.js";
import { floatsOf } from "./network.js";

/** Tensors of one name, one per sample, in a file: all of them may be more than memory holds. */
export class TensorStore {
  readonly name: string;
  /** Of the elements, as the runtime names it. */
  type = "float32";
  static #made = 0;
  readonly #file: number;
  readonly #places: { at: number; dims: number[] }[] = [];
  #end = 0;

  constructor(folder: string, name: string) {
    this.name = name;
    // Tensors may have names that are no file names.
    const path = join(folder, `${TensorStore.#made++}.f32`);
    this.#file = openSync(path, "w+");
    // Without a name it takes no room once this process has ended, however it ends.
    rmSync(path);
  }

  get count(): number {
    return this.#places.length;
  }

  get bytes(): number {
    return this.#end;
  }

  add(tensor: RunTensor): void {
    const { type, dims } = tensor;
    this.type = type;
    const floats = floatsOf(tensor);
    this.#places.push({ at: this.#end, dims: [...dims] });
    const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#end + done);
    this.#end += bytes.length;
  }

  dims(i: number): number[] {
    return this.#places[i]!.dims;
  }

  read(i: number): Float32Array {
    const { at, dims } = this.#places[i]!;
    const bytes = new Uint8Array(4 * elementsOf(dims));
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(this.#file, bytes, done, bytes.length - done, at + done);
      if (count === 0) throw new Error("a temporary file became shorter");
      done += count;
    }
    return new Float32Array(bytes.buffer);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What is done to each channel before its elements are rounded: the centre goes off, then the factor is multiplied. */
export interface Scaling {
  readonly centres: Float32Array;
  /** 0 for a channel that is not sent: behind the cut it is its centre. */
  readonly factors: Float32Array;
}

/** Samples of a store, scaled by channel if that is wished. */
export function sampleSetOf(
  store: TensorStore,
  numbers: readonly number[],
  axis: number,
  scaling?: Scaling,
): SampleSet {
  const channels = store.dims(0)[axis]!;
  const samples = numbers.map((i): Sample => {
    const dims = store.dims(i);
    return {
      name: `${store.name} of sample ${i}`,
      dims,
      elements: elementsOf(dims),
      read: () => (scaling ? scaled(store.read(i), dims, axis, scaling) : store.read(i)),
    };
  });
  return { axis, channels, samples };
}

/** As the head's last nodes compute it: in float32. */
export function scaled(data: Float32Array, dims: readonly number[], axis: number, { centres, factors }: Scaling) {
  forRuns(dims, axis, (channel, start, end) => {
    for (let i = start; i < end; i++) data[i] = Math.fround(data[i]! - centres[channel]!) * factors[channel]!;
  });
  return data;
}

/** As the tail's first nodes compute it. */
export function unscaled(data: Float32Array, dims: readonly number[], axis: number, { centres, factors }: Scaling) {
  forRuns(dims, axis, (channel, start, end) => {
    const inverse = factors[channel] === 0 ? 0 : Math.fround(1 / factors[channel]!);
    for (let i = start; i < end; i++) data[i] = Math.fround(data[i]! * inverse) + centres[channel]!;
  });
  return data;
}

/** Channels of a tensor: where they are, their medians, and how far elements are from these. */
export interface ChannelStatistics {
  readonly axis: number;
  readonly channels: number;
  readonly medians: Float32Array;
  /** Root of the mean squared distance to the median: of all elements, and of each channel's. */
  readonly deviation: number;
  readonly deviations: Float64Array;
  /** Bits of a sample if every channel is rounded with the deviation as its step, by the entropy of its symbols. */
  readonly bits: number;
}

/** Symbols farther out count as the last ones. */
const FARTHEST = 64;
/** A table has no more rows. So a dimension that is longer is not that of the channels. */
const MOST_CHANNELS = 65_535;

/** The dimension whose channels differ most, so that rows of their own take the fewest bits: the second or the last one. */
export function statisticsOf(store: TensorStore, numbers: readonly number[]): ChannelStatistics {
  const shapes = numbers.map((i) => store.dims(i));
  const [first] = shapes as [number[]];
  const isSteady = (axis: number) =>
    first[axis]! <= MOST_CHANNELS && shapes.every((dims) => dims.length === first.length && dims[axis] === first[axis]);
  const axes = [...new Set(first.length < 2 ? [0] : [1, first.length - 1])].filter(isSteady);
  // Without a dimension that is the same in all samples there are no channels: the batch of one is the only one.
  const found = (axes.length > 0 ? axes : [0]).map((axis) => statisticsAlong(store, numbers, axis));
  return found.reduce((best, one) => (one.bits < 0.98 * best.bits ? one : best));
}

function statisticsAlong(store: TensorStore, numbers: readonly number[], axis: number): ChannelStatistics {
  const set = sampleSetOf(store, numbers, axis);
  const { channels } = set;
  const medians = mediansOf(set, set.samples);
  const squares = new Float64Array(channels);
  const counts = new Float64Array(channels);
  for (const { dims, read } of set.samples) {
    const data = read();
    forRuns(dims, axis, (channel, start, end) => {
      for (let i = start; i < end; i++) squares[channel]! += (data[i]! - medians[channel]!) ** 2;
      counts[channel]! += end - start;
    });
  }
  const all = counts.reduce((a, b) => a + b, 0);
  const deviation = Math.sqrt(squares.reduce((a, b) => a + b, 0) / Math.max(1, all));
  const deviations = squares.map((sum, c) => Math.sqrt(sum / Math.max(1, counts[c]!)));
  const bits = entropyOf(set, medians, deviation) / numbers.length;
  return { axis, channels, medians, deviation, deviations, bits };
}

function entropyOf({ samples, axis, channels }: SampleSet, medians: Float32Array, step: number): number {
  if (!(step > 0)) return 0;
  const width = 2 * FARTHEST + 1;
  const counts = new Uint32Array(channels * width);
  for (const { dims, read } of samples) {
    const data = read();
    forRuns(dims, axis, (channel, start, end) => {
      for (let i = start; i < end; i++) {
        const symbol = Math.round((data[i]! - medians[channel]!) / step);
        counts[channel * width + Math.max(-FARTHEST, Math.min(FARTHEST, symbol)) + FARTHEST]!++;
      }
    });
  }
  let bits = 0;
  for (let c = 0; c < channels; c++) {
    const own = counts.subarray(c * width, (c + 1) * width);
    const total = own.reduce((a, b) => a + b, 0);
    for (const count of own) if (count > 0) bits -= count * Math.log2(count / total);
    // What a row costs in a bundle, and what few symbols leave unknown of it.
    bits += 4 * own.reduce((seen, count) => seen + Number(count > 0), 0);
  }
  return bits;
}

/** Trained weights as the integers of a context prior, in the binary form of docs/format.md section 10. */
import { writeVarint } from "../bindings/varint.js";
import type { ActiveChannel } from "./context-samples.js";
import type { NetworkSize } from "./context-trainer.js";
import { xxh64 } from "./xxh64.js";

const MAGIC = [0x4c, 0x57, 0x43, 1];
/** 1.0 of a weight. */
const ONE = 1024;
const MOST_SHIFT = 8;
/** Rows of a neighbourhood: 9 pairs. */
const PAIRS = 18;
const EDGES = 5;
/** Of the byte of the taps: rows are given. */
const HAS_GIVEN = 128;
/** While training, the numbers of given rows are divided by this. */
const GIVEN_SCALE = 32;
/** Rounding constants of the two outputs, which their biases hold. */
const ROUND_MEAN = 512;
const ROUND_SCALE = 8192;
const STRIP = 32;

/** Bytes that grow. */
class Bytes {
  readonly #bytes: number[] = [];

  byte(...values: number[]): void {
    for (const value of values) this.#bytes.push(value & 255);
  }

  varint(value: number): void {
    writeVarint(this.#bytes, this.#bytes.length, value);
  }

  int16(value: number): void {
    this.byte(value, value >> 8);
  }

  int32(value: number): void {
    this.byte(value, value >> 8, value >> 16, value >> 24);
  }

  /** Weights with one shift: the smallest with which all fit into int8. */
  row(weights: readonly number[]): void {
    const most = Math.max(...weights.map(Math.abs));
    let shift = 0;
    while (shift < MOST_SHIFT && Math.round(most / 2 ** shift) > 127) shift++;
    this.byte(shift);
    for (const weight of weights) this.byte(Math.max(-127, Math.min(127, Math.round(weight / 2 ** shift))));
  }

  finish(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#bytes.length + 8);
    bytes.set(this.#bytes);
    new DataView(bytes.buffer).setBigUint64(this.#bytes.length, xxh64(bytes.subarray(0, -8)), true);
    return bytes;
  }
}

/** How a channel's weights lie in the trainer's memory: assembly/fit/layout.ts. */
class ChannelWeights {
  readonly #weights: Float32Array;
  readonly #size: NetworkSize;
  readonly #rows: number;

  constructor(weights: Float32Array, size: NetworkSize, isGiven: boolean) {
    this.#weights = weights;
    this.#size = size;
    this.#rows = 2 * size.taps + 30 + size.second + (isGiven ? 2 : 0);
  }

  /** A row over all hidden units, times `scale`. */
  row(index: number, scale: number): number[] {
    return Array.from({ length: this.#size.hidden }, (_, i) => {
      const strip = Math.floor(i / STRIP);
      return this.#weights[(strip * this.#rows + index) * STRIP + (i % STRIP)]! * scale;
    });
  }

  /** Behind the strips: two rows of W3, then b. */
  tail(row: number, count: number, scale: number): number[] {
    const { hidden, second } = this.#size;
    const from = hidden * this.#rows + row * (second + 4);
    return Array.from(this.#weights.subarray(from, from + count), (weight) => weight * scale);
  }
}

const clamp = (value: number, least: number, most: number): number =>
  Math.max(least, Math.min(most, Math.round(value)));

/**
 * The parameters of a context prior.
 *
 * @param count - channels of the latent.
 * @param weights - of the active channels, one after the other, as the trainer has them.
 * @param numbers - of the rows that symbols are given; undefined where rows belong to channels.
 */
export function formatParameters(
  size: NetworkSize,
  count: number,
  active: readonly ActiveChannel[],
  weights: Float32Array,
  numbers?: Int8Array,
): Uint8Array<ArrayBuffer> {
  const { hidden, second, taps } = size;
  const bytes = new Bytes();
  bytes.byte(...MAGIC, hidden / 8, second / 8, taps + (numbers ? HAS_GIVEN : 0));
  bytes.varint(count);
  bytes.varint(active.length);
  for (const { index } of active) bytes.varint(index);
  if (numbers) {
    bytes.varint(numbers.length);
    for (const number of numbers) bytes.byte(number);
  }
  const each = weights.length / active.length;
  active.forEach((channel, k) => {
    const channelWeights = new ChannelWeights(weights.subarray(k * each, (k + 1) * each), size, numbers !== undefined);
    writeChannel(bytes, size, channel, channelWeights, {
      isLast: k === active.length - 1,
      isGiven: numbers !== undefined,
    });
  });
  return bytes.finish();
}

/** Inputs are divided by sd while training, outputs are in units of it: the integers have that in them. */
function writeChannel(
  bytes: Bytes,
  { second, taps }: NetworkSize,
  { low, high, sd }: ActiveChannel,
  weights: ChannelWeights,
  { isLast, isGiven }: { isLast: boolean; isGiven: boolean },
): void {
  bytes.varint(low < 0 ? -2 * low - 1 : 2 * low);
  bytes.varint(high - low);
  const runRow = 2 * taps;
  const nextRow = runRow + 1 + EDGES;
  const outputRow = nextRow + PAIRS + 2;
  const input = ONE / sd;
  for (let i = 0; i < runRow; i++) bytes.row(weights.row(i, input));
  const givenRow = outputRow + second + 4;
  for (let i = 0; i < 2 && isGiven; i++) bytes.row(weights.row(givenRow + i, ONE / GIVEN_SCALE));
  bytes.row(weights.row(runRow, input / 64));
  if (!isLast) {
    for (let i = 0; i < PAIRS; i++) bytes.row(weights.row(nextRow + i, input));
    bytes.row(weights.row(nextRow + PAIRS, input / 8));
    bytes.row(weights.row(nextRow + PAIRS + 1, input / 64));
  }
  const toMean = ONE * sd;
  const toScale = ONE * Math.LOG2E;
  const outputs = [...new Array<number>(second).fill(ONE), toMean, toScale];
  outputs.forEach((scale, j) => {
    bytes.row(weights.row(outputRow + j, scale));
  });
  bytes.row(weights.tail(0, second, toMean));
  bytes.row(weights.tail(1, second, toScale));
  for (let i = 0; i < EDGES; i++)
    for (const weight of weights.row(runRow + 1 + i, ONE)) bytes.int16(clamp(weight, -32768, 32767));
  const b = weights.tail(2, second + 2, 1);
  outputs.forEach((scale, j) => {
    const bias = b[j]! * scale * 256 - (j === second + 1 ? Math.log2(sd) * 2 ** 18 : 0);
    const rounding = j < second ? 0 : j === second ? ROUND_MEAN : ROUND_SCALE;
    bytes.int32(clamp(bias + rounding, -(2 ** 31), 2 ** 31 - 1));
  });
}

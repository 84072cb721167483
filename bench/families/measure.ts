import type { Codec, Prior, TensorLike } from "latentwire";
import { mean, median } from "../numbers.js";
import { inTurns } from "../timing.js";
import { type Coded, coded, idealBytes } from "./ideal.js";
import type { Job } from "./jobs.js";
import { recording, type Step } from "./recorder.js";
import { decodeSteps, encodeSteps, symbolsOf } from "./replay.js";

/** One family on all images (and levels): means of a packet. */
export interface Result {
  readonly family: string;
  /** Of a packet, mean. */
  readonly bytes: number;
  /** What the rows allow, mean; escaped values included. */
  readonly idealBytes: number;
  /** Every decoded latent is the encoder's bit for bit, and every symbol is the one quantized without the codec. */
  readonly roundTrip: boolean;
  /** The codec's own time, networks excluded. */
  readonly encodeNsPerSymbol: number;
  readonly decodeNsPerSymbol: number;
  readonly packets: number;
  /** In a packet, all parts. */
  readonly symbols: number;
  readonly parts: number;
  /** Largest number of bytes that a packet takes beyond 0.3 % over its ideal; EXTRA_BYTES are allowed. */
  readonly worstExtraBytes: number;
  /** Mean of CompressAI's strings together. */
  readonly stringsBytes?: number;
  /** Of the pull alone: memory that becomes garbage. */
  readonly garbageBytesPerPixel?: number;
}

/**
 * What a family may cost over its ideal. 16 lanes, which single tensors of this size have too, cost up to 28.4 bytes beside the share;
 * with 8 lanes it was 24, at half of the speed.
 */
export const SHARE = 0.003;
export const EXTRA_BYTES = 32;

/** A packet with what its writer was given. */
interface Written {
  readonly packet: Uint8Array;
  readonly steps: readonly Step[];
  readonly ideal: number;
  readonly exact: boolean;
  readonly stringsBytes: number;
}

/** Whether a packet holds the symbols that were found without the codec. */
export function sameSymbols(
  codec: Codec,
  packet: Uint8Array,
  steps: readonly Step[],
  parts: readonly Coded[],
): boolean {
  const found = symbolsOf(codec, packet, steps);
  return parts.every(
    ({ symbols }, p) => symbols.length === found[p].length && symbols.every((value, i) => value === found[p][i]),
  );
}

const same = (a: Float32Array, b: Float32Array): boolean => {
  const [x, y] = [a, b].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length));
  return x.length === y.length && x.every((bits, i) => bits === y[i]);
};

async function write(codec: Codec, job: Job, y: TensorLike, scales: Float32Array): Promise<Written> {
  const watched = recording(codec);
  const { packet, latent } = await job.encode(watched.codec, y);
  const steps = [...watched.steps];
  const decoded = await job.decode(codec, packet);
  const parts = steps.map((step) => coded(codec, step, scales));
  const exact =
    same(latent.data, decoded.data) &&
    String(latent.dims) === String(decoded.dims) &&
    sameSymbols(codec, packet, steps, parts);
  const written = { packet, steps, ideal: idealBytes(parts) };
  const { packet: strings, shape } = await job.strings(codec, y);
  const again = await job.decode(codec, strings, shape);
  const stringsBytes = strings.reduce((sum, { length }) => sum + length, 0);
  return { ...written, exact: exact && same(again.data, latent.data), stringsBytes };
}

/** Symbols of all parts. */
export const countOf = (steps: readonly Step[]) =>
  steps.reduce(
    (sum, step) =>
      sum +
      (step.kind === "part"
        ? step.latent.dims.reduce((a, b) => a * b, 1)
        : step.pieces.reduce((s, { values }) => s + values.length, 0)),
    0,
  );

/** Runs the jobs of one family over all images, then the codec's share again and again, without the networks. */
export async function measure(
  codec: Codec,
  jobs: readonly Job[],
  images: readonly TensorLike[],
  scales: Float32Array,
  timeMs: number,
): Promise<Result> {
  const all: Written[] = [];
  for (const job of jobs) for (const y of images) all.push(await write(codec, job, y, scales));
  const counts = all.map(({ steps }) => countOf(steps));
  const times = await nanoseconds(
    () => all.forEach(({ steps }) => void encodeSteps(codec, steps)),
    () => all.forEach(({ packet, steps }) => void decodeSteps(codec, packet, steps)),
    counts,
    timeMs,
  );
  return {
    family: jobs[0].family,
    ...sizes(all),
    roundTrip: all.every(({ exact }) => exact),
    ...times,
    packets: all.length,
    symbols: mean(counts),
    parts: all[0].steps.length,
    stringsBytes: mean(all.map(({ stringsBytes }) => stringsBytes)),
  };
}

/** A factorized prior without parts: `codec.encode`. */
export async function measureSingle(
  codec: Codec,
  prior: Prior,
  images: readonly TensorLike[],
  timeMs: number,
): Promise<Result> {
  const source = { kind: "factorized", table: prior.table } as const;
  const all = images.map((y) => {
    const step: Step = { kind: "part", latent: y, out: undefined, dequantize: false, source, prior: () => prior };
    const packet = codec.encode(y, prior);
    const part = coded(codec, step, new Float32Array());
    const symbols = codec.decode(packet, prior, { type: "int32" }).data;
    return { y, packet, ideal: idealBytes([part]), exact: part.symbols.every((v, i) => v === symbols[i]) };
  });
  const counts = images.map(({ data }) => (data as Float32Array).length);
  const times = await nanoseconds(
    () => all.forEach(({ y }) => void codec.encode(y, prior)),
    () => all.forEach(({ packet }) => void codec.decode(packet, prior)),
    counts,
    timeMs,
  );
  const roundTrip = all.every(({ exact }) => exact);
  const rest = { packets: all.length, symbols: mean(counts), parts: 1 };
  return { family: "factorized, codec.encode", ...sizes(all), roundTrip, ...times, ...rest };
}

async function nanoseconds(encode: () => void, decode: () => void, counts: readonly number[], timeMs: number) {
  const symbols = counts.reduce((a, b) => a + b, 0);
  const [encodeMs, decodeMs] = await inTurns([encode, decode], timeMs, 3);
  const each = (ms: readonly number[]) => (median(ms) * 1e6) / symbols;
  return { encodeNsPerSymbol: each(encodeMs), decodeNsPerSymbol: each(decodeMs) };
}

function sizes(all: readonly { packet: Uint8Array; ideal: number }[]) {
  return {
    bytes: mean(all.map(({ packet }) => packet.length)),
    idealBytes: mean(all.map(({ ideal }) => ideal)),
    worstExtraBytes: Math.max(...all.map(({ packet, ideal }) => packet.length - ideal * (1 + SHARE))),
  };
}

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Codec, TensorLike } from "latentwire";
import { mean, median } from "../numbers.js";
import { inTurns } from "../timing.js";
import type { Job } from "./jobs.js";
import { countOf, decodeSteps, encodeSteps, idealBytes, type Piece, recording, type Step } from "./steps.js";

/** One family on all images (and levels). */
export interface Result extends Awaited<ReturnType<typeof summary>> {
  /** Of the pull alone: memory that becomes garbage. */
  readonly garbageBytesPerPixel?: number;
}

/**
 * What a family may cost over its ideal. 16 lanes, which single tensors of this size have too, cost up to 28.4 bytes beside the share;
 * with 8 lanes it was 24, at half of the speed.
 */
const SHARE = 0.003;
export const EXTRA_BYTES = 32;

/** A packet with what its writer was given. */
interface Written {
  readonly packet: Uint8Array;
  readonly steps: readonly Step[];
  readonly ideal: number;
  readonly exact: boolean;
  readonly stringsBytes?: number;
}

const same = (a: Float32Array, b: Float32Array): boolean => {
  const [x, y] = [a, b].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length));
  return x.length === y.length && x.every((bits, i) => bits === y[i]);
};

async function write(codec: Codec, job: Job, y: TensorLike): Promise<Written> {
  const watched = recording(codec);
  const { packet, latent } = await job.encode(watched.codec, y);
  const steps = [...watched.steps];
  const decoded = await job.decode(codec, packet);
  const strings = await job.strings(codec, y);
  const again = await job.decode(codec, strings.packet, strings.shape);
  const exact = [decoded, again].every((one) => same(one.data, latent.data) && `${one.dims}` === `${latent.dims}`);
  const stringsBytes = strings.packet.reduce((sum, { length }) => sum + length, 0);
  return { packet, steps, ideal: idealBytes(codec, steps), exact, stringsBytes };
}

/** Sizes of all packets, and the codec's share of their time: everything done again without the networks. */
async function summary(codec: Codec, family: string, all: readonly Written[], timeMs: number) {
  const symbols = mean(all.map(({ steps }) => countOf(steps)));
  const encode = () => all.forEach(({ steps }) => void encodeSteps(codec, steps));
  const decode = () => all.forEach(({ packet, steps }) => void decodeSteps(codec, packet, steps));
  const times = await inTurns([encode, decode], timeMs, 3);
  const [encodeNsPerSymbol, decodeNsPerSymbol] = times.map((ms) => (median(ms) * 1e6) / symbols / all.length);
  return {
    family,
    /** Of a packet, mean. */
    bytes: mean(all.map(({ packet }) => packet.length)),
    /** What the rows allow, mean; values of escapes included. */
    idealBytes: mean(all.map(({ ideal }) => ideal)),
    /** Every latent, decoded from the packet and from CompressAI's strings, is the encoder's bit for bit. */
    roundTrip: all.every(({ exact }) => exact),
    encodeNsPerSymbol,
    decodeNsPerSymbol,
    packets: all.length,
    /** In a packet, all parts. */
    symbols,
    parts: all[0].steps.length,
    /** Largest number of bytes that a packet takes beyond 0.3 % over its ideal; EXTRA_BYTES are allowed. */
    worstExtraBytes: Math.max(...all.map(({ packet, ideal }) => packet.length - ideal * (1 + SHARE))),
    /** Mean of CompressAI's strings together. */
    stringsBytes: all[0].stringsBytes && mean(all.map(({ stringsBytes = 0 }) => stringsBytes)),
  };
}

/** Runs the jobs of one family over all images. */
export async function measure(
  codec: Codec,
  jobs: readonly Job[],
  images: readonly TensorLike[],
  timeMs: number,
): Promise<Result> {
  const all: Written[] = [];
  for (const job of jobs) for (const y of images) all.push(await write(codec, job, y));
  return summary(codec, jobs[0].family, all, timeMs);
}

/** The latent of mbt2018 for a 256 x 256 image: C symbols per pixel. */
const [CHANNELS, PIXELS] = [192, 16 * 16];

/** Gaussians with log-normal scales, as hyperpriors give them; the same in every run. */
function pixels(): Piece[] {
  let state = 7;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Array.from({ length: PIXELS }, () => {
    const scales = Float32Array.from({ length: CHANNELS }, () => 0.5 * Math.exp(normal()));
    const means = Float32Array.from(scales, () => 2 * normal());
    return { values: means.map((mean, i) => mean + scales[i] * normal()), scales, means };
  });
}

/**
 * Bytes of garbage per pixel: how much fuller the heap is after thousands of pixels, less what it is after one. The least of several rounds, because V8's
 * own notes while it compiles are not the codec's.
 */
export function garbagePerPixel(codec: Codec): number {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const pieces = pixels();
  const many = Array.from({ length: 16 }, () => pieces).flat();
  const packet = encodeSteps(codec, [{ kind: "pieces", options: undefined, pieces: many }]);
  const out = new Float32Array(CHANNELS);
  const growth = (count: number, warm = false) => {
    const reader = codec.reader(packet);
    const sequence = reader.sequence();
    if (!warm) collect();
    const before = process.memoryUsage();
    for (let p = 0; p < count; p++) sequence.next(many[p].scales, many[p].means, out);
    const after = process.memoryUsage();
    reader.close();
    return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  };
  for (let round = 0; round < 40; round++) growth(many.length, true);
  const least = (count: number) => Math.min(...Array.from({ length: 6 }, () => growth(count)));
  // The smallest object takes 12 bytes: what is less than a third of it per pixel are some kilobytes of V8's in the whole.
  const each = (least(many.length) - least(1)) / (many.length - 1);
  return each < 4 ? 0 : Math.round(each);
}

/** An autoregressive decoder's codec, apart from its network. */
export async function measurePull(codec: Codec, timeMs: number): Promise<Result> {
  const pieces = pixels();
  const writer = codec.writer();
  const into = writer.sequence();
  const written = pieces.map(({ values, scales, means }) => {
    const out = new Float32Array(CHANNELS);
    into.next(values, scales, means, out);
    return out;
  });
  const packet = writer.finish();
  const reader = codec.reader(packet);
  const sequence = reader.sequence();
  const out = new Float32Array(CHANNELS);
  const exact = pieces.every(({ scales, means }, p) => {
    sequence.next(scales, means, out);
    return same(out, written[p]);
  });
  reader.finish();
  const steps: Step[] = [{ kind: "pieces", options: undefined, pieces }];
  const all = [{ packet, steps, ideal: idealBytes(codec, steps), exact }];
  const result = await summary(codec, `pull of ${CHANNELS} x 16 x 16`, all, timeMs);
  return { ...result, garbageBytesPerPixel: garbagePerPixel(codec) };
}

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Codec } from "latentwire";
import { median } from "../numbers.js";
import { coded, idealBytes } from "./ideal.js";
import { type Result, SHARE } from "./measure.js";
import type { Piece, Step } from "./recorder.js";
import { encodeSteps } from "./replay.js";

/** The latent of mbt2018 for a 256 x 256 image: C symbols per pixel. */
const [CHANNELS, PIXELS] = [192, 16 * 16];
const ROUNDS = 60;

/** Normally distributed numbers, the same in every run. */
export function normals(): () => number {
  let state = 7;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Gaussians with log-normal scales, as hyperpriors give them. */
function pixels(count: number): Piece[] {
  const normal = normals();
  return Array.from({ length: count }, () => {
    const scales = Float32Array.from({ length: CHANNELS }, () => 0.5 * Math.exp(normal()));
    const means = Float32Array.from(scales, () => 2 * normal());
    return { values: means.map((mean, i) => mean + scales[i] * normal()), scales, means };
  });
}

/** Pulls all pixels of a packet; returns the milliseconds from the first pixel to the last. */
function pull(codec: Codec, packet: Uint8Array, pieces: readonly Piece[], out: Float32Array): number {
  const reader = codec.reader(packet);
  const sequence = reader.sequence();
  const start = performance.now();
  for (let p = 0; p < pieces.length; p++) sequence.next(pieces[p].scales, pieces[p].means, out);
  const ms = performance.now() - start;
  reader.finish();
  return ms;
}

/**
 * Bytes of garbage per pixel: how much fuller the heap is after thousands of pixels, less what it is after one. The least of several rounds, because V8's
 * own notes while it compiles are not the codec's.
 */
export function garbagePerPixel(codec: Codec): number {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const pieces = pixels(PIXELS);
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
export function measurePull(codec: Codec, scales: Float32Array): Result {
  const pieces = pixels(PIXELS);
  const steps: Step[] = [{ kind: "pieces", options: undefined, pieces }];
  const packet = encodeSteps(codec, steps);
  const part = coded(codec, steps[0], scales);
  const out = new Float32Array(CHANNELS);

  const reader = codec.reader(packet);
  const sequence = reader.sequence();
  const exact = pieces.every(({ scales: s, means }, p) => {
    sequence.next(s, means, out);
    return out.every((value, i) => value === Math.fround(part.symbols[p * CHANNELS + i] + means![i]));
  });
  reader.finish();

  const decodeMs = Array.from({ length: ROUNDS }, () => pull(codec, packet, pieces, out));
  const encodeMs = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    encodeSteps(codec, steps);
    return performance.now() - start;
  });
  const symbols = CHANNELS * PIXELS;
  const ideal = idealBytes([part]);
  // Both from the second half, when V8 has compiled everything.
  const nanoseconds = (ms: readonly number[]) => (median(ms.slice(ROUNDS / 2)) * 1e6) / symbols;
  return {
    family: `pull of ${CHANNELS} x 16 x 16`,
    bytes: packet.length,
    idealBytes: ideal,
    roundTrip: exact,
    encodeNsPerSymbol: nanoseconds(encodeMs),
    decodeNsPerSymbol: nanoseconds(decodeMs),
    packets: 1,
    symbols,
    parts: 1,
    worstExtraBytes: packet.length - ideal * (1 + SHARE),
    garbageBytesPerPixel: garbagePerPixel(codec),
  };
}

import type { Codec, TensorLike } from "latentwire";
import {
  autoregressive,
  channelGroups,
  checkerboard,
  elic,
  factorized,
  gain,
  meanScale,
  mixture,
  recursive,
  scale,
} from "latentwire/onnx";
import { stockScales } from "../../bindings/cdfs.js";
import { median, number } from "../numbers.js";
import { columns } from "../terminal.js";
import { inTurns, medianRatio } from "../timing.js";
import { w1 } from "../workloads.js";
import { coded } from "./ideal.js";
import { type Job, job } from "./jobs.js";
import { countOf, sameSymbols } from "./measure.js";
import { normals } from "./pull.js";
import { recording, type Step } from "./recorder.js";
import { decodeSteps, encodeSteps } from "./replay.js";

// Many short rounds, because others use the machine, too.
const ROUNDS = 20;
const [CHANNELS, HEIGHT, WIDTH] = [192, 48, 32];
const GROUPS = [48, 48, 48, 48];
const ELIC_GROUPS = [16, 16, 32, 64, 64];
const LEVELS = 6;
const COMPONENTS = 3;

type Floats = TensorLike & { readonly data: Float32Array };

/** One family at the size of W1. */
export interface Figure {
  readonly family: string;
  readonly parts: number;
  /** Of all parts. */
  readonly symbols: number;
  readonly bytes: number;
  readonly encodeNsPerSymbol: number;
  readonly decodeNsPerSymbol: number;
  /** Nanoseconds per symbol over those of latentwire-gaussian in the same rounds. */
  readonly encodeRatio: number;
  readonly decodeRatio: number;
  /** False where the codec does other work: a call per pixel, a row made per symbol. */
  readonly compared: boolean;
}

const tensor = (dims: number[], value: (i: number) => number): Floats => ({
  type: "float32",
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
});

/** A row for every channel: how often each symbol occurs. The medians are 0.25. */
function factorizedPrior(codec: Codec, { data }: Floats) {
  const symbols = Array.from(data, (value) => Math.round(value - 0.25));
  const low = symbols.reduce((a, b) => Math.min(a, b));
  const counts = new Float32Array(symbols.reduce((a, b) => Math.max(a, b)) - low + 2);
  for (const symbol of symbols) counts[symbol - low] += 1 / symbols.length;
  const row = [...codec.quantizedCdf(counts)];
  const of = <T>(value: T) => Array<T>(CHANNELS).fill(value);
  return codec.factorized({ offsets: of(low), cdfs: of(row), medians: of(0.25) });
}

/** The families with networks that only give W1's parameters, and the latent that each codes. */
function cases(codec: Codec): Record<string, () => [Job, TensorLike]> {
  const workload = w1(codec);
  const plain = workload.items[0].latent as Floats;
  const { dims } = plain;
  const normal = normals();
  const scales: Floats = { ...plain, data: workload.scales! };
  const means = tensor([...dims], () => 0.3 * normal());
  const y = tensor([...dims], (i) => plain.data[i] + means.data[i]);
  const shifted = tensor([...dims], (i) => plain.data[i] + 0.25);
  const z = tensor([1, CHANNELS, HEIGHT / 4, WIDTH / 4], () => 0.25 + 0.4 * normal());
  const prior = factorizedPrior(codec, z);

  const plane = HEIGHT * WIDTH;
  const cut = ({ data, type }: Floats, from: number, count: number): Floats => ({
    type,
    dims: [1, count, HEIGHT, WIDTH],
    data: data.slice(from * plane, (from + count) * plane),
  });
  const group = (k: number, counts: readonly number[]) => {
    const from = counts.slice(0, k).reduce((a, b) => a + b, 0);
    const found = { scales: cut(scales, from, counts[k]), means: cut(means, from, counts[k]) };
    return () => found;
  };
  const h_a = () => ({ z });
  const h_s = () => ({ scales, means });
  const hyper = { prior, h_a, h_s };
  const context = { prior, h_a, h_s: () => ({ psi: tensor([1, 1, HEIGHT, WIDTH], () => 0) }) };

  return {
    factorized: () => [job("factorized", { prior: factorizedPrior(codec, shifted) }, factorized), shifted],
    scale: () => [job("scale", { ...hyper, h_s: () => ({ scales }) }, scale), plain],
    "mean-scale": () => [job("mean-scale", hyper, meanScale), y],
    recursive: () => {
      const half = [1, CHANNELS, HEIGHT / 2, WIDTH / 2];
      const z1 = tensor(half, (i) => y.data[i]);
      const ofZ1 = { scales: tensor(half, (i) => scales.data[i]), means: tensor(half, (i) => means.data[i]) };
      const nets = { h_a1: () => ({ z1 }), h_a2: () => ({ z2: z }), h_s2: () => ofZ1, h_s1: h_s };
      return [job("recursive", { prior, ...nets }, recursive), y];
    },
    autoregressive: () => {
      let at = 0;
      const pixel = () => {
        const of = ({ data }: Floats) => tensor([1, CHANNELS, 1, 1], (c) => data[c * plane + at]);
        const found = { scales: of(scales), means: of(means) };
        at++;
        return found;
      };
      return [job("autoregressive", { ...context, pixel, channels: CHANNELS }, autoregressive), y];
    },
    checkerboard: () => [job("checkerboard", { ...context, anchor: h_s, nonanchor: h_s }, checkerboard), y],
    "channel-groups": () => {
      const nets = GROUPS.map((_, k) => group(k, GROUPS));
      return [job("channel-groups", { ...context, groups: GROUPS, nets }, channelGroups), y];
    },
    elic: () => {
      const groups = ELIC_GROUPS.map((channels, k) => {
        const net = group(k, ELIC_GROUPS);
        return { channels, anchor: net, nonanchor: net };
      });
      return [job("elic", { ...context, groups }, elic), y];
    },
    gain: () => {
      const gains = Array.from({ length: LEVELS }, () => new Float32Array(CHANNELS).fill(1));
      return [job("gain", { ...hyper, gains, inverseGains: gains }, gain, { level: 2 }), y];
    },
    mixture: () => {
      const [h, w] = [HEIGHT / 4, WIDTH / 4];
      const length = CHANNELS * h * w;
      const each = (value: (i: number) => number) => tensor([1, COMPONENTS * CHANNELS, h, w], value);
      const parameters = {
        weights: each((i) => 0.2 + (i % 3) / 5),
        means: each(() => 0.3 * normal()),
        scales: each((i) => scales.data[i % length]),
      };
      const small = tensor([1, CHANNELS, h / 4, w / 4], (i) => z.data[i]);
      const model = { prior, h_a: () => ({ z: small }), h_s: () => parameters, components: COMPONENTS };
      return [job("mixture", model, mixture), tensor([1, CHANNELS, h, w], (i) => plain.data[i])];
    },
    laplace: () => [job("laplace", { ...hyper, table: codec.laplaceTable() }, meanScale), y],
    logistic: () => [job("logistic", { ...hyper, table: codec.logisticTable() }, meanScale), y],
  };
}

/** What the recipe writes. No later part needs the last one, so the encoder does not ask for it back. */
async function stepsOf(codec: Codec, one: Job, y: TensorLike): Promise<Step[]> {
  const { codec: watched, steps } = recording(codec);
  await one.encode(watched, y);
  const last = steps.length - 1;
  return steps.map((step, s) => (s === last && step.kind === "part" ? { ...step, dequantize: false } : step));
}

/** Times the codec's share of each family in turns with latentwire-gaussian, whose figure is the first. */
export async function measureW1(
  codec: Codec,
  wanted: readonly string[],
  timeMs: number,
  step: (family: string) => void,
): Promise<Figure[]> {
  const { items, scales } = w1(codec);
  const { latent } = items[0];
  const count = latent.data.length;
  const encode = () => codec.encode(latent, codec.gaussian(scales!));
  const plain = encode();
  const decode = () => void codec.decode(plain, codec.gaussian(scales!));

  const all = cases(codec);
  const figures: Figure[] = [];
  const base: { encode: number[]; decode: number[] } = { encode: [], decode: [] };
  for (const family of wanted) {
    step(family);
    const steps = await stepsOf(codec, ...all[family]());
    const packet = encodeSteps(codec, steps);
    const parts = steps.map((one) => coded(codec, one, stockScales));
    if (!sameSymbols(codec, packet, steps, parts)) throw new Error(`${family}: the round trip is not exact`);
    const ours = [() => void encodeSteps(codec, steps), () => decodeSteps(codec, packet, steps)];
    const [e0, e, d0, d] = await inTurns([encode, ours[0], decode, ours[1]], timeMs / 4, ROUNDS);
    base.encode.push(...e0);
    base.decode.push(...d0);
    const symbols = countOf(steps);
    figures.push({
      family,
      parts: steps.length,
      symbols,
      bytes: packet.length,
      encodeNsPerSymbol: (median(e) * 1e6) / symbols,
      decodeNsPerSymbol: (median(d) * 1e6) / symbols,
      encodeRatio: (medianRatio(e, e0) * count) / symbols,
      decodeRatio: (medianRatio(d, d0) * count) / symbols,
      compared: family !== "autoregressive" && family !== "mixture",
    });
  }
  const first = {
    family: "latentwire-gaussian",
    parts: 1,
    symbols: count,
    bytes: plain.length,
    encodeNsPerSymbol: (median(base.encode) * 1e6) / count,
    decodeNsPerSymbol: (median(base.decode) * 1e6) / count,
    encodeRatio: 1,
    decodeRatio: 1,
    compared: true,
  };
  return [first, ...figures];
}

export function printW1(figures: readonly Figure[]): string[] {
  const head = ["family", "parts", "symbols", "bytes", "encode ns", "decode ns", "encode x", "decode x"];
  const rows = figures.map((figure) => [
    figure.compared ? figure.family : `${figure.family} *`,
    number(figure.parts),
    number(figure.symbols),
    number(figure.bytes),
    number(figure.encodeNsPerSymbol, 2),
    number(figure.decodeNsPerSymbol, 2),
    number(figure.encodeRatio, 2),
    number(figure.decodeRatio, 2),
  ]);
  return [
    ...columns(head, rows),
    "",
    "y is W1's latent (192 x 48 x 32). ns: time of the codec per symbol of all parts, without networks.",
    "x: the same over latentwire-gaussian, which is codec.encode and codec.decode of W1; each call makes its priors.",
    "* not part of the comparison: a call per pixel, and a row made for each symbol (at 1/16 of the size).",
  ];
}

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Codec, Latent, TensorLike } from "latentwire";
import { readBundle } from "latentwire/bundle";
import {
  autoregressive,
  channelGroups,
  checkerboard,
  type Encoded,
  type EncodeFamilyOptions,
  elic,
  type Family,
  factorized,
  gain,
  meanScale,
  mixture,
  recursive,
  type SessionLike,
  scale,
} from "latentwire/onnx";
import { contextsOf } from "../contexts.js";

type Packet = Uint8Array | readonly Uint8Array[];

/** A family with a model, from both ends. */
export interface Job {
  readonly family: string;
  encode(codec: Codec, y: TensorLike, options?: EncodeFamilyOptions<"packet">): Promise<Encoded>;
  /** CompressAI's strings. */
  strings(codec: Codec, y: TensorLike): Promise<Encoded<"strings">>;
  decode(codec: Codec, packet: Packet, shape?: readonly number[]): Promise<Latent<Float32Array>>;
}

/** Opens an ONNX file: onnxruntime-node here, another runtime in the tests. */
export type Open = (model: Uint8Array) => Promise<SessionLike>;

/** What model.json says; bench/families/models/README.md. */
interface Description {
  readonly channels: number;
  readonly networks: Record<string, { readonly file: string }>;
  readonly groups?: number[];
  readonly components?: number;
  readonly support?: [number, number];
  readonly gains?: number[][];
  readonly inverse_gains?: number[][];
}

const models = new URL("models/", import.meta.url);
const POINT = new URL("../model/points/mid", import.meta.url);
const read = (file: URL) => new Uint8Array(readFileSync(file));
const json = (file: URL) => JSON.parse(readFileSync(file, "utf8"));

/** Sessions of a family by name, its prior and its description. */
async function load(family: string, codec: Codec, open: Open) {
  const folder = new URL(`${family}/`, models);
  const description: Description = json(new URL("model.json", folder));
  const nets: Record<string, SessionLike> = {};
  for (const [name, { file }] of Object.entries(description.networks))
    nets[name] = await open(read(new URL(file, folder)));
  return { description, nets, prior: codec.factorized(json(new URL("z.json", folder))) };
}

/** Binds a family to a model. `extra` goes to all options. */
function job<Model extends Decoder, Decoder, Extra>(
  name: string,
  model: Model,
  family: Family<Model, Decoder, Extra>,
  extra?: Extra,
): Job {
  const { encode, decode } = family;
  return {
    family: name,
    encode: (codec, y, options) => encode(codec, model, y, { ...options, ...extra! }),
    strings: (codec, y) => encode(codec, model, y, { format: "strings", ...extra! }),
    decode: (codec, packet, shape) => decode(codec, model, packet, { shape, ...extra! }),
  };
}

type Loaded = Awaited<ReturnType<typeof load>>;
type Nets = Record<"h_a" | "h_s", SessionLike>;
const hyper = ({ nets, prior }: Loaded) => ({ prior, ...(nets as Nets) });

const makers: Record<string, (loaded: Loaded, codec: Codec) => Job[]> = {
  scale: (loaded) => [job("scale", hyper(loaded), scale)],
  "mean-scale": (loaded) => {
    const context = readBundle(read(new URL("mean-scale/context-default.lwb", models))).parameters("y");
    const model = hyper(loaded);
    return [job("mean-scale", model, meanScale), job("mean-scale, context", { ...model, context }, meanScale)];
  },
  recursive: ({ nets, prior }) => {
    const { h_a1, h_a2, h_s1, h_s2 } = nets;
    return [job("recursive", { prior, h_a1, h_a2, h_s1, h_s2 }, recursive)];
  },
  autoregressive: (loaded) => {
    const model = { ...hyper(loaded), pixel: loaded.nets.pixel, channels: loaded.description.channels };
    return [job("autoregressive", model, autoregressive)];
  },
  checkerboard: (loaded) => {
    const { anchor, nonanchor } = loaded.nets;
    return [job("checkerboard", { ...hyper(loaded), anchor, nonanchor }, checkerboard)];
  },
  "channel-groups": (loaded) => {
    const groups = loaded.description.groups!;
    const model = { ...hyper(loaded), groups, nets: groups.map((_, k) => loaded.nets[`group${k}`]) };
    return [job("channel-groups", model, channelGroups)];
  },
  elic: (loaded) => {
    const groups = loaded.description.groups!.map((channels, k) => ({
      channels,
      anchor: loaded.nets[`anchor${k}`],
      nonanchor: loaded.nets[`nonanchor${k}`],
    }));
    return [job("elic", { ...hyper(loaded), groups }, elic)];
  },
  gain: (loaded) => {
    const { gains, inverse_gains } = loaded.description;
    const model = { ...hyper(loaded), gains: gains!, inverseGains: inverse_gains! };
    return gains!.map((_, level) => job("gain", model, gain, { level }));
  },
  mixture: (loaded) => {
    const { components, support } = loaded.description;
    return [job("mixture", { ...hyper(loaded), components, support }, mixture)];
  },
  laplace: (loaded, codec) => {
    const model = { ...hyper(loaded), table: codec.laplaceTable() };
    return [job("laplace", model, meanScale), runTime("laplace", loaded)];
  },
  logistic: (loaded, codec) => {
    const model = { ...hyper(loaded), table: codec.logisticTable() };
    return [job("logistic", model, meanScale), runTime("logistic", loaded)];
  },
};

/** The same networks, but each symbol has a row of its own instead of one of 64: a mixture of one component. */
function runTime(kind: "laplace" | "logistic", loaded: Loaded): Job {
  const model = { ...hyper(loaded), kind, support: [-32, 31] as const };
  return job(`${kind}, rows at run time`, model, mixture);
}

export const FAMILIES = ["factorized", "context", ...Object.keys(makers)];

/** The jobs of a family: several for gain units (one per level) and where rows can be made in two ways. */
export async function jobsOf(family: string, codec: Codec, open: Open): Promise<Job[]> {
  if (family === "factorized" || family === "context") {
    // The rows that the latents' own encoder was trained with.
    const [context] = contextsOf(codec, fileURLToPath(POINT), /^context-default\.lwb$/);
    return [job(family, { prior: family === "context" ? context.prior : context.fixed }, factorized)];
  }
  return makers[family](await load(family, codec, open), codec);
}

import { readFileSync } from "node:fs";
import type { Latent, Prior, TensorLike } from "latentwire";
import type { FullCodec } from "latentwire/full";
import {
  type DecodeFamilyOptions,
  decodeAutoregressive,
  decodeChannelGroups,
  decodeCheckerboard,
  decodeElic,
  decodeFactorized,
  decodeGain,
  decodeMeanScale,
  decodeMixture,
  decodeRecursive,
  decodeScale,
  type Encoded,
  type EncodeFamilyOptions,
  type EncodeGainOptions,
  encodeAutoregressive,
  encodeChannelGroups,
  encodeCheckerboard,
  encodeElic,
  encodeFactorized,
  encodeGain,
  encodeMeanScale,
  encodeMixture,
  encodeRecursive,
  encodeScale,
  type Format,
  type SessionLike,
} from "latentwire/onnx";

type Packet = Uint8Array | readonly Uint8Array[];
type Encode<M> = <F extends Format = "packet">(
  codec: FullCodec,
  model: M,
  y: TensorLike,
  options?: EncodeFamilyOptions<F>,
) => Promise<Encoded<F>>;
type Decode<M> = (
  codec: FullCodec,
  model: M,
  packet: Packet,
  options?: DecodeFamilyOptions,
) => Promise<Latent<Float32Array>>;

/** A family with its trained model: the recipe from both ends. */
export interface Job {
  readonly family: string;
  encode(codec: FullCodec, y: TensorLike, options?: EncodeFamilyOptions<"packet">): Promise<Encoded>;
  /** CompressAI's strings. */
  strings(codec: FullCodec, y: TensorLike): Promise<Encoded<"strings">>;
  decode(codec: FullCodec, packet: Packet, shape?: readonly number[]): Promise<Latent<Float32Array>>;
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
const read = (file: URL) => new Uint8Array(readFileSync(file));
const json = (file: URL) => JSON.parse(readFileSync(file, "utf8"));

/** Sessions of a family by name, its prior and its description. */
async function load(family: string, codec: FullCodec, open: Open) {
  const folder = new URL(`${family}/`, models);
  const description: Description = json(new URL("model.json", folder));
  const nets: Record<string, SessionLike> = {};
  for (const [name, { file }] of Object.entries(description.networks))
    nets[name] = await open(read(new URL(file, folder)));
  return { description, nets, prior: codec.factorized(json(new URL("z.json", folder))) };
}

/** A recipe's two functions with a model in their hands. */
function job<M>(family: string, model: M, encode: Encode<M>, decode: Decode<M>): Job {
  return {
    family,
    encode: (codec, y, options) => encode(codec, model, y, options),
    strings: (codec, y) => encode(codec, model, y, { format: "strings" }),
    decode: (codec, packet, shape) => decode(codec, model, packet, { shape }),
  };
}

type Loaded = Awaited<ReturnType<typeof load>>;
type Nets = Record<"h_a" | "h_s", SessionLike>;
const hyper = ({ nets, prior }: Loaded) => ({ prior, ...(nets as Nets) });

const makers: Record<string, (loaded: Loaded, codec: FullCodec) => Job[]> = {
  scale: (loaded) => [job("scale", hyper(loaded), encodeScale, decodeScale)],
  "mean-scale": (loaded) => [job("mean-scale", hyper(loaded), encodeMeanScale, decodeMeanScale)],
  recursive: ({ nets, prior }) => {
    const { h_a1, h_a2, h_s1, h_s2 } = nets;
    return [job("recursive", { prior, h_a1, h_a2, h_s1, h_s2 }, encodeRecursive, decodeRecursive)];
  },
  autoregressive: (loaded) => {
    const model = { ...hyper(loaded), pixel: loaded.nets.pixel, channels: loaded.description.channels };
    return [job("autoregressive", model, encodeAutoregressive, decodeAutoregressive)];
  },
  checkerboard: (loaded) => {
    const { anchor, nonanchor } = loaded.nets;
    return [job("checkerboard", { ...hyper(loaded), anchor, nonanchor }, encodeCheckerboard, decodeCheckerboard)];
  },
  "channel-groups": (loaded) => {
    const groups = loaded.description.groups!;
    const model = { ...hyper(loaded), groups, nets: groups.map((_, k) => loaded.nets[`group${k}`]) };
    return [job("channel-groups", model, encodeChannelGroups, decodeChannelGroups)];
  },
  elic: (loaded) => {
    const groups = loaded.description.groups!.map((channels, k) => ({
      channels,
      anchor: loaded.nets[`anchor${k}`],
      nonanchor: loaded.nets[`nonanchor${k}`],
    }));
    return [job("elic", { ...hyper(loaded), groups }, encodeElic, decodeElic)];
  },
  gain: (loaded) => {
    const { gains, inverse_gains } = loaded.description;
    const model = { ...hyper(loaded), gains: gains!, inverseGains: inverse_gains! };
    return gains!.map((_, level) =>
      job(
        "gain",
        model,
        <F extends Format = "packet">(...[codec, m, y, options]: Parameters<Encode<typeof model>>) =>
          encodeGain<F>(codec, m, y, { ...options, level } as EncodeGainOptions<F>),
        (codec, m, packet, options) => decodeGain(codec, m, packet, { ...options, level }),
      ),
    );
  },
  mixture: (loaded) => {
    const { components, support } = loaded.description;
    return [job("mixture", { ...hyper(loaded), components, support }, encodeMixture, decodeMixture)];
  },
  laplace: (loaded, codec) => {
    const model = { ...hyper(loaded), table: codec.laplaceTable() };
    return [job("laplace", model, encodeMeanScale, decodeMeanScale), runTime("laplace", loaded)];
  },
  logistic: (loaded, codec) => {
    const model = { ...hyper(loaded), table: codec.logisticTable() };
    return [job("logistic", model, encodeMeanScale, decodeMeanScale), runTime("logistic", loaded)];
  },
};

/** The same networks, each symbol under a row of its own instead of one of 64: a mixture of one component. */
function runTime(kind: "laplace" | "logistic", loaded: Loaded): Job {
  const model = { ...hyper(loaded), kind, support: [-32, 31] as const };
  return job(`${kind}, rows at run time`, model, encodeMixture, decodeMixture);
}

export const FAMILIES = ["factorized", ...Object.keys(makers)];

/** The jobs of a family: several for gain units (one per level) and where rows can be made in two ways. */
export async function jobsOf(family: string, codec: FullCodec, open: Open): Promise<Job[]> {
  if (family === "factorized") {
    return [job("factorized", { prior: factorizedPrior(codec) }, encodeFactorized, decodeFactorized)];
  }
  return makers[family](await load(family, codec, open), codec);
}

/** The prior that the latents' own encoder was trained with. */
export function factorizedPrior(codec: FullCodec): Prior {
  return codec.factorized(json(new URL("../model/points/mid/tables.json", import.meta.url)));
}

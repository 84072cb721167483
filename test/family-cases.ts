// The cases of test/vectors/families.json: recipes whose networks give recorded answers.
import { readFileSync } from "node:fs";
import type { Codec, Latent, TableJson, TensorLike } from "latentwire";
import {
  autoregressive,
  channelGroups,
  checkerboard,
  type DecodeFamilyOptions,
  type Encoded,
  type EncodeFamilyOptions,
  elic,
  type Family,
  type Format,
  factorized,
  gain,
  meanScale,
  mixture,
  type Net,
  recursive,
  scale,
  variableRate,
} from "latentwire/onnx";

import { productOf } from "./cases.js";

interface Hex {
  readonly dims: number[];
  readonly f32: string;
}

/** A case as it is written; test/vectors/README.md. */
export interface FamilyCase {
  readonly family: string;
  readonly origin: string;
  readonly y: Hex;
  readonly latent: Hex;
  readonly nets: Record<string, Record<string, Hex>[]>;
  readonly shape: number[];
  readonly strings: string[];
  /** By latentwire, one lane; checked against test/reference.ts when it was made. */
  readonly packet?: string;
  readonly prior: TableJson;
  readonly groups?: number[];
  readonly anchors?: "even" | "odd";
  readonly channels?: number;
  readonly components?: number;
  readonly support?: [number, number];
  readonly level?: number;
  readonly gains?: Hex[];
  readonly inverseGains?: Hex[];
  readonly zGains?: Hex[];
  readonly inverseZGains?: Hex[];
  readonly table?: TableJson;
  readonly scaleTable?: Hex;
}

export const readCases = (file: string | URL): FamilyCase[] => JSON.parse(readFileSync(file, "utf8"));

export const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
export const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
export const floatsOf = ({ f32 }: Hex) => new Float32Array(bytesOf(f32).buffer);
export const tensorOf = (hex: Hex): Latent<Float32Array> => ({
  type: "float32",
  dims: hex.dims,
  data: floatsOf(hex),
  location: "cpu",
});

/** A float32 tensor of a shape, from a rule. */
export const tensorBy = (dims: number[], value: (i: number) => number) => ({
  type: "float32",
  dims,
  data: Float32Array.from({ length: productOf(dims) }, (_, i) => value(i)),
});

/** A network that gives its answers in turn, over and over. */
function recorded(calls: readonly Record<string, Hex>[]): Net {
  const answers = calls.map((call) =>
    Object.fromEntries(Object.entries(call).map(([name, hex]) => [name, tensorOf(hex)])),
  );
  let asked = 0;
  return () => answers[asked++ % answers.length];
}

type Nets = Record<string, Net>;

/** The networks of a case; each call makes new ones, which begin with their first answer. */
export const netsOf = ({ nets }: FamilyCase): Nets =>
  Object.fromEntries(Object.entries(nets).map(([name, calls]) => [name, recorded(calls)]));

export interface Recipe {
  encode<F extends Format = "packet">(y: TensorLike, options?: EncodeFamilyOptions<F>): Promise<Encoded<F>>;
  decode(packet: Uint8Array | readonly Uint8Array[], options?: DecodeFamilyOptions): Promise<Latent<Float32Array>>;
}

/** The recipe of a case, on a codec. */
export function recipeOf(one: FamilyCase, codec: Codec, nets: Nets = netsOf(one)): Recipe {
  const bind = <M extends D, D>(family: Family<M, D>, model: M): Recipe => ({
    encode: (y, options) => family.encode(codec, model, y, options),
    decode: (packet, options) => family.decode(codec, model, packet, options),
  });
  const prior = codec.factorized(one.prior);
  const { h_a, h_s } = nets;
  const hyper = { prior, h_a, h_s };
  switch (one.family) {
    case "factorized":
      return bind(factorized, { prior });
    case "scale":
      return bind(scale, hyper);
    case "mean-scale":
      return bind(meanScale, hyper);
    case "laplace":
    case "logistic": {
      const model = { ...hyper, table: one.table!, scaleTable: floatsOf(one.scaleTable!) };
      return bind(meanScale, model);
    }
    case "recursive": {
      const { h_a1, h_a2, h_s1, h_s2 } = nets;
      return bind(recursive, { prior, h_a1, h_a2, h_s1, h_s2 });
    }
    case "autoregressive":
      return bind(autoregressive, { ...hyper, pixel: nets.pixel, channels: one.channels! });
    case "checkerboard": {
      const { anchor, nonanchor } = nets;
      return bind(checkerboard, { ...hyper, anchor, nonanchor, anchors: one.anchors });
    }
    case "channel-groups": {
      const groups = one.groups!;
      return bind(channelGroups, { ...hyper, groups, nets: groups.map((_, k) => nets[`group${k}`]) });
    }
    case "slices": {
      const groups = one.groups!;
      const each = (name: string) => groups.map((_, k) => nets[`${name}${k}`]);
      return bind(channelGroups, { ...hyper, groups, nets: each("group"), refine: each("refine"), oneString: true });
    }
    case "variable-rate": {
      const { level } = one as { level: number };
      const gains = one.gains!.map((gain) => floatsOf(gain)[0]!);
      const model = { ...hyper, gains, ...(nets.pixel && { pixel: nets.pixel, channels: one.channels! }) };
      return {
        encode: (y, options) => variableRate.encode(codec, model, y, { ...options, level } as never),
        // A packet says its level itself.
        decode: (packet, options) =>
          variableRate.decode(codec, model, packet, packet instanceof Uint8Array ? options : { ...options, level }),
      };
    }
    case "elic": {
      const groups = one.groups!.map((channels, k) => ({
        channels,
        anchor: nets[`anchor${k}`],
        nonanchor: nets[`nonanchor${k}`],
      }));
      return bind(elic, { ...hyper, groups });
    }
    case "gain": {
      const { level } = one as { level: number };
      const factors = (rows: Hex[] | undefined) => rows!.map(floatsOf);
      const model = {
        ...hyper,
        gains: factors(one.gains),
        inverseGains: factors(one.inverseGains),
        zGains: factors(one.zGains),
        inverseZGains: factors(one.inverseZGains),
      };
      return {
        encode: (y, options) => gain.encode(codec, model, y, { ...options, level } as never),
        // A packet says its level itself.
        decode: (packet, options) =>
          gain.decode(codec, model, packet, packet instanceof Uint8Array ? options : { ...options, level }),
      };
    }
    case "mixture": {
      const { components, support } = one;
      return bind(mixture, { ...hyper, components, support });
    }
  }
  throw new Error(`no recipe for ${one.family}`);
}

/** Families in which y is one part: factorized, and scale, mean-scale, recursive, mixture and gain hyperpriors. */
import { elementsOf } from "../tensor.js";
import type { Latent, MixtureOptions, Prior, TensorLike, TensorView } from "../types.js";
import {
  both,
  checkSameDims,
  gaussian,
  type HyperContext,
  type HyperDecoder,
  type HyperModel,
  hyper,
  type Net,
  network,
  type ScaleTable,
} from "./network.js";
import { codeLevel, type Family, family } from "./wire.js";

/** One prior, no network. */
export interface FactorizedModel {
  /** From `codec.factorized`. */
  readonly prior: Prior;
}

/**
 * Factorized prior (Balle 2018, bmshj2018-factorized; FrankenSplit): y under a row per channel. `codec.encode` does the
 * same without parts.
 */
export const factorized: Family<FactorizedModel, FactorizedModel> = /* @__PURE__ */ family({
  hyperLatentCount: 0,
  code: async (wire, { prior }, y) => wire.codeFactorized(prior, y),
});

/** Scale hyperprior (Balle 2018, bmshj2018-hyperprior): z factorized, then y with the `scales` of h_s and no means. */
export const scale: Family<HyperModel & HyperContext, HyperDecoder & HyperContext> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  code: async (wire, model, y) =>
    wire.codeConditional(gaussian(wire, model, await hyper(wire, model, y, ["scales"]), y, model.context), y),
});

/**
 * Mean-scale hyperprior (Minnen 2018, mbt2018-mean): z factorized, then y with `scales` and `means` of h_s. Its Laplace
 * and logistic forms have a `table`.
 */
export const meanScale: Family<HyperModel & HyperContext, HyperDecoder & HyperContext> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  code: async (wire, model, y) =>
    wire.codeConditional(gaussian(wire, model, await hyper(wire, model, y, both), y, model.context), y),
});

/** What a decoder needs of a recursive hyperprior. */
export interface RecursiveDecoder extends ScaleTable {
  /** Of z2: `codec.factorized`. */
  readonly prior: Prior;
  /** `z2_hat` -> `scales`, `means` of z1. */
  readonly h_s2: Net;
  /** `z1_hat` -> `scales`, `means` of y. */
  readonly h_s1: Net;
}

/** A recursive hyperprior, as the encoder needs it. */
export interface RecursiveModel extends RecursiveDecoder {
  /** `y` -> `z1`. */
  readonly h_a1: Net;
  /** `z1` -> `z2`. */
  readonly h_a2: Net;
}

/**
 * Recursive mean-scale hyperprior (FrankenSplit): z2 factorized, then z1 with `scales` and `means` of h_s2, then y with
 * those of h_s1.
 */
export const recursive: Family<RecursiveModel, RecursiveDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 2,
  async code(wire, model, y) {
    const { h_a1, h_a2 } = model as RecursiveModel;
    const z1 = y && (await network(h_a1, "h_a1", ["z1"])({ y })).z1;
    const z2 = z1 && (await network(h_a2, "h_a2", ["z2"])({ z1 })).z2;
    const z2_hat = wire.codeFactorized(model.prior, z2);
    const ofZ1 = await network(model.h_s2, "h_s2", both)({ z2_hat });
    const z1_hat = wire.codeConditional(gaussian(wire, model, ofZ1, z1), z1);
    const ofY = await network(model.h_s1, "h_s1", both)({ z1_hat });
    return wire.codeConditional(gaussian(wire, model, ofY, y), y);
  },
});

// ---- mixtures

/** What a decoder needs of a mixture hyperprior. */
export interface MixtureDecoder extends HyperDecoder, Pick<MixtureOptions, "components" | "kind" | "support"> {}

/** A mixture hyperprior, as the encoder needs it. */
export interface MixtureModel extends MixtureDecoder, HyperModel {}

/**
 * Mixtures (Cheng 2020): z factorized, then y, rounded as it is. Each element has a mixture of its own, whose row is
 * made at run time. h_s gives `weights` (not with one component), `means` and `scales`, each (N, K * C, H, W) with
 * component k of channel c at k * C + c.
 */
export const mixture: Family<MixtureModel, MixtureDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  async code(wire, model, y) {
    const { components = 1, kind, support } = model;
    const mixed = components > 1 ? (["weights"] as const) : [];
    const { weights, means, scales } = await hyper<"weights" | "means" | "scales">(wire, model, y, [...mixed, ...both]);
    const [n, all, ...size] = scales.dims;
    const dims = [n!, all! / components, ...size];
    for (const given of [means, weights]) checkSameDims("a weight or mean", given, scales.dims);
    checkSameDims("the latent", y, dims);
    const own = <T extends TensorLike | undefined>(tensor: T) => byComponent(tensor, dims);
    const parameters = { weights: own(weights), means: own(means), scales: own(scales) };
    return wire.codeConditional(wire.codec.mixture(parameters, { components, kind, support, dims }), y);
  },
});

/** (N, K * C, H, W) in the codec's order: component 0 of all images, then component 1. A single image is in this order. */
function byComponent<T extends TensorLike | undefined>(tensor: T, [n, c, ...size]: readonly number[]): T | TensorView {
  if (tensor === undefined || n === 1) return tensor;
  const plane = elementsOf(size);
  const all = tensor.dims[1]!;
  const dims = [all / c!, n!, c! * plane];
  return { ...tensor, dims, strides: [c! * plane, all * plane, 1] };
}

// ---- gain units

/** Gain units: each level has a factor per channel. */
export interface Gains {
  /** Per level: float32 factors of the channels of y, before the quantizer. */
  readonly gains: readonly ArrayLike<number>[];
  /** Per level: factors that undo them. */
  readonly inverseGains: readonly ArrayLike<number>[];
  /**
   * Per level: factors of the channels of z. With them h_a sees y itself, as in CompressAI's gain hyperprior. Without
   * them h_a sees y times the gains, and z is coded as it is.
   */
  readonly zGains?: readonly ArrayLike<number>[];
  /** Per level: factors that undo them. */
  readonly inverseZGains?: readonly ArrayLike<number>[];
}

/** {@link HyperDecoder} with gain units. */
export interface GainDecoder extends HyperDecoder, Gains {}

/** {@link HyperModel} with gain units. */
export interface GainModel extends HyperModel, Gains {}

/** What gain units add to the options. */
export interface GainOptions {
  /** Index into `gains`. The encoder needs it. The decoder needs it with strings; a packet holds it. */
  level: number;
}

/**
 * Mean-scale hyperprior with gain units (Cui 2021), one model for many rates: y is multiplied by the gains of `level`
 * and coded, and the result is multiplied by the inverse gains. In a packet the level is one more symbol in front.
 *
 * Both ends throw RangeError for a level that does not exist, and where gains and channels differ in number.
 */
export const gain: Family<GainModel, GainDecoder, GainOptions> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  extras: ["level"],
  async code(wire, model, y, options) {
    const { gains, inverseGains, zGains, inverseZGains } = model;
    const level = codeLevel(wire, gains.length, y !== undefined, options?.level);
    const scaled = y && multiplied(y, gains[level]!, "gains");
    const z = y && (await network((model as GainModel).h_a, "h_a", ["z"])({ y: zGains ? y : scaled! })).z;
    const coded = wire.codeFactorized(model.prior, zGains && z ? multiplied(z, zGains[level]!, "zGains") : z);
    const z_hat = inverseZGains ? multiplied(coded, inverseZGains[level]!, "inverseZGains") : coded;
    const found = await network(model.h_s, "h_s", both)({ z_hat });
    const latent = wire.codeConditional(gaussian(wire, model, found, scaled), scaled);
    return multiplied(latent, inverseGains[level]!, "inverseGains");
  },
});

/** Each channel times its factor: one float32 product per element. */
function multiplied({ dims, data }: TensorLike, factors: ArrayLike<number>, name: string): Latent<Float32Array> {
  const [n, c, ...size] = dims;
  if (factors.length !== c)
    throw new RangeError(`${name} has ${factors.length} factors, the latent [${dims}] ${c} channels`);
  const plane = elementsOf(size);
  // The float64 product of two float32 is exact, so storing it rounds once.
  const out = new Float32Array(data as Float32Array);
  for (let p = 0; p < n! * c; p++) {
    const factor = Math.fround(factors[p % c]!);
    for (let i = p * plane; i < (p + 1) * plane; i++) out[i]! *= factor;
  }
  return { type: "float32", dims: [...dims], data: out, location: "cpu" };
}

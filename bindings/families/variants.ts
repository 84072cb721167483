/** Variants of the hyperprior: rows made at run time (mixtures), and many rates from one model (gain units). */
import type { FullCodec, MixtureOptions, TensorView } from "../full-types.js";
import type { SessionTensor } from "../session.js";
import type { Latent, TensorLike } from "../types.js";
import { both, checkSameDims, conditional, type HyperDecoder, type HyperModel, hyper } from "./hyperprior.js";
import { type Net, network } from "./network.js";
import {
  type DecodeFamilyOptions,
  decode,
  type Encoded,
  type EncodeFamilyOptions,
  encode,
  type Family,
  type Format,
} from "./wire.js";

/** The part of a mixture hyperprior that a decoder needs. */
export interface MixtureDecoder extends HyperDecoder, Pick<MixtureOptions, "components" | "kind" | "support"> {}

/** A mixture hyperprior at the encoder's end. */
export interface MixtureModel extends MixtureDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

/** Gain units: each level has a factor per channel. */
export interface Gains {
  /** Per level: float32 factors of the channels of y, before the quantizer. */
  readonly gains: readonly ArrayLike<number>[];
  /** Per level: factors that undo them. */
  readonly inverseGains: readonly ArrayLike<number>[];
  /**
   * Per level: factors of the channels of z. With them h_a sees y itself, as in CompressAI's gain hyperprior; without, it sees y times the gains, and z is
   * coded as it is.
   */
  readonly zGains?: readonly ArrayLike<number>[];
  /** Per level: factors that undo them. */
  readonly inverseZGains?: readonly ArrayLike<number>[];
}

/** {@link HyperDecoder} with gain units. */
export interface GainDecoder extends HyperDecoder, Gains {}

/** {@link HyperModel} with gain units. */
export interface GainModel extends HyperModel, Gains {}

/** {@link EncodeFamilyOptions} with the level. */
export interface EncodeGainOptions<F extends Format = Format> extends EncodeFamilyOptions<F> {
  /** Index into `gains`. A packet tells it to the decoder; with strings it is the caller's to send. */
  level: number;
}

/** {@link DecodeFamilyOptions} with the level. */
export interface DecodeGainOptions extends DecodeFamilyOptions {
  /** Needed with strings only. */
  level?: number;
}

const mixture: Family<MixtureDecoder> = {
  before: 1,
  async code(wire, model, y) {
    const { components = 1, kind, support } = model;
    const mixed = components > 1 ? (["weights"] as const) : [];
    const { weights, means, scales } = await hyper<"weights" | "means" | "scales">(wire, model, y, [...mixed, ...both]);
    const [n, all, ...size] = scales.dims;
    const dims = [n!, all! / components, ...size];
    for (const given of [means, weights]) checkSameDims("a weight or mean", given, scales.dims);
    checkSameDims("the latent", y, dims);
    const parameters = {
      weights: byComponent(weights, dims),
      means: byComponent(means, dims),
      scales: byComponent(scales, dims),
    };
    return wire.part(wire.codec.mixture(parameters, { components, kind, support, dims }), y);
  },
};

/** (N, K * C, H, W) as the codec takes it: component k of all images, then k + 1. Of one image it lies so already. */
function byComponent<T extends TensorLike | undefined>(tensor: T, [n, c, ...size]: readonly number[]): T | TensorView {
  if (tensor === undefined || n === 1) return tensor;
  const plane = size.reduce((a, b) => a * b, 1);
  const all = tensor.dims[1]!;
  const dims = [all / c!, n!, c! * plane];
  return { ...tensor, dims, strides: [c! * plane, all * plane, 1] };
}

const gain = (chosen: number | undefined): Family<GainDecoder> => ({
  before: 1,
  async code(wire, model, y) {
    const { gains, inverseGains, zGains, inverseZGains } = model;
    const told = wire.format === "packet";
    if ((y || !told) && gains[chosen!] === undefined)
      throw new RangeError(`level must be one of 0 .. ${gains.length - 1}, not ${chosen}`);
    const level = told ? wire.number(gains.length, chosen) : chosen!;
    const scaled = y && multiplied(y, gains[level]!, "gains");
    const z = y && (await network((model as GainModel).h_a, "h_a", ["z"])({ y: zGains ? y : scaled! })).z;
    const side = wire.side(model.prior, zGains && z ? multiplied(z, zGains[level]!, "zGains") : z);
    const z_hat = inverseZGains ? multiplied(side, inverseZGains[level]!, "inverseZGains") : side;
    const found = await network(model.h_s, "h_s", both)({ z_hat });
    const latent = wire.part(conditional(wire, model, found, scaled), scaled);
    return multiplied(latent, inverseGains[level]!, "inverseGains");
  },
});

/** Each channel times its factor: one float32 product per element. */
function multiplied({ dims, data }: TensorLike, factors: ArrayLike<number>, name: string): Latent<Float32Array> {
  const [n, c, ...size] = dims;
  if (factors.length !== c)
    throw new RangeError(`${name} has ${factors.length} factors, the latent [${dims}] ${c} channels`);
  const plane = size.reduce((a, b) => a * b, 1);
  // Of float32 operands the float64 product is exact, so storing it rounds once.
  const out = new Float32Array(data as Float32Array);
  for (let p = 0; p < n! * c; p++) {
    const factor = Math.fround(factors[p % c]!);
    for (let i = p * plane; i < (p + 1) * plane; i++) out[i]! *= factor;
  }
  return { type: "float32", dims: [...dims], data: out };
}

/**
 * Mixtures (Cheng 2020): z factorized, y rounded as it is, each element under a mixture of its own whose row is made at run time. h_s gives `weights`
 * (not with one component), `means` and `scales`, each (N, K * C, H, W), component k of channel c at k * C + c.
 *
 * @param y - (N, C, H, W).
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeMixture<F extends Format = "packet">(
  codec: FullCodec,
  model: MixtureModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(mixture, codec, model, y, options);
}

/** Gives back what {@link encodeMixture} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeMixture(
  codec: FullCodec,
  model: MixtureDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(mixture, codec, model, packet, options);
}

/**
 * Mean-scale hyperprior with gain units (Cui 2021), one model for many rates: h_a and the quantizer see y times the level's gains; the result is divided
 * again by the inverse gains. In a packet the level is one more symbol in front.
 *
 * @param y - (N, C, H, W), float32.
 * @throws RangeError for a level that is none, or gains of another number than the channels; CodecError `MODEL`, and whatever `PartWriter.write` throws.
 */
export async function encodeGain<F extends Format = "packet">(
  codec: FullCodec,
  model: GainModel,
  y: SessionTensor,
  options: EncodeGainOptions<F>,
): Promise<Encoded<F>> {
  return encode(gain(options.level), codec, model, y, options);
}

/** Gives back what {@link encodeGain} coded. @throws RangeError for a level that is none; CodecError `MODEL`, and whatever `PartReader.read` throws. */
export async function decodeGain(
  codec: FullCodec,
  model: GainDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeGainOptions,
): Promise<Latent<Float32Array>> {
  return decode(gain(options?.level), codec, model, packet, options);
}

/** Families in which y is one part under rows of a table: factorized, scale, mean-scale and recursive hyperpriors. */
import { CodecError } from "../errors.js";
import type { FullCodec } from "../full-types.js";
import type { SessionTensor } from "../session.js";
import { sameDims } from "../tensor.js";
import type { Latent, Prior, TableSource, TensorLike } from "../types.js";
import { type Net, network } from "./network.js";
import {
  type DecodeFamilyOptions,
  decode,
  type Encoded,
  type EncodeFamilyOptions,
  encode,
  type Family,
  type Format,
  type Wire,
} from "./wire.js";

/** One prior, no network. */
export interface FactorizedModel {
  /** From `codec.factorized`. */
  readonly prior: Prior;
}

/** Which table belongs to the scales: what `codec.gaussian` takes. Both ends must agree. */
export interface ScaleTable {
  /** Default the stock 64 Gaussian rows. Others: `codec.laplaceTable()`, `codec.logisticTable()`. */
  readonly table?: TableSource;
  /** Ascending float32 scales, one per row. Default CompressAI's 64. */
  readonly scaleTable?: Float32Array;
}

/** The part of a hyperprior that a decoder needs. */
export interface HyperDecoder extends ScaleTable {
  /** Of z: `codec.factorized`. */
  readonly prior: Prior;
  /** `z_hat` -> what the family wants to know about y. */
  readonly h_s: Net;
}

/** A hyperprior at the encoder's end. */
export interface HyperModel extends HyperDecoder {
  /** `y` -> `z`. CompressAI's scale hyperprior takes |y|: put Abs into the graph. */
  readonly h_a: Net;
}

/** The part of a recursive hyperprior that a decoder needs. */
export interface RecursiveDecoder extends ScaleTable {
  /** Of z2: `codec.factorized`. */
  readonly prior: Prior;
  /** `z2_hat` -> `scales`, `means` of z1. */
  readonly h_s2: Net;
  /** `z1_hat` -> `scales`, `means` of y. */
  readonly h_s1: Net;
}

/** A recursive hyperprior at the encoder's end. */
export interface RecursiveModel extends RecursiveDecoder {
  /** `y` -> `z1`. */
  readonly h_a1: Net;
  /** `z1` -> `z2`. */
  readonly h_a2: Net;
}

/** z, from y or from the wire; then what h_s says about y. */
export async function hyper<Name extends string>(
  wire: Wire,
  model: HyperDecoder,
  y: TensorLike | undefined,
  wanted: readonly Name[],
): Promise<Record<Name, TensorLike>> {
  const z = y && (await network((model as HyperModel).h_a, "h_a", ["z"])({ y })).z;
  return network(model.h_s, "h_s", wanted)({ z_hat: wire.side(model.prior, z) });
}

/** The prior of scales and means that a network gave for a part, which is known at the encoder's end. */
export function conditional(
  { codec }: Wire,
  { table, scaleTable }: ScaleTable,
  { scales, means }: { scales: TensorLike; means?: TensorLike },
  part: TensorLike | undefined,
): Prior {
  checkSameDims("the latent", part, scales.dims);
  checkSameDims("the means", means, scales.dims);
  return codec.gaussian(scales, { means, table, scaleTable });
}

/** The codec counts elements only, so it would not notice a network whose H and W are exchanged. */
export function checkSameDims(what: string, tensor: TensorLike | undefined, dims: readonly number[]): void {
  if (tensor && !sameDims(tensor.dims, dims))
    throw new CodecError(
      "SHAPE_MISMATCH",
      `the scales are for [${dims}], ${what} [${tensor.dims}]. Where height or width differ, pad the image to a multiple of the networks' strides`,
    );
}

/** What most networks say of a part. */
export const both = ["scales", "means"] as const;

const factorized: Family<FactorizedModel> = {
  before: 0,
  code: async (wire, { prior }, y) => wire.side(prior, y),
};

const scale: Family<HyperDecoder> = {
  before: 1,
  code: async (wire, model, y) => wire.part(conditional(wire, model, await hyper(wire, model, y, ["scales"]), y), y),
};

const meanScale: Family<HyperDecoder> = {
  before: 1,
  code: async (wire, model, y) => wire.part(conditional(wire, model, await hyper(wire, model, y, both), y), y),
};

const recursive: Family<RecursiveDecoder> = {
  before: 2,
  async code(wire, model, y) {
    const { h_a1, h_a2 } = model as RecursiveModel;
    const z1 = y && (await network(h_a1, "h_a1", ["z1"])({ y })).z1;
    const z2 = z1 && (await network(h_a2, "h_a2", ["z2"])({ z1 })).z2;
    const z2_hat = wire.side(model.prior, z2);
    const z1_hat = wire.part(conditional(wire, model, await network(model.h_s2, "h_s2", both)({ z2_hat }), z1), z1);
    return wire.part(conditional(wire, model, await network(model.h_s1, "h_s1", both)({ z1_hat }), y), y);
  },
};

/**
 * Factorized prior, as a packet of one part: `y` under a row per channel (FrankenSplit, bmshj2018-factorized). `codec.encode` does the same without parts.
 *
 * @param y - (N, C, H, W) as the encoder network gave it, on the CPU or not.
 * @throws whatever `PartWriter.write` throws.
 */
export function encodeFactorized<F extends Format = "packet">(
  codec: FullCodec,
  model: FactorizedModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(factorized, codec, model, y, options);
}

/** Gives back what {@link encodeFactorized} coded. @throws whatever `PartReader.read` throws. */
export function decodeFactorized(
  codec: FullCodec,
  model: FactorizedModel,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(factorized, codec, model, packet, options);
}

/**
 * Scale hyperprior (Balle 2018, bmshj2018-hyperprior): z factorized, y with the `scales` of h_s and no means.
 *
 * @param y - (N, C, H, W); the scales must have its shape.
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeScale<F extends Format = "packet">(
  codec: FullCodec,
  model: HyperModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(scale, codec, model, y, options);
}

/** Gives back what {@link encodeScale} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeScale(
  codec: FullCodec,
  model: HyperDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(scale, codec, model, packet, options);
}

/**
 * Mean-scale hyperprior (Minnen 2018, mbt2018-mean): z factorized, y with `scales` and `means` of h_s. With `table` also its Laplace and logistic forms.
 *
 * @param y - (N, C, H, W); scales and means must have its shape.
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeMeanScale<F extends Format = "packet">(
  codec: FullCodec,
  model: HyperModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(meanScale, codec, model, y, options);
}

/** Gives back what {@link encodeMeanScale} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeMeanScale(
  codec: FullCodec,
  model: HyperDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(meanScale, codec, model, packet, options);
}

/**
 * Recursive mean-scale hyperprior (FrankenSplit): z2 factorized, z1 with scales and means of h_s2, y with those of h_s1.
 *
 * @param y - (N, C, H, W).
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeRecursive<F extends Format = "packet">(
  codec: FullCodec,
  model: RecursiveModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(recursive, codec, model, y, options);
}

/** Gives back what {@link encodeRecursive} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeRecursive(
  codec: FullCodec,
  model: RecursiveDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(recursive, codec, model, packet, options);
}

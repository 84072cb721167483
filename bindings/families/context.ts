/** Families in which y is coded in several parts, each known before the next: checkerboard, channel groups, ELIC's both. */
import type { FullCodec, TensorView } from "../full-types.js";
import type { SessionTensor } from "../session.js";
import type { Latent, TensorLike } from "../types.js";
import { channels, checkerboard } from "../view.js";
import { both, conditional, type HyperDecoder, hyper, sameShape } from "./hyperprior.js";
import { type Net, network, type Tensors } from "./network.js";
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

/** Where the anchors are: `even` (default), where row + column is even, as CompressAI's `anchor_parity` says. */
export type AnchorParity = "even" | "odd";

/** The part of a checkerboard model that a decoder needs; h_s gives `psi`. */
export interface CheckerboardDecoder extends HyperDecoder {
  /** `psi` -> `scales`, `means`, of which those at the anchors are used. */
  readonly anchor: Net;
  /** `psi`, `y_hat` (0 but at the anchors) -> `scales`, `means`, of which the others are used. */
  readonly nonanchor: Net;
  readonly anchors?: AnchorParity;
}

/** A checkerboard model at the encoder's end. */
export interface CheckerboardModel extends CheckerboardDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

/** The part of a channel-group model that a decoder needs; h_s gives `psi`. */
export interface ChannelGroupsDecoder extends HyperDecoder {
  /** Channels of each group; their sum is that of y. */
  readonly groups: readonly number[];
  /** Per group: `psi`, and but for the first `y_hat` (the channels of the groups before) -> `scales`, `means` of the group. */
  readonly nets: readonly Net[];
}

/** A channel-group model at the encoder's end. */
export interface ChannelGroupsModel extends ChannelGroupsDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

/** The two networks of a group of {@link ElicDecoder}. */
export interface ElicGroup {
  readonly channels: number;
  /** `psi`, and but for the first group `y_hat` (the channels before) -> `scales`, `means` of the group. */
  readonly anchor: Net;
  /** As `anchor`, and `y_anchor`: the group's own channels, 0 but at the anchors. */
  readonly nonanchor: Net;
}

/** The part of an ELIC model that a decoder needs; h_s gives `psi`. */
export interface ElicDecoder extends HyperDecoder {
  readonly groups: readonly ElicGroup[];
  readonly anchors?: AnchorParity;
}

/** An ELIC model at the encoder's end. */
export interface ElicModel extends ElicDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

type Parameters = Record<"scales" | "means", TensorLike>;

const zeros = (dims: readonly number[]): Latent<Float32Array> => ({
  type: "float32",
  dims: [...dims],
  data: new Float32Array(dims.reduce((a, b) => a * b, 1)),
});

/** One colour of a checkerboard, in place. */
function half(
  wire: Wire,
  model: HyperDecoder,
  parity: 0 | 1,
  found: Parameters,
  y: TensorLike | undefined,
  out: TensorLike,
): void {
  const colour = (tensor: TensorLike): TensorView => checkerboard(tensor, parity);
  const own = y && colour(y);
  wire.into(
    conditional(wire, model, { scales: colour(found.scales), means: colour(found.means) }, own),
    own,
    colour(out),
  );
}

/** The first channels, as a network takes them: dense. */
function leading(latent: Latent<Float32Array>, count: number): TensorLike {
  const [n, c, h, w] = latent.dims as [number, number, number, number];
  const dims = [n, count, h, w];
  if (n === 1) return { type: "float32", dims, data: latent.data.subarray(0, count * h * w) };
  const dense = zeros(dims);
  for (let b = 0; b < n; b++)
    dense.data.set(latent.data.subarray(b * c * h * w, (b * c + count) * h * w), b * count * h * w);
  return dense;
}

const parityOf = (anchors: AnchorParity | undefined): 0 | 1 => (anchors === "odd" ? 1 : 0);
const other = (parity: 0 | 1): 0 | 1 => (parity === 0 ? 1 : 0);

const board: Family<CheckerboardDecoder> = {
  before: 1,
  async code(wire, model, y) {
    const parity = parityOf(model.anchors);
    const { psi } = await hyper(wire, model, y, ["psi"]);
    const first = await network(model.anchor, "anchor", both)({ psi });
    const y_hat = zeros(first.scales.dims);
    half(wire, model, parity, first, y, y_hat);
    half(wire, model, other(parity), await network(model.nonanchor, "nonanchor", both)({ psi, y_hat }), y, y_hat);
    return y_hat;
  },
};

const groups: Family<ChannelGroupsDecoder> = {
  before: 1,
  async code(wire, model, y) {
    const { psi } = await hyper(wire, model, y, ["psi"]);
    let y_hat: Latent<Float32Array> | undefined;
    let seen = 0;
    for (const [k, count] of model.groups.entries()) {
      const inputs: Tensors = y_hat ? { psi, y_hat: leading(y_hat, seen) } : { psi };
      const found = await network(model.nets[k]!, `nets[${k}]`, both)(inputs);
      y_hat ??= zeros(whole(found, model.groups));
      // Channels that no group has would be lost without a word.
      sameShape(y, y_hat.dims);
      const slice = (tensor: TensorLike) => channels(tensor, seen, seen + count);
      const own = y && slice(y);
      wire.into(conditional(wire, model, found, own), own, slice(y_hat));
      seen += count;
    }
    return y_hat!;
  },
};

const elic: Family<ElicDecoder> = {
  before: 1,
  async code(wire, model, y) {
    const parity = parityOf(model.anchors);
    const { psi } = await hyper(wire, model, y, ["psi"]);
    let y_hat: Latent<Float32Array> | undefined;
    let seen = 0;
    for (const [k, { channels: count, anchor, nonanchor }] of model.groups.entries()) {
      const inputs: Tensors = y_hat ? { psi, y_hat: leading(y_hat, seen) } : { psi };
      const first = await network(anchor, `groups[${k}].anchor`, both)(inputs);
      y_hat ??= zeros(
        whole(
          first,
          model.groups.map((group) => group.channels),
        ),
      );
      sameShape(y, y_hat.dims);
      const own = y && channels(y, seen, seen + count);
      // A group is dense of its own, because a network reads it: only then it goes to its place.
      const y_anchor = zeros(first.scales.dims);
      half(wire, model, parity, first, own, y_anchor);
      const second = await network(nonanchor, `groups[${k}].nonanchor`, both)({ ...inputs, y_anchor });
      half(wire, model, other(parity), second, own, y_anchor);
      place(y_anchor, y_hat, seen);
      seen += count;
    }
    return y_hat!;
  },
};

/** Shape of y: that of the first group's parameters with the channels of all. */
function whole({ scales }: Parameters, counts: readonly number[]): number[] {
  const [n, , ...size] = scales.dims;
  return [n!, counts.reduce((a, b) => a + b, 0), ...size];
}

/** Copies a dense group to its channels. */
function place(group: Latent<Float32Array>, whole: Latent<Float32Array>, first: number): void {
  const [n, count, h, w] = group.dims as [number, number, number, number];
  const c = whole.dims[1]!;
  const size = count * h * w;
  for (let b = 0; b < n; b++) whole.data.set(group.data.subarray(b * size, (b + 1) * size), (b * c + first) * h * w);
}

/**
 * Checkerboard context (He 2021): z factorized, the anchors of y, then the rest, for which a network has seen the anchors.
 *
 * @param y - (N, C, H, W), H and W even.
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeCheckerboard<F extends Format = "packet">(
  codec: FullCodec,
  model: CheckerboardModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(board, codec, model, y, options);
}

/** Gives back what {@link encodeCheckerboard} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeCheckerboard(
  codec: FullCodec,
  model: CheckerboardDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(board, codec, model, packet, options);
}

/**
 * Channel groups (Minnen 2020): z factorized, then y group by group, each with scales and means from those before.
 *
 * @param y - (N, C, H, W), C the sum of `groups`.
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeChannelGroups<F extends Format = "packet">(
  codec: FullCodec,
  model: ChannelGroupsModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(groups, codec, model, y, options);
}

/** Gives back what {@link encodeChannelGroups} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeChannelGroups(
  codec: FullCodec,
  model: ChannelGroupsDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(groups, codec, model, packet, options);
}

/**
 * Uneven channel groups, each in two checkerboard halves (He 2022, ELIC): z factorized, then per group its anchors and the rest.
 *
 * @param y - (N, C, H, W), C the sum of the groups' channels, H and W even.
 * @throws CodecError `MODEL` where a network lacks an input or output, and whatever `PartWriter.write` throws.
 */
export function encodeElic<F extends Format = "packet">(
  codec: FullCodec,
  model: ElicModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(elic, codec, model, y, options);
}

/** Gives back what {@link encodeElic} coded. @throws CodecError `MODEL`, and whatever `PartReader.read` throws. */
export function decodeElic(
  codec: FullCodec,
  model: ElicDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(elic, codec, model, packet, options);
}

/** Families that use decoded parts of y for the next part: checkerboard, channel groups, ELIC, autoregressive. */
import { CodecError, shown } from "../errors.js";
import type { SessionLike } from "../session.js";
import { channels, checkerboardHalf as colourOf, copyIn, copyOut, elementsOf, sameDims, spanOf } from "../tensor.js";
import type { Latent, SequenceOptions, SequenceWriter, TensorLike, TensorView } from "../types.js";
import {
  both,
  checkSameDims,
  gaussian,
  type HyperDecoder,
  type HyperModel,
  hyper,
  type Net,
  network,
  type ScaleTable,
  slice,
  type Tensors,
} from "./network.js";
import { type Family, family, type Wire } from "./wire.js";

/** The positions that are coded first. `even` (default): row + column is even, as CompressAI's `anchor_parity` says. */
export type AnchorParity = "even" | "odd";

/** What a decoder needs of a checkerboard model; h_s gives `psi`. */
export interface CheckerboardDecoder extends HyperDecoder {
  /** `psi` -> `scales`, `means`. Those at the anchors are used. */
  readonly anchor: Net;
  /** `psi`, `y_hat` (0 except at the anchors) -> `scales`, `means`. The others are used. */
  readonly nonanchor: Net;
  readonly anchors?: AnchorParity;
}

/** A checkerboard model, as the encoder needs it. */
export interface CheckerboardModel extends CheckerboardDecoder, HyperModel {}

/**
 * Checkerboard context (He 2021): z factorized, then the anchors of y, then the rest under a prior from a network that
 * sees the anchors. H and W of y are even.
 */
export const checkerboard: Family<CheckerboardModel, CheckerboardDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  async code(wire, model, y) {
    const { psi } = await hyper(wire, model, y, ["psi"]);
    return codeHalves(wire, model, y, model, { psi }, "y_hat", "");
  },
});

/** What a decoder needs of a channel-group model; h_s gives `psi`. */
export interface ChannelGroupsDecoder extends HyperDecoder {
  /** Channels of each group. Their sum is C of y. */
  readonly groups: readonly number[];
  /** Per group: `psi` and, except for the first, `y_hat` (the channels before) -> `scales`, `means` of the group. */
  readonly nets: readonly Net[];
  /**
   * Latent residual prediction (Minnen 2020; TCM, CCA), per group: `y_group` (the group as decoded), `psi`, `y_hat` and,
   * if the group's net has an output of this name, `support` -> `refined`, which takes the place of `y_group`.
   */
  readonly refine?: readonly Net[];
  /** Whether CompressAI's strings are one for all groups, as in TCM and CCA. Packets are the same. Default false. */
  readonly oneString?: boolean;
}

/** A channel-group model, as the encoder needs it. */
export interface ChannelGroupsModel extends ChannelGroupsDecoder, HyperModel {}

/**
 * Channel groups (Minnen 2020): z factorized, then y group by group, each under a prior made from the groups before.
 */
export const channelGroups: Family<ChannelGroupsModel, ChannelGroupsDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  code: (wire, model, y) => {
    const { refine, oneString } = model;
    const joined = oneString && wire.format === "strings";
    let piece: SequenceWriter["next"] | undefined;
    return codeGroups(wire, model, y, model.groups, async (k, inputs, group) => {
      const net = model.nets[k]!;
      const more = refine && (net as Partial<SessionLike>).outputNames?.includes("support") ? ["support"] : [];
      const found = await network<"scales" | "means" | "support">(net, `nets[${k}]`, [...both, ...(more as [])])(
        inputs,
      );
      // Begun here, because z comes before it.
      if (joined) piece ??= wire.sequence(rowsOf(model));
      const coded = piece
        ? codePiece(piece, found, group)
        : wire.codeConditional(gaussian(wire, model, found, group), group);
      if (!refine) return coded;
      const given = { ...inputs, y_group: coded, ...(found.support && { support: found.support }) };
      const { refined } = await network(refine[k]!, `refine[${k}]`, ["refined"])(given);
      checkSameDims("what refine gave", refined, coded.dims);
      return refined as Latent<Float32Array>;
    });
  },
});

/** Codes a group of one image as the next piece of a sequence. */
function codePiece(
  piece: SequenceWriter["next"],
  { scales, means }: Record<"scales" | "means", TensorLike>,
  group: TensorView | undefined,
): Latent<Float32Array> {
  const coded = zeros(scales.dims);
  checkSameDims("the means", means, scales.dims);
  checkSameDims("the latent", group, scales.dims);
  const values = new Float32Array(coded.data.length);
  if (group) copyOut(spanOf(group, "y"), values);
  piece(values, scales.data as Float32Array, means.data as Float32Array, coded.data);
  return coded;
}

/** The two networks of a group of {@link ElicDecoder}. */
export interface ElicGroup {
  readonly channels: number;
  /** `psi` and, except for the first group, `y_hat` (the channels before) -> `scales`, `means` of the group. */
  readonly anchor: Net;
  /** As `anchor`, and `y_anchor`: the group's own channels, 0 except at the anchors. */
  readonly nonanchor: Net;
}

/** What a decoder needs of an ELIC model; h_s gives `psi`. */
export interface ElicDecoder extends HyperDecoder {
  readonly groups: readonly ElicGroup[];
  readonly anchors?: AnchorParity;
}

/** An ELIC model, as the encoder needs it. */
export interface ElicModel extends ElicDecoder, HyperModel {}

/**
 * ELIC (He 2022): z factorized, then uneven channel groups, each in two checkerboard halves. C of y is the sum of the
 * groups' channels, H and W are even.
 */
export const elic: Family<ElicModel, ElicDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  code: (wire, model, y) => {
    const counts = model.groups.map((group) => group.channels);
    return codeGroups(wire, model, y, counts, (k, inputs, group) =>
      codeHalves(wire, model, group, model.groups[k]!, inputs, "y_anchor", `groups[${k}].`),
    );
  },
});

/**
 * Codes y group by group. `code` gets the inputs of a group's networks and, at the encoder's end, its channels of y.
 */
async function codeGroups(
  wire: Wire,
  model: HyperDecoder,
  y: TensorLike | undefined,
  counts: readonly number[],
  code: (k: number, inputs: Tensors, group: TensorView | undefined) => Promise<Latent<Float32Array>>,
): Promise<Latent<Float32Array>> {
  const sum = counts.reduce((a, b) => a + b, 0);
  if (y && y.dims[1] !== sum)
    throw new CodecError("SHAPE_MISMATCH", `the groups have ${sum} channels together, y [${y.dims}] has ${y.dims[1]}`);
  const { psi } = await hyper(wire, model, y, ["psi"]);
  let y_hat: Latent<Float32Array> | undefined;
  let seen = 0;
  for (const [k, count] of counts.entries()) {
    const inputs: Tensors = y_hat ? { psi, y_hat: leading(y_hat, seen) } : { psi };
    const group = await code(k, inputs, y && channels(y, seen, seen + count));
    const [n, , ...size] = group.dims;
    y_hat ??= zeros([n!, sum, ...size]);
    const place = channels(y_hat, seen, seen + count);
    if (!sameDims(group.dims, place.dims))
      throw new CodecError("SHAPE_MISMATCH", `the scales of group ${k} are [${group.dims}], [${place.dims}] is wanted`);
    copyIn(group.data, spanOf(place, "y_hat"));
    seen += count;
  }
  return y_hat!;
}

/** Codes the anchors, then the rest. `nonanchor` gets the anchors as its input `known`. */
async function codeHalves(
  wire: Wire,
  model: HyperDecoder & { readonly anchors?: AnchorParity },
  y: TensorLike | TensorView | undefined,
  { anchor, nonanchor }: Pick<ElicGroup, "anchor" | "nonanchor">,
  inputs: Tensors,
  known: string,
  label: string,
): Promise<Latent<Float32Array>> {
  const first = await network(anchor, `${label}anchor`, both)(inputs);
  const y_hat = zeros(first.scales.dims);
  const code = (parity: 0 | 1, { scales, means }: Record<"scales" | "means", TensorLike>) => {
    const half = y && colourOf(y, parity);
    const found = { scales: colourOf(scales, parity), means: colourOf(means, parity) };
    wire.codeInto(gaussian(wire, model, found, half), half, colourOf(y_hat, parity));
  };
  const odd = model.anchors === "odd";
  code(odd ? 1 : 0, first);
  code(odd ? 0 : 1, await network(nonanchor, `${label}nonanchor`, both)({ ...inputs, [known]: y_hat }));
  return y_hat;
}

const rowsOf = ({ table, scaleTable }: ScaleTable): SequenceOptions => ({ table, scaleTable });

const zeros = (dims: readonly number[]): Latent<Float32Array> => ({
  type: "float32",
  dims: [...dims],
  data: new Float32Array(elementsOf(dims)),
  location: "cpu",
});

/** The first channels as a plain tensor, which a network takes. */
function leading(latent: Latent<Float32Array>, count: number): TensorLike {
  const first = slice(latent, 0, count);
  if (latent.dims[0] === 1) return first;
  const dense = zeros(first.dims);
  copyOut(spanOf(first, "y_hat"), dense.data);
  return dense;
}

// ---- pixel by pixel

/** What a decoder needs of an autoregressive model; h_s gives `psi`. */
export interface AutoregressiveDecoder extends HyperDecoder {
  /**
   * `y_hat` (1, C, k, k) and `psi` (1, P, 1, 1) -> `scales`, `means` (1, C, 1, 1). `y_hat` is the surrounding of the
   * pixel: the positions before it in raster order, and 0 elsewhere.
   */
  readonly pixel: Net;
  /** C of y. */
  readonly channels: number;
  /** k, odd. Default 5. */
  readonly kernel?: number;
}

/** An autoregressive model, as the encoder needs it. */
export interface AutoregressiveModel extends AutoregressiveDecoder, HyperModel {}

/**
 * Joint autoregressive and hierarchical prior (Minnen 2018, mbt2018; Cheng 2020's anchor): z factorized, then y pixel
 * by pixel in raster order, with one run of `pixel` before each. So each end makes N * H * W runs, one after the other.
 *
 * Both ends throw RangeError for an even `kernel`.
 */
export const autoregressive: Family<AutoregressiveModel, AutoregressiveDecoder> = /* @__PURE__ */ family({
  hyperLatentCount: 1,
  async code(wire, model, y) {
    const { psi } = await hyper(wire, model, y, ["psi"]);
    return codePixels(wire, model, psi, y);
  },
});

const PARAMETERS = ["scales", "means", "offsets"] as const;

/** What the pixels of a variable-rate model need besides: an input of its network, and its way of coding a pixel. */
export interface PixelRule {
  readonly inputs: Tensors;
  readonly wanted: readonly string[];
  /** Codes C values with the network's outputs. `restored` gets what the decoder sees. */
  code(next: SequenceWriter["next"], values: Float32Array, found: Tensors, restored: Float32Array): void;
}

const plainPixels: PixelRule = {
  inputs: {},
  wanted: both,
  code: (next, values, { scales, means }, restored) =>
    next(values, scales!.data as Float32Array, means!.data as Float32Array, restored),
};

/** Codes y pixel by pixel, after z. */
export async function codePixels(
  wire: Wire,
  model: AutoregressiveDecoder,
  psi: TensorLike,
  y: TensorLike | undefined,
  rule: PixelRule = plainPixels,
): Promise<Latent<Float32Array>> {
  const { channels: c, kernel: k = 5 } = model;
  if (k % 2 !== 1) throw new RangeError(`kernel must be odd, not ${shown(k)}`);
  const [n, p, h, w] = psi.dims as [number, number, number, number];
  const known = zeros([n, c, h, w]);
  if (y && !sameDims(y.dims, known.dims))
    throw new CodecError("SHAPE_MISMATCH", `y is [${y.dims}], psi and the channels ask for [${known.dims}]`);

  // Nothing is allocated per pixel, except by the network.
  const crop = zeros([1, c, k, k]);
  const point = zeros([1, p, 1, 1]);
  const inputs = { y_hat: crop, psi: point, ...rule.inputs };
  const values = new Float32Array(c);
  const restored = new Float32Array(c);
  const run = network(model.pixel, "pixel", rule.wanted);
  const next = wire.sequence(rowsOf(model));
  const plane = h * w;
  for (let b = 0; b < n; b++) {
    for (let at = 0; at < plane; at++) {
      neighbourhood(known, b, at, k, crop.data);
      pixelAt(psi.data as Float32Array, b * p * plane + at, plane, point.data);
      const found: Tensors = await run(inputs);
      for (const name of PARAMETERS) {
        const tensor = found[name];
        if (tensor && (tensor.data as Float32Array).length !== c)
          throw new CodecError("SHAPE_MISMATCH", `pixel gave ${name} [${tensor.dims}], [1,${c},1,1] is wanted`);
      }
      if (y) pixelAt(y.data as Float32Array, b * c * plane + at, plane, values);
      rule.code(next, values, found, restored);
      for (let i = 0; i < c; i++) known.data[(b * c + i) * plane + at] = restored[i]!;
    }
  }
  return known;
}

/** Copies the channels of one position. */
function pixelAt(data: Float32Array, first: number, plane: number, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = data[first + i * plane]!;
}

/** Copies the k x k positions around `at` that come before it. The rest of `out` is never written and stays 0. */
function neighbourhood(
  { dims, data }: Latent<Float32Array>,
  b: number,
  at: number,
  k: number,
  out: Float32Array,
): void {
  const [, c, h, w] = dims as [number, number, number, number];
  const reach = k >> 1;
  const [row, column] = [Math.floor(at / w), at % w];
  for (let dy = 0; dy <= reach; dy++) {
    const from = row - reach + dy;
    for (let dx = 0; dx < (dy === reach ? reach : k); dx++) {
      const x = column - reach + dx;
      const inside = from >= 0 && x >= 0 && x < w;
      for (let i = 0; i < c; i++) {
        out[(i * k + dy) * k + dx] = inside ? data[((b * c + i) * h + from) * w + x]! : 0;
      }
    }
  }
}

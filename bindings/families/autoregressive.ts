/** Joint autoregressive and hierarchical prior: each pixel's scales and means follow from the pixels before it. */
import { CodecError } from "../errors.js";
import type { FullCodec } from "../full-types.js";
import type { SessionTensor } from "../session.js";
import { sameDims } from "../tensor.js";
import type { Latent } from "../types.js";
import { type HyperDecoder, hyper } from "./hyperprior.js";
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

/** The part of an autoregressive model that a decoder needs; h_s gives `psi`. */
export interface AutoregressiveDecoder extends HyperDecoder {
  /**
   * `y_hat` (1, C, k, k): the pixel's neighbourhood, of which those before it in raster order are known and all others 0; `psi` (1, P, 1, 1) ->
   * `scales`, `means` (1, C, 1, 1).
   */
  readonly pixel: Net;
  /** C: those of y. */
  readonly channels: number;
  /** k, odd. Default 5. */
  readonly kernel?: number;
}

/** An autoregressive model at the encoder's end. */
export interface AutoregressiveModel extends AutoregressiveDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

const raster: Family<AutoregressiveDecoder> = {
  before: 1,
  async code(wire, model, y) {
    const { channels: c, kernel: k = 5, table, scaleTable } = model;
    if (k % 2 !== 1) throw new RangeError(`kernel must be odd, not ${k}`);
    const { psi } = await hyper(wire, model, y, ["psi"]);
    const [n, p, h, w] = psi.dims as [number, number, number, number];
    const dims = [n, c, h, w];
    if (y && !sameDims(y.dims, dims))
      throw new CodecError("SHAPE_MISMATCH", `y is [${y.dims}], psi and the number of channels ask for [${dims}]`);
    const known: Latent<Float32Array> = { type: "float32", dims, data: new Float32Array(n * c * h * w) };

    // All that a pixel needs is made once; only what the network itself returns is new for each.
    const inputs = {
      y_hat: { type: "float32", dims: [1, c, k, k], data: new Float32Array(c * k * k) },
      psi: { type: "float32", dims: [1, p, 1, 1], data: new Float32Array(p) },
    };
    const values = new Float32Array(c);
    const restored = new Float32Array(c);
    const run = network(model.pixel, "pixel", ["scales", "means"]);
    const code = wire.pieces({ table, scaleTable });
    const plane = h * w;
    for (let b = 0; b < n; b++) {
      for (let at = 0; at < plane; at++) {
        neighbourhood(known, b, at, k, inputs.y_hat.data);
        pixel(psi.data as Float32Array, b * p * plane + at, plane, inputs.psi.data);
        const { scales, means } = await run(inputs);
        const [own, centre] = [scales.data as Float32Array, means.data as Float32Array];
        if (own.length !== c || centre.length !== c)
          throw new CodecError(
            "SHAPE_MISMATCH",
            `pixel gave scales [${scales.dims}] and means [${means.dims}], [1,${c},1,1] are wanted`,
          );
        if (y) pixel(y.data as Float32Array, b * c * plane + at, plane, values);
        code(values, own, centre, restored);
        for (let i = 0; i < c; i++) known.data[(b * c + i) * plane + at] = restored[i]!;
      }
    }
    return known;
  },
};

/** The channels of one position. */
function pixel(data: Float32Array, first: number, plane: number, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = data[first + i * plane]!;
}

/** Writes the k x k positions around `at` that come before it; the rest of `out` is never written and stays 0. */
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

/**
 * Joint autoregressive and hierarchical prior (Minnen 2018, mbt2018; Cheng 2020's anchor): z factorized, then y pixel by pixel in raster order, the C
 * symbols of a pixel after one run of `pixel`. Both directions take H * W runs of it, one after the other.
 *
 * @param y - (N, C, H, W), float32.
 * @throws CodecError `MODEL` where a network lacks an input or output, `SHAPE_MISMATCH` where y does not fit psi, and whatever `SequenceWriter.next` throws.
 */
export function encodeAutoregressive<F extends Format = "packet">(
  codec: FullCodec,
  model: AutoregressiveModel,
  y: SessionTensor,
  options?: EncodeFamilyOptions<F>,
): Promise<Encoded<F>> {
  return encode(raster, codec, model, y, options);
}

/** Gives back what {@link encodeAutoregressive} coded. @throws CodecError `MODEL`, and whatever `SequenceReader.next` throws. */
export function decodeAutoregressive(
  codec: FullCodec,
  model: AutoregressiveDecoder,
  packet: Uint8Array | readonly Uint8Array[],
  options?: DecodeFamilyOptions,
): Promise<Latent<Float32Array>> {
  return decode(raster, codec, model, packet, options);
}

/** Families with many rates in one model: CompressAI's variable-rate zoo, where a gain scales y before it is rounded. */
import type { Latent, Prior, TensorLike } from "../types.js";
import { type AutoregressiveDecoder, codePixels } from "./context.js";
import { checkSameDims, gaussian, type HyperDecoder, type Net, network } from "./network.js";
import { codeLevel, type Family, family } from "./wire.js";

/** What a decoder needs of a variable-rate model. */
export interface VariableRateDecoder
  extends Omit<HyperDecoder, "prior">,
    Partial<Pick<AutoregressiveDecoder, "pixel" | "channels" | "kernel">> {
  /** Of z: one for all levels, or one for each. Those of a bottleneck whose step follows the gain have a `step`. */
  readonly prior: Prior | readonly Prior[];
  /** Per level the gain: 1 over the quantization step. Any positive numbers; the levels need not be those of training. */
  readonly gains: readonly number[];
  /**
   * `z_hat`, `gain` -> `scales`, already times the gain; `means`, which are not, if it has this output; and `offsets`,
   * if it has that: how much the reconstruction of each element moves away from the middle of its step.
   * With `pixel` in the model: `z_hat` -> `psi`.
   */
  readonly h_s: Net;
  /** For models that go pixel by pixel: `y_hat`, `psi`, `gain` -> as h_s otherwise. */
  readonly pixel?: Net;
}

/** A variable-rate model, as the encoder needs it. */
export interface VariableRateModel extends VariableRateDecoder {
  /** `y` -> `z`. */
  readonly h_a: Net;
}

/** What a variable rate adds to the options. */
export interface VariableRateOptions {
  /** Index into `gains`. The encoder needs it. The decoder needs it with strings; a packet holds it. */
  level: number;
}

/**
 * Variable rate by gain and offset (Kamisli 2024; CompressAI's -vbr models): (y - mean) * gain is rounded and coded with
 * scales * gain. A reconstruction that is not 0 moves by an offset, which a network computes of scale and gain.
 *
 * Both ends throw RangeError for a level that does not exist.
 */
export const variableRate: Family<VariableRateModel, VariableRateDecoder, VariableRateOptions> = /* @__PURE__ */ family(
  {
    hyperLatentCount: 1,
    extras: ["level"],
    async code(wire, model, y, options) {
      const { gains, prior } = model;
      const level = codeLevel(wire, gains.length, y !== undefined, options?.level);
      const gain = Math.fround(gains[level]!);
      const given: TensorLike = { type: "float32", dims: [1], data: Float32Array.of(gain) };
      const z = y && (await network((model as VariableRateModel).h_a, "h_a", ["z"])({ y })).z;
      const priors = Array.isArray(prior) ? (prior as readonly Prior[]) : [];
      if (priors.length > 0 && priors.length !== gains.length)
        throw new RangeError(`prior has ${priors.length} levels, gains ${gains.length}`);
      const z_hat = wire.codeFactorized(priors[level] ?? (prior as Prior), z);

      if (model.pixel) {
        const { psi } = await network(model.h_s, "h_s", ["psi"])({ z_hat });
        const wanted = outputsOf(model.pixel);
        let symbols: Float32Array | undefined;
        return codePixels(wire, model as AutoregressiveDecoder, psi, y, {
          inputs: { gain: given },
          wanted,
          code(next, values, { scales, means, offsets }, restored) {
            symbols ??= new Float32Array(values.length);
            toSteps(values, means?.data as Float32Array, gain, symbols);
            next(symbols, scales!.data as Float32Array, undefined, restored);
            fromSteps(restored, means?.data as Float32Array, offsets?.data as Float32Array, gain);
          },
        });
      }
      const found: Partial<Record<string, TensorLike>> = await network(
        model.h_s,
        "h_s",
        outputsOf(model.h_s),
      )({
        z_hat,
        gain: given,
      });
      const { scales, means, offsets } = found as Record<"scales", TensorLike> & typeof found;
      for (const [name, tensor] of Object.entries({ means, offsets })) checkSameDims(name, tensor, scales.dims);
      checkSameDims("the latent", y, scales.dims);
      let steps: TensorLike | undefined;
      if (y) {
        const data = new Float32Array((y.data as Float32Array).length);
        toSteps(y.data as Float32Array, means?.data as Float32Array, gain, data);
        steps = { type: "float32", dims: y.dims, data };
      }
      const latent: Latent<Float32Array> = wire.codeConditional(gaussian(wire, model, { scales }, steps), steps);
      fromSteps(latent.data, means?.data as Float32Array, offsets?.data as Float32Array, gain);
      return latent;
    },
  },
);

/** `scales`, and of the rest what a session has; of a function only `scales` is required. */
function outputsOf(net: Net): string[] {
  const names = typeof net === "function" ? [] : net.outputNames;
  return ["scales", ...["means", "offsets"].filter((name) => names.includes(name))];
}

/** (y - mean) in steps of 1 / gain, in CompressAI's order of float32 operations. */
function toSteps(y: Float32Array, means: Float32Array | undefined, gain: number, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) {
    const scaled = Math.fround(y[i]! * gain);
    out[i] = means ? scaled - Math.fround(means[i]! * gain) : scaled;
  }
}

/** From symbols to values, in place: away from 0 by the offset, back by the gain, plus the mean. */
function fromSteps(
  values: Float32Array,
  means: Float32Array | undefined,
  offsets: Float32Array | undefined,
  gain: number,
): void {
  const rescale = Math.fround(1 / gain);
  for (let i = 0; i < values.length; i++) {
    const symbol = values[i]!;
    const size = offsets && symbol !== 0 ? Math.fround(Math.abs(symbol) + offsets[i]!) : Math.abs(symbol);
    const value = Math.fround((symbol < 0 ? -size : size) * rescale);
    values[i] = means ? value + means[i]! : value;
  }
}

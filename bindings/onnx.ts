/**
 * Two halves of a split model with the codec between them.
 *
 * Works with every ONNX runtime by structure and imports none: `onnxruntime-node`, `onnxruntime-web` (Wasm, WebGPU, WebNN).
 *
 * @module
 */
import { CodecError } from "./errors.js";
import { feed, pick, runToCpu, type SessionLike, takesFloat16 } from "./session.js";
import type { Bytes, Codec, DecodeOptions, EncodeOptions, Prior, TensorLike } from "./types.js";

export {
  type AutoregressiveDecoder,
  type AutoregressiveModel,
  decodeAutoregressive,
  encodeAutoregressive,
} from "./families/autoregressive.js";
export {
  type AnchorParity,
  type ChannelGroupsDecoder,
  type ChannelGroupsModel,
  type CheckerboardDecoder,
  type CheckerboardModel,
  decodeChannelGroups,
  decodeCheckerboard,
  decodeElic,
  type ElicDecoder,
  type ElicGroup,
  type ElicModel,
  encodeChannelGroups,
  encodeCheckerboard,
  encodeElic,
} from "./families/context.js";
export {
  decodeFactorized,
  decodeMeanScale,
  decodeRecursive,
  decodeScale,
  encodeFactorized,
  encodeMeanScale,
  encodeRecursive,
  encodeScale,
  type FactorizedModel,
  type HyperDecoder,
  type HyperModel,
  type RecursiveDecoder,
  type RecursiveModel,
  type ScaleTable,
} from "./families/hyperprior.js";
export type { Net, Tensors } from "./families/network.js";
export {
  type DecodeGainOptions,
  decodeGain,
  decodeMixture,
  type EncodeGainOptions,
  encodeGain,
  encodeMixture,
  type GainDecoder,
  type GainModel,
  type Gains,
  type MixtureDecoder,
  type MixtureModel,
} from "./families/variants.js";
export type { DecodeFamilyOptions, Encoded, EncodeFamilyOptions, Format } from "./families/wire.js";
export type { SessionLike, SessionTensor } from "./session.js";

/** All outputs of an encoder network, fetched to the CPU; float16 ones widened to float32. */
export type EncoderOutputs = { readonly [name: string]: TensorLike };

/** What {@link splitEncoder} needs. */
export interface SplitEncoderOptions {
  /** The encoder network. */
  session: SessionLike;
  codec: Codec;
  /** A prior, or what makes one from the network's other outputs (a hyperprior's scales and means). */
  prior: Prior | ((outputs: EncoderOutputs) => Prior);
  /** Name of the image input. Default: the session's only input. */
  input?: string;
  /** Name of the latent output. Default: the session's only output. */
  output?: string;
  encode?: EncodeOptions;
}

/** What {@link splitDecoder} needs. */
export interface SplitDecoderOptions<S extends SessionLike = SessionLike> {
  /** The decoder network. */
  session: S;
  codec: Codec;
  /** The prior of every packet; may be left out where each call brings its own. */
  prior?: Prior;
  /** Name of the latent input. Default: the session's only input. */
  input?: string;
  /** Name or names of the outputs to compute. Default: all. */
  output?: string | readonly string[];
  decode?: DecodeOptions;
}

const latentTypes = ["float32", "int32", "int16", "int8"];

/**
 * Makes a function from an image tensor to a packet: it runs the encoder network and encodes its latent.
 *
 * The latent may be float32, float16 (widened, exact), int32, int16 or int8. A latent on a GPU is fetched with `getData()`;
 * every output the network leaves there is disposed. The image, a tensor of the runtime or a plain `{type, dims, data}`, is handed to
 * the session as it is and stays the caller's.
 *
 * @throws CodecError `MODEL` where the session has no such input or output, or where it has several and none is
 * named; from the returned function also `MODEL` for a latent of another type, and whatever `codec.encode` throws.
 */
export function splitEncoder(
  options: SplitEncoderOptions & { encode?: EncodeOptions & { out?: never } },
): (image: TensorLike) => Promise<Bytes>;
/** With `out` among the options of `encode`: every packet is a view of it. */
export function splitEncoder(options: SplitEncoderOptions): (image: TensorLike) => Promise<Uint8Array>;
export function splitEncoder(options: SplitEncoderOptions): (image: TensorLike) => Promise<Uint8Array> {
  const { session, codec, prior } = options;
  const input = pick("input", session.inputNames, options.input);
  const output = pick("output", session.outputNames, options.output);

  return async (image) => {
    const wanted = typeof prior === "function" ? session.outputNames : [output];
    const outputs = await runToCpu(session, { [input]: "location" in image ? image : feed(image) }, wanted);
    const latent = outputs[output];
    if (!latentTypes.includes(latent.type))
      throw new CodecError(
        "MODEL",
        `output "${output}" is ${latent.type}; a latent is float16 or ${latentTypes.join(", ")}`,
      );
    return codec.encode(latent, typeof prior === "function" ? prior(outputs) : prior, options.encode);
  };
}

/**
 * Makes a function from a packet to the outputs of the decoder network, by name, as its session returns them (those on a GPU stay
 * there and are the caller's to dispose). The latent is float32 unless `decode.type` says otherwise, and float16 where the session
 * says that its input is.
 *
 * The function takes a prior as second argument, for models whose prior changes with every packet.
 *
 * @throws CodecError `MODEL` where the session has no such input or output, or where it has several inputs and none is
 * named; TypeError, from the returned function, where neither the options nor the call gives a prior; and whatever `codec.decode` throws.
 */
export function splitDecoder<S extends SessionLike>(
  options: SplitDecoderOptions<S>,
): (packet: Uint8Array, prior?: Prior) => ReturnType<S["run"]> {
  const { session, codec } = options;
  const input = pick("input", session.inputNames, options.input);
  const output = options.output ?? session.outputNames;
  const wanted = (typeof output === "string" ? [output] : output).map((name) =>
    pick("output", session.outputNames, name),
  );
  const float16 = takesFloat16(session, input);

  const decode = async (packet: Uint8Array, prior = options.prior) => {
    if (prior === undefined) throw new TypeError("prior: neither splitDecoder nor this call was given one");
    const latent = codec.decode(packet, prior, options.decode);
    return session.run({ [input]: feed(latent, float16) }, wanted);
  };
  return decode as (packet: Uint8Array, prior?: Prior) => ReturnType<S["run"]>;
}

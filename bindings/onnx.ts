/**
 * Split models and entropy model families, with networks of any ONNX runtime: `onnxruntime-node`, `onnxruntime-web`
 * (Wasm, WebGPU, WebNN). Any object with the structure of a session is one; no runtime is imported.
 *
 * @module
 */
import { isElementType } from "./elements.js";
import { CodecError } from "./errors.js";
import { checkOptions } from "./options.js";
import {
  checkCodec,
  checkImage,
  checkSession,
  checkShape,
  feed,
  inputType,
  pick,
  runSession,
  runToCpu,
  type SessionLike,
} from "./session.js";
import type { Bytes, Codec, DecodeOptions, EncodeOptions, Prior, TensorLike } from "./types.js";

export {
  type AnchorParity,
  type AutoregressiveDecoder,
  type AutoregressiveModel,
  autoregressive,
  type ChannelGroupsDecoder,
  type ChannelGroupsModel,
  type CheckerboardDecoder,
  type CheckerboardModel,
  channelGroups,
  checkerboard,
  type ElicDecoder,
  type ElicGroup,
  type ElicModel,
  elic,
} from "./families/context.js";
export * from "./families/hyperprior.js";
export type { HyperContext, HyperDecoder, HyperModel, Net, ScaleTable, Tensors } from "./families/network.js";
export * from "./families/variable-rate.js";
export type { DecodeFamilyOptions, Encoded, EncodeFamilyOptions, Family, Format } from "./families/wire.js";
export type { SessionLike, SessionTensor } from "./session.js";

/** All outputs of an encoder network, on the CPU; float16 ones as float32. */
export type EncoderOutputs = { readonly [name: string]: TensorLike };

/** What {@link splitEncoder} needs. */
export interface SplitEncoderOptions {
  /** The encoder network. */
  session: SessionLike;
  codec: Codec;
  /** A prior, or a function that makes one from the network's outputs (a hyperprior's scales and means). */
  prior: Prior | ((outputs: EncoderOutputs) => Prior);
  /** Name of the image input. Default: the session's only input. */
  input?: string | undefined;
  /** Name of the latent output. Default: the session's only output. */
  output?: string | undefined;
  encode?: EncodeOptions | undefined;
}

/** What {@link splitDecoder} needs. */
export interface SplitDecoderOptions<S extends SessionLike = SessionLike> {
  /** The decoder network. */
  session: S;
  codec: Codec;
  /** The prior of every packet. Leave it out if each call brings its own. */
  prior?: Prior | undefined;
  /** Name of the latent input. Default: the session's only input. */
  input?: string | undefined;
  /** Name or names of the outputs to compute. Default: all. */
  output?: string | readonly string[] | undefined;
  decode?: DecodeOptions | undefined;
}

/**
 * Makes a function from an image tensor to a packet: it runs the encoder network and encodes its latent.
 *
 * The latent may be of any type that `codec.encode` takes. Outputs on a GPU are fetched with `getData()` and disposed. The image is a tensor of the runtime or a plain `{type, dims, data}`. It is
 * not disposed.
 *
 * @throws CodecError `MODEL` where the session lacks an input or output, or has several and none is named. The function
 * throws `MODEL` for an image of another shape or type than the session says that it takes, for a latent of another
 * type, and where the session fails (`cause` has its error), and whatever `codec.encode` throws.
 */
export function splitEncoder(
  options: SplitEncoderOptions & { encode?: EncodeOptions & { out?: never } },
): (image: TensorLike) => Promise<Bytes>;
/** With `out` among the options of `encode`: every packet is a view of it. */
export function splitEncoder(options: SplitEncoderOptions): (image: TensorLike) => Promise<Uint8Array>;
export function splitEncoder(options: SplitEncoderOptions): (image: TensorLike) => Promise<Uint8Array> {
  const names = ["session", "codec", "prior", "input", "output", "encode"];
  const {
    session,
    codec,
    prior,
    input: wanted,
    output: latentName,
    encode,
  } = checkOptions("splitEncoder", options, names);
  checkSession(session);
  checkCodec(codec);
  const input = pick("input", session.inputNames, wanted);
  const output = pick("output", session.outputNames, latentName);

  return async (image) => {
    checkImage(session, input, image);
    const wanted = typeof prior === "function" ? session.outputNames : [output];
    const outputs = await runToCpu(session, { [input]: "location" in image ? image : feed(image) }, wanted);
    const latent = outputs[output]!;
    if (!isElementType(latent.type))
      throw new CodecError("MODEL", `output "${output}" is ${latent.type}, which no latent is`);
    return codec.encode(latent, typeof prior === "function" ? prior(outputs) : prior, encode);
  };
}

/**
 * Makes a function from a packet to the outputs of the decoder network, by name. If the prior changes with every
 * packet, pass it as the function's second argument.
 *
 * The session's outputs are returned as they are; dispose those on a GPU yourself. The network is fed what
 * `decode.type` says. Without it: the type that the session says its input has, otherwise float32.
 *
 * @throws CodecError `MODEL` where the session lacks an input or output, or has several inputs and none is named. The
 * function throws TypeError where no prior is given, `SHAPE_MISMATCH` for a packet of another shape than the session says
 * that it takes, `MODEL` where the session fails (`cause` has its error), and whatever `codec.decode` throws.
 */
export function splitDecoder<S extends SessionLike>(
  options: SplitDecoderOptions<S>,
): (packet: Uint8Array | ArrayBuffer, prior?: Prior) => ReturnType<S["run"]> {
  const names = ["session", "codec", "prior", "input", "output", "decode"];
  const read = checkOptions("splitDecoder", options, names);
  const { session, codec, prior: usual, decode: decoding, output = session?.outputNames } = read;
  checkSession(session);
  checkCodec(codec);
  const input = pick("input", session.inputNames, read.input);
  const wanted = (typeof output === "string" ? [output] : output).map((name) =>
    pick("output", session.outputNames, name),
  );
  const declared = inputType(session, input);
  const float16 = declared === "float16";
  const type = decoding?.type ?? declared ?? "float32";

  const decode = async (packet: Uint8Array | ArrayBuffer, prior = usual) => {
    if (prior === undefined) throw new TypeError("prior: neither splitDecoder nor this call was given one");
    const latent = codec.decode(packet, prior, { ...decoding, type });
    checkShape("SHAPE_MISMATCH", session, input, "packet's latent", latent.dims);
    return runSession(session, { [input]: feed(latent, float16) }, wanted);
  };
  return decode as (packet: Uint8Array | ArrayBuffer, prior?: Prior) => ReturnType<S["run"]>;
}

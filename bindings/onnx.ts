/**
 * Two halves of a split model with the codec between them.
 *
 * Works with every ONNX runtime by structure and imports none: `onnxruntime-node`, `onnxruntime-web` (Wasm, WebGPU, WebNN).
 *
 * @module
 */
import { CodecError } from "./errors.js";
import { narrow, widen } from "./float16.js";
import type { Codec, DecodeOptions, EncodeOptions, Prior, TensorLike } from "./types.js";

/** A tensor as a session returns it: on the CPU, or elsewhere with `getData` to fetch it. */
export interface SessionTensor extends TensorLike {
  /** `cpu`, `cpu-pinned`, `gpu-buffer`, `texture`, `ml-tensor`; a tensor without it is on the CPU. */
  readonly location?: string;
  /** Copies the data to the CPU. */
  getData?(): Promise<unknown>;
  /** Frees what is not on the CPU. */
  dispose?(): void;
}

/** The part of ONNX Runtime's `InferenceSession` that is used here. */
export interface SessionLike {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Present from ONNX Runtime 1.21 on; only read to see whether an input is float16. */
  readonly inputMetadata?: readonly { readonly name: string; readonly type?: string }[];
  /** Computes the outputs named in `fetches`. */
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<{ readonly [name: string]: SessionTensor }>;
}

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
export function splitEncoder(options: SplitEncoderOptions): (image: TensorLike) => Promise<Uint8Array> {
  const { session, codec, prior } = options;
  const input = pick("input", session.inputNames, options.input);
  const output = pick("output", session.outputNames, options.output);

  return async (image) => {
    const wanted = typeof prior === "function" ? session.outputNames : [output];
    const results = await session.run({ [input]: "location" in image ? image : feed(image) }, wanted);
    const outputs: Record<string, TensorLike> = {};
    // Listed before the fetch: getData turns a tensor's location to cpu and keeps its GPU memory.
    const away = wanted.map((name) => results[name]).filter((tensor) => !onCpu(tensor));
    try {
      for (const name of wanted) outputs[name] = await toCpu(results[name]);
    } finally {
      for (const tensor of away) tensor.dispose?.();
    }
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
  const float16 = session.inputMetadata?.find(({ name }) => name === input)?.type === "float16";

  const decode = async (packet: Uint8Array, prior = options.prior) => {
    if (prior === undefined) throw new TypeError("prior: neither splitDecoder nor this call was given one");
    const latent = codec.decode(packet, prior, options.decode);
    const cast = float16 && latent.data instanceof Float32Array;
    return session.run(
      { [input]: feed(cast ? { ...latent, type: "float16", data: narrow(latent.data) } : latent) },
      wanted,
    );
  };
  return decode as (packet: Uint8Array, prior?: Prior) => ReturnType<S["run"]>;
}

function pick(kind: "input" | "output", names: readonly string[], wanted: string | undefined): string {
  const list = names.map((name) => `"${name}"`).join(", ");
  if (wanted !== undefined) {
    if (!names.includes(wanted))
      throw new CodecError("MODEL", `the session has no ${kind} "${wanted}"; it has ${list}`);
    return wanted;
  }
  if (names.length !== 1) throw new CodecError("MODEL", `name the ${kind}: the session has ${names.length} (${list})`);
  return names[0];
}

function onCpu({ location }: SessionTensor): boolean {
  return location === undefined || location === "cpu" || location === "cpu-pinned";
}

async function toCpu(tensor: SessionTensor): Promise<TensorLike> {
  const { type, dims } = tensor;
  const data = onCpu(tensor) || tensor.getData === undefined ? tensor.data : await tensor.getData();
  return type === "float16" ? { type: "float32", dims, data: widen(data as ArrayBufferView) } : { type, dims, data };
}

/** A plain object, because `run` of every runtime takes one and no two runtimes share a Tensor class. */
function feed({ type, dims, data }: TensorLike): object {
  return { type, dims, data, size: (data as ArrayLike<unknown>).length, location: "cpu" };
}

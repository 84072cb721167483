/** Runs the user's networks, by the names of their inputs and outputs. What all hyperpriors do with them. */
import { CodecError } from "../errors.js";
import { allToCpu, feed, inputType, runToCpu, type SessionLike, type SessionTensor } from "../session.js";
import { channels, elementsOf, sameDims } from "../tensor.js";
import type { Prior, TableSource, TensorLike, TensorView } from "../types.js";
import type { Wire } from "./wire.js";

/** Tensors by name. */
export type Tensors = Readonly<Record<string, TensorLike>>;

/**
 * A network: a session of any ONNX runtime, or a function of named tensors.
 *
 * The inputs and outputs of a session go by name (`psi`, `y_hat`, `scales`, ..: docs/families.md lists them). The name
 * does not matter if only one tensor is offered or wanted. If two are wanted and the session has one output, its
 * channels are split in halves, scales first, as in CompressAI. float16 outputs become float32; GPU tensors are fetched
 * and disposed, those of a function, too. All results must be float32.
 */
export type Net = SessionLike | ((inputs: Tensors) => Tensors | Promise<Tensors>);

/** Which rows belong to the scales: as in `codec.gaussian`. Both ends must agree. */
export interface ScaleTable {
  /** Default: the stock 64 Gaussian rows. Others: `codec.laplaceTable()`, `codec.logisticTable()`. */
  readonly table?: TableSource;
  /** Ascending float32 scales, one per row. Default: CompressAI's 64. */
  readonly scaleTable?: Float32Array;
}

/** A context prior over the scales of y. Both ends must agree. */
export interface HyperContext {
  /** Its parameters, docs/context.md. With `format: "strings"` they are not used. */
  readonly context?: Uint8Array | undefined;
}

/** What a decoder needs of a model with a hyperprior. */
export interface HyperDecoder extends ScaleTable {
  /** Of z: `codec.factorized`. */
  readonly prior: Prior;
  /** `z_hat` -> `psi`, or the parameters of y's prior. */
  readonly h_s: Net;
}

/** A model with a hyperprior, as the encoder needs it. */
export interface HyperModel extends HyperDecoder {
  /** `y` -> `z`. CompressAI's scale hyperprior takes |y|: put Abs into the graph. */
  readonly h_a: Net;
}

// ---- running networks

/**
 * Returns a function that computes the outputs `wanted`. If it is given the same object of inputs again, it makes no
 * new feeds.
 *
 * @param label - what messages call the network.
 * @throws CodecError `MODEL` if `net` is no network or lacks an output. The function throws it for inputs and types.
 */
export function network<Name extends string>(net: Net, label: string, wanted: readonly Name[]) {
  const run = typeof net === "function" ? fromFunction(net) : fromSession(net, label, wanted);
  return async (inputs: Tensors): Promise<Record<Name, TensorLike>> => {
    const outputs = await run(inputs);
    for (const name of wanted) {
      const type = outputs?.[name]?.type;
      if (type === undefined) fail(label, `it gave no "${name}"`);
      if (type !== "float32") fail(label, `"${name}" is ${type}, float32 is wanted`);
    }
    return outputs as Record<Name, TensorLike>;
  };
}

/** What a function returns is handled as what a session returns. */
const fromFunction = (net: (inputs: Tensors) => Tensors | Promise<Tensors>) => async (inputs: Tensors) =>
  allToCpu(Object.entries((await net(inputs)) ?? {}).filter((entry): entry is [string, SessionTensor] => !!entry[1]));

function fromSession(session: SessionLike, label: string, wanted: readonly string[]) {
  if (session?.inputNames === undefined) fail(label, "it is neither a session nor a function");
  const { inputNames, outputNames } = session;
  const joined = outputNames.length === 1 && wanted.length === 2;
  const only = outputNames.length === 1 && wanted.length === 1;
  const missing = wanted.find((name) => !outputNames.includes(name));
  if (missing !== undefined && !joined && !only)
    fail(label, `it has no output "${missing}", it has ${quoted(outputNames)}`);
  const names = joined || only ? outputNames : wanted;
  const float16 = inputNames.map((name) => inputType(session, name) === "float16");
  let fed: Tensors | undefined;
  let feeds: Record<string, unknown> = {};

  return async (inputs: Tensors): Promise<Tensors> => {
    if (inputs !== fed || float16.includes(true)) {
      feeds = {};
      const offered = Object.keys(inputs);
      for (const [i, name] of inputNames.entries()) {
        const source = name in inputs ? name : inputNames.length === 1 && offered.length === 1 ? offered[0] : undefined;
        if (source === undefined) fail(label, `its input "${name}" is none of ${quoted(offered)}`);
        feeds[name] = feed(inputs[source]!, float16[i]);
      }
      fed = inputs;
    }
    const found = await runToCpu(session, feeds, names);
    if (joined) return halves(found[names[0]!]!, label, wanted);
    return Object.fromEntries(wanted.map((name, i) => [name, found[names[i]!]!]));
  };
}

/** Two tensors of half the channels, without a copy. */
function halves(tensor: TensorLike, label: string, [first, second]: readonly string[]): Tensors {
  const c = tensor.dims[1]!;
  if (!(c % 2 === 0)) fail(label, `its output [${tensor.dims}] cannot be split in halves`);
  return { [first!]: slice(tensor, 0, c / 2), [second!]: slice(tensor, c / 2, c) };
}

/** The channels [from, to) without a copy: of one image as a plain tensor, of a batch as a view. */
export function slice(tensor: TensorLike, from: number, to: number): TensorLike {
  const view = channels(tensor, from, to);
  const { type, dims, offset = 0 } = view;
  if (dims[0] !== 1) return view;
  return { type, dims, data: (tensor.data as Float32Array).subarray(offset, offset + elementsOf(dims)) };
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

function fail(label: string, message: string): never {
  throw new CodecError("MODEL", `${label}: ${message}`);
}

// ---- hyperpriors

/** The outputs of most networks. */
export const both = ["scales", "means"] as const;

/** Codes z, and returns the outputs of h_s for it. */
export async function hyper<Name extends string>(
  wire: Wire,
  model: HyperDecoder,
  y: TensorLike | undefined,
  wanted: readonly Name[],
): Promise<Record<Name, TensorLike>> {
  const z = y && (await network((model as HyperModel).h_a, "h_a", ["z"])({ y })).z;
  return network(model.h_s, "h_s", wanted)({ z_hat: wire.codeFactorized(model.prior, z) });
}

/** A prior from the scales and means of a network, perhaps under a context. `latent` is known at the encoder's end only. */
export function gaussian(
  { codec }: Wire,
  { table, scaleTable }: ScaleTable,
  { scales, means }: { scales: TensorLike; means?: TensorLike },
  latent: TensorLike | TensorView | undefined,
  context?: Uint8Array,
): Prior {
  checkSameDims("the latent", latent, scales.dims);
  checkSameDims("the means", means, scales.dims);
  const over = codec.gaussian(scales, { means, table, scaleTable });
  return context ? codec.context(context, { over }) : over;
}

/** Checks shapes, because the codec only counts elements: it would not find a network that exchanges H and W. */
export function checkSameDims(what: string, tensor: TensorLike | undefined, dims: readonly number[]): void {
  if (tensor && !sameDims(tensor.dims, dims))
    throw new CodecError(
      "SHAPE_MISMATCH",
      `the scales are for [${dims}], ${what} [${tensor.dims}]. Where height or width differ, pad the image to a multiple of the networks' strides`,
    );
}

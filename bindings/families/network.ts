/** The user's networks: ONNX sessions or functions, by the names of what goes in and comes out. */
import { CodecError } from "../errors.js";
import { feed, runToCpu, type SessionLike, takesFloat16 } from "../session.js";
import type { TensorLike } from "../types.js";
import { channels } from "../view.js";

/** Tensors by name. */
export type Tensors = Readonly<Record<string, TensorLike>>;

/**
 * A network: a session of any ONNX runtime, or a function of named tensors, which may do anything between two sessions.
 *
 * A session gets its inputs and gives its outputs by name (`psi`, `y_hat`, `scales`, ..: docs/families.md has all of them). Where a single
 * tensor is offered or wanted, the name does not matter. An only output where two are wanted is CompressAI's: its channels are split in halves, scales
 * first. float16 outputs are widened, GPU tensors are fetched and disposed. The results must be float32.
 */
export type Net = SessionLike | ((inputs: Tensors) => Tensors | Promise<Tensors>);

/** Computes the outputs `wanted`. Given the same object of inputs again, it makes no new feeds. */
export type Run<Name extends string> = (inputs: Tensors) => Promise<Record<Name, TensorLike>>;

/**
 * @param label - what messages call the network.
 * @throws CodecError `MODEL` where it is none, or has no such outputs; from the returned function `MODEL` for inputs and types as well.
 */
export function network<Name extends string>(net: Net, label: string, wanted: readonly Name[]): Run<Name> {
  const run = typeof net === "function" ? net : fromSession(net, label, wanted);
  return async (inputs) => {
    const outputs = await run(inputs);
    for (const name of wanted) {
      const type = outputs?.[name]?.type;
      if (type === undefined) fail(label, `it gave no "${name}"`);
      if (type !== "float32") fail(label, `"${name}" is ${type}, float32 is wanted`);
    }
    return outputs as Record<Name, TensorLike>;
  };
}

function fromSession(
  session: SessionLike,
  label: string,
  wanted: readonly string[],
): (inputs: Tensors) => Promise<Tensors> {
  if (session?.inputNames === undefined) fail(label, "it is neither a session nor a function");
  const { inputNames, outputNames } = session;
  const joined = outputNames.length === 1 && wanted.length === 2;
  const names = joined ? outputNames : wanted.map((name) => outputName(outputNames, label, name, wanted.length === 1));
  const float16 = inputNames.map((name) => takesFloat16(session, name));
  let fed: Tensors | undefined;
  let feeds: Record<string, unknown> = {};

  return async (inputs) => {
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
    const outputs: Record<string, TensorLike> = {};
    for (const [i, name] of wanted.entries()) outputs[name] = found[names[i]!]!;
    return outputs;
  };
}

function outputName(names: readonly string[], label: string, wanted: string, only: boolean): string {
  if (only && names.length === 1) return names[0]!;
  if (!names.includes(wanted)) fail(label, `it has no output "${wanted}", it has ${quoted(names)}`);
  return wanted;
}

/** Two tensors of half the channels, without a copy. Of a batch of one each lies in a row, which an autoregressive pixel needs. */
function halves({ type, dims, data }: TensorLike, label: string, [first, second]: readonly string[]): Tensors {
  const [n, c, ...size] = dims;
  if (dims.length < 2 || c! % 2 !== 0) fail(label, `its output [${dims}] cannot be split in halves`);
  const half = c! / 2;
  const part = (from: 0 | 1): TensorLike => {
    if (n !== 1) return channels({ type, dims, data }, from * half, (from + 1) * half);
    const all = data as Float32Array;
    const length = all.length / 2;
    return { type, dims: [1, half, ...size], data: all.subarray(from * length, (from + 1) * length) };
  };
  return { [first!]: part(0), [second!]: part(1) };
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

function fail(label: string, message: string): never {
  throw new CodecError("MODEL", `${label}: ${message}`);
}

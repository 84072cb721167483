/**
 * The program of a pool's worker: a codec, and tasks as they come. assembly/build.mjs bundles it twice: as the text from which a pool starts workers, and as
 * the file `latentwire/pool-worker`.
 */
import { CodecError, type ErrorCode } from "./errors.js";
import { codecOf } from "./instantiate.js";
import type { Build, Codec, DecodeOptions, EncodeOptions, Latent, Prior, Table, TensorLike } from "./types.js";

/** The first message: compiled WebAssembly, or nothing where the build is plain JavaScript. The answer is "ready". */
export interface Start {
  readonly module?: WebAssembly.Module;
}

/** The parameters of a context prior, under a name that others do not have. */
export type Network = readonly [name: string, parameters: Uint8Array];

/** Every other message. The answer has a {@link Reply} per task. */
export interface Work {
  /** Tables that the worker has not had yet, under names that others do not have. */
  readonly tables: readonly (readonly [string, Uint8Array])[];
  /** Parameters of context priors that it has not had yet. */
  readonly networks: readonly Network[];
  readonly tasks: readonly WireTask[];
}

export interface WireTask {
  /** Left out: that of the task before. */
  readonly prior?: WirePrior;
  readonly encode?: { readonly latent: TensorLike; readonly options: EncodeOptions };
  readonly decode?: { readonly packet: Uint8Array; readonly options: DecodeOptions };
}

export interface WirePrior {
  readonly kind: Prior["kind"];
  /** The name of its table. */
  readonly table: string;
  /** The name of a context prior's parameters, and its axis where it is over this prior. */
  readonly network?: string | undefined;
  readonly axis?: number | undefined;
  /** Scales or rows. */
  readonly values?: unknown;
  readonly options: object;
}

export interface Reply {
  readonly result?: Uint8Array | Latent;
  readonly error?: unknown;
  /** The code of a CodecError: structured cloning keeps neither its class nor its code. */
  readonly code?: ErrorCode | undefined;
}

/** The port of a web worker, or of one of Node's. */
interface Port {
  onmessage: (event: { data: Start | Work }) => void;
  onmessageerror: () => void;
  postMessage(message: Reply[] | "ready", transfer: ArrayBuffer[]): void;
}

const scope = globalThis as unknown as {
  postMessage?: unknown;
  process?: { getBuiltinModule(name: string): { parentPort: Port } };
  /** The build in plain JavaScript: the file brings it along, the text gets it from pool.ts when it is wanted. */
  latentwireJavascript?: Build["instantiate"];
};
const inWeb = scope.postMessage !== undefined;
const port = inWeb ? (scope as unknown as Port) : scope.process?.getBuiltinModule("node:worker_threads").parentPort;

let codec: Codec;
const tables = new Map<string, Table>();
const networks = new Map<string, Uint8Array>();
/** The last prior that came, or why it is none: the tasks that share it share the error. */
let prior: Prior | undefined;
let refused: unknown;

function priorOf({ kind, table: name, network, axis, values, options }: WirePrior): Prior {
  const table = tables.get(name) as Table;
  if (kind === "factorized") return codec.factorized(table, options);
  const parameters = network === undefined ? undefined : networks.get(network);
  if (kind === "context") return codec.context(parameters!, { ...options, table });
  const over =
    kind === "indexed"
      ? codec.indexed(table, values as ArrayLike<number>, options)
      : codec.gaussian(values as TensorLike, { ...options, table });
  return network === undefined ? over : codec.context(parameters!, { over, axis });
}

function perform({ prior: wire, encode, decode }: WireTask): Reply {
  try {
    if (wire) {
      prior = undefined;
      try {
        prior = priorOf(wire);
      } catch (error) {
        refused = error;
      }
    }
    if (!prior) throw refused;
    if (encode) return { result: codec.encode(encode.latent, prior, encode.options) };
    if (decode) return { result: codec.decode(decode.packet, prior, decode.options) };
    throw new TypeError("a task of another release of latentwire");
  } catch (error) {
    return { error, code: error instanceof CodecError ? error.code : undefined };
  }
}

function receive(data: Start | Work, reply: Port["postMessage"]): void {
  if (!("tasks" in data)) {
    codec = codecOf(data.module ?? ({ name: "javascript", instantiate: scope.latentwireJavascript } as Build));
    reply("ready", []);
    return;
  }
  for (const [name, bytes] of data.tables) tables.set(name, codec.table(bytes));
  for (const [name, parameters] of data.networks) networks.set(name, parameters);
  const replies = data.tasks.map(perform);
  const buffers = replies.flatMap(({ result }) => result && ("data" in result ? result.data : result).buffer);
  reply(
    replies,
    buffers.filter((buffer) => buffer instanceof ArrayBuffer),
  );
}

if (port) {
  port.onmessage = ({ data }) => receive(data, (message, transfer) => port.postMessage(message, transfer));
  port.onmessageerror = () => {
    // There is no answer to send. The pool learns of it by the uncaught error.
    throw new Error("a message could not be read");
  };
}

/**
 * A pool of workers for servers and pages that code more than one thread can: docs/pool.md.
 *
 * @module
 */

import { builds } from "./builds.js";
import { KNOWN } from "./codec.js";
import { shown, tag } from "./errors.js";
import { codecOf, readyFrom } from "./instantiate.js";
import { checkOptions } from "./options.js";
import { Queue, type QueuedPrior } from "./pool-queue.js";
import { checkThreads, processors } from "./pool-threads.js";
import type { Pool, PoolGivenContextOptions, PoolOptions, PoolPrior } from "./pool-types.js";
import type { Network, Start, WirePrior } from "./pool-worker.js";
import { bytesOf, floatSpan, type Span, spanOf } from "./tensor.js";
import type { Build, ContextOptions, Table } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export type * from "./pool-types.js";
export { PoolError } from "./pool-types.js";
export type * from "./types.js";

// ---- memory that changes hands

const ARRAYS = { Uint8Array, Uint16Array, Float32Array, Int32Array, Int16Array, Int8Array } as const;

const isShared = (view: ArrayBufferView): boolean => tag(view.buffer) === "SharedArrayBuffer";
/** Whether nothing else is in the buffer of `view`, so that the buffer can be moved. */
const spansBuffer = (view: ArrayBufferView): boolean => view.byteLength === view.buffer.byteLength;

/** An array for a worker: shared memory as it is, other memory copied, or moved if the caller gives it away. Throws TypeError for memory that is gone. */
function own<V extends ArrayBufferView>(view: V, gives: boolean): V {
  if (isShared(view)) return view;
  if (gives && view.byteLength > 0 && spansBuffer(view))
    return structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
  const Copy = ARRAYS[tag(view) as keyof typeof ARRAYS];
  return new Copy(view as never) as ArrayBufferView as V;
}

/** A copy of the options. Throws DataCloneError for one that cannot go to a worker. */
const cloned = <O extends object>(options: O): O =>
  Object.keys(options).length === 0 ? options : structuredClone(options);

const buffersOf = (...views: (ArrayBufferView | undefined)[]): ArrayBuffer[] =>
  views.flatMap((view) => (view && !isShared(view) ? [view.buffer as ArrayBuffer] : []));

// ---- priors

type Values = Span | ArrayLike<number>;

/** A prior's tensor or rows, for a worker. Rows of another type than these are copied when they are sent. */
function ownValues(values: Values): Values {
  if ("data" in values) return { ...values, data: own(values.data, false) };
  return tag(values) in ARRAYS ? own(values as Uint16Array, false) : Array.from(values);
}

/** What makes a prior one of a context. */
interface PoolContext {
  readonly network: Network;
  readonly over: PoolPriorHandle | undefined;
  readonly axis: number | undefined;
}

class PoolPriorHandle implements PoolPrior, QueuedPrior {
  readonly kind: PoolPrior["kind"];
  readonly table: Table;
  readonly name: string;
  readonly #wire: WirePrior;
  readonly #values: Values | undefined;
  readonly #means: Span | undefined;
  readonly network: Network | undefined;
  readonly #context: PoolContext | undefined;

  constructor(
    { kind, table }: PoolPrior,
    name: string,
    options: object,
    values?: Values,
    means?: Span,
    context?: PoolContext,
  ) {
    this.kind = kind;
    this.table = table;
    this.name = name;
    this.network = context?.network;
    this.#context = context;
    this.#wire = { kind, table: name, network: context?.network[0], options: cloned(options) };
    this.#values = values;
    this.#means = means;
  }

  wire(): { prior: WirePrior; transfer: ArrayBuffer[] } {
    if (this.#context?.over) {
      const { over, network, axis } = this.#context;
      const { prior, transfer } = over.wire();
      return { prior: { ...prior, network: network[0], axis }, transfer };
    }
    if (this.#values === undefined) return { prior: this.#wire, transfer: [] };
    const values = ownValues(this.#values);
    const means = this.#means && { ...this.#means, data: own(this.#means.data, false) };
    const options = means ? { ...this.#wire.options, means } : this.#wire.options;
    const view = "data" in values ? values.data : values;
    const transfer = buffersOf(ArrayBuffer.isView(view) ? view : undefined, means?.data);
    return { prior: { ...this.#wire, values, options }, transfer };
  }
}

function handle(prior: PoolPrior): PoolPriorHandle {
  if (prior instanceof PoolPriorHandle) return prior;
  const given = Object(prior).table ? "a codec's" : shown(prior);
  throw new TypeError(`prior must come from factorized(), context(), gaussian() or indexed() of a pool, not ${given}`);
}

/**
 * Handles of priors, with names for what workers are sent once: tables and parameters of context priors. Fingerprints are
 * no such names: different tables can be made to have the same one. The pool's codec gives one handle for equal tables.
 */
class Handles {
  readonly #tables = new Map<Table, string>();
  readonly #networks: Network[] = [];

  prior(made: PoolPrior, options: object, values?: Values, means?: Span, context?: PoolContext): PoolPriorHandle {
    const name = this.#tables.get(made.table) ?? `table ${this.#tables.size}`;
    this.#tables.set(made.table, name);
    return new PoolPriorHandle(made, name, options, values, means, context);
  }

  network(parameters: Uint8Array): Network {
    const known = this.#networks.find(
      ([, own]) => own.length === parameters.length && own.every((b, i) => b === parameters[i]),
    );
    const network = known ?? [`context ${this.#networks.length}`, new Uint8Array(parameters)];
    if (!known) this.#networks.push(network);
    return network;
  }
}

// ---- the pool

/** Symbols per byte of usual packets, to guess how long one takes. */
const SYMBOLS_PER_BYTE = 10;
/** A symbol under a context takes as long as so many others. */
const workOf = ({ network }: PoolPriorHandle): number => (network ? 100 : 1);

// A packet comes back in memory of its own, so there is no `out`.
const ENCODE = [...KNOWN.encode.filter((name) => name !== "out"), "signal", "transfer"];
const DECODE = [...KNOWN.decode, "signal", "transfer"];

/**
 * Starts workers, each with a codec of its own. WebAssembly is compiled once, here.
 *
 * @throws PoolError `WORKER_LOST` where a worker cannot be started, or there are no workers at all (Cloudflare, edge routes); RangeError for `size` or `maxPending`; what `create` throws.
 */
export async function createPool(options: PoolOptions = {}): Promise<Pool> {
  const names = ["size", "maxPending", "worker", "build", "module"];
  const { size: wanted, maxPending: limit, worker, ...build } = checkOptions("createPool", options, names);
  const size = atLeastOne(wanted ?? processors(), "size");
  const maxPending = atLeastOne(limit ?? 32 * size, "maxPending");
  // Before the codec: where no code may be compiled, there are mostly no workers either, and they are what is missing.
  checkThreads(worker);
  const ready = await readyFrom(builds, build);
  const first = codecOf(ready);
  // The build in plain JavaScript cannot be sent. Its text runs before the worker's program.
  const { instantiate } = ready as Build;
  const prelude = instantiate ? `globalThis.latentwireJavascript=${instantiate};` : "";
  const start: Start = instantiate ? {} : { module: ready as WebAssembly.Module };
  const queue = new Queue({ size, maxPending }, start, prelude, worker);
  await queue.open();
  /** What makes tables and priors. */
  const codecOfOpen = () => {
    queue.checkOpen();
    return first;
  };

  const handles = new Handles();
  return {
    size,
    maxPending,
    get pending() {
      return queue.pending;
    },
    table: (source) => codecOfOpen().table(source),
    factorized: (table, options = {}) => handles.prior(codecOfOpen().factorized(table, options), options),
    context(parameters, options = {} as ContextOptions) {
      const codec = codecOfOpen();
      const given = checkOptions("context", options as ContextOptions & PoolGivenContextOptions, KNOWN.context);
      const { table: _, over, ...rest } = given;
      const below = over && handle(over);
      // In place of the other prior, which only the worker makes.
      const isGiven = below?.kind === "gaussian" || below?.kind === "indexed";
      const stand = below && (isGiven ? codec.indexed(below.table, []) : codec.factorized(below.table));
      const made = codec.context(parameters, { ...given, over: stand } as ContextOptions);
      const context = { network: handles.network(parameters), over: below, axis: rest.axis };
      return handles.prior(made, rest, undefined, undefined, context);
    },
    gaussian(scales, options = {}) {
      const codec = codecOfOpen();
      const { table, means, ...rest } = checkOptions("gaussian", options, KNOWN.gaussian);
      const loaded = table === undefined ? codec.gaussianTable(rest.scaleTable) : codec.table(table);
      const meanSpan = means && floatSpan(means, "means");
      return handles.prior({ kind: "gaussian", table: loaded }, rest, floatSpan(scales, "scales"), meanSpan);
    },
    indexed(table, rows, options = {}) {
      const codec = codecOfOpen();
      const { means, ...rest } = checkOptions("indexed", options, KNOWN.indexed);
      const meanSpan = means && floatSpan(means, "means");
      return handles.prior({ kind: "indexed", table: codec.table(table) }, rest, rows, meanSpan);
    },
    async encode(latent, given, options = {}) {
      const { signal, transfer = false, ...rest } = checkOptions("encode", options, ENCODE);
      const span = spanOf(latent, "latent");
      const handled = handle(given);
      return queue.submit(signal, () => {
        const data = own(span.data, transfer);
        const wire = { encode: { latent: { ...span, data }, options: cloned(rest) } };
        return { prior: handled, wire, transfer: buffersOf(data), symbols: span.n * workOf(handled) };
      }) as never;
    },
    async decode(packet, given, options = {}) {
      const { out, signal, transfer = false, ...rest } = checkOptions("decode", options, DECODE);
      const bytes = bytesOf(packet, "packet");
      if (out !== undefined && !(ArrayBuffer.isView(out) && (isShared(out) || spansBuffer(out))))
        throw new TypeError("out must be an array that spans its buffer");
      const handled = handle(given);
      return queue.submit(signal, () => {
        const data = own(bytes, transfer);
        const room = out && own(out, true);
        const wire = { decode: { packet: data, options: room ? { ...cloned(rest), out: room } : cloned(rest) } };
        const symbols = bytes.length * SYMBOLS_PER_BYTE * workOf(handled);
        return { prior: handled, wire, transfer: buffersOf(data, room), symbols };
      }) as never;
    },
    async capacity(options = {}) {
      const { signal } = checkOptions("capacity", options, ["signal"]);
      return queue.capacity(signal);
    },
    async close(options = {}) {
      const { abort } = checkOptions("close", options, ["abort"]);
      return queue.close(abort === true);
    },
  };
}

function atLeastOne(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new RangeError(`${name} must be a whole number from 1, not ${shown(value)}`);
}

// The pool without threads: a pool whose worker is an object, and the program of a worker, which is handed its messages. Packets are damaged as everywhere;
// a decode by the pool ends as one by the codec. Some messages are no longer what the other side sent: a task must still end, and the next one be right.
import { CodecError, type CreateOptions, createSync, type DecodeOptions } from "latentwire";
import { createPool, type Pool, type PoolPrior } from "latentwire/pool";
import { watchedOf } from "../builds.js";
import { type Random, random } from "../cases.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { mutateFields } from "./fields.js";
import { type Case, packetCases } from "./packet-cases.js";
import { hashOf } from "./packets.js";

interface Message {
  data: unknown;
}
/** What a pool takes for a worker of a browser. */
interface FakeWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  terminate(): void;
  onmessage?: (message: Message) => void;
  onerror?: (event: { error: unknown; message: string; preventDefault(): void }) => void;
}

const scope = globalThis as {
  postMessage?: unknown;
  onmessage?: unknown;
  onmessageerror?: unknown;
  latentwireJavascript?: unknown;
};

/** The program of a worker: what it does with a message, and where its answers go. */
interface Program {
  receive(message: Message): void;
  answer: (reply: unknown) => void;
}

/** Starts the program in this thread: it takes the global scope for that of a web worker. */
async function startProgram({ build }: CreateOptions): Promise<Program> {
  const program: Program = { receive: () => {}, answer: () => {} };
  if (typeof build === "object") scope.latentwireJavascript = build.instantiate;
  const postMessage = (reply: unknown) => program.answer(reply);
  scope.postMessage = postMessage;
  await import("../../bindings/pool-worker.js");
  const receive = scope.onmessage as Program["receive"];
  program.receive = (message) => {
    // The scope is shared with another copy of the program.
    scope.postMessage = postMessage;
    receive(message);
  };
  return program;
}

const oddities: readonly (() => unknown)[] = [
  ...[null, undefined, 0, -1, 1e300, "", "x", true].map((value) => () => value),
  ...[() => [], () => ({}), () => [null], () => ({ toString: 1 }), () => new Uint8Array(3), () => new Float32Array(2)],
  ...[() => ({ length: 2 ** 31 }), () => ({ tasks: 1 }), () => new Date(0), () => new Map([[1, 2]]), () => 10n],
];

/** Puts something else in one place of a message, or leaves the place out. Copies what it changes. */
function altered(message: unknown, rng: Random): unknown {
  const isPlain = message !== null && typeof message === "object" && !ArrayBuffer.isView(message);
  const keys = isPlain ? Object.keys(message) : [];
  if (keys.length === 0 || rng(5) === 0) return oddities[rng(oddities.length)]();
  const copy = (Array.isArray(message) ? [...message] : { ...(message as object) }) as Record<string, unknown>;
  const key = keys[rng(keys.length)];
  if (rng(8) === 0) Reflect.deleteProperty(copy, key);
  else if (rng(12) === 0 && Array.isArray(copy)) copy.push(copy[0]);
  else copy[key] = altered(copy[key], rng);
  return copy;
}

/** One task in so many: its worker is replaced, which takes as long as a hundred tasks. */
const ALTERED = 64;

/** What the thread of a pool and its worker share here. */
interface Line {
  current: FakeWorker | undefined;
  /** Alters messages while it is set. */
  alter: Random | undefined;
  /** What the pool threw while it read a message: in a real one nothing would catch it. */
  readonly caught: unknown[];
}

/** Reads with the pool and with a codec. */
class PoolTarget implements Target {
  readonly name = "pool";
  readonly kind = "packets";
  readonly every = 64;
  readonly seeds: readonly Input[];
  readonly #cases: readonly Case[];
  readonly #codecs: ReturnType<typeof watchedOf>;
  readonly #line: Line;
  readonly #pool: Pool;
  readonly #priors: readonly PoolPrior[];
  #hash = 0;

  constructor(cases: readonly Case[], codecs: ReturnType<typeof watchedOf>, line: Line, pool: Pool) {
    this.#cases = cases;
    this.#codecs = codecs;
    this.#line = line;
    this.#pool = pool;
    this.#priors = cases.map((one) => poolPrior(pool, one));
    this.seeds = cases.map(({ packet }, variant) => ({ bytes: packet, variant, salt: 1, forged: false }));
  }

  static async open(options: CreateOptions): Promise<PoolTarget> {
    const codecs = watchedOf(() => createSync(options));
    const program = await startProgram(options);
    const state: Line = { current: undefined, alter: undefined, caught: [] };
    const clone = (message: unknown) => {
      const { alter } = state;
      const copy = structuredClone(message);
      // Not a worker's first message: a pool gives up where workers do not start.
      const isFirst = message === "ready" || !(Array.isArray(message) || "tasks" in (message as object));
      return !isFirst && alter?.(2) ? altered(copy, alter) : copy;
    };
    const make = (): FakeWorker => {
      const worker: FakeWorker = {
        postMessage(message) {
          program.answer = (reply) => {
            const data = clone(reply);
            // As events come: not within the call that sends.
            queueMicrotask(() => {
              try {
                worker.onmessage?.({ data });
              } catch (error) {
                state.caught.push(error);
                die(worker, error);
              }
            });
          };
          try {
            program.receive({ data: clone(message) });
          } catch (error) {
            queueMicrotask(() => die(worker, error));
          }
        },
        terminate: () => {},
      };
      state.current = worker;
      return worker;
    };
    const pool = await createPool({ ...options, size: 1, worker: make as never });
    // A pool has no mixtures, no contexts and no writers.
    const cases = packetCases(codecs.codec).filter(
      ({ parts, priors: [{ kind } = { kind: "mixture" }], options: { guard } }) =>
        parts.length === 1 && kind !== "mixture" && kind !== "context" && !guard,
    );
    return new PoolTarget(cases, codecs, state, pool);
  }

  digest(): number {
    return this.#hash;
  }

  wasmBytes(): number {
    return this.#codecs.bytes();
  }

  mutate({ bytes, forged }: Input, rng: Random, other: Input): Pick<Input, "bytes" | "forged"> {
    return { bytes: rng(4) ? mutateFields(bytes, rng, other.bytes, { reach: 28 }) : bytes.slice(), forged };
  }

  async run({ bytes, variant, salt }: Input): Promise<string> {
    this.#hash = 0;
    const one = this.#cases[variant];
    const { header, checksum, stream } = one.options;
    const dims = header ? one.parts[0].dims : undefined;
    const given = { header, checksum, stream, dims, maxElements: 1 << 14, type: "int32" } as DecodeOptions<"int32">;
    if (salt % ALTERED === 0) return this.#runAltered(one, variant, bytes, given, random(salt));
    let own: string | undefined;
    try {
      this.#hash = hashOf(0, this.#codecs.codec.decode(bytes, one.priors[0], given).data);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      own = error.code;
    }
    try {
      const { data } = await this.#pool.decode(bytes, this.#priors[variant], given);
      if (own !== undefined || hashOf(0, data) !== this.#hash)
        throw new WrongSuccess(`the pool read it, the codec: ${own}`);
      return "unchecked";
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      if (error.code !== own) throw new WrongSuccess(`the pool: ${error.code}, the codec: ${own}`);
      return error.code;
    }
  }

  /** A task whose messages are altered on their way: it ends, and the worker is replaced. */
  async #runAltered(
    one: Case,
    variant: number,
    bytes: Uint8Array,
    given: DecodeOptions<"int32">,
    rng: Random,
  ): Promise<string> {
    const state = this.#line;
    const worker = state.current;
    state.alter = rng;
    const { lanes, ...written } = one.options;
    const prior = this.#priors[variant];
    const task = rng(4)
      ? this.#pool.decode(bytes, prior, given)
      : this.#pool.encode(one.parts[0].latent, prior, written as object);
    const ended = task.then(
      () => true,
      () => true,
    );
    await Promise.race([ended, soon()]);
    state.alter = undefined;
    // One that has died is replaced already.
    if (worker && state.current === worker) die(worker, new Error("replaced"));
    // The next worker starts in microtasks. The task of one that has died is over.
    await soon();
    const isOver = await Promise.race([ended, soon()]);
    const [caught] = state.caught.splice(0);
    if (caught !== undefined) throw caught;
    if (!isOver) throw new WrongSuccess("a task did not end");
    return "altered";
  }
}

/** What the pool hears when a worker has an error that it did not catch. */
function die(worker: FakeWorker, error: unknown): void {
  worker.onerror?.({ error, message: String(error), preventDefault: () => {} });
}

const soon = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));

function poolPrior(pool: Pool, { parts: [part], sequences, priors }: Case): PoolPrior {
  const { reference, dims, means } = part;
  const { step } = reference as { step?: number };
  const centres = means && { type: "float32", dims, data: means };
  const [{ table }] = priors;
  if (reference.kind === "channels") return pool.factorized(table, { axis: reference.axis, step });
  if (reference.kind === "rows") return pool.indexed(table, reference.index, { means: centres, step });
  if (reference.kind !== "scales") throw new TypeError("a pool has no mixtures");
  const scales = { type: "float32", dims, data: reference.scales };
  return pool.gaussian(scales, { ...sequences[0], means: centres });
}

export const openPool = (options: CreateOptions): Promise<Target> => PoolTarget.open(options);

/** The queue of tasks, the workers with the tasks that each has, and what happens when a worker dies. */
import { CodecError } from "./errors.js";
import { hint, hold, listen, startWorker } from "./pool-threads.js";
import { PoolError, type PoolOptions, type WorkerLike } from "./pool-types.js";
import type { Network, Reply, Start, WirePrior, WireTask, Work } from "./pool-worker.js";
import type { Latent, Table } from "./types.js";

/** Most messages of a worker: the one that it works on, and the next one, so that it need not wait. */
const DEPTH = 2;
/** A message is full at one of these: about 0.3 ms of work. A message for each tiny packet costs 2.7 times as much. */
const MESSAGE_TASKS = 16;
const MESSAGE_SYMBOLS = 2 ** 18;
/** The pool gives up when this many workers in a row, besides the first ones, have died before they had a task. */
const ATTEMPTS = 3;

/** A prior as it goes to a worker. */
export interface QueuedPrior {
  readonly table: Table;
  /** What the pool calls the table. No other table has this name. */
  readonly name: string;
  /** The parameters of a context prior, and their name. */
  readonly network?: Network | undefined;
  /** Copies of its arrays, and the memory that they bring. Throws TypeError for memory that is gone. */
  wire(): { readonly prior: WirePrior; readonly transfer: readonly ArrayBuffer[] };
}

/** A task as it goes to a worker. Nobody else uses its memory. */
export interface Body {
  readonly prior: QueuedPrior;
  readonly wire: WireTask;
  readonly transfer: readonly ArrayBuffer[];
  /** Number of symbols, roughly. */
  readonly symbols: number;
}

/** A promise that rejects when its signal is aborted. */
class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor(signal?: AbortSignal, aborted?: () => void) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    if (signal === undefined) return;
    const abort = () => {
      this.reject(signal.reason);
      aborted?.();
    };
    const settled = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    this.promise.then(settled, settled);
  }
}

interface Task extends Body {
  readonly result: Deferred<Uint8Array | Latent>;
}

interface Thread {
  worker?: WorkerLike;
  ready: boolean;
  answered: boolean;
  /** The tasks of each message that has not been answered. A worker answers in order. */
  readonly messages: Task[][];
  /** The last prior that it has been sent: tasks that share one, one behind the other, send its arrays once. */
  prior?: QueuedPrior;
  /** Names of the tables and networks that it has been sent. */
  readonly sent: Set<string>;
}

/** Whether a message is a reply to each of these tasks. A program of another release may send something else. */
const isAnswer = (data: unknown, tasks: readonly Task[] | undefined): data is Reply[] =>
  // Spread, because every() passes over places that hold nothing.
  Array.isArray(data) && data.length === tasks?.length && [...data].every((reply) => Object(reply) === reply);

export class Queue {
  /** Tasks under way or waiting. */
  pending = 0;
  readonly #size: number;
  readonly #maxPending: number;
  readonly #start: Start;
  readonly #prelude: string;
  readonly #option: PoolOptions["worker"];
  readonly #threads = new Set<Thread>();
  readonly #waiting: Task[] = [];
  /** Callers that wait for a place, and callers that were promised one and have not taken it. */
  readonly #callers = new Set<Deferred<void>>();
  readonly #promised = new Set<Deferred<void>>();
  readonly #drained: (() => void)[] = [];
  #scheduled = false;
  /** Workers in a row that died before they had a task. Before the pool is open none is replaced. */
  #failures = Number.POSITIVE_INFINITY;
  /** The reason why no task is accepted any more. */
  #closed: PoolError | undefined;

  constructor(
    { size, maxPending }: { size: number; maxPending: number },
    start: Start,
    prelude: string,
    option: PoolOptions["worker"],
  ) {
    this.#size = size;
    this.#maxPending = maxPending;
    this.#start = start;
    this.#prelude = prelude;
    this.#option = option;
  }

  /** Throws `CLOSED`, or what has closed the pool. */
  checkOpen(): void {
    if (this.#closed) throw this.#closed;
  }

  // ---- places

  /** `make` copies or takes the input, so it is called when there is a place for the task. */
  submit(signal: AbortSignal | undefined, make: () => Body): Promise<Uint8Array | Latent> {
    this.checkOpen();
    signal?.throwIfAborted();
    const [caller] = this.#promised;
    if (!caller && this.pending >= this.#maxPending)
      throw new PoolError("QUEUE_FULL", `${this.pending} tasks are pending, as many as maxPending: await capacity()`);
    const body = make();
    const result = new Deferred<Uint8Array | Latent>(signal, () => {
      const at = this.#waiting.indexOf(task);
      // A task under way keeps its place until the worker answers.
      if (at >= 0) this.#leave(this.#waiting.splice(at, 1).length);
    });
    const task: Task = { ...body, result };
    if (caller) this.#promised.delete(caller);
    this.pending++;
    this.#waiting.push(task);
    this.#schedule();
    return result.promise;
  }

  /** Resolves when there is a place, and keeps it until the next timer runs. */
  async capacity(signal: AbortSignal | undefined): Promise<void> {
    this.checkOpen();
    signal?.throwIfAborted();
    const caller = new Deferred<void>(signal, () => this.#callers.delete(caller));
    this.#callers.add(caller);
    this.#admit();
    return caller.promise;
  }

  #admit(): void {
    for (const caller of this.#callers) {
      if (this.pending + this.#promised.size >= this.#maxPending) return;
      this.#callers.delete(caller);
      this.#promised.add(caller);
      setTimeout(() => this.#promised.delete(caller) && this.#admit(), 0);
      caller.resolve();
    }
  }

  #leave(count: number): void {
    this.pending -= count;
    this.#admit();
    if (this.pending === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  // ---- tasks

  /** Sends after the running code has ended, so that tasks that are started together share messages. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (let depth = 0; depth < DEPTH; depth++)
      for (const thread of this.#threads)
        if (thread.ready && thread.messages.length === depth && this.#waiting.length > 0) this.#send(thread);
  }

  #send(thread: Thread): void {
    const most = Math.min(MESSAGE_TASKS, Math.ceil(this.#waiting.length / (DEPTH * this.#size)));
    const tasks: Task[] = [];
    const wires: WireTask[] = [];
    const tables: [string, Uint8Array][] = [];
    const networks: Network[] = [];
    const transfer: ArrayBuffer[] = [];
    let [taken, symbols] = [0, 0];
    for (const task of this.#waiting) {
      if (taken === most || symbols >= MESSAGE_SYMBOLS) break;
      taken++;
      try {
        const wired = task.prior === thread.prior ? undefined : task.prior.wire();
        const { table, name, network } = task.prior;
        if (!thread.sent.has(name)) tables.push([name, table.bytes()]);
        thread.sent.add(name);
        if (network && !thread.sent.has(network[0])) networks.push(network);
        if (network) thread.sent.add(network[0]);
        thread.prior = task.prior;
        wires.push(wired ? { ...task.wire, prior: wired.prior } : task.wire);
        transfer.push(...task.transfer, ...(wired?.transfer ?? []));
        tasks.push(task);
        symbols += task.symbols;
      } catch (error) {
        task.result.reject(error);
      }
    }
    this.#waiting.splice(0, taken);
    hold(thread.worker, true);
    thread.worker?.postMessage({ tables, networks, tasks: wires } satisfies Work, transfer);
    thread.messages.push(tasks);
    if (taken > tasks.length) this.#leave(taken - tasks.length);
  }

  #receive(thread: Thread, replies: readonly Reply[]): void {
    const tasks = thread.messages.shift() ?? [];
    if (!thread.answered) this.#failures = 0;
    thread.answered = true;
    this.#dispatch();
    if (thread.messages.length === 0) hold(thread.worker, false);
    replies.forEach(({ result, error, code }, i) => {
      if (result !== undefined) tasks[i]?.result.resolve(result);
      else tasks[i]?.result.reject(code === undefined ? error : new CodecError(code, String(Object(error).message)));
    });
    this.#leave(tasks.length);
  }

  // ---- workers

  /** Starts all workers. Throws `WORKER_LOST` where one cannot be started. */
  async open(): Promise<void> {
    try {
      await Promise.all(Array.from({ length: this.#size }, () => this.#add()));
      this.#failures = 0;
    } catch (error) {
      await this.#end(error as PoolError);
      throw error;
    }
  }

  /** Starts a worker; resolves when it is ready. */
  async #add(): Promise<void> {
    const thread: Thread = { ready: false, answered: false, messages: [], sent: new Set() };
    this.#threads.add(thread);
    const ready = new Deferred<void>();
    const lost = (cause: unknown) => ready.reject(this.#lose(thread, cause));
    const receive = (data: unknown) => {
      // A pool that has ended has dropped its workers and their tasks.
      if (!this.#threads.has(thread)) return;
      if (thread.ready) {
        if (isAnswer(data, thread.messages[0])) return this.#receive(thread, data);
        lost(new TypeError("its answer is not one of this release of latentwire"));
        return;
      }
      thread.ready = true;
      hold(thread.worker, false);
      ready.resolve();
      this.#dispatch();
    };
    try {
      const worker = await startWorker(this.#option, this.#prelude);
      if (typeof worker?.postMessage !== "function") throw new TypeError("worker must return a Worker");
      if (!this.#threads.has(thread)) worker.terminate();
      thread.worker = worker;
      listen(worker, receive, lost);
      worker.postMessage(this.#start, []);
    } catch (error) {
      lost(error);
    }
    return ready.promise;
  }

  /** Rejects the tasks of a worker that died, and replaces it. */
  #lose(thread: Thread, cause: unknown): PoolError {
    const why = (cause as Error | null)?.message ?? String(cause);
    const text = thread.ready
      ? `a worker died: ${why}`
      : `a worker could not be started: ${why}. ${hint(this.#option)}`;
    const error = new PoolError("WORKER_LOST", text, cause);
    if (!this.#threads.delete(thread)) return error;
    thread.worker?.terminate();
    const tasks = thread.messages.flat();
    for (const { result } of tasks) result.reject(error);
    if (tasks.length === 0 && !thread.answered) this.#failures++;
    this.#leave(tasks.length);
    const hopeless = this.#failures >= this.#size + ATTEMPTS;
    // With some workers left the pool goes on.
    if (hopeless && this.#threads.size === 0) this.#end(error);
    else if (!hopeless) while (this.#threads.size < this.#size) this.#add().catch(() => {});
    return error;
  }

  /** Rejects all that is pending and ends the workers. */
  async #end(reason: PoolError): Promise<void> {
    this.#refuse(reason);
    const threads = [...this.#threads];
    this.#threads.clear();
    const tasks = [...this.#waiting.splice(0), ...threads.flatMap(({ messages }) => messages.flat())];
    for (const { result } of tasks) result.reject(reason);
    this.#leave(tasks.length);
    await Promise.all(threads.map(({ worker }) => worker?.terminate()));
  }

  #refuse(reason: PoolError): void {
    this.#closed = reason;
    for (const caller of this.#callers) caller.reject(reason);
    this.#callers.clear();
  }

  async close(abort: boolean): Promise<void> {
    const reason = this.#closed ?? new PoolError("CLOSED", "the pool has been closed");
    this.#refuse(reason);
    if (!abort && this.pending > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await this.#end(reason);
  }
}

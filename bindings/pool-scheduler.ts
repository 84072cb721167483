/** Who works on what: the queue, the workers, what they have been sent. */
import { fromWire, PoolError } from "./pool-errors.js";
import { Gate } from "./pool-gate.js";
import type { Reply, WirePrior, WireTask } from "./pool-messages.js";
import type { PoolPriorHandle } from "./pool-prior.js";
import { hold, listen, startWorker, type WorkerLike } from "./pool-threads.js";
import type { PoolOptions } from "./pool-types.js";
import type { Table } from "./types.js";

/** Messages a worker may have: one that it works on, and one so that it need not wait for the next. */
const DEPTH = 2;
/** Tasks of one message end when they reach one of these, about 0.3 ms of work: a message of its own costs a task 17 us. */
const MESSAGE_TASKS = 16;
const MESSAGE_SYMBOLS = 2 ** 18;

/** A task as it waits. */
interface Task {
  readonly id: number;
  readonly prior: PoolPriorHandle;
  readonly body: Omit<WireTask, "id" | "prior">;
  readonly symbols: number;
  readonly transfer: ArrayBuffer[];
  /** That are transferred. */
  readonly bytes: number;
  /** Settles the promise, once. */
  readonly settle: (result: Reply["result"], error?: unknown) => void;
}

interface Thread {
  worker: WorkerLike;
  readonly tasks: Map<number, Task>;
  readonly tables: Set<string>;
  messages: number;
  prior: PoolPriorHandle | undefined;
}

const size = (buffers: readonly ArrayBuffer[]) => buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);

/** What a task says to a worker, and the memory that goes with it. */
export interface Body {
  readonly wire: Task["body"];
  readonly transfer: ArrayBuffer[];
  /** About as many as there are in the input. */
  readonly symbols: number;
}

export class Scheduler {
  readonly gate: Gate;
  readonly #size: number;
  readonly #module: WebAssembly.Module;
  readonly #factory: PoolOptions["worker"];
  readonly #threads = new Set<Thread>();
  readonly #queue: Task[] = [];
  readonly #drained: (() => void)[] = [];
  #ids = 0;
  #dispatching = false;
  /** Why nothing is accepted any more. */
  #closed: PoolError | undefined;
  #ended = false;

  constructor(size: number, places: number, module: WebAssembly.Module, factory: PoolOptions["worker"]) {
    this.gate = new Gate(places);
    this.#size = size;
    this.#module = module;
    this.#factory = factory;
  }

  /** `make` copies the input, so it is called when there is a place for the task. */
  submit(prior: PoolPriorHandle, signal: AbortSignal | undefined, make: () => Body): Promise<Reply["result"]> {
    if (this.#closed) throw this.#closed;
    signal?.throwIfAborted();
    if (!this.gate.enter()) throw new PoolError("QUEUE_FULL", "maxPending tasks are pending; await capacity()");
    let made: Body;
    try {
      made = make();
    } catch (error) {
      // Memory that is gone cannot be copied. A place that stayed taken would keep close() waiting for ever.
      this.#release(1);
      throw error;
    }
    const { wire, transfer, symbols } = made;
    return new Promise((resolve, reject) => {
      const settle: Task["settle"] = (result, error) => {
        signal?.removeEventListener("abort", abort);
        if (result === undefined) reject(error);
        else resolve(result);
      };
      const task: Task = { id: this.#ids++, prior, body: wire, symbols, transfer, bytes: size(transfer), settle };
      const abort = () => {
        settle(undefined, signal!.reason);
        const at = this.#queue.indexOf(task);
        // Under way: its place is free when the worker answers.
        if (at < 0) return;
        this.#queue.splice(at, 1);
        this.#release(1);
      };
      signal?.addEventListener("abort", abort);
      this.#queue.push(task);
      this.#schedule();
    });
  }

  async capacity(signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw this.#closed;
    return this.gate.wait(signal);
  }

  #release(count: number): void {
    this.gate.leave(count);
    if (this.gate.taken === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  // ---- workers

  /** After the running code, so that tasks that are started together are shared out evenly. */
  #schedule(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    queueMicrotask(() => {
      this.#dispatching = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    for (let depth = 0; depth < DEPTH; depth++)
      // Again where a message could not be sent: what waits behind it must not be left.
      for (const thread of this.#threads)
        while (thread.messages === depth && this.#queue.length > 0) this.#post(thread, this.#take());
  }

  /** The tasks of one message. */
  #take(): Task[] {
    const most = Math.min(MESSAGE_TASKS, Math.ceil(this.#queue.length / (DEPTH * this.#size)));
    let count = 0;
    for (let symbols = 0; count < most && symbols < MESSAGE_SYMBOLS; count++) symbols += this.#queue[count]!.symbols;
    return this.#queue.splice(0, count);
  }

  #post(thread: Thread, tasks: readonly Task[]): void {
    const transfer: ArrayBuffer[] = [];
    const tables = new Map<string, Table>();
    let last = thread.prior;
    try {
      const wired = tasks.map(({ id, prior, body, transfer: own, bytes }): WireTask => {
        // Node sends a buffer that has been handed over already, and the worker cannot read the message.
        if (size(own) !== bytes) throw new TypeError("memory to be transferred has been transferred before");
        transfer.push(...own);
        let wire: WirePrior | undefined;
        if (prior !== last) {
          wire = prior.wire(transfer);
          last = prior;
          if (!thread.tables.has(wire.table)) tables.set(wire.table, prior.table);
        }
        return { id, prior: wire, ...body };
      });
      const message = { tables: Array.from(tables, ([name, table]) => [name, table.bytes()]), tasks: wired };
      thread.worker.postMessage(message, transfer);
    } catch (error) {
      // Memory that cannot be handed over, or a prior whose memory is gone. Nothing has been sent yet.
      if (tasks.length > 1) for (const task of tasks) this.#post(thread, [task]);
      else {
        tasks[0]!.settle(undefined, error);
        this.#release(1);
      }
      return;
    }
    thread.prior = last;
    for (const { prior } of tasks) prior.sent();
    for (const name of tables.keys()) thread.tables.add(name);
    if (thread.tasks.size === 0) hold(thread.worker, true);
    for (const task of tasks) thread.tasks.set(task.id, task);
    thread.messages++;
  }

  #receive(thread: Thread, replies: readonly Reply[]): void {
    thread.messages--;
    const done = replies.map(({ id }) => thread.tasks.get(id)!);
    for (const { id } of replies) thread.tasks.delete(id);
    this.#dispatch();
    replies.forEach(({ result, error }, i) => {
      done[i]!.settle(result, error && fromWire(error));
    });
    if (thread.tasks.size === 0) hold(thread.worker, false);
    this.#release(replies.length);
  }

  /** Starts a worker; resolves when it is ready, rejects with `WORKER_LOST` if it will never be. */
  async add(): Promise<void> {
    const worker = await startWorker(this.#factory).catch((error) => {
      throw new PoolError("WORKER_LOST", `a worker could not be started: ${error?.message ?? error}`, error);
    });
    if (typeof worker?.postMessage !== "function") throw new TypeError("worker must return a Worker");
    const thread: Thread = { worker, tasks: new Map(), tables: new Set(), messages: 0, prior: undefined };
    await new Promise<void>((resolve, reject) => {
      let ready = false;
      let gone = false;
      listen(
        worker,
        (data) => {
          if (gone) return;
          if (data !== "ready") return this.#receive(thread, data as Reply[]);
          ready = true;
          hold(worker, false);
          resolve();
        },
        (cause) => {
          if (gone) return;
          gone = true;
          const error = new PoolError("WORKER_LOST", `a worker was lost: ${(cause as Error)?.message ?? cause}`, cause);
          worker.terminate();
          if (ready) this.#replace(thread, error);
          else reject(error);
        },
      );
      worker.postMessage({ module: this.#module }, []);
    });
    if (this.#ended) worker.terminate();
    else {
      this.#threads.add(thread);
      this.#dispatch();
    }
  }

  #replace(thread: Thread, error: PoolError): void {
    if (!this.#threads.delete(thread)) return;
    for (const task of thread.tasks.values()) task.settle(undefined, error);
    const lost = thread.tasks.size;
    thread.tasks.clear();
    this.#release(lost);
    // Workers that die as they start would be replaced for ever.
    this.add().catch((failure) => {
      if (this.#threads.size === 0) this.#end(failure);
    });
  }

  /** Rejects all that is pending and ends the workers. */
  async #end(reason: PoolError): Promise<void> {
    this.#ended = true;
    this.#closed = reason;
    const lost = this.#queue.splice(0);
    const workers = Array.from(this.#threads, (thread) => {
      lost.push(...thread.tasks.values());
      return thread.worker;
    });
    this.#threads.clear();
    for (const task of lost) task.settle(undefined, reason);
    this.gate.refuse(reason);
    this.#release(lost.length);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  async close(abort: boolean): Promise<void> {
    this.#closed ??= new PoolError("CLOSED", "the pool has been closed");
    this.gate.refuse(this.#closed);
    if (!abort && this.gate.taken > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await this.#end(this.#closed);
  }
}

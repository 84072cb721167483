/** Every public type of latentwire/pool, and its error. */
import type {
  ArrayByType,
  Bytes,
  ContextOptions,
  CreateOptions,
  DecodeOptions,
  ElementData,
  ElementType,
  EncodeOptions,
  FactorizedOptions,
  GaussianOptions,
  GivenContextOptions,
  IndexedOptions,
  Latent,
  Prior,
  Table,
  TableSource,
  TensorLike,
  TensorView,
} from "./types.js";

/**
 * | code | meaning |
 * |---|---|
 * | `QUEUE_FULL` | `maxPending` tasks are pending: await `capacity()` first |
 * | `CLOSED` | the pool has been closed |
 * | `WORKER_LOST` | the worker that had the task died, or no worker can be started; `cause` has its error where there was one |
 */
export type PoolErrorCode = "QUEUE_FULL" | "CLOSED" | "WORKER_LOST";

/** Thrown if the pool cannot take or finish a task. For wrong data of a task you get a `CodecError`, as without a pool. */
export class PoolError extends Error {
  override readonly name = "PoolError";
  readonly code: PoolErrorCode;
  /** For the pool's own use. */
  constructor(code: PoolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The part of a Worker that a pool uses: that of the web or of `node:worker_threads`. */
export interface WorkerLike {
  /** Sends a message. The buffers in `transfer` move to the worker. */
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  /** Ends the worker. */
  terminate(): unknown;
}

/** How many workers, and how they start. `build` and `module` are those of `create`. */
export interface PoolOptions extends CreateOptions {
  /** Number of workers, at least 1. Default: as many as the machine runs at once. */
  size?: number;
  /** Tasks that may be pending at once, at least 1. Default 32 per worker. */
  maxPending?: number;
  /**
   * The address of the file `latentwire/pool-worker`, or a function that starts a worker with it. Default: none, the pool has the worker's program inside. A page
   * needs this option where its Content-Security-Policy has no `worker-src blob:`.
   */
  worker?: string | URL | (() => WorkerLike | Promise<WorkerLike>);
}

/** A prior for the tasks of pools; made by any pool, used with any. Its arrays must not change while tasks with it are pending. */
export interface PoolPrior {
  readonly kind: Prior["kind"];
  readonly table: Table;
}

/** A context prior over another prior of a pool. */
export interface PoolGivenContextOptions extends Omit<GivenContextOptions, "over"> {
  /** From `gaussian` or `indexed` of a pool. */
  over: PoolPrior;
}

/** What every task takes. */
export interface TaskOptions {
  /** Cancels the task. A waiting one is dropped. One under way is finished by its worker, and its result is dropped. */
  signal?: AbortSignal;
  /** Moves the input's memory to the worker without a copy, if nothing else is in its buffer. It is gone here. Default false. */
  transfer?: boolean;
}

/** Options of `pool.encode`. */
export interface PoolEncodeOptions extends Omit<EncodeOptions, "out">, TaskOptions {}

/** Options of `pool.decode`. */
export interface PoolDecodeOptions<T extends ElementType = ElementType>
  extends Omit<DecodeOptions<T>, "out">,
    TaskOptions {
  /**
   * Array for the elements. It goes to the worker and comes back as the result's `data`; the one given here is gone, also where the task fails.
   * It must be all there is in its buffer, unless that is a SharedArrayBuffer, which is written in place.
   */
  out?: ElementData;
}

/** Workers that encode and decode. */
export interface Pool {
  /** How many workers there are. */
  readonly size: number;
  /** The most tasks that may be pending. */
  readonly maxPending: number;
  /** Tasks under way or waiting. */
  readonly pending: number;
  /** As `codec.table`. */
  table(source: TableSource): Table;
  /** As `codec.factorized`. Each worker is sent the table once. */
  factorized(table: TableSource, options?: FactorizedOptions): PoolPrior;
  /** As `codec.context`. Each worker is sent table and parameters once. */
  context(parameters: Uint8Array, options: ContextOptions | PoolGivenContextOptions): PoolPrior;
  /** As `codec.gaussian`. Scales and means are copied to a worker with the first of successive tasks that share the prior. */
  gaussian(scales: Float32Array | TensorLike | TensorView, options?: GaussianOptions): PoolPrior;
  /** As `codec.indexed`. Rows and means are copied to a worker with the first of successive tasks that share the prior. */
  indexed(table: TableSource, rows: ArrayLike<number>, options?: IndexedOptions): PoolPrior;
  /**
   * Encodes on a worker, what `codec.encode` would give here.
   *
   * @returns a promise that rejects with what `codec.encode` throws, also for a prior that is no good; with the signal's reason; or with a
   * PoolError `QUEUE_FULL`, `CLOSED`, `WORKER_LOST`. It never throws itself.
   */
  encode(latent: TensorLike | TensorView, prior: PoolPrior, options?: PoolEncodeOptions): Promise<Bytes>;
  /**
   * Decodes on a worker, what `codec.decode` would give here.
   *
   * @returns a promise that rejects with what `codec.decode` throws, also for a prior that is no good; with the signal's reason; or with a
   * PoolError `QUEUE_FULL`, `CLOSED`, `WORKER_LOST`. It never throws itself.
   */
  decode<T extends ElementType = "float32">(
    packet: Uint8Array | ArrayBuffer,
    prior: PoolPrior,
    options?: PoolDecodeOptions<T>,
  ): Promise<Latent<ArrayByType[T]>>;
  /**
   * Resolves when a task will be accepted, first come, first served; the place is kept until the next timer runs, so start the task right after.
   *
   * @returns a promise that rejects with the signal's reason or a PoolError `CLOSED`, `WORKER_LOST`.
   */
  capacity(options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Ends the workers when the pending tasks are done, or at once with `abort`: these tasks reject with `CLOSED`. New tasks are refused from
   * now on.
   */
  close(options?: { abort?: boolean }): Promise<void>;
}

/** Every public type of latentwire/pool. */
import type { WorkerLike } from "./pool-threads.js";
import type {
  ArrayByType,
  Bytes,
  CreateOptions,
  DecodeOptions,
  EncodeOptions,
  FactorizedOptions,
  GaussianOptions,
  IndexedOptions,
  Latent,
  LatentData,
  LatentType,
  Prior,
  Table,
  TableSource,
  TensorLike,
} from "./types.js";

/** How many workers, and how they start. `module` and `simd` are those of `create`. */
export interface PoolOptions extends CreateOptions {
  /** Workers, at least 1. Default: as many as the machine runs at once. */
  size?: number;
  /** Tasks that may be under way or waiting at once, at least 1. Default 32 per worker. */
  maxPending?: number;
  /**
   * Makes a worker that runs `latentwire/pool-worker`, where the package cannot: some bundlers lose the file that it looks for beside its own.
   * Default: `new Worker(new URL("./pool-worker.js", import.meta.url), { type: "module" })`, of `node:worker_threads` in Node.
   */
  worker?: () => WorkerLike | Promise<WorkerLike>;
}

/** Of a prior whose arrays are handed over. */
export interface GiveOptions {
  /** The arrays go to the worker without a copy, and are gone here; the prior is good for one task. Default false. */
  transfer?: boolean;
}

/** A prior for the tasks of pools; made by any pool, used with any. Its arrays must not change while tasks with it are pending. */
export interface PoolPrior {
  readonly kind: Prior["kind"];
  readonly table: Table;
}

/** What every task takes. */
export interface TaskOptions {
  /** Gives the task up: a waiting one is dropped, one under way is finished by its worker and its result dropped. */
  signal?: AbortSignal;
  /** The input's memory goes to the worker without a copy, and is gone here, if the input is all there is in its buffer. Default false. */
  transfer?: boolean;
}

/** Options of `pool.encode`. */
export interface PoolEncodeOptions extends Omit<EncodeOptions, "out">, TaskOptions {}

/** Options of `pool.decode`. */
export interface PoolDecodeOptions<T extends LatentType = LatentType>
  extends Omit<DecodeOptions<T>, "out">,
    TaskOptions {
  /**
   * Array for the elements. It goes to the worker and comes back as the result's `data`; the one given here is gone, also where the task fails.
   * It must be all there is in its buffer, unless that is a SharedArrayBuffer, which is written in place.
   */
  out?: LatentData;
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
  /** As `codec.gaussian`. Scales and means go to a worker with the first of successive tasks that share the prior. */
  gaussian(scales: Float32Array | TensorLike, options?: GaussianOptions & GiveOptions): PoolPrior;
  /** As `codec.indexed`. Rows and means go to a worker with the first of successive tasks that share the prior. */
  indexed(table: TableSource, rows: ArrayLike<number>, options?: IndexedOptions & GiveOptions): PoolPrior;
  /**
   * Encodes on a worker, what `codec.encode` would give here.
   *
   * @returns a promise that rejects with what `codec.encode` throws, also for a prior that is no good; with the signal's reason; or with a
   * PoolError `QUEUE_FULL`, `CLOSED`, `WORKER_LOST`. It never throws itself.
   */
  encode(latent: TensorLike, prior: PoolPrior, options?: PoolEncodeOptions): Promise<Bytes>;
  /**
   * Decodes on a worker, what `codec.decode` would give here.
   *
   * @returns a promise that rejects with what `codec.decode` throws, also for a prior that is no good; with the signal's reason; or with a
   * PoolError `QUEUE_FULL`, `CLOSED`, `WORKER_LOST`. It never throws itself.
   */
  decode<T extends LatentType = "float32">(
    packet: Uint8Array,
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

/**
 * A pool of workers for servers and pages that code more than one thread can: docs/pool.md.
 *
 * @module
 */
import { builds } from "./builds.js";
import { codecOf, readyFrom } from "./instantiate.js";
import { hand, isShared, spansBuffer } from "./pool-messages.js";
import { PoolPriorHandle } from "./pool-prior.js";
import { Scheduler } from "./pool-scheduler.js";
import { processors } from "./pool-threads.js";
import type { GiveOptions, Pool, PoolDecodeOptions, PoolEncodeOptions, PoolOptions, PoolPrior } from "./pool-types.js";
import { checkFloats, checkTensor, isBytes } from "./tensor.js";
import type {
  ArrayByType,
  Bytes,
  Codec,
  FactorizedOptions,
  GaussianOptions,
  IndexedOptions,
  Latent,
  LatentType,
  Table,
  TableSource,
  TensorLike,
} from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { PoolError, type PoolErrorCode } from "./pool-errors.js";
export type { WorkerLike } from "./pool-threads.js";
export type * from "./pool-types.js";
export type * from "./types.js";

const ENCODE_OPTIONS = ["stream", "header", "lanes", "checksum", "fingerprint"] as const;
const DECODE_OPTIONS = ["type", "dims", "stream", "header", "checksum", "maxElements"] as const;
/** Of usual packets, to guess how long one takes. */
const SYMBOLS_PER_BYTE = 10;

const NONE = Object.freeze({});

/** The options that are set and concern the worker. Mostly none: one object for all of these is sent once per message. */
function pick<O, K extends keyof O>(options: O, keys: readonly K[]): Pick<O, K> {
  const set = keys.filter((key) => options[key] !== undefined);
  if (set.length === 0) return NONE as Pick<O, K>;
  return Object.fromEntries(set.map((key) => [key, options[key]])) as Pick<O, K>;
}

class WorkerPool implements Pool {
  readonly size: number;
  readonly maxPending: number;
  readonly #codec: Codec;
  readonly #scheduler: Scheduler;
  #stockTable: Table | undefined;

  constructor(size: number, maxPending: number, codec: Codec, scheduler: Scheduler) {
    this.size = size;
    this.maxPending = maxPending;
    this.#codec = codec;
    this.#scheduler = scheduler;
  }

  get pending(): number {
    return this.#scheduler.gate.taken;
  }

  // ---- priors

  table(source: TableSource): Table {
    return this.#codec.table(source);
  }

  factorized(table: TableSource, options: FactorizedOptions = {}): PoolPrior {
    const { table: loaded } = this.#codec.factorized(table, options);
    return new PoolPriorHandle("factorized", loaded, options);
  }

  gaussian(scales: Float32Array | TensorLike, options: GaussianOptions & GiveOptions = {}): PoolPrior {
    const { table, scaleTable, step, transfer } = options;
    const loaded = this.table(table ?? (scaleTable ? this.#codec.gaussianTable(scaleTable) : this.#stock()));
    const own = { scales: checkFloats(scales, "scales"), scaleTable, step, means: floats(options.means) };
    return new PoolPriorHandle("gaussian", loaded, own, transfer);
  }

  #stock(): Table {
    this.#stockTable ??= this.#codec.gaussianTable();
    return this.#stockTable;
  }

  indexed(table: TableSource, rows: ArrayLike<number>, options: IndexedOptions & GiveOptions = {}): PoolPrior {
    const own = { rows, step: options.step, means: floats(options.means) };
    return new PoolPriorHandle("indexed", this.table(table), own, options.transfer);
  }

  // ---- tasks

  async encode(latent: TensorLike, prior: PoolPrior, options: PoolEncodeOptions = {}): Promise<Bytes> {
    const { type, dims, data } = checkTensor(latent, "latent");
    const { signal, transfer: give = false } = options;
    const result = this.#scheduler.submit(handle(prior), signal, () => {
      const transfer: ArrayBuffer[] = [];
      const tensor = { type, dims, data: hand(data, give, transfer) };
      const wire = { encode: { latent: tensor, options: pick(options, ENCODE_OPTIONS) } };
      return { wire, transfer, symbols: data.length };
    });
    return result as Promise<Bytes>;
  }

  async decode<T extends LatentType = "float32">(
    packet: Uint8Array,
    prior: PoolPrior,
    options: PoolDecodeOptions<T> = {},
  ): Promise<Latent<ArrayByType[T]>> {
    if (!isBytes(packet)) throw new TypeError("packet must be a Uint8Array");
    const { out, signal, transfer: give = false } = options;
    if (out !== undefined && !(ArrayBuffer.isView(out) && (isShared(out) || spansBuffer(out))))
      throw new TypeError("out must be an array that spans its buffer");
    const result = this.#scheduler.submit(handle(prior), signal, () => {
      const transfer: ArrayBuffer[] = [];
      const input = hand(packet, give, transfer);
      const target = out && hand(out, true, transfer);
      const decode = { packet: input, options: pick(options, DECODE_OPTIONS), out: target };
      return { wire: { decode }, transfer, symbols: packet.length * SYMBOLS_PER_BYTE };
    });
    return result as Promise<Latent<ArrayByType[T]>>;
  }

  capacity({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#scheduler.capacity(signal);
  }

  close({ abort = false }: { abort?: boolean } = {}): Promise<void> {
    return this.#scheduler.close(abort);
  }
}

function handle(prior: PoolPrior): PoolPriorHandle {
  if (prior instanceof PoolPriorHandle) return prior;
  throw new TypeError("prior must come from factorized(), gaussian() or indexed() of a pool");
}

const floats = (means: GaussianOptions["means"]) => (means === undefined ? undefined : checkFloats(means, "means"));

function atLeastOne(value: number, name: string): number {
  if (!(Number.isInteger(value) && value >= 1))
    throw new RangeError(`${name} must be a whole number from 1, not ${value}`);
  return value;
}

/**
 * Starts workers, each with a codec of its own. Wasm is compiled once, here.
 *
 * @throws PoolError `WORKER_LOST` where a worker cannot be started; RangeError for `size` or `maxPending`; what `create` throws.
 */
export async function createPool(options: PoolOptions = {}): Promise<Pool> {
  const size = atLeastOne(options.size ?? (await processors()), "size");
  const maxPending = atLeastOne(options.maxPending ?? 32 * size, "maxPending");
  const module = await readyFrom(builds, { build: options.build, module: options.module });
  const scheduler = new Scheduler(size, maxPending, module, options.worker);
  try {
    await Promise.all(Array.from({ length: size }, () => scheduler.add()));
  } catch (error) {
    await scheduler.close(true);
    throw error;
  }
  return new WorkerPool(size, maxPending, codecOf(module), scheduler);
}

/** Trains the weights of a context prior: samples and weights in one shared memory, and the threads that work on them. */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type FitModule, type Layout, type Share, startModule, type ThreadData } from "./context-module.js";
import type { ActiveChannel, Item } from "./context-samples.js";

/** Widths of the two hidden layers, and how many symbols of its own plane a position reads. */
export interface NetworkSize {
  readonly hidden: number;
  readonly second: number;
  readonly taps: number;
}

/** What a trainer is made for. */
export interface TrainerOptions {
  readonly size: NetworkSize;
  readonly channels: readonly ActiveChannel[];
  /** The number of each row that a symbol may be given; undefined where rows belong to channels. */
  readonly numbers?: Int8Array | undefined;
  readonly used: readonly Item[];
  readonly checked: readonly Item[];
  readonly seed: number;
  readonly threads: number;
}

/** A compiled file of this package, wherever this one is. */
function compiled(name: string): URL {
  try {
    return new URL(name, import.meta.resolve("latentwire/codec.wasm"));
  } catch {
    // The command line in one file, without the package: beside it.
    return new URL(name, import.meta.url);
  }
}

/** Positions of a step. */
export const BATCH = 256;
/** Positions that are taken of an item together, and that an item is listed once for. */
const PER_VISIT = 16;
const PER_LISTING = 256;
/** Steps of a measurement, at most: 51,200 positions. */
const MEASURED_STEPS = 200;
const PAGE = 65536;
const MOST_PAGES = 65536;
/** Addresses below belong to the compiler. */
const START = 1024;
const SAMPLE_BYTES = 32;

const align = (at: number): number => ((at + 63) & ~63 ? Math.ceil(at / 64) * 64 : at);

/** Samples as the module lists them. */
interface Listing {
  readonly visits: number;
  readonly count: number;
  readonly positions: number;
  readonly perVisit: number;
}

export class Trainer {
  /** Items that had room. */
  readonly used: number;
  readonly #wasm: FitModule;
  readonly #memory: WebAssembly.Memory;
  readonly #options: TrainerOptions;
  readonly #threads: Worker[];
  readonly #samples: number;
  readonly #training: Listing;
  readonly #checking: Listing;

  constructor(options: TrainerOptions) {
    const { size, channels, checked, threads } = options;
    this.#options = options;
    const module = new WebAssembly.Module(readFileSync(compiled("context-fit.wasm")));
    const layout: Layout = [
      START,
      channels.length,
      size.hidden,
      size.second,
      size.taps,
      threads,
      options.numbers ? 1 : 0,
    ];
    const { end, used } = measured(module, layout, options);
    this.used = used.length;
    this.#memory = new WebAssembly.Memory({ initial: end, maximum: end, shared: true });
    this.#wasm = startModule(module, this.#memory);
    this.#samples = align(this.#wasm.configure(...layout) >>> 0);
    channels.forEach(({ sd, low, high }, k) => {
      this.#wasm.describe(k, sd, 1 - (high - low + 2) / 65536);
    });
    const after = this.#store([...used, ...checked]);
    this.#training = this.#list(used, 0, after);
    this.#checking = this.#list(checked, used.length, after + 4 * this.#training.count);
    this.reset();
    this.#threads = Array.from({ length: threads }, (_, thread) => {
      const workerData: ThreadData = { module, memory: this.#memory, thread, layout };
      const worker = new Worker(compiled("tables/context-worker.js"), { workerData });
      worker.setMaxListeners(0);
      return worker;
    });
  }

  /** Puts the items' symbols into the memory. Returns where the next thing may lie. */
  #store(items: readonly Item[]): number {
    const wasm = this.#wasm;
    const { channels, numbers } = this.#options;
    const words = new Uint32Array(this.#memory.buffer);
    const cells = new Int16Array(this.#memory.buffer);
    let at = align(this.#samples + SAMPLE_BYTES * items.length);
    const take = (bytes: number): number => {
      const place = at;
      at = align(at + bytes);
      return place;
    };
    // Symbols that the network must not see in full are stored twice: as it reads them, and as they are coded.
    const isWide = items.some(({ symbols }) => symbols.some((symbol) => symbol < -CLAMP || symbol > CLAMP));
    items.forEach(({ symbols, rows, height, width }, i) => {
      const bytes = wasm.symbolBytes(height, width);
      const clamped = take(bytes);
      const whole = isWide ? take(bytes) : clamped;
      const runs = take(wasm.runBytes(height));
      const globs = take(wasm.runBytes(1));
      const given = numbers && rows ? take(bytes) : 0;
      channels.forEach(({ index }, k) => {
        let from = index * height * width;
        for (let y = 0; y < height; y++) {
          const row = wasm.symbolPlace(width, y, 0, k);
          const step = (wasm.symbolPlace(width, y, 1, k) - row) / 2;
          for (let x = 0; x < width; x++) {
            if (given) cells[(given + row) / 2 + x * step] = numbers![rows![from]!]!;
            const symbol = symbols[from++]!;
            cells[(clamped + row) / 2 + x * step] = Math.max(-CLAMP, Math.min(CLAMP, symbol));
            if (isWide) cells[(whole + row) / 2 + x * step] = symbol;
          }
        }
      });
      const sample = this.#samples + SAMPLE_BYTES * i;
      words.set([clamped, whole, runs, globs, height, width, given], sample / 4);
      wasm.prepare(sample);
    });
    return at;
  }

  #list(items: readonly Item[], first: number, visits: number): Listing {
    const list = visitsOf(items).map((i) => first + i);
    new Uint32Array(this.#memory.buffer).set(list, visits / 4);
    const cells = items.map(({ height, width }) => height * width);
    // Positions of small items come from different ones.
    const perVisit = cells.every((count) => count >= PER_VISIT) ? PER_VISIT : 1;
    return { visits, count: list.length, perVisit, positions: cells.reduce((a, b) => a + b, 0) };
  }

  /**
   * Does `steps` steps from `first` on, of `total`, after which the rate is 0.
   *
   * @returns mean bits of a symbol, per channel.
   */
  train(first: number, steps: number, total: number, rate: number): Promise<number[]> {
    return this.#work(first, steps, total, rate, this.#options.seed, this.#training);
  }

  /** Mean bits of a symbol of the items that check, per channel; the same positions each time. */
  measure(): Promise<number[]> {
    const steps = Math.max(1, Math.min(MEASURED_STEPS, Math.ceil(this.#checking.positions / BATCH)));
    return this.#work(0, steps, 0, 0, this.#options.seed + 1, this.#checking);
  }

  async #work(first: number, steps: number, total: number, rate: number, seed: number, listing: Listing) {
    const { visits, count, perVisit } = listing;
    this.#wasm.begin();
    const share: Share = [first, steps, total, rate, seed, visits, count, this.#samples, perVisit];
    await Promise.all(this.#threads.map((thread) => ask(thread, share)));
    const sums = new Float64Array(this.#memory.buffer, this.#wasm.sums(), this.#options.channels.length);
    return Array.from(sums, (sum) => sum / (steps * BATCH));
  }

  /** A copy of all weights, channel by channel. */
  weights(): Float32Array {
    return this.#weights().slice();
  }

  /** Random weights, as at the beginning. */
  reset(): void {
    this.#wasm.initialize(this.#options.seed);
  }

  /** Puts weights back. */
  restore(weights: Float32Array): void {
    this.#weights().set(weights);
    this.#wasm.refresh();
  }

  #weights(): Float32Array {
    const count = (this.#wasm.weightBytes() / 4) * this.#options.channels.length;
    return new Float32Array(this.#memory.buffer, this.#wasm.weights(), count);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

/** The network reads symbols up to this size; docs/format.md section 10. */
const CLAMP = 511;

/** How many pages are needed, and for which items there is room. */
function measured(module: WebAssembly.Module, layout: Layout, { used, checked, numbers }: TrainerOptions) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const wasm = startModule(module, memory);
  let bytes = align(wasm.configure(...layout) >>> 0);
  const sizeOf = ({ height, width }: Item): number =>
    (numbers ? 3 : 2) * align(wasm.symbolBytes(height, width)) +
    align(wasm.runBytes(height)) +
    align(wasm.runBytes(1)) +
    SAMPLE_BYTES +
    64 +
    4 * listings(height * width);
  for (const item of checked) bytes += sizeOf(item);
  const room = MOST_PAGES * PAGE - PAGE;
  const kept: Item[] = [];
  for (const item of used) {
    bytes += sizeOf(item);
    if (bytes > room) {
      bytes -= sizeOf(item);
      break;
    }
    kept.push(item);
  }
  return { end: Math.ceil(bytes / PAGE) + 1, used: kept };
}

/** How often an item is listed: once for 256 positions. */
const listings = (cells: number): number => Math.max(1, Math.round(cells / PER_LISTING));

const visitsOf = (items: readonly Item[]): number[] =>
  items.flatMap(({ height, width }, i) => new Array<number>(listings(height * width)).fill(i));

/** Gives a thread its share. Resolves when it is done. */
function ask(thread: Worker, share: Share): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      thread.off("message", done);
      thread.off("error", settle);
      thread.off("exit", lost);
      if (error === undefined) resolve();
      else reject(error);
    };
    const done = () => settle();
    const lost = () => settle(new Error("a thread of the fit ended"));
    thread.on("message", done);
    thread.on("error", settle);
    thread.on("exit", lost);
    thread.postMessage(share);
  });
}

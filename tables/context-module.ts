/** dist/context-fit.wasm, made of assembly/fit: what it exports, and how the threads of a fit share it. */

/** Addresses are byte offsets in the shared memory, signed beyond 2 GiB. */
export interface FitModule {
  /** Start, channels, hidden units of both layers, taps, threads, whether rows are given. Returns where samples may begin. */
  configure(...layout: Layout): number;
  describe(channel: number, sd: number, shared: number): void;
  symbolBytes(height: number, width: number): number;
  symbolPlace(width: number, y: number, x: number, channel: number): number;
  runBytes(height: number): number;
  prepare(sample: number): void;
  initialize(seed: number): void;
  weights(): number;
  /** Bytes of the weights of a channel. */
  weightBytes(): number;
  refresh(): void;
  sums(): number;
  begin(): void;
  work(thread: number, ...share: Share): void;
  log2Of(x: number): number;
}

/** Arguments of `configure`. */
export type Layout = [
  start: number,
  channels: number,
  hidden: number,
  second: number,
  taps: number,
  threads: number,
  given: 0 | 1,
];

/** Arguments of `work` that all threads share. */
export type Share = [
  first: number,
  steps: number,
  total: number,
  rate: number,
  seed: number,
  visits: number,
  visitCount: number,
  samples: number,
  perVisit: number,
];

/** What a thread is given. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly layout: Layout;
}

/** An instance over the shared memory. */
export const startModule = (module: WebAssembly.Module, memory: WebAssembly.Memory): FitModule =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as FitModule;

/** Sequences: one part in pieces, of a writer and of a reader. Checks here, work in core-sequence. */
import type { FullCore } from "./core-full.js";
import type { Margins } from "./core-part.js";
import type { Stage } from "./core-sequence.js";
import type { OpenStream } from "./core-stream.js";
import type { LoadedScales, LoadedTable } from "./core-tables.js";
import type { SequenceReader, SequenceWriter } from "./full-types.js";
import type { CodedPart, PartPrior } from "./part.js";

/** Checks the arrays of a step of n elements. */
function checkStepArrays(n: number, scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void {
  if (!(scales instanceof Float32Array) || scales.length !== n)
    throw new TypeError(`scales must be a Float32Array of ${n}`);
  if (means !== undefined && !(means instanceof Float32Array && means.length === n))
    throw new TypeError(`means must be a Float32Array of ${n}`);
  if (!(out instanceof Float32Array) || out.length < n)
    throw new TypeError(`out must be a Float32Array of at least ${n}`);
}

/** A stage for steps of n: the one at hand, or another that goes on with its hash. */
function stageFor(core: FullCore, stage: Stage | undefined, n: number): Stage {
  if (stage?.n === n) return stage;
  // First the new one: where there is no memory for it the sequence keeps the old one, and would give it back a second time.
  const next = core.stage(n);
  if (stage) {
    next.hash = stage.hash;
    core.release(stage);
  }
  return next;
}

/** Symbols and rows collect in arrays that double. */
export class WriterSequence implements SequenceWriter {
  readonly #core: FullCore;
  readonly #prior: PartPrior;
  readonly #margins: Margins | undefined;
  readonly #done: (part: CodedPart, hash: number, corrected: readonly number[]) => void;
  readonly #corrected: number[] = [];
  #symbols = new Int32Array(4096);
  #rows = new Uint16Array(4096);
  #n = 0;
  #stage: Stage | undefined;
  #ended = false;

  constructor(
    core: FullCore,
    prior: PartPrior,
    margins: Margins | undefined,
    done: (part: CodedPart, hash: number, corrected: readonly number[]) => void,
  ) {
    this.#core = core;
    this.#prior = prior;
    this.#margins = margins;
    this.#done = done;
  }

  get corrections(): number {
    return this.#corrected.length;
  }

  next(values: Float32Array, scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void {
    if (this.#ended) throw new TypeError("the sequence has ended");
    const n = values.length;
    checkStepArrays(n, scales, means, out);
    if (!(values instanceof Float32Array)) throw new TypeError("values must be a Float32Array");
    const stage = stageFor(this.#core, this.#stage, n);
    this.#stage = stage;
    const base = this.#prior.base as NonNullable<PartPrior["base"]>;
    const { scales: loaded } = base.rows as { scales: LoadedScales };
    const corrected = this.#core.quantizeStep(stage, values, scales, means, loaded, base.step, this.#margins, out);
    const end = this.#n + n;
    if (end > this.#symbols.length) {
      const symbols = new Int32Array(2 * end);
      symbols.set(this.#symbols);
      this.#symbols = symbols;
      const rows = new Uint16Array(2 * end);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#symbols.set(stage.symbols, this.#n);
    this.#rows.set(stage.rows, this.#n);
    for (let i = 0; i < corrected.length; i++) this.#corrected.push(this.#n + corrected[i]);
    this.#n = end;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const hash = this.#stage?.hash ?? 0;
    if (this.#stage) this.#core.release(this.#stage);
    const part: CodedPart = {
      table: this.#prior.base?.loaded,
      symbols: this.#symbols.subarray(0, this.#n),
      rows: this.#rows.subarray(0, this.#n),
      runs: undefined,
      entries: undefined,
      support: undefined,
    };
    this.#done(part, hash, this.#corrected);
  }
}

/** What a sequence asks of its reader. */
interface SequenceHost {
  /** Checks that n more symbols, `origin` into the part, are there; their corrections. */
  before(n: number, origin: number): readonly number[];
  fail(): void;
  end(n: number, hash: number): void;
}

export class ReaderSequence implements SequenceReader {
  readonly #core: FullCore;
  readonly #stream: OpenStream;
  readonly #table: LoadedTable;
  readonly #scales: LoadedScales;
  readonly #step: number;
  readonly #checked: boolean;
  readonly #host: SequenceHost;
  #stage: Stage | undefined;
  #n = 0;
  #ended = false;

  constructor(core: FullCore, stream: OpenStream, prior: PartPrior, checked: boolean, host: SequenceHost) {
    const base = prior.base as NonNullable<PartPrior["base"]>;
    this.#core = core;
    this.#stream = stream;
    this.#table = base.loaded;
    this.#scales = (base.rows as { scales: LoadedScales }).scales;
    this.#step = base.step;
    this.#checked = checked;
    this.#host = host;
    core.prepareTable(base.loaded);
  }

  next(scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void {
    if (this.#ended) throw new TypeError("the sequence has ended");
    const n = scales.length;
    checkStepArrays(n, scales, means, out);
    try {
      const corrections = this.#host.before(n, this.#n);
      const stage = stageFor(this.#core, this.#stage, n);
      this.#stage = stage;
      this.#core.readStep(
        this.#stream,
        stage,
        scales,
        means,
        this.#table,
        this.#scales,
        this.#step,
        this.#n,
        corrections,
        this.#checked,
        out,
      );
    } catch (error) {
      this.#host.fail();
      throw error;
    }
    this.#n += n;
  }

  end(): void {
    if (this.#ended) return;
    const hash = this.#stage?.hash ?? 0;
    this.release();
    this.#host.end(this.#n, hash);
  }

  /** Gives its memory back, without checks. */
  release(): void {
    this.#ended = true;
    if (this.#stage) this.#core.release(this.#stage);
    this.#stage = undefined;
  }
}

/** Collects parts and writes them as one packet (docs/format.md section 8) or as CompressAI's strings. */

import type { FullCore } from "./core-full.js";
import type { Margins } from "./core-part.js";
import type { Stage } from "./core-sequence.js";
import type { LoadedScales } from "./core-tables.js";
import { CodecError } from "./errors.js";
import type {
  PartTarget,
  PartWriter,
  SequenceOptions,
  SequenceWriter,
  TensorView,
  WriteOptions,
  WriterOptions,
} from "./full-types.js";
import { checkMargins, marginsOf } from "./margins.js";
import { LANES } from "./packet.js";
import { chainFingerprint, checkOfHash, writePartsHeader } from "./packet-parts.js";
import { applyPartPrior, type CodedPart, type PartPrior, parametersPerSymbol } from "./part.js";
import type { Lanes, Latent, Prior, TensorLike } from "./types.js";
import { type Span, spanOf } from "./view.js";

/**
 * Lanes to try, best first: a packet with fewer bytes than `least` is coded with fewer. With 8, 16 and 32 lanes a packet of 4,361 bytes has 11, 13 and
 * 17 more (measured); the header takes 20 to 24. So all of it stays below 0.3 % and 24 bytes.
 */
const AUTO: readonly { lanes: Lanes; least: number }[] = [
  { lanes: 32, least: 12000 },
  { lanes: 16, least: 5000 },
  { lanes: 8, least: 3500 },
  { lanes: 1, least: 0 },
];
/** Fewer symbols than that are not worth the lanes. */
const AUTO_SYMBOLS = { 32: 65536, 16: 8192, 8: 2048, 1: 0 };

/** What makes parts of priors: the codec. */
export interface Priors {
  partPrior(prior: Prior): PartPrior;
  /** A prior without scales, for a sequence. */
  sequencePrior(options: SequenceOptions): PartPrior;
}

export class Writer implements PartWriter {
  readonly #core: FullCore;
  readonly #priors: Priors;
  readonly #options: WriterOptions;
  readonly #margins: Margins | undefined;
  readonly #indexChecks: boolean;
  readonly #parts: CodedPart[] = [];
  readonly #shapes: number[][] = [];
  readonly #corrections: number[] = [];
  readonly #checks: number[] = [];
  #fingerprint = 0;
  #elements = 0;
  #parameters = 0;
  #sequence: Sequence | undefined;
  #finished = false;

  constructor(core: FullCore, priors: Priors, options: WriterOptions) {
    const { format = "packet", lanes = "auto", guard } = options;
    if (format !== "packet" && format !== "strings")
      throw new TypeError(`format must be "packet" or "strings", not ${JSON.stringify(format)}`);
    if (lanes !== "auto" && !LANES.includes(lanes))
      throw new RangeError(`lanes must be "auto", 1, 8, 16 or 32, not ${lanes}`);
    this.#margins = marginsOf(guard);
    // Whoever sets a guard knows that machines differ, perhaps by more than that.
    const { indexChecks = this.#margins !== undefined } = options;
    if (format === "strings" && (this.#margins || indexChecks))
      throw new TypeError("CompressAI's strings have no room for guard or indexChecks");
    this.#core = core;
    this.#priors = priors;
    this.#options = options;
    this.#indexChecks = indexChecks;
  }

  get corrections(): number {
    return this.#corrections.length;
  }

  #open(): void {
    if (this.#finished) throw new TypeError("the writer is finished");
    this.#sequence?.end();
  }

  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options?: WriteOptions & { out?: Float32Array },
  ): Latent<Float32Array>;
  write(latent: TensorLike | TensorView, prior: Prior, options: { out: TensorView }): TensorView;
  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: { out?: PartTarget } = {},
  ): Latent<Float32Array> | TensorView {
    this.#open();
    const span = spanOf(latent, "latent");
    const partPrior = this.#priors.partPrior(prior);
    const { rows, centre } = applyPartPrior(partPrior, span.dims, span.n);
    checkShape(partPrior.dims, span.dims);
    if (partPrior.scaleTable) checkMargins(this.#margins, partPrior.scaleTable);
    const { target, result } = targetOf(options.out, span.dims, span.n);
    const part: CodedPart = {
      table: partPrior.base?.loaded,
      symbols: new Int32Array(0),
      rows: new Uint16Array(0),
      runs: rows.kind === "runs" ? rows : undefined,
      entries: undefined,
      support: rows.kind === "mixture" ? rows : undefined,
    };
    const { hash, corrected } = this.#core.quantizePart(
      span,
      rows,
      centre,
      this.#margins,
      this.#indexChecks ? 0 : undefined,
      target,
      part,
    );
    if (rows.kind === "runs") this.#shapes.push(span.dims);
    this.#add(part, partPrior, hash, corrected, parametersPerSymbol(rows));
    return result;
  }

  #add(part: CodedPart, prior: PartPrior, hash: number, corrected: readonly number[], perSymbol: number): void {
    this.#parts.push(part);
    for (const position of corrected) this.#corrections.push(this.#parameters + position);
    this.#parameters += perSymbol * part.symbols.length;
    if (this.#indexChecks) this.#checks.push(checkOfHash(hash));
    this.#fingerprint = chainFingerprint(this.#fingerprint, prior.fingerprint);
    this.#elements += part.symbols.length;
  }

  sequence(options: SequenceOptions = {}): SequenceWriter {
    this.#open();
    const prior = this.#priors.sequencePrior(options);
    if (prior.scaleTable) checkMargins(this.#margins, prior.scaleTable);
    this.#sequence = new Sequence(this.#core, prior, this.#margins, (part, hash, corrected) => {
      this.#sequence = undefined;
      this.#add(part, prior, hash, corrected, 1);
    });
    return this.#sequence;
  }

  finish(): Uint8Array {
    if (this.#options.format === "strings") throw new TypeError("strings come from finishStrings()");
    this.#open();
    const { lanes = "auto", checksum = true, fingerprint = true } = this.#options;
    const n = this.#elements;
    const choices =
      lanes === "auto"
        ? AUTO.filter((choice) => n >= AUTO_SYMBOLS[choice.lanes])
        : [
            { lanes, least: 0 },
            { lanes: 1 as const, least: 0 },
          ];
    const header = {
      fingerprint: fingerprint ? this.#fingerprint : undefined,
      elements: n,
      shapes: this.#shapes,
      corrections: this.#corrections,
      checks: this.#checks,
    };
    this.#finished = true;
    return this.#core
      .encodeParts(this.#parts, n, choices, (stream) => writePartsHeader(stream, header, checksum), checksum)
      .slice();
  }

  finishStrings(): Uint8Array[] {
    if (this.#options.format !== "strings") throw new TypeError('strings need the option format: "strings"');
    this.#open();
    this.#finished = true;
    return this.#parts.map((part) => this.#core.encodeString(part));
  }
}

/**
 * Throws SHAPE_MISMATCH where prior and latent both say a shape and it is not the same one, dimensions of 1 apart: a transposed export has as many elements.
 * A single dimension says only their number.
 */
export function checkShape(prior: readonly number[] | undefined, dims: readonly number[]): void {
  if (prior === undefined) return;
  const wanted = prior.filter((size) => size !== 1);
  const found = dims.filter((size) => size !== 1);
  if (wanted.length > 1 && found.length > 1 && wanted.join() !== found.join())
    throw new CodecError("SHAPE_MISMATCH", `the prior has the shape [${prior}], the part [${dims}]`);
}

/** The span that takes a part's elements, and what is returned for it. */
function targetOf(
  out: PartTarget | undefined,
  dims: number[],
  n: number,
): { target: Span; result: Latent<Float32Array> | TensorView } {
  if (out !== undefined && !ArrayBuffer.isView(out)) {
    const target = spanOf(out, "out");
    if (target.type !== "float32") throw new TypeError("out must be a float32 view");
    if (target.n !== n) throw new RangeError(`out has ${target.n} elements, the part has ${n}`);
    return { target, result: out };
  }
  const data = out ?? new Float32Array(n);
  if (!(data instanceof Float32Array)) throw new TypeError("out must be a Float32Array or a float32 view");
  if (data.length < n) throw new RangeError(`out has ${data.length} elements, ${n} are needed`);
  const taken = data.length === n ? data : data.subarray(0, n);
  const result: Latent<Float32Array> = { type: "float32", dims, data: taken };
  return { target: { ...result, strides: undefined, offset: 0, n } as Span, result };
}

/** One part in pieces: symbols and rows collect in arrays that double. */
class Sequence implements SequenceWriter {
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
    if (this.#stage) this.#core.giveBack(this.#stage.address);
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

/** Checks the arrays of a step of n elements. */
export function checkStepArrays(
  n: number,
  scales: Float32Array,
  means: Float32Array | undefined,
  out: Float32Array,
): void {
  if (!(scales instanceof Float32Array) || scales.length !== n)
    throw new TypeError(`scales must be a Float32Array of ${n}`);
  if (means !== undefined && !(means instanceof Float32Array && means.length === n))
    throw new TypeError(`means must be a Float32Array of ${n}`);
  if (!(out instanceof Float32Array) || out.length < n)
    throw new TypeError(`out must be a Float32Array of at least ${n}`);
}

/** A stage for steps of n: the one at hand, or another that goes on with its hash. */
export function stageFor(core: FullCore, stage: Stage | undefined, n: number): Stage {
  if (stage?.n === n) return stage;
  const hash = stage?.hash ?? 0;
  if (stage) core.giveBack(stage.address);
  const next = core.stage(n);
  next.hash = hash;
  return next;
}

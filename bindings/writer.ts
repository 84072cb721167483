/** Collects parts and writes them as one packet (docs/format.md section 8) or as CompressAI's strings. */

import type { FullCore } from "./core-full.js";
import type { Margins } from "./core-part.js";
import type {
  PartTarget,
  PartWriter,
  SequenceOptions,
  SequenceWriter,
  TensorView,
  WriteOptions,
  WriterOptions,
} from "./full-types.js";
import { checkLanes, partsLaneChoices } from "./lanes.js";
import { checkMargins, marginsOf } from "./margins.js";
import { chainFingerprint, checkOfHash, writePartsHeader } from "./packet-parts.js";
import {
  applyPartPrior,
  type CodedPart,
  checkShape,
  emptyPart,
  type PartPrior,
  type Priors,
  parametersPerSymbol,
} from "./part.js";
import { WriterSequence } from "./sequence.js";
import type { Bytes, Latent, Prior, TensorLike } from "./types.js";
import { spanOf, targetOf } from "./view.js";

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
  #sequence: WriterSequence | undefined;
  #finished = false;

  constructor(core: FullCore, priors: Priors, options: WriterOptions) {
    const { format = "packet", lanes = "auto", guard } = options;
    if (format !== "packet" && format !== "strings")
      throw new TypeError(`format must be "packet" or "strings", not ${JSON.stringify(format)}`);
    checkLanes(lanes);
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
    return this.#corrections.length + (this.#sequence?.corrections ?? 0);
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
    const { span: target, result } = targetOf(options.out, "float32", span.dims, span.n);
    const part = emptyPart(partPrior, rows);
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
    return result as Latent<Float32Array> | TensorView;
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
    this.#sequence = new WriterSequence(this.#core, prior, this.#margins, (part, hash, corrected) => {
      this.#sequence = undefined;
      this.#add(part, prior, hash, corrected, 1);
    });
    return this.#sequence;
  }

  finish(): Bytes {
    if (this.#options.format === "strings") throw new TypeError("strings come from finishStrings()");
    this.#open();
    const { lanes = "auto", checksum = true, fingerprint = true } = this.#options;
    const n = this.#elements;
    const header = {
      fingerprint: fingerprint ? this.#fingerprint : undefined,
      elements: n,
      shapes: this.#shapes,
      corrections: this.#corrections,
      checks: this.#checks,
    };
    this.#finished = true;
    return this.#core
      .encodeParts(
        this.#parts,
        n,
        partsLaneChoices(n, lanes),
        (stream) => writePartsHeader(stream, header, checksum),
        checksum,
      )
      .slice();
  }

  finishStrings(): Bytes[] {
    if (this.#options.format !== "strings") throw new TypeError('strings need the option format: "strings"');
    this.#open();
    this.#finished = true;
    return this.#parts.map((part) => this.#core.encodeString(part));
  }
}

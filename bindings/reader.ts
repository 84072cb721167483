/** Reads the parts of a packet (docs/format.md section 8), or CompressAI's strings, in the order in which they were written. */

import type { FullCore } from "./core-full.js";
import type { OpenStream } from "./core-stream.js";
import { CodecError } from "./errors.js";
import type { PartReader, ReaderOptions, SequenceOptions, SequenceReader, TensorView } from "./full-types.js";
import { isBytes } from "./packet.js";
import { chainFingerprint, checkOfHash, type PartsPacket, parsePartsHeader } from "./packet-parts.js";
import { applyPartPrior, checkShape, type PartPrior, type Priors, parametersPerSymbol } from "./part.js";
import { ReaderSequence } from "./sequence.js";
import { checkDims, sameDims } from "./tensor.js";
import type { ArrayByType, Latent, LatentData, LatentType, Prior } from "./types.js";
import { targetOf } from "./view.js";

const NONE: readonly number[] = [];

interface ReadArguments {
  type?: LatentType;
  out?: LatentData | TensorView;
  dims?: readonly number[];
}

export class Reader implements PartReader {
  readonly #core: FullCore;
  readonly #priors: Priors;
  readonly #limit: number;
  /** Undefined with strings. */
  readonly #packet: PartsPacket | undefined;
  readonly #strings: readonly Uint8Array[];
  #stream: OpenStream | undefined;
  #closed = false;
  #part = 0;
  #position = 0;
  /** Of the sequence that is being read; they are not in #position yet. */
  #pulled = 0;
  /** The next correction; behind the last one Infinity. */
  #correction = Number.POSITIVE_INFINITY;
  /** Those of the parts before. */
  #parameters = 0;
  #fingerprint = 0;
  #sequence: ReaderSequence | undefined;

  constructor(
    core: FullCore,
    priors: Priors,
    packet: Uint8Array | readonly Uint8Array[],
    { maxElements = 2 ** 24 }: ReaderOptions,
  ) {
    if (!(Number.isInteger(maxElements) && maxElements >= 0))
      throw new RangeError(`maxElements must be a number of elements, not ${maxElements}`);
    this.#core = core;
    this.#priors = priors;
    this.#limit = maxElements;
    this.#strings = [];
    if (Array.isArray(packet)) {
      if (!packet.every(isBytes)) throw new TypeError("strings must be an array of Uint8Array");
      this.#strings = packet;
      return;
    }
    if (!isBytes(packet)) throw new TypeError("packet must be a Uint8Array, or strings an array of them");
    const header = parsePartsHeader(packet, (length) => core.xxh32(packet.subarray(0, length)));
    if (header.elements > maxElements)
      throw new CodecError(
        "LIMIT_EXCEEDED",
        `the packet has ${header.elements} symbols, maxElements is ${maxElements}`,
      );
    this.#packet = header;
    this.#nextCorrection();
    this.#openStream(packet.subarray(header.stream.body, header.end), header.stream, header.elements);
  }

  #openStream(body: Uint8Array, stream: PartsPacket["stream"], n: number): void {
    this.#stream = this.#core.openStream(body, stream, n);
  }

  #closeStream(): void {
    if (!this.#stream) return;
    this.#core.release(this.#stream);
    this.#stream = undefined;
  }

  get remaining(): number | undefined {
    return this.#packet && this.#packet.elements - this.#position - this.#pulled;
  }

  close(): void {
    this.#closed = true;
    this.#sequence?.release();
    this.#sequence = undefined;
    this.#closeStream();
  }

  #open(): void {
    if (this.#closed) throw new TypeError("the reader is closed");
    this.#sequence?.end();
  }

  /** Runs what may fail because of the packet; then the reader is of no more use. */
  #guarded<R>(action: () => R): R {
    try {
      return action();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #dimsOf(prior: PartPrior, dims: readonly number[] | undefined): number[] {
    if (dims !== undefined) checkDims(dims);
    let known = prior.dims;
    if (!known && this.#packet) {
      known = this.#packet.shapes.next().value;
      if (!known) throw new CodecError("SHAPE_MISMATCH", `part ${this.#part}: the packet has no shape for it`);
      if (dims && !sameDims(dims, known))
        throw new CodecError("SHAPE_MISMATCH", `part ${this.#part} has the shape [${known}], not [${dims}]`);
    }
    const result = dims ?? known;
    if (!result) throw new TypeError("dims must be given: strings do not say the shape of a factorized part");
    return [...result];
  }

  /** The corrections of parameters [from, to) of the part, counted from its first. Each is taken once. */
  #takeCorrections(from: number, to: number): readonly number[] {
    const base = this.#parameters;
    if (this.#correction >= base + to) return NONE;
    const taken: number[] = [];
    for (; this.#correction < base + to; this.#nextCorrection()) taken.push(this.#correction - base - from);
    return taken;
  }

  #nextCorrection(): void {
    this.#correction = this.#packet?.corrections.next().value ?? Number.POSITIVE_INFINITY;
  }

  #nextString(): Uint8Array {
    const string = this.#strings[this.#part];
    if (!string) throw new CodecError("TRUNCATED", `there are ${this.#strings.length} strings, a further one was read`);
    return string;
  }

  #checkCount(n: number, what: string): void {
    const remaining = this.#packet && this.#packet.elements - this.#position;
    if (remaining !== undefined && n > remaining)
      throw new CodecError(
        "SHAPE_MISMATCH",
        `part ${this.#part}: ${what} ${n} symbols, the packet has ${remaining} left`,
      );
    if (n > this.#limit)
      throw new CodecError(
        "LIMIT_EXCEEDED",
        `part ${this.#part}: ${what} ${n} elements, maxElements is ${this.#limit}`,
      );
  }

  /** Undefined where the packet has no index checks. */
  #check(): ((hash: number) => void) | undefined {
    const checks = this.#packet?.checks ?? NONE;
    if (checks.length === 0) return undefined;
    const part = this.#part;
    if (part >= checks.length)
      throw new CodecError("SHAPE_MISMATCH", `the packet has ${checks.length} parts, a further one was read`);
    return (hash) => {
      if (checkOfHash(hash) !== checks[part])
        throw new CodecError(
          "MODEL_MISMATCH",
          `part ${part}: the rows are not the writer's; the networks gave other scales than there (docs/determinism.md)`,
        );
    };
  }

  #endPart(prior: PartPrior, n: number, parameters: number): void {
    this.#position += n;
    this.#parameters += parameters;
    this.#pulled = 0;
    this.#fingerprint = chainFingerprint(this.#fingerprint, prior.fingerprint);
    this.#part++;
    if (this.#packet) return;
    if (this.#stream) this.#core.endStream(this.#stream);
    this.#closeStream();
  }

  read<T extends LatentType>(prior: Prior, options: ReadArguments = {}): Latent<ArrayByType[T]> & TensorView {
    this.#open();
    const partPrior = this.#priors.partPrior(prior);
    const { type = "float32", out } = options;
    const result = this.#guarded(() => {
      const dims = this.#dimsOf(partPrior, options.dims);
      checkShape(partPrior.dims, dims);
      const n = checkDims(dims);
      this.#checkCount(n, `the shape [${dims}] has`);
      const { rows, centre } = applyPartPrior(partPrior, dims, n);
      const perSymbol = parametersPerSymbol(rows);
      const { span, result } = targetOf(out, type, dims, n);
      if (!this.#packet) this.#openStream(this.#nextString(), STRING, n);
      this.#core.readPart(
        this.#stream as OpenStream,
        this.#packet?.stream.lanes ?? 1,
        n,
        partPrior.base?.loaded,
        rows,
        centre,
        type,
        span,
        this.#takeCorrections(0, perSymbol * n),
        this.#check(),
      );
      this.#endPart(partPrior, n, perSymbol * n);
      return result;
    });
    return result as Latent<ArrayByType[T]> & TensorView;
  }

  sequence(options: SequenceOptions = {}): SequenceReader {
    this.#open();
    const prior = this.#priors.sequencePrior(options);
    return this.#guarded(() => {
      if (!this.#packet) this.#openStream(this.#nextString(), STRING, this.#limit);
      const check = this.#check();
      this.#sequence = new ReaderSequence(this.#core, this.#stream as OpenStream, prior, check !== undefined, {
        before: (n, origin) => {
          this.#checkCount(origin + n, "the sequence has");
          this.#pulled = origin + n;
          return this.#takeCorrections(origin, origin + n);
        },
        fail: () => this.close(),
        end: (n, hash) => {
          this.#sequence = undefined;
          this.#guarded(() => {
            check?.(hash);
            this.#endPart(prior, n, n);
          });
        },
      });
      return this.#sequence;
    });
  }

  finish(): void {
    this.#open();
    this.#guarded(() => {
      const packet = this.#packet;
      if (!packet) {
        if (this.#part < this.#strings.length)
          throw new CodecError("SHAPE_MISMATCH", `${this.#strings.length - this.#part} strings were not read`);
        return;
      }
      const { elements, shapes, checks, fingerprint } = packet;
      if (this.#position < elements)
        throw new CodecError("SHAPE_MISMATCH", `${elements - this.#position} symbols were not read`);
      if (fingerprint !== undefined && fingerprint !== this.#fingerprint)
        throw new CodecError("WRONG_TABLES", "the packet was coded with other tables, or its parts in another order");
      if (!shapes.next().done || this.#part < checks.length)
        throw new CodecError("SHAPE_MISMATCH", "the packet has more parts than were read");
      if (this.#correction < Number.POSITIVE_INFINITY)
        throw new CodecError("CORRUPTED", "a correction behind the last parameter");
      this.#core.endStream(this.#stream as OpenStream);
    });
    this.close();
  }
}

/** A string has no header of its own. */
const STRING = {
  compressai: true,
  lanes: 1,
  layout: 0,
  tailUnits: 0,
  escapeBytes: 0,
  body: 0,
} as const;

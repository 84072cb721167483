/** Collects parts and writes them as one packet (docs/format.md section 8), or as CompressAI's strings. */

import * as abi from "./abi.js";
import { shown } from "./errors.js";
import type { Memory } from "./memory.js";
import { checkChoice, checkOptions, type Form, STRINGS, writtenForm } from "./options.js";
import { checkOut, chunkOf, fillPart, OwnPrior, type PriorSource, placeParameters, shift } from "./prior.js";
import { checkApart, isArrayOf, lengthOf, type Span, spanOf, targetOf } from "./tensor.js";
import type {
  Bytes,
  Guard,
  Latent,
  PartWriter,
  Prior,
  SequenceOptions,
  SequenceWriter,
  TensorLike,
  TensorView,
  WriteOptions,
  WriterOptions,
} from "./types.js";

/** Fills in a writer: the fields of docs/abi.md 3.2 that the host sets, except for a guard. */
export function fillWriter(
  memory: Memory,
  writer: number,
  { form, check, lanes, fingerprint, compressai }: Form,
): void {
  memory.setWord(writer, abi.WRITER_FORM, form);
  memory.setWord(writer, abi.WRITER_CHECK, check);
  memory.setWord(writer, abi.WRITER_LANES, lanes);
  memory.setWord(writer, abi.WRITER_FINGERPRINT, fingerprint ? 1 : 0);
  memory.setWord(writer, abi.WRITER_COMPRESSAI, compressai ? 1 : 0);
}

/** Gives an open part its elements, in chunks. `target` takes what a reader will see. */
export function writeElements(memory: Memory, writer: number, source: PriorSource, span: Span, target?: Span): void {
  const { wasm, part } = memory;
  const { n } = span;
  const chunk = chunkOf(source, n);
  for (let from = 0; from < n; from += chunk) {
    const to = Math.min(from + chunk, n);
    memory.check(wasm.stagePart(writer, part, to - from, 0));
    placeParameters(memory, part, source, from, to);
    memory.place(span, memory.word(part, abi.PART_AT_ELEMENTS), from, to);
    memory.check(wasm.writePart(writer, part, to - from, target ? 1 : 0));
    if (target) memory.take(target, memory.word(part, abi.PART_AT_OUT), from, to);
  }
}

// Frees writers and readers that nobody closed. Not every engine has it.
const abandoned =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<() => void>((free) => {
        free();
      });

/** Memory of an object. It is freed once: by `free`, or when the object is garbage collected. */
export class Held {
  #free: (() => void) | undefined;

  constructor(owner: object, free: () => void) {
    this.#free = free;
    abandoned?.register(owner, free, this);
  }

  free(): void {
    if (!this.#free) return;
    abandoned?.unregister(this);
    this.#free();
    this.#free = undefined;
  }
}

interface Margins {
  readonly relative: number;
  readonly absolute: number;
}

const OPTIONS = ["format", "header", "lanes", "checksum", "fingerprint", "guard", "indexChecks"];

/** The options of a writer, read. */
interface Settings {
  readonly form: Form;
  readonly margins: Margins | undefined;
  /** Whether there are index checks. */
  readonly hashed: boolean;
}

/** Throws TypeError, RangeError. */
export function writerSettings(options: WriterOptions): Settings {
  const read = checkOptions("writer", options, OPTIONS);
  const { format = "packet", header, lanes, checksum, fingerprint, guard, indexChecks } = read;
  checkChoice("format", format, ["packet", "strings"]);
  const margins = marginsOf(guard);
  // Where machines differ they may differ by more than the guard, so a guard turns the checks on.
  const hashed = indexChecks ?? margins !== undefined;
  if (format === "strings" && (margins || hashed))
    throw new TypeError("CompressAI's strings have no room for guard or indexChecks");
  const form = format === "strings" ? STRINGS : writtenForm(header, undefined, checksum, lanes, fingerprint);
  return { form, margins, hashed };
}

export class Writer implements PartWriter {
  readonly #memory: Memory;
  readonly #form: Form;
  readonly #margins: Margins | undefined;
  readonly #hashed: boolean;
  readonly #sequencePrior: (options: SequenceOptions) => Prior;
  #address: number;
  #held: Held;
  /** With `format: "strings"` each part is a packet of its own. */
  readonly #strings: Bytes[] = [];
  #sequence: WriterSequence | undefined;
  #finished = false;

  constructor(memory: Memory, { form, margins, hashed }: Settings, sequencePrior: (options: SequenceOptions) => Prior) {
    this.#memory = memory;
    this.#form = form;
    this.#margins = margins;
    this.#hashed = hashed;
    this.#sequencePrior = sequencePrior;
    [this.#address, this.#held] = this.#open();
  }

  #open(): [number, Held] {
    const memory = this.#memory;
    const { wasm } = memory;
    const address = memory.address(wasm.newWriter(1));
    fillWriter(memory, address, this.#form);
    memory.setWord(address, abi.WRITER_GUARD + abi.GUARD_HASHED, this.#hashed ? 1 : 0);
    memory.f64[(address + abi.WRITER_GUARD + abi.GUARD_RELATIVE) >>> 3] = this.#margins?.relative ?? 0;
    memory.f64[(address + abi.WRITER_GUARD + abi.GUARD_ABSOLUTE) >>> 3] = this.#margins?.absolute ?? 0;
    return [address, new Held(this, () => memory.wasm.freeWriter(address))];
  }

  get corrections(): number {
    return this.#finished ? this.#corrections : this.#memory.word(this.#address, abi.WRITER_GUARD + abi.GUARD_COUNT);
  }

  #corrections = 0;

  #ready(): void {
    if (this.#finished) throw new TypeError("the writer is finished: begin another with codec.writer()");
    this.#sequence?.end();
  }

  write(latent: TensorLike | TensorView, prior: Prior, options: { out: TensorView }): TensorView;
  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: WriteOptions & ({ out: Float32Array } | { dequantize: true }),
  ): Latent<Float32Array>;
  write(latent: TensorLike | TensorView, prior: Prior, options?: WriteOptions): undefined;
  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: WriteOptions = {},
  ): Latent<Float32Array> | TensorView | undefined {
    const { dequantize, out, affine } = checkOptions("write", options, ["dequantize", "out", "affine"]);
    this.#ready();
    const memory = this.#memory;
    const { part } = memory;
    const source = OwnPrior.sourceOf(prior, memory);
    const room = out !== undefined || dequantize ? targetOf(out, "float32") : undefined;
    const span = spanOf(latent, "latent");
    shift(span, source, affine);
    const target = room?.(span.dims, span.n);
    if (target) {
      checkApart(target.span, span, "the latent");
      checkOut(target.span, source);
    }
    if (this.#margins && source.scaleTable) checkMargins(this.#margins, source.scaleTable);
    if (source.tableAddress) memory.address(memory.wasm.prepareTable(source.tableAddress, 1));
    fillPart(memory, part, source, span.dims, span.n, span.core);
    try {
      memory.check(memory.wasm.openPart(this.#address, part, span.n));
      writeElements(memory, this.#address, source, span, target?.span);
      memory.check(memory.wasm.closePart(this.#address, part));
    } catch (error) {
      memory.wasm.dropPart(this.#address);
      throw error;
    }
    this.#endPart();
    return target?.result as Latent<Float32Array> | TensorView | undefined;
  }

  /** A string is complete with its part. */
  #endPart(): void {
    if (this.#form.form !== abi.FORM_STRING) return;
    this.#strings.push(this.#packet().slice());
    this.#held.free();
    [this.#address, this.#held] = this.#open();
  }

  sequence(options: SequenceOptions = {}): SequenceWriter {
    this.#ready();
    const prior = this.#sequencePrior(options);
    const source = OwnPrior.sourceOf(prior, this.#memory);
    if (this.#margins && source.scaleTable) checkMargins(this.#margins, source.scaleTable);
    const done = (): void => {
      this.#sequence = undefined;
      this.#endPart();
    };
    this.#sequence = new WriterSequence(this.#memory, this.#address, source, done);
    return this.#sequence;
  }

  /** A view of the packet, valid until the next call. */
  #packet(): Uint8Array {
    const memory = this.#memory;
    const { wasm } = memory;
    memory.check(wasm.finishWriter(this.#address));
    const start = memory.word(this.#address, abi.WRITER_START);
    return memory.u8.subarray(start, start + memory.word(this.#address, abi.WRITER_LENGTH));
  }

  finish(): Bytes {
    if (this.#form.form === abi.FORM_STRING) throw new TypeError("strings come from finishStrings()");
    this.#ready();
    const packet = this.#packet().slice();
    this.close();
    return packet;
  }

  finishStrings(): Bytes[] {
    if (this.#form.form !== abi.FORM_STRING) throw new TypeError('strings need the option format: "strings"');
    this.#ready();
    this.close();
    return this.#strings;
  }

  close(): void {
    if (this.#finished) return;
    this.#corrections = this.#memory.word(this.#address, abi.WRITER_GUARD + abi.GUARD_COUNT);
    this.#finished = true;
    this.#sequence?.abandon();
    this.#held.free();
  }
}

// ---- sequences

/** A part that is written piece by piece. Its buffers stay in place between calls, so a call allocates nothing. */
export class SequencePart {
  readonly part: number;
  readonly #memory: Memory;
  readonly #held: Held;
  #view: Float32Array | undefined;
  #steps = 0;

  constructor(memory: Memory, source: PriorSource) {
    const part = memory.address(memory.wasm.newPart(1));
    this.#memory = memory;
    this.part = part;
    this.#held = new Held(this, () => memory.wasm.release(part));
    fillPart(memory, part, source, [], 0, "float32");
  }

  /** Checks that all pieces have means or none: they belong to the prior. Throws TypeError. */
  begin(means: Float32Array | undefined): void {
    const centre = means ? abi.CENTRE_MEANS : abi.CENTRE_NONE;
    if (this.#steps++ === 0) this.#memory.setWord(this.part, abi.PART_CENTRE, centre);
    else if (this.#memory.word(this.part, abi.PART_CENTRE) !== centre)
      throw new TypeError("means must be given in every step or in none");
  }

  place(scales: Float32Array, means: Float32Array | undefined): void {
    const { f32 } = this.#memory;
    f32.set(scales, this.#memory.word(this.part, abi.PART_AT_ROWS_OR_SCALES) >>> 2);
    if (means) f32.set(means, this.#memory.word(this.part, abi.PART_AT_MEANS) >>> 2);
  }

  /** Copies n elements from the address that is in `field`. */
  take(field: number, n: number, out: Float32Array): void {
    const at = this.#memory.word(this.part, field);
    const { buffer } = this.#memory.f32;
    let view = this.#view;
    if (view?.buffer !== buffer || view.byteOffset !== at || view.length !== n) {
      view = new Float32Array(buffer, at, n);
      this.#view = view;
    }
    out.set(view);
  }

  free(): void {
    this.#held.free();
  }
}

class WriterSequence implements SequenceWriter {
  readonly #memory: Memory;
  readonly #writer: number;
  readonly #done: () => void;
  readonly #sequence: SequencePart;
  #ended = false;

  constructor(memory: Memory, writer: number, source: PriorSource, done: () => void) {
    memory.address(memory.wasm.prepareTable(source.tableAddress, 1));
    this.#memory = memory;
    this.#writer = writer;
    this.#done = done;
    this.#sequence = new SequencePart(memory, source);
    memory.check(memory.wasm.openPart(writer, this.#sequence.part, 4096));
  }

  next(values: Float32Array, scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void {
    if (this.#ended) throw new TypeError("the sequence has ended");
    if (!isArrayOf("float32", values)) throw new TypeError("values must be a Float32Array");
    const n = lengthOf(values);
    checkStepArrays(n, scales, means, out);
    const memory = this.#memory;
    const { part } = this.#sequence;
    this.#sequence.begin(means);
    memory.check(memory.wasm.stagePart(this.#writer, part, n, 1));
    this.#sequence.place(scales, means);
    memory.f32.set(values, memory.word(part, abi.PART_AT_ELEMENTS) >>> 2);
    memory.check(memory.wasm.writePart(this.#writer, part, n, 1));
    this.#sequence.take(abi.PART_AT_OUT, n, out);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#memory.check(this.#memory.wasm.closePart(this.#writer, this.#sequence.part));
      this.#done();
    } finally {
      this.#sequence.free();
    }
  }

  /** Frees its memory, because the writer is closed. */
  abandon(): void {
    this.#ended = true;
    this.#sequence.free();
  }
}

/** Checks the arrays of a piece of n elements. */
export function checkStepArrays(
  n: number,
  scales: Float32Array,
  means: Float32Array | undefined,
  out: Float32Array,
): void {
  if (!isArrayOf("float32", scales) || lengthOf(scales) !== n)
    throw new TypeError(`scales must be a Float32Array of ${n}`);
  if (means !== undefined && !(isArrayOf("float32", means) && lengthOf(means) === n))
    throw new TypeError(`means must be a Float32Array of ${n}`);
  if (!isArrayOf("float32", out) || lengthOf(out) < n)
    throw new TypeError(`out must be a Float32Array of at least ${n}`);
}

// ---- guards (docs/determinism.md)

/** The bounds of a guard; undefined if there is none. Throws RangeError. */
function marginsOf(guard: number | Guard | undefined): Margins | undefined {
  if (guard === undefined) return undefined;
  const read = typeof guard === "number" ? { relative: guard, absolute: 0 } : guard;
  const { relative = 0, absolute = 0 } = checkOptions("guard", read, ["relative", "absolute"]);
  for (const [name, value] of [
    ["relative", relative],
    ["absolute", absolute],
  ] as const)
    if (!(typeof value === "number" && value >= 0 && value < 1))
      throw new RangeError(`guard.${name} must be at least 0 and below 1, not ${shown(value)}`);
  return relative === 0 && absolute === 0 ? undefined : { relative, absolute };
}

const checkedMargins = new WeakMap<Margins, WeakSet<Float32Array>>();

/**
 * Throws RangeError if neighbouring scales are too close together for the guard: two machines within it could then take
 * different boundaries for the nearest one.
 */
function checkMargins(margins: Margins, scales: Float32Array): void {
  const known = checkedMargins.get(margins) ?? new WeakSet();
  checkedMargins.set(margins, known);
  if (known.has(scales)) return;
  const { relative, absolute } = margins;
  for (let j = 1; j + 1 < scales.length; j++) {
    const low = scales[j - 1]!;
    const high = scales[j]!;
    // How far the reader's scale can be from a boundary that the writer's bound reaches: docs/determinism.md 2.
    const above = low + (2 * (relative * low + absolute)) / (1 - relative);
    const below = high - (2 * (relative * high + absolute)) / (1 + relative);
    if (!(above * above < low * high && below > 0 && below * below > low * high))
      throw new RangeError(`the guard is too wide for scales as close as ${low} and ${high}`);
  }
  known.add(scales);
}

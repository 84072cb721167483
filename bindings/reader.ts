/**
 * Reads the parts of a packet (docs/format.md section 8), or CompressAI's strings, in the order in which they were
 * written.
 */
import * as abi from "./abi.js";
import { checkType, coreOf } from "./elements.js";
import { CodecError, type ErrorCode, shown } from "./errors.js";
import { codeOf } from "./faults.js";
import { refuseKind } from "./kinds.js";
import { type Memory, PIECE } from "./memory.js";
import { checkOptions, formAndCheck } from "./options.js";
import { checkOut, chunkOf, fillPart, OwnPrior, type PriorSource, placeParameters, zeroPointFor } from "./prior.js";
import { hex } from "./tables.js";
import { bytesOf, checkDims, isArrayOf, lengthOf, ownDims, type Span, sameDims, targetOf } from "./tensor.js";
import type {
  Affine,
  ArrayByType,
  ElementData,
  ElementType,
  Lanes,
  Latent,
  PacketInfo,
  PartReader,
  Prior,
  ReaderOptions,
  SequenceOptions,
  SequenceReader,
  TensorView,
} from "./types.js";
import { checkStepArrays, Held, SequencePart } from "./writer.js";

/** Limits of a reader. */
interface Limits {
  readonly maxElements?: number | undefined;
  readonly maxContextElements?: number | undefined;
}

/** How a packet is opened. All fields are own ones: what is left out, Object.prototype might have. */
interface Opening extends Limits {
  readonly form: number;
  readonly check: number;
  /** Whether the reader stays in memory until freeReader. Otherwise the next call may take its place. */
  readonly isKept: boolean;
  /** The number of symbols, if the caller knows it. */
  readonly count: number | undefined;
}

/**
 * Copies a packet into Wasm memory and reads its header. Returns the reader's address. Throws what is wrong with the
 * packet, and RangeError for limits.
 */
export function openPacket(memory: Memory, packet: Uint8Array, opening: Opening): number {
  const { form, check, maxElements = 2 ** 24, maxContextElements = 2 ** 20, isKept, count } = opening;
  const limit = checkLimit("maxElements", maxElements);
  const contextLimit = checkLimit("maxContextElements", maxContextElements);
  if (isJudged(memory, packet.length, isKept)) {
    const most = form === abi.FORM_FULL ? limit : Math.min(limit, count ?? limit);
    checkPacket(memory, packet, judgePieces(memory, packet, packet.length, form, most));
  }
  return load(memory, packet, { form, check, limit, contextLimit, isKept, isInspected: false });
}

function checkLimit(name: string, limit: number): number {
  // Not "< 0": NaN would switch the limit off.
  if (!(typeof limit === "number" && limit >= 0))
    throw new RangeError(`${name} must be a number of elements, not ${shown(limit)}`);
  return Math.min(Math.floor(limit), 0xffffffff);
}

/** A packet of more bytes than this is judged before it is copied, if memory would have to grow for it. */
const COPIED_UNSEEN = 65536;

/** Whether a packet of so many bytes is judged by its check and its front before it is copied. */
const isJudged = (memory: Memory, length: number, isKept: boolean): boolean =>
  // A block may have twice the bytes.
  length > COPIED_UNSEEN && memory.growsFor(isKept ? 2 * length : length);

/** Throws what a code says of a packet; of what is none, what it is instead. */
function checkPacket(memory: Memory, packet: Uint8Array, code: number): void {
  if (code === abi.NOT_A_PACKET) refuseKind("NOT_A_PACKET", packet, "packet");
  memory.check(code);
}

/** Bytes that say how long a packet may be (docs/format.md 2.6). A piece may have so many. */
const FRONT = 64;

/** Judges the bytes that are there of a packet of `length` bytes. AGAIN: nothing is wrong with them, and more follow. */
function judgePieces(memory: Memory, packet: Uint8Array, length: number, form: number, limit: number): number {
  const at = memory.wasm.pieceAddress();
  let code: number = abi.AGAIN;
  for (let from = 0; code === abi.AGAIN && from < packet.length; ) {
    // The last piece has at least 16 bytes.
    const to = packet.length - from <= PIECE ? packet.length : from + PIECE - FRONT;
    memory.u8.set(packet.subarray(from, to), at);
    code = memory.wasm.judgePacket(to - from, from, length, form, limit);
    from = to;
  }
  return code;
}

/** `codec.judge`. */
export function judgeFull(memory: Memory, packet: Uint8Array, total = packet.length): ErrorCode | undefined {
  const whole = packet.length === total;
  if (packet.length < total ? packet.length < FRONT : !whole)
    throw new RangeError("judge takes all bytes, or the first 64");
  memory.faultCode = abi.OK;
  const code = judgePieces(memory, whole ? packet : packet.subarray(0, FRONT), total, abi.FORM_FULL, 0xffffffff);
  // A fault of the front is noted at once, though it is returned behind the check.
  const fault = code === abi.AGAIN ? memory.faultCode : code;
  return fault ? codeOf(fault) : packet[1]! & abi.HAS_CHECK ? undefined : "CORRUPTED";
}

/** What docs/abi.md says of a reader before it is opened. */
interface Loading {
  readonly form: number;
  readonly check: number;
  readonly limit: number;
  readonly contextLimit: number;
  readonly isKept: boolean;
  readonly isInspected: boolean;
}

function load(memory: Memory, packet: Uint8Array, loading: Loading): number {
  const { form, check, limit, contextLimit, isKept, isInspected } = loading;
  const { wasm } = memory;
  const { length } = packet;
  const reader = memory.address(wasm.newReader(length, isKept ? 1 : 0));
  memory.setWord(reader, abi.READER_FORM, form);
  memory.setWord(reader, abi.READER_CHECK, check);
  memory.setWord(reader, abi.READER_LIMIT, limit);
  memory.setWord(reader, abi.READER_INSPECT, isInspected ? 1 : 0);
  memory.setWord(reader, abi.READER_CONTEXT_LIMIT, contextLimit);
  const start = memory.word(reader, abi.READER_START);
  // The room for it ends here: another thread may have made a packet in shared memory longer.
  memory.u8.subarray(start, start + length).set(packet);
  const code = wasm.openReader(reader);
  if (code !== 0 && isKept) wasm.freeReader(reader);
  checkPacket(memory, packet, code);
  return reader;
}

/**
 * Most shapes, and most static parts, that are listed. No model has so many, and the list would take sixty times the
 * memory of the packet.
 */
const MAX_LISTED = 65536;

function enlist<T>(list: T[], item: T): void {
  if (list.length === MAX_LISTED) throw new CodecError("LIMIT_EXCEEDED", `more than ${MAX_LISTED} shapes`);
  list.push(item);
}

/** What a full packet says about itself. */
export function inspectPacket(memory: Memory, packet: Uint8Array): PacketInfo {
  const size = memory.u8.length;
  try {
    if (isJudged(memory, packet.length, false)) {
      const code = judgePieces(memory, packet.subarray(0, FRONT), packet.length, abi.FORM_FULL, 0xffffffff);
      // Only whether it begins like a packet: of a damaged one there is more to say.
      if (code !== abi.AGAIN && code !== abi.CORRUPTED) checkPacket(memory, packet, code);
    }
    return infoOf(memory, packet);
  } finally {
    // A large packet is not kept in memory only because somebody looked at it.
    memory.trim(size);
  }
}

function infoOf(memory: Memory, packet: Uint8Array): PacketInfo {
  const loading = { form: abi.FORM_FULL, check: 4, limit: 0, contextLimit: 0, isKept: false, isInspected: true };
  const reader = load(memory, packet, loading);
  const word = (field: number): number => memory.word(reader, field);
  const several = word(abi.READER_SEVERAL) === 1;
  const shapes: number[][] = [];
  const shape = (): number[] => memory.words(reader, abi.READER_DIMS, word(abi.READER_RANK));
  if (!several) shapes.push(shape());
  else
    for (memory.wasm.nextShape(reader); word(abi.READER_RANK) > 0; memory.wasm.nextShape(reader))
      enlist(shapes, shape());
  const parts = word(abi.READER_PARTS);
  const flags = word(abi.READER_STATIC);
  const staticParts: number[] = [];
  for (let p = 0; flags > 0 && p < parts; p++)
    if ((memory.u8[flags + (p >> 3)]! >> (p & 7)) & 1) enlist(staticParts, p);
  return {
    version: 1,
    parts,
    dims: several ? undefined : shapes[0],
    shapes,
    elements: word(abi.READER_COUNT),
    stream: word(abi.READER_COMPRESSAI) ? "compressai" : "native",
    lanes: word(abi.READER_LANES) as Lanes,
    escapes: word(abi.READER_ESCAPE_BYTES) > 0,
    corrections: word(abi.READER_CORRECTIONS),
    indexChecks: word(abi.READER_CHECKED) === 1,
    staticParts,
    fingerprint: word(abi.READER_FINGERPRINTED) ? hex(word(abi.READER_FINGERPRINT), 8) : undefined,
    checksum: (["absent", "valid", "invalid"] as const)[word(abi.READER_CHECK_STATE)]!,
    headerBytes: word(abi.READER_HEADER_BYTES),
    streamBytes: packet.length - word(abi.READER_HEADER_BYTES) - (word(abi.READER_CHECK_STATE) ? 4 : 0),
    totalBytes: packet.length,
  };
}

/** Reads the elements of a part that has begun, in chunks. */
export function readElements(memory: Memory, reader: number, source: PriorSource, span: Span): void {
  const { wasm, part } = memory;
  const { n, type } = span;
  checkOut(span, source);
  const chunk = memory.word(reader, abi.READER_CHECKED) ? n : chunkOf(source, n);
  memory.check(wasm.stageRead(reader, part, chunk, 0));
  for (let from = 0; from < n; from += chunk) {
    const to = Math.min(from + chunk, n);
    placeParameters(memory, part, source, from, to);
    memory.check(wasm.readPart(reader, part, to - from), type);
    memory.take(span, memory.word(part, abi.PART_AT_ELEMENTS), from, to);
  }
}

interface ReadArguments {
  type?: ElementType | undefined;
  out?: ElementData | TensorView | undefined;
  dims?: readonly number[] | undefined;
  affine?: Affine | undefined;
}

export class Reader implements PartReader {
  readonly #memory: Memory;
  readonly #limits: Limits;
  readonly #form: number;
  readonly #check: number;
  readonly #sequencePrior: (options: SequenceOptions) => Prior;
  /** Undefined if it is a packet. */
  readonly #strings: readonly Uint8Array[] | undefined;
  #address = 0;
  #held: Held | undefined;
  #closed = false;
  #part = 0;
  #sequence: ReaderSequence | undefined;

  constructor(
    memory: Memory,
    packet: Uint8Array | ArrayBuffer | readonly Uint8Array[],
    options: ReaderOptions,
    sequencePrior: (options: SequenceOptions) => Prior,
  ) {
    const names = ["maxElements", "maxContextElements", "header", "checksum"];
    const { maxElements, maxContextElements, header, checksum } = checkOptions("reader", options, names);
    this.#memory = memory;
    this.#limits = { maxElements, maxContextElements };
    const { form, check } = formAndCheck(header, undefined, checksum);
    this.#form = form;
    this.#check = check;
    this.#sequencePrior = sequencePrior;
    if (Array.isArray(packet)) {
      this.#strings = packet.map((string, i) => bytesOf(string, `strings[${i}]`));
    } else this.#open(bytesOf(packet, "packet"), form, check);
  }

  #open(packet: Uint8Array, form: number, check: number): void {
    const memory = this.#memory;
    const address = openPacket(memory, packet, { form, check, ...this.#limits, isKept: true, count: undefined });
    this.#address = address;
    this.#held = new Held(this, () => memory.wasm.freeReader(address));
  }

  /** Each string is a packet of its own. */
  #nextString(): void {
    const string = this.#strings?.[this.#part];
    if (!string)
      throw new CodecError("TRUNCATED", `there are ${this.#strings?.length} strings, one more was asked for`);
    this.#open(string, abi.FORM_STRING, 0);
  }

  /** Whether the packet holds shapes. */
  get #stored(): boolean {
    return this.#form === abi.FORM_FULL;
  }

  get remaining(): number | undefined {
    if (this.#closed) return 0;
    if (this.#strings || (!this.#stored && !this.#word(abi.READER_SEVERAL))) return undefined;
    return this.#word(abi.READER_COUNT) - this.#word(abi.READER_POSITION) - this.#word(abi.READER_DONE);
  }

  #word(field: number): number {
    return this.#memory.word(this.#address, field);
  }

  close(): void {
    this.#closed = true;
    this.#sequence?.abandon();
    this.#sequence = undefined;
    this.#held?.free();
    this.#held = undefined;
  }

  #ready(): void {
    if (this.#closed) throw new TypeError("the reader is closed: open another with codec.reader()");
    this.#sequence?.end();
  }

  /** Runs `action`. If it throws, the reader is closed: it cannot go on. */
  #guarded<R>(action: () => R): R {
    try {
      return action();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #dimsOf(source: PriorSource, dims: number[] | undefined): number[] {
    if (dims !== undefined) checkDims(dims);
    let stored: number[] | undefined;
    // Of several parts, only those whose prior has no shape have one in the packet.
    const several = !this.#strings && this.#word(abi.READER_SEVERAL) === 1;
    if (!this.#strings && this.#stored && !(several && source.dims)) {
      if (several) this.#memory.wasm.nextShape(this.#address);
      stored = this.#memory.words(this.#address, abi.READER_DIMS, this.#word(abi.READER_RANK));
      if (stored.length === 0)
        throw new CodecError("SHAPE_MISMATCH", `part ${this.#part}: the packet has no shape for it`);
      if (dims && !sameDims(dims, stored))
        throw new CodecError("SHAPE_MISMATCH", `part ${this.#part} has the shape [${stored}], not [${dims}]`);
    }
    const result = dims ?? stored ?? source.dims;
    if (!result)
      throw new TypeError("dims must be given: strings and compact packets do not say the shape of a factorized part");
    return [...result];
  }

  read<T extends ElementType>(prior: Prior, options: ReadArguments = {}): Latent<ArrayByType[T]> & TensorView {
    const names = ["type", "out", "dims", "affine"];
    const { type = "float32", out, dims: given, affine } = checkOptions("read", options, names);
    this.#ready();
    const memory = this.#memory;
    const source = OwnPrior.sourceOf(prior, memory);
    const wanted = given && ownDims(given);
    const zeroPoint = zeroPointFor(source, affine, checkType(type));
    const room = targetOf(out, type, zeroPoint);
    const result = this.#guarded(() => {
      if (source.tableAddress) memory.address(memory.wasm.prepareTable(source.tableAddress, 0));
      if (this.#strings) this.#nextString();
      const dims = this.#dimsOf(source, wanted);
      const n = checkDims(dims);
      fillPart(memory, memory.part, source, dims, n, coreOf(type, zeroPoint));
      memory.check(memory.wasm.beginPart(this.#address, memory.part, 0));
      const { span, result } = room(dims, n);
      readElements(memory, this.#address, source, span);
      memory.check(memory.wasm.endPart(this.#address, memory.part, 0));
      this.#endPart();
      return result;
    });
    return result as Latent<ArrayByType[T]> & TensorView;
  }

  /** The end of a part is the end of a string. */
  #endPart(): void {
    this.#part++;
    if (!this.#strings) return;
    this.#memory.check(this.#memory.wasm.finishReader(this.#address));
    this.#held?.free();
    this.#held = undefined;
  }

  sequence(options: SequenceOptions = {}): SequenceReader {
    this.#ready();
    const source = OwnPrior.sourceOf(this.#sequencePrior(options), this.#memory);
    return this.#guarded(() => {
      if (this.#strings) this.#nextString();
      const host = {
        fail: () => this.close(),
        end: () => {
          this.#sequence = undefined;
          this.#guarded(() => this.#endPart());
        },
      };
      this.#sequence = new ReaderSequence(this.#memory, this.#address, source, host);
      return this.#sequence;
    });
  }

  finish(): void {
    this.#ready();
    this.#guarded(() => {
      if (!this.#strings) this.#memory.check(this.#memory.wasm.finishReader(this.#address));
      else if (this.#part < this.#strings.length)
        throw new CodecError("SHAPE_MISMATCH", `${this.#strings.length - this.#part} strings were not read`);
    });
    this.close();
  }
}

/** What a sequence needs of its reader. */
interface SequenceHost {
  fail(): void;
  end(): void;
}

class ReaderSequence implements SequenceReader {
  readonly #memory: Memory;
  readonly #reader: number;
  readonly #host: SequenceHost;
  readonly #sequence: SequencePart;
  #begun = false;
  #ended = false;

  constructor(memory: Memory, reader: number, source: PriorSource, host: SequenceHost) {
    memory.address(memory.wasm.prepareTable(source.tableAddress, 0));
    this.#memory = memory;
    this.#reader = reader;
    this.#host = host;
    this.#sequence = new SequencePart(memory, source);
  }

  /** Begins the part. The first piece says whether there are means. */
  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#memory.check(this.#memory.wasm.beginPart(this.#reader, this.#sequence.part, 1));
  }

  next(scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void {
    if (this.#ended) throw new TypeError("the sequence has ended");
    if (!isArrayOf("float32", scales)) throw new TypeError("scales must be a Float32Array");
    const n = lengthOf(scales);
    checkStepArrays(n, scales, means, out);
    this.#sequence.begin(means);
    const memory = this.#memory;
    const { part } = this.#sequence;
    try {
      this.#begin();
      memory.check(memory.wasm.stageRead(this.#reader, part, n, 1));
      this.#sequence.place(scales, means);
      memory.check(memory.wasm.readPart(this.#reader, part, n));
      this.#sequence.take(abi.PART_AT_ELEMENTS, n, out);
    } catch (error) {
      this.#host.fail();
      throw error;
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#begin();
      this.#memory.check(this.#memory.wasm.endPart(this.#reader, this.#sequence.part, 1));
    } catch (error) {
      this.#host.fail();
      throw error;
    } finally {
      this.#sequence.free();
    }
    this.#host.end();
  }

  /** Frees its memory, without checks. */
  abandon(): void {
    this.#ended = true;
    this.#sequence.free();
  }
}

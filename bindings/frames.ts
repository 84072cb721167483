/**
 * Frames: a length, then so many bytes (docs/format.md section 12). They are found in chunks of any size and, where
 * somebody can judge what is in them, also behind damage.
 */
import { CodecError, type ErrorCode } from "./errors.js";
import type { Bytes } from "./types.js";
import { AGAIN, BAD, readVarint, varintSize, writeVarint } from "./varint.js";

/** What a reader of frames lost, or why it stopped. */
export interface Damage {
  /** Where it begins: number of bytes from the beginning of the stream. */
  readonly offset: number;
  /** Bytes up to the next good frame. 0: the stream ends without its end mark, and all before it is whole. */
  readonly bytes: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** A `CodecError` that says at which byte of a stream or file the fault is. */
export class StreamError extends CodecError {
  /** Number of bytes before the frame that is at fault. */
  readonly offset: number;
  /** For the library's own use. */
  constructor(code: ErrorCode, message: string, offset: number) {
    super(code, `${message} (byte ${offset})`);
    this.offset = offset;
  }
}

/** Says whether the bytes of a frame are what the stream should hold. */
export interface Judge {
  /** The first byte of what a frame holds. What begins otherwise is not shown to the judge. */
  readonly first: number;
  /** What a fault is called: another first byte, or what the judge refuses. */
  readonly otherwise: string;
  readonly refused: string;
  /** What the first bytes of a stream that begins otherwise are, where that is known. */
  kind?(bytes: Uint8Array): string | undefined;
  /** Judges the first 64 bytes of more. */
  front(bytes: Uint8Array, totalBytes: number): ErrorCode | undefined;
  whole(bytes: Uint8Array): ErrorCode | undefined;
}

/** How frames are read. */
export interface FrameOptions {
  /** Most bytes of a frame, without its length. */
  readonly maxBytes: number;
  /** Without one, a frame holds any bytes. */
  readonly judge?: Judge | undefined;
  /** Takes what is lost. Without it, a fault is thrown. */
  readonly onDamage?: ((damage: Damage) => void) | undefined;
  /** Offset of the first byte. */
  readonly offset?: number;
}

const FRONT = 64;
/** The check of a false frame costs its length. So many bytes of such checks are allowed for each byte that came in. */
const WORK = 64;
const FREE_WORK = 2 ** 20;

/** Bytes as a frame. */
export function frameOf(content: Uint8Array): Bytes {
  const head = varintSize(content.length);
  const frame = new Uint8Array(head + content.length);
  writeVarint(frame, 0, content.length);
  frame.set(content, head);
  return frame;
}

/** Takes chunks, gives frames. It holds one frame and a chunk at most. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #judge: Judge | undefined;
  readonly #onDamage: ((damage: Damage) => void) | undefined;
  /** The bytes that are held: [#start, #end) of a chunk, or of memory of its own. */
  #bytes: Uint8Array = new Uint8Array();
  #start = 0;
  #end = 0;
  #own: Uint8Array = this.#bytes;
  /** Offset of #start in the stream. */
  #offset: number;
  /** With fewer bytes from #start nothing new can be said. */
  #need = 1;
  #isLast = false;
  #isFinished = false;
  /** Offset of the end mark. */
  #endMark: number | undefined;
  #code: ErrorCode = "CORRUPTED";
  #message = "";
  /** What is being lost. */
  #lost: { readonly offset: number; readonly code: ErrorCode; readonly message: string } | undefined;
  /** Bytes of the length of the frame at #start, and of what it holds. */
  #head = 0;
  #length = 0;
  /** Bytes that came in, and bytes of frames that a judge has looked at as a whole and refused. */
  #received = 0;
  #refused = 0;

  constructor({ maxBytes, judge, onDamage, offset = 0 }: FrameOptions) {
    this.#maxBytes = maxBytes;
    this.#judge = judge;
    this.#onDamage = onDamage;
    this.#offset = offset;
  }

  /** Where the frame of the last `next` begins. */
  at = 0;

  /** Takes a chunk. All frames of those before must have been taken. */
  push(chunk: Uint8Array): void {
    this.#received += chunk.length;
    if (this.#start < this.#end) {
      this.#reserve(chunk.length);
      this.#bytes.set(chunk, this.#end);
      this.#end += chunk.length;
      return;
    }
    this.#bytes = chunk;
    this.#start = 0;
    this.#end = chunk.length;
  }

  /** No more chunks will come. */
  end(): void {
    this.#isLast = true;
  }

  /** What the next frame holds, a view until the next call; or undefined: a chunk is missing, or it was the last. Throws StreamError. */
  next(): Uint8Array | undefined {
    while (this.#end - this.#start >= this.#need || (this.#isLast && this.#start < this.#end)) {
      if (this.#endMark !== undefined) {
        this.#lose("CORRUPTED", "bytes follow the end of the stream", this.#endMark);
        this.#endMark = undefined;
      }
      const length = this.#look();
      if (length === AGAIN) break;
      if (length > 0) {
        const { offset } = this;
        this.#report();
        this.at = offset;
        const from = this.#start + this.#head;
        this.#skip(this.#head + length);
        return this.#bytes.subarray(from, from + length);
      }
      if (length === BAD) this.#lose(this.#code, this.#message, this.offset);
      else this.#endMark = this.offset;
      this.#skip(1);
    }
    if (this.#isLast) this.#finish();
    else this.#keep();
    return undefined;
  }

  /** Offset of the byte that is looked at next. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of frames that were refused, as a whole or by their front: work beyond what reading takes. */
  get work(): number {
    return this.#refused;
  }

  #skip(bytes: number): void {
    this.#start += bytes;
    this.#offset += bytes;
    this.#need = 1;
  }

  /** The length of what the frame at #start holds; 0: it is the end mark; AGAIN; or BAD with #code and #message. */
  #look(): number {
    const judge = this.#judge;
    const bytes = this.#bytes;
    const start = this.#start;
    const left = this.#end - start;
    const length = readVarint(bytes, start, this.#end);
    if (length === AGAIN) return this.#missing(left + 1);
    if (length === BAD)
      return this.#bad("CORRUPTED", "a length has more than five bytes, or is not written in the shortest way");
    if (length === 0) return this.#lost ? this.#bad("CORRUPTED", "") : 0;
    const head = varintSize(length);
    if (length > this.#maxBytes)
      return this.#bad("LIMIT_EXCEEDED", `a frame of ${length} bytes; at most ${this.#maxBytes} are allowed`);
    if (judge) {
      if (left === head) return this.#missing(head + 1);
      if (bytes[start + head] !== judge.first) {
        const kind = this.offset === 0 ? judge.kind?.(bytes.subarray(start, this.#end)) : undefined;
        return this.#bad("NOT_A_PACKET", kind ? `the input is ${kind}` : judge.otherwise);
      }
      if (left < head + Math.min(length, FRONT)) return this.#missing(head + Math.min(length, FRONT));
      if (length > FRONT) {
        const code = judge.front(bytes.subarray(start + head, start + head + FRONT), length);
        if (code) return this.#refuse(code, FRONT);
      }
    }
    if (left < head + length) return this.#missing(head + length);
    const code = judge?.whole(bytes.subarray(start + head, start + head + length));
    if (code) return this.#refuse(code, length);
    this.#head = head;
    return length;
  }

  #missing(need: number): number {
    this.#need = need;
    return this.#isLast ? this.#bad("TRUNCATED", "the stream ends inside a frame") : AGAIN;
  }

  #bad(code: ErrorCode, message: string): number {
    this.#code = code;
    this.#message = message;
    return BAD;
  }

  #refuse(code: ErrorCode, bytes: number): number {
    this.#refused += bytes;
    if (this.#refused > FREE_WORK + WORK * this.#received)
      throw new StreamError(
        "LIMIT_EXCEEDED",
        `more than ${WORK} bytes of false frames for each byte: this is made to take time, not damaged by accident`,
        this.offset,
      );
    return this.#bad(code, this.#judge!.refused);
  }

  /** Here something is lost, unless it already is. */
  #lose(code: ErrorCode, message: string, offset: number): void {
    if (this.#lost) return;
    if (!this.#onDamage) throw new StreamError(code, message, offset);
    this.#lost = { offset, code, message };
  }

  /** Reports what was lost up to here. */
  #report(): void {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost) this.#onDamage?.({ ...lost, bytes: this.offset - lost.offset });
  }

  #finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#lost || this.#endMark !== undefined) {
      this.#report();
      return;
    }
    const { offset } = this;
    const message = "the end mark is missing: whoever wrote this stopped early";
    if (!this.#onDamage) throw new StreamError("TRUNCATED", message, offset);
    this.#onDamage({ offset, bytes: 0, code: "TRUNCATED", message });
  }

  /** The memory of a chunk is its owner's again when the next one is asked for. */
  #keep(): void {
    if (this.#bytes !== this.#own && this.#start < this.#end) this.#reserve(0);
  }

  /** Makes room behind #end, in memory of its own. What is moved is at most what has come in since. */
  #reserve(bytes: number): void {
    const isOwn = this.#bytes === this.#own;
    if (isOwn && this.#own.length - this.#end >= bytes) return;
    const left = this.#end - this.#start;
    const held = this.#bytes.subarray(this.#start, this.#end);
    if (this.#own.length < 2 * left + bytes) this.#own = new Uint8Array(Math.max(2 * (left + bytes), 256));
    this.#own.set(held);
    this.#bytes = this.#own;
    this.#start = 0;
    this.#end = left;
  }
}

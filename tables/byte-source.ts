/** A file that is read in pieces: a checkpoint may hold gigabytes of weights, of which its tables are a few kilobytes. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { CodecError } from "latentwire";
import { Budget } from "./budget.js";

/** Bytes that can be asked for piece by piece. */
export interface ByteSource {
  readonly size: number;
  /** The file's, which every reader charges. */
  readonly budget: Budget;
  /** The file's name, where it has one. */
  readonly name?: string;
  /** A copy or a view of `length` bytes from `offset`. Throws `TRUNCATED` where there are fewer. */
  read(offset: number, length: number): Uint8Array;
}

function check(source: ByteSource, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!inside || offset + length > source.size)
    throw new CodecError("TRUNCATED", `bytes ${offset} to ${offset + length} are needed, the file has ${source.size}`);
}

/** The budget of a file of this size. Where it is spent the reader throws `LIMIT_EXCEEDED`. */
export const budgetOf = (size: number): Budget =>
  new Budget(size, (message) => {
    throw new CodecError("LIMIT_EXCEEDED", message);
  });

/** Bytes in memory. `budget`: of the file that they are a part of, if they are not a whole one. */
export class MemorySource implements ByteSource {
  readonly size: number;
  constructor(
    readonly bytes: Uint8Array,
    readonly budget: Budget = budgetOf(bytes.length),
  ) {
    this.size = bytes.length;
  }
  read(offset: number, length: number): Uint8Array {
    check(this, offset, length);
    return this.bytes.subarray(offset, offset + length);
  }
}

/** A part of another source. */
export class PartSource implements ByteSource {
  readonly budget: Budget;
  readonly #whole: ByteSource;
  readonly #start: number;
  constructor(
    whole: ByteSource,
    start: number,
    readonly size: number,
    readonly name: string,
  ) {
    this.budget = whole.budget;
    this.#whole = whole;
    this.#start = start;
  }
  read(offset: number, length: number): Uint8Array {
    check(this, offset, length);
    return this.#whole.read(this.#start + offset, length);
  }
}

/** Node reads less than 2 GiB in one call. */
const MOST_AT_ONCE = 2 ** 30;

function allocate(length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch {
    throw new CodecError("LIMIT_EXCEEDED", `there is no memory for ${length} bytes`);
  }
}

/** A file, open until `close`. */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly budget: Budget;
  readonly name: string;
  readonly #file: number;
  constructor(path: string) {
    this.name = basename(path);
    this.#file = openSync(path, "r");
    this.size = fstatSync(this.#file).size;
    this.budget = budgetOf(this.size);
  }
  read(offset: number, length: number): Uint8Array {
    check(this, offset, length);
    this.budget.charge("the file", 1, length);
    const bytes = allocate(length);
    for (let at = 0; at < length; ) {
      const got = readSync(this.#file, bytes, at, Math.min(length - at, MOST_AT_ONCE), offset + at);
      if (got === 0) throw new CodecError("TRUNCATED", "the file became shorter while it was read");
      at += got;
    }
    return bytes;
  }
  close(): void {
    closeSync(this.#file);
  }
}

/** A file that is read in pieces: a checkpoint may hold gigabytes of weights, of which its tables are a few kilobytes. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CodecError } from "latentwire";

/** Bytes that can be asked for piece by piece. */
export interface ByteSource {
  readonly size: number;
  /** A copy or a view of `length` bytes from `offset`. Throws `TRUNCATED` where there are fewer. */
  read(offset: number, length: number): Uint8Array;
}

function check(source: ByteSource, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!inside || offset + length > source.size)
    throw new CodecError("TRUNCATED", `bytes ${offset} to ${offset + length} are needed, the file has ${source.size}`);
}

/** Bytes in memory. */
export class MemorySource implements ByteSource {
  readonly size: number;
  constructor(readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }
  read(offset: number, length: number): Uint8Array {
    check(this, offset, length);
    return this.bytes.subarray(offset, offset + length);
  }
}

/** A file, open until `close`. */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly #file: number;
  constructor(path: string) {
    this.#file = openSync(path, "r");
    this.size = fstatSync(this.#file).size;
  }
  read(offset: number, length: number): Uint8Array {
    check(this, offset, length);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const got = readSync(this.#file, bytes, at, length - at, offset + at);
      if (got === 0) throw new CodecError("TRUNCATED", "the file became shorter while it was read");
      at += got;
    }
    return bytes;
  }
  close(): void {
    closeSync(this.#file);
  }
}

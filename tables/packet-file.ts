/**
 * Files of many packets, `.lws`, with names, an index and random access: docs/stream.md.
 *
 * @module
 */
import { CodecError, shown, tag } from "../bindings/errors.js";
import { type Damage, StreamError } from "../bindings/frames.js";
import { checkOptions } from "../bindings/options.js";
import { bytesOf } from "../bindings/tensor.js";
import { readVarint } from "../bindings/varint.js";
import type { FileHandle } from "./bundle-source.js";
import { findRecords, MOST_PACKET, readSettings } from "./packet-file-reader.js";
import { FILE_MAGIC, formatIndex, formatRecord, nameBytes } from "./packet-record.js";
import { openFile, openPath } from "./range-source.js";

export { CodecError, type ErrorCode } from "../bindings/errors.js";
export { type Damage, StreamError } from "../bindings/frames.js";
export type { Bytes } from "../bindings/types.js";
export { type FileRecord, type FileState, type OpenOptions, openPacketFile, PacketFile } from "./packet-file-reader.js";
export type { RangeInput, RangeSource } from "./range-source.js";

/** Where a file is written: a `FileSystemWritableFileStream`, or two functions of your own. */
export interface PacketSink {
  /** Takes the next bytes, for good: they are not written to again. */
  write(bytes: Uint8Array): unknown;
  /** Is called when the index is written, or a write has failed. */
  close?(): unknown;
}

/** How a file is written. */
export interface FileWriterOptions {
  /** Bytes that are collected before they are written. Default: 2^18. */
  bufferBytes?: number | undefined;
  /** Most bytes of a packet. Default: 2^24, which a reader takes without asking. */
  maxPacketBytes?: number | undefined;
}

/** Where bytes go, with a place for each. */
interface Target {
  write(bytes: Uint8Array): unknown;
  sync(): unknown;
  close(): unknown;
}

/** What a file has before a writer goes on with it. */
interface Begun {
  readonly names: Map<string, number>;
  readonly list: string[];
  readonly lengths: number[];
  readonly cutBytes: number;
}

/** Writes a packet file, one record after the other. One writer at a time may have a file. */
export class PacketFileWriter {
  /** Bytes of a torn end that were cut off, {@link appendPacketFile}. */
  readonly cutBytes: number;
  readonly #target: Target;
  readonly #names: Map<string, number>;
  readonly #list: string[];
  readonly #lengths: number[];
  readonly #buffered: number;
  readonly #most: number;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #busy: Promise<void> = Promise.resolve();
  #failure: unknown;
  #isClosed = false;

  /**
   * For the library's own use.
   *
   * @hidden
   */
  constructor(
    target: Target,
    begun: Begun | undefined,
    { bufferBytes, maxPacketBytes }: Required<FileWriterOptions>,
    isNew = true,
  ) {
    this.#target = target;
    this.#names = begun?.names ?? new Map();
    this.#list = begun?.list ?? [];
    this.#lengths = begun?.lengths ?? [];
    this.cutBytes = begun?.cutBytes ?? 0;
    this.#buffered = bufferBytes as number;
    this.#most = maxPacketBytes as number;
    if (isNew) this.#put(Uint8Array.from(FILE_MAGIC));
  }

  /** Records that the file has, with those that are not written yet. */
  get count(): number {
    return this.#list.length;
  }

  /** Whether a record has this name. */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  /**
   * Adds a packet. Await it before the next one: then at most `bufferBytes` and a packet are in memory.
   *
   * @param packet - Any bytes; they are copied.
   * @param name - At most 1,024 bytes as UTF-8; no two records have the same. Default: none.
   * @returns its number.
   * @throws RangeError for a name that is there already, too long or no Unicode text; CodecError `LIMIT_EXCEEDED` for a packet
   * of more than `maxPacketBytes`; TypeError for other arguments; the errors of the file.
   */
  async add(packet: Uint8Array | ArrayBuffer, name = ""): Promise<number> {
    this.#check();
    const bytes = bytesOf(packet, "packet");
    if (bytes.length > this.#most)
      throw new CodecError(
        "LIMIT_EXCEEDED",
        `a packet of ${bytes.length} bytes: raise maxPacketBytes (${this.#most}) here and where the file is read`,
      );
    if (typeof name !== "string") throw new TypeError(`name must be a string, not ${tag(name)}`);
    if (this.#names.has(name)) throw new RangeError(`the file already has a record ${JSON.stringify(name)}`);
    const number = this.#list.length;
    const frame = formatRecord(number, nameBytes(name), bytes);
    if (name !== "") this.#names.set(name, number);
    this.#list.push(name);
    this.#lengths.push(readVarint(frame, 0, frame.length));
    this.#put(frame);
    if (this.#bytes >= this.#buffered) await this.#write();
    return number;
  }

  /** Writes what is collected. When it returns, a file on a disk keeps these records whatever happens to this process or to the machine. */
  async flush(): Promise<void> {
    this.#check();
    await this.#write();
    await this.#target.sync();
  }

  /** Writes the index and closes the file. Without it a file is complete up to what was written, but torn. */
  async close(): Promise<void> {
    this.#check();
    this.#isClosed = true;
    try {
      this.#put(Uint8Array.of(0));
      this.#put(formatIndex({ lengths: this.#lengths, names: this.#list }));
      await this.#write();
      await this.#target.sync();
    } finally {
      await this.#target.close();
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new TypeError("the writer is closed: appendPacketFile goes on with the file");
  }

  #put(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
  }

  /** Writes go one after the other, also if the caller does not wait. After one that failed none follows: the file would have a gap. */
  #write(): Promise<void> {
    this.#busy = this.#busy.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#bytes === 0) return;
      const bytes = new Uint8Array(this.#bytes);
      let at = 0;
      for (const piece of this.#waiting) {
        bytes.set(piece, at);
        at += piece.length;
      }
      this.#waiting = [];
      this.#bytes = 0;
      try {
        await this.#target.write(bytes);
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
    const busy = this.#busy;
    // Whoever waits hears of it; later calls do, too.
    busy.catch(() => {});
    return busy;
  }
}

function writerSettings(call: string, options: FileWriterOptions): Required<FileWriterOptions> {
  const read = checkOptions(call, options, ["bufferBytes", "maxPacketBytes"]);
  const { bufferBytes = 2 ** 18, maxPacketBytes = MOST_PACKET } = read;
  if (!(Number.isInteger(bufferBytes) && bufferBytes >= 0))
    throw new RangeError(`bufferBytes must be a whole number, not ${shown(bufferBytes)}`);
  readSettings({ maxPacketBytes });
  return { bufferBytes, maxPacketBytes };
}

/** Writes to an open file, from a place on. */
function fileTarget(file: FileHandle, start: number): Target {
  let position = start;
  return {
    async write(bytes: Uint8Array) {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position);
        at += bytesWritten;
        position += bytesWritten;
      }
    },
    sync: () => file.datasync(),
    close: () => file.close(),
  };
}

/**
 * Begins a packet file.
 *
 * @param target - A path (Node, Deno and Bun), where no file may be yet; or a sink.
 * @throws TypeError and RangeError for wrong arguments; the errors of the file, such as EEXIST.
 */
export async function createPacketFile(
  target: string | URL | PacketSink,
  options: FileWriterOptions = {},
): Promise<PacketFileWriter> {
  const settings = writerSettings("createPacketFile", options);
  if (tag(target) === "String" || tag(target) === "URL")
    return new PacketFileWriter(fileTarget(await openPath(target as string | URL, "wx"), 0), undefined, settings);
  const sink = target as PacketSink;
  if (typeof Object(sink).write !== "function") throw new TypeError("target must be a path, or have a function write");
  const own = { write: (bytes: Uint8Array) => sink.write(bytes), sync: () => {}, close: () => sink.close?.() };
  return new PacketFileWriter(own, undefined, settings);
}

/**
 * Goes on with a packet file, or begins one where there is none. A torn end, which a writer that was killed leaves, is cut off (`cutBytes`); the records before it
 * stay. The index is taken away until `close` writes a new one.
 *
 * @param path - Node, Deno and Bun.
 * @throws StreamError `CORRUPTED` for a file that is damaged before its end: copy its records to another file. CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`,
 * `CORRUPTED` for another file or an index that contradicts the file; then nothing is changed. TypeError, RangeError; the errors of the file.
 */
export async function appendPacketFile(path: string | URL, options: FileWriterOptions = {}): Promise<PacketFileWriter> {
  const settings = writerSettings("appendPacketFile", options);
  const file = await openPath(path, "r+").catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return createPacketFile(path, options);
  try {
    const source = await openFile(file);
    if (source.size === 0) return new PacketFileWriter(fileTarget(file, 0), undefined, settings);
    const damages: Damage[] = [];
    const { maxPacketBytes } = settings;
    const reading = readSettings({ maxPacketBytes, damaged: "skip", onDamage: (damage) => damages.push(damage) });
    const { places, byName, state, end } = await findRecords(source, reading);
    // A record that is only too large must not be cut off.
    const fatal = state === "damaged" ? damages[0] : damages.find(({ code }) => code === "LIMIT_EXCEEDED");
    if (fatal)
      throw new StreamError(
        fatal.code,
        `the file cannot be continued: ${fatal.message}; copy its records to another file, or raise maxPacketBytes`,
        fatal.offset,
      );
    // A file may end inside its magic.
    const start = end < FILE_MAGIC.length ? 0 : end;
    await file.truncate(start);
    const cutBytes = state === "torn" ? source.size - start : 0;
    const begun = { names: new Map(byName), list: [...places.names], lengths: Array.from(places.lengths), cutBytes };
    return new PacketFileWriter(fileTarget(file, start), begun, settings, start === 0);
  } catch (error) {
    await file.close();
    throw error;
  }
}

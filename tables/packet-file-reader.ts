/** Reads a packet file: its index, or a scan where it has none, and records by number and by name. */
import { CodecError, type ErrorCode, shown } from "../bindings/errors.js";
import { type Damage, FrameReader, StreamError } from "../bindings/frames.js";
import { KIND_BYTES, refuseKind } from "../bindings/kinds.js";
import { checkChoice, checkOptions } from "../bindings/options.js";
import type { Bytes } from "../bindings/types.js";
import { readVarint, varintSize } from "../bindings/varint.js";
import { placeOf } from "./bundle-source.js";
import {
  FILE_MAGIC,
  formatIndex,
  type Places,
  parseIndex,
  parseRecord,
  parseTrailer,
  RECORD_EXTRA,
  type RecordFields,
  recordJudge,
  TRAILER_BYTES,
  type Trailer,
} from "./packet-record.js";
import { type RangeInput, type RangeSource, rangesOf } from "./range-source.js";

/** A packet of a file. */
export interface FileRecord {
  readonly number: number;
  /** Empty where it has none. */
  readonly name: string;
  readonly packet: Bytes;
}

/** How a file is opened. */
export interface OpenOptions {
  /**
   * `fatal`, the default: a file that is torn or damaged is refused. `skip`: what is whole is read, and `onDamage` is told of the rest. In both cases an index that
   * is missing is made by reading the file once.
   */
  damaged?: "fatal" | "skip" | undefined;
  /** Needed with `skip`: nothing is lost in silence. */
  onDamage?: ((damage: Damage) => void) | undefined;
  /** Most bytes of a packet. Default: 2^24. */
  maxPacketBytes?: number | undefined;
  /** Most bytes of the index, which is held in memory. Default: 2^28. */
  maxIndexBytes?: number | undefined;
  /** false: the index is not read; the records are found by reading the file once. */
  index?: boolean | undefined;
}

/**
 * How complete a file is. `indexed`: it has its index. `scanned`: the index is missing or damaged, and all records are there. `torn`: it ends early; records may be
 * missing behind the last one. `damaged`: records are missing between others.
 */
export type FileState = "indexed" | "scanned" | "torn" | "damaged";

/** Most bytes of a packet, if nothing else is said. */
export const MOST_PACKET = 2 ** 24;
const MOST_INDEX = 2 ** 28;
/** Bytes that are read at once where many follow one another. */
const BATCH = 2 ** 20;

/** An open packet file. */
export class PacketFile {
  readonly state: FileState;
  /** Byte behind the last record; docs/format.md 13.3. */
  readonly end: number;
  readonly #source: RangeSource;
  readonly #places: Places;
  readonly #maxRecord: number;
  readonly #byName: ReadonlyMap<string, number>;
  /** Undefined: record i has the number i. */
  readonly #byNumber: ReadonlyMap<number, number> | undefined;
  readonly #onDamage: ((damage: Damage) => void) | undefined;

  /**
   * For the library's own use.
   *
   * @hidden
   */
  constructor(source: RangeSource, found: Found, { maxRecord, onDamage }: Settings) {
    this.#source = source;
    this.#maxRecord = maxRecord;
    this.#places = found.places;
    this.#byName = found.byName;
    this.state = found.state;
    this.end = found.end;
    this.#onDamage = onDamage;
    const { numbers } = found.places;
    const isDense = numbers.length === 0 || numbers[numbers.length - 1] === numbers.length - 1;
    if (!isDense) this.#byNumber = new Map(Array.from(numbers, (number, i) => [number, i]));
  }

  /** Records that there are. */
  get count(): number {
    return this.#places.names.length;
  }

  /** Names in the order of the records; empty where a record has none. */
  get names(): readonly string[] {
    return this.#places.names;
  }

  /** Whether there is a record of this number or name. */
  has(key: number | string): boolean {
    return this.#indexOf(key) !== undefined;
  }

  /**
   * The record of this number or name.
   *
   * @throws RangeError if there is none. StreamError `CORRUPTED` if it is damaged or not the one that the index promises, `LIMIT_EXCEEDED` if it has more than
   * `maxPacketBytes`, `TRUNCATED` if the file became shorter; the source's own errors.
   */
  async get(key: number | string): Promise<FileRecord> {
    const i = this.#indexOf(key) ?? none(key);
    return this.#record(i, await this.#bytes(i, i));
  }

  /**
   * All records, in the order of the file, a megabyte read at a time.
   *
   * @throws As {@link get}; with `damaged: "skip"` a record that is damaged is left out and told to `onDamage`.
   */
  async *records(): AsyncGenerator<FileRecord, void, undefined> {
    for (let i = 0; i < this.count; ) {
      const [start] = this.#span(i);
      let last = i;
      while (last + 1 < this.count && this.#span(last + 1)[1] - start <= BATCH) last++;
      const bytes = await this.#bytes(i, last);
      for (; i <= last; i++) {
        const [from, to] = this.#span(i);
        try {
          yield this.#record(i, bytes.subarray(from - start, to - start));
        } catch (error) {
          if (!this.#onDamage || !(error instanceof StreamError)) throw error;
          this.#onDamage({ offset: from, bytes: to - from, code: error.code, message: error.message });
        }
      }
    }
  }

  /**
   * Where a record is in the file, with its name and check. Nothing is read.
   *
   * @throws RangeError if there is none.
   */
  placeOf(key: number | string): { readonly offset: number; readonly bytes: number } {
    const [offset, end] = this.#span(this.#indexOf(key) ?? none(key));
    return { offset, bytes: end - offset };
  }

  /** Closes a file that was opened by its path. */
  async close(): Promise<void> {
    await this.#source.close?.();
  }

  #indexOf(key: number | string): number | undefined {
    if (typeof key === "string") return key === "" ? undefined : this.#byName.get(key);
    if (this.#byNumber) return this.#byNumber.get(key);
    return Number.isInteger(key) && key >= 0 && key < this.count ? key : undefined;
  }

  #span(i: number): [number, number] {
    const start = this.#places.offsets[i]!;
    const length = this.#places.lengths[i]!;
    return [start, start + varintSize(length) + length];
  }

  #isTooLong(i: number): boolean {
    return this.#places.lengths[i]! > this.#maxRecord;
  }

  /** The frames of records i to last; nothing of a single one that is too long, which {@link #record} refuses. */
  async #bytes(i: number, last: number): Promise<Uint8Array> {
    if (i === last && this.#isTooLong(i)) return new Uint8Array(0);
    const [start] = this.#span(i);
    return this.#source.read(start, this.#span(last)[1] - start);
  }

  /** A record from the bytes of its frame. */
  #record(i: number, frame: Uint8Array): FileRecord {
    const { offsets, lengths, numbers, names } = this.#places;
    const length = lengths[i]!;
    const name = names[i]!;
    const head = varintSize(length);
    const fault = (message: string, code: ErrorCode = "CORRUPTED"): never => {
      throw new StreamError(code, `record ${numbers[i]}${name && ` (${name})`} ${message}`, offsets[i]!);
    };
    if (this.#isTooLong(i)) return fault(`has ${length} bytes: raise maxPacketBytes`, "LIMIT_EXCEEDED");
    const record = readVarint(frame, 0, frame.length) === length ? parseRecord(frame.subarray(head)) : undefined;
    if (!record || frame.length !== head + length) return fault("is damaged");
    if (record.number !== numbers[i] || record.name !== name) return fault("is not the one that the index names");
    return { number: record.number, name, packet: record.packet.slice() };
  }
}

const none = (key: unknown): never => {
  throw new RangeError(`the file has no record ${JSON.stringify(key)}`);
};

/** What opening has found. */
export interface Found {
  readonly places: Places;
  readonly byName: ReadonlyMap<string, number>;
  readonly state: FileState;
  readonly end: number;
}

/**
 * Opens a packet file. Bytes are read when they are needed: the index first, then a range for each record.
 *
 * @throws CodecError `NOT_A_PACKET` for another file, `UNSUPPORTED_VERSION`, `CORRUPTED` for an index that contradicts the file, `LIMIT_EXCEEDED` for one of more than
 * `maxIndexBytes`; StreamError `TRUNCATED` or `CORRUPTED` for a file that is torn or damaged, unless it is to `skip`; the source's own errors. TypeError and RangeError
 * for wrong arguments. The message of a CodecError begins with the path or the URL.
 */
export async function openPacketFile(source: RangeInput, options: OpenOptions = {}): Promise<PacketFile> {
  const settings = readSettings(options);
  const ranges = await rangesOf(source);
  try {
    return new PacketFile(ranges, await findRecords(ranges, settings), settings);
  } catch (error) {
    await ranges.close?.();
    const place = placeOf(source);
    if (place === undefined || !(error instanceof CodecError)) throw error;
    // A server's refusals name it.
    if (!error.message.includes(place)) error.message = `${place}: ${error.message}`;
    throw error;
  }
}

export interface Settings {
  readonly onDamage: ((damage: Damage) => void) | undefined;
  readonly maxRecord: number;
  readonly maxIndex: number;
  readonly useIndex: boolean;
}

export function readSettings(options: OpenOptions): Settings {
  const names = ["damaged", "onDamage", "maxPacketBytes", "maxIndexBytes", "index"];
  const read = checkOptions("openPacketFile", options, names);
  const { damaged = "fatal", onDamage, maxPacketBytes = MOST_PACKET, maxIndexBytes = MOST_INDEX, index = true } = read;
  checkChoice("damaged", damaged, ["fatal", "skip"]);
  if ((damaged === "skip") !== (typeof onDamage === "function"))
    throw new TypeError('damaged: "skip" and the function onDamage belong together: it is told what is lost');
  for (const [name, limit] of Object.entries({ maxPacketBytes, maxIndexBytes }))
    if (!(Number.isInteger(limit) && limit >= 1 && limit < 2 ** 31 - RECORD_EXTRA))
      throw new RangeError(
        `${name} must be a whole number of bytes from 1 to 2^31 - ${RECORD_EXTRA + 1}, not ${shown(limit)}`,
      );
  return { onDamage, maxRecord: maxPacketBytes + RECORD_EXTRA, maxIndex: maxIndexBytes, useIndex: index !== false };
}

/** Finds the records of a file. Throws what {@link openPacketFile} throws. */
export async function findRecords(source: RangeSource, settings: Settings): Promise<Found> {
  const { size } = source;
  const magic = await source.read(0, Math.min(FILE_MAGIC.length, size));
  const differs = FILE_MAGIC.findIndex((byte, i) => magic[i] !== byte);
  if (magic.length > 3 && differs === 3)
    throw new CodecError("UNSUPPORTED_VERSION", `packet file of version ${magic[3]}; this release reads 1`);
  // A file that was cut off inside its magic is torn.
  if (differs >= 0 && (differs < magic.length || size === 0))
    refuseKind("NOT_A_PACKET", await source.read(0, Math.min(KIND_BYTES, size)), "packet file");
  const last =
    size - FILE_MAGIC.length > TRAILER_BYTES ? await source.read(size - TRAILER_BYTES, TRAILER_BYTES) : magic;
  const trailer = parseTrailer(last, size);
  if (trailer && settings.useIndex) {
    const { start } = trailer;
    if (size - start > settings.maxIndex)
      throw new CodecError("LIMIT_EXCEEDED", `the index has ${size - start} bytes: raise maxIndexBytes`);
    const places = parseIndex(await source.read(start, size - start), trailer);
    if (places) return { places, byName: byNameOf(places), state: "indexed", end: start - 1 };
  }
  return scan(source, trailer, settings);
}

function byNameOf({ names }: Places): Map<string, number> {
  const byName = new Map<string, number>();
  for (const [i, name] of names.entries()) {
    if (name === "") continue;
    if (byName.has(name))
      throw new CodecError(
        "CORRUPTED",
        `the index has the name ${JSON.stringify(name)} twice; open it with index: false`,
      );
    byName.set(name, i);
  }
  return byName;
}

/** Finds records without the index, docs/format.md 13.3. */
async function scan(source: RangeSource, trailer: Trailer | undefined, settings: Settings): Promise<Found> {
  const { size } = source;
  const offsets: number[] = [];
  const lengths: number[] = [];
  const numbers: number[] = [];
  const names: string[] = [];
  const byName = new Map<string, number>();
  const damages: Damage[] = [];
  let end = Math.min(FILE_MAGIC.length, size);
  const judge = {
    ...recordJudge,
    // A record that comes a second time is none.
    whole(bytes: Uint8Array) {
      const record = parseRecord(bytes);
      const isNew = record && record.number > (numbers.at(-1) ?? -1) && !byName.has(record.name);
      return isNew ? undefined : ("CORRUPTED" as const);
    },
  };
  const onDamage = (damage: Damage) => damages.push(damage);
  const reader = new FrameReader({ maxBytes: settings.maxRecord, judge, onDamage, offset: end });
  const take = () => {
    for (let bytes = reader.next(); bytes; bytes = reader.next()) {
      const { number, name } = parseRecord(bytes) as RecordFields;
      if (name !== "") byName.set(name, names.length);
      offsets.push(reader.at);
      lengths.push(bytes.length);
      numbers.push(number);
      names.push(name);
      end = reader.offset;
    }
  };
  for (let at = end; at < size; at += BATCH) {
    reader.push(await source.read(at, Math.min(BATCH, size - at)));
    take();
  }
  reader.end();
  take();

  const places = { offsets, lengths, numbers, names };
  // What follows the last record: at most the mark that is missing, or damage that reaches to the end.
  const between = damages.filter(({ offset }) => offset < end);
  const isDense = numbers.every((number, i) => number === i);
  const isComplete = await endsWell(source, end, trailer, places);
  const state = between.length > 0 || !isDense ? "damaged" : isComplete ? "scanned" : "torn";
  const lost = isComplete ? between : damages;
  if (state === "damaged" && between.length === 0) lost.unshift(missing(numbers, offsets));
  for (const damage of lost) {
    const { code, message, offset } = damage;
    if (!settings.onDamage)
      throw new StreamError(code, `${STATE_TEXTS[state]}: ${message}; damaged: "skip" reads the rest`, offset);
    settings.onDamage(damage);
  }
  return { places, byName, state, end };
}

/** What an error says of a file in each state. Files in the first two have no fault. */
const STATE_TEXTS = { indexed: "", scanned: "", torn: "the file is torn", damaged: "the file is damaged" };

/** Records were taken out of the file, and no byte shows it. */
function missing(numbers: readonly number[], offsets: readonly number[]): Damage {
  const i = numbers.findIndex((number, at) => number !== at);
  const message = `record ${i} is missing`;
  return { offset: offsets[i]!, bytes: 0, code: "CORRUPTED", message };
}

/** Whether what follows the last record says that it is the last. */
async function endsWell(
  source: RangeSource,
  end: number,
  trailer: Trailer | undefined,
  places: Places,
): Promise<boolean> {
  const { size } = source;
  if (size <= end || (await source.read(end, 1))[0] !== 0) return false;
  if (trailer?.start === end + 1) return true;
  // The beginning of the index that these records give.
  const index = formatIndex(places);
  const left = size - end - 1;
  if (left > index.length) return false;
  const rest = await source.read(end + 1, left);
  return rest.every((byte, i) => byte === index[i]);
}

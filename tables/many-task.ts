/** What a thread does with each of many files, and with a batch of them. */
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CodecError } from "latentwire";
import { FileSource, MemorySource } from "./byte-source.js";
import { flag, UsageError, type Values } from "./cli-arguments.js";
import { makeDecoder, makeEncoder } from "./cli-coders.js";
import { formatLatent } from "./cli-latent.js";

/** What a thread is to do: the command and its options. */
export interface TaskData {
  readonly command: "encode" | "decode";
  readonly values: Values;
  /** A folder that gets a file for each input; undefined: packets go back. */
  readonly folder: string | undefined;
  /** Whether files that the folder already has are left as they are. */
  readonly resume: boolean;
}

/** One input. Its bytes, where they come from a packet file; otherwise it is read from its path. */
export interface Item {
  readonly path: string;
  /** Of its packet in a packet file. */
  readonly name?: string;
  /** Of the file in the folder. */
  readonly target?: string | undefined;
  readonly packet?: Uint8Array;
}

/** What became of one input: a packet, a number of bytes that were written, or an error as one line. */
export type Outcome =
  | { readonly packet: Uint8Array }
  | { readonly written: number }
  | { readonly skipped: true }
  | { readonly error: string };

/** Bytes that are read from a file at once. One call reads most latents. */
const ROOM = 2 ** 20;

/** Makes the function that codes one input. Throws UsageError and what is wrong with the tables. */
export async function makeTask({ command, values, folder, resume }: TaskData): Promise<(item: Item) => Outcome> {
  const room = new Uint8Array(ROOM);
  const coder = command === "encode" ? await encoding(values, room) : await decoding(values);
  return ({ path, target, packet }) => {
    try {
      const place = folder !== undefined ? join(folder, target!) : undefined;
      if (place !== undefined && resume && statSync(place, { throwIfNoEntry: false })?.isFile())
        return { skipped: true };
      const bytes = coder(path, packet);
      if (place === undefined) return { packet: bytes };
      put(place, bytes);
      return { written: bytes.length };
    } catch (error) {
      return { error: lineOf(error, path) };
    }
  };
}

async function encoding(values: Values, room: Uint8Array) {
  const encoder = await makeEncoder(values, true);
  return (path: string): Uint8Array => {
    const file = openSync(path, "r");
    let length: number;
    try {
      length = readSync(file, room, 0, ROOM, 0);
    } finally {
      closeSync(file);
    }
    if (length < ROOM) return encoder.encode(new MemorySource(room.subarray(0, length)), path).packet;
    const source = new FileSource(path);
    try {
      return encoder.encode(source, path).packet;
    } finally {
      source.close();
    }
  };
}

async function decoding(values: Values) {
  const decoder = await makeDecoder(values);
  const raw = flag(values, "raw");
  return (path: string, packet?: Uint8Array): Uint8Array =>
    formatLatent(decoder.decode(packet ?? new Uint8Array(readFileSync(path)), path), raw);
}

/** Writes a file beside its target and renames it: what is there under a name is whole, also after the process was killed. */
function put(place: string, bytes: Uint8Array): void {
  const beside = join(dirname(place), `.${basename(place)}.tmp`);
  try {
    writeFileSync(beside, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(beside, bytes);
  }
  renameSync(beside, place);
}

/** An error of one input as one line. Other errors are faults of the program, and end it. */
function lineOf(error: unknown, path: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof CodecError) return `${code} ${message}`;
  // The options do not fit this file: a zero point for floats, raw elements without a shape.
  if (error instanceof UsageError) return `USAGE ${message.includes(path) ? message : `${path}: ${message}`}`;
  if (typeof code === "string" && "syscall" in (error as object)) {
    // A full disk is no fault of the input.
    if (["ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE"].includes(code)) throw error;
    const text = message.replace(/^[A-Z]+: /, "");
    return `${code} ${text.includes(path) ? text : `${text} '${path}'`}`;
  }
  throw error;
}

/** Inputs that follow one another. */
export interface Batch {
  readonly items: readonly Item[];
}

/** What became of a batch. */
export interface Piece {
  /** Of each input: bytes of its packet or file; or one of the two below. */
  readonly sizes: Int32Array;
  /** All packets, one after the other. */
  readonly bytes: Uint8Array;
  /** Errors, in the order of their inputs. */
  readonly errors: readonly string[];
}
export const FAILED = -1;
export const SKIPPED = -2;

/** Codes a batch. One message for many packets: a message for each would take longer than the packets do. */
export function runBatch(task: (item: Item) => Outcome, { items }: Batch): Piece {
  const sizes = new Int32Array(items.length);
  const packets: Uint8Array[] = [];
  const errors: string[] = [];
  let total = 0;
  for (const [i, item] of items.entries()) {
    const outcome = task(item);
    if ("error" in outcome) errors.push(outcome.error);
    if ("packet" in outcome) {
      packets.push(outcome.packet);
      total += outcome.packet.length;
      sizes[i] = outcome.packet.length;
    } else sizes[i] = "error" in outcome ? FAILED : "skipped" in outcome ? SKIPPED : outcome.written;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const packet of packets) {
    bytes.set(packet, at);
    at += packet.length;
  }
  return { sizes, bytes, errors };
}

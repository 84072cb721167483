/** What bytes are that were given to the wrong call or command. Every kind of file that this package reads is listed here. */
import { CodecError, type ErrorCode } from "./errors.js";

/**
 * How the bytes of each kind begin, as Latin-1; what they are, and what reads them. The first that fits is taken.
 * assembly/build.mjs writes the list into Python's abi.py: one line each, and expressions that Python has, too.
 */
const KINDS: readonly (readonly [RegExp, string, string])[] = [
  [/^l[p-w]/, "a packet", "codec.decode, `latentwire inspect`"],
  [/^[\x80-\xff]{0,4}[^\x80-\xff]l[p-w]/, "a stream of packets", "latentwire/stream"],
  [/^LWS/, "a packet file (.lws)", "latentwire/packet-file, `latentwire inspect`"],
  [/^LWB/, "a table bundle (.lwb)", "latentwire/bundle, `latentwire tables show`"],
  [/^LWT/, "a table in binary form", "codec.table, `latentwire tables show`"],
  [/^LWC/, "a context prior's parameters", "codec.context"],
  [/^\x93NUMPY/, "a NumPy array (.npy)", "`latentwire encode`"],
  [/^PK|^[\s\S]{8}{"/, "a checkpoint or an archive", "`latentwire tables import`"],
  [/^\s*<[!hH]/, "a page of HTML", "browsers: is the address right?"],
];

/** The first bytes as Latin-1. */
const start = (bytes: Uint8Array, count: number): string => String.fromCharCode(...bytes.subarray(0, count));

/** Whether bytes begin like this text. */
export const begins = (bytes: Uint8Array, text: string): boolean => start(bytes, text.length) === text;

/** Bytes that say of what kind a file is. */
export const KIND_BYTES = 16;

/** What bytes are and what reads them, where their beginning says it. */
export function kindOf(bytes: Uint8Array): string | undefined {
  const [, kind, reader] = KINDS.find(([beginning]) => beginning.test(start(bytes, KIND_BYTES))) ?? [];
  return kind && `${kind}, read by ${reader}`;
}

/** Throws an error that says what the bytes are instead of what is wanted ("packet"), or how they begin. */
export function refuseKind(code: ErrorCode, bytes: Uint8Array, wanted: string): never {
  const text = start(bytes, KIND_BYTES).replace(/[^ -~]/g, ".");
  throw new CodecError(code, `the input is ${kindOf(bytes) ?? `no ${wanted}: it begins with "${text}"`}`);
}

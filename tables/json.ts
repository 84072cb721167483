/** JSON out of files that may come from anyone. Needs no TextDecoder, which an AudioWorklet does not have. */
import type { Budget } from "./budget.js";

/** Deepest nesting that is read. Whoever walks the value, as JSON.stringify does, then needs little stack. */
const MAX_DEPTH = 64;
const CHUNK = 4096;
/** Bytes that JSON.parse may allocate for one byte of text. */
const BYTE_COST = 32;

/**
 * Parses UTF-8 JSON. `what` begins the message where the file's budget is spent. Calls `refuse` for bytes that are no
 * JSON, or nested too deep; other errors are the engine's.
 */
export function parseJson(
  what: string,
  bytes: Uint8Array,
  budget: Budget,
  refuse: (message: string) => never,
): unknown {
  budget.charge(what, bytes.length, BYTE_COST * bytes.length);
  if (depthOf(bytes) > MAX_DEPTH) return refuse(`is nested more than ${MAX_DEPTH} levels deep`);
  try {
    return JSON.parse(utf8(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof URIError) return refuse("is no JSON");
    throw error;
  }
}

/** Levels of arrays and objects, counted without recursion. Bytes of brackets occur in UTF-8 as brackets alone. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (quoted) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}

/** UTF-8 as text. Throws URIError for bytes that are none. */
function utf8(bytes: Uint8Array): string {
  const chunks: string[] = [];
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    end = Math.min(at + CHUNK, bytes.length);
    // Not within a character.
    while ((bytes[end]! & 0xc0) === 0x80) end++;
    chunks.push(decodeURIComponent(Array.from(bytes.subarray(at, end), escaped).join("")));
  }
  return chunks.join("");
}

const escaped = (byte: number): string =>
  byte < 0x80 && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;

/** A value of a file for a message: short, whatever it is. */
export function described(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value !== null && typeof value === "object") return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}..` : text;
}

/** Whether a value of JSON is an object: neither null nor a list. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);

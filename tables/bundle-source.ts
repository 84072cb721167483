/** Where the bytes of a bundle come from: memory, a file, the network. */
import { CodecError, tag } from "../bindings/errors.js";
import { isBytes } from "../bindings/tensor.js";

/**
 * What {@link loadBundle} takes: bytes, a `Blob` or a `File`, a `Response`, a URL, or text. Text is a URL in browsers; in Node, Deno
 * and Bun it is a path, unless it begins like a URL.
 */
export type BundleSource = Uint8Array | ArrayBuffer | Blob | Response | URL | string;

/** The part of Node's file system that is used; Deno and Bun have it, too. */
interface FileSystem {
  stat(path: string | URL): Promise<{ readonly size: number }>;
  readFile(path: string | URL, options: { signal?: AbortSignal | undefined }): Promise<Uint8Array>;
  open(path: string | URL, flags: string): Promise<FileHandle>;
}

/** The part of an open file that is used. */
export interface FileHandle {
  stat(): Promise<{ readonly size: number }>;
  read(into: Uint8Array, at: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(bytes: Uint8Array, at: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** Most characters of a place in a message: `data:` URLs may be long. */
const MOST_PLACE = 200;

/** Where a source is, for messages: its address, its path, or the name of a File. Undefined for bytes. */
export function placeOf(given: unknown): string | undefined {
  const { url, name } = Object(given) as Partial<Response & File>;
  const place = tag(given) === "String" || tag(given) === "URL" ? String(given) : url || name;
  return typeof place === "string" ? place.slice(0, MOST_PLACE) : undefined;
}

/** What `open` gives. A CodecError of it begins with the place. */
export async function inPlace<T>(place: string | undefined, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (place === undefined || !(error instanceof CodecError)) throw error;
    throw new CodecError(error.code, `${place}: ${error.message}`, { cause: error.cause });
  }
}

/** All bytes. Throws `LIMIT_EXCEEDED` above `maxBytes`, which bytes in memory may exceed. */
export async function readSource(given: BundleSource, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  if (isBytes(given)) return given;
  // Judged by what they are called: another realm has classes of its own.
  const kind = tag(given);
  if (kind === "ArrayBuffer") return new Uint8Array(given as ArrayBuffer);
  if (kind === "String" || kind === "URL") {
    const file = fileOf(String(given));
    if (file === undefined) return readResponse(await fetch(given as URL, { signal: signal ?? null }), maxBytes);
    const system = fileSystem();
    if (system === undefined)
      throw new TypeError("source is a file, which this engine cannot read: give its bytes, a File or a URL of http");
    refuseLonger((await system.stat(file)).size, maxBytes);
    return system.readFile(file, { signal });
  }
  const object = Object(given) as Partial<Blob & Response>;
  if (typeof object.arrayBuffer !== "function")
    throw new TypeError("source must be bytes, a Blob, a File, a Response, a URL or a path");
  if (object.headers !== undefined) return readResponse(given as Response, maxBytes);
  refuseLonger(object.size!, maxBytes);
  return new Uint8Array(await object.arrayBuffer());
}

/** A path, or a URL of a file; undefined for what is fetched. */
export function fileOf(text: string): string | URL | undefined {
  if (/^file:/i.test(text)) return new URL(text);
  // Not "C:", which is a drive. A page has a location, to which its URLs are relative.
  const isPath = !/^[a-z][\w+.-]+:/i.test(text) && globalThis.location === undefined && fileSystem() !== undefined;
  return isPath ? text : undefined;
}

/** Not by `import`: "node:" in one fails builds for browsers and React Native. */
export function fileSystem(): FileSystem | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): FileSystem } };
  return process?.getBuiltinModule?.("node:fs/promises");
}

const longer = (maxBytes: number) => new CodecError("LIMIT_EXCEEDED", `the bundle has more than ${maxBytes} bytes`);

function refuseLonger(length: number, maxBytes: number): void {
  if (length > maxBytes) throw longer(maxBytes);
}

/** The body of a response, of at most `maxBytes`. Throws `NOT_A_BUNDLE` for an error status, `LIMIT_EXCEEDED`. */
async function readResponse(response: Response, maxBytes: number): Promise<Uint8Array> {
  if (!response.ok) throw new CodecError("NOT_A_BUNDLE", `the server answered with status ${response.status}`);
  refuseLonger(Number(response.headers.get("content-length")), maxBytes);
  const bytes = await readBody(response, maxBytes);
  if (bytes === undefined) throw longer(maxBytes);
  return bytes;
}

/** The body of a response; undefined if it has more than `maxBytes`: the rest is not waited for. */
export async function readBody(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array(await response.arrayBuffer());
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.length;
    if (length > maxBytes) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(next.value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Bytes that are read in ranges, wherever they are: memory, a Blob, an open file, a server. Any engine. */
import { CodecError, tag } from "../bindings/errors.js";
import { begins, kindOf } from "../bindings/kinds.js";
import { isBytes } from "../bindings/tensor.js";
import { type FileHandle, fileOf, fileSystem, readBody } from "./bundle-source.js";

/** Something of your own that is read in ranges. */
export interface RangeSource {
  /** Bytes that there are. */
  readonly size: number;
  /** Bytes [offset, offset + length), which are there: a view or a copy. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** Is called by `close` of the file. */
  close?(): unknown;
}

/** What {@link openPacketFile} takes: bytes, a `Blob` or a `File`, a path (Node, Deno and Bun), a URL, or a source of your own. */
export type RangeInput = Uint8Array | ArrayBuffer | Blob | URL | string | RangeSource;

/** Throws TypeError for something else, `NOT_A_PACKET` for a server that answers with an error or knows no ranges, the system's errors for a path. */
export async function rangesOf(given: RangeInput): Promise<RangeSource> {
  if (isBytes(given)) return inMemory(given);
  const kind = tag(given);
  if (kind === "ArrayBuffer") return inMemory(new Uint8Array(given as ArrayBuffer));
  if (kind === "String" || kind === "URL") {
    const path = fileOf(String(given));
    return path === undefined ? served(String(given)) : openFile(await openPath(path, "r"));
  }
  const object = Object(given) as Partial<Blob & RangeSource>;
  if (typeof object.read === "function" && Number.isSafeInteger(object.size)) return given as RangeSource;
  if (typeof object.slice === "function" && typeof object.size === "number") return inBlob(given as Blob);
  throw new TypeError("source must be bytes, a Blob, a File, a path, a URL, or an object with size and read()");
}

const inMemory = (bytes: Uint8Array): RangeSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});

const inBlob = (blob: Blob): RangeSource => ({
  size: blob.size,
  read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
});

/** An open file. Throws TypeError where the engine has no files, the system's errors. */
export async function openPath(path: string | URL, flags: string): Promise<FileHandle> {
  const system = fileSystem();
  if (system === undefined)
    throw new TypeError("a path needs Node, Deno or Bun: give bytes, a Blob, or an object with your own functions");
  return system.open(path, flags);
}

/** The ranges of an open file. */
export async function openFile(file: FileHandle): Promise<RangeSource> {
  const { size } = await file.stat();
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) throw new CodecError("TRUNCATED", "the file became shorter while it was read");
        at += bytesRead;
      }
      return bytes;
    },
    close: () => file.close(),
  };
}

/** A file on a server that answers requests of ranges. */
async function served(url: string): Promise<RangeSource> {
  const ask = async (offset: number, length: number): Promise<Response> => {
    const range = `bytes=${offset}-${offset + length - 1}`;
    const response = await fetch(url, { headers: { range } });
    if (response.status === 206) return response;
    const body = response.body?.getReader();
    const first = (await body?.read())?.value ?? new Uint8Array(0);
    await body?.cancel();
    const kind = begins(first, "LWS") ? undefined : kindOf(first);
    const answer = response.ok ? (kind ?? "the whole file: it knows no ranges") : `status ${response.status}`;
    throw new CodecError("NOT_A_PACKET", `${url} was asked for a range and answered with ${answer}`);
  };
  const first = await ask(0, 1);
  await first.body?.cancel();
  const size = Number(/\/(\d+)$/.exec(first.headers.get("content-range") ?? "")?.[1]);
  if (!Number.isSafeInteger(size))
    throw new CodecError(
      "NOT_A_PACKET",
      `${url} does not say its size: let its server expose the header Content-Range`,
    );
  return {
    size,
    async read(offset, length) {
      const bytes = await readBody(await ask(offset, length), length);
      if (bytes === undefined)
        throw new CodecError("NOT_A_PACKET", `${url} was asked for ${length} bytes and answered with more`);
      if (bytes.length < length) throw new CodecError("TRUNCATED", `${url} gave ${bytes.length} of ${length} bytes`);
      return bytes;
    },
  };
}

/**
 * Packets over any stream of bytes: docs/stream.md.
 *
 * @module
 */
import { MAGIC_0 } from "./abi.js";
import { CodecError, shown } from "./errors.js";
import { type Damage, FrameReader, frameOf, type Judge } from "./frames.js";
import { kindOf } from "./kinds.js";
import { checkChoice, checkOptions } from "./options.js";
import { bytesOf } from "./tensor.js";
import type { Bytes, Codec } from "./types.js";

export { CodecError, type ErrorCode } from "./errors.js";
export { type Damage, StreamError } from "./frames.js";
export type { Bytes } from "./types.js";

/** What can be read piece by piece: a Node stream, a generator, an array; or a `ReadableStream`, in engines old and new. */
export type Pieces<T> = AsyncIterable<T> | Iterable<T> | ReadableStream<T>;

/** What both ends of a stream may choose. */
export interface StreamOptions {
  /**
   * The codec judges every packet: it must be a full one, with its checksum. Without a codec packets may be anything (compact ones, CompressAI's strings), and
   * damage is found by `codec.decode` or not at all.
   */
  codec?: Pick<Codec, "inspect" | "judge"> | undefined;
  /** Most bytes of a packet. Default: 2^24. */
  maxPacketBytes?: number | undefined;
}

/** What a reader may choose. */
export interface ReadOptions extends StreamOptions {
  /**
   * `fatal`, the default: the first fault is thrown. `skip`: the reader goes on with the next good packet and tells `onDamage` what it has lost. For that it needs
   * `codec`.
   */
  damaged?: "fatal" | "skip" | undefined;
  /** Needed with `skip`: nothing is lost in silence. It is called before the packet that follows the damage is given. */
  onDamage?: ((damage: Damage) => void) | undefined;
}

/** What the iterators may be given, too. */
export interface Abortable {
  /** Ends the reading: the iterator throws the signal's reason, and the source is cancelled. */
  signal?: AbortSignal | undefined;
}

const MOST_BYTES = 2 ** 24;
const WRITE = ["codec", "maxPacketBytes"];
const READ = [...WRITE, "damaged", "onDamage"];

function checkLimit(limit = MOST_BYTES): number {
  if (Number.isInteger(limit) && limit >= 1 && limit < 2 ** 31) return limit;
  throw new RangeError(`maxPacketBytes must be a whole number from 1 to 2^31 - 1, not ${shown(limit)}`);
}

/** The magic and the checksum of full packets, as the codec knows them. */
const judgeOf = (codec: Pick<Codec, "judge">): Judge => ({
  first: MAGIC_0,
  otherwise: "no full packet begins here: damage, or a compact packet, which is read without the option codec",
  refused: "a packet is damaged, of another version or without a checksum",
  kind: kindOf,
  front: (bytes, totalBytes) => codec.judge(bytes, totalBytes),
  whole: (bytes) => codec.judge(bytes),
});

function readerOf(call: string, options: ReadOptions & Abortable, known = READ): FrameReader {
  const { codec, maxPacketBytes, damaged = "fatal", onDamage } = checkOptions(call, options, known);
  checkChoice("damaged", damaged, ["fatal", "skip"]);
  const skips = damaged === "skip";
  if (skips && !codec)
    throw new TypeError('damaged: "skip" needs the option codec: only full packets can be found again behind damage');
  if (skips !== (typeof onDamage === "function"))
    throw new TypeError('damaged: "skip" and the function onDamage belong together: it is told what is lost');
  return new FrameReader({ maxBytes: checkLimit(maxPacketBytes), judge: codec && judgeOf(codec), onDamage });
}

/** Makes frames. Throws for a packet that the other end would not take. */
function writerOf(call: string, options: StreamOptions & Abortable, known = WRITE): (packet: unknown) => Bytes {
  const { codec, maxPacketBytes } = checkOptions(call, options, known);
  const most = checkLimit(maxPacketBytes);
  let count = 0;
  return (given) => {
    const name = `packet ${count++}`;
    const packet = bytesOf(given, name);
    if (packet.length === 0) throw new RangeError(`${name} is empty: a length of 0 ends the stream`);
    if (packet.length > most)
      throw new CodecError(
        "LIMIT_EXCEEDED",
        `${name} has ${packet.length} bytes: raise maxPacketBytes (${most}) at both ends`,
      );
    const checksum = codec?.inspect(packet).checksum ?? "valid";
    if (checksum === "absent")
      throw new TypeError(`${name} has no checksum: encode it with one, or leave out the option codec at both ends`);
    if (checksum === "invalid") throw new CodecError("CORRUPTED", `${name} is damaged: wrong checksum`);
    return frameOf(packet);
  };
}

const END_MARK = [0];

/** Pieces one by one. Whatever ends the loop cancels the source. */
async function* each<T>(source: Pieces<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted();
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal!.reason);
  });
  // Nobody may be waiting when it is rejected.
  aborted.catch(() => {});
  signal?.addEventListener("abort", abort);
  const { next, cancel } = steps(source);
  let isDone = false;
  try {
    for (;;) {
      const step = await (signal ? Promise.race([next(), aborted]) : next());
      isDone = step.done === true;
      if (isDone) return;
      yield step.value as T;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    if (!isDone) cancel();
  }
}

/** What is used of a Readable of Node. */
interface NodeStream<T> {
  iterator(options: { destroyOnReturn: boolean }): AsyncIterator<T>;
  destroy(): void;
}

interface Steps<T> {
  next(): Promise<IteratorResult<T>> | IteratorResult<T>;
  /** Does not wait: a source may answer only when its next piece comes. */
  cancel(): void;
}

function steps<T>(source: Pieces<T>): Steps<T> {
  // Not every browser can iterate a ReadableStream.
  if ("getReader" in source) {
    const reader = source.getReader();
    const cancel = () => void reader.cancel().catch(() => {});
    return { next: () => reader.read() as Promise<IteratorResult<T>>, cancel };
  }
  const node = source as unknown as NodeStream<T>;
  if (typeof node.iterator === "function" && typeof node.destroy === "function") {
    // Its plain iterator would destroy a socket at the end of its input, although there may be something left to send.
    const iterator = node.iterator({ destroyOnReturn: false });
    // An iterator that waits for a chunk does not hear that it shall end. The stream does.
    return { next: () => iterator.next(), cancel: () => void node.destroy() };
  }
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const cancel = () => void Promise.resolve(iterator.return?.()).catch(() => {});
  return { next: () => iterator.next(), cancel };
}

function checkSource(source: unknown): void {
  const isIterable = Symbol.asyncIterator in Object(source) || Symbol.iterator in Object(source);
  const isObject = typeof source === "object" && source !== null && !ArrayBuffer.isView(source);
  if (!isObject || !(isIterable || "getReader" in source))
    throw new TypeError(
      "the source must be a ReadableStream, a Node stream or an iterable: of bytes, put them into [ ]",
    );
}

/**
 * Packets of a stream, one after the other. A chunk may have any size; `Uint8Array` and `ArrayBuffer` are taken. At most one packet and a chunk are held, and the
 * next chunk is asked for when all packets of those before have been taken. Leaving the loop cancels the source.
 *
 * @returns an iterator of packets, each in memory of its own.
 * @throws StreamError (a CodecError) with the `offset` of the fault: `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `CORRUPTED`; `TRUNCATED` where the stream ends inside
 * a packet or without its end mark; `LIMIT_EXCEEDED` for a packet of more than `maxPacketBytes`, or if with `skip` a stream is made to take time. The signal's
 * reason. At once TypeError or RangeError for wrong arguments.
 */
export function readPackets(
  source: Pieces<Uint8Array | ArrayBuffer>,
  options: ReadOptions & Abortable = {},
): AsyncGenerator<Bytes, void, undefined> {
  checkSource(source);
  const reader = readerOf("readPackets", options, [...READ, "signal"]);
  const { signal } = options;
  async function* packets(): AsyncGenerator<Bytes, void, undefined> {
    for await (const chunk of each(source, signal)) {
      reader.push(bytesOf(chunk, "a chunk"));
      for (let packet = reader.next(); packet; packet = reader.next()) yield packet.slice();
    }
    reader.end();
    for (let packet = reader.next(); packet; packet = reader.next()) yield packet.slice();
  }
  return packets();
}

/**
 * The bytes of a stream: a chunk for each packet, then the end mark.
 *
 * @throws RangeError for an empty packet, CodecError `LIMIT_EXCEEDED` for one of more than `maxPacketBytes`. With `codec` also `NOT_A_PACKET` and `CORRUPTED`, and
 * TypeError for a packet without a checksum. The signal's reason. At once TypeError or RangeError for wrong arguments.
 */
export function writePackets(
  packets: Pieces<Uint8Array | ArrayBuffer>,
  options: StreamOptions & Abortable = {},
): AsyncGenerator<Bytes, void, undefined> {
  checkSource(packets);
  const frame = writerOf("writePackets", options, [...WRITE, "signal"]);
  const { signal } = options;
  async function* chunks(): AsyncGenerator<Bytes, void, undefined> {
    for await (const packet of each(packets, signal)) yield frame(packet);
    yield Uint8Array.from(END_MARK);
  }
  return chunks();
}

/**
 * {@link readPackets} as a transform stream: `response.body.pipeThrough(bytesToPackets({ codec }))`. It errors with what `readPackets` throws.
 *
 * @throws TypeError or RangeError for wrong options.
 */
export function bytesToPackets(options: ReadOptions = {}): TransformStream<Uint8Array | ArrayBuffer, Bytes> {
  const reader = readerOf("bytesToPackets", options);
  const give = (controller: TransformStreamDefaultController<Bytes>) => {
    for (let packet = reader.next(); packet; packet = reader.next()) controller.enqueue(packet.slice());
  };
  return new TransformStream({
    transform(chunk, controller) {
      reader.push(bytesOf(chunk, "a chunk"));
      give(controller);
    },
    flush(controller) {
      reader.end();
      give(controller);
    },
  });
}

/**
 * {@link writePackets} as a transform stream. It errors with what `writePackets` throws.
 *
 * @throws TypeError or RangeError for wrong options.
 */
export function packetsToBytes(options: StreamOptions = {}): TransformStream<Uint8Array | ArrayBuffer, Bytes> {
  const frame = writerOf("packetsToBytes", options);
  return new TransformStream({
    transform: (packet, controller) => controller.enqueue(frame(packet)),
    flush: (controller) => controller.enqueue(Uint8Array.from(END_MARK)),
  });
}

/**
 * The two ends of the wire. A family is one function that codes part after part: at the encoder's end a part goes to the writer, at the decoder's it comes from
 * the reader, and both get back what the decoder sees. So the two directions cannot disagree about an order.
 */
import { CodecError } from "../errors.js";
import type {
  FullCodec,
  ReaderOptions,
  SequenceOptions,
  SequenceWriter,
  TensorView,
  WriterOptions,
} from "../full-types.js";
import { type SessionTensor, toCpu } from "../session.js";
import type { Bytes, Latent, Prior, TensorLike } from "../types.js";

/** One packet, or one CompressAI string per part. */
export type Format = "packet" | "strings";

/** How a latent is encoded: what `codec.writer` takes, guard and index checks among it. */
export interface EncodeFamilyOptions<F extends Format = Format> extends WriterOptions {
  /** `packet` (default), or `strings` as CompressAI's `compress()` orders them: those of y first, z last. A batch of one then. */
  format?: F;
}

/** What decoding may need beside the packet. */
export interface DecodeFamilyOptions extends ReaderOptions {
  /** With strings: `[height, width]` of the factorized part (z, or y where there is no z): CompressAI's `shape`. */
  shape?: readonly number[];
}

/** What an encoder returns. */
export interface Encoded<F extends Format = "packet"> {
  /** The packet; with `format: "strings"` the list of strings. */
  readonly packet: F extends "strings" ? Bytes[] : Bytes;
  /** Height and width of the factorized part, which strings do not hold. */
  readonly shape: number[];
  /** What the decoder will return, bit for bit. */
  readonly latent: Latent<Float32Array>;
  /** Symbols whose row is sent along because of `guard`. */
  readonly corrections: number;
}

/** What a family sees of an end of the wire; `latent` is undefined at the decoder's. */
export interface Wire {
  readonly codec: FullCodec;
  readonly format: Format;
  /** A part whose shape a packet holds, but strings do not: under a factorized prior. */
  side(prior: Prior, latent: TensorLike | undefined): Latent<Float32Array>;
  /** A part whose shape follows from its prior. */
  part(prior: Prior, latent: TensorLike | undefined): Latent<Float32Array>;
  /** The same, into a part of a tensor. */
  into(prior: Prior, latent: TensorLike | TensorView | undefined, out: TensorView): void;
  /** One integer 0 .. limit - 1. */
  number(limit: number, value: number | undefined): number;
  /** A part in pieces. `values` is not read at the decoder's end. */
  pieces(
    options: SequenceOptions,
  ): (values: Float32Array, scales: Float32Array, means: Float32Array, out: Float32Array) => void;
}

/** The way of a family's parts, and how many of them come before y's: CompressAI lists those last, in reverse. */
export interface Family<M> {
  readonly before: number;
  /** @param y - undefined at the decoder's end. Returns y as the decoder sees it. */
  code(wire: Wire, model: M, y: TensorLike | undefined): Promise<Latent<Float32Array>>;
}

/** Runs a family at the encoder's end. */
export async function encode<M, F extends Format>(
  family: Family<M>,
  codec: FullCodec,
  model: M,
  y: SessionTensor,
  options: EncodeFamilyOptions<F> = {},
): Promise<Encoded<F>> {
  if (typeof codec?.writer !== "function") throw new TypeError("codec must come from create() of latentwire/full");
  if (y === null || typeof y !== "object") throw new TypeError("y must be a tensor {type, dims, data}");
  const format: Format = options.format ?? "packet";
  if (format === "strings" && y.dims[0] !== 1)
    throw new CodecError("SHAPE_MISMATCH", `strings hold one image each; the batch [${y.dims}] has ${y.dims[0]}`);
  const writer = codec.writer(options);
  let shape: number[] = [];
  let open: SequenceWriter | undefined;
  const wire: Wire = {
    codec,
    format,
    side: (prior, latent) => {
      shape = latent!.dims.slice(2);
      return writer.write(latent!, prior);
    },
    part: (prior, latent) => writer.write(latent!, prior),
    into: (prior, latent, out) => void writer.write(latent!, prior, { out }),
    number: (limit, value) => {
      writer.write({ type: "int32", dims: [1], data: Int32Array.of(value!) }, uniform(codec, limit));
      return value!;
    },
    pieces: (sequence) => {
      const part = writer.sequence(sequence);
      open = part;
      return (values, scales, means, out) => part.next(values, scales, means, out);
    },
  };
  try {
    const latent = await family.code(wire, model, await toCpu(y));
    const packet = format === "strings" ? reordered(writer.finishStrings(), family.before) : writer.finish();
    return { packet: packet as Encoded<F>["packet"], shape, latent, corrections: writer.corrections };
  } finally {
    // A network that failed leaves it open; it has Wasm memory of its own.
    open?.end();
  }
}

/** Runs a family at the decoder's end. */
export async function decode<M>(
  family: Family<M>,
  codec: FullCodec,
  model: M,
  packet: Uint8Array | readonly Uint8Array[],
  options: DecodeFamilyOptions = {},
): Promise<Latent<Float32Array>> {
  if (typeof codec?.reader !== "function") throw new TypeError("codec must come from create() of latentwire/full");
  // An ArrayBuffer is neither, and the reader says so.
  const strings = Array.isArray(packet);
  const { shape } = options;
  if (strings && packet.length <= family.before)
    throw new CodecError("SHAPE_MISMATCH", `${packet.length} strings, this family has more than ${family.before}`);
  if (strings && shape === undefined)
    throw new TypeError("shape must be given with strings: [height, width] of the factorized part");
  const reader = codec.reader(strings ? inOrder(packet, family.before) : (packet as Uint8Array), options);
  const wire: Wire = {
    codec,
    format: strings ? "strings" : "packet",
    side: (prior) => reader.read(prior, strings ? { dims: [1, prior.table.rows, ...shape!] } : {}),
    part: (prior) => reader.read(prior),
    into: (prior, _, out) => void reader.read(prior, { out }),
    number: (limit) => {
      const [value] = reader.read(uniform(codec, limit), { type: "int32", dims: [1] }).data;
      if (!(value! >= 0 && value! < limit))
        throw new CodecError("CORRUPTED", `${value} is not one of 0 .. ${limit - 1}`);
      return value!;
    },
    pieces: (sequence) => {
      const part = reader.sequence(sequence);
      return (_, scales, means, out) => part.next(scales, means, out);
    },
  };
  try {
    const latent = await family.code(wire, model, undefined);
    reader.finish();
    return latent;
  } finally {
    reader.close();
  }
}

/** Written: z2, z1, y0, y1. CompressAI's list: y0, y1, z1, z2. */
const reordered = <T>(strings: readonly T[], before: number): T[] => [
  ...strings.slice(before),
  ...strings.slice(0, before).reverse(),
];

/** The other way round. */
function inOrder<T>(strings: readonly T[], before: number): T[] {
  const last = strings.length - before;
  return [...strings.slice(last).reverse(), ...strings.slice(0, last)];
}

/** One row in which every number below `limit` is as likely as any other. */
function uniform(codec: FullCodec, limit: number): Prior {
  const cdf = Array.from({ length: limit + 1 }, (_, k) => Math.floor((k * 65535) / limit));
  return codec.indexed({ offsets: [0], cdfs: [[...cdf, 65536]] }, [0]);
}

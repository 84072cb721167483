/**
 * What all families share. A recipe is one function for both ends, which codes part after part: the encoder writes a
 * part, the decoder reads it, and both get what the decoder sees. So the ends cannot disagree about an order.
 */
import { CodecError, shown } from "../errors.js";
import { checkCodec, type SessionTensor, toCpu } from "../session.js";
import type {
  Bytes,
  Codec,
  Latent,
  PartReader,
  PartWriter,
  Prior,
  ReaderOptions,
  SequenceOptions,
  SequenceWriter,
  TensorLike,
  TensorView,
  WriterOptions,
} from "../types.js";

/** One packet, or one CompressAI string per part. */
export type Format = "packet" | "strings";

/** How a latent is encoded: the options of `codec.writer`, with `guard` and `indexChecks`. */
export interface EncodeFamilyOptions<F extends Format = Format> extends WriterOptions {
  /**
   * `packet` (default), or `strings` in the order of CompressAI's `compress()`: y first, z last. One image only.
   * Strings have no guard: where the two ends run their networks in different runtimes, they fail (docs/compressai.md).
   */
  format?: F | undefined;
}

/** What a decoder may need besides the packet. */
export interface DecodeFamilyOptions extends ReaderOptions {
  /**
   * Needed with strings and compact packets, which do not hold it: `[height, width]` of the factorized part (z, or y if
   * there is no z), which is CompressAI's `shape`. With a batch `[N, height, width]`.
   */
  shape?: readonly number[] | undefined;
}

/** What an encoder returns. */
export interface Encoded<F extends Format = "packet"> {
  /** The packet; with `format: "strings"` the list of strings. */
  readonly packet: F extends "strings" ? Bytes[] : Bytes;
  /** Height and width of the factorized part, with N before them for a batch: the decoder's `shape`. */
  readonly shape: number[];
  /** What the decoder will return, bit for bit. */
  readonly latent: Latent<Float32Array>;
  /** Number of scales that the packet lists because of `guard`. */
  readonly corrections: number;
}

/** A family of entropy models: it runs the networks of a model and codes a latent part by part. */
export interface Family<Model, Decoder, Extra = unknown> {
  /**
   * Encodes a latent.
   *
   * @param y - (N, C, H, W) as the encoder network gave it, on the CPU or not.
   * @throws CodecError `MODEL` where a network lacks an input or output, or fails (`cause` has its error), `SHAPE_MISMATCH` where shapes do not fit
   * together, and whatever `PartWriter.write` throws; TypeError or RangeError for a wrong argument.
   */
  encode<F extends Format = "packet">(
    codec: Codec,
    model: Model,
    y: SessionTensor,
    options?: EncodeFamilyOptions<F> & Extra,
  ): Promise<Encoded<F>>;
  /**
   * Decodes what `encode` returned.
   *
   * @param packet - the packet, or the list of strings.
   * @returns (N, C, H, W): the encoder's `latent`, bit for bit.
   * @throws CodecError as `encode`, and whatever `PartReader.read` and `PartReader.finish` throw; TypeError or
   * RangeError for a wrong argument.
   */
  decode(
    codec: Codec,
    model: Decoder,
    packet: Uint8Array | ArrayBuffer | readonly Uint8Array[],
    options?: DecodeFamilyOptions & Partial<Extra>,
  ): Promise<Latent<Float32Array>>;
}

/** One end, as a recipe sees it. `latent` and `value` are undefined at the decoder's end. */
export interface Wire {
  readonly codec: Codec;
  readonly format: Format;
  /** Codes a part under a factorized prior. A packet holds its shape, strings do not. */
  codeFactorized(prior: Prior, latent: TensorLike | undefined): Latent<Float32Array>;
  /** Codes a part whose prior says its shape. */
  codeConditional(prior: Prior, latent: TensorLike | TensorView | undefined): Latent<Float32Array>;
  /** Codes such a part, and puts what the decoder sees into `out`. */
  codeInto(prior: Prior, latent: TensorView | undefined, out: TensorView): void;
  /** Codes one integer of 0 .. limit - 1. */
  codeNumber(limit: number, value: number | undefined): number;
  /** Begins a part that is coded piece by piece. `values` is not read at the decoder's end. */
  sequence(options: SequenceOptions): SequenceWriter["next"];
}

/** The inside of a family. */
export interface Recipe<Decoder, Extra = unknown> {
  /** Parts in front of y's. CompressAI lists them last, in reverse. */
  readonly hyperLatentCount: number;
  /** Names of the options in Extra. */
  readonly extras?: readonly string[];
  /** Codes all parts and returns y as the decoder sees it. `y` is undefined at the decoder's end. */
  code(wire: Wire, model: Decoder, y: TensorLike | undefined, options?: Partial<Extra>): Promise<Latent<Float32Array>>;
}

/** Makes a family of a recipe. */
export function family<Model extends Decoder, Decoder, Extra>(
  recipe: Recipe<Decoder, Extra>,
): Family<Model, Decoder, Extra> {
  const { hyperLatentCount, extras = [], code } = recipe;
  return {
    async encode(codec, model, y, options) {
      checkCodec(codec);
      if (y === null || typeof y !== "object") throw new TypeError("y must be a tensor {type, dims, data}");
      const strings = options?.format === "strings";
      if (strings && y.dims[0] !== 1)
        throw new CodecError("SHAPE_MISMATCH", `strings hold one image each; the batch [${y.dims}] has ${y.dims[0]}`);
      const writer = codec.writer(without(options, extras));
      let shape: number[] = [];
      const wire = encoderWire(codec, writer, strings ? "strings" : "packet", (dims) => {
        const [n, , ...size] = dims;
        shape = n === 1 ? size : [n!, ...size];
      });
      try {
        const latent = await code(wire, model, await toCpu(y), options);
        const packet = strings ? toCompressAI(writer.finishStrings(), hyperLatentCount) : writer.finish();
        // The type of `packet` follows from `format`; the compiler cannot see it.
        return { packet: packet as never, shape, latent, corrections: writer.corrections };
      } finally {
        writer.close();
      }
    },

    async decode(codec, model, packet, options) {
      checkCodec(codec);
      const strings = Array.isArray(packet);
      const shape = options?.shape;
      if (strings && packet.length <= hyperLatentCount)
        throw new CodecError("SHAPE_MISMATCH", `${packet.length} strings; this family has more`);
      const needsShape = strings || (options?.header ?? "packet") !== "packet";
      if (needsShape && shape === undefined)
        throw new TypeError(
          "shape must be given with strings and compact packets: [height, width] of the factorized part",
        );
      const reader = codec.reader(
        strings ? fromCompressAI(packet, hyperLatentCount) : packet,
        without(options, [...extras, "shape"]),
      );
      const wire = decoderWire(codec, reader, strings ? "strings" : "packet", needsShape ? shape : undefined);
      try {
        const latent = await code(wire, model, undefined, options);
        reader.finish();
        return latent;
      } finally {
        reader.close();
      }
    },
  };
}

/** The encoder's end. `onFactorized` gets the dimensions of a factorized part. */
function encoderWire(
  codec: Codec,
  writer: PartWriter,
  format: Format,
  onFactorized: (dims: readonly number[]) => void,
): Wire {
  return {
    codec,
    format,
    codeFactorized: (prior, latent) => {
      onFactorized(latent!.dims);
      return writer.write(latent!, prior, { dequantize: true });
    },
    codeConditional: (prior, latent) => writer.write(latent!, prior, { dequantize: true }),
    codeInto: (prior, latent, out) => void writer.write(latent!, prior, { out }),
    codeNumber: (limit, value) => {
      writer.write({ type: "int32", dims: [1], data: Int32Array.of(value!) }, uniform(codec, limit));
      return value!;
    },
    sequence: (settings) => {
      const part = writer.sequence(settings);
      return part.next.bind(part);
    },
  };
}

/** The decoder's end. `shape` is the option, where the packet does not hold it. */
function decoderWire(codec: Codec, reader: PartReader, format: Format, shape: readonly number[] | undefined): Wire {
  return {
    codec,
    format,
    codeFactorized: (prior) => {
      if (shape === undefined) return reader.read(prior);
      const [n, ...size] = shape.length === 2 ? [1, ...shape] : shape;
      return reader.read(prior, { dims: [n!, prior.table.rows, ...size] });
    },
    codeConditional: (prior) => reader.read(prior),
    codeInto: (prior, _, out) => void reader.read(prior, { out }),
    codeNumber: (limit) => {
      const [value] = reader.read(uniform(codec, limit), { type: "int32", dims: [1] }).data;
      if (!(value! >= 0 && value! < limit))
        throw new CodecError("CORRUPTED", `${value} is not one of 0 .. ${limit - 1}`);
      return value!;
    },
    sequence: (settings) => {
      const part = reader.sequence(settings);
      return (_, scales, means, out) => part.next(scales, means, out);
    },
  };
}

/** The options but those named. A writer or reader refuses what it does not know among them. */
function without<T extends object>(options: T | undefined, names: readonly string[]): T {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([name]) => !names.includes(name))) as T;
}

/** From the order z2, z1, y0, y1 to CompressAI's y0, y1, z1, z2. */
const toCompressAI = <T>(s: readonly T[], hyper: number): T[] => [...s.slice(hyper), ...s.slice(0, hyper).reverse()];

/** The other way round. */
function fromCompressAI<T>(s: readonly T[], hyper: number): T[] {
  const first = s.length - hyper;
  return [...s.slice(first).reverse(), ...s.slice(0, first)];
}

/** The level of a model with many rates, at both ends: the first symbol of a packet; with strings the option. */
export function codeLevel(wire: Wire, count: number, encodes: boolean, given: number | undefined): number {
  const told = wire.format === "packet";
  if ((encodes || !told) && !(Number.isInteger(given) && given! >= 0 && given! < count))
    throw new RangeError(`level must be one of 0 .. ${count - 1}, not ${shown(given)}`);
  return told ? wire.codeNumber(count, given) : given!;
}

/** A prior of one row, in which all numbers below `limit` are equally likely. */
function uniform(codec: Codec, limit: number): Prior {
  const cdf = Array.from({ length: limit + 1 }, (_, k) => Math.floor((k * 65535) / limit));
  return codec.indexed({ offsets: [0], cdfs: [[...cdf, 65536]] }, [0]);
}

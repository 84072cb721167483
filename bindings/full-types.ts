/** Types of `latentwire/full`: what it has beyond `latentwire`. */
import type {
  ArrayByType,
  Bytes,
  Codec,
  FactorizedOptions,
  GaussianOptions,
  IndexedOptions,
  Lanes,
  Latent,
  LatentType,
  Prior,
  Table,
  TableSource,
  TensorLike,
} from "./types.js";

/**
 * Part of a tensor, or a tensor in another order, without a copy: element `(i, j, ..)` is `data[offset + i * strides[0] + j * strides[1] + ..]`.
 * Made by `channels`, `checkerboard`, `permute`, or by hand.
 */
export interface TensorView extends TensorLike {
  /** Elements between neighbours along each dimension; integers, as many as `dims`. */
  readonly strides: readonly number[];
  /** First element. Default 0. */
  readonly offset?: number;
}

/** {@link GaussianOptions}; means may be a view. */
export interface FullGaussianOptions extends Omit<GaussianOptions, "means"> {
  means?: Float32Array | TensorLike | TensorView;
}

/** {@link IndexedOptions}; means may be a view. */
export interface FullIndexedOptions extends Omit<IndexedOptions, "means"> {
  means?: Float32Array | TensorLike | TensorView;
}

/** The parameters of a mixture: component k of element i is at `k * n + i`, n being the number of elements ([K, C, H, W] order). */
export interface MixtureParameters {
  /** Relative weights, 0 .. 1 (more counts as 1, less as 0); they need not sum to 1. Left out: all are 1. */
  weights?: Float32Array | TensorLike | TensorView;
  means: Float32Array | TensorLike | TensorView;
  scales: Float32Array | TensorLike | TensorView;
}

/** How a mixture's rows are made; docs/format.md section 9. */
export interface MixtureOptions {
  /** Number of components, 1 .. 16. Default 1. */
  components?: number;
  /** Distribution of a component. Default `gaussian`. */
  kind?: "gaussian" | "laplace" | "logistic";
  /** Smallest and largest symbol that needs no escape. Default [-128, 127]. */
  support?: readonly [number, number];
  /** Shape of the part, where the parameters' own is not it: [K, C, H, W] or [1, K * C, H, W]. */
  dims?: readonly number[];
}

/** How far the parameters of two machines may differ; docs/determinism.md. */
export interface Guard {
  /** Largest relative difference of two scales (and of a mixture's weights and means). Default 0. */
  relative?: number;
  /** Largest absolute difference of the same. Default 0. */
  absolute?: number;
}

/** How a packet of several parts is written. */
export interface WriterOptions {
  /**
   * `packet` (default): one packet, docs/format.md section 8. `strings`: one CompressAI string per part, as its `compress()` returns.
   */
  format?: "packet" | "strings";
  /** Lane count. `auto` (default) weighs size against speed. */
  lanes?: Lanes | "auto";
  /** Append XXH32. Default true. */
  checksum?: boolean;
  /** Store 32 bits of the tables' fingerprints. Default true. */
  fingerprint?: boolean;
  /**
   * Bound on the difference of the scales (and of a mixture's weights and means) that writer and reader compute: a relative one, or both kinds. Default 0:
   * they are equal. `write` throws RangeError for one that is too wide for the scales' table or for a mixture's means.
   */
  guard?: number | Guard;
  /** Store two bytes per part that let a reader notice rows other than the writer's before it returns a symbol. Default: with a guard. */
  indexChecks?: boolean;
}

/** How a packet of several parts is read. */
export interface ReaderOptions {
  /** More elements than this are refused. Default 2^24. */
  maxElements?: number;
}

/** Where dequantized elements go: a float32 array as long as the part, or a view of one. */
export type PartTarget = Float32Array | TensorView;

/** Where what was written goes. */
export interface WriteOptions {
  /** Takes what the reader will see. Default: a new array. May be the latent's own memory. */
  out?: PartTarget;
}

/** What a part is read as. */
export interface ReadOptions<T extends LatentType = LatentType> {
  /** `float32` (default) dequantizes; an integer type returns the symbols. */
  type?: T;
  /** Takes the elements. A view must be float32, and so must then be `type`. */
  out?: ArrayByType[T] | TensorView;
  /** Shape, where neither prior nor packet know it: factorized parts of `strings`, priors made of plain arrays. */
  dims?: readonly number[];
}

/** What all steps of a sequence share. */
export interface SequenceOptions {
  /** A table whose row j belongs to the j-th scale; default the stock 64-scale Gaussian table. */
  table?: TableSource;
  /** Ascending float32 scales, one per row of `table`; default CompressAI's 64. */
  scaleTable?: Float32Array;
  /** Quantization step. Default 1. */
  step?: number;
}

/** One part, written piece by piece: an autoregressive prior's pixels. */
export interface SequenceWriter {
  /**
   * Quantizes and keeps `values.length` elements; `out` gets what the reader will see. Allocates nothing but room for the symbols.
   *
   * @param means - undefined for zero means.
   */
  next(values: Float32Array, scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void;
  /** Ends the part; the next `write` or `sequence` does it as well. */
  end(): void;
}

/** One part, read piece by piece. Pieces need not be those that were written. */
export interface SequenceReader {
  /** Decodes `scales.length` elements into `out`. Allocates nothing. */
  next(scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void;
  /** Ends the part. @throws CodecError `MODEL_MISMATCH` where the packet has index checks and this part's does not fit. */
  end(): void;
}

/** Collects parts and writes one packet. */
export interface PartWriter {
  /**
   * Adds a part: float32 elements are quantized, integers are symbols.
   *
   * @returns what the reader's `read` returns, in float32: dequantized.
   * @throws CodecError `SHAPE_MISMATCH`, `NON_FINITE`, `OUT_OF_RANGE`, `LIMIT_EXCEEDED`; the writer stays as it was.
   */
  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options?: WriteOptions & { out?: Float32Array },
  ): Latent<Float32Array>;
  /** Into a view, which is returned. */
  write(latent: TensorLike | TensorView, prior: Prior, options: { out: TensorView }): TensorView;
  /** Begins a part that is given piece by piece, in the reader's order. */
  sequence(options?: SequenceOptions): SequenceWriter;
  /** The packet. The writer cannot be used afterwards. */
  finish(): Bytes;
  /** With `format: "strings"`: one string per part, in the order written. */
  finishStrings(): Bytes[];
  /** Parameters of the parts so far whose positions the packet will carry, at about two bytes each. 0 without `guard`. */
  readonly corrections: number;
}

/** Gives back the parts of a packet, in the order in which they were written. */
export interface PartReader {
  /**
   * The next part, dequantized.
   *
   * @throws CodecError `TRUNCATED`, `CORRUPTED`, `SHAPE_MISMATCH`, `MODEL_MISMATCH`, `NON_FINITE`. After an error the reader is
   * closed; the codec stays usable.
   */
  read(prior: Prior, options?: ReadOptions<"float32"> & { out?: Float32Array }): Latent<Float32Array>;
  /**
   * The next part, dequantized into a view's memory.
   *
   * @throws As the first form.
   */
  read(prior: Prior, options: { out: TensorView; dims?: readonly number[] }): TensorView;
  /**
   * The next part as any type: an integer one holds its symbols.
   *
   * @throws As the first form; besides `OUT_OF_RANGE` for a symbol that int8 or int16 cannot hold.
   */
  read<T extends LatentType>(prior: Prior, options: ReadOptions<T>): Latent<ArrayByType[T]>;
  /** Begins a part that is read piece by piece. */
  sequence(options?: SequenceOptions): SequenceReader;
  /** Symbols that are still to be read. Undefined with strings, which do not say. */
  readonly remaining: number | undefined;
  /**
   * Checks what only the end can tell, and frees the reader. Until it has returned nothing that was read is certain.
   *
   * @throws CodecError `WRONG_TABLES`, `SHAPE_MISMATCH` where symbols are left, `CORRUPTED`, `TRUNCATED`.
   */
  finish(): void;
  /** Frees the reader without checks. Any number of times. */
  close(): void;
}

/** What `inspect` reads from a packet of several parts. */
export interface PartsInfo {
  readonly version: number;
  readonly stream: "parts";
  /** Symbols of all parts. */
  readonly elements: number;
  readonly lanes: Lanes;
  readonly escapes: boolean;
  /** Of the factorized parts, in order. */
  readonly shapes: number[][];
  readonly corrections: number;
  /** Number of parts that have an index check. */
  readonly indexChecks: number;
  /** 8 hex digits that depend on the tables of all parts, or undefined. */
  readonly fingerprint: string | undefined;
  readonly checksum: "valid" | "invalid" | "absent";
  readonly headerBytes: number;
  readonly streamBytes: number;
  readonly totalBytes: number;
}

/** What a latent costs under a prior. */
export interface Rate {
  readonly symbols: number;
  /** Ideal code length: the sum of -log2(freq / 65536), and 8 bits for every byte of an escape. */
  readonly bits: number;
  readonly escapes: number;
  /** Along `axis`. */
  readonly channels?: { readonly bits: Float64Array; readonly escapes: Uint32Array };
  /** Says so, in a sentence, where the table does not fit the latent. */
  readonly warning?: string;
}

/** What a rate is reported for. */
export interface RateOptions {
  /** Dimension to report along, e.g. 1 for the channels of NCHW. Default: only the total. */
  axis?: number;
}

/** {@link Codec} with packets of several parts, guard bands, rows made at run time, and rates. */
export interface FullCodec extends Codec {
  gaussian(scales: Float32Array | TensorLike | TensorView, options?: FullGaussianOptions): Prior;
  indexed(table: TableSource, rows: ArrayLike<number>, options?: FullIndexedOptions): Prior;
  factorized(table: TableSource, options?: FactorizedOptions): Prior;
  /** A distribution per element, its row made at run time: docs/format.md section 9. For parts only: `encode` refuses it. */
  mixture(parameters: MixtureParameters, options?: MixtureOptions): Prior;
  /** Laplace rows (density exp(-|x| / b) / 2b) for ascending scales b; default CompressAI's 64 scales. */
  laplaceTable(scales?: Float32Array): Table;
  /** Logistic rows (distribution 1 / (1 + exp(-x / s))) for ascending scales s; default CompressAI's 64 scales. */
  logisticTable(scales?: Float32Array): Table;
  /** Begins a packet of several parts. */
  writer(options?: WriterOptions): PartWriter;
  /**
   * Opens a packet of several parts, or CompressAI's strings.
   *
   * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`, `LIMIT_EXCEEDED`.
   */
  reader(packet: Uint8Array | readonly Uint8Array[], options?: ReaderOptions): PartReader;
  /** The ideal code length of a latent, without encoding it. */
  rate(latent: TensorLike | TensorView, prior: Prior, options?: RateOptions): Rate;
}

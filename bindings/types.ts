import type { ErrorCode } from "./errors.js";

/**
 * Element types a latent may have. `float32` is quantized by the codec; the integer types hold symbols.
 */
export type LatentType = "float32" | "int32" | "int16" | "int8";

/** Typed arrays that belong to {@link LatentType}. */
export type LatentData = Float32Array | Int32Array | Int16Array | Int8Array;

/**
 * Element types that tensors may have, by ONNX Runtime's names. float16 and float64 count as float32: they are rounded to
 * it, to nearest, ties to even. Of the others every element is a symbol, which is an int32.
 */
export type ElementType =
  | LatentType
  | "float16"
  | "float64"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool";

/** Where the engine has Float16Array, that; otherwise the bits. Either is taken everywhere. */
export type Float16Data = typeof globalThis extends { Float16Array: { prototype: infer F extends ArrayBufferView } }
  ? F | Uint16Array
  : Uint16Array;

/** Typed arrays that belong to {@link ElementType}. */
export type ElementData =
  | LatentData
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Float16Data;

/**
 * How a QDQ model quantizes a tensor of int8, uint8, int16 or uint16: value = (element - zeroPoint) * scale. The symbols are
 * element - zeroPoint; decoded to float32 a tensor has the values, decoded to its own type the same elements.
 */
export interface Affine {
  /** The step of the prior must be the same number: RangeError otherwise. */
  scale: number;
  /** An element of the tensor's type. Default 0. */
  zeroPoint?: number | undefined;
}

/**
 * A Uint8Array over an ArrayBuffer, not a SharedArrayBuffer: `fetch`, `Blob`, `Response` and `WebSocket` take it.
 * TypeScript 5.9 and later want to see that in the type. Before 5.7 it is plain Uint8Array.
 */
export type Bytes = ReturnType<Uint8Array["slice"]>;

/** `WebAssembly.Module`; `object` where the program's types lack it, as Node's do without the library `dom`. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/**
 * Any tensor of any ONNX runtime, by structure: `onnxruntime-node`, `onnxruntime-web` and plain objects alike.
 * `data` must be readable on the CPU; see `latentwire/onnx` for GPU tensors.
 */
export interface TensorLike {
  readonly type: string;
  readonly dims: readonly number[];
  /** A typed array. The type is unknown because each runtime declares another union here. */
  readonly data: unknown;
}

/**
 * Part of a tensor, or a tensor in another order, without a copy: element `(i, j, ..)` is `data[offset + i * strides[0]
 * + j * strides[1] + ..]`. Made by `channels`, `checkerboardHalf`, `permute`, or by hand.
 */
export interface TensorView extends TensorLike {
  /** For each dimension: how far apart neighbours are in `data`, in elements. Integers, as many as `dims`. */
  readonly strides: readonly number[];
  /** Where element (0, 0, ..) is in `data`. Default 0. */
  readonly offset?: number;
}

/**
 * A tensor the codec returns. `session.run` of `onnxruntime-node` and `onnxruntime-web` takes it as it is. Their
 * TypeScript types want a Tensor of their own: `new Tensor(latent.type, latent.data, latent.dims)`, which copies
 * nothing.
 */
export interface Latent<D extends ElementData = ElementData> {
  readonly type: ElementType;
  readonly dims: number[];
  readonly data: D;
  /** Where `data` is. ONNX runtimes refuse a tensor that does not say so. */
  readonly location: "cpu";
}

/** JSON form of a table; docs/format.md section 5. */
export interface TableJson {
  readonly format?: "latentwire-tables";
  readonly version?: 1;
  /** int32 value of the first entry of each row. */
  readonly offsets: readonly number[];
  /** One ascending list 0 .. 65536 per row; the last entry is the escape. */
  readonly cdfs: readonly (readonly number[])[];
  /** One float32 per row. */
  readonly medians?: readonly number[];
}

/** A table loaded into a codec. To move one to a Worker, send `bytes()`. */
export interface Table {
  /** Number of rows. */
  readonly rows: number;
  /** 16 hex digits that identify the table; docs/format.md section 5. */
  readonly fingerprint: string;
  /** One per row: a factorized prior subtracts it before quantizing. Undefined where the table has none. */
  readonly medians: Float32Array | undefined;
  /** The canonical binary form. */
  bytes(): Bytes;
  /** The JSON form; `JSON.stringify` calls this. */
  toJSON(): TableJson;
}

/** What the codec accepts as a table: a loaded one, its JSON form or its binary form. */
export type TableSource = Table | TableJson | Uint8Array | ArrayBuffer;

/** How a factorized prior reads a latent. */
export interface FactorizedOptions {
  /** The dimension that selects the row, 0 to 6. Default 1 (NCHW); 0 where the rank is 1. */
  axis?: number | undefined;
  /** Quantization step, a positive float32 of at most 2^94. Default 1. */
  step?: number | undefined;
}

/** How a context prior is made: its table, and as of {@link FactorizedOptions}. */
export interface ContextOptions extends FactorizedOptions {
  /** A row per channel, as of `factorized`. */
  table: TableSource;
}

/** How a context prior is made over rows that each symbol is given. */
export interface GivenContextOptions {
  /** From `gaussian` or `indexed` of the same codec: each symbol's row, mean and step. */
  over: Prior;
  /** The dimension of the channels, 0 to 6. Default 1 (NCHW); 0 where the rank is 1. */
  axis?: number | undefined;
}

/** How a latent is quantized where each symbol has a row of its own: symbol = round((y - mean) / step). */
export interface IndexedOptions {
  /** The mean of every element, as many as the latent has. Default: none is subtracted. */
  means?: Float32Array | TensorLike | TensorView | undefined;
  /** Quantization step, a positive float32 of at most 2^94. Default 1. */
  step?: number | undefined;
}

/** Which row belongs to which scale, and how the latent is quantized. */
export interface GaussianOptions extends IndexedOptions {
  /** A table whose row j belongs to the j-th scale; default the stock 64-scale Gaussian table. */
  table?: TableSource | undefined;
  /** Ascending float32 scales, one per row of `table`; default CompressAI's 64. */
  scaleTable?: Float32Array | undefined;
}

/**
 * Says which row codes which symbol, and how elements become symbols.
 * Use it with the codec that made it.
 */
export interface Prior {
  readonly kind: "factorized" | "gaussian" | "indexed" | "mixture" | "context";
  /** The rows. A mixture has none; its table is that of the 64 scales to which its scales are rounded. */
  readonly table: Table;
  /** Quantization step: a positive float32 of at most 2^94. */
  readonly step: number;
}

/**
 * Number of coder states that run side by side in a native stream. More are faster and cost a few bytes; docs/format.md
 * section 3.2.
 */
export type Lanes = 1 | 8 | 16 | 32;

/** Which stream is written, and what stands around it. */
export interface EncodeOptions {
  /** `native` (default) or `compressai`, byte for byte what CompressAI's rANS coder writes. */
  stream?: "native" | "compressai" | undefined;
  /**
   * `packet` (default): stores shape, fingerprint of the prior and checksum. `compact`: one byte, and a check of prior,
   * shape and bytes; the reader must know prior and shape. `none`: `compact` without a check, or with `stream:
   * "compressai"` the stream alone, which is CompressAI's string.
   */
  header?: "packet" | "compact" | "none" | undefined;
  /** Lane count of the native stream. `auto` (default) weighs size against speed. */
  lanes?: Lanes | "auto" | undefined;
  /**
   * Append a check of 4 bytes, XXH32. Default true. With `compact`, 2 makes it 2 bytes: one damaged packet in 65,536
   * then passes.
   */
  checksum?: boolean | 2 | 4 | undefined;
  /**
   * Store 4 bytes that identify what the packet is coded with: tables, axes, steps and what is subtracted. Default true.
   * Only with `header: "packet"`.
   */
  fingerprint?: boolean | undefined;
  /** Takes the packet; the result is a view of it. RangeError if it is too small. */
  out?: Uint8Array | undefined;
  /** Of a latent of quantized elements: subtracts its zero point. The decoder is given the same. */
  affine?: Affine | undefined;
  /** Most bytes of the packet. `LIMIT_EXCEEDED` where no prior gives so few; the message says how many it takes. */
  maxBytes?: number | undefined;
}

/** What a packet is decoded to, and how it was encoded. */
export interface DecodeOptions<T extends ElementType = ElementType> {
  /** `float32` (default), `float16` and `float64` dequantize; an integer type or `bool` returns the symbols. */
  type?: T | undefined;
  /**
   * Takes the elements; it must have room for them, and share no memory with scales, means or weights except each element at its own
   * place (RangeError). After an error it holds anything.
   */
  out?: ElementData | undefined;
  /** As the encoder was given. With the latent's own `type` the same elements come back. */
  affine?: Affine | undefined;
  /**
   * Shape. Needed with `header: "compact"` and `"none"`. For a packet: the shape you expect; another one is
   * `SHAPE_MISMATCH`.
   */
  dims?: readonly number[] | undefined;
  /** With `header: "none"`: `compressai` for CompressAI's stream alone. Default `native`. */
  stream?: "native" | "compressai" | undefined;
  /** As it was encoded. Default `packet`. */
  header?: "packet" | "compact" | "none" | undefined;
  /** As it was encoded with `compact`: `true` or 4 (default), 2, or `false`. */
  checksum?: boolean | 2 | 4 | undefined;
  /** Most elements of a packet; more are refused before memory is taken. Default 2^24. */
  maxElements?: number | undefined;
  /**
   * Most symbols that may be coded under a context prior; more are refused before memory is taken. Such a symbol takes
   * about a hundred times the work of another. It bounds memory, too: a part under a context may take 256 bytes for each
   * symbol of the limit and 4 MiB besides. Default 2^20.
   */
  maxContextElements?: number | undefined;
}

/** Typed arrays by the {@link ElementType} they belong to. */
export interface ArrayByType {
  float32: Float32Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  float16: Float16Data;
  float64: Float64Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/** What `quantize` returns: by default a new int32 array. */
export interface QuantizeOptions {
  /** Type of the symbols. Default `int32`. A symbol that it cannot hold is `OUT_OF_RANGE`. */
  type?: "int32" | "int16" | "int8" | undefined;
  /** Takes the symbols: an array of `type`, at least as long as the latent. */
  out?: Int32Array | Int16Array | Int8Array | undefined;
}

/** What `codec.inspect` reads from a packet without its priors. */
export interface PacketInfo {
  readonly version: number;
  /** Number of parts; `encode` writes one. */
  readonly parts: number;
  /** Shape of the only part; undefined with several. */
  readonly dims: number[] | undefined;
  /** The shape of the only part. Of several parts: the shapes of the factorized ones, in order. */
  readonly shapes: number[][];
  /** Symbols of all parts. */
  readonly elements: number;
  readonly stream: "native" | "compressai";
  readonly lanes: Lanes;
  readonly escapes: boolean;
  /** Number of scales (or parameters of mixtures) that the packet lists because of a guard. */
  readonly corrections: number;
  readonly indexChecks: boolean;
  /**
   * Numbers, from 0, of the parts that have a context prior and do not use it: their encoder took the static rows, which
   * needed fewer bits. Which of the other parts have a context prior is not in the packet.
   */
  readonly staticParts: number[];
  /** 8 hex digits that identify the priors of all parts; undefined if the packet has none. */
  readonly fingerprint: string | undefined;
  readonly checksum: "valid" | "invalid" | "absent";
  readonly headerBytes: number;
  readonly streamBytes: number;
  readonly totalBytes: number;
}

/** Parameters of CompressAI's EntropyBottleneck (Balle et al. 2018, appendix 6.1), row-major float32. */
export interface FactorizedParameters {
  /** Per layer i: C x filters[i+1] x filters[i]. */
  matrices: readonly Float32Array[];
  /** Per layer: C x filters[i+1] x 1. */
  biases: readonly Float32Array[];
  /** Per layer but the last: C x filters[i+1] x 1. */
  factors: readonly Float32Array[];
  /** C x 1 x 3: lower quantile, median, upper quantile. */
  quantiles: Float32Array;
}

/**
 * The parameters of a mixture of K components, [K, C, H, W]: component k of element i is at `k * n + i`, where n is the
 * number of elements.
 */
export interface MixtureParameters {
  /** Relative weights, 0 .. 1 (more counts as 1, less as 0); they need not sum to 1. Left out: all are 1. */
  weights?: Float32Array | TensorLike | TensorView | undefined;
  means: Float32Array | TensorLike | TensorView;
  scales: Float32Array | TensorLike | TensorView;
}

/** How a mixture's rows are made; docs/format.md section 9. */
export interface MixtureOptions {
  /** Number of components, 1 .. 16. Default 1. */
  components?: number | undefined;
  /** Distribution of a component. Default `gaussian`. */
  kind?: "gaussian" | "laplace" | "logistic" | undefined;
  /** Smallest and largest symbol that needs no escape. Default [-128, 127]. */
  support?: readonly [number, number] | undefined;
  /**
   * Shape of the part. Needed where it does not follow from the shape of the parameters: [K, C, H, W] or [1, K * C, H,
   * W].
   */
  dims?: readonly number[] | undefined;
}

/**
 * How far the parameters of two machines may differ; docs/determinism.md. A difference is covered if it is at most
 * `relative * |value| + absolute`. For networks of onnxruntime or torch on CPUs take 1e-5 for both.
 */
export interface Guard {
  /**
   * Largest relative difference of two scales (and of a mixture's weights and means). Default 0. Less than 0.0307 for
   * CompressAI's 64 scales.
   */
  relative?: number | undefined;
  /** Largest absolute difference of the same. Default 0. Less than 0.0035 for CompressAI's 64 scales. */
  absolute?: number | undefined;
}

/** How a packet of several parts is written. */
export interface WriterOptions extends Pick<EncodeOptions, "header" | "lanes" | "checksum" | "fingerprint"> {
  /**
   * `packet` (default): one packet. `strings`: one CompressAI string per part, as its `compress()` returns. Strings
   * have no guard and no checks. They decode only where both ends have equal scales, which networks in two runtimes do
   * not give (docs/compressai.md).
   */
  format?: "packet" | "strings" | undefined;
  /**
   * How far the scales (and a mixture's weights and means) of writer and reader may differ: a relative bound, or a
   * relative and an absolute one. Within it the reader decodes the same symbols. Default 0. `write` throws RangeError
   * for a bound that is too wide for the table's scales or for a mixture's means.
   */
  guard?: number | Guard | undefined;
  /**
   * Store two bytes per part by which a reader finds that its rows are not the writer's, before it returns a symbol
   * (`MODEL_MISMATCH`). Default: true with a guard.
   */
  indexChecks?: boolean | undefined;
}

/** How a packet of several parts is read. The limits are for all parts of a packet together. */
export interface ReaderOptions
  extends Pick<DecodeOptions, "maxElements" | "maxContextElements" | "header" | "checksum"> {}

/** Where dequantized elements go: a float32 array as long as the part, or a view of one. */
export type PartTarget = Float32Array | TensorView;

/** Whether `write` returns what the reader will see. That takes about as long as the rest of the call. */
export interface WriteOptions {
  /** Returns the dequantized part as a new tensor. Default false. */
  dequantize?: boolean | undefined;
  /**
   * Takes the dequantized part, and implies `dequantize`. May be the latent's own memory, each element at its own place; RangeError
   * where it shares memory with latent, scales, means or weights in another way.
   */
  out?: PartTarget | undefined;
  /** As of {@link EncodeOptions}. */
  affine?: Affine | undefined;
}

/** What a part is read as. */
export interface ReadOptions<T extends ElementType = ElementType> {
  /** As of {@link DecodeOptions}. */
  type?: T | undefined;
  /** Takes the elements. A view must be float32, and `type` must be float32 with it. */
  out?: ArrayByType[T] | TensorView | undefined;
  /** As of {@link DecodeOptions}. */
  affine?: Affine | undefined;
  /**
   * Shape. Needed where neither prior nor packet holds it: factorized parts of `strings`, priors made of plain arrays.
   */
  dims?: readonly number[] | undefined;
}

/** What all pieces of a sequence share. */
export interface SequenceOptions extends Pick<GaussianOptions, "table" | "scaleTable" | "step"> {}

/** One part, written piece by piece: an autoregressive prior's pixels. */
export interface SequenceWriter {
  /**
   * Quantizes and keeps `values.length` elements. `out` gets what the reader will see. Allocates nothing but room for
   * the symbols.
   *
   * @param means - undefined for zero means; given with every piece or with none.
   */
  next(values: Float32Array, scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void;
  /** Ends the part. The next `write` or `sequence` does it as well. */
  end(): void;
}

/** One part, read piece by piece. The pieces may be cut in another way than they were written. */
export interface SequenceReader {
  /** Decodes `scales.length` elements into `out`. Allocates nothing. */
  next(scales: Float32Array, means: Float32Array | undefined, out: Float32Array): void;
  /** Ends the part. @throws CodecError `MODEL_MISMATCH` if the part's index check does not fit. */
  end(): void;
}

/** Collects parts and writes one packet. */
export interface PartWriter {
  /**
   * Adds a part: float32 elements are quantized, integers are symbols.
   *
   * @returns nothing, or with `dequantize` or `out` what the reader's `read` returns, in float32.
   * @throws CodecError `SHAPE_MISMATCH`, `NON_FINITE`, `OUT_OF_RANGE`, `LIMIT_EXCEEDED`; the writer stays as it was.
   */
  write(latent: TensorLike | TensorView, prior: Prior, options: { out: TensorView }): TensorView;
  /** Adds a part and returns what the reader will see. */
  write(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: WriteOptions & ({ out: Float32Array } | { dequantize: true }),
  ): Latent<Float32Array>;
  /** Adds a part. */
  write(latent: TensorLike | TensorView, prior: Prior, options?: WriteOptions): undefined;
  /** Begins a part that is written piece by piece, in the reader's order. */
  sequence(options?: SequenceOptions): SequenceWriter;
  /** The packet. The writer cannot be used afterwards. */
  finish(): Bytes;
  /** With `format: "strings"`: one string per part, in the order written. */
  finishStrings(): Bytes[];
  /** Frees a writer that is not finished. A second call does nothing. */
  close(): void;
  /**
   * Number of scales (or parameters of mixtures) so far that the packet will list because of `guard`, at about two
   * bytes each. 0 without it.
   */
  readonly corrections: number;
}

/** Reads the parts of a packet, in the order in which they were written. */
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
   * @throws As the first form; besides `OUT_OF_RANGE` for a symbol that the type cannot hold.
   */
  read<T extends ElementType>(prior: Prior, options: ReadOptions<T>): Latent<ArrayByType[T]>;
  /** Begins a part that is read piece by piece. */
  sequence(options?: SequenceOptions): SequenceReader;
  /**
   * Symbols that are still to be read. Undefined with strings and compact packets of one part, which do not hold it.
   */
  readonly remaining: number | undefined;
  /**
   * Checks the end of the packet, and frees the reader. What was read may be wrong until this has returned.
   *
   * @throws CodecError `WRONG_PRIOR`, `SHAPE_MISMATCH` where symbols are left, `CORRUPTED`, `TRUNCATED`.
   */
  finish(): void;
  /** Frees the reader without checks. A second call does nothing. */
  close(): void;
}

/** What a latent costs under a prior. */
export interface Rate {
  readonly symbols: number;
  /** Ideal code length: the sum of -log2(freq / 65536), and 8 bits for every byte of an escape. */
  readonly bits: number;
  readonly escapes: number;
  /** Along `axis`. */
  readonly channels?: { readonly bits: Float64Array; readonly escapes: Uint32Array };
  /** A sentence, if the table does not fit the latent. */
  readonly warning?: string;
}

/** How a rate is broken down. */
export interface RateOptions {
  /** Dimension to report along, e.g. 1 for the channels of NCHW. Default: only the total. */
  axis?: number | undefined;
  /** As of {@link EncodeOptions}. */
  affine?: Affine | undefined;
}

/** The codec. All methods are synchronous; a failed call leaves it usable. */
export interface Codec {
  /** The build that runs. */
  readonly build: BuildName;
  /** Whether it is the one with SIMD. */
  readonly simd: boolean;
  /**
   * Gives back memory that a large call took. Tables, priors, readers, writers and sequences stay as they are. Wasm
   * memory cannot shrink, so the codec goes on in a new instance of its module, and the engine collects the old one. That
   * takes about 0.1 ms, and nothing is done for less than 1 MB. What lies below something that is still in use stays.
   */
  trim(): void;
  /**
   * Loads and checks a table. The same bytes are loaded once.
   *
   * @throws CodecError `INVALID_TABLE`, `UNSUPPORTED_VERSION`, `LIMIT_EXCEEDED`; TypeError for what is no table.
   */
  table(source: TableSource): Table;
  /**
   * A row per channel, its median subtracted: the factorized prior (Balle et al. 2018; FrankenSplit). Throws what `table`
   * throws; RangeError for an axis or a step that is none.
   */
  factorized(table: TableSource, options?: FactorizedOptions): Prior;
  /**
   * A factorized prior whose rows follow from symbols that are already decoded: fewer bytes for the same latent, at
   * about a hundred times the work (docs/context.md). `parameters` come from `latentwire tables fit --context`, in a
   * bundle. Where the rows of the table alone take fewer bytes, `encode` uses these. The same for the scales of a
   * hyperprior: `{ over: codec.gaussian(scales, { means }) }`, with parameters that were fitted to such latents. Throws
   * `INVALID_CONTEXT`, `SHAPE_MISMATCH`; TypeError where the parameters are for the other of the two.
   */
  context(parameters: Uint8Array, options: ContextOptions | GivenContextOptions): Prior;
  /**
   * A row per symbol, chosen by its scale: scale and mean-scale hyperpriors. A scale below the lowest of the table, also
   * one below 0, takes the lowest row, as CompressAI's bound does; one above the highest takes the highest row. Minus
   * infinity and infinity do the same. A NaN is `NON_FINITE` when a latent is coded.
   */
  gaussian(scales: Float32Array | TensorLike | TensorView, options?: GaussianOptions): Prior;
  /**
   * A row per symbol, given directly: `rows` has as many integers, from 0 to the table's last row, as the latent has
   * elements. Throws what `table` throws; RangeError for a row that the table has not.
   */
  indexed(table: TableSource, rows: ArrayLike<number>, options?: IndexedOptions): Prior;
  /**
   * A mixture of distributions per symbol. Its row is made at run time: docs/format.md section 9. Throws `SHAPE_MISMATCH`
   * where weights, means and scales differ in shape; RangeError for a wrong option.
   */
  mixture(parameters: MixtureParameters, options?: MixtureOptions): Prior;
  /**
   * Codes a latent: floats are quantized first (docs/format.md section 6), integers are symbols already.
   *
   * @param latent - of any {@link ElementType}; rank 1 to 7, row-major; the shape must be one the prior fits.
   * @param prior - a prior, or with `maxBytes` a ladder of them, from fine to coarse: the first whose packet fits is taken.
   * @returns the packet, a new array or a view of `options.out`.
   * @throws CodecError `SHAPE_MISMATCH`, `NON_FINITE`, `OUT_OF_RANGE`, `LIMIT_EXCEEDED`; TypeError or RangeError for a wrong argument.
   */
  encode(
    latent: TensorLike | TensorView,
    prior: Prior | readonly Prior[],
    options?: EncodeOptions & { out?: never },
  ): Bytes;
  /** With `out`: the packet is a view of it. */
  encode(latent: TensorLike | TensorView, prior: Prior | readonly Prior[], options?: EncodeOptions): Uint8Array;
  /**
   * Decodes what `encode` returned, with an equal prior, or with an equal ladder: the packet says which of its priors.
   *
   * @returns float32, dequantized; or, with `type`, the symbols.
   * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`, `WRONG_PRIOR`, `SHAPE_MISMATCH`, `LIMIT_EXCEEDED`, or `OUT_OF_RANGE` where
   * `type` cannot hold a symbol; TypeError or RangeError for a wrong argument.
   */
  decode<T extends ElementType = "float32">(
    packet: Uint8Array | ArrayBuffer,
    prior: Prior | readonly Prior[],
    options?: DecodeOptions<T>,
  ): Latent<ArrayByType[T]>;
  /**
   * Reads what a packet says about itself; no prior is needed. A wrong checksum is in the result, and is not thrown.
   *
   * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED` or `CORRUPTED` if the header cannot be read, `LIMIT_EXCEEDED` for more than 65,536
   * shapes.
   */
  inspect(packet: Uint8Array | ArrayBuffer): PacketInfo;
  /**
   * Judges a full packet, or the first bytes of one while the rest is on its way. It looks at the magic, at the numbers in the first 64 bytes (which bound the
   * length: docs/format.md 2.6) and, if all bytes are there, at the checksum. It decodes nothing, and takes no memory.
   *
   * @param bytes - All bytes of the packet, or at least its first 64.
   * @param totalBytes - Bytes of the whole packet. Default: `bytes` is all of it.
   * @returns undefined if nothing is wrong. Otherwise `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED` or `CORRUPTED`, the last one also for a packet without a
   * checksum: nothing vouches for its bytes.
   * @throws RangeError if `bytes` are fewer than 64 of more, or `totalBytes` is less than their number.
   */
  judge(bytes: Uint8Array | ArrayBuffer, totalBytes?: number): ErrorCode | undefined;
  /**
   * float32 latent -> symbols of the same shape, as `encode` makes them.
   *
   * @throws CodecError `SHAPE_MISMATCH`, `NON_FINITE`, `OUT_OF_RANGE`; TypeError or RangeError for a wrong argument.
   */
  quantize(latent: TensorLike | TensorView, prior: Prior, options?: QuantizeOptions): Latent<LatentData>;
  /**
   * Symbols -> float32 of the same shape, as `decode` makes them. `out` takes the elements.
   *
   * @throws CodecError `SHAPE_MISMATCH`; TypeError or RangeError for a wrong argument.
   */
  dequantize(symbols: TensorLike | TensorView, prior: Prior, options?: { out?: Float32Array }): Latent<Float32Array>;
  /**
   * CompressAI's pmf_to_quantized_cdf: probabilities -> pmf.length + 1 ascending integers from 0 to 2^precision.
   *
   * @param precision - 1 to 16. Default 16, that of every table.
   * @throws CodecError `INVALID_PMF` where a probability is negative or not finite, or there are more than 2^precision;
   * TypeError or RangeError for a wrong argument.
   */
  quantizedCdf(pmf: Float32Array, precision?: number): Uint32Array;
  /**
   * Gaussian rows for scales, which are standard deviations in quantization steps: positive, ascending, at most 5,000;
   * default CompressAI's 64. Throws RangeError for other scales.
   */
  gaussianTable(scales?: Float32Array): Table;
  /**
   * A factorized prior's rows, with medians, from its parameters. Throws RangeError where their lengths contradict each
   * other.
   */
  factorizedTable(parameters: FactorizedParameters): Table;
  /** As `gaussianTable`: Laplace rows (density exp(-|x| / b) / 2b) for scales b of at most 1,500. */
  laplaceTable(scales?: Float32Array): Table;
  /** As `gaussianTable`: logistic rows (distribution 1 / (1 + exp(-x / s))) for scales s of at most 1,500. */
  logisticTable(scales?: Float32Array): Table;
  /**
   * Begins a packet of several parts: hyperpriors, channel groups, autoregressive priors. Throws TypeError or RangeError
   * for a wrong option.
   */
  writer(options?: WriterOptions): PartWriter;
  /**
   * Opens a packet of any number of parts, or CompressAI's strings.
   *
   * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`, `LIMIT_EXCEEDED`.
   */
  reader(packet: Uint8Array | ArrayBuffer | readonly Uint8Array[], options?: ReaderOptions): PartReader;
  /**
   * The ideal code length of a latent, without encoding it. Throws what `encode` throws for the latent; RangeError for an
   * axis that it has not.
   */
  rate(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: { axis: number },
  ): Rate & Required<Pick<Rate, "channels">>;
  /** Without `axis`: the total alone. */
  rate(latent: TensorLike | TensorView, prior: Prior, options?: RateOptions): Rate;
}

/** The builds of the codec: WebAssembly with SIMD, WebAssembly without, and plain JavaScript. All write the same bytes. */
export type BuildName = "simd" | "scalar" | "javascript";

/** A build as a value: `scalar` of `latentwire/scalar`, `javascript` of `latentwire/javascript`. */
export interface Build {
  readonly name: BuildName;
  /** WebAssembly as text. For the codec's own use. */
  readonly text?: string;
  /** Makes the functions of one codec. For the codec's own use. */
  readonly instantiate?: () => object;
}

/** Which build runs, and where it comes from. */
export interface CreateOptions {
  /**
   * A build, by name or by value. Default: the best that the engine can run: `simd`, `scalar` without SIMD, `javascript`
   * without WebAssembly. `create` loads the last two with `import()`. Where there is no `import()` (`createSync`, Service
   * Workers, AudioWorklets) pass them by value.
   */
  build?: BuildName | Build | undefined;
  /**
   * `codec.wasm` or `codec.scalar.wasm`, compiled or as bytes, instead of a build: for Workers, and for hosts that forbid
   * compiling at run time.
   */
  module?: WasmModule | ArrayBufferView | ArrayBuffer | undefined;
}

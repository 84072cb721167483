/**
 * Element types a latent may have. `float32` is quantized by the codec; the integer types hold symbols.
 */
export type LatentType = "float32" | "int32" | "int16" | "int8";

/** Typed arrays that belong to {@link LatentType}. */
export type LatentData = Float32Array | Int32Array | Int16Array | Int8Array;

/**
 * A Uint8Array over an ArrayBuffer of its own: what `fetch`, `Blob`, `Response` and `WebSocket` take. TypeScript 5.9 and later ask for that;
 * before 5.7 it is plain Uint8Array.
 */
export type Bytes = ReturnType<Uint8Array["slice"]>;

/** `WebAssembly.Module` where the program's types have it: those of Node alone, without the library `dom`, have not. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/**
 * Any tensor of any ONNX runtime, by structure: `onnxruntime-node`, `onnxruntime-web` and plain objects alike.
 * `data` must be readable on the CPU; see `latentwire/onnx` for GPU tensors.
 */
export interface TensorLike {
  readonly type: string;
  readonly dims: readonly number[];
  /** Typed as unknown because each runtime declares a different union here. */
  readonly data: unknown;
}

/** A tensor the codec returns; `session.run` of every ONNX runtime accepts it once wrapped in the runtime's own Tensor. */
export interface Latent<D extends LatentData = LatentData> {
  readonly type: LatentType;
  readonly dims: number[];
  readonly data: D;
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

/** A table loaded into a codec. Plain data: to move one to a Worker send `bytes()`. */
export interface Table {
  /** Number of rows. */
  readonly rows: number;
  /** 16 hex digits that identify the table; docs/format.md section 5. */
  readonly fingerprint: string;
  readonly medians: Float32Array | undefined;
  /** The canonical binary form. */
  bytes(): Bytes;
  /** The JSON form, so that `JSON.stringify` writes it. */
  toJSON(): TableJson;
}

/** What `codec.factorized`, `codec.gaussian` and `codec.indexed` accept as a table. */
export type TableSource = Table | TableJson | Uint8Array;

/** How a factorized prior reads a latent. */
export interface FactorizedOptions {
  /** The dimension that selects the row. Default 1 (NCHW); 0 where the rank is 1. */
  axis?: number;
  /** Quantization step, a positive float32. Default 1. */
  step?: number;
}

/** What is subtracted and divided by, where rows are given per symbol. */
export interface IndexedOptions {
  /** Mean of every symbol, as many as the latent has elements; default 0. */
  means?: Float32Array | TensorLike;
  /** Quantization step, a positive float32. Default 1. */
  step?: number;
}

/** Which rows belong to which scales. */
export interface GaussianOptions extends IndexedOptions {
  /** A table whose row j belongs to the j-th scale; default the stock 64-scale Gaussian table. */
  table?: TableSource;
  /** Ascending float32 scales, one per row of `table`; default CompressAI's 64. */
  scaleTable?: Float32Array;
}

/**
 * Says which row codes which symbol and what is subtracted before quantizing.
 * Made by a codec and used with the codec that made it.
 */
export interface Prior {
  readonly kind: "factorized" | "gaussian" | "indexed";
  readonly table: Table;
  readonly step: number;
}

/** Interleaved states of the native stream: more are faster and cost a few bytes; docs/format.md section 3.2. */
export type Lanes = 1 | 8 | 16 | 32;

/** Which stream is written and how much is written around it. */
export interface EncodeOptions {
  /** `native` (default) or `compressai`, byte for byte what CompressAI's rANS coder writes. */
  stream?: "native" | "compressai";
  /** `packet` (default) or `none`: the bare stream. */
  header?: "packet" | "none";
  /** Lane count of the native stream. `auto` (default) weighs size against speed. */
  lanes?: Lanes | "auto";
  /** Append XXH32. Default true. */
  checksum?: boolean;
  /** Store 32 bits of the table's fingerprint. Default true. */
  fingerprint?: boolean;
  /** Buffer that takes the packet; the result is a view of it. RangeError if it is too small. */
  out?: Uint8Array;
}

/** What comes out, and what is known of the input beforehand. */
export interface DecodeOptions<T extends LatentType = LatentType> {
  /** `float32` (default) dequantizes; an integer type returns the symbols. */
  type?: T;
  /** Array that takes the elements; its length must be at least their number. After an error its contents are unspecified. */
  out?: LatentData;
  /** Needed for bare streams; for packets, the shape that is expected (`SHAPE_MISMATCH` otherwise). */
  dims?: readonly number[];
  /** For bare streams: which kind. Default `native`. */
  stream?: "native" | "compressai";
  /** `packet` (default) or `none`: the input is a bare stream. */
  header?: "packet" | "none";
  /** More elements than this are refused before anything is allocated. Default 2^24. */
  maxElements?: number;
}

/** Typed arrays by the {@link LatentType} they belong to. */
export interface ArrayByType {
  float32: Float32Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
}

/** {@link EncodeOptions} of every item; `out` has a buffer for each. */
export interface EncodeBatchOptions extends Omit<EncodeOptions, "out"> {
  out?: readonly Uint8Array[];
}

/** {@link DecodeOptions} of every item; `out` has an array for each. */
export interface DecodeBatchOptions<T extends LatentType = LatentType> extends Omit<DecodeOptions<T>, "out"> {
  out?: readonly LatentData[];
}

/** What symbols are returned as; default a new int32 array. */
export interface QuantizeOptions {
  type?: "int32" | "int16" | "int8";
  out?: Int32Array | Int16Array | Int8Array;
}

/** What `inspect` reads from a packet without its table. */
export interface PacketInfo {
  readonly version: number;
  readonly stream: "native" | "compressai";
  readonly dims: number[];
  readonly elements: number;
  readonly lanes: Lanes;
  readonly layout: "continuous" | "runs";
  readonly escapes: boolean;
  /** 8 hex digits, the low half of the table's fingerprint, or undefined. */
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

/** The codec. All methods are synchronous; a failed call leaves it usable. */
export interface Codec {
  /** Which build runs. */
  readonly simd: boolean;
  /** Loads and validates a table; JSON or binary form. Throws `INVALID_TABLE`. The same bytes are loaded once. */
  table(source: TableSource): Table;
  /** A row per channel, its median subtracted: the factorized prior (Balle et al. 2018; FrankenSplit). */
  factorized(table: TableSource, options?: FactorizedOptions): Prior;
  /** A row per symbol, chosen by its scale: scale and mean-scale hyperpriors. */
  gaussian(scales: Float32Array | TensorLike, options?: GaussianOptions): Prior;
  /** A row per symbol, given directly. */
  indexed(table: TableSource, rows: ArrayLike<number>, options?: IndexedOptions): Prior;
  /**
   * Codes a latent: float32 is quantized first (docs/format.md section 6), integers are symbols already.
   *
   * @param latent - rank 1 to 7, row-major; the shape must be one the prior fits.
   * @returns the packet, a new array or a view of `options.out`.
   * @throws CodecError `SHAPE_MISMATCH`, `NON_FINITE`, `OUT_OF_RANGE`, `LIMIT_EXCEEDED`; TypeError or RangeError for an argument that is none of what it should be.
   */
  encode(latent: TensorLike, prior: Prior, options?: EncodeOptions & { out?: never }): Bytes;
  /** Into `out`, over whatever memory that is. */
  encode(latent: TensorLike, prior: Prior, options?: EncodeOptions): Uint8Array;
  /**
   * Decodes what `encode` returned, with an equal prior.
   *
   * @returns float32, dequantized; or, with `type`, the symbols.
   * @throws CodecError `NOT_A_PACKET`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`, `WRONG_TABLES`, `SHAPE_MISMATCH`, `LIMIT_EXCEEDED`, or `OUT_OF_RANGE` where
   * `type` cannot hold a symbol; TypeError or RangeError for an argument that is none of what it should be.
   */
  decode(packet: Uint8Array, prior: Prior, options?: DecodeOptions<"float32">): Latent<Float32Array>;
  /** Symbols as int32. */
  decode(packet: Uint8Array, prior: Prior, options: DecodeOptions<"int32">): Latent<Int32Array>;
  /** Symbols as int16. */
  decode(packet: Uint8Array, prior: Prior, options: DecodeOptions<"int16">): Latent<Int16Array>;
  /** Symbols as int8. */
  decode(packet: Uint8Array, prior: Prior, options: DecodeOptions<"int8">): Latent<Int8Array>;
  /** A type that is known only at run time. */
  decode(packet: Uint8Array, prior: Prior, options?: DecodeOptions): Latent;
  /**
   * `encode` for each latent, in order: for convenience, it is as fast as a loop. The packets are independent of each other.
   *
   * @param prior - one for all, or as many as there are latents.
   * @throws what `encode` throws for the first item that cannot be coded, its message preceded by `latents[i]:`.
   */
  encodeBatch(
    latents: readonly TensorLike[],
    prior: Prior | readonly Prior[],
    options?: EncodeBatchOptions & { out?: never },
  ): Bytes[];
  /** Into the buffers of `out`. */
  encodeBatch(
    latents: readonly TensorLike[],
    prior: Prior | readonly Prior[],
    options?: EncodeBatchOptions,
  ): Uint8Array[];
  /**
   * `decode` for each packet, in order.
   *
   * @param prior - one for all, or as many as there are packets.
   * @throws what `decode` throws for the first packet that cannot be decoded, its message preceded by `packets[i]:`.
   */
  decodeBatch<T extends LatentType = "float32">(
    packets: readonly Uint8Array[],
    prior: Prior | readonly Prior[],
    options?: DecodeBatchOptions<T>,
  ): Latent<ArrayByType[T]>[];
  /** float32 latent -> symbols, as `encode` does it. */
  quantize(latent: TensorLike, prior: Prior, options?: QuantizeOptions): Latent;
  /** Symbols -> float32, as `decode` does it. */
  dequantize(symbols: TensorLike, prior: Prior, options?: { out?: Float32Array }): Latent<Float32Array>;
  /** CompressAI's pmf_to_quantized_cdf: probabilities -> pmf.length + 1 cumulative frequencies. */
  quantizedCdf(pmf: Float32Array, precision?: number): Uint32Array;
  /** Gaussian rows for ascending scales (default: CompressAI's 64). */
  gaussianTable(scales?: Float32Array): Table;
  /** A factorized prior's rows, with medians, from its parameters. */
  factorizedTable(parameters: FactorizedParameters): Table;
}

/** Which Wasm build runs, and where it comes from. */
export interface CreateOptions {
  /** A compiled module or its bytes, instead of the one inlined in the package: for Workers and for hosts that forbid compiling at run time. */
  module?: WasmModule | ArrayBufferView | ArrayBuffer;
  /** `false` forces the scalar build. Default: SIMD where the engine has it. Ignored with `module`. */
  simd?: boolean;
}

/** The codec: checks arguments, makes priors, encodes and decodes. */
import * as abi from "./abi.js";
import { type Distribution, factorizedRows, quantizedCdf, scaleRows, stockScales } from "./cdfs.js";
import { loadNetwork, type Network } from "./context-parameters.js";
import { checkType, coreOf } from "./elements.js";
import { CodecError, type ErrorCode, shown } from "./errors.js";
import { decodeOf, encodeWithin, isLadder } from "./ladder.js";
import type { Memory } from "./memory.js";
import { checkOptions, type Form, formAndCheck, NONE, writtenForm } from "./options.js";
import {
  checkParameters,
  checkRows,
  checkScales,
  checkStep,
  chunkOf,
  fillPart,
  mixtureSource,
  OwnPrior,
  type PriorSource,
  placeParameters,
  Scales,
  shift,
  zeroPointFor,
} from "./prior.js";
import { isContextRight } from "./proof.js";
import { rateOf } from "./rate.js";
import { inspectPacket, judgeFull, openPacket, Reader, readElements } from "./reader.js";
import { type TableHandle, Tables } from "./tables.js";
import {
  bytesOf,
  checkDims,
  checkFloats,
  floatSpan,
  latentOf,
  newSpan,
  outArray,
  ownDims,
  type Span,
  sameDims,
  spanOf,
} from "./tensor.js";
import type {
  Affine,
  ArrayByType,
  BuildName,
  Bytes,
  Codec,
  ContextOptions,
  DecodeOptions,
  ElementType,
  EncodeOptions,
  FactorizedOptions,
  FactorizedParameters,
  GaussianOptions,
  GivenContextOptions,
  IndexedOptions,
  Latent,
  LatentData,
  LatentType,
  MixtureOptions,
  MixtureParameters,
  PacketInfo,
  PartReader,
  PartWriter,
  Prior,
  QuantizeOptions,
  Rate,
  RateOptions,
  ReaderOptions,
  SequenceOptions,
  Table,
  TableSource,
  TensorLike,
  TensorView,
  WriterOptions,
} from "./types.js";
import { fillWriter, Writer, writerSettings } from "./writer.js";

/** The options of each call, by name. */
export const KNOWN = {
  encode: ["stream", "header", "lanes", "checksum", "fingerprint", "out", "maxBytes", "affine"],
  decode: ["type", "out", "dims", "stream", "header", "checksum", "maxElements", "maxContextElements", "affine"],
  factorized: ["axis", "step"],
  context: ["table", "axis", "step", "over"],
  indexed: ["means", "step"],
  gaussian: ["means", "step", "table", "scaleTable"],
  quantize: ["type", "out"],
  dequantize: ["out"],
} as const;

class CodecImplementation implements Codec {
  readonly #memory: Memory;
  readonly #tables: Tables;
  readonly #scales: Scales;
  #stockTable: TableHandle | undefined;
  #proven = false;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#tables = new Tables(memory);
    this.#scales = new Scales(memory);
  }

  get build(): BuildName {
    return this.#memory.build;
  }

  get simd(): boolean {
    return this.#memory.build === "simd";
  }

  trim(): void {
    this.#memory.trim();
  }

  // ---- tables

  table(source: TableSource): Table {
    return this.#tables.load(source);
  }

  quantizedCdf(pmf: Float32Array, precision = 16): Uint32Array {
    const probabilities = checkFloats(pmf, "pmf");
    if (!Number.isInteger(precision) || precision < 1 || precision > 16)
      throw new RangeError(`precision must be 1 .. 16, not ${shown(precision)}`);
    return quantizedCdf(this.#memory, probabilities, precision);
  }

  gaussianTable(scales?: Float32Array): Table {
    return scales === undefined ? this.#stock() : this.#tableOfScales("gaussian", scales);
  }

  laplaceTable(scales: Float32Array = stockScales): Table {
    return this.#tableOfScales("laplace", scales);
  }

  logisticTable(scales: Float32Array = stockScales): Table {
    return this.#tableOfScales("logistic", scales);
  }

  #tableOfScales(kind: Distribution, scales: Float32Array): TableHandle {
    const values = checkFloats(scales, "scales");
    checkScales(values, values.length, "scales");
    return this.#tables.load(scaleRows(this.#memory, kind, values));
  }

  #stock(): TableHandle {
    this.#stockTable ??= this.#tableOfScales("gaussian", stockScales);
    return this.#stockTable;
  }

  factorizedTable(parameters: FactorizedParameters): Table {
    return this.#tables.load(factorizedRows(this.#memory, parameters));
  }

  // ---- priors

  #prior(kind: Prior["kind"], table: TableHandle, source: Omit<PriorSource, "tableAddress" | "tableRows">): Prior {
    const address = table.addressIn(this.#memory)!;
    return new OwnPrior(this.#memory, kind, table, { ...source, tableAddress: address, tableRows: table.rows });
  }

  factorized(table: TableSource, options: FactorizedOptions = {}): Prior {
    const { axis, step } = checkOptions("factorized", options, KNOWN.factorized);
    return this.#ofChannels("factorized", table, axis, step);
  }

  /** Before the first context: makes sure that this engine computes one rightly. Throws `BUILD_MISSING`. */
  #proveContext(): void {
    if (this.#proven) return;
    // The proof makes a context of its own.
    this.#proven = true;
    if (isContextRight(this)) return;
    this.#proven = false;
    const other = this.simd ? "scalar" : "javascript";
    throw new CodecError(
      "BUILD_MISSING",
      `this engine computes context priors wrongly in the build "${this.build}": create({ build: "${other}" })`,
    );
  }

  context(parameters: Uint8Array, options: ContextOptions | GivenContextOptions = NONE as ContextOptions): Prior {
    const read = checkOptions("context", options as ContextOptions & GivenContextOptions, KNOWN.context);
    const { table, axis, step, over } = read;
    this.#proveContext();
    const network = loadNetwork(this.#memory, parameters);
    if (network.givenRows === 0) {
      if (table === undefined || over !== undefined)
        throw new TypeError(
          "table is missing: codec.context(parameters, { table }), with the table of their fit and without over",
        );
      return this.#ofChannels("context", table, axis, step, network);
    }
    if (over?.kind !== "gaussian" && over?.kind !== "indexed")
      throw new TypeError(
        "over is missing: these parameters are for codec.context(parameters, { over: codec.gaussian(..) }), or over indexed(..)",
      );
    const source = OwnPrior.sourceOf(over, this.#memory);
    if (table !== undefined || step !== undefined) throw new TypeError("table and step are those of over");
    checkAxis(axis);
    if (network.givenRows !== source.tableRows)
      throw new CodecError(
        "SHAPE_MISMATCH",
        `the table has ${source.tableRows} rows, the context prior is for one of ${network.givenRows}`,
      );
    return new OwnPrior(this.#memory, "context", over.table, { ...source, axis, network });
  }

  /** A prior whose rows belong to channels. */
  #ofChannels(
    kind: Prior["kind"],
    table: TableSource,
    axis: number | undefined,
    given: number | undefined,
    network?: Network,
  ): Prior {
    checkAxis(axis);
    const step = checkStep(given);
    const loaded = this.#tables.load(table);
    const centreKind = loaded.medians ? abi.CENTRE_MEDIANS : abi.CENTRE_NONE;
    if (network && network.channels !== loaded.rows)
      throw new CodecError(
        "SHAPE_MISMATCH",
        `the table has ${loaded.rows} rows, the context prior is for ${network.channels} channels`,
      );
    return this.#prior(kind, loaded, { kind: abi.KIND_CHANNELS, centreKind, step, axis, ...(network && { network }) });
  }

  indexed(table: TableSource, rows: ArrayLike<number>, options: IndexedOptions = {}): Prior {
    const { means: given, step: wanted } = checkOptions("indexed", options, KNOWN.indexed);
    const loaded = this.#tables.load(table);
    const step = checkStep(wanted);
    const checked = checkRows(rows, loaded.rows);
    const means = given === undefined ? undefined : floatSpan(given, "means");
    const dims = means && means.n === checked.length ? means.dims : [checked.length];
    const centreKind = means ? abi.CENTRE_MEANS : abi.CENTRE_NONE;
    return this.#prior("indexed", loaded, { kind: abi.KIND_ROWS, centreKind, step, rows: checked, means, dims });
  }

  gaussian(scales: Float32Array | TensorLike | TensorView, options: GaussianOptions = {}): Prior {
    const read = checkOptions("gaussian", options, KNOWN.gaussian);
    const { means: given, step, table: source, scaleTable: own } = read;
    const table = source ? this.#tables.load(source) : own ? this.#tableOfScales("gaussian", own) : this.#stock();
    const scaleTable = own ?? stockScales;
    checkScales(scaleTable, table.rows, "scaleTable");
    const scaleSpan = floatSpan(scales, "scales");
    const means = given === undefined ? undefined : floatSpan(given, "means");
    checkParameters("means", means, scaleSpan);
    return this.#prior("gaussian", table, {
      kind: abi.KIND_SCALES,
      centreKind: means ? abi.CENTRE_MEANS : abi.CENTRE_NONE,
      step: checkStep(step),
      scales: scaleSpan,
      means,
      scalesAddress: this.#scales.load(scaleTable),
      scaleTable,
      dims: scaleSpan.dims,
    });
  }

  mixture(parameters: MixtureParameters, options: MixtureOptions = {}): Prior {
    const stock = this.#stock();
    return new OwnPrior(this.#memory, "mixture", stock, mixtureSource(parameters, options, stock, this.#scales));
  }

  // ---- one tensor

  encode(latent: TensorLike | TensorView, prior: Prior | readonly Prior[], options: EncodeOptions = NONE): Bytes {
    const read = checkOptions("encode", options, KNOWN.encode);
    const { stream, header, lanes, checksum, fingerprint, out, maxBytes, affine } = read;
    const room = out === undefined ? undefined : bytesOf(out, "out");
    if (maxBytes !== undefined || isLadder(prior)) {
      const given = { stream, header, lanes, checksum, fingerprint, maxBytes, affine };
      return encodeWithin(this, latent, prior, given, room);
    }
    const memory = this.#memory;
    const source = OwnPrior.sourceOf(prior, memory);
    const form = writtenForm(header, stream, checksum, lanes, fingerprint);
    if (source.mixture && form.compressai)
      throw new TypeError('a mixture in CompressAI\'s stream: writer({ format: "strings" }) writes it');
    const span = spanOf(latent, "latent");
    shift(span, source, affine);
    // Symbols under a context are coded when all are known. CompressAI's stream has static rows.
    const whole = source.mixture || (source.network && !form.compressai);
    const packet = whole
      ? this.#encodeKept(span, prior, form, affine)
      : this.#encodeChunked(span, prior, source, form, affine);
    if (room === undefined) return packet.slice();
    if (room.length < packet.length)
      throw new RangeError(`out has ${room.length} bytes, the packet needs ${packet.length}`);
    room.set(packet);
    // With `out` the interface says Uint8Array only: its memory may be shared.
    return room.subarray(0, packet.length) as Bytes;
  }

  /** Coding meets the last element first. So after a fault the first one is looked for, by a writer, which begins with it. */
  #encodeChunked(span: Span, prior: Prior, source: PriorSource, form: Form, affine: Affine | undefined): Uint8Array {
    try {
      return this.#encodeInChunks(span, source, form);
    } catch (error) {
      const isElement = (fault: unknown) => /^(NON_F|OUT_OF_R)/.test((fault as CodecError).code);
      try {
        if (isElement(error)) this.#encodeKept(span, prior, form, affine);
      } catch (first) {
        if (isElement(first)) throw first;
      }
      throw error;
    }
  }

  /** A view of the packet, valid until the next call. */
  #encodeInChunks(span: Span, source: PriorSource, form: Form): Uint8Array {
    const memory = this.#memory;
    const { wasm, part } = memory;
    const { n } = span;
    memory.address(wasm.prepareTable(source.tableAddress, 1));
    const writer = wasm.newWriter(0);
    fillWriter(memory, writer, form);
    fillPart(memory, part, source, span.dims, n, span.core);
    const chunk = chunkOf(source, n);
    memory.check(wasm.beginEncode(writer, part, n, chunk));
    for (;;) {
      let code = 0;
      // The last chunk first, because the last symbol is coded first.
      for (let to = n; to > 0 && code === 0; ) {
        const from = Math.floor((to - 1) / chunk) * chunk;
        placeParameters(memory, part, source, from, to);
        memory.place(span, memory.word(part, abi.PART_AT_ELEMENTS), from, to);
        code = wasm.encodeChunk(writer, part, from, to);
        to = from;
      }
      if (code === 0) code = wasm.endEncode(writer);
      if (code === abi.AGAIN) continue;
      memory.check(code);
      const start = memory.word(writer, abi.WRITER_START);
      return memory.u8.subarray(start, start + memory.word(writer, abi.WRITER_LENGTH));
    }
  }

  /** Writes a part that cannot be coded chunk by chunk. */
  #encodeKept(span: Span, prior: Prior, form: Form, affine: Affine | undefined): Uint8Array {
    const writer = new Writer(this.#memory, { form, margins: undefined, hashed: false }, (sequence) =>
      this.#sequencePrior(sequence),
    );
    try {
      writer.write(span as TensorLike, prior, { affine });
      return writer.finish();
    } finally {
      writer.close();
    }
  }

  decode<T extends ElementType = "float32">(
    packet: Uint8Array | ArrayBuffer,
    prior: Prior | readonly Prior[],
    options: DecodeOptions<T> = NONE,
  ): Latent<ArrayByType[T]> {
    const read = checkOptions("decode", options, KNOWN.decode);
    const { type = "float32" as ElementType, out: room, dims: given, stream, header, checksum } = read;
    const { maxElements, maxContextElements, affine } = read;
    if (isLadder(prior)) {
      const rest = { type, out: room, dims: given, stream, header, checksum, maxElements, maxContextElements, affine };
      return decodeOf(this, bytesOf(packet, "packet"), prior, rest as DecodeOptions) as Latent<ArrayByType[T]>;
    }
    const memory = this.#memory;
    const { wasm, part } = memory;
    const source = OwnPrior.sourceOf(prior, memory);
    const zeroPoint = zeroPointFor(source, affine, checkType(type));
    const expected = given && ownDims(given);
    const bytes = bytesOf(packet, "packet");
    if (source.tableAddress) memory.address(wasm.prepareTable(source.tableAddress, 0));
    const { form, check } = formAndCheck(header, stream, checksum);
    const count = expected && checkDims(expected);
    const reader = openPacket(memory, bytes, { form, check, maxElements, maxContextElements, isKept: false, count });
    let dims = expected;
    if (memory.word(reader, abi.READER_FORM) === abi.FORM_FULL) {
      if (memory.word(reader, abi.READER_SEVERAL))
        throw new CodecError("SHAPE_MISMATCH", "the packet has several parts: codec.reader() reads it");
      dims = memory.words(reader, abi.READER_DIMS, memory.word(reader, abi.READER_RANK));
      if (expected && !sameDims(expected, dims))
        throw new CodecError("SHAPE_MISMATCH", `the packet has the shape [${dims}], [${expected}] was expected`);
    } else if (dims === undefined) throw new TypeError("dims must be given: the packet does not hold the shape");
    const n = checkDims(dims);
    fillPart(memory, part, source, dims, n, coreOf(type, zeroPoint));
    memory.check(wasm.beginPart(reader, part, 0));
    const out = newSpan(type, dims, n, outArray(type, n, room), zeroPoint);
    readElements(memory, reader, source, out);
    memory.check(wasm.endPart(reader, part, 0));
    memory.check(wasm.finishReader(reader));
    return latentOf(out) as Latent<ArrayByType[T]>;
  }

  inspect(packet: Uint8Array | ArrayBuffer): PacketInfo {
    return inspectPacket(this.#memory, bytesOf(packet, "packet"));
  }

  judge(bytes: Uint8Array | ArrayBuffer, totalBytes?: number): ErrorCode | undefined {
    return judgeFull(this.#memory, bytesOf(bytes, "bytes"), totalBytes);
  }

  // ---- symbols without coding

  quantize(latent: TensorLike | TensorView, prior: Prior, options: QuantizeOptions = {}): Latent<LatentData> {
    const { type = "int32", out } = checkOptions("quantize", options, KNOWN.quantize);
    if (!["int32", "int16", "int8"].includes(type))
      throw new TypeError(`type must be int32, int16 or int8, not ${shown(type)}`);
    return this.#convert(spanOf(latent, "latent"), prior, type, out);
  }

  dequantize(
    symbols: TensorLike | TensorView,
    prior: Prior,
    options: { out?: Float32Array } = {},
  ): Latent<Float32Array> {
    const { out } = checkOptions("dequantize", options, KNOWN.dequantize);
    const span = spanOf(symbols, "symbols");
    if (span.core === "float32") throw new TypeError("symbols must have an integer type");
    return this.#convert(span, prior, "float32", out) as Latent<Float32Array>;
  }

  /** Converts elements to symbols, or symbols to elements, by writing them to a part that no packet gets. */
  #convert(span: Span, prior: Prior, type: LatentType, out: LatentData | undefined): Latent<LatentData> {
    const memory = this.#memory;
    const { wasm, part } = memory;
    const source = OwnPrior.sourceOf(prior, memory);
    const { n, dims, core } = span;
    const restore = type === "float32";
    fillPart(memory, part, source, dims, n, core);
    // Rows do not matter here.
    if (source.kind !== abi.KIND_CHANNELS) memory.setWord(part, abi.PART_KIND, abi.KIND_ROWS);
    const data = outArray(type, n, out);
    const writer = memory.address(wasm.newWriter(1));
    try {
      memory.check(wasm.openPart(writer, part, n));
      memory.check(wasm.stagePart(writer, part, n, 0));
      if (source.means) memory.place(source.means, memory.word(part, abi.PART_AT_MEANS), 0, n);
      memory.place(span, memory.word(part, abi.PART_AT_ELEMENTS), 0, n);
      memory.check(wasm.writePart(writer, part, n, restore ? 1 : 0));
      const found = restore ? abi.PART_AT_OUT : abi.PART_AT_ELEMENTS;
      const kept = restore ? type : core === "float32" ? "int32" : core;
      memory.takeAs(data, type, kept, memory.word(part, found), n);
    } finally {
      wasm.freeWriter(writer);
    }
    return { type, dims, data, location: "cpu" };
  }

  // ---- several parts

  /** A prior without scales, for a sequence. */
  #sequencePrior(options: SequenceOptions): Prior {
    const { table, scaleTable, step } = checkOptions("sequence", options, ["table", "scaleTable", "step"]);
    return this.gaussian(new Float32Array(0), { table, scaleTable, step } as GaussianOptions);
  }

  writer(options: WriterOptions = {}): PartWriter {
    return new Writer(this.#memory, writerSettings(options), (sequence) => this.#sequencePrior(sequence));
  }

  reader(packet: Uint8Array | ArrayBuffer | readonly Uint8Array[], options: ReaderOptions = {}): PartReader {
    return new Reader(this.#memory, packet, options, (sequence) => this.#sequencePrior(sequence));
  }

  rate(
    latent: TensorLike | TensorView,
    prior: Prior,
    options: RateOptions = {},
  ): Rate & Required<Pick<Rate, "channels">> {
    // With `axis` there are channels; without it the interface does not promise them.
    return rateOf(this.#memory, latent, prior, options) as Rate & Required<Pick<Rate, "channels">>;
  }
}

function checkAxis(axis: number | undefined): void {
  if (axis !== undefined && !(Number.isInteger(axis) && axis >= 0 && axis < 7))
    throw new RangeError(`axis must be a dimension from 0 to 6, not ${shown(axis)}`);
}

/** A codec over an instance of a build. */
export function codecOver(memory: Memory): Codec {
  return new CodecImplementation(memory);
}

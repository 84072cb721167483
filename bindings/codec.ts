/** The codec: checks arguments, asks the prior, lets core do the work. */
import { decodeBatch, encodeBatch } from "./batch.js";
import type { Core } from "./core.js";
import type { LoadedScales, LoadedTable } from "./core-tables.js";
import { CodecError } from "./errors.js";
import { factorizedTableJson } from "./factorized.js";
import { checkLanes, laneChoices, type StreamChoice } from "./lanes.js";
import {
  type BareHeader,
  isBytes,
  parseBareHeader,
  parsePacketHeader,
  writeBareHeader,
  writePacketHeader,
} from "./packet.js";
import { applyPrior, checkRows, checkScales, checkStep, type PriorData } from "./prior.js";
import { stockScales } from "./scales.js";
import { tableToBinary } from "./table.js";
import { hex, LoadedTableHandle } from "./table-handle.js";
import { checkDims, checkFloats, checkTensor, isLatentType, outArray, sameDims } from "./tensor.js";
import type {
  DecodeOptions,
  EncodeOptions,
  FactorizedOptions,
  FactorizedParameters,
  GaussianOptions,
  IndexedOptions,
  Latent,
  Prior,
  QuantizeOptions,
  Table,
  TableJson,
  TableSource,
  TensorLike,
} from "./types.js";

const DEFAULT_MAX_ELEMENTS = 2 ** 24;

/** A prior knows its codec where nothing but this class sees it: a WeakSet of priors took 5 us where the caches were another program's. */
class OwnPrior {
  readonly #codec: CodecImplementation;
  constructor(codec: CodecImplementation, data: PriorData) {
    this.#codec = codec;
    Object.freeze(Object.assign(this, data));
  }
  static isOf(prior: object, codec: CodecImplementation): boolean {
    return #codec in Object(prior) && (prior as OwnPrior).#codec === codec;
  }
}

export class CodecImplementation {
  readonly #core: Core;
  /** By fingerprint: loading the same table twice costs no memory. */
  readonly #tables = new Map<string, { table: Table; loaded: LoadedTable }>();
  readonly #scales: { values: Float32Array; loaded: LoadedScales }[] = [];
  #stockTable: Table | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  get simd(): boolean {
    return this.#core.simd;
  }

  // ---- tables

  table(source: TableSource): Table {
    return this.#load(source).table;
  }

  #load(source: TableSource): { table: Table; loaded: LoadedTable } {
    if (source === null || typeof source !== "object")
      throw new TypeError("table must be a Table, its JSON form or its binary form");
    if (source instanceof LoadedTableHandle) {
      // A handle of another codec is loaded here from its bytes.
      return this.#tables.get(source.fingerprint) ?? this.#loadBytes(source.bytes(), false);
    }
    if (isBytes(source)) return this.#loadBytes(source.slice(), false);
    return this.#loadBytes(tableToBinary(source as TableJson), true);
  }

  #loadBytes(bytes: Uint8Array, seal: boolean): { table: Table; loaded: LoadedTable } {
    const loaded = this.#core.loadTable(bytes, seal, (fingerprint) => this.#tables.get(hex(fingerprint, 16))?.loaded);
    const fingerprint = hex(loaded.fingerprint, 16);
    const known = this.#tables.get(fingerprint);
    if (known) return known;
    const entry = { table: new LoadedTableHandle(loaded, bytes), loaded };
    this.#tables.set(fingerprint, entry);
    return entry;
  }

  quantizedCdf(pmf: Float32Array, precision = 16): Uint32Array {
    const probabilities = checkFloats(pmf, "pmf");
    if (!Number.isInteger(precision) || precision < 1 || precision > 16)
      throw new RangeError(`precision must be 1 .. 16, not ${precision}`);
    if (probabilities.length === 0) throw new CodecError("INVALID_PMF", "pmf is empty");
    return this.#core.quantizedCdf(probabilities, precision);
  }

  gaussianTable(scales: Float32Array = stockScales): Table {
    return this.tableOfScales(scales, 5000, (scale) => this.#core.gaussianRow(scale));
  }

  /** A row per scale. `largest`: the widest row must fit 65536 frequencies of at least 1. */
  protected tableOfScales(
    scales: Float32Array,
    largest: number,
    rowOf: (scale: number) => { offset: number; cdf: Uint32Array },
  ): Table {
    const values = checkFloats(scales, "scales");
    checkScales(values, values.length, "scales");
    const rows = Array.from(values, (scale, j) => {
      if (scale > largest) throw new RangeError(`scales[${j}] = ${scale} is above ${largest}`);
      return rowOf(scale);
    });
    return this.table({ offsets: rows.map((row) => row.offset), cdfs: rows.map((row) => Array.from(row.cdf)) });
  }

  factorizedTable(parameters: FactorizedParameters): Table {
    return this.table(factorizedTableJson(this.#core, parameters));
  }

  // ---- priors

  #prior(
    kind: Prior["kind"],
    source: { table: Table; loaded: LoadedTable },
    step: number,
    rows: PriorData["rows"],
    means: Float32Array | undefined,
  ): Prior {
    return new OwnPrior(this, { kind, ...source, step, rows, means }) as unknown as Prior;
  }

  factorized(table: TableSource, options: FactorizedOptions = {}): Prior {
    const { axis } = options;
    if (axis !== undefined && !(Number.isInteger(axis) && axis >= 0 && axis < 7))
      throw new RangeError(`axis must be a dimension from 0 to 6, not ${axis}`);
    return this.#prior("factorized", this.#load(table), checkStep(options.step), { kind: "axis", axis }, undefined);
  }

  indexed(table: TableSource, rows: ArrayLike<number>, options: IndexedOptions = {}): Prior {
    const source = this.#load(table);
    const means = options.means === undefined ? undefined : checkFloats(options.means, "means");
    return this.#prior(
      "indexed",
      source,
      checkStep(options.step),
      { kind: "symbols", run: 1, rows: checkRows(rows, source.table) },
      means,
    );
  }

  gaussian(scales: Float32Array | TensorLike, options: GaussianOptions = {}): Prior {
    const sigmas = checkFloats(scales, "scales");
    const means = options.means === undefined ? undefined : checkFloats(options.means, "means");
    const source = this.#load(options.table ?? this.#scalesTable(options.scaleTable));
    const scaleTable = options.scaleTable ?? stockScales;
    checkScales(scaleTable, source.table.rows, "scaleTable");
    const rows = { kind: "scales" as const, run: 1 as const, sigmas, scales: this.#loadScales(scaleTable) };
    return this.#prior("gaussian", source, checkStep(options.step), rows, means);
  }

  #scalesTable(scales: Float32Array | undefined): Table {
    if (scales) return this.gaussianTable(scales);
    this.#stockTable ??= this.gaussianTable();
    return this.#stockTable;
  }

  #loadScales(values: Float32Array): LoadedScales {
    for (const known of this.#scales) {
      if (known.values.length === values.length && known.values.every((scale, j) => scale === values[j]))
        return known.loaded;
    }
    const loaded = this.#core.loadScales(values);
    this.#scales.push({ values: values.slice(), loaded });
    return loaded;
  }

  #data(prior: Prior): PriorData {
    if (!OwnPrior.isOf(prior, this))
      throw new TypeError("prior must come from factorized(), gaussian() or indexed() of this codec");
    return prior as PriorData;
  }

  // ---- coding

  encode(latent: TensorLike, prior: Prior, options: EncodeOptions = {}): Uint8Array {
    const data = this.#data(prior);
    const tensor = checkTensor(latent, "latent");
    const n = tensor.data.length;
    const applied = applyPrior(data, tensor.dims, n);
    const { source, centre } = applied;
    const { lanes = "auto", stream = "native", header = "packet" } = options;
    checkLanes(lanes);
    checkChoice("stream", stream, STREAMS);
    checkChoice("header", header, HEADERS);

    const bare = header === "none";
    const checksum = !bare && (options.checksum ?? true);
    const fingerprint = (options.fingerprint ?? true) ? data.loaded.shortFingerprint : undefined;
    applied.auto ??= laneChoices(n, "auto", source.run, data.loaded.rows);
    const choices: StreamChoice[] =
      stream === "compressai"
        ? [{ compressai: true, lanes: 1, layout: 0, least: 0 }]
        : lanes === "auto"
          ? applied.auto
          : laneChoices(n, lanes, source.run, data.loaded.rows);
    const view = this.#core.encode(
      tensor.data,
      tensor.type,
      data.loaded,
      source,
      centre,
      choices,
      (stream) => (bare ? writeBareHeader(stream) : writePacketHeader(stream, tensor.dims, checksum, fingerprint)),
      checksum,
    );
    if (options.out === undefined) return view.slice();
    if (!isBytes(options.out)) throw new TypeError("out must be a Uint8Array");
    if (options.out.length < view.length)
      throw new RangeError(`out has ${options.out.length} bytes, the packet needs ${view.length}`);
    options.out.set(view);
    return options.out.subarray(0, view.length);
  }

  // Codec declares the overloads by type; this signature serves them all.
  decode(packet: Uint8Array, prior: Prior, options: DecodeOptions = {}): Latent {
    const data = this.#data(prior);
    if (!isBytes(packet)) throw new TypeError("packet must be a Uint8Array");
    const { type = "float32", maxElements = DEFAULT_MAX_ELEMENTS, header = "packet" } = options;
    if (!isLatentType(type)) throw new TypeError(`type must be float32, int32, int16 or int8, not ${String(type)}`);
    checkChoice("header", header, HEADERS);
    // Not "< 0": NaN would switch the limit off.
    if (!(typeof maxElements === "number" && maxElements >= 0))
      throw new RangeError(`maxElements must be a number of elements, not ${maxElements}`);

    const { stream, dims, end } =
      header === "none" ? this.#bareStream(packet, options) : this.#packetStream(packet, data, options);
    const n = checkDims(dims);
    if (n > maxElements)
      throw new CodecError("LIMIT_EXCEEDED", `the shape [${dims}] has ${n} elements, maxElements is ${maxElements}`);
    const { source, centre } = applyPrior(data, dims, n);
    if (stream.layout === 1 && source.kind !== "runs")
      throw new CodecError("CORRUPTED", "the stream has runs, the prior has none");
    const out = outArray(type, n, options.out);
    this.#core.decode(packet.subarray(stream.body, end), stream, data.loaded, source, centre, type, n, out);
    return { type, dims, data: out };
  }

  readonly encodeBatch = encodeBatch;
  readonly decodeBatch = decodeBatch;

  #bareStream(packet: Uint8Array, options: DecodeOptions): StreamLocation {
    const { dims, stream = "native" } = options;
    if (dims === undefined) throw new TypeError("dims must be given for a bare stream");
    checkChoice("stream", stream, STREAMS);
    checkDims(dims);
    const header: BareHeader =
      stream === "compressai"
        ? { compressai: true, lanes: 1, layout: 0, tailUnits: 0, escapeBytes: 0, body: 0 }
        : parseBareHeader(packet);
    return { stream: header, dims: [...dims], end: packet.length };
  }

  #packetStream(packet: Uint8Array, prior: PriorData, options: DecodeOptions): StreamLocation {
    const header = parsePacketHeader(
      packet,
      (length) => this.#core.xxh32(packet.subarray(0, length)),
      (found) => {
        const expected = prior.loaded.shortFingerprint;
        if (found === undefined || found === expected) return;
        const tables = `table ..${hex(found, 8)}, the prior's is ..${hex(expected, 8)}`;
        throw new CodecError("WRONG_TABLES", `the packet was coded with ${tables}`);
      },
    );
    const { dims } = options;
    if (dims !== undefined) {
      checkDims(dims);
      if (!sameDims(dims, header.dims))
        throw new CodecError("SHAPE_MISMATCH", `the packet has the shape [${header.dims}], [${dims}] was expected`);
    }
    return { stream: header, dims: header.dims, end: header.end };
  }

  quantize(latent: TensorLike, prior: Prior, options: QuantizeOptions = {}): Latent {
    const type = options.type ?? "int32";
    if (!isLatentType(type) || (type as string) === "float32")
      throw new TypeError(`type must be int32, int16 or int8, not ${String(type)}`);
    return this.#convert(latent, prior, type, options.out);
  }

  dequantize(symbols: TensorLike, prior: Prior, options: { out?: Float32Array } = {}): Latent<Float32Array> {
    if (symbols?.type === "float32") throw new TypeError("symbols must have an integer type");
    return this.#convert(symbols, prior, "float32", options.out) as Latent<Float32Array>;
  }

  #convert(tensor: TensorLike, prior: Prior, type: Latent["type"], out: Latent["data"] | undefined): Latent {
    const { data, dims, type: from } = checkTensor(tensor, type === "float32" ? "symbols" : "latent");
    const { centre } = applyPrior(this.#data(prior), dims, data.length);
    const result = outArray(type, data.length, out);
    this.#core.convert(data, from, type, centre, result);
    return { type, dims, data: result };
  }
}

interface StreamLocation {
  stream: BareHeader;
  dims: number[];
  end: number;
}

const STREAMS = ["native", "compressai"];
const HEADERS = ["packet", "none"];

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value))
    throw new TypeError(
      `${name} must be ${choices.map((choice) => `"${choice}"`).join(" or ")}, not ${JSON.stringify(value)}`,
    );
}

/** Priors: which row codes which symbol, and what is subtracted before quantizing. */
import * as abi from "./abi.js";
import { DISTRIBUTIONS, stockScales } from "./cdfs.js";
import type { Network } from "./context-parameters.js";
import { coreOf, zeroPointOf } from "./elements.js";
import { CodecError, shown } from "./errors.js";
import { CHUNK, type Memory } from "./memory.js";
import { checkOptions } from "./options.js";
import type { TableHandle } from "./tables.js";
import { checkApart, checkDims, floatSpan, isArrayOf, isBytes, ownDims, type Span, shapesAgree } from "./tensor.js";
import type {
  Affine,
  ElementType,
  LatentType,
  MixtureOptions,
  MixtureParameters,
  Prior,
  Table,
  TableJson,
  TensorLike,
} from "./types.js";

const mismatch = (message: string): never => {
  throw new CodecError("SHAPE_MISMATCH", message);
};

/** Types of elements by number: TYPE_* of assembly/part.ts. */
export const TYPES: readonly LatentType[] = ["float32", "int32", "int16", "int8"];

/**
 * What a prior consists of. A name that ends in Address is an address in the memory of the codec. `kind` and `centreKind`
 * are numbers of assembly/part.ts: KIND_* and CENTRE_*. `scales` and `means` are the caller's tensors: one number for each
 * element, in a mixture K numbers.
 */
export interface PriorSource {
  readonly kind: number;
  readonly tableAddress: number;
  readonly tableRows: number;
  readonly centreKind: number;
  readonly step: number;
  /** For kind channels, and under a context. undefined: 1, or 0 where the rank is 1. */
  readonly axis?: number | undefined;
  readonly rows?: Uint16Array | undefined;
  readonly scales?: Span | undefined;
  readonly means?: Span | undefined;
  readonly scalesAddress?: number | undefined;
  /** The table's scales, one per row: those behind that address. A guard's limits follow from them. */
  readonly scaleTable?: Float32Array | undefined;
  readonly mixture?: Mixture | undefined;
  readonly network?: Network | undefined;
  /** The shape, if the prior has one. */
  readonly dims?: readonly number[] | undefined;
}

interface Mixture {
  readonly components: number;
  readonly distribution: number;
  readonly low: number;
  readonly size: number;
  readonly weights: Span | undefined;
  /** K for each element, as `scales` of the prior. */
  readonly means: Span;
}

/**
 * A prior has a private reference to its codec. Looking it up in a WeakSet took 5 us when the caches held other data.
 */
export class OwnPrior implements Prior {
  readonly kind: Prior["kind"];
  readonly table: Table;
  readonly step: number;
  readonly #memory: Memory;
  readonly #source: PriorSource;

  constructor(memory: Memory, kind: Prior["kind"], table: Table, source: PriorSource) {
    this.kind = kind;
    this.table = table;
    this.step = source.step;
    this.#memory = memory;
    // What a source does not say, Object.prototype must not.
    this.#source = Object.setPrototypeOf(source, null);
    Object.freeze(this);
  }

  /** Throws TypeError for a prior of another codec. */
  static sourceOf(prior: Prior, memory: Memory): PriorSource {
    if (#memory in Object(prior) && (prior as OwnPrior).#memory === memory) return (prior as OwnPrior).#source;
    throw new TypeError(
      `prior must come from factorized(), gaussian(), indexed(), mixture() or context() of this codec, not ${OwnPrior.#named(prior)}`,
    );
  }

  /** What a caller gave instead of a prior. */
  static #named(value: unknown): string {
    const { bytes, cdfs, table, type } = Object(value) as Partial<Table & TableJson & Prior & TensorLike>;
    if (#memory in Object(value)) return "another codec's: make it with this one";
    if (bytes || cdfs) return "a table: codec.factorized(table) makes one";
    if (table) return "a pool's, or another copy's of this package";
    return `${type ? "a tensor" : shown(value)}; it is the second argument`;
  }
}

/**
 * Fills in a part of `n` elements (a sequence counts its own later). Throws SHAPE_MISMATCH if the prior does not fit
 * the shape.
 */
export function fillPart(
  memory: Memory,
  part: number,
  source: PriorSource,
  dims: readonly number[],
  n: number,
  type: LatentType,
): void {
  const { kind, means, mixture } = source;
  if (dims.length > 0) checkShape(source.dims, dims);
  memory.setWord(part, abi.PART_KIND, kind);
  memory.setWord(part, abi.PART_CENTRE, source.centreKind);
  memory.f32[(part + abi.PART_STEP) >>> 2] = source.step;
  memory.setWord(part, abi.PART_AXIS, 0);
  memory.setWord(part, abi.PART_TABLE, source.tableAddress);
  memory.setWord(part, abi.PART_COUNT, n);
  memory.setWord(part, abi.PART_RUN, 1);
  memory.setWord(part, abi.PART_TYPE, TYPES.indexOf(type));
  memory.setWord(part, abi.PART_RANK, dims.length);
  for (let d = 0; d < dims.length; d++) memory.setWord(part, abi.PART_DIMS + 4 * d, dims[d]!);
  memory.setWord(part, abi.PART_SCALES, source.scalesAddress ?? 0);
  memory.setWord(part, abi.PART_COMPONENTS, mixture?.components ?? 1);
  memory.setWord(part, abi.PART_CONTEXT, source.network?.address ?? 0);
  if (kind === abi.KIND_CHANNELS) {
    const axis = axisOf(source, dims);
    memory.setWord(part, abi.PART_AXIS, axis);
    memory.setWord(part, abi.PART_RUN, runOf(source, dims, axis));
    return;
  }
  const found = kind === abi.KIND_ROWS ? source.rows!.length : source.scales!.n;
  const expected = mixture ? mixture.components * n : n;
  // A sequence brings its scales piece by piece.
  if (dims.length === 0) return;
  if (source.network) {
    const axis = axisOf(source, dims);
    if (dims[axis] !== source.network.channels)
      mismatch(
        `dimension ${axis} of the shape [${dims}] is ${dims[axis]}, the context prior is for ${source.network.channels} channels`,
      );
    memory.setWord(part, abi.PART_AXIS, axis);
  }
  if (found !== expected) mismatch(`the prior is for ${found} elements, the shape [${dims}] has ${expected}`);
  if (means && means.n !== n) mismatch(`the prior has ${means.n} means, the shape [${dims}] has ${n} elements`);
  if (!mixture) return;
  memory.setWord(part, abi.PART_DISTRIBUTION, mixture.distribution);
  memory.setWord(part, abi.PART_LOW, mixture.low);
  memory.setWord(part, abi.PART_SIZE, mixture.size);
  memory.setWord(part, abi.PART_WEIGHTED, mixture.weights ? 1 : 0);
}

/** The dimension of the channels. */
export const axisOf = ({ axis }: PriorSource, dims: readonly number[]): number => axis ?? (dims.length === 1 ? 0 : 1);

/** How many consecutive symbols share a row. */
function runOf({ tableRows }: PriorSource, dims: readonly number[], axis: number): number {
  if (axis >= dims.length) mismatch(`the prior's axis is ${axis}, the shape [${dims}] has ${dims.length} dimensions`);
  if (dims[axis] !== tableRows)
    mismatch(
      `dimension ${axis} of the shape [${dims}] is ${dims[axis]}, the table has ${tableRows} rows; the option axis names the dimension of the rows`,
    );
  let run = 1;
  for (let d = axis + 1; d < dims.length; d++) run *= dims[d]!;
  // Wasm divides by it, in 32 bits. Without elements any number will do.
  return run === 0 || run > 0x7fffffff ? 1 : run;
}

/** Sets the zero point of a latent's quantized elements. Throws RangeError where `affine` does not fit. */
export function shift(span: Span, source: PriorSource, affine: Affine | undefined): void {
  span.zeroPoint = zeroPointFor(source, affine, span.type);
  span.core = coreOf(span.type, span.zeroPoint);
}

/** The zero point of quantized elements of a part. Throws RangeError where `affine` does not fit. */
export const zeroPointFor = (
  { step, centreKind }: PriorSource,
  affine: Affine | undefined,
  type: ElementType,
): number => zeroPointOf(affine, type, step, centreKind !== abi.CENTRE_NONE);

/** Copies means, and scales or rows, of elements [from, to) to the addresses of the part. */
export function placeParameters(memory: Memory, part: number, source: PriorSource, from: number, to: number): void {
  const { rows, scales, means, mixture } = source;
  if (means) memory.place(means, memory.word(part, abi.PART_AT_MEANS), from, to);
  if (rows)
    memory.u16.set(
      from === 0 && to === rows.length ? rows : rows.subarray(from, to),
      memory.word(part, abi.PART_AT_ROWS_OR_SCALES) / 2,
    );
  if (!scales) return;
  const k = mixture?.components ?? 1;
  memory.place(scales, memory.word(part, abi.PART_AT_ROWS_OR_SCALES), k * from, k * to);
  if (!mixture) return;
  memory.place(mixture.means, memory.word(part, abi.PART_AT_CENTRES), k * from, k * to);
  if (mixture.weights) memory.place(mixture.weights, memory.word(part, abi.PART_AT_WEIGHTS), k * from, k * to);
}

/** Throws RangeError where writing elements to `out` piece by piece would change parameters that are still to be read. */
export function checkOut(out: Span, { scales, means, mixture }: PriorSource): void {
  checkApart(out, scales, "the scales");
  checkApart(out, means ?? mixture?.means, "the means");
  checkApart(out, mixture?.weights, "the weights");
}

/**
 * How many of n elements are in Wasm memory at once. A mixture's are all there, because its parameters are stored
 * component by component; those under a context are, because each depends on the ones before it.
 */
export const chunkOf = (source: PriorSource, n: number): number =>
  source.mixture || source.network ? n : Math.min(n, CHUNK);

// ---- making priors

/** Scales in Wasm memory, for the life of the codec: its own 64, or those of a table. */
export class Scales {
  readonly #memory: Memory;
  readonly #known: { values: Float32Array; address: number }[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  load(values: Float32Array): number {
    for (const known of this.#known) {
      if (known.values.length === values.length && known.values.every((scale, j) => scale === values[j]))
        return known.address;
    }
    const address = this.#memory.address(this.#memory.wasm.newScales(values.length));
    this.#memory.f32.set(values, (address + abi.SCALES_VALUES) / 4);
    this.#memory.wasm.buildScales(address);
    this.#known.push({ values: values.slice(), address });
    return address;
  }
}

/** The source of a mixture's prior. Throws TypeError, RangeError, SHAPE_MISMATCH. */
export function mixtureSource(
  parameters: MixtureParameters,
  options: MixtureOptions,
  stock: TableHandle,
  loaded: Scales,
): PriorSource {
  const { weights, means, scales } = checkOptions("mixture", parameters, ["weights", "means", "scales"]);
  const read = checkOptions("mixture", options, ["components", "kind", "support", "dims"]);
  const { components = 1, kind = "gaussian", support = [-128, 127], dims: shape } = read;
  if (!(Number.isInteger(components) && components >= 1 && components <= 16))
    throw new RangeError(`components must be 1 .. 16, not ${shown(components)}`);
  const distribution = DISTRIBUTIONS.indexOf(kind);
  if (distribution < 0) throw new TypeError(`kind must be one of ${DISTRIBUTIONS.join(", ")}, not ${shown(kind)}`);
  const [low, high] = support;
  if (!(Number.isInteger(low) && Number.isInteger(high) && low >= -32768 && low <= high && high <= 32767))
    throw new RangeError(`support must be two ascending int16 numbers, not [${[low, high]}]`);
  if (high - low > 4095) throw new RangeError(`support [${[low, high]}] has more than 4096 values`);
  const scaleSpan = floatSpan(scales, "scales");
  const meanSpan = floatSpan(means, "means");
  const weightSpan = weights === undefined ? undefined : floatSpan(weights, "weights");
  if (scaleSpan.n % components !== 0) mismatch(`${scaleSpan.n} scales are no multiple of ${components} components`);
  for (const [name, span] of [
    ["means", meanSpan],
    ["weights", weightSpan],
  ] as const) {
    if (span && span.n !== scaleSpan.n) mismatch(`${span.n} ${name}, but ${scaleSpan.n} scales`);
    checkParameters(name, span, scaleSpan);
  }
  const dims = shape ? ownDims(shape) : mixtureDims(scaleSpan.dims, components, scaleSpan.n);
  checkDims(dims);
  return {
    kind: abi.KIND_MIXTURE,
    tableAddress: 0,
    tableRows: stock.rows,
    centreKind: abi.CENTRE_NONE,
    step: 1,
    scales: scaleSpan,
    scalesAddress: loaded.load(stockScales),
    scaleTable: stockScales,
    mixture: { components, distribution, low, size: high - low + 1, weights: weightSpan, means: meanSpan },
    dims,
  };
}

/**
 * The shape of a part from the shape of its parameters: [C, H, W] from [K, C, H, W], and [1, C, H, W] from [1, K * C,
 * H, W].
 */
function mixtureDims(dims: number[], components: number, n: number): number[] {
  if (components === 1) return dims;
  if (dims.length > 1 && dims[0] === components) return dims.slice(1);
  if (dims.length > 2 && dims[0] === 1 && dims[1]! % components === 0)
    return [1, dims[1]! / components, ...dims.slice(2)];
  return [n / components];
}

/** Checks that the parameters of a prior have one shape ({@link shapesAgree}). Throws SHAPE_MISMATCH. */
export function checkParameters(name: string, found: Span | undefined, { dims }: Span): void {
  if (found && !shapesAgree(found.dims, dims))
    mismatch(`the ${name} have the shape [${found.dims}], the scales [${dims}]`);
}

/**
 * Throws SHAPE_MISMATCH where {@link shapesAgree} says no. Equal numbers of elements are not enough: a transposed export
 * has them, too.
 */
function checkShape(prior: readonly number[] | undefined, dims: readonly number[]): void {
  if (prior !== undefined && !shapesAgree(prior, dims))
    mismatch(`the prior has the shape [${prior}], the part [${dims}]`);
}

/** Rows as u16, each an integer from 0 to `limit` - 1. Throws RangeError, TypeError. */
export function checkRows(rows: ArrayLike<number>, limit: number): Uint16Array {
  if (rows === null || typeof rows !== "object" || typeof rows.length !== "number")
    throw new TypeError("rows must be an array of row numbers");
  // Values of these arrays fit 16 bits. They are copied first, so that the loop sees one kind of array.
  if (isArrayOf("uint16", rows) || isBytes(rows)) {
    const checked = new Uint16Array(rows);
    for (let i = 0; i < checked.length; i++) if (checked[i]! >= limit) badRow(i, checked[i], limit);
    return checked;
  }
  const checked = new Uint16Array(rows.length);
  for (let i = 0; i < checked.length; i++) {
    const row = rows[i]!;
    if (!(typeof row === "number" && row >= 0 && row < limit && Math.floor(row) === row)) badRow(i, row, limit);
    checked[i] = row;
  }
  return checked;
}

function badRow(position: number, row: unknown, limit: number): never {
  if (typeof row !== "number") throw new TypeError(`rows must hold numbers, rows[${position}] is a ${typeof row}`);
  throw new RangeError(`rows[${position}] is ${row}, the table has rows 0 .. ${limit - 1}`);
}

/** The largest step: docs/format.md section 6. */
const MOST_STEP = 2 ** 94;

/** A positive float32 of at most 2^94. Throws RangeError. */
export function checkStep(step: number | undefined): number {
  const rounded = Math.fround(step ?? 1);
  if (!(typeof (step ?? 1) === "number" && rounded > 0 && rounded <= MOST_STEP))
    throw new RangeError(`step must be a positive number of at most 2^94, not ${shown(step)}`);
  return rounded;
}

/** Checks scales: positive, ascending, finite, one for each of `rows`. `name` is the argument's. Throws RangeError. */
export function checkScales(scales: Float32Array, rows: number, name: string): void {
  if (!isArrayOf("float32", scales)) throw new TypeError(`${name} must be a Float32Array`);
  if (scales.length !== rows) throw new RangeError(`${name} has ${scales.length} scales, the table ${rows} rows`);
  for (let j = 0; j < scales.length; j++) {
    const ascends = scales[j]! > (j === 0 ? 0 : scales[j - 1]!) && scales[j]! < Number.POSITIVE_INFINITY;
    if (!ascends) throw new RangeError(`${name} must hold positive ascending numbers; ${name}[${j}] is ${scales[j]}`);
  }
}

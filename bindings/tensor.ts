/** What the codec accepts as a tensor. It looks at the structure, never at a runtime's class. */
import { CodecError } from "./errors.js";
import type { Latent, LatentData, LatentType, TensorLike, TensorView } from "./types.js";

const MAX_RANK = 7;

const ARRAYS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, int8: Int8Array } as const;
const KNOWN = { ...ARRAYS, uint16: Uint16Array } as const;

function newArray(type: LatentType, length: number): LatentData {
  return new ARRAYS[type](length);
}

export function isLatentType(type: unknown): type is LatentType {
  return typeof type === "string" && Object.hasOwn(ARRAYS, type);
}

/**
 * Whether it is a Uint8Array, of any realm: a Buffer that comes into a test runner's sandbox is no instance of the
 * sandbox's class.
 */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || tag(value) === "Uint8Array";
}

/** The bytes of a Uint8Array or an ArrayBuffer, of any realm. Throws TypeError. */
export function bytesOf(value: unknown, name: string): Uint8Array {
  if (isBytes(value)) return value;
  const kind = tag(value);
  if (kind === "ArrayBuffer" || kind === "SharedArrayBuffer") return new Uint8Array(value as ArrayBuffer);
  throw new TypeError(`${name} must be a Uint8Array or an ArrayBuffer, not ${kind}`);
}

// Typed arrays of another realm (a worker's, a test runner's) are not instances of this one's classes.
export const tag = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** Whether `data` is the typed array of `type`, of any realm. */
export function isArrayOf<T extends keyof typeof KNOWN>(
  type: T,
  data: unknown,
): data is InstanceType<(typeof KNOWN)[T]> {
  return (data as object | null | undefined)?.constructor === KNOWN[type] || tag(data) === KNOWN[type].name;
}

/** Number of elements. Throws CodecError SHAPE_MISMATCH for a shape that a packet cannot hold. */
export function checkDims(dims: unknown): number {
  if (!Array.isArray(dims) && !(ArrayBuffer.isView(dims) && "length" in dims))
    throw new TypeError("dims must be an array of dimensions");
  const list = dims as readonly number[];
  if (list.length < 1 || list.length > MAX_RANK)
    throw new CodecError("SHAPE_MISMATCH", `the shape [${list}] must have 1 .. ${MAX_RANK} dimensions`);
  let n = 1;
  for (let d = 0; d < list.length; d++) {
    const dimension = list[d]!;
    // BigInts and strings are refused here: in a message they would look right.
    if (typeof dimension !== "number")
      throw new TypeError(`dims must hold numbers, dims[${d}] is a ${typeof dimension}`);
    // An integer, and of 31 bits.
    if ((dimension & 0x7fffffff) !== dimension)
      throw new CodecError("SHAPE_MISMATCH", `the shape [${list}] has a dimension outside 0 .. 2^31 - 1`);
    n *= dimension;
  }
  if (n > 0x7fffffff) throw new CodecError("SHAPE_MISMATCH", `the shape [${list}] has more than 2^31 - 1 elements`);
  return n;
}

export const sameDims = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, d) => size === b[d]);

/**
 * Whether two shapes are equal except for dimensions of 1. A shape of a single dimension says only the number of
 * elements.
 */
export function shapesAgree(a: readonly number[], b: readonly number[]): boolean {
  const [x, y] = [a, b].map((dims) => dims.filter((size) => size !== 1)) as [number[], number[]];
  return x.length < 2 || y.length < 2 || x.join() === y.join();
}

export interface CheckedTensor {
  type: LatentType;
  data: LatentData;
  dims: number[];
}

/** Checks that type, data and dims fit together. `name` is what messages call the argument. */
export function checkTensor(tensor: TensorLike, name: string): CheckedTensor {
  if (tensor === null || typeof tensor !== "object") throw new TypeError(`${name} must be a tensor {type, dims, data}`);
  const { type, data, dims } = tensor;
  if (!isLatentType(type))
    throw new TypeError(`${name}.type must be float32, int32, int16 or int8, not ${String(type)}`);
  if (!isArrayOf(type, data))
    throw new TypeError(`${name}.data must be a ${ARRAYS[type].name} for type ${type}, not ${tag(data)}`);
  const n = checkDims(dims);
  if (data.length !== n)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${name}.dims [${dims}] ask for ${n} elements, ${name}.data has ${data.length}`,
    );
  return { type, data, dims: [...dims] };
}

/** A Float32Array, or the data of a float32 tensor. */
export function checkFloats(value: Float32Array | TensorLike, name: string): Float32Array {
  if (isArrayOf("float32", value)) return value as Float32Array;
  const data = (value as TensorLike | null)?.data;
  if (isArrayOf("float32", data)) return data as Float32Array;
  throw new TypeError(`${name} must be a Float32Array or a float32 tensor`);
}

/** The array that takes n elements of `type`: `out`, or a new one. */
export function outArray(type: LatentType, n: number, out: LatentData | undefined): LatentData {
  if (out === undefined) return newArray(type, n);
  if (!isArrayOf(type, out))
    throw new TypeError(`out must be a ${ARRAYS[type].name} for type ${type}, not ${tag(out)}`);
  if (out.length < n) throw new RangeError(`out has ${out.length} elements, ${n} are needed`);
  return out.length === n ? out : out.subarray(0, n);
}

// ---- views: slices, halves and other orders of a tensor, read and written without a copy

/** A tensor or view that has been checked: every element is within `data`. */
export interface Span extends CheckedTensor {
  /** Undefined: the elements follow one another from the first one on. */
  strides: number[] | undefined;
  offset: number;
  n: number;
}

/**
 * A tensor that is too large for memory. `read` gives elements [from, to) as a typed array of `type`; the codec asks for
 * pieces in any order, and for some twice. It must not call the codec. Only the command line makes these.
 */
export class Pieces implements Span {
  readonly data: LatentData;
  readonly strides = undefined;
  readonly offset = 0;
  readonly n: number;
  constructor(
    readonly type: LatentType,
    readonly dims: number[],
    readonly read: (from: number, to: number) => LatentData,
  ) {
    this.data = newArray(type, 0);
    this.n = checkDims(dims);
  }
}

const isView = (tensor: TensorLike | TensorView): tensor is TensorView =>
  (tensor as TensorView | null)?.strides !== undefined;

/**
 * Checks a tensor or view. `name` is what messages call the argument. Throws TypeError, RangeError or SHAPE_MISMATCH.
 */
export function spanOf(tensor: TensorLike | TensorView, name: string): Span {
  if (tensor instanceof Pieces) return tensor;
  if (tensor === null || typeof tensor !== "object" || !isView(tensor)) {
    const { type, data, dims } = checkTensor(tensor, name);
    return { type, data, dims, strides: undefined, offset: 0, n: data.length };
  }
  const { type, data, dims, strides, offset = 0 } = tensor;
  if (!isLatentType(type) || !isArrayOf(type, data))
    throw new TypeError(`${name} must be a float32, int32, int16 or int8 tensor with a typed array of that type`);
  const n = checkDims(dims);
  if (!Array.isArray(strides) || strides.length !== dims.length || !strides.every(Number.isSafeInteger))
    throw new TypeError(`${name}.strides must be ${dims.length} integers`);
  if (!Number.isSafeInteger(offset)) throw new TypeError(`${name}.offset must be an integer`);
  let low = offset;
  let high = offset;
  for (let d = 0; d < dims.length; d++) {
    const reach = (dims[d]! - 1) * strides[d];
    if (reach < 0) low += reach;
    else high += reach;
  }
  if (n > 0 && !(low >= 0 && high < data.length))
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${name} reaches from element ${low} to ${high}, its data has ${data.length}`,
    );
  return { type, data, dims: [...dims], strides: [...strides], offset, n };
}

/** A float32 array or tensor or view; an array counts as one dimension. */
export function floatSpan(value: Float32Array | TensorLike | TensorView, name: string): Span {
  const span = spanOf(
    isArrayOf("float32", value) ? { type: "float32", data: value, dims: [value.length] } : (value as TensorLike),
    name,
  );
  if (span.type !== "float32") throw new TypeError(`${name} must be float32, not ${span.type}`);
  return span;
}

/** The span that takes a part's elements, and the tensor or view that is returned. */
export function targetOf(
  out: LatentData | TensorView | undefined,
  type: LatentType,
  dims: number[],
  n: number,
): { span: Span; result: Latent | TensorView } {
  if (out !== undefined && !ArrayBuffer.isView(out)) {
    const span = spanOf(out, "out");
    if (span.type !== type) throw new TypeError(`out is ${span.type}, type is ${type}`);
    if (span.n !== n) throw new RangeError(`out has ${span.n} elements, the part has ${n}`);
    return { span, result: out };
  }
  const data = outArray(type, n, out as LatentData | undefined);
  const result: Latent = { type, dims, data, location: "cpu" };
  return { span: { type, data, dims, strides: undefined, offset: 0, n }, result };
}

export type Strided = Span & { strides: number[] };

/** Joins dimensions that continue one another, and leaves out those of 1. */
function merged({ dims, strides }: Strided): { sizes: number[]; steps: number[] } {
  const sizes: number[] = [];
  const steps: number[] = [];
  for (let d = 0; d < dims.length; d++) {
    const size = dims[d]!;
    if (size === 1) continue;
    const last = sizes.length - 1;
    if (last >= 0 && steps[last] === strides[d]! * size) {
      sizes[last]! *= size;
      steps[last] = strides[d]!;
    } else {
      sizes.push(size);
      steps.push(strides[d]!);
    }
  }
  return { sizes, steps };
}

/** A view as blocks of rows of columns, each with its distance in `data`. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly steps: readonly [number, number, number];
  /** The lowest and the highest place of a block, counted from its first element. */
  readonly low: number;
  readonly high: number;
}

/** A view as a grid. Undefined unless its elements have 4 bytes and its columns are apart. */
export function gridOf(span: Strided): Grid | undefined {
  const { sizes, steps } = merged(span);
  if (sizes.length < 2 || sizes.length > 3 || span.data.BYTES_PER_ELEMENT !== 4) return undefined;
  if (sizes.length === 2) {
    sizes.splice(1, 0, 1);
    steps.splice(1, 0, 0);
  }
  const [, rows, columns] = sizes as [number, number, number];
  const [a, b, c] = steps as [number, number, number];
  if (a <= 0 || c === 1) return undefined;
  const reach = [(rows - 1) * b, (columns - 1) * c];
  const low = reach.reduce((sum, x) => sum + Math.min(x, 0), 0);
  const high = reach.reduce((sum, x) => sum + Math.max(x, 0), 0);
  return { rows, columns, steps: [a, b, c], low, high };
}

/** Goes through the stretches of a view with one stride: elements [at, at + length) are data[from + i * stride]. */
class Rows {
  readonly length: number;
  readonly stride: number;
  at = 0;
  from: number;
  readonly #sizes: number[];
  readonly #steps: number[];
  readonly #counters: number[];

  /** Begins with the stretch that has element `first`. */
  constructor(span: Strided, first: number) {
    const { sizes, steps } = merged(span);
    this.#sizes = sizes;
    this.#steps = steps;
    this.length = sizes.pop() ?? 1;
    this.stride = steps.pop() ?? 1;
    this.from = span.offset;
    this.#counters = sizes.map(() => 0);
    let row = Math.floor(first / this.length);
    this.at = row * this.length;
    for (let d = sizes.length - 1; d >= 0; d--) {
      const counter = row % sizes[d]!;
      this.#counters[d] = counter;
      this.from += counter * steps[d]!;
      row = (row - counter) / sizes[d]!;
    }
  }

  /** False after the last stretch. */
  next(): boolean {
    this.at += this.length;
    for (let d = this.#sizes.length - 1; d >= 0; d--) {
      this.from += this.#steps[d]!;
      if (++this.#counters[d]! < this.#sizes[d]!) return true;
      this.from -= this.#steps[d]! * this.#sizes[d]!;
      this.#counters[d] = 0;
    }
    return false;
  }
}

/** Copies elements [begin, end) of the span to `dense`. */
export function gather(span: Span, dense: LatentData, begin = 0, end = span.n): void {
  if (span.strides === undefined) {
    const { data } = span;
    if (span instanceof Pieces) dense.set(span.read(begin, end));
    else dense.set(begin === 0 && end === data.length ? data : data.subarray(begin, end));
    return;
  }
  if (begin === end) return;
  const { data } = span;
  const rows = new Rows(span as Strided, begin);
  const { length, stride } = rows;
  do {
    const skipped = Math.max(begin - rows.at, 0);
    const stop = Math.min(rows.at + length, end) - begin;
    let at = rows.at + skipped - begin;
    let from = rows.from + skipped * stride;
    if (stride === 1) {
      dense.set(data.subarray(from, from + stop - at), at);
      continue;
    }
    for (; at + 4 <= stop; at += 4, from += 4 * stride) {
      dense[at] = data[from]!;
      dense[at + 1] = data[from + stride]!;
      dense[at + 2] = data[from + 2 * stride]!;
      dense[at + 3] = data[from + 3 * stride]!;
    }
    for (; at < stop; at++, from += stride) dense[at] = data[from]!;
  } while (rows.next() && rows.at < end);
}

/** Copies `dense` to the elements [begin, begin + length of dense) of the span. */
export function scatter(dense: LatentData, span: Span, begin = 0): void {
  if (span.strides === undefined) {
    span.data.set(dense, begin);
    return;
  }
  const end = begin + dense.length;
  if (begin === end) return;
  const { data } = span;
  const rows = new Rows(span as Strided, begin);
  const { length, stride } = rows;
  do {
    const skipped = Math.max(begin - rows.at, 0);
    const stop = Math.min(rows.at + length, end) - begin;
    let at = rows.at + skipped - begin;
    let to = rows.from + skipped * stride;
    if (stride === 1) {
      data.set(dense.subarray(at, stop), to);
      continue;
    }
    for (; at + 4 <= stop; at += 4, to += 4 * stride) {
      data[to] = dense[at]!;
      data[to + stride] = dense[at + 1]!;
      data[to + 2 * stride] = dense[at + 2]!;
      data[to + 3 * stride] = dense[at + 3]!;
    }
    for (; at < stop; at++, to += stride) data[to] = dense[at]!;
  } while (rows.next() && rows.at < end);
}

function asView(tensor: TensorLike | TensorView, name: string): TensorView & { type: LatentType; data: LatentData } {
  const { type, data, dims, strides, offset } = spanOf(tensor, name);
  if (strides) return { type, data, dims, strides, offset };
  const steps = dims.map(() => 1);
  for (let d = dims.length - 2; d >= 0; d--) steps[d] = steps[d + 1]! * dims[d + 1]!;
  return { type, data, dims, strides: steps, offset };
}

/**
 * Indices [from, to) along one dimension: `channels(y, 0, 16)` are the first 16 channels of an NCHW tensor.
 *
 * @param axis - default 1.
 * @throws RangeError where the tensor has no such dimension or indices.
 */
export function channels(tensor: TensorLike | TensorView, from: number, to: number, axis = 1): TensorView {
  const view = asView(tensor, "tensor");
  const size = view.dims[axis];
  if (size === undefined) throw new RangeError(`the shape [${view.dims}] has no dimension ${axis}`);
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= size))
    throw new RangeError(`indices ${from} .. ${to} are not within 0 .. ${size}`);
  const dims = [...view.dims];
  dims[axis] = to - from;
  return { ...view, dims, offset: (view.offset ?? 0) + from * view.strides[axis]! };
}

/**
 * The dimensions in another order: `permute(y, [0, 2, 3, 1])` is NCHW read as NHWC.
 *
 * @throws RangeError where `order` is no permutation of the dimensions.
 */
export function permute(tensor: TensorLike | TensorView, order: readonly number[]): TensorView {
  const view = asView(tensor, "tensor");
  if (order.length !== view.dims.length || !view.dims.every((_, d) => order.includes(d)))
    throw new RangeError(`[${order}] is no order of ${view.dims.length} dimensions`);
  return { ...view, dims: order.map((d) => view.dims[d]!), strides: order.map((d) => view.strides[d]!) };
}

/**
 * Half of the positions of the two last dimensions: those with (h + w) mod 2 = `parity`, row by row, as [.., H / 2, 2,
 * W / 2]. A checkerboard prior codes them in this order (He et al. 2021). With parity 0 the first one is in the upper
 * left corner.
 *
 * @throws RangeError where H or W is odd, or the tensor has fewer than 2 or more than 6 dimensions.
 */
export function checkerboardHalf(tensor: TensorLike | TensorView, parity: 0 | 1): TensorView {
  const view = asView(tensor, "tensor");
  const rank = view.dims.length;
  const [height = 1, width = 1] = view.dims.slice(-2);
  if (rank < 2 || rank > 6 || height % 2 !== 0 || width % 2 !== 0)
    throw new RangeError(`the shape [${view.dims}] does not end with two even dimensions; pad the image`);
  if (parity !== 0 && parity !== 1) throw new RangeError(`parity must be 0 or 1, not ${parity}`);
  const [down = 0, right = 0] = view.strides.slice(-2);
  return {
    ...view,
    dims: [...view.dims.slice(0, -2), height / 2, 2, width / 2],
    strides: [...view.strides.slice(0, -2), 2 * down, parity === 0 ? down + right : down - right, 2 * right],
    offset: (view.offset ?? 0) + (parity === 0 ? 0 : right),
  };
}

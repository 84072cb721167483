/** What the codec accepts as a tensor. It looks at the structure, never at a runtime's class. */
import { ARRAYS, checkType, coreOf, fromCore, toCore } from "./elements.js";
import { CodecError, shown, tag } from "./errors.js";
import { float16Array } from "./float16.js";
import { ownValues } from "./options.js";
import type { ElementData, ElementType, Latent, LatentData, LatentType, TensorLike, TensorView } from "./types.js";

const MAX_RANK = 7;

function newArray(type: ElementType, length: number): LatentData {
  return new ARRAYS[type](length) as LatentData;
}

// What every typed array of any realm answers by itself. Its class, its properties and Symbol.toStringTag may be
// anybody's: a subclass may have a `length` of its own, and a Proxy is no typed array.
const answers = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(Int8Array.prototype)) as Record<
  string | symbol,
  PropertyDescriptor
>;
const nameOf = answers[Symbol.toStringTag]!.get!;
const trueLength = answers.length!.get!;

/** Number of elements of a typed array. */
export const lengthOf = (array: ArrayBufferView): number => trueLength.call(array);

/** Whether it is a Uint8Array, of any realm. */
export const isBytes = (value: unknown): value is Uint8Array => nameOf.call(value) === "Uint8Array";

/** The array itself, or a plain view of one whose class is not the usual one. */
function standardView<A extends ArrayBufferView>(array: A, Class: abstract new (...args: never) => A): A {
  if (Object.getPrototypeOf(array) === Class.prototype && (array as unknown as Uint8Array).length === lengthOf(array))
    return array;
  const View = Class as unknown as new (buffer: unknown, offset: unknown, length: number) => A;
  return new View(answers.buffer!.get!.call(array), answers.byteOffset!.get!.call(array), lengthOf(array));
}

/** The bytes of a Uint8Array or an ArrayBuffer, of any realm. Throws TypeError. */
export function bytesOf(value: unknown, name: string): Uint8Array {
  if (isBytes(value)) return standardView(value, Uint8Array);
  const kind = tag(value);
  // A DataView takes only what is a buffer; a Uint8Array would read any object as a list.
  if (kind === "ArrayBuffer" || kind === "SharedArrayBuffer")
    return new Uint8Array(new DataView(value as ArrayBuffer).buffer);
  throw new TypeError(`${name} must be a Uint8Array or an ArrayBuffer, not ${kind}`);
}

/** Whether `data` is the typed array of `type`, of any realm. */
export function isArrayOf<T extends ElementType>(type: T, data: unknown): data is InstanceType<(typeof ARRAYS)[T]> {
  const name: string | undefined = nameOf.call(data);
  return name === ARRAYS[type].name || (type === "float16" && name === "Float16Array");
}

/** A copy of a shape, so that it cannot change any more. Throws TypeError for what is no array. */
export function ownDims(dims: unknown, name = "dims"): number[] {
  if (!Array.isArray(dims) && !(ArrayBuffer.isView(dims) && "length" in dims))
    throw new TypeError(`${name} must be an array of numbers`);
  const own: number[] = [];
  // One more than there may be says that there are too many.
  const length = Math.min((dims as readonly number[]).length, MAX_RANK + 1);
  for (let d = 0; d < length; d++) own.push((dims as readonly number[])[d]!);
  return own;
}

/** Number of elements. Throws CodecError SHAPE_MISMATCH for a shape that a packet cannot hold. */
export function checkDims(list: readonly number[]): number {
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

/** Number of elements of a shape that has been checked, or of some dimensions of one. */
export const elementsOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

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

/** What messages call what {@link checkFloats} and {@link floatSpan} take. */
const FLOATS = "a Float32Array or a float32 tensor";

/** A Float32Array, or the data of a float32 tensor. */
export function checkFloats(value: Float32Array | TensorLike, name: string): Float32Array {
  const data = isArrayOf("float32", value) ? value : (value as TensorLike | null)?.data;
  if (isArrayOf("float32", data)) return standardView(data, Float32Array);
  throw new TypeError(`${name} must be ${FLOATS}, not ${shown(value)}`);
}

/** The array that takes n elements of `type`: `out`, or a new one. Of float16 the bits. */
export function outArray(type: ElementType, n: number, out: ElementData | undefined): LatentData {
  if (out === undefined) return newArray(type, n);
  if (!isArrayOf(type, out))
    throw new TypeError(`out must be a ${ARRAYS[type].name} for type ${type}, not ${tag(out)}`);
  const room = standardView(out as LatentData, ARRAYS[type] as Float32ArrayConstructor);
  if (room.length < n) throw new RangeError(`out has ${room.length} elements, ${n} are needed`);
  return room.length === n ? room : room.subarray(0, n);
}

// ---- views: slices, halves and other orders of a tensor, read and written without a copy

/** A tensor or view that has been checked: every element is within `data`. */
export interface Span {
  type: ElementType;
  /** The type of the kernels in which the elements are coded. */
  core: LatentType;
  /** Subtracted from quantized elements on the way in, added on the way out. */
  zeroPoint: number;
  /** The array of the type, whichever it is; of float16 the bits. */
  data: LatentData;
  dims: number[];
  /** Undefined: the elements follow one another from the first one on. */
  strides: number[] | undefined;
  offset: number;
  n: number;
  /** Elements of `data`. If there are fewer later, its buffer was detached or has shrunk. */
  length: number;
}

/** A span of elements that follow one another. */
export function newSpan(type: ElementType, dims: number[], n: number, data: LatentData, zeroPoint = 0): Span {
  const core = coreOf(type, zeroPoint);
  return { type, core, zeroPoint, data, dims, strides: undefined, offset: 0, n, length: data.length };
}

/** The elements of a span as a tensor to return. */
export function latentOf({ type, dims, data }: Span): Latent {
  return { type, dims, data: type === "float16" ? (float16Array(data) as LatentData) : data, location: "cpu" };
}

/**
 * A tensor that is too large for memory. `read` gives elements [from, to) as a typed array of `type`; the codec asks for
 * pieces in any order, and for some twice. It must not call the codec. Only the command line makes these.
 */
export class Pieces implements Span {
  declare core: LatentType;
  declare zeroPoint: number;
  declare data: LatentData;
  declare strides: undefined;
  declare offset: number;
  declare n: number;
  declare length: number;
  constructor(
    readonly type: ElementType,
    readonly dims: number[],
    readonly read: (from: number, to: number) => ElementData,
  ) {
    Object.assign(this, newSpan(type, dims, checkDims(dims), newArray(type, 0)));
  }
}

/** What a tensor may leave out. The rest it has, or it is none. */
const OPTIONAL = ["strides", "offset"];

/**
 * Checks a tensor or view. `name` is what messages call the argument. Throws TypeError, RangeError or SHAPE_MISMATCH.
 */
export function spanOf(tensor: TensorLike | TensorView, name: string, wanted = "a tensor {type, dims, data}"): Span {
  if (tensor instanceof Pieces) return tensor;
  const { data, dims: shape, type: given } = Object(tensor) as TensorView;
  // A bare array, most of the time.
  if (given === undefined) throw new TypeError(`${name} must be ${wanted}, not ${shown(tensor)}`);
  const type = checkType(given, `${name}.type`);
  const { strides: steps, offset = 0 } = ownValues(tensor as TensorView, OPTIONAL);
  if (!isArrayOf(type, data))
    throw new TypeError(`${name}.data must be a ${ARRAYS[type].name} for type ${type}, not ${tag(data)}`);
  const dims = ownDims(shape);
  const n = checkDims(dims);
  // Behind the last line that may run the caller's code, so that the array cannot change between check and use.
  const strides = steps && ownDims(steps, `${name}.strides`);
  const array = standardView(data as Float32Array, ARRAYS[type] as Float32ArrayConstructor) as LatentData;
  const { length } = array;
  const span = newSpan(type, dims, n, array);
  if (!strides) {
    if (length !== n)
      throw new CodecError(
        "SHAPE_MISMATCH",
        `${name}.dims [${dims}] ask for ${n} elements, ${name}.data has ${length}`,
      );
    return span;
  }
  span.strides = strides;
  span.offset = offset;
  if (strides.length !== dims.length || !strides.every(Number.isSafeInteger))
    throw new TypeError(`${name}.strides must be ${dims.length} integers`);
  if (!Number.isSafeInteger(offset)) throw new TypeError(`${name}.offset must be an integer`);
  const [low, high] = reachOf(span);
  if (n > 0 && !(low >= 0 && high < length))
    throw new CodecError("SHAPE_MISMATCH", `${name} reaches from element ${low} to ${high}, its data has ${length}`);
  return span;
}

/** The lowest and the highest element that a view reaches. */
function reachOf({ dims, strides, offset, n }: Span): [number, number] {
  let [low, high] = [offset, offset + (strides ? 0 : n - 1)];
  strides?.forEach((stride, d) => {
    const reach = (dims[d]! - 1) * stride;
    if (reach < 0) low += reach;
    else high += reach;
  });
  return [low, high];
}

/** First byte, end, bytes of an element, number of elements, their order. */
type Place = readonly [number, number, number, number, string];

/**
 * Throws RangeError where `out`, which is written piece by piece, and `input`, of which later pieces are still to be read, reach into one stretch of
 * memory, unless each element has the same place in both.
 */
export function checkApart(out: Span, input: Span | undefined, name: string): void {
  if (!input || out.data.buffer !== input.data.buffer || out.n === 0) return;
  const [a, b] = [out, input].map((span) => {
    const { byteOffset, BYTES_PER_ELEMENT: size } = span.data;
    const [low, high] = reachOf(span);
    const [from, to] = [byteOffset + low * size, byteOffset + (high + 1) * size];
    const { sizes, steps } = merged((span.strides ? span : { dims: [span.n], strides: [1] }) as Strided);
    return [from, to, size, span.n, `${sizes};${steps}`] as const;
  }) as [Place, Place];
  // Where several elements are at one place, there are fewer bytes than elements need.
  const isSame = a.join() === b.join() && a[1] - a[0] >= a[2] * a[3];
  if (a[0] < b[1] && b[0] < a[1] && !isSame) throw new RangeError(`out overlaps ${name}: give it memory of its own`);
}

/** Throws TypeError where an array has become shorter since it was checked. */
export function checkLength({ data, length }: Span): void {
  if (data.length < length) throw new TypeError("an array was detached or has shrunk since it was given");
}

/** A float32 array or tensor or view; an array counts as one dimension. */
export function floatSpan(value: Float32Array | TensorLike | TensorView, name: string): Span {
  const span = spanOf(
    isArrayOf("float32", value) ? { type: "float32", data: value, dims: [lengthOf(value)] } : (value as TensorLike),
    name,
    FLOATS,
  );
  if (span.core !== "float32") throw new TypeError(`${name} must be float32, not ${span.type}`);
  return span;
}

/**
 * What takes a part's elements, once its shape is known: the span, and the tensor or view that is returned. `out` is
 * read at once.
 */
export function targetOf(
  out: ElementData | TensorView | undefined,
  type: ElementType,
  zeroPoint = 0,
): (dims: number[], n: number) => { span: Span; result: Latent | TensorView } {
  if (out === undefined || ArrayBuffer.isView(out))
    return (dims, n) => {
      const span = newSpan(type, dims, n, outArray(type, n, out as ElementData | undefined), zeroPoint);
      return { span, result: latentOf(span) };
    };
  const span = spanOf(out, "out");
  if (span.type !== type) throw new TypeError(`out is ${span.type}, type is ${type}`);
  span.zeroPoint = zeroPoint;
  span.core = coreOf(type, zeroPoint);
  return (_, n) => {
    if (span.n !== n) throw new RangeError(`out has ${span.n} elements, the part has ${n}`);
    return { span, result: out };
  };
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
  if (sizes.length < 2 || sizes.length > 3 || span.type !== span.core || span.data.BYTES_PER_ELEMENT !== 4)
    return undefined;
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

/**
 * Calls `move` for each stretch of elements [begin, end) of a view that has one stride: where it begins in an array of
 * only these elements, and in the view's data, its number of elements, the stride.
 */
function eachStretch(
  span: Strided,
  begin: number,
  end: number,
  move: (at: number, from: number, count: number, stride: number) => void,
): void {
  const { sizes, steps } = merged(span);
  const length = sizes.pop() ?? 1;
  const stride = steps.pop() ?? 1;
  for (let first = begin - (begin % length); first < end; first += length) {
    let from = span.offset;
    let row = first / length;
    for (let d = sizes.length - 1; d >= 0; d--) {
      const counter = row % sizes[d]!;
      from += counter * steps[d]!;
      row = (row - counter) / sizes[d]!;
    }
    const skipped = Math.max(begin - first, 0);
    move(first + skipped - begin, from + skipped * stride, Math.min(length, end - first) - skipped, stride);
  }
}

/** Copies elements [begin, end) of the span to `dense`, as the kernels take them. */
export function gather(span: Span, dense: LatentData, begin = 0, end = span.n): void {
  const { type, core, zeroPoint } = span;
  const isKnown = type === core;
  const stretch = isKnown ? dense : newArray(type, end - begin);
  copyOut(span, stretch, begin, end);
  if (!isKnown) toCore(type, stretch, dense as Int32Array, zeroPoint, begin);
}

/** {@link gather} of a type that the kernels know. */
export function copyOut(span: Span, dense: LatentData, begin = 0, end = span.n): void {
  const { data } = span;
  if (span.strides === undefined) {
    if (span instanceof Pieces) dense.set(span.read(begin, end) as LatentData);
    else dense.set(begin === 0 && end === data.length ? data : data.subarray(begin, end));
    return;
  }
  eachStretch(span as Strided, begin, end, (at, from, count, stride) => {
    if (stride === 1) {
      dense.set(data.subarray(from, from + count), at);
      return;
    }
    const stop = at + count;
    for (; at + 4 <= stop; at += 4, from += 4 * stride) {
      dense[at] = data[from]!;
      dense[at + 1] = data[from + stride]!;
      dense[at + 2] = data[from + 2 * stride]!;
      dense[at + 3] = data[from + 3 * stride]!;
    }
    for (; at < stop; at++, from += stride) dense[at] = data[from]!;
  });
}

/** Copies `dense`, which comes from the kernels, to the elements [begin, begin + length of dense) of the span. */
export function scatter(dense: LatentData, span: Span, begin = 0): void {
  const { type, core, zeroPoint } = span;
  if (type === core) copyIn(dense, span, begin);
  else {
    const stretch = newArray(type, dense.length);
    fromCore(type, dense as Int32Array, stretch, zeroPoint, begin);
    copyIn(stretch, span, begin);
  }
}

/** {@link scatter} of a type that the kernels know. */
export function copyIn(dense: LatentData, span: Span, begin = 0): void {
  const { data } = span;
  if (span.strides === undefined) {
    data.set(dense, begin);
    return;
  }
  eachStretch(span as Strided, begin, begin + dense.length, (at, to, count, stride) => {
    if (stride === 1) {
      data.set(dense.subarray(at, at + count), to);
      return;
    }
    const stop = at + count;
    for (; at + 4 <= stop; at += 4, to += 4 * stride) {
      data[to] = dense[at]!;
      data[to + stride] = dense[at + 1]!;
      data[to + 2 * stride] = dense[at + 2]!;
      data[to + 3 * stride] = dense[at + 3]!;
    }
    for (; at < stop; at++, to += stride) data[to] = dense[at]!;
  });
}

function asView(tensor: TensorLike | TensorView, name: string): TensorView & { type: ElementType; data: LatentData } {
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
  if (parity !== 0 && parity !== 1) throw new RangeError(`parity must be 0 or 1, not ${shown(parity)}`);
  const [down = 0, right = 0] = view.strides.slice(-2);
  return {
    ...view,
    dims: [...view.dims.slice(0, -2), height / 2, 2, width / 2],
    strides: [...view.strides.slice(0, -2), 2 * down, parity === 0 ? down + right : down - right, 2 * right],
    offset: (view.offset ?? 0) + (parity === 0 ? 0 : right),
  };
}

/** Tensors that are read and written where they lie: slices, halves and other orders, without a copy. */
import { CodecError } from "./errors.js";
import type { TensorView } from "./full-types.js";
import { type CheckedTensor, checkDims, checkTensor, isArrayOf, isLatentType, outArray } from "./tensor.js";
import type { Latent, LatentData, LatentType, TensorLike } from "./types.js";

/** A tensor, or a view of one that has been checked: every element lies within `data`. */
export interface Span extends CheckedTensor {
  /** Undefined: the elements lie in a row from the first one on. */
  strides: number[] | undefined;
  offset: number;
  n: number;
}

const isView = (tensor: TensorLike | TensorView): tensor is TensorView =>
  (tensor as TensorView | null)?.strides !== undefined;

/** Checks a tensor or view. `name` is the argument's. Throws TypeError, RangeError or SHAPE_MISMATCH. */
export function spanOf(tensor: TensorLike | TensorView, name: string): Span {
  if (tensor === null || typeof tensor !== "object" || !isView(tensor)) {
    const checked = checkTensor(tensor, name);
    return { ...checked, strides: undefined, offset: 0, n: checked.data.length };
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
    const reach = (dims[d] - 1) * strides[d];
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
    isArrayOf("float32", value) ? { type: "float32", data: value, dims: [(value as Float32Array).length] } : value,
    name,
  );
  if (span.type !== "float32") throw new TypeError(`${name} must be float32, not ${span.type}`);
  return span;
}

/** The span that takes a part's elements, and what is returned for it. */
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
  return { span: { type, data, dims, strides: undefined, offset: 0, n }, result: { type, dims, data } };
}

// Calls `row(at, from, stride, length)` for each stretch of the innermost dimension: elements [at, at + length) lie at data[from + i * stride].
function forRows(
  { dims, strides, offset, n }: Span & { strides: number[] },
  row: (at: number, from: number, stride: number, length: number) => void,
): void {
  if (n === 0) return;
  // Dimensions that continue one another are one.
  const sizes: number[] = [];
  const steps: number[] = [];
  for (let d = 0; d < dims.length; d++) {
    const size = dims[d];
    if (size === 1) continue;
    const last = sizes.length - 1;
    if (last >= 0 && steps[last] === strides[d] * size) {
      sizes[last] *= size;
      steps[last] = strides[d];
    } else {
      sizes.push(size);
      steps.push(strides[d]);
    }
  }
  const length = sizes.pop() ?? 1;
  const stride = steps.pop() ?? 1;
  const counters = sizes.map(() => 0);
  let from = offset;
  for (let at = 0; ; at += length) {
    row(at, from, stride, length);
    let d = sizes.length - 1;
    for (; d >= 0; d--) {
      from += steps[d];
      if (++counters[d] < sizes[d]) break;
      from -= steps[d] * sizes[d];
      counters[d] = 0;
    }
    if (d < 0) return;
  }
}

/** Copies the elements, in order, to `target`. */
export function gather(span: Span, target: LatentData): void {
  const { data, strides, n } = span;
  if (strides === undefined) {
    target.set(data.length === n ? data : data.subarray(0, n));
    return;
  }
  forRows(span as Span & { strides: number[] }, (at, from, stride, length) => {
    if (stride === 1) target.set(data.subarray(from, from + length), at);
    else for (let i = 0; i < length; i++) target[at + i] = data[from + i * stride];
  });
}

/** Copies `source` to the elements. */
export function scatter(source: LatentData, span: Span): void {
  const { data, strides } = span;
  if (strides === undefined) {
    data.set(source);
    return;
  }
  forRows(span as Span & { strides: number[] }, (at, from, stride, length) => {
    if (stride === 1) data.set(source.subarray(at, at + length), from);
    else for (let i = 0; i < length; i++) data[from + i * stride] = source[at + i];
  });
}

function asView(tensor: TensorLike | TensorView, name: string): TensorView & { type: LatentType; data: LatentData } {
  const { type, data, dims, strides, offset } = spanOf(tensor, name);
  if (strides) return { type, data, dims, strides, offset };
  const steps = dims.map(() => 1);
  for (let d = dims.length - 2; d >= 0; d--) steps[d] = steps[d + 1] * dims[d + 1];
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
  return { ...view, dims, offset: (view.offset ?? 0) + from * view.strides[axis] };
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
  return { ...view, dims: order.map((d) => view.dims[d]), strides: order.map((d) => view.strides[d]) };
}

/**
 * Half of the positions of the two last dimensions, those with (h + w) mod 2 = `parity`, as [.., H / 2, 2, W / 2]: row by row, as a
 * checkerboard prior codes them (He et al. 2021). With parity 0 the anchors begin in the upper left corner.
 *
 * @throws RangeError where H or W is odd, or the tensor has fewer than 2 or more than 6 dimensions.
 */
export function checkerboard(tensor: TensorLike | TensorView, parity: 0 | 1): TensorView {
  const view = asView(tensor, "tensor");
  const rank = view.dims.length;
  const [height, width] = view.dims.slice(-2);
  if (rank < 2 || rank > 6 || height % 2 !== 0 || width % 2 !== 0)
    throw new RangeError(`the shape [${view.dims}] does not end with two even dimensions; pad the image`);
  if (parity !== 0 && parity !== 1) throw new RangeError(`parity must be 0 or 1, not ${parity}`);
  const [down, right] = view.strides.slice(-2);
  return {
    ...view,
    dims: [...view.dims.slice(0, -2), height / 2, 2, width / 2],
    strides: [...view.strides.slice(0, -2), 2 * down, parity === 0 ? down + right : down - right, 2 * right],
    offset: (view.offset ?? 0) + (parity === 0 ? 0 : right),
  };
}

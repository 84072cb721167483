/** What the codec accepts as a tensor: structure, never `instanceof` of a runtime's class. */
import { CodecError } from "./errors.js";
import { MAX_RANK } from "./packet.js";
import type { LatentData, LatentType, TensorLike } from "./types.js";

const ARRAYS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, int8: Int8Array } as const;

function newArray(type: LatentType, length: number): LatentData {
  return new ARRAYS[type](length);
}

export function isLatentType(type: unknown): type is LatentType {
  return typeof type === "string" && Object.hasOwn(ARRAYS, type);
}

// Typed arrays of another realm (a worker's, a test runner's) are not instances of this one's classes.
const tag = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** Whether `data` is the typed array of `type`. */
export function isArrayOf(type: LatentType, data: unknown): data is LatentData {
  return (data as LatentData | null | undefined)?.constructor === ARRAYS[type] || tag(data) === ARRAYS[type].name;
}

/** Number of elements; throws CodecError SHAPE_MISMATCH for what a packet cannot express. */
export function checkDims(dims: unknown): number {
  if (!Array.isArray(dims) && !(ArrayBuffer.isView(dims) && "length" in dims))
    throw new TypeError("dims must be an array of dimensions");
  const list = dims as readonly number[];
  if (list.length < 1 || list.length > MAX_RANK)
    throw new CodecError("SHAPE_MISMATCH", `the shape [${list}] has not 1 .. ${MAX_RANK} dimensions`);
  let n = 1;
  for (let d = 0; d < list.length; d++) {
    const dimension = list[d]!;
    // BigInts of other formats, strings of a form: printed they look right.
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

export interface CheckedTensor {
  type: LatentType;
  data: LatentData;
  dims: number[];
}

/** Checks type, data and dims against each other. `name` is the argument's, for messages. */
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

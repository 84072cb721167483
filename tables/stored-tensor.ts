/** A tensor of a checkpoint, read when it is needed, and the conversions to the types that tables are made of. */
import { CodecError } from "latentwire";
import { widen } from "../bindings/float16.js";
import type { Budget } from "./budget.js";
import { described } from "./json.js";

/** Element types, by torch's names. */
export type StoredType =
  | "float64"
  | "float32"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

/** Bytes per element. */
export const elementBytes: Record<StoredType, number> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

/** Where a checkpoint keeps a tensor. */
export interface StoredTensor {
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** Of the file, charged when elements are read. */
  readonly budget: Budget;
  /** The elements in row-major order, little-endian. Throws `TRUNCATED`, `INVALID_FILE`, `LIMIT_EXCEEDED`. */
  bytes(): Uint8Array;
  /** The same of elements [from, to) alone, where they can be read without the others. */
  readonly piece?: (from: number, to: number) => Uint8Array;
}

/** Number of elements of a shape. Throws `INVALID_FILE` for a dimension that is none, `LIMIT_EXCEEDED` for too many. */
export function elementCount(shape: readonly number[], type: StoredType, name: string): number {
  let count = 1;
  for (const d of shape) {
    if (!(Number.isSafeInteger(d) && d >= 0))
      throw new CodecError("INVALID_FILE", `${name}: ${described(d)} is not a dimension of a tensor`);
    count *= d;
  }
  // Not ">": the product may be NaN.
  if (!(count * elementBytes[type] <= MAX_BYTES))
    throw new CodecError("LIMIT_EXCEEDED", `${name} has ${count} elements, more than an array can hold`);
  return count;
}

/** What an ArrayBuffer can hold in every engine that runs the command line. */
const MAX_BYTES = 2 ** 33 - 8;

function readers(view: DataView): Record<StoredType, (i: number) => number> {
  let wide: Float32Array | undefined;
  return {
    float64: (i) => view.getFloat64(8 * i, true),
    float32: (i) => view.getFloat32(4 * i, true),
    float16(i) {
      // A copy, because the elements need not be aligned in the file.
      wide ??= widen(new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice());
      return wide[i]!;
    },
    bfloat16: (i) => {
      scratch.setUint32(0, view.getUint16(2 * i, true) << 16);
      return scratch.getFloat32(0);
    },
    int64: (i) => Number(view.getBigInt64(8 * i, true)),
    int32: (i) => view.getInt32(4 * i, true),
    int16: (i) => view.getInt16(2 * i, true),
    int8: (i) => view.getInt8(i),
    uint64: (i) => Number(view.getBigUint64(8 * i, true)),
    uint32: (i) => view.getUint32(4 * i, true),
    uint16: (i) => view.getUint16(2 * i, true),
    uint8: (i) => view.getUint8(i),
    bool: (i) => (view.getUint8(i) === 0 ? 0 : 1),
  };
}

const scratch = new DataView(new ArrayBuffer(4));

/** Elements [from, to) of a tensor that has `piece`. */
export type Range = readonly [from: number, to: number];

/** The bytes of a tensor, or of a range of it, as many as its shape asks for. `each`: bytes that an element becomes. */
export function storedBytes(tensor: StoredTensor, name: string, range?: Range, each = 0): Uint8Array {
  const all = elementCount(tensor.shape, tensor.type, name);
  const [from, to] = range ?? [0, all];
  tensor.budget.charge(name, to - from, each * (to - from));
  const bytes = range && tensor.piece ? tensor.piece(from, to) : tensor.bytes();
  if (bytes.length !== (to - from) * elementBytes[tensor.type])
    throw new CodecError("INVALID_FILE", `${name} has ${bytes.length} bytes for the shape [${tensor.shape}]`);
  return bytes;
}

/** Bytes that an element of a table takes as a float32 or an int32; of a float16 also what it is widened in. */
const CONVERTED = 4;
const WIDENED = 6;

function elements(tensor: StoredTensor, name: string, range: Range | undefined) {
  const bytes = storedBytes(tensor, name, range, CONVERTED + (tensor.type === "float16" ? WIDENED : 0));
  const at = readers(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))[tensor.type];
  const fault = (code: "NON_FINITE" | "INVALID_FILE", i: number, why = ""): never => {
    throw new CodecError(code, `${name}: element ${(range?.[0] ?? 0) + i} is ${at(i)}${why}`);
  };
  return { bytes, count: bytes.length / elementBytes[tensor.type], at, fault };
}

/** The elements, or a range of them, as float32. Throws `NON_FINITE` where one is NaN or infinite. */
export function floats(tensor: StoredTensor, name: string, range?: Range): Float32Array {
  const { bytes, count, at, fault } = elements(tensor, name, range);
  const out = new Float32Array(count);
  if (tensor.type === "float32") new Uint8Array(out.buffer).set(bytes);
  else for (let i = 0; i < count; i++) out[i] = at(i);
  for (let i = 0; i < count; i++) if (!Number.isFinite(out[i])) fault("NON_FINITE", i);
  return out;
}

/** The elements, or a range of them, as int32. Throws `INVALID_FILE` where one is not an int32. */
export function integers(tensor: StoredTensor, name: string, range?: Range): Int32Array {
  const { count, at, fault } = elements(tensor, name, range);
  const out = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    out[i] = at(i);
    if (out[i] !== at(i)) fault("INVALID_FILE", i, ", not an int32");
  }
  return out;
}

/** Collects elements that are `strides` elements apart into row-major order. */
export function gather(
  from: Uint8Array,
  type: StoredType,
  shape: readonly number[],
  strides: readonly number[],
  budget: Budget,
): Uint8Array {
  const width = elementBytes[type];
  const count = elementCount(shape, type, "the tensor");
  budget.charge("a tensor that is not in one piece", 8 * count, width * count);
  const out = new Uint8Array(count * width);
  const index = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let i = 0; i < count; i++) {
    out.set(from.subarray(at * width, (at + 1) * width), i * width);
    for (let d = shape.length - 1; d >= 0; d--) {
      at += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      at -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  return out;
}

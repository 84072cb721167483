/**
 * Element types: what a tensor may hold. The kernels know four of them. Elements of the others become float32 or int32 on
 * their way in and come back on their way out, here and nowhere else. docs/guide.md has the rule.
 */
import { CodecError, shown } from "./errors.js";
import { narrow, widen } from "./float16.js";
import { checkOptions } from "./options.js";
import type { Affine, ElementData, ElementType, LatentType } from "./types.js";

/** The array of each type. float16 is handled as its bits. Some engines have no arrays of 64-bit integers. */
export const ARRAYS = {
  float32: Float32Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int64: globalThis.BigInt64Array,
  uint64: globalThis.BigUint64Array,
  float16: Uint16Array,
  float64: Float64Array,
} as const;

/** Whether a tensor of this type can be encoded. */
export const isElementType = (type: unknown): type is ElementType =>
  typeof type === "string" && /^(bool|float(16|32|64)|u?int(8|16|32|64))$/.test(type);

/** Throws TypeError for a type that is none. `name`: what messages call it. */
export function checkType(type: unknown, name = "type"): ElementType {
  if (Object.hasOwn(ARRAYS, type as string)) return type as ElementType;
  throw new TypeError(`${name} must be ${Object.keys(ARRAYS).join(", ")}, not ${shown(type)}`);
}

/** The type of the kernels in which elements are coded. */
export function coreOf(type: ElementType, zeroPoint = 0): LatentType {
  if (type.startsWith("float")) return "float32";
  return zeroPoint === 0 && (type === "int16" || type === "int8") ? type : "int32";
}

/** Pairs of words of 64-bit integers, the low one first: no processor that runs the codec is big-endian. */
const wordsOf = (type: ElementType, { buffer, byteOffset, length }: ElementData): Int32Array | undefined =>
  type.endsWith("nt64") ? new Int32Array(buffer, byteOffset, 2 * length) : undefined;

function refuse(at: number, value: unknown, type: string, remedy = "take a wider type"): never {
  throw new CodecError("OUT_OF_RANGE", `element ${at} is ${value}, which ${type} cannot hold; ${remedy}`);
}

const mostOf = (type: ElementType): number => (type === "bool" ? 1 : 0x7fffffff);

/**
 * Elements of any type -> those of the kernels, at the beginning of `target`. `first`: the position of the first one.
 *
 * @throws CodecError `OUT_OF_RANGE` for a number beyond float32 or int32, and for a bool that is neither 0 nor 1.
 */
export function toCore(
  type: ElementType,
  data: ElementData,
  target: Float32Array | Int32Array,
  zeroPoint: number,
  first: number,
): void {
  if (type === "float16") {
    widen(data, target as Float32Array);
    return;
  }
  const words = wordsOf(type, data);
  // One call for all elements: a loop over arrays of many types takes ten times as long.
  if (!words) target.set(data as Float64Array);
  const isFloat = type === "float64";
  const most = isFloat ? 3.4028234663852886e38 : mostOf(type);
  const least = type.startsWith("u") && !zeroPoint ? 0 : -1 - most;
  for (let i = 0; i < data.length; i++) {
    if (words) target[i] = words[2 * i]!;
    else if (zeroPoint) target[i]! -= zeroPoint;
    const value = target[i]!;
    if (value >= least && value <= most && (!words || words[2 * i + 1] === value >> 31)) continue;
    // The kernels refuse what is no finite number.
    if (isFloat && !Number.isFinite(data[i])) continue;
    if (type === "bool") refuse(first + i, data[i], type);
    refuse(first + i, data[i], coreOf(type), "subtract an offset or scale");
  }
}

/**
 * Elements of the kernels -> those of any type.
 *
 * @throws CodecError `OUT_OF_RANGE` for one that the type cannot hold.
 */
export function fromCore(
  type: ElementType,
  source: Float32Array | Int32Array,
  data: ElementData,
  zeroPoint: number,
  first: number,
): void {
  if (type === "float64") {
    (data as Float64Array).set(source);
    return;
  }
  const half = type === "float16" && narrow(source as Float32Array, data as Uint16Array);
  const words = wordsOf(type, data);
  for (let i = 0; i < source.length; i++) {
    const value = source[i]! + zeroPoint;
    let isKept: boolean;
    if (half) isKept = (half[i]! & 0x7fff) < 0x7c00;
    else if (words) {
      words[2 * i] = value;
      words[2 * i + 1] = value >> 31;
      isKept = value >= 0 || type === "int64";
    } else {
      data[i] = value;
      isKept = data[i] === value && value <= mostOf(type);
    }
    if (!isKept) refuse(first + i, value, type);
  }
}

/**
 * The zero point of quantized elements, 0 without `affine`. Throws TypeError or RangeError where it does not fit the type or
 * the prior: decoded values would be wrong without a word.
 */
export function zeroPointOf(affine: Affine | undefined, type: ElementType, step: number, isCentred: boolean): number {
  if (affine === undefined) return 0;
  const { scale, zeroPoint = 0 } = checkOptions("affine", affine, ["scale", "zeroPoint"]);
  if (typeof scale !== "number" || Math.fround(scale) !== step || isCentred)
    throw new RangeError(`affine: the prior must have step ${shown(scale)} and subtract nothing; its step is ${step}`);
  // Decoded to float32, symbol times step is the value.
  if (type === "float32") return 0;
  if (!/^u?int(8|16)$/.test(type) || ARRAYS[type as "int8"].of(zeroPoint)[0] !== zeroPoint)
    throw new RangeError(`affine: ${zeroPoint} is no zero point of ${type}`);
  return zeroPoint;
}

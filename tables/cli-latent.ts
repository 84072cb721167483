/** Latents of the command line: .npy files, or raw elements whose shape and type are given. */
import { type Affine, CodecError, type ElementData, type ElementType, type LatentData, type Prior } from "latentwire";
import { ARRAYS, coreOf, toCore } from "../bindings/elements.js";
import { KIND_BYTES, kindOf } from "../bindings/kinds.js";
import type { ByteSource } from "./byte-source.js";
import { choice, list, text, UsageError, type Values } from "./cli-arguments.js";
import { elementsOf, inMemory, naming, type ReadLatent } from "./layout.js";
import { isNpy, readNpy, writeNpy } from "./npy.js";
import { elementBytes, floats, integers, type Range, type StoredTensor, storedBytes } from "./stored-tensor.js";

/** The codec's element types. */
export const ELEMENT_TYPES = Object.keys(ARRAYS) as ElementType[];

/**
 * The zero point of `--zero-point` with the step of a prior, for quantized elements; undefined without it.
 */
export function affineOf(values: Values, prior: Prior): Affine | undefined {
  const given = text(values, "zero-point");
  if (given === undefined) return undefined;
  if (!/^-?\d+$/.test(given)) throw new UsageError(`--zero-point must be a whole number, not ${given}`);
  return { scale: prior.step, zeroPoint: Number(given) };
}

/** Options that describe raw input. */
export const rawOptions = { dims: { type: "string" }, type: { type: "string" } } as const;

/**
 * A latent from a .npy file, or, where a command has them, from raw elements with `--dims` and `--type`. It can be read as long as the source is
 * open: piece by piece, but an array in Fortran order as a whole.
 */
export function readLatent(source: ByteSource, values: Values | undefined, name: string): ReadLatent {
  const head = source.read(0, Math.min(KIND_BYTES, source.size));
  const isArray = isNpy(head);
  const found = () => `is ${kindOf(head) ?? "no .npy file"}`;
  if (values === undefined) {
    if (!isArray) throw new CodecError("INVALID_FILE", `${name} ${found()}`);
    return naming(name, () => latentOf(readNpy(source), name));
  }
  const dims = list(values, "dims");
  const type = choice(values, "type", ELEMENT_TYPES);
  if (!isArray) {
    if (dims === undefined)
      throw new UsageError(`${name} ${found()}: raw elements need --dims, and --type if they are not float32`);
    return rawLatent(source, type ?? "float32", dims, name);
  }
  if (dims !== undefined || type !== undefined)
    throw new UsageError(
      `${name} is a .npy file, which says its shape and type: --dims and --type are for raw elements`,
    );
  return naming(name, () => latentOf(readNpy(source), name));
}

function rawLatent(source: ByteSource, type: ElementType, dims: number[], name: string): ReadLatent {
  const width = elementBytes[type];
  const expected = width * elementsOf(dims);
  if (source.size !== expected)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${name} has ${source.size} bytes, [${dims}] of ${type} are ${expected} bytes`,
    );
  const read = (from: number, to: number) => arrayOf(type, source.read(width * from, width * (to - from)));
  return { type, dims, read };
}

/** The bytes as elements: a copy where they are not aligned. */
function arrayOf(type: ElementType, bytes: Uint8Array): ElementData {
  const isAligned = bytes.byteOffset % elementBytes[type] === 0;
  const { buffer, byteOffset, byteLength } = isAligned ? bytes : new Uint8Array(bytes);
  return new (ARRAYS[type] as Uint8ArrayConstructor)(buffer, byteOffset, byteLength / elementBytes[type]);
}

/** A stored array as a latent. */
function latentOf(tensor: StoredTensor, name: string): ReadLatent {
  const dims = [...tensor.shape];
  const { type } = tensor;
  if (type === "bfloat16") return inMemory("float32", dims, floats(tensor, name));
  const elements = (range?: Range) => arrayOf(type, storedBytes(tensor, name, range, elementBytes[type]));
  if (tensor.piece) return { type, dims, read: (from, to) => naming(name, () => elements([from, to])) };
  let whole: ElementData | undefined;
  const read = (from: number, to: number) => {
    whole ??= naming(name, () => elements());
    return whole.subarray(from, to);
  };
  return { type, dims, read };
}

/** The same latent in the types of the codec's kernels: float32 for floats, all of them finite, otherwise symbols. */
export function coreLatent({ type, dims, read }: ReadLatent, name: string, zeroPoint = 0): ReadLatent<LatentData> {
  const core = coreOf(type, zeroPoint);
  const converted = (from: number, to: number) => {
    let data = read(from, to);
    if (type !== core) {
      const target = core === "float32" ? new Float32Array(to - from) : new Int32Array(to - from);
      naming(name, () => toCore(type, data, target, zeroPoint, from));
      data = target;
    }
    if (core !== "float32") return data as LatentData;
    const bad = (data as Float32Array).findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new CodecError("NON_FINITE", `${name}: element ${from + bad} is ${data[bad]}`);
    return data as LatentData;
  };
  return { type: core, dims, read: converted };
}

/** A file of floats, flat: scales or means. */
export function readFloats(source: ByteSource, name: string): Float32Array {
  return naming(name, () => floats(readNpy(source), name));
}

/** A file of row numbers, flat. */
export function readRows(source: ByteSource, name: string): Int32Array {
  return naming(name, () => integers(readNpy(source), name));
}

/** A latent as it goes into a file. */
export function formatLatent(latent: { type: ElementType; dims: readonly number[]; data: ElementData }, raw: boolean) {
  const { type, dims, data } = latent;
  return raw ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : writeNpy(type, dims, data);
}

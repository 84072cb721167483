/** Latents of the command line: .npy files, or raw elements whose shape and type are given. */
import { CodecError, type LatentData, type LatentType } from "latentwire";
import type { ByteSource } from "./byte-source.js";
import { choice, list, UsageError, type Values } from "./cli-arguments.js";
import { elementsOf, naming, type ReadLatent } from "./layout.js";
import { isNpy, readNpy, writeNpy } from "./npy.js";
import { elementBytes, floats, integers, type Range, type StoredTensor, storedBytes } from "./stored-tensor.js";

/** The codec's element types. */
export const LATENT_TYPES = ["float32", "int32", "int16", "int8"] as const;

const ARRAYS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, int8: Int8Array };

/** Options that describe raw input. */
export const rawOptions = { dims: { type: "string" }, type: { type: "string" } } as const;

/**
 * A latent from a .npy file, or, where a command has them, from raw elements with `--dims` and `--type`. It can be read as long as the source is
 * open: piece by piece, but an array in Fortran order as a whole.
 */
export function readLatent(source: ByteSource, values: Values | undefined, name: string): ReadLatent {
  const isArray = isNpy(source.read(0, Math.min(6, source.size)));
  if (values === undefined) {
    if (!isArray) throw new CodecError("INVALID_FILE", `${name} is no .npy file`);
    return naming(name, () => latentOf(readNpy(source), name));
  }
  const dims = list(values, "dims");
  const type = choice(values, "type", LATENT_TYPES);
  if (!isArray) {
    if (dims === undefined)
      throw new UsageError(`${name} is no .npy file: raw elements need --dims, and --type if they are not float32`);
    return rawLatent(source, type ?? "float32", dims, name);
  }
  if (dims !== undefined || type !== undefined)
    throw new UsageError(
      `${name} is a .npy file, which says its shape and type: --dims and --type are for raw elements`,
    );
  return naming(name, () => latentOf(readNpy(source), name));
}

function rawLatent(source: ByteSource, type: LatentType, dims: number[], name: string): ReadLatent {
  const width = ARRAYS[type].BYTES_PER_ELEMENT;
  const expected = width * elementsOf(dims);
  if (source.size !== expected)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${name} has ${source.size} bytes, [${dims}] of ${type} are ${expected} bytes`,
    );
  const read = (from: number, to: number) => arrayOf(type, source.read(width * from, width * (to - from)));
  return { type, dims, read };
}

/** A copy, because the elements need not be aligned where they were read. */
const arrayOf = (type: LatentType, bytes: Uint8Array): LatentData => new ARRAYS[type](new Uint8Array(bytes).buffer);

/** A stored array as a latent: floats as float32, whole numbers as the codec's integers. */
function latentOf(tensor: StoredTensor, name: string): ReadLatent {
  const dims = [...tensor.shape];
  const [type, convert] = conversion(tensor, name);
  if (tensor.piece) return { type, dims, read: (from, to) => naming(name, () => convert([from, to])) };
  let whole: LatentData | undefined;
  const read = (from: number, to: number) => {
    whole ??= naming(name, () => convert());
    return whole.subarray(from, to);
  };
  return { type, dims, read };
}

function conversion(tensor: StoredTensor, name: string): [LatentType, (range?: Range) => LatentData] {
  const { type } = tensor;
  switch (type) {
    case "float32":
    case "float64":
    case "float16":
    case "bfloat16":
      return ["float32", (range) => floats(tensor, name, range)];
    case "int8":
    case "int16":
      return [type, (range) => arrayOf(type, storedBytes(tensor, name, range, elementBytes[type]))];
    default:
      return ["int32", (range) => integers(tensor, name, range)];
  }
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
export function formatLatent(latent: { type: LatentType; dims: readonly number[]; data: LatentData }, raw: boolean) {
  const { type, dims, data } = latent;
  return raw ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : writeNpy(type, dims, data);
}

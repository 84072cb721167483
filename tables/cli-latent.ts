/** Latents of the command line: .npy files, or raw elements whose shape and type are given. */
import { CodecError, type LatentData, type LatentType } from "latentwire";
import type { ByteSource } from "./byte-source.js";
import { choice, list, UsageError, type Values } from "./cli-arguments.js";
import { naming, type ReadLatent } from "./layout.js";
import { isNpy, readNpy, writeNpy } from "./npy.js";
import { floats, integers, type StoredTensor } from "./stored-tensor.js";

/** The codec's element types. */
export const LATENT_TYPES = ["float32", "int32", "int16", "int8"] as const;

const ARRAYS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, int8: Int8Array };

/** Options that describe raw input. */
export const rawOptions = { dims: { type: "string" }, type: { type: "string" } } as const;

/** A latent from a .npy file, or from raw elements with `--dims` and `--type`. */
export function readLatent(source: ByteSource, values: Values, name: string): ReadLatent {
  const dims = list(values, "dims");
  const type = choice(values, "type", LATENT_TYPES);
  if (!isNpy(source.read(0, Math.min(6, source.size)))) {
    if (dims === undefined)
      throw new UsageError(`${name} is no .npy file: raw elements need --dims, and --type if they are not float32`);
    return rawLatent(source.read(0, source.size), type ?? "float32", dims, name);
  }
  if (dims !== undefined || type !== undefined)
    throw new UsageError(
      `${name} is a .npy file, which says its shape and type: --dims and --type are for raw elements`,
    );
  return naming(name, () => latentOf(readNpy(source), name));
}

function rawLatent(bytes: Uint8Array, type: LatentType, dims: number[], name: string): ReadLatent {
  const count = dims.reduce((a, b) => a * b, 1);
  const expected = count * ARRAYS[type].BYTES_PER_ELEMENT;
  if (bytes.length !== expected)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${name} has ${bytes.length} bytes, [${dims}] of ${type} are ${expected} bytes`,
    );
  // A copy, because the elements need not be aligned where they were read.
  return { type, dims, data: new ARRAYS[type](new Uint8Array(bytes).buffer) };
}

/** A stored array as a latent: floats as float32, whole numbers as the codec's integers. */
export function latentOf(tensor: StoredTensor, name: string): ReadLatent {
  const dims = [...tensor.shape];
  switch (tensor.type) {
    case "float32":
    case "float64":
    case "float16":
    case "bfloat16":
      return { type: "float32", dims, data: floats(tensor, name) };
    case "int8":
    case "int16":
      return rawLatent(tensor.bytes(), tensor.type, dims, name);
    default:
      return { type: "int32", dims, data: integers(tensor, name) };
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

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { LatentData, LatentType } from "latentwire";

export interface NpyArray {
  readonly type: LatentType;
  readonly dims: number[];
  readonly data: LatentData;
}

const KINDS: Record<string, [LatentType, new (buffer: ArrayBuffer) => LatentData]> = {
  "|i1": ["int8", Int8Array],
  "<i2": ["int16", Int16Array],
  "<i4": ["int32", Int32Array],
  "<f4": ["float32", Float32Array],
};

/** Reads a NumPy .npy file (or .npy.gz) of int8, int16, int32 or float32 in C order. */
export function readNpy(file: string): NpyArray {
  let bytes = readFileSync(file);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
  if (bytes.toString("latin1", 0, 6) !== "\x93NUMPY") throw new Error(`${file} is no .npy file`);
  const long = bytes[6] >= 2;
  const start = long ? 12 : 10;
  const end = start + (long ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString("latin1", start, end);
  const descr = /'descr': *'([^']*)'/.exec(header)?.[1] ?? "?";
  const shape = /'shape': *\(([^)]*)\)/.exec(header)?.[1];
  const kind = KINDS[descr];
  if (kind === undefined) throw new Error(`${file}: element type ${descr}; int8, int16, int32 or float32 are read`);
  if (shape === undefined || /'fortran_order': *True/.test(header)) throw new Error(`${file}: only C order is read`);
  const dims = shape
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  const [type, Elements] = kind;
  // A copy, because the elements need not be aligned in the file's buffer.
  const data = new Elements(new Uint8Array(bytes.subarray(end)).buffer);
  if (data.length !== dims.reduce((product, d) => product * d, 1))
    throw new Error(`${file}: ${data.length} elements, but its shape is ${dims.join("x")}`);
  return { type, dims, data };
}

// Pickles and files of torch.save for tests, opcode by opcode, so that they can also say what torch would not.
import { deflateRawSync } from "node:zlib";
import { writeZip } from "./zip-writer.js";

export const text = (string: string) => new TextEncoder().encode(string);
export const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** Bytes, and text as its bytes. */
export const P = (...parts: (number | string)[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...text(part)])));

export const string = (value: string) => P("X", value.length & 255, value.length >> 8, 0, 0, value);
export const int = (value: number) => P("J", value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
export const tuple = (...parts: Uint8Array[]) => concat(P("("), ...parts, P("t"));
export const dictOf = (items: Record<string, Uint8Array>) =>
  concat(P("}("), ...Object.entries(items).flatMap(([key, value]) => [string(key), value]), P("u"));

/** `_rebuild_tensor_v2` of a storage. */
export function tensor(
  shape: number[],
  strides: number[],
  { offset = 0, count = 12, type = "FloatStorage", key = "0" } = {},
) {
  const id = concat(tuple(string("storage"), P(`ctorch\n${type}\n`), string(key), string("cpu"), int(count)), P("Q"));
  const args = tuple(id, int(offset), tuple(...shape.map(int)), tuple(...strides.map(int)), P(0x89), P("}"));
  return concat(P("ctorch._utils\n_rebuild_tensor_v2\n"), args, P("R"));
}

/** A file of torch.save with this pickle. Its one storage is the floats 0 .. 11. */
export function torchZip(pickle: Uint8Array, { deflated = false } = {}): Uint8Array {
  const data = concat(P(0x80, 2), pickle, P("."));
  return writeZip([
    { name: "archive/data.pkl", data, ...(deflated && { packed: deflateRawSync(data) }) },
    { name: "archive/data/0", data: new Uint8Array(Float32Array.from({ length: 12 }, (_, i) => i).buffer) },
  ]);
}

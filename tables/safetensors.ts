/** Files of safetensors: a JSON header that says where each tensor lies (https://huggingface.co/docs/safetensors). */
import { CodecError } from "latentwire";
import type { ByteSource } from "./byte-source.js";
import { elementBytes, elementCount, type StoredTensor, type StoredType } from "./stored-tensor.js";

/** The format allows 100 MB, which JSON.parse can turn into gigabytes. This is enough for some 80,000 tensors. */
const MAX_HEADER = 2 ** 23;

const TYPES: Record<string, StoredType> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `safetensors: ${message}`);
};

/** Whether a file begins with a header length and a JSON object. */
export const isSafetensors = (head: Uint8Array): boolean => head[8] === 0x7b && head[6] === 0 && head[7] === 0;

/** Every tensor under its name. Throws `INVALID_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`. */
export function safetensors(source: ByteSource): Map<string, StoredTensor> {
  const head = source.read(0, 8);
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER)
    throw new CodecError("LIMIT_EXCEEDED", `safetensors: a header of ${length} bytes, ${MAX_HEADER} is the most`);
  const header = parse(source.read(8, length));
  const found = new Map<string, StoredTensor>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: place } = (value ?? {}) as Record<string, unknown>;
    if (!isList(shape) || !isList(place) || place.length !== 2) return invalid(`${name} is not described as a tensor`);
    const type = Object.hasOwn(TYPES, String(dtype)) ? TYPES[String(dtype)] : undefined;
    // A tensor of a type that no table has is allowed, and left out.
    if (type === undefined) continue;
    const [start, end] = place as [number, number];
    const bytes = () => {
      if (end - start !== elementCount(shape, type, name) * elementBytes[type])
        invalid(`${name}: ${end - start} bytes for the shape [${shape}]`);
      return source.read(8 + length + start, end - start);
    };
    found.set(name, { type, shape, bytes });
  }
  return found;
}

const isList = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((number) => Number.isSafeInteger(number) && number >= 0);

function parse(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return invalid("the header is no JSON");
  }
  if (header === null || typeof header !== "object" || Array.isArray(header)) return invalid("the header is no object");
  return header as Record<string, unknown>;
}

/** NumPy's .npy files and archives of them (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
import { CodecError } from "latentwire";
import { type ByteSource, MemorySource } from "./byte-source.js";
import {
  elementBytes,
  elementCount,
  gather,
  MAX_TENSOR_BYTES,
  type StoredTensor,
  type StoredType,
} from "./stored-tensor.js";
import type { ZipArchive } from "./zip.js";

const MAX_HEADER = 2 ** 16;
/** The magic bytes of NumPy. */
const MAX_RANK = 64;

const TYPES: Record<string, StoredType> = {
  f8: "float64",
  f4: "float32",
  f2: "float16",
  i8: "int64",
  i4: "int32",
  i2: "int16",
  i1: "int8",
  u1: "uint8",
  b1: "bool",
};

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `npy: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `npy: ${message}`);
};

/** Whether a file begins like a .npy file. */
export const isNpy = (head: Uint8Array): boolean =>
  head[0] === 0x93 && [0x4e, 0x55, 0x4d, 0x50, 0x59].every((byte, i) => head[i + 1] === byte);

/** An array, its elements not read yet. Throws `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`. */
export function readNpy(source: ByteSource): StoredTensor {
  if (!isNpy(source.read(0, Math.min(6, source.size)))) invalid("it does not begin like one");
  const [major] = source.read(6, 1);
  if (major === 0 || major! > 3) unsupported(`version ${major}`);
  const wide = major! >= 2;
  const lengths = source.read(8, wide ? 4 : 2);
  const view = new DataView(lengths.buffer, lengths.byteOffset, lengths.byteLength);
  const length = wide ? view.getUint32(0, true) : view.getUint16(0, true);
  if (length > MAX_HEADER) invalid(`a header of ${length} bytes`);
  const start = 8 + (wide ? 4 : 2) + length;
  const header = new TextDecoder("latin1").decode(source.read(start - length, length));

  const descr = /'descr': *'([^']{0,20})'/.exec(header)?.[1] ?? unsupported("a structured array");
  const order = /'fortran_order': *(True|False)/.exec(header)?.[1] ?? invalid("its header has no fortran_order");
  const dims = /'shape': *\(([\d, L]*)\)/.exec(header)?.[1] ?? invalid("its header has no shape");
  const shape = dims.split(",").flatMap((d) => (d.trim() === "" ? [] : [Number.parseInt(d, 10)]));
  const [, endian, code] = /^([<>|=])([a-z]\d+)$/.exec(descr) ?? unsupported(`elements of type ${descr}`);
  const type = Object.hasOwn(TYPES, code!) ? TYPES[code!]! : unsupported(`elements of type ${descr}`);
  if (endian === ">" && elementBytes[type] > 1) unsupported("big-endian elements; save it as little-endian");
  if (shape.length > MAX_RANK) unsupported(`an array of ${shape.length} dimensions`);
  const count = elementCount(shape, type, "the array");
  const width = elementBytes[type];
  const bytes = () => {
    const stored = source.read(start, count * width);
    if (order === "False" || shape.length < 2) return stored;
    const strides = shape.map((_, d) => shape.slice(0, d).reduce((a, b) => a * b, 1));
    return gather(stored, count, width, shape, strides);
  };
  return { type, shape, bytes };
}

/** The arrays of a .npz file by name. */
export function npzTensors(archive: ZipArchive): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  for (const name of archive.names)
    if (name.endsWith(".npy")) found.set(name.slice(0, -4), new NpzArray(archive, name));
  return found;
}

/**
 * A member of an archive. It is unpacked when it is asked for, and not kept: most arrays of a model are weights, which
 * no table needs.
 */
class NpzArray implements StoredTensor {
  readonly #archive: ZipArchive;
  readonly #name: string;
  #known: Pick<StoredTensor, "type" | "shape"> | undefined;

  constructor(archive: ZipArchive, name: string) {
    this.#archive = archive;
    this.#name = name;
  }

  get type(): StoredType {
    return (this.#known ?? this.#read()).type;
  }

  get shape(): readonly number[] {
    return (this.#known ?? this.#read()).shape;
  }

  bytes(): Uint8Array {
    return this.#read().bytes();
  }

  #read(): StoredTensor {
    try {
      const array = readNpy(new MemorySource(this.#archive.read(this.#name, MAX_TENSOR_BYTES)));
      this.#known = { type: array.type, shape: array.shape };
      return array;
    } catch (error) {
      if (error instanceof CodecError && !error.message.includes(this.#name))
        throw new CodecError(error.code, `${this.#name}: ${error.message}`);
      throw error;
    }
  }
}

/** The bytes of a .npy file, version 1, for row-major elements of the machine's (little-endian) order. */
export function writeNpy(
  type: "float32" | "int32" | "int16" | "int8",
  shape: readonly number[],
  data: ArrayBufferView,
): Uint8Array {
  const descr = { float32: "<f4", int32: "<i4", int16: "<i2", int8: "|i1" }[type];
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  // The elements begin at a multiple of 64.
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 0xff, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length);
  return bytes;
}

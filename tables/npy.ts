/** NumPy's .npy files and archives of them. */
import { CodecError, type ElementType } from "latentwire";
import { KIND_BYTES, kindOf } from "../bindings/kinds.js";
import type { Budget } from "./budget.js";
import { type ByteSource, MemorySource } from "./byte-source.js";
import { descrOf, parseHeader } from "./npy-header.js";
import { elementBytes, elementCount, gather, type StoredTensor, type StoredType } from "./stored-tensor.js";
import type { ZipArchive } from "./zip.js";

const MAX_HEADER = 2 ** 16;
const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `npy: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `npy: ${message}`);
};

/** Whether a file begins like a .npy file. */
export const isNpy = (head: Uint8Array): boolean =>
  head[0] === 0x93 && [0x4e, 0x55, 0x4d, 0x50, 0x59].every((byte, i) => head[i + 1] === byte);

/**
 * The one array of a file, its elements not read yet. Throws `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`,
 * `LIMIT_EXCEEDED`.
 */
export function readNpy(source: ByteSource): StoredTensor {
  const head = source.read(0, Math.min(KIND_BYTES, source.size));
  if (!isNpy(head)) invalid(`the file is ${kindOf(head) ?? "none"}`);
  const [major] = source.read(6, 1);
  if (major === 0 || major! > 3) unsupported(`version ${major}`);
  const wide = major! >= 2;
  const lengths = source.read(8, wide ? 4 : 2);
  const view = new DataView(lengths.buffer, lengths.byteOffset, lengths.byteLength);
  const length = wide ? view.getUint32(0, true) : view.getUint16(0, true);
  if (length > MAX_HEADER) invalid(`a header of ${length} bytes`);
  const start = 8 + (wide ? 4 : 2) + length;
  const text = new TextDecoder("latin1").decode(source.read(start - length, length));
  const { type, isBigEndian, isFortran, shape } = parseHeader(text);
  const count = elementCount(shape, type, "the array");
  const width = elementBytes[type];
  refuseRest(source, start + count * width);
  const { budget } = source;
  const piece = (from: number, to: number) => {
    const stored = source.read(start + from * width, (to - from) * width);
    return isBigEndian ? littleEndian(stored, width, budget) : stored;
  };
  // With one dimension longer than 1 the two orders are one.
  const isOrdered = !isFortran || shape.filter((d) => d !== 1).length < 2;
  if (isOrdered) return { type, shape, budget, bytes: () => piece(0, count), piece };
  return { type, shape, budget, bytes: () => fromColumns(piece(0, count), type, shape, budget) };
}

/** A copy of elements whose highest byte is the first, in the order of this machine. */
export function littleEndian(stored: Uint8Array, width: number, budget: Budget): Uint8Array {
  budget.charge("an array of the other byte order", stored.length, stored.length);
  const bytes = new Uint8Array(stored.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = stored[i + width - 1 - 2 * (i % width)]!;
  return bytes;
}

/** An array in Fortran order as row-major elements. */
export function fromColumns(
  stored: Uint8Array,
  type: StoredType,
  shape: readonly number[],
  budget: Budget,
): Uint8Array {
  let step = 1;
  const strides = shape.map((d) => {
    const own = step;
    step *= d;
    return own;
  });
  if (stored.length !== step * elementBytes[type]) invalid(`${stored.length} bytes for the shape [${shape}]`);
  return gather(stored, type, shape, strides, budget);
}

/** Bytes behind the array would be ignored without a word, so they are refused. */
function refuseRest(source: ByteSource, end: number): void {
  const rest = source.size - end;
  if (rest < 0) throw new CodecError("TRUNCATED", `npy: the array ends at byte ${end}, the file at ${source.size}`);
  if (rest === 0) return;
  if (isNpy(source.read(end, Math.min(6, rest))))
    unsupported("several arrays in one file; save each in a file of its own");
  invalid(`${rest} bytes behind the array`);
}

/** The arrays of a .npz file by name. */
export function npzTensors(archive: ZipArchive): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  // What macOS adds to an archive: its files' attributes, under their names.
  for (const name of archive.names)
    if (name.endsWith(".npy") && !/(^|\/)\._/.test(name)) found.set(name.slice(0, -4), new NpzArray(archive, name));
  return found;
}

/**
 * A member of an archive. It is unpacked when it is asked for, and not kept: most arrays of a model are weights, which
 * no table needs.
 */
class NpzArray implements StoredTensor {
  readonly budget: Budget;
  readonly #archive: ZipArchive;
  readonly #name: string;
  #known: Pick<StoredTensor, "type" | "shape"> | undefined;

  constructor(archive: ZipArchive, name: string) {
    this.budget = archive.budget;
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
      const array = readNpy(new MemorySource(this.#archive.read(this.#name), this.budget));
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
export function writeNpy(type: ElementType, shape: readonly number[], data: ArrayBufferView): Uint8Array {
  const descr = descrOf(type);
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

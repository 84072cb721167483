/** NumPy's .npy files and archives of them (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
import { CodecError } from "latentwire";
import type { Budget } from "./budget.js";
import { type ByteSource, MemorySource } from "./byte-source.js";
import { elementBytes, elementCount, gather, type StoredTensor, type StoredType } from "./stored-tensor.js";
import type { ZipArchive } from "./zip.js";

const MAX_HEADER = 2 ** 16;
/** NumPy's own limit. */
const MAX_RANK = 64;

/** NumPy's names without their byte order. */
const TYPES: Record<string, StoredType> = {
  f8: "float64",
  f4: "float32",
  f2: "float16",
  i8: "int64",
  i4: "int32",
  i2: "int16",
  i1: "int8",
  u8: "uint64",
  u4: "uint32",
  u2: "uint16",
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

/**
 * The one array of a file, its elements not read yet. Throws `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`,
 * `LIMIT_EXCEEDED`.
 */
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
  const { descr, columns, shape } = parseHeader(new TextDecoder("latin1").decode(source.read(start - length, length)));
  const type = typeOf(descr);
  const count = elementCount(shape, type, "the array");
  const width = elementBytes[type];
  refuseRest(source, start + count * width);
  const bytes = () => {
    const stored = source.read(start, count * width);
    if (!columns || shape.length < 2) return stored;
    return fromColumns(stored, type, shape, source.budget);
  };
  return { type, shape, budget: source.budget, bytes };
}

/** A type by NumPy's name for it: `<f4`. */
export function typeOf(descr: string): StoredType {
  const [, endian, code] = /^([<>|=]?)([a-z]\d+)$/.exec(descr) ?? unsupported(`elements of type ${descr}`);
  const type = Object.hasOwn(TYPES, code!) ? TYPES[code!]! : unsupported(`elements of type ${descr}`);
  if (endian === ">" && elementBytes[type] > 1) unsupported("big-endian elements; save it as little-endian");
  return type;
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

/** A header as NumPy reads it: a Python dict of `descr`, `fortran_order` and `shape`, with any quotes and blanks. */
function parseHeader(header: string): { descr: string; columns: boolean; shape: number[] } {
  // Blanks; a string without escapes; a number, which Python 2 may have ended with L; a name; one of ( ) [ ] { } , :
  const token = /\s*(?:'([^'\\]*)'|"([^"\\]*)"|(\d+)L?(?![\w.])|([A-Za-z]+)|([()[\]{},:]))\s*/y;
  const next = () => {
    const [, single, double, digits, word, mark] = token.exec(header) ?? invalid("its header is no Python dict");
    return { text: single ?? double, digits, word, mark };
  };
  const expect = (mark: string) => {
    if (next().mark !== mark) invalid(`its header has no ${mark} where one must be`);
  };
  const found: { descr?: string; columns?: boolean; shape?: number[] } = {};
  expect("{");
  for (let one = next(); one.mark !== "}"; one = next()) {
    expect(":");
    const value = next();
    if (one.text === "descr") found.descr = value.text ?? unsupported("a structured array");
    else if (one.text === "fortran_order" && /^(True|False)$/.test(value.word ?? ""))
      found.columns = value.word === "True";
    else if (one.text === "shape" && value.mark === "(") found.shape = dimensions(next);
    else invalid("its header has something else than descr, fortran_order and shape");
    const { mark } = next();
    if (mark === "}") break;
    if (mark !== ",") invalid("its header has no , between two keys");
  }
  if (token.lastIndex !== header.length) invalid("its header goes on behind the dict");
  const { descr, columns, shape } = found;
  if (descr === undefined || columns === undefined || shape === undefined)
    return invalid("its header has not all of descr, fortran_order and shape");
  return { descr, columns, shape };
}

/** The rest of a tuple. `(3)` is a number in Python, not a tuple. */
function dimensions(next: () => { digits: string | undefined; mark: string | undefined }): number[] {
  const shape: number[] = [];
  for (let one = next(); one.mark !== ")"; one = next()) {
    if (one.digits === undefined) invalid("its shape is no tuple of numbers");
    shape.push(Number(one.digits));
    if (shape.length > MAX_RANK) unsupported(`an array of more than ${MAX_RANK} dimensions`);
    const { mark } = next();
    if (mark === ")" && shape.length > 1) break;
    if (mark !== ",") invalid("its shape is no tuple of numbers");
  }
  return shape;
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

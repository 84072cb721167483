/**
 * The header of a .npy file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a Python dict of
 * `descr`, `fortran_order` and `shape`. NumPy reads it with ast.literal_eval, so it may be written in many ways.
 */
import { CodecError } from "latentwire";
import { elementBytes, type StoredType } from "./stored-tensor.js";

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
  "?": "bool",
};
/** NumPy's name of a type, little-endian. */
export function descrOf(type: StoredType): string {
  const [code] = Object.entries(TYPES).find(([, one]) => one === type) ?? unsupported(`elements of type ${type}`);
  return `${elementBytes[type] === 1 ? "|" : "<"}${code}`;
}

const NAMES = new Set<string>(Object.values(TYPES));

/** Type and byte order of elements. */
export interface ElementType {
  readonly type: StoredType;
  readonly isBigEndian: boolean;
}

/** What a header says. */
export interface NpyHeader extends ElementType {
  readonly isFortran: boolean;
  readonly shape: readonly number[];
}

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `npy: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `npy: ${message}`);
};

/** A type by NumPy's name for it: `<f4`, `>i2`, `|b1`, `uint8`. */
export function typeOf(descr: string): ElementType {
  if (NAMES.has(descr)) return { type: descr as StoredType, isBigEndian: false };
  const [, order, code] = /^([<>|=]?)([a-z]\d+|\?)$/.exec(descr) ?? unsupported(`elements of type ${descr}`);
  const type = Object.hasOwn(TYPES, code!) ? TYPES[code!]! : unsupported(`elements of type ${descr}`);
  return { type, isBigEndian: order === ">" && elementBytes[type] > 1 };
}

interface Token {
  readonly text: string | undefined;
  readonly digits: string | undefined;
  readonly word: string | undefined;
  readonly mark: string | undefined;
}

/**
 * Reads a header. Throws `INVALID_FILE` for one that NumPy would refuse, or that is written as no writer does (text with
 * escapes, arithmetic); `UNSUPPORTED_FILE` for a type that no latent and no table has.
 */
export function parseHeader(header: string): NpyHeader {
  // Blanks and comments; a string without escapes; a number, to which Python 2 added an L; a name; a mark.
  const token =
    /(?:\s|#[^\n]*\n)*(?:[uUrR]?'([^'\\\n]*)'|[uUrR]?"([^"\\\n]*)"|\+?(0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+|0+|[1-9](?:_?\d)*)L?(?![\w.])|([A-Za-z]+)|([()[\]{},:]))(?:\s|#[^\n]*(?:\n|$))*/y;
  const next = (): Token => {
    const [, single, double, digits, word, mark] = token.exec(header) ?? invalid("its header is no Python dict");
    return { text: single ?? double, digits, word, mark };
  };
  const expect = (mark: string) => {
    if (next().mark !== mark) invalid(`its header has no ${mark} where one must be`);
  };
  const found: { descr?: string; isFortran?: boolean; shape?: number[] } = {};
  expect("{");
  for (let one = next(); one.mark !== "}"; one = next()) {
    expect(":");
    const value = next();
    if (one.text === "descr") found.descr = value.text ?? unsupported("a structured array");
    else if (one.text === "fortran_order" && /^(True|False)$/.test(value.word ?? ""))
      found.isFortran = value.word === "True";
    else if (one.text === "shape" && value.mark === "(") found.shape = dimensions(next);
    else invalid("its header has something else than descr, fortran_order and shape");
    const { mark } = next();
    if (mark === "}") break;
    if (mark !== ",") invalid("its header has no , between two keys");
  }
  if (token.lastIndex !== header.length) invalid("its header goes on behind the dict");
  const { descr, isFortran, shape } = found;
  if (descr === undefined || isFortran === undefined || shape === undefined)
    return invalid("its header has not all of descr, fortran_order and shape");
  return { ...typeOf(descr), isFortran, shape };
}

/** The rest of a tuple. `(3)` is a number in Python, not a tuple. */
function dimensions(next: () => Token): number[] {
  const shape: number[] = [];
  for (let one = next(); one.mark !== ")"; one = next()) {
    if (one.digits === undefined) invalid("its shape is no tuple of numbers");
    shape.push(Number(one.digits!.replaceAll("_", "")));
    if (shape.length > MAX_RANK) unsupported(`an array of more than ${MAX_RANK} dimensions`);
    const { mark } = next();
    if (mark === ")" && shape.length > 1) break;
    if (mark !== ",") invalid("its shape is no tuple of numbers");
  }
  return shape;
}

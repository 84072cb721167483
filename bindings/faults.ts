/** Codes of the Wasm module as errors with messages. */
import * as abi from "./abi.js";
import { CodecError, type ErrorCode } from "./errors.js";

/** Codes of assembly/codes.ts, by number. */
const CODES: readonly ErrorCode[] = [
  "CORRUPTED",
  "TRUNCATED",
  "CORRUPTED",
  "INVALID_TABLE",
  "UNSUPPORTED_VERSION",
  "NON_FINITE",
  "OUT_OF_RANGE",
  "NOT_A_PACKET",
  "WRONG_PRIOR",
  "SHAPE_MISMATCH",
  "LIMIT_EXCEEDED",
  "MODEL_MISMATCH",
  "INVALID_PMF",
];

/** What a code is called in a CodecError. */
export const codeOf = (code: number): ErrorCode => CODES[code]!;

/** Fields of assembly/codes.ts, by number, as messages call them. */
const FIELDS = [
  "the packet",
  "the header",
  "the checksum",
  "the control byte",
  "the sections byte",
  "the fingerprint",
  "the number of parts",
  "the number of symbols",
  "a shape",
  "the corrections",
  "the index checks",
  "the file hashes",
  "the context flags",
  "the tail length",
  "the escapes",
  "the stream",
  "an element",
  "a scale",
  "a weight",
  "a mean",
  "a symbol",
  "the table",
];

/** The part of the Wasm memory that says what failed. */
interface FaultMemory {
  readonly wasm: { faultAddress(): number };
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
}

/** Throws what a code means. `type`: the integer type that could not hold a symbol. */
export function throwFault(memory: FaultMemory, code: number, type?: string): never {
  const at = memory.wasm.faultAddress() >>> 2;
  const field = memory.u32[at]!;
  const position = memory.u32[at + 1]!;
  const value = (field === abi.FIELD_SYMBOL ? memory.i32 : memory.f32)[at + 2]!;
  const count = memory.u32[at + 2]!;
  if (code === abi.GUARD_TOO_WIDE) {
    const [name, step] = field === abi.FIELD_WEIGHT ? ["weight", 1 / 256] : ["mean", 1 / 64];
    throw new RangeError(`the guard is too wide for a mixture's ${name} of ${value}: at most ${step / 4} off`);
  }
  throw new CodecError(codeOf(code), messageOf(code, field, position, value, count, type));
}

function messageOf(
  code: number,
  field: number,
  position: number,
  value: number,
  count: number,
  type: string | undefined,
): string {
  const name = FIELDS[field] ?? FIELDS[0]!;
  switch (code) {
    case abi.TRUNCATED:
      return field === abi.FIELD_STREAM ? "the stream ends too early" : `the packet ends inside ${name}`;
    case abi.CORRUPTED:
      if (field === abi.FIELD_CHECK) return "wrong checksum: the packet is damaged or cut off";
      if (field === abi.FIELD_COMPACT_CHECK)
        return "the check does not fit: the packet is damaged or cut off, or prior or shape differ";
      return field === abi.FIELD_STREAM
        ? "the stream does not fit its prior, or is damaged"
        : `${name} contradicts docs/format.md: damage, or another header option`;
    case abi.UNSUPPORTED_VERSION:
      return field === abi.FIELD_SECTIONS
        ? "the packet has a section that this release does not know"
        : `packet version ${position}; this release reads 1`;
    case abi.NON_FINITE:
      if (field === abi.FIELD_ELEMENT)
        return `element ${position} of the latent is ${value}; replace it before encoding`;
      return field === abi.FIELD_MEAN && !Number.isNaN(value)
        ? `the mean of element ${position} is ${value}`
        : `${name} of element ${position} is NaN`;
    case abi.OUT_OF_RANGE:
      return field === abi.FIELD_SYMBOL
        ? `symbol ${position} is ${value}, which ${type ?? "the type"} cannot hold; ask for int32`
        : `element ${position} of the latent = ${value} does not round to an int32; use a larger step`;
    case abi.WRONG_PRIOR:
      return `the packet was coded under another prior: ${priorMessage(field, position, value)}`;
    case abi.SHAPE_MISMATCH:
      if (field === abi.FIELD_PARTS)
        return `the packet has ${position === 1 ? "one part" : `${position} parts`}, ${count === 0xffffffff ? "one more" : count} was asked for`;
      if (field === abi.FIELD_TAIL) return "a compact packet of one tensor is read with read(), not as a sequence";
      if (field === abi.FIELD_SHAPE) return "the packet has shapes that no part asked for";
      if (field === abi.FIELD_AXIS) return "the context prior is for another number of channels";
      return count > 0
        ? `the part has ${count} symbols, the packet has ${position} for it`
        : `${position} symbols were not read`;
    case abi.LIMIT_EXCEEDED:
      if (field === abi.FIELD_CONTEXT)
        return position
          ? `${position} symbols under a context are more than maxContextElements allows (${count} are left); raise it if your model makes so many`
          : `a context of this shape takes the memory of ${count} symbols, more than maxContextElements allows; raise it if your model makes such`;
      if (field === abi.FIELD_PARTS) return "a packet has at most 65,536 parts: write several";
      return field === abi.FIELD_COUNT
        ? position
          ? `${position} elements are more than maxElements; raise it if your model makes so many`
          : "more symbols or parameters than a packet can hold"
        : "there is not enough Wasm memory";
    case abi.MODEL_MISMATCH:
      return `part ${position}: the rows are not the writer's; the networks gave other scales here (docs/determinism.md)`;
    default:
      return "the binary form breaks docs/format.md section 5";
  }
}

const CENTRES = ["nothing", "the table's medians", "means"];

function priorMessage(field: number, position: number, value: number): string {
  if (field === abi.FIELD_AXIS) return `its axis is ${position}`;
  if (field === abi.FIELD_CENTRE) return `it subtracts ${CENTRES[position]}`;
  // Steps that people choose have few digits; any other number comes from another table's fingerprint.
  const digits = Number(value.toPrecision(5));
  if (field === abi.FIELD_STEP && value > 1e-6 && value < 1e6 && Math.fround(digits) === value)
    return `its step is ${digits}`;
  return field === abi.FIELD_PARTS
    ? "that of a part, or the parts in another order"
    : "its table, context, scales or step differ: load the same bundle on both sides";
}

/**
 * Every failure that comes from data or from the environment. The codes are stable; messages are for people. docs/errors.md has
 * cause and remedy of each code.
 *
 * | code | meaning |
 * |---|---|
 * | `NOT_A_PACKET` | the input does not begin with the packet magic |
 * | `UNSUPPORTED_VERSION` | a version or stream kind this release does not know |
 * | `TRUNCATED` | the input ends too early |
 * | `CORRUPTED` | checksum or structure contradict docs/format.md |
 * | `WRONG_PRIOR` | the packet was coded under another prior: another table, axis, step or kind of centre; the message says which where the packet can tell |
 * | `SHAPE_MISMATCH` | packet, latent and prior disagree about the shape |
 * | `LIMIT_EXCEEDED` | more elements than `maxElements`, or more memory than Wasm has |
 * | `NON_FINITE` | a NaN or an infinity among the inputs; the message names the position |
 * | `OUT_OF_RANGE` | a value that the wanted integer type cannot hold; the message names the position |
 * | `INVALID_TABLE` | a table that docs/format.md section 5 does not allow |
 * | `INVALID_CONTEXT` | parameters of a context prior that docs/format.md section 10 does not allow |
 * | `INVALID_PMF` | probabilities that cannot be quantized |
 * | `NOT_A_BUNDLE` | the input does not begin like a table bundle (`latentwire/bundle`) |
 * | `INVALID_FILE` | a checkpoint or array file that contradicts its own format (command line) |
 * | `UNSUPPORTED_FILE` | a file of a kind, version or type that is not read (command line) |
 * | `NO_TABLES` | a checkpoint without entropy models, or with empty ones (command line) |
 * | `MODEL_MISMATCH` | the reader's rows are not the writer's: two machines computed other scales (docs/determinism.md); the message names the part |
 * | `MODEL` | an ONNX session without the expected inputs or outputs |
 * | `WASM_BLOCKED` | the page or host forbids compiling WebAssembly; the message says what allows it |
 * | `BUILD_MISSING` | this engine needs a build that could not be loaded; the message says what to import and pass |
 * | `BIG_ENDIAN` | this processor is big-endian, and no build of the codec runs there |
 */
export type ErrorCode =
  | "NOT_A_PACKET"
  | "UNSUPPORTED_VERSION"
  | "TRUNCATED"
  | "CORRUPTED"
  | "WRONG_PRIOR"
  | "SHAPE_MISMATCH"
  | "LIMIT_EXCEEDED"
  | "NON_FINITE"
  | "OUT_OF_RANGE"
  | "INVALID_TABLE"
  | "INVALID_CONTEXT"
  | "INVALID_PMF"
  | "NOT_A_BUNDLE"
  | "INVALID_FILE"
  | "UNSUPPORTED_FILE"
  | "NO_TABLES"
  | "MODEL_MISMATCH"
  | "MODEL"
  | "WASM_BLOCKED"
  | "BUILD_MISSING"
  | "BIG_ENDIAN";

/** What a value calls itself, of any realm. */
export const tag = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** A value that was refused, as messages show it: "8" is no 8. It may be anything, and have any toString. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return Object(value) === value ? tag(value) : String(value);
}

/** Thrown for data that cannot be coded or decoded. A caller's mistake is a TypeError or RangeError that names the argument. */
export class CodecError extends Error {
  override readonly name = "CodecError";
  readonly code: ErrorCode;
  /** For the codec's own use. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The reference knows nothing of the package, so it has an error of its own; the codes are those of docs/format.md. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function corrupted(message: string): never {
  throw new FormatError("CORRUPTED", message);
}

export function truncated(message: string): never {
  throw new FormatError("TRUNCATED", message);
}

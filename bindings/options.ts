/** Options as callers give them: their names, their choices, and what they mean to the codec. */
import * as abi from "./abi.js";
import type { Lanes } from "./types.js";

/**
 * Throws TypeError for options that are no object, and for one that `call` does not know: a misspelt option would be
 * lost without a word.
 */
export function checkOptions(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`${call}: options must be an object, not ${String(options)}`);
  for (const name in options)
    if (!known.includes(name)) throw new TypeError(`${call}: unknown option "${name}"; it takes ${known.join(", ")}`);
}

/** Throws TypeError for a value that is none of the choices. */
export function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value))
    throw new TypeError(
      `${name} must be ${choices.map((choice) => `"${choice}"`).join(" or ")}, not ${JSON.stringify(value)}`,
    );
}

const HEADERS = ["packet", "compact", "none"];
const STREAMS = ["native", "compressai"];
const LANES: readonly Lanes[] = [1, 8, 16, 32];

/** What a packet looks like, in the numbers of docs/abi.md 3.2. */
export interface Form {
  readonly form: number;
  readonly check: number;
  readonly lanes: number;
  readonly fingerprint: boolean;
  readonly compressai: boolean;
}

/** The form of CompressAI's strings. */
export const STRINGS: Form = {
  form: abi.FORM_STRING,
  check: 0,
  lanes: 1,
  fingerprint: false,
  compressai: true,
};

/** What both ends agree on besides the prior. */
export interface Agreement {
  readonly header?: string | undefined;
  readonly stream?: string | undefined;
  readonly checksum?: boolean | number | undefined;
}

/** FORM_* and the bytes of the check. Throws TypeError. */
export function agreed({ header = "packet", stream = "native", checksum }: Agreement): { form: number; check: number } {
  checkChoice("header", header, HEADERS);
  checkChoice("stream", stream, STREAMS);
  const form =
    header === "packet"
      ? abi.FORM_FULL
      : header === "none" && stream === "compressai"
        ? abi.FORM_STRING
        : abi.FORM_COMPACT;
  return { form, check: checkBytes(header, checksum) };
}

function checkBytes(header: string, checksum: boolean | number | undefined): number {
  if (checksum === false || header === "none") return 0;
  if (checksum === undefined || checksum === true || checksum === 4) return 4;
  if (checksum === 2 && header === "compact") return 2;
  throw new TypeError(`checksum must be true, false or 4, or 2 with header: "compact", not ${String(checksum)}`);
}

/** What `encode` and `writer` share. Throws TypeError, RangeError. */
export function writtenForm(
  options: Agreement & { readonly fingerprint?: boolean | undefined; readonly lanes?: Lanes | "auto" | undefined },
): Form {
  const { lanes = "auto", fingerprint = true } = options;
  if (lanes !== "auto" && !LANES.includes(lanes))
    throw new RangeError(`lanes must be "auto", 1, 8, 16 or 32, not ${lanes}`);
  // Not "...agreed(options)": the spread takes 1.8 us, four times the rest of encoding a small latent (V8).
  const { form, check } = agreed(options);
  return { form, check, lanes: lanes === "auto" ? 0 : lanes, fingerprint, compressai: options.stream === "compressai" };
}

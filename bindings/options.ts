/** Options as callers give them: their names, their choices, and what they mean to the codec. */

import * as abi from "./abi.js";
import { shown } from "./errors.js";
import type { Lanes } from "./types.js";

/** No options. Not an object literal, which inherits from Object.prototype. */
export const NONE: object = Object.freeze(Object.setPrototypeOf({}, null));

/** What no other object inherits. Somebody may have added properties to it. */
const ROOT = Object.prototype;

/**
 * The same values by name, without those that only Object.prototype has: other code may put a `lanes` there, and
 * packets must not change. A caller reads each value once, because a getter may answer differently the second time.
 */
export function ownValues<T extends object>(values: T, names: readonly string[]): T {
  let clean = true;
  for (let i = 0; i < names.length; i++) clean &&= !(names[i]! in ROOT);
  if (clean) return values;
  const copy = Object.create(null) as Record<string, unknown>;
  for (const name of names) {
    const value = (values as typeof copy)[name];
    copy[name] = Object.hasOwn(values, name) || value !== (ROOT as typeof copy)[name] ? value : undefined;
  }
  return copy as T;
}

/**
 * Options to be read once each. Throws TypeError for options that are no object, and for one that `call` does not know:
 * a misspelt option would be lost without a word.
 */
export function checkOptions<T extends object>(call: string, options: T, known: readonly string[]): T {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`${call}: options must be an object, not ${shown(options)}`);
  // Nothing can have been added to it, so nothing need be looked for: a fifth of the encoding of a small latent.
  if ((options as object) === NONE) return options;
  for (const name in options)
    if (!known.includes(name) && !(name in ROOT))
      throw new TypeError(`${call}: unknown option "${name}"; it takes ${known.join(", ")}`);
  return ownValues(options, known);
}

/** Throws TypeError for a value that is none of the choices. */
export function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value))
    throw new TypeError(`${name} must be ${choices.map((choice) => `"${choice}"`).join(" or ")}, not ${shown(value)}`);
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

/** FORM_* and the bytes of the check: what both ends agree on besides the prior. Throws TypeError. */
export function formAndCheck(
  header = "packet",
  stream = "native",
  checksum?: boolean | number,
): { form: number; check: number } {
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
  throw new TypeError(`checksum must be true, false or 4, or 2 with header: "compact", not ${shown(checksum)}`);
}

/** What `encode` and `writer` share. Throws TypeError, RangeError. */
export function writtenForm(
  header: string | undefined,
  stream: string | undefined,
  checksum: boolean | number | undefined,
  lanes: Lanes | "auto" = "auto",
  fingerprint = true,
): Form {
  if (lanes !== "auto" && !LANES.includes(lanes))
    throw new RangeError(`lanes must be "auto", 1, 8, 16 or 32, not ${shown(lanes)}`);
  const { form, check } = formAndCheck(header, stream, checksum);
  return { form, check, lanes: lanes === "auto" ? 0 : lanes, fingerprint, compressai: stream === "compressai" };
}

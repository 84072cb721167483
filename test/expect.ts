// Assertions that the tests share: errors and their codes, numbers.
import { CodecError } from "latentwire";
import * as assert from "uvu/assert";
import { FormatError } from "./reference.js";

type Mistake = typeof TypeError | typeof RangeError;

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.unreachable("nothing was thrown");
}

function hasCode(error: unknown, code: string | readonly string[], message: RegExp): void {
  if (!(error instanceof CodecError || error instanceof FormatError)) throw error;
  assert.ok([code].flat().includes(error.code), `${error.code} (${error.message}) instead of ${code}`);
  assert.match(error.message, message);
}

/** A CodecError of the package or a FormatError of the reference, with one of the codes. */
export function throwsCode(call: () => unknown, code: string | readonly string[], message = /./): Error {
  const error = caught(call);
  hasCode(error, code, message);
  return error as Error;
}

/** A caller's mistake: TypeError or RangeError, whose message names the argument. */
export function throwsMistake(call: () => unknown, kind: Mistake, argument: string): void {
  const error = caught(call);
  if (!(error instanceof kind)) throw error;
  assert.ok(error.message.includes(argument), `"${error.message}" does not name ${argument}`);
}

/** Each call is a TypeError or a RangeError that names the argument of its line. */
export function throwMistakes(mistakes: readonly (readonly [Mistake, string, () => unknown])[]): void {
  for (const [kind, argument, call] of mistakes) throwsMistake(call, kind, argument);
}

/** A promise that ends in a CodecError with this code, or in an error of this class. */
export async function rejects(
  promise: Promise<unknown>,
  kind: string | (new (...given: never[]) => Error),
  message = /./,
): Promise<void> {
  const outcome = await promise.then(
    () => assert.unreachable("nothing was thrown"),
    (error: unknown) => error,
  );
  if (typeof kind === "string") return hasCode(outcome, kind, message);
  if (!(outcome instanceof kind)) throw outcome;
  assert.match(outcome.message, message);
}

/** Equal numbers in equal order; says where they part instead of printing them all. */
export function sameNumbers(actual: ArrayLike<number>, expected: ArrayLike<number>, what = "numbers"): void {
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  if (at < expected.length)
    assert.unreachable(`${what}: ${actual[at]} instead of ${expected[at]} at position ${at} of ${expected.length}`);
  assert.is(actual.length, expected.length, `${what}: length`);
}

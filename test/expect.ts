// Assertions on errors, shared by the tests.
import { CodecError } from "latentwire";
import * as assert from "uvu/assert";
import { FormatError } from "./reference.js";

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.unreachable("nothing was thrown");
}

/** A CodecError of the package or a FormatError of the reference, with one of the codes. Returns its message. */
export function throwsCode(call: () => unknown, code: string | readonly string[]): string {
  const error = caught(call);
  if (!(error instanceof CodecError || error instanceof FormatError)) throw error;
  assert.ok([code].flat().includes(error.code), `${error.code} (${error.message}) instead of ${code}`);
  return error.message;
}

/** A caller's mistake: TypeError or RangeError, whose message names the argument. */
export function throwsMistake(call: () => unknown, kind: typeof TypeError | typeof RangeError, argument: string): void {
  const error = caught(call);
  if (!(error instanceof kind)) throw error;
  assert.ok(error.message.includes(argument), `"${error.message}" does not name ${argument}`);
}

/** Equal numbers in equal order; says where they part instead of printing them all. */
export function sameNumbers(actual: ArrayLike<number>, expected: ArrayLike<number>, what = "numbers"): void {
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  if (at < expected.length)
    assert.unreachable(`${what}: ${actual[at]} instead of ${expected[at]} at position ${at} of ${expected.length}`);
  assert.is(actual.length, expected.length, `${what}: length`);
}

// Codes that calls return to a host, and the fault: what else a failed call says. docs/abi.md lists both. Hosts turn
// them into errors of their own.

/** Raised by one when exported functions, structures or codes change. */
export const ABI_VERSION: u32 = 2;

export const OK: i32 = 0;
export const TRUNCATED: i32 = 1;
export const CORRUPTED: i32 = 2;
export const INVALID_TABLE: i32 = 3;
export const UNSUPPORTED_VERSION: i32 = 4;
export const NON_FINITE: i32 = 5;
export const OUT_OF_RANGE: i32 = 6;
export const NOT_A_PACKET: i32 = 7;
export const WRONG_PRIOR: i32 = 8;
export const SHAPE_MISMATCH: i32 = 9;
export const LIMIT_EXCEEDED: i32 = 10;
export const MODEL_MISMATCH: i32 = 11;
export const INVALID_PMF: i32 = 12;
/** The guard is too wide for a weight or mean of a mixture. */
export const GUARD_TOO_WIDE: i32 = 13;
/** Not an error: the stream is coded again from its last symbol, with fewer lanes. */
export const AGAIN: i32 = 14;
export const INVALID_CONTEXT: i32 = 15;

// What was being read or written when a call failed.
export const FIELD_NONE: u32 = 0;
export const FIELD_HEADER: u32 = 1;
export const FIELD_CHECK: u32 = 2;
export const FIELD_CONTROL: u32 = 3;
export const FIELD_SECTIONS: u32 = 4;
export const FIELD_FINGERPRINT: u32 = 5;
export const FIELD_PARTS: u32 = 6;
export const FIELD_COUNT: u32 = 7;
export const FIELD_SHAPE: u32 = 8;
export const FIELD_CORRECTIONS: u32 = 9;
export const FIELD_INDEX_CHECKS: u32 = 10;
export const FIELD_FILE_HASHES: u32 = 11;
export const FIELD_CONTEXT: u32 = 12;
export const FIELD_TAIL: u32 = 13;
export const FIELD_ESCAPES: u32 = 14;
export const FIELD_STREAM: u32 = 15;
export const FIELD_ELEMENT: u32 = 16;
export const FIELD_SCALE: u32 = 17;
export const FIELD_WEIGHT: u32 = 18;
export const FIELD_MEAN: u32 = 19;
export const FIELD_SYMBOL: u32 = 20;
export const FIELD_TABLE: u32 = 21;
export const FIELD_AXIS: u32 = 22;
export const FIELD_CENTRE: u32 = 23;
export const FIELD_STEP: u32 = 24;
export const FIELD_COMPACT_CHECK: u32 = 25;

/** u32 field, u32 position, 4 bytes of value, i32 code: of the last call that failed. */
export const fault: usize = memory.data(16, 16);
export const faultCode: usize = fault + 12;

/** Says which field failed; returns the code. */
export function fail(code: i32, field: u32): i32 {
  return failAt(code, field, 0, 0);
}

/** Says which field failed, where, and at which value. */
export function failAt(code: i32, field: u32, position: u32, value: u32): i32 {
  store<u32>(fault, field);
  store<u32>(fault, position, 4);
  store<u32>(fault, value, 8);
  store<i32>(faultCode, code);
  return code;
}

/**
 * Varints (docs/format.md, conventions): unsigned LEB128 of seven bits a byte, low bits first, minimal. Numbers are integers
 * from 0 to 2^35 - 1.
 */

/** What {@link readVarint} returns where the bytes end too early. */
export const AGAIN = -1;
/** What {@link readVarint} returns for bytes that are no varint. */
export const BAD = -2;

/** Bytes of a number as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes a number as a varint from place `at` on; a list grows. Returns where it ends. */
export function writeVarint(bytes: Uint8Array | number[], at: number, value: number): number {
  let end = at;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[end++] = (rest % 128) | 128;
  bytes[end++] = rest;
  return end;
}

/** The varint at `at`. AGAIN: it goes on behind `end`. BAD: it is none, or not minimal. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let i = at; i < at + 5; i++, scale *= 128) {
    if (i >= end) return AGAIN;
    const byte = bytes[i]!;
    value += (byte & 127) * scale;
    if (byte < 128) return byte === 0 && i > at ? BAD : value;
  }
  return BAD;
}

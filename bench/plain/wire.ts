/**
 * The plain codec's own stream: varint(bytes of escapes), four 32-bit states, 16-bit words, escapes as zigzag varints.
 * It measures what good plain TypeScript reaches; it is not a format that anyone should store.
 */
export const LANES = 4;

/**
 * Long tensors are coded in pieces of one call each, a multiple of the lanes. One call over everything is compiled while it runs,
 * before V8 knows the rare paths, and then falls back to the interpreter at each of them.
 */
export const PIECE = 4096;

export function zigzagEncode(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

export function zigzagDecode(coded: number): number {
  return (coded >>> 1) ^ -(coded & 1);
}

export function pushVarint(bytes: number[], value: number): void {
  for (; value >= 128; value >>>= 7) bytes.push((value & 127) | 128);
  bytes.push(value);
}

export function readVarint(from: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = from.bytes[from.at++];
    value = (value | ((byte & 127) << shift)) >>> 0;
    if (byte < 128) return value;
    if (byte === undefined || shift === 28) throw new RangeError("damaged plain stream");
  }
}

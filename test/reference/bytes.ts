// Errors, varints and a cursor over bytes; docs/format.md, conventions.

/** The reference knows nothing of the package, so it has an error of its own. The codes are those of docs/format.md. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function fail(code: string, message: string): never {
  throw new FormatError(code, message);
}

export function corrupted(message: string): never {
  return fail("CORRUPTED", message);
}

export function truncated(message: string): never {
  return fail("TRUNCATED", message);
}

/** What a varint, a number of symbols and the product of a shape may be at most. */
export const most = 2 ** 31 - 1;

export class Writer {
  readonly bytes: number[] = [];

  byte(value: number): void {
    this.bytes.push(value & 0xff);
  }

  all(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) this.bytes.push(values[i]);
  }

  u16(value: number): void {
    this.all([value & 0xff, (value >>> 8) & 0xff]);
  }

  u32(value: number): void {
    this.all([value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]);
  }

  /** Little-endian, whatever the machine. */
  float32(values: ArrayLike<number>): void {
    const view = new DataView(new ArrayBuffer(4));
    for (let i = 0; i < values.length; i++) {
      view.setFloat32(0, values[i], true);
      this.u32(view.getUint32(0, true));
    }
  }

  varint(value: number): void {
    let rest = value;
    // Division instead of shifts: an escape has up to 34 bits.
    while (rest >= 128) {
      this.byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

export class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  byte(): number {
    if (this.left < 1) truncated("a byte is missing");
    return this.bytes[this.at++];
  }

  take(count: number): Uint8Array {
    if (this.left < count) truncated(`${count} bytes expected, ${this.left} left`);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  u16(): number {
    const b = this.take(2);
    return b[0] | (b[1] << 8);
  }

  u32(): number {
    const b = this.take(4);
    return (b[0] | (b[1] << 8) | (b[2] << 16) | (b[3] << 24)) >>> 0;
  }

  float32(count: number): Float32Array {
    const view = new DataView(this.take(4 * count).slice().buffer);
    return Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
  }

  /** A varint that is at most `limit`, which is less than 2^35. */
  varint(limit = most): number {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = this.byte();
      value += (byte & 127) * 128 ** i;
      if (byte >= 128) continue;
      if (byte === 0 && i > 0) corrupted("a varint is not minimal");
      if (value > limit) corrupted(`a varint is ${value}, more than ${limit}`);
      return value;
    }
    return corrupted("a varint is too long");
  }
}

export function zigzag(value: number): number {
  return value >= 0 ? 2 * value : -2 * value - 1;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

export function concat(...parts: ArrayLike<number>[]): Uint8Array {
  const writer = new Writer();
  for (const part of parts) writer.all(part);
  return writer.done();
}

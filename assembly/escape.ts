// The escape section of the native stream (docs/format.md section 3.3) and the mapping of values outside a row (section 1).

/** raw of a value that its row cannot code. |value| < 2^31 and |offset| <= 2^30, so nothing overflows i64. */
// @ts-ignore: decorator
@inline
export function escapeToRaw(value: i32, offset: i32, max: u32): u64 {
  const u = <i64>value - <i64>offset;
  return u < 0 ? <u64>(-2 * u - 1) : <u64>(2 * (u - <i64>max));
}

/** The value for raw, in i64 so that the caller can refuse what int32 cannot hold. */
// @ts-ignore: decorator
@inline
export function rawToEscape(raw: u64, offset: i32, max: u32): i64 {
  const u = raw & 1 ? -<i64>((raw + 1) >> 1) : <i64>(raw >> 1) + <i64>max;
  return u + <i64>offset;
}

/** Start of the escapes written so far; the encoder works backward. */
let writer: usize = 0;

export function startEscapeWriter(end: usize): void {
  writer = end;
}

export function escapeWriter(): usize {
  return writer;
}

export function writeEscape(value: i32, offset: i32, max: u32): void {
  let raw = escapeToRaw(value, offset, max);
  let length: usize = 1;
  for (let rest = raw >> 7; rest != 0; rest >>= 7) length++;
  writer -= length;
  let p = writer;
  while (raw >= 0x80) {
    store<u8>(p++, <u8>raw | 0x80);
    raw >>= 7;
  }
  store<u8>(p, <u8>raw);
}

let reader: usize = 0;
let readerEnd: usize = 0;
let readerError: i32 = 0;

export function startEscapeReader(p: usize, end: usize): void {
  reader = p;
  readerEnd = end;
  readerError = 0;
}

/** Where the next escape is read. */
export function escapeReader(): usize {
  return reader;
}

/** Error of the reads so far: one check after a stream instead of one a symbol. */
export function escapeReaderError(): i32 {
  return readerError;
}

export function escapesRemain(): bool {
  return reader != readerEnd;
}

/** The next escaped value; 0 after an error (1: truncated, 2: corrupted; the first one is kept). */
export function readEscape(offset: i32, max: u32): i32 {
  let raw: u64 = 0;
  let shift: u64 = 0;
  while (true) {
    if (reader >= readerEnd) {
      if (readerError == 0) readerError = 1;
      return 0;
    }
    const byte = <u64>load<u8>(reader++);
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      const value = rawToEscape(raw, offset, max);
      if ((byte == 0 && shift != 0) || value != <i64>(<i32>value)) {
        if (readerError == 0) readerError = 2;
        return 0;
      }
      return <i32>value;
    }
    shift += 7;
    if (shift > 28) {
      if (readerError == 0) readerError = 2;
      return 0;
    }
  }
}

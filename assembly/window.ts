// Windows: the few most probable, consecutive entries of a row in the form that a kernel holds in registers. Used for runs of one row.

/** Decoding, 5 entries: u16 first slots of the entries and, sixth, the slot behind the last; 65535 for entries that do not exist. */
export const WINDOW_BOUNDS: usize = 0;
/** u16: the slots that the window covers. */
export const WINDOW_WIDTH: usize = 12;
/** int16: the value of the third entry. */
export const WINDOW_MIDDLE: usize = 14;

// Encoding, 15 entries: byte y of each list belongs to the value top - y, y = 1 .. 15. What does not exist has freq 0, which means "search".
export const WINDOW_FREQ_LOW: usize = 0;
export const WINDOW_FREQ_HIGH: usize = 16;
export const WINDOW_CUM_LOW: usize = 32;
export const WINDOW_CUM_HIGH: usize = 48;
/** 4 lists, the reciprocals' bytes. */
export const WINDOW_RECIPROCAL: usize = 64;
/** int16: the value that has y = 0. */
export const WINDOW_TOP: usize = 128;

/** u32: 1 if the window holds enough of the row's mass to pay. */
export const WINDOW_PAYS: usize = 132;
export const WINDOW_BYTES: usize = 144;

// 5 entries and 6 bounds decode W2 14 % faster than 7 and 8 (measured).
const DECODE_ENTRIES: u32 = 5;
const ENCODE_ENTRIES: u32 = 15;
// A rare symbol costs about as much as 30 others gain (measured): the mass that may lie outside, of 65536.
const DECODE_OUTSIDE: u32 = 256;
const ENCODE_OUTSIDE: u32 = 1024;

// @ts-ignore: decorator
@inline
function cumAt(entries: usize, k: u32): u32 {
  return <u32>load<u16>(entries + (<usize>k << 3), 2);
}

/** Builds the window of the row with this record at `window`. */
export function buildWindow(record: usize, window: usize, encode: bool): void {
  const entries = <usize>load<u32>(record);
  const max = load<u32>(record, 4);
  const offset = load<i32>(record, 8);
  const width = encode ? ENCODE_ENTRIES : DECODE_ENTRIES;
  // The consecutive entries with the most mass; the escape, entry max, is never one of them.
  const used = min<u32>(max, width);
  let first: u32 = 0;
  let mass: u32 = 0;
  for (let a: u32 = 0; a + used <= max; a++) {
    const held = cumAt(entries, a + used) - cumAt(entries, a);
    if (held > mass) {
      mass = held;
      first = a;
    }
  }
  memory.fill(window, 0, WINDOW_BYTES);
  const top = offset + <i32>(first + width);
  store<u32>(window, u32(used > 0 && mass + (encode ? ENCODE_OUTSIDE : DECODE_OUTSIDE) >= 65536 && top < 32767 && top > -32700), WINDOW_PAYS);
  if (!encode) {
    for (let j: u32 = 0; j <= DECODE_ENTRIES; j++) store<u16>(window + (<usize>j << 1), <u16>(j <= used ? cumAt(entries, first + j) : 65535), WINDOW_BOUNDS);
    store<u16>(window, <u16>mass, WINDOW_WIDTH);
    store<i16>(window, <i16>(offset + <i32>first + 2), WINDOW_MIDDLE);
    return;
  }
  store<i16>(window, <i16>top, WINDOW_TOP);
  for (let j: u32 = 0; j < used; j++) {
    const at = window + <usize>(width - j);
    const entry = load<u64>(entries + (<usize>(first + j) << 3));
    store<u8>(at, <u8>entry, WINDOW_FREQ_LOW);
    store<u8>(at, <u8>(entry >> 8), WINDOW_FREQ_HIGH);
    store<u8>(at, <u8>(entry >> 16), WINDOW_CUM_LOW);
    store<u8>(at, <u8>(entry >> 24), WINDOW_CUM_HIGH);
    for (let b: usize = 0; b < 4; b++) store<u8>(at + (b << 4), <u8>(entry >> (32 + (<u64>b << 3))), WINDOW_RECIPROCAL);
  }
}

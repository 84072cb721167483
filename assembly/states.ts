// Lane states between calls of the kernels, their section of the stream, and the seeds (docs/format.md section 3.2).

/** A u32 per lane. */
export const states: usize = memory.data(128, 16);
/** Words of a tail's seeds, in the decoder's order: N - 1 low halves, then N / 4 words of nibbles. */
export const seeds: usize = memory.data(80, 16);

// @ts-ignore: decorator
@inline
export function seedBytes(lanes: u32): usize {
  return <usize>(lanes - 1 + (lanes >> 2)) << 1;
}

// The j-th of a row of nibbles, the even ones in the low halves: e_j and q_j of docs/format.md section 3.2.
function nibble(nibbles: usize, j: u32): u32 {
  return (<u32>load<u8>(nibbles + <usize>(j >> 1)) >> ((j & 1) << 2)) & 15;
}

/** Makes lanes 1 .. N-1 of the seeds' words, which lie at seedsStart in the decoder's order. */
export function statesFromSeeds(seedsStart: usize, lanes: u32): void {
  const nibbles = seedsStart + (<usize>(lanes - 1) << 1);
  for (let j: u32 = 1; j < lanes; j++) {
    let high = nibble(nibbles, j);
    if (j == 1) high = nibble(nibbles, 0) | (high << 4);
    store<u32>(states + (<usize>j << 2), ((high + 1) << 16) | <u32>load<u16>(seedsStart + (<usize>(j - 1) << 1)));
  }
}

/** Turns lanes 1 .. N-1 into the words at `seeds`. False if a state cannot be a seed. */
export function seedsFromStates(lanes: u32): bool {
  const nibbles = seeds + (<usize>(lanes - 1) << 1);
  memory.fill(nibbles, 0, <usize>lanes >> 1);
  for (let j: u32 = 1; j < lanes; j++) {
    const x = load<u32>(states + (<usize>j << 2));
    const high = (x >> 16) - 1;
    store<u16>(seeds + (<usize>(j - 1) << 1), <u16>x);
    if (j == 1) {
      if (high > 255) return false;
      store<u8>(nibbles, <u8>high);
    } else {
      if (high > 15) return false;
      const at = nibbles + <usize>(j >> 1);
      store<u8>(at, load<u8>(at) | <u8>(high << ((j & 1) << 2)));
    }
  }
  return true;
}

/** Writes the states' section, exponents, then mantissas as one bit string, just below `words`; returns its start. */
export function packStates(words: usize, lanes: u32): usize {
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 31 - clz<u32>(load<u32>(states + (<usize>j << 2)));
  const head = <usize>lanes >> 1;
  const start = words - head - <usize>((bits + 7) >> 3);
  memory.fill(start, 0, head);
  let p = start + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const x = load<u32>(states + (<usize>j << 2));
    const width = 31 - clz<u32>(x);
    const exponent = start + (<usize>j >> 1);
    store<u8>(exponent, load<u8>(exponent) | <u8>((width - 16) << ((j & 1) << 2)));
    buffer |= <u64>(x - (1 << width)) << filled;
    filled += <u64>width;
    while (filled >= 8) {
      store<u8>(p++, <u8>buffer);
      buffer >>= 8;
      filled -= 8;
    }
  }
  if (filled) store<u8>(p, <u8>buffer);
  return start;
}

/** Reads the states from [p, end). Returns the address behind them, or 0: truncated, 1: corrupted. */
export function unpackStates(p: usize, end: usize, lanes: u32): usize {
  const head = <usize>lanes >> 1;
  if (end - p < head) return 0;
  let bits: u32 = 0;
  for (let j: u32 = 0; j < lanes; j++) bits += 16 + nibble(p, j);
  const length = head + <usize>((bits + 7) >> 3);
  if (end - p < length) return 0;
  let source = p + head;
  let buffer: u64 = 0;
  let filled: u64 = 0;
  for (let j: u32 = 0; j < lanes; j++) {
    const width = 16 + <u64>nibble(p, j);
    while (filled < width) {
      buffer |= <u64>load<u8>(source++) << filled;
      filled += 8;
    }
    store<u32>(states + (<usize>j << 2), <u32>(buffer & ((1 << width) - 1)) | (<u32>1 << <u32>width));
    buffer >>= width;
    filled -= width;
  }
  return buffer == 0 ? p + length : 1;
}

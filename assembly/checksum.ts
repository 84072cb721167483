// XXH32, and XXH64 with seed 0 (Collet, xxHash specification 0.1.1). The four accumulators of a loop are independent,
// so a packet's check costs about 2 % of decoding it.

const P32_1: u32 = 0x9e3779b1;
const P32_2: u32 = 0x85ebca77;
const P32_3: u32 = 0xc2b2ae3d;
const P32_4: u32 = 0x27d4eb2f;
const P32_5: u32 = 0x165667b1;

// @ts-ignore: decorator
@inline
function round32(acc: u32, word: u32): u32 {
  return rotl<u32>(acc + word * P32_2, 13) * P32_1;
}

/** XXH32 of bytes that come in pieces: four accumulators, the number of bytes. */
const sum: usize = memory.data(20, 16);

export function beginSum(seed: u32): void {
  store<u32>(sum, seed + P32_1 + P32_2);
  store<u32>(sum, seed + P32_2, 4);
  store<u32>(sum, seed, 8);
  store<u32>(sum, seed - P32_1, 12);
  store<u32>(sum, 0, 16);
}

/** Adds bytes: a multiple of 16, except for the last ones. Returns the address behind the last 16 that were added. */
export function addToSum(p: usize, length: usize): usize {
  store<u32>(sum, load<u32>(sum, 16) + <u32>length, 16);
  if (length < 16) return p;
  const limit = p + length - 16;
  let a = load<u32>(sum);
  let b = load<u32>(sum, 4);
  let c = load<u32>(sum, 8);
  let d = load<u32>(sum, 12);
  do {
    a = round32(a, load<u32>(p, 0, 1));
    b = round32(b, load<u32>(p, 4, 1));
    c = round32(c, load<u32>(p, 8, 1));
    d = round32(d, load<u32>(p, 12, 1));
    p += 16;
  } while (p <= limit);
  store<u32>(sum, a);
  store<u32>(sum, b, 4);
  store<u32>(sum, c, 8);
  store<u32>(sum, d, 12);
  return p;
}

/** The sum with the last bytes, [p, end), which addToSum has counted and left. */
export function endSum(p: usize, end: usize): u32 {
  const length = load<u32>(sum, 16);
  // Below 16 bytes no accumulator has changed: the third is the seed.
  let h = length + (length < 16
    ? load<u32>(sum, 8) + P32_5
    : rotl<u32>(load<u32>(sum), 1) + rotl<u32>(load<u32>(sum, 4), 7) + rotl<u32>(load<u32>(sum, 8), 12) +
      rotl<u32>(load<u32>(sum, 12), 18));
  while (p + 4 <= end) {
    h = rotl<u32>(h + load<u32>(p, 0, 1) * P32_3, 17) * P32_4;
    p += 4;
  }
  while (p < end) {
    h = rotl<u32>(h + <u32>load<u8>(p) * P32_5, 11) * P32_1;
    p++;
  }
  h = (h ^ (h >> 15)) * P32_2;
  h = (h ^ (h >> 13)) * P32_3;
  return h ^ (h >> 16);
}

export function xxh32(p: usize, length: usize, seed: u32): u32 {
  beginSum(seed);
  return endSum(addToSum(p, length), p + length);
}

const P64_1: u64 = 0x9e3779b185ebca87;
const P64_2: u64 = 0xc2b2ae3d27d4eb4f;
const P64_3: u64 = 0x165667b19e3779f9;
const P64_4: u64 = 0x85ebca77c2b2ae63;
const P64_5: u64 = 0x27d4eb2f165667c5;

function round64(acc: u64, word: u64): u64 {
  return rotl<u64>(acc + word * P64_2, 31) * P64_1;
}

const accumulators: usize = memory.data(32, 16);

/** Only tables need it, so it is written for small size, not for speed. */
export function xxh64(p: usize, length: usize): u64 {
  const end = p + length;
  let h = P64_5;
  if (length >= 32) {
    store<u64>(accumulators, P64_1 + P64_2);
    store<u64>(accumulators, P64_2, 8);
    store<u64>(accumulators, 0, 16);
    store<u64>(accumulators, 0 - P64_1, 24);
    for (; p + 32 <= end; p += 32) {
      for (let j: usize = 0; j < 32; j += 8)
        store<u64>(accumulators + j, round64(load<u64>(accumulators + j), load<u64>(p + j, 0, 1)));
    }
    h = rotl<u64>(load<u64>(accumulators), 1) + rotl<u64>(load<u64>(accumulators, 8), 7);
    h += rotl<u64>(load<u64>(accumulators, 16), 12) + rotl<u64>(load<u64>(accumulators, 24), 18);
    for (let j: usize = 0; j < 32; j += 8) h = (h ^ round64(0, load<u64>(accumulators + j))) * P64_1 + P64_4;
  }
  h += <u64>length;
  for (; p + 8 <= end; p += 8) h = rotl<u64>(h ^ round64(0, load<u64>(p, 0, 1)), 27) * P64_1 + P64_4;
  if (p + 4 <= end) {
    h = rotl<u64>(h ^ (<u64>load<u32>(p, 0, 1) * P64_1), 23) * P64_2 + P64_3;
    p += 4;
  }
  for (; p < end; p++) h = rotl<u64>(h ^ (<u64>load<u8>(p) * P64_5), 11) * P64_1;
  h = (h ^ (h >> 33)) * P64_2;
  h = (h ^ (h >> 29)) * P64_3;
  return h ^ (h >> 32);
}

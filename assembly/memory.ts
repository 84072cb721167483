// Memory of the module: [static data][blocks][scratch]. Tables, open writers and open readers are in blocks. Each call
// lays out scratch anew. A new block is taken from the beginning of scratch, which then begins behind it.

import { fail, FIELD_NONE, LIMIT_EXCEEDED } from "./codes";

/** Kernels read up to 128 bytes behind an input and write a little below an output. */
export const PADDING: usize = 256;

// All that a call leaves behind lies in memory, not in globals: so a host can carry it to another instance (trim).
/** Where blocks end; 0: there is none yet. Then the last block; 0: there is none, or what `keep` gave lies behind it. */
const ends: usize = memory.data(16, 16);
const LAST_BLOCK: usize = 4;
// The first free block of each power of two. The first word behind the header of a free block is the address of the
// next one.
const freeLists: usize = memory.data(128, 16);
// The header of a block: its power of two, the block just before it or 0, whether it is free.
const BLOCK_BEFORE: usize = 4;
const BLOCK_FREE: usize = 8;
const BLOCK_HEADER: usize = 64;

function blocksEnd(): usize {
  const end = <usize>load<u32>(ends);
  return end ? end : (__heap_base + 63) & ~63;
}

// @ts-ignore: decorator
@inline
export function align(address: usize): usize {
  return (address + 63) & ~63;
}

/** Grows the memory to at least `end` bytes. False if that fails; the fault says so. */
function reserve(end: u64): bool {
  const have = <u64>memory.size() << 16;
  if (end <= have) return true;
  // One page less than 4 GB, so that no address behind a structure wraps.
  if (end <= 65535 << 16 && memory.grow(<i32>((end - have + 65535) >> 16)) >= 0) return true;
  fail(LIMIT_EXCEEDED, FIELD_NONE);
  return false;
}

/** Memory that is never given back; 0: there is none. */
export function keep(bytes: u64): usize {
  const address = blocksEnd();
  if (!reserve(<u64>address + bytes + PADDING)) return 0;
  store<u32>(ends, <u32>align(address + <usize>bytes));
  store<u32>(ends, 0, LAST_BLOCK);
  return address;
}

/**
 * A block of at least so many bytes; 0: there is none. Sizes are powers of two, so that a block can be used again.
 */
export function allocate(bytes: u64): usize {
  const power = bytes <= 1024 ? 10 : 64 - <i32>clz<u64>(bytes - 1);
  // Too large: reserve fails and says so.
  if (power > 31) return keep(bytes);
  const list = freeLists + (<usize>power << 2);
  let block = <usize>load<u32>(list);
  if (block) {
    store<u32>(list, load<u32>(block, BLOCK_HEADER));
  } else {
    const before = load<u32>(ends, LAST_BLOCK);
    block = keep(((<u64>1) << power) + BLOCK_HEADER + PADDING);
    if (block == 0) return 0;
    store<u32>(block, power);
    store<u32>(block, before, BLOCK_BEFORE);
    store<u32>(ends, <u32>block, LAST_BLOCK);
  }
  store<u32>(block, 0, BLOCK_FREE);
  return block + BLOCK_HEADER;
}

/** Gives a block back. Never twice. */
export function release(address: usize): void {
  if (address == 0) return;
  const block = address - BLOCK_HEADER;
  const list = freeLists + (<usize>load<u32>(block) << 2);
  store<u32>(address, load<u32>(list));
  store<u32>(list, <u32>block);
  store<u32>(block, 1, BLOCK_FREE);
}

/** Drops the free blocks behind the last one in use. Returns where blocks end now: what lies behind is not needed. */
export function trim(): usize {
  let end = blocksEnd();
  let last = <usize>load<u32>(ends, LAST_BLOCK);
  for (; last != 0 && load<u32>(last, BLOCK_FREE); last = <usize>load<u32>(last, BLOCK_BEFORE)) end = last;
  for (let power: usize = 10; power < 32; power++) {
    let link = freeLists + (power << 2);
    for (let block = <usize>load<u32>(link); block != 0; block = <usize>load<u32>(link)) {
      if (block < end) link = block + BLOCK_HEADER;
      else store<u32>(link, load<u32>(block, BLOCK_HEADER));
    }
  }
  store<u32>(ends, <u32>end);
  store<u32>(ends, <u32>last, LAST_BLOCK);
  return end;
}

/** Address of so many bytes of scratch; 0: there is none. Taking a block destroys what is there. */
export function scratch(bytes: u64): usize {
  const address = blocksEnd();
  return reserve(<u64>address + bytes + PADDING) ? address : 0;
}

/** Whether so many bytes at two addresses are equal; a multiple of 4. AssemblyScript's memory.compare has 1 KB of code. */
export function isSameMemory(a: usize, b: usize, bytes: usize): bool {
  const end = a + bytes;
  for (; a < end; a += 4, b += 4) if (load<u32>(a) != load<u32>(b)) return false;
  return true;
}

// ---- lists of bytes that grow: u32 address, u32 length, u32 capacity

/** Address at which `bytes` more can be written; 0: no memory. The caller raises the list's length. */
export function room(list: usize, bytes: u32): usize {
  const address = <usize>load<u32>(list);
  const length = load<u32>(list, 4);
  if (length + bytes <= load<u32>(list, 8)) return address + length;
  const capacity = max<u32>(1024, 2 * (length + bytes));
  const larger = allocate(capacity);
  if (larger == 0) return 0;
  memory.copy(larger, address, length);
  release(address);
  store<u32>(list, <u32>larger);
  store<u32>(list, capacity, 8);
  return larger + length;
}

// ---- varints: a cursor is u32 position, u32 end, u32 failure

/**
 * Reads a minimal LEB128 number below 2^32. On failure it sets the cursor's third word (1: the input ends, 2: not
 * minimal or too large) and returns 0. So a caller can read several numbers and check once.
 */
export function readVarint(cursor: usize): u32 {
  let at = <usize>load<u32>(cursor);
  const end = <usize>load<u32>(cursor, 4);
  let value: u64 = 0;
  for (let shift: u64 = 0; shift <= 28; shift += 7) {
    if (at >= end) {
      store<u32>(cursor, 1, 8);
      return 0;
    }
    const byte = <u64>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if ((byte == 0 && shift != 0) || value > 0xffffffff) break;
      store<u32>(cursor, <u32>at);
      return <u32>value;
    }
  }
  store<u32>(cursor, 2, 8);
  return 0;
}

/** Writes a minimal LEB128 number; returns the address behind it. */
export function writeVarint(p: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(p++, <u8>value | 0x80);
    value >>= 7;
  }
  store<u8>(p, <u8>value);
  return p + 1;
}

export function varintLength(value: u64): u32 {
  let length: u32 = 1;
  for (let rest = value >> 7; rest != 0; rest >>= 7) length++;
  return length;
}

/** Room for a piece of a strided tensor on its way from or to the host. */
export const piece: usize = memory.data(65536, 16);

export function pieceAddress(): usize {
  return piece;
}

/**
 * Moves elements of 4 bytes between `dense`, where they are in order, and a grid of blocks x rows x columns that begins
 * at `first`. Steps are in elements.
 */
export function copyGrid(
  dense: usize, first: usize, blocks: u32, rows: u32, columns: u32, blockStep: i32, rowStep: i32, columnStep: i32,
  scatter: bool,
): void {
  const step: usize = columnStep << 2;
  for (let b: u32 = 0; b < blocks; b++) {
    for (let r: u32 = 0; r < rows; r++) {
      let at = first + ((b * blockStep + r * rowStep) << 2);
      const end = dense + (<usize>columns << 2);
      if (ASC_FEATURE_SIMD && step == 8)
        for (; dense + 16 <= end; dense += 16, at += 32) {
          const low = v128.load(at);
          const high = v128.load(at, 16);
          if (scatter) {
            const values = v128.load(dense);
            v128.store(at, v128.shuffle<u32>(low, values, 4, 1, 5, 3));
            v128.store(at, v128.shuffle<u32>(high, values, 6, 1, 7, 3), 16);
          } else v128.store(dense, v128.shuffle<u32>(low, high, 0, 2, 4, 6));
        }
      if (scatter) for (; dense < end; dense += 4, at += step) store<u32>(at, load<u32>(dense));
      else for (; dense < end; dense += 4, at += step) store<u32>(dense, load<u32>(at));
    }
  }
}

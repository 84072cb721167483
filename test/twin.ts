// Bytes made to have the XXH64 of others: a table or a context that is not what its fingerprint says.
import type { TableJson } from "latentwire";
import { xxh64 } from "./reference.js";

const mask = (1n << 64n) - 1n;
const p1 = 0x9e3779b185ebca87n;
const p2 = 0xc2b2ae3d27d4eb4fn;
const rotl = (x: bigint, bits: bigint) => ((x << bits) | (x >> (64n - bits))) & mask;

/** The inverse of P2 modulo 2^64: three bits are right at first, and each round doubles them. */
let inverse = p2;
for (let round = 0; round < 5; round++) inverse = (inverse * (2n - p2 * inverse)) & mask;

const wordOf = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer).getBigUint64(at, true);

/** A lane of XXH64 (seed 0) behind so many stripes of 32 bytes. */
function laneOf(bytes: Uint8Array, lane: number, stripes: number): bigint {
  let state = [(p1 + p2) & mask, p2, 0n, -p1 & mask][lane];
  for (let at = 8 * lane; at < 32 * stripes; at += 32)
    state = (rotl((state + wordOf(bytes, at) * p2) & mask, 31n) * p1) & mask;
  return state;
}

/**
 * Other bytes with the same fingerprint, their last 8 bytes. Two words are changed: the first one anyhow, the second one so that its lane is as it was. Both lie
 * in [from, to). `isValid` says whether the result will do.
 */
export function twinOf(
  bytes: Uint8Array,
  from: number,
  to: number,
  isValid: (twin: Uint8Array) => boolean,
): Uint8Array {
  for (let change = 1n; change < 2000n; change++)
    for (let lane = 0; lane < 4; lane++) {
      const stripe = Math.ceil((from - 8 * lane) / 32);
      const [first, second] = [32 * stripe + 8 * lane, 32 * (stripe + 1) + 8 * lane];
      if (second + 8 > to) continue;
      const twin = bytes.slice();
      const view = new DataView(twin.buffer);
      view.setBigUint64(first, wordOf(bytes, first) ^ change, true);
      const [was, is] = [bytes, twin].map((form) => laneOf(form, lane, stripe + 1));
      const compensating = (wordOf(bytes, second) + (was - is) * inverse) & mask;
      view.setBigUint64(second, compensating, true);
      if (isValid(twin)) {
        if (xxh64(twin.subarray(0, -8)) !== wordOf(twin, twin.length - 8)) throw new Error("no twin");
        return twin;
      }
    }
  throw new Error("no twin was found");
}

/** A table of so many rows in binary form, and its twin: two of its medians are others. */
export function twinTables(rows: number, bytesOf: (json: TableJson) => Uint8Array): [Uint8Array, Uint8Array] {
  const bytes = bytesOf({
    offsets: new Array(rows).fill(-1),
    cdfs: new Array(rows).fill([0, 20000, 50000, 65535, 65536]),
    medians: Array.from({ length: rows }, (_, r) => r / 7),
  });
  const end = bytes.length - 8;
  const mediansOf = (form: Uint8Array) => new Float32Array(form.slice(end - 4 * rows, end).buffer);
  return [bytes, twinOf(bytes, end - 4 * rows, end, (twin) => mediansOf(twin).every(Number.isFinite))];
}

/** Parameters of a context prior, and their twin: biases of the last channel are others, and any numbers are biases. */
export function twinContexts(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const second = 8 * bytes[5];
  const end = bytes.length - 8 - 4 * (second + 2);
  return [bytes, twinOf(bytes, end - 10 * 8 * bytes[4], end, () => true)];
}

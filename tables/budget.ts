/**
 * What one file may cost its reader: work and memory in proportion to its size. A budget is made with the file and
 * handed from reader to reader, also into archives within archives. Whoever builds something charges it first.
 * SECURITY.md states the constants.
 */

/** Work that any file may ask for, in units. A unit is about 10 ns: an element converted, a small value made. */
export const BASE_WORK = 2 ** 24;
/** Bytes that any file may make its reader allocate, counted when they are allocated, whether freed later or not. */
export const BASE_BYTES = 2 ** 26;
/** Units of work, and bytes, that each byte of the file adds. */
export const PER_BYTE = 64;

/** Cost of a value of a pickle or of JSON, at least. */
export const VALUE_BYTES = 16;
/** Cost of an entry of a row that is computed from a Gaussian's scale: about 0.6 us, and its place in three arrays. */
const ENTRY_WORK = 16;
const ENTRY_BYTES = 48;

/** Counts what is spent on one file. */
export class Budget {
  readonly maxWork: number;
  readonly maxBytes: number;
  readonly #refuse: (message: string) => never;
  #work = 0;
  #bytes = 0;

  /**
   * @param size - of the file, in bytes.
   * @param refuse - throws the reader's error, `LIMIT_EXCEEDED`.
   */
  constructor(size: number, refuse: (message: string) => never) {
    this.maxWork = BASE_WORK + PER_BYTE * size;
    this.maxBytes = BASE_BYTES + PER_BYTE * size;
    this.#refuse = refuse;
  }

  /** Units spent so far. */
  get work(): number {
    return this.#work;
  }

  /** Bytes spent so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Charges work and memory, before they are spent. `what` begins the message of the error. */
  charge(what: string, work: number, bytes: number): void {
    // Not ">": a sum may be NaN.
    if (!(this.#work + work <= this.maxWork && this.#bytes + bytes <= this.maxBytes))
      this.#refuse(`${what}: more work or memory than a file of this size may take`);
    this.#work += work;
    this.#bytes += bytes;
  }

  /** Charges rows that are computed from scales. `factor`: how many times the work of a Gaussian's entry one takes. */
  chargeEntries(what: string, entries: number, factor = 1): void {
    this.charge(what, ENTRY_WORK * factor * entries, ENTRY_BYTES * entries);
  }

  /** Whether so many entries can still be charged. */
  affordsEntries(entries: number): boolean {
    return this.#work + ENTRY_WORK * entries <= this.maxWork && this.#bytes + ENTRY_BYTES * entries <= this.maxBytes;
  }
}

/** Number of entries of the Gaussian rows for these scales, at most. */
export function gaussianEntries(scales: ArrayLike<number>): number {
  let entries = 0;
  // A negative scale, which is refused later, must not earn anything.
  for (let j = 0; j < scales.length; j++) entries += 13 * Math.max(0, scales[j]!) + 4;
  return entries;
}

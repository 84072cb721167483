/** What assembly/ exports, and its constants that core needs: no code. */
import type { ErrorCode } from "./errors.js";

/** Exports of assembly/index.ts. Addresses are byte offsets in `memory`; a result that is an address is signed beyond 2 GB. */
export interface Kernels {
  memory: WebAssembly.Memory;
  init(): void;
  heapBase(): number;
  simdBuild(): number;
  xxh32(p: number, length: number): number;
  xxh64(p: number, length: number): bigint;
  loadTable(source: number, length: number, table: number): number;
  preparedBound(table: number, encode: boolean): number;
  prepareDecode(table: number, at: number): void;
  prepareEncode(table: number, at: number): void;
  quantizedCdf(pmf: number, n: number, precision: number, cdf: number): number;
  gaussianCenter(scale: number): number;
  gaussianPmf(scale: number, pmf: number): void;
  factorizedPmf(
    parameters: number,
    layers: number,
    filters: number,
    start: number,
    length: number,
    longest: number,
    pmf: number,
    scratch: number,
  ): void;
  buildScaleBins(scales: number, count: number, bins: number): number;
  scaleToRow(
    sigmas: number,
    n: number,
    scales: number,
    count: number,
    bins: number,
    single: number,
    rows: number,
  ): number;
  expandRows(rows: number, run: number, first: number, n: number, out: number): void;
  quantize(src: number, dst: number, n: number, means: number, mean: number, step: number): number;
  dequantize(src: number, dst: number, n: number, means: number, mean: number, step: number): void;
  widen(src: number, dst: number, n: number, bytes: number): void;
  narrow(src: number, dst: number, n: number, bytes: number): number;
  startEscapeWriter(end: number): void;
  escapeWriter(): number;
  startEscapeReader(p: number, end: number): void;
  encode64(n: number, rows: number, run: number, table: number, end: number, compressai: boolean): number;
  decode64(p: number, end: number, rows: number, run: number, table: number, n: number, compressai: boolean): number;
  encodeBegin(n: number, run: number, lanes: number, layout: number, table: number, wordsEnd: number): void;
  encodeDown(low: number): number;
  encodeEnd(): number;
  decodeBegin(
    p: number,
    wordsEnd: number,
    run: number,
    lanes: number,
    layout: number,
    units: number,
    table: number,
    n: number,
  ): number;
  decodeUp(high: number): number;
  decodeEnd(): number;
  setElements(
    elements: number,
    type: number,
    rows: number,
    means: number,
    medians: number,
    count: number,
    run: number,
    step: number,
  ): void;
  refusedAt(): number;
  refusedValue(): number;
  tailLength(): number;
}

/** assembly/errors.ts, by number. */
export const CODES: readonly ErrorCode[] = [
  "CORRUPTED",
  "TRUNCATED",
  "CORRUPTED",
  "INVALID_TABLE",
  "UNSUPPORTED_VERSION",
  "NON_FINITE",
  "OUT_OF_RANGE",
];
export const NON_FINITE = 5;
export const OUT_OF_RANGE = 6;

/** Indices into a loaded table's header, assembly/table.ts. */
export const TABLE_MEDIANS = 3;
export const TABLE_BUCKETS = 4;
export const TABLE_ENCODE_WINDOWS = 9;
/** assembly/tile.ts. */
export const TYPE_NUMBERS = { float32: 0, int32: 1, int16: 2, int8: 3 } as const;
/** Most rows of a table that the SIMD kernels with a row per symbol take, assembly/table.ts. */
export const SIMD_ROWS = 256;
/** What encodeDown returns instead of a position, assembly/rans.ts. */
export const TAIL_TOO_SHORT = -1;
export const NO_SYMBOL = -2;

/** What assembly/full.ts exports beyond assembly/index.ts: no code. */
import type { Kernels } from "./kernels.js";

export interface FullKernels extends Kernels {
  readonly BLOCK_BYTES: WebAssembly.Global;
  tailedCenter(scale: number, logistic: boolean): number;
  laplacePmf(scale: number, pmf: number): void;
  logisticPmf(scale: number, pmf: number): void;
  guardRows(
    sigmas: number,
    n: number,
    scales: number,
    count: number,
    relative: number,
    absolute: number,
    rows: number,
    positions: number,
  ): number;
  correctedRow(sigma: number, row: number, scales: number, count: number): number;
  hashRows(h: number, rows: number, n: number): number;
  idealMantissa(n: number, rows: number, run: number, table: number): number;
  idealExponent(): number;
  idealEscapes(): number;
  idealEscapeBytes(): number;
  mixtureBegin(quantized: number, components: number, kind: number, low: number, size: number): void;
  guardMixture(relative: number, absolute: number, positions: number, count: number): void;
  correctedParameters(): number;
  quantizeMixture(
    weights: number,
    means: number,
    sigmas: number,
    rows: number,
    scales: number,
    scaleCount: number,
    n: number,
    components: number,
    quantized: number,
    hash: number,
  ): number;
  mixtureEntries(symbols: number, n: number, entries: number): void;
  partsEncodeBegin(n: number, lanes: number, wordsEnd: number): void;
  partsEncode(symbols: number, rows: number, step: number, n: number, table: number): number;
  partsEncodeEntries(entries: number, symbols: number, n: number, low: number, size: number): number;
  partsEncodeEnd(): number;
  partsTailLength(): number;
  partsDecodeBegin(
    block: number,
    p: number,
    wordsEnd: number,
    escapesEnd: number,
    lanes: number,
    units: number,
    n: number,
  ): number;
  partsDecode(block: number, out: number, rows: number, step: number, n: number, origin: number, table: number): number;
  partsDecodeMixture(block: number, out: number, n: number, origin: number): number;
  partsDecodeEnd(block: number): number;
  parts64EncodeBegin(wordsEnd: number, compressai: boolean): void;
  parts64Encode(symbols: number, rows: number, step: number, n: number, table: number): void;
  parts64EncodeEntries(entries: number, symbols: number, n: number, low: number, size: number): void;
  parts64EncodeEnd(): number;
  parts64DecodeBegin(block: number, p: number, wordsEnd: number, escapesEnd: number, compressai: boolean): number;
  parts64Decode(block: number, out: number, rows: number, step: number, n: number, table: number): number;
  parts64DecodeMixture(block: number, out: number, n: number): number;
  parts64DecodeEnd(block: number): number;
}

/** Kinds of assembly/mixture.ts, constants of the format. */
export const MIXTURE_KINDS = ["gaussian", "laplace", "logistic"] as const;
/** f64 per component that quantizeMixture leaves: w', m' / 64, s'. */
export const MIXTURE_COMPONENT_BYTES = 24;

/** What is subtracted from elements before they are quantized, run by run, and the errors where element and symbol do not fit. Knows no Wasm. */
import { CodecError } from "./errors.js";
import type { LatentType } from "./types.js";

/** The largest float32 below 2^31. */
const HIGHEST_SYMBOL = 2147483520;

/** A mean per element, or a median per run, or nothing; then elements are divided by `step`. */
export interface Centre<Means = Float32Array> {
  means: Means | undefined;
  /** One float32 per run of `run` symbols, in turn. */
  medians: Float32Array | undefined;
  run: number;
  step: number;
}

/** Visits every run of n elements with its median, or all n at once where there are none. */
export function forRuns(
  n: number,
  { medians, run }: Centre<unknown>,
  visit: (from: number, count: number, median: number) => void,
): void {
  if (!medians) visit(0, n, 0);
  else for (let from = 0, r = 0; from < n; from += run, r++) visit(from, run, medians[r % medians.length]!);
}

/** Throws for the first element that has no symbol: a kernel, which may work backward, has only said that there is one. */
export function refuseElement(
  values: Float32Array,
  { means, medians, run, step }: Centre,
  name = (i: number): string => `latent.data[${i}]`,
): never {
  for (let i = 0; ; i++) {
    const y = values[i]!;
    const mean = means ? means[i]! : medians ? medians[Math.floor(i / run) % medians.length]! : 0;
    const scaled = Math.fround(Math.fround(y - mean) / step);
    if (scaled <= HIGHEST_SYMBOL && scaled >= -(2 ** 31)) continue;
    if (!Number.isFinite(y)) throw new CodecError("NON_FINITE", `${name(i)} is ${y}; replace it before encoding`);
    if (!Number.isFinite(mean)) throw new CodecError("NON_FINITE", `means[${i}] is ${mean}`);
    throw new CodecError("OUT_OF_RANGE", `${name(i)} = ${y} does not round to an int32; use a larger step`);
  }
}

export function refuseSymbol(position: number, symbol: number, type: LatentType): never {
  throw new CodecError("OUT_OF_RANGE", `symbol ${position} is ${symbol}, which ${type} cannot hold; ask for int32`);
}

// float32 latents to symbols and back; docs/format.md section 6. Math.fround after every operation is what makes it exact.
import { FormatError } from "./errors.js";

const lowest = -(2 ** 31);
const highest = 2 ** 31 - 128;

export function nearest(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `meanOf` is undefined where there are no means: then the subtraction is left out. */
export function quantize(y: Float32Array, meanOf?: (i: number) => number, step = 1): Int32Array {
  return Int32Array.from(y, (value, i) => {
    if (!Number.isFinite(value)) throw new FormatError("NON_FINITE", `${value} at position ${i}`);
    let x = value;
    if (meanOf) x = Math.fround(x - meanOf(i));
    if (step !== 1) x = Math.fround(x / Math.fround(step));
    const symbol = nearest(x);
    if (!(symbol >= lowest && symbol <= highest)) throw new FormatError("OUT_OF_RANGE", `${symbol} at position ${i}`);
    return symbol;
  });
}

export function dequantize(symbols: ArrayLike<number>, meanOf?: (i: number) => number, step = 1): Float32Array {
  return Float32Array.from(symbols, (symbol, i) => {
    let x = Math.fround(symbol);
    if (step !== 1) x = Math.fround(x * Math.fround(step));
    return meanOf ? Math.fround(x + meanOf(i)) : x;
  });
}

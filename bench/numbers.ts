/** Averages, and how figures are written. Pages use this file too, so it imports nothing. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** How strong features [1, channels, height, width] are at each place: the mean magnitude, from the weakest (0) to the strongest (255). */
export function strengths({ dims, data }: { readonly dims: readonly number[]; readonly data: Float32Array }) {
  const [, channels, height, width] = dims;
  const places = height * width;
  const sums = new Float64Array(places);
  for (let i = 0; i < channels * places; i++) sums[i % places] += Math.abs(data[i]);
  const [least, most] = [Math.min(...sums), Math.max(...sums)];
  return { width, height, bytes: Uint8ClampedArray.from(sums, (sum) => (255 * (sum - least)) / (most - least || 1)) };
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A share between 0 and 1 in percent; a dash for null, where nothing is known. */
export const percent = (share: number | null, digits = 1): string =>
  share === null ? "-" : `${number(100 * share, digits)} %`;

/** Three digits where they matter: 0.042, 1.35, 23.4, 321. */
export function milliseconds(value: number): string {
  return `${number(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

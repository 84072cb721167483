/**
 * Makes a row of a table from the symbols of a channel. The probabilities are (counts + weight * q) / (number +
 * weight), where q is a curve of a known kind with the symbols' own location and spread. So frequent symbols follow the
 * histogram, rare ones the curve. A weight of infinity is the curve alone.
 */
import type { Codec } from "latentwire";

/** The kinds of curves. */
const KINDS = ["laplace", "gaussian", "logistic"] as const;
export type Kind = (typeof KINDS)[number];

/** How a row is made. */
export interface Recipe {
  readonly kind: Kind;
  /** Weight of the curve: it counts as so many symbols. */
  readonly weight: number;
}

const WEIGHTS = [1, 8, 64, 512, 4096, Number.POSITIVE_INFINITY];

/** All recipes that are tried. */
const RECIPES: readonly Recipe[] = KINDS.flatMap((kind) => WEIGHTS.map((weight) => ({ kind, weight })));

/** So many rows with nothing but an escape: for priors of which rows do not matter. */
export function emptyRows(count: number): { offsets: number[]; cdfs: number[][] } {
  return { offsets: new Array<number>(count).fill(0), cdfs: Array.from({ length: count }, () => [0, 65536]) };
}

/** The recipe where there is too little data to choose one. */
const SAFE_WEIGHT = 64;

/** Symbols of one channel, counted. */
export interface Histogram {
  /** The symbol that counts[0] belongs to. */
  readonly low: number;
  readonly counts: Float64Array;
  /** Number of all symbols, also of those too far out to be counted. */
  readonly total: number;
}

const FARTHEST = 32768;
/** Most entries of a row: more would cost more bytes in the table than they save in escapes. */
const MAX_ENTRIES = 4096;
/** Share of the symbols that may become escapes. */
const TAIL = 1e-4;
/** Share of the curve that may become escapes. */
const CURVE_TAIL = 1e-5;
/** Bits of an escaped value, roughly. */
const ESCAPE_BITS = 16;

/** Counts the symbols of one channel, piece by piece. Those beyond +-32768 count in `total` only. */
export class Counter {
  #low = 0;
  #counts = new Float64Array(0);
  #total = 0;

  /** Counts symbols [start, end). */
  add(symbols: Int32Array, start: number, end: number): void {
    let low = FARTHEST;
    let high = -FARTHEST;
    for (let i = start; i < end; i++) {
      const symbol = symbols[i]!;
      if (symbol < -FARTHEST || symbol > FARTHEST) continue;
      if (symbol < low) low = symbol;
      if (symbol > high) high = symbol;
    }
    this.#total += end - start;
    if (high < low) return;
    this.#widen(low, high);
    for (let i = start; i < end; i++) {
      const at = symbols[i]! - this.#low;
      if (at >= 0 && at < this.#counts.length) this.#counts[at]! += 1;
    }
  }

  /** Makes room for the symbols from `low` to `high`, and for more beside those that are already counted. */
  #widen(low: number, high: number): void {
    const { length } = this.#counts;
    if (low >= this.#low && high < this.#low + length) return;
    const first = Math.max(-FARTHEST, length === 0 || low >= this.#low ? Math.min(low, this.#low) : low - length);
    const last = Math.min(FARTHEST, high < this.#low + length ? this.#low + length - 1 : high + length);
    const counts = new Float64Array(last - first + 1);
    counts.set(this.#counts, this.#low - first);
    this.#low = first;
    this.#counts = counts;
  }

  /** From the least symbol that occurs to the greatest. */
  histogram(): Histogram {
    const counts = this.#counts;
    const first = counts.findIndex((count) => count > 0);
    if (first < 0) return { low: 0, counts: new Float64Array(1), total: this.#total };
    let end = counts.length;
    while (counts[end - 1] === 0) end--;
    return { low: this.#low + first, counts: counts.slice(first, end), total: this.#total };
  }
}

/** Location and spread of a curve, in symbols. */
interface Curve {
  readonly kind: Kind;
  readonly location: number;
  readonly scale: number;
}

function curveOf({ low, counts }: Histogram, kind: Kind): Curve {
  const counted = counts.reduce((a, b) => a + b, 0);
  let middle = 0;
  let mean = 0;
  for (let k = 0, below = 0; k < counts.length; k++) {
    if (below <= counted / 2) middle = k;
    below += counts[k]!;
    mean += (k * counts[k]!) / Math.max(1, counted);
  }
  const location = kind === "laplace" ? middle : mean;
  let spread = 0;
  for (let k = 0; k < counts.length; k++) {
    const far = Math.abs(k - location);
    spread += (counts[k]! * (kind === "laplace" ? far : far * far)) / Math.max(1, counted);
  }
  const scale = kind === "laplace" ? spread : Math.sqrt(spread) * (kind === "logistic" ? Math.sqrt(3) / Math.PI : 1);
  // A channel of one symbol gets some spread, so that its neighbours are not impossible.
  return { kind, location: low + location, scale: Math.max(scale, 0.05) };
}

/** Probability below x. */
function below({ kind, location, scale }: Curve, x: number): number {
  const z = (x - location) / scale;
  if (kind === "logistic") return 1 / (1 + Math.exp(-z));
  if (kind === "laplace") return z < 0 ? Math.exp(z) / 2 : 1 - Math.exp(-z) / 2;
  return normal(z);
}

/** Abramowitz and Stegun 26.2.17, exact to 1e-7, which is enough for a curve. */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = Math.exp((-z * z) / 2) * 0.3989422804014327 * poly;
  return z > 0 ? 1 - upper : upper;
}

/** The symbols that get entries: nearly all that were seen, and those to which the curve gives some probability. */
function support({ low, counts, total }: Histogram, curve: Curve): [number, number] {
  let first = 0;
  let last = counts.length - 1;
  for (let left = (TAIL / 2) * total; first < last && counts[first]! <= left; first++) left -= counts[first]!;
  for (let left = (TAIL / 2) * total; last > first && counts[last]! <= left; last--) left -= counts[last]!;
  let from = low + first;
  let to = low + last;
  while (to - from + 2 < MAX_ENTRIES && below(curve, from - 0.5) > CURVE_TAIL) from--;
  while (to - from + 2 < MAX_ENTRIES && 1 - below(curve, to + 0.5) > CURVE_TAIL) to++;
  if (to - from + 2 > MAX_ENTRIES) {
    from = Math.max(from, Math.round(curve.location) - MAX_ENTRIES / 2);
    to = Math.min(to, from + MAX_ENTRIES - 2);
  }
  return [from, to];
}

/** Probabilities of the symbols from `offset` on. The last one is that of the escape. */
export interface Row {
  readonly offset: number;
  readonly pmf: Float32Array;
}

/** The row for these counts. */
export function fitRow(counted: Histogram, { kind, weight }: Recipe): Row {
  const curve = curveOf(counted, kind);
  const [from, to] = support(counted, curve);
  const { low, counts, total } = counted;
  const entries = to - from + 1;
  const q = new Float64Array(entries + 1);
  for (let k = 0; k < entries; k++) q[k] = below(curve, from + k + 0.5) - below(curve, from + k - 0.5);
  q[entries] = below(curve, from - 0.5) + 1 - below(curve, to + 0.5);
  const seen = new Float64Array(entries + 1);
  let inside = 0;
  for (let k = 0; k < entries; k++) {
    seen[k] = counts[from + k - low] ?? 0;
    inside += seen[k]!;
  }
  seen[entries] = total - inside;
  const pmf = new Float32Array(entries + 1);
  for (let k = 0; k <= entries; k++) {
    // A symbol that the curve makes impossible must not cost infinitely many bits.
    const guess = (1 - 1e-4) * Math.max(0, q[k]!) + 1e-4 / (entries + 1);
    pmf[k] = weight === Number.POSITIVE_INFINITY ? guess : (seen[k]! + weight * guess) / (total + weight);
  }
  return { offset: from, pmf };
}

/** Bits that a row spends on these counts, roughly. */
export function rowBits({ offset, pmf }: Row, { low, counts, total }: Histogram): number {
  const entries = pmf.length - 1;
  let bits = 0;
  let inside = 0;
  for (let k = 0; k < counts.length; k++) {
    const at = low + k - offset;
    if (counts[k] === 0 || at < 0 || at >= entries) continue;
    inside += counts[k]!;
    bits -= counts[k]! * Math.log2(Math.max(pmf[at]!, 2 ** -16));
  }
  return bits + (total - inside) * (ESCAPE_BITS - Math.log2(Math.max(pmf[entries]!, 2 ** -16)));
}

/**
 * Finds the recipe whose rows spend the fewest bits in cross-validation: each part of the symbols is coded with a row
 * made from the other parts. If recipes tie, the first wins. With a single part it is the recipe for scarce data.
 */
export function chooseRecipe(parts: readonly Histogram[]): Recipe {
  const single = parts.length < 2;
  let best = RECIPES[0]!;
  let least = Number.POSITIVE_INFINITY;
  for (const recipe of single ? RECIPES.filter(({ weight }) => weight === SAFE_WEIGHT) : RECIPES) {
    let bits = 0;
    for (const part of parts) {
      const others = single ? part : merged(parts.filter((one) => one !== part));
      bits += rowBits(fitRow(others, recipe), part);
    }
    if (bits < least) {
      least = bits;
      best = recipe;
    }
  }
  return best;
}

/** The histogram of all parts together. */
export function merged(parts: readonly Histogram[]): Histogram {
  const low = Math.min(...parts.map((part) => part.low));
  const counts = new Float64Array(Math.max(...parts.map((part) => part.low + part.counts.length)) - low);
  for (const part of parts) for (let k = 0; k < part.counts.length; k++) counts[part.low - low + k]! += part.counts[k]!;
  return { low, counts, total: parts.reduce((sum, part) => sum + part.total, 0) };
}

/** The row as integers. */
export function quantizedRow(codec: Codec, { offset, pmf }: Row): { offset: number; cdf: number[] } {
  return { offset, cdf: Array.from(codec.quantizedCdf(pmf)) };
}

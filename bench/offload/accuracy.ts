/** Bytes at equal top-1: interpolation along the curves, bootstrap intervals, and why a figure is missing. */
import { mean, number, percent } from "../numbers.js";
import type { Evaluation, Outcome } from "./evaluate.js";
import { nameOf, type Way } from "./ways.js";

/** A rate and what it buys. */
export interface RatePoint {
  readonly bytes: number;
  readonly top1: number;
}

/** Sorted by bytes, and only what is better than all smaller ones. */
function rise(points: readonly RatePoint[]): RatePoint[] {
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes);
  let best = Number.NEGATIVE_INFINITY;
  return sorted.filter((point) => {
    if (point.top1 <= best) return false;
    best = point.top1;
    return true;
  });
}

/** Bytes at which a codec reaches a top-1: log bytes interpolated linearly over top-1, a larger file counting as no worse; null beyond its ends. */
export function bytesAt(points: readonly RatePoint[], top1: number): number | null {
  const rising = rise(points);
  const after = rising.findIndex((point) => point.top1 >= top1);
  if (after < 0) return null;
  const right = rising[after];
  if (right.top1 === top1) return right.bytes;
  if (after === 0) return null;
  const left = rising[after - 1];
  const share = (top1 - left.top1) / (right.top1 - left.top1);
  return Math.exp(Math.log(left.bytes) * (1 - share) + Math.log(right.bytes) * share);
}

/** 95 % of the resampled values lie between these. */
export type Interval = readonly [number, number];

const RESAMPLES = 1000;

/** Numbers in [0, 1) from a fixed seed, so that an interval is the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The interval of a statistic over images drawn with replacement; null where too many draws have no value. */
export function interval(images: number, statistic: (drawn: Uint32Array) => number | null): Interval | null {
  const random = generator(1);
  const drawn = new Uint32Array(images);
  const values: number[] = [];
  for (let sample = 0; sample < RESAMPLES; sample++) {
    for (let i = 0; i < images; i++) drawn[i] = Math.floor(random() * images);
    const value = statistic(drawn);
    if (value !== null) values.push(value);
  }
  // Draws without a value lie beyond the compared curve: a few do not matter, many would shift the interval.
  if (values.length < 0.98 * RESAMPLES) return null;
  values.sort((a, b) => a - b);
  return [values[Math.floor(0.025 * values.length)], values[Math.ceil(0.975 * values.length) - 1]];
}

/** Mean over the drawn images. */
export function meanAt(values: ArrayLike<number>, drawn: Uint32Array): number {
  let sum = 0;
  for (const i of drawn) sum += values[i];
  return sum / drawn.length;
}

/** 1 where the answer is right, 0 where it is not; null where nothing can be said. */
export function rightAnswers(
  outcomes: readonly Outcome[],
  expected: readonly (number | null | undefined)[],
): Float64Array | null {
  const known = outcomes.every(({ answer }, i) => answer !== null && expected[i] != null);
  return known ? Float64Array.from(outcomes, ({ answer }, i) => Number(answer === expected[i])) : null;
}

/** Where the summary is taken, and where the curves are compared: shares of the backbone's top-1. */
const SUMMARY_SHARE = 0.8;
const SHARES = [0.6, 0.7, 0.8, 0.9, 0.95, 0.97];

export const RIVALS = ["WebP", "JPEG", "mozjpeg"] as const;

export interface Ratio {
  readonly value: number | null;
  readonly interval: Interval | null;
}

/** Bytes of the split model over each rival's at the same top-1. */
type Ratios = Readonly<Record<(typeof RIVALS)[number], Ratio>>;

/** One setting of the model beside the rivals' curves. */
export interface AtPoint {
  readonly point: string;
  readonly top1: number;
  readonly ratios: Ratios;
}

/** At the model's setting nearest the summary's top-1, settings left out that another one beats. */
export interface EqualAccuracy extends AtPoint {
  readonly backboneTop1: number;
  /** The same of all settings, beaten ones too. */
  readonly ofAll: AtPoint;
  /** The model's curve at shares of the backbone's top-1. */
  readonly shares: readonly {
    readonly share: number;
    readonly top1: number;
    readonly bytes: number | null;
    readonly ratios: Ratios;
  }[];
}

interface Curve {
  readonly way: Way;
  readonly bytes: Float64Array;
  readonly right: Float64Array;
}

const pointsOf = (curves: readonly Curve[], drawn: Uint32Array): RatePoint[] =>
  curves.map(({ bytes, right }) => ({ bytes: meanAt(bytes, drawn), top1: meanAt(right, drawn) }));

const over = (own: number | null, theirs: number | null) => (own === null || theirs === null ? null : own / theirs);

/** The curves of our own packets. A cut needs no training, but more than a third of the backbone's work on the device. */
export const CURVES = {
  "static rows": ["latentwire"],
  context: ["context"],
  "context, or an untrained cut with it": ["context", "cut context"],
} as const satisfies Record<string, readonly Way["family"][]>;

/**
 * The ways of `families` as one curve beside the rivals'. Null without labels or a backbone, where that answers nothing
 * right, and where there is no such way. Only ways that took every image are compared.
 */
export function equalAccuracy(
  { images, outcomes }: Evaluation,
  labels: readonly (number | undefined)[],
  backboneTop1: number | null,
  families: readonly Way["family"][],
): EqualAccuracy | null {
  if (backboneTop1 === null || backboneTop1 === 0) return null;
  const curvesOf = (...wanted: readonly Way["family"][]): Curve[] =>
    [...outcomes].flatMap(([way, all]) => {
      const right = rightAnswers(all, labels);
      if (!wanted.includes(way.family) || right === null || all.length < images.length) return [];
      return [{ way, right, bytes: Float64Array.from(all, (outcome) => outcome.bytes) }];
    });
  const own = curvesOf(...families);
  if (own.length === 0) return null;
  const all = Uint32Array.from(images.keys());
  const rivals = RIVALS.map((name) => ({ name, curves: curvesOf(name) }));
  const ratiosOf = (statistic: (theirs: readonly Curve[], drawn: Uint32Array) => number | null): Ratios => {
    const ratio = (curves: readonly Curve[]): Ratio => {
      const value = statistic(curves, all);
      return { value, interval: value === null ? null : interval(images.length, (drawn) => statistic(curves, drawn)) };
    };
    return Object.fromEntries(rivals.map(({ name, curves }) => [name, ratio(curves)])) as Ratios;
  };

  const distance = ({ right }: Curve) => Math.abs(mean(right) - SUMMARY_SHARE * backboneTop1);
  // A setting that another one beats in bytes and top-1 is no point of the model's curve.
  const beaten = (a: Curve) => own.some((b) => mean(b.bytes) < mean(a.bytes) && mean(b.right) >= mean(a.right));
  const nearest = (of: readonly Curve[]): AtPoint => {
    const { way, bytes, right } = of.reduce((best, curve) => (distance(curve) < distance(best) ? curve : best));
    const ratios = ratiosOf((theirs, drawn) =>
      over(meanAt(bytes, drawn), bytesAt(pointsOf(theirs, drawn), meanAt(right, drawn))),
    );
    return { point: nameOf(way), top1: mean(right), ratios };
  };
  const shares = SHARES.map((share) => {
    const top1 = share * backboneTop1;
    const ratios = ratiosOf((theirs, drawn) =>
      over(bytesAt(pointsOf(own, drawn), top1), bytesAt(pointsOf(theirs, drawn), top1)),
    );
    return { share, top1, bytes: bytesAt(pointsOf(own, all), top1), ratios };
  });
  return { ...nearest(own.filter((curve) => !beaten(curve))), ofAll: nearest(own), backboneTop1, shares };
}

const NO_BACKBONE = `No top-1: it needs --backbone DIR with backbone.onnx (image, n x 3 x 224 x 224, RGB 0..255 -> logits) and tail.onnx (features behind
the split -> logits), and --labels CSV for images with known classes. How the two were made for the bundled model: bench/model/README.md.`;

const NO_LABELS =
  "No top-1, only the agreement with the backbone: it needs --labels CSV with the columns file and label for images with known classes.";

const NOTHING_KNOWN =
  "Nothing is compared at equal top-1, because the backbone gives none of these images its label: are the labels the numbers of its logits, from 0?";

/** Why figures are missing from a run, and how to get them. */
export function notesOf(
  { backbone, labels: table }: { readonly backbone?: string; readonly labels?: string },
  { images, outcomes }: Evaluation,
  labels: readonly (number | undefined)[],
  backboneTop1: number | null,
  equal: EqualAccuracy | null,
): string[] {
  if (backbone === undefined) return [NO_BACKBONE];
  if (table === undefined) return [NO_LABELS];
  if (equal === null) return backboneTop1 === 0 ? [NOTHING_KNOWN] : [];
  return RIVALS.flatMap((name) => {
    const { value, interval } = equal.ratios[name];
    if (value !== null && interval !== null) return [];
    if (value !== null)
      return [
        `${name}: no interval, because in more than 2 % of the bootstrap draws its qualities do not reach the model's top-1.`,
      ];
    const curve = [...outcomes]
      .filter(([way, all]) => way.family === name && all.length === images.length)
      .map(([, all]) => ({ bytes: mean(all.map(({ bytes }) => bytes)), top1: mean(rightAnswers(all, labels)!) }))
      .sort((a, b) => a.top1 - b.top1)
      .map(({ bytes, top1 }) => `${percent(top1)} with ${number(bytes)} B`);
    if (curve.length === 0) return [];
    return [`${name}: no ratio at ${percent(equal.top1)}, its qualities reach from ${curve[0]} to ${curve.at(-1)}.`];
  });
}

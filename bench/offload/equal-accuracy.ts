import { mean } from "../numbers.js";
import { type Interval, interval } from "./bootstrap.js";
import type { Outcome } from "./cache.js";
import { bytesAt, type RatePoint } from "./curve.js";
import type { Evaluation } from "./evaluate.js";
import { rightAnswers } from "./points.js";
import { nameOf, type Way } from "./way.js";

/** Where the summary is taken, and where the curves are compared: shares of the backbone's top-1. */
const SUMMARY_SHARE = 0.8;
const SHARES = [0.6, 0.7, 0.8, 0.9, 0.95];

export const RIVALS = ["WebP", "JPEG", "mozjpeg"] as const;

export interface Ratio {
  readonly value: number | null;
  readonly interval: Interval | null;
}

export interface AtShare {
  readonly share: number;
  readonly top1: number;
  readonly bytes: number | null;
  /** Bytes of the split model over theirs at this top-1. */
  readonly ratios: Readonly<Record<(typeof RIVALS)[number], Ratio>>;
}

/** One setting of the model beside the rivals' curves. */
export interface AtPoint {
  readonly point: string;
  readonly top1: number;
  /** Bytes of this one point over theirs, at its top-1. */
  readonly ratios: Readonly<Record<(typeof RIVALS)[number], Ratio>>;
}

/** At the model's setting nearest the summary's top-1, settings left out that another one beats. */
export interface EqualAccuracy extends AtPoint {
  readonly backboneTop1: number;
  /** The same of all settings, beaten ones too. */
  readonly ofAll: AtPoint;
  /** Bytes of the model's curve over theirs. */
  readonly shares: readonly AtShare[];
}

interface Curve {
  readonly way: Way;
  readonly bytes: Float64Array;
  readonly right: Float64Array;
}

const meanAt = (values: Float64Array, drawn: Uint32Array) => {
  let sum = 0;
  for (const i of drawn) sum += values[i];
  return sum / drawn.length;
};

const pointsOf = (curves: readonly Curve[], drawn: Uint32Array): RatePoint[] =>
  curves.map(({ bytes, right }) => ({ bytes: meanAt(bytes, drawn), top1: meanAt(right, drawn) }));

const over = (own: number | null, theirs: number | null) => (own === null || theirs === null ? null : own / theirs);

/** Null without labels or a backbone, or where that answers nothing right. Only ways that took every image are compared. */
export function equalAccuracy(
  { images, outcomes }: Evaluation,
  labels: readonly (number | undefined)[],
  backboneTop1: number | null,
): EqualAccuracy | null {
  if (backboneTop1 === null || backboneTop1 === 0) return null;
  const curvesOf = (belongs: (way: Way) => boolean): Curve[] =>
    [...outcomes].flatMap(([way, all]: [Way, Outcome[]]) => {
      const right = rightAnswers(all, labels);
      if (!belongs(way) || right === null || all.length < images.length) return [];
      return [{ way, right, bytes: Float64Array.from(all, (outcome) => outcome.bytes) }];
    });
  const own = curvesOf((way) => way.family === "latentwire");
  if (own.length === 0) return null;
  const rivals = RIVALS.map((name) => ({ name, curves: curvesOf((way) => way.family === name) }));
  const ratiosOf = (statistic: (theirs: readonly Curve[], drawn: Uint32Array) => number | null) =>
    Object.fromEntries(
      rivals.map(({ name, curves }) => {
        const at = (drawn: Uint32Array) => statistic(curves, drawn);
        const value = at(Uint32Array.from(images.keys()));
        return [name, { value, interval: value === null ? null : interval(images.length, at) }];
      }),
    ) as AtShare["ratios"];

  const wanted = SUMMARY_SHARE * backboneTop1;
  const distance = ({ right }: Curve) => Math.abs(mean([...right]) - wanted);
  // A setting that another one beats in bytes and top-1 is no point of the model's curve.
  const all = Uint32Array.from(images.keys());
  const size = ({ bytes }: Curve) => meanAt(bytes, all);
  const beaten = (a: Curve) => own.some((b) => size(b) < size(a) && mean([...b.right]) >= mean([...a.right]));
  const nearest = (of: readonly Curve[]): AtPoint => {
    const { way, bytes, right } = of.reduce((best, curve) => (distance(curve) < distance(best) ? curve : best));
    const ratios = ratiosOf((theirs, drawn) =>
      over(meanAt(bytes, drawn), bytesAt(pointsOf(theirs, drawn), meanAt(right, drawn))),
    );
    return { point: nameOf(way), top1: mean([...right]), ratios };
  };
  return {
    ...nearest(own.filter((curve) => !beaten(curve))),
    ofAll: nearest(own),
    backboneTop1,
    shares: SHARES.map((share) => {
      const top1 = share * backboneTop1;
      return {
        share,
        top1,
        bytes: bytesAt(pointsOf(own, all), top1),
        ratios: ratiosOf((theirs, drawn) =>
          over(bytesAt(pointsOf(own, drawn), top1), bytesAt(pointsOf(theirs, drawn), top1)),
        ),
      };
    }),
  };
}

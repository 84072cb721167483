/** How far an answer agrees with the uncut model's, what that is worth with few samples, and bytes at equal agreement. */
import { CodecError } from "latentwire";
import type { RunTensor } from "../packages.js";
import { floatsOf } from "./network.js";

/** `top-1`: whether the highest element is the same one. `error`: 1 minus the relative error of all outputs, at least 0. */
export type Metric = "top-1" | "error";

/** An answer as it is kept: the class, or every element. */
export interface Answer {
  readonly top: number;
  readonly values: Float32Array;
}

/** Outputs in the model's order, as float32. Throws CodecError `MODEL` for outputs that are no numbers. */
export function answerOf(outputs: Readonly<Record<string, RunTensor>>, names: readonly string[]): Answer {
  const parts = names.map((name) => {
    const tensor = outputs[name]!;
    if (tensor.type === "string") throw new CodecError("MODEL", `the output ${name} is text: it cannot be compared`);
    return floatsOf(tensor);
  });
  const values = parts.length === 1 ? parts[0]! : Float32Array.from(parts.flatMap((part) => [...part]));
  return { top: highest(parts[0]!), values };
}

function highest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Whether outputs are one list of numbers: scores of classes, or an embedding. Anything else is compared as a whole. */
export function isOneList(outputs: readonly (readonly number[])[]): boolean {
  const [only, ...others] = outputs;
  return others.length === 0 && only?.filter((size) => size > 1).length === 1;
}

/** Whether scores are probabilities already, as behind a softmax. */
export const areProbabilities = (scores: Float32Array): boolean =>
  Math.abs(scores.reduce((a, b) => a + b, 0) - 1) < 0.01 && scores.every((score) => score >= 0);

const isUnitVector = (values: Float32Array): boolean =>
  Math.abs(values.reduce((sum, value) => sum + value * value, 0) - 1) < 0.01;

/** Names that exporters give to embeddings. */
const EMBEDDING = /embed|feature|descriptor|representation/i;

/** How answers are compared, and how that is known. */
export interface MetricFound {
  readonly metric: Metric;
  /** For people. */
  readonly reason: string;
}

/** The metric that fits the uncut model's answers, all of which are given: of class scores the highest class counts, of anything else every element. */
export function metricOf(
  names: readonly string[],
  shapes: readonly (readonly number[])[],
  answers: readonly Float32Array[],
): MetricFound {
  if (!isOneList(shapes)) return { metric: "error", reason: "its outputs are more than one list of numbers" };
  const [name] = names as [string];
  if (answers.every(areProbabilities)) return { metric: "top-1", reason: `its output ${name} holds probabilities` };
  const isEmbedding = (why: string): MetricFound => ({
    metric: "error",
    reason: `its output ${name} ${why}, as an embedding. If it holds scores of classes, say --metric top-1`,
  });
  if (answers.every(isUnitVector)) return isEmbedding("has the length 1");
  if (EMBEDDING.test(name)) return isEmbedding("is called so");
  return {
    metric: "top-1",
    reason: `its output ${name} is taken for scores of classes. If it is an embedding, say --metric error`,
  };
}

/** What is said where all samples have one highest class: then nearly every cut agrees. */
export const sameClass = (tops: readonly number[]): string | undefined =>
  tops.every((top) => top === tops[0])
    ? `all samples have the same highest class, ${tops[0]}: that most cuts agree says little. Give other samples, or --metric error`
    : undefined;

/** Relative error: the root of the squared differences over the squares. */
export function relativeError(found: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let square = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (found[i]! - expected[i]!) ** 2;
    square += expected[i]! ** 2;
  }
  return square === 0 ? Number(difference > 0) : Math.sqrt(difference / square);
}

/** Agreement of one answer: 0 or 1, or from 0 to 1. */
export function agreementOf(metric: Metric, found: Answer, expected: Answer): number {
  if (metric === "top-1") return Number(found.top === expected.top);
  // Detectors list as many boxes as they find: another number of them cannot be compared element by element.
  if (found.values.length !== expected.values.length) return 0;
  const error = relativeError(found.values, expected.values);
  return Number.isFinite(error) ? Math.max(0, 1 - error) : 0;
}

export type Interval = readonly [number, number];

/** Of 95 %. */
const Z = 1.959964;

/** A mean of agreements and its interval: Wilson's for yes and no, the normal one otherwise. */
export function withInterval(metric: Metric, values: readonly number[]): { mean: number; interval: Interval } {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / Math.max(1, n);
  if (n === 0) return { mean: 0, interval: [0, 1] };
  if (metric === "top-1") {
    const centre = (mean + (Z * Z) / (2 * n)) / (1 + (Z * Z) / n);
    const half = (Z / (1 + (Z * Z) / n)) * Math.sqrt((mean * (1 - mean)) / n + (Z * Z) / (4 * n * n));
    return { mean, interval: [Math.max(0, centre - half), Math.min(1, centre + half)] };
  }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, n - 1);
  const half = Z * Math.sqrt(variance / n);
  return { mean, interval: [Math.max(0, mean - half), Math.min(1, mean + half)] };
}

/** A size and the agreement that it buys. */
export interface RatePoint {
  readonly bytes: number;
  readonly agreement: number;
}

/**
 * Bytes at which a codec reaches an agreement: the logarithm of the bytes is interpolated linearly over agreement, a larger file counting as
 * no worse. Null where the codec does not reach it; its smallest file where even that does.
 */
export function bytesAt(points: readonly RatePoint[], agreement: number): number | null {
  let best = Number.NEGATIVE_INFINITY;
  const rising = [...points]
    .sort((a, b) => a.bytes - b.bytes)
    .filter((point) => {
      if (point.agreement <= best) return false;
      best = point.agreement;
      return true;
    });
  const after = rising.findIndex((point) => point.agreement >= agreement);
  if (after < 0) return null;
  const right = rising[after]!;
  if (after === 0) return right.bytes;
  const left = rising[after - 1]!;
  const share = (agreement - left.agreement) / (right.agreement - left.agreement);
  return Math.exp(Math.log(left.bytes) * (1 - share) + Math.log(right.bytes) * share);
}

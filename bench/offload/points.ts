import { type EndToEnd, endToEnd, type Link } from "../links.js";
import { mean, median } from "../numbers.js";
import { type Interval, interval } from "./bootstrap.js";
import type { Outcome } from "./cache.js";
import type { Evaluation } from "./evaluate.js";
import type { ClientMs, ServerMs, Way } from "./way.js";

export interface PointLink extends EndToEnd {
  readonly link: string;
}

/** A way, over the images. */
export interface Point {
  readonly codec: string;
  readonly setting: string;
  readonly family: Way["family"];
  readonly images: number;
  /** Mean. */
  readonly bytes: number;
  readonly bytes95: Interval | null;
  /** Share of the labelled images answered with their label; null without labels or backbone. */
  readonly top1: number | null;
  readonly top195: Interval | null;
  /** Share of the images answered as the backbone answers the image itself. */
  readonly agreement: number | null;
  readonly featureError: number | null;
  /** Medians. */
  readonly clientMs: number;
  readonly serverMs: number;
  readonly client: ClientMs;
  readonly server: ServerMs;
  readonly links: readonly PointLink[];
}

const meanOf = (values: ArrayLike<number>) => (drawn: Uint32Array) => {
  let sum = 0;
  for (const i of drawn) sum += values[i];
  return sum / drawn.length;
};

/** 1 where the answer is right, 0 where it is not; null where nothing can be said. */
export function rightAnswers(
  outcomes: readonly Outcome[],
  expected: readonly (number | null | undefined)[],
): Float64Array | null {
  const known = outcomes.every(({ answer }, i) => answer !== null && expected[i] != null);
  return known ? Float64Array.from(outcomes, ({ answer }, i) => Number(answer === expected[i])) : null;
}

/** The median of every part on its own. */
function partsOf<Parts extends object>(all: readonly Parts[]): Parts {
  const parts = Object.keys(all[0]).map((key) => [key, median(all.map((one) => one[key as keyof Parts] as number))]);
  return Object.fromEntries(parts);
}

const present = <T>(value: T | null): value is T => value !== null;

const total = (parts: ClientMs | ServerMs) => Object.values(parts).reduce((sum, part) => sum + part, 0);

/** The ways as points of the report; `labels` and the backbone's answers run along the images. */
export function summarizeWays(
  { outcomes }: Evaluation,
  clients: ReadonlyMap<Way, readonly ClientMs[]>,
  labels: readonly (number | undefined)[],
  truth: readonly (number | null)[],
  links: readonly Link[],
): Point[] {
  return [...outcomes].map(([way, all]) => {
    const bytes = Float64Array.from(all, (outcome) => outcome.bytes);
    const right = rightAnswers(all, labels);
    const agreed = rightAnswers(all, truth);
    const errors = all.map((outcome) => outcome.featureError).filter(present);
    const client = partsOf(clients.get(way)!);
    const server = partsOf(all.map((outcome) => outcome.server).filter(present));
    const [clientMs, serverMs] = [total(client), total(server)];
    const size = mean([...bytes]);
    return {
      codec: way.codec,
      setting: way.setting,
      family: way.family,
      images: all.length,
      bytes: size,
      bytes95: interval(all.length, meanOf(bytes)),
      top1: right && mean([...right]),
      top195: right && interval(all.length, meanOf(right)),
      agreement: agreed && mean([...agreed]),
      featureError: errors.length === 0 ? null : mean(errors),
      clientMs,
      serverMs,
      client,
      server,
      links: links.map((link) => ({ link: link.name, ...endToEnd(link, size, clientMs, serverMs) })),
    };
  });
}

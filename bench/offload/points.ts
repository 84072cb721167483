/** The ways as points of a report: means and medians over the images, and computed times over links. */
import { type EndToEnd, endToEnd, type Link } from "../../tables/links.js";
import { mean, median } from "../numbers.js";
import { type Interval, interval, meanAt, rightAnswers } from "./accuracy.js";
import type { Evaluation } from "./evaluate.js";
import { type ClientMs, type ServerMs, totalMs, type Way } from "./ways.js";

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
  readonly links: readonly (EndToEnd & { readonly link: string })[];
}

/** The median of every part on its own. */
function partsOf<Parts extends object>(all: readonly Parts[]): Parts {
  const parts = Object.keys(all[0]).map((key) => [key, median(all.map((one) => one[key as keyof Parts] as number))]);
  return Object.fromEntries(parts);
}

const present = <T>(value: T | null): value is T => value !== null;

/** The ways as points of the report; `labels` and the backbone's answers run along the images. */
export function summarizeWays(
  { outcomes }: Evaluation,
  clients: ReadonlyMap<Way, readonly ClientMs[]>,
  labels: readonly (number | undefined)[],
  truth: readonly (number | null)[],
  links: readonly Link[],
): Point[] {
  return [...outcomes].map(([way, all]) => {
    const bytes = all.map((outcome) => outcome.bytes);
    const right = rightAnswers(all, labels);
    const agreed = rightAnswers(all, truth);
    const errors = all.map((outcome) => outcome.featureError).filter(present);
    const client = partsOf(clients.get(way)!);
    const server = partsOf(all.map((outcome) => outcome.server).filter(present));
    const [clientMs, serverMs] = [totalMs(client), totalMs(server)];
    return {
      codec: way.codec,
      setting: way.setting,
      family: way.family,
      images: all.length,
      bytes: mean(bytes),
      bytes95: interval(all.length, (drawn) => meanAt(bytes, drawn)),
      top1: right && mean(right),
      top195: right && interval(all.length, (drawn) => meanAt(right, drawn)),
      agreement: agreed && mean(agreed),
      featureError: errors.length === 0 ? null : mean(errors),
      clientMs,
      serverMs,
      client,
      server,
      links: links.map((link) => ({ link: link.name, ...endToEnd(link, mean(bytes), clientMs, serverMs) })),
    };
  });
}

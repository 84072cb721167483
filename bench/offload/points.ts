/** The ways as points of a report: means and medians over the images, times over links, other rules of counting. */
import type { Codec } from "latentwire";
import type { Picture } from "../images.js";
import { type EndToEnd, endToEnd, type Link } from "../links.js";
import { mean, median } from "../numbers.js";
import { type EqualAccuracy, type Interval, interval, meanAt, rightAnswers } from "./accuracy.js";
import type { Evaluation } from "./evaluate.js";
import type { Model } from "./networks.js";
import { type ClientMs, nameOf, type ServerMs, totalMs, type Way } from "./ways.js";

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

/** The model's way of the summary, and of each rival the quality that comes nearest to its top-1; nearest to its bytes where there is no top-1. */
export function rivalsAt(ways: readonly Way[], points: readonly Point[], equal: EqualAccuracy | null): Way[] {
  const own = equal === null ? 0 : ways.findIndex((way) => nameOf(way) === equal.point);
  const { top1, bytes } = points[own];
  const distance = (p: number) =>
    top1 === null || points[p].top1 === null
      ? Math.abs(Math.log(points[p].bytes / bytes))
      : Math.abs(points[p].top1 - top1);
  const nearest = ["JPEG", "mozjpeg", "WebP"].map((family) =>
    [...points.keys()]
      .filter((p) => points[p].family === family)
      .reduce((best, p) => (distance(p) < distance(best) ? p : best)),
  );
  return [own, ...nearest].map((p) => ways[p]);
}

/** Mean bytes of the same latents, counted as three groups of people count. */
export interface CountingRules {
  readonly images: number;
  /** Ours: the packet as sent. */
  readonly packet: number;
  /** FrankenSplit's: CompressAI's string, with no header, shape or checksum. */
  readonly strings: number;
  /** SC2's: that string and the shape as a Python pickle. */
  readonly pickled: number;
}

/** pickle.dumps({"strings": [[string]], "shape": torch.Size([h, w])}, protocol=4), in Python's order, around a string of 256 to 65,000 bytes. */
const BEFORE = "\x80\x04\x95........}\x94(\x8c\x07strings\x94]\x94]\x94B....";
const AFTER = "\x94aa\x8c\x05shape\x94\x8c\x05torch\x94\x8c\x04Size\x94\x93\x94K.K.\x86\x94\x85\x94R\x94u.";

export async function countingRules(codec: Codec, model: Model, pictures: readonly Picture[]): Promise<CountingRules> {
  const prior = model.prior(codec, 1);
  const packets: number[] = [];
  const strings: number[] = [];
  for (const { planes } of pictures) {
    const latent = await model.latent(planes);
    packets.push(codec.encode(latent, prior).length);
    strings.push(codec.encode(latent, prior, { stream: "compressai", header: "none" }).length);
  }
  const pickled = mean(strings) + BEFORE.length + AFTER.length;
  return { images: pictures.length, packet: mean(packets), strings: mean(strings), pickled };
}

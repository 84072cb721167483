import { readFileSync } from "node:fs";
import { endToEnd, type Link, type LinkRow, type Sender } from "./links.js";
import { mean } from "./numbers.js";
import { type ImageResult, type Milliseconds, type Quality, STEPS } from "./pipeline.js";
import type { Curve } from "./report/charts.js";

/** bench/model/accuracy.json: measured once, with many labelled images. */
interface Accuracy {
  readonly images: string;
  readonly count: number;
  readonly top1OfOriginals: number;
  readonly network: string;
  readonly curves: readonly Curve[];
}

/** What the measured curves say about one point of the model, and about each picture codec beside it. */
export interface EqualTop1 extends Accuracy {
  readonly bytes: number;
  readonly top1: number;
  readonly pictures: readonly MeasuredPicture[];
}

/** Interpolated between the measured qualities. */
interface MeasuredPicture extends Quality {
  /** At the point's top-1, as is the quality, and over the point's bytes. */
  readonly bytes: number;
  readonly ratio: number;
  /** At the point's bytes. */
  readonly top1AtSameBytes: number;
}

/** y at x: linear between neighbours of [x, y], whose x rises; the nearest end's y outside. */
function linear(points: readonly (readonly [number, number])[], x: number): number {
  const after = points.findIndex(([one]) => one >= x);
  const [right, left] = [points.at(after)!, points[after - 1]];
  if (left === undefined || after < 0) return right[1];
  return left[1] + ((right[1] - left[1]) * (x - left[0])) / (right[0] - left[0]);
}

export function equalTop1(point: string): EqualTop1 {
  const accuracy: Accuracy = JSON.parse(readFileSync(new URL("model/accuracy.json", import.meta.url), "utf8"));
  const curve = (family: string) => accuracy.curves.find((one) => one.family === family)!.points;
  const own = curve("latentwire").find(({ label }) => label === point)!;
  const pictures = (["JPEG", "WebP"] as const).map((format) => {
    const points = curve(format);
    // Bytes grow by factors from quality to quality, so their logarithm is what lies on a line.
    const bytes = Math.exp(
      linear(
        points.map((one) => [one.top1, Math.log(one.bytes)]),
        own.top1,
      ),
    );
    const quality = Math.round(
      linear(
        points.map((one) => [one.top1, Number(one.label.slice(1))]),
        own.top1,
      ),
    );
    const top1AtSameBytes = linear(
      points.map((one) => [Math.log(one.bytes), one.top1]),
      Math.log(own.bytes),
    );
    return { format, quality, bytes, ratio: bytes / own.bytes, top1AtSameBytes };
  });
  return { ...accuracy, bytes: own.bytes, top1: own.top1, pictures };
}

/** A way with all its steps: means over the images. */
export interface Way extends Sender {
  readonly ms: Milliseconds;
}

export interface Summary {
  readonly images: number;
  /** All packets. */
  readonly bytes: number;
  readonly symbols: number;
  readonly idealBytes: number;
  readonly escapes: number;
  readonly exact: boolean;
  /** Images whose label is the original's: from the packet, from JPEG and from WebP of the packet's bytes. */
  readonly sameLabel: readonly number[];
  readonly equal: EqualTop1;
  /** The packet, then each picture codec at the quality of equal top-1. */
  readonly ways: readonly Way[];
  readonly links: readonly LinkRow[];
}

function wayOf(name: string, family: Way["family"], sent: readonly { bytes: number; ms: Milliseconds }[]): Way {
  const means = STEPS.map((step) => [step, mean(sent.map(({ ms }) => ms[step]))]);
  const ms = Object.fromEntries(means) as unknown as Milliseconds;
  const [senderMs, receiverMs] = [ms.encoder + ms.encode, ms.decode + ms.decoder + ms.network];
  return { name, family, bytes: mean(sent.map(({ bytes }) => bytes)), senderMs, receiverMs, ms };
}

export function summarize(results: readonly ImageResult[], equal: EqualTop1, links: readonly Link[]): Summary {
  const packets = results.map(({ packet }) => packet);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const same = (pick: (result: ImageResult) => { answer: { class: number } } | undefined) =>
    results.filter((result) => pick(result)?.answer.class === result.original.class).length;
  const pictures = equal.pictures.map(({ format, quality }, p) => {
    const sent = results.map(({ pictures }) => ({ bytes: pictures[p]!.file.length, ms: pictures[p]!.ms }));
    return wayOf(`${format} ${quality}`, format, sent);
  });
  const ways = [wayOf("latentwire", "latentwire", packets), ...pictures];
  return {
    images: results.length,
    bytes: sum(packets.map(({ bytes }) => bytes)),
    symbols: sum(packets.map(({ symbols }) => symbols)),
    idealBytes: sum(packets.map(({ ideal }) => ideal.bytes)),
    escapes: sum(packets.map(({ ideal }) => ideal.escapes)),
    exact: packets.every(({ exact }) => exact),
    sameLabel: [same(({ packet }) => packet), ...[0, 1].map((s) => same(({ sameBytes }) => sameBytes[s]))],
    equal,
    ways,
    links: links.map((link) => ({
      link,
      ways: ways.map((sender) => ({ sender, time: endToEnd(link, sender.bytes, sender.senderMs, sender.receiverMs) })),
    })),
  };
}

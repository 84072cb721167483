import { readFileSync } from "node:fs";
import type { Link } from "../tables/links.js";
import type { Curve } from "./charts.js";
import { type LinkRow, overLink, type Sender } from "./links.js";
import { mean } from "./numbers.js";
import { eachStep, type ImageResult, type Milliseconds, type Quality } from "./pipeline.js";

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
  /** Without the context. */
  readonly staticBytes: number;
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

type Point = Curve["points"][number];
type Axis = (point: Point) => number;
const top1Of: Axis = ({ top1 }) => top1;
/** Bytes grow by factors from quality to quality, so their logarithm is what lies on a line. */
const logBytesOf: Axis = ({ bytes }) => Math.log(bytes);
/** Of a picture codec's point, "q50". */
const qualityOf: Axis = ({ label }) => Number(label.slice(1));

/** y where x is `at`: linear between the neighbours, the nearest end's y outside; x rises from point to point. */
function linear(points: readonly Point[], x: Axis, y: Axis, at: number): number {
  const after = points.findIndex((point) => x(point) >= at);
  const [right, left] = [points.at(after)!, points[after - 1]];
  if (left === undefined) return y(right);
  return y(left) + ((y(right) - y(left)) * (at - x(left))) / (x(right) - x(left));
}

export function equalTop1(point: string): EqualTop1 {
  const accuracy: Accuracy = JSON.parse(readFileSync(new URL("model/accuracy.json", import.meta.url), "utf8"));
  const curve = (family: string) => accuracy.curves.find((one) => one.family === family)!.points;
  const [own, fixed] = ["latentwire", "latent"].map((family) => curve(family).find(({ label }) => label === point)!);
  const pictures = (["JPEG", "WebP"] as const).map((format) => {
    const points = curve(format);
    const bytes = Math.exp(linear(points, top1Of, logBytesOf, own.top1));
    const quality = Math.round(linear(points, top1Of, qualityOf, own.top1));
    const top1AtSameBytes = linear(points, logBytesOf, top1Of, logBytesOf(own));
    return { format, quality, bytes, ratio: bytes / own.bytes, top1AtSameBytes };
  });
  return { ...accuracy, bytes: own.bytes, staticBytes: fixed.bytes, top1: own.top1, pictures };
}

/** A way with all its steps: means over the images. */
export interface Way extends Sender {
  readonly ms: Milliseconds;
}

export interface Summary {
  readonly images: number;
  /** All packets. */
  readonly bytes: number;
  readonly staticBytes: number;
  readonly symbols: number;
  readonly idealBytes: number;
  readonly escapes: number;
  readonly exact: boolean;
  /** Images whose label is the original's: from the packet, from JPEG and from WebP of the packet's bytes. */
  readonly sameLabel: readonly number[];
  readonly equal: EqualTop1;
  /** The packet, the packet without the context, then each picture codec at the quality of equal top-1. */
  readonly ways: readonly Way[];
  readonly links: readonly LinkRow[];
}

function wayOf(name: string, family: Way["family"], sent: readonly { bytes: number; ms: Milliseconds }[]): Way {
  const ms = eachStep((step) => mean(sent.map((one) => one.ms[step])));
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
    return wayOf(`${format} quality ${quality}`, format, sent);
  });
  const fixed = results.map(({ staticRows }) => staticRows);
  const ways = [wayOf("latentwire", "latentwire", packets), wayOf("static rows", "latent", fixed), ...pictures];
  return {
    images: results.length,
    bytes: sum(packets.map(({ bytes }) => bytes)),
    staticBytes: sum(fixed.map(({ bytes }) => bytes)),
    symbols: sum(packets.map(({ symbols }) => symbols)),
    idealBytes: sum(packets.map(({ ideal }) => ideal.bytes)),
    escapes: sum(packets.map(({ ideal }) => ideal.escapes)),
    exact: packets.every(({ exact }) => exact),
    sameLabel: [same(({ packet }) => packet), ...[0, 1].map((s) => same(({ sameBytes }) => sameBytes[s]))],
    equal,
    ways,
    links: links.map((link) => overLink(link, ways)),
  };
}

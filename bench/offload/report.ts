/** A run as lines of text and as the object of `--json`. */
import type { Link } from "../../tables/links.js";
import { columns } from "../command.js";
import type { Machine } from "../machine.js";
import { number, percent } from "../numbers.js";
import { BYTE_RULE } from "../pipeline.js";
import type { AtPoint, EqualAccuracy, Ratio } from "./accuracy.js";
import type { Point } from "./points.js";
import { nameOf } from "./ways.js";

/** Everything that a report of a run says. */
export interface OffloadRun {
  readonly machine: Machine;
  readonly sharp: string;
  readonly images: number;
  readonly points: readonly Point[];
  /** By the names of `CURVES`; the first is that of static rows. */
  readonly curves: readonly { readonly name: string; readonly equal: EqualAccuracy | null }[];
  readonly backboneTop1: number | null;
  /** Why figures are missing. */
  readonly notes: readonly string[];
  readonly skipped: readonly string[];
}

const CLIENT_RULE =
  "milliseconds: medians over the images, one pass each, on this machine for both ends; the client frame after frame, without the server in between; " +
  "server: image codec or entropy codec, decoder network, and the tail behind the split or, for pictures, the whole backbone; energy is not measured";

const INTERVAL_RULE =
  "Equal top-1: log bytes interpolated linearly over top-1 between a codec's qualities; - where its qualities do not reach. " +
  "In brackets: 95 % of 1,000 bootstrap draws of the images, the same draw for both sides; none where more than 2 % of the draws leave a curve";

const ARITHMETIC_RULE =
  "end to end: arithmetic: client + bytes x 8 / rate + round trip + server, the rest of the network included; the answer's own bytes are left out for all alike";

const range = (bounds: readonly [number, number] | null, scale: number, digits: number) =>
  bounds === null ? "" : `${number(scale * bounds[0], digits)}..${number(scale * bounds[1], digits)}`;

const ratioText = ({ value, interval }: Ratio) =>
  value === null ? "-" : `${number(value, 2)}x${interval === null ? "" : ` (${range(interval, 1, 2)})`}`;

function pointTable(points: readonly Point[]): string[] {
  const head = "way,images,bytes,95 %,top-1,95 %,agreement,feature err,encoder ms,codec,image codec,server ms";
  const rows = points.map((point) => [
    ...[nameOf(point), number(point.images), number(point.bytes), range(point.bytes95, 1, 0)],
    ...[percent(point.top1), range(point.top195, 100, 1), percent(point.agreement)],
    point.featureError === null ? "-" : number(point.featureError, 4),
    ...[point.client.encoder, point.client.codec, point.client.image].map((ms) => (ms === 0 ? "-" : number(ms, 3))),
    ...[point.serverMs, ...point.links.map(({ totalMs }) => totalMs)].map((ms) => number(ms, 1)),
  ]);
  return columns([...head.split(","), ...points[0].links.map(({ link }) => `${link} ms`)], rows);
}

function accuracyLines({ curves, notes }: OffloadRun): string[] {
  const known = curves.flatMap(({ name, equal }) => (equal === null ? [] : [{ name, equal }]));
  if (known.length === 0) return [...notes];
  const line = (name: string, { point, top1, ratios: { WebP, JPEG, mozjpeg } }: AtPoint) =>
    `${name}: ${point}: top-1 ${percent(top1)}, backbone ${percent(known[0].equal.backboneTop1)}; its bytes over those of WebP at equal top-1 ${ratioText(WebP)}, JPEG ${ratioText(JPEG)}, mozjpeg ${ratioText(mozjpeg)}`;
  const beaten = ({ ofAll, point }: EqualAccuracy) => ofAll.point !== point;
  const rows = known.flatMap(({ name, equal }) =>
    equal.shares.map(({ share, top1, bytes, ratios }) => [
      ...[name, percent(share, 0), percent(top1), bytes === null ? "-" : number(bytes)],
      ...[ratios.WebP, ratios.JPEG, ratios.mozjpeg].map(ratioText),
    ]),
  );
  return [
    ...known.flatMap(({ name, equal }) => [
      line(name, equal),
      ...(beaten(equal) ? [`Nearest, but beaten by another setting: ${line(name, equal.ofAll)}`] : []),
    ]),
    ...notes,
    "",
    ...columns(
      ["packets", "of the backbone's top-1", "top-1", "bytes", "of WebP's", "of JPEG's", "of mozjpeg's"],
      rows,
    ),
    INTERVAL_RULE,
  ];
}

/** The whole run as lines of text. */
export function offloadReport(run: OffloadRun, links: readonly Link[]): string[] {
  const { version, node, onnxruntime, threads, cpu, simd, date } = run.machine;
  return [
    `latentwire ${version} (${simd ? "SIMD" : "scalar"}), Node ${node}, onnxruntime-node ${onnxruntime}, sharp ${run.sharp}, ${threads} thread(s), ${cpu}, ${date}`,
    `${run.images} image(s)`,
    "",
    ...pointTable(run.points),
    BYTE_RULE,
    CLIENT_RULE,
    ARITHMETIC_RULE,
    ...links.map(({ name, mbitPerSecond, rttMs }) => `${name}: ${mbitPerSecond} Mbit/s, round trip ${rttMs} ms`),
    "",
    ...accuracyLines(run),
  ];
}

const summaryOf = (equal: EqualAccuracy | null) => ({
  bytesVsWebp: equal?.ratios.WebP.value ?? null,
  bytesVsJpeg: equal?.ratios.JPEG.value ?? null,
  top1: equal?.top1 ?? null,
  point: equal?.point ?? null,
  bytesVsWebp95: equal?.ratios.WebP.interval ?? null,
  bytesVsJpeg95: equal?.ratios.JPEG.interval ?? null,
  atShares: equal?.shares ?? [],
  ofAllSettings: equal && {
    point: equal.ofAll.point,
    top1: equal.ofAll.top1,
    bytesVsWebp: equal.ofAll.ratios.WebP.value,
    bytesVsJpeg: equal.ofAll.ratios.JPEG.value,
  },
});

/** The object that `--json` prints. */
export function toJson({ machine, sharp, curves, backboneTop1, ...rest }: OffloadRun) {
  const [fixed, ...others] = curves.map(({ name, equal }) => ({ name, ...summaryOf(equal) }));
  return { summary: { ...fixed, backboneTop1, curves: others }, ...rest, machine: { ...machine, sharp } };
}

import type { Link } from "../links.js";
import { number } from "../numbers.js";
import { BYTE_RULE } from "../pipeline.js";
import { columns } from "../terminal.js";
import type { AtPoint, EqualAccuracy, Ratio } from "./equal-accuracy.js";
import type { OffloadRun } from "./offload-run.js";
import type { Point } from "./points.js";
import { nameOf, type Way } from "./way.js";
import { ARITHMETIC_RULE, CLIENT_RULE, INTERVAL_RULE, OBSERVED_RULE, ruleLines } from "./words.js";

const share = (value: number | null) => (value === null ? "-" : number(100 * value, 1));
const range = (bounds: readonly [number, number] | null, scale: number, digits: number) =>
  bounds === null ? "" : `${number(scale * bounds[0], digits)}..${number(scale * bounds[1], digits)}`;

export const ratioText = ({ value, interval }: Ratio) =>
  value === null ? "-" : `${number(value, 2)}x${interval === null ? "" : ` (${range(interval, 1, 2)})`}`;

function pointTable(points: readonly Point[]): string[] {
  const head = [
    "way",
    "images",
    "bytes",
    "95 %",
    "top-1 %",
    "95 %",
    "agree %",
    "feature err",
    "client ms",
    "server ms",
  ];
  const links = points[0].links.map(({ link }) => `${link} ms`);
  const rows = points.map((point) => [
    nameOf(point),
    number(point.images),
    number(point.bytes),
    range(point.bytes95, 1, 0),
    share(point.top1),
    range(point.top195, 100, 1),
    share(point.agreement),
    point.featureError === null ? "-" : number(point.featureError, 4),
    number(point.clientMs, 2),
    number(point.serverMs, 1),
    ...point.links.map(({ totalMs }) => number(totalMs, 1)),
  ]);
  return columns([...head, ...links], rows);
}

function clientTable(run: OffloadRun, chosen: readonly Way[]): string[] {
  const rows = run.points
    .filter((point) => chosen.some((way) => nameOf(way) === nameOf(point)))
    .map(({ client, server, ...point }) => [
      nameOf(point),
      ...[client.encoder, client.codec, client.image].map((ms) => number(ms, 3)),
      ...[server.codec, server.image, server.decoder, server.network].map((ms) => number(ms, 3)),
    ]);
  const server = ["server: codec", "image", "decoder", "network"];
  return columns(["ms", "client: encoder", "codec", "image", ...server], rows);
}

function equalTable({ shares }: EqualAccuracy): string[] {
  const rows = shares.map(({ share: part, top1, bytes, ratios }) => [
    `${number(100 * part)} %`,
    number(100 * top1, 1),
    bytes === null ? "-" : number(bytes),
    ratioText(ratios.WebP),
    ratioText(ratios.JPEG),
    ratioText(ratios.mozjpeg),
  ]);
  return columns(["of the backbone's top-1", "top-1 %", "bytes", "of WebP's", "of JPEG's", "of mozjpeg's"], rows);
}

function accuracyLines({ equal, backboneTop1, notes }: OffloadRun): string[] {
  if (equal === null || backboneTop1 === null) return [...notes];
  const line = ({ point, top1, ratios: { WebP, JPEG, mozjpeg } }: AtPoint) =>
    `${point}: top-1 ${number(100 * top1, 1)} %, backbone ${number(100 * backboneTop1, 1)} %; its bytes over those of WebP at equal top-1 ${ratioText(WebP)}, JPEG ${ratioText(JPEG)}, mozjpeg ${ratioText(mozjpeg)}`;
  return [
    line(equal),
    ...(equal.ofAll.point === equal.point ? [] : [`Nearest, but beaten by another setting: ${line(equal.ofAll)}`]),
    ...notes,
    "",
    ...equalTable(equal),
    INTERVAL_RULE,
  ];
}

function observedTable({ observed }: OffloadRun): string[] {
  if (observed.length === 0) return [];
  const rows = observed.map(({ link, name, bytes, observedMs, modelledMs }) => [
    link,
    name,
    number(bytes),
    number(observedMs, 1),
    number(modelledMs, 1),
    `${number(100 * (observedMs / modelledMs - 1), 1)} %`,
  ]);
  return ["", ...columns(["link", "way", "bytes", "observed ms", "modelled ms", "difference"], rows, 2), OBSERVED_RULE];
}

/** The whole run as lines of text. */
export function offloadReport(run: OffloadRun, links: readonly Link[], chosen: readonly Way[]): string[] {
  const { version, node, onnxruntime, threads, cpu, simd, date } = run.machine;
  return [
    `latentwire ${version} (${simd ? "SIMD" : "scalar"}), Node ${node}, onnxruntime-node ${onnxruntime}, sharp ${run.sharp}, ${threads} thread(s), ${cpu}, ${date}`,
    `${run.images} image(s)`,
    "",
    ...pointTable(run.points),
    BYTE_RULE,
    ARITHMETIC_RULE,
    "",
    ...accuracyLines(run),
    "",
    ...clientTable(run, chosen),
    CLIENT_RULE,
    ...observedTable(run),
    ...links.map(({ name, mbitPerSecond, rttMs }) => `${name}: ${mbitPerSecond} Mbit/s, round trip ${rttMs} ms`),
    "",
    ...ruleLines(run.rules),
  ];
}

import { type Picture, SIDE } from "../images.js";
import { endToEnd, type Link } from "../links.js";
import { milliseconds, number } from "../numbers.js";
import { BYTE_RULE } from "../pipeline.js";
import { accuracyChart, type Curve, linkChart, linkLegend } from "../report/charts.js";
import { escapeHtml, STYLE, table } from "../report/html.js";
import type { EqualAccuracy } from "./equal-accuracy.js";
import { offloadGallery } from "./gallery.js";
import type { OffloadRun } from "./offload-run.js";
import type { Point } from "./points.js";
import { ratioText } from "./terminal.js";
import { nameOf, type Way } from "./way.js";
import { ARITHMETIC_RULE, CLIENT_RULE, INTERVAL_RULE, OBSERVED_RULE, ruleLines } from "./words.js";

const CURVES = ["latentwire", "JPEG", "mozjpeg", "WebP"] as const;

function facts({ equal, images, points }: OffloadRun): string {
  const list: [string, string][] =
    equal === null
      ? [
          ["images", number(images)],
          ["bytes per image", number(points[0].bytes)],
        ]
      : [
          ["of WebP's bytes at equal top-1", ratioText(equal.ratios.WebP)],
          ["of JPEG's bytes at equal top-1", ratioText(equal.ratios.JPEG)],
          ["setting", equal.point],
          ["its bytes per image", number(points.find((point) => nameOf(point) === equal.point)!.bytes)],
          ["its top-1", `${number(100 * equal.top1, 1)} %`],
          ["backbone's top-1", `${number(100 * equal.backboneTop1, 1)} %`],
        ];
  return `<dl class="facts">${list.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")}</dl>`;
}

function curves({ points, images }: OffloadRun): string {
  const drawn = CURVES.map((family): Curve => {
    const own = points.filter((point) => point.family === family && point.top1 !== null && point.images === images);
    const all = own.map(({ setting, bytes, top1 }) => ({ label: setting, bytes, top1: top1 ?? 0 }));
    const unbeaten = all.filter((a) => !all.some((b) => b.bytes < a.bytes && b.top1 >= a.top1));
    return { name: family, family, points: unbeaten.sort((a, b) => a.bytes - b.bytes) };
  });
  return accuracyChart(drawn.filter((curve) => curve.points.length > 0));
}

function equalTable({ shares }: EqualAccuracy): string {
  const rows = shares.map(({ share, top1, bytes, ratios }) => [
    `${number(100 * share)} %`,
    `${number(100 * top1, 1)} %`,
    bytes === null ? "-" : number(bytes),
    ...[ratios.WebP, ratios.JPEG, ratios.mozjpeg].map(ratioText),
  ]);
  return table(["of the backbone's top-1", "top-1", "bytes", "of WebP's", "of JPEG's", "of mozjpeg's"], rows);
}

function accuracy(run: OffloadRun): string {
  const notes = run.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("");
  if (run.equal === null) return notes;
  return `${curves(run)}<h3>At equal accuracy</h3>${equalTable(run.equal)}${notes}<p class="rules">${INTERVAL_RULE}.</p>`;
}

function linkCharts(points: readonly Point[], links: readonly Link[], chosen: readonly Way[]): string {
  const senders = chosen.map((way) => {
    const { bytes, clientMs, serverMs } = points.find((point) => nameOf(point) === nameOf(way))!;
    // The name of a point is longer than the label's place; the figures below have it.
    const name = way.family === "latentwire" ? "latentwire" : nameOf(way);
    return { name, family: way.family, bytes, senderMs: clientMs, receiverMs: serverMs };
  });
  const charts = links.map((link) => {
    const ways = senders.map((sender) => ({
      sender,
      time: endToEnd(link, sender.bytes, sender.senderMs, sender.receiverMs),
    }));
    return `<div class="chart"><h3>${escapeHtml(link.name)} <span class="soft">${link.mbitPerSecond} Mbit/s, round trip ${link.rttMs} ms</span></h3>${linkChart({ link, ways })}</div>`;
  });
  return `${linkLegend()}<div class="charts">${charts.join("")}</div>`;
}

function observedTable({ observed }: OffloadRun): string {
  if (observed.length === 0) return "";
  const rows = observed.map(({ link, name, bytes, observedMs, modelledMs }) => [
    `${link}, ${name}`,
    number(bytes),
    milliseconds(observedMs),
    milliseconds(modelledMs),
    `${number(100 * (observedMs / modelledMs - 1), 1)} %`,
  ]);
  return `<h3>Observed</h3>${table(["link, way", "bytes", "observed", "modelled", "difference"], rows)}<p class="rules">${OBSERVED_RULE}.</p>`;
}

function pointTable(points: readonly Point[]): string {
  const percent = (value: number | null) => (value === null ? "-" : `${number(100 * value, 1)} %`);
  // A picture has no encoder network, a packet no image codec.
  const part = (ms: number) => (ms === 0 ? "-" : milliseconds(ms));
  const rows = points.map((point) => [
    nameOf(point),
    number(point.images),
    number(point.bytes),
    percent(point.top1),
    percent(point.agreement),
    ...[point.client.encoder, point.client.codec, point.client.image, point.serverMs].map(part),
  ]);
  const head = ["way", "images", "bytes", "top-1", "agreement", "encoder", "codec", "image codec", "server"];
  return table(head, rows);
}

/** One HTML file with everything in it. */
export async function offloadPage(
  run: OffloadRun,
  links: readonly Link[],
  chosen: readonly Way[],
  pictures: readonly Picture[],
): Promise<string> {
  const { version, node, onnxruntime, threads, cpu, simd, date } = run.machine;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>latentwire: ${run.images} images offloaded</title><style>${STYLE}</style></head><body><main>
<h1>${run.images} images sent to the rest of a network</h1>
<p class="soft">latentwire ${escapeHtml(version)} (${simd ? "SIMD" : "scalar"}), Node ${escapeHtml(node)}, onnxruntime-node ${escapeHtml(onnxruntime)}, sharp ${escapeHtml(run.sharp)}, ${threads} thread(s), ${escapeHtml(cpu)}, ${date}</p>
<p>The centre ${SIDE}x${SIDE} of each image goes over the wire as a packet of a split model's latent, or as a picture, and the network on the other side names its class.</p>
${facts(run)}
<h2>Accuracy against bytes</h2>
${accuracy(run)}
<h2>End to end</h2>
<p>${escapeHtml(chosen.map(nameOf).join(", "))}: the model and, of each picture codec, the quality nearest to it in ${run.equal === null ? "bytes" : "top-1"}.</p>
${linkCharts(run.points, links, chosen)}
<p class="rules">${ARITHMETIC_RULE}.</p>
${observedTable(run)}
<h2>What is sent at equal bytes</h2>
<p>Of each picture codec the quality whose file comes nearest to the packet's bytes; where even its smallest file is larger, that one.</p>
${await offloadGallery(pictures, chosen[0])}
<h2>Every way</h2>
${pointTable(run.points)}
<p class="rules">${BYTE_RULE}. ${CLIENT_RULE}.</p>
<p class="rules">${ruleLines(run.rules).join(" ")}.</p>
</main></body></html>
`;
}

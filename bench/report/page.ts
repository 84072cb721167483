import { readFileSync } from "node:fs";
import sharp from "sharp";
import { type Picture, PREPARATION, SIDE } from "../images.js";
import { LINK_RULE } from "../links.js";
import type { Machine } from "../machine.js";
import { milliseconds, number } from "../numbers.js";
import { heat, pictureNear } from "../pictures.js";
import { BYTE_RULE, TIME_RULE } from "../pipeline.js";
import type { ImageResult, Summary } from "../summary.js";
import { accuracyChart, bytesChart, type Curve, linkChart, linkLegend } from "./charts.js";
import { dataUri, escapeHtml, figure, STYLE, table } from "./html.js";

/** Pictures make the file large; a long list shows its first ones. */
const SHOWN = 12;

function facts(summary: Summary): string {
  const { bytes, images, symbols, idealBytes, exact, ms } = summary;
  const list: [string, string][] = [
    ["bytes per image", number(bytes / images)],
    ["bits per symbol", number((bytes * 8) / symbols, 3)],
    [
      "bytes over the ideal",
      `${number((bytes - idealBytes) / images, 1)} (${number(((bytes - idealBytes) / idealBytes) * 100, 2)} %)`,
    ],
    ["codec, there and back", milliseconds(ms.encode + ms.decode)],
    ["networks, there and back", milliseconds(ms.encoder + ms.decoder)],
    ["decoded = quantized", exact ? "exactly" : "NO"],
  ];
  return `<dl class="facts">${list.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("")}</dl>`;
}

function imageTable(results: readonly ImageResult[], summary: Summary): string {
  const row = (name: string, bytes: number, symbols: number, ideal: number, ms: Summary["ms"]) => [
    name,
    number(bytes),
    number((bytes * 8) / symbols, 3),
    number(bytes - ideal, 1),
    ...[ms.encoder, ms.encode, ms.decode, ms.decoder].map(milliseconds),
  ];
  const rows = results.map(({ name, passed }) =>
    row(name, passed.packet.length, passed.symbols, passed.ideal.bytes, passed.ms),
  );
  const { images, bytes, symbols, idealBytes, ms } = summary;
  rows.push(row("mean", bytes / images, symbols / images, idealBytes / images, ms));
  return table(["image", "bytes", "bits/symbol", "over ideal", "encoder", "encode", "decode", "decoder"], rows, 1);
}

function senderTable({ senders }: Summary): string {
  const own = senders[0].bytes;
  const rows = senders.map(({ name, bytes, senderMs, receiverMs }) => [
    name,
    number(bytes),
    `${number(bytes / own, 2)}x`,
    milliseconds(senderMs),
    milliseconds(receiverMs),
  ]);
  return table(["mean per image", "bytes", "", "sender", "receiver"], rows);
}

function escapes({ escapes: count, escapeBytes }: Summary): string {
  if (count === 0) return "No symbol had to be escaped.";
  return `${count} symbols were escaped; their values take ${escapeBytes} bytes, which are not part of the ideal.`;
}

interface Accuracy {
  readonly images: string;
  readonly network: string;
  readonly curves: readonly Curve[];
}

/** The curves as the model card has them: known beforehand, not measured by this run. */
export function accuracySection(): string {
  const file = new URL("../model/accuracy.json", import.meta.url);
  const { images, network, curves }: Accuracy = JSON.parse(readFileSync(file, "utf8"));
  return `${accuracyChart(curves)}
<p class="rules">Top-1 accuracy against mean bytes per image. Measured once, when the model was trained, and not by this run: ${escapeHtml(images)}; ${escapeHtml(network)}.</p>`;
}

async function card(picture: Picture, { name, passed }: ImageResult): Promise<string> {
  const raw = { raw: { width: SIDE, height: SIDE, channels: 3 as const } };
  const png = await sharp(picture.rgb, raw).png().toBuffer();
  const bytes = passed.packet.length;
  const jpeg = await pictureNear(picture.rgb, "JPEG", bytes);
  const features = await heat(passed.features.dims, passed.features.data);
  return (
    `<h3>${escapeHtml(name)}</h3><div class="trio">` +
    figure(dataUri("png", png), `what the encoder sees<br>${SIDE}x${SIDE}, ${number(png.length)} B as PNG`) +
    figure(
      dataUri("jpeg", jpeg.file),
      `JPEG of about that size<br>${number(jpeg.file.length)} B, quality ${jpeg.quality}`,
    ) +
    figure(dataUri("png", features), `features decoded from the latent<br>${number(bytes)} B packet`, "heat") +
    "</div>"
  );
}

export async function gallery(pictures: readonly Picture[], results: readonly ImageResult[]): Promise<string> {
  const cards: string[] = [];
  for (let i = 0; i < Math.min(results.length, SHOWN); i++) cards.push(await card(pictures[i], results[i]));
  if (results.length > SHOWN) cards.push(`<p>The first ${SHOWN} of ${results.length} images are shown.</p>`);
  return cards.join("");
}

/** One HTML file with everything in it. */
export async function page(
  machine: Machine,
  pictures: readonly Picture[],
  results: readonly ImageResult[],
  summary: Summary,
): Promise<string> {
  const { version, node, onnxruntime, threads, cpu, simd, date } = machine;
  const { passed } = results[0];
  const links = summary.links.map(
    (row) =>
      `<div class="chart"><h3>${escapeHtml(row.link.name)} <span class="soft">${row.link.mbitPerSecond} Mbit/s, round trip ${row.link.rttMs} ms</span></h3>${linkChart(row)}</div>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>latentwire: ${summary.images} images over the wire</title><style>${STYLE}</style></head><body><main>
<h1>${summary.images} images through an encoder, the codec and a decoder</h1>
<p class="soft">latentwire ${escapeHtml(version)} (${simd ? "SIMD" : "scalar"}), Node ${escapeHtml(node)}, onnxruntime-node ${escapeHtml(onnxruntime)}, ${threads} thread(s), ${escapeHtml(cpu)}, ${date}</p>
<p>Each image (${PREPARATION}) becomes a latent of ${passed.dims.join("x")}, a packet, and features of ${passed.features.dims.join("x")} for the rest of a network on the other side.</p>
${facts(summary)}
<h2>Bytes</h2>
<div class="chart wide">${bytesChart(summary.senders)}</div>
<p>A JPEG or a WebP serves eyes and any network; this latent serves one network and shows no picture. So compare them at equal accuracy, not only at equal size:</p>
${accuracySection()}
<h2>End to end</h2>
${linkLegend()}
<div class="charts">${links.join("")}</div>
<p class="rules">${LINK_RULE}.</p>
<h2>Pictures</h2>
${await gallery(pictures, results)}
<h2>Image by image</h2>
${imageTable(results, summary)}
<p class="rules">${escapes(summary)} ${BYTE_RULE}. ${TIME_RULE}.</p>
<h2>Beside the picture codecs</h2>
${senderTable(summary)}
<p class="rules">JPEG and WebP by sharp, 4:2:0, WebP effort 4, on the same ${summary.images} crops; the number is the quality.</p>
</main></body></html>
`;
}

/** The report of `npm start` as one HTML file: it needs no other file and runs no script. */
import { parseHTML } from "linkedom";
import sharp from "sharp";
import { escapeHtml, facts, page, table } from "../../tables/html.js";
import { accuracyChart, bytesChart, curveLegend, type Paper, timeChart, timeLegend } from "../charts.js";
import { type Picture, PREPARATION, SIDE } from "../images.js";
import type { Machine } from "../machine.js";
import { milliseconds, number, percent } from "../numbers.js";
import { strengthPicture } from "../pictures.js";
import { type ImageResult, STEPS } from "../pipeline.js";
import type { Summary } from "../summary.js";
import { bytesSentence, labelled, SHOWN, sameLabelSentence, TIME_RULE, timeSentence } from "./text.js";

// The page stretches a chart to the width of its card. This one is right for a phone; on a desk the text grows a little.
const PAPER: Paper = { width: 360, document: parseHTML("<html></html>").document };

const chart = (title: string, drawn: Element, more = "") =>
  `<figure class="chart"><figcaption><h3>${title}</h3>${more}</figcaption>${drawn.outerHTML}</figure>`;

function summaryFacts({ bytes, staticBytes, images, idealBytes, exact, equal }: Summary): string {
  return facts([
    [`bytes per packet; ${number(staticBytes / images)} without the context`, number(bytes / images)],
    ...equal.pictures.map(
      ({ format, ratio }) => [`of ${format}'s bytes at equal accuracy`, percent(1 / ratio, 0)] as const,
    ),
    [`of ${number(equal.count)} test images named correctly`, percent(equal.top1, 0)],
    ["more bytes than the ideal, the least that its probabilities allow", percent(bytes / idealBytes - 1)],
    ["decoded exactly", exact ? "yes" : "NO"],
  ]);
}

/** What the server has of a photograph, with the label that it gives. */
function answerFigure(type: string, picture: Buffer, verdict: string, sent: string, css = ""): string {
  const source = `data:image/${type};base64,${picture.toString("base64")}`;
  return `<figure class="card"><img src="${source}" alt="" class="${css}"><figcaption>${verdict}<br>${sent}</figcaption></figure>`;
}

async function card(picture: Picture, { name, original, packet, sameBytes }: ImageResult): Promise<string> {
  const raw = { raw: { width: SIDE, height: SIDE, channels: 3 as const } };
  const png = await sharp(picture.rgb, raw).png().toBuffer();
  const features = await strengthPicture(packet.features);
  const verdict = (answer: typeof original) => {
    const [css, word] = answer.class === original.class ? ["same", "the same label"] : ["other", "another label"];
    return `<b class="${css}">${escapeHtml(labelled(answer))}</b><br>${word}`;
  };
  const others = sameBytes.map(({ format, quality, file, answer }) => {
    const smallest = quality === 1 && file.length > packet.bytes ? ", its smallest" : "";
    const sent = `${format} quality ${quality}: ${number(file.length)} B${smallest}`;
    return answerFigure(format.toLowerCase(), file, verdict(answer), sent);
  });
  const whole = `<b>${escapeHtml(labelled(original))}</b><br>label of the whole network`;
  return (
    `<h3>${escapeHtml(name)}</h3><div class="quad">` +
    answerFigure("png", png, whole, `the original, ${number(png.length)} B as PNG`) +
    answerFigure("png", features, verdict(packet.answer), `packet: ${number(packet.bytes)} B`, "coarse") +
    `${others.join("")}</div>`
  );
}

async function gallery(pictures: readonly Picture[], results: readonly ImageResult[]): Promise<string> {
  const cards: string[] = [];
  for (const [i, result] of results.slice(0, SHOWN).entries()) cards.push(await card(pictures[i]!, result));
  if (results.length > SHOWN) cards.push(`<p>The first ${SHOWN} of ${results.length} images are shown.</p>`);
  return cards.join("");
}

function stepTable({ ways }: Summary): string {
  const rows = ways.map(({ name, bytes, ms, senderMs, receiverMs }) => [
    name,
    number(bytes),
    ...STEPS.map((step) => (ms[step] === 0 ? "-" : milliseconds(ms[step]))),
    milliseconds(senderMs + receiverMs),
  ]);
  return table(
    ["", "bytes", "encoder network", "encode", "decode", "decoder network", "rest or whole network", "all"],
    rows,
  );
}

export async function reportPage(
  machine: Machine,
  pictures: readonly Picture[],
  results: readonly ImageResult[],
  summary: Summary,
): Promise<string> {
  const { version, node, onnxruntime, threads, cpu, simd, date } = machine;
  const { equal, escapes, ways, links } = summary;
  const [{ packet }] = results as [ImageResult];
  const times = links.map(({ link }) =>
    chart(
      `${escapeHtml(link.name)} <span class="soft">${link.mbitPerSecond} Mbit/s, round trip ${link.rttMs} ms</span>`,
      timeChart(ways, link, PAPER),
    ),
  );
  const equalBytes = [
    { name: "latentwire", family: "latentwire" as const, bytes: equal.bytes },
    { name: "static rows", family: "latent" as const, bytes: equal.staticBytes },
    ...equal.pictures.map(({ format, bytes }) => ({ name: format, family: format, bytes })),
  ];
  const title = `From a photograph to its label in ${number(summary.bytes / summary.images)} bytes`;
  return page(
    `latentwire: ${title}`,
    `<p class="brand">latentwire</p>
<h1>${title}</h1>
<p>A small encoder network on the device turns a photograph (${PREPARATION}) into a latent of ${packet.dims.slice(1).join("x")} numbers. latentwire turns the latent into a packet.
On the server, a decoder network turns the packet's numbers into features of ${packet.features.dims.slice(1).join("x")}, and the rest of the network (MobileNetV2) names what the photograph shows.</p>
${summaryFacts(summary)}
<h2>What is sent, and what the network makes of it</h2>
<p>${sameLabelSentence(summary)} These photographs show how it works; the ${number(equal.count)} test images below show how good it is. The second picture of each row shows how strong the decoded features are at each place. A person can hardly see the photograph in it; the network can.</p>
${await gallery(pictures, results)}
<h2>Is that good? Bytes at equal accuracy</h2>
<p>${bytesSentence(summary)}</p>
<div class="charts">
${chart(`Bytes, where ${percent(equal.top1, 0)} of the labels are right`, bytesChart(equalBytes, PAPER))}
${chart("Share of correct labels against bytes", accuracyChart(equal.curves, PAPER), curveLegend(equal.curves))}
</div>
<p class="rules">Share of correct labels (top-1) against mean bytes per image. Measured once, when the model was trained, and not by this run: ${escapeHtml(equal.images)}; ${escapeHtml(equal.network)}.
A JPEG or a WebP serves eyes and every network; the latent serves this one network.</p>
<h2>How long? From photograph to label, at equal accuracy</h2>
<p>${escapeHtml(timeSentence(summary))} JPEG and WebP have the quality (the number) at which the network is right as often as from the packet.</p>
${timeLegend()}
<div class="charts">${times.join("\n")}</div>
${stepTable(summary)}
<p class="rules">${TIME_RULE}
${escapes} symbols were escaped. JPEG and WebP by sharp, 4:2:0, WebP effort 4, means over the same ${summary.images} crops.
latentwire ${escapeHtml(version)} (${simd ? "SIMD" : "scalar"}), Node ${escapeHtml(node)}, onnxruntime-node ${escapeHtml(onnxruntime)}, ${threads} thread(s), ${escapeHtml(cpu)}, ${date}.</p>`,
  );
}

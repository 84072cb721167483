import { columns } from "../command.js";
import type { Machine } from "../machine.js";
import { number, percent } from "../numbers.js";
import { type Answer, type ImageResult, PASSES, type PictureResult } from "../pipeline.js";
import type { Summary } from "../summary.js";

/** A long list shows its first photographs. */
export const SHOWN = 12;

export const labelled = ({ label, probability }: Answer) => `${label} ${percent(probability, 0)}`;

export function sameLabelSentence({ images, sameLabel: [packet, jpeg, webp] }: Summary): string {
  return `The label is the original's for ${packet} of ${images} packets, ${jpeg} of ${images} JPEGs and ${webp} of ${images} WebPs of the packet's size.`;
}

/** Bytes at equal accuracy, as the model card has them. */
export function bytesSentence({ equal }: Summary): string {
  const needs = equal.pictures.map(
    ({ format, bytes, ratio }) => `${number(bytes)} bytes of ${format} (${number(ratio, 1)} times as many)`,
  );
  return `To be right as often as from ${number(equal.bytes)} bytes of packet, the network needs ${needs.join(" or ")}.`;
}

/** Time at equal accuracy, as a ratio: the links on which the packet gains least and most. */
export function timeSentence({ links, ways: [, , ...pictures] }: Summary): string {
  const sentences = pictures.map(({ family }, p) => {
    const ratios = links
      .map(({ link, ways }) => ({ on: link.name, ratio: ways[p + 2]!.time.totalMs / ways[0]!.time.totalMs }))
      .sort((a, b) => a.ratio - b.ratio);
    const [least, most] = [ratios[0]!, ratios.at(-1)!].map(({ on, ratio }) => `${number(ratio, 2)} (${on})`);
    return `${family} ${least} to ${most}`;
  });
  return `Time with a picture, divided by time with the packet: ${sentences.join(", ")}.`;
}

export const TIME_RULE =
  `Device: encoder network and codec, or picture encoder. Server: codec and networks, or picture decoder and network. ` +
  `Each step is the fastest of ${PASSES} passes on this machine; the links are arithmetic (bytes x 8 / rate + round trip), not measured.`;

/** Lines as wide as the tables. */
const wrapped = (text: string) => text.replace(/(.{1,118})(?: |$)/g, "$1\n").trimEnd();

/** Pictures that cannot be as small as the packet show what they take. */
function pictureCell({ answer, file }: PictureResult, packetBytes: number): string {
  return `${labelled(answer)}${file.length > 1.1 * packetBytes ? ` (${number(file.length)} B)` : ""}`;
}

/** What the curves of accuracy.json say: mean bytes, and how often the network is right. */
function testTable({ equal }: Summary): string[] {
  const right = (share: number) => percent(share, 0);
  const { pictures } = equal;
  return columns(
    [`${number(equal.count)} test images`, "mean bytes", "labels that are right"],
    [
      ["packet", number(equal.bytes), right(equal.top1)],
      ["packet, static rows", number(equal.staticBytes), right(equal.top1)],
      ...pictures.map((one) => [`${one.format} of that size`, number(equal.bytes), right(one.top1AtSameBytes)]),
      ...pictures.map(({ format, bytes }) => [`${format} of that accuracy`, number(bytes), right(equal.top1)]),
      ["original", "", right(equal.top1OfOriginals)],
    ],
  );
}

function imageTable(results: readonly ImageResult[]): string[] {
  const rows = results
    .slice(0, SHOWN)
    .map(({ name, original, packet, staticRows, sameBytes }) => [
      name,
      number(packet.bytes),
      number(staticRows.bytes),
      labelled(original),
      labelled(packet.answer),
      ...sameBytes.map((picture) => pictureCell(picture, packet.bytes)),
    ]);
  if (results.length > SHOWN) rows.push([`and ${results.length - SHOWN} more: --json`, "", "", "", "", "", ""]);
  return columns(
    [
      "photograph",
      "bytes",
      "static",
      "label of the original",
      "from the packet",
      "JPEG of that size",
      "WebP of that size",
    ],
    rows,
    7,
  );
}

function timeTable({ ways, links }: Summary): string[] {
  const rows = ways.map(({ name, bytes, senderMs, receiverMs }, w) => [
    name,
    number(bytes),
    number(senderMs, 1),
    number(receiverMs, 1),
    ...links.map((row) => number(row.ways[w]!.time.totalMs, 1)),
  ]);
  rows.push(["round trip alone", "", "", "", ...links.map(({ link }) => number(link.rttMs, 1))]);
  return columns(
    ["", "bytes", "device", "server", ...links.map(({ link }) => `${link.name} ${link.mbitPerSecond} Mbit/s`)],
    rows,
  );
}

/** The whole run as lines of text. */
export function report(machine: Machine, results: readonly ImageResult[], summary: Summary): string[] {
  const { images, bytes, idealBytes } = summary;
  return [
    `latentwire ${machine.version}: MobileNetV2 recognises photographs from packets of ${number(bytes / images)} bytes.`,
    "device: photograph -> encoder network -> packet    server: packet -> decoder network -> rest of MobileNetV2 -> label",
    "",
    ...testTable(summary),
    wrapped(`${bytesSentence(summary)} These are labelled images, measured when the model was trained.`),
    "",
    `This run, as an illustration (${images} ${images === 1 ? "photograph" : "photographs"}; a percentage is the network's own certainty):`,
    ...imageTable(results),
    wrapped(sameLabelSentence(summary)),
    "static: bytes of the same packet without the context, which makes each symbol's row from symbols before it.",
    "",
    "Milliseconds from photograph to label, every step counted. Means of this run; JPEG and WebP have the quality at which",
    "the network is right as often as from the packet:",
    ...timeTable(summary),
    wrapped(timeSentence(summary)),
    "Rates and round trips of the links are assumed: tables/links.ts.",
    "",
    summary.exact
      ? wrapped(
          `Every packet decodes to exactly the numbers that went in. It is ${percent(bytes / idealBytes - 1)} over the ideal, the least that its probabilities allow.`,
        )
      : "A packet does NOT decode to the numbers that went in. This is a bug of the codec.",
  ];
}

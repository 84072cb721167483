import type { Machine } from "../machine.js";
import { number, percent } from "../numbers.js";
import { type Answer, type ImageResult, PASSES, type PictureResult } from "../pipeline.js";
import type { Summary } from "../summary.js";
import { columns } from "../terminal.js";

/** A long list shows its first photographs. */
export const SHOWN = 12;

export const labelled = ({ label, probability }: Answer) => `${label} ${percent(probability, 0)}`;

export function sameLabelSentence({ images, sameLabel: [packet, jpeg, webp] }: Summary): string {
  return `Same label as from the original: packet ${packet} of ${images}, JPEG ${jpeg}, WebP ${webp}.`;
}

/** Bytes at equal accuracy, as the model card has them. */
export function bytesSentence({ equal }: Summary): string {
  const needs = equal.pictures.map(
    ({ format, bytes, ratio }) => `${number(bytes)} bytes of ${format} (${number(ratio, 1)} times as many)`,
  );
  return `To be right as often as from ${number(equal.bytes)} bytes of packet, the network needs ${needs.join(" or ")}.`;
}

/** Time at equal accuracy: the links on which it gains least and most. */
export function timeSentence({ links, ways: [, ...pictures] }: Summary): string {
  const sentences = pictures.map(({ family }, p) => {
    const ratios = links
      .map(({ link, ways }) => ({ on: link.name, ratio: ways[p + 1]!.time.totalMs / ways[0]!.time.totalMs }))
      .sort((a, b) => a.ratio - b.ratio);
    const [least, most] = [ratios[0]!, ratios.at(-1)!].map(({ on, ratio }) => `${number(ratio, 2)} (${on})`);
    return `With ${family} the label takes ${least} to ${most} times as long.`;
  });
  return sentences.join(" ");
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

function imageTable(results: readonly ImageResult[], { equal }: Summary): string[] {
  const rows = results
    .slice(0, SHOWN)
    .map(({ name, original, packet, sameBytes }) => [
      name,
      number(packet.bytes),
      labelled(original),
      labelled(packet.answer),
      ...sameBytes.map((picture) => pictureCell(picture, packet.bytes)),
    ]);
  if (results.length > SHOWN) rows.push([`and ${results.length - SHOWN} more: --json`, "", "", "", "", ""]);
  const shares = [equal.top1OfOriginals, equal.top1, ...equal.pictures.map((one) => one.top1AtSameBytes)];
  rows.push([
    `${equal.count} test images`,
    number(equal.bytes),
    ...shares.map((share) => `${percent(share, 0)} right`),
  ]);
  return columns(
    ["photograph", "bytes", "label of the original", "from the packet", "JPEG of that size", "WebP of that size"],
    rows,
    6,
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
  return columns(
    ["", "bytes", "device", "server", ...links.map(({ link }) => `${link.name} ${link.mbitPerSecond} Mbit/s`)],
    rows,
  );
}

/** The whole run as lines of text. */
export function report(machine: Machine, results: readonly ImageResult[], summary: Summary): string[] {
  const over = (summary.bytes - summary.idealBytes) / summary.idealBytes;
  return [
    `latentwire ${machine.version}: MobileNetV2 names photographs that reach it as packets of ${number(summary.bytes / summary.images)} bytes.`,
    "device: photograph -> encoder network -> packet    server: packet -> decoder network -> rest of MobileNetV2 -> label",
    "",
    ...imageTable(results, summary),
    `${sameLabelSentence(summary)} A percentage is the network's own certainty.`,
    `A few photographs decide nothing. The last line does: labelled images, measured when the model was trained.`,
    "",
    wrapped(`Is that good? ${bytesSentence(summary)}`),
    "",
    "Milliseconds from photograph to label, at equal accuracy (JPEG and WebP of that quality), every step counted:",
    ...timeTable(summary),
    wrapped(timeSentence(summary)),
    summary.exact
      ? `Every packet decodes to exactly the numbers that went in. It is ${percent(over)} over the least that its tables allow.`
      : "A packet does NOT decode to the numbers that went in. This is a bug of the codec.",
  ];
}

import { PREPARATION } from "./images.js";
import { LINK_RULE } from "./links.js";
import type { Machine } from "./machine.js";
import { number } from "./numbers.js";
import { BYTE_RULE, TIME_RULE } from "./pipeline.js";
import type { ImageResult, Summary } from "./summary.js";
import { columns } from "./terminal.js";

function imageTable(results: readonly ImageResult[], summary: Summary): string[] {
  const head = [
    "image",
    "bytes",
    "bits/symbol",
    "over ideal",
    "encoder ms",
    "encode ms",
    "decode ms",
    "decoder ms",
    "exact",
  ];
  const rows = results.map(({ name, passed }) => [
    name,
    number(passed.packet.length),
    number((passed.packet.length * 8) / passed.symbols, 3),
    number(passed.packet.length - passed.ideal.bytes, 1),
    number(passed.ms.encoder, 1),
    number(passed.ms.encode, 3),
    number(passed.ms.decode, 3),
    number(passed.ms.decoder, 1),
    passed.exact ? "yes" : "NO",
  ]);
  const { images, bytes, symbols, idealBytes, ms } = summary;
  const ending = (name: string, n: number, digits: number) => [
    name,
    number(bytes / n, digits),
    number((bytes * 8) / symbols, 3),
    number((bytes - idealBytes) / n, 1),
  ];
  const times = (n: number) => [ms.encoder * n, ms.encode * n, ms.decode * n, ms.decoder * n];
  const timeCells = (n: number) => times(n).map((value, t) => number(value, t === 0 || t === 3 ? 1 : 3));
  rows.push([...ending("total", 1, 0), ...timeCells(images), summary.exact ? "yes" : "NO"]);
  rows.push([...ending("mean", images, 0), ...timeCells(1), ""]);
  return columns(head, rows);
}

function senderTable(summary: Summary): string[] {
  const own = summary.senders[0].bytes;
  const rows = summary.senders.map((sender) => [
    sender.name,
    number(sender.bytes),
    `${number(sender.bytes / own, 2)}x`,
    number(sender.senderMs, 1),
    number(sender.receiverMs, 1),
    ...summary.links.map(({ ways }) =>
      number(ways.find((way) => way.sender === sender)?.time.totalMs ?? Number.NaN, 1),
    ),
  ]);
  const links = summary.links.map(({ link }) => `${link.name} ms`);
  return columns(["mean per image", "bytes", "", "send ms", "receive ms", ...links], rows);
}

/** The whole run as lines of text. */
export function report(machine: Machine, results: readonly ImageResult[], summary: Summary): string[] {
  const { idealBytes, escapes, escapeBytes, bytes } = summary;
  const { version, node, onnxruntime, threads, cpu, simd } = machine;
  const escaped =
    escapes === 0 ? "no escapes" : `${escapes} escapes, whose values take ${escapeBytes} bytes beside the ideal`;
  const [first] = results;
  return [
    `latentwire ${version} (${simd ? "SIMD" : "scalar"}), Node ${node}, onnxruntime-node ${onnxruntime}, ${threads} thread(s), ${cpu}`,
    `${summary.images} image(s): ${PREPARATION} -> encoder.onnx -> latent ${first.passed.dims.join("x")} -> packet -> decoder.onnx -> features ${first.passed.features.dims.join("x")}`,
    "",
    ...imageTable(results, summary),
    "",
    summary.exact
      ? "Every decoded latent is exactly the quantized one."
      : "A decoded latent DIFFERS from the quantized one: this is a bug of the codec.",
    `ideal: ${number(idealBytes, 1)} bytes under the 16-bit rows; ${number(((bytes - idealBytes) / idealBytes) * 100, 2)} % above it; ${escaped}`,
    BYTE_RULE,
    TIME_RULE,
    "",
    ...senderTable(summary),
    "",
    ...summary.links.map(({ link }) => `${link.name}: ${link.mbitPerSecond} Mbit/s, round trip ${link.rttMs} ms`),
    LINK_RULE,
    "A JPEG serves eyes and networks; this latent serves one network. What the bytes are worth to it: bench/model/README.md.",
  ];
}

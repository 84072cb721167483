// Writes test/vectors/many-packets.json with the reference: streams and packet files, whole and damaged, and what is in them. For other implementations, and so
// that bytes never change silently.
import { writeFileSync } from "node:fs";
import { random } from "./cases.js";
import { damageStream } from "./mutate.js";
import {
  encodePacket,
  FormatError,
  isGoodPacket,
  readPacketFile,
  recoverFrames,
  tableFromJson,
  writeFrames,
  writePacketFile,
} from "./reference.js";

const rng = random(20261127);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const table = tableFromJson({ offsets: [-1], cdfs: [[0, 16384, 49152, 65535, 65536]] });
const packets = [0, 3, 40, 300, 900].map((n) =>
  encodePacket([
    {
      symbols: Int32Array.from({ length: n }, () => rng(3) - 1),
      dims: [1, 1, n],
      prior: { kind: "channels", table, axis: 1, centre: "none", step: 1 },
    },
  ]),
);
const names = ["a.npy", "", "folder/\u00e4.npy", "n".repeat(200), ""];

const stream = writeFrames(packets);
const records = packets.map((packet, number) => ({ number, name: names[number], packet }));
const file = writePacketFile(records);

const streams = Array.from({ length: 24 }, (_, i) => {
  const bytes = i === 0 ? stream : damageStream(stream, rng).bytes;
  const { frames, lost, isEnded } = recoverFrames(bytes, isGoodPacket);
  return { hex: hex(bytes), frames: frames.map(({ at, content }) => [at, content.length]), lost, isEnded };
});
const files = Array.from({ length: 24 }, (_, i) => {
  const bytes = i === 0 ? file : damageStream(file, rng).bytes;
  try {
    const { state, records: found } = readPacketFile(bytes);
    return { hex: hex(bytes), state, numbers: found.map(({ number }) => number) };
  } catch (error) {
    if (error instanceof FormatError) return { hex: hex(bytes), state: "refused" };
    throw error;
  }
});
const list = (values: readonly object[]): string => values.map((value) => `    ${JSON.stringify(value)}`).join(",\n");
writeFileSync(
  new URL("vectors/many-packets.json", import.meta.url),
  `{\n  "packets": ${JSON.stringify(packets.map(hex))},\n  "names": ${JSON.stringify(names)},\n` +
    `  "streams": [\n${list(streams)}\n  ],\n  "files": [\n${list(files)}\n  ]\n}\n`,
);

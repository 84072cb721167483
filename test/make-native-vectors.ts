// Writes test/vectors/native-packets.json with the reference encoder. To be run when docs/format.md changes its version, and
// for no other reason: the file is there so that bytes never change silently.
import { writeFileSync } from "node:fs";
import { encodeByReference } from "./io.js";
import { nativeCases } from "./native-cases.js";
import { xxh64 } from "./reference.js";

const lines = nativeCases().map((item) => {
  const packet = encodeByReference(item.parts, item.options);
  // Short ones in full, so that a difference can be read.
  const content =
    packet.length <= 400
      ? { hex: Buffer.from(packet).toString("hex") }
      : { xxh64: xxh64(packet).toString(16).padStart(16, "0") };
  return `  ${JSON.stringify({ name: item.name, bytes: packet.length, ...content })}`;
});
writeFileSync(new URL("vectors/native-packets.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} packets`);

// Writes test/vectors/native-packets.json and context-packets.json with the reference encoder: when docs/format.md changes its version, and for no
// other reason. The files are there so that bytes never change silently.
import { writeFileSync } from "node:fs";
import { makeContextVectors } from "./context-vectors.js";
import { encodeByReference } from "./io.js";
import { nativeCases, vectorOf } from "./native-cases.js";

const vectors = nativeCases().map(({ name, parts, options }) => vectorOf(name, encodeByReference(parts, options)));
const lines = vectors.map((vector) => `  ${JSON.stringify(vector)}`);
writeFileSync(new URL("vectors/native-packets.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} packets`);

const { networks, cases } = makeContextVectors();
const list = cases.map((vector) => `    ${JSON.stringify(vector)}`).join(",\n");
writeFileSync(
  new URL("vectors/context-packets.json", import.meta.url),
  `{\n  "networks": ${JSON.stringify(networks)},\n  "cases": [\n${list}\n  ]\n}\n`,
);
console.log(`${cases.flatMap(({ packets }) => packets).length} packets under a context`);

// Writes test/vectors/native-packets.json with the reference encoder: when docs/format.md changes its version, and for no other reason.
// The file is there so that bytes never change silently.
import { writeFileSync } from "node:fs";
import { encodeByReference } from "./io.js";
import { nativeCases, vectorOf } from "./native-cases.js";

const vectors = nativeCases().map(({ name, parts, options }) => vectorOf(name, encodeByReference(parts, options)));
const lines = vectors.map((vector) => `  ${JSON.stringify(vector)}`);
writeFileSync(new URL("vectors/native-packets.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} packets`);

// One fresh Node process: process.js OP FOLDER prints the steps as JSON.
import { readFileSync } from "node:fs";
import { type Op, steps } from "./steps.js";

const [op, folder] = process.argv.slice(2);
const file = (name: string) => new Uint8Array(readFileSync(`${folder}/${name}`));
const latent = new Float32Array(file("latent").buffer);
const dims = JSON.parse(readFileSync(`${folder}/dims`, "utf8"));
const inputs = { table: file("table"), packet: file("packet"), latent, dims };
console.log(JSON.stringify(await steps(() => import("latentwire"), op as Op, inputs)));

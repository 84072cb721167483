// Writes test/vectors/families.json: what test/vectors/make_families.py has printed to the file named (or that file itself), and a packet for each case,
// which test/reference.ts must write as well from the same symbols and parameters.
import { writeFileSync } from "node:fs";
import { create, type TensorLike, type TensorView } from "latentwire";
import { coded } from "../bench/families/ideal.js";
import { recording, type Step } from "../bench/families/recorder.js";
import { copyOf } from "./cases.js";
import { hexOf, readCases, recipeOf, tensorOf } from "./family-cases.js";
import { compressaiScales, encodePacket, type PartPrior, type ReferencePart, tableFromJson } from "./reference.js";

const codec = await create();

const floatsOf = (value: Float32Array | TensorLike | TensorView): Float32Array =>
  value instanceof Float32Array ? value : "strides" in value ? copyOf(value).data : (value.data as Float32Array);

function joined(pieces: readonly (Float32Array | undefined)[]): Float32Array {
  return Float32Array.from(pieces.flatMap((piece) => [...(piece ?? [])]));
}

/** A step of the recipe as the reference takes it. */
function referencePart(step: Step): ReferencePart {
  const { symbols, rows, table } = coded(codec, step, compressaiScales);
  const scaled = (scales: Float32Array, scaleTable: Float32Array = compressaiScales, hasMeans = false): PartPrior => ({
    ...{ kind: "scales", table: tableFromJson(table), scales, scaleTable },
    centre: hasMeans ? "means" : "none",
  });
  if (step.kind === "pieces") {
    const { pieces, options } = step;
    const scales = joined(pieces.map((piece) => piece.scales));
    return {
      prior: scaled(scales, options?.scaleTable, pieces[0]?.means !== undefined),
      dims: [scales.length],
      symbols,
    };
  }
  const { source, latent } = step;
  const dims = [...latent.dims];
  if (source.kind === "factorized")
    return { prior: { kind: "channels", table: tableFromJson(table), axis: 1 }, dims, symbols };
  if (source.kind === "indexed")
    return { prior: { kind: "rows", table: tableFromJson(table), index: rows }, dims, symbols };
  if (source.kind === "gaussian") {
    const [scales, { means, scaleTable } = {}] = source.arguments;
    return { prior: scaled(floatsOf(scales), scaleTable, means !== undefined), dims, symbols };
  }
  const [{ weights, means, scales }, { components = 1, kind = "gaussian", support = [-128, 127] as const } = {}] =
    source.arguments;
  const own = { weights: weights && floatsOf(weights), means: floatsOf(means), scales: floatsOf(scales) };
  return { prior: { kind: "mixture", mixture: { kind, components, support, ...own } }, dims, symbols };
}

const lines: string[] = [];
for (const one of readCases(process.argv[2])) {
  if (one.family === "their-mixture") {
    lines.push(JSON.stringify(one));
    continue;
  }
  const watched = recording(codec);
  const { packet } = await recipeOf(one, watched.codec).encode(tensorOf(one.y), { lanes: 1 });
  const expected = encodePacket(watched.steps.map(referencePart));
  if (hexOf(expected) !== hexOf(packet)) throw new Error(`${one.family}: the reference writes another packet`);
  lines.push(JSON.stringify({ ...one, packet: hexOf(packet) }));
}
writeFileSync(new URL("./vectors/families.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} cases`);

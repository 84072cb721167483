// Writes test/vectors/families.json: what test/vectors/make_families.py has printed to the file named, and a packet for each case, which test/reference.ts
// must write as well from the same symbols and parameters.
import { writeFileSync } from "node:fs";
import { create } from "latentwire/full";
import { coded } from "../bench/families/ideal.js";
import { recording, type Step } from "../bench/families/recorder.js";
import { stockScales } from "../bindings/scales.js";
import { hexOf, readCases, recipeOf, tensorOf } from "./family-cases.js";
import { encodeParts, type PartPrior, type ReferencePart, tableFromJson } from "./reference.js";

const codec = await create();

/** A step of the recipe as the reference takes it. */
function referencePart(step: Step): ReferencePart {
  const { symbols, rows, table } = coded(codec, step, stockScales);
  const reference = tableFromJson(table);
  if (step.kind === "part" && step.source.kind === "factorized")
    return { prior: { kind: "factorized", table: reference, axis: 1 }, dims: step.latent.dims, symbols };
  let prior: PartPrior = { kind: "rows", table: reference, rows };
  if (step.kind === "part" && step.source.kind === "mixture") {
    const [{ weights, means, scales }, { components = 1, kind = "gaussian", support = [-128, 127] as const } = {}] =
      step.source.arguments;
    const floats = (tensor: typeof means) => (tensor as { data: Float32Array }).data;
    const own = { weights: floats(weights!), means: floats(means), scales: floats(scales) };
    prior = { kind: "mixture", mixture: { kind, components, support, ...own }, scaleTable: stockScales };
  }
  return { prior, dims: [symbols.length], symbols };
}

const lines: string[] = [];
for (const one of readCases(process.argv[2])) {
  if (one.family === "their-mixture") {
    lines.push(JSON.stringify(one));
    continue;
  }
  const watched = recording(codec);
  const { packet } = await recipeOf(one, watched.codec).encode(tensorOf(one.y), { lanes: 1 });
  const options = { lanes: 1, checksum: true, fingerprint: true, indexChecks: false } as const;
  const expected = encodeParts(watched.steps.map(referencePart), options);
  if (hexOf(expected) !== hexOf(packet)) throw new Error(`${one.family}: the reference writes another packet`);
  lines.push(JSON.stringify({ ...one, packet: hexOf(packet) }));
}
writeFileSync(new URL("./vectors/families.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} cases`);

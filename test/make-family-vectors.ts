// Writes test/vectors/families.json: what test/vectors/make_families.py has printed to the file named (or that file itself), and a packet for each case,
// which test/reference.ts must write as well from the same symbols and parameters.
import { writeFileSync } from "node:fs";
import { create, type GaussianOptions, type TensorLike, type TensorView } from "latentwire";
import { recording, type Step } from "../bench/families/steps.js";
import { copyOf } from "./cases.js";
import { hexOf, readCases, recipeOf, tensorOf } from "./family-cases.js";
import {
  compressaiScales,
  encodePacket,
  type PartPrior,
  quantize,
  type ReferencePart,
  tableFromJson,
} from "./reference.js";

const codec = await create();

const floatsOf = (value: Float32Array | TensorLike | TensorView): Float32Array =>
  value instanceof Float32Array ? value : "strides" in value ? copyOf(value).data : (value.data as Float32Array);

function joined(pieces: readonly (Float32Array | undefined)[]): Float32Array {
  return Float32Array.from(pieces.flatMap((piece) => [...(piece ?? [])]));
}

const dense = (tensor: TensorLike | TensorView): Float32Array =>
  "strides" in tensor ? copyOf(tensor).data : (tensor.data as Float32Array);

/** A step of the recipe as the reference takes it; symbols are found without the codec. */
function referencePart(step: Step): ReferencePart {
  const scaled = (
    values: Float32Array,
    scales: Float32Array,
    means: Float32Array | undefined,
    { table, scaleTable = compressaiScales }: Pick<GaussianOptions, "table" | "scaleTable"> = {},
  ): Pick<ReferencePart, "prior" | "symbols"> => ({
    prior: {
      kind: "scales",
      table: tableFromJson((table === undefined ? codec.gaussianTable() : codec.table(table)).toJSON()),
      scales,
      scaleTable,
      centre: means ? "means" : "none",
    },
    symbols: quantize(values, means && ((i) => means[i])),
  });
  if (step.kind === "pieces") {
    const { pieces, options } = step;
    const values = joined(pieces.map((piece) => piece.values));
    const means = pieces[0]?.means && joined(pieces.map((piece) => piece.means));
    return { dims: [values.length], ...scaled(values, joined(pieces.map(({ scales }) => scales)), means, options) };
  }
  const { source, latent } = step;
  const dims = [...latent.dims];
  const values = dense(latent);
  if (source.kind === "factorized") {
    const { medians } = source.table;
    const plane = dims.slice(2).reduce((a, b) => a * b, 1);
    const symbols = quantize(values, medians && ((i) => medians[Math.floor(i / plane) % dims[1]]));
    return { prior: { kind: "channels", table: tableFromJson(source.table.toJSON()), axis: 1 }, dims, symbols };
  }
  if (source.kind === "indexed") {
    const [table, rows] = source.arguments;
    const prior: PartPrior = { kind: "rows", table: tableFromJson(codec.table(table).toJSON()), index: rows };
    return { prior, dims, symbols: Int32Array.from(values) };
  }
  if (source.kind === "gaussian") {
    const [scales, options = {}] = source.arguments;
    return { dims, ...scaled(values, floatsOf(scales), options.means && floatsOf(options.means), options) };
  }
  const [{ weights, means, scales }, { components = 1, kind = "gaussian", support = [-128, 127] as const } = {}] =
    source.arguments;
  const own = { weights: weights && floatsOf(weights), means: floatsOf(means), scales: floatsOf(scales) };
  const prior: PartPrior = { kind: "mixture", mixture: { kind, components, support, ...own } };
  return { prior, dims, symbols: quantize(values) };
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

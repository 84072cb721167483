// Folders as compressai_export.py writes them, made of the trained models of bench/families, with the encoder and decoder of bench/model as g_a and g_s.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Codec, TableJson } from "latentwire";
import { type BundleInput, writeBundle } from "latentwire/bundle";
import { onnxModel } from "./onnx-model.js";
import { root } from "./pack.js";

const models = join(root, "bench/families/models");
const point = join(root, "bench/model/points/mid");
const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), "utf8"));

/** Channels of y of these models. */
const C = 20;

/** Of each family: the name that `latentwire/onnx` has for it, and its model with names of files in place of networks. */
const described: Record<string, (from: Record<string, never>) => [string, object]> = {
  factorized: () => ["factorized", {}],
  scale: () => ["scale", hyper],
  "mean-scale": () => ["meanScale", hyper],
  laplace: () => ["meanScale", hyper],
  recursive: () => ["recursive", { h_a1: "h_a1.onnx", h_a2: "h_a2.onnx", h_s1: "h_s1.onnx", h_s2: "h_s2.onnx" }],
  autoregressive: () => ["autoregressive", { ...hyper, pixel: "pixel.onnx", channels: C, kernel: 5 }],
  checkerboard: () => ["checkerboard", { ...hyper, anchor: "anchor.onnx", nonanchor: "nonanchor.onnx" }],
  "channel-groups": ({ groups }) => [
    "channelGroups",
    { ...hyper, groups, nets: (groups as number[]).map((_, k) => `group${k}.onnx`) },
  ],
  elic: ({ groups }) => [
    "elic",
    {
      ...hyper,
      groups: (groups as number[]).map((channels, k) => ({
        channels,
        anchor: `anchor${k}.onnx`,
        nonanchor: `nonanchor${k}.onnx`,
      })),
    },
  ],
  // The export of gain units leaves the gains to the caller: CompressAI's latent codec does not hold them.
  gain: () => ["gain", hyper],
  mixture: ({ components, support }) => ["mixture", { ...hyper, components, support }],
};
const hyper = { h_a: "h_a.onnx", h_s: "h_s.onnx" };

export const EXPORTED = [...Object.keys(described), "variable-rate", "slices", "parts"];

/** The gains of `gain`, which the caller passes, from the bundle's metadata. */
export function gainsOf(bundle: { meta: Readonly<Record<string, unknown>> }) {
  const { gains, inverse_gains } = bundle.meta.parameters as Record<string, number[][]>;
  return { gains, inverseGains: inverse_gains };
}

/** Writes `folder`/NAME for every name of {@link EXPORTED}. */
export function writeExported(folder: string, codec: Codec): void {
  for (const name of Object.keys(described)) {
    const source = name === "factorized" ? undefined : join(models, name);
    const [family, model] = described[name]!(source ? json(source, "model.json") : {});
    const into = join(folder, name);
    mkdirSync(into, { recursive: true });
    for (const file of source ? readdirSync(source).filter((one) => one.endsWith(".onnx")) : [])
      copyFileSync(join(source!, file), join(into, file));
    const z: TableJson = source ? json(source, "z.json") : json(point, "tables.json");
    const table = name === "laplace" ? codec.laplaceTable() : codec.gaussianTable();
    const { gains, inverse_gains } = source ? json(source, "model.json") : {};
    finish(into, codec, { model: { family, model } }, z, table, gains && { gains, inverse_gains });
  }
  writeVariableRate(join(folder, "variable-rate"), codec);
  writeSlices(join(folder, "slices"), codec);
  const parts = join(folder, "parts");
  mkdirSync(parts);
  for (const name of ["img", "motion"])
    for (const net of ["h_a", "h_s"])
      copyFileSync(join(models, "mean-scale", `${net}.onnx`), join(parts, `${name}.${net}.onnx`));
  const part = (name: string) => ({ family: "meanScale", model: { h_a: `${name}.h_a.onnx`, h_s: `${name}.h_s.onnx` } });
  finish(
    parts,
    codec,
    { img: part("img"), motion: part("motion") },
    json(models, "mean-scale/z.json"),
    codec.gaussianTable(),
  );
}

/** The bundle, g_a and g_s. */
function finish(
  folder: string,
  codec: Codec,
  described: Record<string, object>,
  z: TableJson,
  table: ReturnType<Codec["table"]>,
  parameters?: object,
): void {
  const ends = { g_a: "g_a.onnx", g_s: "g_s.onnx", prior: "entropy_bottleneck", rows: "gaussian_conditional" };
  const whole = Object.entries(described).map(([name, one]) => [name, { ...ends, ...one }]);
  const entries: BundleInput[] = [
    { name: "entropy_bottleneck", kind: "factorized", table: codec.table(z) },
    { name: "gaussian_conditional", kind: "gaussian", table },
  ];
  writeFileSync(
    join(folder, "model.lwb"),
    writeBundle(entries, { models: Object.fromEntries(whole), ...(parameters && { parameters }) }),
  );
  copyFileSync(join(point, "encoder.onnx"), join(folder, "g_a.onnx"));
  copyFileSync(join(point, "decoder.onnx"), join(folder, "g_s.onnx"));
}

const float = (...dims: (number | string)[]) => ({ type: "float32" as const, dims });

/** Networks of a few nodes, because nobody has trained a small model of this kind: every fourth position is z, enlarged it is the scales. */
const Z_OF_Y = onnxModel({
  nodes: [{ op: "AveragePool", inputs: ["y"], output: "z", attributes: { kernel_shape: [4, 4], strides: [4, 4] } }],
  inputs: { y: float("n", C, "h", "w") },
  outputs: { z: float("n", C, "h4", "w4") },
});
const enlarged = [
  { op: "Abs", inputs: ["z_hat"], output: "size" },
  { op: "Add", inputs: ["size", "half"], output: "small" },
  { op: "Resize", inputs: ["small", "", "four"], output: "wide" },
];
const constants = { half: { dims: [1], data: [0.5] }, four: { dims: [4], data: [1, 1, 4, 4] } };

/** A table with a row per channel for values of a few steps. */
const broad = (count: number): TableJson => {
  const weights = Array.from({ length: 41 }, (_, k) => 1 + Math.floor(6000 / (1 + (k - 20) ** 2)));
  const total = weights.reduce((a, b) => a + b, 0);
  const sums = weights.map((_, k) => weights.slice(0, k + 1).reduce((a, b) => a + b, 0));
  const cdf = [0, ...sums.map((sum) => Math.floor((sum * 65000) / total)), 65536];
  return { offsets: Array(count).fill(-20), cdfs: Array(count).fill(cdf) };
};

function writeVariableRate(folder: string, codec: Codec): void {
  mkdirSync(folder);
  writeFileSync(join(folder, "h_a.onnx"), Z_OF_Y);
  const h_s = onnxModel({
    nodes: [
      ...enlarged,
      { op: "Mul", inputs: ["wide", "gain"], output: "scales" },
      { op: "Resize", inputs: ["z_hat", "", "four"], output: "means" },
      { op: "Mul", inputs: ["scales", "little"], output: "positive" },
      { op: "Neg", inputs: ["positive"], output: "offsets" },
    ],
    inputs: { z_hat: float("n", C, "h", "w"), gain: float(1) },
    outputs: Object.fromEntries(["scales", "means", "offsets"].map((name) => [name, float("n", C, "h4", "w4")])),
    weights: { ...constants, little: { dims: [1], data: [0.01] } },
  });
  writeFileSync(join(folder, "h_s.onnx"), h_s);
  const model = { ...hyper, gains: [0.5, 1, 2].map(Math.fround) };
  finish(folder, codec, { model: { family: "variableRate", model } }, broad(C), codec.gaussianTable());
}

/** Two slices of ten channels with latent residual prediction, in one string: what TCM and CCA do. */
function writeSlices(folder: string, codec: Codec): void {
  mkdirSync(folder);
  writeFileSync(join(folder, "h_a.onnx"), Z_OF_Y);
  writeFileSync(
    join(folder, "h_s.onnx"),
    onnxModel({
      nodes: enlarged.map((node) => (node.output === "wide" ? { ...node, output: "psi" } : node)),
      inputs: { z_hat: float("n", C, "h", "w") },
      outputs: { psi: float("n", C, "h4", "w4") },
      weights: constants,
    }),
  );
  const half = C / 2;
  for (const k of [0, 1]) {
    // scales: psi of the slice's channels; means and support: the slice before, halved.
    const pick = { kernel_shape: [1, 1] };
    const select = Array.from({ length: half * C }, (_, i) => (i % C === Math.floor(i / C) + k * half ? 1 : 0));
    const ones = Array.from({ length: half * half }, (_, i) => (i % half === Math.floor(i / half) ? 0.5 : 0));
    const before = k === 0 ? "scales" : "y_hat";
    writeFileSync(
      join(folder, `group${k}.onnx`),
      onnxModel({
        nodes: [
          { op: "Conv", inputs: ["psi", "select"], output: "scales", attributes: pick },
          { op: "Conv", inputs: [before, "halved"], output: "support", attributes: pick },
          { op: "Neg", inputs: ["support"], output: "means" },
        ],
        inputs: { psi: float("n", C, "h", "w"), ...(k > 0 && { y_hat: float("n", half, "h", "w") }) },
        outputs: Object.fromEntries(["scales", "means", "support"].map((name) => [name, float("n", half, "h", "w")])),
        weights: { select: { dims: [half, C, 1, 1], data: select }, halved: { dims: [half, half, 1, 1], data: ones } },
      }),
    );
    writeFileSync(
      join(folder, `refine${k}.onnx`),
      onnxModel({
        nodes: [
          { op: "Tanh", inputs: ["support"], output: "residual" },
          { op: "Add", inputs: ["y_group", "residual"], output: "refined" },
        ],
        inputs: { support: float("n", half, "h", "w"), y_group: float("n", half, "h", "w") },
        outputs: { refined: float("n", half, "h", "w") },
      }),
    );
  }
  const files = (name: string) => [0, 1].map((k) => `${name}${k}.onnx`);
  const model = { ...hyper, groups: [half, half], nets: files("group"), refine: files("refine"), oneString: true };
  finish(folder, codec, { model: { family: "channelGroups", model } }, broad(C), codec.gaussianTable());
}

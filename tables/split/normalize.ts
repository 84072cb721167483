/** Which range of pixels a network takes: what its graph says, or which range it answers best in. */
import { type Normalization, RANGES, type Range } from "../images.js";
import { type Runtime, refusedAs, type Session } from "../packages.js";
import { answerOf, areProbabilities } from "./agreement.js";
import { readsOf } from "./graph.js";
import { type Opened, openSession, typeOf } from "./network.js";
import type { OnnxValue } from "./onnx-file.js";
import type { Samples } from "./samples.js";

export interface Found {
  readonly range: Range;
  /** How it is known, for people. */
  readonly reason: string;
}

/** Where nothing is known. */
export const GUESS: Found = { range: "0..1", reason: "this is a guess, its graph does not say. Say what it takes" };

/** Nodes that leave a range as it is. */
const PASSES = /^(Identity|Cast|Transpose|Reshape|Squeeze|Unsqueeze|Pad|Resize|Upsample|Clip|Dropout)$/;
/** What the makers of Windows' models write into them. */
const NOMINAL: Readonly<Record<string, Range>> = {
  NominalRange_0_255: "0..255",
  Normalized_0_1: "0..1",
  Normalized_1_1: "-1..1",
};

/** What the graph itself says; undefined where it says nothing. */
export async function rangeOfGraph(runtime: Runtime, opened: Opened, input: OnnxValue): Promise<Found | undefined> {
  const { nodes, metadata } = opened.graph.model;
  if (typeOf(input) === "uint8") return { range: "0..255", reason: "its input is uint8" };
  const nominal = metadata.get("Image.NominalPixelRange");
  if (nominal !== undefined && NOMINAL[nominal])
    return { range: NOMINAL[nominal], reason: `its metadata say ${nominal}` };
  let tensor = input.name;
  for (;;) {
    const readers = nodes.filter((node) => readsOf(node).includes(tensor) && node.op !== "Shape");
    const [node] = readers;
    if (node === undefined || readers.length > 1) return undefined;
    if (!PASSES.test(node.op) || node.inputs[0] !== tensor) {
      const places = { BatchNormalization: [3], QuantizeLinear: [1, 2] }[node.op] ?? [
        node.inputs[0] === tensor ? 1 : 0,
      ];
      const names = places.map((place) => node.inputs[place] ?? "");
      if (names.some((name) => opened.graph.kinds.get(name) !== "constant")) return undefined;
      const values = await constantsOf(runtime, opened, names);
      const range = rangeBy(node.op, values);
      return range && { range, reason: `its first node is ${node.op} by ${show(values[0]!)}` };
    }
    tensor = node.outputs[0]!;
  }
}

const show = (values: readonly number[]): string =>
  values
    .slice(0, 3)
    .map((value) => Number(value.toPrecision(4)))
    .join(", ");

/** The range from the constant that a first node takes. */
export function rangeBy(op: string, [constants = [], more = [0]]: readonly (readonly number[])[]): Range | undefined {
  const largest = constants.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  switch (op) {
    case "Sub":
    case "Add":
    case "BatchNormalization":
      // The mean of pixels: about 128 of 255, or about 0.5 of 1.
      if (largest > 2) return "0..255";
      return largest > 0.2 && largest <= 1 ? "0..1" : undefined;
    case "Div":
      return largest > 2 ? "0..255" : largest < 1 ? "0..1" : undefined;
    case "Mul":
      return largest < 0.1 ? "0..255" : largest > 1 ? "0..1" : undefined;
    case "QuantizeLinear": {
      const [scale = 0] = constants;
      const [zero = 0] = more;
      const [low, high] = [-zero * scale, (255 - zero) * scale];
      if (high > 100) return "0..255";
      if (high > 2 && low < -1.5) return "imagenet";
      if (low < -0.5) return "-1..1";
      return high > 0.5 ? "0..1" : undefined;
    }
    default:
      return undefined;
  }
}

/** What constants hold. */
async function constantsOf(runtime: Runtime, { writer, path }: Opened, names: readonly string[]): Promise<number[][]> {
  const outputs = names.map((_, i) => ({ name: `latentwire constant ${i}` }));
  const last = names.map((name, i) => ({ op: "Identity", inputs: [name], output: outputs[i]!.name }));
  const session = await openSession(runtime, writer.part([], names, { inputs: [], outputs, last }), path);
  const found = await refusedAs("MODEL", path, session.run({}));
  await session.release?.();
  return outputs.map(({ name }) => Array.from(found[name]!.data as ArrayLike<number>, Number));
}

/** Images that every range is tried with, and by how many bits of information the best must lead. */
const TRIED = 24;
const LEAD = 0.1;

/**
 * The range in which a classifier's answers tell images apart best: sure of each, and different from image to image. A range
 * that is wrong gives unsure answers, or the same ones. Undefined where no range stands out.
 */
export async function rangeByTrying(
  uncut: Session,
  path: string,
  outputs: readonly string[],
  samplesOf: (range: Normalization) => Samples,
): Promise<Found | undefined> {
  const found: { range: Range; bits: number }[] = [];
  for (const range of Object.keys(RANGES) as Range[]) {
    const samples = samplesOf(RANGES[range]);
    const answers: Float64Array[] = [];
    for (let i = 0; i < Math.min(TRIED, samples.count); i++) {
      const answer = answerOf(await refusedAs("MODEL", path, uncut.run(await samples.feeds(i))), outputs);
      answers.push(probabilities(answer.values));
    }
    found.push({ range, bits: information(answers) });
  }
  found.sort((a, b) => b.bits - a.bits);
  const [best, second] = found as [(typeof found)[number], (typeof found)[number]];
  if (!(best.bits > second.bits + LEAD)) return undefined;
  const bits = ({ range, bits }: (typeof found)[number]) => `${bits.toFixed(1)} bits with ${range}`;
  return { range: best.range, reason: `its answers tell images apart by ${bits(best)}, by ${bits(second)}` };
}

/** Scores as probabilities: as they are where they are some already, otherwise their softmax. */
function probabilities(scores: Float32Array): Float64Array {
  if (areProbabilities(scores)) return Float64Array.from(scores);
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

const entropy = (list: Float64Array): number => list.reduce((bits, p) => (p > 0 ? bits - p * Math.log2(p) : bits), 0);

/** Bits that an answer says about which image it is: entropy of the mean, less the mean entropy. */
export function information(answers: readonly Float64Array[]): number {
  const mean = new Float64Array(answers[0]?.length ?? 0);
  for (const answer of answers)
    answer.forEach((p, k) => {
      mean[k]! += p / answers.length;
    });
  return entropy(mean) - answers.reduce((sum, answer) => sum + entropy(answer), 0) / Math.max(1, answers.length);
}

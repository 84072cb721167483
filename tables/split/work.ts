/** What a network's nodes cost: multiply-adds, and parameters. */
import type { Cut, Graph } from "./graph.js";
import { readsOf } from "./graph.js";
import type { OnnxNode, OnnxReader } from "./onnx-file.js";

/** Shapes of tensors by name, as a run has measured them. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Shares of the whole network, from 0 to 1. */
export interface Share {
  /** Of its multiply-adds; null where no node has any that are counted. */
  readonly work: number | null;
  /** Of its weights' elements. */
  readonly parameters: number;
}

export interface Costs {
  readonly multiplyAdds: number;
  readonly parameters: number;
  share(cut: Cut): Share;
}

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/**
 * Counts multiply-adds of convolutions, matrix products and recurrent layers, for shapes that were measured, and elements of
 * weights. Both are counted where a node first needs them.
 */
export function costsOf(graph: Graph, reader: OnnxReader, shapes: Shapes): Costs {
  const { nodes, initializers } = graph.model;
  const work = new Float64Array(nodes.length);
  const parameters = new Float64Array(nodes.length);
  const counted = new Set<string>();
  const dimsOf = (tensor: string | undefined) =>
    tensor === undefined ? undefined : (shapes.get(tensor) ?? initializers.get(tensor)?.dims);
  /** Elements of the weights that a tensor is made of, those that were counted before left out. */
  const weightsOf = (tensor: string): number => {
    if (counted.has(tensor) || graph.kinds.get(tensor) !== "constant") return 0;
    counted.add(tensor);
    const stored = initializers.get(tensor);
    if (stored !== undefined) return product(stored.dims);
    const maker = graph.makers.get(tensor);
    if (maker === undefined) return 0;
    const node = nodes[maker]!;
    if (node.op === "Constant") return product(reader.attribute(node, "value")?.tensor?.dims ?? []);
    return readsOf(node).reduce((sum, read) => sum + weightsOf(read), 0);
  };
  nodes.forEach((node, i) => {
    if (!graph.needed[i] || !node.outputs.some((tensor) => graph.isLive(tensor))) return;
    work[i] = multiplyAdds(node, dimsOf, (name) => reader.attribute(node, name)?.text);
    for (const tensor of readsOf(node)) parameters[i]! += weightsOf(tensor);
  });
  const sum = (list: Float64Array, end = list.length) => list.subarray(0, end).reduce((a, b) => a + b, 0);
  const all = { multiplyAdds: sum(work), parameters: sum(parameters) };
  return {
    ...all,
    share: ({ position }) => ({
      work: all.multiplyAdds === 0 ? null : sum(work, position + 1) / all.multiplyAdds,
      parameters: all.parameters === 0 ? 0 : sum(parameters, position + 1) / all.parameters,
    }),
  };
}

/** Where the operands of a product stand among a node's inputs. */
const FIRST_TWO = [0, 1] as const;
const QUANTIZED = [0, 3] as const;

function multiplyAdds(
  { op, inputs, outputs }: OnnxNode,
  dimsOf: (tensor: string | undefined) => readonly number[] | undefined,
  textOf: (attribute: string) => string | undefined,
): number {
  const output = dimsOf(outputs[0]);
  if (output === undefined) return 0;
  const operands = (places: readonly [number, number]) => places.map((place) => dimsOf(inputs[place]));
  switch (op) {
    case "Conv":
    case "ConvInteger":
    case "FusedConv":
    case "QLinearConv": {
      const [, weights] = operands(op === "QLinearConv" ? QUANTIZED : FIRST_TWO);
      return product(output) * product(weights?.slice(1) ?? [0]);
    }
    case "ConvTranspose": {
      const [input, weights] = operands(FIRST_TWO);
      return product(input ?? [0]) * product(weights?.slice(1) ?? [0]);
    }
    case "MatMul":
    case "MatMulInteger":
    case "FusedMatMul":
    case "DynamicQuantizeMatMul":
    case "QLinearMatMul": {
      const [left] = operands(FIRST_TWO);
      return product(output) * (left?.at(-1) ?? 0);
    }
    case "Gemm":
    case "QGemm": {
      const [left] = operands(FIRST_TWO);
      return output[1]! * product(left ?? [0]);
    }
    case "LSTM":
    case "GRU":
    case "RNN": {
      const [sequence, weights] = operands(FIRST_TWO);
      const recurrent = dimsOf(inputs[2]);
      return product(sequence?.slice(0, 2) ?? [0]) * (product(weights ?? [0]) + product(recurrent ?? [0]));
    }
    case "Einsum": {
      const letters = new Map<string, number>();
      const terms = textOf("equation")?.replaceAll(" ", "").split("->")[0]?.split(",") ?? [];
      terms.forEach((term, k) => {
        const dims = dimsOf(inputs[k]) ?? [];
        [...term.replace("...", "")].forEach((letter, d) => {
          letters.set(letter, dims[d] ?? 1);
        });
      });
      return product([...letters.values()]);
    }
    default:
      return 0;
  }
}

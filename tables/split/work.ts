/** What a network's nodes cost: multiply-adds, and parameters. */
import { elementsOf as product } from "../layout.js";
import type { Cut, Graph } from "./graph.js";
import { readsOf } from "./graph.js";
import type { OnnxNode, OnnxReader } from "./onnx-file.js";

/** Shapes of tensors by name, as a run has measured them, or as the file states them. */
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

/**
 * Counts multiply-adds of convolutions, matrix products and recurrent layers, for shapes that were measured or stated, and elements of
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
    let elements = 0;
    // A list, not a recursion: a file may have a chain of any length.
    const pending = [tensor];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (counted.has(next) || graph.kinds.get(next) !== "constant") continue;
      counted.add(next);
      const stored = initializers.get(next);
      const maker = nodes[graph.makers.get(next) ?? -1];
      if (stored !== undefined) elements += product(stored.dims);
      else if (maker?.op === "Constant") elements += product(reader.attribute(maker, "value")?.tensor?.dims ?? []);
      else if (maker !== undefined) for (const read of readsOf(maker)) pending.push(read);
    }
    return elements;
  };
  nodes.forEach((node, i) => {
    if (!graph.needed[i] || !node.outputs.some((tensor) => graph.isLive(tensor))) return;
    work[i] = multiplyAdds(node, dimsOf, (name) => reader.attribute(node, name)?.text);
    for (const tensor of readsOf(node)) parameters[i]! += weightsOf(tensor);
  });
  const workBefore = sumsBefore(work);
  const parametersBefore = sumsBefore(parameters);
  const all = { multiplyAdds: workBefore.at(-1)!, parameters: parametersBefore.at(-1)! };
  return {
    ...all,
    share: ({ position }) => ({
      work: all.multiplyAdds === 0 ? null : workBefore[position + 1]! / all.multiplyAdds,
      parameters: all.parameters === 0 ? 0 : parametersBefore[position + 1]! / all.parameters,
    }),
  };
}

/** Before each element and behind the last one: the sum of all elements before it. */
function sumsBefore(list: Float64Array): Float64Array {
  const sums = new Float64Array(list.length + 1);
  for (let i = 0; i < list.length; i++) sums[i + 1] = sums[i]! + list[i]!;
  return sums;
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

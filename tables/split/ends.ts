/** The halves of a cut as they are written: with nodes at their ends that turn tensors into what the codec rounds, and back. */
import { elementsOf } from "../layout.js";
import type { Cut } from "./graph.js";
import { type CutTensor, integerRange, type Setting } from "./measure.js";
import { type Opened, typeNumber } from "./network.js";
import type { NewNode, NewTensor } from "./parts.js";

const FLOAT = 1;
/** The set of operators that has Round. */
const ROUND_OPSET = 11;

/** Both halves, and the names of the tensors between them, in the order of the cut. */
export interface Halves {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  readonly sent: readonly string[];
}

const floats = (name: string, dims: readonly number[], values: Float32Array): NewTensor => ({
  name,
  type: FLOAT,
  dims,
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/**
 * What crosses is float32: tensors of another type are cast, and cast back behind the wire. With a step per channel each channel's centre goes off
 * and its factor is multiplied, and undone behind.
 */
export function halvesOf(
  { graph, writer }: Opened,
  cut: Cut,
  tensors: readonly CutTensor[],
  { scalings }: Setting,
  fixed: readonly NewTensor[],
): Halves {
  const { model, kinds } = graph;
  const constants: NewTensor[] = [];
  const last: NewNode[] = [];
  const first: NewNode[] = [];
  const sent = tensors.map(({ store, statistics }, t) => {
    const { name } = store;
    const type = store.type;
    const scaling = scalings[t];
    const isInput = !graph.makers.has(name);
    if (type === "float32" && scaling === undefined && !isInput) return name;
    const fresh = (what: string) => {
      let found = `${name} ${what}`;
      while (kinds.has(found)) found += "'";
      return found;
    };
    const crossing = fresh("sent");
    const steps = { out: [] as string[][], back: [] as string[][] };
    const constant = (what: string, dims: readonly number[], values: Float32Array) => {
      constants.push(floats(fresh(what), dims, values));
      return fresh(what);
    };
    if (type !== "float32") steps.out.push(["Cast"]);
    if (scaling) {
      const dims = [
        statistics.channels,
        ...store
          .dims(0)
          .slice(statistics.axis + 1)
          .map(() => 1),
      ];
      const inverse = scaling.factors.map((factor) => (factor === 0 ? 0 : 1 / factor));
      const centres = constant("centres", dims, scaling.centres);
      steps.out.push(["Sub", centres], ["Mul", constant("factors", dims, scaling.factors)]);
      steps.back.push(["Mul", constant("inverse", dims, inverse)], ["Add", centres]);
    }
    if (!type.startsWith("float")) {
      const [low, high] = integerRange(type);
      if (model.opset >= ROUND_OPSET) steps.back.push(["Round"]);
      else steps.back.push(["Add", constant("half", [], Float32Array.of(0.5))], ["Floor"]);
      steps.back.push(["Max", constant("least", [], Float32Array.of(low))]);
      steps.back.push(["Min", constant("greatest", [], Float32Array.of(high))]);
    }
    if (type !== "float32") steps.back.push(["Cast"]);
    if (steps.out.length === 0) steps.out.push(["Identity"]);
    if (steps.back.length === 0) steps.back.push(["Identity"]);
    last.push(...chain(steps.out, name, crossing, FLOAT, (k) => fresh(`out ${k}`)));
    first.push(...chain(steps.back, crossing, name, typeNumber(type), (k) => fresh(`back ${k}`)));
    return crossing;
  });
  const values = sent.map((name, t) => ({ name, type: FLOAT, dims: freeBatch(tensors[t]!) }));
  const ofNodes = (nodes: readonly NewNode[]) => {
    const read = new Set(nodes.flatMap(({ inputs }) => inputs));
    return constants.filter(({ name }) => read.has(name));
  };
  return {
    head: writer.head(cut.tensors, { outputs: values, last, constants: ofNodes(last) }),
    tail: writer.part(cut.tensors, graph.outputNames, {
      inputs: values,
      outputs: model.outputs,
      first,
      constants: [...ofNodes(first), ...fixed],
    }),
    sent,
  };
}

/** Nodes one behind the other: each an operator, and a constant that it takes. */
function chain(
  steps: readonly (readonly string[])[],
  from: string,
  to: string,
  type: number,
  between: (k: number) => string,
): NewNode[] {
  let tensor = from;
  return steps.map(([op, ...constants], k) => {
    const output = k === steps.length - 1 ? to : between(k);
    const node = {
      op: op!,
      inputs: [tensor, ...constants],
      output,
      ...(op === "Cast" && { attributes: { to: type } }),
    };
    tensor = output;
    return node;
  });
}

/** The shape that samples have; a first dimension of 1 is a batch, and free. Without a shape where samples differ. */
export function freeBatch({ store }: CutTensor): (number | null)[] {
  const first = store.dims(0);
  return first.map((size, d) => {
    if (d === 0 && size === 1 && first.length > 1) return null;
    for (let i = 1; i < store.count; i++) if (store.dims(i)[d] !== size) return null;
    return size;
  });
}

/** Elements of one sample, at most. */
export const mostElements = ({ store }: CutTensor): number => {
  let most = 0;
  for (let i = 0; i < store.count; i++) most = Math.max(most, elementsOf(store.dims(i)));
  return most;
};

/** Writes the parts of a model: the head, which makes the tensors of a cut, and the tail, which goes on with them. */
import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { CodecError } from "latentwire";
import { type Cut, type Graph, readsOf } from "./graph.js";
import { bytesOf, FLOAT_TYPE, GRAPH, MODEL_GRAPH, type OnnxReader, type OnnxTensor } from "./onnx-file.js";

/** A tensor that is written into a part. */
export interface NewTensor {
  readonly name: string;
  /** Number of the element type. */
  readonly type: number;
  readonly dims: readonly number[];
  /** Little-endian elements. */
  readonly data: Uint8Array;
}

/** A node that is written into a part. */
export interface NewNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number>>;
}

/** Inputs and outputs of a part, and what stands at its ends. */
export interface PartEnds {
  readonly inputs: readonly NewValue[];
  readonly outputs: readonly NewValue[];
  /** Before everything else, and behind it. */
  readonly first?: readonly NewNode[];
  readonly last?: readonly NewNode[];
  /** Constants that the new nodes read, or that stand in the place of nodes. */
  readonly constants?: readonly NewTensor[];
}

export interface NewValue {
  readonly name: string;
  /** Number of the element type; without it the runtime finds it out. */
  readonly type?: number | undefined;
  readonly dims?: readonly (number | string | null)[] | undefined;
}

/** More does not fit into one protobuf message. */
const MOST_BYTES = 2 ** 31 - 2 ** 20;
const TENSOR = { dims: 1, type: 2, name: 8, raw: 9, external: 13, location: 14 };
const INTEGER_TYPE = 2;

const encoder = new TextEncoder();

export class PartWriter {
  readonly #graph: Graph;
  readonly #reader: OnnxReader;
  /** The model's file; its external data lies beside it. */
  readonly #path: string;

  constructor(graph: Graph, reader: OnnxReader, path: string) {
    this.#graph = graph;
    this.#reader = reader;
    this.#path = path;
  }

  /** Nodes that are needed to make `wanted` of `known`, and the shapes that are needed and not made there. */
  nodesBetween(known: readonly string[], wanted: readonly string[]): { nodes: number[]; fixed: string[] } {
    const { model, kinds, makers } = this.#graph;
    const available = known.length === 0 ? undefined : this.#graph.knownBehind(known);
    const nodes = new Set<number>();
    const fixed = new Set<string>();
    const seen = new Set(known);
    const pending = [...wanted];
    for (let tensor = pending.pop(); tensor !== undefined; tensor = pending.pop()) {
      if (seen.has(tensor)) continue;
      seen.add(tensor);
      const maker = makers.get(tensor);
      if (available && !available.has(tensor) && kinds.get(tensor) === "shape") fixed.add(tensor);
      else if (maker !== undefined && !nodes.has(maker)) {
        nodes.add(maker);
        for (const read of readsOf(model.nodes[maker]!)) pending.push(read);
      }
    }
    return { nodes: [...nodes].sort((a, b) => a - b), fixed: [...fixed] };
  }

  /** The model with other outputs: from all of its inputs to them, or from tensors between. */
  part(known: readonly string[], wanted: readonly string[], ends: PartEnds): Uint8Array {
    const { model } = this.#graph;
    const { nodes } = this.nodesBetween(known, wanted);
    const fresh = new Set(ends.constants?.map(({ name }) => name));
    const read = new Set(nodes.flatMap((i) => readsOf(model.nodes[i]!)).concat(wanted));
    const inside = new Set([...read, ...nodes.flatMap((i) => model.nodes[i]!.outputs)]);
    const ended = new Set([...ends.inputs, ...ends.outputs].map(({ name }) => name));
    const field = (id: number, record: Uint8Array) => this.#reader.field(id, [record]);
    const weights = [...model.initializers.values()].filter(({ name }) => read.has(name) && !fresh.has(name));
    // Before they are read: several tensors may name the same bytes of a file.
    this.#checkSize(weights.reduce((sum, tensor) => sum + sizeOf(tensor), 0));
    const stored = weights.map((tensor) => field(GRAPH.initializer, this.#inlined(tensor)));
    const body = [
      ...(ends.first ?? []).map((node) => field(GRAPH.node, this.#node(node))),
      ...nodes.map((i) => field(GRAPH.node, model.nodes[i]!.record)),
      ...(ends.last ?? []).map((node) => field(GRAPH.node, this.#node(node))),
      ...model.graphRest.map(({ id, body }) => field(id, body)),
      ...stored,
      ...[...model.sparse].filter(([name]) => read.has(name)).map(([, record]) => field(GRAPH.sparse, record)),
      ...(ends.constants ?? []).map((tensor) => field(GRAPH.initializer, this.#tensor(tensor))),
      ...ends.inputs.map((value) => field(GRAPH.input, this.#value(value))),
      ...ends.outputs.map((value) => field(GRAPH.output, this.#value(value))),
      ...[...model.values.values()]
        .filter(({ name }) => inside.has(name) && !ended.has(name))
        .map(({ record }) => field(GRAPH.value, record)),
    ];
    this.#checkSize(body.reduce((sum, { length }) => sum + length, model.before.length + model.behind.length));
    return Buffer.concat([model.before, this.#reader.field(MODEL_GRAPH, body), model.behind]);
  }

  #checkSize(bytes: number): void {
    if (bytes > MOST_BYTES)
      throw new CodecError("LIMIT_EXCEEDED", `${this.#path}: a part of it would have ${bytes} bytes, more than 2 GiB`);
  }

  /** The record of a stored tensor, its elements within. */
  #inlined(tensor: OnnxTensor): Uint8Array {
    return tensor.external ? this.#tensor({ ...tensor, data: this.#external(tensor) }) : tensor.record;
  }

  /** The bytes of a tensor that lie in another file: one in the model's folder, or in a folder of it. */
  #external({ name, type, dims, external }: OnnxTensor): Uint8Array {
    const { location, offset } = external!;
    const refuse = (message: string): never => this.#reader.refuse(`the data of ${name} ${message}`);
    const folder = realpathSync(dirname(this.#path));
    const wanted = join(folder, location);
    if (location === "" || isAbsolute(location) || isOutside(folder, wanted))
      refuse(`lie in ${JSON.stringify(location)}, outside of the model's folder`);
    const found = statSync(wanted, { throwIfNoEntry: false });
    if (!found?.isFile()) return refuse(`lie in ${location}, which is not there: it belongs beside the model`);
    const real = realpathSync(wanted);
    if (isOutside(folder, real)) refuse(`lie in ${location}, a link that leads out of the model's folder`);
    const needed = bytesOf(type, dims);
    if (needed === undefined) return refuse(`are of the type ${type}, which cannot lie in another file`);
    const end = offset + needed;
    if (end > found.size) refuse(`end at byte ${end} of ${location}, which has ${found.size}`);
    const data = new Uint8Array(needed);
    const file = openSync(real, "r");
    try {
      for (let done = 0; done < needed; ) {
        const count = readSync(file, data, done, needed - done, offset + done);
        if (count === 0) refuse(`were cut off while ${location} was read`);
        done += count;
      }
    } finally {
      closeSync(file);
    }
    return data;
  }

  #tensor({ name, type, dims, data }: NewTensor): Uint8Array {
    const reader = this.#reader;
    return Buffer.concat([
      ...dims.map((size) => reader.integer(TENSOR.dims, size)),
      reader.integer(TENSOR.type, type),
      reader.field(TENSOR.name, [encoder.encode(name)]),
      reader.field(TENSOR.raw, [data]),
    ]);
  }

  #node({ op, inputs, output, attributes = {} }: NewNode): Uint8Array {
    const reader = this.#reader;
    const text = (id: number, value: string) => reader.field(id, [encoder.encode(value)]);
    const attribute = ([name, value]: [string, number]) =>
      reader.field(5, [text(1, name), reader.integer(3, value), reader.integer(20, INTEGER_TYPE)]);
    return Buffer.concat([
      ...inputs.map((name) => text(1, name)),
      text(2, output),
      text(3, `latentwire ${op} ${output}`),
      text(4, op),
      ...Object.entries(attributes).map(attribute),
    ]);
  }

  #value({ name, type, dims }: NewValue): Uint8Array {
    const reader = this.#reader;
    const title = reader.field(1, [encoder.encode(name)]);
    if (type === undefined) return title;
    const size = (d: number | string | null) =>
      typeof d === "number"
        ? reader.integer(1, d)
        : d === null
          ? Buffer.alloc(0)
          : reader.field(2, [encoder.encode(d)]);
    const sizes = dims?.map((d) => reader.field(1, [size(d)]));
    const shape = sizes === undefined ? [] : [reader.field(2, sizes)];
    return Buffer.concat([title, reader.field(2, [reader.field(1, [reader.integer(1, type), ...shape])])]);
  }

  /** The head and the tail as they are: the tensors of the cut go from one to the other unchanged. */
  plain(cut: Cut, types: ReadonlyMap<string, number>, fixed: readonly NewTensor[] = []) {
    const { model } = this.#graph;
    const ends = cut.tensors.map((name) => ({ name, type: types.get(name) }));
    return {
      head: this.head(cut.tensors, { outputs: ends }),
      tail: this.part(cut.tensors, this.#graph.outputNames, {
        inputs: ends.map((end) => ({ ...end, type: end.type ?? FLOAT_TYPE })),
        outputs: model.outputs,
        constants: fixed,
      }),
    };
  }

  /** From the model's inputs, as far as they are needed, to `wanted`. */
  head(wanted: readonly string[], ends: Omit<PartEnds, "inputs">): Uint8Array {
    const { model } = this.#graph;
    const { nodes } = this.nodesBetween([], wanted);
    const read = new Set(nodes.flatMap((i) => readsOf(model.nodes[i]!)).concat(wanted));
    return this.part([], wanted, { ...ends, inputs: model.inputs.filter(({ name }) => read.has(name)) });
  }
}

/** Bytes that a tensor adds to a part, about. */
const sizeOf = ({ type, dims, external, record }: OnnxTensor): number =>
  external ? (bytesOf(type, dims) ?? 0) : record.length;

function isOutside(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path === "" || path.startsWith("..") || isAbsolute(path);
}

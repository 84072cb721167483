/** Runs a model with the user's onnxruntime-node: as it is, with tensors between as outputs, or a part of it. */
import { CodecError } from "latentwire";
import { float16Array, narrow, widen } from "../../bindings/float16.js";
import { type RunTensor, type Runtime, refusedAs, type Session } from "../packages.js";
import { Graph } from "./graph.js";
import { ELEMENT_TYPES, OnnxReader, type OnnxValue, type Protobuf } from "./onnx-file.js";
import { type NewTensor, PartWriter } from "./parts.js";
import type { Shapes } from "./work.js";

/** Inputs of one run, by name. */
export type Feeds = Readonly<Record<string, RunTensor>>;

/** A model that was read: its graph, and what writes its parts. */
export interface Opened {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly reader: OnnxReader;
  readonly graph: Graph;
  readonly writer: PartWriter;
}

/** Reads a model. Throws CodecError `INVALID_FILE`, `UNSUPPORTED_FILE`, `LIMIT_EXCEEDED`. */
export function openModel(protobuf: Protobuf, path: string, bytes: Uint8Array): Opened {
  const reader = new OnnxReader(protobuf, path);
  const graph = new Graph(reader.model(bytes), path);
  return { path, bytes, reader, graph, writer: new PartWriter(graph, reader, path) };
}

/** Element types that can be made of numbers: what an input may have, and what may cross a cut. */
const ARRAYS = {
  float32: Float32Array,
  double: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  bool: Uint8Array,
} as const;

/** A tensor of the runtime from plain numbers. Throws CodecError `MODEL` for types that cannot be made of them. */
export function tensorOf(
  runtime: Runtime,
  type: string,
  data: ArrayLike<number>,
  dims: readonly number[],
  name: string,
): RunTensor {
  if (type === "int64" || type === "uint64") {
    const BigArray = type === "int64" ? BigInt64Array : BigUint64Array;
    return new runtime.Tensor(type, BigArray.from(Array.from(data, BigInt)), dims);
  }
  if (type === "float16") {
    const half = float16Array(narrow(data instanceof Float32Array ? data : Float32Array.from(data)));
    return new runtime.Tensor(type, half as unknown as RunTensor["data"], dims);
  }
  const Numbers = ARRAYS[type as keyof typeof ARRAYS];
  if (Numbers === undefined)
    throw new CodecError("MODEL", `the input ${name} is ${type}: inputs of numbers are fed, but none of this type`);
  const isReady = data instanceof Numbers;
  return new runtime.Tensor(type === "double" ? "float64" : type, isReady ? data : Numbers.from(data), dims);
}

/** The elements of a tensor as float32; of float16 what their bits mean. */
export function floatsOf({ type, data }: RunTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (type === "float16" && data instanceof Uint16Array) return widen(data);
  return Float32Array.from(data as ArrayLike<number>, Number);
}

/** The name of an input's element type. Throws CodecError `MODEL`. */
export const typeOf = ({ type }: OnnxValue): string => ELEMENT_TYPES[type ?? 0] ?? "unknown";

/**
 * The shape of an input. A first dimension that is free is 1, a batch of one.
 *
 * @throws CodecError `MODEL` where another dimension is free
 */
export function dimsOf({ name, dims }: OnnxValue, given: ReadonlyMap<string, readonly number[]>): number[] {
  const wished = given.get(name);
  if (wished !== undefined) return [...wished];
  return (dims ?? [null]).map((size, d) => {
    if (typeof size === "number") return size;
    if (d === 0 && dims !== undefined) return 1;
    const shape = dims?.map((one) => one ?? "?").join(", ") ?? "?";
    throw new CodecError("MODEL", `the input ${name} has free dimensions, [${shape}]: say --dims ${name}=1,..`);
  });
}

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
/** Most elements of an input that is made up. */
const MOST_ELEMENTS = 2 ** 28;

/** Inputs of zeros. */
export function zeros(
  runtime: Runtime,
  inputs: readonly OnnxValue[],
  given: ReadonlyMap<string, readonly number[]>,
): Feeds {
  return Object.fromEntries(
    inputs.map((input) => {
      const dims = dimsOf(input, given);
      if (product(dims) > MOST_ELEMENTS)
        throw new CodecError("LIMIT_EXCEEDED", `the input ${input.name} has the shape [${dims}]`);
      return [input.name, tensorOf(runtime, typeOf(input), new Uint8Array(product(dims)), dims, input.name)];
    }),
  );
}

/** A session of some bytes, without the runtime's warnings. */
export const openSession = (runtime: Runtime, model: Uint8Array, what: string, threads = 0): Promise<Session> =>
  refusedAs(
    "MODEL",
    what,
    runtime.InferenceSession.create(model, {
      logSeverityLevel: 4,
      ...(threads > 0 && { intraOpNumThreads: threads, interOpNumThreads: 1 }),
    }),
  );

/** The model with `tensors` as its outputs. */
export function exposed({ graph, writer }: Opened, tensors: readonly string[]): Uint8Array {
  const { inputs } = graph.model;
  return writer.part([], tensors, { inputs, outputs: tensors.map((name) => ({ name })) });
}

/** Operators that make lists and optional values: these have no shape. */
const NO_TENSORS = /^(Sequence(?!At|Length)|SplitToSequence|Optional(?!GetElement|HasElement))/;

/** Shapes of all tensors that the outputs need, for these inputs: a node `Shape` is put behind each of them. */
export async function measureShapes(runtime: Runtime, opened: Opened, feeds: Feeds): Promise<Shapes> {
  const { graph, writer, path } = opened;
  const { nodes, inputs } = graph.model;
  const wanted = nodes.flatMap(({ op, outputs }, i) =>
    graph.needed[i] && !NO_TENSORS.test(op) ? outputs.filter((name) => name !== "") : [],
  );
  const shapeName = (i: number) => `latentwire shape ${i}`;
  const model = writer.part([], wanted, {
    inputs,
    outputs: wanted.map((_, i) => ({ name: shapeName(i) })),
    last: wanted.map((tensor, i) => ({ op: "Shape", inputs: [tensor], output: shapeName(i) })),
  });
  const session = await openSession(runtime, model, path);
  const found = await refusedAs("MODEL", path, session.run(feeds));
  await session.release?.();
  const shapes = new Map<string, readonly number[]>(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
  wanted.forEach((tensor, i) => {
    shapes.set(tensor, Array.from(found[shapeName(i)]!.data as BigInt64Array, Number));
  });
  return shapes;
}

/** Most bytes of shapes and what follows from them that are written into a part. */
const MOST_FIXED = 2 ** 26;

/** Tensors that follow from shapes alone, as constants: they are what they are for inputs of this shape. */
export async function fixedTensors(
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  names: readonly string[],
): Promise<NewTensor[]> {
  if (names.length === 0) return [];
  const session = await openSession(runtime, exposed(opened, names), opened.path);
  const found = await refusedAs("MODEL", opened.path, session.run(feeds));
  await session.release?.();
  return names.map((name) => {
    const { type, dims, data } = found[name]!;
    const view = data as unknown as ArrayBufferView;
    if (!ArrayBuffer.isView(view) || view.byteLength > MOST_FIXED)
      throw new CodecError("UNSUPPORTED_FILE", `${opened.path}: ${name} follows from shapes and is ${type} [${dims}]`);
    return { name, type: typeNumber(type), dims, data: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) };
  });
}

/** The number of an element type that the runtime names. */
export function typeNumber(type: string): number {
  const name = type === "float64" ? "double" : type;
  return Number(Object.keys(ELEMENT_TYPES).find((key) => ELEMENT_TYPES[Number(key)] === name) ?? 0);
}

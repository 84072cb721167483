/** Runs a model with the user's onnxruntime-node: as it is, with tensors between as outputs, or a part of it. */
import { CodecError } from "latentwire";
import { float16Array, narrow, widen } from "../../bindings/float16.js";
import { elementsOf } from "../layout.js";
import { type RunTensor, type Runtime, refusedAs, type Session } from "../packages.js";
import { type Cut, Graph, readsOf } from "./graph.js";
import { bytesOf, ELEMENT_TYPES, OnnxReader, type OnnxValue, type Protobuf } from "./onnx-file.js";
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
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** The array of an element type. Throws CodecError `MODEL` for types that cannot be made of numbers. */
function arrayOf(type: string, name: string) {
  const Numbers = ARRAYS[type as keyof typeof ARRAYS];
  if (Numbers === undefined)
    throw new CodecError("MODEL", `the input ${name} is ${type}: inputs of numbers are fed, but none of this type`);
  return Numbers;
}

/** Whole numbers in an array of their type: none is cut to what the type holds. */
function wholeNumbers(type: string, data: ArrayLike<number>, name: string): RunTensor["data"] {
  const array = new (arrayOf(type, name))(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (Number.isInteger(value))
      array[i] = array instanceof BigInt64Array || array instanceof BigUint64Array ? BigInt(value) : value;
    if (Number(array[i]) !== value)
      throw new CodecError("MODEL", `the input ${name} is ${type}, which cannot hold the ${value} of a sample`);
  }
  return array;
}

/**
 * A tensor of the runtime from plain numbers.
 *
 * @throws CodecError `MODEL` for types that cannot be made of them, and for numbers that the type does not have
 */
export function tensorOf(
  runtime: Runtime,
  type: string,
  data: ArrayLike<number>,
  dims: readonly number[],
  name: string,
): RunTensor {
  if (type === "float16") {
    const half = float16Array(narrow(data instanceof Float32Array ? data : Float32Array.from(data)));
    return new runtime.Tensor(type, half as unknown as RunTensor["data"], dims);
  }
  if (data instanceof arrayOf(type, name)) return new runtime.Tensor(nameOf(type), data, dims);
  if (type === "float32") return new runtime.Tensor(type, Float32Array.from(data), dims);
  if (type === "double") return new runtime.Tensor("float64", Float64Array.from(data), dims);
  return new runtime.Tensor(type, wholeNumbers(type, data, name), dims);
}

/** What the runtime calls an element type. */
const nameOf = (type: string): string => (type === "double" ? "float64" : type);

/** The elements of a tensor as float32; of float16 what their bits mean. */
export function floatsOf({ type, data }: RunTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (type === "float16" && data instanceof Uint16Array) return widen(data);
  return Float32Array.from(data as ArrayLike<number>, Number);
}

/** The name of an input's element type. Throws CodecError `MODEL`. */
export const typeOf = ({ type }: Pick<OnnxValue, "type">): string => ELEMENT_TYPES[type ?? 0] ?? "unknown";

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
    const said = dims?.map((one, at) => (typeof one === "number" ? one : at === 0 ? 1 : "N")).join() ?? "1,..";
    throw new CodecError("MODEL", `the input ${name} has free dimensions, [${shape}]: say --dims ${name}=${said}`);
  });
}

/** What is said of an input. */
type Typed = Pick<OnnxValue, "name" | "type">;

/** Most bytes of all inputs of one run together. A picture of 4,096 x 4,096 has 192 MiB in float32. */
const MOST_INPUT_BYTES = 2 ** 28;

/**
 * Refuses inputs that would take too much memory, before any of them is made.
 *
 * @param remedy - what to say on the command line
 * @throws CodecError `LIMIT_EXCEEDED`
 */
export function checkInputs(inputs: readonly (readonly [Typed, readonly number[]])[], remedy: string): void {
  let bytes = 0;
  for (const [input, dims] of inputs) {
    bytes += bytesOf(input.type, dims) ?? 0;
    // Not ">": a product may be NaN.
    if (!(bytes <= MOST_INPUT_BYTES))
      throw new CodecError(
        "LIMIT_EXCEEDED",
        `with the input ${input.name}, ${typeOf(input)} [${dims}], the inputs take ${bytes} bytes; ` +
          `${MOST_INPUT_BYTES} are the most: ${remedy}`,
      );
  }
}

/** Inputs of zeros. Throws CodecError `MODEL`, `LIMIT_EXCEEDED`. */
export function zeros(
  runtime: Runtime,
  inputs: readonly OnnxValue[],
  given: ReadonlyMap<string, readonly number[]>,
): Feeds {
  const shaped = inputs.map((input) => [input, dimsOf(input, given)] as const);
  checkInputs(shaped, "say a smaller shape with --dims NAME=1,3,224,224");
  return Object.fromEntries(
    shaped.map(([input, dims]) => {
      const type = typeOf(input);
      const count = elementsOf(dims);
      const data = type === "float16" ? float16Array(new Uint16Array(count)) : new (arrayOf(type, input.name))(count);
      return [input.name, new runtime.Tensor(nameOf(type), data as unknown as RunTensor["data"], dims)];
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
  return writer.part([], tensors, { inputs: graph.inputs, outputs: tensors.map((name) => ({ name })) });
}

/** Operators that make lists and optional values: these have no shape. */
const NO_TENSORS = /^(Sequence(?!At|Length)|SplitToSequence|Optional(?!GetElement|HasElement))/;

/** Tensors whose shapes are wanted: what is made by nodes that some output needs and that follow from the inputs, and what these read. */
function tensorsOf(graph: Graph): string[] {
  const { nodes } = graph.model;
  const found = new Set<string>();
  const add = (tensor: string) => {
    const maker = nodes[graph.makers.get(tensor) ?? -1];
    if (maker !== undefined && !NO_TENSORS.test(maker.op)) found.add(tensor);
  };
  nodes.forEach((node, i) => {
    if (!graph.needed[i] || !node.outputs.some((tensor) => graph.isLive(tensor))) return;
    for (const tensor of readsOf(node)) add(tensor);
    for (const tensor of node.outputs) add(tensor);
  });
  return [...found];
}

/**
 * Shapes of all tensors that matter, as the file states them. So a list of cuts can be had without running the model.
 * Undefined where the file leaves one out, or states them for other shapes of the inputs than these.
 *
 * @throws CodecError `MODEL` where a dimension of an input is free
 */
export function statedShapes({ graph }: Opened, given: ReadonlyMap<string, readonly number[]>): Shapes | undefined {
  const shapes = new Map<string, readonly number[]>();
  /** Of dimensions that have a name. */
  const sizes = new Map<string, number>();
  for (const input of graph.inputs) {
    const dims = dimsOf(input, given);
    shapes.set(input.name, dims);
    if (input.dims?.length !== dims.length) return undefined;
    for (const [d, stated] of input.dims.entries()) {
      if (typeof stated === "string" && !sizes.has(stated)) sizes.set(stated, dims[d]!);
      const size = typeof stated === "string" ? sizes.get(stated) : (stated ?? dims[d]);
      if (size !== dims[d]) return undefined;
    }
  }
  const values = new Map([
    ...graph.model.values,
    ...graph.model.outputs.map((output) => [output.name, output] as const),
  ]);
  for (const tensor of tensorsOf(graph)) {
    const dims = values.get(tensor)?.dims?.map((stated) => (typeof stated === "string" ? sizes.get(stated) : stated));
    if (!dims?.every((size) => typeof size === "number") || !Number.isSafeInteger(elementsOf(dims))) return undefined;
    shapes.set(tensor, dims);
  }
  return shapes;
}

/** Shapes of all tensors that matter, for these inputs: a node `Shape` is put behind each of them. */
export async function measureShapes(runtime: Runtime, opened: Opened, feeds: Feeds): Promise<Shapes> {
  const { graph, writer, path } = opened;
  const { inputs } = graph;
  const wanted = tensorsOf(graph);
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

/** What the part behind a cut needs and what follows from shapes alone, as constants: they are what they are for inputs of this shape. */
export async function fixedTensors(
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  { tensors }: Cut,
): Promise<NewTensor[]> {
  const { graph, writer, path } = opened;
  const names = writer.nodesBetween(tensors, graph.outputNames).fixed;
  if (names.length === 0) return [];
  const session = await openSession(runtime, exposed(opened, names), path);
  const found = await refusedAs("MODEL", path, session.run(feeds));
  await session.release?.();
  return names.map((name) => {
    const { type, dims, data } = found[name]!;
    const view = data as unknown as ArrayBufferView;
    if (!ArrayBuffer.isView(view) || view.byteLength > MOST_FIXED)
      throw new CodecError("UNSUPPORTED_FILE", `${path}: ${name} follows from shapes and is ${type} [${dims}]`);
    return { name, type: typeNumber(type), dims, data: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) };
  });
}

/** The number of an element type that the runtime names. */
export function typeNumber(type: string): number {
  const name = type === "float64" ? "double" : type;
  return Number(Object.keys(ELEMENT_TYPES).find((key) => ELEMENT_TYPES[Number(key)] === name) ?? 0);
}

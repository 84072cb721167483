// Writes small ONNX files: just enough of protobuf and of onnx.proto for the tests' networks.

export type ElementType = keyof typeof elementTypes;
const elementTypes = { float32: 1, uint8: 2, int8: 3, int16: 5, int32: 6, int64: 7, bool: 9, float16: 10 } as const;

export interface Node {
  op: string;
  inputs: string[];
  output: string;
  /** Integer attributes, single or lists. */
  attributes?: Record<string, number | number[]>;
  /** Subgraphs. */
  graphs?: Record<string, Pick<Model, "nodes" | "outputs"> & Partial<Model>>;
}

/** A free dimension is a name. */
type ValueInfo = { type: ElementType; dims: (number | string)[] };

export interface Model {
  nodes: Node[];
  inputs: Record<string, ValueInfo>;
  outputs: Record<string, ValueInfo>;
  /** What the file says of tensors between. */
  values?: Record<string, ValueInfo>;
  weights?: Record<string, Weights>;
  opset?: number;
}

interface Weights {
  dims: number[];
  data: number[];
  /** Default float32. */
  type?: "float32" | "uint8" | "int64";
  /** The file that has the elements, in the place of `data`. */
  external?: Record<string, string>;
  /** Writes the elements as a list of floats, not as bytes. */
  isList?: boolean;
}

/** `cast` attribute value that makes ONNX Cast produce a type. */
export const castTo = (type: ElementType) => ({ to: elementTypes[type] });

export function onnxModel({ opset = 17, ...model }: Model): Uint8Array {
  return Uint8Array.from([...int(1, 8), ...field(7, graphProto(model)), ...field(8, int(2, opset))]);
}

function graphProto({ nodes, inputs, outputs, values = {}, weights = {} }: Model): number[] {
  return [
    ...nodes.map((node) => field(1, nodeProto(node))),
    field(2, text("graph")),
    ...Object.entries(weights).map(([name, tensor]) => field(5, tensorProto(name, tensor))),
    ...Object.entries(inputs).map(([name, value]) => field(11, valueInfo(name, value))),
    ...Object.entries(outputs).map(([name, value]) => field(12, valueInfo(name, value))),
    ...Object.entries(values).map(([name, value]) => field(13, valueInfo(name, value))),
  ].flat();
}

function tensorProto(name: string, { dims, data, type = "float32", external, isList }: Weights): number[] {
  const head = [...dims.flatMap((d) => int(1, d)), ...int(2, elementTypes[type]), ...field(8, text(name))];
  if (external === undefined) return [...head, ...field(isList ? 4 : 9, raw(data, type))];
  const places = Object.entries(external).flatMap(([key, value]) =>
    field(13, [...field(1, text(key)), ...field(2, text(value))]),
  );
  return [...head, ...places, ...int(14, 1)];
}

function nodeProto({ op, inputs, output, attributes = {}, graphs = {} }: Node): number[] {
  return [
    ...inputs.flatMap((name) => field(1, text(name))),
    ...field(2, text(output)),
    ...field(4, text(op)),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      field(5, [
        ...field(1, text(name)),
        ...(Array.isArray(value) ? value.flatMap((v) => int(8, v)) : int(3, value)),
        ...int(20, Array.isArray(value) ? 7 : 2),
      ]),
    ),
    ...Object.entries(graphs).flatMap(([name, graph]) =>
      field(5, [...field(1, text(name)), ...field(6, graphProto({ inputs: {}, ...graph })), ...int(20, 5)]),
    ),
  ];
}

function valueInfo(name: string, { type, dims }: ValueInfo): number[] {
  const shape = dims.flatMap((d) => field(1, typeof d === "number" ? int(1, d) : field(2, text(d))));
  return [...field(1, text(name)), ...field(2, field(1, [...int(1, elementTypes[type]), ...field(2, shape)]))];
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}

const int = (tag: number, value: number): number[] => [...varint(tag << 3), ...varint(value)];
const field = (tag: number, bytes: number[]): number[] => [
  ...varint((tag << 3) | 2),
  ...varint(bytes.length),
  ...bytes,
];
const text = (value: string): number[] => [...new TextEncoder().encode(value)];

function raw(data: number[], type: NonNullable<Weights["type"]>): number[] {
  if (type === "uint8") return data;
  const elements = type === "int64" ? BigInt64Array.from(data, BigInt) : Float32Array.from(data);
  return [...new Uint8Array(elements.buffer)];
}

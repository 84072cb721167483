// Writes small ONNX files: just enough of protobuf and of onnx.proto for the tests' networks.

export type ElementType = keyof typeof elementTypes;
const elementTypes = { float32: 1, int8: 3, int16: 5, int32: 6, int64: 7, float16: 10 } as const;

export interface Node {
  op: string;
  inputs: string[];
  output: string;
  /** Integer attributes, single or lists. */
  attributes?: Record<string, number | number[]>;
}

/** A free dimension is a name. */
type ValueInfo = { type: ElementType; dims: (number | string)[] };

export interface Model {
  nodes: Node[];
  inputs: Record<string, ValueInfo>;
  outputs: Record<string, ValueInfo>;
  weights?: Record<string, { dims: number[]; data: number[] }>;
}

/** `cast` attribute value that makes ONNX Cast produce a type. */
export const castTo = (type: ElementType) => ({ to: elementTypes[type] });

export function onnxModel({ nodes, inputs, outputs, weights = {} }: Model): Uint8Array {
  const graph = [
    ...nodes.map((node) => field(1, nodeProto(node))),
    field(2, text("graph")),
    ...Object.entries(weights).map(([name, { dims, data }]) =>
      field(5, [...dims.map((d) => int(1, d)), int(2, 1), field(8, text(name)), field(9, raw(data))].flat()),
    ),
    ...Object.entries(inputs).map(([name, value]) => field(11, valueInfo(name, value))),
    ...Object.entries(outputs).map(([name, value]) => field(12, valueInfo(name, value))),
  ];
  return Uint8Array.from([...int(1, 8), ...field(7, graph.flat()), ...field(8, int(2, 17))]);
}

function nodeProto({ op, inputs, output, attributes = {} }: Node): number[] {
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
const raw = (data: number[]): number[] => [...new Uint8Array(Float32Array.from(data).buffer)];

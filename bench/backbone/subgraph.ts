import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// ONNX files are protobuf messages. Cutting one needs the fields below (onnx.proto); all others are copied unread.
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2 };
const TENSOR_NAME = 8;
const VALUE_NAME = 1;

const LENGTH_DELIMITED = 2;
/** TypeProto of a float32 tensor of any shape: tensor_type { elem_type: FLOAT }. */
const FLOAT_TENSOR = [0x12, 0x04, 0x0a, 0x02, 0x08, 0x01];

interface Field {
  readonly id: number;
  /** Without tag and length; empty for a number. */
  readonly body: Buffer;
  /** The whole field. */
  readonly bytes: Buffer;
}

function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const value = varint();
    const wire = tag % 8;
    if (wire !== 0 && wire !== LENGTH_DELIMITED) throw new Error(`an ONNX field of wire type ${wire} is not expected`);
    const body = message.subarray(at, wire === 0 ? at : at + value);
    at += body.length;
    fields.push({ id: Math.floor(tag / 8), body, bytes: message.subarray(start, at) });
  }
  return fields;
}

function field(id: number, body: Uint8Array): Buffer {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
  return Buffer.concat([Uint8Array.from([...varint(id * 8 + LENGTH_DELIMITED), ...varint(body.length)]), body]);
}

const names = (message: Buffer, id: number) =>
  fieldsOf(message)
    .filter((one) => one.id === id)
    .map(({ body }) => body.toString());

/** The part of an ONNX model that makes the float32 tensor `to` of the float32 tensor `from`: a model of its own. */
export function subgraph(model: Uint8Array, from: string, to: string): Uint8Array {
  const outer = fieldsOf(Buffer.from(model));
  const graph = fieldsOf(outer.find(({ id }) => id === MODEL_GRAPH)?.body ?? Buffer.alloc(0));
  const needed = new Set([to]);
  // Nodes are stored in order of execution, so a walk from the end meets every reader of a tensor before its writer.
  const kept = graph.reverse().filter(({ id, body }) => {
    if (id === GRAPH.input || id === GRAPH.output) return false;
    if (id !== GRAPH.node) return true;
    if (!names(body, NODE.output).some((name) => needed.has(name) && name !== from)) return false;
    for (const name of names(body, NODE.input)) needed.add(name);
    return true;
  });
  if (!needed.has(from)) throw new Error(`${to} does not depend on a tensor ${from}`);
  const used = kept.filter(({ id, body }) => id !== GRAPH.initializer || needed.has(names(body, TENSOR_NAME)[0] ?? ""));
  const value = (id: number, name: string) =>
    field(id, Buffer.concat([field(VALUE_NAME, Buffer.from(name)), Uint8Array.from(FLOAT_TENSOR)]));
  const ends = [value(GRAPH.input, from), value(GRAPH.output, to)];
  const cut = Buffer.concat([...used.reverse().map(({ bytes }) => bytes), ...ends]);
  return Buffer.concat(outer.map(({ id, bytes }) => (id === MODEL_GRAPH ? field(MODEL_GRAPH, cut) : bytes)));
}

// As a command: node --import tsx bench/backbone/subgraph.ts backbone.onnx v71 logits > rest.onnx
const [program, file, from, to] = process.argv.slice(1);
if (program === fileURLToPath(import.meta.url)) process.stdout.write(subgraph(readFileSync(file!), from!, to!));

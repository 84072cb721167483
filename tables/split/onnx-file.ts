/**
 * Reads ONNX files. They are protobuf messages; protobufjs reads the records. What a cut needs is read out of them, and all
 * records are kept as they are, so that a model that is written again has lost nothing.
 */
import { CodecError } from "latentwire";
import { Budget } from "../budget.js";
import { elementsOf } from "../layout.js";
import { loadPackage } from "../packages.js";

/** The part of protobufjs that is used. */
export interface Protobuf {
  readonly Reader: { create(bytes: Uint8Array): WireReader };
  readonly Writer: { create(): WireWriter };
}
interface WireReader {
  pos: number;
  readonly len: number;
  uint32(): number;
  int64(): number | { toNumber(): number };
  float(): number;
  bytes(): Uint8Array;
  skipType(wire: number): WireReader;
}
interface WireWriter {
  uint32(value: number): WireWriter;
  uint64(value: number): WireWriter;
  finish(): Uint8Array;
}

/** A length-delimited record of a message. */
export interface OnnxRecord {
  readonly id: number;
  readonly body: Uint8Array;
}

/** A stored constant: weights, a shape, a table. */
export interface OnnxTensor {
  readonly name: string;
  /** Number of the element type; {@link ELEMENT_TYPES} has the names. */
  readonly type: number;
  readonly dims: readonly number[];
  /** Where its bytes lie, if that is another file. */
  readonly external: { readonly location: string; readonly offset: number } | undefined;
  readonly record: Uint8Array;
}

/** An input, an output or a tensor between. */
export interface OnnxValue {
  readonly name: string;
  /** Undefined for what is no tensor (sequences, maps). */
  readonly type: number | undefined;
  /** A name or null where a dimension is free; undefined where nothing is said. */
  readonly dims: readonly (number | string | null)[] | undefined;
  readonly record: Uint8Array;
}

export interface OnnxNode {
  readonly op: string;
  /** Empty for the operators of ONNX itself. */
  readonly domain: string;
  readonly name: string;
  /** Empty names are optional inputs and outputs that are left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names from outside that its subgraphs (If, Loop, Scan) read. */
  readonly captured: readonly string[];
  /** Its attributes, unread. */
  readonly attributes: readonly Uint8Array[];
  readonly record: Uint8Array;
}

export interface OnnxModel {
  readonly opset: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Records of sparse initializers, by name. */
  readonly sparse: ReadonlyMap<string, Uint8Array>;
  /** Without those that are initializers. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** What the file says of tensors between. */
  readonly values: ReadonlyMap<string, OnnxValue>;
  /** What else the graph has. */
  readonly graphRest: readonly OnnxRecord[];
  /** The fields before and behind the graph, as bytes. */
  readonly before: Uint8Array;
  readonly behind: Uint8Array;
}

/** Fields of onnx.proto. */
export const MODEL_GRAPH = 7;
const MODEL = { graph: MODEL_GRAPH, opset: 8, metadata: 14 };
export const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, value: 13, sparse: 15 };
const NODE = { input: 1, output: 2, name: 3, op: 4, attribute: 5, domain: 7 };
const TENSOR = { dims: 1, type: 2, name: 8, raw: 9, external: 13, location: 14 };
/** Lists of elements, which a tensor may have in the place of bytes. */
const TENSOR_LIST = { float: 4, int32: 5, text: 6, int64: 7, double: 10, uint64: 11 };
const ATTRIBUTE = { name: 1, float: 2, integer: 3, text: 4, tensor: 5, graph: 6, integers: 8, tensors: 10, graphs: 11 };

/** Names of element types, by their number. */
export const ELEMENT_TYPES: Readonly<Record<number, string>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  8: "string",
  9: "bool",
  10: "float16",
  11: "double",
  12: "uint32",
  13: "uint64",
  16: "bfloat16",
};

/** Bits of an element, by the number of its type. Text has none. */
const ELEMENT_BITS: Readonly<Record<number, number>> = {
  ...{ 1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64 },
  // Complex numbers, bfloat16, five types of 8 bits, three of 4 bits and two of 2 bits.
  ...{ 14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 24: 8, 21: 4, 22: 4, 23: 4, 25: 2, 26: 2 },
};
export const FLOAT_TYPE = 1;
const TEXT_TYPE = 8;
const COMPLEX_TYPES = [14, 15];

/** Bytes of a tensor's elements; undefined where the type is text, or is not known. */
export function bytesOf(type: number | undefined, dims: readonly number[]): number | undefined {
  const bits = ELEMENT_BITS[type ?? 0];
  return bits === undefined ? undefined : Math.ceil((elementsOf(dims) * bits) / 8);
}

/** The oldest set of operators that is read: before it, broadcasting had other rules. */
const OLDEST_OPSET = 7;
/** Most nodes, subgraphs within subgraphs, and dimensions. Far more than any network has. */
const MOST_NODES = 200_000;
const DEEPEST = 16;
const MOST_DIMS = 64;
/** What a field, a node, a tensor, an input or an output costs of the file's budget: work, bytes. */
const FIELD_COST = [16, 16] as const;
const NODE_COST = [64, 512] as const;
const TENSOR_COST = [64, 384] as const;
const VALUE_COST = [64, 256] as const;

const LENGTH = 2;
const text = new TextDecoder();

export const loadProtobuf = (): Promise<Protobuf> =>
  loadPackage<Protobuf>("protobufjs/minimal.js", "to read ONNX files");

/** Visits the fields of a message: of each its number, and its bytes or its integer. Other fields have neither. */
type Visit = (id: number, body: Uint8Array | undefined, value: number | undefined) => void;

/** A reader of one file's records. */
export class OnnxReader {
  readonly #protobuf: Protobuf;
  readonly #name: string;
  #budget: Budget;

  constructor(protobuf: Protobuf, name: string) {
    this.#protobuf = protobuf;
    this.#name = name;
    this.#budget = this.#budgetOf(0);
  }

  #budgetOf(size: number): Budget {
    return new Budget(size, (message) => {
      throw new CodecError("LIMIT_EXCEEDED", message);
    });
  }

  #charge([work, bytes]: readonly [number, number]): void {
    this.#budget.charge(this.#name, work, bytes);
  }

  /** Throws CodecError `INVALID_FILE`. */
  refuse(message: string): never {
    throw new CodecError("INVALID_FILE", `${this.#name}: ${message}`);
  }

  #unsupported(message: string): never {
    throw new CodecError("UNSUPPORTED_FILE", `${this.#name}: ${message}`);
  }

  #walk(message: Uint8Array, visit: Visit): void {
    const reader = this.#protobuf.Reader.create(message);
    while (reader.pos < reader.len) {
      let tag = 0;
      let body: Uint8Array | undefined;
      let value: number | undefined;
      try {
        tag = reader.uint32();
        const wire = tag & 7;
        if (wire === LENGTH) body = reader.bytes();
        else if (wire === 0) value = integerOf(reader.int64());
        else if (wire === 1 || wire === 5) reader.skipType(wire);
        else throw new Error();
      } catch {
        this.refuse("it is no ONNX file, or it is damaged or was cut off");
      }
      this.#charge(FIELD_COST);
      visit(tag >>> 3, body, value);
    }
  }

  /** Every integer of a list, which is packed or not. */
  #integers(body: Uint8Array | undefined, value: number | undefined, into: number[]): void {
    if (value !== undefined) into.push(value);
    if (body === undefined) return;
    const reader = this.#protobuf.Reader.create(body);
    try {
      while (reader.pos < reader.len && into.length <= MOST_DIMS) into.push(integerOf(reader.int64()));
    } catch {
      this.refuse("it is no ONNX file, or it is damaged or was cut off");
    }
  }

  /** Reads a whole model. Throws CodecError `INVALID_FILE`, `UNSUPPORTED_FILE`, `LIMIT_EXCEEDED`. */
  model(bytes: Uint8Array): OnnxModel {
    this.#budget = this.#budgetOf(bytes.length);
    let graph: Uint8Array | undefined;
    let opset = 0;
    const metadata = new Map<string, string>();
    this.#walk(bytes, (id, body) => {
      if (id === MODEL.graph) {
        if (graph !== undefined) this.refuse("it has two graphs");
        graph = body;
      }
      if (id === MODEL.opset && body) {
        let domain = "";
        let version = 0;
        this.#walk(body, (field, name, value) => {
          if (field === 1) domain = text.decode(name);
          if (field === 2) version = value ?? 0;
        });
        if (domain === "" || domain === "ai.onnx") opset = version;
      }
      if (id === MODEL.metadata && body) {
        const pair = ["", ""];
        this.#walk(body, (field, part) => {
          if (part && (field === 1 || field === 2)) pair[field - 1] = text.decode(part);
        });
        metadata.set(pair[0]!, pair[1]!);
      }
    });
    if (graph === undefined) this.refuse("it has no graph: it is no ONNX file, or it was cut off");
    if (opset < OLDEST_OPSET)
      this.#unsupported(
        `its operators are of opset ${opset}, read are ${OLDEST_OPSET} and later: onnx.version_converter converts it`,
      );
    const start = graph.byteOffset - bytes.byteOffset;
    const [before, behind] = [this.#without(bytes, 0, start), bytes.subarray(start + graph.length)];
    return { opset, metadata, ...this.#graph(graph), before, behind };
  }

  /** The fields before the graph: without the graph's own tag and length, which end at `start`. */
  #without(bytes: Uint8Array, from: number, start: number): Uint8Array {
    const reader = this.#protobuf.Reader.create(bytes);
    let end = from;
    while (reader.pos < start) {
      end = reader.pos;
      const tag = reader.uint32();
      if (tag >>> 3 === MODEL.graph) break;
      reader.skipType(tag & 7);
    }
    return bytes.subarray(from, end);
  }

  #graph(message: Uint8Array) {
    const nodes: OnnxNode[] = [];
    const initializers = new Map<string, OnnxTensor>();
    const sparse = new Map<string, Uint8Array>();
    const inputs: OnnxValue[] = [];
    const outputs: OnnxValue[] = [];
    const values = new Map<string, OnnxValue>();
    const graphRest: OnnxRecord[] = [];
    this.#walk(message, (id, body) => {
      if (body === undefined) return;
      if (id === GRAPH.node) nodes.push(this.#node(body));
      else if (id === GRAPH.initializer) {
        const tensor = this.tensor(body);
        initializers.set(tensor.name, tensor);
      } else if (id === GRAPH.input) inputs.push(this.#value(body));
      else if (id === GRAPH.output) outputs.push(this.#value(body));
      else if (id === GRAPH.value) {
        const value = this.#value(body);
        values.set(value.name, value);
      } else if (id === GRAPH.sparse) {
        let name = "";
        this.#walk(body, (field, part) => {
          if (part === undefined || field > 2) return;
          const { name: found } = this.#inside(part);
          if (field === 1) name = found;
        });
        sparse.set(name, body);
      } else graphRest.push({ id, body });
      if (nodes.length > MOST_NODES)
        throw new CodecError("LIMIT_EXCEEDED", `${this.#name}: it has more than ${MOST_NODES} nodes`);
    });
    return {
      nodes,
      initializers,
      sparse,
      inputs: inputs.filter(({ name }) => !initializers.has(name)),
      outputs,
      values,
      graphRest,
    };
  }

  #node(record: Uint8Array): OnnxNode {
    this.#charge(NODE_COST);
    const found = { name: "", op: "", domain: "" };
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes: Uint8Array[] = [];
    this.#walk(record, (id, body) => {
      if (body === undefined) return;
      if (id === NODE.input) inputs.push(text.decode(body));
      else if (id === NODE.output) outputs.push(text.decode(body));
      else if (id === NODE.name) found.name = text.decode(body);
      else if (id === NODE.op) found.op = text.decode(body);
      else if (id === NODE.domain) found.domain = text.decode(body).replace(/^ai\.onnx$/, "");
      else if (id === NODE.attribute) attributes.push(body);
    });
    const captured = new Set<string>();
    for (const attribute of attributes) this.#capture(attribute, captured, 0);
    return { ...found, inputs, outputs, captured: [...captured], attributes, record };
  }

  /** Adds the names that an attribute's subgraphs read from outside. */
  #capture(attribute: Uint8Array, into: Set<string>, depth: number): void {
    this.#walk(attribute, (id, body) => {
      if (body === undefined) return;
      if (id === ATTRIBUTE.tensor || id === ATTRIBUTE.tensors) this.#inside(body);
      if (id !== ATTRIBUTE.graph && id !== ATTRIBUTE.graphs) return;
      if (depth === DEEPEST) this.#unsupported(`its subgraphs are nested more than ${DEEPEST} levels deep`);
      const own = new Set<string>();
      const read = new Set<string>();
      this.#walk(body, (field, part) => {
        if (part === undefined) return;
        if (field === GRAPH.input) own.add(this.#value(part).name);
        else if (field === GRAPH.output) read.add(this.#value(part).name);
        else if (field === GRAPH.initializer) own.add(this.#inside(part).name);
        else if (field === GRAPH.node)
          this.#walk(part, (kind, name) => {
            if (name === undefined) return;
            if (kind === NODE.input) read.add(text.decode(name));
            else if (kind === NODE.output) own.add(text.decode(name));
            else if (kind === NODE.attribute) this.#capture(name, read, depth + 1);
          });
      });
      for (const name of read) if (name !== "" && !own.has(name)) into.add(name);
    });
  }

  /** A tensor whose record is copied as it is: its elements must be in it. */
  #inside(record: Uint8Array): OnnxTensor {
    const tensor = this.tensor(record);
    if (tensor.external)
      this.#unsupported(
        `the tensor ${tensor.name} of a node, of a subgraph or of a sparse tensor lies in another file; ` +
          "onnx.save(onnx.load(FILE), COPY) writes one file",
      );
    return tensor;
  }

  /** A stored tensor, without its elements. That they are as many as its shape says is checked. */
  tensor(record: Uint8Array): OnnxTensor {
    this.#charge(TENSOR_COST);
    const dims: number[] = [];
    let [name, type, isExternal] = ["", 0, false];
    let raw: number | undefined;
    let listed = 0;
    const places = new Map<string, string>();
    this.#walk(record, (id, body, value) => {
      if (id === TENSOR.dims) this.#integers(body, value, dims);
      else if (id === TENSOR.type) type = value ?? 0;
      else if (id === TENSOR.raw && body) raw = body.length;
      else if (LISTS.includes(id)) listed += listedIn(id, body);
      else if (id === TENSOR.name && body) name = text.decode(body);
      else if (id === TENSOR.location) isExternal = value === 1;
      else if (id === TENSOR.external && body) {
        const pair = ["", ""];
        this.#walk(body, (field, part) => {
          if (part && (field === 1 || field === 2)) pair[field - 1] = text.decode(part);
        });
        places.set(pair[0]!, pair[1]!);
      }
    });
    if (dims.length > MOST_DIMS || !dims.every(isSize) || !isSize(elementsOf(dims)))
      this.refuse(`the tensor ${name} has the dimensions ${dims.slice(0, 8)}`);
    if (!isExternal) {
      this.#checkElements(name, type, dims, raw, raw === undefined ? listed : undefined);
      return { name, type, dims, external: undefined, record };
    }
    const number = (key: string): number | undefined => {
      const given = places.get(key);
      if (given === undefined) return undefined;
      if (!/^\d{1,15}$/.test(given)) this.refuse(`the tensor ${name} lies in another file at ${key} ${given}`);
      return Number(given);
    };
    const external = { location: places.get("location") ?? "", offset: number("offset") ?? 0 };
    this.#checkElements(name, type, dims, number("length"), undefined);
    return { name, type, dims, external, record };
  }

  /** Refuses a tensor that has more or fewer elements than its shape says: by their bytes, or by the numbers of a list. */
  #checkElements(
    name: string,
    type: number,
    dims: readonly number[],
    bytes: number | undefined,
    listed: number | undefined,
  ): void {
    const wrong = (found: string, wanted: number): never =>
      this.refuse(`the tensor ${name} has ${found} of data, its shape [${dims}] needs ${wanted}`);
    const needed = bytesOf(type, dims);
    if (bytes !== undefined && needed !== undefined && bytes !== needed) wrong(`${bytes} bytes`, needed);
    if (listed === undefined || (needed === undefined && type !== TEXT_TYPE)) return;
    // A complex element is two numbers; up to four elements of fewer than 8 bits share one.
    const perElement = COMPLEX_TYPES.includes(type) ? 2 : Math.min(1, (ELEMENT_BITS[type] ?? 8) / 8);
    const numbers = Math.ceil(elementsOf(dims) * perElement);
    if (listed !== numbers) wrong(`${listed} numbers or texts`, numbers);
  }

  #value(record: Uint8Array): OnnxValue {
    this.#charge(VALUE_COST);
    let name = "";
    let type: number | undefined;
    let dims: (number | string | null)[] | undefined;
    this.#walk(record, (id, body) => {
      if (id === 1 && body) name = text.decode(body);
      if (id !== 2 || body === undefined) return;
      this.#walk(body, (kind, tensor) => {
        if (kind !== 1 || tensor === undefined) return;
        this.#walk(tensor, (field, part, value) => {
          if (field === 1) type = value;
          if (field === 2 && part) dims = this.#shape(part);
        });
      });
    });
    return { name, type, dims, record };
  }

  #shape(message: Uint8Array): (number | string | null)[] {
    const dims: (number | string | null)[] = [];
    this.#walk(message, (id, body) => {
      if (id !== 1 || body === undefined) return;
      let size: number | string | null = null;
      this.#walk(body, (field, part, value) => {
        // Exporters write 0 or -1 where a dimension is free.
        if (field === 1 && value !== undefined && value > 0) size = value;
        if (field === 2 && part) size = text.decode(part);
      });
      if (dims.push(size) > MOST_DIMS) this.refuse(`a tensor has more than ${MOST_DIMS} dimensions`);
    });
    return dims;
  }

  /** An attribute's integers, text or tensor; undefined where the node has none of that name. */
  attribute(node: OnnxNode, wanted: string): OnnxAttribute | undefined {
    for (const record of node.attributes) {
      let name = "";
      const found: { integers: number[]; text?: string; tensor?: OnnxTensor; float?: number } = { integers: [] };
      this.#walk(record, (id, body, value) => {
        if (id === ATTRIBUTE.name && body) name = text.decode(body);
        else if (id === ATTRIBUTE.integer || id === ATTRIBUTE.integers) this.#integers(body, value, found.integers);
        else if (id === ATTRIBUTE.text && body && body.length < 4096) found.text = text.decode(body);
        else if (id === ATTRIBUTE.tensor && body) found.tensor = this.tensor(body);
      });
      if (name === wanted) return found;
    }
    return undefined;
  }

  /** A field with bytes, as it stands in a file. A graph has more parts than a call may have arguments. */
  field(id: number, parts: readonly Uint8Array[]): Uint8Array {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const head = this.#protobuf.Writer.create()
      .uint32(id * 8 + LENGTH)
      .uint32(length)
      .finish();
    return Buffer.concat([head, ...parts]);
  }

  /** A field with an integer from 0 to 2^53 - 1. */
  integer(id: number, value: number): Uint8Array {
    return this.#protobuf.Writer.create()
      .uint32(id * 8)
      .uint64(value)
      .finish();
  }
}

export interface OnnxAttribute {
  readonly integers: readonly number[];
  readonly text?: string;
  readonly tensor?: OnnxTensor;
}

const integerOf = (value: number | { toNumber(): number }): number =>
  typeof value === "number" ? value : value.toNumber();

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

const LISTS = Object.values(TENSOR_LIST);

/** How many numbers or texts a field of a list has: all of a packed one, otherwise one. */
function listedIn(id: number, body: Uint8Array | undefined): number {
  if (body === undefined || id === TENSOR_LIST.text) return 1;
  if (id === TENSOR_LIST.float) return body.length / 4;
  if (id === TENSOR_LIST.double) return body.length / 8;
  // The last byte of an integer has no high bit.
  let count = 0;
  for (const byte of body) count += Number(byte < 128);
  return count;
}

/** The graph of a model: which tensors follow from constants or shapes alone, and where few tensors cut it in two. */
import { CodecError } from "latentwire";
import type { OnnxModel, OnnxNode, OnnxValue } from "./onnx-file.js";

/**
 * - `constant`: follows from weights alone.
 * - `shape`: follows from shapes alone, so it is the same for all inputs of one shape.
 * - `live`: follows from what the inputs hold.
 */
export type Kind = "constant" | "shape" | "live";

/** Tensors through which everything must go that outputs learn of inputs. */
export interface Cut {
  /** Sorted by where they are made. */
  readonly tensors: readonly string[];
  /** The nodes before it are those up to here, as far as they are needed; -1 where there are none. */
  readonly position: number;
}

/** Most tensors of a cut that is listed. */
export const MOST_TENSORS = 4;

const RANDOM = /^(Random|Bernoulli|Multinomial)/;

export class Graph {
  readonly model: OnnxModel;
  /** Of every tensor. */
  readonly kinds: ReadonlyMap<string, Kind>;
  /** The node that makes a tensor. */
  readonly makers: ReadonlyMap<string, number>;
  /** Nodes that some output depends on. */
  readonly needed: readonly boolean[];
  /** Inputs that some output depends on. The others are neither fed nor written into a half. */
  readonly inputs: readonly OnnxValue[];

  /** @param name - of the file, for messages. Throws CodecError `INVALID_FILE`, `UNSUPPORTED_FILE`. */
  constructor(model: OnnxModel, name: string) {
    this.model = model;
    const kinds = new Map<string, Kind>();
    const makers = new Map<string, number>();
    const refuse = (message: string): never => {
      throw new CodecError("INVALID_FILE", `${name}: ${message}`);
    };
    for (const constant of [...model.initializers.keys(), ...model.sparse.keys()]) kinds.set(constant, "constant");
    for (const { name: input, type } of model.inputs) {
      if (type === undefined)
        throw new CodecError("UNSUPPORTED_FILE", `${name}: its input ${input} is no tensor, but a sequence or a map`);
      kinds.set(input, "live");
    }
    model.nodes.forEach((node, i) => {
      const read = readsOf(node).map(
        (tensor) =>
          kinds.get(tensor) ?? refuse(`the node ${label(node, i)} reads ${tensor}, which nothing before it makes`),
      );
      const kind = kindOf(node, read);
      for (const output of node.outputs) {
        if (output === "") continue;
        if (kinds.has(output)) refuse(`two nodes make the tensor ${output}`);
        kinds.set(output, kind);
        makers.set(output, i);
      }
    });
    if (model.outputs.length === 0) refuse("it has no outputs");
    for (const { name: output } of model.outputs) if (!kinds.has(output)) refuse(`nothing makes the output ${output}`);
    this.kinds = kinds;
    this.makers = makers;
    this.needed = neededOf(model, makers);
    const read = new Set(model.outputs.map(({ name: output }) => output));
    model.nodes.forEach((node, i) => {
      if (this.needed[i]) for (const tensor of readsOf(node)) read.add(tensor);
    });
    this.inputs = model.inputs.filter(({ name: input }) => read.has(input));
  }

  /** In the model's order. */
  get outputNames(): string[] {
    return this.model.outputs.map(({ name }) => name);
  }

  isLive(tensor: string): boolean {
    return this.kinds.get(tensor) === "live";
  }

  /**
   * Cuts of at most {@link MOST_TENSORS} tensors, from input to output. All single tensors that cut are among them. In an order of
   * execution what was before such a tensor comes before it, and what is behind it after it; so it is the only one that is open when it has
   * been made. Of the sets, those are found that are open between two nodes of the file's order.
   */
  cuts(): Cut[] {
    const { nodes, inputs, outputs } = this.model;
    const isLiveNode = nodes.map((node, i) => this.needed[i]! && node.outputs.some((tensor) => this.isLive(tensor)));
    const lastUse = new Map<string, number>();
    nodes.forEach((node, i) => {
      if (isLiveNode[i]) for (const tensor of readsOf(node)) if (this.isLive(tensor)) lastUse.set(tensor, i);
    });
    for (const { name } of outputs) if (this.isLive(name)) lastUse.set(name, nodes.length);
    const open = new Set(inputs.map(({ name }) => name).filter((name) => lastUse.has(name)));
    const listed = new Set([keyOf(open)]);
    const cuts: Cut[] = [];
    const last = isLiveNode.lastIndexOf(true);
    nodes.forEach((node, i) => {
      if (!isLiveNode[i]) return;
      for (const tensor of readsOf(node)) if (lastUse.get(tensor) === i) open.delete(tensor);
      for (const tensor of node.outputs) if ((lastUse.get(tensor) ?? -1) > i) open.add(tensor);
      if (i === last || open.size === 0 || open.size > MOST_TENSORS || listed.has(keyOf(open))) return;
      listed.add(keyOf(open));
      cuts.push({ tensors: [...open], position: i });
    });
    return cuts;
  }

  /** The cut at tensors that the user names. Throws CodecError `MODEL`. */
  cutAt(given: readonly string[], name: string): Cut {
    const tensors = [...new Set(given)];
    for (const tensor of tensors) {
      if (!this.kinds.has(tensor))
        throw new CodecError("MODEL", `${name} has no tensor ${tensor}: latentwire split ${name} lists them`);
      if (!this.isLive(tensor))
        throw new CodecError("MODEL", `${name}: ${tensor} does not depend on what the inputs hold`);
    }
    const missing = this.missing(tensors);
    if (missing.length > 0)
      throw new CodecError(
        "MODEL",
        `${tensors.join(",")} does not cut ${name} in two: ${missing.slice(0, 4).join(", ")} would have to cross as well`,
      );
    const unread = this.unread(tensors);
    if (unread.length > 0) {
      const rest = tensors.filter((tensor) => !unread.includes(tensor)).join(",");
      throw new CodecError("MODEL", `${name}: nothing behind ${rest} reads ${unread.join(", ")}. Say --at ${rest}`);
    }
    const position = Math.max(...tensors.map((tensor) => this.makers.get(tensor) ?? -1));
    return { tensors, position };
  }

  /** Those of the tensors of a cut that the part behind it does not read: they would cross for nothing. */
  unread(tensors: readonly string[]): string[] {
    const known = this.knownBehind(tensors);
    const seen = new Set<string>();
    const pending = this.outputNames;
    for (let tensor = pending.pop(); tensor !== undefined; tensor = pending.pop()) {
      if (seen.has(tensor)) continue;
      seen.add(tensor);
      const maker = tensors.includes(tensor) ? undefined : this.makers.get(tensor);
      // A shape that cannot be computed behind the cut becomes a constant.
      if (maker === undefined || (this.kinds.get(tensor) === "shape" && !known.has(tensor))) continue;
      for (const read of readsOf(this.model.nodes[maker]!)) pending.push(read);
    }
    return tensors.filter((tensor) => !seen.has(tensor));
  }

  /** Live tensors that the part behind `tensors` needs beside them: none where they cut the graph. */
  missing(tensors: readonly string[]): string[] {
    const known = this.knownBehind(tensors);
    const behind = new Set(tensors);
    for (const node of this.model.nodes)
      if (readsOf(node).some((tensor) => behind.has(tensor))) for (const output of node.outputs) behind.add(output);
    const missing: string[] = [];
    const seen = new Set<string>();
    const pending = this.model.outputs.map(({ name }) => name);
    for (let tensor = pending.pop(); tensor !== undefined; tensor = pending.pop()) {
      if (seen.has(tensor) || known.has(tensor) || !this.isLive(tensor)) continue;
      seen.add(tensor);
      if (behind.has(tensor))
        for (const read of readsOf(this.model.nodes[this.makers.get(tensor)!]!)) pending.push(read);
      else missing.push(tensor);
    }
    return missing;
  }

  /** What can be computed from `tensors` and constants alone, these included. */
  knownBehind(tensors: readonly string[]): Set<string> {
    const known = new Set(tensors);
    for (const [name, kind] of this.kinds) if (kind === "constant") known.add(name);
    for (const node of this.model.nodes)
      if (readsOf(node).every((tensor) => known.has(tensor)))
        for (const output of node.outputs) if (output !== "") known.add(output);
    return known;
  }
}

/** What a node reads: its inputs, and what its subgraphs read from outside. */
export const readsOf = ({ inputs, captured }: OnnxNode): string[] =>
  [...inputs, ...captured].filter((tensor) => tensor !== "");

const label = ({ name, op }: OnnxNode, i: number): string => `${i} (${name || op})`;

const keyOf = (tensors: Iterable<string>): string => JSON.stringify([...tensors].sort());

function kindOf({ op, domain }: OnnxNode, read: readonly Kind[]): Kind {
  if (domain === "" && RANDOM.test(op)) return "live";
  if (read.every((kind) => kind === "constant")) return "constant";
  if (domain === "" && (op === "Shape" || op === "Size")) return "shape";
  return read.includes("live") ? "live" : "shape";
}

function neededOf({ nodes, outputs }: OnnxModel, makers: ReadonlyMap<string, number>): boolean[] {
  const needed = nodes.map(() => false);
  const pending = outputs.map(({ name }) => name);
  for (let tensor = pending.pop(); tensor !== undefined; tensor = pending.pop()) {
    const maker = makers.get(tensor);
    if (maker === undefined || needed[maker]) continue;
    needed[maker] = true;
    for (const read of readsOf(nodes[maker]!)) pending.push(read);
  }
  return needed;
}

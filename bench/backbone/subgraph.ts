// As a command: node --import tsx bench/backbone/subgraph.ts backbone.onnx v71 logits > rest.onnx
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readsOf } from "../../tables/split/graph.js";
import { openModel } from "../../tables/split/network.js";
import { loadProtobuf } from "../../tables/split/onnx-file.js";

const FLOAT32 = 1;
const protobuf = await loadProtobuf();

/** The part of an ONNX model that makes the float32 tensor `to` of the float32 tensor `from`: a model of its own. */
export function subgraph(model: Uint8Array, from: string, to: string): Uint8Array {
  const { graph, writer } = openModel(protobuf, "the model", model);
  const { nodes } = writer.nodesBetween([from], [to]);
  if (!nodes.some((i) => readsOf(graph.model.nodes[i]!).includes(from)))
    throw new Error(`${to} does not depend on a tensor ${from}`);
  const end = (name: string) => [{ name, type: FLOAT32 }];
  return writer.part([from], [to], { inputs: end(from), outputs: end(to) });
}

const [program, file, from, to] = process.argv.slice(1);
if (program === fileURLToPath(import.meta.url)) process.stdout.write(subgraph(readFileSync(file!), from!, to!));

/** latentwire split */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Command, EXIT, flag, text, texts, UsageError, type Values } from "./cli-arguments.js";
import { print, printJson, readInput, table, writeOutput } from "./cli-files.js";
import { loadRuntime, type Runtime } from "./packages.js";
import type { Cut } from "./split/graph.js";
import { fixedTensors, measureShapes, type Opened, openModel, zeros } from "./split/network.js";
import { loadProtobuf } from "./split/onnx-file.js";
import { type Costs, costsOf, type Shapes } from "./split/work.js";

export const splitCommand: Command = {
  name: "split",
  summary: "cut an ONNX model in two: where, what that sends, and both halves",
  synopsis: "MODEL [--at TENSOR,..] [-o DIR] [options]",
  help: `  MODEL             an ONNX file, opset 7 or later
  --at TENSOR,..    cut there: one tensor, or several that go together
  -o, --output DIR  write client/ (head.onnx) and server/ (tail.onnx) there
  --dims NAME=D,D,..  shape of an input whose dimensions are free; may be repeated
  --all             list every cut; default: those that send less than all before them
  --json            for machines

Needs protobufjs and onnxruntime-node of your project.

  latentwire split model.onnx
  latentwire split model.onnx --at features -o split`,
  options: {
    at: { type: "string" },
    output: { type: "string", short: "o" },
    dims: { type: "string", multiple: true },
    all: { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: [1, 1],
  async run(values, [path]) {
    const protobuf = await loadProtobuf();
    const runtime = await loadRuntime("to run the model");
    const opened = openModel(protobuf, path!, await readInput(path!));
    const feeds = zeros(runtime, opened.graph.model.inputs, dimsOption(values));
    const shapes = await measureShapes(runtime, opened, feeds);
    const costs = costsOf(opened.graph, opened.reader, shapes);
    const at = text(values, "at")?.split(",");
    if (at === undefined) {
      const cuts = opened.graph.cuts().map((cut) => described(cut, shapes, costs));
      if (flag(values, "json")) await printJson({ model: path, ...costs, cuts });
      else await print(...cutLines(flag(values, "all") ? cuts : falling(cuts)));
      return EXIT.ok;
    }
    const output = text(values, "output");
    if (output === undefined) throw new UsageError("--at needs -o: where the two halves go");
    const cut = opened.graph.cutAt(at, path!);
    await writeParts(runtime, opened, cut, feeds, output);
    return EXIT.ok;
  },
};

/** `--dims NAME=D,D,..` */
function dimsOption(values: Values): Map<string, number[]> {
  return new Map(
    texts(values, "dims").map((given) => {
      const [, name, dims] = /^(.+)=(\d+(?:[,x]\d+)*)$/.exec(given) ?? [];
      if (name === undefined) throw new UsageError(`--dims must be such as image=1,3,224,224, not ${given}`);
      return [name, dims!.split(/[,x]/).map(Number)];
    }),
  );
}

/** A cut as it is listed. */
interface Described {
  readonly tensors: readonly string[];
  readonly dims: readonly (readonly number[])[];
  readonly elements: number;
  readonly float32Bytes: number;
  readonly int8Bytes: number;
  readonly workShare: number | null;
  readonly parametersShare: number;
}

function described(cut: Cut, shapes: Shapes, costs: Costs): Described {
  const dims = cut.tensors.map((tensor) => shapes.get(tensor) ?? []);
  const elements = dims.reduce((sum, one) => sum + one.reduce((a, b) => a * b, 1), 0);
  const { work, parameters } = costs.share(cut);
  return {
    tensors: cut.tensors,
    dims,
    elements,
    float32Bytes: 4 * elements,
    int8Bytes: elements,
    workShare: work,
    parametersShare: parameters,
  };
}

/** Cuts that have no more elements than any before them. */
function falling(cuts: readonly Described[]): Described[] {
  let least = Number.POSITIVE_INFINITY;
  return cuts.filter(({ elements }) => {
    if (elements > least) return false;
    least = elements;
    return true;
  });
}

const percent = (share: number | null): string => (share === null ? "-" : `${(100 * share).toFixed(1)} %`);

const cutLines = (cuts: readonly Described[]): string[] =>
  table(
    [
      ["cut", "shape", "float32", "int8", "work", "weights"],
      ...cuts.map((cut) => [
        cut.tensors.join(" + "),
        cut.dims.map((dims) => dims.join("x")).join(" + "),
        String(cut.float32Bytes),
        String(cut.int8Bytes),
        percent(cut.workShare),
        percent(cut.parametersShare),
      ]),
    ],
    2,
  );

async function writeParts(
  runtime: Runtime,
  opened: Opened,
  cut: Cut,
  feeds: Parameters<typeof fixedTensors>[2],
  output: string,
) {
  const { writer, graph } = opened;
  const { fixed } = writer.nodesBetween(
    cut.tensors,
    graph.model.outputs.map(({ name }) => name),
  );
  const constants = await fixedTensors(runtime, opened, feeds, fixed);
  const { head, tail } = writer.plain(cut, new Map(), constants);
  for (const folder of ["client", "server"])
    if (!existsSync(join(output, folder))) mkdirSync(join(output, folder), { recursive: true });
  await writeOutput(join(output, "client/head.onnx"), head);
  await writeOutput(join(output, "server/tail.onnx"), tail);
}

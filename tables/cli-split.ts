/** latentwire split */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { CodecError, create } from "latentwire";
import {
  type Command,
  choice,
  EXIT,
  flag,
  positive,
  text,
  texts,
  typed,
  UsageError,
  type Values,
  whole,
} from "./cli-arguments.js";
import { print, printJson, progress, readInput, remark, writeOutput } from "./cli-files.js";
import { findFiles } from "./cli-samples.js";
import { CONTEXT_SIZES, type ContextSize } from "./context-fit.js";
import { IMAGE_NAMES, ImageReader, type Normalization, RANGES, rangeOf } from "./images.js";
import { readLabelColumn, readLabels } from "./labels.js";
import { loadAll, loadRuntime, loadSharp, type Runtime, refusedAs, type Sharp, WITHOUT_GPU } from "./packages.js";
import { type Goal, USUAL_AGREEMENT, USUAL_WORK } from "./split/advise.js";
import { isOneList } from "./split/agreement.js";
import type { Cut } from "./split/graph.js";
import { measureShapes, type Opened, openModel, openSession, statedShapes, typeOf, zeros } from "./split/network.js";
import { GUESS, rangeByTrying, rangeOfGraph } from "./split/normalize.js";
import { loadProtobuf, type Protobuf } from "./split/onnx-file.js";
import { studyPage } from "./split/page.js";
import { checkFolder, imageFacts, writeHalves, writeProject } from "./split/project.js";
import { fewSamples, listingJson, listingLines, studyJson, studyLines } from "./split/report.js";
import { arraySamples, imageDims, imageInput, imageSamples, LEAST_SAMPLES, type Samples } from "./split/samples.js";
import { study } from "./split/study.js";
import { costsOf } from "./split/work.js";

/** Images that are used of a folder that has more. */
const USUAL_LIMIT = 200;

/** Options that say something of a measurement: without samples nothing is measured. */
const OF_SAMPLES = [
  "html",
  "context",
  "labels",
  "metric",
  "target-agreement",
  "target-bytes",
  "max-work",
  "limit",
  "size",
  "normalize",
  "step",
];

export const splitCommand: Command = {
  name: "split",
  summary: "cut an ONNX model in two: where, for how many bytes, and both halves",
  synopsis: "MODEL [--images DIR] [--max-work W] [-o DIR] [options]",
  help: `  MODEL             an ONNX file, opset 7 or later
  --images PATH     images to measure with: a folder, a file or a pattern; may be repeated
  --inputs FILE     instead, for other inputs: .npy with samples along dimension 0; NAME=FILE where a model has several inputs
  --limit N         use so many samples, evenly spread; default ${USUAL_LIMIT}
  --size HxW        of the images, where the model takes any
  --normalize KIND  what the model takes: 0..1, 0..255, -1..1, imagenet, or MEAN,STD of pixels (of 0..255; of 0..1 where both are at most 1);
                    default: found out, and said
  --labels CSV      accuracy beside agreement: columns file and label, or with --inputs a column label and a line for each sample
  --metric KIND     how answers are compared: top-1, or error (relative error of all outputs); default: found out, and said
  --context [SIZE]  train a context prior for the best cuts, too: fast (default), default or small
  --target-agreement A  least share of answers that stay the same; default ${USUAL_AGREEMENT}
  --target-bytes N  instead: most bytes of a packet
  --max-work W      most of the network's work before the cut, from 0 to 1; default ${USUAL_WORK}
  --at TENSOR,..    only this cut: one tensor, or several that go together
  --step S          with --at: only this quantization step
  -o, --output DIR  write client/ and server/ there; without samples --at has to say the cut
  --force           overwrite what was changed in DIR since it was written
  --html FILE       the report as a page
  --dims NAME=D,D,..  without samples: shape of an input whose dimensions are free; may be repeated
  --all             list every cut; default: those that send no more than any before them
  --threads N       default: the processor's cores
  --json            for machines

Without samples it lists the tensors that cut the graph, with the work before them. With samples it measures bytes and agreement with the uncut
model: one of ten samples fits, five choose, four are reported on. Needs protobufjs, onnxruntime-node and sharp of your project.

  latentwire split model.onnx
  latentwire split model.onnx --images photos/ --context --max-work 0.4 -o split`,
  options: {
    images: { type: "string", multiple: true },
    inputs: { type: "string", multiple: true },
    limit: { type: "string" },
    size: { type: "string" },
    normalize: { type: "string" },
    labels: { type: "string" },
    metric: { type: "string" },
    context: { type: "boolean" },
    "target-agreement": { type: "string" },
    "target-bytes": { type: "string" },
    "max-work": { type: "string" },
    at: { type: "string" },
    step: { type: "string" },
    output: { type: "string", short: "o" },
    force: { type: "boolean" },
    html: { type: "string" },
    dims: { type: "string", multiple: true },
    all: { type: "boolean" },
    threads: { type: "string" },
    json: { type: "boolean" },
  },
  positionals: [1, 2],
  async run(values, [path, size]) {
    const context = contextOption(values, size);
    const goal = goalOf(values);
    const images = texts(values, "images");
    const inputs = texts(values, "inputs");
    if (images.length > 0 && inputs.length > 0) throw new UsageError("--images and --inputs exclude each other");
    const hasSamples = images.length + inputs.length > 0;
    const idle = OF_SAMPLES.find((name) => values[name] !== undefined);
    if (!hasSamples && idle) throw new UsageError(`--${idle} needs --images or --inputs: it is about what is measured`);
    const [protobuf, runtime, sharp] = await loadAll<[Protobuf, Runtime, Sharp | undefined]>("to split a model", [
      loadProtobuf(),
      loadRuntime("to run the model"),
      images.length > 0 ? loadSharp("to read images") : Promise.resolve(undefined),
    ]);
    const opened = openModel(protobuf, path!, await readInput(path!));
    const threads = whole(values, "threads", 1, 256) ?? availableParallelism();
    const at = text(values, "at")?.split(",");
    const cut = at && opened.graph.cutAt(at, path!);
    const output = text(values, "output");
    if (output !== undefined) checkFolder(output, hasSamples, flag(values, "force"));
    if (!hasSamples) return withoutSamples(values, runtime, opened, cut, output);

    const { samples, said, image, classes } = sharp
      ? await readImages(values, runtime, sharp, opened, images)
      : readArrays(values, arraySamples(runtime, opened.graph, inputs, path!));
    if (samples.count < LEAST_SAMPLES)
      throw new UsageError(`${samples.count} samples are too few: ${LEAST_SAMPLES} at least, best 200`);
    if (said) remark(said);
    const folder = mkdtempSync(join(tmpdir(), "latentwire-split-"));
    try {
      const result = await study({
        codec: await create(),
        runtime,
        sharp,
        opened,
        samples,
        metric: choice(values, "metric", ["top-1", "error"]),
        at: cut,
        step: positive(values, "step"),
        goal,
        context,
        classes,
        threads,
        folder,
        progress: stages(),
        say: remark,
      });
      const few = fewSamples(result);
      if (few) remark(few);
      const page = text(values, "html");
      if (page !== undefined) await writeOutput(page, new TextEncoder().encode(studyPage(result, path!)));
      const { recommended } = result;
      const files =
        output !== undefined && recommended
          ? await writeProject(output, runtime, opened, await samples.feeds(0), recommended.row, image)
          : [];
      if (flag(values, "json")) await printJson(studyJson(result, path!));
      else await print(...studyLines(result, flag(values, "all")), ...writtenLines(output, files));
      return EXIT.ok;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function contextOption(values: Values, size: string | undefined): ContextSize | undefined {
  if (!flag(values, "context")) {
    if (size !== undefined) throw new UsageError(`what is ${size}? split takes one model`);
    return undefined;
  }
  const sizes = Object.keys(CONTEXT_SIZES) as ContextSize[];
  return choice({ context: size }, "context", sizes) ?? "fast";
}

function goalOf(values: Values): Goal {
  const share = (name: string) => {
    const given = positive(values, name);
    if (given !== undefined && given > 1) throw new UsageError(`--${name} must be a share from 0 to 1, not ${given}`);
    return given;
  };
  const targetAgreement = share("target-agreement");
  const targetBytes = positive(values, "target-bytes");
  if (targetAgreement !== undefined && targetBytes !== undefined)
    throw new UsageError("--target-agreement and --target-bytes exclude each other");
  if (values.step !== undefined && values.at === undefined)
    throw new UsageError("--step needs --at: steps are a tensor's own");
  return { targetAgreement, targetBytes, maxWork: share("max-work") ?? (values.at === undefined ? USUAL_WORK : 1) };
}

const ONLY_HALVES = "These are the two halves alone: for tables and programs give --images or --inputs.";

/** Without samples: the cuts and their work, or the halves of one. */
async function withoutSamples(
  values: Values,
  runtime: Runtime,
  opened: Opened,
  cut: Cut | undefined,
  output: string | undefined,
) {
  const dims = dimsOption(values);
  const feeds = () => zeros(runtime, opened.graph.inputs, dims);
  if (cut !== undefined || output !== undefined) {
    if (cut === undefined) throw new UsageError("-o needs --images or --inputs to choose a cut, or --at to name one");
    if (output === undefined) throw new UsageError("--at needs -o, where the halves go, or --images to measure with");
    const files = await writeHalves(output, runtime, opened, feeds(), cut);
    if (flag(values, "json")) await printJson({ model: opened.path, cut: cut.tensors, output, files });
    else await print(...files.map((file) => join(output, file)), "", ONLY_HALVES);
    return EXIT.ok;
  }
  const shapes = statedShapes(opened, dims) ?? (await measureShapes(runtime, opened, feeds()));
  const costs = costsOf(opened.graph, opened.reader, shapes);
  if (flag(values, "json")) await printJson(listingJson(opened, shapes, costs));
  else await print(listingLines(opened, shapes, costs, flag(values, "all")).join("\n"));
  return EXIT.ok;
}

const writtenLines = (output: string | undefined, files: readonly string[]): string[] =>
  files.length === 0
    ? []
    : [
        "",
        `written to ${output}: ${files.join(", ")}`,
        `cd ${output} && ${[WITHOUT_GPU, "npm install"].filter(Boolean).join(" ")} && npm start`,
      ];

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

/** At most `--limit` numbers, evenly spread. */
function spread(values: Values, count: number): number[] {
  const limit = whole(values, "limit", 1, 1e6) ?? USUAL_LIMIT;
  const used = Math.min(count, limit);
  return Array.from({ length: used }, (_, i) => Math.floor((i * count) / used));
}

/** At most `--limit` samples of arrays, with their classes. */
function readArrays(values: Values, all: Samples) {
  const numbers = spread(values, all.count);
  const labels = text(values, "labels");
  const given = labels === undefined ? undefined : readLabelColumn(labels);
  if (given && given.length !== all.count)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${labels} has ${given.length} labels for ${all.count} samples: give a line for each`,
    );
  const samples: Samples = {
    ...all,
    count: numbers.length,
    names: numbers.map((i) => all.names[i]!),
    feeds: (i) => all.feeds(numbers[i]!),
  };
  return { samples, said: undefined, image: undefined, classes: given && numbers.map((i) => given[i]!) };
}

/** The classes of images by their names; undefined where they are not known, which is said. Throws CodecError `INVALID_FILE`. */
function classesOf(values: Values, files: readonly string[]): number[] | undefined {
  const labels = text(values, "labels");
  if (labels === undefined) return undefined;
  const labelOf = readLabels(labels);
  const classes = files.map((file) => labelOf(basename(file)));
  const missing = files.filter((_, i) => classes[i] === undefined);
  if (missing.length === 0) return classes as number[];
  const without = `${missing.length} of ${files.length} images, such as ${basename(missing[0]!)}`;
  if (missing.length === files.length)
    throw new CodecError(
      "INVALID_FILE",
      `${labels} has no label for ${without}: its column file must have their names`,
    );
  remark(`${labels} has no label for ${without}: no accuracy is reported`);
  return undefined;
}

async function readImages(values: Values, runtime: Runtime, sharp: Sharp, opened: Opened, given: readonly string[]) {
  const { graph, path } = opened;
  const input = imageInput(graph.inputs, path);
  const [height, width] = sizeOption(values) ?? [input.height, input.width];
  if (height === undefined || width === undefined)
    throw new UsageError(`${path} takes images of any size: say which with --size HEIGHTxWIDTH`);
  imageDims(input, [height, width]);
  const found = findFiles(given, { extension: IMAGE_NAMES });
  const reader = new ImageReader(sharp, height, width, given);
  const wanted = spread(values, found.length).map((i) => found[i]!);
  const files: string[] = [];
  for (const path of wanted) if ((await reader.read(path)) !== undefined) files.push(path);
  reader.finish(wanted.length, remark);
  const classes = classesOf(values, files);
  const samplesOf = (range: Normalization) => imageSamples(runtime, sharp, input, files, [height, width], range);
  const ready = (range: Normalization, said: string | undefined) => ({
    samples: samplesOf(range),
    said,
    classes,
    image: imageFacts(input, typeOf(input.value), [height, width], range),
  });
  const chosen = text(values, "normalize");
  if (chosen !== undefined)
    return ready(
      typed(() => rangeOf(chosen)),
      undefined,
    );
  const { range, reason } =
    (await rangeOfGraph(runtime, opened, input.value)) ?? (await tried(runtime, opened, samplesOf)) ?? GUESS;
  return ready(RANGES[range], `--normalize ${range}: ${reason}`);
}

/** The range in which a classifier answers best. */
async function tried(runtime: Runtime, opened: Opened, samplesOf: (range: Normalization) => Samples) {
  const { graph, path, writer } = opened;
  const outputs = graph.outputNames;
  const uncut = await openSession(runtime, writer.head(outputs, { outputs: graph.model.outputs }), path);
  const [first] = Object.values(
    await refusedAs(
      "MODEL",
      path,
      samplesOf(RANGES["0..1"])
        .feeds(0)
        .then((feeds) => uncut.run(feeds)),
    ),
  );
  const isClassifier = outputs.length === 1 && first !== undefined && isOneList([first.dims]);
  const found = isClassifier ? await rangeByTrying(uncut, path, outputs, samplesOf) : undefined;
  await uncut.release?.();
  return found;
}

function sizeOption(values: Values): [number, number] | undefined {
  const given = text(values, "size");
  if (given === undefined) return undefined;
  const [, height, width] = /^([1-9]\d{0,4})[x,]([1-9]\d{0,4})$/.exec(given) ?? [];
  if (height === undefined) throw new UsageError("--size must be a height and a width, such as 224x224");
  return [Number(height), Number(width)];
}

/** Progress of one stage after the other, with the time that each still takes. */
function stages() {
  let current = "";
  let began = Date.now();
  let last = began;
  let draw: ReturnType<typeof progress> = () => {};
  return (stage: string, done: number, total: number): void => {
    if (stage !== current) {
      // The first call comes when the first step is done: the stage began where the one before it ended.
      [current, began] = [stage, last];
      draw = progress(stage, total);
    }
    last = Date.now();
    const left = done === 0 ? 0 : ((last - began) / done) * (total - done);
    draw(done, `${Math.ceil(left / 1000)} s left`);
  };
}

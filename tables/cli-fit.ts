/** latentwire tables fit */
import { basename } from "node:path";
import { type Codec, create } from "latentwire";
import { type BundleInput, writeBundle } from "latentwire/bundle";
import {
  type Command,
  EXIT,
  flag,
  list,
  positive,
  text,
  typed,
  UsageError,
  type Values,
  whole,
} from "./cli-arguments.js";
import {
  addContext,
  contextHelp,
  contextLines,
  contextOptions,
  contextRemarks,
  contextSummary,
  contextWish,
  givenTables,
  withGiven,
} from "./cli-context.js";
import { checkOutput, print, printReport, progress, remark, table, writeOutput } from "./cli-files.js";
import { findFiles, NPY, readSamples } from "./cli-samples.js";
import { encodeImages } from "./encoder-run.js";
import { type Fit, fit, LEAST_KEPT } from "./fit.js";
import { type SampleSet, sampleSet } from "./fit-samples.js";
import { IMAGE_NAMES, rangeOf } from "./images.js";

export const fitCommand: Command = {
  name: "tables fit",
  summary: "make tables from sample latents, or from images and an encoder",
  synopsis: "SAMPLES... -o BUNDLE [--target-bytes N] [--context SIZE] [options]",
  help: `  SAMPLES           .npy files, folders or patterns, - for standard input: latents [N, C, ..] or [C, H, W];
                    with --encoder: images
  -o, --output FILE the bundle
  --target-bytes N  find the quantization step at which a packet takes N bytes on average
  --step S          use this step; default 1
  --axis N          dimension of the channels; each file is then one sample as it is: 1 for [N, C, T], 3 for [N, H, W, C]
  --name NAME       name of the table; default latent
  --encoder FILE    ONNX encoder to run over images, with onnxruntime-node and sharp of your project
  --size HxW        of its input; default: what it declares
  --normalize KIND  what it takes: 0..1, 0..255, -1..1, imagenet, or MEAN,STD of pixels; default: what its graph says, else 0..1.
                    What was taken is said
  --latent NAME     its output that is the latent; default: the first
${contextHelp}
  --json            for machines

Each channel gets a row between its histogram and a Laplace, Gaussian or logistic curve: the one that spends the fewest bits in cross-validation.
Every fifth sample is held out and only reported on. The same samples give the same bundle.
A context prior is trained on four fifths of the samples. Of the others half choose, half are only reported on. Control-C keeps the best so far.

  latentwire tables fit latents/ --target-bytes 3000 -o model.lwb
  latentwire tables fit photos/ --encoder encoder.onnx --normalize imagenet -o model.lwb
  latentwire tables fit latents/ --tables imported.lwb --context default -o model.lwb
  latentwire tables fit y/ --scales scales/ --means means/ --context default --name y -o model.lwb`,
  options: {
    output: { type: "string", short: "o" },
    "target-bytes": { type: "string" },
    step: { type: "string" },
    axis: { type: "string" },
    name: { type: "string" },
    encoder: { type: "string" },
    size: { type: "string" },
    normalize: { type: "string" },
    latent: { type: "string" },
    ...contextOptions,
    json: { type: "boolean" },
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run(values, paths) {
    const step = positive(values, "step");
    const targetBytes = positive(values, "target-bytes");
    if (step !== undefined && targetBytes !== undefined)
      throw new UsageError("--step and --target-bytes exclude each other");
    const wish = contextWish(values);
    const output = checkOutput(text(values, "output"), "a bundle");
    const codec = await create();
    const given = await givenTables(codec, values);
    const axis = whole(values, "axis", 0, 6) ?? given?.axis;
    const latents = sampleSet(await readLatents(values, paths), axis);
    const made = given === undefined ? fitted(codec, latents, values, axis) : undefined;
    const inputs = [...(given?.inputs ?? [made!.input])];
    const index = given?.index ?? 0;
    const set = await withGiven(codec, values, latents, inputs[index]!);
    const added = wish && (await addContext(codec, set, inputs[index]!, wish));
    const context = added && contextSummary(added, wish);
    if (added) {
      const { context: _context, ...input } = inputs[index]!;
      // No times: the same samples give the same bundle.
      const { channels: _channels, seconds: _seconds, ...recorded } = context!;
      const { parameters } = added.fit;
      inputs[index] = {
        ...input,
        ...(parameters && { context: parameters, meta: { ...input.meta, context: recorded } }),
      };
    }
    const bytes = writeBundle(inputs, given?.meta ?? { made: "latentwire tables fit", samples: set.samples.length });
    await writeOutput(output, bytes);
    const report = {
      output,
      bytes: bytes.length,
      samples: set.samples.length,
      channels: set.channels,
      ...(made && summary(made.result)),
      ...(context && { context }),
    };
    const told = [...(made ? lines(made.result, set) : []), ...(added ? contextLines(added.fit, wish) : [])];
    if (flag(values, "json")) await printReport(output, report);
    else if (output !== "-") await print(...told, `${bytes.length} bytes in ${output}`);
    if (made && made.result.held === undefined)
      remark("one sample is too few to hold one out: nothing is known of others");
    if (made && made.result.kept < LEAST_KEPT)
      remark(`step ${made.result.step} leaves nothing of the latents but their medians: take a finer one`);
    if (added) contextRemarks(added.fit);
    return EXIT.ok;
  },
};

/** Static rows of the samples, and their entry of the bundle. */
function fitted(codec: Codec, set: SampleSet, values: Values, axis: number | undefined) {
  const step = positive(values, "step");
  const targetBytes = positive(values, "target-bytes");
  const fitting = progress("fitting", 100);
  const options = {
    ...(step !== undefined && { step }),
    ...(targetBytes !== undefined && { targetBytes }),
    progress: (done: number, total: number) => fitting(Math.round((100 * done) / total)),
  };
  const result = typed(() => fit(codec, set, options));
  const input: BundleInput = {
    name: text(values, "name") ?? "latent",
    kind: "factorized",
    table: result.table,
    step: result.step,
    ...(axis !== undefined && { axis }),
    shape: commonShape(set, result.axis),
    ...(result.held && { meta: { heldOut: result.held } }),
  };
  return { result, input };
}

async function readLatents(values: Values, paths: string[]) {
  const encoder = text(values, "encoder");
  if (encoder === undefined) {
    for (const name of ["size", "normalize", "latent"])
      if (values[name] !== undefined) throw new UsageError(`--${name} needs --encoder`);
    const files = findFiles(paths, NPY);
    return readSamples(files, progress("reading", files.length));
  }
  const normalize = text(values, "normalize");
  if (paths.includes("-")) throw new UsageError("images come from files and folders, not from standard input");
  const size = list(values, "size");
  if (size !== undefined && (size.length !== 2 || size.includes(0)))
    throw new UsageError("--size must be a height and a width, such as 224x224");
  const output = text(values, "latent");
  const images = findFiles(paths, { extension: IMAGE_NAMES });
  return encodeImages(
    encoder,
    images,
    {
      ...(normalize !== undefined && { normalization: typed(() => rangeOf(normalize)) }),
      named: paths,
      say: remark,
      ...(size !== undefined && { size: [size[0]!, size[1]!] }),
      ...(output !== undefined && { output }),
    },
    progress(`running ${basename(encoder)}`, images.length),
  );
}

/** Dimensions that all samples share; null where they differ. */
function commonShape({ samples }: SampleSet, axis: number): (number | null)[] {
  const [first, ...others] = samples.map(({ dims }) => dims);
  return first!.map((d, i) => {
    // A batch may be any.
    if (i === 0 && axis === 1) return null;
    return others.every((dims) => dims.length === first!.length && dims[i] === d) ? d : null;
  });
}

function summary({ table, step, recipes, held }: Fit) {
  const kinds: Record<string, number> = {};
  for (const { kind, weight } of recipes) {
    const key = weight === Number.POSITIVE_INFINITY ? kind : `${kind}+histogram`;
    kinds[key] = (kinds[key] ?? 0) + 1;
  }
  return { step, fingerprint: table.fingerprint, rows: kinds, heldOut: held };
}

function lines(result: Fit, { samples, channels }: SampleSet): string[] {
  const { step, held } = result;
  const kinds = Object.entries(summary(result).rows).map(([kind, count]) => `${count} ${kind}`);
  const head = [
    `samples   ${samples.length}, ${channels} channels`,
    `step      ${step}`,
    `rows      ${kinds.join(", ")}`,
  ];
  if (held === undefined) return head;
  const others = Object.entries(held.others).map(([name, bytes]) => [`  ${name} alone`, bytes.toFixed(0)]);
  return [
    ...head,
    `held out  ${held.samples} samples of ${held.elements} elements; means per sample:`,
    ...table([
      ["  packet bytes", held.packetBytes.toFixed(0)],
      ["  ideal bytes", held.idealBytes.toFixed(0)],
      ["  bits per element", held.bitsPerElement.toFixed(4)],
      ["  escapes", held.escapes.toFixed(1)],
      ["  squared error", held.mse.toPrecision(3)],
      ...others,
    ]),
  ];
}

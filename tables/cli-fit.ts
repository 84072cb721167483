/** latentwire tables fit */
import { basename } from "node:path";
import { create } from "latentwire";
import { writeBundle } from "latentwire/bundle";
import {
  type Command,
  choice,
  EXIT,
  flag,
  list,
  positive,
  text,
  UsageError,
  type Values,
  whole,
} from "./cli-arguments.js";
import { checkOutput, print, printReport, progress, remark, table, writeOutput } from "./cli-files.js";
import { findFiles, NPY, readSamples } from "./cli-samples.js";
import { encodeImages } from "./encoder-run.js";
import { type Fit, fit } from "./fit.js";
import { type SampleSet, sampleSet } from "./fit-samples.js";

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const RANGES = {
  "0..1": { mean: [0, 0, 0], std: [1, 1, 1] },
  "0..255": { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
  imagenet: IMAGENET,
};

export const fitCommand: Command = {
  name: "tables fit",
  summary: "make tables from sample latents, or from images and an encoder",
  synopsis: "SAMPLES... -o BUNDLE [--target-bytes N] [options]",
  help: `  SAMPLES           .npy files, folders or patterns, - for standard input: latents [N, C, ..] or [C, H, W];
                    with --encoder: images
  -o, --output FILE the bundle
  --target-bytes N  find the quantization step at which a packet takes N bytes on average
  --step S          use this step; default 1
  --axis N          dimension of the channels; each file is then one sample as it is: 1 for [N, C, T], 3 for [N, H, W, C]
  --name NAME       name of the table; default latent
  --encoder FILE    ONNX encoder to run over images, with onnxruntime-node and sharp of your project
  --size HxW        of its input; default: what it declares
  --normalize KIND  what it takes: 0..1 (default), 0..255, or imagenet
  --latent NAME     its output that is the latent; default: the first
  --json            for machines

Each channel gets a row between its histogram and a Laplace, Gaussian or logistic curve: the one that spends the fewest bits in cross-validation.
Every fifth sample is held out and only reported on. The same samples give the same bundle.

  latentwire tables fit latents/ --target-bytes 3000 -o model.lwb
  latentwire tables fit photos/ --encoder encoder.onnx --normalize imagenet -o model.lwb`,
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
    json: { type: "boolean" },
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run(values, paths) {
    const step = positive(values, "step");
    const targetBytes = positive(values, "target-bytes");
    if (step !== undefined && targetBytes !== undefined)
      throw new UsageError("--step and --target-bytes exclude each other");
    const output = checkOutput(text(values, "output"), "a bundle");
    const axis = whole(values, "axis", 0, 6);
    const latents = await readLatents(values, paths);
    const set = sampleSet(latents, axis);
    const codec = await create();
    const fitting = progress("fitting", 100);
    const result = fit(codec, set, {
      ...(step !== undefined && { step }),
      ...(targetBytes !== undefined && { targetBytes }),
      progress: (done, total) => fitting(Math.round((100 * done) / total)),
    });
    const name = text(values, "name") ?? "latent";
    const bytes = writeBundle(
      [
        {
          name,
          kind: "factorized",
          table: result.table,
          step: result.step,
          ...(axis !== undefined && { axis }),
          shape: commonShape(set, result.axis),
          ...(result.held && { meta: { heldOut: result.held } }),
        },
      ],
      { made: "latentwire tables fit", samples: set.samples.length },
    );
    await writeOutput(output, bytes);
    const report = {
      output,
      bytes: bytes.length,
      samples: set.samples.length,
      channels: set.channels,
      ...summary(result),
    };
    if (flag(values, "json")) await printReport(output, report);
    else if (output !== "-") await print(...lines(result, set), `${bytes.length} bytes in ${output}`);
    if (result.held === undefined) remark("one sample is too few to hold one out: nothing is known of others");
    return EXIT.ok;
  },
};

async function readLatents(values: Values, paths: string[]) {
  const encoder = text(values, "encoder");
  if (encoder === undefined) {
    for (const name of ["size", "normalize", "latent"])
      if (values[name] !== undefined) throw new UsageError(`--${name} needs --encoder`);
    const files = findFiles(paths, NPY);
    return readSamples(files, progress("reading", files.length));
  }
  const normalize = choice(values, "normalize", ["0..1", "0..255", "imagenet"]) ?? "0..1";
  if (paths.includes("-")) throw new UsageError("images come from files and folders, not from standard input");
  const size = list(values, "size");
  if (size !== undefined && (size.length !== 2 || size.includes(0)))
    throw new UsageError("--size must be a height and a width, such as 224x224");
  const output = text(values, "latent");
  const images = findFiles(paths, { extension: /\.(jpe?g|png|webp|avif|tiff?|gif)$/i });
  return encodeImages(
    encoder,
    images,
    {
      ...RANGES[normalize],
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

import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { command, readLinks, whole } from "../command.js";
import { listImages, loadPrepared } from "../images.js";
import { machine } from "../machine.js";
import { CURVES, equalAccuracy, notesOf } from "./accuracy.js";
import { Cache, evaluate, TIMED_IMAGES, timeClients } from "./evaluate.js";
import { withLabels } from "./labels.js";
import { summarizeWays } from "./points.js";
import { type OffloadRun, offloadReport, toJson } from "./report.js";
import { openWays } from "./ways.js";

const HELP = `npm run bench:offload -- [options]

Sends images as packets of a split model, and as PNG, JPEG, WebP and AVIF, to the rest of a network: bytes, milliseconds and accuracy.

  --images DIR     PNG, JPEG and WebP images (default: the bundled photographs); 224x224 of their centre are used
  --labels CSV     columns file and label among others, matched by base name: for top-1
  --backbone DIR   backbone.onnx (image -> logits) and tail.onnx (features -> logits): for top-1 and agreement
  --model DIR      encoder.onnx, decoder.onnx and tables.json, or a folder of such folders (default: the bundled model)
  --links FILE     link profiles (default: tables/links.ts)
  --threads N      threads of each network and of sharp (default 1)
  --limit N        only the first N images
  --cache DIR      outcomes already measured are taken from here (default .cache/offload)
  --json           print one JSON object and nothing else
  --help`;

const here = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

const OPTIONS = {
  images: { type: "string", default: here("photos") },
  labels: { type: "string" },
  backbone: { type: "string" },
  model: { type: "string", default: here("model/points") },
  links: { type: "string" },
  threads: { type: "string", default: "1" },
  limit: { type: "string" },
  cache: { type: "string", default: here("../.cache/offload") },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (options) => {
  const threads = whole("threads", options.threads);
  const links = readLinks(options.links);
  const files = listImages(options.images).slice(
    0,
    options.limit === undefined ? undefined : whole("limit", options.limit),
  );
  const { classes, skipped: unlabelled } = withLabels(files, options.labels);
  const setup = { model: options.model, backbone: options.backbone, threads };
  const { codec, ways } = await openWays(setup);

  // Each outcome is on the disk at once, so a run can be cut off at any time.
  const cache = Cache.open(options.cache);
  const evaluation = await evaluate([...classes.keys()], ways, cache);
  const { images, outcomes } = evaluation;
  for (const line of evaluation.skipped) console.error(`skipped ${line}`);
  const skipped = [...unlabelled, ...evaluation.skipped];
  if (images.length === 0) throw new Error(`no image in ${options.images} could be read`);

  const taken = ways.filter((way) => outcomes.has(way));
  const lossless = taken.find((way) => way.codec === "PNG")!;
  const truth = outcomes.get(lossless)!.map((outcome) => outcome.answer);
  const readable = [...classes.keys()].filter((file) => !skipped.some((line) => line.startsWith(`${file}: `)));
  const labels = readable.map((file) => classes.get(file));
  const pictures = await Promise.all(readable.slice(0, TIMED_IMAGES).map(loadPrepared));
  const clients = await timeClients(pictures, taken, cache);
  const points = summarizeWays(evaluation, clients, labels, truth, links);
  const backboneTop1 = points[taken.indexOf(lossless)].top1;
  const curves = Object.entries(CURVES).map(([name, families]) => ({
    name,
    equal: equalAccuracy(evaluation, labels, backboneTop1, families),
  }));

  const run: OffloadRun = {
    machine: machine(threads, codec.simd),
    sharp: sharp.versions.sharp ?? "",
    images: images.length,
    points,
    curves,
    backboneTop1,
    notes: notesOf(options, evaluation, labels, backboneTop1, curves[0].equal),
    skipped,
  };
  console.log(options.json ? JSON.stringify(toJson(run)) : offloadReport(run, links).join("\n"));
});

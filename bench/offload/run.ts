import { writeFileSync } from "node:fs";
import sharp from "sharp";
import { listImages, loadPrepared } from "../images.js";
import { readLinks } from "../links.js";
import { machine } from "../machine.js";
import { program } from "../terminal.js";
import { Cache } from "./cache.js";
import { timeClients } from "./clients.js";
import { countingRules } from "./counting-rules.js";
import { toCsv } from "./csv.js";
import { equalAccuracy } from "./equal-accuracy.js";
import { evaluate } from "./evaluate.js";
import { INTERRUPTED, interruptor } from "./interruptor.js";
import { toJson } from "./json.js";
import { withLabels } from "./labels.js";
import { observe } from "./link/observe.js";
import { notesOf } from "./notes.js";
import type { OffloadRun } from "./offload-run.js";
import { HELP, readOptions } from "./options.js";
import { offloadPage } from "./page.js";
import { summarizeWays } from "./points.js";
import { rivalsAt } from "./rivals.js";
import { offloadReport } from "./terminal.js";
import { openWays } from "./ways.js";

/** Enough for a median over a link of 0.27 Mbit/s within seconds. */
const LINK_IMAGES = 3;
/** For what is not done with every image: client times, other counting rules, the gallery. */
const FIRST_IMAGES = 100;

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(HELP);
  const links = readLinks(options.links);
  const files = listImages(options.images).slice(0, options.limit);
  const { classes, skipped: unlabelled } = withLabels(files, options.labels);
  const setup = { model: options.model, backbone: options.backbone, threads: options.threads };
  const { codec, models, ways } = await openWays(setup);

  const stop = new AbortController();
  process.on("SIGINT", interruptor(stop));
  const cache = Cache.open(options.cache);
  const evaluation = await evaluate([...classes.keys()], ways, cache, stop.signal);
  const { images, outcomes } = evaluation;
  for (const line of evaluation.skipped) console.error(`skipped ${line}`);
  const skipped = [...unlabelled, ...evaluation.skipped];
  if (stop.signal.aborted) return interrupted(images.length, classes.size, options.cache);
  if (images.length === 0) throw new Error(`no image in ${options.images} could be read`);

  const taken = ways.filter((way) => outcomes.has(way));
  const lossless = taken.find((way) => way.codec === "PNG")!;
  const truth = outcomes.get(lossless)!.map((outcome) => outcome.answer);
  const readable = [...classes.keys()].filter((file) => !skipped.some((line) => line.startsWith(`${file}: `)));
  const labels = readable.map((file) => classes.get(file));
  const pictures = await Promise.all(readable.slice(0, FIRST_IMAGES).map(loadPrepared));
  const clients = await timeClients(pictures, taken, cache, stop.signal);
  if (stop.signal.aborted) return interrupted(images.length, classes.size, options.cache);
  const points = summarizeWays(evaluation, clients, labels, truth, links);
  const backboneTop1 = points[taken.indexOf(lossless)].top1;
  const equal = equalAccuracy(evaluation, labels, backboneTop1);

  const chosen = rivalsAt(taken, points, equal);
  const observed = options["no-link"]
    ? []
    : await observe(setup, ways, chosen, links, pictures.slice(0, LINK_IMAGES), stop.signal);
  if (stop.signal.aborted) return interrupted(images.length, classes.size, options.cache);

  const run: OffloadRun = {
    machine: machine(options.threads, codec.simd),
    sharp: sharp.versions.sharp ?? "",
    images: images.length,
    points,
    equal,
    backboneTop1,
    rules: await countingRules(codec, models[0], pictures),
    observed,
    notes: notesOf(options, images.length, points, backboneTop1, equal),
    skipped,
  };
  if (options.csv !== undefined) writeFileSync(options.csv, toCsv(points));
  if (options.html !== undefined) writeFileSync(options.html, await offloadPage(run, links, chosen, pictures));
  if (options.json) console.log(JSON.stringify(toJson(run)));
  else console.log(offloadReport(run, links, chosen).join("\n"));
}

function interrupted(done: number, all: number, cache: string): void {
  console.error(`stopped at ${done} of ${all} images; the same command goes on from ${cache}`);
  process.exitCode = INTERRUPTED;
}

program(main);

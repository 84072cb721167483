import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { listImages, loadImage, type Picture } from "./images.js";
import { readLinks } from "./links.js";
import { machine } from "./machine.js";
import { measurePicture, PICTURE_CODECS } from "./pictures.js";
import { Pipeline } from "./pipeline.js";
import { report } from "./print.js";
import { page } from "./report/page.js";
import { type ImageResult, summarize } from "./summary.js";
import { bar, program } from "./terminal.js";

const HELP = `npm start -- [options]

Sends images through a real encoder network, the codec and a real decoder network, beside JPEG and WebP.

  --images DIR     PNG, JPEG and WebP images of this folder (default: the bundled photographs)
  --html FILE      also write a report that needs no other file
  --links FILE     link profiles to reckon with (default: bench/links.json)
  --threads N      threads of each network and of sharp (default 1)
  --json           print one JSON object and nothing else
  --help`;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Run {
  readonly pictures: Picture[];
  readonly results: ImageResult[];
  readonly skipped: string[];
}

async function runAll(files: readonly string[], pipeline: Pipeline, quiet: boolean): Promise<Run> {
  const run: Run = { pictures: [], results: [], skipped: [] };
  const progress = bar("images", files.length * (1 + PICTURE_CODECS.length), quiet);
  for (const file of files) {
    progress.step(file);
    let picture: Picture;
    try {
      picture = await loadImage(file);
    } catch (error) {
      run.skipped.push(`${file}: ${(error as Error).message}`);
      continue;
    }
    const passed = await pipeline.run(picture);
    const pictures = [];
    for (const { format, quality } of PICTURE_CODECS) {
      progress.step(`${picture.name} ${format} ${quality}`);
      pictures.push(await measurePicture(picture.rgb, format, quality));
    }
    run.pictures.push(picture);
    run.results.push({ name: picture.name, passed, pictures });
  }
  progress.stop();
  return run;
}

async function main(): Promise<void> {
  const { values: args } = parseArgs({
    options: {
      images: { type: "string", default: here("photos") },
      html: { type: "string" },
      links: { type: "string", default: here("links.json") },
      threads: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const threads = Number(args.threads);
  if (!Number.isInteger(threads) || threads < 1)
    throw new Error(`--threads ${args.threads}: a whole number from 1 is wanted`);
  // Before the work, not after it.
  if (args.html !== undefined && !existsSync(dirname(args.html)))
    throw new Error(`there is no folder ${dirname(args.html)}`);
  const links = readLinks(args.links);
  const files = listImages(args.images);
  sharp.concurrency(threads);

  const pipeline = await Pipeline.open(threads);
  const { pictures, results, skipped } = await runAll(files, pipeline, args.json);
  for (const line of skipped) console.error(`skipped ${line}`);
  if (results.length === 0) throw new Error(`no image in ${args.images} could be read`);

  const summary = summarize(results, links);
  const setup = machine(threads, pipeline.codec.simd);
  if (args.html !== undefined) writeFileSync(args.html, await page(setup, pictures, results, summary));
  if (args.json) {
    const images = results.map(({ name, passed: { packet, features, ...figures }, pictures: others }) => ({
      name,
      bytes: packet.length,
      ...figures,
      features: features.dims,
      pictures: others,
    }));
    console.log(JSON.stringify({ ...setup, images, skipped, summary }));
  } else {
    const lines = report(setup, results, summary);
    if (args.html !== undefined) lines.push("", `report: ${args.html}`);
    console.log(lines.join("\n"));
  }
  if (!summary.exact) process.exitCode = 1;
}

program(main);

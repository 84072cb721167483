import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { bar, command, readLinks, whole } from "./command.js";
import { listImages, loadImage, type Picture } from "./images.js";
import { machine } from "./machine.js";
import { type ImageResult, type PictureResult, Pipeline, POINTS, type Quality } from "./pipeline.js";
import { reportPage } from "./report/page.js";
import { report } from "./report/text.js";
import { equalTop1, summarize } from "./summary.js";

const HELP = `npm start -- [options]

From photograph to label: an encoder network, a packet, a decoder network and the rest of MobileNetV2, beside JPEG and WebP.

  --images DIR     PNG, JPEG and WebP images of this folder (default: the bundled photographs)
  --point NAME     low, mid or high: fewer bytes, or more labels right (default mid)
  --html FILE      also write a report that needs no other file
  --links FILE     link profiles to reckon with (default: tables/links.ts)
  --threads N      threads of each network and of sharp (default 1)
  --json           print one JSON object and nothing else
  --help`;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

async function runAll(files: readonly string[], qualities: readonly Quality[], pipeline: Pipeline, quiet: boolean) {
  const run = { pictures: [] as Picture[], results: [] as ImageResult[], skipped: [] as string[] };
  const progress = bar("photographs", files.length, quiet);
  for (const file of files) {
    progress.step(file);
    let picture: Picture;
    try {
      picture = await loadImage(file);
    } catch (error) {
      run.skipped.push(`${file}: ${(error as Error).message}`);
      continue;
    }
    run.pictures.push(picture);
    run.results.push(await pipeline.run(picture, qualities));
  }
  progress.stop();
  return run;
}

/** What `--json` says about an image: everything but the pictures and the features themselves. */
function figures({ name, original, packet, staticRows, sameBytes, pictures }: ImageResult) {
  const sizes = ({ file, ...rest }: PictureResult) => ({ ...rest, bytes: file.length });
  const { features, ...sent } = packet;
  return {
    name,
    original,
    packet: { ...sent, features: features.dims },
    staticRows,
    sameBytes: sameBytes.map(sizes).map(({ ms, ...rest }) => rest),
    pictures: pictures.map(sizes),
  };
}

const OPTIONS = {
  images: { type: "string", default: here("photos") },
  point: { type: "string", default: "mid" },
  html: { type: "string" },
  links: { type: "string" },
  threads: { type: "string", default: "1" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const threads = whole("threads", args.threads);
  if (!POINTS.includes(args.point)) throw new Error(`--point ${args.point}: one of ${POINTS.join(", ")} is wanted`);
  // Before the work, not after it.
  if (args.html !== undefined && !existsSync(dirname(args.html)))
    throw new Error(`there is no folder ${dirname(args.html)}`);
  const links = readLinks(args.links);
  const files = listImages(args.images);
  sharp.concurrency(threads);

  const equal = equalTop1(args.point);
  const pipeline = await Pipeline.open(args.point, threads);
  const { pictures, results, skipped } = await runAll(files, equal.pictures, pipeline, args.json);
  for (const line of skipped) console.error(`skipped ${line}`);
  if (results.length === 0) throw new Error(`no image in ${args.images} could be read`);

  const summary = summarize(results, equal, links);
  const setup = machine(threads, pipeline.codec.simd);
  if (args.html !== undefined) writeFileSync(args.html, await reportPage(setup, pictures, results, summary));
  if (args.json) {
    console.log(JSON.stringify({ ...setup, images: results.map(figures), skipped, summary }));
  } else {
    const lines = report(setup, results, summary);
    if (args.html !== undefined) lines.push("", `report: ${args.html}`);
    console.log(lines.join("\n"));
  }
  if (!summary.exact) process.exitCode = 1;
});

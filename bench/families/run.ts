import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, type TensorLike } from "latentwire";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { writeNpy } from "../../tables/npy.js";
import { bar, columns, command, timeOption } from "../command.js";
import { listImages, loadImage, SIDE } from "../images.js";
import { number } from "../numbers.js";
import { readLatents } from "../workloads.js";
import { FAMILIES, jobsOf } from "./jobs.js";
import { EXTRA_BYTES, measure, measurePull, type Result } from "./measure.js";

const HELP = `npm run families -- [options]

Sends the latents of four photographs through every family of entropy models, trained: networks in onnxruntime-node, bytes and time of the codec.

  --only A,B,..    only these: ${FAMILIES.join(" ")} pull
  --size w1        one latent instead, tiled from the four to about the symbols of W1 in npm run bench
  --time MS        how long each figure is measured (default 200)
  --json           print a JSON array and nothing else
  --make-latents   instead: write latents/photos.f32.npy again, from bench/photos and the encoder
  --help`;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const LATENTS = here("latents/photos.f32.npy");

/** One image after the other: CompressAI's strings, and most entropy models, want a batch of one. */
function images(): TensorLike[] {
  const { data, dims } = readLatents(LATENTS);
  const size = data.length / dims[0];
  return Array.from({ length: dims[0] }, (_, i) => ({
    type: "float32",
    dims: [1, ...dims.slice(1)],
    data: data.slice(i * size, (i + 1) * size),
  }));
}

/** The four images in turn as tiles of one latent of 20 x 120 x 124: 297,600 symbols, where W1 has 294,912. */
function tiled(tiles: readonly TensorLike[]): TensorLike {
  const [, channels, side] = tiles[0].dims;
  const [height, width] = [120, 124];
  const data = Float32Array.from({ length: channels * height * width }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    const tile = tiles[(2 * Math.floor(y / side) + Math.floor(x / side)) % tiles.length].data as Float32Array;
    return tile[(c * side + (y % side)) * side + (x % side)];
  });
  return { type: "float32", dims: [1, channels, height, width], data };
}

async function makeLatents(): Promise<void> {
  const encoder = await open(new Uint8Array(readFileSync(here("../model/points/mid/encoder.onnx"))));
  const latents: Tensor[] = [];
  for (const file of listImages(here("../photos"))) {
    const { planes } = await loadImage(file);
    const { latent } = await encoder.run({ image: new Tensor("float32", planes, [1, 3, SIDE, SIDE]) });
    latents.push(latent as Tensor);
  }
  const data = Float32Array.from(latents.flatMap(({ data }) => [...(data as Float32Array)]));
  writeFileSync(LATENTS, writeNpy("float32", [latents.length, ...latents[0].dims.slice(1)], data));
}

const open = (model: Uint8Array) => InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });

async function results(wanted: readonly string[], size: string | undefined, timeMs: number, quiet: boolean) {
  const codec = await create();
  const latents = size === undefined ? images() : [tiled(images())];
  const found: Result[] = [];
  const progress = bar("families", wanted.length, quiet);
  for (const family of wanted) {
    progress.step(family);
    if (family === "pull") {
      found.push(await measurePull(codec, timeMs));
      continue;
    }
    const jobs = await jobsOf(family, codec, open);
    // Levels of one family are one line, other ways to make its rows another.
    for (const name of new Set(jobs.map((job) => job.family))) {
      const same = jobs.filter((job) => job.family === name);
      found.push(await measure(codec, same, latents, timeMs));
    }
  }
  progress.stop();
  return found;
}

function table(found: readonly Result[]): string[] {
  const head = ["family", "parts", "symbols", "ideal", "bytes", "over", "strings", "encode ns", "decode ns", "exact"];
  const rows = found.map((result) => {
    const { bytes, idealBytes, stringsBytes } = result;
    return [
      result.family,
      number(result.parts),
      number(result.symbols),
      number(idealBytes, 1),
      number(bytes, 1),
      `${number(bytes - idealBytes, 1)} (${number((100 * (bytes - idealBytes)) / idealBytes, 2)} %)`,
      stringsBytes === undefined ? "" : number(stringsBytes, 1),
      number(result.encodeNsPerSymbol, 2),
      number(result.decodeNsPerSymbol, 2),
      result.roundTrip ? "yes" : "NO",
    ];
  });
  return columns(head, rows);
}

function notes(found: readonly Result[]): string[] {
  const pulled = found.find(({ garbageBytesPerPixel }) => garbageBytesPerPixel !== undefined);
  return [
    "",
    "Means of a packet (of gain units also over their levels); ns: the codec's time per symbol, all parts, without networks.",
    "strings: the same as CompressAI's list of strings, together.",
    ...(pulled ? [`The pull leaves ${number(pulled.garbageBytesPerPixel!, 1)} bytes of garbage per pixel.`] : []),
  ];
}

/** What went wrong, in words. */
function failures(found: readonly Result[]): string[] {
  return found.flatMap(({ family, roundTrip, worstExtraBytes }) => [
    ...(roundTrip ? [] : [`${family}: a round trip is not exact`]),
    ...(worstExtraBytes <= EXTRA_BYTES
      ? []
      : [
          `${family}: a packet has ${number(worstExtraBytes, 1)} bytes beyond 0.3 % over its ideal, ${EXTRA_BYTES} are allowed`,
        ]),
  ]);
}

const OPTIONS = {
  only: { type: "string" },
  size: { type: "string" },
  time: { type: "string", default: "200" },
  json: { type: "boolean", default: false },
  "make-latents": { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  if (args["make-latents"]) return makeLatents();
  const all = [...FAMILIES, "pull"];
  const wanted = args.only?.split(",").map((name) => name.trim()) ?? all;
  for (const name of wanted) if (!all.includes(name)) throw new Error(`--only ${name}: choose from ${all.join(" ")}`);
  if (args.size !== undefined && args.size !== "w1") throw new Error(`--size ${args.size}: choose from w1`);
  const found = await results(wanted, args.size, timeOption(args.time), args.json);
  if (args.json) console.log(JSON.stringify(found, undefined, 1));
  else console.log([...table(found), ...notes(found)].join("\n"));
  for (const line of failures(found)) {
    console.error(line);
    process.exitCode = 1;
  }
});

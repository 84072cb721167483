import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { TensorLike } from "latentwire";
import { create } from "latentwire";
import { InferenceSession } from "onnxruntime-node";
import { stockScales } from "../../bindings/cdfs.js";
import { readNpy } from "../npy.js";
import { number } from "../numbers.js";
import { bar, columns, program } from "../terminal.js";
import { chart } from "./chart.js";
import { FAMILIES, factorizedPrior, jobsOf } from "./jobs.js";
import { EXTRA_BYTES, measure, measureSingle, type Result } from "./measure.js";
import { measurePull } from "./pull.js";
import { measureW1, printW1 } from "./w1.js";

const HELP = `npm run families -- [options]

Sends the latents of four photographs through every family of entropy models, trained: networks in onnxruntime-node, bytes and time of the codec.

  --only A,B,..    only these: ${FAMILIES.join(" ")} pull
  --size w1        instead: made-up latents of W1's size, the codec alone, beside codec.encode and codec.decode
  --time MS        how long each figure is measured (default 200)
  --svg FILE       also draw the bytes
  --json           print a JSON array and nothing else
  --help`;

/** One image after the other: CompressAI's strings, and most entropy models, want a batch of one. */
function images(): TensorLike[] {
  const { data, dims } = readNpy(fileURLToPath(new URL("latents/photos.f32.npy", import.meta.url)));
  const size = data.length / dims[0];
  return Array.from({ length: dims[0] }, (_, i) => ({
    type: "float32",
    dims: [1, ...dims.slice(1)],
    data: data.slice(i * size, (i + 1) * size),
  }));
}

const open = (model: Uint8Array) => InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });

async function results(wanted: readonly string[], timeMs: number, quiet: boolean): Promise<Result[]> {
  const codec = await create();
  const latents = images();
  const found: Result[] = [];
  const progress = bar("families", wanted.length, quiet);
  for (const family of wanted) {
    progress.step(family);
    if (family === "pull") {
      found.push(measurePull(codec, stockScales));
      continue;
    }
    const jobs = await jobsOf(family, codec, open);
    // Levels of one family are one line, other ways to make its rows another.
    for (const name of new Set(jobs.map((job) => job.family))) {
      const same = jobs.filter((job) => job.family === name);
      found.push(await measure(codec, same, latents, stockScales, timeMs));
    }
    if (family === "factorized") found.push(await measureSingle(codec, factorizedPrior(codec), latents, timeMs));
  }
  progress.stop();
  return found;
}

async function runW1(wanted: readonly string[], timeMs: number, json: boolean): Promise<void> {
  const families = wanted.filter((family) => family !== "pull");
  const progress = bar("families", families.length, json);
  const figures = await measureW1(await create(), families, timeMs, (family) => progress.step(family));
  progress.stop();
  console.log(json ? JSON.stringify(figures, undefined, 1) : printW1(figures).join("\n"));
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
    "Means of a packet, of four photographs (and of the levels of gain units); ns: the codec's time per symbol, all parts, without networks.",
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

program(async () => {
  const { values: args } = parseArgs({
    options: {
      only: { type: "string" },
      size: { type: "string" },
      time: { type: "string", default: "200" },
      svg: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const all = [...FAMILIES, "pull"];
  const wanted = args.only?.split(",").map((name) => name.trim()) ?? all;
  for (const name of wanted) if (!all.includes(name)) throw new Error(`--only ${name}: choose from ${all.join(" ")}`);
  const timeMs = Number(args.time);
  if (!(timeMs > 0)) throw new Error(`--time ${args.time}: milliseconds are wanted`);

  if (args.size === "w1") return runW1(wanted, timeMs, args.json);
  if (args.size !== undefined) throw new Error(`--size ${args.size}: choose from w1`);
  const found = await results(wanted, timeMs, args.json);
  if (args.json) console.log(JSON.stringify(found, undefined, 1));
  else console.log([...table(found), ...notes(found)].join("\n"));
  if (args.svg !== undefined) writeFileSync(args.svg, chart(found));
  for (const line of failures(found)) {
    console.error(line);
    process.exitCode = 1;
  }
});

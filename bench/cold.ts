import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { create } from "latentwire";
import { findChromium, inChromium } from "./cold/browser.js";
import type { Op, Steps } from "./cold/steps.js";
import { packageVersion } from "./machine.js";
import { median } from "./numbers.js";
import { bar, columns, program } from "./terminal.js";
import { w2 } from "./workloads.js";

const HELP = `npm run bench:cold -- [options]

What the first W2 packet costs in a fresh Node process and in a fresh Chromium (CHROMIUM names another one).

  --times N   fresh processes per figure (default 31); a third as many browsers
  --json      print one JSON object and nothing else
  --help`;

const NAMES = ["load", "create", "table", "first", "second"] as const;

interface ColdFigure {
  readonly where: string;
  readonly op: Op;
  readonly times: number;
  /** Medians, in milliseconds. */
  readonly ms: Steps;
}

/** Inputs and compiled scripts. Inside the repository, where `latentwire` is found by its name. */
async function prepare(): Promise<string> {
  const cache = fileURLToPath(new URL("../.cache", import.meta.url));
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "cold-"));
  const codec = await create();
  const workload = w2(codec);
  const { latent, dims } = workload.items[0];
  const data = latent.data as Float32Array;
  writeFileSync(join(folder, "table"), workload.table.bytes());
  writeFileSync(join(folder, "packet"), codec.encode(latent, workload.prior(codec)));
  writeFileSync(join(folder, "latent"), new Uint8Array(data.buffer));
  writeFileSync(join(folder, "dims"), JSON.stringify(dims));
  const source = fileURLToPath(new URL("cold", import.meta.url));
  const script = { bundle: true, format: "esm", target: "es2022", outdir: folder } as const;
  await build({ ...script, entryPoints: [join(source, "process.ts")], platform: "node", external: ["latentwire"] });
  await build({ ...script, entryPoints: [join(source, "page.ts")] });
  const stdin = { contents: 'export * from "latentwire"', resolveDir: source };
  await build({ ...script, stdin, outdir: undefined, outfile: join(folder, "latentwire.js"), minify: true });
  return folder;
}

function medians(where: string, op: Op, all: readonly Steps[]): ColdFigure {
  const of = (name: keyof Steps) => median(all.map((one) => one[name]));
  const [load, created, table, first, second] = NAMES.map(of);
  return { where, op, times: all.length, ms: { load, create: created, table, first, second } };
}

async function run(): Promise<void> {
  const { values: args } = parseArgs({
    options: {
      times: { type: "string", default: "31" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const times = Number(args.times);
  if (!(times >= 1)) throw new Error(`--times ${args.times}: a number from 1 is wanted`);
  const folder = await prepare();
  const chromium = findChromium();
  const figures: ColdFigure[] = [];
  const progress = bar("starting", chromium ? 4 : 2, args.json);
  try {
    for (const op of ["decode", "encode"] as const) {
      progress.step(`Node, ${op}`);
      const child = () =>
        execFileSync(process.execPath, [join(folder, "process.js"), op, folder], { encoding: "utf8" });
      figures.push(
        medians(
          `Node ${process.version}`,
          op,
          Array.from({ length: times }, () => JSON.parse(child())),
        ),
      );
    }
    for (const op of chromium ? (["decode", "encode"] as const) : []) {
      progress.step(`Chromium, ${op}`);
      const browsers = Math.ceil(times / 3);
      figures.push(medians("Chromium", op, await inChromium(chromium as string, folder, op, browsers)));
    }
  } finally {
    progress.stop();
    rmSync(folder, { recursive: true });
  }
  if (args.json) return console.log(JSON.stringify({ node: process.version, version: packageVersion(), figures }));
  const head = ["first W2 packet, ms", "op", ...NAMES.slice(0, 4), "all", "second", "runs"];
  const rows = figures.map(({ where, op, ms, times: runs }) => {
    const all = ms.load + ms.create + ms.table + ms.first;
    const cells = [ms.load, ms.create, ms.table, ms.first, all, ms.second];
    return [where, op, ...cells.map((value) => value.toFixed(2)), String(runs)];
  });
  console.log(columns(head, rows, 2).join("\n"));
  if (!chromium) console.log("Chromium is left out: none found (CHROMIUM names one)");
}

program(run);

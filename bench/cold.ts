import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { create } from "latentwire";
import { chromium } from "playwright-core";
import { executablePath } from "../test/chromium.js";
import type { Op, Steps } from "./cold-first.js";
import { bar, columns, command, whole } from "./command.js";
import { packageVersion } from "./machine.js";
import { median } from "./numbers.js";
import { w2 } from "./workloads.js";

const HELP = `npm run bench:cold -- [options]

What the first W2 packet costs in a fresh Node process and in a fresh Chromium (CHROMIUM names another one).

  --times N   fresh processes per figure (default 31); a third as many browsers
  --json      print one JSON object and nothing else
  --help`;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Inputs and compiled scripts. Inside the repository, where `latentwire` is found by its name. */
async function prepare(): Promise<string> {
  mkdirSync(here("../.cache"), { recursive: true });
  const folder = mkdtempSync(here("../.cache/cold-"));
  const codec = await create();
  const workload = w2(codec);
  const [{ latent }] = workload.items;
  writeFileSync(join(folder, "table"), workload.table.bytes());
  writeFileSync(join(folder, "packet"), codec.encode(latent, workload.prior(codec)));
  writeFileSync(join(folder, "latent"), new Uint8Array(latent.data.buffer));
  writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/first.js"></script>');
  const script = { bundle: true, format: "esm", target: "es2022" } as const;
  const first = { ...script, entryPoints: [here("cold-first.ts")], external: ["latentwire", "node:*"] };
  await build({ ...first, outfile: join(folder, "first.js") });
  const stdin = { contents: 'export * from "latentwire"', resolveDir: here(".") };
  await build({ ...script, stdin, outfile: join(folder, "latentwire.js"), minify: true });
  return folder;
}

async function inNode(folder: string, op: Op, times: number): Promise<Steps[]> {
  const run = () => execFileSync(process.execPath, [join(folder, "first.js"), op, folder], { encoding: "utf8" });
  return Array.from({ length: times }, () => JSON.parse(run()));
}

/** A new browser each time: a page in an old one finds V8 warm and the module compiled. */
async function inChromium(folder: string, op: Op, times: number): Promise<Steps[]> {
  const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };
  const server = createServer((request, response) => {
    const file = join(folder, new URL(request.url ?? "/", "http://127.0.0.1").pathname.slice(1) || "index.html");
    // Isolation makes performance.now() good to 5 microseconds instead of 100.
    response.setHeader("Content-Type", types[extname(file)] ?? "text/plain");
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.end(existsSync(file) ? readFileSync(file) : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/?${op}`;
  const all: Steps[] = [];
  while (all.length < times) {
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const page = await browser.newPage();
      await page.goto(url, { waitUntil: "load" });
      all.push(await page.evaluate(() => (globalThis as unknown as { steps: Promise<Steps> }).steps));
    } finally {
      await browser.close();
    }
  }
  return all;
}

const OPTIONS = {
  times: { type: "string", default: "31" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const times = whole("times", args.times);
  const folder = await prepare();
  const places: { where: string; run: typeof inChromium; times: number }[] = [
    { where: `Node ${process.version}`, run: inNode, times },
  ];
  if (executablePath) places.push({ where: "Chromium", run: inChromium, times: Math.ceil(times / 3) });
  const progress = bar("starting", 2 * places.length, args.json);
  const figures = [];
  try {
    for (const { where, run, times } of places)
      for (const op of ["decode", "encode"] as const) {
        progress.step(`${where}, ${op}`);
        const all = await run(folder, op, times);
        const names = Object.keys(all[0]) as (keyof Steps)[];
        const ms = Object.fromEntries(names.map((name) => [name, median(all.map((one) => one[name]))])) as Steps;
        figures.push({ where, op, times, ms });
      }
  } finally {
    progress.stop();
    rmSync(folder, { recursive: true });
  }
  if (args.json) return console.log(JSON.stringify({ node: process.version, version: packageVersion(), figures }));
  const head = ["first W2 packet, ms", "op", "load", "create", "table", "first", "all", "second", "runs"];
  const rows = figures.map(({ where, op, ms, times: runs }) => {
    const all = ms.load + ms.create + ms.table + ms.first;
    const cells = [ms.load, ms.create, ms.table, ms.first, all, ms.second];
    return [where, op, ...cells.map((value) => value.toFixed(2)), String(runs)];
  });
  console.log(columns(head, rows, 2).join("\n"));
  if (!executablePath) console.log("Chromium is left out: none found (CHROMIUM names one)");
});

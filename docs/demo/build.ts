/** `npm run demo`: builds the page into docs/demo/site, a folder for any static host, and serves it here. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { RUNTIME, type Served, serveFiles } from "../../bench/browser/files.js";
import { command, whole } from "../../bench/command.js";
import { number, percent } from "../../bench/numbers.js";
import { SPLIT } from "../../bench/pipeline.js";
import { equalTop1 } from "../../bench/summary.js";
import { STYLE } from "../../tables/html.js";
import { LINKS } from "../../tables/links.js";
import type { PointSetup, Setup } from "./setup.js";

const root = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** From the most bytes to the fewest. */
const TRAINED = [
  { name: "high", bundles: ["context-default"] },
  { name: "mid", bundles: ["context-default"] },
  { name: "low", bundles: ["context-default", "context-default-step1.25"] },
];

/** Writes all files of the page into `out`; what was there is removed. */
export async function buildDemo(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const write = (name: string, data: string | Uint8Array) => {
    mkdirSync(dirname(join(out, name)), { recursive: true });
    writeFileSync(join(out, name), data);
  };
  const copy = (from: string, name: string) => {
    write(name, readFileSync(root(from)));
    return name;
  };

  // As a user cuts a network: `latentwire split`.
  const halves = mkdtempSync(join(tmpdir(), "latentwire-demo-"));
  const split = ["split", root("bench/backbone/backbone.onnx"), "--at", SPLIT, "-o", halves];
  execFileSync(process.execPath, [root("dist/tables/cli.js"), ...split], { stdio: ["ignore", "ignore", "inherit"] });
  write("networks/head.onnx", readFileSync(join(halves, "client/head.onnx")));
  write("networks/tail.onnx", readFileSync(join(halves, "server/tail.onnx")));
  rmSync(halves, { recursive: true });
  const untrained: PointSetup = {
    name: "untrained",
    label: "MobileNetV2 itself, cut in two: nothing was trained for it",
    encoder: "networks/head.onnx",
    bundles: ["step1.5", "step2"].map((step) =>
      copy(`bench/backbone/cuts/${SPLIT}-${step}.lwb`, `networks/untrained/${step}.lwb`),
    ),
  };
  const trained = TRAINED.map(({ name, bundles }): PointSetup => {
    const { top1, count } = equalTop1(name);
    const file = (file: string) => copy(`bench/model/points/${name}/${file}`, `networks/${name}/${file}`);
    return {
      name,
      label: `networks trained for this: ${percent(top1, 0)} of ${number(count)} test images named correctly`,
      encoder: file("encoder.onnx"),
      decoder: file("decoder.onnx"),
      bundles: bundles.map((bundle) => file(`${bundle}.lwb`)),
    };
  });
  const attribution = readFileSync(root("bench/photos/ATTRIBUTION.md"), "utf8");
  const credits = [...attribution.matchAll(/^\| `(.+?)` \| (.+?) \| (.+?) \|$/gm)];
  const setup: Setup = {
    points: [untrained, ...trained],
    first: "mid",
    head: "networks/head.onnx",
    tail: "networks/tail.onnx",
    labels: copy("bench/backbone/labels.txt", "networks/labels.txt"),
    photos: credits
      .map(([, file, name, credit]) => ({ url: copy(`bench/photos/${file}`, `photos/${file}`), name, credit }))
      .sort((a, b) => Number(b.url.includes("coffee")) - Number(a.url.includes("coffee"))),
    links: LINKS,
  };
  write("setup.json", JSON.stringify(setup));
  copy("bench/backbone/LICENSE", "networks/LICENSE");
  for (const name of RUNTIME) copy(`node_modules/onnxruntime-web/dist/${name}`, `ort/${name}`);
  write("style.css", STYLE + readFileSync(here("style.css"), "utf8"));
  cpSync(here("index.html"), join(out, "index.html"));

  const bundle = (names: string[], define: Record<string, string> = {}) =>
    build({
      entryPoints: names.map((name) => here(`${name}.ts`)),
      bundle: true,
      minify: true,
      outdir: out,
      format: "esm",
      target: "es2022",
      legalComments: "none",
      logLevel: "error",
      define,
    });
  await bundle(["page", "receiver"]);
  const files = listFiles(out);
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(out, file)));
  await bundle(["offline"], {
    VERSION: JSON.stringify(hash.digest("hex").slice(0, 16)),
    FILES: JSON.stringify(files),
  });
}

const listFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();

/** Serves a built page on 127.0.0.1, compressed as static hosts do it. `sent` counts the bytes of the bodies. */
export async function serveDemo(folder: string, port = 0) {
  const files = new Map<string, Served>(
    listFiles(folder).map((file) => {
      const body = readFileSync(join(folder, file));
      const path = `/${file.replace(/^index\.html$/, "")}`;
      // Both ends load the runtime: the second one takes it from the browser's cache.
      const age = /^\/(ort|networks|photos)\//.test(path) ? "max-age=3600" : "no-cache";
      const headers = { "cache-control": age };
      if (extname(file) === ".png") return [path, { body, headers }];
      return [path, { body: gzipSync(body), headers: { ...headers, "content-encoding": "gzip" } }];
    }),
  );
  const sent = { bytes: 0 };
  const served = await serveFiles((path) => {
    const found = files.get(path);
    sent.bytes += found?.body.length ?? 0;
    return found;
  }, port);
  return { ...served, sent };
}

const HELP = `npm run demo -- [options]

Builds the page into a folder, which any static host can serve, and serves it on this machine.

  --out DIR        (default docs/demo/site)
  --build          build it and do not serve it
  --port N         (default 8080)
  --help`;

const OPTIONS = {
  out: { type: "string", default: here("site") },
  build: { type: "boolean", default: false },
  port: { type: "string", default: "8080" },
} as const;

if (process.argv[1] === fileURLToPath(import.meta.url))
  command(HELP, OPTIONS, async ({ out, build, port }) => {
    await buildDemo(out);
    if (build) return console.log(`built ${relative(process.cwd(), out)}`);
    const { url } = await serveDemo(out, whole("port", port));
    console.log(`open ${url} (Ctrl-C ends)`);
  });

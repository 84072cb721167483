/** The server of `bench:browser`: the page, and the files that it asks for. */
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { page } from "../../tables/html.js";
import { subgraph } from "../backbone/subgraph.js";
import { listImages } from "../images.js";
import { backboneFiles, pointFolders } from "../offload/networks.js";
import { SPLIT } from "../pipeline.js";
import type { BrowserSetup } from "./compare.js";
import { RUNTIME, serveFiles } from "./files.js";

export interface Sources {
  readonly images: string;
  readonly model: string;
  /** Left out: the bundled one. */
  readonly backbone?: string;
  readonly limit: number;
}

const POINT_FILES = ["encoder.onnx", "decoder.onnx", "tables.json"];

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const html = page(
  "latentwire in this browser",
  `<p class="brand">latentwire</p>
<h1>What this browser would send for a photograph, and how long it takes</h1>
<p>The comparison of <code>npm run bench:offload</code>, run here: packets of a split network beside the browser's own JPEG and WebP.</p>
<p id="doing" class="soft" role="status">Loading the networks …</p><div id="report"></div><script type="module" src="/main.js"></script>`,
);

async function script(): Promise<Uint8Array> {
  const built = await build({
    entryPoints: [here("main.ts")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    logLevel: "silent",
  });
  return built.outputFiles[0].contents;
}

/** Serves the page on 127.0.0.1; only the files that are listed here can be asked for. */
export async function serveBrowser(sources: Sources, port = 0): Promise<{ server: Server; url: string }> {
  const files = new Map<string, string | (() => string | Uint8Array)>();
  const folder = (url: string, place: string, names: readonly string[]) => {
    for (const name of names) files.set(`${url}/${name}`, join(place, name));
  };
  const setup: BrowserSetup = {
    images: listImages(sources.images)
      .slice(0, sources.limit)
      .map((file, i) => {
        files.set(`/images/${i}`, file);
        return { name: basename(file), url: `/images/${i}` };
      }),
    points: pointFolders(sources.model).map((place, i) => {
      folder(`/points/${i}`, place, POINT_FILES);
      return { name: basename(resolve(place)), url: `/points/${i}` };
    }),
    backbone: "/backbone",
  };
  if (sources.backbone !== undefined)
    for (const file of backboneFiles(sources.backbone)) files.set(`/backbone/${basename(file)}`, file);
  else {
    const whole = here("../backbone/backbone.onnx");
    files.set("/backbone/backbone.onnx", whole);
    files.set("/backbone/tail.onnx", () => subgraph(readFileSync(whole), SPLIT, "logits"));
  }
  folder("/ort", here("../../node_modules/onnxruntime-web/dist"), RUNTIME);
  const main = await script();
  files.set("/main.js", () => main);
  files.set("/setup.json", () => JSON.stringify(setup));
  files.set("/", () => html);

  const read = (path: string) => {
    const found = files.get(path);
    return typeof found === "function" ? found() : found === undefined ? undefined : readFileSync(found);
  };
  return serveFiles((path) => {
    try {
      const body = read(path);
      return body === undefined ? undefined : { body };
    } catch {
      // A file of the user's that went away.
      return undefined;
    }
  }, port);
}

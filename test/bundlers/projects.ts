// The table of cases: what each project installs, the files it has, and how each case builds and shows its digests.
import { readFileSync } from "node:fs";

/** A folder .cache/bundlers/NAME with node_modules of its own. */
export interface Project {
  /** Exact versions, the newest that run on Node 20. */
  tools?: Record<string, string>;
  /** More fields of package.json. */
  manifest?: object;
  /** More files, or other ones in place of the common ones. */
  files?: Record<string, string>;
}

export interface Case {
  name: string;
  project: string;
  /** A shell command. Cases with the same command share one build. */
  build?: string;
  /** A page that has `trial`: a folder in the project's, or a path of what `serve` serves. */
  page?: string;
  /** A page that has the digests in a `pre`, or an answer that is them: where, as in `page`. */
  text?: string;
  /** A shell command that prints the digests. */
  prints?: string;
  /** A shell command that serves `page` and `text`, on the port PORT. Default: a file server. */
  serve?: string;
  /** The digests that must come. */
  wanted?: string[];
  /** The builds `scalar` and `javascript` come with the page, not in files that are loaded when asked for. */
  inlined?: boolean;
}

export const all = ["simd", "pool", "scalar", "javascript"];

// ---- files

const imports = (program = "./program.js") => `import { createPool } from "latentwire/pool";
import { first, later } from "${program}";
`;
const trial = (worker = "undefined") => `globalThis.trial = { first: () => first(createPool, ${worker}), later };\n`;
const digests = "JSON.stringify({ ...(await first(createPool)), ...(await later()) })";

/** Files of every project. Its package.json has no `type`, as `npm init` makes it. */
export const common = {
  "index.html": '<!doctype html><title>latentwire</title><script type="module" src="./page.js"></script>\n',
  "page.js": imports() + trial(),
  "node.js": `${imports()}(async () => console.log("digests:", ${digests}))();\n`,
  "codec.test.js": `${imports()}test("latentwire", async () => console.log("digests:", ${digests}));\n`,
};

const manual = readFileSync(new URL("../../docs/bundlers.md", import.meta.url), "utf8");
const [, importMap] = /## Without a bundler\n\n```json\n(.*?)```/s.exec(manual)!;
const importMapPage = `<!doctype html><title>latentwire</title>
<script type="importmap">${importMap}</script>
<script type="module" src="./page.js"></script>
`;

const codecPage = `import { first, later } from "./program.js";
globalThis.trial = { first: () => first(), later };
`;

// The worker in a file, for pages whose Content-Security-Policy allows no `blob:`.
const webpackStrict = { "strict.js": imports() + trial('new URL("latentwire/pool-worker", import.meta.url)') };
const viteStrict = {
  "strict.js": `import PoolWorker from "latentwire/pool-worker?worker";\n${imports()}${trial("() => new PoolWorker()")}`,
  "strict.html": common["index.html"].replace("page.js", "strict.js"),
  "strict.config.mjs":
    'export default { build: { rollupOptions: { input: "strict.html" }, outDir: "dist/strict" } };\n',
};

const astroPage = `---
${imports("../../program.js")}const digests = ${digests};
---
<html><body><pre>{digests}</pre><script src="../../page.js"></script></body></html>
`;

const nextFiles = {
  "next.config.mjs": `export default {
  distDir: process.env.DIST,
  // This folder lies inside another project.
  turbopack: { root: import.meta.dirname },
  outputFileTracingRoot: import.meta.dirname,
};
`,
  "app/layout.jsx": "export default ({ children }) => <html><body>{children}</body></html>;\n",
  "app/page.jsx": `"use client";
import { useEffect } from "react";
${imports("../program.js")}
export default function Page() {
  useEffect(() => {
    ${trial()}  }, []);
}
`,
  "app/server/page.jsx": `${imports("../../program.js")}
export const dynamic = "force-dynamic";
export default async () => <pre>{${digests}}</pre>;
`,
  "app/route/route.js": `${imports("../../program.js")}
export const dynamic = "force-dynamic";
export const GET = async () => new Response(${digests});
`,
  "app/edge/route.js": `import { first, later } from "../../program.js";
export const runtime = "edge";
// A host at the edge forbids to compile WebAssembly from bytes. "next start" does not.
WebAssembly.compile = WebAssembly.Module = undefined;
export const GET = async () => Response.json({ ...(await first()), ...(await later(["javascript"])) });
`,
};

// ---- projects and cases

export const projects: Record<string, Project> = {
  next: { tools: { next: "16.4.6", react: "19.3.1", "react-dom": "19.3.1" }, files: nextFiles },
  parcel: { tools: { parcel: "2.16.4" }, manifest: { "@parcel/resolver-default": { packageExports: true } } },
  "parcel-main": { tools: { parcel: "2.16.4" }, files: { "page.js": codecPage } },
  webpack: { tools: { webpack: "5.113.0", "webpack-cli": "6.0.1" }, files: webpackStrict },
  astro: { tools: { astro: "5.18.2" }, files: { "src/pages/index.astro": astroPage } },
  jest: { tools: { jest: "30.5.2" }, manifest: { type: "module" } },
  "jest-commonjs": {
    tools: { jest: "30.5.2", "@babel/preset-env": "7.29.14" },
    manifest: { jest: { transformIgnorePatterns: ["/node_modules/(?!latentwire/)"] } },
    files: {
      "babel.config.js": 'module.exports = { presets: [["@babel/preset-env", { targets: { node: "current" } }]] };\n',
    },
  },
  vitest: { tools: { vitest: "4.1.12" } },
  vite: { tools: { vite: "8.3.8" }, files: viteStrict },
  rollup: { tools: { rollup: "4.68.8", "@rollup/plugin-node-resolve": "16.0.3" } },
  esbuild: { tools: { esbuild: "0.28.2" } },
  browser: { files: { "index.html": importMapPage } },
};

const next = (dist: string, flags = "") => ({
  project: "next",
  build: `DIST=dist/${dist} next build ${flags}`,
  serve: `DIST=dist/${dist} next start -p $PORT`,
});
const turbopack = next("turbopack");
const nextWebpack = next("webpack", "--webpack");
// Neither threads nor compiling at the edge.
const edge = ["simd", "javascript"];
const codecOnly = ["simd", "scalar", "javascript"];
const parcel = "parcel build index.html --no-cache --public-url ./";
const esbuild = (entry: string, format: string, more = "") =>
  `esbuild ${entry} --bundle --minify --format=${format} --outdir=dist/${format} ${more}`;
const webpack = (entry: string, target: string, folder = target) =>
  `webpack ./${entry} --mode production --target ${target} -o dist/${folder} --output-filename page.js`;

// Shell commands of some length have a name, to keep a case on a line.
const astro = "astro build --base /astro/dist";
const strictWebpack = webpack("strict.js", "web", "strict");
const strictVite = "vite build --base ./ --config strict.config.mjs";
const rollup = "rollup page.js -p node-resolve -d dist";
const [toCjs, toNode] = [esbuild("node.js", "cjs", "--platform=node"), webpack("node.js", "node")];

export const cases: Case[] = [
  { name: "next, Turbopack: client component", ...turbopack, page: "" },
  { name: "next, Turbopack: server component", ...turbopack, text: "server" },
  { name: "next, Turbopack: route handler", ...turbopack, text: "route" },
  { name: "next, Turbopack: edge route", ...turbopack, text: "edge", wanted: edge },
  { name: "next, webpack: client component", ...nextWebpack, page: "" },
  { name: "next, webpack: server component", ...nextWebpack, text: "server" },
  { name: "next, webpack: route handler", ...nextWebpack, text: "route" },
  { name: "next, webpack: edge route", ...nextWebpack, text: "edge", wanted: edge },
  { name: "parcel", project: "parcel", build: parcel, page: "dist/" },
  { name: "parcel without packageExports", project: "parcel-main", build: parcel, page: "dist/", wanted: codecOnly },
  { name: "webpack, target web", project: "webpack", build: webpack("page.js", "web"), page: "dist/web/" },
  { name: "webpack, worker in a file", project: "webpack", build: strictWebpack, page: "dist/strict/?policy" },
  { name: "webpack, target node", project: "webpack", build: toNode, prints: "node dist/node/page.js" },
  { name: "astro: page", project: "astro", build: astro, page: "dist/" },
  { name: "astro: frontmatter", project: "astro", build: astro, text: "dist/" },
  { name: "jest, ES modules", project: "jest", prints: "NODE_OPTIONS=--experimental-vm-modules jest" },
  { name: "jest, CommonJS through babel", project: "jest-commonjs", prints: "jest" },
  { name: "vitest", project: "vitest", prints: "vitest run --globals" },
  { name: "vite", project: "vite", build: "vite build --base ./", page: "dist/" },
  { name: "vite, worker in a file", project: "vite", build: strictVite, page: "dist/strict/strict.html?policy" },
  { name: "rollup", project: "rollup", build: rollup, page: "dist/" },
  { name: "esbuild esm", project: "esbuild", build: esbuild("page.js", "esm", "--splitting"), page: "dist/esm/" },
  { name: "esbuild iife", project: "esbuild", build: esbuild("page.js", "iife"), page: "dist/iife/", inlined: true },
  { name: "esbuild cjs", project: "esbuild", build: toCjs, prints: "node dist/cjs/node.js" },
  { name: "import map, no bundler", project: "browser", page: "" },
];

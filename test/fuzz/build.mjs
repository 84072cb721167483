// Builds the fuzzer into .cache/fuzz, or into the folder that is named: run.mjs, which `npm run fuzz` starts; plain.mjs with the library as it is; and
// covered.mjs with its plain JavaScript build and counters in every block. The three need Node and a checkout of the repository, nothing else.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";
import { COUNTERS, instrument } from "./instrument.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = resolve(process.argv[2] ?? join(root, ".cache/fuzz"));
mkdirSync(folder, { recursive: true });

/** What the package exports, by name: its files in dist/. */
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const inPackage = (name) => {
  const found = exports[name.replace(/^latentwire/, ".")];
  return join(root, found.default ?? found);
};

/** Not counted: data, and texts. */
const DATA = /\/(abi|simd|scalar|pool-source|gaussian64|errors)\.js$/;

/** Files of the library are those in dist/, whoever imports them; each knows where it lies in the repository. */
function libraryPlugin(counted) {
  let blocks = 0;
  const plugin = {
    name: "latentwire",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^latentwire(\/|$)/ }, ({ path }) => ({ path: inPackage(path) }));
      // The program of a pool's worker is in dist/ as one minified file.
      onResolve({ filter: /\/pool-worker\.js$/ }, () => ({ path: join(root, "bindings/pool-worker.ts") }));
      onResolve({ filter: /^\.\/[\w-]+\.js$/ }, ({ path, importer }) =>
        importer.endsWith("pool-worker.ts") ? { path: join(root, "dist/bindings", path) } : undefined,
      );
      onResolve({ filter: /\/(tables|bindings)\/[\w-]+\.js$/ }, ({ path, resolveDir }) => ({
        path: join(root, "dist", relative(root, join(resolveDir, path))).replace("/dist/dist/", "/dist/"),
      }));
      onLoad({ filter: /\.(js|ts)$/ }, ({ path }) => {
        const name = relative(root, path).replaceAll("\\", "/");
        if (name.startsWith("node_modules/")) return undefined;
        let contents = readFileSync(path, "utf8");
        if (name === "test/fuzz/run.ts") return { contents, loader: "ts" };
        contents = contents.replaceAll(
          "import.meta.url",
          `("file://" + process.cwd() + ${JSON.stringify(`/${name}`)})`,
        );
        // The command line is called, not run.
        if (name === "dist/tables/cli.js") {
          const [last] = /^process\.exitCode = await .*$/m.exec(contents) ?? [];
          if (last === undefined) throw new Error("dist/tables/cli.js does not end as it did");
          contents = contents.replace(last, "export const run = (args) => main(args).catch(fail);");
        }
        if (counted && /^(dist|bindings)\//.test(name) && !DATA.test(name)) {
          const { text, next } = instrument(javascriptOf(contents.replace(/^#!.*/, ""), name), blocks);
          contents = text;
          blocks = next;
        }
        return { contents, loader: name.endsWith(".ts") ? "ts" : "js" };
      });
    },
  };
  return { plugin, blocks: () => blocks };
}

const javascriptOf = (text, name) => (name.endsWith(".ts") ? transformSync(text, { loader: "ts" }).code : text);

/** Bundles one program. Returns the number of its counters. */
async function bundle(name, contents, counted) {
  const { plugin, blocks } = libraryPlugin(counted);
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: dirname(fileURLToPath(import.meta.url)), loader: "ts" },
    ...{
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      write: false,
      logLevel: "error",
      ignoreAnnotations: true,
    },
    external: ["node:*", "onnxruntime-node", "sharp"],
    plugins: [plugin],
  });
  const length = 4 * Math.ceil(blocks() / 4);
  const head = counted ? `const ${COUNTERS} = (globalThis.${COUNTERS} = new Uint8Array(${length}));\n` : "";
  const end = counted ? `export const blocks = ${blocks()}, counters = ${COUNTERS};\n` : "";
  writeFileSync(join(folder, `${name}.mjs`), head + outputFiles[0].text + end);
}

const open = (options) => `export const open = (name) => openTarget(name, ${options});`;
await bundle("run", 'import "./run.js";', false);
await bundle("plain", `import { openTarget } from "./targets.js"; ${open("{}")}`, false);
await bundle(
  "covered",
  `import { openTarget } from "./targets.js"; import { javascript } from "latentwire/javascript"; ${open("{ build: javascript }")}`,
  true,
);

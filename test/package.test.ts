import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build as esbuild, transformSync } from "esbuild";
import { create } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build as vite } from "vite";
import { outcomes } from "./engines/cases.js";
import { root, scratchProject } from "./pack.js";

const project = scratchProject([
  "@types/node",
  "undici-types",
  "onnxruntime-common",
  "onnxruntime-node",
  "onnxruntime-web",
]);
const inProject = (...path: string[]) => join(project, ...path);

const fingerprint = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
let expected: string;

/** The first snippet of the README, and those in TypeScript; test/snippets.test.ts runs them all. */
const firstSnippet = /^```js\n(.*?)^```$/ms.exec(readFileSync(join(root, "README.md"), "utf8"))![1];
const typedSnippets = ["docs/families.md", "docs/pool.md", "docs/tables.md"].flatMap((file) =>
  Array.from(readFileSync(join(root, file), "utf8").matchAll(/^```ts\n(.*?)^```$/gms), (match, i) => ({
    name: `${file.replace(/\W/g, "-")}-${i + 1}`,
    code: match[1],
  })),
);

test.before(async () => {
  const codec = await create();
  expected = fingerprint(outcomes(codec));
  const cases = readFileSync(join(root, "test/engines/cases.ts"), "utf8");
  writeFileSync(inProject("cases.js"), transformSync(cases, { loader: "ts", format: "esm" }).code);
  writeFileSync(
    inProject("consumer.js"),
    `import { create } from "latentwire";
     import { splitEncoder } from "latentwire/onnx";
     import { outcomes } from "./cases.js";
     if (typeof splitEncoder !== "function") throw new Error("latentwire/onnx");
     create().then((codec) => console.log(JSON.stringify(outcomes(codec))));`,
  );
});

/** Runs a command in the project and compares what it prints with what the codec does here. */
function agrees(command: string, ...args: string[]) {
  const printed = execFileSync(command, args, { cwd: project, encoding: "utf8", maxBuffer: 1 << 26 });
  assert.is(fingerprint(JSON.parse(printed)), expected);
}

test("the tarball holds the built package, its papers and nothing else", () => {
  const folder = inProject("node_modules", "latentwire");
  const { dependencies, peerDependencies, exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  assert.is(dependencies, undefined);
  // No range takes the pre-releases of ONNX Runtime, and npm installs nothing beside a peer that it does not take.
  assert.is(peerDependencies, undefined);
  const files = execFileSync("npm", ["pack", "--dry-run", "--ignore-scripts", "--json"], {
    cwd: root,
    shell: true,
    encoding: "utf8",
  });
  for (const { path } of JSON.parse(files)[0].files)
    assert.match(
      path,
      /^(dist\/(bindings(\/families)?|tables)\/[\w-]+\.(js|d\.ts)|dist\/codec\.(scalar\.)?wasm|[A-Z]+(\.md)?|package\.json|tables\/\w+\.py)$/,
    );
  for (const target of Object.values<string | Record<string, string>>(exports))
    for (const path of typeof target === "string" ? [target] : Object.values(target)) readFileSync(join(folder, path));
});

test("Node imports every entry", () => {
  writeFileSync(
    inProject("entries.js"),
    `import { readFileSync } from "node:fs";
     import { fileURLToPath } from "node:url";
     import { create } from "latentwire";
     import "latentwire/onnx";
     import { createPool } from "latentwire/pool";
     import { loadBundle } from "latentwire/bundle";
     import "latentwire/tables/gaussian64";
     import { stockBundle } from "latentwire/tables/stock";
     const stock = await stockBundle("gaussian64");
     stock.gaussian(await create(), "gaussian_conditional", new Float32Array(9).fill(1));
     if (typeof loadBundle !== "function") throw new Error("latentwire/bundle");
     const pool = await createPool({ size: 2 });
     const prior = pool.factorized({ offsets: [0], cdfs: [[0, 65535, 65536]] });
     const packet = await pool.encode({ type: "int8", dims: [1, 1, 9], data: new Int8Array(9) }, prior);
     if ((await pool.decode(packet, prior)).data.length !== 9) throw new Error("latentwire/pool");
     await pool.close();
     for (const name of ["codec.wasm", "codec.scalar.wasm"]) {
       const module = readFileSync(fileURLToPath(import.meta.resolve("latentwire/" + name)));
       const codec = await create({ module });
       if (codec.simd !== (name === "codec.wasm")) throw new Error(name);
     }
     for (const gone of ["latentwire/full", "latentwire/codec.full.wasm"])
       await import(gone).then(() => { throw new Error(gone); }, (error) => {
         if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
       });
     JSON.parse(readFileSync(fileURLToPath(import.meta.resolve("latentwire/package.json"))));`,
  );
  execFileSync(process.execPath, ["entries.js"], { cwd: project });
  if ((process.features as { require_module?: boolean }).require_module) {
    const required = 'if (!require("latentwire").createSync().simd) throw 1';
    execFileSync(process.execPath, ["--no-warnings", "--input-type=commonjs", "-e", required], { cwd: project });
  }
  agrees(process.execPath, "consumer.js");
});

test("npx latentwire: from a checkpoint to a packet and back", () => {
  const npx = (args: string) =>
    execFileSync(`npx --no-install latentwire ${args}`, { cwd: project, shell: true, encoding: "utf8" });
  const checkpoint = join(root, "test/vectors/checkpoints/mean-scale.pth");
  assert.match(npx(`tables import "${checkpoint}" -o model.lwb`), /gaussian_conditional/);
  const z = Float32Array.from({ length: 32 }, (_, i) => (i % 5) - 2);
  writeFileSync(inProject("z.raw"), new Uint8Array(z.buffer));
  npx("encode z.raw --dims 1,2,4,4 --tables model.lwb --table entropy_bottleneck -o z.lw");
  assert.is(JSON.parse(npx("inspect z.lw --json")).elements, 32);
  npx("decode z.lw --tables model.lwb -o back.raw --raw --type int8");
  npx("encode back.raw --dims 1,2,4,4 --type int8 --tables model.lwb -o again.lw");
  assert.equal(readFileSync(inProject("again.lw")), readFileSync(inProject("z.lw")));
});

test("bundles are for browsers: no node: in them, no codec, the stock tables in a chunk of their own", async () => {
  const build = (contents: string) =>
    esbuild({
      stdin: { contents, resolveDir: project },
      bundle: true,
      minify: true,
      format: "esm",
      splitting: true,
      outdir: inProject("split"),
      write: false,
    });
  const alone = await build('export * from "latentwire/bundle"');
  assert.is(alone.outputFiles.length, 1);
  assert.ok(alone.outputFiles[0].contents.length < 12_000, `${alone.outputFiles[0].contents.length} bytes`);
  const stock = await build('export * from "latentwire/tables/stock"');
  const sizes = stock.outputFiles.map(({ contents }) => contents.length).sort((a, b) => b - a);
  assert.ok(sizes.length >= 2 && sizes[0] > 30_000 && sizes[1] < 10_000, `${sizes}`);
});

for (const format of ["esm", "iife"] as const) {
  test(`esbuild, ${format}`, async () => {
    const outfile = inProject(`esbuild.${format === "esm" ? "mjs" : "cjs"}`);
    await esbuild({ entryPoints: [inProject("consumer.js")], bundle: true, minify: true, format, outfile });
    agrees(process.execPath, outfile);
  });
}

test("esbuild leaves out what is not used", async () => {
  const sizeOf = async (contents: string) => {
    const stdin = { contents, resolveDir: project };
    const { outputFiles } = await esbuild({ stdin, bundle: true, minify: true, format: "esm", write: false });
    return outputFiles[0].contents.length;
  };
  // Views and errors need neither the codec nor its Wasm.
  const views = await sizeOf('export { channels, checkerboardHalf, permute, CodecError } from "latentwire"');
  assert.ok(views < 6000, `${views} bytes for views alone`);
  // A recipe leaves out the other recipes.
  const [one, all] = [
    await sizeOf('export { scale } from "latentwire/onnx"'),
    await sizeOf('export * from "latentwire/onnx"'),
  ];
  assert.ok(one < 0.6 * all, `${one} bytes for one recipe, ${all} for all`);
});

test("esbuild, a pool whose worker is an entry point of its own", async () => {
  writeFileSync(
    inProject("pooled.js"),
    `import { Worker } from "node:worker_threads";
     import { createPool } from "latentwire/pool";
     const pool = await createPool({ size: 1, worker: () => new Worker(new URL("./pool-worker.mjs", import.meta.url)) });
     const prior = pool.factorized({ offsets: [0], cdfs: [[0, 65535, 65536]] });
     const packet = await pool.encode({ type: "int8", dims: [1, 1, 9], data: new Int8Array(9) }, prior);
     console.log((await pool.decode(packet, prior)).data.length);`,
  );
  const shared = { bundle: true, minify: true, format: "esm" as const, outExtension: { ".js": ".mjs" } };
  const outdir = inProject("pooled");
  await esbuild({ ...shared, entryPoints: [inProject("pooled.js")], outdir, external: ["node:*"] });
  const worker = { "pool-worker": inProject("node_modules/latentwire/dist/bindings/pool-worker.js") };
  // No platform: for a browser this must build without knowing of node:.
  await esbuild({ ...shared, entryPoints: worker, outdir });
  await esbuild({
    ...shared,
    stdin: { contents: 'export * from "latentwire/pool"', resolveDir: project },
    write: false,
  });
  const printed = execFileSync(process.execPath, ["pooled.mjs"], { cwd: outdir, encoding: "utf8" });
  assert.is(printed, "9\n");
});

test("vite", async () => {
  const lib = { entry: inProject("consumer.js"), formats: ["es" as const], fileName: () => "vite.mjs" };
  await vite({ root: project, configFile: false, logLevel: "error", build: { lib, outDir: inProject("vite") } });
  agrees(process.execPath, inProject("vite", "vite.mjs"));
});

test("the workerd condition imports codec.wasm as a module and inlines none", async () => {
  const outfile = inProject("workerd.mjs");
  const wasm: string[] = [];
  await esbuild({
    entryPoints: [inProject("consumer.js")],
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    outfile,
    plugins: [
      {
        name: "wasm as workerd gives it: a compiled module",
        setup(build) {
          build.onLoad({ filter: /\.wasm$/ }, ({ path }) => {
            wasm.push(path);
            const bytes = readFileSync(path).toString("base64");
            return {
              contents: `export default new WebAssembly.Module(Buffer.from("${bytes}", "base64"))`,
              loader: "js",
            };
          });
        },
      },
    ],
  });
  assert.equal(
    wasm.map((path) => basename(path)),
    ["codec.wasm"],
  );
  assert.not.match(readFileSync(outfile, "utf8"), /(simd|scalar)Binary/i);
  agrees(process.execPath, outfile);
});

function compiles(version: string, compilerOptions: object, include: string) {
  writeFileSync(inProject("tsconfig.json"), JSON.stringify({ compilerOptions, include: [include] }));
  const tsc = join(root, "node_modules", version, "bin", "tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", project], { encoding: "utf8" });
  assert.is(status, 0, stdout);
}

for (const version of ["typescript-5.4", "typescript"]) {
  for (const moduleResolution of ["nodenext", "bundler"]) {
    test(`types: ${version}, ${moduleResolution}`, () => {
      mkdirSync(inProject("types"), { recursive: true });
      copyFileSync(join(root, "test", "consumer.ts"), inProject("types", "consumer.ts"));
      for (const { name, code } of typedSnippets)
        writeFileSync(inProject("types", `${name}.ts`), `${code}export {};\n`);
      const compilerOptions = {
        target: "es2022",
        module: moduleResolution === "bundler" ? "es2022" : "nodenext",
        moduleResolution,
        lib: ["es2022", "dom"],
        types: ["node"],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
      };
      // The declarations of Node and of the runtimes are not ours to check; those of the package are, below.
      compiles(version, { ...compilerOptions, skipLibCheck: true }, "types");
      writeFileSync(
        inProject("declarations.ts"),
        `export * from "latentwire"; export * as onnx from "latentwire/onnx"; export { createPool, type PoolPrior } from "latentwire/pool"; export * from "latentwire/tables/gaussian64"; export { loadBundle, writeBundle, type Bundle, type BundleInput } from "latentwire/bundle"; export { stockBundle } from "latentwire/tables/stock";`,
      );
      compiles(version, { ...compilerOptions, types: [] }, "declarations.ts");
      // A program for Node alone.
      compiles(version, { ...compilerOptions, lib: ["es2022"] }, "declarations.ts");
    });
  }
}

test("the first snippet of the README, in a folder with nothing else", () => {
  writeFileSync(inProject("try.mjs"), firstSnippet);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["try.mjs"], { cwd: project, encoding: "utf8" });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^9408 bytes raw, \d+ bytes packed: [\d.]+ times smaller\nexact: true\n$/);
});

test.run();

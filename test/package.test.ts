// What is published: the files of the tarball, its entries, its types, and what a bundler makes of it. test/bundlers builds whole projects with it.
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync, build as esbuild } from "esbuild";
import { create } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFull } from "./builds.js";
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

/** The first snippet of the README, and those in TypeScript; test/snippets.test.ts runs them all. */
const firstSnippet = /^```js\n(.*?)^```$/ms.exec(readFileSync(join(root, "README.md"), "utf8"))![1];
const typedSnippets = ["docs/families.md", "docs/pool.md", "docs/tables.md"].flatMap((file) =>
  Array.from(readFileSync(join(root, file), "utf8").matchAll(/^```ts\n(.*?)^```$/gms), (match, i) => ({
    name: `${file.replace(/\W/g, "-")}-${i + 1}`,
    code: match[1],
  })),
);

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
      /^(dist\/(bindings(\/families)?|tables(\/split)?)\/[\w-]+\.(js|d\.ts)|dist\/(codec|codec\.scalar|context-fit)\.wasm|[A-Z]+(\.md)?|package\.json|docs\/\w+\.(md|svg)|docs\/examples\/([\w-]+\/)?[\w.]+\.(md|js|html|json|py)|tables\/\w+\.py|tables\/hello\/[\w.]+|tables\/split\/project\/(client|server)\/[\w.]+)$/,
    );
  for (const target of Object.values<string | Record<string, string>>(exports))
    for (const path of typeof target === "string" ? [target] : Object.values(target)) readFileSync(join(folder, path));
});

test("links of the pages in the package lead to files in it, or into bench/ of the repository", () => {
  const folder = inProject("node_modules", "latentwire");
  const pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  assert.ok(pages.length > 20 && pages.includes("README.md"), `${pages}`);
  for (const page of pages) {
    const text = readFileSync(join(folder, page), "utf8").replace(/^```.*?^```|`[^`\n]+`/gms, "");
    for (const [, link] of text.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g)) {
      const target = join(folder, page, "..", link!);
      const isOutside = target.startsWith(join(folder, "bench"));
      assert.ok(existsSync(isOutside ? target.replace(folder, root) : target), `${page}: ${link}`);
    }
  }
});

test("SBOM: the package is all of itself; what builds it is pinned by hash", () => {
  interface Component {
    readonly purl: string;
    readonly hashes?: { alg: string; content: string }[];
  }
  const sbom = (args: string) => {
    const text = execFileSync(`npm run -s sbom -- ${args}`, { cwd: root, shell: true, encoding: "utf8" });
    const { bomFormat, components, metadata } = JSON.parse(text);
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    assert.equal([bomFormat, metadata.component.purl], ["CycloneDX", `pkg:npm/latentwire@${version}`]);
    return components as Component[];
  };
  assert.equal(sbom("--omit=dev"), []);
  const tools = sbom("");
  assert.ok(tools.some(({ purl }) => purl.startsWith("pkg:npm/assemblyscript@")));
  for (const { purl, hashes } of tools) assert.is(hashes?.[0]?.alg, "SHA-512", purl);
});

test("Node imports every entry", async () => {
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
  // The installed package makes the packets that this one makes.
  const entryPoints = [join(root, "test/engines/cases.ts")];
  const outfile = inProject("cases.mjs");
  buildSync({ entryPoints, outfile, bundle: true, format: "esm", external: ["latentwire"] });
  const consumer = `import { create } from "latentwire"; import { outcomes } from "./cases.mjs";
    console.log(JSON.stringify(outcomes(await create())));`;
  writeFileSync(inProject("consumer.mjs"), consumer);
  const printed = execFileSync(process.execPath, ["consumer.mjs"], { cwd: project, maxBuffer: 1 << 26 });
  assert.equal(JSON.parse(String(printed)), JSON.parse(JSON.stringify(outcomes(await create()))));
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
  assert.ok(alone.outputFiles[0].contents.length < 15_800, `${alone.outputFiles[0].contents.length} bytes`);
  for (const name of ["stream", "packet-file"]) {
    const { outputFiles } = await build(`export * from "latentwire/${name}"`);
    assert.ok(outputFiles.length === 1 && outputFiles[0].contents.length < 20_000, name);
  }
  const stock = await build('export * from "latentwire/tables/stock"');
  const sizes = stock.outputFiles.map(({ contents }) => contents.length).sort((a, b) => b - a);
  assert.ok(sizes.length >= 2 && sizes[0] > 30_000 && sizes[1] < 14_500, `${sizes}`);
});

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

function compiles(version: string, compilerOptions: object, include: string) {
  writeFileSync(inProject("tsconfig.json"), JSON.stringify({ compilerOptions, include: [include] }));
  const tsc = join(root, "node_modules", version, "bin", "tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", project], { encoding: "utf8" });
  assert.is(status, 0, stdout);
}

const compilers = ["typescript-5.4", "typescript"].flatMap((version) =>
  ["nodenext", "bundler"].map((moduleResolution) => [version, moduleResolution] as const),
);
for (const [version, moduleResolution] of isFull ? compilers : compilers.slice(0, 1))
  test(`types: ${version}, ${moduleResolution}`, () => {
    mkdirSync(inProject("types"), { recursive: true });
    copyFileSync(join(root, "test", "consumer.ts"), inProject("types", "consumer.ts"));
    for (const { name, code } of typedSnippets) writeFileSync(inProject("types", `${name}.ts`), `${code}export {};\n`);
    const compilerOptions = {
      ...{ target: "es2022", lib: ["es2022", "dom"], types: ["node"] },
      ...{ module: moduleResolution === "bundler" ? "es2022" : "nodenext", moduleResolution },
      ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true },
    };
    // The declarations of Node and of the runtimes are not ours to check; those of the package are, below.
    compiles(version, { ...compilerOptions, skipLibCheck: true }, "types");
    writeFileSync(
      inProject("declarations.ts"),
      `export * from "latentwire"; export * as onnx from "latentwire/onnx"; export { createPool, type PoolPrior } from "latentwire/pool";
       export * from "latentwire/scalar"; export * from "latentwire/javascript"; export * from "latentwire/tables/gaussian64";
       export { loadBundle, writeBundle, type Bundle, type BundleInput } from "latentwire/bundle"; export { stockBundle } from "latentwire/tables/stock";`,
    );
    compiles(version, { ...compilerOptions, types: [] }, "declarations.ts");
    // A program for Node alone.
    compiles(version, { ...compilerOptions, lib: ["es2022"] }, "declarations.ts");
  });

test("the first snippet of the README, in a folder with nothing else", () => {
  writeFileSync(inProject("try.mjs"), firstSnippet);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["try.mjs"], { cwd: project, encoding: "utf8" });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^9408 bytes raw, 411 packed, 391 ideal\nexact: true\n$/);
});

test.run();

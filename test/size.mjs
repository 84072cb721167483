// `npm run size`: what a page downloads, gzip level 9, against the limits the project has set itself. 1 KB = 1000 bytes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is loaded at once; files behind `import()` are loaded where an engine needs them, and measured by themselves. */
async function bundle(contents) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    splitting: true,
    outdir: "out",
    format: "esm",
    write: false,
    metafile: true,
  });
  const outputs = metafile.outputs;
  const loaded = new Set(Object.keys(outputs).filter((name) => outputs[name].entryPoint === "<stdin>"));
  for (const name of loaded)
    for (const { path, kind } of outputs[name].imports) if (kind === "import-statement") loaded.add(path);
  return Buffer.concat(
    outputFiles.filter(({ path }) => [...loaded].some((name) => path.endsWith(name))).map((file) => file.contents),
  );
}

const parts = [
  ["codec.wasm", readFileSync(`${root}/dist/codec.wasm`), 25_000],
  ["codec.scalar.wasm", readFileSync(`${root}/dist/codec.scalar.wasm`), 19_400],
  ['"latentwire", bundled, SIMD Wasm inside', await bundle('export * from "latentwire"'), 48_200],
  ['"latentwire/scalar", bundled', await bundle('export * from "latentwire/scalar"'), 19_900],
  ['"latentwire/javascript", bundled', await bundle('export * from "latentwire/javascript"'), 28_800],
  ['"latentwire/onnx", bundled, recipes of all families', await bundle('export * from "latentwire/onnx"'), 8_700],
  [
    "its two halves of a split model alone",
    await bundle('export { splitDecoder, splitEncoder } from "latentwire/onnx"'),
    2_400,
  ],
  ["its mean-scale recipe alone", await bundle('export { meanScale } from "latentwire/onnx"'), 4_500],
  ['"latentwire/model", bundled, with all families', await bundle('export * from "latentwire/model"'), 13_700],
  ['"latentwire/pool", bundled', await bundle('export * from "latentwire/pool"'), 51_400],
  ['"latentwire/pool-worker", the file', await bundle('import "latentwire/pool-worker"'), 50_400],
  [
    'the same program as text in "latentwire/pool"',
    await bundle('export * from "./dist/bindings/pool-source.js"'),
    21_700,
  ],
  ['"latentwire/stream", bundled', await bundle('export * from "latentwire/stream"'), 3_900],
  ['"latentwire/packet-file", bundled', await bundle('export * from "latentwire/packet-file"'), 8_100],
  ['"latentwire/bundle", bundled', await bundle('export * from "latentwire/bundle"'), 6_500],
  ['"latentwire/tables/gaussian64", bundled', await bundle('export * from "latentwire/tables/gaussian64"'), 25_000],
];

for (const [name, bytes, limit] of parts) {
  const size = gzipSync(bytes, { level: 9 }).length;
  if (size > limit) process.exitCode = 1;
  console.log(`${size > limit ? "FAIL" : "ok  "} ${name}: ${bytes.length} bytes, ${size} gzip, limit ${limit}`);
}

// What the README and the guide say of the entry is what was measured.
const entry = Math.round(gzipSync(parts[2][1], { level: 9 }).length / 1000);
for (const [file, pattern] of [
  ["README.md", /Minified and gzipped: (\d+) KB/],
  ["docs/guide.md", /the entry is (\d+) KB/],
  ["docs/guide.md", /the entry (\d+) KB;/],
]) {
  const said = Number(pattern.exec(readFileSync(`${root}/${file}`, "utf8"))?.[1]);
  if (said === entry) continue;
  process.exitCode = 1;
  console.log(`FAIL ${file} says that the entry has ${said} KB; it has ${entry} KB`);
}

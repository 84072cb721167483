// `npm run size`: what a page downloads, gzip level 9, against the limits the project has set itself. 1 KB = 1000 bytes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is loaded at once; files behind `import()` are loaded where an engine needs them, and measured by themselves. */
async function bundle(contents, format = "esm") {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    splitting: format === "esm",
    outdir: "out",
    format,
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
    2_600,
  ],
  ["its mean-scale recipe alone", await bundle('export { meanScale } from "latentwire/onnx"'), 4_500],
  ['"latentwire/model", bundled, with all families', await bundle('export * from "latentwire/model"'), 13_900],
  ['"latentwire/pool", bundled', await bundle('export * from "latentwire/pool"'), 51_400],
  ['"latentwire/pool-worker", the file', await bundle('import "latentwire/pool-worker"'), 50_400],
  [
    'the same program as text in "latentwire/pool"',
    await bundle('export * from "./dist/bindings/pool-source.js"'),
    22_300,
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

// What pages say of sizes is what was measured: `said` has KB, with as many decimals as the page has.
const bytesOf = Object.fromEntries(parts.map(([name, bytes]) => [name, bytes]));
const gzipped = (name) => gzipSync(bytesOf[name], { level: 9 }).length;
const [ENTRY] = Object.keys(bytesOf).filter((name) => name.startsWith('"latentwire",'));
const whole = await bundle('export * from "latentwire"', "iife");
for (const [file, pattern, size] of [
  ["README.md", /Minified and gzipped: ([\d.]+) KB/, gzipped(ENTRY)],
  ["docs/guide.md", /the entry is ([\d.]+) KB/, gzipped(ENTRY)],
  [
    "docs/guide.md",
    /\| ([\d.]+) KB more, where it is loaded \|\n\| `javascript`/,
    gzipped('"latentwire/scalar", bundled'),
  ],
  ["docs/guide.md", /\| ([\d.]+) KB more, where it is loaded \|\n\n/, gzipped('"latentwire/javascript", bundled')],
  ["docs/guide.md", /the entry ([\d.]+) KB;/, gzipped(ENTRY)],
  ["docs/guide.md", /([\d.]+) KB for the two halves/, gzipped("its two halves of a split model alone")],
  ["docs/guide.md", /([\d.]+) KB with all families/, gzipped('"latentwire/onnx", bundled, recipes of all families')],
  ["docs/guide.md", /([\d.]+) KB with families and bundle/, gzipped('"latentwire/model", bundled, with all families')],
  ["docs/guide.md", /`latentwire\/bundle` ([\d.]+) KB/, gzipped('"latentwire/bundle", bundled')],
  ["docs/bundlers.md", /makes it ([\d.]+) KB larger/, whole.length - bytesOf[ENTRY].length],
  ["docs/bundlers.md", /KB larger, ([\d.]+) KB after gzip/, gzipSync(whole, { level: 9 }).length - gzipped(ENTRY)],
]) {
  const said = pattern.exec(readFileSync(`${root}/${file}`, "utf8"))?.[1] ?? "nothing";
  const measured = (size / 1000).toFixed(said.split(".")[1]?.length ?? 0);
  if (said === measured) continue;
  process.exitCode = 1;
  console.log(`FAIL ${file}: ${pattern.source} says ${said}; it is ${measured}`);
}

// `npm run size`: what a page downloads, gzip level 9, against the limits the project has set itself. 1 KB = 1000 bytes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  return outputFiles[0].contents;
}

const parts = [
  ["codec.wasm", readFileSync(`${root}/dist/codec.wasm`), 18_900],
  ["codec.scalar.wasm", readFileSync(`${root}/dist/codec.scalar.wasm`), 14_100],
  ['"latentwire", bundled, both Wasm builds inlined', await bundle('export * from "latentwire"'), 48_800],
  ['"latentwire/onnx", bundled, recipes of all families', await bundle('export * from "latentwire/onnx"'), 6_850],
  [
    "its two halves of a split model alone",
    await bundle('export { splitDecoder, splitEncoder } from "latentwire/onnx"'),
    2_000,
  ],
  ["its mean-scale recipe alone", await bundle('export { meanScale } from "latentwire/onnx"'), 4_000],
  ['"latentwire/pool", bundled', await bundle('export * from "latentwire/pool"'), 52_000],
  ['"latentwire/pool-worker", bundled', await bundle('import "latentwire/pool-worker"'), 15_600],
  ['"latentwire/bundle", bundled', await bundle('export * from "latentwire/bundle"'), 4_500],
  ['"latentwire/tables/gaussian64", bundled', await bundle('export * from "latentwire/tables/gaussian64"'), 25_000],
];

for (const [name, bytes, limit] of parts) {
  const size = gzipSync(bytes, { level: 9 }).length;
  if (size > limit) process.exitCode = 1;
  console.log(`${size > limit ? "FAIL" : "ok  "} ${name}: ${bytes.length} bytes, ${size} gzip, limit ${limit}`);
}

// docs/architecture.md, as far as a machine can tell: who imports whom, who touches Wasm memory, which files there are, where links lead.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");

// What assembly/build.mjs writes: rules for hand-written files do not hold there.
const generated = ["abi", "simd", "scalar", "javascript", "pool-source"].map((name) => `bindings/${name}.ts`);

const sources = ["assembly", "bindings", "tables", "bench", "test"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => normalize(join(folder, name)).replaceAll("\\", "/"))
    .filter((file) => /(?<!\.d)\.(ts|mjs)$/.test(file)),
);

/** Relative imports of a file, type imports too. */
function importsOf(file: string): string[] {
  return [...read(file).matchAll(/^(?:import|export)\s[^;]*?from\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/gm)].flatMap(
    (m) => {
      const path = normalize(join(dirname(file), m[1] ?? m[2])).replaceAll("\\", "/");
      return [path, `${path}.ts`, path.replace(/\.js$/, ".ts")].filter((candidate) => sources.includes(candidate));
    },
  );
}

const graph = new Map(sources.map((file) => [file, importsOf(file)]));

test("the graph is there", () => {
  assert.ok(graph.get("bindings/codec.ts")?.includes("bindings/memory.ts"));
  assert.ok(graph.get("assembly/packet-writer.ts")?.includes("assembly/memory.ts"));
});

test("no file imports one that imports it back", () => {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    assert.not(path.includes(file), [...path, file].join(" -> "));
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
});

test("nothing imports what is to its right", () => {
  const allowed: Record<string, string[]> = {
    assembly: ["assembly"],
    bindings: ["bindings"],
    tables: ["bindings", "tables"],
    bench: ["bindings", "tables", "bench", "test"],
    test: ["bindings", "tables", "bench", "test"],
  };
  const folder = (file: string): string => file.split("/")[0];
  // Scripts of assembly/ (build, text) may serve a test, not a file of the package.
  for (const [file, targets] of graph)
    for (const target of targets)
      if (!allowed[folder(file)].includes(folder(target)) && !(folder(file) === "test" && target.endsWith(".mjs")))
        assert.unreachable(`${file} imports ${target}`);
});

test("one file instantiates Wasm, one holds its memory, and the others are handed it", () => {
  const own = sources.filter((file) => file.startsWith("bindings/") && !generated.includes(file));
  const matching = (pattern: RegExp) => own.filter((file) => pattern.test(read(file)));
  assert.equal(matching(/\bnew WebAssembly\.Instance\b/), ["bindings/instantiate.ts"]);
  assert.equal(matching(/\bmemory\.buffer\b|\bwasm\.memory\b/), ["bindings/memory.ts"]);
  // Exported functions and views of the memory: only who has a Memory, which is handed from constructor to constructor.
  for (const file of matching(/\bwasm\.[a-z]\w*\(|\bu8\b|\bu32\b/))
    assert.ok(
      file === "bindings/memory.ts" || /\bmemory: Memory\b|\bMemory;|interface FaultMemory/.test(read(file)),
      `${file} uses Wasm memory that it was not handed`,
    );
  // What needs no codec knows nothing of it.
  for (const file of ["tensor", "errors", "types", "session", "onnx", "pool", "pool-queue", "pool-threads"])
    assert.not(graph.get(`bindings/${file}.ts`)?.includes("bindings/memory.ts"), file);
});

test("assembly/ has the files that docs/architecture.md draws", () => {
  const names = sources.filter((file) => /^assembly\/[^/]+\.ts$/.test(file)).map((file) => basename(file, ".ts"));
  const expected =
    "cdf checksum codes context context-network context-parameters context-part guard index interleaved lanes memory mixture packet-header packet-reader packet-writer part quantize rows single stream table";
  assert.equal(names.sort().join(" "), expected);
});

test("docs/architecture.md names every file of assembly, bindings and tables", () => {
  const page = read("docs/architecture.md");
  const named = (name: string): boolean =>
    new RegExp(`(?<![\\w-])${name.replaceAll(".", "\\.")}(?![\\w-])`).test(page) ||
    // "pool-*", "cli-inspect, -encode": the last part of the name.
    new RegExp(`(?<=[\\s(-])${name.replace(/^(pool|cli|pickle)-/, "")}(?![\\w-])`).test(page);
  for (const file of sources.filter((name) => /^(assembly|bindings|tables)\//.test(name))) {
    if (generated.includes(file)) continue;
    assert.ok(named(basename(file).replace(/\.ts$/, "")), `${file} is not in docs/architecture.md`);
  }
});

test("docs/errors.md has a heading for each code, and no other", () => {
  const codes = ["errors", "pool-types"].flatMap((file) => {
    const union = /export type \w*ErrorCode =([^;]+);/.exec(read(`bindings/${file}.ts`))?.[1] ?? "";
    return Array.from(union.matchAll(/"(\w+)"/g), ([, code]) => code);
  });
  assert.ok(codes.includes("CORRUPTED") && codes.includes("WORKER_LOST"), String(codes));
  const headings = Array.from(read("docs/errors.md").matchAll(/^### (\w+)$/gm), ([, heading]) => heading);
  assert.equal(headings.sort(), codes.sort());
});

test("README.md has at most 1,000 words", () => {
  assert.ok(read("README.md").trim().split(/\s+/).length <= 1000);
});

test("every document is a page of the site", () => {
  const { projectDocuments } = JSON.parse(read("typedoc.json"));
  for (const name of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")))
    assert.ok(projectDocuments.includes(`docs/${name}`), name);
});

test("links of the documents lead somewhere", () => {
  const documents = [".", "docs", "bench", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: folder !== ".", encoding: "utf8" })
      .filter((name) => name.endsWith(".md") && !name.startsWith("api"))
      .map((name) => normalize(join(folder, name))),
  );
  assert.ok(documents.length > 12, String(documents));
  const anchors = (file: string): string[] =>
    [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
  for (const file of documents)
    for (const [, link] of read(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path, anchor] = link.split("#");
      const target = path === "" ? file : normalize(join(dirname(file), path));
      assert.ok(existsSync(join(root, target)), `${file}: ${link}`);
      if (anchor && target.endsWith(".md")) assert.ok(anchors(target).includes(anchor), `${file}: ${link}`);
    }
});

test.run();

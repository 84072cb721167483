// Line coverage of bindings/ and tables/, out of what V8 writes to NODE_V8_COVERAGE. Most tests run dist/, and some run a source through tsx.
// Source maps lead from both to the lines of the source: those of tsx are in V8's files, those of dist/ are made here.
// A line is covered if any process of the tests ran any of it. Copies of the package elsewhere do not count.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { decode } from "@jridgewell/sourcemap-codec";
import ts from "typescript";

/** Least share of lines by folder. */
const floors = { bindings: 95, tables: 95 };
/** Files that are data or generated. */
const notCounted = ["abi", "simd", "scalar", "javascript", "pool-source", "gaussian64"].map((name) => `${name}.ts`);
/** Sources that assembly/build.mjs bundles: what is in dist/ has other lines. Tests run these through tsx. */
const bundled = ["bindings/pool-worker.ts"];

const sourcesOf = (root) =>
  Object.keys(floors).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => name.replaceAll("\\", "/"))
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && !notCounted.includes(name))
      .map((name) => `${folder}/${name}`),
  );

/** A script that V8 ran: which of its characters ran, and where it comes from. `starts` are the offsets of its lines. */
const scriptOf = (source, starts, length, { mappings }) => ({
  source,
  covered: new Int8Array(length),
  segments: decode(mappings).flatMap((line, i) =>
    line.filter((segment) => segment.length > 1).map(([column, , to, at]) => ({ offset: starts[i] + column, to, at })),
  ),
});

const startsOf = (lengths) => {
  let at = 0;
  return lengths.map((length) => {
    const start = at;
    at += length + 1;
    return start;
  });
};

/** What tsc makes of a source alone, as in dist/. */
function transpiled(root, source, text) {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  // A file alone does not say that it is a module.
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext, sourceMap: true };
  const result = ts.transpileModule(text, { fileName: join(root, source), compilerOptions });
  const code = result.outputText.replace(/\/\/# sourceMappingURL=.*\s*$/, "");
  const lengths = code.split("\n").map((line) => line.length);
  return { code, script: scriptOf(source, startsOf(lengths), code.length, JSON.parse(result.sourceMapText)) };
}

/** Marks what one process ran. V8 lists functions and their blocks from the outside in, so the last range that holds a place decides. */
function mark({ covered }, functions) {
  const own = new Int8Array(covered.length);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let i = 0; i < own.length; i++) covered[i] |= own[i];
}

/** Numbers of the lines with code: not comments, and not lines of brackets alone. */
function codeLines(text) {
  const lines = new Set();
  let inComment = false;
  text.split("\n").forEach((line, i) => {
    const code = line.trim();
    const isComment = inComment || code.startsWith("//") || code.startsWith("/*");
    inComment = (inComment || code.startsWith("/*")) && !code.includes("*/");
    if (!isComment && /\w/.test(code)) lines.add(i);
  });
  return lines;
}

/** Marks in `scripts` what all processes ran, and adds the sources that tsx compiled. */
function readAll(folder, root, sources, scripts) {
  const urls = new Map(sources.map((source) => [pathToFileURL(join(root, source)).href, source]));
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const { result, "source-map-cache": maps = {} } = JSON.parse(readFileSync(join(folder, name), "utf8"));
    for (const { url, functions } of result) {
      const source = urls.get(url.split("?")[0]);
      const map = maps[url];
      let key = url;
      if (source !== undefined && map?.data) {
        // tsx compiles a source in one of two ways, and each has its map.
        key = `${source} ${map.data.mappings}`;
        const length = map.lineLengths.reduce((sum, line) => sum + line + 1, 0);
        if (!scripts.has(key)) scripts.set(key, scriptOf(source, startsOf(map.lineLengths), length, map.data));
      }
      const script = scripts.get(key);
      if (script) mark(script, functions);
    }
  }
}

/** Of each source the lines that tsc compiles to something, and those that ran. */
function linesOf(texts, scripts) {
  const files = new Map([...texts.keys()].map((source) => [source, { compiled: new Set(), ran: new Set() }]));
  for (const [key, { source, covered, segments }] of scripts) {
    const { compiled, ran } = files.get(source);
    const lines = texts.get(source).split("\n");
    for (const { offset, to, at } of segments) {
      // What ends something lies outside of the block that it ends.
      if (/[;,)}\]]/.test(lines[to]?.[at] ?? "")) continue;
      // What counts does not depend on whether tsx has compiled the file.
      if (!key.startsWith(`${source} `)) compiled.add(to);
      if (covered[offset]) ran.add(to);
    }
  }
  return files;
}

export function coverageReport(folder, root) {
  const texts = new Map(sourcesOf(root).map((source) => [source, readFileSync(join(root, source), "utf8")]));
  const report = ["coverage, lines of the sources that some test ran:"];
  const scripts = new Map();
  let isEnough = true;
  for (const [source, text] of texts) {
    const { code, script } = transpiled(root, source, text);
    const built = join(root, "dist", source.replace(/\.ts$/, ".js"));
    const isBundled = bundled.includes(source);
    scripts.set(isBundled ? source : pathToFileURL(built).href, script);
    if (isBundled || readFileSync(built, "utf8") === code) continue;
    report.push(`FAIL dist/ has not what tsc makes of ${source}: npm run build`);
    isEnough = false;
  }
  readAll(folder, root, [...texts.keys()], scripts);

  const sums = Object.fromEntries(Object.keys(floors).map((name) => [name, { total: 0, missed: 0 }]));
  for (const [source, { compiled, ran }] of [...linesOf(texts, scripts)].sort()) {
    const lines = [...codeLines(texts.get(source))].filter((line) => compiled.has(line));
    const missed = lines.filter((line) => !ran.has(line)).map((line) => line + 1);
    const sum = sums[source.split("/")[0]];
    sum.total += lines.length;
    sum.missed += missed.length;
    const few = missed.length > 12 ? `${missed.slice(0, 12)}, ...` : `${missed}`;
    if (missed.length > 0) report.push(`  ${source}: ${lines.length - missed.length} of ${lines.length}, not ${few}`);
  }
  for (const [name, { total, missed }] of Object.entries(sums)) {
    const share = total === 0 ? 0 : (100 * (total - missed)) / total;
    if (share < floors[name]) isEnough = false;
    report.push(
      `${share < floors[name] ? "FAIL" : "ok  "} ${name}/: ${share.toFixed(1)} %, at least ${floors[name]} %`,
    );
  }
  return { lines: report, isEnough };
}

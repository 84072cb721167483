// Line coverage of the built package, out of what V8 writes to NODE_V8_COVERAGE. A line is covered if any process of the tests ran any of it.
// Files that are data or generated do not count, and neither do copies of the package elsewhere.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Least share of lines by folder: what the tests reach, less five points. */
const floors = { bindings: 93, tables: 78 };
const notCounted = ["abi", "simd", "scalar", "javascript", "pool-source", "gaussian64"];

const sourcesOf = (root) =>
  Object.keys(floors).flatMap((folder) => {
    const path = join(root, "dist", folder);
    return readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".js") && !notCounted.includes(basename(name, ".js")))
      .map((name) => join(path, name));
  });

/** Marks what one process ran. V8 lists functions and their blocks from the outside in, so the last range that holds a place decides. */
function mark(covered, functions) {
  const own = new Int8Array(covered.length);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let i = 0; i < own.length; i++) covered[i] |= own[i];
}

/** Lines with code, and the numbers of those that nothing ran. */
function linesOf(text, covered) {
  let total = 0;
  const missed = [];
  let at = 0;
  let inComment = false;
  text.split("\n").forEach((line, i) => {
    const start = at;
    at += line.length + 1;
    const code = line.trim();
    const isComment = inComment || code.startsWith("//") || code.startsWith("/*");
    inComment = (inComment || code.startsWith("/*")) && !code.includes("*/");
    if (isComment || !/\w/.test(code)) return;
    total++;
    const first = start + line.search(/\S/);
    if (!covered.subarray(first, first + code.length).includes(1)) missed.push(i + 1);
  });
  return { total, missed };
}

export function coverageReport(folder, root) {
  const files = new Map(sourcesOf(root).map((file) => [file, readFileSync(file, "utf8")]));
  const covered = new Map([...files].map(([file, text]) => [file, new Int8Array(text.length)]));
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const { result } = JSON.parse(readFileSync(join(folder, name), "utf8"));
    for (const { url, functions } of result) {
      if (!url.startsWith("file:") || !url.includes("/dist/")) continue;
      const own = covered.get(fileURLToPath(url));
      if (own) mark(own, functions);
    }
  }
  const lines = ["coverage, lines of dist/ that some test ran:"];
  const sums = Object.fromEntries(Object.keys(floors).map((name) => [name, { total: 0, missed: 0 }]));
  for (const [file, text] of [...files].sort()) {
    const { total, missed } = linesOf(text, covered.get(file));
    const name = file.slice(join(root, "dist").length + 1).replaceAll("\\", "/");
    const sum = sums[name.split("/")[0]];
    sum.total += total;
    sum.missed += missed.length;
    const few = missed.length > 12 ? `${missed.slice(0, 12)}, ...` : `${missed}`;
    if (missed.length > 0) lines.push(`  ${name}: ${total - missed.length} of ${total}, not ${few}`);
  }
  let isEnough = true;
  for (const [name, { total, missed }] of Object.entries(sums)) {
    const share = total === 0 ? 0 : (100 * (total - missed)) / total;
    if (share < floors[name]) isEnough = false;
    lines.push(`${share < floors[name] ? "FAIL" : "ok  "} ${name}/: ${share.toFixed(1)} %, at least ${floors[name]} %`);
  }
  return { lines, isEnough };
}

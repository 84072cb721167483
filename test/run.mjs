// The test commands. Each test file runs in a process of its own, two at a time.
//
//   node test/run.mjs                       the quick tier: every file, random tests at their short length
//   node test/run.mjs PART ...              the files that have one of these words in their names
//   node test/run.mjs --all [PART ...]      the full tier: random tests at full length, coverage, engines, bundlers
//   node test/run.mjs --all --after-quick   the full tier without the files of which the quick tier has run everything
//
// uvu exits 0 where nothing ran (a forgotten test.run(), a pattern without a file) and where a rejection was no Error.
// So only its summary counts: it must be there, it must not be empty, and everything in it must have passed.
// A test that cannot run here prints a line "skipped: why". With LATENTWIRE_REQUIRE_ALL=1 that is a failure.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const filters = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const isFull = flags.includes("--all");
const isRest = flags.includes("--after-quick");
const requireAll = process.env.LATENTWIRE_REQUIRE_ALL === "1";
const limitMs = 20 * 60_000;

/** Coverage of what is measured: the full tier, and a quick tier that one with --after-quick follows. */
const coverageFolder = join(root, ".cache/coverage");
const measures = filters.length === 0 && (isFull || process.env.LATENTWIRE_COVERAGE === "1");

/** These commands have runners of their own. Each must close with a line as this one does. */
const commands = { engines: "test:engines", bundlers: "test:bundlers" };
/** Files of the full tier alone. */
const onlyFull = ["snippets.test.ts", "examples.test.ts", "demo.test.ts", "site.test.ts"];
/** The slowest files begin first, so that no core is left waiting for the last of them. */
const slowest = ["offload", "fuzz", "context-hostile", "cross", "property", "package", "cli", "checkpoint"];

const read = (file) => readFileSync(join(root, file), "utf8");
const order = (file) => slowest.findIndex((name) => file.endsWith(`/${name}.test.ts`)) >>> 0;

function testFiles() {
  return readdirSync(join(root, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"))
    .filter((file) => !file.includes("node_modules") && !(file.split("/")[1] in commands))
    .filter((file) =>
      filters.length > 0
        ? filters.some((part) => file.includes(part))
        : isFull || !onlyFull.includes(file.slice("test/".length)),
    )
    .filter((file) => !isRest || onlyFull.includes(file.slice("test/".length)) || /\bisFull\b/.test(read(file)))
    .sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
}

function number(output, label) {
  const found = output.match(new RegExp(`^ {2}${label}: +(\\d+)`, "m"));
  return found ? Number(found[1]) : undefined;
}

/** What a finished test file amounts to: counts, and a reason where they are not to be trusted. */
function judgeFile(file, exit, output) {
  const total = number(output, "Total") ?? 0;
  const passed = number(output, "Passed") ?? 0;
  const skippedLines = output.match(/^(?:[•✘] ?)*skipped: .*$/gm) ?? [];
  const skipped = skippedLines.length + (number(output, "Skipped") ?? 0);
  let reason;
  if (exit !== 0) reason = exit === null ? "was ended" : `exit status ${exit}`;
  else if (total === 0 && skipped === 0) reason = "ran no tests";
  else if (passed !== total) reason = `${total - passed} of ${total} tests did not pass`;
  else if (requireAll && /^\s*test\.only\(/m.test(read(file))) reason = "runs only a part of its tests";
  else if (requireAll && skipped > 0) reason = "skips, and LATENTWIRE_REQUIRE_ALL=1 allows none";
  // A file that broke without a failed test is itself the failure.
  const failed = reason === undefined ? 0 : Math.max(1, total - passed);
  return { passed, failed, skipped, skippedLines, reason };
}

/** The same of a command, which closes with a line "N passed, N failed". */
function judgeCommand(_, exit, output) {
  const closing = output.trimEnd().split("\n").pop() ?? "";
  const [, ...counts] = closing.match(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/) ?? [];
  const [passed, failed, skipped] = counts.map((count) => Number(count ?? 0));
  if (passed === undefined || passed + failed + skipped === 0)
    return { passed: 0, failed: 1, skipped: 0, skippedLines: [], reason: "does not say what passed" };
  let reason;
  if (exit !== 0 || failed > 0) reason = `exit status ${exit}`;
  else if (requireAll && skipped > 0) reason = "skips, and LATENTWIRE_REQUIRE_ALL=1 allows none";
  const skippedLines = output.match(/^ *skipped: .*$/gm) ?? [];
  return { passed, failed: reason === undefined ? 0 : Math.max(1, failed), skipped, skippedLines, reason };
}

function run(name, words, judge, env = {}) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(words[0], words.slice(1), {
      cwd: root,
      env: {
        ...process.env,
        NO_COLOR: "1",
        FORCE_COLOR: "0",
        LATENTWIRE_TIER: isFull ? "full" : "quick",
        ...env,
      },
      // npm is a .cmd file on Windows.
      shell: words[0] === "npm",
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
      for (const line of String(chunk).split("\n"))
        if (line.startsWith("progress: ")) console.log(`  ... ${name}: ${line.slice(10)}`);
    });
    child.on("close", (exit) => {
      clearTimeout(timer);
      resolve({ ...judge(name, exit, output), name, output, seconds: (Date.now() - started) / 1000 });
    });
  });
}

const sum = { passed: 0, failed: 0, skipped: 0 };

function report(result) {
  for (const key of Object.keys(sum)) sum[key] += result[key];
  const verdict = result.reason === undefined ? "ok  " : "FAIL";
  console.log(`${verdict} ${result.name}  ${result.passed} passed, ${result.seconds.toFixed(1)} s`);
  for (const line of result.skippedLines) console.log(`     ${line.trim()}`);
  if (result.reason !== undefined) console.log(`     ${result.reason}\n${result.output.replace(/^/gm, "     | ")}`);
}

if (measures && !isRest) rmSync(coverageFolder, { recursive: true, force: true });
const files = testFiles();
const queue = [...files];
const env = measures ? { NODE_V8_COVERAGE: coverageFolder } : {};
async function worker() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift())
    report(await run(file, [process.execPath, "--import", "tsx", file], judgeFile, env));
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));

if (isFull && filters.length === 0) {
  for (const command of Object.values(commands))
    report(await run(`npm run ${command}`, ["npm", "run", "-s", command], judgeCommand));
  const { coverageReport } = await import("./coverage.mjs");
  const { lines, isEnough } = coverageReport(coverageFolder, root);
  for (const line of lines) console.log(line);
  sum[isEnough ? "passed" : "failed"]++;
}
if (files.length === 0 && !isRest) {
  console.log(`no test file matches ${filters.join(" ") || "test/**/*.test.ts"}`);
  sum.failed++;
}
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}`);
process.exitCode = sum.failed > 0 ? 1 : 0;

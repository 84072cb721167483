// The test command: each test file in a process of its own, two at a time.
// uvu exits 0 where nothing ran (a forgotten test.run(), a pattern without a file) and where a rejection was no Error,
// so what counts here is its summary: it must be there, not empty, and everything in it must have passed.
// Arguments are parts of file names. A test that cannot run here prints a line "skipped: why".
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const filters = process.argv.slice(2);
const requireAll = process.env.LATENTWIRE_REQUIRE_ALL === "1";
const limitMs = 15 * 60_000;

const files = readdirSync(join(root, "test"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
  .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
  .filter(
    (file) => !file.includes("node_modules") && (filters.length === 0 || filters.some((part) => file.includes(part))),
  )
  .sort();

function number(output, label) {
  const found = output.match(new RegExp(`^ {2}${label}: +(\\d+)`, "m"));
  return found ? Number(found[1]) : undefined;
}

/** What a finished process amounts to: counts, and a reason where they are not to be trusted. */
function judge(file, exit, output) {
  const total = number(output, "Total") ?? 0;
  const passed = number(output, "Passed") ?? 0;
  const skippedLines = output.match(/^(?:[•✘] ?)*skipped: .*$/gm) ?? [];
  const skipped = skippedLines.length + (number(output, "Skipped") ?? 0);
  let reason;
  if (exit !== 0) reason = exit === null ? "was ended" : `exit status ${exit}`;
  else if (total === 0 && skipped === 0) reason = "ran no tests";
  else if (passed !== total) reason = `${total - passed} of ${total} tests did not pass`;
  else if (requireAll && /^\s*test\.only\(/m.test(readFileSync(join(root, file), "utf8")))
    reason = "runs only a part of its tests";
  else if (requireAll && skipped > 0) reason = "skips, and LATENTWIRE_REQUIRE_ALL=1 allows none";
  // A file that broke without a failed test is itself the failure.
  const failed = reason === undefined ? 0 : Math.max(1, total - passed);
  return { passed, failed, skipped, skippedLines, reason };
}

function run(file) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
      for (const line of String(chunk).split("\n"))
        if (line.startsWith("progress: ")) console.log(`  ... ${file}: ${line.slice(10)}`);
    });
    child.on("close", (exit) => {
      clearTimeout(timer);
      resolve({ ...judge(file, exit, output), file, output, seconds: (Date.now() - started) / 1000 });
    });
  });
}

const sum = { passed: 0, failed: 0, skipped: 0 };

function report(result) {
  for (const key of Object.keys(sum)) sum[key] += result[key];
  const verdict = result.reason === undefined ? "ok  " : "FAIL";
  console.log(`${verdict} ${result.file}  ${result.passed} passed, ${result.seconds.toFixed(1)} s`);
  for (const line of result.skippedLines) console.log(`     ${line}`);
  if (result.reason !== undefined) console.log(`     ${result.reason}\n${result.output.replace(/^/gm, "     | ")}`);
}

const queue = [...files];
async function worker() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) report(await run(file));
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));

if (files.length === 0) {
  console.log(`no test file matches ${filters.join(" ") || "test/**/*.test.ts"}`);
  sum.failed++;
}
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}`);
process.exitCode = sum.failed > 0 ? 1 : 0;

// `npm run test:bundlers`: packs the package, installs it in a small project of every bundler, builds, and compares the packets that
// the pages and programs make. Arguments are parts of names of cases. What was installed stays in .cache/bundlers.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { createPool } from "latentwire/pool";
import { closeChromium } from "../chromium.js";
import { Skip, type Started, serveFiles, serveWith, textOf, tried } from "./pages.js";
import { first } from "./program.js";
import { all, type Case, cases, common, projects } from "./projects.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, ".cache", "bundlers");
const limitSeconds = 300;

// ---- commands

const running = new Set<ChildProcess>();

/** Starts a command in a process group of its own, so that `end` ends what the command has started. */
function start(command: string, cwd: string, more: Record<string, string> = {}): Started {
  const quiet = { CI: "1", NO_COLOR: "1", NEXT_TELEMETRY_DISABLED: "1", ASTRO_TELEMETRY_DISABLED: "1" };
  const PATH = `${join(cwd, "node_modules", ".bin")}:${process.env.PATH}`;
  const env = { ...process.env, ...quiet, NODE_OPTIONS: "", ...more, PATH };
  const child = spawn(command, { cwd, env, shell: true, detached: true });
  const started = { child, printed: "" };
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      started.printed += chunk;
    });
  running.add(child);
  child.on("close", () => running.delete(child));
  return started;
}

function end({ pid }: ChildProcess) {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

const lastLines = (text: string) => text.trim().split("\n").slice(-30).join("\n");

/** What a command prints. An error with its last lines where it fails or takes too long. */
async function output(command: string, cwd: string): Promise<string> {
  const started = start(command, cwd);
  const timer = setTimeout(() => end(started.child), limitSeconds * 1000);
  const [status] = await once(started.child, "close");
  clearTimeout(timer);
  if (status === 0) return started.printed;
  const why = status === null ? `was ended after ${limitSeconds} s` : `exit status ${status}`;
  throw new Error(`${command}: ${why}\n${lastLines(started.printed)}`);
}

// ---- projects

/** Packs the package. The name of the file has a hash in it, so that npm installs it again when it has changed. */
async function pack(): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const printed = await output(`npm pack --ignore-scripts --silent --pack-destination "${cache}"`, root);
  const packed = join(cache, printed.trim());
  const name = `latentwire-${createHash("sha256").update(readFileSync(packed)).digest("hex").slice(0, 12)}.tgz`;
  for (const old of readdirSync(cache)) if (/^latentwire-\w{12}\.tgz$/.test(old)) rmSync(join(cache, old));
  renameSync(packed, join(cache, name));
  return `file:../${name}`;
}

/** Writes the files of a project, and installs what it needs unless an earlier run has done it. */
async function prepare(name: string, latentwire: string): Promise<string> {
  const { tools, manifest, files } = projects[name]!;
  const folder = join(cache, name);
  const program = readFileSync(join(root, "test/bundlers/program.ts"), "utf8");
  const json = { name: `try-${name}`, private: true, dependencies: { latentwire, ...tools }, ...manifest };
  const texts: Record<string, string> = {
    "package.json": JSON.stringify(json, null, 2),
    "program.js": transformSync(program, { loader: "ts", format: "esm" }).code,
    ...common,
    ...files,
  };
  for (const [file, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const installed = join(folder, "node_modules", ".installed.json");
  if (existsSync(installed) && readFileSync(installed, "utf8") === texts["package.json"]) return folder;
  try {
    await output("npm install --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel error", folder);
  } catch (error) {
    if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(String(error))) throw new Skip("npm reaches no registry");
    throw error;
  }
  writeFileSync(installed, texts["package.json"]!);
  return folder;
}

// ---- cases

const { simd: expected } = await first(createPool);
const files = await serveFiles(cache);

/** Runs a case that is built. Throws where a digest is missing or not the one that Node makes of the sources. */
async function check({ page, text, prints, wanted = all, inlined = false }: Case, folder: string, url: string) {
  let printed = "";
  if (prints !== undefined) printed = await output(prints, folder);
  else if (text !== undefined) printed = await textOf(url + text);
  let digests = JSON.parse(printed.match(/\{".*"\}/)?.[0] ?? "{}");
  if (page !== undefined) {
    const seen = await tried(url + page);
    if (inlined !== seen.loadedLater < 2)
      throw new Error(`the page loaded ${seen.loadedLater} files for the builds "scalar" and "javascript"`);
    digests = seen.digests;
  }
  for (const name of wanted)
    if (digests[name] !== expected) throw new Error(`${name}: ${digests[name]}, not ${expected}\n${printed}`);
}

const sum = { passed: 0, failed: 0, skipped: 0 };
const skipped = new Map<string, string[]>();
/** Errors that were printed. Cases that share a build share its error. */
const explained = new Set<unknown>();

function report(name: string, began: number, error?: unknown, log = "") {
  const verdict = error === undefined ? "passed" : error instanceof Skip ? "skipped" : "failed";
  sum[verdict]++;
  console.log(`${verdict}  ${name}  ${((Date.now() - began) / 1000).toFixed(1)} s`);
  if (error instanceof Skip) skipped.set(error.message, [...(skipped.get(error.message) ?? []), name]);
  else if (explained.has(error)) console.log("        | as above");
  else if (error !== undefined) console.log(`${error}\n${lastLines(log)}`.trim().replace(/^/gm, "        | "));
  if (error !== undefined) explained.add(error);
}

/** Installs a project and runs its cases, one after another. */
async function runProject(project: string, own: Case[], latentwire: string) {
  // What cases share: builds and servers, by their commands.
  const shared = new Map<string, Promise<unknown>>();
  const share = <T>(key: string, make: () => Promise<T>) => {
    if (!shared.has(key)) shared.set(key, make());
    return shared.get(key) as Promise<T>;
  };
  let server: Started | undefined;
  for (const one of own) {
    const began = Date.now();
    const { build, serve } = one;
    try {
      const folder = await share("install", () => prepare(project, latentwire));
      if (build !== undefined) await share(build, () => output(build, folder));
      let url = `${files.url}${project}/`;
      if (serve !== undefined)
        ({ url, server } = await share(serve, () => serveWith((PORT) => start(serve, folder, { PORT }))));
      await check(one, folder, url);
      report(one.name, began);
    } catch (error) {
      report(one.name, began, error, server?.printed);
    }
  }
}

process.on("exit", () => running.forEach(end));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const filters = process.argv.slice(2);
const chosen = cases.filter(({ name }) => filters.length === 0 || filters.some((part) => name.includes(part)));
const queue = [...new Set(chosen.map(({ project }) => project))];
const latentwire = await pack();
// Two at a time: one downloads while the other builds.
async function worker() {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const own = chosen.filter(({ project }) => project === name);
    await runProject(name, own, latentwire);
  }
}
await Promise.all([worker(), worker()]);
const page = readFileSync(join(root, "docs/bundlers.md"), "utf8");
const versions = chosen.map(({ project }) => Object.values(projects[project]!.tools ?? {})[0] ?? "");
const missing = versions.find((version) => !page.includes(version));
report("docs/bundlers.md has these versions", Date.now(), missing && new Error(`it does not have ${missing}`));
await closeChromium();
files.server.close();

for (const [why, names] of skipped) console.log(`skipped: ${names.join("; ")}: ${why}`);
if (chosen.length === 0) console.log(`no case has ${filters.join(" or ")} in its name`);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
const bad = sum.failed + (process.env.LATENTWIRE_REQUIRE_ALL === "1" ? sum.skipped : 0);
process.exit(bad > 0 || chosen.length === 0 ? 1 : 0);

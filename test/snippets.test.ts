// Every snippet of README.md and docs/*.md runs, with the packed tarball, as a reader would run it.
// A comment in the line before a snippet may say how:
//
//   <!-- run: needs model -->   its folder has the three-channel model of bench/model and a photograph:
//                               encoder.onnx, decoder.onnx, model.lwb, photo.jpg
//   <!-- run: needs exported --> its folder has exported/NAME, as compressai_export.py writes it, for every family
//   <!-- run: browser -->       on a page in Chromium, through Vite; it has the model, too
//   <!-- run: server -->        the program does not end; snippets marked "after server" run beside it
//   <!-- run: after NAME -->    in the folder of the snippet of this page whose first line is "// NAME"
//   <!-- run: no, REASON -->    it cannot run here
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { transformSync } from "esbuild";
import { create } from "latentwire";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createServer as createVite } from "vite";
import { writeNpy } from "../tables/npy.js";
import { closeChromium, executablePath, visit } from "./chromium.js";
import { writeExported } from "./exported.js";
import { root, run, scratchProject } from "./pack.js";

interface Snippet {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** What the mark says, or one word: no. */
  readonly marks: readonly string[];
  /** Of a mark that begins with "no". */
  readonly reason: string | undefined;
  /** What the first line calls it. */
  readonly file: string | undefined;
  /** Name of the snippet in whose folder it runs. */
  readonly after: string | undefined;
}

const RUN = ["js", "mjs", "ts", "sh", "html"];
const NOT_RUN = ["", "json", "python"];
const MARKS = /^(browser|needs model|needs exported|server|after \S+)$/;

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(root, page), "utf8");
  const found: Snippet[] = [];
  let marked = 0;
  for (const match of text.matchAll(/^(?:<!-- run: ([^\n]*) -->\n)?```(\S*)\n(.*?)^```$/gms)) {
    const [, mark, language = "", code = ""] = match;
    const line = text.slice(0, match.index).split("\n").length + (mark === undefined ? 0 : 1);
    const where = `${page}:${line}`;
    if (mark !== undefined) marked++;
    assert.ok(RUN.includes(language) || NOT_RUN.includes(language), `${where}: is ${language} to be run or not?`);
    if (!RUN.includes(language)) continue;
    const reason = mark?.startsWith("no, ") ? mark.slice(4) : undefined;
    const marks = mark === undefined ? [] : reason === undefined ? mark.split(", ") : ["no"];
    for (const one of marks) assert.ok(reason || MARKS.test(one), `${where}: what is the mark "${one}"?`);
    const after = marks.find((one) => one.startsWith("after "))?.slice(6);
    const file = /^\/\/ ([\w-]+\.m?js)\n/.exec(code)?.[1] ?? (marks.includes("server") ? "server" : undefined);
    if (after)
      assert.ok(
        found.some((one) => one.file === after),
        `${where}: no snippet before it is ${after}`,
      );
    found.push({ page, line, language, code, marks, reason, file, after });
  }
  assert.is(text.match(/^<!-- run:/gm)?.length ?? 0, marked, `${page}: a mark stands before something else`);
  return found;
}

const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .sort(),
];
const snippets = pages.flatMap((page) => snippetsOf(page === "README.md" ? page : `docs/${page}`));

const project = scratchProject(["onnxruntime-common", "onnxruntime-node", "onnxruntime-web", "sharp"]);
const from = (...path: string[]) => join(root, ...path);
const point = from("bench/model/points/mid");
const photos = readdirSync(from("bench/photos")).filter((name) => name.endsWith(".png"));

/** The files that snippets name, in a folder inside the project, so that the package is found from there. */
async function prepare(folder: string, hasModel: boolean): Promise<string> {
  const into = (...path: string[]) => join(folder, ...path);
  for (const name of [".", "latents", "photos"]) mkdirSync(into(name), { recursive: true });
  copyFileSync(from("test/vectors/checkpoints/mean-scale.pth"), into("checkpoint_best.pth.tar"));
  copyFileSync(from("bench/latents/k2-tables.json"), into("tables.json"));
  for (const name of ["encoder.onnx", "decoder.onnx"]) copyFileSync(join(point, name), into(name));
  for (const name of photos) copyFileSync(from("bench/photos", name), into("photos", name));
  copyFileSync(join(project, "photo.jpg"), into("photo.jpg"));
  copyFileSync(hasModel ? join(point, "model.lwb") : join(project, "imported.lwb"), into("model.lwb"));
  // Latents of two channels, as the checkpoint's entropy_bottleneck has them.
  for (const [i, name] of ["latent.npy", ...Array.from({ length: 8 }, (_, k) => `latents/${k}.npy`)].entries()) {
    const data = Float32Array.from({ length: 2 * 32 * 32 }, (_, k) => 2 * Math.sin(k * (i + 1)) ** 3);
    writeFileSync(into(name), writeNpy("float32", [1, 2, 32, 32], data));
  }
  return folder;
}

// ---- how a snippet runs

const folders = new Map<Snippet, string>();
const servers: ChildProcess[] = [];
let freePort = 0;

/** The code, with a port that nobody uses. */
const withPort = (code: string) => code.replaceAll("8080", String(freePort));

async function runProgram({ code, language, file, marks }: Snippet, folder: string): Promise<void> {
  const name = file?.includes(".") ? file : "snippet.mjs";
  const program = language === "ts" ? transformSync(code, { loader: "ts", format: "esm" }).code : code;
  writeFileSync(join(folder, name), withPort(program));
  if (!marks.includes("server")) return void (await run(`"${process.execPath}" ${name}`, folder));

  // The server of the page before has the port.
  for (const other of servers.splice(0)) {
    const ended = once(other, "exit");
    other.kill();
    await ended;
  }
  const child = spawn(process.execPath, [name], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
  servers.push(child);
  const isUp = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(freePort, "localhost", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.end());
    });
  while (!(await isUp())) {
    assert.is(child.exitCode, null, "the server has ended");
    await sleep(50);
  }
}

async function runInBrowser({ code, language }: Snippet, folder: string): Promise<void> {
  const page = '<!doctype html><img src="/photo.jpg"><script type="module" src="/outcome.js"></script>';
  writeFileSync(join(folder, "index.html"), language === "html" ? code : page);
  writeFileSync(
    join(folder, "outcome.js"),
    `import("/snippet.js").then(() => (window.outcome = "done"), (error) => (window.outcome = String(error.stack)));`,
  );
  writeFileSync(
    join(folder, "snippet.js"),
    withPort(language === "ts" ? transformSync(code, { loader: "ts" }).code : code),
  );
  const vite = await createVite({
    root: folder,
    configFile: false,
    logLevel: "error",
    // The packages are modules already. Linked ones lie outside of the folder.
    optimizeDeps: { noDiscovery: true },
    server: { host: "127.0.0.1", port: 0, hmr: false, fs: { strict: false } },
  });
  await vite.listen();
  try {
    const [url] = vite.resolvedUrls?.local ?? [];
    const outcome = await visit(url!, async (shown) => {
      await shown.waitForFunction("globalThis.outcome");
      return shown.evaluate("globalThis.outcome");
    });
    assert.is(outcome, "done");
  } finally {
    await vite.close();
  }
}

/** Lines of a terminal, without those that install and those that need Python. */
async function runLines({ code }: Snippet, folder: string): Promise<void> {
  const lines = code.split("\n").map((line) => line.replace(/\s+#.*/, ""));
  const commands = lines.filter((line) => line && !/^(#|cd |git clone |npm (install|ci)\b|python)/.test(line));
  assert.ok(commands.length > 0, "nothing to run");
  for (const command of commands) await run(command, folder);
}

// ---- the tests

test.before(async () => {
  await sharp(from("bench/photos", photos[0]!)).jpeg().toFile(join(project, "photo.jpg"));
  const checkpoint = from("test/vectors/checkpoints/mean-scale.pth");
  await run(`npx latentwire tables import "${checkpoint}" -o imported.lwb`, project);
  freePort = await new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
});

let ran = 0;
for (const [i, snippet] of snippets.entries()) {
  const { page, line, language, marks, reason, after, code } = snippet;
  const name = `${page}:${line}`;
  if (reason !== undefined) {
    test(`${name} cannot run: ${reason}`, () => {
      const { scripts } = JSON.parse(readFileSync(from("package.json"), "utf8"));
      for (const [command, script] of code.matchAll(/^npm run (?:-s )?(\S+)/gm)) assert.ok(scripts[script!], command);
    });
    continue;
  }
  test(name, async () => {
    const needsBrowser = marks.includes("browser") || language === "html";
    if (needsBrowser && executablePath === undefined) return console.log("skipped: no chromium");
    const first = snippets.find((one) => one.page === page && one.file === after && after?.includes("."));
    const shared = first && folders.get(first);
    const hasModel = needsBrowser || marks.includes("needs model");
    const folder = shared ?? (await prepare(join(project, "snippets", String(i)), hasModel));
    folders.set(snippet, folder);
    if (marks.includes("needs exported")) writeExported(join(folder, "exported"), await create());
    await (needsBrowser ? runInBrowser : language === "sh" ? runLines : runProgram)(snippet, folder);
    ran++;
  });
}

test("every page is looked at", () => {
  assert.ok(snippets.length > 25, `${snippets.length} snippets`);
  const not = snippets.filter(({ reason }) => reason !== undefined).length;
  console.error(`progress: ${ran} of ${snippets.length} snippets ran, ${not} cannot run by nature`);
});

test.after(async () => {
  for (const server of servers) server.kill();
  await closeChromium();
});
test.run();

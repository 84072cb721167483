// The projects of docs/examples: each is set up by the commands of its README, with the package from its tarball, and runs.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createServer as createVite } from "vite";
import { closeChromium, executablePath, visit } from "./chromium.js";
import { root, run, scratchProject } from "./pack.js";

const from = (...path: string[]) => join(root, ...path);
// As deep in the repository as docs/examples/NAME, so that the paths in the READMEs are right. Its node_modules are found from there, too.
const folderOf = (name: string) => from(".cache", "examples", name);
const installed = join(scratchProject(), "node_modules", "latentwire");
const { devDependencies } = JSON.parse(readFileSync(from("package.json"), "utf8"));

/** A copy of the example with the tarball's files in its node_modules, after the README's commands but `npm install` and `skipped`. */
async function setUp(name: string, skipped: RegExp, before?: (folder: string) => void): Promise<string[]> {
  const folder = folderOf(name);
  rmSync(folder, { recursive: true, force: true });
  // What the commands have left in the repository's own copy stays there.
  const isSource = (path: string) => !/node_modules|public|\.(onnx|lwb|lw|tgz)$/.test(path.slice(root.length));
  cpSync(from("docs/examples", name), folder, { recursive: true, filter: isSource });
  cpSync(installed, join(folder, "node_modules", "latentwire"), { recursive: true });
  mkdirSync(join(folder, "node_modules", ".bin"));
  symlinkSync("../latentwire/dist/tables/cli.js", join(folder, "node_modules", ".bin", "latentwire"));
  const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const [dependency, range] of Object.entries(dependencies))
    assert.is(range, dependency === "latentwire" ? "*" : devDependencies[dependency], `${name}: ${dependency}`);
  before?.(folder);

  return commandsOf(name, skipped);
}

/** Runs the README's commands in the example's copy. */
async function commandsOf(name: string, skipped: RegExp): Promise<string[]> {
  const folder = folderOf(name);
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const lines = /^```sh\n(.*?)^```$/ms.exec(readme)?.[1]?.trim().split("\n") ?? [];
  assert.is(lines[1], `cd docs/examples/${name}`);
  const commands = lines.map((line) => line.replace(/ +#.*/, "")).filter((line) => !/^(cd|npm) /.test(line));
  const printed: string[] = [];
  for (const command of commands) if (!skipped.test(command)) printed.push(await run(command, folder));
  return printed;
}

/** A server that is started, and ended after `look`. It prints its address. */
async function serving(child: ChildProcess, look: (url: string) => Promise<void>): Promise<void> {
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let printed = "";
      const take = (chunk: unknown) => {
        printed += chunk;
        const [found] = /http:[^\s(]+/.exec(printed) ?? [];
        if (found) resolve(found);
      };
      child.stdout?.on("data", take);
      child.stderr?.on("data", take);
      child.on("exit", () => reject(new Error(`the server has ended: ${printed}`)));
    });
    await look(url);
  } finally {
    child.kill();
  }
}

async function seesEspresso(url: string): Promise<void> {
  const said = await answer(url, /The server sees/);
  assert.match(said, /^[12]\d{3} bytes sent; .*\nThe server sees: espresso \(\d\d %\)$/);
  const refused = await fetch(`${url}/decode`, { method: "POST", body: "no packet" });
  assert.equal([refused.status, (await refused.text()).split(":")[0]], [400, "NOT_A_PACKET"]);
}

test("node: a photograph's packet in a file, and the features that the other end makes of it", async () => {
  const printed = (await setUp("node", /^$/)).join("");
  const [, bytes] = /^packet\.lw: (\d+) bytes$/m.exec(printed) ?? [];
  assert.ok(Number(bytes) > 1000 && Number(bytes) < 4000, printed);
  assert.match(printed, /^features: 1 x 32 x 28 x 28, the first is -?\d/m);
});

test("compressai: a string of CompressAI is read and written", async () => {
  const expected = JSON.parse(readFileSync(from("test/vectors/checkpoints/expected.json"), "utf8")).factorized;
  const { string, dims, decoded } = expected;
  const printed = await setUp("compressai", /^python /, (folder) => {
    copyFileSync(from("test/vectors/checkpoints/factorized.pth.tar"), join(folder, "checkpoint.pth.tar"));
    writeFileSync(join(folder, "from-python.json"), JSON.stringify({ string, shape: dims.slice(2) }));
  });
  const elements = decoded.slice(0, 4).join(", ");
  assert.match(printed.join(""), `read ${string.length / 2} bytes: [${dims}], the first elements are ${elements}\n`);
  assert.match(printed.join(""), `wrote ${string.length / 2} bytes: the same string\n`);
  const written = JSON.parse(readFileSync(join(folderOf("compressai"), "from-node.json"), "utf8"));
  assert.is(written.string, string);

  const python = process.env.PYTHON ?? "python3";
  if (
    await run(`${python} -c "import compressai"`, root).then(
      () => false,
      () => true,
    )
  )
    return console.error(`progress: compressai: ${python} has no CompressAI, its half of the example did not run`);
  const both = "npx latentwire tables import checkpoint.pth.tar -o model.lwb && node strings.js";
  const all = await run(`${python} model.py write && ${both} && ${python} model.py read`, folderOf("compressai"));
  assert.match(all, /equal to what CompressAI codes: True/);
});

/** The text of the page's #answer, once it matches. */
const answer = (url: string, wanted: RegExp) =>
  visit(url, async (page) => {
    await page.waitForFunction(`${wanted}.test(document.querySelector("#answer").textContent)`);
    return String(await page.textContent("#answer"));
  });

test("vite-onnxruntime-web: the browser's packet, and the label that the Node server answers", async () => {
  if (executablePath === undefined) return console.log("skipped: no chromium");
  await setUp("vite-onnxruntime-web", /^$/);
  const folder = folderOf("vite-onnxruntime-web");
  // Vite serves nothing from outside the project.
  const runtime = from("node_modules", "onnxruntime-web");
  const into = join(folder, "node_modules", "onnxruntime-web");
  mkdirSync(join(into, "dist"), { recursive: true });
  copyFileSync(join(runtime, "package.json"), join(into, "package.json"));
  for (const file of readdirSync(join(runtime, "dist")))
    if (/^ort\.bundle\.min\.mjs$|^ort-wasm.*(mjs|wasm)$/.test(file))
      copyFileSync(join(runtime, "dist", file), join(into, "dist", file));

  const env = { ...process.env, PORT: "0" };
  await serving(spawn(process.execPath, ["server.js"], { cwd: folder, env }), seesEspresso);
});

// An index that does not answer is asked twice, not six times for each package.
process.env.PIP_RETRIES ??= "1";

/** The example's copy after the README's commands, which install the wheel; undefined where pip cannot. */
async function setUpPython(name: string, skipped: RegExp): Promise<{ folder: string; printed: string[] } | undefined> {
  const wheel = spawnSync(process.execPath, [from("bindings/python/wheel.mjs"), "--json"], { encoding: "utf8" });
  if (wheel.status === 3) {
    console.log(`not required: ${wheel.stderr.trim().split("\n").pop()}`);
    return undefined;
  }
  assert.is(wheel.status, 0, wheel.stderr);
  const folder = folderOf(name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // Not what the commands have left in the repository's own copy.
  for (const file of readdirSync(from("docs/examples", name)))
    if (/\.(py|md)$/.test(file)) copyFileSync(from("docs/examples", name, file), join(folder, file));
  try {
    return { folder, printed: await commandsOf(name, skipped) };
  } catch (error) {
    // The wheel is there; an index may lack the example's other packages.
    if (!/pip install/.test(String(error))) throw error;
    console.log(`not required: pip cannot install what ${name} needs`);
    return undefined;
  }
}

test("python-server: the same page, and the label that FastAPI answers", async () => {
  if (executablePath === undefined) return console.log("skipped: no chromium");
  const made = await setUpPython("python-server", /uvicorn server:app/);
  if (made === undefined) return;
  const args = ["-m", "uvicorn", "server:app", "--port", "0"];
  const server = spawn(join(made.folder, "venv/bin/python"), args, { cwd: made.folder });
  await serving(server, async (url) => {
    await seesEspresso(url);
    const large = await fetch(`${url}/decode`, { method: "POST", body: new Uint8Array(70_000) });
    assert.is(large.status, 413);
  });
});

test("ray-data: Parquet files of latents become packets and come back; a second run does what is missing", async () => {
  const made = await setUpPython("ray-data", /^$/);
  if (made === undefined) return;
  const python = join(made.folder, "venv/bin/python");
  assert.match(made.printed.join(""), /^2000 latents in 4 files$/m);
  const compare =
    "import pyarrow.parquet as pq; from pathlib import Path\n" +
    "for f in Path('latents').iterdir(): a, b = pq.read_table(f), pq.read_table(f'decoded/{f.name}'); assert a.equals(b.cast(a.schema))";
  await run(`${python} -c "${compare}"`, made.folder);
  // One output is missing, and one input is torn.
  rmSync(join(made.folder, "packets/00002.parquet"));
  writeFileSync(join(made.folder, "latents/torn.parquet"), "PAR1");
  const again = spawnSync(python, "encode.py latents packets --model model.lwb".split(" "), {
    cwd: made.folder,
    encoding: "utf8",
  });
  assert.is(again.status, 1);
  assert.match(again.stdout, /^5 files, 3 are done\n500 latents in 1 files\nbad: .*torn\.parquet: /m);
  assert.equal(
    readdirSync(join(made.folder, "packets")).sort(),
    [0, 1, 2, 3].map((f) => `0000${f}.parquet`),
  );
});

test("worker-pool: Workers encode and decode, every latent is right", async () => {
  if (executablePath === undefined) return console.log("skipped: no chromium");
  await setUp("worker-pool", /^$/);
  const server = { host: "127.0.0.1", port: 0, hmr: false } as const;
  const vite = await createVite({ root: folderOf("worker-pool"), logLevel: "error", server });
  await vite.listen();
  try {
    const [url] = vite.resolvedUrls?.local ?? [];
    assert.match(await answer(url!, /decoded/), /^200 latents, \d+ bytes, 200 decoded exactly$/);
  } finally {
    await vite.close();
  }
});

test("every example is tested", () => {
  const names = readdirSync(from("docs/examples"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.equal(names.map(({ name }) => name).sort(), [
    "compressai",
    "node",
    "python-server",
    "ray-data",
    "vite-onnxruntime-web",
    "worker-pool",
  ]);
});

test.after(async () => {
  await closeChromium();
  rmSync(from(".cache", "examples"), { recursive: true, force: true });
});
test.run();

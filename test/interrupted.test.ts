// Writes that are cut short: a full disk, SIGINT, kill -9, a folder without permission. The file that was there is whole until the new one is.
// LATENTWIRE_TRIES=1000 makes as many tries; the last lines count what they ended in.
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { writeNpy } from "../tables/npy.js";
import { isFull } from "./builds.js";
import { random } from "./cases.js";
import { cli, runIn } from "./command.js";
import { root } from "./pack.js";

const tries = Number(process.env.LATENTWIRE_TRIES ?? (isFull ? 60 : 4));
const folder = mkdtempSync(join(tmpdir(), "latentwire-interrupted-"));
const at = (name: string): string => join(folder, name);
const rng = random(Number(process.env.LATENTWIRE_SEED ?? 1));
// A process that is killed would leave half a file of coverage.
const env = { ...process.env, NODE_V8_COVERAGE: "" };

// ---- what is written

const row = [0, 8000, 57000, 65000, 65536];
writeFileSync(at("tables.json"), JSON.stringify({ offsets: [-1, -1, -1], cdfs: [row, row, row] }));
const dims = [1, 3, 512, 512];
const latent = new Float32Array(3 * 512 * 512).map(() => 3 * (rng.unit() - rng.unit()));
writeFileSync(at("y.npy"), writeNpy("float32", dims, latent));
writeFileSync(at("samples.npy"), writeNpy("float32", [8, 3, 10, 10], latent.subarray(0, 2400)));
const checkpoint = join(root, "test/vectors/checkpoints/mean-scale.pth");
const commands: Record<string, string[]> = {
  encode: ["encode", "y.npy", "--tables", "tables.json"],
  decode: ["decode", "y.lw", "--tables", "tables.json"],
  "tables fit": ["tables", "fit", "samples.npy"],
  "tables import": ["tables", "import", checkpoint],
};
const names = Object.keys(commands);
const run = (name: string, output: string) => runIn(folder, [...commands[name], "-o", output], { env });

/** What each command writes, and how long it takes. */
const wanted = new Map<string, { bytes: Buffer; milliseconds: number }>();
for (const name of names) {
  const begin = performance.now();
  const { status, error } = run(name, at(name === "encode" ? "y.lw" : "first"));
  assert.is(status, 0, error);
  const bytes = readFileSync(at(name === "encode" ? "y.lw" : "first"));
  wanted.set(name, { bytes, milliseconds: performance.now() - begin });
}

// ---- where it is written

const disk = at("disk");
mkdirSync(disk);
const DISK_BYTES = 2 ** 24;
/** A small file system of its own, where one can be mounted. Elsewhere a limit on the size of files stands for it. */
const isMounted =
  process.platform === "linux" &&
  spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk]).status === 0;
const release = () => {
  if (isMounted) spawnSync("umount", [disk]);
  rmSync(folder, { recursive: true, force: true });
};
process.on("exit", release);

interface Outcome {
  status: number | null;
  error: string;
  /** Whether it ended between the beginning and the end of a write. */
  during: boolean;
}
type Fault = (name: string, output: string, folder: string) => Outcome | Promise<Outcome>;

const leftovers = (where: string): string[] => readdirSync(where).filter((file) => file.endsWith(".tmp"));

/** Kills the command at a random moment of its life, or as soon as its temporary file is there. */
const killed =
  (signal: "SIGINT" | "SIGKILL"): Fault =>
  async (name, output, where) => {
    const child = spawn(process.execPath, [cli, ...commands[name], "-o", output], {
      cwd: folder,
      env,
      stdio: "ignore",
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const isWatched = rng(2) === 0;
    const moment = 1.2 * rng.unit() * wanted.get(name)!.milliseconds;
    const timer = isWatched ? undefined : setTimeout(() => child.kill(signal), moment);
    const watcher = isWatched ? watch(where, () => child.kill(signal)) : undefined;
    const status = await ended;
    clearTimeout(timer);
    watcher?.stop();
    return { status, error: "", during: leftovers(where).length > 0 };
  };

/** Calls back once, up to 2 ms after a temporary file appears. */
function watch(where: string, callback: () => void): { stop(): void } {
  const delay = 2 * rng.unit();
  let ticks: NodeJS.Immediate | undefined;
  const look = () => {
    if (leftovers(where).length === 0) ticks = setImmediate(look);
    else {
      const until = performance.now() + delay;
      while (performance.now() < until);
      callback();
    }
  };
  look();
  return { stop: () => clearImmediate(ticks) };
}

const script = (limit: string, name: string, output: string) =>
  spawnSync("/bin/sh", ["-c", `${limit}; exec "$0" "$@"`, process.execPath, cli, ...commands[name], "-o", output], {
    cwd: folder,
    env,
    encoding: "utf8",
  });

const fullDisk: Fault = (name, output) => {
  const { length } = wanted.get(name)!.bytes;
  // From no room at all to a little more than is needed, in blocks of a page or 512 bytes.
  const room = rng.unit() * 1.2 * length;
  if (isMounted) {
    const used = existsSync(output) ? Math.ceil(readFileSync(output).length / 4096) : 0;
    writeFileSync(join(disk, "filler"), new Uint8Array(DISK_BYTES - 4096 * (used + Math.floor(room / 4096))));
    const { status, error } = run(name, output);
    rmSync(join(disk, "filler"));
    return { status, error, during: status !== 0 };
  }
  const { status, stderr } = script(`trap '' XFSZ; ulimit -f ${Math.floor(room / 512)}`, name, output);
  return { status, error: stderr, during: status !== 0 };
};

const forbidden: Fault = (name, output, where) => {
  chmodSync(where, 0o555);
  // Root may write anywhere, unless it gives that up.
  const isRoot = process.getuid?.() === 0;
  const prefix = isRoot ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
  const [program, ...args] = [...prefix, process.execPath, cli, ...commands[name], "-o", output];
  const { status, stderr } = spawnSync(program, args, { cwd: folder, env, encoding: "utf8" });
  chmodSync(where, 0o755);
  return { status, error: stderr, during: false };
};

const faults: Record<string, { make: Fault; error?: RegExp }> = {
  SIGKILL: { make: killed("SIGKILL") },
  "a full disk": { make: fullDisk, error: /^latentwire: (ENOSPC|EFBIG) [^\n]*\n$/ },
  SIGINT: { make: killed("SIGINT") },
  "a folder without permission": { make: forbidden, error: /^latentwire: EACCES [^\n]*\n$/ },
};

// ---- the trial

test(`${tries} tries: no file is lost or torn`, async () => {
  if (process.platform === "win32") return;
  const counts: Record<string, Record<"tries" | "old" | "whole" | "during", number>> = {};
  const kinds = Object.keys(faults);
  for (let i = 0; i < tries; i++) {
    const kind = kinds[i % kinds.length];
    const name = names[Math.floor(i / kinds.length) % names.length];
    const { make, error: message } = faults[kind];
    const where = kind === "a full disk" ? disk : at(`${i}`);
    if (where !== disk) mkdirSync(where);
    const output = join(where, "output");
    const { bytes } = wanted.get(name)!;
    const old = i % 7 === 0 ? undefined : Buffer.alloc(rng(40_000), `the file before try ${i}`);
    if (old) writeFileSync(output, old);
    const { status, error, during } = await make(name, output, where);
    const found = existsSync(output) ? readFileSync(output) : undefined;
    const what = `try ${i}: ${name}, ${kind}, exit code ${status}: ${error}`;
    const isWhole = found?.equals(bytes) === true;
    assert.ok(isWhole || (old === undefined ? found === undefined : found?.equals(old)), what);
    assert.ok(status !== 0 || isWhole, what);
    if (message && status !== 0) {
      assert.match(error, message, what);
      assert.is(status, 1, what);
      assert.equal(leftovers(where), [], what);
    }
    if (leftovers(where).length > 0) {
      assert.is(run(name, output).status, 0, what);
      assert.ok(readFileSync(output).equals(bytes), what);
      assert.equal(leftovers(where), [], `${what}: the next run`);
    }
    rmSync(where === disk ? output : where, { recursive: true, force: true });
    counts[kind] ??= { tries: 0, old: 0, whole: 0, during: 0 };
    counts[kind].tries++;
    counts[kind][isWhole ? "whole" : "old"]++;
    if (during) counts[kind].during++;
  }
  for (const [kind, { tries, old, whole, during }] of Object.entries(counts))
    console.log(`${kind}: ${tries} tries, ${old} left what was there, ${whole} the new file; ${during} ended a write`);
  if (tries >= 60)
    assert.ok(Object.values(counts).filter(({ during }) => during > 0).length >= 2, "no write was cut short");
  assert.is(counts["a folder without permission"].old, counts["a folder without permission"].tries);
});

test.run();

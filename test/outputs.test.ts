// What the command line writes, and where. Writes that are cut short: interrupted.test.ts.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { progress } from "../tables/cli-files.js";
import { cli, runIn, scratchFolder } from "./command.js";

const { folder, at } = scratchFolder("outputs");
const run = (...args: string[]) => runIn(folder, args);

const row = [0, 8000, 57000, 65000, 65536];
writeFileSync(at("tables.json"), JSON.stringify({ offsets: [-1, -1, -1], cdfs: [row, row, row] }));
writeFileSync(
  at("latent.raw"),
  new Float32Array(3 * 64 * 64).map((_, i) => Math.sin(i)),
);
const raw = ["latent.raw", "--dims", "1,3,64,64", "--tables", "tables.json"];
const encode = (output: string) => run("encode", ...raw, "-o", output);
const packet = (() => {
  assert.is(encode("packet.lw").status, 0);
  return readFileSync(at("packet.lw"));
})();
const leftovers = () => readdirSync(folder).filter((name) => name.endsWith(".tmp"));

test("an output that is an input is refused under every name", () => {
  symlinkSync("latent.raw", at("link"));
  mkdirSync(at("samples"));
  writeFileSync(at("samples/0.npy"), "a sample");
  const cases: [string[], RegExp][] = [
    [["encode", ...raw, "-o", "latent.raw"], /-o latent.raw is an input \(latent.raw\)/],
    [["encode", ...raw, "-o", "./link"], /-o .\/link is an input \(latent.raw\)/],
    [["encode", ...raw, "-o", "tables.json"], /is an input \(tables.json\)/],
    [["decode", "packet.lw", "--tables", "tables.json", "-o", "packet.lw"], /is an input \(packet.lw\)/],
    [["tables", "fit", "samples", "-o", "samples/0.npy"], /is an input \(samples\)/],
    [["tables", "fit", ".", "-o", "samples/0.npy"], /is an input \(\.\)/],
  ];
  const before = ["latent.raw", "tables.json", "packet.lw", "samples/0.npy"].map((name) => readFileSync(at(name)));
  for (const [args, message] of cases) {
    const { status, error } = run(...args);
    assert.is(status, 2, error);
    assert.match(error, message);
  }
  assert.equal(
    ["latent.raw", "tables.json", "packet.lw", "samples/0.npy"].map((name) => readFileSync(at(name))),
    before,
  );
});

test("a file is replaced as a whole: its mode and a link to it stay", () => {
  writeFileSync(at("old.lw"), "old");
  chmodSync(at("old.lw"), 0o640);
  symlinkSync("old.lw", at("alias.lw"));
  assert.is(encode("alias.lw").status, 0);
  assert.equal(readFileSync(at("old.lw")), packet);
  if (process.platform !== "win32") assert.is(statSync(at("old.lw")).mode & 0o777, 0o640);
  assert.equal(leftovers(), []);
});

test("a temporary file of a run that was killed goes with the next run, that of one that runs stays", () => {
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  writeFileSync(at(`.orphan.lw.${dead}.tmp`), "half");
  writeFileSync(at(`.orphan.lw.${process.pid}.tmp`), "half");
  assert.is(encode("orphan.lw").status, 0);
  assert.equal(leftovers(), [`.orphan.lw.${process.pid}.tmp`]);
  rmSync(at(`.orphan.lw.${process.pid}.tmp`));
});

test("standard output: a full device is one line, a closed pipe is none", () => {
  if (!existsSync("/dev/full")) return console.log("skipped: no /dev/full");
  const shell = (command: string) => spawnSync("/bin/sh", ["-c", command], { cwd: folder, encoding: "utf8" });
  const words = `"${process.execPath}" "${cli}" encode ${raw.join(" ")}`;
  for (const target of ["-o - > /dev/full", "-o /dev/full"]) {
    const { status, stderr } = shell(`${words} ${target}`);
    assert.is(status, 1);
    assert.match(stderr, /^latentwire: ENOSPC [^\n]*\n$/);
  }
  const closed = shell(`(${words}; echo "status $?" >&2) | true`);
  assert.is(closed.stderr, "status 0\n");
});

test("progress without a terminal: a line for long work, one more each minute, none for short work", () => {
  const { now } = Date;
  const { error } = console;
  const { isTTY } = process.stderr;
  let time = 0;
  const said: unknown[] = [];
  Date.now = () => time;
  console.error = (line) => said.push(line);
  process.stderr.isTTY = false;
  try {
    const short = progress("reading", 100);
    for (let done = 1; done <= 100; done++) short(done);
    const long = progress("training", 200);
    for (let done = 1; done <= 200; done++) {
      time += 1000;
      long(done, done > 100 ? `${200 - done} s left` : undefined);
    }
  } finally {
    Date.now = now;
    console.error = error;
    process.stderr.isTTY = isTTY;
  }
  const lines = ["2 of 200", "62 of 200", "78 s left", "18 s left"].map((text) => `latentwire: training: ${text}`);
  assert.equal(said, lines);
});

test.run();

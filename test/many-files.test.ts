// encode and decode of folders: order, threads, files that cannot be coded, hostile names, runs that are stopped and go on.
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createSync } from "latentwire";
import { createPacketFile, openPacketFile } from "latentwire/packet-file";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { writeNpy } from "../tables/npy.js";
import { isFull } from "./builds.js";
import { random } from "./cases.js";
import { root } from "./pack.js";

const cli = join(root, "dist/tables/cli.js");
const folder = mkdtempSync(join(tmpdir(), "latentwire-many-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);
const rng = random(Number(process.env.LATENTWIRE_SEED ?? 5));

const codec = createSync();
const row = Array.from({ length: 19 }, (_, k) => (k < 18 ? 3600 * k : 65536));
const table = { offsets: [-8, -8], cdfs: [row, row] };
writeFileSync(at("table.json"), JSON.stringify(table));
writeFileSync(at("other.json"), JSON.stringify({ offsets: [-9, -9], cdfs: [row, row] }));
const prior = codec.factorized(table);

function put(name: string, side: number): Int8Array {
  const data = Int8Array.from({ length: 2 * side * side }, () => rng(16) - 8);
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), writeNpy("int8", [2, side, side], data));
  return data;
}

function run(line: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...line.split(" ")], { cwd: folder });
  return { status, out: stdout.toString(), error: stderr.toString() };
}

/** Of mixed shapes, some of them in folders; in the order of their names. */
const latents = new Map<string, { side: number; data: Int8Array }>();
const COUNT = isFull ? 3000 : 300;
for (let i = 0; i < COUNT; i++) {
  const side = 1 + rng(12);
  const name = `${["", "b/", "a/c/"][i % 3]}${(i * 7919) % 100_003}.npy`;
  latents.set(name, { side, data: put(`latents/${name}`, side) });
}
const names = [...latents.keys()].sort();
const encode = "encode latents/ --tables table.json";

test("a folder becomes one file of packets by name, the same bytes for any number of threads", async () => {
  for (const jobs of [1, 2, 5]) assert.is(run(`${encode} -o ${jobs}.lws --jobs ${jobs}`).status, 0);
  const bytes = readFileSync(at("1.lws"));
  assert.equal(readFileSync(at("2.lws")), bytes);
  assert.equal(readFileSync(at("5.lws")), bytes);
  const file = await openPacketFile(at("1.lws"));
  assert.is(file.state, "indexed");
  assert.equal(file.names, names);
  for await (const { name, packet } of file.records()) {
    const { side, data } = latents.get(name)!;
    assert.equal(packet, codec.encode({ type: "int8", dims: [1, 2, side, side], data }, prior), name);
  }
  await file.close();
});

test("and back: a file for each packet, in the folders of their names", () => {
  for (const jobs of [1, 3]) {
    const { status, out } = run(`decode 1.lws --tables table.json -o back${jobs}/ --type int8 --json --jobs ${jobs}`);
    assert.is(status, 0);
    const { inputs, written, failed } = JSON.parse(out);
    assert.equal([inputs, written, failed], [COUNT, COUNT, 0]);
    for (const [name, { side, data }] of latents)
      assert.equal(
        Uint8Array.from(readFileSync(at(`back${jobs}/${name}`))),
        writeNpy("int8", [1, 2, side, side], data),
        name,
      );
  }
});

test("a folder of packets, and back; patterns and several files", () => {
  assert.is(run(`${encode} -o packets/ --jobs 2`).status, 0);
  assert.is(run("decode packets --tables table.json -o again/ --raw --type int8").status, 0);
  for (const [name, { data }] of latents) {
    const packet = readFileSync(at(`packets/${name.replace(".npy", ".lw")}`));
    assert.is(codec.inspect(new Uint8Array(packet)).elements, data.length);
    assert.equal(new Int8Array(readFileSync(at(`again/${name.replace(".npy", ".raw")}`))), data);
  }
  const [first, second] = names.filter((name) => name.startsWith("b/"));
  assert.is(run(`encode latents/${first} latents/${second} --tables table.json -o two.lws`).status, 0);
  assert.is(run("encode latents/b/*.npy --tables table.json -o pattern.lws").status, 0);
  assert.is(run("encode latents/b --tables table.json -o same.lws").status, 0);
  assert.equal(readFileSync(at("pattern.lws")), readFileSync(at("same.lws")));
  assert.ok(!existsSync(at("packets/.npy")));
  const left = readdirSync(at("packets"), { recursive: true }).filter((name) => String(name).endsWith(".tmp"));
  assert.equal(left, []);
});

test("raw elements: all files of a folder", async () => {
  mkdirSync(at("raw"));
  for (const name of ["x.bin", "y"]) writeFileSync(at(`raw/${name}`), new Uint8Array(8).fill(130));
  const line = "--tables table.json --dims 1,2,2,2 --type uint8 --zero-point 128";
  assert.is(run(`encode raw ${line} -o raw.lws`).status, 0);
  const file = await openPacketFile(readFileSync(at("raw.lws")));
  assert.equal(file.names, ["x.bin", "y"]);
  const { packet } = await file.get("y");
  assert.equal(codec.decode(packet, prior, { type: "int8" }).data, new Int8Array(8).fill(2));
  assert.is(run("decode raw.lws --tables table.json --type uint8 --zero-point 128 --raw -o raw-back").status, 2);
  assert.is(run("decode raw.lws --tables table.json --type uint8 --zero-point 128 --raw -o raw-back/").status, 0);
  assert.equal([...readFileSync(at("raw-back/y.raw"))], new Array(8).fill(130));
});

test("files that cannot be coded are named and counted, the others are written", async () => {
  for (let i = 0; i < 20; i++) put(`mixed/${10 + i}.npy`, 3);
  writeFileSync(at("mixed/13.npy"), "junk");
  writeFileSync(at("mixed/17.npy"), readFileSync(at("mixed/18.npy")).subarray(0, -1));
  writeFileSync(at("mixed/19.npy"), writeNpy("int8", [3, 3, 3], new Int8Array(27)));
  writeFileSync(at("mixed/21.npy"), "");
  symlinkSync("nowhere", at("mixed/22b.npy"));
  for (const [jobs, output] of [
    [1, "mixed1.lws"],
    [3, "mixed3.lws"],
    [2, "mixed/"],
  ] as const) {
    const { status, error } = run(`encode mixed --tables table.json -o ${output} --jobs ${jobs}`);
    assert.is(status, 1);
    assert.match(error, /^latentwire: INVALID_FILE mixed\/13\.npy is no \.npy file$/m);
    assert.match(error, /^latentwire: TRUNCATED mixed\/17\.npy: /m);
    assert.match(error, /^latentwire: SHAPE_MISMATCH mixed\/19\.npy: .* 3 channels/m);
    assert.match(error, /^latentwire: INVALID_FILE mixed\/21\.npy/m);
    assert.match(error, /^latentwire: 16 of 20 written to .*; 4 failed/m);
  }
  assert.equal(readFileSync(at("mixed1.lws")), readFileSync(at("mixed3.lws")));
  assert.is((await openPacketFile(readFileSync(at("mixed1.lws")))).count, 16);
  assert.is(readdirSync(at("mixed")).filter((name) => name.endsWith(".lw")).length, 16);

  // One that is repaired goes to the end.
  put("mixed/13.npy", 3);
  const again = run("encode mixed --tables table.json -o mixed1.lws --resume");
  assert.match(again.error, /1 of 20 written to mixed1\.lws, \d+ bytes; 16 were there; 3 failed/);
  assert.is((await openPacketFile(readFileSync(at("mixed1.lws")))).names.at(-1), "13.npy");
});

test("if the first hundred all fail, the options are wrong", () => {
  for (let i = 0; i < 150; i++) writeFileSync(at("x.npy"), writeNpy("int8", [3, 2, 2], new Int8Array(12)));
  mkdirSync(at("three"));
  for (let i = 0; i < 150; i++) writeFileSync(at(`three/${i}.npy`), readFileSync(at("x.npy")));
  const { status, error } = run("encode three --tables table.json -o three.lws --jobs 2");
  assert.is(status, 1);
  assert.match(error, /SHAPE_MISMATCH the first 100 files all fail: the options or the tables do not fit them/);
});

test("names of a packet file that lead out of the folder, or are there twice, are refused", async () => {
  const packet = codec.encode({ type: "int8", dims: [1, 2, 1, 1], data: new Int8Array(2) }, prior);
  const writer = await createPacketFile(at("hostile.lws"));
  const bad = ["../out", "/tmp/out", "a/../../out", "a\\..\\b", "C:x", "a//b", "./a", "nul\0byte", ".."];
  for (const name of ["good.npy", ...bad, "good.lw", "", "deep/er/one"]) await writer.add(packet, name);
  await writer.add(Uint8Array.of(1, 2, 3), "damaged");
  await writer.add(packet, "x".repeat(1000));
  await writer.close();
  const { status, error } = run("decode hostile.lws --tables table.json -o safe/in/ --jobs 2");
  assert.is(status, 1);
  const found = readdirSync(at("safe"), { recursive: true }).filter((name) => statSync(at(`safe/${name}`)).isFile());
  assert.equal(found.sort(), ["in/deep/er/one.npy", "in/good.npy", "in/packet-00000011.npy"]);
  for (const name of bad) assert.ok(error.includes(JSON.stringify(name)), name);
  assert.match(error, /"good\.lw": good\.npy is another packet's file/);
  assert.match(error, /(NOT_A_PACKET|TRUNCATED) damaged: /);
  assert.match(error, /ENAMETOOLONG/);
  assert.match(error, /3 of 15 written to safe\/in\/, \d+ bytes; 12 failed/);
});

test("arguments that do not go together", () => {
  mkdirSync(at("empty"));
  writeFileSync(at("there.lws"), "");
  const some = `latents/${names[0]} latents/${names[1]}`;
  for (const [line, message] of [
    ["encode empty --tables table.json -o x.lws", /there is no file to read in empty/],
    ["encode none --tables table.json -o x.lws -o y", /given twice/],
    [encode, /many files need -o PACKETS\.lws, or -o FOLDER\//],
    [`${encode} -o x.lw`, /-o x\.lw is for one file; many files need/],
    [`${encode} -o there.lws`, /there\.lws is there already: go on with it by --resume, or remove it/],
    [`${encode} -o x.lws --jobs 0`, /--jobs must be a whole number from 1/],
    [`encode ${some} - --tables table.json -o x.lws`, /standard input is one/],
    [`encode latents/ --tables - -o x.lws`, /--tables - is for a single file/],
    [`encode latents latents --tables table.json -o x.lws`, /have one name/],
    [`encode latents/${names[0]} --tables table.json -o x.lw --resume`, /--resume is for many files/],
    ["decode 1.lws --tables table.json -o x.lws", /decode writes a file for each packet/],
    ["decode 1.lws 2.lws --tables table.json -o x/", /one packet file at a time/],
  ] as const) {
    const { status, error } = run(line);
    assert.is(status, 2, `${line}: ${error}`);
    assert.match(error, message);
  }
  assert.ok(!existsSync(at("x.lws")));
});

// ---- runs that are stopped

const BIG = isFull ? 4000 : 500;
for (let i = 0; i < BIG; i++) put(`big/${String(i).padStart(5, "0")}.npy`, 60);

/** Starts a run, and sends a signal when its output has so many bytes. Returns how it ended. */
function stopped(line: string, output: string, bytes: number, signal: "SIGKILL" | "SIGINT" | "SIGTERM") {
  // A process that is killed would leave half a file of coverage.
  const env = { ...process.env, NODE_V8_COVERAGE: "" };
  const child = spawn(process.execPath, [cli, ...line.split(" ")], { cwd: folder, env, stdio: "ignore" });
  const timer = setInterval(() => {
    if ((statSync(at(output), { throwIfNoEntry: false })?.size ?? -1) < bytes) return;
    // Once: the second Control-C ends a process at once.
    clearInterval(timer);
    child.kill(signal);
  }, 1);
  return new Promise<number | string | null>((resolve) => {
    child.on("exit", (code, by) => {
      clearInterval(timer);
      resolve(by ?? code);
    });
  });
}

const line = (output: string, jobs = 2) => `encode big --tables table.json -o ${output} --jobs ${jobs}`;

test("a run that is killed goes on with --resume, to the bytes of a run that was not", async () => {
  assert.is(run(line("whole.lws")).status, 0);
  const whole = readFileSync(at("whole.lws"));
  let kills = 0;
  for (let i = 0; i < (isFull ? 12 : 3); i++) {
    const output = `killed${i}.lws`;
    // Killed twice, at any place.
    for (const share of [rng.unit() / 2, 0.5 + rng.unit() / 2])
      if (
        (await stopped(`${line(output, 1 + (i % 3))} --resume`, output, share * whole.length, "SIGKILL")) === "SIGKILL"
      )
        kills++;
    // As if the last write had been cut anywhere.
    if (i % 2 && existsSync(at(output))) {
      const torn = readFileSync(at(output));
      writeFileSync(at(output), torn.subarray(0, Math.max(0, torn.length - rng(5000))));
    }
    assert.is(run(`${line(output)} --resume`).status, 0);
    assert.equal(readFileSync(at(output)), whole, output);
  }
  assert.ok(kills > 0, "no run was killed");
});

test("Control-C leaves a file with its index, and --resume goes on", async () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const output = `${signal}.lws`;
    const ended = await stopped(line(output), output, 4, signal);
    // A machine may be so fast that it was done before.
    if (ended !== 0) assert.is(ended, code);
    const file = await openPacketFile(at(output));
    assert.is(file.state, "indexed", signal);
    assert.equal(file.names, readdirSync(at("big")).sort().slice(0, file.count));
    await file.close();
    assert.is(run(`${line(output)} --resume`).status, 0);
    assert.equal(readFileSync(at(output)), readFileSync(at("whole.lws")));
  }
});

test("files in a folder are whole after a kill, and --resume leaves them as they are", async () => {
  const child = stopped("encode big --tables table.json -o parts/ --jobs 2", "parts/00200.lw", 1, "SIGKILL");
  await child;
  const before = readdirSync(at("parts")).filter((name) => name.endsWith(".lw"));
  const old = statSync(at(`parts/${before[0]}`)).mtimeMs;
  const { status, out } = run("encode big --tables table.json -o parts/ --jobs 2 --resume --json");
  assert.is(status, 0);
  const { written, skipped } = JSON.parse(out);
  assert.is(written + skipped, BIG);
  assert.ok(skipped >= before.length);
  assert.is(statSync(at(`parts/${before[0]}`)).mtimeMs, old);
  const file = await openPacketFile(at("whole.lws"));
  for await (const { name, packet } of file.records())
    assert.equal(new Uint8Array(readFileSync(at(`parts/${name.replace(".npy", ".lw")}`))), packet, name);
  await file.close();
  assert.equal(
    readdirSync(at("parts")).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("a file that was begun with other tables is not gone on with", () => {
  const { status, error } = run("encode big latents --tables other.json -o whole.lws --resume");
  assert.is(status, 1);
  assert.match(error, /WRONG_PRIOR whole\.lws: its packet \d+\.npy is not what big\/\d+\.npy gives now/);
  // Nothing was changed.
  assert.is(run("decode whole.lws --tables table.json -o check/").status, 0);
});

test.run();

// Latents that are larger than memory should be: files are coded, rated and fitted piece by piece, with the same results.
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createSync } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readSamples } from "../tables/cli-samples.js";
import { writeNpy } from "../tables/npy.js";
import { isFull } from "./builds.js";
import { makeTable, random } from "./cases.js";
import { runIn, scratchFolder } from "./command.js";
import { throwsCode } from "./expect.js";

const { folder, at } = scratchFolder("large");
/** Says on standard error how much memory the process has taken, in kilobytes. */
const watch = "process.on('exit', () => console.error('peak ' + process.resourceUsage().maxRSS))";

function run(line: string, input: Uint8Array = new Uint8Array(0)): { out: Buffer; error: string; peak: number } {
  const node = ["--import", `data:text/javascript,${encodeURIComponent(watch)}`];
  const { status, out, error } = runIn(folder, line.split(" "), { input, node });
  assert.is(status, 0, error);
  return { out, error, peak: Number(/^peak (\d+)$/m.exec(error)?.[1]) };
}

const codec = createSync();
const rng = random(3);
const table = codec.table(makeTable(rng, { rows: 4, entries: 30, flavour: "peaked", medians: true }));
writeFileSync(at("table.json"), JSON.stringify(table));
const prior = codec.factorized(table);

// Three pieces and a half.
const dims = [7, 4, 81, 101];
const count = dims.reduce((a, b) => a * b, 1);
const whole = Int32Array.from({ length: count }, () => rng(12) - 6);
const head = Buffer.from(writeNpy("float32", dims, new Float32Array(0))).toString("latin1");
const npy = (descr: string, bytes: Uint8Array, order = "False") =>
  Buffer.concat([Buffer.from(head.replace("<f4", descr).replace("False", order.padEnd(5)), "latin1"), bytes]);
const bytesOf = (array: ArrayLike<number> | { buffer: ArrayBufferLike }) =>
  new Uint8Array((array as Int32Array).buffer);

test("a file in pieces gives the packet of the whole, whatever its type and order", () => {
  const floats = Float32Array.from(whole, (value) => value + 0.25);
  const swapped = Buffer.from(bytesOf(floats)).swap32();
  const columns = new Float32Array(count);
  const [n, c, h, w] = dims;
  for (let i = 0, k = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) columns[i + n * (j + c * (y + h * x))] = floats[k++];
  const files: Record<string, [Uint8Array, "float32" | "int32" | "int16" | "int8"]> = {
    "f4.npy": [npy("<f4", bytesOf(floats)), "float32"],
    "big.npy": [npy(">f4", swapped), "float32"],
    "columns.npy": [npy("<f4", bytesOf(columns), "True"), "float32"],
    "f8.npy": [npy("<f8", bytesOf(Float64Array.from(floats))), "float32"],
    "i8.npy": [npy("<i8", bytesOf(BigInt64Array.from(whole, BigInt))), "int32"],
    "i2.npy": [npy("<i2", bytesOf(Int16Array.from(whole))), "int16"],
    "i1.npy": [npy("|i1", bytesOf(Int8Array.from(whole))), "int8"],
    "u1.npy": [npy("|u1", bytesOf(Uint8Array.from(whole, (value) => value & 7))), "int32"],
  };
  const arrays = { float32: floats, int32: whole, int16: Int16Array.from(whole), int8: Int8Array.from(whole) };
  for (const [name, [bytes, type]] of Object.entries(files)) {
    writeFileSync(at(name), bytes);
    const data = name === "u1.npy" ? whole.map((value) => value & 7) : arrays[type];
    const packet = codec.encode({ type, dims, data }, prior);
    assert.equal(new Uint8Array(run(`encode ${name} --tables table.json`).out), packet, name);
    const { latents } = JSON.parse(run(`tables rate table.json ${name} --json`).out.toString());
    const { bits, escapes } = codec.rate({ type, dims, data }, prior, { axis: 1 });
    assert.ok(Math.abs(latents[0].bits / bits - 1) < 1e-12 && latents[0].escapes === escapes, name);
  }
  writeFileSync(at("latent.raw"), bytesOf(floats));
  const raw = run(`encode latent.raw --dims ${dims} --tables table.json`).out;
  assert.equal(raw, run("encode f4.npy --tables table.json").out);
  assert.equal(raw, run("encode - --tables table.json", files["f4.npy"][0]).out, "through a pipe");
});

test("an element that cannot be coded is named by its place in the file", () => {
  const data = Float32Array.from(whole);
  data[100_001] = Number.NaN;
  writeFileSync(at("nan.npy"), npy("<f4", bytesOf(data)));
  for (const line of ["encode nan.npy --tables table.json", "tables rate table.json nan.npy", "tables fit nan.npy"]) {
    const { status, error } = runIn(folder, [...line.split(" "), ...(line.includes("fit") ? ["-o", "x"] : [])]);
    assert.is(status, 1);
    assert.match(
      error,
      /^latentwire: NON_FINITE nan\.npy: element 100001 (of the latent )?is NaN(; replace it before encoding)?\n$/,
    );
  }
});

test("samples of one file are those of files of their own, for fit and for rate", () => {
  // Several stretches of the file.
  const [samples, size] = [30, 4 * 150 * 150];
  const data = Float32Array.from({ length: samples * size }, () => 9 * (rng.unit() - rng.unit()));
  writeFileSync(at("batch.npy"), writeNpy("float32", [samples, 4, 150, 150], data));
  mkdirSync(at("split"));
  for (let i = 0; i < samples; i++) {
    const name = `split/${String(i).padStart(2, "0")}.npy`;
    writeFileSync(at(name), writeNpy("float32", [4, 150, 150], data.subarray(i * size, (i + 1) * size)));
  }
  const [one, many] = ["batch.npy", "split"].map((name) => run(`tables fit ${name} --target-bytes 30000 -o -`));
  assert.equal(readBundle(new Uint8Array(one.out)).entries, readBundle(new Uint8Array(many.out)).entries);
  writeFileSync(at("fit.lwb"), one.out);
  const [joined, apart] = ["batch.npy", "split"].map(
    (name) =>
      JSON.parse(run(`tables rate fit.lwb ${name} --channels --json`).out.toString()) as {
        total: { bits: number; escapes: number; symbols: number };
        latents: { channels: { bits: number[] } }[];
      },
  );
  assert.ok(Math.abs(joined.total.bits / apart.total.bits - 1) < 1e-12);
  assert.equal([joined.total.symbols, joined.total.escapes], [apart.total.symbols, apart.total.escapes]);
  const first = apart.latents.reduce((sum, { channels }) => sum + channels.bits[0], 0);
  assert.ok(Math.abs(joined.latents[0].channels.bits[0] / first - 1) < 1e-12);
  // A table for values ten times as narrow.
  const narrow = { offsets: [-1, -1, -1, -1], cdfs: new Array(4).fill([0, 20000, 45000, 65000, 65536]) };
  writeFileSync(at("narrow.json"), JSON.stringify(narrow));
  assert.match(
    run("tables rate narrow.json batch.npy").error,
    /^latentwire: batch\.npy: samples 0 to 10: \d+ of 990000 symbols .* \(3 of 3 parts of the file have a warning\)\n/,
  );
});

test("a file that changes while it is read is refused", async () => {
  const path = at("moving.npy");
  writeFileSync(path, writeNpy("float32", [3, 4, 2], new Float32Array(24)));
  const [{ latent }] = await readSamples([path]);
  assert.is(latent.read(8, 16).length, 8);
  const [again] = await readSamples([path]);
  for (const changed of [
    writeNpy("float32", [2, 4, 2], new Float32Array(16)),
    writeNpy("int8", [3, 4, 2], new Int8Array(24)),
  ]) {
    writeFileSync(path, changed);
    throwsCode(() => again.latent.read(8, 16), "INVALID_FILE", /moving\.npy was changed while it was read/);
  }
});

test("the memory for a file of 270 MB is that of a sample", () => {
  const shape = [270, 4, 250, 250];
  const head = writeNpy("float32", shape, new Float32Array(0));
  writeFileSync(at("large.npy"), head);
  // A hole: it takes no space on the disk.
  truncateSync(at("large.npy"), head.length + 4 * shape.reduce((a, b) => a * b, 1));
  const lines = ["encode large.npy --tables table.json -o large.lw", "tables rate table.json large.npy"];
  if (isFull) lines.push("tables fit large.npy -o large.lwb");
  for (const line of lines) {
    const { peak } = run(line);
    // The whole file would be 270,000 more than what node itself takes.
    assert.ok(peak > 30_000 && peak < 260_000, `${line}: ${peak} KB`);
  }
  assert.equal(codec.inspect(new Uint8Array(readFileSync(at("large.lw")))).dims, shape);
});

test.run();

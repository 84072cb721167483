// `npm start` in small: one photograph from the device to its label, and the figures that are printed about it.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { subgraph } from "../bench/backbone/subgraph.js";
import { bytesAt } from "../bench/offload/accuracy.js";
import { equalTop1 } from "../bench/summary.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "latentwire-start-"));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

function start(...args: string[]) {
  return spawnSync(process.execPath, ["--import", "tsx", here("../bench/start.ts"), ...args], { encoding: "utf8" });
}

/** A folder with one photograph and a file that is none. */
function photographs(): string {
  const folder = join(scratch, "photographs");
  mkdirSync(folder, { recursive: true });
  copyFileSync(here("../bench/photos/coffee.png"), join(folder, "coffee.png"));
  writeFileSync(join(folder, "broken.png"), "no picture");
  return folder;
}

test("one photograph: its packet decodes, the network knows it, and every figure follows from its parts", () => {
  const html = join(scratch, "report.html");
  const { status, stdout, stderr } = start("--json", "--images", photographs(), "--html", html);
  assert.is(status, 0, stderr);
  const { images, skipped, summary } = JSON.parse(stdout);
  assert.is(images.length, 1);
  assert.match(skipped.join(), /broken\.png/);
  const [{ original, packet, staticRows, sameBytes, pictures }] = images;
  assert.is(packet.exact, true);
  assert.is(original.label, "espresso");
  assert.is(packet.answer.class, original.class);
  assert.ok(packet.answer.probability > 0.5 && packet.answer.probability < 1);
  assert.equal(summary.sameLabel[0], 1);
  assert.is(summary.bytes, packet.bytes);
  assert.ok(packet.bytes > packet.ideal.bytes && packet.bytes < 1.05 * packet.ideal.bytes);
  assert.ok(packet.bytes < 0.9 * staticRows.bytes, `${packet.bytes} bytes, ${staticRows.bytes} with static rows`);
  for (const { bytes } of sameBytes) assert.ok(Math.abs(bytes / packet.bytes - 1) < 0.1, `${bytes} bytes`);
  assert.equal(
    summary.ways.map(({ bytes }: { bytes: number }) => bytes),
    [packet.bytes, staticRows.bytes, ...pictures.map(({ bytes }: { bytes: number }) => bytes)],
  );
  // Both ends of every way are counted: two or three networks for the packet, the whole network for a picture.
  const sum = (ms: Record<string, number>, steps: string) =>
    steps.split(" ").reduce((total, step) => total + ms[step]!, 0);
  for (const { ways } of summary.links)
    for (const { sender, time } of ways) {
      const all = sum(sender.ms, "encoder encode decode decoder network") + time.transferMs + time.rttMs;
      assert.ok(Math.abs(time.totalMs - all) < 1e-6);
      assert.ok(sender.ms.encode > 0 && sender.ms.decode > 0 && sender.ms.network > 0);
      assert.is(sender.ms.decoder > 0, sender.family.startsWith("latent"));
    }
  const page = readFileSync(html, "utf8");
  assert.match(page, /^<!doctype html>[\s\S]*espresso[\s\S]*<\/html>\n$/);
  assert.not.match(page.replace(/base64,[^"]*/g, ""), /NaN|Infinity|undefined/);
});

test("the terminal says what the bytes are worth", () => {
  const { status, stdout, stderr } = start("--point", "low", "--images", photographs());
  assert.is(status, 0, stderr);
  assert.match(stdout, /coffee\.png +\d+ +\d+ +espresso \d+ % +espresso \d+ %/);
  const { bytes, pictures } = equalTop1("low");
  const needs = pictures.map((one) => `${Math.round(one.bytes).toLocaleString("en-US")} bytes of ${one.format}`);
  for (const text of [`from ${bytes} bytes of packet`, ...needs])
    assert.ok(stdout.replaceAll("\n", " ").includes(text), text);
  assert.ok(stdout.split("\n").every((line) => line.length <= 120));
});

test("bytes at equal accuracy are those of the offload benchmark", () => {
  for (const point of ["low", "mid", "high"]) {
    const { top1, curves, pictures } = equalTop1(point);
    for (const { format, bytes } of pictures) {
      const { points } = curves.find(({ family }) => family === format)!;
      assert.ok(Math.abs(bytes / bytesAt(points, top1)! - 1) < 1e-9, `${point}, ${format}`);
    }
  }
});

test("a network that is cut in two answers as the whole one", async () => {
  const model = new Uint8Array(readFileSync(here("../bench/backbone/backbone.onnx")));
  const data = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => (i * 7919) % 256);
  const image = new Tensor("float32", data, [1, 3, 224, 224]);
  const open = (bytes: Uint8Array) => InferenceSession.create(bytes);
  const whole = (await (await open(model)).run({ image })).logits!;
  const { v71 } = await (await open(subgraph(model, "image", "v71"))).run({ image });
  assert.equal(v71!.dims, [1, 32, 28, 28]);
  const rest = (await (await open(subgraph(model, "v71", "logits"))).run({ v71: v71! })).logits!;
  // The runtime fuses each graph in its own way, so the last bits differ.
  const [a, b] = [whole.data, rest.data] as [Float32Array, Float32Array];
  assert.ok(a.every((logit, i) => Math.abs(logit - b[i]!) < 1e-3));
  assert.throws(() => subgraph(model, "nothing", "logits"), /does not depend on/);
});

test("mistakes end in one line, before the work", () => {
  for (const [args, message] of [
    [["--point", "best"], /low, mid, high/],
    [["--html", join(scratch, "none", "a.html")], /there is no folder/],
  ] as const) {
    const { status, stderr } = start(...args);
    assert.is(status, 1);
    assert.match(stderr, message);
    assert.is(stderr.trim().split("\n").length, 1, stderr);
  }
});

test.run();

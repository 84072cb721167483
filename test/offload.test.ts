// The offload benchmark in small: the bundled photographs without a backbone, and its page in Chromium.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, inspect } from "latentwire";
import { chromium } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { BrowserResults } from "../bench/browser/compare.js";
import { serveBrowser } from "../bench/browser/serve.js";
import { coarser } from "../bench/offload/coarser.js";
import { bytesAt } from "../bench/offload/curve.js";
import { fromHalf, toHalf } from "../bench/offload/half.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "latentwire-offload-"));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

function offload(...args: string[]) {
  const all = ["--import", "tsx", here("../bench/offload/run.ts"), "--cache", scratch, ...args];
  return spawnSync(process.execPath, all, { encoding: "utf8" });
}

test("without a backbone: bytes, times and feature error of every way, one JSON object", () => {
  const [html, csv] = ["report.html", "points.csv"].map((name) => join(scratch, name));
  const { status, stdout, stderr } = offload("--limit", "1", "--json", "--html", html, "--csv", csv);
  assert.is(status, 0, stderr);
  const { summary, points, observed, rules } = JSON.parse(stdout);
  assert.is(summary.bytesVsWebp, null);
  assert.is(summary.backboneTop1, null);
  const codecs = new Set(points.map((point: { codec: string }) => point.codec));
  const wanted =
    "latentwire, latent float16, latent int8, int8 deflate, int8 brotli, int8 zstd, PNG, JPEG, mozjpeg, WebP, AVIF";
  for (const codec of wanted.split(", ")) assert.ok(codecs.has(codec), codec);
  for (const point of points) {
    assert.ok(point.bytes > 0 && point.clientMs > 0 && point.serverMs > 0, JSON.stringify(point));
    assert.is(point.top1, null);
    assert.is(point.links.length, 4);
  }
  const [packet] = points;
  assert.is(packet.codec, "latentwire");
  assert.ok(packet.featureError > 0);
  assert.ok(rules.strings < rules.packet && rules.packet < rules.pickled);
  // Whether the two agree depends on what else the machine does; that all was sent and answered does not.
  assert.is(observed.length, 16);
  for (const { observedMs, modelledMs } of observed) assert.ok(observedMs > 0.9 * modelledMs);
  assert.match(readFileSync(html, "utf8"), /^<!doctype html>[\s\S]*<\/html>\n$/);
  assert.is(readFileSync(csv, "utf8").trim().split("\n").length, points.length + 1);
});

test("what the cache knows is not measured again", () => {
  const first = JSON.parse(offload("--limit", "1", "--json", "--no-link").stdout);
  const second = JSON.parse(offload("--limit", "1", "--json", "--no-link").stdout);
  assert.equal(second.points, first.points);
});

test("mistakes end in one line", () => {
  for (const [args, message] of [
    [["--backbone", scratch], /there is no .*backbone\.onnx/],
    [["--model", scratch], /encoder\.onnx/],
    [["--limit", "0"], /--limit 0/],
    [["--html", join(scratch, "none", "a.html")], /there is no folder/],
  ] as const) {
    const { status, stderr } = offload(...args);
    assert.is(status, 1);
    assert.match(stderr, message);
    assert.is(stderr.trim().split("\n").length, 1, stderr);
  }
});

test("bytes at a top-1: interpolated in log bytes, nothing beyond the ends", () => {
  const points = [
    { bytes: 1000, top1: 0.2 },
    { bytes: 4000, top1: 0.6 },
    { bytes: 5000, top1: 0.5 },
  ];
  assert.is(bytesAt(points, 0.2), 1000);
  assert.ok(Math.abs(bytesAt(points, 0.4)! - 2000) < 1e-6);
  assert.is(bytesAt(points, 0.7), null);
  assert.is(bytesAt(points, 0.1), null);
});

test("rows for a coarser step hold every symbol that the finer ones held", async () => {
  const codec = await create();
  const tables = { offsets: [-3], cdfs: [[0, 10, 500, 9000, 56000, 65000, 65500, 65535, 65536]] };
  for (const step of [1.25, 1.5, 2]) {
    const prior = codec.factorized(coarser(codec, tables, step), { step });
    const values = Float32Array.from({ length: 61 }, (_, i) => (i - 30) / 10);
    const packet = codec.encode({ type: "float32", dims: [1, 1, 1, 61], data: values }, prior);
    assert.is(inspect(packet).escapes, false);
  }
});

test("float16 there and back is the nearest one", () => {
  for (let half = 0; half < 0x7c00; half++) assert.is(toHalf(fromHalf(half)), half);
  assert.is(fromHalf(toHalf(1 + 2 ** -11)), 1);
  assert.is(fromHalf(toHalf(-1 - 3 * 2 ** -11)), -1 - 2 ** -9);
  assert.is(fromHalf(toHalf(1e6)), Number.POSITIVE_INFINITY);
});

const executable = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find((path) => path !== undefined && existsSync(path));

test("the page in Chromium: packets of the size that Node makes, and canvas pictures", async () => {
  if (executable === undefined) return console.log("skipped: no chromium");
  const photos = { images: here("../bench/photos"), model: here("../bench/model/points/mid"), limit: 1 };
  const { server, url } = await serveBrowser(photos);
  const flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync";
  const quiet = "--disable-background-networking --disable-component-update";
  const browser = await chromium.launch({ executablePath: executable, args: `${flags} ${quiet}`.split(" ") });
  try {
    const page = await browser.newPage();
    await page.goto(`${url}?passes=1`, { waitUntil: "load" });
    const { rows }: BrowserResults = await page.evaluate(
      () => (globalThis as unknown as { results: Promise<BrowserResults> }).results,
    );
    assert.equal(
      rows.map(({ name }) => name.split(" ")[0]),
      ["latentwire", ...Array(4).fill("JPEG"), ...Array(4).fill("WebP")],
    );
    const [packet] = rows;
    // Another scaling of the photograph, and another order of additions in the network: near, not equal.
    const { points } = JSON.parse(offload("--limit", "1", "--json", "--no-link", "--model", photos.model).stdout);
    assert.ok(Math.abs(packet.bytes / points[0].bytes - 1) < 0.15, `${packet.bytes} bytes, in Node ${points[0].bytes}`);
    assert.ok(packet.encoderMs > 0 && rows.every(({ bytes, serverMs }) => bytes > 0 && serverMs > 0));
    assert.ok(await page.locator("#report table").isVisible());
  } finally {
    await browser.close();
    server.close();
  }
});

test.run();

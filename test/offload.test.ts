// The offload benchmark in small: the bundled photographs without a backbone, and its page in Chromium.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "latentwire";
import { chromium } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { BrowserResults } from "../bench/browser/compare.js";
import { serveBrowser } from "../bench/browser/serve.js";
import { duration, readLinks } from "../bench/command.js";
import { loadPrepared } from "../bench/images.js";
import { bytesAt } from "../bench/offload/accuracy.js";
import { Cache, evaluate, hashOf, keyOf } from "../bench/offload/evaluate.js";
import { withLabels } from "../bench/offload/labels.js";
import { coarser } from "../bench/offload/networks.js";
import type { Way } from "../bench/offload/ways.js";
import { readLabels } from "../tables/labels.js";
import { LINKS } from "../tables/links.js";
import { isFull } from "./builds.js";
import { rejects } from "./expect.js";
import { onnxModel } from "./onnx-model.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "latentwire-offload-"));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Whole runs take some ten seconds each. */
const inFull: typeof test | (() => void) = isFull ? test : () => {};

function offload(...args: string[]) {
  const all = ["--import", "tsx", here("../bench/offload/run.ts"), "--cache", scratch, ...args];
  return spawnSync(process.execPath, all, { encoding: "utf8" });
}

inFull("without a backbone: bytes, times and feature error of every way, one JSON object", () => {
  const { status, stdout, stderr } = offload("--limit", "1", "--json");
  assert.is(status, 0, stderr);
  const { summary, points } = JSON.parse(stdout);
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
  const named = (setting: string) => points.find((point: { setting: string }) => point.setting === setting);
  for (const name of ["low", "mid", "high"]) {
    const [fixed, context] = [named(name), named(`${name} context`)];
    assert.is(context.featureError, fixed.featureError, "the same symbols");
    assert.ok(context.bytes < 0.9 * fixed.bytes, `${context.bytes} bytes, ${fixed.bytes} with static rows`);
  }
});

inFull("the contexts of the model: every round trip, and C++ gives the same symbols", () => {
  const args = ["--import", "tsx", here("../bench/context.ts"), "--rounds", "1", "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.is(status, 0, stderr);
  const { points } = JSON.parse(stdout);
  assert.is(points.length, 9);
  for (const point of points) {
    assert.ok(point.roundTrip && point.images === 4 && point.encodeMs > 0 && point.decodeMs > 0, JSON.stringify(point));
    assert.ok(point.nativeDecodeMs > 0 || /bench\/native is left out/.test(stderr), stderr);
    assert.ok(point.contextBytes < 0.9 * point.staticBytes && point.idealStaticBytes < point.staticBytes);
  }
});

inFull("what the cache knows is not measured again", () => {
  const first = JSON.parse(offload("--limit", "1", "--json").stdout);
  const second = JSON.parse(offload("--limit", "1", "--json").stdout);
  assert.equal(second.points, first.points);
});

/** Networks that name the colour of an image and the strongest of the features: answers, if not good ones. */
function colourBackbone(folder: string): string {
  mkdirSync(folder);
  for (const [name, input, channels, side] of [
    ["backbone.onnx", "image", 3, 224],
    ["tail.onnx", "features", 32, 28],
  ] as const)
    writeFileSync(
      join(folder, name),
      onnxModel({
        nodes: [
          { op: "GlobalAveragePool", inputs: [input], output: "means" },
          { op: "Flatten", inputs: ["means"], output: "logits" },
        ],
        inputs: { [input]: { type: "float32", dims: [1, channels, side, side] } },
        outputs: { logits: { type: "float32", dims: [1, channels] } },
      }),
    );
  return folder;
}

inFull("a backbone that gives no image its label: nothing is compared, and the run says why", () => {
  const backbone = colourBackbone(join(scratch, "colours"));
  const labels = join(scratch, "wrong.csv");
  writeFileSync(labels, "file,label\nastronaut.png,999\n");
  const { status, stdout, stderr } = offload(
    ...["--json", "--backbone", backbone, "--labels", labels],
    ...["--model", here("../bench/model/points/mid")],
  );
  assert.is(status, 0, stderr);
  assert.match(stderr, /left out: 3 of 4 images, such as chelsea\.png/);
  const { summary, points, notes, skipped, images } = JSON.parse(stdout);
  assert.is(images, 1);
  assert.is(skipped.length, 3);
  assert.is(summary.backboneTop1, 0);
  assert.is(summary.bytesVsWebp, null);
  assert.match(notes.join(), /labels/);
  for (const { top1, agreement } of points) assert.ok(top1 === 0 && agreement !== null);
});

inFull("mistakes end in one line", () => {
  for (const [args, message] of [
    [["--cache", fileURLToPath(import.meta.url)], /--cache/],
    [["--labels", join(scratch, "none.csv")], /cannot read the labels/],
    [["--backbone", scratch], /there is no .*backbone\.onnx/],
    [["--model", scratch], /encoder\.onnx/],
    [["--limit", "0"], /--limit 0/],
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
  assert.equal(
    [0.2, 0.7, 0.1].map((top1) => bytesAt(points, top1)),
    [1000, null, null],
  );
  assert.ok(Math.abs(bytesAt(points, 0.4)! - 2000) < 1e-6);
});

test("labels: any order of columns, quotes, CRLF, empty lines, a mark of the byte order", () => {
  const file = join(scratch, "labels.csv");
  const written = (text: string) => {
    writeFileSync(file, text);
    return readLabels(file);
  };
  const quoted = written(
    '\uFEFF"name", label ,"file"\r\n"tench, ""Tinca""",3,"a/x.jpg"\r\n\r\n"two\nlines",4,"b\\y.JPEG"\r\n',
  );
  assert.is(quoted("x.jpg"), 3);
  assert.is(quoted("y.JPEG"), 4);
  assert.is(quoted("y.png"), 4, "stored in another format");
  assert.is(quoted("z.png"), undefined);
  const twice = written("file,label\na/x.jpg,1\nb/x.jpg,2\na/y.jpg,3\nb/y.jpg,3\n");
  assert.is(twice("y.jpg"), 3);
  assert.throws(() => twice("x.jpg"), /2 classes, 1 and 2/);
  assert.throws(() => written("file,label\n\nx.jpg,cat\n"), /line 3: "cat" is no class/);
  assert.throws(() => written(""), /columns "file" and "label"/);
  written("file,label\nx.jpg,1\n");
  assert.equal([...withLabels(["d/x.jpg"], file).classes], [["d/x.jpg", 1]]);
  assert.throws(() => withLabels(["d/y.jpg"], file), /1 of 1 images, such as y\.jpg/);
});

test("an image whose server was not timed, late in another list, is timed when it comes early", async () => {
  const file = here("../bench/photos/rocket.png");
  const server = { codec: 1, image: 0, decoder: 1, network: 1 };
  const way: Way = {
    ...{ codec: "int8", setting: "m", family: "latent", identity: "test", images: 9 },
    client: async () => ({ message: new Uint8Array(7), ms: { encoder: 1, codec: 1, image: 0 } }),
    server: async () => ({ answer: 5, features: null, ms: server }),
  };
  const cache = Cache.open(join(scratch, "order"));
  const key = keyOf(hashOf(await loadPrepared(file)), way);
  cache.add(key, { bytes: 7, answer: 5, featureError: null, server: null });
  const { outcomes } = await evaluate([file], [way], cache);
  assert.equal(outcomes.get(way)?.[0].server, server);
  assert.equal(Cache.open(join(scratch, "order")).get(key)?.server, server);
});

test("a way that cannot take a model's latents is left out, with its reason", async () => {
  const way = (family: Way["family"]): Way => ({
    ...{ codec: "int8", setting: "m", family, identity: "test", images: 9 },
    client: () => Promise.reject(new Error("133 does not fit")),
    server: () => Promise.reject(new Error("unreachable")),
  });
  const cache = Cache.open(join(scratch, "unfit"));
  const files = ["rocket.png", "coffee.png"].map((name) => here(`../bench/photos/${name}`));
  const run = (of: Way) => evaluate(files, [of], cache);
  const { images, outcomes, skipped } = await run(way("latent"));
  assert.is(images.length, 2);
  assert.is(outcomes.size, 0);
  assert.equal(skipped, ["int8 m: 133 does not fit (rocket.png)"]);
  await rejects(run(way("JPEG")), Error, /^133 does not fit$/);
});

test("link profiles: numbers, and a name once", () => {
  const file = join(scratch, "links.json");
  const read = (links: unknown) => {
    writeFileSync(file, JSON.stringify(links));
    return readLinks(file);
  };
  const link = { name: "a", mbitPerSecond: 2, rttMs: 0 };
  assert.equal(read([link]), [link]);
  assert.throws(() => read([{ ...link, mbitPerSecond: "2" }]), /a list of/);
  assert.throws(() => read([{ ...link, rttMs: null }]), /a list of/);
  assert.throws(() => read([link, link]), /two links are called a/);
});

test("time that is left, in words", () => {
  assert.equal([7.4, 65, 3725, Number.NaN].map(duration), ["7 s", "1:05 min", "1:02 h", "?"]);
});

test("rows for a coarser step hold every symbol that the finer ones held", async () => {
  const codec = await create();
  const tables = { offsets: [-3], cdfs: [[0, 10, 500, 9000, 56000, 65000, 65500, 65535, 65536]] };
  for (const step of [1.25, 1.5, 2]) {
    const prior = codec.factorized(coarser(codec, tables, step), { step });
    const values = Float32Array.from({ length: 61 }, (_, i) => (i - 30) / 10);
    const packet = codec.encode({ type: "float32", dims: [1, 1, 1, 61], data: values }, prior);
    assert.is(codec.inspect(packet).escapes, false);
  }
});

const installed = ["chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`);
const executable = [process.env.CHROMIUM, ...installed].find((path) => path !== undefined && existsSync(path));

inFull("the page in Chromium: packets of the size that Node makes, and canvas pictures", async () => {
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
    const { points } = JSON.parse(offload("--limit", "1", "--json", "--model", photos.model).stdout);
    assert.ok(Math.abs(packet.bytes / points[0].bytes - 1) < 0.15, `${packet.bytes} bytes, in Node ${points[0].bytes}`);
    assert.ok(packet.encoderMs > 0 && rows.every(({ bytes, receiverMs }) => bytes > 0 && receiverMs > 0));
    assert.ok(await page.locator("#report table").isVisible());
    assert.is(await page.locator("#report svg").count(), 2 + LINKS.length);
  } finally {
    await browser.close();
    server.close();
  }
});

test.run();

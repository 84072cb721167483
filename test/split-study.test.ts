// latentwire split with samples: what it measures and recommends, and that what it writes runs as it is: a page, a server for Node, one for Python.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { create } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readImage } from "../tables/images.js";
import { writeNpy } from "../tables/npy.js";
import type { Row } from "../tables/split/measure.js";
import { besideRival } from "../tables/split/report.js";
import type { Study } from "../tables/split/study.js";
import { random } from "./cases.js";
import { closeChromium, executablePath, visit } from "./chromium.js";
import { type Model, onnxModel } from "./onnx-model.js";
import { root, scratchProject } from "./pack.js";

const project = scratchProject(["onnxruntime-node", "onnxruntime-web", "onnxruntime-common", "protobufjs", "sharp"]);
const at = (...names: string[]) => join(project, "split", ...names);
mkdirSync(at("images"), { recursive: true });
test.after(closeChromium);

const rng = random(3);
const noise = (...dims: number[]) => ({
  dims,
  data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.unit() - 0.5),
});
const float = (...dims: (number | string)[]) => ({ type: "float32" as const, dims });

/** A classifier of 32x32 images that takes pixels of 0 to 255, as its first nodes say. */
const classifier: Model = {
  nodes: [
    { op: "Sub", inputs: ["image", "half"], output: "centred" },
    { op: "Mul", inputs: ["centred", "unit"], output: "scaled" },
    {
      op: "Conv",
      inputs: ["scaled", "w1"],
      output: "a",
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    },
    { op: "Relu", inputs: ["a"], output: "b" },
    {
      op: "Conv",
      inputs: ["b", "w2"],
      output: "c",
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    },
    { op: "Relu", inputs: ["c"], output: "d" },
    { op: "Conv", inputs: ["d", "w3"], output: "e", attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
    { op: "GlobalAveragePool", inputs: ["e"], output: "f" },
    { op: "Flatten", inputs: ["f"], output: "g" },
    { op: "MatMul", inputs: ["g", "w4"], output: "scores" },
  ],
  inputs: { image: float("n", 3, 32, 32) },
  outputs: { scores: float("n", 6) },
  weights: {
    half: { dims: [], data: [127.5] },
    unit: { dims: [], data: [1 / 64] },
    w1: noise(8, 3, 3, 3),
    w2: noise(8, 8, 3, 3),
    w3: noise(16, 8, 3, 3),
    w4: noise(16, 6),
  },
};
writeFileSync(at("model.onnx"), onnxModel(classifier));

/** Images of a few soft colours each. */
const COUNT = 60;
for (let i = 0; i < COUNT; i++) {
  const raw = { raw: { width: 4, height: 4, channels: 3 as const } };
  const image = sharp(Buffer.from(Array.from({ length: 48 }, () => rng(256))), raw);
  await image
    .resize(40, 36, { kernel: "cubic", fit: "fill" })
    .png()
    .toFile(at("images", `${i}.png`));
}

interface Outcome {
  readonly out: string;
  readonly error: string;
  readonly status: number;
}

function split(...args: string[]): Outcome {
  // Not the project's copy: its lines would not count for coverage.
  const cli = join(root, "dist/tables/cli.js");
  const { stdout, stderr, status } = spawnSync(process.execPath, [cli, "split", ...args], {
    cwd: at(),
    encoding: "utf8",
  });
  return { out: stdout, error: stderr, status: status ?? -1 };
}

function splitJson(...args: string[]) {
  const { out, error, status } = split(...args, "--json");
  assert.is(status, 0, error);
  return JSON.parse(out);
}

const measured = splitJson(
  "model.onnx",
  "--images",
  "images",
  "--context",
  "--max-work",
  "0.9",
  "-o",
  "out",
  "--html",
  "report.html",
  "--threads",
  "1",
);

test("every cut and step has its figures, of samples of their own", () => {
  const { uses, cuts, metric, metricReason, images, wholeMs, pictures } = measured;
  assert.match(metricReason, /^its output scores is taken for scores of classes/);
  assert.equal([images, metric], [COUNT, "top-1"]);
  assert.equal(uses, { fit: 6, choose: 30, report: 24 });
  assert.ok(wholeMs > 0 && cuts.length > 5, String(cuts.length));
  // Which samples these were, by name.
  const { samples } = measured;
  assert.equal([samples.fit.length, samples.choose.length, samples.report.length], [6, 30, 24]);
  const all = [...samples.fit, ...samples.choose, ...samples.report].map((name: string) => name.replace(/^.*\//, ""));
  assert.equal(all.sort(), Array.from({ length: COUNT }, (_, i) => `${i}.png`).sort());
  for (const cut of cuts) {
    assert.ok(cut.choosingAgreement >= 0 && cut.choosingAgreement <= 1, JSON.stringify(cut));
    assert.ok(cut.bytes > 0 && cut.step > 0 && cut.encoderMs > 0, JSON.stringify(cut));
    assert.ok(cut.workShare > 0 && cut.workShare <= 1 && cut.parametersShare > 0);
    assert.is(cut.float32Bytes, 4 * cut.dims.reduce((a: number, b: number) => a * b));
    assert.ok(cut.agreement >= 0 && cut.agreement <= 1);
    const [low, high] = cut.agreement95;
    assert.ok(low <= cut.agreement && cut.agreement <= high && high - low > 0.05, JSON.stringify(cut));
    const [least, most] = cut.webpBytes95;
    assert.ok(least <= cut.webpBytes && cut.webpBytes <= most, JSON.stringify(cut));
  }
  assert.ok(cuts.some(({ contextBytes }: { contextBytes: number | null }) => contextBytes !== null));
  // A coarser step of the same cut takes fewer bytes.
  const [first] = cuts;
  const same = cuts.filter(({ tensor, perChannel }: typeof first) => tensor === first.tensor && !perChannel);
  const sorted = [...same].sort((a, b) => a.step - b.step);
  assert.equal(
    sorted.map(({ bytes }) => bytes),
    [...sorted].map(({ bytes }) => bytes).sort((a, b) => b - a),
  );
  assert.ok(pictures.some(({ quality }: { quality: unknown }) => quality === "lossless"));
  for (const { quality, agreement } of pictures) if (quality === "lossless") assert.is(agreement, 1);
});

test("the recommendation keeps to what was asked for", () => {
  const { recommended } = measured;
  assert.ok(recommended.choosingAgreement >= 0.98, JSON.stringify(recommended));
  assert.ok(recommended.workShare <= 0.9, JSON.stringify(recommended));
  assert.match(recommended.reason, /the fewest bytes of cuts with at most 90 % of the work/);
  const page = readFileSync(at("report.html"), "utf8");
  assert.match(page, /<svg/);
  assert.ok(page.includes(recommended.reason));
  const choosing = `${(100 * recommended.choosingAgreement).toFixed(1)} % on the 30 samples that chose it`;
  assert.ok(page.includes(choosing), choosing);
  assert.not.match(page, /(src|href)="(?!data:)/);
  // It stands out in both tables, and the ring around it is in both legends.
  const strong = [...page.matchAll(/<tr class="strong"><td>([^<]*)<\/td>/g)].map(([, name]) => name);
  assert.equal(strong, [`${recommended.tensor}, recommended`, recommended.tensor]);
  assert.is(page.split('<i class="round ring"></i>recommended').length, 3);
  assert.is(page.split('class="ring"><title>').length, 3);
});

test("the range of pixels is found in the graph, and said", async () => {
  const { out, error, status } = split("model.onnx", "--images", "images", "--at", "d", "--step", "0.5");
  assert.is(status, 0, error);
  assert.match(out, /d +8x8x8 +.* 0\.5 /);
  assert.match(out, /^cut .* bytes +choosing +agreement /m);
  assert.match(out, /^choosing: agreement on the 30 samples that choose\. /m);
  const facts = JSON.parse(readFileSync(at("out/client/split.json"), "utf8"));
  assert.equal(facts.image.std, [1 / 255, 1 / 255, 1 / 255]);
  // What sharp does to a picture by itself is what is written for others.
  const { fit, filter, crop } = facts.image.preparation;
  const [file, size] = [at("images/3.png"), { width: 16, height: 12 }];
  const named = await sharp(file)
    .resize({ ...size, fit, kernel: filter, position: crop })
    .raw()
    .toBuffer();
  assert.equal([...(await readImage(sharp as never, file, 12, 16))], [...named]);
});

test("images without a label are named, and nothing is said of accuracy", () => {
  const options = ["model.onnx", "--images", "images", "--at", "d", "--step", "0.5", "--labels", "labels.csv"];
  const write = (count: number, name = (i: number) => `${i}.png`) =>
    writeFileSync(
      at("labels.csv"),
      `file,label\n${Array.from({ length: count }, (_, i) => `${name(i)},1`).join("\n")}`,
    );
  write(COUNT);
  assert.match(split(...options).out, /^cut .* accuracy /m);
  write(COUNT - 1);
  const { out, error } = split(...options);
  assert.match(error, /labels\.csv has no label for 1 of 60 images, such as 59\.png: no accuracy is reported/);
  assert.not.match(out, /accuracy/);
  write(COUNT, (i) => `other-${i}.png`);
  assert.match(split(...options).error, /INVALID_FILE labels\.csv has no label for 60 of 60 images, such as .*\.png: /);
});

test("an image of the folder that cannot be read is skipped; a folder of such images is an error", () => {
  mkdirSync(at("junk"));
  writeFileSync(at("junk/a.jpg"), "no image");
  const options = ["--limit", "61", "--at", "d", "--step", "0.5"];
  const { images } = splitJson("model.onnx", "--images", "images", "--images", "junk", ...options);
  assert.is(images, COUNT);
  const refused = (path: string) => split("model.onnx", "--images", path, ...options).error;
  assert.match(refused("junk"), /INVALID_FILE none of 1 images can be read: .*a\.jpg: /);
  assert.match(refused("junk/a.jpg"), /INVALID_FILE junk\/a\.jpg: /);
});

/** The first sample through the files that were written. */
async function throughFiles() {
  const read = (name: string) => readFileSync(at("out", name));
  const facts = JSON.parse(read("client/split.json").toString());
  const [head, tail, whole] = await Promise.all(
    [read("client/head.onnx"), read("server/tail.onnx"), readFileSync(at("model.onnx"))].map((bytes) =>
      InferenceSession.create(bytes),
    ),
  );
  const sample = JSON.parse(read("client/sample.json").toString());
  const image = new Tensor("float32", Float32Array.from(sample.image.data), sample.image.dims);
  const codec = await create();
  const bundle = readBundle(read("client/bundle.lwb"));
  const [{ entry, tensor }] = facts.latents;
  const latent = (await head!.run({ image }))[tensor]!;
  const packet = codec.encode(
    { type: "float32", dims: [...latent.dims], data: latent.data as Float32Array },
    bundle.factorized(codec, entry),
  );
  const restored = codec.decode(packet, bundle.factorized(codec, entry));
  const answer = (await tail!.run({ [tensor]: new Tensor("float32", restored.data as Float32Array, restored.dims) }))
    .scores!;
  const expected = (await whole!.run({ image })).scores!;
  return { packet, answer: answer.data as Float32Array, expected: expected.data as Float32Array };
}
const top = (values: Float32Array) => values.indexOf(Math.max(...values));

test("head, packet and tail give the class of the whole", async () => {
  const { packet, answer, expected } = await throughFiles();
  assert.is(top(answer), top(expected));
  assert.ok(packet.length < 2 * measured.recommended.contextBytes + 50, String(packet.length));
});

test("the sample stands in a file of its own, on the client's side only", () => {
  for (const side of ["client", "server"]) {
    const facts = readFileSync(at("out", side, "split.json"), "utf8");
    assert.ok(facts.length < 2000 && !("sample" in JSON.parse(facts)), side);
  }
  assert.not(existsSync(at("out/server/sample.json")));
});

test("a folder is written again; what the user changed in it only with --force", () => {
  const files = () =>
    readdirSync(at("again"), { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"));
  cpSync(at("out"), at("again"), { recursive: true });
  for (const name of ["node_modules", "package-lock.json"]) rmSync(at("again", name), { recursive: true, force: true });
  writeFileSync(at("again/client/own.css"), "mine");
  // Results of another cut do not stay beside the new ones, nor does one of the user's images.
  const halves = ["model.onnx", "--at", "b", "-o", "again"];
  assert.match(
    split(...halves).error,
    /removed, of an earlier run: client\/bundle\.lwb, .*package\.json, .*server\.py/,
  );
  const own = [
    ...["client", "client/head.onnx", "client/own.css", "client/split.json", "server", "server/tail.onnx"],
    "written.json",
  ];
  assert.equal(files().sort(), own);
  // A program of the user's own in the place of one that went away is neither replaced nor removed by halves.
  writeFileSync(at("again/server/server.mjs"), "// mine");
  assert.is(split(...halves, "--force").status, 0);
  assert.is(readFileSync(at("again/server/server.mjs"), "utf8"), "// mine");
  const study = ["model.onnx", "--images", "images", "--at", "d", "--step", "0.5", "-o", "again"];
  assert.match(split(...study).error, /USAGE -o would overwrite what was changed, again.server.server\.mjs: /);
  rmSync(at("again/server/server.mjs"));

  cpSync(at("out"), at("again"), { recursive: true });
  for (const name of ["package.json", "server/server.py"]) appendFileSync(at("again", name), "\n");
  const { status, error } = split(...halves);
  assert.is(status, 2);
  const [first, second] = [join("again", "package.json"), join("again", "server/server.py")];
  assert.ok(error.includes(`USAGE -o would overwrite what was changed, ${first}, ${second}: `), error);
  assert.match(error, /--force$/m);
  assert.is(files().length, 16);
  assert.is(split(...halves, "--force").status, 0);
  assert.equal(files().sort(), own);
  // A half that the user has made smaller, say, is not lost without a word either.
  appendFileSync(at("again/client/head.onnx"), "x");
  assert.match(split(...halves).error, /changed, again.client.head\.onnx: /);
  assert.is(split(...halves, "--force").status, 0);
  // No name that the list of files may hold is touched outside of the folder.
  writeFileSync(at("precious"), "mine");
  writeFileSync(at("again/written.json"), JSON.stringify({ sha256: { "../precious": "" } }));
  split(...halves, "--force");
  assert.is(readFileSync(at("precious"), "utf8"), "mine");
  // A list that cannot be read is no list.
  writeFileSync(at("again/written.json"), "{");
  assert.match(split(...halves, "--force").error, /USAGE -o again has other files in it/);
});

test("after a second run the folder is of that run alone, programs included", () => {
  const read = (name: string) => readFileSync(at("twice", name));
  const study = (cut: string) =>
    split("model.onnx", "--images", "images", "--at", cut, "--step", "0.5", "-o", "twice").error;
  study("b");
  const before = read("server/tail.onnx");
  assert.not.match(study("d"), /removed/);
  assert.not.equal([...read("server/tail.onnx")], [...before]);
  assert.equal([...read("client/bundle.lwb")], [...read("server/bundle.lwb")]);
  for (const side of ["client", "server"]) assert.equal(JSON.parse(String(read(`${side}/split.json`))).cut, ["d"]);
  const { sha256 } = JSON.parse(String(read("written.json")));
  const files = readdirSync(at("twice"), { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  assert.is(Object.keys(sha256).length, files.length - 1);
});

test("another row with fewer bytes and no lower agreement is named, and not chosen", () => {
  const row = (name: string, bytes: number, contextBytes: number | null, agreement: number, workShare = 0.3) =>
    ({
      candidate: { cut: { tensors: [name] }, workShare },
      setting: { steps: [0.5] },
      chosen: { agreement: 0.97, bytes: 1300 },
      bytes,
      contextBytes,
      agreement,
    }) as unknown as Row;
  const goal = { targetAgreement: undefined, targetBytes: undefined, maxWork: 0.5 };
  const said = (best: Row, ...others: Row[]) =>
    besideRival({ rows: [best, ...others], goal } as unknown as Study, best);
  const best = row("v59", 1738, 1500, 0.917);
  assert.is(said(best, row("a", 1800, null, 1), row("b", 900, null, 0.9), row("c", 900, null, 1, 0.6)), undefined);
  const text = said(best, row("d", 1100, null, 0.93), row("e", 1193, null, 0.958), row("i", 1200, null, 0.958));
  assert.match(text!, /^e, step 0\.5, takes fewer bytes here, 1193 of 1738 with static rows, at 95\.8 % agreement\. /);
  assert.match(text!, /On the samples that choose it had 97\.0 % and 1300 bytes\..* --at e$/);
  assert.match(said(best, row("f", 1700, 1400, 1))!, /f, .* 1400 of 1500, at/);
  // Nothing is within the limits where the recommended row is not.
  assert.is(said(row("g", 900, null, 1, 0.9), row("h", 800, null, 1)), undefined);
});

/** What both servers answer to anything that is no packet of this model. */
async function refusals(url: string, packet: Uint8Array<ArrayBuffer>) {
  const answerTo = async (body: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(url, { method: "POST", body });
    return [response.status, await response.text()];
  };
  assert.equal(await answerTo(packet.subarray(0, packet.length - 1)), [400, "CORRUPTED"]);
  // No body is read into memory that is longer than a packet can be.
  const { maxBytes } = JSON.parse(readFileSync(at("out/server/split.json"), "utf8"));
  assert.equal(await answerTo(new Uint8Array(maxBytes)), [400, "NOT_A_PACKET"]);
  assert.equal(await answerTo(new Uint8Array(maxBytes + 1)), [413, "LIMIT_EXCEEDED"]);
  assert.equal(await answerTo(new Uint8Array(50 * maxBytes)), [413, "LIMIT_EXCEEDED"]);
  // A packet of another shape, which the tail does not take.
  const codec = await create();
  const bundle = readBundle(readFileSync(at("out/server/bundle.lwb")));
  const channels = measured.recommended.dims[1];
  const small = { type: "float32" as const, dims: [1, channels, 1, 1], data: new Float32Array(channels) };
  const other = codec.encode(small, bundle.factorized(codec, "latent"));
  assert.equal(await answerTo(new Uint8Array(other)), [500, "the model failed"]);
}

/** Starts a server and gives its address. */
async function serving<T>(
  command: string,
  args: readonly string[],
  work: (url: string, printed: () => string) => Promise<T>,
): Promise<T> {
  const server: ChildProcess = spawn(command, [...args, "0"], { cwd: at("out") });
  let printed = "";
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const take = (chunk: unknown) => {
        printed += chunk;
        const [found] = /http:\S+(?=\s)/.exec(printed) ?? [];
        if (found) resolve(found);
      };
      server.stdout?.on("data", take);
      server.stderr?.on("data", take);
      server.on("exit", () => reject(new Error(`${command} has ended: ${printed}`)));
    });
    return await work(url, () => printed);
  } finally {
    server.kill();
  }
}

test("the server for Node answers the page in Chromium, both as they were written", async () => {
  await serving(process.execPath, ["server/server.mjs"], async (url, printed) => {
    const { packet, answer } = await throughFiles();
    const response = await fetch(`${url}/answer`, { method: "POST", body: packet });
    const { outputs } = await response.json();
    assert.is(outputs.scores.highest[0].index, top(answer));
    assert.ok(Math.abs(outputs.scores.highest[0].value - Math.max(...answer)) < 1e-4);
    await refusals(url, packet);
    const missing = [
      "/..%2fpackage.json",
      "/latentwire/..%2f..%2f..%2fpackage.json",
      "/nothing",
      "/%",
      "/a%00",
      "/%0a",
    ];
    for (const path of [...missing, "/latentwire/dist", `/${"a".repeat(5000)}`, "/toString/a", "/constructor"])
      assert.is((await fetch(`${url}${path}`)).status, 404, path);
    // What fails otherwise is no missing file: a loop of links cannot be read.
    symlinkSync("loop.json", at("out/client/loop.json"));
    const failed = await fetch(`${url}/loop.json`);
    assert.equal([failed.status, await failed.text()], [500, "the server failed, and has said why"]);
    assert.match(printed(), /GET \/loop\.json .*ELOOP/);
    rmSync(at("out/client/loop.json"));
    // A second server cannot have the port, and says how to take another one.
    const { port } = new URL(url);
    const second = spawnSync(process.execPath, ["server/server.mjs", port], { cwd: at("out"), encoding: "utf8" });
    assert.equal([second.status, second.stderr], [1, `port ${port} is taken: npm start -- ${Number(port) + 1}\n`]);
    if (executablePath === undefined) return console.log("skipped: no chromium");
    await visit(url, async (page) => {
      const text = async (wanted: RegExp) => {
        await page.waitForFunction(`${wanted}.test(document.querySelector("pre").textContent)`);
        return String(await page.textContent("pre"));
      };
      await text(/^ready$/);
      assert.match(String(await page.textContent("p")), /number of a class/);
      await page.click("button");
      const sample = JSON.parse(await text(/highest/));
      assert.is(sample.outputs.scores.highest[0].index, top(answer));
      assert.ok(Math.abs(sample.bytes - packet.length) <= 4, `${sample.bytes} and ${packet.length} bytes`);
      await page.setInputFiles("input", at("images/7.png"));
      const chosen = JSON.parse(await text(/highest/));
      assert.ok(chosen.bytes > 0);
      await page.setInputFiles("input", at("model.onnx"));
      await text(/image/);
      // Packets go to another server where the address says so.
      await page.goto(`${url}/?server=${url}/elsewhere`);
      await text(/^ready$/);
      const asked = page.waitForRequest((request) => request.method() === "POST");
      await page.click("button");
      assert.is((await asked).url(), `${url}/elsewhere`);
      await text(/highest/);
    });
  });
});

test("the server for Python answers the same packet", async () => {
  const python = process.env.PYTHON ?? "python3";
  try {
    execFileSync(python, ["-c", "import latentwire, onnxruntime"], { stdio: "pipe" });
  } catch {
    return console.log(`progress: ${python} has no latentwire or no onnxruntime: server.py did not run`);
  }
  await serving(python, ["server/server.py"], async (url) => {
    const { packet, answer } = await throughFiles();
    const response = await fetch(url, { method: "POST", body: packet });
    const { outputs } = await response.json();
    assert.is(outputs.scores.highest[0].index, top(answer));
    await refusals(url, packet);
    // A body of unknown length.
    const { status } = await fetch(url, { method: "POST", body: new Blob([packet]).stream(), duplex: "half" } as never);
    assert.is(status, 411);
  });
});

test("arrays as samples, several inputs, tensors that cross as they are", () => {
  const model: Model = {
    nodes: [
      { op: "Gather", inputs: ["table", "tokens"], output: "embedded" },
      { op: "MatMul", inputs: ["embedded", "w"], output: "a" },
      { op: "Relu", inputs: ["a"], output: "b" },
      { op: "Cast", inputs: ["mask"], output: "m", attributes: { to: 1 } },
      { op: "Mul", inputs: ["b", "m"], output: "c" },
      { op: "MatMul", inputs: ["c", "w"], output: "y" },
    ],
    inputs: { tokens: { type: "int64", dims: ["n", 10] }, mask: { type: "int64", dims: ["n", 10, 1] } },
    outputs: { y: float("n", 10, 16) },
    weights: { table: noise(50, 16), w: noise(16, 16) },
  };
  writeFileSync(at("tokens.onnx"), onnxModel(model));
  const count = 40;
  const whole = (length: number, below: number) => Int32Array.from({ length }, () => rng(below));
  writeFileSync(at("tokens.npy"), writeNpy("int32", [count, 10], whole(10 * count, 50)));
  writeFileSync(at("mask.npy"), writeNpy("int32", [count, 10, 1], whole(10 * count, 2)));
  const inputs = ["--inputs", "tokens=tokens.npy", "--inputs", "mask=mask.npy"];
  const { cuts, metric, recommended } = splitJson(
    "tokens.onnx",
    ...inputs,
    "--at",
    "mask,b",
    "--target-agreement",
    "0.9",
    "-o",
    "two",
  );
  assert.is(metric, "error");
  assert.ok(
    cuts.every(({ tensor, step }: { tensor: string; step: number[] }) => tensor === "mask + b" && step[0] === 1),
  );
  assert.ok(recommended.agreement > 0.85 && recommended.bytes < 640, JSON.stringify(recommended));
  assert.is(recommended.webpBytes, null);
  const facts = JSON.parse(readFileSync(at("two/server/split.json"), "utf8"));
  assert.equal(
    facts.latents.map(({ entry }: { entry: string }) => entry),
    ["latent0", "latent1"],
  );
  // A label for each sample, which have no names.
  writeFileSync(at("classes.csv"), `label\n${Array.from({ length: count }, (_, i) => i % 3).join("\n")}\n`);
  const labelled = (...args: string[]) =>
    split("tokens.onnx", ...inputs, "--at", "mask,b", "--labels", "classes.csv", "--step", "1", "--metric", ...args);
  assert.match(labelled("top-1").out, / accuracy /);
  writeFileSync(at("classes.csv"), "label\n1\n2\n");
  assert.match(
    labelled("top-1").error,
    /SHAPE_MISMATCH classes\.csv has 2 labels for 40 samples: give a line for each/,
  );
  writeFileSync(at("classes.csv"), "file\na\n");
  assert.match(labelled("top-1").error, /INVALID_FILE classes\.csv: a column "label" is wanted/);
  assert.match(split("tokens.onnx", "--inputs", "tokens=tokens.npy").error, /MODEL tokens\.onnx needs samples of mask/);
  assert.match(split("tokens.onnx", "--images", "images").error, /MODEL tokens\.onnx does not take one image/);
});

test("a tensor of float16 crosses as the numbers that its bits mean", async () => {
  const [first, second, third, fourth, ...rest] = classifier.nodes as [
    Model["nodes"][0],
    Model["nodes"][0],
    Model["nodes"][0],
    Model["nodes"][0],
    ...Model["nodes"],
  ];
  const half = { op: "Cast", inputs: ["b"], output: "h", attributes: { to: 10 } };
  const back = { op: "Cast", inputs: ["h"], output: "b32", attributes: { to: 1 } };
  const nodes = [
    first,
    second,
    third,
    fourth,
    half,
    back,
    ...rest.map((node) => ({ ...node, inputs: node.inputs.map((name) => (name === "b" ? "b32" : name)) })),
  ];
  writeFileSync(at("half.onnx"), onnxModel({ ...classifier, nodes }));
  const { cuts } = splitJson("half.onnx", "--images", "images", "--at", "h", "--step", "0.05", "-o", "half");
  assert.ok(cuts[0].agreement > 0.9, JSON.stringify(cuts));
  const read = (name: string) => readFileSync(at("half", name));
  const facts = JSON.parse(read("client/split.json").toString());
  const sample = JSON.parse(read("client/sample.json").toString());
  const image = new Tensor("float32", Float32Array.from(sample.image.data), sample.image.dims);
  const [{ tensor }] = facts.latents;
  const sent = (await (await InferenceSession.create(read("client/head.onnx"))).run({ image }))[tensor]!;
  assert.is(sent.type, "float32");
  const scores = async (bytes: Uint8Array, feeds: Record<string, Tensor>) =>
    (await (await InferenceSession.create(bytes)).run(feeds)).scores!.data as Float32Array;
  const found = await scores(read("server/tail.onnx"), { [tensor]: sent as Tensor });
  const expected = await scores(read("../half.onnx"), { image });
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-3);
  });
});

test("the command line refuses what cannot be, and says what to do", () => {
  const refused = (message: RegExp, ...args: string[]) => {
    const { error, status } = split(...args);
    assert.match(error, message);
    assert.ok(status === 1 || status === 2);
    assert.is(error.trim().split("\n").length, 1, error);
  };
  refused(/USAGE --max-work must be a share/, "model.onnx", "--max-work", "40");
  refused(/USAGE --at needs -o/, "model.onnx", "--at", "b");
  refused(/USAGE -o images has other files in it/, "model.onnx", "--at", "b", "-o", "images");
  refused(
    /USAGE --target-agreement and --target-bytes exclude each other/,
    "model.onnx",
    "--target-agreement",
    "1",
    "--target-bytes",
    "9",
  );
  refused(/USAGE --step needs --at/, "model.onnx", "--step", "1");
  refused(/USAGE what is fast\?/, "model.onnx", "fast");
  const idle =
    "--html=q.html --context --labels=q.csv --metric=error --target-agreement=0.9 --target-bytes=9 --max-work=0.4";
  for (const option of [...idle.split(" "), "--limit=9", "--size=8x8", "--normalize=0..1"])
    refused(new RegExp(`USAGE ${option.split("=")[0]} needs --images or --inputs`), "model.onnx", option);
  refused(/USAGE --normalize must be 0\.\.1/, "model.onnx", "--images", "images", "--normalize", "bright");
  refused(/USAGE 3 samples are too few/, "model.onnx", "--images", "images", "--limit", "3", "--normalize", "0..255");
  refused(/has no tensor nothing: latentwire split model\.onnx lists them/, "model.onnx", "--at", "nothing");
  refused(/MODEL model.onnx: w1 does not depend on what the inputs hold/, "model.onnx", "--at", "w1");
  refused(/INVALID_FILE .*package\.json: it is no ONNX file/, join(root, "package.json"));
});

test.after(() => rmSync(at(), { recursive: true, force: true }));
test.run();

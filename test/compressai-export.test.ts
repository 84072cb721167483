// Bundles written by Python, and the export of real CompressAI models, where Python and CompressAI are there: PYTHON names the executable.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type TableJson } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { loadModel } from "latentwire/model";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sameNumbers } from "./expect.js";
import { hexOf } from "./family-cases.js";
import { root } from "./pack.js";

const codec = await create();
const python = process.env.PYTHON ?? "python3";
const runs = (code: string) => spawnSync(python, ["-c", code]).status === 0;

// On a line of its own, behind uvu's dots. The machine that may skip nothing has no PyTorch; what CompressAI makes is there as vectors (test/vectors/checkpoints).
const missing = (what: string) =>
  console.log(`\n${process.env.LATENTWIRE_REQUIRE_ALL === "1" ? "not required" : "skipped"}: no ${what}`);

test("a bundle written by Python is a bundle", () => {
  const bytes = readFileSync(join(root, "test/vectors/python-bundle.lwb"));
  const bundle = readBundle(bytes);
  assert.equal(bundle.meta, { made: "make_bundle.py", list: [1, 2.5, null] });
  const fields = ["name", "kind", "rows", "step", "axis", "shape", "medians"] as const;
  assert.equal(
    bundle.entries.map((entry) => fields.map((field) => entry[field])),
    [
      ["latent_codec.hyper.entropy_bottleneck", "factorized", 3, 1, undefined, [null, 3, null, null], true],
      ["größe", "factorized", 1, 0.5, 2, undefined, false],
      ["y0", "gaussian", 2, 1, undefined, undefined, false],
      ["y1", "gaussian", 2, 1, undefined, undefined, false],
      ["rows", "indexed", 200, 1, undefined, undefined, false],
    ],
  );
  assert.equal(bundle.entry("größe").meta, { text: "ÿ\u2028" });
  sameNumbers(bundle.scaleTable("y1")!, Float32Array.of(0.11, 0.7));
  const expected: Record<string, TableJson> = {
    "latent_codec.hyper.entropy_bottleneck": {
      offsets: [-(2 ** 30), 2 ** 30, -1],
      cdfs: [
        [0, 65536],
        [0, 1, 65535, 65536],
        [0, 20000, 45000, 65000, 65536],
      ],
      medians: [0.25, -3.5, 1e-20],
    },
    größe: { offsets: [-150], cdfs: [[...Array.from({ length: 301 }, (_, k) => 200 * k), 65536]] },
    rows: {
      offsets: Array.from({ length: 200 }, (_, r) => r - 100),
      cdfs: Array.from({ length: 200 }, (_, r) => [0, 7 + r, 65536]),
    },
  };
  // The codec computes fingerprints itself: Python's XXH64 is right where they agree.
  for (const [name, json] of Object.entries(expected))
    assert.equal(bundle.table(codec, name).bytes(), codec.table(json).bytes());
  if (!runs("pass")) return missing("Python");
  const script = join(root, "test/vectors/make_bundle.py");
  assert.equal(execFileSync(python, [script]), bytes, "make_bundle.py writes something else now");
});

test("Python refuses what is no table", () => {
  if (!runs("pass")) return missing("Python");
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const attempt = (call: string) => {
    const code = `from latentwire_bundle import *\ntry:\n  ${call}\nexcept ValueError as e: print("refused", e)`;
    return spawnSync(python, ["-c", code], { cwd: join(root, "tables"), env, encoding: "utf8" }).stdout;
  };
  const table = "'table': table_bytes([0], [[0, 65536]])";
  for (const call of [
    "table_bytes([], [])",
    "table_bytes([0], [[0, 5, 5, 65536]])",
    "table_bytes([0], [[0, 5]])",
    "table_bytes([0], [[1, 65536]])",
    "table_bytes([2**30 + 1], [[0, 65536]])",
    "table_bytes([0], [[0, 65536]], [float('nan')])",
    "table_bytes([0], [[0, 65536]], [1, 2])",
    `bundle_bytes([{'name': 'a', 'kind': 'other', ${table}}])`,
    `bundle_bytes(2 * [{'name': 'a', 'kind': 'indexed', ${table}}])`,
    `bundle_bytes([{'name': 'a', 'kind': 'gaussian', 'scales': [1, 2], ${table}}])`,
  ])
    assert.match(attempt(call), /^refused /, call);
});

interface Flat {
  dims: number[];
  data: number[];
}

test("the export of a real model: its networks run, its tables write CompressAI's strings", async () => {
  if (!runs("import compressai, torch, onnx")) return missing("CompressAI");
  const folder = mkdtempSync(join(tmpdir(), "latentwire-compressai-"));
  try {
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
    execFileSync(python, [join(root, "test/compressai_model.py"), folder], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
    const { zString, yString } = expected;
    for (const name of ["meanScale", "joint", "scale", "rated", "asked", "trusted", "allowed"])
      assert.is(expected[name].code, 0, `${name}: ${expected[name].said}`);
    const { report } = expected.meanScale;
    const joint = expected.joint.report;
    assert.equal(Object.keys(report.networks).sort(), ["g_a", "g_s", "h_a", "h_s"]);
    assert.equal(report.networks.g_a.inputs, { x: [null, 3, null, null] });
    assert.equal(report.networks.h_s.outputs, { scales: [null, 8, null, null], means: [null, 8, null, null] });
    assert.equal(Object.keys(joint.networks).sort(), ["g_a", "g_s", "h_a", "h_s", "pixel"]);
    assert.equal([report.updated, joint.updated], [false, true]);
    assert.equal([report.models.model.family, joint.models.model.family], ["meanScale", "autoregressive"]);

    const bundle = readBundle(readFileSync(join(folder, "mean-scale/model.lwb")));
    const { h_s } = bundle.meta.networks as Record<string, unknown>;
    assert.equal(h_s, report.networks.h_s, "the bundle says which networks there are");
    const floats = ({ dims, data }: Flat) => ({ type: "float32", dims, data: Float32Array.from(data) });
    const runOnnx = async (name: string, input: Flat, model = "mean-scale") => {
      const session = await InferenceSession.create(join(folder, model, `${name}.onnx`));
      const tensor = new Tensor("float32", Float32Array.from(input.data), input.dims);
      const found = await session.run({ [session.inputNames[0]]: tensor });
      return session.outputNames.map((output) => found[output].data as Float32Array);
    };
    // Networks agree to rounding; another size than the one they were exported with.
    const close = (actual: ArrayLike<number>, wanted: Flat, within: number) => {
      assert.is(actual.length, wanted.data.length);
      for (let i = 0; i < actual.length; i++) assert.ok(Math.abs(actual[i] - wanted.data[i]) < within, `${actual[i]}`);
    };
    const scaled = { ...expected.y, data: expected.y.data.map((v: number) => v / 40) };
    close((await runOnnx("g_a", expected.image))[0], scaled, 1e-4);
    close((await runOnnx("h_a", expected.y))[0], expected.z, 1e-3);

    const bare = { stream: "compressai", header: "none" } as const;
    const hyper = bundle.factorized(codec, "entropy_bottleneck");
    assert.is(Buffer.from(codec.encode(floats(expected.z), hyper, bare)).toString("hex"), zString);
    const means = Float32Array.from(expected.means.data);
    const main = bundle.gaussian(codec, "gaussian_conditional", Float32Array.from(expected.scales.data), { means });
    assert.is(Buffer.from(codec.encode(floats(expected.y), main, bare)).toString("hex"), yString);
    const zHat = codec.decode(new Uint8Array(Buffer.from(zString, "hex")), hyper, { ...bare, dims: expected.z.dims });
    const [scales, offsets] = await runOnnx("h_s", { dims: zHat.dims, data: [...zHat.data] });
    close(scales, expected.scales, 1e-4);
    close(offsets, expected.means, 1e-4);
    const yHat = codec.decode(new Uint8Array(Buffer.from(yString, "hex")), main, { ...bare, dims: expected.y.dims });
    sameNumbers(yHat.data, Float32Array.from(expected.yHat.data));
    close((await runOnnx("g_s", expected.yHat))[0], expected.xHat, 1e-3);

    // loadModel puts it together: CompressAI's two strings, from y with its scales.
    const model = await loadModel(join(folder, "mean-scale"), { codec, runtime: { InferenceSession } });
    const recorded = { h_s: () => ({ scales: floats(expected.scales), means: floats(expected.means) }) };
    const { packet, shape } = await model.family.encode(codec, { ...model.model, ...recorded }, floats(expected.y), {
      format: "strings",
    });
    assert.equal(packet.map(hexOf), [yString, zString]);
    assert.equal(shape, expected.z.dims.slice(2));

    // The scale hyperprior gives |y| to h_a.
    const six = expected.y.data.slice(0, (6 / 8) * expected.y.data.length);
    close((await runOnnx("h_a", { dims: [1, 6, 4, 8], data: six }, "scale"))[0], expected.zOfMagnitudes, 1e-3);

    // A bottleneck whose step follows the gain: a table for each level, with its step.
    const rated = readBundle(readFileSync(join(folder, "rated/model.lwb")));
    const names = Array.from({ length: 8 }, (_, k) => `entropy_bottleneck.level${k}`);
    assert.equal(expected.rated.report.models.model.prior, names);
    const { z, string, step } = expected.ratedZ;
    assert.is(rated.entry(names[2]).step, step);
    const coded = codec.encode(floats(z), rated.factorized(codec, names[2]), bare);
    assert.is(Buffer.from(coded).toString("hex"), string);
    // The checkpoint's own table was made for that level.
    assert.equal(rated.table(codec, "entropy_bottleneck").bytes(), rated.table(codec, names[2]).bytes());
    assert.equal(expected.rated.report.leftOut, {});

    // The other families, from an image to a packet and back.
    const families: Record<string, [string, object]> = expected.families;
    assert.equal(Object.fromEntries(Object.entries(families).map(([name, [family]]) => [name, family])), {
      FactorizedPrior: "factorized",
      Cheng2020Attention: "autoregressive",
      Cheng2020AnchorCheckerboard: "checkerboard",
      Elic2022Official: "elic",
      Elic2022Chandelier: "elic",
      MeanScaleHyperpriorVbr: "variableRate",
      JointAutoregressiveHierarchicalPriorsVbr: "variableRate",
      Slices: "channelGroups",
      Recursive: "recursive",
    });
    const data = Float32Array.from({ length: 3 * 64 * 128 }, (_, i) => 30 * Math.sin(i * i));
    for (const [name, [family, leftOut]] of Object.entries(families)) {
      assert.equal(leftOut, {}, name);
      const other = await loadModel(join(folder, name), { codec, runtime: { InferenceSession } });
      const level = family === "variableRate" ? { level: 7 } : {};
      const { packet, latent } = await other.encode({ type: "float32", dims: [1, 3, 64, 128], data }, level);
      assert.equal((await other.family.decode(codec, other.model, packet)).data, latent.data, name);
      assert.ok(new Set(latent.data).size > 2, name);
      assert.is((await other.decode(packet)).dims[0], 1, name);
    }

    // What is left out is named, and the exit code says so.
    assert.is(expected.tail.code, 1);
    assert.match(expected.tail.said, /left out: head\..*--allow-missing/);
    assert.match(expected.tail.report.leftOut.head, /--module exports it/);
    assert.equal(expected.tail.report.parameters, ["temperature"]);
    assert.equal(Object.keys(expected.asked.report.networks).sort(), ["g_a", "head"]);
    assert.equal(expected.asked.report.networks.head.inputs, { input: [1, 6] });
    assert.is(expected.unknown.code, 1);
    assert.match(expected.unknown.said, /no such module; it has .*head/);
    assert.is(expected.pickled.code, 1);
    assert.match(expected.pickled.said, /only weights are loaded.*--trust-pickle.*can run any code/);
    assert.is(expected.coarse.code, 1);
    assert.match(expected.coarse.said, /entropy_bottleneck: its tables have a precision of 12 bits/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();

// Bundles written by Python, and the export of real CompressAI models, where Python and CompressAI are there: PYTHON names the executable.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type TableJson } from "latentwire";
import { readBundle } from "latentwire/bundle";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sameNumbers } from "./expect.js";
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
    const { report, joint, zString, yString } = expected;
    assert.equal(Object.keys(report.networks).sort(), ["g_a", "g_s", "h_a", "h_s"]);
    assert.equal(report.networks.g_a.input, [null, 3, null, null]);
    const jointNetworks = ["context_prediction", "entropy_parameters", "g_a", "g_s", "h_a", "h_s"];
    assert.equal(Object.keys(joint.networks).sort(), jointNetworks);
    assert.equal([report.updated, joint.updated], [false, true]);

    const bundle = readBundle(readFileSync(join(folder, "mean-scale/model.lwb")));
    const { h_s } = bundle.meta.networks as Record<string, unknown>;
    assert.equal(h_s, report.networks.h_s, "the bundle says which networks there are");
    const floats = ({ dims, data }: Flat) => ({ type: "float32", dims, data: Float32Array.from(data) });
    const runOnnx = async (name: string, input: Flat) => {
      const session = await InferenceSession.create(join(folder, "mean-scale", `${name}.onnx`));
      const tensor = new Tensor("float32", Float32Array.from(input.data), input.dims);
      return (await session.run({ input: tensor })).output;
    };
    // Networks agree to rounding; another size than the one they were exported with.
    const close = (actual: ArrayLike<number>, wanted: Flat, within: number) => {
      assert.is(actual.length, wanted.data.length);
      for (let i = 0; i < actual.length; i++) assert.ok(Math.abs(actual[i] - wanted.data[i]) < within, `${actual[i]}`);
    };
    const scaled = { ...expected.y, data: expected.y.data.map((v: number) => v / 40) };
    close((await runOnnx("g_a", expected.image)).data as Float32Array, scaled, 1e-4);
    close((await runOnnx("h_a", expected.y)).data as Float32Array, expected.z, 1e-3);

    const bare = { stream: "compressai", header: "none" } as const;
    const hyper = bundle.factorized(codec, "entropy_bottleneck");
    assert.is(Buffer.from(codec.encode(floats(expected.z), hyper, bare)).toString("hex"), zString);
    const means = Float32Array.from(expected.means.data);
    const main = bundle.gaussian(codec, "gaussian_conditional", Float32Array.from(expected.scales.data), { means });
    assert.is(Buffer.from(codec.encode(floats(expected.y), main, bare)).toString("hex"), yString);
    const zHat = codec.decode(new Uint8Array(Buffer.from(zString, "hex")), hyper, { ...bare, dims: expected.z.dims });
    const parameters = (await runOnnx("h_s", { dims: zHat.dims, data: [...zHat.data] })).data as Float32Array;
    const [scales, offsets] = [parameters.slice(0, parameters.length / 2), parameters.slice(parameters.length / 2)];
    close(scales, expected.scales, 1e-4);
    close(offsets, expected.means, 1e-4);
    const yHat = codec.decode(new Uint8Array(Buffer.from(yString, "hex")), main, { ...bare, dims: expected.y.dims });
    sameNumbers(yHat.data, Float32Array.from(expected.yHat.data));
    close((await runOnnx("g_s", expected.yHat)).data as Float32Array, expected.xHat, 1e-3);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();

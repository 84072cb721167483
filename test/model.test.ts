// loadModel: folders as compressai_export.py writes them, for every family.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { create } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { loadModel } from "latentwire/model";
import { channelGroups, type Tensors, variableRate } from "latentwire/onnx";
import * as runtime from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { random } from "./cases.js";
import { randomNetwork, uselessTable } from "./context-cases.js";
import { rejects } from "./expect.js";
import { EXPORTED, gainsOf, writeExported } from "./exported.js";
import { tensorBy as tensor } from "./family-cases.js";
import { contextToBytes } from "./reference.js";

const codec = await create();
const folder = mkdtempSync(join(tmpdir(), "latentwire-model-"));
writeExported(folder, codec);
test.after(() => rmSync(folder, { recursive: true, force: true }));

const image = tensor([1, 3, 32, 64], (i) => 128 + 100 * Math.sin(i / 7) + 27 * Math.cos(i / 191));

for (const name of EXPORTED.filter((one) => one !== "parts"))
  test(`${name}: image to packet to image, packet and strings`, async () => {
    const base = join(folder, name);
    const model = name === "gain" ? gainsOf(readBundle(readFileSync(join(base, "model.lwb")))) : undefined;
    const encoder = await loadModel(base, { codec, runtime: runtime.InferenceSession, side: "encoder", model });
    const decoder = await loadModel(pathToFileURL(base), { codec, runtime, side: "decoder", model });
    assert.is(encoder.g_s, undefined);
    assert.is(decoder.g_a, undefined);
    const level = ["gain", "variable-rate"].includes(name) ? { level: 1 } : {};
    const { packet, latent } = await encoder.encode(image, { guard: 1e-5, ...level });
    assert.ok(new Set(latent.data).size > 5, "the latent is not empty");
    assert.equal(await decoder.family.decode(codec, decoder.model, packet), latent);
    const picture = await decoder.decode(packet);
    assert.is(picture.dims[0], 1);
    const strings = await encoder.encode(image, { format: "strings", ...level });
    assert.equal(strings.latent, latent);
    const again = await decoder.family.decode(codec, decoder.model, strings.packet, { shape: strings.shape, ...level });
    assert.equal(again, latent);
    if (name === "slices") assert.is(strings.packet.length, 2, "one string for all slices, one for z");
  });

test("a folder with several models: part says which", async () => {
  const options = { codec, runtime };
  await rejects(loadModel(join(folder, "parts"), options), RangeError, /part must be one of img, motion/);
  await rejects(loadModel(join(folder, "parts"), { ...options, part: "res" }), RangeError, /not "res"/);
  const { packet } = await (await loadModel(join(folder, "parts"), { ...options, part: "img" })).encode(image);
  assert.ok((await loadModel(join(folder, "parts"), { ...options, part: "motion" })).decode(packet));
});

test("read brings the files, from wherever they are", async () => {
  const asked: string[] = [];
  const read = async (file: string) => {
    asked.push(file);
    return new Uint8Array(readFileSync(join(folder, "checkerboard", file)));
  };
  const model = await loadModel("anywhere", { codec, runtime, read });
  assert.equal(asked.sort(), [
    "anchor.onnx",
    "g_a.onnx",
    "g_s.onnx",
    "h_a.onnx",
    "h_s.onnx",
    "model.lwb",
    "nonanchor.onnx",
  ]);
  const { packet, latent } = await model.encode(image);
  assert.equal(await model.family.decode(codec, model.model, packet), latent);
});

test("a context over the scales that the bundle has is used by both ends", async () => {
  const base = join(folder, "mean-scale");
  const bundle = readBundle(readFileSync(join(base, "model.lwb")));
  const context = contextToBytes(randomNetwork(random(8), { channels: 20, H: 32, given: 64, ends: [-9, 9] }));
  const bytes = writeBundle(
    [
      { name: "entropy_bottleneck", kind: "factorized", table: bundle.table(codec, "entropy_bottleneck") },
      // No row of this table has a value of the latent, so the context is always the shorter one.
      { name: "gaussian_conditional", kind: "gaussian", table: codec.table(uselessTable(64)), context },
    ],
    bundle.meta,
  );
  const read = async (file: string) => (file === "model.lwb" ? bytes : new Uint8Array(readFileSync(join(base, file))));
  const model = await loadModel(base, { codec, runtime, read });
  assert.equal(model.model.context, context);
  const { packet, latent } = await model.encode(image);
  assert.equal(await model.family.decode(codec, model.model, packet), latent);
  const plain = { ...model.model, context: undefined };
  const longer = await model.family.encode(codec, plain, latent);
  assert.ok(packet.length < longer.packet.length);
});

test("what is wrong with a folder or an argument is said", async () => {
  const good = { codec, runtime };
  const base = join(folder, "scale");
  const wrong = (options: object) => loadModel(base, { ...good, ...options } as never);
  await rejects(wrong({ codec: create() }), TypeError, /await it/);
  await rejects(wrong({ runtime: {} }), TypeError, /runtime must be an ONNX runtime/);
  await rejects(wrong({ runtime: undefined }), TypeError, /runtime must be an ONNX runtime/);
  await rejects(wrong({ side: "both" }), RangeError, /side must be/);
  await rejects(wrong({ sessions: 1 }), TypeError, /sessions/);
  await rejects(loadModel(7 as never, good), TypeError, /base must be/);
  const fails = async (meta: object, message: RegExp) => {
    const { entries } = readBundle(readFileSync(join(base, "model.lwb")));
    assert.is(entries.length, 2);
    const bytes = writeBundle(
      [{ name: "entropy_bottleneck", kind: "factorized", table: codec.table({ offsets: [0], cdfs: [[0, 65536]] }) }],
      meta as never,
    );
    const read = async (file: string) =>
      file === "model.lwb" ? bytes : new Uint8Array(readFileSync(join(base, file)));
    await rejects(wrong({ read }), "MODEL", message);
  };
  const one = { family: "scale", model: {}, prior: "entropy_bottleneck" };
  await fails({}, /describes no model/);
  await fails({ models: 3 }, /describes no model/);
  await fails({ models: { model: null } }, /no family, no model or no prior/);
  await fails({ models: { model: { ...one, prior: 1 } } }, /no family, no model or no prior/);
  await fails({ models: { model: { ...one, family: "constructor" } } }, /none of autoregressive/);
  await fails({ models: { model: { ...one, model: { h_a: "../h_a.onnx" } } } }, /no name of a network/);
  await fails({ models: { model: { ...one, model: { h_a: "g_a.onnx", h_s: "model.lwb.onnx" } } } }, /model.lwb.onnx: /);
  // A server that answers with a page for whatever it does not have.
  const page = new TextEncoder().encode("<!doctype html><title>app</title>");
  const without = (missing: string) => async (file: string) =>
    file === missing ? page : new Uint8Array(readFileSync(join(base, file)));
  await rejects(wrong({ read: without("model.lwb") }), "NOT_A_BUNDLE", /^model\.lwb: the input is a page of HTML/);
  await rejects(wrong({ read: without("h_s.onnx") }), "MODEL", /^h_s\.onnx: the input is a page of HTML/);
});

// ---- the two families that compressai_export.py has made necessary

const prior = codec.factorized({
  offsets: [-2, -2],
  cdfs: Array(2).fill([0, 13000, 26000, 39000, 52000, 65000, 65536]),
});
const h_a = () => ({ z: tensor([1, 2, 2, 2], (i) => (i % 5) - 2) });
const y = tensor([1, 4, 4, 4], (i) => ((i * 7) % 9) / 2 - 2.25);

test("refine sees the group as decoded, the groups before and the support, and what it gives is what later groups see", async () => {
  const seen: Tensors[] = [];
  const model = {
    prior,
    h_a,
    h_s: () => ({ psi: tensor([1, 3, 4, 4], (i) => i) }),
    groups: [1, 3],
    nets: [1, 3].map((c, k) => (inputs: Tensors) => {
      assert.equal(Object.keys(inputs), k === 0 ? ["psi"] : ["psi", "y_hat"]);
      if (k > 0)
        seen.push({ later: { ...inputs.y_hat!, data: Float32Array.from(inputs.y_hat!.data as Float32Array) } });
      return {
        scales: tensor([1, c, 4, 4], () => 0.8),
        means: tensor([1, c, 4, 4], (i) => (i % 3) / 4),
        support: tensor([1, 1, 4, 4], () => k),
      };
    }),
    refine: [0, 1].map((k) => (inputs: Tensors) => {
      assert.equal(Object.keys(inputs).sort(), ["psi", "support", ...(k > 0 ? ["y_hat"] : []), "y_group"].sort());
      assert.is((inputs.support!.data as Float32Array)[0], k);
      const data = (inputs.y_group!.data as Float32Array).map((value) => value + 0.25);
      return { refined: { ...inputs.y_group!, data } };
    }),
  };
  const plain = await channelGroups.encode(codec, { ...model, refine: undefined } as never, y);
  const { packet, latent } = await channelGroups.encode(codec, model, y);
  assert.equal(
    latent.data.subarray(0, 16),
    plain.latent.data.subarray(0, 16).map((value) => value + 0.25),
  );
  assert.equal(seen[1]!.later!.data, latent.data.subarray(0, 16));
  assert.equal(await channelGroups.decode(codec, model, packet), latent);
  const joined = { ...model, oneString: true };
  const strings = await channelGroups.encode(codec, joined, y, { format: "strings" });
  assert.equal(strings.packet.length, 2);
  assert.equal(await channelGroups.decode(codec, joined, strings.packet, { shape: [2, 2] }), latent);
  const wrong = { ...model, refine: [model.refine[0]!, () => ({ refined: tensor([1, 1, 4, 4], () => 0) })] };
  await rejects(channelGroups.encode(codec, wrong, y), "SHAPE_MISMATCH", /what refine gave/);
});

test("variable rate: (y - mean) in steps of 1 / gain, offsets where a symbol is not 0", async () => {
  const gains = [0.5, 4];
  const h_s = ({ gain }: Tensors) => {
    const by = (gain!.data as Float32Array)[0]!;
    return {
      scales: tensor([1, 4, 4, 4], () => 0.5 * by),
      means: tensor([1, 4, 4, 4], (i) => (i % 3) / 8),
      offsets: tensor([1, 4, 4, 4], () => -0.125),
    };
  };
  const model = { prior, h_a, h_s, gains };
  const sizes: number[] = [];
  for (const [level, gain] of gains.entries()) {
    const { packet, latent } = await variableRate.encode(codec, model, y, { level });
    sizes.push(packet.length);
    const expected = y.data.map((value, i) => {
      const mean = (i % 3) / 8;
      const symbol = roundEven((value - mean) * gain);
      return (Math.sign(symbol) * (Math.abs(symbol) - (symbol === 0 ? 0 : 0.125))) / gain + mean;
    });
    assert.equal(latent.data, expected);
    assert.equal(await variableRate.decode(codec, model, packet), latent);
    const strings = await variableRate.encode(codec, model, y, { level, format: "strings" });
    assert.equal(await variableRate.decode(codec, model, strings.packet, { shape: [2, 2], level }), latent);
  }
  assert.ok(sizes[1]! > sizes[0]!, String(sizes));
  await rejects(variableRate.encode(codec, model, y, { level: 2 }), RangeError, /level must be one of 0 \.\. 1/);
  await rejects(
    variableRate.encode(codec, { ...model, prior: [prior] }, y, { level: 0 }),
    RangeError,
    /prior has 1 levels/,
  );
  const bare = { ...model, h_s: () => ({ scales: tensor([1, 4, 4, 4], () => 0.5) }) };
  const { packet, latent } = await variableRate.encode(codec, bare, y, { level: 1 });
  assert.equal(
    latent.data,
    y.data.map((value) => roundEven(value * 4) / 4),
  );
  assert.equal(await variableRate.decode(codec, bare, packet), latent);
});

test("variable rate pixel by pixel: the network sees the gain", async () => {
  const model = {
    prior,
    h_a,
    h_s: () => ({ psi: tensor([1, 3, 4, 4], (i) => i) }),
    channels: 4,
    kernel: 3,
    gains: [1, 3],
    pixel: ({ gain, y_hat }: Tensors) => {
      const by = (gain!.data as Float32Array)[0]!;
      const before = (y_hat!.data as Float32Array)[3]!;
      return {
        scales: tensor([1, 4, 1, 1], () => 0.7 * by),
        means: tensor([1, 4, 1, 1], (i) => before / 2 + i / 8),
        offsets: tensor([1, 4, 1, 1], () => -0.1),
      };
    },
  };
  const { packet, latent } = await variableRate.encode(codec, model, y, { level: 1 });
  assert.equal(await variableRate.decode(codec, model, packet), latent);
  const far = latent.data.filter((value, i) => Math.abs(value - y.data[i]!) > 0.5 / 3 + 0.1 / 3 + 1e-6);
  assert.is(far.length, 0, "every element is within half a step and the offset");
  const short = {
    ...model,
    pixel: () => ({ scales: tensor([1, 4, 1, 1], () => 1), offsets: tensor([1, 2, 1, 1], () => 0) }),
  };
  await rejects(variableRate.encode(codec, short, y, { level: 0 }), "SHAPE_MISMATCH", /pixel gave offsets/);
});

/** Ties to even, as the codec rounds. */
function roundEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.floor(value + 0.5);
  return low % 2 === 0 ? low : low + 1;
}

test.run();

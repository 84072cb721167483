// The recipes of latentwire/onnx against recorded streams: CompressAI's strings, made by its own code, and packets.
import type { TensorLike } from "latentwire";
import { autoregressive, factorized, meanScale, scale, type Tensors } from "latentwire/onnx";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { garbagePerPixel } from "../bench/families/measure.js";
import { stockScales } from "../bindings/cdfs.js";
import { builds } from "./builds.js";
import { random } from "./cases.js";
import { randomNetwork, uselessTable } from "./context-cases.js";
import { rejects, sameNumbers } from "./expect.js";
import {
  bytesOf,
  type FamilyCase,
  floatsOf,
  hexOf,
  netsOf,
  readCases,
  recipeOf,
  tensorBy as tensor,
  tensorOf,
} from "./family-cases.js";
import { contextToBytes } from "./reference.js";

const all = readCases(new URL("./vectors/families.json", import.meta.url));
const cases = all.filter(({ packet }) => packet !== undefined);
const named = (family: string): FamilyCase => cases.find((one) => one.family === family)!;
const [{ codec }] = builds;

test("every family has its vectors", () => {
  const names = "autoregressive,channel-groups,checkerboard,elic,factorized,gain,laplace,logistic,mean-scale,mixture";
  assert.is(
    [...new Set(cases.map(({ family }) => family))].sort().join(),
    `${names},recursive,scale,slices,variable-rate`,
  );
});

for (const { name: build, codec: own } of builds)
  for (const one of cases)
    test(`${build}: ${one.family} (${one.origin}): CompressAI's strings, a packet, a compact packet, both ways`, async () => {
      const y = tensorOf(one.y);
      const latent = tensorOf(one.latent);
      const { shape } = one;
      const recipe = () => recipeOf(one, own);
      const strings = await recipe().encode(y, { format: "strings" });
      assert.equal(strings.packet.map(hexOf), one.strings);
      assert.equal([strings.shape, strings.latent], [shape, latent]);
      assert.equal(await recipe().decode(one.strings.map(bytesOf), { shape }), latent);

      const encoded = await recipe().encode(y, { lanes: 1 });
      assert.is(hexOf(encoded.packet), one.packet);
      assert.equal([encoded.latent, encoded.corrections], [latent, 0]);
      assert.equal(await recipe().decode(bytesOf(one.packet!)), latent);

      const { packet } = await recipe().encode(y, { lanes: 1, header: "compact" });
      assert.ok(packet.length < encoded.packet.length);
      assert.equal(await recipe().decode(packet, { header: "compact", shape }), latent);
    });

test("CompressAI's own mixture: its rows, one per symbol", () => {
  const one = all.find(({ family }) => family === "their-mixture")!;
  const latent = tensorOf(one.latent);
  const symbols = Int32Array.from(latent.data);
  const prior = codec.indexed(
    one.table!,
    Uint16Array.from(symbols, (_, i) => i),
  );
  const { dims } = latent;
  const writer = codec.writer({ format: "strings" });
  writer.write({ type: "int32", dims, data: symbols }, prior);
  assert.equal(writer.finishStrings().map(hexOf), one.strings);
  const reader = codec.reader(one.strings.map(bytesOf));
  assert.equal(reader.read(prior, { type: "int32", dims }).data, symbols);
  reader.finish();
});

test("guard and index checks reach the codec: scales that another machine computed", async () => {
  const one = named("mean-scale");
  const scales = floatsOf(one.nets.h_s[0].scales);
  // On the boundary of two rows for the encoder, just above it for the decoder.
  scales[3] = stockScales[20];
  const answer = (data: Float32Array) => async () => {
    const { means } = one.nets.h_s[0];
    return { scales: { type: "float32", dims: one.y.dims, data }, means: tensorOf(means) };
  };
  const other = scales.map((scale, i) => (i === 3 ? scale * (1 + 1e-6) : scale));
  const sender = recipeOf(one, codec, { ...netsOf(one), h_s: answer(scales) });
  const receiver = recipeOf(one, codec, { ...netsOf(one), h_s: answer(other) });
  const y = tensorOf(one.y);

  const guarded = await sender.encode(y, { guard: 1e-5 });
  assert.ok(guarded.corrections >= 1);
  assert.equal(await receiver.decode(guarded.packet), guarded.latent);

  const checked = await sender.encode(y, { indexChecks: true });
  await rejects(receiver.decode(checked.packet), "MODEL_MISMATCH");
  assert.equal(await sender.decode(checked.packet), checked.latent);
});

test("fewer strings than the family has parts are counted, not decoded", async () => {
  const one = named("mean-scale");
  const strings = one.strings.map(bytesOf);
  for (const some of [[], strings.slice(0, 1)])
    await rejects(recipeOf(one, codec).decode(some, { shape: one.shape }), "SHAPE_MISMATCH", /strings/);
});

test("a latent of two images in one packet, context by context", async () => {
  for (const family of ["mean-scale", "autoregressive", "checkerboard", "channel-groups", "elic", "gain", "mixture"]) {
    const one = named(family);
    const pixel = family === "autoregressive" ? one.nets.pixel : undefined;
    // Every answer twice along the batch; the pixels' one after the other.
    const twice = ({ dims, f32 }: { dims: number[]; f32: string }) => ({ dims: [2, ...dims.slice(1)], f32: f32 + f32 });
    const nets = Object.fromEntries(
      Object.entries(one.nets).map(([name, calls]) => [
        name,
        calls === pixel
          ? calls
          : calls.map((call) => Object.fromEntries(Object.entries(call).map(([k, v]) => [k, twice(v)]))),
      ]),
    );
    const pair = { ...one, nets };
    const encoded = await recipeOf(pair, codec).encode(tensorOf(twice(one.y)));
    assert.equal(encoded.latent, tensorOf(twice(one.latent)), family);
    assert.equal(await recipeOf(pair, codec).decode(encoded.packet), encoded.latent, family);
    const strings = recipeOf(pair, codec).encode(tensorOf(twice(one.y)), { format: "strings" });
    await rejects(strings, "SHAPE_MISMATCH", /one image each/);
  }
});

test("autoregressive: the network sees what comes before its pixel, and nothing else", async () => {
  const [c, h, w, k] = [2, 3, 4, 3];
  const seen: Float32Array[] = [];
  const pixel = ({ y_hat, psi }: Tensors): Tensors => {
    assert.equal(y_hat.dims, [1, c, k, k]);
    assert.equal(psi.dims, [1, 1, 1, 1]);
    const [place] = psi.data as Float32Array;
    assert.is(place, seen.length % (h * w), "psi is that of the pixel");
    seen.push((y_hat.data as Float32Array).slice());
    return { scales: tensor([1, c, 1, 1], () => 1), means: tensor([1, c, 1, 1], () => 0.25) };
  };
  const model = {
    prior: codec.factorized(named("mean-scale").prior),
    h_a: () => ({ z: tensor([1, 4, 1, 1], () => 0) }),
    h_s: () => ({ psi: tensor([1, 1, h, w], (i) => i) }),
    pixel,
    channels: c,
    kernel: k,
  };
  const y = tensor([1, c, h, w], (i) => ((i * 7) % 5) - 2);
  const { packet, latent } = await autoregressive.encode(codec, model, y);
  const decoded = await autoregressive.decode(codec, model, packet);
  assert.equal(decoded, latent);
  assert.is(seen.length, 2 * h * w);
  for (const [call, crop] of seen.entries()) {
    const at = call % (h * w);
    const expected = new Float32Array(c * k * k);
    for (let i = 0; i < c; i++)
      for (let dy = 0; dy < k; dy++)
        for (let dx = 0; dx < k; dx++) {
          const [row, column] = [Math.floor(at / w) + dy - 1, (at % w) + dx - 1];
          if (row < 0 || column < 0 || column >= w || row * w + column >= at) continue;
          expected[(i * k + dy) * k + dx] = latent.data[(i * h + row) * w + column];
        }
    assert.equal(crop, expected, `pixel ${at}`);
  }
  await rejects(autoregressive.encode(codec, { ...model, channels: 3 }, y), "SHAPE_MISMATCH", /\[1,3,3,4\]/);
});

test("autoregressive: a pixel leaves no garbage", () => {
  assert.is(garbagePerPixel(codec), 0);
});

test("networks by structure: an only input and output, halves, float16, GPU tensors", async () => {
  const one = named("mean-scale");
  const prior = codec.factorized(one.prior);
  const y = tensorOf(one.y);
  const answers = {
    z: tensorOf(one.nets.h_a[0].z),
    scales: tensorOf(one.nets.h_s[0].scales),
    means: tensorOf(one.nets.h_s[0].means),
  };
  const joined = new Float32Array(2 * answers.scales.data.length);
  joined.set(answers.scales.data);
  joined.set(answers.means.data, answers.scales.data.length);
  let disposed = 0;
  const h_a = {
    inputNames: ["input.1"],
    outputNames: ["44"],
    run: async (feeds: Record<string, unknown>, fetches: readonly string[]) => {
      assert.equal(fetches, ["44"]);
      assert.is((feeds["input.1"] as TensorLike).data, y.data);
      const { type, dims, data } = answers.z;
      const away = { type, dims, location: "gpu-buffer", data: undefined, getData: async () => data };
      return { "44": { ...away, dispose: () => void disposed++ } };
    },
  };
  const h_s = {
    inputNames: ["z_hat"],
    outputNames: ["parameters"],
    run: async () => ({ parameters: { type: "float32", dims: [1, 12, 8, 4], data: joined } }),
  };
  const { packet } = await meanScale.encode(codec, { prior, h_a, h_s }, y, { lanes: 1 });
  assert.is(hexOf(packet), one.packet);
  assert.is(disposed, 1);

  const session = (outputs: Record<string, TensorLike>, inputNames = ["z_hat"]) => ({
    inputNames,
    outputNames: Object.keys(outputs),
    run: async () => outputs,
  });
  const { scales, means } = answers;
  const odd = { type: "float32", dims: [1, 3, 2, 2], data: new Float32Array(12) };
  for (const [code, message, net] of [
    ["MODEL", /h_s: it has no output "means", it has "scales", "mean"/, session({ scales, mean: means })],
    ["MODEL", /h_s: its input "z" is none of "z_hat"/, session({ scales, means }, ["z", "x"])],
    ["MODEL", /h_s: it gave no "means"/, () => ({ scales })],
    ["MODEL", /"means" is float64/, () => ({ scales, means: { ...means, type: "float64" } })],
    ["MODEL", /halves/, session({ odd })],
    ["MODEL", /neither a session nor a function/, {}],
    ["SHAPE_MISMATCH", /./, () => ({ scales: { ...scales, dims: [1, 6, 4, 8] }, means })],
  ] as const)
    await rejects(meanScale.encode(codec, { prior, h_a, h_s: net as never }, y), code, message);
});

test("float16 parameters are widened, float16 inputs are narrowed", async () => {
  const one = named("mean-scale");
  const size = tensorOf(one.y).data.length;
  const half = (bits: number, dims: number[], n: number) => ({
    type: "float16",
    dims,
    data: new Uint16Array(n).fill(bits),
  });
  const asked: string[] = [];
  const run = (outputs: Record<string, TensorLike>) => async (feeds: Record<string, unknown>) => {
    asked.push(...Object.values(feeds).map((tensor) => (tensor as TensorLike).type));
    return outputs;
  };
  const inputMetadata = [{ name: "in", type: "float16" }];
  const model = {
    prior: codec.factorized(one.prior),
    h_a: { inputNames: ["in"], outputNames: ["z"], inputMetadata, run: run({ z: half(0x4000, [1, 4, 2, 1], 8) }) },
    h_s: {
      inputNames: ["in"],
      outputNames: ["scales", "means"],
      inputMetadata,
      run: run({ scales: half(0x3c00, one.y.dims, size), means: half(0xb800, one.y.dims, size) }),
    },
  };
  const { latent } = await meanScale.encode(codec, model, tensorOf(one.y));
  assert.equal(asked, ["float16", "float16"]);
  // 0xb800 is -0.5.
  assert.ok(latent.data.every((value) => Math.abs(value % 1) === 0.5));
});

test("scale and mean-scale with a context prior over y: packets use it, strings do not", async () => {
  const one = named("mean-scale");
  const y = tensorOf(one.y);
  const context = contextToBytes(randomNetwork(random(8), { channels: y.dims[1]!, H: 32, given: 64, ends: [-9, 9] }));
  // No row of this table has a value of the latent, so the context is always the shorter one.
  const { h_a, h_s } = netsOf(one);
  const base = { prior: codec.factorized(one.prior), table: uselessTable(64), h_a, h_s };
  for (const family of [scale, meanScale]) {
    const [plain, under] = [base, { ...base, context }];
    const { packet, latent } = await family.encode(codec, under, y, { guard: 1e-5 });
    const other = await family.encode(codec, plain, y);
    sameNumbers(latent.data, other.latent.data);
    assert.ok(packet.length < 0.9 * other.packet.length, `${packet.length} of ${other.packet.length} bytes`);
    sameNumbers((await family.decode(codec, under, packet)).data, latent.data);
    await rejects(family.decode(codec, plain, packet), "WRONG_PRIOR");
    const strings = await family.encode(codec, under, y, { format: "strings" });
    assert.equal(strings.packet, (await family.encode(codec, plain, y, { format: "strings" })).packet);
    sameNumbers((await family.decode(codec, under, strings.packet, { shape: strings.shape })).data, latent.data);
  }
});

test("gain units: a level that is none, on either side", async () => {
  const one = named("gain");
  const y = tensorOf(one.y);
  const wrong = (level: unknown) => recipeOf({ ...one, level } as FamilyCase, codec);
  for (const level of [-1, 3, 0.5, undefined])
    await rejects(wrong(level).encode(y), RangeError, /level must be one of 0 \.\. 2/);
  await rejects(wrong(undefined).decode(one.strings.map(bytesOf), { shape: one.shape }), RangeError);
  const few = { ...one, gains: one.gains!.map(({ f32 }) => ({ dims: [2], f32: f32.slice(0, 16) })) };
  await rejects(recipeOf(few, codec).encode(y), RangeError, /gains has 2 factors/);
});

test("strings want a shape; a packet of another family, and an ArrayBuffer that holds none, are refused", async () => {
  const one = named("mean-scale");
  await rejects(recipeOf(one, codec).decode(one.strings.map(bytesOf)), TypeError, /shape/);
  const other = recipeOf(named("recursive"), codec).decode(bytesOf(named("scale").packet!));
  await rejects(other, "SHAPE_MISMATCH", /2 parts/);
  await rejects(factorized.decode(codec, { prior: codec.factorized(one.prior) }, new ArrayBuffer(8)), "NOT_A_PACKET");
  // The codec is usable afterwards.
  assert.equal(await recipeOf(one, codec).decode(bytesOf(one.packet!)), tensorOf(one.latent));
});

test.run();

// The recipes with networks as people have them: one output for two, odd names, buffers used again, calls that fail, machines that disagree.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CodecError, create, type TensorLike } from "latentwire";
import {
  autoregressive,
  channelGroups,
  elic,
  factorized,
  meanScale,
  mixture,
  type Net,
  type Tensors,
} from "latentwire/onnx";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { watched } from "./builds.js";
import { random } from "./cases.js";
import { rejects } from "./expect.js";
import {
  type FamilyCase,
  floatsOf,
  netsOf,
  readCases,
  recipeOf,
  tensorBy as tensor,
  tensorOf,
} from "./family-cases.js";

const codec = await create();
const cases = readCases(new URL("./vectors/families.json", import.meta.url)).filter(({ packet }) => packet);

const session = (inputNames: string[], outputNames: string[], run: (feeds: Tensors) => unknown) => ({
  inputNames,
  outputNames,
  run: async (feeds: Record<string, unknown>) => run(feeds as Tensors) as Record<string, TensorLike>,
});

const prior = codec.factorized({
  offsets: [-2, -2],
  cdfs: Array(2).fill([0, 13000, 26000, 39000, 52000, 65000, 65536]),
});
const h_a = () => ({ z: tensor([1, 2, 2, 2], (i) => (i % 5) - 2) });
const shape = [1, 4, 4, 4];
const y = tensor(shape, (i) => ((i * 7) % 9) / 2 - 2);
const psi = () => ({ psi: tensor([1, 3, 4, 4], (i) => i) });
const parameters = (c: number) => () => ({
  scales: tensor([1, c, 4, 4], (i) => 0.3 + (i % 7) / 3),
  means: tensor([1, c, 4, 4], (i) => (i % 3) / 4),
});
const pixel = () => ({ scales: tensor([1, 4, 1, 1], (i) => 0.5 + i), means: tensor([1, 4, 1, 1], (i) => i / 4) });
const raster = { prior, h_a, h_s: psi, pixel: pixel as Net, channels: 4 };

test("autoregressive: one output with scales and means, as CompressAI's entropy_parameters", async () => {
  const joined = session(["y_hat", "psi"], ["out"], () => ({
    out: tensor([1, 8, 1, 1], (i) => (i < 4 ? 0.5 + i : (i - 4) / 4)),
  }));
  const expected = await autoregressive.encode(codec, raster, y);
  const { packet } = await autoregressive.encode(codec, { ...raster, pixel: joined }, y);
  assert.equal(packet, expected.packet);
  assert.equal(await autoregressive.decode(codec, { ...raster, pixel: joined }, packet), expected.latent);

  const wide = { ...raster, pixel: () => ({ ...pixel(), means: tensor([1, 8, 1, 1], () => 0) }) };
  await rejects(autoregressive.encode(codec, wide, y), "SHAPE_MISMATCH", /means \[1,8,1,1\], \[1,4,1,1\] is wanted/);
  await rejects(autoregressive.decode(codec, wide, packet), "SHAPE_MISMATCH", /is wanted/);
  await rejects(autoregressive.encode(codec, { ...raster, kernel: 4 }, y), RangeError, /kernel must be odd/);
});

test("autoregressive: corrections of the pixels are reported", async () => {
  const near = { ...raster, pixel: () => ({ ...pixel(), scales: tensor([1, 4, 1, 1], (i) => stockScales[20 + i]) }) };
  const { corrections } = await autoregressive.encode(codec, near, y, { guard: 1e-5 });
  assert.is(corrections, y.data.length);
});

test("networks, groups and arguments that do not fit are refused", async () => {
  const mean = (h_s: unknown) => meanScale.encode(codec, { prior, h_a, h_s: h_s as Net }, y);
  const groups = (sizes: number[], ...nets: unknown[]) =>
    channelGroups.encode(codec, { prior, h_a, h_s: psi, groups: sizes, nets: nets as Net[] }, y);
  const blind = session(["x"], ["out"], () => ({ out: tensor([1, 4, 4, 4], () => 1) }));
  const single = session(["z_hat"], ["out"], () => ({ out: tensor([1, 12, 4, 4], () => 1) }));
  const half = session(["z_hat"], ["scales", "means"], () => ({ scales: y }));
  const none = session(["z_hat"], ["scales", "means"], () => undefined);
  const larger = () => ({ scales: tensor([1, 4, 8, 8], () => 1), means: tensor([1, 4, 8, 8], () => 0) });
  const group = { channels: 3, anchor: parameters(3), nonanchor: parameters(3) };
  const not = (value: unknown) => value as never;
  for (const [kind, message, call] of [
    ["MODEL", /nets\[1\]: its input "x" is none of "psi", "y_hat"/, () => groups([2, 2], parameters(2), blind)],
    [
      "MODEL",
      /h_s: it has no output "weights"/,
      () => mixture.encode(codec, { prior, h_a, h_s: single, components: 3 }, y),
    ],
    ["MODEL", /no "means"/, () => mean(half)],
    ["MODEL", /no "scales"/, () => mean(none)],
    ["SHAPE_MISMATCH", /pad the image/, () => mean(larger)],
    ["SHAPE_MISMATCH", /3 channels together, y \[1,4,4,4\] has 4/, () => groups([1, 2], parameters(1), parameters(2))],
    ["SHAPE_MISMATCH", /3 channels together/, () => elic.encode(codec, { prior, h_a, h_s: psi, groups: [group] }, y)],
    [TypeError, /y must be a tensor/, () => factorized.encode(codec, { prior }, not(undefined))],
    [TypeError, /codec must come from create\(\)/, () => factorized.encode(not(undefined), { prior }, y)],
    [TypeError, /codec must come from create\(\)/, () => factorized.encode(not({}), { prior }, y)],
    [TypeError, /packet must be/, () => meanScale.decode(codec, { prior, h_s: half }, not(undefined))],
  ] as const)
    await rejects(call(), kind, message);
});

test("a mixture of two images has each image's own parameters", async () => {
  const components = 2;
  const dims = [2, components * 4, 4, 4];
  const rng = random(5);
  const at = () => rng(1000) / 250 - 2;
  const both = { weights: tensor(dims, at), means: tensor(dims, at), scales: tensor(dims, (i) => 0.2 + (i % 5)) };
  const images = tensor([2, ...shape.slice(1)], at);
  const z = (n: number) => () => ({ z: tensor([n, 2, 2, 2], () => 0) });
  const model = { prior, h_a: z(2), h_s: () => both, components };
  const encoded = await mixture.encode(codec, model, images, { indexChecks: true });
  assert.equal(await mixture.decode(codec, model, encoded.packet), encoded.latent);

  // The same symbols in the same order under the same rows: image by image in two parts, with z in front.
  const writer = codec.writer();
  writer.write(z(2)().z, prior);
  for (const b of [0, 1]) {
    const of = ({ data }: { data: Float32Array }, size: number) => data.slice(b * size, (b + 1) * size);
    const own = (t: { data: Float32Array }) => ({ type: "float32", dims: [1, ...dims.slice(1)], data: of(t, 128) });
    const { weights, means, scales } = both;
    const mixture = codec.mixture({ weights: own(weights), means: own(means), scales: own(scales) }, { components });
    writer.write({ type: "float32", dims: shape, data: of(images, 64) }, mixture);
  }
  const plain = await mixture.encode(codec, model, images, { fingerprint: false, checksum: false });
  const parts = writer.finish();
  assert.is(plain.packet.length + 8, parts.length);
  // Behind magic, flags, control byte and fingerprint, and before the checksum.
  assert.equal(plain.packet.subarray(4), parts.subarray(8, -4));
});

type Answer = (inputs: Tensors) => Tensors;

/** The recorded networks of a case, each inside another. */
function wrapped(one: FamilyCase, around: (name: string, net: Answer) => Net): Record<string, Net> {
  return Object.fromEntries(Object.entries(netsOf(one)).map(([name, net]) => [name, around(name, net as Answer)]));
}

test("networks that use their buffers again, and interleaved calls of one codec", async () => {
  const buffers = new Map<string, Float32Array>();
  /** Gives every answer in the same memory, late, and spoils it before the next. */
  const reusing = (name: string, net: Answer) => async (inputs: Tensors) => {
    for (const [key, data] of buffers) if (key.startsWith(name)) data.fill(Number.NaN);
    await new Promise((resolve) => setTimeout(resolve, 1));
    const kept = Object.entries(net(inputs)).map(([key, { type, dims, data }]) => {
      const own = buffers.get(name + key) ?? new Float32Array((data as Float32Array).length);
      buffers.set(name + key, own);
      own.set(data as Float32Array);
      return [key, { type, dims, data: own }];
    });
    return Object.fromEntries(kept);
  };
  for (const one of cases) {
    buffers.clear();
    const { packet, latent } = await recipeOf(one, codec, wrapped(one, reusing)).encode(tensorOf(one.y), { lanes: 1 });
    assert.is(Buffer.from(packet).toString("hex"), one.packet, one.family);
    assert.equal(latent, tensorOf(one.latent));
  }
  const late = (one: FamilyCase) =>
    wrapped(one, (name, net) => async (inputs) => {
      await new Promise((resolve) => setTimeout(resolve, (name.length * 7) % 3));
      return net(inputs);
    });
  await Promise.all(
    [...cases, ...cases].map(async (one) => {
      const { packet } = await recipeOf(one, codec, late(one)).encode(tensorOf(one.y), { lanes: 1 });
      assert.is(Buffer.from(packet).toString("hex"), one.packet, one.family);
      assert.equal(await recipeOf(one, codec, late(one)).decode(packet), tensorOf(one.latent), one.family);
    }),
  );
});

test("every recipe under a guard: parameters that are off decode exactly, without it they are noticed", async () => {
  const rng = random(9);
  const error = 1e-5;
  /** A third of the scales lie within the error of a boundary; at the receiver's end all parameters are off by up to it. */
  const machine = (one: FamilyCase, receiver: boolean) => {
    const table = one.scaleTable ? floatsOf(one.scaleTable) : stockScales;
    const off = (value: number) => (receiver ? value * (1 + ((rng(2001) - 1000) / 1000) * 0.9 * error) : value);
    const near = (value: number, i: number) => {
      const boundary = table.reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
      return i % 3 === 0 && boundary < table[table.length - 1] ? boundary * (1 + ((i % 5) - 2) * 0.4 * error) : value;
    };
    const changed = (name: string, given: TensorLike): TensorLike => {
      if (!["scales", "means", "weights"].includes(name)) return given;
      const data = (given.data as Float32Array).map((v, i) => off(name === "scales" ? near(v, i) : v));
      return { ...given, data };
    };
    const nets = wrapped(one, (_, net) => async (inputs) => {
      const outputs = Object.entries(net(inputs));
      return Object.fromEntries(outputs.map(([key, value]) => [key, changed(key, value)]));
    });
    return recipeOf(one, codec, nets);
  };
  let noticed = 0;
  for (const one of cases) {
    for (let round = 0; round < 4; round++) {
      const guarded = await machine(one, false).encode(tensorOf(one.y), { guard: 2 * error });
      assert.is(guarded.corrections > 0, one.family !== "factorized", one.family);
      const { data } = await machine(one, true).decode(guarded.packet);
      const close = (v: number, i: number) => Math.abs(v - guarded.latent.data[i]) < 1e-3 * Math.max(1, Math.abs(v));
      assert.ok(data.every(close), `${one.family}: other symbols`);

      const checked = await machine(one, false).encode(tensorOf(one.y), { indexChecks: true });
      const decoding = machine(one, true).decode(checked.packet);
      const outcome = await decoding.catch((reason) => reason);
      if (outcome instanceof CodecError) {
        assert.is(outcome.code, "MODEL_MISMATCH", one.family);
        noticed++;
      } else assert.ok(outcome.data.every(close), `${one.family}: ${outcome}`);
    }
  }
  assert.ok(noticed > 2 * cases.length, `${noticed} mismatches`);
});

test("networks that fail in the middle, sequences that nobody ends: no Wasm memory stays behind", async () => {
  const own = watched("simd");
  const model = { ...raster, prior: own.codec.factorized(prior.table) };
  const { packet } = await autoregressive.encode(own.codec, model, y);
  let calls = 0;
  const failing = {
    ...model,
    pixel: async () => {
      if (++calls % 5 === 0) throw new Error("out of memory");
      return pixel();
    },
  };
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const four = new Float32Array(4).fill(1);
  const round = async () => {
    for (let i = 0; i < 100; i++) {
      await rejects(autoregressive.encode(own.codec, failing, y), Error, /out of memory/);
      await rejects(autoregressive.decode(own.codec, failing, packet), Error, /out of memory/);
      own.codec.writer().sequence().next(four, four, undefined, new Float32Array(4));
      const reader = own.codec.reader(packet);
      reader.read(model.prior);
      reader.sequence().next(four, undefined, new Float32Array(4));
    }
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await round();
  await round();
  const before = own.bytes();
  for (let i = 0; i < 10; i++) await round();
  assert.is(own.bytes(), before);
  assert.equal((await autoregressive.encode(own.codec, model, y)).packet, packet);
});

test.run();

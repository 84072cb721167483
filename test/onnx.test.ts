// latentwire/onnx: a model in two halves, in both ONNX runtimes, and float16 beside ONNX Cast.
import { existsSync, readFileSync } from "node:fs";
import { create, type TensorLike } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import { meanScale, type SessionLike, splitDecoder, splitEncoder } from "latentwire/onnx";
import { Tensor } from "onnxruntime-common";
import * as ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { narrow, widen } from "../bindings/float16.js";
import { testTable } from "./engines/cases.js";
import { rejects, sameNumbers, throwMistakes, throwsCode } from "./expect.js";
import { castTo, onnxModel } from "./onnx-model.js";
import { decoderModel, encoderModel, richEncoderModel, splitOutcomes, testImage } from "./split-model.js";

ortWeb.env.wasm.numThreads = 1;
const runtimes = { "onnxruntime-node": ortNode, "onnxruntime-web": ortWeb };

const codec = await create();
const prior = codec.factorized(testTable(4));

for (const [name, ort] of Object.entries(runtimes)) {
  test(`${name}: what goes through the split is what goes through the parts`, async () => {
    const encoder = await ort.InferenceSession.create(encoderModel);
    const decoder = await ort.InferenceSession.create(decoderModel());
    const image = testImage();
    const tensor = new ort.Tensor("float32", image.data, image.dims);

    const packet = await splitEncoder({ session: encoder, codec, prior })(tensor);
    const { y } = await encoder.run({ image: tensor });
    assert.equal(packet, codec.encode(y, prior));

    const outputs = await splitDecoder({ session: decoder, codec, prior })(packet);
    const restored = codec.decode(packet, prior);
    const expected = await decoder.run({ latent: new ort.Tensor("float32", restored.data, restored.dims) });
    assert.equal(Object.keys(outputs).sort(), ["features", "positive"]);
    assert.equal(outputs.features.data, expected.features.data);
    assert.equal(outputs.positive.data, expected.positive.data);
    assert.equal(outputs.features.dims, [2, 2, 6, 10]);
  });

  test(`${name}: what the codec returns goes into session.run as it is`, async () => {
    const decoder = await ort.InferenceSession.create(decoderModel());
    const sines = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i));
    const y: TensorLike = { type: "float32", dims: [1, 4, 2, 3], data: sines };
    const packet = codec.encode(y, prior);
    const restored = codec.decode(packet, prior);
    const writer = codec.writer();
    const latents = {
      decode: restored,
      dequantize: codec.dequantize(codec.quantize(y, prior), prior),
      write: writer.write(y, prior, { dequantize: true }),
      read: codec.reader(writer.finish()).read(prior),
    };
    const { features } = await decoder.run({ latent: new ort.Tensor("float32", restored.data, restored.dims) });
    for (const [made, latent] of Object.entries(latents)) {
      const found = await decoder.run({ latent: latent as TensorLike as Tensor });
      assert.equal(found.features.data, features.data, made);
    }
  });

  test(`${name}: chosen outputs, encode and decode options`, async () => {
    const encoder = await ort.InferenceSession.create(richEncoderModel);
    const decoder = await ort.InferenceSession.create(decoderModel());
    const packet = await splitEncoder({ session: encoder, codec, prior, output: "y", encode: { header: "none" } })(
      testImage(),
    );
    const decode = { header: "none", dims: [2, 4, 6, 10] } as const;
    const outputs = await splitDecoder({ session: decoder, codec, prior, decode, output: "positive" })(packet);
    assert.equal(Object.keys(outputs), ["positive"]);
  });

  test(`${name}: a prior made from the network's own scales`, async () => {
    const encoder = await ort.InferenceSession.create(richEncoderModel);
    const decoder = await ort.InferenceSession.create(decoderModel());
    const own = ({ scales }: Record<string, TensorLike>) => codec.gaussian(scales);
    const encode = splitEncoder({ session: encoder, codec, output: "y", prior: own });
    const packet = await encode(testImage());
    const results = await encoder.run({ image: new ort.Tensor("float32", testImage().data, testImage().dims) });
    const gaussian = codec.gaussian(results.scales);
    assert.equal(packet, codec.encode(results.y, gaussian));

    const decode = splitDecoder({ session: decoder, codec });
    assert.equal((await decode(packet, gaussian)).features.dims, [2, 2, 6, 10]);
    await rejects(decode(packet), TypeError, /prior/);
  });

  test(`${name}: an image of four channels, as Tensor.fromImage makes it without options`, async () => {
    const encode = splitEncoder({ session: await ort.InferenceSession.create(encoderModel), codec, prior });
    const image = (...dims: number[]) =>
      encode(new ort.Tensor("float32", new Float32Array(dims.reduce((a, b) => a * b)), dims));
    const refused = /"image" is \[n,3,h,w\], the image is \[1,4,8,8\]\. Tensor\.fromImage\(bitmap, /;
    await rejects(image(1, 4, 8, 8), "MODEL", refused);
    await rejects(image(3, 8, 8), "MODEL", /"image" is \[n,3,h,w\], the image is \[3,8,8\]$/);
    assert.ok((await image(2, 3, 16, 8)).length > 0);
  });

  test(`${name}: a session that does not fit`, async () => {
    const encoder = await ort.InferenceSession.create(richEncoderModel);
    const decoder = await ort.InferenceSession.create(decoderModel());
    const make = (options: object) => () => splitEncoder({ session: encoder, codec, prior, ...options });
    throwsCode(make({}), "MODEL", /name the output: the session has 5 \("y", "float16"/);
    throwsCode(make({ output: "z" }), "MODEL", /no output "z"; it has "y"/);
    throwsCode(make({ output: "y", input: "x" }), "MODEL", /no input "x"; it has "image"/);
    throwsCode(() => splitDecoder({ session: decoder, codec, prior, output: ["z"] }), "MODEL", /no output "z"/);
    const text = { type: "string", dims: [1], data: ["a"] };
    const odd = { ...encoder, inputNames: ["image"], outputNames: ["y"], run: async () => ({ y: text }) };
    await rejects(splitEncoder({ session: odd, codec, prior })(testImage()), "MODEL", /"y" is string, which no latent/);
  });
}

for (const [name, ort] of Object.entries(runtimes))
  test(`${name}: a packet or an image that the session does not take`, async () => {
    const session = await ort.InferenceSession.create(decoderModel());
    const decode = splitDecoder({ session, codec, prior });
    const of = (dims: number[]) =>
      codec.encode({ type: "int8", dims, data: new Int8Array(dims.reduce((a, b) => a * b)) }, prior);
    const other = /the session's "latent" is \[.*\], the packet's latent is \[/;
    for (const dims of [
      [1, 4],
      [1, 4, 2],
      [1, 4, 2, 3, 1],
    ])
      await rejects(decode(of(dims)), "SHAPE_MISMATCH", other);
    // What has a name in the model may be of any size.
    assert.ok(await decode(of([3, 4, 5, 2])));

    const encoder = await ort.InferenceSession.create(encoderModel);
    const encode = splitEncoder({ session: encoder, codec, prior });
    const image = testImage();
    const bytes = { type: "uint8", dims: image.dims, data: new Uint8Array(image.data.length) } as const;
    await rejects(encode(bytes), "MODEL", /"image" is float32, the image is uint8/);
  });

test("the error of a session is the cause of a MODEL", async () => {
  const reason = new Error("device lost");
  const session = {
    inputNames: ["a"],
    outputNames: ["b"],
    run: async () => {
      throw reason;
    },
  };
  const image = testImage();
  const calls = [
    splitEncoder({ session, codec, prior })(image),
    splitDecoder({ session, codec, prior })(
      codec.encode({ type: "int8", dims: [1, 4, 1], data: new Int8Array(4) }, prior),
    ),
    meanScale.encode(codec, { prior, h_a: session, h_s: session as never }, image),
  ];
  for (const call of calls) {
    await rejects(call, "MODEL", /device lost/);
    await call.catch((error) => assert.is(error.cause, reason));
  }
});

test("the two runtimes produce the same packets and outputs, whatever the latent's type", async () => {
  const node = await splitOutcomes(ortNode);
  assert.equal(node, await splitOutcomes(ortWeb));
  assert.equal(node.plain, node.y);
  assert.equal(node.plain, node.float16);
  assert.equal(node["float32 features"], node["float16 features"]);
});

test("GPU tensors are fetched and disposed, also when fetching fails", async () => {
  const image = testImage();
  const latent = { dims: [1, 4, 2, 2], data: Float32Array.from({ length: 16 }, (_, i) => i / 4 - 2) };
  let disposed = 0;
  const gpuSession = (download: () => Promise<Float32Array>): SessionLike => ({
    inputNames: ["image"],
    outputNames: ["y"],
    run: async () => ({
      // Only a real buffer could be read; ONNX Runtime's own class does the rest.
      y: Tensor.fromGpuBuffer({} as never, {
        dataType: "float32",
        dims: latent.dims,
        download,
        dispose: () => void disposed++,
      }),
    }),
  });
  const packet = await splitEncoder({ session: gpuSession(async () => latent.data), codec, prior })(image);
  assert.equal(packet, codec.encode({ type: "float32", ...latent }, prior));
  assert.is(disposed, 1);

  const lost = gpuSession(() => Promise.reject(new Error("device lost")));
  await rejects(splitEncoder({ session: lost, codec, prior })(image), Error, /device lost/);
  assert.is(disposed, 2);
});

test("GPU tensors of a function network are fetched and disposed, also when fetching fails", async () => {
  // As ONNX Runtime says the shape of a texture: [1, height, width, 4].
  const dims = [1, 4, 2, 4];
  let disposed = 0;
  const away = (kind: "buffer" | "texture", download: () => Promise<Float32Array>) => {
    const options = { dataType: "float32" as const, dims, download, dispose: () => void disposed++ };
    if (kind === "buffer") return Tensor.fromGpuBuffer({} as never, options);
    return Tensor.fromTexture({} as never, { ...options, width: 2, height: 4 });
  };
  const filled = (value: number) => new Float32Array(32).fill(value);
  const model = (download: (value: number) => Promise<Float32Array>) => ({
    prior,
    h_a: () => ({ z: away("buffer", () => download(1)) }),
    h_s: async () => ({ scales: away("buffer", () => download(0.5)), means: away("texture", () => download(0.25)) }),
  });
  const y = { type: "float32", dims, data: filled(2) };
  const near = {
    prior,
    h_a: () => ({ z: { ...y, data: filled(1) } }),
    h_s: () => ({ scales: { ...y, data: filled(0.5) }, means: { ...y, data: filled(0.25) } }),
  };
  const far = model(async (value) => filled(value));
  const { packet } = await meanScale.encode(codec, far, y);
  assert.equal(packet, (await meanScale.encode(codec, near, y)).packet);
  assert.is(disposed, 3);
  assert.equal((await meanScale.decode(codec, far, packet)).dims, dims);
  assert.is(disposed, 5);
  const lost = model(() => Promise.reject(new Error("device lost")));
  await rejects(meanScale.encode(codec, lost, y), Error, /device lost/);
  assert.is(disposed, 6);
});

test("a decoder is fed the type that its session declares", async () => {
  const symbols = Int8Array.from({ length: 16 }, (_, i) => (i % 5) - 1);
  const { medians: _, ...bare } = testTable(4);
  const prior = codec.factorized(bare);
  const packet = codec.encode({ type: "int8", dims: [1, 4, 2, 2], data: symbols }, prior);
  const fedTo = async (type: string, decode?: object) => {
    let found: unknown;
    const session = {
      inputNames: ["y"],
      outputNames: ["x"],
      inputMetadata: [{ name: "y", type }],
      run: async (feeds: Record<string, unknown>) => {
        found = feeds.y;
        return {};
      },
    };
    await splitDecoder({ session, codec, prior, ...(decode && { decode }) })(packet);
    return found as TensorLike;
  };
  for (const type of ["float32", "float64", "int64", "int8"] as const) {
    const { data } = codec.decode(packet, prior, { type });
    assert.equal((await fedTo(type)).data, data, type);
    assert.is((await fedTo(type)).type, type);
  }
  const half = await fedTo("float16");
  assert.is(half.type, "float16");
  assert.equal(widen(half.data as ArrayBufferView), Float32Array.from(symbols));
  assert.is((await fedTo("float32", { type: "int32" })).type, "int32");
  // A QDQ model's decoder takes quantized elements; so the symbols get their zero point.
  const quantized = await fedTo("uint8", { affine: { scale: 1, zeroPoint: 1 } });
  assert.equal(
    quantized.data,
    Uint8Array.from(symbols, (q) => q + 1),
  );
  await rejects(fedTo("uint8"), "OUT_OF_RANGE", /element 0 is -1, which uint8/);
});

/** ONNX Cast from one type of floats to the other. */
async function cast<T>(x: InstanceType<typeof ortNode.Tensor>, to: "float32" | "float16"): Promise<T> {
  const model = onnxModel({
    nodes: [{ op: "Cast", inputs: ["x"], output: "y", attributes: castTo(to) }],
    inputs: { x: { type: to === "float32" ? "float16" : "float32", dims: ["n"] } },
    outputs: { y: { type: to, dims: ["n"] } },
  });
  const { y } = await (await ortNode.InferenceSession.create(model)).run({ x });
  return y.data as T;
}

test("float16: every value widens as ONNX Cast does and narrows back to its own bits", async () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const expected = await cast<Float32Array>(new ortNode.Tensor("float16", bits, [65536]), "float32");
  const floats = widen(bits);
  const back = new Uint16Array(narrow(floats).buffer);
  for (let i = 0; i < 65536; i++) {
    assert.ok(Object.is(floats[i], expected[i]), `widen(${i}) is ${floats[i]}, not ${expected[i]}`);
    if (!Number.isNaN(floats[i])) assert.is(back[i], i);
  }
});

test("float16: rounding as ONNX Cast does", async () => {
  // Every float16, the middle between it and the next, and the float32 on either side of that middle.
  const pattern = new Uint32Array(4 * 0x7c00);
  for (let i = 0; i < 0x7c00; i++) {
    const [value, next] = widen(Uint16Array.of(i, i + 1));
    const middle = Float32Array.of(value, (value + (next === Number.POSITIVE_INFINITY ? 65536 : next)) / 2);
    const [low, half] = new Uint32Array(middle.buffer);
    pattern.set([low, half - 1, half, half + 1], 4 * i);
  }
  const x = new Float32Array(pattern.buffer);
  const expected = await cast<Uint16Array>(new ortNode.Tensor("float32", x, [x.length]), "float16");
  sameNumbers(new Uint16Array(narrow(x).buffer), expected);
});

test("the bundled model, in both runtimes", async () => {
  const file = (name: string) => new URL(`../bench/model/points/mid/${name}`, import.meta.url);
  if (!existsSync(file("encoder.onnx"))) return console.log("skipped: no bench/model/points");
  const tables = codec.table(JSON.parse(readFileSync(file("tables.json"), "utf8")));
  const bundle = await loadBundle(readFileSync(file("model.lwb")));
  assert.is(bundle.table(codec, "latent").fingerprint, tables.fingerprint, "model.lwb and tables.json");
  const learned = bundle.factorized(codec, "latent");
  const waves = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i / 300));
  const image: TensorLike = { type: "float32", dims: [1, 3, 224, 224], data: waves };
  for (const { InferenceSession } of Object.values(runtimes)) {
    const encoder = await InferenceSession.create(readFileSync(file("encoder.onnx")));
    const decoder = await InferenceSession.create(readFileSync(file("decoder.onnx")));
    const packet = await splitEncoder({ session: encoder, codec, prior: learned })(image);
    const outputs = await splitDecoder({ session: decoder, codec, prior: learned })(packet);
    assert.is(Object.keys(outputs).length, 1);
    assert.ok((Object.values(outputs)[0].data as Float32Array).every(Number.isFinite));
    assert.ok(packet.length < 40_000, `${packet.length} bytes`);
  }
});

test("a forgotten await is named", async () => {
  const session = { inputNames: ["x"], outputNames: ["y"], run: async () => ({}) };
  const later = (value: unknown) => Promise.resolve(value) as never;
  for (const split of [splitEncoder, splitDecoder])
    throwMistakes([
      [TypeError, "an ONNX runtime; it is a Promise: await it", () => split({ session: later(session), codec, prior })],
      [TypeError, "create(); it is a Promise: await it", () => split({ session, codec: later(codec), prior })],
      [TypeError, "session must be an InferenceSession", () => split({ codec, prior } as never)],
    ]);
  const encode = splitEncoder({ session, codec, prior });
  for (const image of [undefined, new ArrayBuffer(8), later({})])
    await rejects(encode(image as never), TypeError, /the image must be a tensor/);
});

test.run();

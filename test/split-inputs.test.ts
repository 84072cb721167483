// latentwire split: which inputs a model takes, in which range, and how answers and sizes are compared.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import sharpModule from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { normalized, RANGES, rangeOf, readImage } from "../tables/images.js";
import type { Runtime, Sharp } from "../tables/packages.js";
import { meets } from "../tables/split/advise.js";
import { agreementOf, answerOf, bytesAt, metricOf, sameClass, withInterval } from "../tables/split/agreement.js";
import { chosenOf } from "../tables/split/candidates.js";
import { bytesAxis, chart, shareAxis } from "../tables/split/chart.js";
import type { Row } from "../tables/split/measure.js";
import { openModel, openSession } from "../tables/split/network.js";
import { information, rangeBy, rangeByTrying, rangeOfGraph } from "../tables/split/normalize.js";
import { loadProtobuf, type OnnxValue } from "../tables/split/onnx-file.js";
import { comparedWith, fewSamples } from "../tables/split/report.js";
import { imageInput, imageSamples, usesOf } from "../tables/split/samples.js";
import type { Study } from "../tables/split/study.js";
import { random } from "./cases.js";
import { type Model, type Node, onnxModel } from "./onnx-model.js";
import { root } from "./pack.js";

const runtime = ort as unknown as Runtime;
const sharp = sharpModule as unknown as Sharp;
const protobuf = await loadProtobuf();
const folder = mkdtempSync(join(tmpdir(), "latentwire-inputs-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const value = (name: string, dims: OnnxValue["dims"]): OnnxValue => ({
  name,
  type: 1,
  dims,
  record: new Uint8Array(0),
});

test("the input that takes images: channels first or last, colour or grey", () => {
  const found = (dims: OnnxValue["dims"]) => {
    const { channels, isLast, height, width } = imageInput([value("x", dims)], "model");
    return [channels, isLast, height, width];
  };
  assert.equal(found(["n", 3, 224, 320]), [3, false, 224, 320]);
  assert.equal(found([1, 192, "w", 3]), [3, true, 192, undefined]);
  assert.equal(found([1, 1, 28, 28]), [1, false, 28, 28]);
  assert.equal(found([null, null, null, null]), [3, false, undefined, undefined]);
  assert.throws(() => imageInput([value("x", [1, 80])], "model"), /model does not take one image, but x \[1, 80\]/);
  const two = [value("x", [1, 3, 8, 8]), value("t", [1])];
  assert.throws(() => imageInput(two, "model"), /but x \[1, 3, 8, 8\], t \[1\]: give --inputs/);
});

test("pixels as a network takes them", async () => {
  const pixels = Uint8Array.of(0, 51, 255, 102, 153, 204);
  const rounded = (list: Float32Array) => Array.from(list, (one) => Number(one.toFixed(4)));
  assert.equal(rounded(normalized(pixels, RANGES["0..255"])), [0, 102, 51, 153, 255, 204]);
  assert.equal(rounded(normalized(pixels, RANGES["0..1"], 3, true)), [0, 0.2, 1, 0.4, 0.6, 0.8]);
  assert.equal(rounded(normalized(pixels, RANGES["-1..1"], 1)), [-0.5372, 0.126]);
  // Turned by its EXIF data, and white where it is transparent.
  const file = join(folder, "turned.png");
  const raw = { raw: { width: 2, height: 1, channels: 4 as const } };
  await sharpModule(Buffer.from([255, 0, 0, 255, 0, 0, 0, 0]), raw)
    .withMetadata({ orientation: 6 })
    .png()
    .toFile(file);
  assert.equal([...(await readImage(sharp, file, 2, 1))], [255, 0, 0, 255, 255, 255]);
  writeFileSync(join(folder, "broken.png"), "no image");
  await readImage(sharp, join(folder, "broken.png"), 2, 2).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /broken\.png: /),
  );
});

test("ranges by name and by numbers", () => {
  assert.equal(rangeOf("imagenet"), RANGES.imagenet);
  assert.equal(rangeOf("127.5,127.5").mean, [0.5, 0.5, 0.5]);
  assert.equal(rangeOf("0.5,0.25").std, [0.25, 0.25, 0.25]);
  assert.equal(
    rangeOf("123.675,116.28,103.53,58.395,57.12,57.375").std.map((one) => Number(one.toFixed(3))),
    [0.229, 0.224, 0.225],
  );
  for (const text of ["", "1", "1,0", "1,2,3", "a,b", "0..256", "toString"])
    assert.throws(() => rangeOf(text), /--normalize must be 0\.\.1/, text);
});

test("what first nodes say about the range", () => {
  const cases: [string, number[][], string | undefined][] = [
    ["Sub", [[123.7, 116.3, 103.5]], "0..255"],
    ["Sub", [[0.485]], "0..1"],
    ["Sub", [[0]], undefined],
    ["Add", [[-127.5]], "0..255"],
    ["BatchNormalization", [[120, 118, 104]], "0..255"],
    ["Div", [[255]], "0..255"],
    ["Div", [[0.229]], "0..1"],
    ["Mul", [[1 / 255]], "0..255"],
    ["Mul", [[2]], "0..1"],
    ["Mul", [[0.5]], undefined],
    ["QuantizeLinear", [[1], [0]], "0..255"],
    ["QuantizeLinear", [[1 / 255], [0]], "0..1"],
    ["QuantizeLinear", [[2 / 255], [128]], "-1..1"],
    ["QuantizeLinear", [[0.0187], [114]], "imagenet"],
    ["Conv", [[7]], undefined],
  ];
  for (const [op, constants, wanted] of cases) assert.is(rangeBy(op, constants), wanted, `${op} ${constants}`);
});

const rng = random(9);
const noise = (...dims: number[]) => ({
  dims,
  data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.unit() - 0.5),
});
const float = (...dims: (number | string)[]) => ({ type: "float32" as const, dims });

/** Nodes behind others: pooled and classified. */
const classified = (
  first: readonly Node[],
  input: Model["inputs"][string],
  weights: Model["weights"] = {},
): Uint8Array =>
  onnxModel({
    nodes: [
      ...first,
      { op: "Conv", inputs: ["x", "w"], output: "a", attributes: { kernel_shape: [3, 3], strides: [2, 2] } },
      { op: "Relu", inputs: ["a"], output: "b" },
      { op: "GlobalAveragePool", inputs: ["b"], output: "c" },
      { op: "Flatten", inputs: ["c"], output: "d" },
      { op: "MatMul", inputs: ["d", "v"], output: "scores" },
    ],
    inputs: { image: input },
    outputs: { scores: float("n", 4) },
    weights: { w: noise(8, 3, 3, 3), v: noise(8, 4), ...weights },
  });

test("the range is found in the graph: type, and the first node that is not passed through", async () => {
  const foundIn = async (bytes: Uint8Array) => {
    const opened = openModel(protobuf, "model", bytes);
    return rangeOfGraph(runtime, opened, opened.graph.model.inputs[0]!);
  };
  const cast: Node = { op: "Cast", inputs: ["image"], output: "cast", attributes: { to: 1 } };
  const turned: Node = { op: "Transpose", inputs: ["cast"], output: "x", attributes: { perm: [0, 3, 1, 2] } };
  assert.is((await foundIn(classified([cast, turned], { type: "uint8", dims: [1, 16, 16, 3] })))?.range, "0..255");
  const divided: Node = { op: "Div", inputs: ["image", "by"], output: "x" };
  const found = await foundIn(classified([divided], float(1, 3, 16, 16), { by: { dims: [], data: [255] } }));
  assert.equal(found, { range: "0..255", reason: "its first node is Div by 255" });
  assert.is(
    await foundIn(classified([{ op: "Identity", inputs: ["image"], output: "x" }], float(1, 3, 16, 16))),
    undefined,
  );
  const backbone = readFileSync(join(root, "bench/backbone/backbone.onnx"));
  assert.is((await foundIn(backbone))?.range, "0..255");
});

test("a classifier is asked with all ranges; what tells nothing apart is no answer", async () => {
  // Which of the four corners' colours is the strongest: sure of it if pixels are 0 to 255.
  const corners = Array.from({ length: 4 * 3 * 64 }, (_, i) => {
    const [output, channel, y, x] = [Math.floor(i / 192), Math.floor(i / 64) % 3, Math.floor(i / 8) % 8, i % 8];
    const corner = 2 * Number(y > 3) + Number(x > 3);
    return channel === 0 ? (corner === output ? 3 : -1) / 512 : 0;
  });
  const bytes = onnxModel({
    nodes: [
      { op: "MaxPool", inputs: ["image"], output: "half", attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
      { op: "Conv", inputs: ["half", "corners"], output: "b", attributes: { kernel_shape: [8, 8] } },
      { op: "Flatten", inputs: ["b"], output: "scores" },
    ],
    inputs: { image: float(1, 3, 16, 16) },
    outputs: { scores: float(1, 4) },
    weights: { corners: { dims: [4, 3, 8, 8], data: corners } },
  });
  const files = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const file = join(folder, `${i}.png`);
      const raw = { raw: { width: 4, height: 4, channels: 3 as const } };
      await sharpModule(Buffer.from(Array.from({ length: 48 }, () => rng(256))), raw)
        .png()
        .toFile(file);
      return file;
    }),
  );
  const session = await openSession(runtime, bytes, "model");
  const input = imageInput([value("image", [1, 3, 16, 16])], "model");
  const samplesOf = (range: (typeof RANGES)["0..1"]) => imageSamples(runtime, sharp, input, files, [16, 16], range);
  const found = await rangeByTrying(session, "model", ["scores"], samplesOf as never);
  assert.is(found?.range, "0..255");
  assert.match(found?.reason ?? "", /tell images apart by \d\.\d bits with 0\.\.255/);
  assert.is(
    await rangeByTrying(session, "model", ["scores"], ((range: object) => ({
      ...samplesOf(range as never),
      count: 1,
    })) as never),
    undefined,
  );
  assert.ok(Math.abs(information([Float64Array.of(1, 0), Float64Array.of(0, 1)]) - 1) < 1e-12);
  assert.is(information([Float64Array.of(0.5, 0.5), Float64Array.of(0.5, 0.5)]), 0);
});

test("samples fit, choose or are reported on, never two of these", () => {
  const { fit, choose, report } = usesOf(57);
  assert.equal(
    [...fit, ...choose, ...report].sort((a, b) => a - b),
    Array.from({ length: 57 }, (_, i) => i),
  );
  assert.ok(fit.length > 4 && choose.length > 24 && report.length > 20);
});

test("how answers are compared follows from what the outputs hold, and is said", () => {
  const found = (shapes: number[][], values: number[][], name = "y") => {
    const names = shapes.map((_, i) => `${name}${i}`);
    const { metric, reason } = metricOf(
      names,
      shapes,
      values.map((one) => Float32Array.from(one)),
    );
    return `${metric}: ${reason}`;
  };
  const scores = [
    [3, 1, -2],
    [0, 9, 1],
  ];
  const list = [[1, 3]];
  assert.match(found(list, scores), /^top-1: its output y0 is taken for scores of classes.*--metric error$/);
  assert.match(found([[1, 3, 1, 1]], scores), /^top-1: /);
  const sure = [
    [0.5, 0.25, 0.25],
    [0, 1, 0],
  ];
  assert.match(found(list, sure), /^top-1: its output y0 holds probabilities$/);
  const directions = [
    [0.6, -0.8, 0],
    [0, 1, 0],
  ];
  assert.match(found(list, directions), /^error: its output y0 has the length 1, as an embedding.*--metric top-1$/);
  assert.match(found(list, scores, "Embedding"), /^error: its output Embedding0 is called so/);
  const whole = /^error: its outputs are more than one list/;
  assert.match(found([[1, 3, 64, 64]], []), whole);
  assert.match(
    found(
      [
        [1, 10],
        [1, 4],
      ],
      [],
    ),
    whole,
  );
  assert.is(sameClass([7, 7, 8]), undefined);
  assert.match(sameClass([7, 7])!, /all samples have the same highest class, 7/);
});

test("agreement: classes, or relative error of everything; with an interval", () => {
  const answer = (...values: number[]) =>
    answerOf({ y: { type: "float32", dims: [1, values.length], data: Float32Array.from(values) } }, ["y"]);
  assert.is(agreementOf("top-1", answer(1, 3, 2), answer(0, 9, 8)), 1);
  assert.is(agreementOf("top-1", answer(3, 1, 2), answer(0, 9, 8)), 0);
  assert.ok(Math.abs(agreementOf("error", answer(3, 4.5), answer(3, 4)) - 0.9) < 1e-6);
  assert.is(agreementOf("error", answer(1, 2, 3), answer(1, 2)), 0);
  assert.is(agreementOf("error", answer(Number.NaN), answer(1)), 0);
  assert.throws(() => answerOf({ y: { type: "string", dims: [1], data: ["a"] } }, ["y"]), /the output y is text/);
  // Wilson's interval of 47 of 50, as statistics books have it.
  const { mean, interval } = withInterval(
    "top-1",
    Array.from({ length: 50 }, (_, i) => Number(i >= 3)),
  );
  assert.equal(
    [mean, ...interval].map((one) => Number(one.toFixed(4))),
    [0.94, 0.8378, 0.9794],
  );
  assert.ok(withInterval("error", [0.9, 0.92, 0.94]).interval[0] > 0.89);
});

test("bytes at an agreement lie between two qualities; none where no quality reaches it", () => {
  const points = [
    { bytes: 4000, agreement: 0.9 },
    { bytes: 1000, agreement: 0.7 },
    { bytes: 5000, agreement: 0.85 },
  ];
  assert.equal(
    [0.7, 0.9, 0.95, 0.5].map((agreement) => bytesAt(points, agreement)).map((bytes) => bytes && Math.round(bytes)),
    [1000, 4000, null, 1000],
  );
  assert.ok(Math.abs(bytesAt(points, 0.8)! - 2000) < 1e-6);
});

test("what meets a goal comes before what misses it, the nearest first", () => {
  const goal = { targetAgreement: 0.95, targetBytes: undefined, maxWork: 0.5 };
  const one = (agreement: number, bytes: number, workShare: number) => ({ agreement, bytes, workShare, error: 0.1 });
  const order = (list: ReturnType<typeof one>[], wanted: Parameters<typeof meets>[1]) =>
    [...list].sort((a, b) => meets(a, wanted, false) - meets(b, wanted, false)).map(({ bytes }) => bytes);
  const list = [one(0.9, 1, 0.4), one(0.97, 3, 0.5), one(0.96, 2, 0.1), one(1, 4, 0.6), one(0.8, 5, 0.1)];
  assert.equal(order(list, goal), [2, 3, 1, 5, 4]);
  assert.equal(order(list, { ...goal, targetAgreement: undefined, targetBytes: 2 }), [2, 1, 3, 5, 4]);
});

test("cuts that are measured: none that another one beats, and few on both sides of the wanted work", () => {
  const cut = (work: number, bits: number) => ({ work, bits });
  const bitsOf = (...cuts: ReturnType<typeof cut>[]) => chosenOf(cuts, 0.5).map(({ bits }) => bits);
  // More bits for more work, or for nearly the same work; four times the bits of the best; a little more may be chance.
  assert.equal(bitsOf(cut(0.1, 100), cut(0.2, 120)), [100]);
  assert.equal(bitsOf(cut(0.1, 100), cut(0.105, 90)), [90]);
  assert.equal(bitsOf(cut(0.05, 50), cut(0.4, 10)), [10]);
  assert.equal(bitsOf(cut(0.1, 100), cut(0.2, 110)), [100, 110]);
  assert.equal(bitsOf(cut(0, 50), cut(0.2, 110)), [50, 110]);
  const many = Array.from({ length: 24 }, (_, i) => cut(i / 24, 1000 * 0.9 ** i));
  const chosen = chosenOf(many, 0.5);
  assert.is(chosen.filter(({ work }) => work <= 0.5).length, 8);
  assert.is(chosen.length, 12);
  assert.ok(chosen.includes(many[12]!) && chosen.includes(many[23]!));
});

test("a study of few samples says how coarse its figures are", () => {
  const said = (count: number, metric: "top-1" | "error") =>
    fewSamples({ uses: usesOf(count), bench: { metric } } as unknown as Study);
  assert.is(said(60, "top-1"), "only 24 samples are reported on: one of them is 4.2 points; give 200 or more");
  assert.is(said(60, "error"), "only 24 samples are reported on; give 200 or more");
  assert.is(said(200, "top-1"), undefined);
});

test("a picture codec is compared at the agreement; where no sample differs, at the lower end of the interval", () => {
  const points = [
    { bytes: 1000, agreement: 0.5 },
    { bytes: 4000, agreement: 0.9 },
    { bytes: 16000, agreement: 0.95 },
    { bytes: 90000, agreement: 1 },
  ];
  const study = { pictures: points.map((point) => ({ format: "WebP", ...point })) } as unknown as Study;
  const compared = (agreement: number, interval: [number, number]) => {
    const { bytes, isLeast } = comparedWith(study, "WebP", { agreement, interval } as unknown as Row);
    return [bytes && Math.round(bytes), isLeast];
  };
  assert.equal(compared(0.9, [0.8, 0.95]), [4000, false]);
  assert.equal(compared(0.925, [0.8, 0.95]), [8000, false]);
  assert.equal(compared(1, [0.95, 1]), [16000, true]);
  assert.is(comparedWith(study, "JPEG", { agreement: 1, interval: [0.95, 1] } as unknown as Row).bytes, null);
});

test("axes hold their values, however small or large, and their last text ends at the edge", () => {
  for (const values of [
    [3, 9],
    [120, 130],
    [18, 61607],
    [1000, 1000],
    [250, 4e7],
  ]) {
    const { ticks, show } = bytesAxis(values);
    assert.ok(ticks.length > 1 && ticks[0]! <= Math.min(...values) && ticks.at(-1)! >= Math.max(...values), `${ticks}`);
    const texts = ticks.map(show).filter((text) => text !== "");
    assert.ok(texts.length > 0 && texts.length <= 8 && texts.every((text) => text.length <= 4), `${texts}`);
  }
  const marks = [{ x: 1, y: 0.5, title: "<a>" }];
  const drawn = chart(
    "title",
    [{ name: "one", css: "latent", isLine: false, marks }],
    bytesAxis([1, 9]),
    shareAxis("share", 0),
    "best",
  );
  assert.match(drawn, /text-anchor="end">10</);
  assert.ok(drawn.includes("&#60;a&#62;") && !drawn.includes("ring"));
});

test.run();

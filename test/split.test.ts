// latentwire split: where a graph can be cut, what its nodes cost, and halves that compute together what the whole computes.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Runtime } from "../tables/packages.js";
import { fixedTensors, measureShapes, type Opened, openModel, zeros } from "../tables/split/network.js";
import { loadProtobuf } from "../tables/split/onnx-file.js";
import { costsOf } from "../tables/split/work.js";
import { random } from "./cases.js";
import { mutate } from "./mutate.js";
import { type Model, onnxModel } from "./onnx-model.js";
import { root } from "./pack.js";

const runtime = ort as unknown as Runtime;
const protobuf = await loadProtobuf();
const folder = mkdtempSync(join(tmpdir(), "latentwire-split-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const open = (bytes: Uint8Array, path = join(folder, "model.onnx")): Opened => openModel(protobuf, path, bytes);
const cutsOf = (opened: Opened) => opened.graph.cuts().map(({ tensors }) => tensors.join(" "));

const rng = random(5);
const noise = (...dims: number[]) => ({
  dims,
  data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.unit() - 0.5),
});
const node = (op: string, inputs: string[], output: string, attributes: Record<string, number | number[]> = {}) => ({
  op,
  inputs,
  output,
  attributes,
});
const float = (...dims: (number | string)[]) => ({ type: "float32" as const, dims });
const conv = (input: string, output: string) =>
  node("Conv", [input, "w"], output, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });

/** A residual block between two single tensors. */
const residual: Model = {
  nodes: [
    conv("x", "a"),
    node("Relu", ["a"], "b"),
    conv("b", "c"),
    node("Relu", ["c"], "d"),
    node("Add", ["b", "d"], "e"),
    conv("e", "y"),
  ],
  inputs: { x: float("n", 4, 8, 8) },
  outputs: { y: float("n", 4, 8, 8) },
  weights: { w: noise(4, 4, 3, 3) },
};

/** What a model makes of inputs, without any change that the runtime makes to a graph. */
async function run(model: Uint8Array, feeds: Record<string, ort.Tensor>) {
  const session = await ort.InferenceSession.create(model, { graphOptimizationLevel: "disabled" });
  return session.run(Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!])));
}

/** Head and tail give what the whole gives, bit for bit, at every cut of a model. */
async function checkHalves(bytes: Uint8Array, feeds: Record<string, ort.Tensor>, wanted?: readonly string[]) {
  const opened = open(bytes);
  const whole = await run(bytes, feeds);
  const cuts = opened.graph.cuts().filter(({ tensors }) => wanted?.includes(tensors.join(" ")) ?? true);
  for (const cut of cuts) {
    const outputs = opened.graph.model.outputs.map(({ name }) => name);
    const constants = await fixedTensors(runtime, opened, feeds as never, cut);
    const exposed = await run(
      opened.writer.head(cut.tensors, { outputs: cut.tensors.map((name) => ({ name })) }),
      feeds,
    );
    const types = new Map(
      cut.tensors.map((name) => [name, { float32: 1, uint8: 2, int64: 7 }[exposed[name]!.type as "uint8"]]),
    );
    const { head, tail } = opened.writer.plain(cut, types, constants);
    const sent = await run(head, feeds);
    const found = await run(tail, { ...feeds, ...sent });
    for (const name of outputs) assert.equal(found[name]!.data, whole[name]!.data, `${cut.tensors} -> ${name}`);
  }
  return cuts.length;
}

const image = (...dims: number[]) => new ort.Tensor("float32", Float32Array.from(noise(...dims).data), dims);

test("single tensors that cut a graph, and sets where none does", () => {
  assert.equal(cutsOf(open(onnxModel(residual))), ["a", "b", "b c", "b d", "e"]);
});

test("a tensor that nothing behind the others reads does not cross with them", () => {
  const { graph } = open(onnxModel(residual));
  assert.equal(graph.cutAt(["b", "b"], "model").tensors, ["b"]);
  assert.equal(graph.cutAt(["b", "d"], "model").tensors, ["b", "d"]);
  assert.throws(() => graph.cutAt(["a", "e"], "model"), /model: nothing behind e reads a\. Say --at e$/);
  assert.throws(() => graph.cutAt(["d", "b", "a"], "model"), /nothing behind d,b reads a/);
});

test("multiply-adds and parameters, for the shapes of a run", async () => {
  const opened = open(onnxModel(residual));
  const shapes = await measureShapes(runtime, opened, zeros(runtime, opened.graph.model.inputs, new Map()));
  assert.equal(shapes.get("e"), [1, 4, 8, 8]);
  const costs = costsOf(opened.graph, opened.reader, shapes);
  assert.is(costs.multiplyAdds, 3 * 4 * 64 * 4 * 9);
  assert.is(costs.parameters, 4 * 4 * 9);
  const shares = opened.graph.cuts().map((cut) => costs.share(cut));
  assert.equal(
    shares.map(({ work }) => Math.round(3 * work!)),
    [1, 1, 2, 2, 2],
  );
  // The three convolutions share their weights, and the first one has them.
  assert.equal(
    shares.map(({ parameters }) => parameters),
    [1, 1, 1, 1, 1],
  );
});

test("halves of a residual network are the whole, bit for bit", async () => {
  assert.is(await checkHalves(onnxModel(residual), { x: image(2, 4, 8, 8) }), 5);
});

test("halves of MobileNetV2 are the whole, bit for bit", async () => {
  const bytes = readFileSync(join(root, "bench/backbone/backbone.onnx"));
  const pixels = Float32Array.from({ length: 3 * 224 * 224 }, () => rng(256));
  const wanted = ["v6", "v71", "v118", "v188", "v203", "v47 v56"];
  const feeds = { image: new ort.Tensor("float32", pixels, [1, 3, 224, 224]) };
  const names = cutsOf(open(bytes));
  assert.ok(
    wanted.slice(0, 5).every((name) => names.includes(name)),
    names.join(", "),
  );
  assert.ok((await checkHalves(bytes, feeds, wanted)) >= 5);
});

test("shapes that the tail needs of the head become constants", async () => {
  const bytes = onnxModel({
    nodes: [
      node("Shape", ["x"], "s"),
      conv("x", "a"),
      node("Relu", ["a"], "b"),
      node("MaxPool", ["b"], "c", { kernel_shape: [2, 2], strides: [2, 2] }),
      node("Resize", ["c", "", "", "s"], "d"),
      conv("d", "y"),
    ],
    inputs: { x: float("n", 4, "h", "w") },
    outputs: { y: float("n", 4, "h", "w") },
    weights: { w: noise(4, 4, 3, 3) },
  });
  assert.equal(cutsOf(open(bytes)), ["a", "b", "c", "d"]);
  assert.is(await checkHalves(bytes, { x: image(1, 4, 6, 10) }), 4);
});

test("what a subgraph reads from outside crosses the cut", async () => {
  const branch = (op: string) => ({
    nodes: [node(op, ["b"], `${op} out`)],
    outputs: { [`${op} out`]: float("n", 4, 8, 8) },
  });
  const bytes = onnxModel({
    nodes: [
      conv("x", "a"),
      node("Relu", ["a"], "b"),
      node("ReduceMax", ["a"], "top", { keepdims: 0 }),
      node("Cast", ["top"], "yes", { to: 9 }),
      { op: "If", inputs: ["yes"], output: "y", graphs: { then_branch: branch("Neg"), else_branch: branch("Abs") } },
    ],
    inputs: { x: float("n", 4, 8, 8) },
    outputs: { y: float("n", 4, 8, 8) },
    weights: { w: noise(4, 4, 3, 3) },
  });
  const opened = open(bytes);
  assert.equal(cutsOf(opened), ["a", "a b", "b top", "b yes"]);
  assert.is(await checkHalves(bytes, { x: image(1, 4, 8, 8) }, ["a", "a b", "b top"]), 3);
  assert.throws(
    () => opened.graph.cutAt(["b"], "model"),
    /b does not cut model in two: yes would have to cross as well/,
  );
});

test("quantized graphs: with DequantizeLinear around weights, and of integers throughout", async () => {
  const scalar = (value: number, type: "float32" | "uint8" = "float32") => ({ dims: [], data: [value], type });
  const bytes = onnxModel({
    nodes: [
      node("QuantizeLinear", ["x", "s", "z"], "q"),
      node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], "r", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node("MaxPool", ["r"], "p", { kernel_shape: [2, 2] }),
      node("DequantizeLinear", ["p", "s", "z"], "y"),
    ],
    inputs: { x: float("n", 4, 8, 8) },
    outputs: { y: float("n", 4, 7, 7) },
    weights: {
      s: scalar(1 / 16),
      z: scalar(128, "uint8"),
      w: { dims: [4, 4, 3, 3], data: Array.from({ length: 144 }, () => 100 + rng(56)), type: "uint8" },
    },
  });
  assert.equal(cutsOf(open(bytes)), ["q", "r", "p"]);
  assert.is(await checkHalves(bytes, { x: image(1, 4, 8, 8) }), 3);
});

test("several inputs and outputs: tensors of the same place go together", async () => {
  const bytes = onnxModel({
    nodes: [
      conv("x", "a"),
      node("Add", ["a", "extra"], "b"),
      node("Relu", ["b"], "c"),
      node("Neg", ["c"], "y"),
      node("Abs", ["c"], "z"),
    ],
    inputs: { x: float("n", 4, 8, 8), extra: float("n", 4, 8, 8) },
    outputs: { y: float("n", 4, 8, 8), z: float("n", 4, 8, 8) },
    weights: { w: noise(4, 4, 3, 3) },
  });
  assert.equal(cutsOf(open(bytes)), ["extra a", "b", "c", "c y"]);
  assert.is(await checkHalves(bytes, { x: image(1, 4, 8, 8), extra: image(1, 4, 8, 8) }), 4);
});

const withExternal = (external: Record<string, string>) =>
  onnxModel({ ...residual, weights: { w: { dims: [4, 4, 3, 3], data: [], external } } });

test("external data lie in the model's folder, and nowhere else", async () => {
  const inside = join(folder, "inside");
  mkdirSync(join(inside, "more"), { recursive: true });
  const path = join(inside, "model.onnx");
  const weights = noise(4, 4, 3, 3).data;
  const data = new Uint8Array(Float32Array.of(7, ...weights).buffer);
  for (const name of ["w.bin", "more/w.bin"]) writeFileSync(join(inside, name), data);
  writeFileSync(join(folder, "outside.bin"), data);
  symlinkSync(join(folder, "outside.bin"), join(inside, "link.bin"));
  const head = (external: Record<string, string>) =>
    open(withExternal(external), path).writer.head(["e"], { outputs: [{ name: "e" }] });
  const whole = onnxModel({ ...residual, weights: { w: { dims: [4, 4, 3, 3], data: weights } } });
  const expected = await run(open(whole).writer.head(["e"], { outputs: [{ name: "e" }] }), { x: image(1, 4, 8, 8) });
  for (const location of ["w.bin", "more/w.bin"]) {
    const feeds = { x: image(1, 4, 8, 8) };
    const found = await run(head({ location, offset: "4", length: "576" }), feeds);
    const same = await run(open(whole).writer.head(["e"], { outputs: [{ name: "e" }] }), feeds);
    assert.equal(found.e!.data, same.e!.data);
  }
  assert.is(expected.e!.data.length, 256);
  const refused = (external: Record<string, string>, message: RegExp) =>
    assert.throws(
      () => head(external),
      (error: Error & { code: string }) => error.code === "INVALID_FILE" && message.test(error.message),
    );
  refused({ location: "../outside.bin" }, /outside of the model's folder/);
  refused({ location: join(folder, "outside.bin") }, /outside of the model's folder/);
  refused({ location: "" }, /outside of the model's folder/);
  refused({ location: "link.bin" }, /a link that leads out/);
  refused({ location: "missing.bin" }, /which is not there/);
  refused({ location: "w.bin", offset: "9", length: "576" }, /end at byte 585 of w.bin, which has 580/);
  refused({ location: "w.bin", offset: "-4" }, /offset -4/);
  refused({ location: "w.bin", length: "1e999" }, /length 1e999/);
});

const refusal = (code: string, message: RegExp) => (error: Error & { code: string }) =>
  error.code === code && message.test(error.message);

test("files that contradict themselves are refused by name", () => {
  const broken = (change: Partial<Model>) => () => open(onnxModel({ ...residual, ...change }));
  assert.throws(() => open(new Uint8Array(0)), refusal("INVALID_FILE", /no graph/));
  assert.throws(() => open(readFileSync(join(root, "package.json"))), refusal("INVALID_FILE", /no ONNX file/));
  assert.throws(() => open(onnxModel(residual).subarray(0, 300)), refusal("INVALID_FILE", /cut off/));
  assert.throws(broken({ opset: 6 }), refusal("UNSUPPORTED_FILE", /opset 6, read are 7 and later/));
  assert.throws(
    broken({ nodes: residual.nodes.slice(1) }),
    refusal("INVALID_FILE", /reads a, which nothing before it makes/),
  );
  assert.throws(
    broken({ nodes: [...residual.nodes].reverse() }),
    refusal("INVALID_FILE", /reads e, which nothing before/),
  );
  assert.throws(
    broken({ nodes: [...residual.nodes, conv("x", "a")] }),
    refusal("INVALID_FILE", /two nodes make the tensor a/),
  );
  assert.throws(
    broken({ outputs: { nothing: float(1) } }),
    refusal("INVALID_FILE", /nothing makes the output nothing/),
  );
  assert.throws(broken({ outputs: {} }), refusal("INVALID_FILE", /no outputs/));
  assert.throws(
    broken({ weights: { w: { dims: [2 ** 53], data: [] } } }),
    refusal("INVALID_FILE", /the tensor w has the dimensions/),
  );
  let graph = { nodes: [conv("x", "y")], outputs: { y: float(1) } };
  for (let i = 0; i < 40; i++)
    graph = {
      nodes: [{ op: "If", inputs: ["x"], output: "y", graphs: { then_branch: graph } } as never],
      outputs: graph.outputs,
    };
  assert.throws(
    broken({ nodes: graph.nodes, outputs: graph.outputs }),
    refusal("UNSUPPORTED_FILE", /nested more than 16/),
  );
});

test("any bytes give a graph or a typed error", () => {
  const damage = random(11);
  const models = [onnxModel(residual), withExternal({ location: "w.bin" })];
  const codes = new Map<string, number>();
  for (let i = 0; i < 4000; i++) {
    const bytes = mutate(models[i % 2]!, damage, models[(i + 1) % 2]!);
    try {
      const opened = open(bytes);
      for (const cut of opened.graph.cuts())
        opened.writer.nodesBetween(
          cut.tensors,
          opened.graph.model.outputs.map(({ name }) => name),
        );
      codes.set("read", (codes.get("read") ?? 0) + 1);
    } catch (error) {
      const { code } = error as { code?: string };
      assert.ok(
        code === "INVALID_FILE" || code === "UNSUPPORTED_FILE" || code === "LIMIT_EXCEEDED",
        String((error as Error).stack),
      );
      codes.set(code!, (codes.get(code!) ?? 0) + 1);
    }
  }
  assert.ok((codes.get("read") ?? 0) > 100 && (codes.get("INVALID_FILE") ?? 0) > 100, JSON.stringify([...codes]));
});

test.run();

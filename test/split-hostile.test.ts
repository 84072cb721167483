// latentwire split: models that ask for too much, lie about themselves, or are far longer than any network.
import { writeFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { table } from "../tables/cli-files.js";
import type { Runtime } from "../tables/packages.js";
import { storeTensors } from "../tables/split/candidates.js";
import { statisticsOf, TensorStore } from "../tables/split/latents.js";
import {
  checkInputs,
  measureShapes,
  type Opened,
  openModel,
  openSession,
  statedShapes,
  tensorOf,
  zeros,
} from "../tables/split/network.js";
import { rangeBy } from "../tables/split/normalize.js";
import { loadProtobuf } from "../tables/split/onnx-file.js";
import { costsOf } from "../tables/split/work.js";
import { isFull } from "./builds.js";
import { runIn, scratchFolder } from "./command.js";
import { type Model, type Node, onnxModel } from "./onnx-model.js";

const runtime = ort as unknown as Runtime;
const protobuf = await loadProtobuf();
const { folder, at } = scratchFolder("hostile");

const open = (bytes: Uint8Array): Opened => openModel(protobuf, at("model.onnx"), bytes);
const refusal = (code: string, message: RegExp) => (error: Error & { code: string }) =>
  error.code === code && message.test(error.message);
const float = (...dims: (number | string)[]) => ({ type: "float32" as const, dims });
const relu = (input: string, output: string): Node => ({ op: "Relu", inputs: [input], output });

/** x -> a -> y, with what is changed. */
const small = (change: Partial<Model> = {}): Uint8Array =>
  onnxModel({
    nodes: [relu("x", "a"), relu("a", "y")],
    inputs: { x: float(1, 4) },
    outputs: { y: float(1, 4) },
    ...change,
  });

/** A runtime that makes nothing. */
const idle = {
  Tensor: class {
    constructor() {
      throw new Error("a tensor was made");
    }
  },
} as unknown as Runtime;

test("inputs together have a limit, which is checked before the first one is made", () => {
  const refused = (inputs: Model["inputs"], message: RegExp) => {
    const nodes = Object.keys(inputs).map((name): Node => relu(name, `${name} out`));
    const outputs = Object.fromEntries(nodes.map(({ output }) => [output, float(1)]));
    const { graph } = open(onnxModel({ nodes, inputs, outputs }));
    assert.throws(() => zeros(idle, graph.inputs, new Map()), refusal("LIMIT_EXCEEDED", message));
  };
  refused({ x: { type: "int64", dims: [1, 2 ** 27] } }, /the input x, int64 \[1,134217728\],.*--dims NAME=/);
  refused({ x: float(1, 2 ** 26), extra: float(1) }, /the input extra/);
  refused({ x: float(2 ** 30, 2 ** 30, 2 ** 30) }, /the inputs take/);
  const { graph } = open(small({ inputs: { x: { type: "int64", dims: [1, 1024] } } }));
  const { x } = zeros(runtime, graph.inputs, new Map());
  assert.ok(x!.data instanceof BigInt64Array && x!.data.length === 1024);
  assert.throws(() => checkInputs([[graph.inputs[0]!, [Number.NaN]]], ""), refusal("LIMIT_EXCEEDED", /./));
});

test("images have the same limit: the command names --size before it reads one", async () => {
  writeFileSync(at("big.onnx"), small({ inputs: { x: float(1, 3, "h", "w") } }));
  await sharp({ create: { width: 4, height: 4, channels: 3, background: "red" } }).toFile(at("one.png"));
  const { status, error } = runIn(folder, ["split", "big.onnx", "--images", "one.png", "--size", "16000x16000"]);
  assert.is(status, 1);
  assert.match(error, /LIMIT_EXCEEDED with the input x, float32 \[1,3,16000,16000\].*--size/);
});

test("an input that no output depends on is not fed, whatever its size", async () => {
  const opened = open(small({ inputs: { x: float(1, 4), mask: { type: "int64", dims: ["n", "m", 2 ** 40] } } }));
  const feeds = zeros(runtime, opened.graph.inputs, new Map());
  assert.equal(Object.keys(feeds), ["x"]);
  assert.equal((await measureShapes(runtime, opened, feeds)).get("a"), [1, 4]);
});

test("numbers that an input's type does not have are no sample of it", () => {
  const made = (type: string, ...data: number[]) => tensorOf(runtime, type, data, [data.length], "x").data;
  assert.equal(made("int64", -1, 2 ** 40), BigInt64Array.of(-1n, 2n ** 40n));
  assert.equal(made("uint8", 0, 255), Uint8Array.of(0, 255));
  const none: [string, number][] = [
    ["int64", 1.5],
    ["uint64", -1],
    ["int64", 2 ** 63],
    ["int32", Number.NaN],
    ["uint8", 256],
    ["int8", 0.5],
  ];
  for (const [type, value] of none)
    assert.throws(
      () => made(type, value),
      refusal("MODEL", new RegExp(`x is ${type}, which cannot hold the ${value}`)),
    );
});

test("tensors of samples have a limit, and take no room once the process has ended", async () => {
  const numbers = [0, 1, 2];
  const shapes = new Map([["a", [1, 2 ** 31]]]);
  await storeTensors({} as never, {} as never, numbers, ["a"], shapes, folder, () => {}).then(
    () => assert.unreachable(),
    (error) => assert.ok(refusal("LIMIT_EXCEEDED", /24\.0 GiB.*--limit.*--size.*--at/)(error), String(error)),
  );
  // A dimension that is too long for a table is not that of the channels: counts for each of them would take 37 GB.
  const store = new TensorStore(folder, "a");
  store.add({ type: "float32", dims: [1, 70_000], data: new Float32Array(70_000).map((_, i) => i % 7) });
  assert.is(statisticsOf(store, [0]).channels, 1);
  store.close();
});

/** Repeats its body for ever, if it is run. */
const loop: Node = {
  op: "Loop",
  inputs: ["count", "", "x"],
  output: "a",
  graphs: {
    body: {
      nodes: [
        { op: "Identity", inputs: ["go"], output: "on" },
        { op: "Relu", inputs: ["state"], output: "next" },
      ],
      inputs: { i: { type: "int64", dims: [] }, go: { type: "bool", dims: [] }, state: float(1, 4) },
      outputs: { on: { type: "bool", dims: [] }, next: float(1, 4) },
    },
  },
};

test("cuts are listed without running the model, where the file states all shapes", async () => {
  const opened = open(
    onnxModel({
      nodes: [
        { op: "Flatten", inputs: ["x"], output: "a" },
        { op: "MatMul", inputs: ["a", "w"], output: "y" },
      ],
      inputs: { x: float("n", 2, 2) },
      outputs: { y: float("n", 3) },
      values: { a: float("n", 4) },
      weights: { w: { dims: [4, 3], data: Array.from({ length: 12 }, (_, i) => i) } },
    }),
  );
  const stated = statedShapes(opened, new Map());
  const measured = await measureShapes(runtime, opened, zeros(runtime, opened.graph.inputs, new Map()));
  assert.equal([...stated!].sort(), [...measured].sort());
  assert.equal(statedShapes(opened, new Map([["x", [5, 2, 2]]]))?.get("a"), [5, 4]);
  // Other shapes than the file's, and files that leave something out.
  assert.is(statedShapes(opened, new Map([["x", [1, 4, 4]]])), undefined);
  assert.is(statedShapes(open(small()), new Map()), undefined);
  assert.is(statedShapes(open(small({ values: { a: float("m", 4) } })), new Map()), undefined);
  assert.is(statedShapes(open(small({ values: { a: float(2 ** 40, 2 ** 40) } })), new Map()), undefined);

  const weights = { count: { dims: [], data: [2 ** 62], type: "int64" as const } };
  writeFileSync(at("loop.onnx"), small({ nodes: [loop, relu("a", "y")], values: { a: float(1, 4) }, weights }));
  const { status, text } = runIn(folder, ["split", "loop.onnx"]);
  assert.is(status, 0);
  assert.match(text, /^a +1x4 /m);
});

test("graphs of any length are read without recursion, and written", () => {
  const long = 20_000;
  const chain = Array.from({ length: long }, (_, i): Node => {
    return { op: "Identity", inputs: [i === 0 ? "w" : `c${i - 1}`], output: `c${i}` };
  });
  const add: Node = { op: "Add", inputs: ["x", `c${long - 1}`], output: "y" };
  const constant = open(small({ nodes: [...chain, add], weights: { w: { dims: [4], data: [1, 2, 3, 4] } } }));
  assert.is(costsOf(constant.graph, constant.reader, new Map()).parameters, 4);
  // In the full tier: more nodes, and more inputs of a node, than a call may have arguments.
  const many = Array.from({ length: isFull ? 130_000 : 1_000 }, (_, i) => relu("x", `r${i}`));
  const sum: Node = { op: "Sum", inputs: many.map(({ output }) => output), output: "y" };
  const { graph, writer } = open(small({ nodes: [...many, sum] }));
  assert.is(graph.cutAt(["x"], "model").position, -1);
  assert.ok(writer.part([], ["y"], graph.model).length > 10 * many.length);
  // As many rows of the list, and elements of a mean image.
  const rows = Array.from({ length: 150_000 }, (_, i) => [`${i}`]);
  assert.is(table(rows).length, rows.length);
  assert.is(rangeBy("Sub", [rows.map(() => 120)]), "0..255");
});

test("a file's budget bounds what reading it takes", () => {
  const nothing = Buffer.alloc(2 * 190_000, Uint8Array.of(10, 0));
  const { reader } = open(small());
  const file = Buffer.concat([reader.field(7, [nothing]), reader.field(8, [reader.integer(2, 17)])]);
  assert.throws(() => open(file), refusal("LIMIT_EXCEEDED", /more work or memory than a file of this size/));
  assert.throws(() => open(Buffer.concat([small(), small()])), refusal("INVALID_FILE", /it has two graphs/));
});

test("a tensor has as many elements as its shape says", () => {
  const refused = (w: NonNullable<Model["weights"]>[string], message: RegExp, code = "INVALID_FILE") =>
    assert.throws(() => open(small({ weights: { w } })), refusal(code, message));
  refused({ dims: [4], data: [1] }, /the tensor w has 4 bytes of data, its shape \[4\] needs 16/);
  refused({ dims: [4], data: [1, 2, 3], isList: true }, /has 3 numbers or texts of data, its shape \[4\] needs 4/);
  refused({ dims: [2 ** 32 + 4], data: [1, 2, 3, 4] }, /16 bytes of data, its shape \[4294967300\] needs 17179869200/);
  refused({ dims: [2 ** 30, 2 ** 30], data: [] }, /the tensor w has the dimensions/);
  writeFileSync(at("w.bin"), new Uint8Array(16));
  const external = (length?: string) => ({ location: "w.bin", ...(length && { length }) });
  refused({ dims: [2 ** 32 + 4], data: [], external: external("16") }, /its shape \[4294967300\] needs 17179869200/);
  refused({ dims: [2], data: [], external: external("16") }, /16 bytes of data, its shape \[2\] needs 8/);
  const nodes: Node[] = [{ op: "Add", inputs: ["x", "w"], output: "y" }];
  const headOf = (dims: number[]) => {
    const weights = { w: { dims, data: [], external: external() } };
    return open(small({ nodes, weights })).writer.head(["y"], { outputs: [{ name: "y" }] });
  };
  assert.throws(() => headOf([8]), refusal("INVALID_FILE", /end at byte 32 of w.bin, which has 16/));
  assert.throws(() => headOf([2 ** 32 + 4]), refusal("LIMIT_EXCEEDED", /17179869\d+ bytes, more than 2 GiB/));
  // Without a length the shape says how much is read.
  assert.equal(open(headOf([2])).graph.model.initializers.get("w")?.dims, [2]);
  assert.equal([...open(small()).reader.integer(1, 2 ** 32 + 4)], [8, 132, 128, 128, 128, 16]);
});

test("data of a subgraph that lie in another file are refused: its records are copied as they are", () => {
  const external = { location: "w.bin" };
  const branch = {
    nodes: [{ op: "Add", inputs: ["x", "w"], output: "sum" }],
    outputs: { sum: float(1, 4) },
    weights: { w: { dims: [4], data: [], external } },
  };
  const nodes: Node[] = [
    { op: "If", inputs: ["yes"], output: "y", graphs: { then_branch: branch, else_branch: branch } },
  ];
  assert.throws(() => open(small({ nodes })), refusal("UNSUPPORTED_FILE", /the tensor w .*lies in another file/));
});

test("names that objects have anyway are names like others", async () => {
  const nodes = [relu("__proto__", "constructor"), relu("constructor", "toString")];
  const bytes = onnxModel({
    nodes,
    inputs: Object.fromEntries([["__proto__", float(1, 4)]]),
    outputs: Object.fromEntries([["toString", float(1, 4)]]),
  });
  const opened = open(bytes);
  const feeds = zeros(runtime, opened.graph.inputs, new Map());
  assert.equal((await measureShapes(runtime, opened, feeds)).get("constructor"), [1, 4]);
  const session = await openSession(runtime, bytes, "model");
  const outputs = new Map(Object.entries(await session.run(feeds)));
  assert.equal(outputs.get("toString")?.dims, [1, 4]);
});

test.run();

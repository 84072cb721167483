// `latentwire hello`: what it says is true, the commands that it prints work, its sample is what it claims to be.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadPrepared } from "../bench/images.js";
import { MemorySource } from "../tables/byte-source.js";
import { readNpy } from "../tables/npy.js";
import { integers } from "../tables/stored-tensor.js";
import { runIn, scratchFolder } from "./command.js";
import { root } from "./pack.js";

const { folder } = scratchFolder("hello");

function latentwire(...args: string[]): string {
  const { status, text, error } = runIn(folder, args);
  assert.is(status, 0, error);
  return text;
}

const symbols = (path: string) => integers(readNpy(new MemorySource(readFileSync(path))), path);

test("hello --json reports an exact round trip, and the context prior's packet is the smaller one", () => {
  const report = JSON.parse(latentwire("hello", "--json"));
  assert.equal(report.dims, [1, 14, 28, 28]);
  assert.is(report.exact, true);
  assert.is(report.float32Bytes, 4 * report.int8Bytes);
  assert.ok(report.contextBytes < 0.9 * report.staticBytes, JSON.stringify(report));
  assert.ok(report.staticBytes < report.int8Bytes / 10, JSON.stringify(report));
});

test("hello -o writes the sample, and the commands that it prints take it", () => {
  const text = latentwire("hello", "-o", "hello");
  const commands = Array.from(text.matchAll(/^ {2}npx latentwire (\w+ (?:latent|hello).*)$/gm), ([, args]) => args!);
  assert.is(commands.length, 3, text);
  for (const args of commands) latentwire(...args.split(" "));
  const [packet, made] = ["hello/packet.lw", "latent.lw"].map((name) => readFileSync(join(folder, name)));
  assert.ok(packet!.equals(made!));
  assert.equal(symbols(join(folder, "decoded.npy")), symbols(join(folder, "hello/latent.npy")));
  assert.match(text, new RegExp(`packet: .*context prior\\) +${packet!.length} `));
});

test("what hello says to read is in the package", () => {
  const [, docs, list] = /What to read, in (.+)\n\n([\s\S]+)$/.exec(latentwire("hello"))!;
  const files = list!.match(/[\w/-]+\.md/g)!;
  assert.ok(files.length >= 5, list);
  for (const file of files) assert.ok(existsSync(join(folder, docs!, file)) || existsSync(join(docs!, file)), file);
});

test("the sample is the latent of bench/photos/chelsea.png at the point low, its model that point's fast one", async () => {
  const point = join(root, "bench/model/points/low");
  const session = await ort.InferenceSession.create(join(point, "encoder.onnx"));
  const { planes } = await loadPrepared(join(root, "bench/photos/chelsea.png"));
  const { latent } = await session.run({ image: new ort.Tensor("float32", planes, [1, 3, 224, 224]) });
  const sample = symbols(join(root, "tables/hello/latent.npy"));
  // Another processor may round a value that lies between two symbols the other way: at most 2 of 10,976.
  const far = sample.filter((symbol, i) => Math.abs(symbol - (latent!.data[i] as number)) > 0.501);
  assert.is(sample.length, latent!.data.length);
  assert.ok(far.length <= 2, `${far.length} symbols differ`);
  const model = readFileSync(join(root, "tables/hello/model.lwb"));
  assert.ok(model.equals(readFileSync(join(point, "context-fast.lwb"))), "copy context-fast.lwb to tables/hello");
});

test.run();

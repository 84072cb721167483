// loadModel at one end, load_model of the Python package at the other: packets and strings of every family, both ways, by the folders of exported.ts.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type TensorLike } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { type LoadedModel, loadModel } from "latentwire/model";
import * as runtime from "onnxruntime-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { random } from "./cases.js";
import { randomNetwork } from "./context-cases.js";
import { EXPORTED, gainsOf, writeExported } from "./exported.js";
import { tensorBy } from "./family-cases.js";
import { wheelFor } from "./python-wheel.js";
import { contextToBytes } from "./reference.js";

const codec = await create();
const image = tensorBy([1, 3, 32, 64], (i) => 128 + 100 * Math.sin(i / 7) + 27 * Math.cos(i / 191));
/** The runtimes of the two ends may be of different versions. */
const guard = 1e-5;

interface Flat {
  dims: readonly number[];
  data: string;
}
const base64 = (data: ArrayBufferView) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
const flat = ({ dims, data }: TensorLike): Flat => ({ dims, data: base64(data as Float32Array) });

/** Two runtimes compute means that differ by rounding; a wrong symbol is a step of the quantizer, 0.2 and more, away. */
function close(actual: TensorLike, expected: Flat, what: string): void {
  assert.equal(actual.dims, expected.dims, what);
  const found = actual.data as Float32Array;
  const wanted = new Float32Array(new Uint8Array(Buffer.from(expected.data, "base64")).buffer);
  for (const [i, value] of wanted.entries()) assert.ok(Math.abs(found[i]! - value) < 0.01, `${what}: ${i}`);
}

const wheel = wheelFor("python-model", "onnxruntime");
if (wheel !== undefined) {
  const { folder, pytest, tests } = wheel;
  test.after(() => rmSync(folder, { recursive: true, force: true }));

  /** The models of the folder, `with-context` among them: mean-scale with a context over its scales. */
  async function models(): Promise<{ name: string; model: LoadedModel; level: { level?: number } }[]> {
    writeExported(folder, codec);
    const base = join(folder, "mean-scale");
    const bundle = readBundle(readFileSync(join(base, "model.lwb")));
    const context = contextToBytes(randomNetwork(random(8), { channels: 20, H: 32, given: 64, ends: [-9, 9] }));
    const [z, y] = ["entropy_bottleneck", "gaussian_conditional"] as const;
    const entries = [
      { name: z, kind: "factorized", table: bundle.table(codec, z) },
      { name: y, kind: "gaussian", table: bundle.table(codec, y), context },
    ] as const;
    writeFileSync(join(base, "with-context.lwb"), writeBundle(entries, bundle.meta));
    const found = [];
    for (const name of [...EXPORTED, "with-context"]) {
      const at = join(folder, name === "with-context" ? "mean-scale" : name);
      const lwb = name === "with-context" ? "with-context.lwb" : "model.lwb";
      const read = async (file: string) => new Uint8Array(readFileSync(join(at, file === "model.lwb" ? lwb : file)));
      const model = name === "gain" ? gainsOf(readBundle(readFileSync(join(at, lwb)))) : undefined;
      const part = name === "parts" ? "motion" : undefined;
      const level = ["gain", "variable-rate"].includes(name) ? { level: 1 } : {};
      found.push({ name, model: await loadModel(at, { codec, runtime, read, model, part }), level });
    }
    return found;
  }

  test("what one end encodes the other decodes, with a guard, and the strings are the same", async () => {
    assert.is(wheel.status, 0, wheel.stderr);
    const all = await models();
    const cases = [];
    for (const { name, model, level } of all) {
      const { packet, latent } = await model.encode(image, { guard, ...level });
      const strings = await model.encode(image, { format: "strings", ...level });
      const picture = flat(await model.decode(packet));
      cases.push({
        ...{ name, level, picture, family: model.name, packet: base64(packet), latent: flat(latent) },
        ...{ strings: strings.packet.map(base64), shape: strings.shape },
      });
    }
    writeFileSync(join(folder, "models.json"), JSON.stringify({ image: flat(image), guard, cases }));
    assert.ok(pytest(tests("test_cross_model.py")) > 0);
    const written: { packet: string; latent: Flat; picture: Flat }[] = JSON.parse(
      readFileSync(join(folder, "written.json"), "utf8"),
    );
    assert.is(written.length, all.length);
    for (const [i, { name, model }] of all.entries()) {
      const { packet, latent, picture } = written[i]!;
      const bytes = new Uint8Array(Buffer.from(packet, "base64"));
      close(await model.family.decode(codec, model.model, bytes), latent, `${name}, latent`);
      close(await model.decode(bytes), picture, `${name}, picture`);
    }
  });
}

test.run();

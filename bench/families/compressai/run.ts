// CompressAI's classes between torch and onnxruntime: guarded packets both ways, and CompressAI's strings with given rows. It downloads nothing.
//
//   PYTHON=.../bin/python TCM=.../LIC_TCM CCA=.../CCA node --import tsx bench/families/compressai/run.ts [--only "NAME;NAME"] [--images 6] [--side 256] [--json FILE]
//
// PYTHON has compressai, torch, onnx, onnxruntime, numpy and wasmtime. TCM and CCA name folders of the public repositories; without them
// their lines are left out.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Codec, create, type TensorLike } from "latentwire";
import { type LoadedModel, loadModel } from "latentwire/model";
import * as ort from "onnxruntime-node";
import { dataset } from "./photos.js";
import { outcome, type Row, table } from "./table.js";
import { TorchEnd } from "./torch-end.js";

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    images: { type: "string", default: "6" },
    side: { type: "string", default: "256" },
    json: { type: "string" },
  },
});
const python = process.env.PYTHON ?? "python3";
const images = Number(options.images);
const side = Number(options.side);

/** Tried from narrow to wide until every packet is right both ways. */
const GUARDS = [1e-5, 1e-4, 1e-3];

/** One class: every image from onnxruntime to torch and back, without and with a guard; CompressAI's strings with torch's rows. */
async function trial(name: string, folder: string, torch: TorchEnd, codec: Codec): Promise<Row> {
  const { family, level, gains } = torch.about;
  const given =
    gains === null
      ? undefined
      : {
          gains: gains.gains,
          inverseGains: gains.inverse_gains,
          zGains: gains.z_gains,
          inverseZGains: gains.inverse_z_gains,
        };
  const part = name.startsWith("ScaleSpaceFlow") ? "img" : undefined;
  const meta = (await loadModel(folder, { codec, runtime: torch.runtime({}), part, model: given })).bundle.meta;
  const own = await loadModel(folder, {
    codec,
    runtime: ort,
    sessionOptions: { intraOpNumThreads: 1 },
    part,
    model: given,
  });
  // The same loops with torch's networks: torch's rows, in CompressAI's strings.
  const theirs = await loadModel(folder, { codec, runtime: torch.runtime(meta), part, model: given });
  const extra = level === null ? {} : { level };
  const row: Row = { name, sizes: torch.about.sizes, family, images, leftOut: Object.keys(torch.about.leftOut) };
  Object.assign(row, { strings: 0, stringsUnguarded: 0, guard: undefined, symbols: 0 });

  const latents: TensorLike[] = [];
  for (let k = 0; k < images; k++) latents.push(await ownLatent(own, folder, k));
  row.symbols = (latents[0]!.data as Float32Array).length;
  for (const guard of [undefined, ...(family === "factorized" ? [] : GUARDS)]) {
    const right = { there: 0, back: 0, bytes: 0, failures: [] as string[] };
    for (let k = 0; k < images; k++) {
      const limits = guard === undefined ? {} : { guard: { relative: guard, absolute: guard } };
      const sent = await own.family.encode(codec, own.model, latents[k]!, { ...limits, ...extra });
      const there = outcome(sent.latent, await torch.decode(sent.packet));
      const answer = await torch.encode(latents[k]!, guard);
      const back = outcome(answer.latent, await settle(own.family.decode(codec, own.model, answer.packet)));
      right.bytes += sent.packet.length;
      right.there += there === "right" ? 1 : 0;
      right.back += back === "right" ? 1 : 0;
      right.failures.push(...[there, back].filter((one) => one !== "right"));
    }
    if (guard === undefined) {
      row.unguarded = right;
      if (family === "factorized") row.guarded = right;
    } else {
      row.guard = guard;
      row.guarded = right;
      if (right.there === images && right.back === images) break;
    }
  }

  for (let k = 0; k < images; k++) {
    const { strings, shape } = await torch.compress(k);
    const y = await torch.latent(k);
    const made = await theirs.family.encode(codec, theirs.model, y, { format: "strings", ...extra });
    const equal = made.packet.length === strings.length && made.packet.every((one, i) => same(one, strings[i]!));
    const read = await settle(theirs.family.decode(codec, theirs.model, strings, { shape, ...extra }));
    if (equal && outcome(made.latent, read) === "right" && exact(made.latent, read)) row.strings!++;
    const bare = await settle(own.family.decode(codec, own.model, strings, { shape, ...extra }));
    if (outcome(made.latent, bare) === "right") row.stringsUnguarded!++;
  }
  return row;
}

async function ownLatent(own: LoadedModel, folder: string, k: number): Promise<TensorLike> {
  const data = new Float32Array(new Uint8Array(readFileSync(join(folder, `image${k}.f32`))).buffer);
  const session = own.g_a!;
  const results = await session.run({ [session.inputNames[0]!]: new ort.Tensor("float32", data, [1, 3, side, side]) }, [
    "y",
  ]);
  const { type, dims, data: y } = results.y!;
  return { type, dims: [...dims], data: Float32Array.from(y as Float32Array) };
}

const settle = <T>(promise: Promise<T>): Promise<T | Error> => promise.catch((error: Error) => error);
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
function exact(a: TensorLike, b: TensorLike | Error): boolean {
  return !(b instanceof Error) && same(bytesOf(a), bytesOf(b));
}
function bytesOf({ data }: TensorLike): Uint8Array {
  const { buffer, byteOffset, byteLength } = data as Float32Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

const codec = await create();
const torch = TorchEnd.start(python);
const wanted = options.only?.split(";") ?? (await torch.names());
const rows: Row[] = [];
for (const name of wanted) {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-compressai-"));
  const begun = performance.now();
  try {
    for (const [k, data] of (await dataset(images, side)).entries()) writeFileSync(join(folder, `image${k}.f32`), data);
    await torch.load(name, folder, side);
    rows.push(await trial(name, folder, torch, codec));
    console.log(`${table([rows.at(-1)!]).split("\n")[2]} ${Math.round((performance.now() - begun) / 1000)} s`);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 1)}\n`);
  } catch (error) {
    console.log(`${name}: ${error instanceof Error ? error.message.slice(0, 500) : error}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
torch.close();
console.log(`\n${table(rows)}`);

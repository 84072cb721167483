// What browsers check beside the cases: the other entries of the package. A split model with onnxruntime-web, a pool of Workers, bundles.
import { type Codec, create } from "latentwire";
import { type BundleSource, loadBundle } from "latentwire/bundle";
import { createPool } from "latentwire/pool";
import { stockBundle } from "latentwire/tables/stock";
import { type Runtime, splitOutcomes } from "../split-model.js";
import { fnv, latent, testTable } from "./cases.js";

/** Names of a bundle's tables and of the stock one, each with the fingerprint of what the codec makes of it. */
export async function bundleOutcomes(codec: Codec, source: BundleSource | Promise<BundleSource>): Promise<string[]> {
  const bundles = [await loadBundle(source), await stockBundle("gaussian64")];
  return bundles.flatMap((bundle) =>
    bundle.entries.map(({ name }) => `${name} ${bundle.table(codec, name).fingerprint}`),
  );
}

/** The names of the things that a pool of Workers did not do as it should. */
async function poolFaults(codec: Codec): Promise<string[]> {
  const tensor = latent([1, 48, 14, 14], 1);
  const packet = codec.encode(tensor, codec.factorized(testTable(48)));
  const values = fnv(codec.decode(packet, codec.factorized(testTable(48))).data);
  const started: Worker[] = [];
  const worker = () => {
    started.push(new Worker("/pool-worker.js", { type: "module" }));
    return started.at(-1)!;
  };
  // One finds its worker by itself, one is given it.
  const [own, given] = [await createPool({ size: 2 }), await createPool({ size: 1, worker })];
  const prior = own.factorized(testTable(48));
  const packets = await Promise.all(Array.from({ length: 20 }, () => own.encode(tensor, prior)));
  const restored = await given.decode(packets[0]!, prior);
  const code = await given.decode(packet.subarray(1), prior).catch((error) => error.code);
  const controller = new AbortController();
  const aborting = given.encode(tensor, prior, { signal: controller.signal }).catch((error) => error.name);
  controller.abort();
  const aborted = await aborting;
  const losing = given.encode(latent([1, 48, 200, 200], 1), prior).catch((error) => error.code);
  // Two turns, until the task is with the worker.
  await Promise.resolve();
  await Promise.resolve();
  started[0]!.dispatchEvent(new ErrorEvent("error", { message: "uncaught", cancelable: true }));
  const checks = {
    packets: packets.every((bytes) => fnv(bytes) === fnv(packet)),
    values: fnv(restored.data) === values,
    "code of an error": code === "NOT_A_PACKET",
    abort: aborted === "AbortError",
    "a lost worker": (await losing) === "WORKER_LOST",
    "the worker after it": fnv(await given.encode(tensor, prior)) === fnv(packet) && started.length === 2,
  };
  await Promise.all([own.close(), given.close()]);
  return Object.entries(checks).flatMap(([name, ok]) => (ok ? [] : [name]));
}

/** What the page answers. `split` and `bundles` must be what Node computes. */
export async function extras() {
  const codec = await create();
  // A path that no bundler resolves: the runtime is served as it is published.
  const ort = (await import(["", "ort", "ort.wasm.min.mjs"].join("/"))) as Runtime;
  return {
    pool: await poolFaults(codec),
    split: await splitOutcomes(ort),
    bundles: await bundleOutcomes(codec, "/python-bundle.lwb"),
  };
}

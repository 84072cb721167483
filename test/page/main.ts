import { create } from "latentwire";
import { createPool } from "latentwire/pool";
import * as ort from "onnxruntime-web";
import { bundleOutcomes } from "./bundles.js";
import { latent, type Outcome, outcomes, testTable } from "./cases.js";
import { partsOutcomes } from "./parts-cases.js";
import { splitOutcomes } from "./split.js";

/** What a pool of web workers does with an item, damage, an abort and a worker's end. */
export interface PoolResults {
  /** Packets that are not those of a codec. */
  wrong: number;
  code: unknown;
  aborted: string;
  lost: unknown;
  afterwards: boolean;
}

export interface PageResults {
  simd: boolean;
  default: Outcome[];
  scalar: Outcome[];
  worker: Outcome[];
  parts: Outcome[];
  partsScalar: Outcome[];
  pool: PoolResults;
  split: Record<string, number[]>;
  bundles: string[];
}

function inWorker(): Promise<Outcome[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`worker: ${message}`));
  });
}

async function inPool(): Promise<PoolResults> {
  const codec = await create();
  const tensor = latent([1, 48, 14, 14], 1);
  const expected = codec.encode(tensor, codec.factorized(testTable(48))).join();
  let broken = false;
  const url = new URL("/node_modules/latentwire/dist/bindings/pool-worker.js", location.href);
  const started: Worker[] = [];
  const worker = () => {
    started.push(new Worker(url, { type: "module" }));
    return started[started.length - 1];
  };
  // One that the pool starts, and one of the page's.
  const [own, pool] = [await createPool({ size: 2 }), await createPool({ size: 1, worker })];
  const prior = own.factorized(testTable(48));
  const packets = await Promise.all(Array.from({ length: 20 }, () => own.encode(tensor, prior)));
  const restored = await own.decode(packets[0], prior);
  broken = restored.data.join() !== codec.decode(packets[0], codec.factorized(testTable(48))).data.join();
  await own.close();
  const code = await pool.decode(packets[0].subarray(1), prior).catch((error) => error.code);
  const controller = new AbortController();
  const aborting = pool.encode(tensor, prior, { signal: controller.signal }).catch((error) => error.name);
  controller.abort();
  const aborted = await aborting;
  const losing = pool.encode(latent([1, 48, 200, 200], 1), prior).catch((error) => error.code);
  await Promise.resolve();
  await Promise.resolve();
  started[0].dispatchEvent(new ErrorEvent("error", { message: "uncaught", cancelable: true }));
  const lost = await losing;
  const afterwards = (await pool.encode(tensor, prior)).join() === expected && started.length === 2;
  await pool.close();
  const wrong = packets.filter((packet) => packet.join() !== expected).length + (broken ? 1 : 0);
  return { wrong, code, aborted, lost, afterwards };
}

async function run(): Promise<PageResults> {
  const codec = await create();
  const scalar = await create({ build: "scalar" });
  return {
    simd: codec.simd,
    default: outcomes(codec),
    scalar: outcomes(scalar),
    worker: await inWorker(),
    parts: partsOutcomes(codec),
    partsScalar: partsOutcomes(scalar),
    pool: await inPool(),
    split: await splitOutcomes(ort),
    bundles: await bundleOutcomes(codec, "/vectors/python-bundle.lwb"),
  };
}

// The drivers read this: a promise, so that a failure reaches them with its message.
Object.assign(globalThis, { results: run() });

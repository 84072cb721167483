import { create } from "latentwire";
import * as ort from "onnxruntime-web";
import { type Outcome, outcomes } from "./cases.js";
import { splitOutcomes } from "./split.js";

export interface PageResults {
  simd: boolean;
  default: Outcome[];
  scalar: Outcome[];
  worker: Outcome[];
  split: Record<string, number[]>;
}

function inWorker(): Promise<Outcome[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`worker: ${message}`));
  });
}

async function run(): Promise<PageResults> {
  const codec = await create();
  return {
    simd: codec.simd,
    default: outcomes(codec),
    scalar: outcomes(await create({ simd: false })),
    worker: await inWorker(),
    split: await splitOutcomes(ort),
  };
}

// The drivers read this: a promise, so that a failure reaches them with its message.
Object.assign(globalThis, { results: run() });

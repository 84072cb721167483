/** A thread of a context fit: context-trainer.ts starts it. */
import { parentPort, workerData } from "node:worker_threads";
import { type FitModule, type Share, startModule, type ThreadData } from "./context-module.js";

const { module, memory, thread, layout } = workerData as ThreadData;
const wasm: FitModule = startModule(module, memory);
wasm.configure(...layout);
parentPort!.on("message", (share: Share) => {
  wasm.work(thread, ...share);
  parentPort!.postMessage(thread);
});

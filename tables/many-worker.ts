/** A thread that codes many files: many.ts starts it. */
import { parentPort, workerData } from "node:worker_threads";
import { type Batch, makeTask, runBatch, type TaskData } from "./many-task.js";

const port = parentPort!;
// The first messages may come before the codec is there: they wait in the port.
const task = await makeTask(workerData as TaskData);
port.on("message", (batch: Batch) => {
  const piece = runBatch(task, batch);
  port.postMessage(piece, [piece.bytes.buffer as ArrayBuffer, piece.sizes.buffer as ArrayBuffer]);
});

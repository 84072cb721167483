import { Worker } from "node:worker_threads";
import type { SessionLike } from "latentwire/onnx";

/** onnxruntime-web in a worker, with so many threads of its own. */
export function webRuntime(threads: number): {
  open(model: Uint8Array): Promise<SessionLike>;
  close(): Promise<unknown>;
} {
  const worker = new Worker(new URL("./web-session.mjs", import.meta.url), { workerData: { threads }, execArgv: [] });
  const waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
  let last = 0;
  const failAll = (error: unknown) => {
    for (const settle of waiting.values()) settle({ error: String(error) });
  };
  worker.on("message", ({ id, ...answer }) => {
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  worker.on("error", failAll);
  const ask = <T>(question: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ value, error }) => (error === undefined ? resolve(value as T) : reject(new Error(error))));
      worker.postMessage({ id, ...question });
    });
  return {
    async open(model) {
      type Made = { session: number; inputNames: string[]; outputNames: string[] };
      const { session, inputNames, outputNames } = await ask<Made>({ model });
      return { inputNames, outputNames, run: (feeds, fetches) => ask({ session, feeds, fetches }) };
    },
    close: () => worker.terminate(),
  };
}

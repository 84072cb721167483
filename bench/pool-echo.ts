// What Node itself does with memory under messages of a pool's sizes: two bare workers, no codec. The control of `npm run bench:pool -- --minutes N`.
import { Worker } from "node:worker_threads";
import type { Stretch } from "./pool-soak.js";

const PROGRAM = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", ({ id, back }) => {
    const answer = new Uint8Array(back);
    parentPort.postMessage({ id, answer }, [answer.buffer]);
  });`;

/** Bytes there and back: latents and packets of W1 and W2, encoded and decoded. */
const SIZES = [
  [1_179_648, 52_000],
  [52_000, 1_179_648],
  [150_528, 3000],
  [3000, 150_528],
];

export interface Echo {
  readonly stretch: Stretch;
  close(): Promise<unknown>;
}

export function echo(): Echo {
  const waiting = new Map<number, () => void>();
  const workers = [0, 1].map(() => {
    const worker = new Worker(PROGRAM, { eval: true });
    worker.on("message", ({ id }: { id: number }) => {
      waiting.get(id)?.();
      waiting.delete(id);
    });
    return worker;
  });
  let id = 0;
  const send = (worker: Worker, data: Uint8Array, back: number) =>
    new Promise<void>((resolve) => {
      waiting.set(id, resolve);
      worker.postMessage({ id: id++, data, back });
    });
  const stretch: Stretch = async (turn, ms) => {
    const [there, back] = SIZES[turn % SIZES.length];
    const data = new Uint8Array(there);
    const until = performance.now() + ms;
    let items = 0;
    const lane = async (worker: Worker) => {
      for (; performance.now() < until; items++) await send(worker, data, back);
    };
    await Promise.all(workers.flatMap((worker) => [lane(worker), lane(worker)]));
    return items;
  };
  return { stretch, close: () => Promise.all(workers.map((worker) => worker.terminate())) };
}

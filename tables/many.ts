/** Many files under one command: batches for threads, results in the order of the inputs, progress, Control-C. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { CodecError } from "latentwire";
import { type Values, whole } from "./cli-arguments.js";
import { progress, remark } from "./cli-files.js";
import { type Batch, FAILED, type Item, makeTask, type Piece, runBatch, SKIPPED, type TaskData } from "./many-task.js";

/** Options that commands with many inputs share. */
export const manyOptions = { jobs: { type: "string" }, resume: { type: "boolean" } } as const;

export const jobsOf = (values: Values): number => whole(values, "jobs", 1, 256) ?? availableParallelism();

/** What became of all inputs. */
export interface Totals {
  written: number;
  skipped: number;
  failed: number;
  bytes: number;
  /** The signal that stopped the run. */
  signal?: "SIGINT" | "SIGTERM";
}

/** Batches that a thread has or waits for. With one alone it would wait for the next message. */
const DEPTH = 3;
/** Most inputs of a batch, and the bytes of results for which it is smaller. */
const MOST_ITEMS = 128;
const BATCH_BYTES = 2 ** 20;
/** What a thread allocates lives for one batch. With more room it would only be collected later. */
const YOUNG_MB = 4;
/** If none of the first inputs can be coded, the options are wrong rather than all files. */
const FIRST = 100;

/**
 * Codes all inputs, `count` of them. `take` gets each packet in the order of the inputs. An input that fails is named on standard
 * error, and the others go on. Control-C ends the run after the batches that are under way.
 *
 * @throws CodecError where the first hundred inputs all fail, with the error of the first; errors of `take` and of the disk.
 */
export async function runMany(
  data: TaskData,
  jobs: number,
  inputs: AsyncIterable<Item> | Iterable<Item>,
  count: number,
  take: (item: Item, packet: Uint8Array) => unknown,
): Promise<Totals> {
  const threads = jobs === 1 ? await inline(data) : await startThreads(data, jobs);
  const totals: Totals = { written: 0, skipped: 0, failed: 0, bytes: 0 };
  const draw = progress(data.command === "encode" ? "encoding" : "decoding", count);
  const began = Date.now();
  let first: string | undefined;
  const stop = (signal: "SIGINT" | "SIGTERM") => {
    totals.signal = signal;
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);

  const finish = async ({ items, piece }: Running) => {
    const { sizes, bytes, errors } = await piece;
    let at = 0;
    let error = 0;
    for (const [i, item] of items.entries()) {
      const size = sizes[i]!;
      if (size === FAILED) {
        totals.failed++;
        first ??= errors[error];
        remark(errors[error++]!);
        if (totals.failed === FIRST && totals.written + totals.skipped === 0) giveUp(first!);
      } else if (size === SKIPPED) totals.skipped++;
      else {
        if (data.folder === undefined) await take(item, bytes.subarray(at, at + size));
        totals.written++;
        totals.bytes += size;
        at += size;
      }
    }
    const done = totals.written + totals.skipped + totals.failed;
    const left = Math.ceil(((Date.now() - began) / done) * ((count - done) / 1000));
    draw(done, `${done} of ${count}, ${left} s left`);
  };

  const running: Running[] = [];
  try {
    let items: Item[] = [];
    let most = 8;
    const start = () => {
      running.push({ items, piece: threads.run({ items }) });
      items = [];
    };
    for await (const item of inputs) {
      if (totals.signal) break;
      items.push(item);
      if (items.length < most) continue;
      start();
      if (running.length < DEPTH * jobs) continue;
      await finish(running.shift()!);
      most = Math.max(
        1,
        Math.min(MOST_ITEMS, 2 * most, Math.floor((BATCH_BYTES * totals.written) / (totals.bytes + 1))),
      );
    }
    if (items.length > 0 && !totals.signal) start();
    while (running.length > 0) await finish(running.shift()!);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    await threads.close();
  }
  draw(count);
  return totals;
}

interface Running {
  readonly items: readonly Item[];
  readonly piece: Promise<Piece>;
}

function giveUp(error: string): never {
  const [code, ...words] = error.split(" ");
  throw new CodecError(
    code === "USAGE" ? "INVALID_FILE" : (code as never),
    `the first ${FIRST} files all fail: the options or the tables do not fit them; the first: ${words.join(" ")}`,
  );
}

/** Threads that code batches. */
interface Threads {
  run(batch: Batch): Promise<Piece>;
  close(): Promise<unknown>;
}

async function inline(data: TaskData): Promise<Threads> {
  const task = await makeTask(data);
  return {
    async run(batch) {
      // So that a signal and the bar of progress have their turn.
      await new Promise(setImmediate);
      return runBatch(task, batch);
    },
    close: async () => {},
  };
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: { resolve(piece: Piece): void; reject(error: unknown): void }[];
  failure?: unknown;
}

/** Starts threads. What is wrong with the options is found here first, where it can be thrown as it is. */
async function startThreads(data: TaskData, jobs: number): Promise<Threads> {
  await makeTask(data);
  const threads = Array.from({ length: jobs }, (): Thread => {
    const worker = new Worker(new URL("many-worker.js", import.meta.url), {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    const thread: Thread = { worker, waiting: [] };
    const fail = (error: unknown) => {
      thread.failure = error;
      for (const { reject } of thread.waiting.splice(0)) reject(error);
    };
    worker.on("message", (piece: Piece) => thread.waiting.shift()!.resolve(piece));
    worker.on("error", fail);
    worker.on("exit", () => fail(new Error("a thread has ended")));
    return thread;
  });
  return {
    run(batch) {
      const thread = threads.reduce((best, one) => (one.waiting.length < best.waiting.length ? one : best));
      const piece = new Promise<Piece>((resolve, reject) => {
        if (thread.failure) return reject(thread.failure);
        thread.waiting.push({ resolve, reject });
        thread.worker.postMessage(batch);
      });
      // Whoever awaits it hears of a failure; until then it is not unhandled.
      piece.catch(() => {});
      return piece;
    },
    close: () => Promise.all(threads.map(({ worker }) => worker.terminate())),
  };
}

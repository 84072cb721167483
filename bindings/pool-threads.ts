/** Workers of browsers, Deno and Bun on one side, Node's on the other, behind one interface. */

/** The part of a Worker that a pool uses: that of the web or of `node:worker_threads`. */
export interface WorkerLike {
  /** Sends; the buffers in `transfer` change hands. */
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  /** Ends the worker. */
  terminate(): unknown;
}

/** One of the two kinds of events, by which the kinds of workers are told apart. */
interface NodeWorker extends WorkerLike {
  on(event: string, listener: (value: unknown) => void): void;
  ref(): void;
  unref(): void;
}

// Out of bundlers' sight: a literal "node:..." fails builds for browsers, and webpack takes a variable one for a folder to search.
const nodeModule = (name: string) => import(/* webpackIgnore: true */ /* @vite-ignore */ `node:${name}`);

/** A worker that runs pool-worker.js, from `factory` if there is one. */
export async function startWorker(factory: (() => WorkerLike | Promise<WorkerLike>) | undefined): Promise<WorkerLike> {
  if (factory !== undefined) return factory();
  // Spelled as bundlers look for it.
  if (typeof Worker === "function") return new Worker(new URL("./pool-worker.js", import.meta.url), { type: "module" });
  const { Worker: NodeWorker } = await nodeModule("worker_threads");
  // Flags of the process (--import of a compiler, --input-type) are not for this file.
  return new NodeWorker(new URL("./pool-worker.js", import.meta.url), { execArgv: [] });
}

/** Calls `message` for what the worker sends, and `lost` once when it has died or an error went uncaught in it. */
export function listen(worker: WorkerLike, message: (data: unknown) => void, lost: (error: unknown) => void): void {
  if ("on" in worker) {
    const node = worker as NodeWorker;
    node.on("message", message);
    node.on("error", lost);
    node.on("messageerror", lost);
    node.on("exit", (status) => lost(new Error(`the worker ended with status ${status}`)));
  } else {
    const web = worker as Worker;
    web.onmessage = ({ data }) => message(data);
    web.onmessageerror = () => lost(new Error("a message could not be read"));
    web.onerror = (event) => {
      event.preventDefault();
      lost(event.error ?? new Error(event.message ?? "the worker could not be started"));
    };
  }
}

/** Whether the worker keeps a Node process alive. */
export function hold(worker: WorkerLike, busy: boolean): void {
  if ("unref" in worker) (worker as NodeWorker)[busy ? "ref" : "unref"]();
}

/** As many as the machine runs at once. */
export async function processors(): Promise<number> {
  const { hardwareConcurrency } = globalThis.navigator ?? {};
  return hardwareConcurrency ?? (await nodeModule("os")).availableParallelism();
}

// Ends the worker, or at least its pool's trust in it: its tasks would never be answered.
const unreadable = () => {
  throw new Error("a message could not be read");
};

/** The other end of `listen`, inside a worker. */
export async function serve(
  receive: (data: unknown, reply: (message: unknown, transfer: ArrayBuffer[]) => void) => void,
) {
  const scope = globalThis as unknown as {
    onmessage: unknown;
    onmessageerror: unknown;
    postMessage?: Worker["postMessage"];
  };
  if (scope.postMessage !== undefined) {
    const reply = scope.postMessage.bind(scope) as WorkerLike["postMessage"];
    scope.onmessageerror = unreadable;
    scope.onmessage = ({ data }: MessageEvent) => receive(data, reply);
  } else {
    const { parentPort } = await nodeModule("worker_threads");
    const reply = parentPort.postMessage.bind(parentPort);
    parentPort.on("messageerror", unreadable);
    parentPort.on("message", (data: unknown) => receive(data, reply));
  }
}

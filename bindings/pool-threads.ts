/** Starts workers and listens to them: those of browsers, Deno and Bun, and those of Node. */
import { PoolError, type PoolOptions, type WorkerLike } from "./pool-types.js";

/** A worker of Node. Its events differ from those of a web worker. */
interface NodeWorker extends WorkerLike {
  on(event: string, listener: (value: unknown) => void): void;
  ref(): void;
  unref(): void;
}

interface NodeModules {
  "node:os": { availableParallelism(): number };
  "node:worker_threads": { Worker: new (program: string | URL, options: object) => NodeWorker };
}

/** A module of Node, if this is Node. Not by `import`: "node:" in one fails builds for browsers and React Native. */
function nodeModule<N extends keyof NodeModules>(name: N): NodeModules[N] | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: N): NodeModules[N] } };
  return process?.getBuiltinModule?.(name);
}

/** Number of threads that the machine runs at once. */
export const processors = (): number =>
  globalThis.navigator?.hardwareConcurrency ?? nodeModule("node:os")?.availableParallelism() ?? 1;

/** Throws `WORKER_LOST` where there are no workers, unless the caller starts them. */
export function checkThreads(option: PoolOptions["worker"]): void {
  if (typeof option === "function" || typeof Worker === "function" || nodeModule("node:worker_threads")) return;
  throw new PoolError(
    "WORKER_LOST",
    "there are no workers here, as at the edge: create() of latentwire codes without them",
  );
}

/** Starts a worker: what `option` says, or the program that the pool has as text, behind `prelude`. */
export async function startWorker(option: PoolOptions["worker"], prelude: string): Promise<WorkerLike> {
  if (typeof option === "function") return option();
  const program = option ?? prelude + (await import("./pool-source.js")).source;
  if (typeof Worker === "function") {
    // A module, because Deno has no other workers.
    return new Worker(option ?? blobOf(program as string), { type: "module" });
  }
  const threads = nodeModule("node:worker_threads")!;
  // Flags of the process (--import of a compiler, --input-type) are not for this program.
  return new threads.Worker(program, { eval: option === undefined, execArgv: [] });
}

/** At most two, kept for the life of the page: some browsers read the text after the constructor of a Worker has returned. */
const blobs = new Map<string, string>();

function blobOf(program: string): string {
  const known = blobs.get(program) ?? URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  blobs.set(program, known);
  return known;
}

/** What the message says if a worker could not be started. */
export function hint(option: PoolOptions["worker"]): string {
  if (typeof option === "function")
    return "The option `worker` started it: it must run the file latentwire/pool-worker";
  if (option !== undefined) return `The option \`worker\` says where its file is: ${option}`;
  return (
    "It was started from text, in browsers through a blob: URL. Where a Content-Security-Policy forbids that, allow `worker-src blob:`, " +
    "or pass the option `worker`, the address of the file latentwire/pool-worker"
  );
}

/** Calls `message` for what the worker sends, and `lost` when it has died or has an error that it did not catch. */
export function listen(worker: WorkerLike, message: (data: unknown) => void, lost: (error: unknown) => void): void {
  if ("on" in worker) {
    const thread = worker as NodeWorker;
    thread.on("message", message);
    thread.on("error", lost);
    thread.on("messageerror", lost);
    thread.on("exit", (status) => lost(new Error(`the worker ended with status ${status}`)));
  } else {
    const web = worker as Worker;
    web.onmessage = ({ data }) => message(data);
    web.onmessageerror = () => lost(new Error("a message could not be read"));
    web.onerror = (event) => {
      event.preventDefault();
      lost(event.error ?? new Error(event.message || "its file could not be loaded"));
    };
  }
}

/** Whether the worker keeps a Node process alive. */
export function hold(worker: WorkerLike | undefined, busy: boolean): void {
  if (worker && "unref" in worker) (worker as NodeWorker)[busy ? "ref" : "unref"]();
}

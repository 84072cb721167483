import { Bench } from "tinybench";

/** Median milliseconds of one call. */
export async function medianMs(call: () => void, timeMs: number): Promise<number> {
  const bench = new Bench({
    time: timeMs,
    // The core and V8 settle within a few dozen calls; a slow compressor need not run 64 times to give a median.
    warmupTime: timeMs / 3,
    warmupIterations: 3,
    iterations: 5,
    retainSamples: true,
  });
  bench.add("task", call);
  const [task] = await bench.run();
  if (task.result.state !== "completed") {
    throw "error" in task.result ? task.result.error : new Error(`the benchmark ${task.result.state}`);
  }
  return task.result.latency.p50;
}

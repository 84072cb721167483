import { Bench } from "tinybench";
import { median } from "./numbers.js";

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

/** Milliseconds of each call, round by round, so that a disturbance of the machine meets all of them. */
export async function inTurns(calls: readonly (() => void)[], timeMs: number, rounds: number): Promise<number[][]> {
  const ms: number[][] = calls.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [c, call] of calls.entries()) ms[c].push(await medianMs(call, timeMs));
  return ms;
}

/** Median of a / b taken within rounds. */
export function medianRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, round) => value / b[round]));
}

import { median } from "./averages.js";
import { medianMs } from "./timing.js";

/** Milliseconds of each call, round by round: what disturbs the machine for a while then meets all of them. */
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

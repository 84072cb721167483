import { readFileSync } from "node:fs";
import type { Result } from "../tasks.js";

/** How many times reference-ts an earlier build was, measured in one run: kernels.json says which, where and when. */
interface Kept {
  readonly commit: string;
  readonly timesReferenceTs: Readonly<Record<string, number>>;
}

const kept: Kept = JSON.parse(readFileSync(new URL("kernels.json", import.meta.url), "utf8"));

export const KEPT_COMMIT = kept.commit;

/** That build's ratio for a result of today; undefined where it was not measured. */
export function keptRatio({ workload, op, codec }: Result): number | undefined {
  return kept.timesReferenceTs[`${workload} ${op} ${codec}`];
}

import type { Machine } from "../machine.js";
import type { CountingRules } from "./counting-rules.js";
import type { EqualAccuracy } from "./equal-accuracy.js";
import type { Observed } from "./link/observe.js";
import type { Point } from "./points.js";

/** Everything that a report of a run says. */
export interface OffloadRun {
  readonly machine: Machine;
  readonly sharp: string;
  readonly images: number;
  readonly points: readonly Point[];
  readonly equal: EqualAccuracy | null;
  readonly backboneTop1: number | null;
  readonly rules: CountingRules;
  readonly observed: readonly Observed[];
  /** Why figures are missing. */
  readonly notes: readonly string[];
  readonly skipped: readonly string[];
}

/** Guard bands: how far scales may differ, and which tables bear that (docs/determinism.md). */
import type { Margins } from "./core-full.js";
import type { Guard } from "./full-types.js";

/** A guard as margins; undefined where there is none. Throws RangeError. */
export function marginsOf(guard: number | Guard | undefined): Margins | undefined {
  if (guard === undefined) return undefined;
  const { relative = 0, absolute = 0 } = typeof guard === "number" ? { relative: guard } : guard;
  for (const [name, value] of [
    ["relative", relative],
    ["absolute", absolute],
  ] as const)
    if (!(typeof value === "number" && value >= 0 && value < 1))
      throw new RangeError(`guard.${name} must be at least 0 and below 1, not ${value}`);
  return relative === 0 && absolute === 0 ? undefined : { relative, absolute };
}

const checked = new WeakMap<Margins, WeakSet<Float32Array>>();

/**
 * Throws RangeError where neighbouring scales lie so close together that two machines, each within the margin, could take different
 * boundaries for the nearest one.
 */
export function checkMargins(margins: Margins | undefined, scales: Float32Array): void {
  if (!margins) return;
  const known = checked.get(margins) ?? new WeakSet();
  checked.set(margins, known);
  if (known.has(scales)) return;
  for (let j = 1; j + 1 < scales.length; j++) {
    const low = scales[j - 1];
    const high = scales[j];
    // The writer's scale is within a margin of the boundary and the reader's within another of that; 1 % covers that the
    // margin is taken at the scale, not at the boundary.
    const reach = (at: number) => 2.02 * (margins.relative * at + margins.absolute);
    const above = low + reach(low);
    const below = high - reach(high);
    if (!(above * above < low * high && below > 0 && below * below > low * high))
      throw new RangeError(`the guard is too wide for scales as close as ${low} and ${high}`);
  }
}

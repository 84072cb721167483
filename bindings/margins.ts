/** Guard bands: how far scales may differ, and which tables bear that (docs/determinism.md). */
import type { Margins } from "./core-part.js";
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
  const { relative, absolute } = margins;
  for (let j = 1; j + 1 < scales.length; j++) {
    const low = scales[j - 1];
    const high = scales[j];
    // How far from a boundary the reader's scale can lie, if the writer's margin reaches it: docs/determinism.md 2.
    const above = low + (2 * (relative * low + absolute)) / (1 - relative);
    const below = high - (2 * (relative * high + absolute)) / (1 + relative);
    if (!(above * above < low * high && below > 0 && below * below > low * high))
      throw new RangeError(`the guard is too wide for scales as close as ${low} and ${high}`);
  }
  known.add(scales);
}

/** A rate and what it buys. */
export interface RatePoint {
  readonly bytes: number;
  readonly top1: number;
}

/** Sorted by bytes, and only what is better than all smaller ones. */
function rise(points: readonly RatePoint[]): RatePoint[] {
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes);
  let best = Number.NEGATIVE_INFINITY;
  return sorted.filter((point) => {
    if (point.top1 <= best) return false;
    best = point.top1;
    return true;
  });
}

/** The end of the curve that a top-1 lies beyond, where `bytesAt` has nothing to say; null where it has. */
export function beyond(points: readonly RatePoint[], top1: number): { end: RatePoint; below: boolean } | null {
  const rising = rise(points);
  if (rising.length === 0 || bytesAt(points, top1) !== null) return null;
  const below = top1 < rising[0].top1;
  return { end: below ? rising[0] : rising[rising.length - 1], below };
}

/** Bytes at which a codec reaches a top-1: log bytes interpolated linearly over top-1, a larger file counting as no worse; null beyond its ends. */
export function bytesAt(points: readonly RatePoint[], top1: number): number | null {
  const rising = rise(points);
  const after = rising.findIndex((point) => point.top1 >= top1);
  if (after < 0 || rising.length === 0) return null;
  const right = rising[after];
  if (right.top1 === top1) return right.bytes;
  if (after === 0) return null;
  const left = rising[after - 1];
  const share = (top1 - left.top1) / (right.top1 - left.top1);
  return Math.exp(Math.log(left.bytes) * (1 - share) + Math.log(right.bytes) * share);
}

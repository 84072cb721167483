/** A rate and what it buys. */
export interface RatePoint {
  readonly bytes: number;
  readonly top1: number;
}

/** Bytes at which a codec reaches a top-1: log bytes interpolated linearly over top-1, a larger file counting as no worse; null beyond its ends. */
export function bytesAt(points: readonly RatePoint[], top1: number): number | null {
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes);
  let best = Number.NEGATIVE_INFINITY;
  const rising = sorted.filter((point) => {
    if (point.top1 <= best) return false;
    best = point.top1;
    return true;
  });
  const after = rising.findIndex((point) => point.top1 >= top1);
  if (after < 0 || rising.length === 0) return null;
  const right = rising[after];
  if (right.top1 === top1) return right.bytes;
  if (after === 0) return null;
  const left = rising[after - 1];
  const share = (top1 - left.top1) / (right.top1 - left.top1);
  return Math.exp(Math.log(left.bytes) * (1 - share) + Math.log(right.bytes) * share);
}

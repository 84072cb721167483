import type { EqualAccuracy } from "./equal-accuracy.js";
import type { Point } from "./points.js";
import { nameOf, type Way } from "./way.js";

const RIVALS: readonly Way["family"][] = ["JPEG", "mozjpeg", "WebP"];

/** The model's way of the summary, and of each rival the quality that comes nearest to its top-1; nearest to its bytes where there is no top-1. */
export function rivalsAt(ways: readonly Way[], points: readonly Point[], equal: EqualAccuracy | null): Way[] {
  const own = equal === null ? 0 : ways.findIndex((way) => nameOf(way) === equal.point);
  const { top1, bytes } = points[own];
  const distance = (point: Point) =>
    top1 === null || point.top1 === null ? Math.abs(Math.log(point.bytes / bytes)) : Math.abs(point.top1 - top1);
  const nearest = RIVALS.map((family) =>
    [...points.keys()]
      .filter((p) => points[p].family === family)
      .reduce((best, p) => (distance(points[p]) < distance(points[best]) ? p : best)),
  );
  return [own, ...nearest].map((p) => ways[p]);
}

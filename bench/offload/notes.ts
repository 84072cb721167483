import { number } from "../numbers.js";
import { beyond } from "./curve.js";
import { type EqualAccuracy, RIVALS } from "./equal-accuracy.js";
import type { Point } from "./points.js";
import { nameOf } from "./way.js";

/** What a run was given that decides what can be said. */
export interface Given {
  readonly backbone?: string;
  readonly labels?: string;
}

const NO_BACKBONE = `No top-1: it needs --backbone DIR with backbone.onnx (image, n x 3 x 224 x 224, RGB 0..255 -> logits) and tail.onnx (features behind
the split -> logits), and --labels CSV for images with known classes. How the two were made for the bundled model: bench/model/README.md.`;

const NO_LABELS =
  "No top-1, only the agreement with the backbone: it needs --labels CSV with the columns file and label for images with known classes.";

const NOTHING_KNOWN =
  "Nothing is compared at equal top-1, because the backbone gives none of these images its label: are the labels the numbers of its logits, from 0?";

const percent = (share: number) => `${number(100 * share, 1)} %`;

/** Why figures are missing from a run, and how to get them. */
export function notesOf(
  { backbone, labels }: Given,
  images: number,
  points: readonly Point[],
  backboneTop1: number | null,
  equal: EqualAccuracy | null,
): string[] {
  if (backbone === undefined) return [NO_BACKBONE];
  if (labels === undefined) return [NO_LABELS];
  if (equal === null) return backboneTop1 === 0 ? [NOTHING_KNOWN] : [];
  const own = points.find((point) => nameOf(point) === equal.point)!;
  return RIVALS.flatMap((name) => {
    const { value, interval } = equal.ratios[name];
    if (value !== null && interval !== null) return [];
    if (value !== null)
      return [
        `${name}: no interval, because in more than 2 % of the bootstrap draws its qualities do not reach the model's top-1.`,
      ];
    const curve = points.flatMap((point) =>
      point.family === name && point.images === images && point.top1 !== null
        ? [{ bytes: point.bytes, top1: point.top1 }]
        : [],
    );
    const missed = beyond(curve, equal.top1);
    if (missed === null) return [];
    const { end, below } = missed;
    const has = `${number(end.bytes)} B have ${percent(end.top1)}`;
    const ratio = number(own.bytes / end.bytes, 2);
    return below
      ? [`${name}: no ratio at ${percent(equal.top1)}, its smallest ${has}; it is above ${ratio}x.`]
      : [`${name}: no ratio at ${percent(equal.top1)}, its best ${has}; it is below ${ratio}x.`];
  });
}

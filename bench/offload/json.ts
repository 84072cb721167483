import type { OffloadRun } from "./offload-run.js";

/** The object that `--json` prints. */
export function toJson({
  machine,
  sharp,
  images,
  points,
  equal,
  backboneTop1,
  rules,
  observed,
  notes,
  skipped,
}: OffloadRun) {
  const summary = {
    bytesVsWebp: equal?.ratios.WebP.value ?? null,
    bytesVsJpeg: equal?.ratios.JPEG.value ?? null,
    top1: equal?.top1 ?? null,
    backboneTop1,
    point: equal?.point ?? null,
    bytesVsWebp95: equal?.ratios.WebP.interval ?? null,
    bytesVsJpeg95: equal?.ratios.JPEG.interval ?? null,
    atShares: equal?.shares ?? [],
    ofAllSettings: equal && {
      point: equal.ofAll.point,
      top1: equal.ofAll.top1,
      bytesVsWebp: equal.ofAll.ratios.WebP.value,
      bytesVsJpeg: equal.ofAll.ratios.JPEG.value,
    },
  };
  return { summary, points, observed, rules, images, notes, skipped, machine: { ...machine, sharp } };
}

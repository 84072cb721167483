import type { Codec, TableJson } from "latentwire";

/** The cumulative mass below `x`, in units of the finer step, with each cell's mass spread evenly over it. */
function below(cdf: readonly number[], offset: number, x: number): number {
  const cells = cdf.length - 2;
  const at = Math.min(Math.max(x + 0.5 - offset, 0), cells);
  const cell = Math.min(Math.floor(at), cells - 1);
  return cdf[cell] + (at - cell) * (cdf[cell + 1] - cdf[cell]);
}

/**
 * Rows for a coarser quantization step, from those of step 1: a cell of the new step takes the mass that the old cells
 * have where it lies. No training image is needed, and none was seen.
 */
export function coarser(codec: Codec, tables: TableJson, step: number): TableJson {
  const offsets: number[] = [];
  const cdfs = tables.cdfs.map((cdf, row) => {
    const first = tables.offsets[row];
    const cells = cdf.length - 2;
    const low = Math.floor((first - 0.5) / step + 0.5);
    const high = Math.max(low, Math.ceil((first + cells - 0.5) / step - 0.5));
    const edge = (k: number) => below(cdf, first, (k - 0.5) * step);
    const pmf: number[] = [];
    // The outermost cells reach as far as the old rows did.
    for (let k = low; k <= high; k++) {
      const from = k === low ? 0 : edge(k);
      pmf.push(Math.max((k === high ? cdf[cells] : edge(k + 1)) - from, 0) / 65536);
    }
    pmf.push((65536 - cdf[cells]) / 65536);
    offsets.push(low);
    return Array.from(codec.quantizedCdf(Float32Array.from(pmf)));
  });
  const { medians } = tables;
  return { offsets, cdfs, ...(medians === undefined ? {} : { medians }) };
}

import { writeFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import type { Workload } from "./workloads.js";

const MAGIC = 0x3142574c; // "LWB1"

/**
 * The first item of a workload as a file for programs in other languages, little-endian 32-bit words:
 * magic, n, run (0: each symbol has its own row), rows R; per row: offset, length of its cdf, the cdf; n rows; n symbols.
 */
export function writeWorkload(workload: Workload, file: string): void {
  const { table, rows, run, items } = workload;
  const { offsets, cdfs } = table.toJSON();
  const words = [MAGIC, rows.length, run, offsets.length];
  offsets.forEach((offset, r) => {
    words.push(offset, cdfs[r].length, ...cdfs[r]);
  });
  const all = new Int32Array(words.length + 2 * rows.length);
  all.set(words);
  all.set(rows, words.length);
  all.set(items[0].symbols, words.length + rows.length);
  if (!isAbsolute(file)) file = resolve(file);
  writeFileSync(file, new Uint8Array(all.buffer));
}

/** Which images of a run have a label. */
import { basename } from "node:path";
import { readLabels } from "../../tables/labels.js";

export interface Labelled {
  /** Classes of the images that a run takes, undefined where there is no table. */
  readonly classes: Map<string, number | undefined>;
  readonly skipped: string[];
}

/** With a table, images that are not in it are left out before the work begins. */
export function withLabels(files: readonly string[], table: string | undefined): Labelled {
  if (table === undefined) return { classes: new Map(files.map((file) => [file, undefined])), skipped: [] };
  const labelOf = readLabels(table);
  const classes = new Map<string, number>();
  const missing: string[] = [];
  for (const file of files) {
    const label = labelOf(basename(file));
    if (label === undefined) missing.push(file);
    else classes.set(file, label);
  }
  if (missing.length > 0) {
    const some = `${missing.length} of ${files.length} images, such as ${basename(missing[0])}, are not in ${table}`;
    if (classes.size === 0) throw new Error(some);
    console.error(`left out: ${some}`);
  }
  return { classes, skipped: missing.map((file) => `${file}: not in ${table}`) };
}

import { readFileSync } from "node:fs";
import { posix } from "node:path";

/** The class of each image, by the base name of its file: a CSV file with the columns `file` and `label` among others. */
export function readLabels(file: string): Map<string, number> {
  const [head, ...lines] = readFileSync(file, "utf8").trim().split(/\r?\n/);
  const names = head.split(",");
  const [fileColumn, labelColumn] = [names.indexOf("file"), names.indexOf("label")];
  if (fileColumn < 0 || labelColumn < 0) throw new Error(`${file}: columns "file" and "label" are wanted`);
  const labels = new Map<string, number>();
  for (const [l, line] of lines.entries()) {
    const cells = line.split(",");
    const label = Number(cells[labelColumn] || Number.NaN);
    if (!Number.isInteger(label)) throw new Error(`${file}, line ${l + 2}: "${cells[labelColumn]}" is no class`);
    labels.set(posix.basename(cells[fileColumn].replaceAll("\\", "/")), label);
  }
  return labels;
}

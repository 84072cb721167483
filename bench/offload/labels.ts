/** The labels of images, from a CSV file. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** The rows of a CSV text: cells may stand in double quotes, a doubled one inside meaning one; lines that are empty do not count. */
export function parseCsv(text: string): { line: number; cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  let cells: string[] = [];
  let [line, first] = [1, 1];
  // A cell and what ends it: a comma, a line end or the end of the text.
  for (const [all, quoted, plain, end] of text.matchAll(
    /[ \t]*(?:"((?:[^"]|"")*)"[ \t]*|([^,\r\n]*))(,|\r\n|\n|\r|$)/g,
  )) {
    if (all === "" && cells.length === 0) continue;
    cells.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    line += all.split(/\r\n|\n|\r/).length - 1;
    if (end === ",") continue;
    if (cells.some((cell) => cell !== "")) rows.push({ line: first, cells });
    cells = [];
    first = line;
  }
  return rows;
}

const baseName = (path: string) => path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
const stem = (name: string) => name.replace(/\.[^.]*$/, "");

/** Classes by the base name of an image; undefined where there is none. */
export type Labels = (name: string) => number | undefined;

/**
 * The class of each image: a CSV file with the columns `file` and `label` among others, matched by base name, and by
 * the name without its ending where an image was stored in another format.
 */
export function readLabels(file: string): Labels {
  let text: string;
  try {
    text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    throw new Error(`cannot read the labels in ${file}: ${(error as Error).message}`);
  }
  const [head, ...rows] = parseCsv(text);
  const [fileColumn, labelColumn] = ["file", "label"].map((name) => head?.cells.indexOf(name) ?? -1);
  if (fileColumn < 0 || labelColumn < 0) throw new Error(`${file}: columns "file" and "label" are wanted`);
  const labels = new Map<string, Set<number>>();
  for (const { line, cells } of rows) {
    const text = cells[labelColumn] ?? "";
    const label = text === "" ? Number.NaN : Number(text);
    if (!Number.isInteger(label) || label < 0) throw new Error(`${file}, line ${line}: "${text}" is no class`);
    const name = baseName(cells[fileColumn] ?? "");
    for (const key of [name, stem(name)]) labels.set(key, (labels.get(key) ?? new Set()).add(label));
  }
  return (name) => {
    const found = labels.get(name) ?? labels.get(stem(name));
    if (found !== undefined && found.size > 1)
      throw new Error(`${file}: ${name} has ${found.size} classes, ${[...found].join(" and ")}`);
    return found?.values().next().value;
  };
}

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

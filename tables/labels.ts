/** The labels of images, from a CSV file. */
import { readFileSync } from "node:fs";
import { CodecError } from "latentwire";

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
    cells.push(quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"'));
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

/** The columns of a CSV file, each line with its number. Throws CodecError `INVALID_FILE` where one is missing. */
function readColumns(file: string, names: readonly string[]): { line: number; cells: string[] }[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    throw new CodecError("INVALID_FILE", `cannot read the labels in ${file}: ${(error as Error).message}`);
  }
  const [head, ...rows] = parseCsv(text);
  const columns = names.map((name) => head?.cells.indexOf(name) ?? -1);
  if (columns.includes(-1)) {
    const wanted = names.map((name) => `"${name}"`).join(" and ");
    throw new CodecError(
      "INVALID_FILE",
      `${file}: ${names.length > 1 ? "columns" : "a column"} ${wanted} ${names.length > 1 ? "are" : "is"} wanted`,
    );
  }
  return rows.map(({ line, cells }) => ({ line, cells: columns.map((column) => cells[column] ?? "") }));
}

function classOf(text: string, file: string, line: number): number {
  const label = text === "" ? Number.NaN : Number(text);
  if (!Number.isInteger(label) || label < 0)
    throw new CodecError("INVALID_FILE", `${file}, line ${line}: "${text}" is no class`);
  return label;
}

/** The classes of samples that have no name: the column `label` of a CSV file, a line for each sample. Throws CodecError `INVALID_FILE`. */
export const readLabelColumn = (file: string): number[] =>
  readColumns(file, ["label"]).map(({ line, cells }) => classOf(cells[0]!, file, line));

/** Classes by the base name of an image; undefined where there is none. */
export type Labels = (name: string) => number | undefined;

/**
 * The class of each image: a CSV file with the columns `file` and `label` among others, matched by base name, and by
 * the name without its ending where an image was stored in another format.
 */
export function readLabels(file: string): Labels {
  const labels = new Map<string, Set<number>>();
  for (const { line, cells } of readColumns(file, ["file", "label"])) {
    const label = classOf(cells[1]!, file, line);
    const name = baseName(cells[0]!);
    for (const key of [name, stem(name)]) labels.set(key, (labels.get(key) ?? new Set()).add(label));
  }
  return (name) => {
    const found = labels.get(name) ?? labels.get(stem(name));
    if (found !== undefined && found.size > 1)
      throw new CodecError("INVALID_FILE", `${file}: ${name} has ${found.size} classes, ${[...found].join(" and ")}`);
    return found?.values().next().value;
  };
}

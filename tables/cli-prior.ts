/** The prior that the options of the command line describe. */
import { type Codec, CodecError, type Prior, type TableJson } from "latentwire";
import { type Bundle, type BundleKind, readBundle, writeBundle } from "latentwire/bundle";
import { begins, kindOf } from "../bindings/kinds.js";
import { budgetOf } from "./byte-source.js";
import { positive, text, typed, UsageError, type Values, whole } from "./cli-arguments.js";
import { readInput, withInput } from "./cli-files.js";
import { readFloats, readRows } from "./cli-latent.js";
import { isRecord, parseJson } from "./json.js";
import { type Layout, naming } from "./layout.js";

/** Options that {@link makePrior} reads. */
export const priorOptions = {
  tables: { type: "string" },
  table: { type: "string" },
  step: { type: "string" },
  axis: { type: "string" },
  scales: { type: "string" },
  means: { type: "string" },
  rows: { type: "string" },
} as const;

/** Their part of the help. */
export const priorHelp = `  --tables FILE     bundle (.lwb), table as JSON or in binary form; default, with --scales: CompressAI's 64
  --table NAME      which table of the bundle; needed if several fit
  --axis N          dimension that selects the row of a factorized table; default 1, of one dimension 0
  --step S          quantization step; default: the bundle's, or 1
  --scales FILE     .npy: a scale per symbol, for a Gaussian table
  --rows FILE       .npy: a row per symbol
  --means FILE      .npy: a mean per symbol, with --scales or --rows`;

export const isBundle = (bytes: Uint8Array): boolean => begins(bytes, "LWB");

/** Tables from a bundle or, as a bundle of one, from a table in JSON or binary form. */
export function openTables(codec: Codec, bytes: Uint8Array, kind: BundleKind): Bundle {
  if (isBundle(bytes)) return readBundle(bytes);
  const table = codec.table(begins(bytes, "LWT") ? new Uint8Array(bytes) : tableJson(bytes));
  return readBundle(writeBundle([{ name: "table", kind, table }]));
}

function tableJson(bytes: Uint8Array): TableJson {
  const refuse = (message: string): never => {
    throw new CodecError("INVALID_TABLE", message);
  };
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const budget = budgetOf(bytes.length);
  const json = parseJson("the tables", isMarked ? bytes.subarray(3) : bytes, budget, (message) =>
    refuse(
      message === "is no JSON"
        ? `the tables are ${kindOf(bytes) ?? "no bundle, no binary table and no JSON"}`
        : `the tables' JSON ${message}`,
    ),
  );
  return isRecord(json) ? (json as unknown as TableJson) : refuse("the tables' JSON is no object");
}

/** A prior, and how dimensions of its latents are understood; undefined where no dimension selects rows. */
export interface ChosenPrior {
  readonly prior: Prior;
  readonly layout: Layout | undefined;
}

/** The prior that `--tables` and the options with it describe. */
export async function makePrior(codec: Codec, values: Values): Promise<ChosenPrior> {
  const [tables, scales, rows, means] = ["tables", "scales", "rows", "means"].map((name) => text(values, name));
  if (scales !== undefined && rows !== undefined) throw new UsageError("--scales and --rows exclude each other");
  const kind = rows !== undefined ? "indexed" : scales !== undefined ? "gaussian" : "factorized";
  if (means !== undefined && kind === "factorized") throw new UsageError("--means needs --scales or --rows");
  const step = positive(values, "step");
  const common = {
    ...(step !== undefined && { step }),
    ...(means !== undefined && { means: await withInput(means, (source) => readFloats(source, means)) }),
  };
  const perSymbol = scales && (await withInput(scales, (source) => readFloats(source, scales)));
  const chosen = text(values, "table");
  const bare = (prior: Prior): ChosenPrior => ({ prior, layout: undefined });
  if (tables === undefined) {
    if (!perSymbol) throw new UsageError("--tables is needed: a bundle, or a table as JSON");
    if (chosen !== undefined) throw new UsageError("--table needs --tables");
    return bare(typed(() => codec.gaussian(perSymbol, common)));
  }
  const bytes = await readInput(tables);
  const bundle = naming(tables, () => openTables(codec, bytes, kind));
  const name = chooseTable(bundle, kind, chosen);
  if (perSymbol) return bare(typed(() => bundle.gaussian(codec, name, perSymbol, common)));
  const entry = bundle.entry(name);
  if (rows !== undefined) {
    const numbers = await withInput(rows, (source) => readRows(source, rows));
    const wrong = numbers.find((row) => row < 0 || row >= entry.rows);
    if (wrong !== undefined)
      throw new CodecError(
        "INVALID_FILE",
        `${rows}: there is no row ${wrong}, the table has rows 0 .. ${entry.rows - 1}`,
      );
    return bare(typed(() => bundle.indexed(codec, name, numbers, common)));
  }
  const axis = whole(values, "axis", 0, 6) ?? entry.axis;
  return {
    prior: typed(() => bundle.factorized(codec, name, { ...common, ...(axis !== undefined && { axis }) })),
    layout: { axis, shape: entry.shape, channels: entry.rows },
  };
}

/** `--axis` says which dimension selects rows; with a row or a scale per symbol none does. */
export function refuseIdleAxis(values: Values): void {
  if (text(values, "axis") !== undefined && (values.scales ?? values.rows) !== undefined)
    throw new UsageError("--axis is for factorized tables: with --scales and --rows no dimension selects rows");
}

/** The table that is named, or the only one of the right kind. */
export function chooseTable(bundle: Bundle, kind: BundleKind, name: string | undefined): string {
  const names = bundle.entries.map((entry) => `${entry.name} (${entry.kind})`).join(", ");
  if (name === undefined) {
    const fitting = bundle.entries.filter((entry) => kind === "indexed" || entry.kind === kind);
    if (fitting.length === 1) return fitting[0]!.name;
    throw new UsageError(`--table is needed, ${fitting.length} of the tables are ${kind}: ${names}`);
  }
  const entry = bundle.entries.find((one) => one.name === name);
  if (entry === undefined) throw new UsageError(`--table ${name} is none of ${names}`);
  if (kind === "indexed" || entry.kind === kind) return name;
  const needs = {
    context: "a context prior",
    factorized: "neither --scales nor --rows",
    gaussian: "--scales",
    indexed: "--rows",
  }[entry.kind];
  throw new UsageError(`--table ${name} is ${entry.kind}: it takes ${needs}`);
}

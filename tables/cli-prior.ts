/** The prior that the options of the command line describe. */
import { type Codec, CodecError, type Prior, type TableJson } from "latentwire";
import { type Bundle, type BundleKind, readBundle, writeBundle } from "latentwire/bundle";
import { positive, text, UsageError, type Values, whole } from "./cli-arguments.js";
import { readInput } from "./cli-files.js";
import { readFloats, readRows } from "./cli-latent.js";

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

/** Tables from a bundle or, as a bundle of one, from a table in JSON or binary form. */
export function openTables(codec: Codec, bytes: Uint8Array, kind: BundleKind): Bundle {
  if (bytes[0] === 0x4c && bytes[1] === 0x57 && bytes[2] === 0x42) return readBundle(bytes);
  const isBinary = bytes[0] === 0x4c && bytes[1] === 0x57 && bytes[2] === 0x54;
  const table = codec.table(isBinary ? new Uint8Array(bytes) : parseJson(bytes));
  return readBundle(writeBundle([{ name: "table", kind, table }]));
}

function parseJson(bytes: Uint8Array): TableJson {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new CodecError("INVALID_TABLE", "the tables are no bundle, no binary table and no JSON");
  }
  if (json === null || typeof json !== "object") throw new CodecError("INVALID_TABLE", "the tables' JSON is no object");
  return json as TableJson;
}

/** The prior that `--tables` and the options with it describe. */
export async function makePrior(codec: Codec, values: Values): Promise<Prior> {
  const [tables, scales, rows, means] = ["tables", "scales", "rows", "means"].map((name) => text(values, name));
  if (scales !== undefined && rows !== undefined) throw new UsageError("--scales and --rows exclude each other");
  const kind = rows !== undefined ? "indexed" : scales !== undefined ? "gaussian" : "factorized";
  if (means !== undefined && kind === "factorized") throw new UsageError("--means needs --scales or --rows");
  const step = positive(values, "step");
  const common = {
    ...(step !== undefined && { step }),
    ...(means !== undefined && { means: readFloats(await readInput(means), means) }),
  };
  const perSymbol = scales === undefined ? undefined : readFloats(await readInput(scales), scales);
  if (tables === undefined) {
    if (perSymbol === undefined) throw new UsageError("--tables is needed: a bundle, or a table as JSON");
    return codec.gaussian(perSymbol, common);
  }
  const bundle = openTables(codec, await readInput(tables), kind);
  const name = chooseTable(bundle, kind, text(values, "table"));
  if (perSymbol !== undefined) return bundle.gaussian(codec, name, perSymbol, common);
  if (rows !== undefined) return bundle.indexed(codec, name, readRows(await readInput(rows), rows), common);
  const axis = whole(values, "axis", 0, 6);
  return bundle.factorized(codec, name, { ...common, ...(axis !== undefined && { axis }) });
}

/** The table that is named, or the only one of the right kind. */
function chooseTable(bundle: Bundle, kind: BundleKind, name: string | undefined): string {
  const names = bundle.entries.map((entry) => `${entry.name} (${entry.kind})`).join(", ");
  if (name === undefined) {
    const fitting = bundle.entries.filter((entry) => kind === "indexed" || entry.kind === kind);
    if (fitting.length === 1) return fitting[0]!.name;
    throw new UsageError(`--table is needed, ${fitting.length} of the tables are ${kind}: ${names}`);
  }
  const entry = bundle.entries.find((one) => one.name === name);
  if (entry === undefined) throw new UsageError(`--table ${name} is none of ${names}`);
  if (kind === "indexed" || entry.kind === kind) return name;
  const needs = { factorized: "neither --scales nor --rows", gaussian: "--scales", indexed: "--rows" }[entry.kind];
  throw new UsageError(`--table ${name} is ${entry.kind}: it takes ${needs}`);
}

/** latentwire tables show */

import { create } from "latentwire";
import type { BundleEntry } from "latentwire/bundle";
import { type Command, EXIT, flag, text, UsageError } from "./cli-arguments.js";
import { print, printJson, readInput, remark, table } from "./cli-files.js";
import { isBundle, openTables } from "./cli-prior.js";
import { naming } from "./layout.js";

/** A table that is in no bundle carries no step. */
type ShownEntry = Omit<BundleEntry, "step"> & { readonly step: number | null };

/** The lines of `tables show`: a table per line. */
export function entryLines(entries: readonly ShownEntry[]): string[] {
  const withContext = entries.some(({ context }) => context !== undefined);
  return table([
    ["name", "kind", "rows", "bytes", ...(withContext ? ["context"] : []), "step", "shape", "fingerprint"],
    ...entries.map(({ name, kind, rows, bytes, context, step, shape, fingerprint }) => [
      name,
      kind,
      String(rows),
      bytes === 0 ? "built" : String(bytes),
      ...(withContext ? [context === undefined ? "-" : `${context.bytes}, ${context.active} channels`] : []),
      String(step ?? "-"),
      shape === undefined ? "-" : `[${shape.map((d) => d ?? "?").join(", ")}]`,
      fingerprint,
    ]),
  ]);
}

export const showCommand: Command = {
  name: "tables show",
  summary: "list the tables of a bundle, or print one",
  synopsis: "BUNDLE [--table NAME] [--json]",
  help: `  BUNDLE            a bundle, a table as JSON or in binary form; - for standard input
  --table NAME      print this table as JSON, docs/format.md section 5; such a table carries no step and no axis
  --json            for machines

Every table is loaded, so a bundle without an error here works. "built" are tables that are computed from their scales.
"context" says how many bytes the parameters of a context prior take, and for how many channels they are.

  latentwire tables show model.lwb`,
  options: { table: { type: "string" }, json: { type: "boolean" } },
  positionals: [1, 1],
  async run(values, [path]) {
    const codec = await create();
    const bytes = await readInput(path!);
    const bundle = naming(path!, () => openTables(codec, bytes, "factorized"));
    const name = text(values, "table");
    if (name !== undefined && !bundle.entries.some((entry) => entry.name === name))
      throw new UsageError(`--table ${name} is none of ${bundle.entries.map((entry) => entry.name).join(", ")}`);
    for (const entry of bundle.entries) {
      if (entry.context === undefined) bundle.table(codec, entry.name);
      else if (entry.kind === "factorized") bundle.factorized(codec, entry.name);
      else if (entry.kind === "gaussian") bundle.gaussian(codec, entry.name, new Float32Array(0));
      else bundle.indexed(codec, entry.name, []);
    }
    const entries = isBundle(bytes) ? bundle.entries : bundle.entries.map((entry) => ({ ...entry, step: null }));
    if (name !== undefined) {
      await printJson(bundle.table(codec, name));
      const { step, axis } = bundle.entry(name);
      const lost = [...(step === 1 ? [] : [`--step ${step}`]), ...(axis === undefined ? [] : [`--axis ${axis}`])];
      if (lost.length > 0) remark(`a table as JSON carries no step and no axis: use it with ${lost.join(" ")}`);
    } else if (flag(values, "json")) await printJson({ meta: bundle.meta, entries });
    else await print(...entryLines(entries));
    return EXIT.ok;
  },
};

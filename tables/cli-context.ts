/** `--context` of tables fit: its options, tables that it is added to, and what is said of the result. */
import { availableParallelism } from "node:os";
import { type Codec, CodecError, type TableSource } from "latentwire";
import type { Bundle, BundleInput } from "latentwire/bundle";
import { stockScales } from "../bindings/cdfs.js";
import { choice, positive, text, UsageError, type Values, whole } from "./cli-arguments.js";
import { progress, readInput, remark, table } from "./cli-files.js";
import { chooseTable, openTables } from "./cli-prior.js";
import { findFiles, NPY, readSamples } from "./cli-samples.js";
import { CONTEXT_SIZES, type ContextFit, type ContextSize, fitContext } from "./context-fit.js";
import { type SampleSet, sampleSet } from "./fit-samples.js";
import { givenSet } from "./given-samples.js";
import { naming } from "./layout.js";

export const contextOptions = {
  context: { type: "string" },
  tables: { type: "string" },
  table: { type: "string" },
  scales: { type: "string" },
  means: { type: "string" },
  rows: { type: "string" },
  positions: { type: "string" },
  minutes: { type: "string" },
  seed: { type: "string" },
  threads: { type: "string" },
} as const;

export const contextHelp = `  --context SIZE    train a context prior as well: fast, default or small. Fewer bytes, slower coding: docs/context.md
  --tables FILE     with --context: keep the tables of this bundle, or this table, and add a context to them
  --table NAME      which of its tables; needed if several fit
  --scales PATH     with --context: what the hyper decoder gave, a scale for each element of each sample, in as many .npy
                    files of the same names or order; without --tables for CompressAI's 64 scales
  --means PATH      with --scales or --rows: likewise a mean for each element
  --rows PATH       with --context and --tables: likewise a row of the table for each element
  --positions N     train on so many positions: more take longer and, with many samples, save more
  --minutes M       train for so long instead
  --seed N          of everything random; default 1
  --threads N       default: the processor's cores. Any number gives the same bundle`;

/** Names of options that need `--context`. */
const OWN = ["tables", "table", "scales", "means", "rows", "positions", "minutes", "seed", "threads"];
/** With fewer samples the result is said to be uncertain; with still fewer, very uncertain. */
const ENOUGH = 300;
const FEW = 100;

/** What the options ask for. */
export interface ContextWish {
  readonly size: ContextSize;
  readonly positions: number | undefined;
  readonly minutes: number | undefined;
  readonly seed: number;
  readonly threads: number;
}

/** Reads the options; undefined without `--context`. */
export function contextWish(values: Values): ContextWish | undefined {
  const size = choice(values, "context", Object.keys(CONTEXT_SIZES) as ContextSize[]);
  if (size === undefined) {
    for (const name of OWN) if (values[name] !== undefined) throw new UsageError(`--${name} needs --context`);
    return undefined;
  }
  const positions = positive(values, "positions");
  const minutes = positive(values, "minutes");
  if (positions !== undefined && minutes !== undefined)
    throw new UsageError("--positions and --minutes exclude each other");
  const seed = whole(values, "seed", 0, 2 ** 31 - 1) ?? 1;
  return { size, positions, minutes, seed, threads: whole(values, "threads", 1, 256) ?? availableParallelism() };
}

/** Tables that are kept, one of which gets a context. */
export interface GivenTables {
  readonly inputs: readonly BundleInput[];
  /** The one that gets a context, and its axis. */
  readonly index: number;
  readonly axis: number | undefined;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** The tables of `--tables`, or with `--scales` alone the stock table; undefined without both. */
export async function givenTables(codec: Codec, values: Values): Promise<GivenTables | undefined> {
  const path = text(values, "tables");
  const [scales, means, rows] = ["scales", "means", "rows"].map((name) => text(values, name));
  const kind = scales !== undefined ? "gaussian" : rows !== undefined ? "indexed" : "factorized";
  if (scales !== undefined && rows !== undefined) throw new UsageError("--scales and --rows exclude each other");
  if (means !== undefined && kind === "factorized") throw new UsageError("--means needs --scales or --rows");
  if (kind !== "factorized")
    for (const name of ["encoder", "target-bytes"])
      if (values[name] !== undefined) throw new UsageError(`--${name} is for factorized tables`);
  if (path === undefined) {
    if (text(values, "table") !== undefined) throw new UsageError("--table needs --tables");
    if (kind === "indexed") throw new UsageError("--rows needs --tables");
    if (kind === "factorized") return undefined;
    const step = positive(values, "step");
    const table = codec.gaussianTable();
    const input = {
      name: text(values, "name") ?? "latent",
      kind,
      table,
      rebuild: true,
      ...(step && { step }),
    } as const;
    return { inputs: [input], index: 0, axis: undefined, meta: { made: "latentwire tables fit" } };
  }
  for (const name of ["step", "target-bytes", "name"])
    if (values[name] !== undefined) throw new UsageError(`--${name} is for new tables, not with --tables`);
  const bytes = await readInput(path);
  const bundle = naming(path, () => openTables(codec, bytes, kind));
  const name = chooseTable(bundle, kind, text(values, "table"));
  return {
    inputs: bundle.entries.map((entry) => inputOf(codec, bundle, entry.name)),
    index: bundle.entries.findIndex((entry) => entry.name === name),
    axis: bundle.entry(name).axis,
    meta: bundle.meta,
  };
}

/** Samples with the scales, means or rows that the options name. */
export async function withGiven(codec: Codec, values: Values, set: SampleSet, input: BundleInput): Promise<SampleSet> {
  const read = async (name: string) => {
    const path = text(values, name);
    if (path === undefined) return undefined;
    return sampleSet(await readSamples(findFiles([path], NPY)), values.axis === undefined ? undefined : set.axis);
  };
  const given = { scales: await read("scales"), means: await read("means"), rows: await read("rows") };
  if (!given.scales && !given.rows) return set;
  if (set.isSymbols && given.means)
    throw new UsageError("--means is for latents of float32: these are symbols already");
  const table = codec.table(input.table as TableSource);
  const scaleTable = input.kind === "gaussian" ? (input.scaleTable ?? stockScales) : undefined;
  return givenSet(codec, set, given, { table, scaleTable, step: input.step ?? 1 });
}

/** An entry as it was. */
function inputOf(codec: Codec, bundle: Bundle, name: string): BundleInput {
  const { kind, bytes, shape, axis, step, meta } = bundle.entry(name);
  const scaleTable = bundle.scaleTable(name);
  const context = bundle.parameters(name);
  return {
    name,
    kind,
    table: bundle.table(codec, name),
    ...(scaleTable && { scaleTable }),
    ...(bytes === 0 && { rebuild: true }),
    ...(context && { context }),
    ...(shape && { shape }),
    ...(axis !== undefined && { axis }),
    step,
    meta,
  };
}

/** Fits a context to samples of a table's latents. Control-C ends the training and keeps the best weights so far. */
export async function addContext(codec: Codec, set: SampleSet, input: BundleInput, wish: ContextWish) {
  const table = codec.table(input.table as TableSource);
  if (set.numbers === undefined && table.rows !== set.channels)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `the samples have ${set.channels} channels, the table has ${table.rows} rows`,
    );
  const stop = new AbortController();
  const draw = progress("training", 1000);
  const interrupted = () => {
    stop.abort();
    draw(1000); // clears the line, so that the remark has its own
    remark("stopping: the best weights so far are kept. Once more ends at once");
  };
  process.once("SIGINT", interrupted);
  const began = Date.now();
  try {
    const fit = await fitContext(codec, set, table, input.step ?? 1, {
      ...wish,
      signal: stop.signal,
      progress({ done, secondsLeft, bytes }) {
        const left = `${Math.ceil(secondsLeft)} s left`;
        draw(Math.floor(999 * done), bytes === undefined ? left : `${left}, ${bytes.toFixed(0)} bytes a sample`);
      },
    });
    return { fit, seconds: (Date.now() - began) / 1000 };
  } finally {
    draw(1000);
    process.off("SIGINT", interrupted);
  }
}

/** What a bundle and a report say of a context. */
export function contextSummary({ fit, seconds }: Awaited<ReturnType<typeof addContext>>, wish: ContextWish) {
  const { parameters, channels, ...others } = fit;
  const { seed, size } = wish;
  return { size, seed, seconds: Math.round(seconds), bytes: parameters?.length ?? 0, ...others, channels };
}

/** The report for people. */
export function contextLines(fit: ContextFit, { size }: ContextWish): string[] {
  const { parameters, active, channels, items, positions, bytesBefore, bytesAfter } = fit;
  if (parameters === undefined)
    return [`context   none: no channel of the ${items.checked} samples held back gains by it`];
  const gain = (before: number, after: number) => (before > 0 ? `${((after / before - 1) * 100).toFixed(1)} %` : "-");
  const row = (name: string, before: number, after: number) => [
    name,
    before.toFixed(1),
    after.toFixed(1),
    gain(before, after),
  ];
  return [
    `context   ${size}, ${active} of ${channels.length} channels, ${parameters.length} bytes, trained on ${items.used} samples and ${positions} positions`,
    `held back: ${items.checked} samples to choose weights and channels, ${items.reported} others to report on; ideal bytes of those, on average:`,
    ...table([
      ["  channel", "static", "context", ""],
      ...channels
        .filter(({ before, after }) => before !== after)
        .map(({ channel, before, after }) => row(`  ${channel}`, before, after)),
      row("  all", bytesBefore, bytesAfter),
    ]),
  ];
}

/** Remarks where the samples are too few to trust the report, or the training was stopped. */
export function contextRemarks({ items, isInterrupted, parameters }: ContextFit): void {
  if (isInterrupted) remark("the training was stopped early: these are the best weights until then");
  if (parameters === undefined) remark("the context gains nothing on samples held back: the rows stay static");
  const { used, checked, reported } = items;
  const count = used + checked + reported;
  const samples = (n: number) => (n === 1 ? "one sample" : `${n} samples`);
  if (count < FEW)
    remark(
      `${count} samples are far too few: the weights were chosen by ${samples(checked)}, and the report rests on ${samples(reported)}. ` +
        "Other latents may gain much less, or nothing. Take at least 300, best 1,000",
    );
  else if (count < ENOUGH)
    remark(
      `${used} samples to train on and ${reported} to report on are few: with 1,000 the context saves more, and the report is surer`,
    );
}

/** latentwire inspect */
import { type Codec, create, type PacketInfo, type Prior, type TensorLike } from "latentwire";
import type { Bundle } from "latentwire/bundle";
import { type ByteSource, MemorySource } from "./byte-source.js";
import { type Command, EXIT, flag, text, UsageError } from "./cli-arguments.js";
import { isFile, print, printJson, readInput, withInput } from "./cli-files.js";
import { inspectFile, isPacketFile } from "./cli-packets.js";
import { openTables } from "./cli-prior.js";
import { naming } from "./layout.js";

export const inspectCommand: Command = {
  name: "inspect",
  summary: "say what a packet is, without its tables",
  synopsis: "PACKET [--tables FILE] [--check] [--json]",
  help: `  PACKET            a packet, a file of many packets (.lws), or - for standard input
  --check           of a file of many packets: read all of it and say where it is damaged; no list
  --tables FILE     of a packet: also say under which of these tables each part was coded, and whether it uses their context
  --json            for machines

A part under a context prior may have static rows: the encoder takes them where they need fewer bits. "static rows" names
such parts. That another part has a context prior is not in the packet; with --tables it is known, for the steps and axes
that the bundle says. Scales, means and rows of hyperpriors are not needed for this: only the tables and the context are compared.
docs/cli.md explains every line of the output.

The exit code is 1 where the checksum does not match, or something of a file of many packets is damaged.

  latentwire inspect latent.lw
  latentwire inspect packets.lws --check
  latentwire inspect latent.lw --tables model.lwb`,
  options: { tables: { type: "string" }, check: { type: "boolean" }, json: { type: "boolean" } },
  positionals: [1, 1],
  async run(values, [path]) {
    const choice = { check: flag(values, "check"), json: flag(values, "json") };
    const inspectMany = (source: ByteSource) => {
      if (values.tables !== undefined) throw new UsageError("--tables is for a packet, not for a file of many packets");
      return inspectFile(path!, source, choice);
    };
    // A file of many packets is not read as a whole.
    if (isFile(path!)) {
      const code = await withInput(path!, (source) => (isPacketFile(source) ? inspectMany(source) : undefined));
      if (code !== undefined) return code;
    }
    const bytes = await readInput(path!);
    const source = new MemorySource(bytes);
    if (isPacketFile(source)) return inspectMany(source);
    if (choice.check)
      throw new UsageError("--check is for a file of many packets (.lws); of a packet, inspect says its checksum");
    const codec = await create();
    const info = naming(path!, () => codec.inspect(new Uint8Array(bytes)));
    const tables = text(values, "tables");
    const given = tables && (await readInput(tables));
    const priors = given && naming(tables, () => priorsOf(codec, info, openTables(codec, given, "factorized")));
    if (choice.json) await printJson(tables === undefined ? info : { ...info, priors });
    else await print(...lines(info), ...(tables === undefined ? [] : priorLines(info, priors || undefined, tables)));
    return info.checksum === "invalid" ? EXIT.data : EXIT.ok;
  },
};

function lines(info: PacketInfo): string[] {
  const { elements, lanes, escapes, fingerprint, checksum, staticParts, parts } = info;
  const perElement = elements === 0 ? "-" : ((8 * info.totalBytes) / elements).toFixed(4);
  const stream = info.stream === "compressai" ? "compressai" : `native, ${lanes} ${lanes === 1 ? "lane" : "lanes"}`;
  return [
    `version      ${info.version}`,
    `stream       ${stream}`,
    `parts        ${parts}`,
    ...(info.dims
      ? [`shape        [${info.dims.join(", ")}], ${elements} elements`]
      : [
          `symbols      ${elements}, all parts together`,
          `factorized   ${info.shapes.map((shape) => `[${shape.join(", ")}]`).join(", ") || "no parts"}`,
        ]),
    `corrections  ${info.corrections}${info.corrections > 0 ? ": listed by the guard, so that both machines take the same rows" : ""}`,
    `row checks   ${info.indexChecks ? "yes: a decoder whose networks gave other rows refuses the packet" : "no"}`,
    `escapes      ${escapes ? "yes: some symbols lie outside their rows" : "no"}`,
    ...(staticParts.length === 0
      ? []
      : [
          `static rows  ${parts === 1 ? "yes" : `part ${staticParts.join(", ")}`}: the encoder did not use the context prior`,
        ]),
    `prior        ${fingerprint ?? "not said"}`,
    `checksum     ${checksum}`,
    `bytes        ${info.totalBytes}: header ${info.headerBytes}, stream ${info.streamBytes}${checksum === "absent" ? "" : ", checksum 4"}`,
    `bits         ${perElement} per element`,
  ];
}

// ---- with tables

/** Under what a part was coded. */
interface PartPrior {
  readonly table: string;
  readonly kind: Prior["kind"];
  /** `used`; `static rows` where the part has a context prior that is not used; `none` where it has none. */
  readonly context: "used" | "static rows" | "none";
}

/** A prior of the bundle, and a latent without elements that fits it. */
interface Candidate {
  readonly table: string;
  readonly prior: Prior;
  readonly empty: TensorLike;
}

/** The priors of a bundle's tables, and of CompressAI's scales, as the bundle and the codec make them. */
function candidatesOf(codec: Codec, bundle: Bundle): Candidate[] {
  const none = new Float32Array(0);
  const empty: TensorLike = { type: "int8", dims: [0], data: new Int8Array(0) };
  const both = (table: string, make: (options: { means?: Float32Array }) => Prior, latent = empty): Candidate[] =>
    [{}, { means: none }].map((options) => ({ table, prior: make(options), empty: latent }));
  const found = bundle.entries.flatMap(({ name, kind, axis = 1, rows, context }): Candidate[] => {
    const channels = context?.channels ?? rows;
    const dims = Array.from({ length: Math.max(2, axis + 1) }, (_, d) => (d === axis ? channels : 0));
    if (kind !== "factorized")
      return (context ? [false, true] : [false]).flatMap((isUsed) => {
        const make = (options: { means?: Float32Array }) =>
          kind === "gaussian"
            ? bundle.gaussian(codec, name, none, { ...options, context: isUsed })
            : bundle.indexed(codec, name, none, { ...options, context: isUsed });
        return both(name, make, isUsed ? { ...empty, dims } : empty);
      });
    const priors = [bundle.factorized(codec, name, { context: false })];
    if (context !== undefined) priors.push(bundle.factorized(codec, name));
    return priors.map((prior) => ({ table: name, prior, empty: { ...empty, dims } }));
  });
  return [...found, ...both("CompressAI's 64 scales", (options) => codec.gaussian(none, options))];
}

/** Most lists of priors that are tried. */
const MOST_TRIES = 4096;

/**
 * Under which of a bundle's priors the parts of a packet were coded, found by the packet's fingerprint. Undefined where
 * it has none, where none fits, or where there are too many lists to try.
 */
function priorsOf(codec: Codec, info: PacketInfo, bundle: Bundle): PartPrior[] | undefined {
  const { fingerprint, parts, staticParts, stream } = info;
  const candidates = candidatesOf(codec, bundle);
  if (fingerprint === undefined || candidates.length ** parts > MOST_TRIES) return undefined;
  const fits = (list: readonly Candidate[]): readonly Candidate[] | undefined => {
    if (list.length < parts) {
      for (const next of candidates) {
        const found = fits([...list, next]);
        if (found) return found;
      }
      return undefined;
    }
    const writer = codec.writer();
    for (const { prior, empty } of list) writer.write(empty, prior);
    return codec.inspect(writer.finish()).fingerprint === fingerprint ? list : undefined;
  };
  return fits([])?.map(({ table, prior: { kind } }, part) => ({
    table,
    kind,
    context:
      kind !== "context" ? "none" : staticParts.includes(part) || stream === "compressai" ? "static rows" : "used",
  }));
}

function priorLines({ fingerprint }: PacketInfo, priors: PartPrior[] | undefined, tables: string): string[] {
  if (priors === undefined)
    return [
      `tables       ${fingerprint === undefined ? "the packet does not say its prior" : `none of ${tables} fits`}`,
    ];
  return priors.map(
    ({ table, kind, context }, part) =>
      `part ${`${part}`.padEnd(8)}${table}, ${kind}${context === "none" ? "" : `: ${context === "used" ? "used" : "not used, static rows"}`}`,
  );
}

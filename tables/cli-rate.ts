/** latentwire tables rate */
import { basename } from "node:path";
import { type Affine, type Codec, create, type Prior, type Rate } from "latentwire";
import { Pieces } from "../bindings/tensor.js";
import { type Command, EXIT, flag, text, typed, UsageError, whole } from "./cli-arguments.js";
import { print, printJson, progress, remark, table, withInput } from "./cli-files.js";
import { affineOf, readLatent } from "./cli-latent.js";
import { makePrior, priorHelp, priorOptions } from "./cli-prior.js";
import { findFiles, NPY } from "./cli-samples.js";
import { arrange, elementsOf, naming, type ReadLatent } from "./layout.js";

export const rateCommand: Command = {
  name: "tables rate",
  summary: "what latents cost under a table, without encoding them",
  synopsis: "TABLES LATENTS... [--channels] [--json]",
  help: `  TABLES            as --tables of encode
  LATENTS           .npy files, folders or patterns; - for standard input
  --channels        bits and escapes of every channel
${priorHelp.slice(priorHelp.indexOf("\n") + 1)}
  --zero-point Z    as of encode
  --json            for machines

Warns if tables do not fit the data: many escapes, or channels whose symbols cost far more than they need to.

  latentwire tables rate model.lwb latents/`,
  options: {
    ...priorOptions,
    "zero-point": { type: "string" },
    channels: { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: [2, Number.POSITIVE_INFINITY],
  async run(values, [tables, ...paths]) {
    if (text(values, "tables") !== undefined) throw new UsageError("the tables are the first argument, not --tables");
    const codec = await create();
    const files = findFiles(paths, NPY);
    const { prior, layout = { axis: whole(values, "axis", 0, 6) } } = await makePrior(codec, {
      ...values,
      tables: tables!,
    });
    const affine = affineOf(values, prior);
    const done = progress("reading", files.length);
    const rates: FileRate[] = [];
    for (const file of files) {
      const rate = await withInput(file, (source) => {
        const latent = readLatent(source, undefined, file);
        const { dims, axis } = arrange(latent.dims, layout, file);
        // A row or a scale per symbol belongs to one place of the whole.
        const isSliced = axis > 0 && (prior.kind === "factorized" || prior.kind === "context");
        const rated = () =>
          isSliced
            ? ratedInSlices(codec, { ...latent, dims }, prior, { axis, affine })
            : codec.rate(new Pieces(latent.type, dims, latent.read), prior, { axis, affine });
        return naming(file, () => typed(rated));
      });
      rates.push({ file, ...rate });
      done(rates.length);
    }
    const total = sum(rates);
    if (flag(values, "json"))
      await printJson({
        fingerprint: prior.table.fingerprint,
        total,
        latents: rates.map(({ channels, ...rate }) =>
          flag(values, "channels") ? { ...rate, channels: asLists(channels) } : rate,
        ),
      });
    else {
      await print(...overview(rates, total));
      if (flag(values, "channels")) await print("", ...channelLines(rates));
    }
    for (const { file, warning } of rates) if (warning !== undefined) remark(`${file}: ${warning}`);
    return EXIT.ok;
  },
};

type FileRate = Rate & { readonly file: string };

/** Elements that are rated at once, if a sample has no more: the codec holds the symbols of what it rates. */
const SLICE = 2 ** 20;

/** Rates a latent in slices of its first dimension, which is not that of the channels. Their first warning is its own. */
function ratedInSlices(
  codec: Codec,
  { type, dims, read }: ReadLatent,
  prior: Prior,
  options: { axis: number; affine: Affine | undefined },
): Rate {
  const { axis } = options;
  const [count = 0, ...rest] = dims;
  const size = elementsOf(rest);
  const most = Math.max(1, Math.floor(SLICE / Math.max(1, size)));
  if (most >= count) return codec.rate(new Pieces(type, dims, read), prior, options);
  const channels = { bits: new Float64Array(dims[axis]!), escapes: new Uint32Array(dims[axis]!) };
  const slices: Rate[] = [];
  const warnings: string[] = [];
  for (let first = 0; first < count; first += most) {
    const end = Math.min(first + most, count);
    const slice = (from: number, to: number) => read(first * size + from, first * size + to);
    const rate = naming(`samples ${first} to ${end - 1}`, () =>
      codec.rate(new Pieces(type, [end - first, ...rest], slice), prior, options),
    );
    for (const key of ["bits", "escapes"] as const)
      rate.channels[key].forEach((value, c) => {
        channels[key][c]! += value;
      });
    if (rate.warning !== undefined) warnings.push(`samples ${first} to ${end - 1}: ${rate.warning}`);
    slices.push(rate);
  }
  const { symbols, bits, escapes } = sum(slices);
  const [warning] = warnings;
  const others =
    warnings.length > 1 ? ` (${warnings.length} of ${slices.length} parts of the file have a warning)` : "";
  return { symbols, bits, escapes, channels, ...(warning !== undefined && { warning: `${warning}${others}` }) };
}

function sum(rates: readonly Rate[]) {
  const symbols = rates.reduce((total, rate) => total + rate.symbols, 0);
  const bits = rates.reduce((total, rate) => total + rate.bits, 0);
  const escapes = rates.reduce((total, rate) => total + rate.escapes, 0);
  return { symbols, bits, bytes: bits / 8, bitsPerSymbol: bits / Math.max(1, symbols), escapes };
}

/** Typed arrays as lists, which JSON can hold. */
const asLists = (channels: Rate["channels"]) =>
  channels && { bits: [...channels.bits], escapes: [...channels.escapes] };

const cells = (name: string, { symbols, bits, escapes }: { symbols: number; bits: number; escapes: number }) => [
  name,
  String(symbols),
  (bits / 8).toFixed(1),
  symbols === 0 ? "-" : (bits / symbols).toFixed(4),
  String(escapes),
];

const HEAD = ["symbols", "ideal bytes", "bits/symbol", "escapes"];

function overview(rates: readonly FileRate[], total: ReturnType<typeof sum>): string[] {
  const files = rates.map((rate) => cells(basename(rate.file), rate));
  return table([["latent", ...HEAD], ...files, ...(rates.length > 1 ? [cells("all", total)] : [])]);
}

/** All latents together, a line per channel. */
function channelLines(rates: readonly Rate[]): string[] {
  const count = Math.max(0, ...rates.map(({ channels }) => channels?.bits.length ?? 0));
  const symbols = sum(rates).symbols / Math.max(1, count);
  const lines = Array.from({ length: count }, (_, c) => {
    const bits = rates.reduce((total, { channels }) => total + (channels?.bits[c] ?? 0), 0);
    const escapes = rates.reduce((total, { channels }) => total + (channels?.escapes[c] ?? 0), 0);
    return cells(String(c), { symbols, bits, escapes });
  });
  return table([["channel", ...HEAD], ...lines]);
}

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Codec, createSync, type DecodeOptions, type EncodeOptions, type TensorLike } from "latentwire";
import { bar, columns, command, timeOption, whole } from "./command.js";
import { median } from "./numbers.js";
import { inTurns, medianRatio } from "./timing.js";
import { MAKERS, type Workload } from "./workloads.js";

const HELP = `npm run bench:builds -- --other DIR [options]

Whole calls of this build beside those of another one, in turns in one process: DIR is a checkout of the project that has been built.
Then the bytes of packets over the ideal code length.

  --other DIR      the other build; left out: only the bytes
  --time MS        how long a figure is measured in a round (default 100)
  --rounds N       (default 7)
  --only W1,..     workloads (default W1,W2,W4)
  --json           print one JSON object and nothing else
  --help`;

const FORMS: Readonly<Record<string, EncodeOptions>> = {
  auto: {},
  "1 lane": { lanes: 1 },
  "8 lanes": { lanes: 8 },
  "16 lanes": { lanes: 16 },
  "32 lanes": { lanes: 32 },
  compressai: { stream: "compressai", header: "none" },
};
const HEADERS: Readonly<Record<string, EncodeOptions>> = {
  packet: {},
  compact: { header: "compact" },
  "compact, 2-byte check": { header: "compact", checksum: 2 },
};
const OPS = ["encode", "decode"] as const;
const TYPES = ["int32", "float32"] as const;
type Type = (typeof TYPES)[number];
const ARRAYS = { int32: Int32Array, float32: Float32Array };

/** A release as this benchmark uses it; the one before 2026-11-27 had its writer in an entry of its own. */
async function otherBuild(folder: string): Promise<Codec> {
  const entry = ["full", "index"].map((name) => join(resolve(folder), "dist/bindings", `${name}.js`)).find(existsSync);
  if (!entry) throw new Error(`--other ${folder}: there is no dist/bindings/index.js; build it first`);
  const build = (await import(pathToFileURL(entry).href)) as { createSync(): Codec };
  return build.createSync();
}

/** Symbols of the first item as elements of a type; as float32, its latent. */
function tensorOf({ items }: Workload, type: Type): TensorLike {
  const [{ dims, symbols, latent }] = items;
  return type === "float32" ? latent : { type, dims, data: new ARRAYS[type](symbols) };
}

/** Both directions of a whole call, into buffers of the caller's. */
function wholeCalls(codec: Codec, workload: Workload, type: Type, options: EncodeOptions) {
  const prior = workload.prior(codec);
  const tensor = tensorOf(workload, type);
  const n = workload.rows.length;
  const packet = codec.encode(tensor, prior, options);
  const into = { ...options, out: new Uint8Array(8 * n + 1024) };
  const { stream, header } = options;
  const back: DecodeOptions<Type> = { type, out: new ARRAYS[type](n) };
  if (header === "none") Object.assign(back, { header, stream, dims: tensor.dims });
  return {
    encode: () => void codec.encode(tensor, prior, into),
    decode: () => void codec.decode(packet, prior, back),
  };
}

/** Every stream, element type and direction of both builds. A ratio above 1: this build is faster. */
async function compare(
  codecs: readonly Codec[],
  names: readonly string[],
  timeMs: number,
  rounds: number,
  json: boolean,
) {
  const cases = names.flatMap((workload) =>
    Object.keys(FORMS).flatMap((form) => TYPES.map((type) => ({ workload, form, type }))),
  );
  const progress = bar("builds", cases.length, json);
  const figures = [];
  for (const one of cases) {
    progress.step(`${one.workload} ${one.form}`);
    const both = codecs.map((codec) => wholeCalls(codec, MAKERS[one.workload](codec), one.type, FORMS[one.form]));
    for (const op of OPS) {
      const calls = both.map((build) => build[op]);
      const [ours, theirs] = await inTurns(calls, timeMs, rounds);
      const [microseconds, otherMicroseconds] = [1e3 * median(ours), 1e3 * median(theirs)];
      figures.push({ ...one, op, otherMicroseconds, microseconds, ratio: medianRatio(theirs, ours) });
    }
  }
  progress.stop();
  return figures;
}

/** Bytes over the ideal code length, by form of the header. */
function overIdeal(codec: Codec, { items, prior }: Workload): Record<string, number> {
  const [{ latent }] = items;
  const own = prior(codec);
  const ideal = codec.rate(latent, own).bits / 8;
  const over = Object.entries(HEADERS).map(([name, options]) => [
    name,
    codec.encode(latent, own, options).length - ideal,
  ]);
  return { ideal, ...Object.fromEntries(over) };
}

const OPTIONS = {
  other: { type: "string" },
  time: { type: "string", default: "100" },
  rounds: { type: "string", default: "7" },
  only: { type: "string", default: "W1,W2,W4" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const [timeMs, rounds] = [timeOption(args.time), whole("rounds", args.rounds)];
  const names = args.only.split(",");
  for (const name of names) if (!MAKERS[name]) throw new Error(`--only ${name}: choose from W1 W2 W4`);
  const codec = createSync();
  const builds = args.other
    ? await compare([codec, await otherBuild(args.other)], names, timeMs, rounds, args.json)
    : [];
  const sizes = Object.fromEntries(names.map((name) => [name, overIdeal(codec, MAKERS[name](codec))]));
  if (args.json) return console.log(JSON.stringify({ builds, overIdeal: sizes }, undefined, 1));
  const print = (head: string[], rows: string[][]) => console.log(`${columns(head, rows).join("\n")}\n`);
  if (args.other)
    print(
      ["workload", "stream", "type", "op", "other us", "us", "x other"],
      builds.map((f) => [
        ...[f.workload, f.form, f.type, f.op],
        ...[f.otherMicroseconds.toFixed(1), f.microseconds.toFixed(1), f.ratio.toFixed(3)],
      ]),
    );
  print(
    ["workload", "ideal bytes", ...Object.keys(HEADERS).map((name) => `${name} over it`)],
    names.map((name) => [name, ...Object.values(sizes[name]).map((value) => value.toFixed(1))]),
  );
});

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Codec, createSync, type EncodeOptions, type Prior, type TensorLike } from "latentwire";
import { ideal } from "./ideal.js";
import { median } from "./numbers.js";
import { bar, columns, program } from "./terminal.js";
import { inTurns, medianRatio } from "./timing.js";
import { type Workload, w1, w2, w4 } from "./workloads.js";

const HELP = `npm run bench:builds -- --other DIR [options]

Whole calls of this build beside those of another one, in turns in one process: DIR is a checkout of the project that has been built.
Then one tensor as a part of a writer beside codec.encode, and the bytes of packets over the ideal code length.

  --other DIR      the other build; left out: only the last two
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
const ARRAYS = { int32: Int32Array, float32: Float32Array };

/** A release as this benchmark uses it; the one before 2026-11-27 had its writer in an entry of its own. */
async function otherBuild(folder: string): Promise<Codec> {
  const entry = ["full", "index"].map((name) => join(resolve(folder), "dist/bindings", `${name}.js`)).find(existsSync);
  if (!entry) throw new Error(`--other ${folder}: there is no dist/bindings/index.js; build it first`);
  const build = (await import(pathToFileURL(entry).href)) as { createSync(): Codec };
  return build.createSync();
}

interface Case {
  readonly workload: string;
  readonly form: string;
  readonly type: "int32" | "float32";
  readonly op: "encode" | "decode";
}

function tensorOf({ items }: Workload, type: Case["type"]): TensorLike {
  const { dims, symbols, latent } = items[0];
  return type === "float32" ? latent : { type, dims, data: symbols };
}

/** A whole call, into buffers of the caller's. */
function callOf(codec: Codec, make: (codec: Codec) => Workload, { form, type, op }: Case): () => void {
  const workload = make(codec);
  const prior = workload.prior(codec);
  const tensor = tensorOf(workload, type);
  const n = workload.rows.length;
  const options = { ...FORMS[form], out: new Uint8Array(8 * n + 1024) };
  if (op === "encode") return () => void codec.encode(tensor, prior, options);
  const packet = codec.encode(tensor, prior, FORMS[form]);
  const { stream, header } = FORMS[form];
  const bare = header && { header, stream, dims: tensor.dims };
  const decode = { type, ...bare, out: new ARRAYS[type](n) };
  return () => void codec.decode(packet, prior, decode);
}

interface Figure extends Case {
  readonly otherMicroseconds: number;
  readonly microseconds: number;
  /** Median over the rounds: above 1 this build is faster. */
  readonly ratio: number;
}

/** The two directions of one tensor, as a packet of `encode` and as one part of a writer and reader. */
function parts(codec: Codec, tensor: TensorLike, prior: Prior, type: Case["type"]): Record<string, (() => void)[]> {
  const packet = codec.encode(tensor, prior);
  const out = new ARRAYS[type]((tensor.data as ArrayLike<number>).length);
  return {
    encode: [
      () => void codec.encode(tensor, prior),
      () => {
        const writer = codec.writer();
        writer.write(tensor, prior);
        writer.finish();
      },
    ],
    decode: [
      () => void codec.decode(packet, prior, { type, out }),
      () => {
        const reader = codec.reader(packet);
        reader.read(prior, { type, out, dims: tensor.dims });
        reader.finish();
      },
    ],
  };
}

/** Bytes over the ideal code length, by form of the header. */
function overIdeal(codec: Codec, workload: Workload): Record<string, number> {
  const { items, rows, table } = workload;
  const prior = workload.prior(codec);
  const least = ideal(items[0].symbols, rows, table.toJSON());
  const over = (options: EncodeOptions) =>
    codec.encode(items[0].latent, prior, options).length - least.bytes - least.escapeBytes;
  return {
    ideal: least.bytes,
    packet: over({}),
    compact: over({ header: "compact" }),
    "compact, 2-byte check": over({ header: "compact", checksum: 2 }),
  };
}

program(async () => {
  const { values: args } = parseArgs({
    options: {
      other: { type: "string" },
      time: { type: "string", default: "100" },
      rounds: { type: "string", default: "7" },
      only: { type: "string", default: "W1,W2,W4" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const [timeMs, rounds] = [Number(args.time), Number(args.rounds)];
  const makers: Record<string, (codec: Codec) => Workload> = { W1: w1, W2: w2, W4: w4 };
  const names = args.only.split(",");
  for (const name of names) if (!makers[name]) throw new Error(`--only ${name}: choose from W1 W2 W4`);
  const codec = createSync();
  const other = args.other === undefined ? undefined : await otherBuild(args.other);
  const types = ["int32", "float32"] as const;
  const ops = ["encode", "decode"] as const;
  const cases = names.flatMap((workload) =>
    Object.keys(FORMS).flatMap((form) => types.flatMap((type) => ops.map((op) => ({ workload, form, type, op })))),
  );
  const progress = bar("builds", other ? cases.length : 1, args.json);
  const builds: Figure[] = [];
  for (const one of other ? cases : []) {
    progress.step(`${one.workload} ${one.form}`);
    const calls = [other!, codec].map((build) => callOf(build, makers[one.workload], one));
    const [theirs, ours] = await inTurns(calls, timeMs, rounds);
    const figures = { otherMicroseconds: 1e3 * median(theirs), microseconds: 1e3 * median(ours) };
    builds.push({ ...one, ...figures, ratio: medianRatio(theirs, ours) });
  }
  progress.stop();
  const partOverWhole: (Omit<Case, "form"> & { ratio: number })[] = [];
  for (const workload of names.filter((name) => name !== "W4"))
    for (const type of types) {
      const made = makers[workload](codec);
      for (const [op, calls] of Object.entries(parts(codec, tensorOf(made, type), made.prior(codec), type))) {
        const [whole, part] = await inTurns(calls, timeMs, rounds);
        partOverWhole.push({ workload, type, op: op as Case["op"], ratio: medianRatio(part, whole) });
      }
    }
  const sizes = Object.fromEntries(names.map((name) => [name, overIdeal(codec, makers[name](codec))]));
  if (args.json) return console.log(JSON.stringify({ builds, partOverWhole, overIdeal: sizes }, undefined, 1));
  const table = (head: string[], rows: (string | number)[][]) =>
    console.log(
      `${columns(
        head,
        rows.map((row) => row.map(String)),
      ).join("\n")}\n`,
    );
  if (other)
    table(
      ["workload", "stream", "type", "op", "other us", "us", "x other"],
      builds.map((f) => [
        f.workload,
        f.form,
        f.type,
        f.op,
        f.otherMicroseconds.toFixed(1),
        f.microseconds.toFixed(1),
        f.ratio.toFixed(3),
      ]),
    );
  table(
    ["workload", "type", "op", "one part / encode or decode"],
    partOverWhole.map((f) => [f.workload, f.type, f.op, f.ratio.toFixed(3)]),
  );
  table(
    ["workload", "ideal bytes", "packet over it", "compact", "compact, 2-byte check"],
    names.map((name) => [name, ...Object.values(sizes[name]).map((value) => value.toFixed(1))]),
  );
});

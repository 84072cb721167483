import { parseArgs } from "node:util";
import { create } from "latentwire";
import { choices } from "./contenders.js";
import { packageVersion } from "./machine.js";
import { measure, OPS, prepare, type Result } from "./tasks.js";
import { bar, columns, program, timeOption } from "./terminal.js";
import { latents, type Workload, w1, w2, w4 } from "./workloads.js";

const HELP = `npm run bench -- [options]

  --only A,B,..      run only these workloads (W1 W2 W4 latents), operations (encode decode quantize dequantize)
                     and codecs; names of one kind are alternatives
  --latents FILE     also code real latents: .npy or .npy.gz of int8, int16, int32 or float32, a batch or one latent
  --tables FILE      the table for --latents, JSON or binary form
  --time MS          how long each figure is measured (default 300)
  --json             print one JSON object and nothing else
  --help`;

/** Which names `--only` lets through, kind by kind: naming none of a kind means all of it. */
function filters(only: string | undefined, kinds: readonly (readonly string[])[]) {
  const names = only?.split(",").map((name) => name.trim()) ?? [];
  const known = kinds.flat();
  for (const name of names)
    if (!known.includes(name)) throw new Error(`--only ${name}: choose from ${known.join(" ")}`);
  return kinds.map((kind) => {
    const chosen = kind.filter((name) => names.includes(name));
    return (name: string) => chosen.length === 0 || chosen.includes(name);
  });
}

const ratio = (value: number) => value.toFixed(value < 0.1 ? 4 : 2);

function print(results: readonly Result[]): void {
  const head = "workload,op,codec,lanes,Msym/s,ns/symbol,bytes,over ideal,x reference-ts".split(",");
  const rows = results.map(({ workload, op, codec, lanes, msymPerSecond, nsPerSymbol, bytes, idealBytes }) => {
    const reference = results.find((r) => r.workload === workload && r.op === op && r.codec === "reference-ts");
    const over =
      bytes === null || idealBytes === null
        ? ""
        : `${(bytes - idealBytes).toFixed(1)} (${((100 * (bytes - idealBytes)) / idealBytes).toFixed(2)} %)`;
    return [
      workload,
      op,
      codec,
      lanes === null ? "" : String(lanes),
      msymPerSecond < 10 ? msymPerSecond.toFixed(2) : msymPerSecond.toFixed(0),
      nsPerSymbol.toFixed(nsPerSymbol < 10 ? 2 : 0),
      bytes === null ? "" : String(bytes),
      over,
      reference === undefined ? "" : ratio(msymPerSecond / reference.msymPerSecond),
    ];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

async function run(): Promise<void> {
  const { values: args } = parseArgs({
    options: {
      only: { type: "string" },
      latents: { type: "string" },
      tables: { type: "string" },
      time: { type: "string", default: "300" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const timeMs = timeOption(args.time);
  const { latents: npyFile, tables: tableFile } = args;
  if ((npyFile === undefined) !== (tableFile === undefined)) throw new Error("--latents and --tables go together");

  const simd = await create();
  const scalar = await create({ build: "scalar" });
  const javascript = await create({ build: "javascript" });
  const all = await choices(simd, scalar, javascript);
  const makers: Record<string, () => Workload> = { W1: () => w1(simd), W2: () => w2(simd), W4: () => w4(simd) };
  if (npyFile !== undefined && tableFile !== undefined) makers.latents = () => latents(simd, npyFile, tableFile);
  const [wantedWorkload, wantedOp, wantedCodec] = filters(args.only, [
    Object.keys(makers),
    OPS,
    all.map((choice) => choice.name),
  ]);

  const prepared = Object.keys(makers)
    .filter(wantedWorkload)
    .map((name) => prepare(makers[name](), all, wantedCodec, simd, scalar));
  const tasks = prepared.flatMap((one) => one.tasks).filter((task) => wantedOp(task.op));
  if (!args.json) for (const note of prepared.flatMap((one) => one.notes)) console.log(note);
  const progress = bar("timing", tasks.length, args.json);
  const results: Result[] = [];
  for (const task of tasks) {
    progress.step(`${task.workload.name} ${task.op} ${task.codec}`);
    results.push(await measure(task, timeMs));
  }
  progress.stop();

  if (args.json) console.log(JSON.stringify({ node: process.version, version: packageVersion(), results }));
  else print(results);
}

program(run);

import { type Codec, create } from "latentwire";
import { bar, columns, command, filters, timeOption } from "./command.js";
import { type Choices, type Coder, choices } from "./contenders.js";
import { packageVersion } from "./machine.js";
import { medianMs } from "./timing.js";
import { latents, MAKERS, type Workload } from "./workloads.js";

const HELP = `npm run bench -- [options]

  --only A,B,..      run only these workloads (W1 W2 W4 latents), operations (encode decode)
                     and codecs; names of one kind are alternatives
  --latents FILE     also code real latents: .npy or .npy.gz of int8, int16, int32 or float32, a batch or one latent
  --tables FILE      the table for --latents, JSON or binary form
  --time MS          how long each figure is measured (default 300)
  --json             print one JSON object and nothing else
  --help`;

const OPS = ["encode", "decode"] as const;
type Op = (typeof OPS)[number];

/** One figure to be taken. Everything a task calls has already given back what it was given. */
interface Task {
  readonly workload: Workload;
  readonly op: Op;
  readonly codec: string;
  readonly lanes: number | null;
  /** Of all items of the workload. */
  readonly bytes: number;
  /** What the rows allow, values of escapes included (`codec.rate`). */
  readonly idealBytes: number;
  readonly call: (i: number) => unknown;
}

interface Result extends Omit<Task, "workload" | "call"> {
  readonly workload: string;
  readonly msymPerSecond: number;
  readonly nsPerSymbol: number;
}

/** Timing more of a large batch would repeat itself; bytes are of every item all the same. */
const TIMED_ITEMS = 16;

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function total<T>(of: readonly T[], pick: (one: T) => number): number {
  return of.reduce((sum, one) => sum + pick(one), 0);
}

/** The tasks of a workload, and lines to say about it. */
function prepare(workload: Workload, all: Choices, wanted: (codec: string) => boolean, simd: Codec) {
  const { name, items, rows } = workload;
  const prior = workload.prior(simd);
  const rates = items.map((item) => simd.rate(item.latent, prior));
  const idealBytes = total(rates, ({ bits }) => bits) / 8;
  const symbols = items.length * rows.length;
  const notes = [
    `${name}: ${items.length} x ${rows.length} symbols, ideal ${idealBytes.toFixed(1)} bytes ` +
      `(${((idealBytes * 8) / symbols).toFixed(3)} bits per symbol), ${total(rates, ({ escapes }) => escapes)} escapes`,
  ];
  const tasks: Task[] = [];
  for (const [codec, make] of Object.entries(all)) {
    if (!wanted(codec)) continue;
    let coder: Coder;
    try {
      coder = make(workload);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      notes.push(`${codec} leaves out ${name}: ${error.message}`);
      continue;
    }
    // A copy each: a coder writes every packet into the same buffer.
    const packets = items.map((_, i) => coder.encode(i).slice());
    items.forEach((item, i) => {
      if (!same(coder.decode(packets[i]), item.symbols))
        throw new Error(`${codec} does not give back item ${i} of ${name}`);
    });
    const shared = {
      workload,
      codec,
      lanes: coder.lanes(packets[0]),
      bytes: total(packets, (packet) => packet.length),
      idealBytes,
    };
    tasks.push({ ...shared, op: "encode", call: (i) => coder.encode(i) });
    tasks.push({ ...shared, op: "decode", call: (i) => coder.decode(packets[i]) });
  }
  return { tasks, notes };
}

async function measure(task: Task, timeMs: number): Promise<Result> {
  const { workload, call, ...rest } = task;
  const count = Math.min(workload.items.length, TIMED_ITEMS);
  const ms = await medianMs(() => {
    for (let i = 0; i < count; i++) call(i);
  }, timeMs);
  const symbols = count * workload.rows.length;
  return { workload: workload.name, ...rest, msymPerSecond: symbols / ms / 1e3, nsPerSymbol: (ms * 1e6) / symbols };
}

const ratio = (value: number) => value.toFixed(value < 0.1 ? 4 : 2);

function print(results: readonly Result[]): void {
  const head = "workload,op,codec,lanes,Msym/s,ns/symbol,bytes,over ideal,x reference-ts".split(",");
  const rows = results.map(({ workload, op, codec, lanes, msymPerSecond, nsPerSymbol, bytes, idealBytes }) => {
    const reference = results.find((r) => r.workload === workload && r.op === op && r.codec === "reference-ts");
    const over = bytes - idealBytes;
    return [
      workload,
      op,
      codec,
      lanes === null ? "" : String(lanes),
      msymPerSecond < 10 ? msymPerSecond.toFixed(2) : msymPerSecond.toFixed(0),
      nsPerSymbol.toFixed(nsPerSymbol < 10 ? 2 : 0),
      String(bytes),
      `${over.toFixed(1)} (${((100 * over) / idealBytes).toFixed(2)} %)`,
      reference === undefined ? "" : ratio(msymPerSecond / reference.msymPerSecond),
    ];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

const OPTIONS = {
  only: { type: "string" },
  latents: { type: "string" },
  tables: { type: "string" },
  time: { type: "string", default: "300" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const timeMs = timeOption(args.time);
  const { latents: npyFile, tables: tableFile } = args;
  if ((npyFile === undefined) !== (tableFile === undefined)) throw new Error("--latents and --tables go together");

  const simd = await create();
  const scalar = await create({ build: "scalar" });
  const javascript = await create({ build: "javascript" });
  const all = await choices(simd, scalar, javascript);
  const makers = { ...MAKERS };
  if (npyFile !== undefined && tableFile !== undefined) makers.latents = (codec) => latents(codec, npyFile, tableFile);
  const [wantedWorkload, wantedOp, wantedCodec] = filters(args.only, [Object.keys(makers), OPS, Object.keys(all)]);

  const prepared = Object.keys(makers)
    .filter(wantedWorkload)
    .map((name) => prepare(makers[name](simd), all, wantedCodec, simd));
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
});

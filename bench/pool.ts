import { parseArgs } from "node:util";
import { create } from "latentwire";
import { createPool, type Pool, type PoolPrior } from "latentwire/pool";
import { echo } from "./pool-echo.js";
import { type Load, loads, type Rate, runDirect, runPooled } from "./pool-load.js";
import { soak } from "./pool-soak.js";
import { bar, columns, program } from "./terminal.js";
import { type Workload, w1, w2 } from "./workloads.js";

const HELP = `npm run bench:pool -- [options]

  --only A,B,..   only these of: W1 W2 encode decode copied in-place
  --time MS       how long each figure is measured in each pass (default 300)
  --passes N      passes over all figures; each figure is the median of them (default 9)
  --minutes N     instead: both workloads in both directions with 2 workers for N minutes, and what memory does meanwhile
  --control       with --minutes: the same sizes between bare workers, without the pool and the codec
  --json          print one JSON object and nothing else (not with --minutes)
  --help`;

/** Enough for two messages per worker, of 16 small packets each. */
const LANES = { W1: 4, W2: 32 } as Record<string, number>;
const SIZES = [1, 2];

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

interface Line {
  readonly load: Load;
  /** By the number of workers; 0 is the main thread alone. */
  readonly rates: Record<number, Rate[]>;
}

function print(lines: readonly Line[]): void {
  const head = [
    "workload",
    "op",
    "memory",
    "main/s",
    "1 worker/s",
    "2 workers/s",
    "2 : 1",
    "2 : main",
    "CPU ms: main",
    "1",
    "2",
  ];
  const rows = lines.map(({ load, rates }) => {
    const speed = (size: number) => median(rates[size].map((rate) => rate.perSecond));
    // Pass by pass: what else the machine did in one pass slowed both.
    const ratio = (a: number, b: number) =>
      median(rates[a].map((rate, pass) => rate.perSecond / rates[b][pass].perSecond)).toFixed(2);
    const cpu = (size: number) => median(rates[size].map((rate) => rate.cpuMs)).toFixed(3);
    return [
      ...[load.workload, load.op, load.way],
      ...[0, 1, 2].map((size) => speed(size).toFixed(0)),
      ...[ratio(2, 1), ratio(2, 0), cpu(0), cpu(1), cpu(2)],
    ];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

/** All loads by turns on two workers. */
async function soakPool(all: readonly Load[], minutes: number): Promise<void> {
  const size = 2;
  const pool = await createPool({ size });
  const work = async (load: Load, ms: number) =>
    ((await runPooled(load, pool, LANES[load.workload] * size, ms)).perSecond * ms) / 1000;
  // A second of each, so that the first third has what stays.
  for (const load of all) await work(load, 1000);
  await soak((turn, ms) => work(all[turn % all.length], ms), minutes);
  await pool.close();
}

async function soakControl(minutes: number): Promise<void> {
  const { stretch, close } = echo();
  await soak(stretch, minutes);
  await close();
}

async function run(): Promise<void> {
  const { values: args } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      time: { type: "string", default: "300" },
      passes: { type: "string", default: "9" },
      minutes: { type: "string" },
      control: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const [ms, passes] = [Number(args.time), Number(args.passes)];
  if (!(ms > 0)) throw new Error(`--time ${args.time}: a number of milliseconds is wanted`);
  if (!(Number.isInteger(passes) && passes > 0)) throw new Error(`--passes ${args.passes}: a whole number is wanted`);
  const minutes = args.minutes === undefined ? undefined : Number(args.minutes);
  if (minutes !== undefined && !(minutes > 0)) throw new Error(`--minutes ${args.minutes}: a number is wanted`);
  if (args.control) {
    if (minutes === undefined) throw new Error("--control goes with --minutes");
    return soakControl(minutes);
  }

  const codec = await create();
  const workloads = [w1(codec), w2(codec)];
  const priors = new Map<Workload, PoolPrior>();
  const all = workloads.flatMap((workload) =>
    loads(codec, workload, (pool) => {
      const { table, rows, run } = workload;
      // A prior is good for every pool.
      if (!priors.has(workload)) priors.set(workload, run > 0 ? pool.factorized(table) : pool.indexed(table, rows));
      return priors.get(workload) as PoolPrior;
    }),
  );
  if (minutes !== undefined) return soakPool(all, minutes);

  const names = args.only.split(",").filter((name) => name !== "");
  const wanted = all.filter(({ workload, op, way }) =>
    [
      ["W1", "W2"],
      ["encode", "decode"],
      ["copied", "in-place"],
    ].every((kind, k) => {
      const chosen = kind.filter((name) => names.includes(name));
      return chosen.length === 0 || chosen.includes([workload, op, way.replace(" ", "-")][k]);
    }),
  );
  const pools = new Map<number, Pool>();
  for (const size of SIZES) pools.set(size, await createPool({ size }));
  const lines = wanted.map((load): Line => ({ load, rates: { 0: [], 1: [], 2: [] } }));
  const progress = bar("timing", lines.length * passes, args.json);
  // The first pass warms up.
  for (let pass = -1; pass < passes; pass++) {
    for (const { load, rates } of lines) {
      if (pass >= 0) progress.step(`${load.workload} ${load.op} ${load.way}`);
      const results = [runDirect(load, ms)];
      for (const [size, pool] of pools) results[size] = await runPooled(load, pool, LANES[load.workload] * size, ms);
      if (pass >= 0) results.forEach((rate, size) => void rates[size].push(rate));
    }
  }
  progress.stop();
  for (const pool of pools.values()) await pool.close();
  if (args.json)
    console.log(JSON.stringify(lines.map(({ load: { workload, op, way }, rates }) => ({ workload, op, way, rates }))));
  else print(lines);
}

program(run);

// Workers against the main thread, and what a long run does to memory.
import { type Codec, create } from "latentwire";
import { createPool, type Pool, type PoolPrior } from "latentwire/pool";
import { bar, columns, command, filters, timeOption, whole } from "./command.js";
import { mean, median } from "./numbers.js";
import { type Workload, w1, w2 } from "./workloads.js";

const HELP = `npm run bench:pool -- [options]

  --only A,B,..   only these of: W1 W2 encode decode copied in-place
  --time MS       how long each figure is measured in each pass (default 300)
  --passes N      passes over all figures; each figure is the median of them (default 9)
  --minutes N     instead: both workloads in both directions with 2 workers for N minutes, and what memory does meanwhile
  --json          print one JSON object and nothing else (not with --minutes)
  --help`;

/** Enough for two messages per worker, of 16 small packets each. */
const LANES: Record<string, number> = { W1: 4, W2: 32 };
const SIZES = [1, 2];
const MB = 2 ** 20;

// ---- what is done over and over

/** How memory passes: `copied` is the default; `in place` decodes into arrays that go back and forth, and reads from shared memory. */
const WAYS = ["copied", "in-place"] as const;
const OPS = ["encode", "decode"] as const;

interface Load {
  readonly workload: string;
  readonly op: (typeof OPS)[number];
  readonly way: (typeof WAYS)[number];
  /** One item in the main thread; `lane` has a buffer of its own. */
  direct(lane: number): void;
  /** One item in a pool. */
  pooled(pool: Pool, lane: number): Promise<void>;
}

function shared<A extends Float32Array | Uint16Array>(data: A): A {
  const copy = new (data.constructor as new (buffer: SharedArrayBuffer) => A)(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

function loads(codec: Codec, workload: Workload): Load[] {
  const { name, table, rows, run, items } = workload;
  const [{ latent, symbols }] = items as [Workload["items"][number]];
  const prior = workload.prior(codec);
  const packet = codec.encode(latent, prior);
  const tensors = { copied: latent, "in-place": { ...latent, data: shared(latent.data as Float32Array) } };
  const sharedRows = { copied: rows, "in-place": shared(rows) };
  const arrays: Float32Array[] = [];
  const arrayOf = (lane: number) => arrays[lane] ?? new Float32Array(symbols.length);
  const scratch = new Uint8Array(packet.length);

  return WAYS.flatMap((way): Load[] => {
    // A prior is good for every pool.
    let pooled: PoolPrior | undefined;
    const priorOf = (pool: Pool): PoolPrior => {
      pooled ??= run > 0 ? pool.factorized(table) : pool.indexed(table, sharedRows[way]);
      return pooled;
    };
    return [
      {
        workload: name,
        op: "encode",
        way,
        direct: () => void codec.encode(latent, prior, way === "copied" ? {} : { out: scratch }),
        pooled: async (pool) => void (await pool.encode(tensors[way], priorOf(pool))),
      },
      {
        workload: name,
        op: "decode",
        way,
        direct: (lane) => void codec.decode(packet, prior, way === "copied" ? {} : { out: arrayOf(lane) }),
        async pooled(pool, lane) {
          const { data } = await pool.decode(packet, priorOf(pool), way === "copied" ? {} : { out: arrayOf(lane) });
          if (data.length !== symbols.length) throw new Error("a result of another length");
          if (way === "in-place") arrays[lane] = data;
        },
      },
    ];
  });
}

/** What a stretch of work came to. */
interface Rate {
  readonly perSecond: number;
  /** Of all threads, per item. */
  readonly cpuMs: number;
}

/** Keeps `lanes` items under way in a pool, or does one after the other in the main thread. */
async function run(load: Load, ms: number, pool?: Pool, lanes = 1): Promise<Rate> {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  let done = 0;
  const lane = async (i: number) => {
    for (; performance.now() - started < ms; done++)
      if (pool) await load.pooled(pool, i);
      else load.direct(i);
  };
  await Promise.all(Array.from({ length: lanes }, (_, i) => lane(i)));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, cpuMs: (user + system) / 1000 / done };
}

// ---- a long run

/** All loads in turn on two workers, a line on memory every 10 seconds and a verdict: the last third against the first. */
async function soak(all: readonly Load[], minutes: number): Promise<void> {
  const pool = await createPool({ size: 2 });
  const work = async (load: Load, ms: number) =>
    ((await run(load, ms, pool, 2 * (LANES[load.workload] ?? 1))).perSecond * ms) / 1000;
  // A second of each, so that the first third has what stays.
  for (const load of all) await work(load, 1000);
  const started = performance.now();
  const samples: number[] = [];
  let [items, turn] = [0, 0];
  for (let next = started + 10_000; performance.now() < started + minutes * 60_000; next += 10_000) {
    while (performance.now() < next) {
      const ms = Math.min(500, Math.max(1, next - performance.now()));
      items += await work(all[turn++ % all.length], ms);
    }
    const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
    samples.push(rss / MB);
    const [resident, heap, buffers] = [rss, heapUsed, arrayBuffers].map((bytes) => (bytes / MB).toFixed(0));
    const seconds = ((performance.now() - started) / 1000).toFixed(0).padStart(5);
    console.log(
      `${seconds} s: RSS ${resident} MB, heap ${heap} MB, array buffers ${buffers} MB, ${items.toFixed(0)} items`,
    );
  }
  await pool.close();
  const third = Math.max(1, Math.floor(samples.length / 3));
  const [first, last] = [mean(samples.slice(0, third)), mean(samples.slice(-third))];
  const flat = last <= first * 1.05 + 5;
  console.log(
    `${flat ? "flat" : "GROWING"}: RSS ${first.toFixed(1)} MB in the first third, ${last.toFixed(1)} MB in the last, ` +
      `highest ${Math.max(...samples).toFixed(0)} MB, ${items.toFixed(0)} items`,
  );
  if (!flat) process.exitCode = 1;
}

// ---- the command

interface Line {
  readonly load: Load;
  /** By the number of workers; 0 is the main thread alone. */
  readonly rates: Record<number, Rate[]>;
}

function print(lines: readonly Line[]): void {
  const head = "workload,op,memory,main/s,1 worker/s,2 workers/s,2 : 1,2 : main,CPU ms: main,1 worker,2 workers".split(
    ",",
  );
  const rows = lines.map(({ load, rates }) => {
    const of = (size: number): readonly Rate[] => rates[size] ?? [];
    const speed = (size: number) => median(of(size).map((rate) => rate.perSecond)).toFixed(0);
    const cpu = (size: number) => median(of(size).map((rate) => rate.cpuMs)).toFixed(3);
    // Pass by pass: what else the machine did in one pass slowed both.
    const ratio = (a: number, b: number) =>
      median(of(a).map((rate, pass) => rate.perSecond / (of(b)[pass]?.perSecond ?? 0))).toFixed(2);
    const { workload, op, way } = load;
    return [workload, op, way, speed(0), speed(1), speed(2), ratio(2, 1), ratio(2, 0), cpu(0), cpu(1), cpu(2)];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

const OPTIONS = {
  only: { type: "string" },
  time: { type: "string", default: "300" },
  passes: { type: "string", default: "9" },
  minutes: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const [ms, passes] = [timeOption(args.time), whole("passes", args.passes)];
  const minutes = args.minutes === undefined ? 0 : Number(args.minutes);
  if (!(minutes >= 0)) throw new Error(`--minutes ${args.minutes}: a number is wanted`);

  const codec = await create();
  const all = [w1(codec), w2(codec)].flatMap((workload) => loads(codec, workload));
  if (minutes) return soak(all, minutes);

  const [workload, op, way] = filters(args.only, [Object.keys(LANES), OPS, WAYS]);
  const wanted = all.filter((load) => workload(load.workload) && op(load.op) && way(load.way));
  const pools = new Map<number, Pool>();
  for (const size of SIZES) pools.set(size, await createPool({ size }));
  const lines = wanted.map((load): Line => ({ load, rates: { 0: [], 1: [], 2: [] } }));
  const progress = bar("timing", lines.length * passes, args.json);
  // The first pass warms up.
  for (let pass = -1; pass < passes; pass++)
    for (const { load, rates } of lines) {
      if (pass >= 0) progress.step(`${load.workload} ${load.op} ${load.way}`);
      const results = [await run(load, ms)];
      for (const [size, pool] of pools) results[size] = await run(load, ms, pool, size * (LANES[load.workload] ?? 1));
      if (pass >= 0) results.forEach((rate, size) => void rates[size]?.push(rate));
    }
  progress.stop();
  for (const pool of pools.values()) await pool.close();
  if (args.json)
    console.log(JSON.stringify(lines.map(({ load: { workload, op, way }, rates }) => ({ workload, op, way, rates }))));
  else print(lines);
});

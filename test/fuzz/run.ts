// npm run fuzz -- --minutes N [--target NAME,..] [--seed S] [--jobs J] [--json FILE]: damaged input for every way into the library.
//
// Each job is a thread. It takes the targets in turn, each for its share of the time. The main thread shows how far they are, notices a thread that has died or
// stands still, keeps its last input and starts another. Ctrl-C ends all of them; the totals so far are printed.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, threadId, Worker, workerData } from "node:worker_threads";
import { Coverage, Fuzzer, type Input, shapeOf, type Target } from "./engine.js";
import { type Finding, faultsOf, newTotals, sumOf, type Totals, totalsLine } from "./totals.js";

/** Targets, their kind, and their share of the time. */
const TARGETS: Record<string, readonly [Totals["kind"], number]> = {
  packets: ["packets", 8],
  parts: ["packets", 4],
  inspect: ["packets", 2],
  strings: ["packets", 2],
  contexts: ["packets", 2],
  streams: ["packets", 2],
  "packet-files": ["packets", 2],
  pool: ["packets", 2],
  tables: ["files", 3],
  bundles: ["files", 3],
  torch: ["files", 4],
  npz: ["files", 3],
  npy: ["files", 2],
  safetensors: ["files", 2],
  pickles: ["files", 3],
  commands: ["files", 2],
};

/** What a job is told. */
interface Task {
  readonly targets: readonly string[];
  readonly seed: number;
  /** For each target: milliseconds, or a number of inputs. */
  readonly limits: readonly { readonly ms?: number; readonly count?: number }[];
  readonly shared: SharedArrayBuffer;
  readonly plain: boolean;
}

/** What a job says. */
interface Report {
  readonly totals: Totals;
  readonly blocks?: Uint8Array;
  readonly allBlocks: number;
  readonly done: boolean;
}

// Shared memory of a job: numbers, and behind them the bytes of the input that it runs.
const STOP = 0;
const BEAT = 1;
const LENGTH = 2;
const VARIANT = 3;
const SALT = 4;
const FORGED = 5;
const HEAD = 32;
const MAX_NOTED = 1 << 20;

// ---- a job

interface Library {
  open(name: string): Promise<Target>;
  readonly blocks?: number;
  readonly counters?: Uint8Array;
}

const load = (name: string): Promise<Library> => import(new URL(`./${name}.mjs`, import.meta.url).href);

async function work({ targets, seed, limits, shared, plain }: Task): Promise<void> {
  // What a stack trace takes is most of the time of an error.
  Error.stackTraceLimit = 0;
  const words = new Int32Array(shared, 0, HEAD / 4);
  const noted = new Uint8Array(shared, HEAD);
  const notes = {
    begin({ bytes, variant, salt, forged }: Input): void {
      words[BEAT]++;
      words[LENGTH] = bytes.length;
      words[VARIANT] = variant;
      words[SALT] = salt;
      words[FORGED] = forged ? 1 : 0;
      if (bytes.length <= MAX_NOTED) noted.set(bytes);
    },
  };
  const library = await load("plain");
  const covered = plain ? undefined : await load("covered");
  for (const [t, name] of targets.entries()) {
    if (Atomics.load(words, STOP)) return;
    const target = await library.open(name);
    const second = await covered?.open(name);
    const coverage = covered && new Coverage(covered.counters!);
    const instrumented = second && coverage && { target: second, coverage };
    const fuzzer = new Fuzzer(target, seed + 1000 * t, instrumented, notes);
    let reported = 0;
    let told = 0;
    const say = (done: boolean) => {
      const { totals } = fuzzer;
      reported = performance.now();
      const findings = totals.findings.slice(told);
      told = totals.findings.length;
      const allBlocks = covered?.blocks ?? 0;
      parentPort?.postMessage({
        totals: { ...totals, findings },
        blocks: coverage?.blocks(),
        allBlocks,
        done,
      } satisfies Report);
    };
    const { ms = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY } = limits[t];
    await fuzzer.run(
      { deadline: performance.now() + ms, count, stopped: () => Atomics.load(words, STOP) === 1 },
      () => performance.now() - reported > 1000 && say(false),
    );
    say(true);
  }
}

// ---- the command

const { values } = isMainThread
  ? parseArgs({
      options: {
        minutes: { type: "string" },
        runs: { type: "string" },
        target: { type: "string", multiple: true },
        seed: { type: "string" },
        jobs: { type: "string" },
        json: { type: "string" },
        findings: { type: "string" },
        plain: { type: "boolean" },
      },
    })
  : { values: {} as Record<string, never> };

const fail = (message: string): never => {
  console.error(`fuzz: ${message}`);
  process.exit(2);
};

function number(name: "minutes" | "runs" | "seed" | "jobs", standard: number): number {
  const given = values[name] as string | undefined;
  if (given === undefined) return standard;
  const value = Number(given);
  return value > 0 && Number.isFinite(value) ? value : fail(`--${name} must be a positive number, not ${given}`);
}

function chosen(): string[] {
  const names = (values.target ?? []).flatMap((given) => given.split(","));
  if (names.length === 0) return Object.keys(TARGETS);
  return names.flatMap((name) => {
    if (Object.hasOwn(TARGETS, name)) return [name];
    const group = Object.keys(TARGETS).filter((one) => name === `all-${TARGETS[one][0]}`);
    return group.length > 0
      ? group
      : fail(`there is no target ${name}: ${Object.keys(TARGETS).join(", ")}; all-packets, all-files`);
  });
}

/** Seconds without an input after which a job is given up. */
const STILL_S = 60;
/** Megabytes of JavaScript objects that a job may have. */
const HEAP_MB = 1500;
const MAX_RESTARTS = 20;

interface Job {
  readonly words: Int32Array;
  readonly shared: SharedArrayBuffer;
  target: number;
  beat: number;
  since: number;
}

async function command(): Promise<number> {
  const targets = chosen();
  const jobs = number("jobs", 1);
  const seed = Math.floor(number("seed", Date.now() % 2 ** 31));
  const minutes = number("minutes", 1);
  const runs = values.runs === undefined ? undefined : number("runs", 1);
  const shares = targets.map((name) => TARGETS[name][1]);
  const allShares = shares.reduce((a, b) => a + b, 0);
  const totalMs = minutes * 60_000;
  const limits = shares.map((share) => (runs === undefined ? { ms: (totalMs * share) / allShares } : { count: runs }));
  const until = runs === undefined ? `${minutes} min` : `${runs} inputs a target`;
  console.log(`fuzz: ${targets.join(", ")}; seed ${seed}, ${jobs} job(s), ${until}`);

  const started = Date.now();
  /** The last report of each target of each thread that there was. */
  const reports = new Map<string, Report>();
  const findings: Finding[] = [];
  let allBlocks = 0;
  let interrupted = false;
  let peakRss = 0;
  const running = new Set<Job>();

  const keep = (finding: Finding) => {
    const key = ({ target, kind, message }: Finding) => `${target} ${kind} ${shapeOf(message)}`;
    if (findings.filter((one) => key(one) === key(finding)).length >= 3) return;
    findings.push(finding);
    save(finding, findings.length);
  };
  const receive = (key: string, report: Report) => {
    const { findings: found } = report.totals;
    for (const finding of found) keep(finding);
    allBlocks = report.allBlocks;
    reports.set(key, { ...report, totals: { ...report.totals, findings: [] } });
  };
  /** What a thread ran when it died. */
  const lost = (key: string, job: Job, kind: "crash" | "hang", message: string) => {
    const { words, shared } = job;
    const name = targets[job.target];
    const bytes = new Uint8Array(shared, HEAD, Math.min(words[LENGTH], MAX_NOTED)).slice();
    const finding = { variant: words[VARIANT], salt: words[SALT] >>> 0, forged: words[FORGED] === 1, bytes };
    const totals = newTotals(name, TARGETS[name][0]);
    totals[kind]++;
    receive(`${key} lost`, {
      totals: { ...totals, findings: [{ kind, target: name, message, ...finding }] },
      allBlocks,
      done: true,
    });
  };

  /** Runs targets from `first` on in a thread; another one takes over where it dies. */
  const start = (index: number, attempt: number, first: number, left: typeof limits): Promise<void> =>
    new Promise((resolve) => {
      const shared = new SharedArrayBuffer(HEAD + MAX_NOTED);
      const job: Job = {
        words: new Int32Array(shared, 0, HEAD / 4),
        shared,
        target: first,
        beat: 0,
        since: Date.now(),
      };
      if (interrupted) Atomics.store(job.words, STOP, 1);
      running.add(job);
      const task: Task = {
        ...{ targets: targets.slice(first), limits: left, shared, plain: values.plain === true },
        seed: seed + index * 100_003 + attempt * 7919,
      };
      const worker = new Worker(fileURLToPath(import.meta.url), {
        workerData: task,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
        stdout: false,
      });
      const begun = Date.now();
      const key = () => `${index} ${attempt} ${job.target}`;
      let why: string | undefined;
      worker.on("message", (report: Report) => {
        receive(key(), report);
        if (report.done) job.target++;
      });
      worker.on("error", (error) => {
        why = `the thread died: ${error.message}`;
      });
      const watch = setInterval(() => {
        if (job.words[BEAT] !== job.beat) [job.beat, job.since] = [job.words[BEAT], Date.now()];
        if (Date.now() - job.since < STILL_S * 1000) return;
        why ??= `no end after ${STILL_S} s`;
        worker.terminate();
      }, 1000);
      worker.on("exit", () => {
        clearInterval(watch);
        running.delete(job);
        if (why === undefined) return resolve();
        lost(key(), job, why.startsWith("no end") ? "hang" : "crash", why);
        if (attempt === MAX_RESTARTS || interrupted) return resolve();
        const spent = Date.now() - begun;
        const rest = left.slice(job.target - first);
        const next = rest.map((limit, i) =>
          i === 0 && "ms" in limit ? { ms: Math.max(0, limit.ms! - spent) } : limit,
        );
        start(index, attempt + 1, job.target, next as typeof limits).then(resolve);
      });
    });

  const stop = () => {
    if (interrupted) process.exit(130);
    interrupted = true;
    for (const { words } of running) Atomics.store(words, STOP, 1);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const show = () => {
    peakRss = Math.max(peakRss, process.memoryUsage.rss());
    const inputs = [...reports.values()].reduce((sum, { totals }) => sum + totals.inputs, 0);
    const seconds = (Date.now() - started) / 1000;
    const eta = runs === undefined ? `, ${Math.max(0, Math.round(totalMs / 1000 - seconds))} s left` : "";
    const doing = [...new Set([...running].map(({ target }) => targets[target]))].join(", ");
    const line = `${doing}: ${inputs.toLocaleString("en-US")} inputs, ${Math.round(inputs / seconds).toLocaleString("en-US")}/s, ${findings.length} findings${eta}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
    else if (Math.floor(seconds) % 30 === 0) console.error(`progress: ${line}`);
  };
  const ticker = setInterval(show, 1000);
  await Promise.all(Array.from({ length: jobs }, (_, i) => start(i, 0, 0, limits)));
  clearInterval(ticker);
  show();
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

  const sums = targets.map((name) => {
    const own = [...reports.values()].filter(({ totals }) => totals.target === name);
    return sumOf(own.length > 0 ? own.map(({ totals }) => totals) : [newTotals(name, TARGETS[name][0])], union(own));
  });
  for (const sum of sums) console.log(totalsLine(sum, allBlocks));
  const faults = sums.reduce((sum, totals) => sum + faultsOf(totals), 0);
  const of = (kind: Totals["kind"]) =>
    sums
      .filter((sum) => sum.kind === kind)
      .reduce((sum, { inputs }) => sum + inputs, 0)
      .toLocaleString("en-US");
  console.log(
    `${of("packets")} packets, ${of("files")} files: ${faults} faults; ${Math.round((Date.now() - started) / 1000)} s, ` +
      `${Math.round(peakRss / 2 ** 20)} MB resident at most`,
  );
  if (typeof values.json === "string") {
    mkdirSync(dirname(values.json), { recursive: true });
    const text = {
      seed,
      jobs,
      minutes,
      node: process.version,
      seconds: (Date.now() - started) / 1000,
      peakRss,
      allBlocks,
    };
    const shown = findings.map(({ bytes, ...rest }) => ({
      ...rest,
      hex: Buffer.from(bytes).toString("hex").slice(0, 20_000),
    }));
    writeFileSync(values.json, JSON.stringify({ ...text, totals: sums, findings: shown }, null, 1));
  }
  return interrupted ? 130 : faults > 0 ? 1 : 0;
}

/** Blocks that any of the threads has reached. */
function union(reports: readonly Report[]): number | undefined {
  const seen = reports.flatMap(({ blocks }) => (blocks ? [blocks] : []));
  if (seen.length === 0) return undefined;
  return seen[0].reduce((sum, _, i) => sum + (seen.some((blocks) => blocks[i] !== 0) ? 1 : 0), 0);
}

/** Writes an input that did harm, and how to run it again. */
function save({ kind, target, message, variant, salt, forged, bytes }: Finding, index: number): void {
  const folder = values.findings ?? ".cache/fuzz/findings";
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${target}-${kind}-${index}`);
  writeFileSync(`${file}.bin`, bytes);
  writeFileSync(`${file}.json`, JSON.stringify({ kind, target, message, variant, salt, forged }));
  console.error(`\n${kind} in ${target}: ${message.slice(0, 300)}\n  ${file}.bin, ${bytes.length} bytes`);
}

if (isMainThread) process.exitCode = await command();
else if (threadId > 0) await work(workerData as Task);

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Codec, create } from "latentwire";
import { compileTwin } from "./compile.js";
import { type Coder, latentwire } from "./contenders.js";
import { packageVersion } from "./machine.js";
import { median } from "./numbers.js";
import { pythonPeers, runOutside } from "./outside.js";
import { bar, columns, program } from "./terminal.js";
import { medianMs } from "./timing.js";
import { writeWorkload } from "./workload-file.js";
import { type Workload, w1, w2 } from "./workloads.js";

const HELP = `npm run bench:native -- [options]

Ours and programs outside on the same symbols, in turns: bench/native (C++, the same streams), what Python has
(bench/peers.py; PYTHON chooses the interpreter), and programs of yours.

  --only W1,W2        workloads
  --peer-command CMD  another program; may be given several times (docs/benchmarks.md says what it gets and prints)
  --time MS           how long a figure is measured in a round (default 300)
  --rounds N          (default 5)
  --json              print one JSON object and nothing else
  --help`;

/** Our codecs by the names of bench/native/twin.cpp's: the same streams byte for byte. */
const SAME = [
  { twin: "native-32", options: { header: "none", lanes: 32 } },
  { twin: "native-16", options: { header: "none", lanes: 16 } },
  { twin: "native-1", options: { header: "none", lanes: 1 } },
  { twin: "native-compressai", options: { header: "none", stream: "compressai" } },
] as const;

interface Figure {
  readonly workload: string;
  readonly op: "encode" | "decode";
  readonly codec: string;
  readonly lanes: number | null;
  readonly bytes: number;
  /** One per round, so that ratios are taken within a round. */
  readonly msymPerSecond: number[];
}

function ours(codec: Codec, workload: Workload): Coder[] {
  return SAME.map(({ options }) => {
    const name = "stream" in options ? "compressai-stream" : `latentwire-${options.lanes}`;
    return latentwire(name, codec, workload, options);
  });
}

/** A stream left by a program must be ours, if it is one of ours or CompressAI's. */
function checkStream(codec: string, folder: string, mine: ReadonlyMap<string, Uint8Array>): void {
  const twin = codec.startsWith("compressai") ? "native-compressai" : codec;
  const expected = mine.get(twin);
  const file = join(folder, `${codec}.bin`);
  if (!expected || !existsSync(file)) return;
  if (!readFileSync(file).equals(expected)) throw new Error(`${codec} writes other bytes than ours`);
}

async function compare(codec: Codec, workload: Workload, commands: string[], timeMs: number, rounds: number) {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-bench-"));
  const progress = bar(workload.name, rounds, false);
  try {
    const file = join(folder, "workload.bin");
    writeWorkload(workload, file);
    const n = workload.rows.length;
    const figures = new Map<string, Figure>();
    const add = (of: Omit<Figure, "workload" | "msymPerSecond">, msymPerSecond: number) => {
      const key = `${of.codec} ${of.op}`;
      const figure = figures.get(key) ?? { workload: workload.name, ...of, msymPerSecond: [] };
      figure.msymPerSecond.push(msymPerSecond);
      figures.set(key, figure);
    };
    const coders = ours(codec, workload);
    const streams = coders.map((coder) => coder.encode(0).slice());
    const mine = new Map(SAME.map(({ twin }, c) => [twin as string, streams[c]]));
    for (let round = 0; round < rounds; round++) {
      progress.step(`round ${round + 1}`);
      for (const [c, coder] of coders.entries()) {
        const of = { codec: coder.name, lanes: coder.lanes(streams[c]), bytes: streams[c].length };
        const rate = async (call: () => unknown) => n / (await medianMs(call, timeMs)) / 1e3;
        add({ ...of, op: "encode" }, await rate(() => coder.encode(0)));
        add({ ...of, op: "decode" }, await rate(() => coder.decode(streams[c])));
      }
      for (const command of commands)
        for (const { codec: name, op, lanes, bytes, msymPerSecond } of runOutside(command, file, timeMs, folder)) {
          if (op !== "encode" && op !== "decode") throw new Error(`${command}: ${op} is neither encode nor decode`);
          if (round === 0) checkStream(name, folder, mine);
          add({ codec: name, lanes, bytes, op }, msymPerSecond);
        }
    }
    return [...figures.values()];
  } finally {
    progress.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Median of the ratios round by round. */
function times(a: Figure | undefined, b: Figure | undefined): string {
  if (!a || !b) return "";
  return median(a.msymPerSecond.map((rate, round) => rate / b.msymPerSecond[round])).toFixed(2);
}

function print(figures: readonly Figure[]): void {
  const twinOf = (codec: string) => {
    const at = ["latentwire-32", "latentwire-16", "latentwire-1", "compressai-stream"].indexOf(codec);
    return at < 0 ? undefined : SAME[at].twin;
  };
  const peers = [...new Set(figures.map((figure) => figure.codec))].filter(
    (codec) => twinOf(codec) === undefined && !codec.startsWith("native-"),
  );
  const head = ["workload", "op", "codec", "lanes", "Msym/s", "bytes", "x native", ...peers.map((name) => `x ${name}`)];
  const rows = figures.map((figure) => {
    const other = (codec: string | undefined) =>
      figures.find((one) => one.workload === figure.workload && one.op === figure.op && one.codec === codec);
    return [
      figure.workload,
      figure.op,
      figure.codec,
      figure.lanes === null ? "" : String(figure.lanes),
      median(figure.msymPerSecond).toFixed(0),
      String(figure.bytes),
      times(figure, other(twinOf(figure.codec))),
      ...peers.map((peer) => (peer === figure.codec ? "" : times(figure, other(peer)))),
    ];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

async function run(): Promise<void> {
  const { values: args } = parseArgs({
    options: {
      only: { type: "string", default: "W1,W2" },
      "peer-command": { type: "string", multiple: true, default: [] },
      time: { type: "string", default: "300" },
      rounds: { type: "string", default: "5" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (args.help) return console.log(HELP);
  const [timeMs, rounds] = [Number(args.time), Number(args.rounds)];
  if (!(timeMs > 0) || !(rounds >= 1)) throw new Error("--time and --rounds: numbers above 0 are wanted");
  const codec = await create();
  const makers: Record<string, (of: Codec) => Workload> = { W1: w1, W2: w2 };
  const commands: string[] = [];
  const twin = compileTwin();
  if ("program" in twin) commands.push(twin.program);
  else console.error(`bench/native is left out: ${twin.reason}`);
  const python = pythonPeers();
  if ("command" in python) commands.push(python.command);
  else console.error(`Python's coders are left out: ${python.reason}`);
  commands.push(...args["peer-command"]);
  const figures: Figure[] = [];
  for (const name of args.only.split(",")) {
    if (!makers[name]) throw new Error(`--only ${name}: choose from ${Object.keys(makers).join(" ")}`);
    figures.push(...(await compare(codec, makers[name](codec), commands, timeMs, rounds)));
  }
  if (!args.json) return print(figures);
  const results = figures.map((figure) => ({ ...figure, msymPerSecond: median(figure.msymPerSecond) }));
  console.log(JSON.stringify({ node: process.version, version: packageVersion(), results }));
}

program(run);

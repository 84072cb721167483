import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Codec, create } from "latentwire";
import { bar, columns, command, timeOption, whole } from "./command.js";
import { compile } from "./compile.js";
import { latentwire } from "./contenders.js";
import { packageVersion } from "./machine.js";
import { median } from "./numbers.js";
import { medianMs, medianRatio } from "./timing.js";
import { MAKERS, type Workload, writeWorkload } from "./workloads.js";

const HELP = `npm run bench:native -- [options]

Ours and programs outside on the same symbols, in turns: bench/native (C++, the same streams), and programs of yours. For CompressAI
as Python calls it: --peer-command "python3 bench/peers.py".

  --only W1,W2        workloads
  --peer-command CMD  another program; may be given several times (docs/benchmarks.md says what it gets and prints)
  --time MS           how long a figure is measured in a round (default 300)
  --rounds N          (default 5)
  --json              print one JSON object and nothing else
  --help`;

/** Our codecs and the name under which a program writes the same stream, byte for byte: bench/native/twin.cpp's, or CompressAI's. */
const SAME = [
  { ours: "latentwire-32", theirs: "native-32", options: { header: "none", lanes: 32 } },
  { ours: "latentwire-16", theirs: "native-16", options: { header: "none", lanes: 16 } },
  { ours: "latentwire-1", theirs: "", options: { header: "none", lanes: 1 } },
  { ours: "compressai-stream", theirs: "compressai", options: { header: "none", stream: "compressai" } },
] as const;
const OPS = ["encode", "decode"] as const;

/** What a program has measured: docs/benchmarks.md, "Programs beside ours". */
interface Outside {
  readonly codec: string;
  readonly op: "encode" | "decode";
  readonly lanes: number | null;
  readonly msymPerSecond: number;
  readonly bytes: number;
}

/** Runs `command WORKLOAD MILLISECONDS FOLDER` and reads the JSON array that it prints. Its streams are in FOLDER/CODEC.bin. */
function runOutside(command: string, workload: string, timeMs: number, folder: string): Outside[] {
  const [program, ...args] = command.split(" ").filter(Boolean);
  const printed = execFileSync(program, [...args, workload, String(timeMs), folder], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const found: Outside[] = JSON.parse(printed);
  for (const { op } of found)
    if (op !== "encode" && op !== "decode") throw new Error(`${command}: ${op} is neither encode nor decode`);
  return found;
}

interface Figure extends Omit<Outside, "msymPerSecond"> {
  readonly workload: string;
  /** One per round, so that ratios are taken within a round. */
  readonly msymPerSecond: number[];
}

async function compare(codec: Codec, workload: Workload, commands: string[], timeMs: number, rounds: number) {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-bench-"));
  const progress = bar(workload.name, rounds);
  const figures = new Map<string, Figure>();
  const add = ({ msymPerSecond, ...of }: Outside) => {
    const key = `${of.codec} ${of.op}`;
    const figure = figures.get(key) ?? { workload: workload.name, ...of, msymPerSecond: [] };
    figure.msymPerSecond.push(msymPerSecond);
    figures.set(key, figure);
  };
  try {
    const file = join(folder, "workload.bin");
    writeWorkload(workload, file);
    const own = SAME.map(({ ours, theirs, options }) => {
      const coder = latentwire(codec, workload, options);
      return { ours, coder, theirs, stream: coder.encode(0).slice() };
    });
    /** A stream left by a program must be ours, if it is one of ours or CompressAI's. */
    const check = (name: string) => {
      const expected = own.find(({ theirs }) => theirs !== "" && name.startsWith(theirs))?.stream;
      const left = join(folder, `${name}.bin`);
      if (expected && existsSync(left) && !readFileSync(left).equals(expected))
        throw new Error(`${name} writes other bytes than ours`);
    };
    for (let round = 0; round < rounds; round++) {
      progress.step(`round ${round + 1}`);
      for (const { ours, coder, stream } of own) {
        const calls = { encode: () => void coder.encode(0), decode: () => void coder.decode(stream) };
        for (const op of OPS) {
          const msymPerSecond = workload.rows.length / (await medianMs(calls[op], timeMs)) / 1e3;
          add({ codec: ours, op, lanes: coder.lanes(stream), bytes: stream.length, msymPerSecond });
        }
      }
      for (const command of commands)
        for (const figure of runOutside(command, file, timeMs, folder)) {
          if (round === 0) check(figure.codec);
          add(figure);
        }
    }
    return [...figures.values()];
  } finally {
    progress.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Every figure, its speed over that of the twin's same stream and over that of each peer. */
function print(figures: readonly Figure[]): void {
  const names = [...new Set(figures.map(({ codec }) => codec))];
  const peers = names.filter((name) => !name.startsWith("native-") && !SAME.some(({ ours }) => ours === name));
  const head = ["workload", "op", "codec", "lanes", "Msym/s", "bytes", "x native", ...peers.map((name) => `x ${name}`)];
  const rows = figures.map((figure) => {
    const { workload, op, codec, lanes, bytes, msymPerSecond } = figure;
    const times = (other: string | undefined) => {
      const found = figures.find((one) => one.workload === workload && one.op === op && one.codec === other);
      return found ? medianRatio(msymPerSecond, found.msymPerSecond).toFixed(2) : "";
    };
    return [
      ...[workload, op, codec, String(lanes ?? ""), median(msymPerSecond).toFixed(0), String(bytes)],
      times(SAME.find(({ ours }) => ours === codec)?.theirs),
      ...peers.map((peer) => (peer === codec ? "" : times(peer))),
    ];
  });
  console.log(columns(head, rows, 3).join("\n"));
}

const OPTIONS = {
  only: { type: "string", default: "W1,W2" },
  "peer-command": { type: "string", multiple: true },
  time: { type: "string", default: "300" },
  rounds: { type: "string", default: "5" },
  json: { type: "boolean", default: false },
} as const;

command(HELP, OPTIONS, async (args) => {
  const [timeMs, rounds] = [timeOption(args.time), whole("rounds", args.rounds)];
  const codec = await create();
  const commands = [...(args["peer-command"] ?? [])];
  const twin = compile("twin");
  if ("command" in twin) commands.unshift(twin.command);
  else console.error(`bench/native is left out: ${twin.reason}`);
  const figures: Figure[] = [];
  for (const name of args.only.split(",")) {
    if (!MAKERS[name]) throw new Error(`--only ${name}: choose from ${Object.keys(MAKERS).join(" ")}`);
    figures.push(...(await compare(codec, MAKERS[name](codec), commands, timeMs, rounds)));
  }
  if (!args.json) return print(figures);
  const results = figures.map((figure) => ({ ...figure, msymPerSecond: median(figure.msymPerSecond) }));
  console.log(JSON.stringify({ node: process.version, version: packageVersion(), results }));
});

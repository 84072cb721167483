import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Codec } from "latentwire";
import { latentwire } from "../contenders.js";
import { columns, type Progress } from "../terminal.js";
import { inTurns, medianRatio } from "../timing.js";
import type { Workload } from "../workloads.js";

/** How much faster this build is than another one of the package. */
export interface BaselineFigure {
  readonly workload: string;
  readonly op: "encode" | "decode";
  readonly codec: string;
  readonly ratio: number;
}

const STREAMS = {
  latentwire: {},
  "latentwire-bare": { header: "none" },
  "compressai-stream": { stream: "compressai", header: "none" },
} as const;

export const BASELINE_STEPS = Object.keys(STREAMS).length;

/** The codec of the package that lies, built, in `folder`. */
export async function loadBaseline(folder: string): Promise<Codec> {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { create } = await import(pathToFileURL(resolve(folder, manifest.exports["."].default)).href);
  return create();
}

/** Both builds in turns. Each makes its own packets: the byte format of the other may be an older one. */
export async function beside(
  codec: Codec,
  other: Codec,
  make: (codec: Codec) => Workload,
  timeMs: number,
  progress: Progress,
): Promise<BaselineFigure[]> {
  const figures: BaselineFigure[] = [];
  const workloads = [codec, other].map((of) => ({ of, workload: make(of) }));
  for (const [name, options] of Object.entries(STREAMS)) {
    progress.step(`${workloads[0].workload.name} ${name} beside the baseline`);
    const coders = workloads.map(({ of, workload }) => latentwire(name, of, workload, options));
    const packets = coders.map((coder) => coder.encode(0).slice());
    const calls = {
      encode: coders.map((c) => () => void c.encode(0)),
      decode: coders.map((c, i) => () => void c.decode(packets[i])),
    };
    for (const op of ["encode", "decode"] as const) {
      const [ours, theirs] = await inTurns(calls[op], timeMs, 5);
      figures.push({ workload: workloads[0].workload.name, op, codec: name, ratio: medianRatio(theirs, ours) });
    }
  }
  return figures;
}

export function printBaseline(folder: string, figures: readonly BaselineFigure[]): void {
  const rows = figures.map(({ workload, op, codec, ratio }) => [workload, op, codec, `${ratio.toFixed(2)}x`]);
  console.log(columns(["workload", "op", "codec", `of ${folder}`], rows, 3).join("\n"));
}

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Op } from "./tasks.js";

/** What a program outside has measured: docs/benchmarks.md, "Programs beside ours". */
export interface Outside {
  readonly codec: string;
  readonly op: Op;
  readonly lanes: number | null;
  readonly msymPerSecond: number;
  readonly bytes: number;
}

/** Runs `command WORKLOAD MILLISECONDS FOLDER` and reads the JSON array that it prints. Its streams are in FOLDER/CODEC.bin. */
export function runOutside(command: string, workload: string, timeMs: number, folder: string): Outside[] {
  const [program, ...args] = command.split(" ").filter(Boolean);
  const printed = execFileSync(program, [...args, workload, String(timeMs), folder], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(printed);
}

/** The command that measures what Python can import, or a line that says why there is none. */
export function pythonPeers(): { command: string } | { reason: string } {
  const python = process.env.PYTHON ?? "python3";
  const found =
    "import importlib.util as u; print(sum(u.find_spec(n) is not None for n in ('compressai', 'constriction')))";
  try {
    if (execFileSync(python, ["-c", found], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim() === "0")
      return { reason: `${python} can import neither compressai nor constriction` };
  } catch {
    return { reason: `${python} cannot be started` };
  }
  return { command: `${python} ${fileURLToPath(new URL("peers.py", import.meta.url))}` };
}

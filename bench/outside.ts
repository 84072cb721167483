/** Programs outside that `npm run bench:native` measures beside ours. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a program has measured: docs/benchmarks.md, "Programs beside ours". */
export interface Outside {
  readonly codec: string;
  readonly op: "encode" | "decode";
  readonly lanes: number | null;
  readonly msymPerSecond: number;
  readonly bytes: number;
}

/** A command, or a line that says why there is none. */
export type Found = { readonly command: string } | { readonly reason: string };

/** Runs `command WORKLOAD MILLISECONDS FOLDER` and reads the JSON array that it prints. Its streams are in FOLDER/CODEC.bin. */
export function runOutside(command: string, workload: string, timeMs: number, folder: string): Outside[] {
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

/** What a command prints; undefined where it cannot be run. */
function printed(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
// AVX, as V8 emits it: AVX-512 has twice the registers and its own masks, which no engine gives to Wasm.
const FLAGS = ["-O3", "-march=native", "-mno-avx512f", "-std=c++17"];

/** The compiled bench/native/twin.cpp. */
export function compileTwin(): Found {
  if (process.arch !== "x64") return { reason: `bench/native is written for x86-64, this is ${process.arch}` };
  const compiler = [process.env.CXX, "g++", "clang++"].find((name) => name && printed(name, "--version") !== undefined);
  if (!compiler) return { reason: "no C++ compiler found (CXX, g++, clang++)" };
  const [source, cache] = [here("native"), here("../.cache")];
  mkdirSync(cache, { recursive: true });
  const command = join(cache, "twin");
  const newest = Math.max(...readdirSync(source).map((name) => statSync(join(source, name)).mtimeMs));
  if (!existsSync(command) || statSync(command).mtimeMs < newest)
    execFileSync(compiler, [...FLAGS, join(source, "twin.cpp"), "-o", command], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  return { command };
}

/** The command that measures CompressAI's coder as Python calls it. */
export function pythonPeer(): Found {
  const python = process.env.PYTHON ?? "python3";
  const found = printed(python, "-c", "import importlib.util as u; print(u.find_spec('compressai') is not None)");
  if (found === undefined) return { reason: `${python} cannot be started` };
  if (found.trim() !== "True") return { reason: `${python} cannot import compressai` };
  return { command: `${python} ${here("peers.py")}` };
}

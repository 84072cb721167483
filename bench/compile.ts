import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("native", import.meta.url));
const CACHE = fileURLToPath(new URL("../.cache", import.meta.url));
// AVX, as V8 emits it: AVX-512 has twice the registers and its own masks, which no engine gives to Wasm.
const FLAGS = ["-O3", "-march=native", "-mno-avx512f", "-std=c++17"];

function runs(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The compiled bench/native/twin.cpp, or a line that says why there is none. */
export function compileTwin(): { program: string } | { reason: string } {
  if (process.arch !== "x64") return { reason: `bench/native is written for x86-64, this is ${process.arch}` };
  const compiler = [process.env.CXX, "g++", "clang++"].find((name) => name && runs(name, "--version"));
  if (!compiler) return { reason: "no C++ compiler found (CXX, g++, clang++)" };
  mkdirSync(CACHE, { recursive: true });
  const program = join(CACHE, "twin");
  const newest = Math.max(...readdirSync(SOURCE).map((name) => statSync(join(SOURCE, name)).mtimeMs));
  if (!existsSync(program) || statSync(program).mtimeMs < newest)
    execFileSync(compiler, [...FLAGS, join(SOURCE, "twin.cpp"), "-o", program], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  return { program };
}

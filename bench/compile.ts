/** Programs of bench/native, compiled when they are needed. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
// AVX, as V8 emits it: AVX-512 has twice the registers and its own masks, which no engine gives to Wasm.
const FLAGS = ["-O3", "-march=native", "-mno-avx512f", "-std=c++17", "-fwrapv", "-Wno-ignored-attributes"];

/** What a command prints; undefined where it cannot be run. */
function printed(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}

/** The compiled bench/native/NAME.cpp in `.cache`, or why there is none. */
export function compile(name: string): { readonly command: string } | { readonly reason: string } {
  if (process.arch !== "x64") return { reason: `bench/native is written for x86-64, this is ${process.arch}` };
  const compiler = [process.env.CXX, "g++", "clang++"].find((name) => name && printed(name, "--version") !== undefined);
  if (!compiler) return { reason: "no C++ compiler found (CXX, g++, clang++)" };
  const [source, cache] = [here("native"), here("../.cache")];
  mkdirSync(cache, { recursive: true });
  const command = join(cache, name);
  const newest = Math.max(...readdirSync(source).map((file) => statSync(join(source, file)).mtimeMs));
  if (!existsSync(command) || statSync(command).mtimeMs < newest)
    execFileSync(compiler, [...FLAGS, join(source, `${name}.cpp`), "-o", command], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  return { command };
}

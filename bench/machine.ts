import { createRequire } from "node:module";
import { cpus } from "node:os";

/** What the figures were taken with. */
export interface Machine {
  readonly version: string;
  readonly node: string;
  readonly cpu: string;
  readonly onnxruntime: string;
  readonly threads: number;
  readonly simd: boolean;
  readonly date: string;
}

const require = createRequire(import.meta.url);

export function packageVersion(): string {
  return require("latentwire/package.json").version;
}

export function machine(threads: number, simd: boolean): Machine {
  return {
    version: packageVersion(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? "unknown processor",
    onnxruntime: require("onnxruntime-node/package.json").version,
    threads,
    simd,
    date: new Date().toISOString().slice(0, 10),
  };
}

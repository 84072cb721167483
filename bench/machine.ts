import { createRequire } from "node:module";
import { cpus } from "node:os";

const require = createRequire(import.meta.url);

export function packageVersion(): string {
  return require("latentwire/package.json").version;
}

/** What the figures were taken with. */
export type Machine = Readonly<ReturnType<typeof machine>>;

export function machine(threads: number, simd: boolean) {
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

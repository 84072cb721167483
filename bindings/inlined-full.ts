/** As inlined.ts, for the two full builds. */
import { fullBinary, fullScalarBinary } from "./binary-full.js";
import { simdSupported } from "./instantiate.js";
import { fromText } from "./text.js";

// One compilation per build and realm, shared by all codecs.
const modules: { simd?: WebAssembly.Module; scalar?: WebAssembly.Module } = {};

const choose = (simd = true): "simd" | "scalar" => (simd && simdSupported() ? "simd" : "scalar");
const binary = (build: "simd" | "scalar") => fromText(build === "simd" ? fullBinary : fullScalarBinary);

export async function inlinedFull(simd?: boolean): Promise<WebAssembly.Module> {
  const build = choose(simd);
  modules[build] ??= await WebAssembly.compile(binary(build));
  return modules[build];
}

export function inlinedFullSync(simd?: boolean): WebAssembly.Module {
  const build = choose(simd);
  modules[build] ??= new WebAssembly.Module(binary(build));
  return modules[build];
}

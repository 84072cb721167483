/** The two builds that the package carries as text, compiled when first asked for. */
import { scalarBinary, simdBinary } from "./binary.js";
import { simdSupported } from "./instantiate.js";
import { fromText } from "./text.js";

// One compilation per build and realm, shared by all codecs.
const modules: { simd?: WebAssembly.Module; scalar?: WebAssembly.Module } = {};

const choose = (simd = true): "simd" | "scalar" => (simd && simdSupported() ? "simd" : "scalar");
const binary = (build: "simd" | "scalar") => fromText(build === "simd" ? simdBinary : scalarBinary);

/** `simd: false` asks for the scalar build; without SIMD in the engine it comes unasked. */
export async function inlined(simd?: boolean): Promise<WebAssembly.Module> {
  const build = choose(simd);
  modules[build] ??= await WebAssembly.compile(binary(build));
  return modules[build];
}

export function inlinedSync(simd?: boolean): WebAssembly.Module {
  const build = choose(simd);
  modules[build] ??= new WebAssembly.Module(binary(build));
  return modules[build];
}

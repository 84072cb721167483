/** Chooses, unpacks and compiles a build of assembly/. */
import { scalarBinary, simdBinary } from "./binary.js";
import { isModule } from "./memory.js";
import type { CreateOptions } from "./types.js";

// A module whose only function has v128 in it: valid exactly where the engine has fixed-width SIMD.
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

let hasSimd: boolean | undefined;

function simdSupported(): boolean {
  hasSimd ??= WebAssembly.validate(SIMD_PROBE);
  return hasSimd;
}

// One compilation per build and realm, shared by all codecs.
const modules: { simd?: WebAssembly.Module; scalar?: WebAssembly.Module } = {};

/** The build that the package carries as text, compiled when first asked for, or what the caller has. */
export async function moduleOf({ module, simd = true }: CreateOptions): Promise<WebAssembly.Module> {
  if (module !== undefined) return isModule(module) ? module : WebAssembly.compile(module);
  const build = simd && simdSupported() ? "simd" : "scalar";
  modules[build] ??= await WebAssembly.compile(fromText(build === "simd" ? simdBinary : scalarBinary));
  return modules[build];
}

/** {@link moduleOf} without waiting. */
export function moduleOfSync({ module, simd = true }: CreateOptions): WebAssembly.Module {
  if (module !== undefined) return isModule(module) ? module : new WebAssembly.Module(module);
  const build = simd && simdSupported() ? "simd" : "scalar";
  modules[build] ??= new WebAssembly.Module(fromText(build === "simd" ? simdBinary : scalarBinary));
  return modules[build];
}

/**
 * Bytes written by assembly/text.mjs as printable ASCII. Base64 shifts bytes against bit boundaries, which hides every repetition
 * from gzip: Wasm in it is 38 % larger after gzip than Wasm alone, in this form 3 %.
 */
function fromText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  let n = 0;
  let high = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code === 32 ? 57 : code === 33 ? 25 : code - 35;
    if (digit >= 90) high = (digit - 89) * 90;
    else {
      bytes[n++] = high + digit - 4;
      high = 0;
    }
  }
  return bytes.slice(0, n);
}

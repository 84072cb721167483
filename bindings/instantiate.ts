/** Chooses a build of the codec, compiles it and makes an instance of it. */
import { ABI_VERSION, type Exports } from "./abi.js";
import { codecOver } from "./codec.js";
import { CodecError, shown, tag } from "./errors.js";
import { Memory } from "./memory.js";
import { checkOptions } from "./options.js";
import { isRight } from "./proof.js";

import type { Build, BuildName, Codec, CreateOptions } from "./types.js";

/** What an entry of the package brings: the build inside it, and how it loads the others. */
export interface Builds {
  /** A compiled module says that the host has SIMD. */
  readonly own: Build | WebAssembly.Module;
  readonly load: Readonly<Record<"scalar" | "javascript", () => Promise<Build>>>;
}

/** What a codec can be made of at once: compiled WebAssembly, or the build in JavaScript. */
export type Ready = WebAssembly.Module | Build;

/**
 * What the options of `create` ask for, loaded and compiled. Throws TypeError, `BUILD_MISSING`, `WASM_BLOCKED`,
 * `LIMIT_EXCEEDED`.
 */
export async function readyFrom(builds: Builds, options: CreateOptions): Promise<Ready> {
  const ready = await compiled(builds, chosen("create", builds, options));
  return isTrusted(ready) ? ready : compiled(builds, "scalar");
}

async function compiled(builds: Builds, wanted: Source | Loadable): Promise<Ready> {
  const source = isLoadable(wanted) ? await loaded(builds, wanted) : wanted;
  const known = knownAs(source);
  if (known) return known;
  return remember(source, await WebAssembly.compile(bytesOf(source)).catch(blocked));
}

/** {@link readyFrom} without waiting: what would have to be loaded is `BUILD_MISSING`. */
export function readySyncFrom(builds: Builds, options: CreateOptions): Ready {
  const source = chosen("createSync", builds, options);
  if (isLoadable(source)) throw missing(source);
  const ready = knownAs(source) ?? compiledSync(source);
  if (!isTrusted(ready)) throw missing("scalar");
  return ready;
}

function compiledSync(source: Source): Ready {
  const bytes = bytesOf(source);
  try {
    return remember(source, new WebAssembly.Module(bytes));
  } catch (error) {
    blocked(error);
  }
}

// Modules that have been tried.
const trusted = new WeakSet<Ready>();

/** Whether a module computes rightly in this engine. Only SIMD is in doubt. */
function isTrusted(ready: Ready): boolean {
  if (isBuild(ready) || trusted.has(ready)) return true;
  const codec = codecOf(ready);
  if (codec.simd && !isRight(codec)) return false;
  trusted.add(ready);
  return true;
}

// ---- which build

const NAMES: readonly BuildName[] = ["simd", "scalar", "javascript"];

type Source = Ready | ArrayBuffer | ArrayBufferView;
type Loadable = "scalar" | "javascript";

// A module whose only function has v128 in it: valid exactly where the engine has fixed-width SIMD.
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

let hasSimd: boolean | undefined;

/** The best build that this engine can run. */
function bestBuild(): BuildName {
  if (typeof WebAssembly === "undefined") return "javascript";
  hasSimd ??= WebAssembly.validate(SIMD_PROBE);
  return hasSimd ? "simd" : "scalar";
}

const isLoadable = (source: unknown): source is Loadable => source === "scalar" || source === "javascript";

/** What the options ask for; a name where it has to be loaded. */
function chosen(call: string, { own }: Builds, options: CreateOptions): Source | Loadable {
  const { module, build: wanted } = checkOptions(call, options, ["build", "module"]);
  if (module !== undefined) {
    if (wanted !== undefined) throw new TypeError("build and module: give one");
    return module as Source;
  }
  const build = wanted ?? (isModule(own) ? "simd" : bestBuild());
  if (isBuild(build)) return build;
  if (typeof build !== "string" || !NAMES.includes(build))
    throw new TypeError(
      `build must be "simd", "scalar", "javascript" or what latentwire/scalar exports, not ${shown(build)}`,
    );
  return build === "simd" ? own : build;
}

const isBuild = (value: unknown): value is Build => {
  const { text, instantiate } = Object(value) as Build;
  return typeof text === "string" || typeof instantiate === "function";
};

async function loaded({ load }: Builds, name: Loadable): Promise<Build> {
  try {
    return await load[name]();
  } catch (error) {
    throw missing(name, error);
  }
}

function missing(name: Loadable, cause?: unknown): CodecError {
  const need = name === "scalar" ? "SIMD is missing here or computes wrongly" : "WebAssembly is missing here";
  return new CodecError(
    "BUILD_MISSING",
    `the build "${name}" is not loaded (asked for, or ${need}): import { ${name} } from "latentwire/${name}" and pass { build: ${name} }`,
    { cause },
  );
}

// ---- compiling

// One compilation per build and realm, shared by all codecs.
const modules = new WeakMap<Build, WebAssembly.Module>();

/** Whether it is compiled Wasm, of any realm. */
const isModule = (value: unknown): value is WebAssembly.Module => tag(value) === "WebAssembly.Module";

/** What needs no compiling any more. */
function knownAs(source: Source): Ready | undefined {
  if (isBuild(source)) return source.instantiate ? source : modules.get(source);
  return isModule(source) ? source : undefined;
}

function remember(source: Source, module: WebAssembly.Module): WebAssembly.Module {
  if (isBuild(source)) modules.set(source, module);
  return module;
}

/** The bytes to compile. Throws TypeError where they are no WebAssembly that this engine runs. */
function bytesOf(source: Source): Uint8Array<ArrayBuffer> {
  if (typeof WebAssembly === "undefined") throw missing("javascript");
  if (isBuild(source)) return fromText(source.text!);
  const bytes = source as Uint8Array<ArrayBuffer>;
  let valid = false;
  try {
    valid = WebAssembly.validate(bytes);
  } catch {
    // Not bytes at all.
  }
  if (!valid) throw new TypeError("module must be latentwire/codec.wasm");
  return bytes;
}

/** The module is valid, so what failed is the permission, or memory. */
function blocked(cause: unknown): never {
  if ((cause as Error | null)?.name === "RangeError")
    throw new CodecError("LIMIT_EXCEEDED", "no memory for the codec", { cause });
  throw new CodecError(
    "WASM_BLOCKED",
    "this page or host forbids compiling WebAssembly: allow 'wasm-unsafe-eval' in its Content-Security-Policy, " +
      "pass { module } that the host has compiled, or { build: javascript } from latentwire/javascript",
    { cause },
  );
}

/**
 * Bytes written by assembly/text.mjs as printable ASCII. Base64 shifts bytes against bit boundaries, which hides every
 * repetition from gzip: Wasm in it is 38 % larger after gzip than Wasm alone, in this form 3 %.
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

// ---- an instance

/** A codec with memory of its own. Throws TypeError for a module that is not this release's, `LIMIT_EXCEEDED`, `BIG_ENDIAN`. */
export function codecOf(ready: Ready): Codec {
  // Wasm memory is little-endian. The views of class Memory have the byte order of the processor.
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1)
    throw new CodecError("BIG_ENDIAN", "this processor is big-endian: use a little-endian one, such as x64 or ARM64");
  const exports = exportsOf(ready);
  if (typeof exports.abiVersion !== "function") throw new TypeError("module must be latentwire/codec.wasm");
  if (exports.abiVersion() !== ABI_VERSION) throw new TypeError("module is latentwire/codec.wasm of another release");
  const name = isBuild(ready) ? "javascript" : exports.simdBuild!() === 1 ? "simd" : "scalar";
  return codecOver(new Memory(exports as Exports, name, () => exportsOf(ready) as Exports));
}

function exportsOf(ready: Ready): Partial<Exports> {
  if (isBuild(ready)) return ready.instantiate!();
  try {
    return new WebAssembly.Instance(ready as WebAssembly.Module).exports as unknown as Partial<Exports>;
  } catch (cause) {
    if ((cause as Error | null)?.name === "RangeError")
      throw new CodecError("LIMIT_EXCEEDED", "no memory for the codec", { cause });
    // WebKit compiles in spite of the policy and refuses the instance.
    if ((cause as Error | null)?.name === "CompileError") blocked(cause);
    throw new TypeError("module must be latentwire/codec.wasm", { cause });
  }
}

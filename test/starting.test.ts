// How a codec begins: which build an engine gets, which one a caller asks for, and what is said where that build cannot run.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { type Codec, create, createSync } from "latentwire";
import { javascript } from "latentwire/javascript";
import { scalar } from "latentwire/scalar";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isContextRight, isRight } from "../bindings/proof.js";
import { featureMap, random } from "./cases.js";
import { contextSample, randomNetwork } from "./context-cases.js";
import { rejects, throwMistakes, throwsCode, throwsMistake } from "./expect.js";
import { root } from "./pack.js";

const sample = featureMap(5, 12, 16, 0.005);
const packetOf = (codec: Codec) => codec.encode(sample.latent, sample.prior(codec));
const expected = packetOf(createSync());
const fileOf = (name: string) => readFileSync(new URL(import.meta.resolve(`latentwire/${name}`)));

/** Codecs by what was asked for. All must write the same packet. */
function are(name: "simd" | "scalar" | "javascript", codecs: Codec[]): void {
  for (const codec of codecs) {
    assert.equal([codec.build, codec.simd], [name, name === "simd"]);
    assert.equal(packetOf(codec), expected);
  }
}

test("by name, by value, or as a module: every way to a build, the same bytes", async () => {
  are("simd", [await create(), createSync(), await create({ build: "simd" }), createSync({ build: "simd" })]);
  are("scalar", [await create({ build: "scalar" }), await create({ build: scalar }), createSync({ build: scalar })]);
  const byName = await create({ build: "javascript" });
  are("javascript", [byName, await create({ build: javascript }), createSync({ build: javascript })]);
  for (const [name, file] of Object.entries({ simd: "codec.wasm", scalar: "codec.scalar.wasm" } as const)) {
    const bytes = new Uint8Array(fileOf(file));
    const foreign = runInNewContext("(bytes) => new Uint8Array(bytes)")(bytes);
    for (const module of [bytes, bytes.buffer, foreign, new WebAssembly.Module(bytes)])
      are(name as "simd", [await create({ module }), createSync({ module })]);
  }
});

test("what asks for no build is refused", async () => {
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  // It imports a function, and the codec gives a module nothing.
  const importing = Uint8Array.of(...empty, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0);
  const calls: [unknown, string][] = [
    [{ simd: false }, '"simd"'],
    [{ build: "fast" }, "build"],
    [{ build: {} }, "build"],
    [{ build: scalar, module: empty }, "build and module"],
    [{ module: empty }, "codec.wasm"],
    [{ module: Uint8Array.of(1, 2, 3) }, "codec.wasm"],
    [{ module: new WebAssembly.Module(empty) }, "codec.wasm"],
    [{ module: new WebAssembly.Module(importing) }, "codec.wasm"],
    [{ module: "codec.wasm" }, "codec.wasm"],
    [null, "options"],
  ];
  throwMistakes(calls.map(([options, name]) => [TypeError, name, () => createSync(options as never)]));
  for (const [options, name] of calls) await rejects(create(options as never), TypeError, new RegExp(name));
});

test("createSync cannot load: BUILD_MISSING says what to import and pass", () => {
  for (const name of ["scalar", "javascript"] as const)
    throwsCode(
      () => createSync({ build: name }),
      "BUILD_MISSING",
      new RegExp(`import { ${name} } from "latentwire/${name}" and pass { build: ${name} }`),
    );
});

test("create that cannot load says the same", async () => {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-starting-"));
  try {
    cpSync(join(root, "dist/bindings"), folder, { recursive: true });
    for (const name of ["scalar", "javascript"]) rmSync(join(folder, `${name}.js`));
    const { status, stderr } = inProcess(`
      const { create } = await import(${JSON.stringify(pathToFileURL(join(folder, "index.js")).href)});
      for (const build of ["scalar", "javascript"])
        await create({ build }).then(() => { throw new Error(build); }, ({ code, message, cause }) => {
          if (code !== "BUILD_MISSING" || !message.includes("latentwire/" + build) || !cause) throw new Error(message);
        });`);
    assert.is(status, 0, stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A process of its own, where the engine can be made to lack something before the package is loaded. */
function inProcess(code: string) {
  return spawnSync(process.execPath, ["--input-type=module", "-e", code], { cwd: root, encoding: "utf8" });
}

const engines: Record<string, [string, "scalar" | "javascript"]> = {
  "an engine without SIMD": ["WebAssembly.validate = (bytes) => bytes.length > 100;", "scalar"],
  "an engine without WebAssembly": ["delete globalThis.WebAssembly;", "javascript"],
};

for (const [what, [prepare, build]] of Object.entries(engines))
  test(`${what} gets the build "${build}", and createSync says what it needs`, () => {
    const { status, stdout, stderr } = inProcess(`${prepare}
      const { create, createSync } = await import("latentwire");
      const { ${build} } = await import("latentwire/${build}");
      let code;
      try { createSync(); } catch (error) { code = error.code + " " + error.message; }
      const latent = { type: "int8", dims: [1, 1, 9], data: Int8Array.of(0, 1, 0, -1, 0, 2, 0, 0, 1) };
      const packets = [await create(), createSync({ build: ${build} })].map((codec) => {
        const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 9000, 50000, 60000, 65536]] });
        const packet = codec.encode(latent, prior);
        if (String(codec.decode(packet, prior).data) !== String(latent.data)) throw new Error("other symbols");
        return codec.build + " " + Buffer.from(packet).toString("hex");
      });
      console.log(JSON.stringify({ code, packets }));`);
    assert.is(status, 0, stderr);
    const { code, packets } = JSON.parse(stdout);
    assert.match(code, new RegExp(`^BUILD_MISSING .*latentwire/${build}`));
    const codec = createSync();
    const latent = { type: "int8", dims: [1, 1, 9], data: Int8Array.of(0, 1, 0, -1, 0, 2, 0, 0, 1) };
    const prior = codec.factorized({ offsets: [-1], cdfs: [[0, 9000, 50000, 60000, 65536]] });
    const packet = `${build} ${Buffer.from(codec.encode(latent, prior)).toString("hex")}`;
    assert.equal(packets, [packet, packet]);
  });

test("a processor with the other order of bytes: BIG_ENDIAN, whichever build is asked for", () => {
  // What `npm run test:engines -- s390x` shows on such a processor. Here arrays of 16 bits only seem to have that order.
  const { status, stdout, stderr } = inProcess(`
    const own = Uint16Array.of;
    Uint16Array.of = (...values) => own.call(Uint16Array, ...values.map((value) => value << 8));
    const { create } = await import("latentwire");
    for (const build of ["simd", "scalar", "javascript"])
      await create({ build }).catch(({ code, message }) => console.log(code, message));`);
  assert.is(status, 0, stderr);
  assert.match(stdout, /^(BIG_ENDIAN .*ARM64\n){3}$/);
});

/** A hook of Node's loader that makes a compiled module of a .wasm file, as these hosts do. */
const wasmHook = `data:text/javascript,${encodeURIComponent(`
  const source = (url) => 'import { readFileSync } from "node:fs";' +
    'export default new WebAssembly.Module(readFileSync(new URL("' + url + '")))';
  export const load = (url, context, next) =>
    /[.]wasm([?]module)?$/.test(url) ? { format: "module", shortCircuit: true, source: source(url) } : next(url, context);`)}`;

test("hosts that compile .wasm files beforehand: their entries take the module, and compile nothing", () => {
  for (const entry of ["workerd.js", "edge-light.js"]) {
    const { status, stdout, stderr } = inProcess(`
      import { register } from "node:module";
      register(${JSON.stringify(wasmHook)});
      const { create, createSync } = await import(${JSON.stringify(pathToFileURL(join(root, "dist/bindings", entry)).href)});
      WebAssembly.compile = () => Promise.reject(new WebAssembly.CompileError("Wasm code generation disallowed"));
      const codecs = [await create(), createSync(), await create({ build: "javascript" })];
      const refused = await create({ build: "scalar" }).catch(({ code }) => code);
      let missing;
      try { createSync({ build: "javascript" }); } catch ({ code }) { missing = code; }
      console.log([...codecs.map(({ build }) => build), refused, missing].join());`);
    assert.is(status, 0, stderr);
    assert.is(stdout, "simd,simd,javascript,WASM_BLOCKED,BUILD_MISSING\n", entry);
  }
});

/** A realm where the members of WebAssembly are these. */
async function withWebAssembly(members: object, run: () => unknown): Promise<void> {
  const own = Object.fromEntries(Object.keys(members).map((key) => [key, WebAssembly[key as "Module"]]));
  Object.assign(WebAssembly, members);
  try {
    await run();
  } finally {
    Object.assign(WebAssembly, own);
  }
}

test("a page that forbids compiling: WASM_BLOCKED says what allows it, and JavaScript runs", async () => {
  const refused = new WebAssembly.CompileError(
    "Refused to compile or instantiate WebAssembly module because 'unsafe-eval'",
  );
  const forbidden = {
    compile: () => Promise.reject(refused),
    Module: class {
      constructor() {
        throw refused;
      }
    },
  };
  // Modules that were compiled before stay usable, so these are new bytes.
  const module = new Uint8Array(fileOf("codec.wasm"));
  await withWebAssembly(forbidden, async () => {
    const message = /'wasm-unsafe-eval' .*Content-Security-Policy.*{ build: javascript } from latentwire\/javascript/;
    await rejects(create({ module }), "WASM_BLOCKED", message);
    throwsCode(() => createSync({ module }), "WASM_BLOCKED", message);
    are("javascript", [await create({ build: "javascript" }), createSync({ build: javascript })]);
  });
  are("simd", [createSync({ module })]);
});

/** The SIMD build with other instructions of the same type in place of some: what a faulty engine makes of it. */
function broken(from: number, to: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(fileOf("codec.wasm"));
  for (let i = 0; i + 1 < bytes.length; i++) {
    if (bytes[i] !== 0xfd || bytes[i + 1] !== from) continue;
    bytes[i + 1] = to;
    // Not every such pair of bytes is an instruction.
    if (!WebAssembly.validate(bytes)) bytes[i + 1] = from;
  }
  return bytes;
}

test("SIMD that computes wrongly is found, and the scalar build runs instead", async () => {
  for (const codec of codecsOf()) assert.ok(isRight(codec), codec.build);
  const instructions = { "i8x16.swizzle": [0x0e, 0x79], "i32x4.add": [0xae, 0xb1], "f32x4.div": [0xe7, 0xe6] };
  for (const [name, [from, to]] of Object.entries(instructions)) {
    const module = broken(from, to);
    assert.not.equal(module, new Uint8Array(fileOf("codec.wasm")), name);
    are("scalar", [await create({ module })]);
    throwsCode(() => createSync({ module }), "BUILD_MISSING", /computes wrongly.*latentwire\/scalar/);
  }
});

test("a context kernel that computes wrongly is found when the first context prior is made", () => {
  const own = random(5);
  const sample = contextSample(own, [1, 2, 5, 5], { parameters: randomNetwork(own, { channels: 2, H: 32 }) });
  const expected = codecsOf().map((codec) => {
    assert.ok(isContextRight(codec), codec.build);
    return codec.encode(sample.latent, sample.prior(codec));
  });
  assert.equal(expected[1], expected[0]);
  assert.equal(expected[2], expected[0]);
  // Instructions that only the kernel of contexts has: everything else works.
  const instructions = { "i32x4.dot_i16x8_s": [0xba, 0xb5], "i16x8.narrow_i32x4_s": [0x85, 0x86] };
  for (const [name, [from, to]] of Object.entries(instructions)) {
    const codec = createSync({ module: broken(from, to) });
    are("simd", [codec]);
    // Every time: a codec that has failed once is not trusted later.
    for (let turn = 0; turn < 2; turn++)
      throwsCode(
        () => sample.prior(codec),
        "BUILD_MISSING",
        /wrongly in the build "simd": create\({ build: "scalar" }\)/,
      );
    assert.not.ok(isContextRight(codec), name);
    are("simd", [codec]);
  }
});

const codecsOf = () => [createSync(), createSync({ build: scalar }), createSync({ build: javascript })];

test("memory that the host does not give is LIMIT_EXCEEDED", async () => {
  const full = class {
    constructor() {
      throw new RangeError("WebAssembly.Memory(): could not allocate memory");
    }
  };
  await withWebAssembly({ Instance: full }, async () => {
    throwsCode(() => createSync(), "LIMIT_EXCEEDED");
    await rejects(create(), "LIMIT_EXCEEDED");
  });
  const module = new Uint8Array(fileOf("codec.wasm"));
  const compile = () => Promise.reject(new RangeError("Out of memory"));
  await withWebAssembly({ compile }, () => rejects(create({ module }), "LIMIT_EXCEEDED"));
});

test("a codec of another release is refused", () => {
  const bytes = new Uint8Array(fileOf("codec.wasm"));
  const exports = { abiVersion: () => 0 };
  const { Instance } = WebAssembly;
  class Old {
    exports = exports;
  }
  WebAssembly.Instance = Old as never;
  try {
    throwsMistake(() => createSync({ module: bytes }), TypeError, "another release");
  } finally {
    WebAssembly.Instance = Instance;
  }
});

test.run();

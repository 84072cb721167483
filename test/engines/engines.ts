// The engines: where each is, what installs it, and how it runs the conformance script.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import typescript from "typescript";
import { root } from "../pack.js";
import { type Browser, browsers, serve } from "./browsers.js";
import type { Answer, Order } from "./conformance.js";
import type { extras } from "./extras.js";
import type { Place } from "./page.js";

/** A started engine. */
export interface Session {
  /** Answers an order in a place of the engine; "" is the program itself, "blocked" a page whose policy forbids Wasm. */
  run(order: Order, place: Place | "blocked" | ""): Promise<Answer>;
  extras?(): ReturnType<typeof extras>;
  close?(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** The line that installs it. */
  readonly install: string;
  /** Undefined where it is not installed. */
  start(bundle: string): Promise<Session | undefined>;
}

const { ScriptTarget, transpileModule } = typescript;
const execute = promisify(execFile);
/** What a program prints; the largest answers have some hundred kilobytes. */
const run = (file: string, args: string[], cwd = root) =>
  execute(file, args, { cwd, maxBuffer: 1 << 26, timeout: 300_000 });
const runtimes = join(root, ".cache/runtimes/node_modules");
const source = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The committed vectors as a module: not every engine can read files. */
function vectorsModule(): string {
  const folder = join(root, "test/vectors");
  const names = readdirSync(folder).filter((name) => /^(compressai-|pmf_|native-).*\.json$/.test(name));
  const entries = names.map((name) => `${JSON.stringify(name)}: ${readFileSync(join(folder, name), "utf8")}`);
  return `export default {${entries.join(",")}};`;
}

/** Bundles the script, the page and the pool's worker from the built package: every engine gets these files. */
export async function bundleTo(outdir: string): Promise<void> {
  const shared = { bundle: true, format: "esm", target: "es2022", outdir, absWorkingDir: root } as const;
  const page = { page: source("page.ts"), "pool-worker": "latentwire/pool-worker" };
  await build({
    ...shared,
    entryPoints: { conformance: source("conformance.ts"), ...page },
    splitting: true,
    external: ["node:*"],
  });
  writeFileSync(join(outdir, "vectors.js"), vectorsModule());
  // Older versions of Node take a .js file for a module only where this says so.
  writeFileSync(join(outdir, "package.json"), '{ "type": "module" }');
  // workerd is named by a condition of the package's exports: it takes codec.wasm as a module.
  const worker = "export default { fetch: async (request) => Response.json(await answer(await request.json())) };";
  await build({
    ...shared,
    stdin: {
      contents: `import { answer } from ${JSON.stringify(source("conformance.ts"))};\n${worker}`,
      resolveDir: root,
    },
    outdir: join(outdir, "workerd"),
    conditions: ["workerd"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
  });
}

/** A program that takes the order as an argument and prints the answer. All of `needed` must be there. */
function program(
  name: string,
  install: string,
  executables: (string | undefined)[],
  args: string[] = [],
  needed: string[] = [],
): Engine {
  return {
    name,
    install,
    async start(bundle) {
      const executable = executables.find((path) => path !== undefined && existsSync(path));
      if (executable === undefined || !needed.every((path) => existsSync(path))) return undefined;
      return {
        async run(order) {
          const script = [...args, join(bundle, "conformance.js"), JSON.stringify(order)];
          const { stdout } = await run(executable, script);
          return JSON.parse(stdout);
        },
      };
    },
  };
}

const fromNpm = "node test/engines/install.mjs";
const thisNode = process.version.split(".")[0]!.slice(1);

function nodeOf(major: string, ...flags: string[]): Engine {
  const own = thisNode === major ? process.execPath : undefined;
  const executables = [own, join(runtimes, `node${major}`, "bin/node")];
  return program(["node", major, ...flags].join(" "), fromNpm, executables, flags);
}

/** Each of V8's compilers alone, and a processor without AVX, where the baseline compiler has made wrong SIMD code. */
export const v8Settings = [
  ["--no-enable-avx"],
  ["--no-enable-avx", "--liftoff-only"],
  ["--liftoff-only"],
  ["--no-liftoff"],
] as const;

/** Node for another processor, with that processor made by QEMU's user mode. */
function emulated(processor: "arm64" | "s390x", qemu: string): Engine {
  const [system, node] = [`/usr/${qemu}-linux-gnu`, join(runtimes, `node-${processor}/bin/node`)];
  return program(`node ${processor}`, fromNpm, [`/usr/bin/qemu-${qemu}`], ["-L", system, node], [system, node]);
}

/** Cloudflare's runtime, by miniflare, which needs Node 22. */
const workerd: Engine = {
  name: "workerd",
  install: fromNpm,
  async start(bundle) {
    const node = [join(runtimes, "node22/bin/node"), process.execPath].find(existsSync);
    if (node === undefined || !existsSync(join(runtimes, "miniflare"))) return undefined;
    const file = (type: string, name: string) => ({ type, path: join(bundle, "workerd", name) });
    const modules = [file("ESModule", "stdin.js"), file("CompiledWasm", "codec.wasm")];
    const options = { modules, modulesRoot: join(bundle, "workerd"), compatibilityDate: "2026-01-01" };
    const script = `import { Miniflare } from "miniflare";
      const host = new Miniflare(${JSON.stringify(options)});
      const response = await host.dispatchFetch("http://host/", { method: "POST", body: process.argv[1] });
      console.log(await response.text());
      await host.dispose();`;
    return {
      async run(order) {
        const args = ["--input-type=module", "-e", script, JSON.stringify(order)];
        const { stdout } = await run(node, args, join(runtimes, ".."));
        return JSON.parse(stdout);
      },
    };
  },
};

/** The engine of React Native, which has no WebAssembly. It takes neither modules nor classes, so the script is compiled down for it. */
const hermes: Engine = {
  name: "hermes",
  install: fromNpm,
  async start(bundle) {
    const folder = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[process.platform as string];
    const executable = join(runtimes, "hermes-engine-cli", `${folder}`, "hermes");
    if (!existsSync(executable)) return undefined;
    const contents = `import { answer } from ${JSON.stringify(source("conformance.ts"))};
      answer(order).then((result) => print(JSON.stringify(result)));`;
    const stdin = { contents, resolveDir: root };
    const { outputFiles } = await build({ stdin, bundle: true, format: "iife", target: "es2020", write: false });
    const target = { target: ScriptTarget.ES5, downlevelIteration: true };
    const { outputText } = transpileModule(outputFiles[0]!.text, { compilerOptions: target });
    const script = join(bundle, "hermes.js");
    return {
      async run(order) {
        writeFileSync(script, `var order = ${JSON.stringify(order)};\n${outputText}`);
        const { stdout } = await run(executable, [script]);
        return JSON.parse(stdout);
      },
    };
  },
};

/** A browser, and every place that its page can open. */
function browserEngine({ name, executables, packages, open }: Browser): Engine {
  return {
    name,
    install: `apt-get install --no-install-recommends ${packages}`,
    async start(bundle) {
      const executable = executables.find((path) => path !== undefined && existsSync(path));
      if (executable === undefined) return undefined;
      const [window, site] = [await open(executable), await serve(bundle)];
      // Each order gets a fresh page: some take WebAssembly away from it.
      const evaluate = async (path: string, expression: string) => {
        await window.visit(`${site.url}/${path}`);
        return window.evaluate(expression);
      };
      return {
        run(order, place) {
          const [path, where] = place === "blocked" ? ["blocked", "page"] : ["", place || "page"];
          return evaluate(path, `conformance("${where}", ${JSON.stringify(order)})`) as Promise<Answer>;
        },
        extras: () => evaluate("", "extras()") as ReturnType<typeof extras>,
        async close() {
          await window.close();
          site.close();
        },
      };
    },
  };
}

const { BUN, DENO } = process.env;

export const engines: Engine[] = [
  ...["20", "22", "24"].flatMap((major) => [nodeOf(major), ...v8Settings.map((flags) => nodeOf(major, ...flags))]),
  // On other machines install.mjs cannot install these.
  ...(process.platform === "linux" && process.arch === "x64"
    ? [emulated("arm64", "aarch64"), emulated("s390x", "s390x")]
    : []),
  program("bun", fromNpm, [BUN, join(runtimes, ".bin/bun")]),
  program("deno", fromNpm, [DENO, join(runtimes, ".bin/deno")], ["run", "--allow-read", "--allow-env"]),
  workerd,
  hermes,
  ...browsers.map(browserEngine),
];

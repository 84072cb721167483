// The conformance script: bundled once, the same text in every engine. It makes a codec in the way that was asked for, codes the cases and answers.
// At the end it looks where it runs, and takes the order and gives the answer as that place does.
import { type Build, type BuildName, type Codec, create, createSync } from "latentwire";
import { javascript } from "latentwire/javascript";
import { scalar } from "latentwire/scalar";
import { generator, type Outcome, outcomes, testTable } from "./cases.js";

/** How the codec is made. Empty: `create()`. */
export interface Order {
  build?: BuildName;
  /** `createSync` with the build as a value, for places without `import()`. */
  byValue?: boolean;
  /** Takes this from the engine first, so that the library has to choose another build. */
  without?: "WebAssembly" | "SIMD";
  /** Asks for the speed instead of the outcomes. */
  speed?: boolean;
  /** Checks the committed vectors instead: the files that engines.ts has put beside this script. */
  golden?: boolean;
  /** Codes so many random cases instead. */
  random?: number;
}

export interface Answer {
  build?: BuildName;
  outcomes?: Outcome[];
  speed?: Speed;
  golden?: { passed: number; failed: string[] };
  /** Instead of the others: the code and message of what was thrown. */
  failure?: string;
}

/** Symbols per microsecond of a feature map of 48 channels, 28 x 28, under a factorized prior. */
export interface Speed {
  encode: number;
  decode: number;
}

function speedOf(codec: Codec): Speed {
  const random = generator(41);
  const data = new Float32Array(48 * 28 * 28).map(() => (random() + random() + random() - 1.5) * 1.2);
  const tensor = { type: "float32", dims: [1, 48, 28, 28], data };
  const prior = codec.factorized(testTable(48));
  const packet = codec.encode(tensor, prior);
  // The fastest of 100 short spans counts: on a busy machine the others measure who else was running.
  const now = typeof performance === "object" ? () => performance.now() : Date.now;
  const fastest = (call: () => unknown) => {
    let most = 0;
    for (let span = 0; span < 100; span++) {
      const start = now();
      let calls = 0;
      let end = start;
      for (; end < start + 8; end = now()) for (let i = 0; i < 5; i++, calls++) call();
      most = Math.max(most, (calls * data.length) / (end - start) / 1000);
    }
    return most;
  };
  return { encode: fastest(() => codec.encode(tensor, prior)), decode: fastest(() => codec.decode(packet, prior)) };
}

/** The committed vectors with this codec. What is imported is loaded by this order alone: some places have no `import()`. */
async function goldenOf(codec: Codec): Promise<NonNullable<Answer["golden"]>> {
  const { checkFiles, checkNative, packageSubject } = await import("../golden-checks.js");
  // A path that no bundler resolves.
  const { default: files } = await import([".", "vectors.js"].join("/"));
  const { "native-packets.json": native, ...others } = files as Record<string, unknown>;
  const contents = Object.entries(others).map(([name, content]) => [name, () => content]);
  const reports = [
    checkFiles(Object.fromEntries(contents), [packageSubject(codec.build, codec)]),
    checkNative(native, [codec]),
  ];
  return {
    passed: reports.reduce((sum, { passed }) => sum + passed.length, 0),
    failed: reports.flatMap(({ failed }) => failed),
  };
}

const values: Partial<Record<BuildName, Build>> = { javascript, scalar };

/** Never rejects: a failure is an answer. */
export async function answer({ build, byValue, without, speed, golden, random }: Order): Promise<Answer> {
  try {
    if (without === "WebAssembly") Reflect.deleteProperty(globalThis, "WebAssembly");
    if (without === "SIMD") WebAssembly.validate = () => false;
    const value = byValue && build ? (values[build] ?? build) : build;
    const options = value === undefined ? {} : { build: value };
    const codec = byValue ? createSync(options) : await create(options);
    if (speed) return { build: codec.build, speed: speedOf(codec) };
    if (golden) return { build: codec.build, golden: await goldenOf(codec) };
    if (random) {
      const { randomOutcomes } = await import("./random.js");
      return { build: codec.build, outcomes: randomOutcomes(codec, random, 1) };
    }
    return { build: codec.build, outcomes: outcomes(codec) };
  } catch (error) {
    const { code, name, message, stack } = error as Error & { code?: string };
    return { failure: code ? `${code}: ${message}` : `${name}: ${message}\n${stack}` };
  }
}

// No library of types declares these for all places at once.
declare const registerProcessor: ((name: string, processor: unknown) => void) | undefined;
declare const AudioWorkletProcessor: new () => { readonly port: MessagePort };
declare const WorkerGlobalScope: unknown;
declare const process: { argv?: string[] } | undefined;

if (typeof registerProcessor === "function") {
  class Conformance extends AudioWorkletProcessor {
    constructor({ processorOptions }: { processorOptions: Order }) {
      super();
      void answer(processorOptions).then((result) => this.port.postMessage(result));
    }
    process() {
      return false;
    }
  }
  registerProcessor("conformance", Conformance);
} else if (typeof WorkerGlobalScope === "function" && typeof document === "undefined") {
  // Workers and Service Workers: the answer goes through the port that came with the order.
  globalThis.addEventListener("message", ({ data, ports }: MessageEvent<Order>) => {
    void answer(data).then((result) => ports[0]?.postMessage(result));
  });
} else if (typeof process === "object" && process.argv?.[2] !== undefined) {
  // Node, Bun, Deno.
  void answer(JSON.parse(process.argv[2])).then((result) => console.log(JSON.stringify(result)));
}

// What is under test: the two builds, codecs whose memory can be measured, and how long a random test runs.
import { type Codec, createSync } from "latentwire";
import { scalar } from "latentwire/scalar";
import { test } from "uvu";

export interface Build {
  readonly name: "simd" | "scalar";
  readonly codec: Codec;
}

export const buildNames = ["simd", "scalar"] as const;
export const made = (name: Build["name"]) => createSync({ build: name === "scalar" ? scalar : name });
export const builds: readonly Build[] = buildNames.map((name) => ({ name, codec: made(name) }));

export const laneCounts = [1, 8, 16, 32] as const;

/** One test for each build. */
export function both(what: string, run: (codec: Codec, name: Build["name"]) => void | Promise<void>): void {
  for (const { name, codec } of builds) test(`${name}: ${what}`, () => run(codec, name));
}

interface Watched {
  readonly codec: Codec;
  /** Of its Wasm memory; 0 where the codec is plain JavaScript. */
  readonly bytes: () => number;
}

/** A codec of its own, and the size of its memory: taken off its newest instance, because no API shows it. */
export function watched(name: Build["name"]): Watched {
  const memories: WebAssembly.Memory[] = [];
  const { codec } = watchedOf(() => made(name), memories);
  // These calls may go on in another instance.
  for (const call of ["trim", "inspect", "table"] as const) {
    const own = codec[call].bind(codec) as (argument: never) => unknown;
    Object.assign(codec, { [call]: (argument: never) => watching(memories, () => own(argument)) });
  }
  return { codec, bytes: () => memories.at(-1)!.buffer.byteLength };
}

/** The same of the codec that `make` makes, as long as it stays in its first instance. */
export function watchedOf(make: () => Codec, memories: WebAssembly.Memory[] = []): Watched {
  const codec = watching(memories, make);
  // Of two instances the first is one in which a build has proved itself.
  const memory = memories.at(-1);
  if (memory === undefined && codec.build !== "javascript") throw new Error("no memory of a codec");
  return { codec, bytes: () => memory?.buffer.byteLength ?? 0 };
}

/** Runs something and adds the memories of the instances that it makes. */
function watching<R>(memories: WebAssembly.Memory[], run: () => R): R {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (target, [module, imports]) => {
      const instance = new target(module, imports);
      for (const value of Object.values(instance.exports))
        if (value instanceof WebAssembly.Memory) memories.push(value);
      return instance;
    },
  });
  try {
    return run();
  } finally {
    WebAssembly.Instance = Instance;
  }
}

/** `npm run test:all`. run.mjs finds the files that have more to do there by this name. */
export const isFull = process.env.LATENTWIRE_TIER === "full";

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

/** A codec of its own, and the size of its memory: taken off its newest instance, because no API shows it. */
export function watched(name: Build["name"]): { codec: Codec; bytes: () => number } {
  const memories: WebAssembly.Memory[] = [];
  const codec = watching(memories, () => made(name));
  if (memories.length !== 1) throw new Error(`${memories.length} memories of one codec`);
  // These calls may go on in another instance.
  for (const call of ["trim", "inspect", "table"] as const) {
    const own = codec[call].bind(codec) as (argument: never) => unknown;
    Object.assign(codec, { [call]: (argument: never) => watching(memories, () => own(argument)) });
  }
  return { codec, bytes: () => memories.at(-1)!.buffer.byteLength };
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

// A codec, and the size of its memory: taken off the instance, because no API shows it.

import { type Codec, createSync } from "latentwire";

export function watched(simd: boolean): { codec: Codec; bytes: () => number } {
  const memories: WebAssembly.Memory[] = [];
  const { Instance } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, {
    construct: (target, [module, imports]) => {
      const instance = new target(module, imports);
      for (const value of Object.values(instance.exports))
        if (value instanceof WebAssembly.Memory) memories.push(value);
      return instance;
    },
  });
  const codec = createSync({ simd });
  WebAssembly.Instance = Instance;
  if (memories.length !== 1) throw new Error(`${memories.length} memories of one codec`);
  return { codec, bytes: () => memories[0].buffer.byteLength };
}

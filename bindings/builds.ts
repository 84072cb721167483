/** The builds of the package: the best one for most engines inside, the others as files of their own. */
import type { Builds } from "./instantiate.js";
import { simd } from "./simd.js";

export const builds: Builds = {
  own: simd,
  load: {
    scalar: async () => (await import("./scalar.js")).scalar,
    javascript: async () => (await import("./javascript.js")).javascript,
  },
};

/**
 * Bundles that come with the package, loaded when asked for.
 *
 * @module
 */
import { shown } from "../bindings/errors.js";
import { type Bundle, readBundle, writeBundle } from "./bundle.js";

/** Names of the bundles that come with the package. */
export type StockName = "gaussian64";

// Spelled out one by one: bundlers make a chunk of each import() that they can read.
const stock: Record<StockName, () => Promise<Bundle>> = {
  gaussian64: async () => {
    const { gaussian64 } = await import("./gaussian64.js");
    return readBundle(writeBundle([{ name: "gaussian_conditional", kind: "gaussian", table: gaussian64() }]));
  },
};

/**
 * Loads one of the package's own bundles; its tables are not downloaded before.
 *
 * @param name - `gaussian64`: CompressAI's 64 Gaussian scales, as `gaussian_conditional`.
 */
export async function stockBundle(name: StockName): Promise<Bundle> {
  if (!Object.hasOwn(stock, name))
    throw new RangeError(`name must be ${Object.keys(stock).join(" or ")}, not ${shown(name)}`);
  return stock[name]();
}

import type { Codec } from "latentwire";
import { type BundleSource, loadBundle } from "latentwire/bundle";
import { stockBundle } from "latentwire/tables/stock";

/** Names of a bundle's tables and of the stock one, each with the fingerprint of what the codec makes of it. */
export async function bundleOutcomes(codec: Codec, source: BundleSource | Promise<BundleSource>): Promise<string[]> {
  const bundles = [await loadBundle(source), await stockBundle("gaussian64")];
  return bundles.flatMap((bundle) =>
    bundle.entries.map(({ name }) => `${name} ${bundle.table(codec, name).fingerprint}`),
  );
}

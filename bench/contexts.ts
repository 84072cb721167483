/** Context priors in bundles: those of a point lie beside its tables, those of an untrained cut in bench/backbone/cuts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Codec, Prior } from "latentwire";
import { readBundle } from "latentwire/bundle";

/** From the fewest operations to the fewest bytes. */
export const SIZES = ["fast", "default", "small"] as const;

/** A bundle's table as two priors. */
export interface Context {
  readonly file: string;
  /** Of the file, without its ending. */
  readonly name: string;
  readonly prior: Prior;
  /** The same rows without the context. */
  readonly fixed: Prior;
  readonly parameters: Uint8Array;
}

/** The contexts in the bundles of a folder whose names `pattern` knows; none where there is no folder. */
export function contextsOf(codec: Codec, folder: string, pattern: RegExp): Context[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => pattern.test(name)) : [];
  return names.sort().map((name) => {
    const file = join(folder, name);
    const bundle = readBundle(readFileSync(file));
    const [entry] = bundle.entries;
    const prior = bundle.factorized(codec, entry.name);
    const fixed = bundle.factorized(codec, entry.name, { context: false });
    const parameters = bundle.parameters(entry.name);
    if (parameters === undefined) throw new Error(`${file}: ${entry.name} has no context prior`);
    return { file, name: name.replace(".lwb", ""), prior, fixed, parameters };
  });
}

/** Sample latents of the command line: .npy files, folders of them, patterns. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MemorySource } from "./byte-source.js";
import { UsageError } from "./cli-arguments.js";
import { latentOf, type ReadLatent } from "./cli-latent.js";
import { readNpy } from "./npy.js";

/** The files that the arguments name, in a fixed order: files as they are, folders' files by `extension`, `*` in the last part of a path. */
export function findFiles(paths: readonly string[], extension: RegExp): string[] {
  const files = paths.flatMap((path) => {
    if (basename(path).includes("*")) {
      const pattern = new RegExp(`^${basename(path).split("*").map(escaped).join(".*")}$`);
      return inFolder(dirname(path), pattern);
    }
    return statSync(path).isDirectory() ? inFolder(path, extension) : [path];
  });
  if (files.length === 0) throw new UsageError(`there is no file to read in ${paths.join(", ")}`);
  return files;
}

const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");

const inFolder = (folder: string, pattern: RegExp): string[] =>
  readdirSync(folder)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(folder, name));

/** The latents of .npy files. */
export function readSamples(
  paths: readonly string[],
  progress: (done: number) => void = () => {},
): { name: string; latent: ReadLatent }[] {
  return paths.map((name, i) => {
    const latent = latentOf(readNpy(new MemorySource(readFileSync(name))), name);
    progress(i + 1);
    return { name, latent };
  });
}

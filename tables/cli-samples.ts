/** Sample latents of the command line: .npy files, folders of them, patterns, standard input. */
import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CodecError, type LatentData } from "latentwire";
import { FileSource } from "./byte-source.js";
import { UsageError } from "./cli-arguments.js";
import { isFile, remark, withInput } from "./cli-files.js";
import { coreLatent, readLatent } from "./cli-latent.js";
import { elementsOf, type ReadLatent } from "./layout.js";
import { isNpy } from "./npy.js";

/** What is looked for in folders: how names end and, where that is not enough, what a file must be. */
export interface Wanted {
  readonly extension: RegExp;
  readonly accepts?: (path: string) => boolean;
}

export const NPY: Wanted = {
  extension: /\.npy$/i,
  accepts(path) {
    const file = new FileSource(path);
    try {
      return isNpy(file.read(0, Math.min(6, file.size)));
    } finally {
      file.close();
    }
  },
};

/**
 * The files that the arguments name, in a fixed order: files as they are; of folders, and of folders in them, those that are
 * wanted; `*` in the last part of a path. What is left out is said on standard error.
 */
export function findFiles(paths: readonly string[], wanted: Wanted): string[] {
  const skipped: string[] = [];
  const keep = (found: readonly string[], extension?: RegExp): string[] =>
    found.filter((path) => {
      const isWanted =
        !basename(path).startsWith(".") && extension?.test(path) !== false && (wanted.accepts?.(path) ?? true);
      if (!isWanted) skipped.push(path);
      return isWanted;
    });
  const files = paths.flatMap((path) => {
    if (path === "-") return [path];
    if (basename(path).includes("*")) {
      const pattern = new RegExp(`^${basename(path).split("*").map(escaped).join(".*")}$`);
      return keep(filesOf(dirname(path), (name) => pattern.test(name)));
    }
    return statSync(path).isDirectory() ? keep(filesOf(path), wanted.extension) : [path];
  });
  const names = skipped.slice(0, 8).join(", ") + (skipped.length > 8 ? ` and ${skipped.length - 8} more` : "");
  if (files.length === 0)
    throw new UsageError(`there is no file to read in ${paths.join(", ")}${names && `; skipped: ${names}`}`);
  if (names) remark(`skipped: ${names}`);
  return files;
}

const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");

/** Files of a folder; without `matches` those of the folders in it, too. Links to folders are not followed: they may lead in circles. */
function filesOf(folder: string, matches?: (name: string) => boolean): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => matches?.(name) ?? true)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return matches || entry.name.startsWith(".") ? [] : filesOf(path);
      return statSync(path, { throwIfNoEntry: false })?.isFile() ? [path] : [];
    });
}

/** Elements that are read at once: samples follow one another in most files. */
const STRETCH = 2 ** 20;

interface Stretch {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly data: LatentData;
}

/**
 * The latents of .npy files. Of files only the headers are read here; their elements are read when they are asked for,
 * and one stretch of one file is kept. Pipes are read whole.
 */
export async function readSamples(
  paths: readonly string[],
  progress: (done: number) => void = () => {},
): Promise<{ name: string; latent: ReadLatent<LatentData> }[]> {
  const samples: { name: string; latent: ReadLatent<LatentData> }[] = [];
  let kept: Stretch | undefined;
  for (const name of paths) {
    const header = await withInput(name, (source) => coreLatent(readLatent(source, undefined, name), name));
    const count = elementsOf(header.dims);
    const read = (from: number, to: number): LatentData => {
      if (kept?.name !== name || from < kept.from || to > kept.to) {
        // Given up before the next one is made.
        kept = undefined;
        const end = Math.max(to, Math.min(from + STRETCH, count));
        kept = { name, from, to: end, data: reread(name, header, from, end) };
      }
      return kept.data.subarray(from - kept.from, to - kept.from);
    };
    samples.push({ name, latent: isFile(name) ? { ...header, read } : header });
    progress(samples.length);
  }
  return samples;
}

/** Elements [from, to) of a file whose header is known. */
function reread(path: string, { type, dims }: ReadLatent, from: number, to: number): LatentData {
  const file = new FileSource(path);
  try {
    const latent = coreLatent(readLatent(file, undefined, path), path);
    if (latent.type !== type || `${latent.dims}` !== `${dims}`)
      throw new CodecError("INVALID_FILE", `${path} was changed while it was read`);
    return latent.read(from, to);
  } finally {
    file.close();
  }
}

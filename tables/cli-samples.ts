/** Sample latents of the command line: .npy files, folders of them, patterns, standard input. */
import { opendirSync, statSync } from "node:fs";
import { basename, sep } from "node:path";
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
export const findFiles = (paths: readonly string[], wanted: Wanted): string[] =>
  findNamed(paths, wanted).map(({ path }) => path);

/** A file. Its path is put together when it is asked for: there may be millions of them. */
export class NamedFile {
  constructor(
    /** What is before the name in its path: the folder that was searched, with a separator behind it. */
    readonly folder: string,
    /** Its path in that folder, with / between folders. */
    readonly name: string,
  ) {}

  get path(): string {
    return this.folder + this.name;
  }
}

/** What {@link findFiles} finds, with names. */
export function findNamed(paths: readonly string[], { extension, accepts }: Wanted): NamedFile[] {
  const skipped: string[] = [];
  const files: NamedFile[] = [];
  const keep = (file: NamedFile, isNamed: boolean): void => {
    const isHidden = basename(file.name).startsWith(".");
    if (!isHidden && (isNamed || extension.test(file.name)) && (accepts?.(file.path) ?? true)) files.push(file);
    else skipped.push(file.path);
  };
  for (const path of paths) {
    const own = basename(path);
    const single = new NamedFile(path.slice(0, path.length - own.length), own);
    if (path === "-") files.push(single);
    else if (own.includes("*")) {
      const pattern = new RegExp(`^${own.split("*").map(escaped).join(".*")}$`);
      forFiles(
        single.folder,
        "",
        (name) => pattern.test(name),
        (file) => keep(file, true),
      );
    } else if (statSync(path).isDirectory())
      forFiles(/[/\\]$/.test(path) ? path : `${path}${sep}`, "", undefined, (file) => keep(file, false));
    else files.push(single);
  }
  const names = skipped.slice(0, 8).join(", ") + (skipped.length > 8 ? ` and ${skipped.length - 8} more` : "");
  if (files.length === 0)
    throw new UsageError(`there is no file to read in ${paths.join(", ")}${names && `; skipped: ${names}`}`);
  if (names) remark(`skipped: ${names}`);
  return files;
}

const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");

/**
 * Files of a folder, sorted; without `matches` those of the folders in it, too. Links to folders are not followed: they may lead
 * in circles.
 */
function forFiles(
  folder: string,
  within: string,
  matches: ((name: string) => boolean) | undefined,
  found: (file: NamedFile) => void,
): void {
  // In pieces: the entries of a large folder take more memory than their names.
  const open = opendirSync(folder + within || ".", { bufferSize: 1024 });
  const names: string[] = [];
  const folders = new Set<string>();
  const others = new Set<string>();
  for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
    if (matches?.(entry.name) === false) continue;
    names.push(entry.name);
    if (entry.isDirectory()) folders.add(entry.name);
    else if (!entry.isFile()) others.add(entry.name);
  }
  open.closeSync();
  for (const name of names.sort()) {
    const path = within + name;
    if (folders.has(name)) {
      if (!matches && !name.startsWith(".")) forFiles(folder, `${path}/`, matches, found);
      continue;
    }
    // A link to a file is one.
    if (others.has(name) && !statSync(folder + path, { throwIfNoEntry: false })?.isFile()) continue;
    found(new NamedFile(folder, path));
  }
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

/** `encode` and `decode` for folders, patterns and several files: names, packet files, resuming. */
import { existsSync, statSync } from "node:fs";
import { extname } from "node:path";
import { CodecError } from "latentwire";
import { appendPacketFile, createPacketFile, openPacketFile } from "latentwire/packet-file";
import { FileSource } from "./byte-source.js";
import { EXIT, flag, text, UsageError, type Values } from "./cli-arguments.js";
import { printReport, remark } from "./cli-files.js";
import { isPacketFile } from "./cli-packets.js";
import { findNamed, type NamedFile } from "./cli-samples.js";
import { jobsOf, runMany, type Totals } from "./many.js";
import { type Item, makeTask, type TaskData } from "./many-task.js";

/** Their part of the help of both commands. */
export const manyHelp = `  --jobs N          of many files: threads; default: the processor's cores. Any number gives the same bytes
  --resume          of many files: go on where a run was stopped; what is there is left as it is`;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const isFolderName = (path: string | undefined): boolean =>
  path !== undefined && path !== "-" && (/[/\\]$/.test(path) || isFolder(path));
const isPacketName = (path: string | undefined): boolean => path !== undefined && /\.lws$/i.test(path);

/** Whether the arguments mean many files: several, a folder, a pattern, or an output that holds many. */
export const isMany = (paths: readonly string[], output: string | undefined): boolean =>
  paths.length > 1 ||
  isFolderName(output) ||
  paths.some((path) => path !== "-" && (path.includes("*") || isPacketName(path) || isFolder(path))) ||
  isPacketName(output);

/** Throws UsageError for options that a single file has no use for. */
export function refuseManyOptions(values: Values): void {
  for (const name of ["jobs", "resume"])
    if (values[name] !== undefined) throw new UsageError(`--${name} is for many files: a folder, a pattern or several`);
}

/** Codes many latents into a packet file or a folder. */
export async function encodeMany(values: Values, paths: readonly string[]): Promise<number> {
  const output = manyOutput(values, paths, "-o PACKETS.lws, or -o FOLDER/ for a file each");
  const isRaw = text(values, "dims") !== undefined;
  const files = sortedFiles(paths, isRaw ? /(?:)/ : /\.npy$/i);
  if (isPacketName(output)) return encodeToFile(values, output, files);
  const targetOf = (name: string) => `${name.replace(/\.npy$/i, "")}.lw`;
  return toFolder({ command: "encode", values, folder: output, resume: flag(values, "resume") }, files, targetOf);
}

async function encodeToFile(values: Values, output: string, files: readonly NamedFile[]): Promise<number> {
  const resume = flag(values, "resume");
  const jobs = jobsOf(values);
  const data = { command: "encode", values, folder: undefined, resume } as const;
  if (existsSync(output) && !resume)
    throw new UsageError(`${output} is there already: go on with it by --resume, or remove it`);
  // What is wrong with the options is said before a file is made.
  const task = await makeTask(data);
  if (existsSync(output)) await refuseOthers(output, files, task);
  const writer = existsSync(output) ? await appendPacketFile(output) : await createPacketFile(output);
  if (writer.cutBytes > 0) remark(`${output}: ${writer.cutBytes} bytes of an unfinished packet are cut off`);
  const open = files.filter(({ name }) => !writer.has(name));
  const items = (function* (): Generator<Item> {
    for (const { path, name } of open) yield { path, name };
  })();
  const totals = await runMany(data, jobs, items, open.length, ({ name }, packet) => writer.add(packet, name));
  await writer.close();
  totals.skipped += files.length - open.length;
  return report(values, output, totals, files.length);
}

/** Throws where a file was begun with other options: its last packet is made once more, and must be the same. */
async function refuseOthers(
  output: string,
  files: readonly NamedFile[],
  task: Awaited<ReturnType<typeof makeTask>>,
): Promise<void> {
  const begun = await openPacketFile(output, { damaged: "skip", onDamage: () => {} });
  try {
    const last = begun.names.at(-1);
    const file = files.find(({ name }) => name === last);
    if (file === undefined) return;
    const { packet } = await begun.get(begun.count - 1);
    const again = task({ path: file.path });
    if ("packet" in again && Buffer.compare(packet, again.packet) !== 0)
      throw new CodecError(
        "WRONG_PRIOR",
        `${output}: its packet ${last} is not what ${file.path} gives now: begin again, or take the tables, options and latents of before`,
      );
  } finally {
    await begun.close();
  }
}

/** Decodes a packet file, or many files of one packet, into a folder. */
export async function decodeMany(values: Values, paths: readonly string[]): Promise<number> {
  const output = manyOutput(values, paths, "-o FOLDER/");
  if (isPacketName(output)) throw new UsageError("decode writes a file for each packet: -o FOLDER/");
  const extension = flag(values, "raw") ? ".raw" : ".npy";
  const targetOf = (name: string) => `${name.replace(/\.(npy|lw)$/i, "")}${extension}`;
  const data = { command: "decode", values, folder: output, resume: flag(values, "resume") } as const;
  const jobs = jobsOf(values);
  if (!paths.some(holdsMany)) {
    return toFolder(data, sortedFiles(paths, /\.lw$/i), targetOf);
  }
  const [path, ...others] = paths;
  if (others.length > 0) throw new UsageError("decode takes one packet file at a time");
  let lost = 0;
  const file = await openPacketFile(path!, {
    damaged: "skip",
    onDamage: ({ code, offset, bytes, message }) => {
      lost++;
      remark(`${code} ${path}: ${bytes} bytes from byte ${offset} on are lost: ${message}`);
    },
  });
  try {
    const taken = new Set<string>();
    const records = (async function* (): AsyncGenerator<Item> {
      for await (const { number, name, packet } of file.records()) {
        const target = targetOf(name === "" ? `packet-${String(number).padStart(8, "0")}` : name);
        if ((name !== "" && !isInside(name)) || taken.has(target)) {
          lost++;
          const why = taken.has(target) ? `${target} is another packet's file` : "it leads out of the folder";
          remark(`INVALID_FILE ${path}: packet ${number} cannot have the name ${JSON.stringify(name)}: ${why}`);
          continue;
        }
        taken.add(target);
        // A copy, which goes to a thread.
        yield { path: name || `${path}, packet ${number}`, target, packet: packet.slice() };
      }
    })();
    const totals = await runMany(data, jobs, records, file.count, () => {});
    totals.failed += lost;
    return report(values, output, totals, file.count);
  } finally {
    await file.close();
  }
}

/** Whether a name of a packet file stays in the folder: the file may come from strangers. */
const isInside = (name: string): boolean =>
  !/^[a-z]:|[\\\0]/i.test(name) && !name.split("/").some((part) => part === ".." || part === "." || part === "");

function holdsMany(path: string): boolean {
  if (path === "-" || path.includes("*") || isFolder(path)) return false;
  const source = new FileSource(path);
  try {
    return isPacketFile(source);
  } finally {
    source.close();
  }
}

function manyOutput(values: Values, paths: readonly string[], remedy: string): string {
  const output = text(values, "output");
  if (paths.includes("-")) throw new UsageError("standard input is one latent or packet: give it alone");
  if (values.tables === "-") throw new UsageError("--tables - is for a single file: every thread reads the tables");
  if (output === undefined || output === "-") throw new UsageError(`many files need ${remedy}`);
  if (isPacketName(output) || isFolderName(output)) return output;
  throw new UsageError(`-o ${output} is for one file; many files need ${remedy}`);
}

/** The files by their names, ascending. The order is that of a file's packets, whatever the number of threads. */
function sortedFiles(paths: readonly string[], extension: RegExp): NamedFile[] {
  const files = findNamed(paths, { extension }).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const twin = files.findIndex(({ name }, i) => i > 0 && files[i - 1]!.name === name);
  if (twin > 0)
    throw new UsageError(`${files[twin - 1]!.path} and ${files[twin]!.path} have one name, ${files[twin]!.name}`);
  return files;
}

/** Codes files into a folder, a file each. */
async function toFolder(
  data: TaskData & { readonly folder: string },
  files: readonly NamedFile[],
  targetOf: (name: string) => string,
): Promise<number> {
  const suffix = extname(files[0]!.name);
  // Files of one ending have different targets, as they have different names.
  if (suffix === "" || !files.every(({ name }) => name.endsWith(suffix))) refuseTwins(files, targetOf);
  const items = (function* (): Generator<Item> {
    for (const { path, name } of files) yield { path, target: targetOf(name) };
  })();
  const totals = await runMany(data, jobsOf(data.values), items, files.length, () => {});
  return report(data.values, data.folder, totals, files.length);
}

function refuseTwins(files: readonly NamedFile[], targetOf: (name: string) => string): void {
  const seen = new Map<string, string>();
  for (const { path, name } of files) {
    const target = targetOf(name);
    const other = seen.get(target);
    if (other !== undefined) throw new UsageError(`${other} and ${path} would both be written to ${target}`);
    seen.set(target, path);
  }
}

/** Says what was done. Exit code 1 where an input failed, 130 or 143 after a signal. */
async function report(values: Values, output: string, totals: Totals, count: number): Promise<number> {
  const { written, skipped, failed, bytes, signal } = totals;
  if (flag(values, "json")) await printReport(output, { output, inputs: count, written, skipped, failed, bytes });
  const parts = [
    `${written} of ${count} written to ${output}, ${bytes} bytes`,
    ...(skipped > 0 ? [`${skipped} were there`] : []),
    ...(failed > 0 ? [`${failed} failed: they are named above`] : []),
  ];
  if (signal) remark(`stopped: ${parts.join("; ")}. --resume goes on`);
  else if (failed > 0 || (process.stderr.isTTY && !flag(values, "json"))) remark(parts.join("; "));
  if (signal) return signal === "SIGINT" ? 130 : 143;
  return failed > 0 ? EXIT.data : EXIT.ok;
}

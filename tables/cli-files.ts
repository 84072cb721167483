/** Input and output of the command line: files and pipes, `-` being standard input or output. */
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import { CodecError } from "latentwire";
import { type ByteSource, FileSource, MemorySource } from "./byte-source.js";
import { UsageError, type Values } from "./cli-arguments.js";

/** Most bytes that are read as a whole: Node reads no more from a file. */
const MOST = 2 ** 31;

const tooLarge = (name: string, remedy = ""): never => {
  throw new CodecError("LIMIT_EXCEEDED", `${name} has more than 2 GiB${remedy}`);
};

/** All bytes of a file, or of standard input. Throws CodecError `LIMIT_EXCEEDED` above 2 GiB. */
export async function readInput(path: string): Promise<Uint8Array> {
  if (path === "-") return readStandardInput();
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_FS_FILE_TOO_LARGE") return tooLarge(path);
    throw withPath(error, path);
  }
}

/** An error of the system, with the path that it is about: not every one has it. */
function withPath(error: unknown, path: string): unknown {
  const { syscall, path: known } = error as NodeJS.ErrnoException;
  if (syscall !== undefined && known === undefined) (error as Error).message += ` '${path}'`;
  return error;
}

/** Whether it is a file, which can be read in pieces: neither standard input nor another pipe. */
export const isFile = (path: string): boolean => path !== "-" && found(path)?.isFile() === true;

/** Opens a file, or standard input, for `work`, which reads what it needs of it. */
export async function withInput<T>(path: string, work: (source: ByteSource) => T | Promise<T>): Promise<T> {
  // A pipe has no size.
  if (!isFile(path)) return work(new MemorySource(await readInput(path)));
  const file = new FileSource(path);
  try {
    return await work(file);
  } finally {
    file.close();
  }
}

let isRead = false;

async function readStandardInput(): Promise<Uint8Array> {
  if (process.stdin.isTTY) throw new UsageError("standard input is a terminal: give a file or a pipe");
  if (isRead) throw new UsageError("- is given twice: standard input can be read once");
  isRead = true;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    length += chunk.length;
    if (length > MOST) tooLarge("standard input", ": give a file");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Where results go: `-` and nothing at all are standard output, unless that is a terminal. */
export function checkOutput(path: string | undefined, what: string): string {
  if (path !== undefined && path !== "-") return path;
  if (path === undefined && process.stdout.isTTY) throw new UsageError(`-o is needed: ${what} is not for a terminal`);
  return "-";
}

/** What is there under a path, links followed; undefined where nothing is. */
const found = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

/**
 * Refuses an output that is one of the inputs, under whatever name, or a file within a folder of inputs. Throws UsageError.
 */
export function refuseInputAsOutput(values: Values, positionals: readonly string[]): void {
  const { output, ...others } = values;
  const target = typeof output === "string" && output !== "-" ? found(output) : undefined;
  if (!target?.isFile()) return;
  const same = (stats: Stats | undefined): boolean => stats?.dev === target.dev && stats.ino === target.ino;
  for (const input of [...positionals, ...Object.values(others).flat()]) {
    if (typeof input !== "string" || input === "-") continue;
    const stats = found(input);
    const within = stats?.isDirectory() && !/\.lw[bs]$/.test(String(output)) && isWithin(input, String(output));
    if (same(stats) || within) throw new UsageError(`-o ${output} is an input (${input}): choose another name`);
  }
}

/** Whether a file is in a folder or in one of its folders. */
function isWithin(folder: string, file: string): boolean {
  const path = relative(realpathSync(folder), realpathSync(file));
  return !path.startsWith("..") && !isAbsolute(path);
}

/**
 * Writes bytes to a file or to standard output, and returns when they are written. A file is written beside its target,
 * synced and renamed, so that what was there before is whole until the new bytes are: on a full disk, after a signal.
 */
export async function writeOutput(path: string, bytes: Uint8Array): Promise<void> {
  if (path === "-") return write(bytes);
  const before = found(path);
  // Devices and pipes cannot be replaced.
  if (before && !before.isFile()) {
    try {
      return writeFileSync(path, bytes);
    } catch (error) {
      throw withPath(error, path);
    }
  }
  // A link stays a link.
  const target = before ? realpathSync(path) : path;
  removeOrphans(target);
  const beside = temporaryName(target, process.pid);
  let file: number | undefined;
  try {
    file = openSync(beside, "wx", before?.mode);
    writeFileSync(file, bytes);
    fsyncSync(file);
    closeSync(file);
    file = undefined;
    renameSync(beside, target);
  } catch (error) {
    if (file !== undefined) closeSync(file);
    rmSync(beside, { force: true });
    throw withPath(error, path);
  }
}

const temporaryName = (target: string, process: number | string): string =>
  join(dirname(target), `.${basename(target)}.${process}.tmp`);

/** Removes what a run that was killed has left beside its target. */
function removeOrphans(target: string): void {
  const [head, tail] = basename(temporaryName(target, "*")).split("*") as [string, string];
  for (const name of readdirSync(dirname(target))) {
    const process = name.startsWith(head) && name.endsWith(tail) ? name.slice(head.length, -tail.length) : "";
    if (/^\d+$/.test(process) && !isRunning(Number(process))) rmSync(join(dirname(target), name), { force: true });
  }
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    // Another user's process runs, though it may not be signalled.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

// Without a listener the error of a closed pipe or a full disk ends the process before the callback below has it.
process.stdout.on("error", () => {});

const write = (data: string | Uint8Array) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });

/** Writes lines to standard output. */
export const print = (...lines: string[]): Promise<void> => write(`${lines.join("\n")}\n`);

/** Writes a value as JSON to standard output. */
export const printJson = (value: unknown): Promise<void> => print(JSON.stringify(value, null, 2));

/** Writes what was done as JSON: to standard output, or beside the result where that goes there. */
export const printReport = async (output: string, report: unknown): Promise<void> =>
  output === "-" ? console.error(JSON.stringify(report)) : printJson(report);

/** A remark beside the output. */
export const remark = (line: string): void => console.error(`latentwire: ${line}`);

/** Columns, aligned: the first `left` ones to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = rows[0]?.map((_, i) => rows.reduce((most, row) => Math.max(most, row[i]!.length), 0)) ?? [];
  return rows.map((row) =>
    row
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

type Progress = (done: number, note?: string) => void;

/**
 * How far long work has come, on standard error: a bar where that is a terminal, otherwise lines. Call with the number done, and what to say
 * instead of it.
 */
export const progress = (label: string, total: number): Progress =>
  process.stderr.isTTY ? bar(label, total) : lines(label, total);

/** Clears the rest of a terminal's line. */
const CLEAR = "\x1b[K";

function bar(label: string, total: number): Progress {
  let drawn = 0;
  return (done, note) => {
    const now = Date.now();
    if (done < total && now - drawn < 100) return;
    drawn = now;
    const filled = "#".repeat(Math.round((done / total) * 30)).padEnd(30);
    // A note may be shorter than the one before it.
    const text = note === undefined ? `${done} of ${total}` : `${note}${CLEAR}`;
    process.stderr.write(done < total ? `\r${label} [${filled}] ${text}` : `\r${CLEAR}`);
  };
}

/** Milliseconds after which work counts as long, and after which it is mentioned again. */
const LONG = 2000;
const AGAIN = 60_000;

/** For logs and pipes: long work is mentioned when it is known to be long, and then every minute. Short work is not. */
function lines(label: string, total: number): Progress {
  let next = Date.now() + LONG;
  return (done, note) => {
    const now = Date.now();
    if (done >= total || now < next) return;
    next = now + AGAIN;
    remark(`${label}: ${note ?? `${done} of ${total}`}`);
  };
}

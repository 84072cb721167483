/** Input and output of the command line: files and pipes, `-` being standard input or output. */
import { readFileSync, writeFileSync } from "node:fs";
import { UsageError } from "./cli-arguments.js";

/** All bytes of a file, or of standard input. */
export async function readInput(path: string): Promise<Uint8Array> {
  if (path !== "-") return readFileSync(path);
  if (process.stdin.isTTY) throw new UsageError("standard input is a terminal: give a file or a pipe");
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Where results go: `-` and nothing at all are standard output, unless that is a terminal. */
export function checkOutput(path: string | undefined, what: string): string {
  if (path !== undefined && path !== "-") return path;
  if (path === undefined && process.stdout.isTTY) throw new UsageError(`-o is needed: ${what} is not for a terminal`);
  return "-";
}

/** Writes bytes to a file or to standard output, and returns when they are written. */
export async function writeOutput(path: string, bytes: Uint8Array): Promise<void> {
  if (path !== "-") return writeFileSync(path, bytes);
  await write(bytes);
}

const write = (data: string | Uint8Array) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });

/** Writes lines to standard output. */
export const print = (...lines: string[]): Promise<void> => write(`${lines.join("\n")}\n`);

/** Writes a value as JSON to standard output. */
export const printJson = (value: unknown): Promise<void> => print(JSON.stringify(value, null, 2));

/** A remark beside the output. */
export const remark = (line: string): void => console.error(`latentwire: ${line}`);

/** Columns, aligned: the first `left` ones to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

/** How far long work has come, on standard error where that is a terminal. Call with the number done. */
export function progress(label: string, total: number): (done: number) => void {
  if (!process.stderr.isTTY) return () => {};
  let drawn = 0;
  return (done) => {
    const now = Date.now();
    if (done < total && now - drawn < 100) return;
    drawn = now;
    const bar = "#".repeat(Math.round((done / total) * 30)).padEnd(30);
    process.stderr.write(done < total ? `\r${label} [${bar}] ${done} of ${total}` : "\r\x1b[K");
  };
}

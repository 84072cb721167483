// The command line in a folder of its own: how the tests run it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import { root } from "./pack.js";

/** The program that `npx latentwire` runs. */
export const cli = join(root, "dist/tables/cli.js");

/** A new folder, and the path of a name in it. It is removed when the tests of the file have run. */
export function scratchFolder(subject: string): { folder: string; at: (name: string) => string } {
  const folder = mkdtempSync(join(tmpdir(), `latentwire-${subject}-`));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, at: (name) => join(folder, name) };
}

/** What a run ended in: the exit code, standard output as bytes and as text, standard error. */
export interface Outcome {
  readonly status: number | null;
  readonly out: Buffer;
  readonly text: string;
  readonly error: string;
}

interface RunOptions {
  /** Standard input. Default: empty. */
  readonly input?: Uint8Array | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** Arguments of Node in front of the program. */
  readonly node?: readonly string[];
}

/** Runs the command line in a folder, and waits for its end. */
export function runIn(folder: string, args: readonly string[], options: RunOptions = {}): Outcome {
  const { input = new Uint8Array(0), env = process.env, node = [] } = options;
  const all = [...node, cli, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: folder, input, env, maxBuffer: 2 ** 28 });
  return { status, out: stdout, text: stdout.toString(), error: stderr.toString() };
}

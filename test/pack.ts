import { exec, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a command line without the network; the outcome is what it prints. A failure is an error with that. */
export const run = (command: string, cwd: string) =>
  new Promise<string>((resolve, reject) => {
    const env = { ...process.env, npm_config_offline: "true", npm_config_update_notifier: "false" };
    exec(command, { cwd, env, timeout: 300_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command}\n${stdout}${stderr}`));
      else resolve(stdout);
    });
  });

let scratch: string | undefined;

/**
 * A project outside the repository with `latentwire` installed from its tarball, and nothing else but links to `linked` packages of ours.
 * One per process; removed when it ends.
 */
export function scratchProject(linked: string[] = []): string {
  if (scratch === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "latentwire-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    // A shell, because npm is a .cmd file on Windows.
    const npm = (args: string, cwd: string) =>
      execFileSync(`npm ${args} --loglevel error`, { cwd, shell: true, encoding: "utf8" });
    const [{ filename }] = JSON.parse(npm(`pack --ignore-scripts --json --pack-destination "${folder}"`, root));
    writeFileSync(join(folder, "package.json"), '{ "name": "scratch", "private": true, "type": "module" }\n');
    npm(`install --offline --no-audit --no-fund ./${filename}`, folder);
    scratch = folder;
  }
  for (const name of linked) link(name, scratch);
  return scratch;
}

function link(name: string, folder: string) {
  mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
  try {
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name), "junction");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

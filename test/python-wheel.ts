// The wheel of the Python package (bindings/python) in an environment of its own, and pytest on it.
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { root } from "./pack.js";

/** The installed wheel, or how it failed. */
export interface Wheel {
  readonly status: number | null;
  readonly stderr: string;
  /** Empty, without any source. Tests find it as LATENTWIRE_CROSS. */
  readonly folder: string;
  /** Path of a file of `bindings/python/tests`. */
  tests(name: string): string;
  /** Runs pytest in {@link folder} on these files, and returns how many tests passed. Throws where one fails. */
  pytest(...words: string[]): number;
}

/**
 * Builds and installs the wheel, with further packages beside it. Where there is no Python, or pip cannot install, it
 * says why in a line and returns undefined.
 */
export function wheelFor(name: string, ...packages: string[]): Wheel | undefined {
  const words = ["--json", ...packages.flatMap((one) => ["--with", one])];
  const made = spawnSync(process.execPath, [join(root, "bindings/python/wheel.mjs"), ...words], { encoding: "utf8" });
  if (made.status === 3) {
    const required = process.env.LATENTWIRE_REQUIRE_ALL === "1" ? "not required" : "skipped";
    console.log(`\n${required}: ${made.stderr.trim().split("\n").pop()}`);
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), `latentwire-${name}-`));
  return {
    status: made.status,
    stderr: made.stderr,
    folder,
    tests: (file) => join(root, "bindings/python/tests", file),
    pytest(...files) {
      const { python } = JSON.parse(made.stdout);
      const options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder];
      const { status, stdout, stderr } = spawnSync(python, [...options, ...files], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, LATENTWIRE_CROSS: folder, PYTHONDONTWRITEBYTECODE: "1" },
      });
      assert.is(status, 0, `${stdout}${stderr}`);
      return Number(/(\d+) passed/.exec(stdout)?.[1] ?? 0);
    },
  };
}

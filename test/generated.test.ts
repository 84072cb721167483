// Files that scripts write are what those scripts write, wherever they run.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFull } from "./builds.js";
import { root } from "./pack.js";

for (const script of ["assembly/generate.mjs", "tables/build-gaussian64.mjs"]) {
  test(script, () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, script), "--check"], { encoding: "utf8" });
    assert.is(status, 0, stderr);
  });
}

/** Every file of the package that a build makes, and the generated sources. */
function builtFiles(project: string): Map<string, Buffer> {
  const generated = ["abi", "simd", "scalar", "javascript", "pool-source"].map((name) => `bindings/${name}.ts`);
  const built = readdirSync(join(project, "dist"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(project, join(entry.parentPath ?? entry.path, entry.name)));
  return new Map([...generated, ...built].sort().map((name) => [name, readFileSync(join(project, name))]));
}

if (isFull)
  test("a second build, in a folder with another name and from another working directory, gives the same bytes", () => {
    const folder = mkdtempSync(join(tmpdir(), "latentwire-another name-"));
    try {
      const project = join(folder, "of the project");
      for (const name of [
        "assembly",
        "bindings",
        "tables",
        "asconfig.json",
        "tsconfig.json",
        "package.json",
        "LICENSE",
      ])
        cpSync(join(root, name), join(project, name), { recursive: true });
      for (const name of builtFiles(root).keys()) rmSync(join(project, name), { force: true });
      symlinkSync(join(root, "node_modules"), join(project, "node_modules"), "junction");
      const script = join(project, "assembly/build.mjs");
      const { status, stderr } = spawnSync(process.execPath, [script], { cwd: tmpdir(), encoding: "utf8" });
      assert.is(status, 0, stderr);
      const [first, second] = [builtFiles(root), builtFiles(project)];
      assert.ok(first.has("dist/codec.wasm") && first.has("dist/codec.scalar.wasm"), String([...first.keys()]));
      assert.equal([...second.keys()], [...first.keys()]);
      const other = [...first].filter(([name, bytes]) => !second.get(name)!.equals(bytes)).map(([name]) => name);
      assert.equal(other, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

test.run();

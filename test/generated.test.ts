// Files that scripts write are what those scripts write.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

for (const script of ["assembly/generate.mjs", "tables/build-gaussian64.mjs"]) {
  test(script, () => {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [path, "--check"], { encoding: "utf8" });
    assert.is(status, 0, stderr);
  });
}

test.run();

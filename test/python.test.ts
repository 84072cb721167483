// The Python package (bindings/python): its wheel in an environment of its own, its tests, and packets both ways between it and this package.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, isFull } from "./builds.js";
import { sameNumbers } from "./expect.js";
import { readByPackage } from "./io.js";
import { root } from "./pack.js";
import { manifestOf, messagesOf } from "./python-cases.js";

const read = (file: string): string => readFileSync(join(root, file), "utf8");

test("the package has the number of package.json and the ABI of assembly/", () => {
  const generated = read("bindings/python/src/latentwire/abi.py");
  const { version } = JSON.parse(read("package.json"));
  assert.ok(generated.includes(`PACKAGE_VERSION: Final = "${version}"`));
  for (const [, name, value] of read("bindings/abi.ts").matchAll(/^export const (\w+) = (\w+);$/gm))
    assert.ok(generated.includes(`\n${name}: Final = ${value}\n`), name);
  for (const file of ["codec.wasm", "codec.scalar.wasm"])
    assert.equal(
      readFileSync(join(root, "bindings/python/src/latentwire", file)),
      readFileSync(join(root, "dist", file)),
    );
});

const made = spawnSync(process.execPath, [join(root, "bindings/python/wheel.mjs"), "--json"], { encoding: "utf8" });
/** Damaged forms of each packet; `LATENTWIRE_TRIES=300 npm test -- python` takes more. */
const tries = Number(process.env.LATENTWIRE_TRIES ?? (isFull ? 40 : 4));
const [codec] = builds.map((build) => build.codec);

if (made.status === 3)
  console.log(
    `\n${process.env.LATENTWIRE_REQUIRE_ALL === "1" ? "not required" : "skipped"}: ${made.stderr.trim().split("\n").pop()}`,
  );
else {
  const folder = mkdtempSync(join(tmpdir(), "latentwire-python-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  /** Runs pytest on the installed wheel: in an empty folder, where no source lies. */
  const pytest = (...words: string[]) => {
    const { python } = JSON.parse(made.stdout);
    const { status, stdout, stderr } = spawnSync(
      python,
      ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, ...words],
      {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, LATENTWIRE_CROSS: folder, PYTHONDONTWRITEBYTECODE: "1" },
      },
    );
    assert.is(status, 0, `${stdout}${stderr}`);
    return Number(/(\d+) passed/.exec(stdout)?.[1] ?? 0);
  };
  const tests = (name: string) => join(root, "bindings/python/tests", name);

  test("the wheel can be built and installed", () => assert.is(made.status, 0, made.stderr));

  test("its own tests pass", () => {
    const files = readdirSync(tests(".")).filter((name) => /^test_.*\.py$/.test(name) && name !== "test_cross.py");
    assert.ok(pytest(...files.map(tests)) >= 30);
  });

  test("Python and JavaScript write the same packets, read each other's, and refuse the same damage", async () => {
    const messages = messagesOf(codec!, isFull ? 1 : 4);
    writeFileSync(join(folder, "cases.json"), await manifestOf(codec!, messages, tries));
    pytest(tests("test_cross.py"));
    const packets: string[][] = JSON.parse(readFileSync(join(folder, "packets.json"), "utf8"));
    assert.is(packets.length, messages.length);
    for (const [i, { name, samples, forms }] of messages.entries())
      for (const [k, { options, packet }] of forms.entries()) {
        const found = new Uint8Array(Buffer.from(packets[i]![k]!, "base64"));
        sameNumbers(found, packet, `${name} ${JSON.stringify(options)}`);
        readByPackage(codec!, found, samples, options);
      }
  });
}

test.run();

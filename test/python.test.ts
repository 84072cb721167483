// The Python package (bindings/python): its wheel in an environment of its own, its tests, and packets both ways between it and this package.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, isFull } from "./builds.js";
import { sameNumbers } from "./expect.js";
import { readByPackage } from "./io.js";
import { root } from "./pack.js";
import { manifestOf, messagesOf } from "./python-cases.js";
import { wheelFor } from "./python-wheel.js";

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

/** Damaged forms of each packet; `LATENTWIRE_TRIES=300 npm test -- python` takes more. */
const tries = Number(process.env.LATENTWIRE_TRIES ?? (isFull ? 40 : 4));
const [codec] = builds.map((build) => build.codec);

const wheel = wheelFor("python");
if (wheel !== undefined) {
  const { folder, pytest, tests } = wheel;
  test.after(() => rmSync(folder, { recursive: true, force: true }));

  test("the wheel can be built and installed", () => assert.is(wheel.status, 0, wheel.stderr));

  test("its own tests pass", () => {
    const files = readdirSync(tests(".")).filter((name) => /^test_(?!cross).*\.py$/.test(name));
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

// Committed vectors: CompressAI's own, and packets that the reference wrote once and since then everything.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createSync } from "latentwire";
import { javascript } from "latentwire/javascript";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { checkContextVectors, makeContextVectors } from "./context-vectors.js";
import { runGolden } from "./golden.js";
import { checkNative } from "./golden-checks.js";

test("every CompressAI and pmf vector, both builds and the reference", () => {
  const { passed, failed } = runGolden(fileURLToPath(new URL("vectors", import.meta.url)));
  assert.equal(failed, []);
  // 12 streams and 56 pmfs, three subjects.
  assert.is(passed.length, 3 * (12 + 56));
});

test("the reference still writes the committed packets, and the package writes and reads them", () => {
  const vectors = JSON.parse(readFileSync(new URL("vectors/native-packets.json", import.meta.url), "utf8"));
  const { passed, failed } = checkNative(
    vectors,
    builds.map(({ codec }) => codec),
  );
  assert.equal(failed, []);
  assert.is(passed.length, 117);
  // One that differs is found.
  const [first, ...others] = vectors;
  const changed = checkNative([{ ...first, bytes: first.bytes + 1 }, ...others], [builds[0].codec]);
  assert.is(changed.failed.length, 1);
  assert.match(changed.failed[0], /instead of/);
});

test("packets under a context: every build and the reference write what is committed, and read it", () => {
  const text = readFileSync(new URL("vectors/context-packets.json", import.meta.url), "utf8");
  const codecs = [...builds.map(({ codec }) => codec), createSync({ build: javascript })];
  assert.is(checkContextVectors(JSON.parse(text), codecs), 88);
  // What makes the file still makes it.
  assert.equal(JSON.parse(JSON.stringify(makeContextVectors())), JSON.parse(text));
});

test.run();

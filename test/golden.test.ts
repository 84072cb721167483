// Committed vectors: CompressAI's own, and packets that the reference wrote once and since then everything.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { runGolden } from "./golden.js";
import { agree, encodeByReference } from "./io.js";
import { nativeCases, vectorOf } from "./native-cases.js";

test("every CompressAI and pmf vector, both builds and the reference", () => {
  const { passed, failed } = runGolden(fileURLToPath(new URL("vectors", import.meta.url)));
  assert.equal(failed, []);
  // 12 streams and 56 pmfs, three subjects.
  assert.is(passed.length, 3 * (12 + 56));
});

test("the reference still writes the committed packets, and the package writes and reads them", () => {
  const vectors = JSON.parse(readFileSync(new URL("vectors/native-packets.json", import.meta.url), "utf8"));
  const codecs = builds.map(({ codec }) => codec);
  const cases = nativeCases();
  assert.is(vectors.length, cases.length);
  for (const [i, { name, parts, options }] of cases.entries()) {
    assert.equal(vectorOf(name, encodeByReference(parts, options)), vectors[i]);
    assert.equal(vectorOf(name, agree(codecs, parts, options)), vectors[i]);
  }
});

test.run();

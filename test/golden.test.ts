import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runGolden } from "./golden.js";

const vectors = fileURLToPath(new URL("vectors", import.meta.url));

test("every committed CompressAI and pmf vector, both builds and the reference", async () => {
  const { passed, failed } = await runGolden(vectors);
  assert.equal(failed, []);
  // 12 streams and 56 pmfs, three subjects.
  assert.is(passed.length, 3 * (12 + 56));
});

test.run();

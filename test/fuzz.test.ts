import { test } from "uvu";
import * as assert from "uvu/assert";
import { runFuzz } from "./fuzz-run.js";

test("200,000 damaged packets: every one is refused with a code or decodes to its shape, and the codec goes on", () => {
  const count = 200_000;
  const result = runFuzz({
    count,
    seed: 20240607,
    progress: (done) => {
      if (done % 50_000 === 0) process.stderr.write(`progress: ${done} of ${count} packets\n`);
    },
  });
  assert.is(result.count, count);
  assert.is(
    Object.values(result.outcomes).reduce((a, b) => a + b, 0),
    count,
  );
  // A fuzzer whose packets all fail in the header, or all pass, tests nothing.
  for (const outcome of [
    "valid",
    "CORRUPTED",
    "TRUNCATED",
    "NOT_A_PACKET",
    "UNSUPPORTED_VERSION",
    "WRONG_TABLES",
    "SHAPE_MISMATCH",
  ]) {
    assert.ok((result.outcomes[outcome] ?? 0) > count / 1000, `${outcome}: ${result.outcomes[outcome] ?? 0}`);
  }
  assert.ok(result.compared > count / 20, `${result.compared} compared with the reference`);
});

test.run();

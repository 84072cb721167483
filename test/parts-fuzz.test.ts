import { test } from "uvu";
import * as assert from "uvu/assert";
import { runPartsFuzz } from "./parts-fuzz-run.js";
import { watched } from "./watched.js";

test("120,000 damaged packets of several parts: refused with a code, or read to their sizes, and the codec goes on", () => {
  const count = 120_000;
  const codecs = [watched(true), watched(false)];
  const { outcomes, compared } = runPartsFuzz({
    count,
    seed: 20250607,
    builds: codecs.map(({ codec }, i) => ({ name: i === 0 ? "simd" : "scalar", codec })),
    progress: (done) => {
      if (done % 40_000 === 0) process.stderr.write(`progress: ${done} of ${count} packets\n`);
    },
  });
  assert.is(
    Object.values(outcomes).reduce((a, b) => a + b, 0),
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
    "MODEL_MISMATCH",
    "LIMIT_EXCEEDED",
  ]) {
    assert.ok((outcomes[outcome] ?? 0) > count / 2000, `${outcome}: ${outcomes[outcome] ?? 0}`);
  }
  assert.ok(compared > count / 40, `${compared} compared with the reference`);
  // The packets have some hundred bytes and claim at most 65,536 symbols; what a header says is not allocated.
  for (const { bytes } of codecs) assert.ok(bytes() < 16e6, `${bytes()} bytes of memory`);
});

test.run();

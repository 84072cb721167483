import { test } from "uvu";
import * as assert from "uvu/assert";
import { runFuzz } from "./fuzz-run.js";
import { watched } from "./watched.js";

test("320,000 damaged packets: refused with a code, or read to their sizes, and the codec goes on", () => {
  const count = 320_000;
  const codecs = [watched(true), watched(false)];
  const { outcomes, compared } = runFuzz({
    count,
    seed: 20240607,
    builds: codecs.map(({ codec }, i) => ({ name: i === 0 ? "simd" : "scalar", codec })),
    progress: (done) => {
      if (done % 80_000 === 0) process.stderr.write(`progress: ${done} of ${count} packets\n`);
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
    "WRONG_PRIOR",
    "SHAPE_MISMATCH",
    "MODEL_MISMATCH",
    "LIMIT_EXCEEDED",
  ]) {
    assert.ok((outcomes[outcome] ?? 0) > count / 2000, `${outcome}: ${outcomes[outcome] ?? 0}`);
  }
  assert.ok(compared > count / 20, `${compared} compared with the reference`);
  // The packets have some hundred bytes and claim at most 65,536 symbols; what a header says is not allocated.
  for (const { bytes } of codecs) assert.ok(bytes() < 16e6, `${bytes()} bytes of memory`);
});

test.run();

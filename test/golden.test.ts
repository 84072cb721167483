// Committed vectors: CompressAI's own, and packets that the reference wrote once and since then everything.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { runGolden } from "./golden.js";
import { agree, encodeByReference } from "./io.js";
import { nativeCases } from "./native-cases.js";
import { xxh64 } from "./reference.js";

interface Vector {
  name: string;
  bytes: number;
  hex?: string;
  xxh64?: string;
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL("vectors/native-packets.json", import.meta.url), "utf8"));
const cases = nativeCases();

function check(packet: Uint8Array, vector: Vector): void {
  assert.is(packet.length, vector.bytes, vector.name);
  if (vector.hex !== undefined) assert.is(Buffer.from(packet).toString("hex"), vector.hex, vector.name);
  else assert.is(xxh64(packet).toString(16).padStart(16, "0"), vector.xxh64, vector.name);
}

test("every CompressAI and pmf vector, both builds and the reference", async () => {
  const { passed, failed } = await runGolden(fileURLToPath(new URL("vectors", import.meta.url)));
  assert.equal(failed, []);
  // 12 streams and 56 pmfs, three subjects.
  assert.is(passed.length, 3 * (12 + 56));
});

test("there is a packet for every case", () => {
  assert.equal(
    vectors.map(({ name }) => name),
    cases.map(({ name }) => name),
  );
  assert.ok(vectors.every(({ hex, xxh64: hash }) => (hex === undefined) !== (hash === undefined)));
});

test("the reference still writes the packets, and the package writes and reads them", () => {
  const codecs = builds.map(({ codec }) => codec);
  cases.forEach(({ parts, options }, i) => {
    check(encodeByReference(parts, options), vectors[i]);
    check(agree(codecs, parts, options), vectors[i]);
  });
});

test.run();

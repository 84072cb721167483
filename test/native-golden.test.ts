// The committed packets: written by the reference once, and since then by everything.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { agree, encodeByReference } from "./io.js";
import { type NativeCase, nativeCases } from "./native-cases.js";
import { xxh64 } from "./reference.js";

interface Vector {
  name: string;
  bytes: number;
  hex?: string;
  xxh64?: string;
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL("vectors/native-packets.json", import.meta.url), "utf8"));
const cases = new Map(nativeCases().map((item) => [item.name, item]));

function check(packet: Uint8Array, vector: Vector): void {
  assert.is(packet.length, vector.bytes, vector.name);
  if (vector.hex !== undefined) assert.is(Buffer.from(packet).toString("hex"), vector.hex, vector.name);
  else assert.is(xxh64(packet).toString(16).padStart(16, "0"), vector.xxh64, vector.name);
}

test("there is a vector for every case", () => {
  assert.equal(
    vectors.map(({ name }) => name),
    [...cases.keys()],
  );
  assert.ok(vectors.every(({ hex, xxh64: hash }) => (hex === undefined) !== (hash === undefined)));
});

test("the reference still writes the committed packets", () => {
  for (const vector of vectors) {
    const { parts, options } = cases.get(vector.name) as NativeCase;
    check(encodeByReference(parts, options), vector);
  }
});

for (const { name: build, codec } of builds) {
  test(`${build}: the package writes and reads them`, () => {
    for (const vector of vectors) {
      const { parts, options } = cases.get(vector.name) as NativeCase;
      check(agree(codec, parts, options), vector);
    }
  });
}

test.run();

// A hard number of bytes: encode takes priors from fine to coarse, decode finds the one.
import { create, type Prior } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { throwsCode } from "./expect.js";

const codec = await create();
const cdf = [0, 2000, 8000, 25000, 41000, 57000, 63000, 65000, 65536];
const table = { offsets: [-4, -4], cdfs: [cdf, cdf] };
const dims = [1, 2, 16, 16];
const latent = {
  type: "float32",
  dims,
  data: Float32Array.from({ length: 512 }, (_, i) => 6 * Math.sin(i * i)),
} as const;
const steps = [0.5, 1, 2, 4];
const ladder: Prior[] = steps.map((step) => codec.factorized(table, { step }));

test("an empty packet is TRUNCATED, with a ladder as without", () => {
  for (const prior of [ladder, ladder[0]])
    for (const how of [{}, { header: "compact", dims }] as const)
      throwsCode(() => codec.decode(new Uint8Array(), prior, how), "TRUNCATED");
});

for (const header of ["packet", "compact"] as const) {
  const front = header === "compact" ? 1 : 0;
  const lengths = ladder.map((prior) => codec.encode(latent, prior, { header }).length + front);
  const reading = { header, ...(header === "compact" && { dims }) };

  test(`${header}: the finest packet that fits`, () => {
    assert.ok(lengths.every((length, i) => i === 0 || length < lengths[i - 1]));
    lengths.forEach((maxBytes, i) => {
      const packet = codec.encode(latent, ladder, { header, maxBytes });
      assert.is(packet.length, maxBytes);
      const expected = codec.decode(packet.subarray(front), ladder[i], reading);
      assert.equal(codec.decode(packet, ladder, reading).data, expected.data);
      // One byte less, and the next one is taken.
      if (i + 1 < lengths.length)
        assert.is(codec.encode(latent, ladder, { header, maxBytes: maxBytes - 1 }).length, lengths[i + 1]);
    });
    assert.is(codec.encode(latent, ladder, { header }).length, lengths[0]);
  });

  test(`${header}: nothing fits`, () => {
    const least = lengths[lengths.length - 1];
    throwsCode(
      () => codec.encode(latent, ladder, { header, maxBytes: least - 1 }),
      "LIMIT_EXCEEDED",
      new RegExp(`smallest packet has ${least} bytes, maxBytes is ${least - 1}`),
    );
  });

  test(`${header}: out, and a ladder without the packet's prior`, () => {
    const out = new Uint8Array(2000);
    const packet = codec.encode(latent, ladder, { header, maxBytes: lengths[1], out });
    assert.is(packet.buffer, out.buffer);
    assert.equal(packet, codec.encode(latent, ladder, { header, maxBytes: lengths[1] }));
    assert.throws(() => codec.encode(latent, ladder, { header, out: new Uint8Array(10) }), /out has 10 bytes/);
    const coarse = codec.encode(latent, ladder, { header, maxBytes: lengths[3] });
    throwsCode(() => codec.decode(coarse, ladder.slice(0, 3), reading), "WRONG_PRIOR");
    throwsCode(() => codec.decode(new Uint8Array(0), ladder, reading), ["TRUNCATED", "WRONG_PRIOR"]);
  });
}

test("maxBytes with one prior", () => {
  const { length } = codec.encode(latent, ladder[0]);
  assert.is(codec.encode(latent, ladder[0], { maxBytes: length }).length, length);
  throwsCode(() => codec.encode(latent, ladder[0], { maxBytes: length - 1 }), "LIMIT_EXCEEDED");
  assert.throws(() => codec.encode(latent, ladder[0], { maxBytes: Number.NaN }), RangeError);
});

test("a packet that does not say its prior is refused", () => {
  const bare = codec.encode(latent, ladder[0], { fingerprint: false });
  throwsCode(() => codec.decode(bare, ladder), "WRONG_PRIOR");
  assert.throws(() => codec.encode(latent, ladder, { fingerprint: false }), TypeError);
  assert.throws(() => codec.encode(latent, ladder, { header: "none" }), TypeError);
  assert.throws(() => codec.decode(bare, ladder, { header: "none", dims }), TypeError);
  assert.throws(() => codec.encode(latent, []), RangeError);
});

test.run();

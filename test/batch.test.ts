// Many items in one call are what a loop over them gives.
import type { Prior } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { featureMap } from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";

const samples = [featureMap(1, 12, 64, 0.001), featureMap(2, 7, 100, 0.001), featureMap(3, 12, 16, 0.01)];

for (const { name, codec } of builds) {
  const latents = samples.map((sample) => sample.latent);
  const priors = samples.map((sample) => sample.prior(codec));
  const packets = latents.map((latent, i) => codec.encode(latent, priors[i]));

  test(`${name}: a batch is a loop, with a prior each or one for all`, () => {
    assert.equal(codec.encodeBatch(latents, priors), packets);
    assert.equal(codec.encodeBatch([latents[0], latents[0]], priors[0]), [packets[0], packets[0]]);
    assert.equal(codec.encodeBatch([], priors[0]), []);
    codec.decodeBatch(packets, priors, { type: "int32" }).forEach(({ type, dims, data }, i) => {
      assert.is(type, "int32");
      assert.equal(dims, samples[i].dims);
      sameNumbers(data, samples[i].symbols);
    });
    const [restored] = codec.decodeBatch([packets[0]], priors[0]);
    assert.equal(restored, codec.decode(packets[0], priors[0]));
  });

  test(`${name}: options apply to every item; out has a buffer for each`, () => {
    const bare = codec.encodeBatch(latents, priors, { header: "none" });
    assert.equal(bare[1], codec.encode(latents[1], priors[1], { header: "none" }));
    const out = packets.map((packet) => new Uint8Array(packet.length));
    assert.equal(codec.encodeBatch(latents, priors, { out }), packets);
    assert.equal(out, packets);
    const arrays = samples.map((sample) => new Float32Array(sample.symbols.length));
    const decoded = codec.decodeBatch(packets, priors, { out: arrays });
    decoded.forEach(({ data }, i) => {
      assert.is(data.buffer, arrays[i].buffer);
    });
  });

  test(`${name}: an error keeps its class and code and names the item`, () => {
    const damaged = packets[1].slice(0, -1);
    const message = throwsCode(
      () => codec.decodeBatch([packets[0], damaged], priors.slice(0, 2)),
      ["TRUNCATED", "CORRUPTED"],
    );
    assert.ok(message.startsWith("packets[1]: "), message);
    throwsMistake(() => codec.encodeBatch([latents[0], 5 as never], priors[0]), TypeError, "latents[1]");
    throwsMistake(() => codec.encodeBatch(latents, priors.slice(1)), RangeError, "prior");
    throwsMistake(() => codec.decodeBatch(packets, priors, { out: [] }), RangeError, "out");
    throwsMistake(() => codec.decodeBatch(packets[0] as never, priors), TypeError, "packets");
    throwsMistake(() => codec.decodeBatch(packets, {} as Prior), TypeError, "prior");
  });
}

test.run();

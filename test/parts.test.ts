// Several parts in one packet: types, where results go, what parts cost. That the bytes are right, cross.test.ts says.
import type { Codec } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { indexedSample, makeTable, random } from "./cases.js";
import { sameNumbers } from "./expect.js";
import { readParts } from "./io.js";

const rng = random(2025);
const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });

for (const { name: build, codec } of builds) {
  test(`${build}: integer latents of every type, into every type`, () => {
    const table = makeTable(rng, { rows: 4, entries: 12, flavour: "peaked" });
    const part = indexedSample(rng, table, [2, 300], { step: 2, means: true });
    const prior = part.prior(codec);
    const arrays = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
    const packetOf = (type: keyof typeof arrays) => {
      const writer = codec.writer();
      const latent = { type, dims: part.dims, data: arrays[type].from(part.symbols) };
      sameNumbers(writer.write(latent, prior, { dequantize: true }).data, part.values);
      return writer.finish();
    };
    const packet = packetOf("int32");
    for (const type of ["int8", "int16"] as const) assert.equal(packetOf(type), packet);
    for (const type of ["int8", "int16", "int32"] as const) {
      const reader = codec.reader(packet);
      const { data } = reader.read(prior, { type, dims: part.dims });
      assert.instance(data, arrays[type]);
      sameNumbers(data, part.symbols);
      reader.finish();
    }
  });

  test(`${build}: results go where the caller says`, () => {
    const parts = [1, 0.25].map((step) => indexedSample(rng, mixed, [700], { means: true, step, float: true }));
    const writer = codec.writer();
    for (const part of parts) {
      // In place: what is read afterwards stands where the latent was.
      const { data } = part.latent;
      if (!(data instanceof Float32Array)) throw new Error("a latent that is not float32");
      const own = data.slice();
      const result = writer.write({ ...part.latent, data: own }, part.prior(codec), { out: own });
      assert.is(result.data, own);
      sameNumbers(own, part.values);
    }
    const reader = codec.reader(writer.finish());
    const out = new Float32Array(parts[0].symbols.length);
    assert.is(reader.read(parts[0].prior(codec), { out, dims: parts[0].dims }).data, out);
    sameNumbers(out, parts[0].values);
    const symbols = new Int32Array(parts[1].symbols.length);
    assert.is(reader.read(parts[1].prior(codec), { type: "int32", out: symbols, dims: parts[1].dims }).data, symbols);
    sameNumbers(symbols, parts[1].symbols);
    reader.finish();
  });

  test(`${build}: write gives back what the reader will see only where it is asked`, () => {
    const part = indexedSample(rng, mixed, [2, 50], { means: true, float: true });
    const prior = part.prior(codec);
    const writer = codec.writer();
    assert.is(writer.write(part.latent, prior), undefined);
    assert.is(writer.write(part.latent, prior, {}), undefined);
    assert.is(writer.write(part.latent, prior, { dequantize: false }), undefined);
    const { type, dims, data } = writer.write(part.latent, prior, { dequantize: true });
    assert.equal([type, dims], ["float32", [2, 50]]);
    sameNumbers(data, part.values);
    const out = new Float32Array(100);
    assert.is(writer.write(part.latent, prior, { out }).data, out);
    sameNumbers(out, part.values);
    readParts(codec, writer.finish(), new Array(5).fill(part));
  });
}

/** The same latent as one part and as slices of its channels. */
function sliced(codec: Codec, channels: number, side: number, slices: number): Uint8Array {
  const seeded = random(41);
  const n = channels * side * side;
  const scales = Float32Array.from({ length: n }, () => 0.3 + 0.5 * seeded.unit());
  const data = Int32Array.from(scales, (s) =>
    Math.round((seeded.unit() + seeded.unit() + seeded.unit() - 1.5) * 2 * s),
  );
  const writer = codec.writer();
  for (let slice = 0; slice < slices; slice++) {
    const [from, to] = [slice, slice + 1].map((i) => (n / slices) * i);
    const dims = [1, channels / slices, side, side];
    writer.write({ type: "int32", dims, data: data.subarray(from, to) }, codec.gaussian(scales.subarray(from, to)));
  }
  return writer.finish();
}

test("ten slices in a packet of 3 KB cost at most 24 bytes more than one", () => {
  for (const { codec } of builds) {
    const [one, ten] = [1, 10].map((slices) => sliced(codec, 320, 8, slices));
    assert.ok(one.length > 2500 && one.length < 6000, `${one.length} bytes`);
    assert.ok(ten.length <= one.length + 24, `${ten.length} bytes in ten slices, ${one.length} in one`);
  }
});

test.run();

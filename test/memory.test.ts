// Wasm memory: it grows with the largest call, is reused after that, and no failed call leaves anything behind.
import type { Codec } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildNames, watched } from "./builds.js";
import { featureMap, hyperprior, indexedSample, makeTable, random, type Sample } from "./cases.js";
import { throwsCode } from "./expect.js";

for (const name of buildNames) {
  const roundTrip = ({ latent, symbols, prior }: Sample, codec: Codec) => {
    const own = prior(codec);
    for (const stream of ["native", "compressai"] as const) {
      assert.equal(codec.decode(codec.encode(latent, own, { stream }), own, { type: "int32" }).data, symbols);
    }
  };

  test(`${name}: memory grows for a large tensor, with small ones before and after`, () => {
    const { codec, bytes } = watched(name);
    const small = featureMap(1, 8, 8);
    roundTrip(small, codec);
    const before = bytes();
    const rng = random(2);
    const large = indexedSample(rng, makeTable(rng, { rows: 3, entries: 16, flavour: "peaked" }), [2_000_000], {
      escapeRate: 0.0001,
    });
    roundTrip(large, codec);
    assert.ok(bytes() > before, "2 million symbols fit where nothing grew");
    assert.ok(bytes() < 120e6, `${bytes()} bytes for 2 million symbols`);
    roundTrip(small, codec);
    roundTrip(featureMap(3, 48, 28), codec);
  });

  test(`${name}: bytes that are no table take no more memory than the largest table`, () => {
    const { codec, bytes } = watched(name);
    throwsCode(() => codec.table(new Uint8Array(30_000_000)), "INVALID_TABLE");
    assert.ok(bytes() < 200e6, `${bytes()} bytes`);
  });

  test(`${name}: many calls do not grow memory`, () => {
    const { codec, bytes } = watched(name);
    const samples = [featureMap(1), hyperprior(2, 30000), featureMap(3, 48, 28, 0.2)];
    const priors = samples.map((sample) => sample.prior(codec));
    const y = samples.map(({ dims, symbols }) => ({ type: "float32", dims, data: Float32Array.from(symbols) }));
    const all = () => {
      samples.forEach((sample, i) => {
        for (const lanes of [1, 32] as const)
          codec.decode(codec.encode(sample.latent, priors[i], { lanes }), priors[i]);
        codec.decode(codec.encode(sample.latent, priors[i], { stream: "compressai" }), priors[i]);
        // The third has escapes that float32 cannot hold as symbols.
        if (i < 2) codec.quantize(y[i], priors[i], { type: "int32" });
        // Made anew each time: the same table must not be loaded anew.
        sample.prior(codec);
      });
      codec.quantizedCdf(new Float32Array(500).fill(0.002));
    };
    // Once to load the tables, and once to compare their bytes behind them.
    all();
    all();
    const settled = bytes();
    for (let round = 0; round < 30; round++) all();
    assert.is(bytes(), settled);
  });

  test(`${name}: the same table is loaded once`, () => {
    const { codec, bytes } = watched(name);
    const json = makeTable(random(5), { rows: 20, entries: 2000, flavour: "random" });
    const table = codec.table(json);
    // Loading again needs scratch for the bytes, once.
    codec.table(table.bytes());
    const settled = bytes();
    for (let i = 0; i < 200; i++) assert.is(codec.table(i % 2 ? json : table.bytes()).fingerprint, table.fingerprint);
    assert.is(bytes(), settled);
  });

  test(`${name}: refused tables and packets leave nothing behind`, () => {
    const { codec, bytes } = watched(name);
    const sample = featureMap(6, 12, 16);
    const prior = sample.prior(codec);
    const good = codec.encode(sample.latent, prior, { checksum: false });
    const expected = codec.decode(good, prior, { type: "int32" }).data;
    const broken = makeTable(random(7), { rows: 20, entries: 2000, flavour: "random" });
    const cdfs = broken.cdfs.map((cdf) => [...cdf]);
    cdfs[19][1] = 0;
    const failures = () => {
      throwsCode(() => codec.table({ ...broken, cdfs }), "INVALID_TABLE");
      for (let at = 12; at < good.length; at += 7)
        throwsCode(() => codec.decode(good.slice(0, at), prior), ["TRUNCATED", "CORRUPTED"]);
      throwsCode(() => codec.quantizedCdf(new Float32Array(1000)), "INVALID_PMF");
      const nan = {
        type: "float32",
        dims: sample.dims,
        data: new Float32Array(sample.symbols.length).fill(Number.NaN),
      };
      throwsCode(() => codec.encode(nan, prior), "NON_FINITE");
      assert.equal(codec.decode(good, prior, { type: "int32" }).data, expected);
      assert.equal(codec.encode(sample.latent, prior, { checksum: false }), good);
    };
    failures();
    const settled = bytes();
    for (let round = 0; round < 20; round++) failures();
    assert.is(bytes(), settled);
  });

  test(`${name}: a result is the caller's: later calls do not change it`, () => {
    const { codec } = watched(name);
    const sample = featureMap(8);
    const prior = sample.prior(codec);
    const packet = codec.encode(sample.latent, prior);
    const { data } = codec.decode(packet, prior, { type: "int32" });
    const copies = [packet.slice(), data.slice()];
    roundTrip(hyperprior(9, 200_000), codec);
    assert.equal([packet, data], copies);
    assert.is(packet.buffer.byteLength, packet.length, "no view of a larger buffer");
  });

  test(`${name}: two codecs do not know of each other`, () => {
    const first = watched(name);
    const second = watched(name);
    const one = featureMap(10, 20, 12);
    const two = featureMap(11, 20, 12);
    const priorOne = one.prior(first.codec);
    const priorTwo = two.prior(second.codec);
    const size = first.bytes();
    for (let i = 0; i < 5; i++) {
      const a = first.codec.encode(one.latent, priorOne);
      const b = second.codec.encode(two.latent, priorTwo);
      assert.equal(first.codec.decode(a, priorOne, { type: "int32" }).data, one.symbols);
      assert.equal(second.codec.decode(b, priorTwo, { type: "int32" }).data, two.symbols);
      roundTrip(hyperprior(12, 100_000), second.codec);
    }
    assert.ok(second.bytes() > first.bytes());
    assert.ok(first.bytes() - size < 1e6, "the large calls of the one are not in the memory of the other");
  });

  test(`${name}: many tables live side by side`, () => {
    const { codec } = watched(name);
    const samples = Array.from({ length: 60 }, (_, i) => featureMap(100 + i, 3 + (i % 9), 6));
    const priors = samples.map((sample) => sample.prior(codec));
    const packets = samples.map((sample, i) => codec.encode(sample.latent, priors[i]));
    samples.forEach((sample, i) => {
      assert.equal(codec.decode(packets[i], priors[i], { type: "int32" }).data, sample.symbols);
    });
  });
}

test.run();

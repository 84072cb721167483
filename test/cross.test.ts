// The package against the reference: the same bytes from both encoders, and each decoder reads the other's.
import type { EncodeOptions } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, laneCounts } from "./builds.js";
import {
  factorizedSample,
  featureMap,
  hyperprior,
  indexedSample,
  makeTable,
  makeTableOfLength,
  random,
  type Sample,
} from "./cases.js";
import { sameNumbers } from "./expect.js";
import {
  decodeBare,
  decodePacket,
  encodeBare,
  encodePacket,
  fingerprint,
  parsePacket,
  tableFromJson,
} from "./reference.js";

const rng = random(2024);
const wide = makeTable(rng, { rows: 5, entries: 4000, flavour: "random" });
const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });
const small = makeTable(rng, { rows: 48, entries: 12, flavour: "peaked" });
const extreme = makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" });
// More rows than a SIMD kernel can number in 16 bits.
const manyRows = makeTable(rng, { rows: 700, entries: 9, flavour: "peaked" });
const oneEntry = { offsets: [3], cdfs: [[0, 65536]] };

const samples: Record<string, Sample> = {
  "no symbols": indexedSample(rng, mixed, [0]),
  "no symbols, rank 4": factorizedSample(rng, mixed, [0, 7, 3, 3]),
  "no symbols, channels of none": factorizedSample(rng, mixed, [1, 7, 0, 3]),
  "no symbols, channels of 2^32": factorizedSample(rng, mixed, [0, 7, 65536, 65536]),
  "one symbol": indexedSample(rng, mixed, [1]),
  "one symbol, an escape": indexedSample(rng, mixed, [1], 1),
  "two symbols": indexedSample(rng, mixed, [2]),
  "33 symbols": indexedSample(rng, mixed, [33]),
  "a feature map": featureMap(1),
  "a hyperprior": hyperprior(2, 40000),
  "escapes now and then": featureMap(3, 24, 20, 0.01),
  "nothing but escapes": indexedSample(rng, mixed, [3, 700], 1),
  "wide rows": indexedSample(rng, wide, [5000], 0.001),
  "wide rows by channel": factorizedSample(rng, wide, [2, 5, 30, 17]),
  "extreme rows": indexedSample(rng, extreme, [9000], 0.02),
  "extreme rows by channel": factorizedSample(rng, extreme, [1, 10, 25, 24], 1, 0.02),
  "700 rows": indexedSample(rng, manyRows, [6000], 0.001),
  "700 channels": factorizedSample(rng, manyRows, [1, 700, 3, 3], 1, 0.001),
  "a large hyperprior": hyperprior(70, 70000),
  "a row of one entry": indexedSample(rng, oneEntry, [900], 0.2),
  "rank 1": factorizedSample(rng, mixed, [7], 0),
  "rank 7": factorizedSample(rng, mixed, [2, 3, 1, 7, 2, 5, 3], 3, 0.001),
  "the last axis": factorizedSample(rng, mixed, [600, 7], 1, 0.001),
  "a batch": factorizedSample(rng, small, [5, 48, 9, 11], 1, 0.0005),
};
// Around each length at which something changes in one kernel or another.
for (const run of [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100]) {
  samples[`runs of ${run}`] = factorizedSample(rng, small, [3, 48, run], 1, 0.002);
}
for (const entries of [2, 3, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 255, 256, 257, 1000]) {
  const table = makeTableOfLength(rng, 6, entries);
  samples[`rows of ${entries} entries`] = indexedSample(rng, table, [1500], 0.003);
  samples[`channels of ${entries} entries`] = factorizedSample(rng, table, [1, 6, 15, 17], 1, 0.003);
}
for (const n of [500, 999, 1024, 1025, 2047, 4095, 4096, 4097]) {
  samples[`${n} symbols of a hyperprior`] = hyperprior(n, n, 0.001);
}

const idOf = (sample: Sample) => fingerprint(tableFromJson(sample.table));

/** Where a factorized prior has runs, a packet may be in either layout. */
function layoutsOf(sample: Sample) {
  return sample.coding.run > 1 ? (["continuous", "runs"] as const) : (["continuous"] as const);
}

test("the builds are what they say", () => {
  assert.equal(
    builds.map(({ codec }) => codec.simd),
    [true, false],
  );
});

for (const { name: build, codec } of builds) {
  for (const [name, sample] of Object.entries(samples)) {
    const { symbols, dims, coding, latent } = sample;
    const n = symbols.length;
    const id = idOf(sample);
    const asSymbols = { type: "int32" } as const;

    test(`${build}: native packets are equal: ${name}`, () => {
      const prior = sample.prior(codec);
      for (const lanes of [...laneCounts, "auto"] as const) {
        const packet = codec.encode(latent, prior, { lanes });
        // Which layout, and for "auto" how many lanes, is the encoder's choice; what follows from it is not.
        const { form } = parsePacket(packet);
        const again = encodePacket(symbols, dims, coding, {
          ...form,
          lanes: lanes === "auto" ? form.lanes : lanes,
          checksum: true,
          fingerprint: id,
        });
        sameNumbers(packet, again, `${lanes} lanes`);
        assert.equal(decodePacket(packet, coding, id), { dims, symbols });
      }
    });

    test(`${build}: the package reads every form the reference writes: ${name}`, () => {
      const prior = sample.prior(codec);
      for (const lanes of laneCounts) {
        for (const layout of layoutsOf(sample)) {
          const packet = encodePacket(symbols, dims, coding, { lanes, layout, checksum: true, fingerprint: id });
          assert.equal(
            codec.decode(packet, prior, asSymbols),
            { type: "int32", dims, data: symbols },
            `${lanes} lanes, ${layout}`,
          );
          const bare = encodeBare(symbols, coding, { lanes, layout });
          sameNumbers(
            codec.decode(bare, prior, { ...asSymbols, header: "none", dims }).data,
            symbols,
            `${lanes} lanes, ${layout}, bare`,
          );
        }
      }
    });

    test(`${build}: CompressAI streams are equal: ${name}`, () => {
      const prior = sample.prior(codec);
      const stream = "compressai" as const;
      const packet = codec.encode(latent, prior, { stream });
      sameNumbers(packet, encodePacket(symbols, dims, coding, { stream, checksum: true, fingerprint: id }));
      assert.equal(codec.decode(packet, prior, asSymbols), { type: "int32", dims, data: symbols });
      const bare = codec.encode(latent, prior, { stream, header: "none" });
      sameNumbers(bare, encodeBare(symbols, coding, { stream }));
      sameNumbers(codec.decode(bare, prior, { ...asSymbols, stream, header: "none", dims }).data, symbols);
      assert.equal(decodeBare(bare, n, coding, stream), symbols);
    });
  }

  test(`${build}: every combination of header options`, () => {
    const sample = samples["escapes now and then"];
    const { symbols, dims, coding, latent } = sample;
    const prior = sample.prior(codec);
    for (const stream of ["native", "compressai"] as const) {
      for (const checksum of [false, true]) {
        for (const withFingerprint of [false, true]) {
          const options: EncodeOptions = { stream, checksum, fingerprint: withFingerprint, lanes: 16 };
          const packet = codec.encode(latent, prior, options);
          const { layout } = parsePacket(packet).form;
          const id = withFingerprint ? idOf(sample) : undefined;
          sameNumbers(
            packet,
            encodePacket(symbols, dims, coding, { stream, layout, lanes: 16, checksum, fingerprint: id }),
          );
          assert.equal(codec.decode(packet, prior, { type: "int32" }).data, symbols);
        }
      }
    }
  });
}

test("both builds choose alike", () => {
  for (const sample of Object.values(samples)) {
    const [first, second] = builds.map(({ codec }) => codec.encode(sample.latent, sample.prior(codec)));
    sameNumbers(first, second);
  }
});

test.run();

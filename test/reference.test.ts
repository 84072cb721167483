import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  factorizedSample,
  featureMap,
  hyperprior,
  indexedSample,
  makeTable,
  type Random,
  random,
  type Sample,
} from "./cases.js";
import { throwsCode } from "./expect.js";
import {
  decodeBare,
  decodePacket,
  encodeBare,
  encodePacket,
  fingerprint,
  nearest,
  parsePacket,
  tableFromBytes,
  tableFromJson,
  tableToBytes,
  tableToJson,
  xxh32,
  xxh64,
} from "./reference.js";

const text = (value: string) => new TextEncoder().encode(value);

// The first two lines are published vectors of python-xxhash; the rest is the sanity buffer of xxHash's own test suite
// (xsum_sanity_check.c), at lengths on each side of a stripe.
test("XXH32 and XXH64 give their published values", () => {
  assert.is(xxh32(text("Nobody inspects the spammish repetition")), 0xe2293b2f);
  assert.is(xxh64(text("Nobody inspects the spammish repetition")), 0xfbcea83c8a378bf1n);
  const buffer = new Uint8Array(222);
  let generator = 2654435761n;
  for (let i = 0; i < buffer.length; i++) {
    buffer[i] = Number(generator >> 56n);
    generator = (generator * 11400714785074694797n) & 0xffffffffffffffffn;
  }
  const vectors32: [number, number, number][] = [
    [0, 0, 0x02cc5d05],
    [0, 2654435761, 0x36b78ae7],
    [1, 0, 0xcf65b03e],
    [1, 2654435761, 0xb4545aa4],
    [14, 0, 0x1208e7e2],
    [14, 2654435761, 0x6af1d1fe],
    [222, 0, 0x5bd11dbd],
    [222, 2654435761, 0x58803c5f],
  ];
  for (const [length, seed, hash] of vectors32)
    assert.is(xxh32(buffer.subarray(0, length), seed), hash, `XXH32 of ${length} bytes`);
  const vectors64: [number, bigint, bigint][] = [
    [0, 0n, 0xef46db3751d8e999n],
    [0, 2654435761n, 0xac75fda2929b17efn],
    [1, 0n, 0xe934a84adb052768n],
    [1, 2654435761n, 0x5014607643a9b4c3n],
    [4, 0n, 0x9136a0dca57457een],
    [14, 0n, 0x8282dcc4994e35c8n],
    [14, 2654435761n, 0xc3bd6bf63deb6df0n],
    [222, 0n, 0xb641ae8cb691c174n],
    [222, 2654435761n, 0x20cb8ab7ae10c14an],
  ];
  for (const [length, seed, hash] of vectors64)
    assert.is(xxh64(buffer.subarray(0, length), seed), hash, `XXH64 of ${length} bytes`);
});

test("nearest rounds ties to even", () => {
  assert.equal(
    [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6].map(nearest).map((x) => x + 0),
    [-2, -2, 0, 0, 2, 2, 2, -3],
  );
});

function samples(): Record<string, Sample> {
  const rng: Random = random(7);
  const table = makeTable(rng, { rows: 6, entries: 40, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" });
  return {
    empty: factorizedSample(rng, table, [0, 6, 2, 2]),
    single: indexedSample(rng, table, [1]),
    "a feature map": featureMap(1, 12, 14),
    "a hyperprior": hyperprior(2, 6000),
    "nothing but escapes": indexedSample(rng, table, [3, 700], 1),
    "extreme rows": indexedSample(rng, extreme, [2500], 0.05),
    "runs of 5": factorizedSample(rng, table, [50, 6, 5], 1, 0.01),
  };
}

for (const [name, sample] of Object.entries(samples())) {
  test(`the reference reads what it writes: ${name}`, () => {
    const { symbols, coding, dims } = sample;
    const id = fingerprint(tableFromJson(sample.table));
    for (const checksum of [false, true]) {
      const options = { stream: "compressai", checksum, fingerprint: id } as const;
      assert.equal(decodePacket(encodePacket(symbols, dims, coding, options), coding, id), { dims, symbols });
    }
    for (const lanes of [1, 8, 16, 32] as const) {
      for (const layout of ["continuous", "runs"] as const) {
        const packet = encodePacket(symbols, dims, coding, { lanes, layout, checksum: true, fingerprint: id });
        assert.equal(decodePacket(packet, coding, id), { dims, symbols }, `${lanes} lanes, ${layout}`);
        const bare = encodeBare(symbols, coding, { lanes, layout });
        assert.equal(decodeBare(bare, symbols.length, coding), symbols);
        if (symbols.length > 2000) assert.is(parsePacket(packet).form.lanes, lanes, "the lanes asked for");
      }
    }
  });
}

test("a short message falls back to one lane", () => {
  const { symbols, coding } = featureMap(3, 2, 4);
  assert.is(encodeBare(symbols, coding, { lanes: 32 })[0] & 7, 0);
});

test("an empty message is one control byte, or CompressAI's 8 bytes", () => {
  const none = { rows: [], index: [], run: 1 };
  assert.equal([...encodeBare([], none, { lanes: 8 })], [0]);
  assert.equal([...encodeBare([], none, { stream: "compressai" })], [0, 0, 0, 128, 0, 0, 0, 0]);
});

test("the reference's tables survive both forms", () => {
  const rng = random(11);
  for (const flavour of ["peaked", "random", "extreme"] as const) {
    for (const medians of [false, true]) {
      const table = tableFromJson(makeTable(rng, { rows: 9, entries: 50, flavour, medians }));
      assert.equal(tableFromBytes(tableToBytes(table)), table);
      assert.equal(tableFromJson(tableToJson(table)), table);
    }
  }
});

test("the reference refuses every cut and every changed byte of a packet with a checksum", () => {
  const sample = featureMap(4, 8, 12);
  const id = fingerprint(tableFromJson(sample.table));
  const packet = encodePacket(sample.symbols, sample.dims, sample.coding, {
    lanes: 8,
    checksum: true,
    fingerprint: id,
  });
  for (let length = 0; length < packet.length; length++) {
    throwsCode(
      () => decodePacket(packet.slice(0, length), sample.coding, id),
      length < 4 ? "TRUNCATED" : ["CORRUPTED", "TRUNCATED"],
    );
  }
  for (let at = 0; at < packet.length; at++) {
    const changed = packet.slice();
    changed[at] ^= 1 + (at % 255);
    // Without the flag that says so, the checksum is no checksum.
    const codes =
      at === 0
        ? ["NOT_A_PACKET"]
        : at === 1
          ? ["NOT_A_PACKET", "CORRUPTED", "TRUNCATED", "WRONG_TABLES"]
          : at === 2
            ? ["UNSUPPORTED_VERSION", "CORRUPTED"]
            : at === 3
              ? ["CORRUPTED", "TRUNCATED", "WRONG_TABLES"]
              : ["CORRUPTED"];
    throwsCode(() => decodePacket(changed, sample.coding, id), codes);
  }
});

test.run();

// What a packet says about itself, and what is said about a packet that is wrong.
import { CodecError, inspect, type TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { featureMap, makeTable, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { encodePacket, fingerprint, parsePacket, tableFromJson, xxh32 } from "./reference.js";

const sample = featureMap(5, 12, 16, 0.005);
const { symbols, dims, coding, latent } = sample;
const id = fingerprint(tableFromJson(sample.table));

/** The packet with its last four bytes made right again. */
function resealed(packet: Uint8Array): Uint8Array {
  const sealed = packet.slice();
  new DataView(sealed.buffer).setUint32(sealed.length - 4, xxh32(sealed.subarray(0, -4)), true);
  return sealed;
}

function edited(packet: Uint8Array, at: number, value: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = value;
  return copy;
}

for (const { name, codec } of builds) {
  const prior = sample.prior(codec);
  const good = codec.encode(latent, prior, { lanes: 16 });

  test(`${name}: inspect tells what the reference reads`, () => {
    for (const stream of ["native", "compressai"] as const) {
      for (const lanes of [1, 8, 16, 32] as const) {
        for (const checksum of [true, false]) {
          for (const withFingerprint of [true, false]) {
            const packet = codec.encode(latent, prior, { stream, lanes, checksum, fingerprint: withFingerprint });
            const header = parsePacket(packet);
            const info = inspect(packet);
            assert.equal(info, {
              version: 1,
              stream,
              dims,
              elements: symbols.length,
              lanes: stream === "native" ? lanes : 1,
              layout: header.form.layout,
              escapes: header.form.escapes,
              fingerprint: withFingerprint ? id.slice(8) : undefined,
              checksum: checksum ? "valid" : "absent",
              headerBytes: packet.length - header.stream.length - (checksum ? 4 : 0),
              streamBytes: header.stream.length,
              totalBytes: packet.length,
            });
          }
        }
      }
    }
  });

  test(`${name}: inspect marks a wrong checksum and refuses what has no header`, () => {
    assert.is(inspect(edited(good, good.length - 9, good[good.length - 9] ^ 1)).checksum, "invalid");
    throwsCode(() => inspect(good.subarray(0, 3)), "TRUNCATED");
    throwsCode(() => inspect(new Uint8Array(0)), "TRUNCATED");
    throwsCode(() => inspect(edited(good, 0, 0)), "NOT_A_PACKET");
    throwsCode(() => inspect(edited(good, 2, (good[2] & ~7) | 2)), "UNSUPPORTED_VERSION");
  });

  test(`${name}: NOT_A_PACKET, UNSUPPORTED_VERSION`, () => {
    throwsCode(() => codec.decode(edited(good, 0, 0x4d), prior), "NOT_A_PACKET");
    throwsCode(() => codec.decode(edited(good, 1, 0x58), prior), "NOT_A_PACKET");
    throwsCode(() => codec.decode(new Uint8Array(100), prior), "NOT_A_PACKET");
    for (let bits = 0; bits < 32; bits++) {
      if ((bits & 7) === 1 && bits >> 3 < 2) continue;
      // Version and kind are judged before the checksum, so an old reader says the right thing about a new packet.
      throwsCode(() => codec.decode(edited(good, 2, (good[2] & 0xe0) | bits), prior), "UNSUPPORTED_VERSION");
    }
  });

  test(`${name}: TRUNCATED and CORRUPTED for every cut of a packet`, () => {
    const bare = codec.encode(latent, prior, { checksum: false, lanes: 8 });
    for (let length = 0; length < 4; length++)
      throwsCode(() => codec.decode(good.subarray(0, length), prior), "TRUNCATED");
    for (let length = 4; length < good.length; length++)
      throwsCode(() => codec.decode(good.slice(0, length), prior), ["TRUNCATED", "CORRUPTED"]);
    for (let length = 4; length < bare.length; length++)
      throwsCode(() => codec.decode(bare.slice(0, length), prior), ["TRUNCATED", "CORRUPTED"]);
    throwsCode(() => codec.decode(bare.subarray(0, 10), prior), "TRUNCATED");
    throwsCode(() => codec.decode(bare.subarray(0, 20), prior), "TRUNCATED");
  });

  test(`${name}: CORRUPTED for every changed byte of a packet with a checksum`, () => {
    for (let at = 4; at < good.length; at++)
      throwsCode(() => codec.decode(edited(good, at, good[at] ^ (1 + (at % 255))), prior), "CORRUPTED");
    // And with the checksum made right: runs or a tail on one lane, a first dimension of 1 that is written out, a rank of 0,
    // stream bits on a CompressAI packet.
    for (const control of [(good[3] & 8) | 4, (good[3] & 8) | 16]) {
      throwsCode(() => codec.decode(resealed(edited(good, 3, control)), prior), "CORRUPTED");
    }
    const writtenOut = Uint8Array.from([...good.subarray(0, 8), 1, ...good.subarray(8)]);
    throwsCode(() => codec.decode(resealed(edited(writtenOut, 1, good[1] & ~4)), prior), "CORRUPTED");
    throwsCode(() => codec.decode(resealed(edited(good, 2, good[2] & 0x1f)), prior), "CORRUPTED");
    const foreign = codec.encode(latent, prior, { stream: "compressai" });
    for (const bit of [1, 2, 4, 8, 16])
      throwsCode(() => codec.decode(resealed(edited(foreign, 3, foreign[3] | bit)), prior), "CORRUPTED");
  });

  test(`${name}: bytes after the stream are CORRUPTED`, () => {
    for (const stream of ["native", "compressai"] as const) {
      for (const lanes of [1, 8, 16, 32] as const) {
        const packet = codec.encode(latent, prior, { stream, lanes, checksum: false });
        for (const extra of [1, 2, 3, 4, 8]) {
          throwsCode(
            () => codec.decode(Uint8Array.from([...packet, ...new Array(extra).fill(0)]), prior),
            ["CORRUPTED", "TRUNCATED"],
          );
        }
      }
    }
  });

  test(`${name}: WRONG_TABLES, unless the packet says nothing of its table`, () => {
    const ordinary = featureMap(6, 12, 16, 0);
    const other = { ...ordinary.table, offsets: ordinary.table.offsets.map((offset) => offset + 1) };
    const otherPrior = codec.factorized(other);
    throwsCode(() => codec.decode(codec.encode(ordinary.latent, ordinary.prior(codec)), otherPrior), "WRONG_TABLES");
    const anonymous = codec.encode(ordinary.latent, ordinary.prior(codec), { fingerprint: false });
    assert.equal(
      codec.decode(anonymous, otherPrior, { type: "int32" }).data,
      ordinary.symbols.map((v) => v + 1),
      "the same frequencies with other offsets",
    );
  });

  test(`${name}: SHAPE_MISMATCH between latent, prior, packet and what is expected`, () => {
    throwsCode(() => codec.encode({ ...latent, dims: [1, 16, 12, 16] }, prior), "SHAPE_MISMATCH");
    throwsCode(() => codec.encode({ ...latent, dims: [12, 1, 16, 16] }, prior), "SHAPE_MISMATCH");
    throwsCode(() => codec.decode(good, prior, { dims: [1, 12, 16, 15] }), "SHAPE_MISMATCH");
    throwsCode(() => codec.decode(good, prior, { dims: [12, 16, 16] }), "SHAPE_MISMATCH");
    assert.equal(codec.decode(good, prior, { dims, type: "int32" }).data, symbols);
    const indexed = codec.indexed(sample.table, coding.index.length === 0 ? [] : Array.from(coding.index).slice(1));
    throwsCode(() => codec.decode(good, indexed), "SHAPE_MISMATCH");
    throwsCode(() => codec.encode(latent, indexed), "SHAPE_MISMATCH");
    const scales = codec.gaussian(new Float32Array(5));
    throwsCode(() => codec.encode(latent, scales), "SHAPE_MISMATCH");
    const otherAxis = codec.factorized(sample.table, { axis: 2 });
    throwsCode(() => codec.decode(good, otherAxis), "SHAPE_MISMATCH");
    throwsCode(
      () =>
        codec.encode(
          { type: "int32", dims: [12], data: new Int32Array(12) },
          codec.factorized(sample.table, { axis: 1 }),
        ),
      "SHAPE_MISMATCH",
    );
    const wrongMeans = () =>
      codec.encode(latent, codec.indexed(sample.table, coding.index, { means: new Float32Array(3) }));
    try {
      wrongMeans();
      assert.unreachable("means of another length were taken");
    } catch (error) {
      // Noticed as the caller's mistake when the prior is made, or as a mismatch when it is used.
      if (!(error instanceof RangeError) && !(error instanceof CodecError && error.code === "SHAPE_MISMATCH"))
        throw error;
    }
  });

  test(`${name}: LIMIT_EXCEEDED before anything is allocated`, () => {
    throwsCode(() => codec.decode(good, prior, { maxElements: symbols.length - 1 }), "LIMIT_EXCEEDED");
    assert.equal(codec.decode(good, prior, { maxElements: symbols.length, type: "int32" }).data, symbols);
    // 2^31 - 1 symbols of a row that costs nothing, claimed by 13 bytes.
    const free: TableJson = { offsets: [0], cdfs: [[0, 65535, 65536]] };
    const freePrior = codec.factorized(free, { axis: 0 });
    const claim = encodePacket(
      [],
      [1, 0],
      { rows: [], index: [], run: 1 },
      { fingerprint: fingerprint(tableFromJson(free)) },
    );
    const bomb = Uint8Array.from([...claim.subarray(0, -1), 0xff, 0xff, 0xff, 0xff, 7]);
    const before = process.memoryUsage().rss;
    throwsCode(() => codec.decode(bomb, freePrior), "LIMIT_EXCEEDED");
    assert.ok(process.memoryUsage().rss - before < 50e6);
    // Even a caller who allows it gets an error and not a crash.
    throwsCode(() => codec.decode(bomb, freePrior, { maxElements: 2 ** 31 - 1 }), "LIMIT_EXCEEDED");
    assert.equal(codec.decode(good, prior, { type: "int32" }).data, symbols);
  });

  test(`${name}: an empty tensor of any shape, also where its channels are 0 long`, () => {
    const prior = codec.factorized(makeTable(random(8), { rows: 6, entries: 9, flavour: "random" }));
    for (const dims of [
      [0, 6, 4, 4],
      [1, 6, 0, 4],
      [0, 6, 2 ** 16, 2 ** 16],
    ]) {
      const latent = { type: "float32", dims, data: new Float32Array(0) };
      for (const options of [{}, { lanes: 32 }, { stream: "compressai" }] as const) {
        const decoded = codec.decode(codec.encode(latent, prior, options), prior);
        assert.equal(decoded.dims, dims);
        assert.is(decoded.data.length, 0);
      }
      assert.is(codec.dequantize(codec.quantize(latent, prior), prior).data.length, 0);
    }
  });

  test(`${name}: a shape that overflows is CORRUPTED`, () => {
    const packet = encodePacket([], [0], { rows: [], index: [], run: 1 }, {});
    const shape = (...bytes: number[]) => Uint8Array.from([...packet.subarray(0, 2), 1 | (2 << 5), 0, ...bytes]);
    const anonymous = codec.factorized(sample.table, { axis: 0 });
    throwsCode(() => codec.decode(shape(0xff, 0xff, 0xff, 0xff, 7, 2), anonymous), "CORRUPTED");
    throwsCode(() => codec.decode(shape(0x80, 0x80, 0x80, 0x80, 8, 1), anonymous), "CORRUPTED");
    throwsCode(() => codec.decode(shape(0x81, 0x00, 1), anonymous), "CORRUPTED");
    throwsCode(() => codec.decode(shape(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), anonymous), "CORRUPTED");
    throwsCode(() => codec.decode(shape(0x81), anonymous), "TRUNCATED");
    throwsCode(() => codec.decode(shape(12), anonymous), "TRUNCATED");
  });

  test(`${name}: bare streams need to know their shape`, () => {
    const bare = codec.encode(latent, prior, { header: "none" });
    throwsMistake(() => codec.decode(bare, prior, { header: "none" }), TypeError, "dims");
    throwsCode(() => codec.decode(new Uint8Array(0), prior, { header: "none", dims }), "TRUNCATED");
    for (const bit of [16, 32, 64, 128]) {
      const other = edited(bare, 0, bare[0] ^ bit);
      throwsCode(() => codec.decode(other, prior, { header: "none", dims }), ["CORRUPTED", "TRUNCATED"]);
    }
    throwsCode(() => codec.decode(bare, prior, { header: "none", dims: [1, 12, 16, 15] }), ["CORRUPTED", "TRUNCATED"]);
    throwsCode(() => codec.decode(bare, prior, { header: "none", dims, maxElements: 10 }), "LIMIT_EXCEEDED");
  });
}

test("errors are of one class, with a code", () => {
  const error = new CodecError("CORRUPTED", "why");
  assert.instance(error, Error);
  assert.is(error.name, "CodecError");
  assert.is(error.code, "CORRUPTED");
  assert.is(error.message, "why");
});

test("a hyperprior's packet decodes with the same scales alone", () => {
  const [{ codec }] = builds;
  const rng = random(3);
  const scales = Float32Array.from({ length: 4000 }, () => Math.exp(rng.unit() * 6 - 3));
  const means = Float32Array.from(scales, () => rng.unit() * 10 - 5);
  const y = Float32Array.from(
    scales,
    (sigma, i) => means[i] + (rng.unit() + rng.unit() + rng.unit() - 1.5) * 2 * sigma,
  );
  const packet = codec.encode({ type: "float32", dims: [1, 10, 20, 20], data: y }, codec.gaussian(scales, { means }));
  const restored = codec.decode(packet, codec.gaussian(scales, { means }));
  assert.equal(restored.dims, [1, 10, 20, 20]);
  assert.ok(restored.data.every((value, i) => Math.abs(value - y[i]) < 0.5001));
});

test.run();

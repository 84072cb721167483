// What a packet says about itself, and what is said about bytes that are wrong: of one part and of several, with `decode` and with a reader.
import { Worker } from "node:worker_threads";
import { CodecError, type DecodeOptions, type Prior, type TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, laneCounts } from "./builds.js";
import {
  factorizedSample,
  featureMap,
  gaussianSample,
  indexedSample,
  makeTable,
  mixtureSample,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { encodeByReference, type Options, readByPackage, readParts, toReference, writeParts } from "./io.js";
import { reseal } from "./mutate.js";
import { writePacket } from "./reference/header.js";
import { encodePacket, type Header, packetFingerprint, parsePacket } from "./reference.js";

const sample = featureMap(5, 12, 16, 0.005);
const { symbols, dims, latent } = sample;
const rng = random(77);
const table = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const parts: Sample[] = [
  factorizedSample(rng, table, [1, 7, 6, 5]),
  gaussianSample(rng, scaledTable(rng, 12), [500]),
  indexedSample(rng, table, [400]),
  mixtureSample(rng, [100], { components: 2, weights: true }),
];
const damage = ["TRUNCATED", "CORRUPTED"];

function edited(packet: Uint8Array, at: number, value: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = value;
  return copy;
}

const append = (packet: Uint8Array, ...extra: number[]) => Uint8Array.from([...packet, ...extra]);
const hexOf = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

/** The packet with another header. */
const withHeader = (packet: Uint8Array, change: Partial<Header>) =>
  writePacket({ ...parsePacket(packet), ...change }, 0);

for (const { name, codec } of builds) {
  const prior = sample.prior(codec);
  const good = codec.encode(latent, prior, { lanes: 16 });
  const several = writeParts(codec, parts);
  const checked = writeParts(codec, parts, { lanes: 8, checksum: false, guard: { absolute: 5e-4 } });

  const decode = (packet: Uint8Array, options: DecodeOptions = {}, own: Prior = prior) =>
    codec.decode(packet, own, options);
  const open = (packet: Uint8Array) => codec.reader(packet).close();
  const readAll = (packet: Uint8Array, list: readonly Sample[] = parts) => readParts(codec, packet, list);
  const isGood = () => {
    assert.equal(decode(good, { type: "int32" }).data, symbols);
    readAll(several);
  };

  // ---- what a packet says

  test(`${name}: inspect tells what the reference reads`, () => {
    const lists: Sample[][] = [[sample], [parts[1]], [parts[3]], parts, []];
    for (const list of lists) {
      for (const stream of list.length === 1 && list[0] !== parts[3]
        ? (["native", "compressai"] as const)
        : (["native"] as const)) {
        for (const lanes of laneCounts) {
          for (const checksum of [true, false]) {
            for (const fingerprint of [true, false]) {
              const options: Options = { stream, lanes, checksum, fingerprint, guard: stream === "native" ? 2e-4 : 0 };
              const packet = encodeByReference(list, options);
              const header = parsePacket(packet);
              const shapes = list.filter(({ reference }) => reference.kind === "channels").map((part) => part.dims);
              const id = packetFingerprint(list.map(({ reference }) => reference));
              assert.equal(codec.inspect(packet), {
                version: 1,
                parts: list.length,
                dims: list.length === 1 ? list[0].dims : undefined,
                shapes: list.length === 1 ? [list[0].dims] : shapes,
                elements: list.reduce((n, part) => n + part.symbols.length, 0),
                stream,
                lanes: header.lanes,
                escapes: header.escapes,
                corrections: header.corrections.length,
                indexChecks: stream === "native" && list.length > 0,
                fingerprint: fingerprint ? id.toString(16).padStart(8, "0") : undefined,
                checksum: checksum ? "valid" : "absent",
                headerBytes: packet.length - header.stream.length - (checksum ? 4 : 0),
                streamBytes: header.stream.length,
                totalBytes: packet.length,
              });
            }
          }
        }
      }
    }
  });

  test(`${name}: inspect marks a wrong check and refuses what has no header`, () => {
    for (const packet of [good, several]) {
      const at = packet.length - 9;
      assert.is(codec.inspect(edited(packet, at, packet[at] ^ 1)).checksum, "invalid");
      throwsCode(() => codec.inspect(packet.subarray(0, 3)), "TRUNCATED");
      throwsCode(() => codec.inspect(edited(packet, 0, 0)), "NOT_A_PACKET");
      throwsCode(() => codec.inspect(edited(packet, 2, (packet[2] & ~7) | 2)), "UNSUPPORTED_VERSION");
    }
    throwsCode(() => codec.inspect(new Uint8Array(0)), "TRUNCATED");
    throwsMistake(() => codec.inspect("packet" as never), TypeError, "packet");
  });

  test(`${name}: a packet of one part is read by decode and by a reader, whoever wrote it; one of several by a reader`, () => {
    for (const part of [sample, ...parts]) {
      const own = part.prior(codec);
      const packet = codec.encode(part.latent, own);
      assert.equal(writeParts(codec, [part]), packet);
      readByPackage(codec, packet, [part], {});
      const guarded = writeParts(codec, [part], { guard: { absolute: 5e-4 } });
      assert.ok(guarded.length >= packet.length + 3, "index checks");
      readByPackage(codec, guarded, [part], {});
    }
    throwsCode(() => decode(several), "SHAPE_MISMATCH");
    throwsCode(() => decode(writeParts(codec, [])), "SHAPE_MISMATCH");
    isGood();
  });

  test(`${name}: file hashes are skipped`, () => {
    const files = [0, 1, 2].map((file) => ({ file, hash: Uint8Array.from({ length: 8 }, () => rng(256)) }));
    for (const list of [[sample], [parts[1]], parts]) {
      const reference = toReference(list, 2e-4);
      for (const form of ["full", "compact"] as const) {
        for (const lanes of [1, 16] as const) {
          const packet = encodePacket(reference, { form, lanes, files, indexChecks: true });
          readByPackage(codec, packet, list, form === "compact" ? { header: "compact" } : {});
        }
      }
    }
    const packet = encodePacket(toReference([sample]), { check: 0, files });
    // Prefix, control byte, sections byte, fingerprint, shape: then the length of 27.
    const at = 3 + 1 + 1 + 4 + 3;
    assert.is(packet[at], 27);
    for (const length of [0, 26, 28]) throwsCode(() => decode(edited(packet, at, length)), "CORRUPTED");
    throwsCode(() => decode(packet.subarray(0, at + 20)), "TRUNCATED");
    isGood();
  });

  // ---- first bytes

  test(`${name}: NOT_A_PACKET, UNSUPPORTED_VERSION`, () => {
    for (const packet of [good, several]) {
      const calls = [(bytes: Uint8Array) => decode(bytes), open, (bytes: Uint8Array) => codec.inspect(bytes)];
      for (const call of calls) {
        throwsCode(() => call(edited(packet, 0, 0x6d)), "NOT_A_PACKET");
        for (const bit of [8, 16, 32, 64, 128])
          throwsCode(() => call(edited(packet, 1, packet[1] ^ bit)), "NOT_A_PACKET");
        throwsCode(() => call(new Uint8Array(100)), "NOT_A_PACKET");
        throwsCode(() => call(new Uint8Array(0)), "TRUNCATED");
        throwsCode(() => call(packet.subarray(0, 3)), "TRUNCATED");
        // The version is judged before the check, so an old reader says the right thing about a new packet.
        for (const version of [0, 2, 3, 4, 5, 6, 7])
          throwsCode(() => call(edited(packet, 2, (packet[2] & 0xf8) | version)), "UNSUPPORTED_VERSION");
      }
    }
    isGood();
  });

  test(`${name}: packets of releases before the first are NOT_A_PACKET`, () => {
    // Seven channels of 12, one symbol, parts of a scale hyperprior: of test/vectors before the format changed.
    const old = [
      "4c5781007c00bd44070304148837cf175508932deaf33e4235389a2458b3478897e3462f8e7be3ac0f415ab8b0c1d0b5",
      "4c5721007c00bd448169df8296f2",
      "4c5721008169",
      "4c53310839a667d8c8010c04020109471a9abbb006311c7b4d185e80056f",
      "4c5011000000",
    ].map(hexOf);
    for (const packet of old)
      for (const call of [() => decode(packet), () => open(packet), () => codec.inspect(packet)])
        throwsCode(call, "NOT_A_PACKET");
    isGood();
  });

  test(`${name}: reserved sections, context flags and reserved bits are UNSUPPORTED_VERSION`, () => {
    const control = good[3] | 4;
    const withSections = (byte: number) =>
      reseal(Uint8Array.from([...good.subarray(0, 3), control, byte, ...good.subarray(4)]));
    for (const call of [decode, open, (bytes: Uint8Array) => codec.inspect(bytes)]) {
      for (const bit of [4, 32, 64, 128])
        for (const others of [0, 1, 2, 8]) throwsCode(() => call(withSections(bit | others)), "UNSUPPORTED_VERSION");
      throwsCode(() => call(withSections(0)), "CORRUPTED");
      throwsCode(() => call(withSections(16)), "CORRUPTED");
    }
    throwsCode(() => decode(withSections(4)), "UNSUPPORTED_VERSION", /context/);
    const compact = codec.encode(latent, prior, { header: "none", lanes: 16 });
    for (const bit of [4, 32, 64, 128]) {
      const bytes = Uint8Array.from([compact[0] | 4, bit, ...compact.subarray(1)]);
      throwsCode(() => decode(bytes, { header: "none", dims }), "UNSUPPORTED_VERSION");
    }
    isGood();
  });

  // ---- damage

  test(`${name}: TRUNCATED and CORRUPTED for every cut of a packet`, () => {
    const calls: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
      [good, decode],
      [codec.encode(latent, prior, { checksum: false, lanes: 8 }), decode],
      [codec.encode(latent, prior, { checksum: false, lanes: 1, fingerprint: false }), decode],
      [several, open],
    ];
    for (const [packet, call] of calls)
      for (let length = 0; length < packet.length; length++)
        throwsCode(() => call(packet.slice(0, length)), length < 4 ? "TRUNCATED" : damage);
    const [, [bare]] = calls;
    for (const length of [10, 20]) throwsCode(() => decode(bare.subarray(0, length)), "TRUNCATED");
    isGood();
  });

  test(`${name}: every cut of several parts without a check`, () => {
    const bare = writeParts(codec, parts, { checksum: false, lanes: 16 });
    const cut = (length: number) => readAll(bare.slice(0, length));
    // The last words are the tail's, whose one lane may sink to 0 too early and end well (docs/determinism.md 5).
    const sure = bare.length - 8;
    for (let length = 0; length < sure; length++) throwsCode(() => cut(length), [...damage, "SHAPE_MISMATCH"]);
    throwsCode(() => cut(bare.length - 1), damage);
    throwsCode(() => readAll(append(bare, 0)), "CORRUPTED");
    isGood();
  });

  test(`${name}: CORRUPTED for every changed byte of a packet with a check`, () => {
    for (const [packet, call] of [
      [good, decode],
      [several, open],
    ] as const)
      for (let at = 3; at < packet.length; at++)
        throwsCode(() => call(edited(packet, at, packet[at] ^ (1 + (at % 255)))), "CORRUPTED");
    isGood();
  });

  test(`${name}: the compact form notices every flipped bit and every cut`, () => {
    const small = featureMap(9, 6, 5, 0.02);
    const lists: Sample[][] = [[small], [parts[1]], [parts[3]], [parts[0], parts[2]]];
    for (const list of lists) {
      const tries = [
        [{ header: "compact" }, 0],
        [{ header: "compact", checksum: 2 }, 2],
      ] as const;
      for (const [options, most] of tries) {
        const packet = encodeByReference(list, { ...options, lanes: 8, indexChecks: true });
        const priors = list.map((part) => part.prior(codec));
        const read = (bytes: Uint8Array) => {
          const reader = codec.reader(bytes, options);
          priors.forEach((own, i) => {
            reader.read(own, { dims: list[i].dims });
          });
          reader.finish();
        };
        const readings = [read];
        if (list.length === 1)
          readings.push((bytes) => codec.decode(bytes, priors[0], { ...options, dims: list[0].dims }));
        let passed = 0;
        const refuses = (bytes: Uint8Array) => {
          for (const reading of readings) {
            try {
              reading(bytes);
              passed++;
            } catch (error) {
              if (!(error instanceof CodecError)) throw error;
            }
          }
        };
        readParts(codec, packet, list, options);
        for (let at = 0; at < packet.length; at++) {
          for (let bit = 1; bit < 256; bit *= 2) refuses(edited(packet, at, packet[at] ^ bit));
          refuses(packet.slice(0, at));
        }
        // With 2 bytes one in 65,536 passes, of some ten thousand tries.
        assert.ok(passed <= most, `${passed} mistakes passed: ${JSON.stringify(options)}`);
      }
    }
    isGood();
  });

  test(`${name}: the compact form notices another prior, step, axis or shape`, () => {
    const other = { ...table, offsets: table.offsets.map((offset) => offset + 1) };
    const cube = factorizedSample(rng, table, [7, 7, 7], 1);
    const own = codec.factorized(table);
    for (const checksum of [4, 2] as const) {
      const options = { header: "compact", checksum } as const;
      const packet = codec.encode(cube.latent, own, options);
      const given = { ...options, dims: cube.dims, type: "int32" } as const;
      assert.equal(codec.decode(packet, own, given).data, cube.symbols);
      for (const wrong of [
        codec.factorized(other),
        codec.factorized(table, { step: 0.5 }),
        codec.factorized(table, { axis: 0 }),
        codec.factorized({ ...table, medians: new Array(7).fill(0) }),
        codec.indexed(table, cube.coding.index),
      ]) {
        throwsCode(() => codec.decode(packet, wrong, given), "CORRUPTED");
        throwsCode(() => codec.reader(packet, options).read(wrong, { dims: cube.dims }), "CORRUPTED");
      }
      for (const shape of [
        [49, 7],
        [1, 7, 49],
        [7, 7, 7, 1],
        [7, 7, 8],
      ]) {
        throwsCode(() => codec.decode(packet, own, { ...given, dims: shape }), ["CORRUPTED", "SHAPE_MISMATCH"]);
        const reader = codec.reader(packet, options);
        throwsCode(() => reader.read(own, { dims: shape }), ["CORRUPTED", "SHAPE_MISMATCH"]);
      }
      throwsCode(() => codec.decode(packet, own, { ...given, dims: [1, 7, 49] }), "CORRUPTED");
      // Several parts: behind the last one.
      const two = writeParts(codec, [cube, parts[2]], options);
      const reader = codec.reader(two, options);
      reader.read(codec.factorized(table, { step: 2 }), { dims: cube.dims });
      reader.read(parts[2].prior(codec), { dims: parts[2].dims });
      throwsCode(() => reader.finish(), "CORRUPTED");
    }
    // Without a check nothing tells.
    const bare = codec.encode(cube.latent, own, { header: "compact", checksum: false });
    const found = codec.decode(bare, codec.factorized(table, { step: 0.5 }), {
      header: "compact",
      checksum: false,
      dims: [1, 7, 49].map((_, d) => cube.dims[d]),
    });
    assert.equal(
      found.data,
      Float32Array.from(cube.symbols, (v) => v / 2),
    );
    isGood();
  });

  test(`${name}: bytes behind the stream are CORRUPTED`, () => {
    for (const stream of ["native", "compressai"] as const) {
      for (const lanes of laneCounts) {
        const packet = codec.encode(latent, prior, { stream, lanes, checksum: false });
        for (const extra of [1, 2, 3, 4, 8])
          throwsCode(() => decode(append(packet, ...new Array(extra).fill(0))), damage);
      }
    }
  });

  // ---- a header that breaks its rules

  test(`${name}: control byte and prefix`, () => {
    const corrupted = (bytes: Uint8Array, call: (bytes: Uint8Array) => unknown = decode) =>
      throwsCode(() => call(reseal(bytes)), "CORRUPTED");
    // One lane with a tail code, lanes without one.
    for (const code of [2, 3, 8, 15]) corrupted(edited(good, 3, (good[3] & 0x0c) | (code << 4)));
    corrupted(edited(good, 3, good[3] & 0x0f));
    // CompressAI's stream with an escape section.
    const foreign = codec.encode(latent, prior, { stream: "compressai" });
    corrupted(edited(foreign, 3, foreign[3] | 8));
    for (const bit of [32, 64, 128]) corrupted(edited(foreign, 3, foreign[3] | bit));
    // A batch of one that is written out, a rank of 0, shapes.
    const writtenOut = Uint8Array.from([...good.subarray(0, 8), 1, ...good.subarray(8)]);
    corrupted(edited(writtenOut, 1, good[1] & ~4));
    corrupted(edited(good, 2, good[2] & ~0x38));
    corrupted(edited(good, 2, good[2] | 0x80));
    // Several parts: a batch of one, one of them, CompressAI's stream.
    corrupted(edited(several, 1, several[1] | 4), open);
    corrupted(edited(several, 2, (several[2] & ~0x38) | 8), open);
    corrupted(edited(several, 3, (several[3] & 0x04) | 0x10), open);
    // Seven or more parts have their number behind; fewer have it not.
    const many = writeParts(codec, new Array(9).fill(parts[2]), { checksum: false });
    assert.is(many[2] & 0x38, 0x38);
    assert.is(many[8], 9);
    for (const count of [0, 1, 6]) throwsCode(() => open(edited(many, 8, count)), "CORRUPTED");
    isGood();
  });

  test(`${name}: a shape that overflows or is not minimal is CORRUPTED`, () => {
    const anonymous = codec.factorized(sample.table, { axis: 0 });
    const shape = (...bytes: number[]) => Uint8Array.from([0x6c, 0x70, 1 | (2 << 3), 0, ...bytes]);
    const refuse = (bytes: Uint8Array, code: string) => throwsCode(() => decode(bytes, {}, anonymous), code);
    refuse(shape(0xff, 0xff, 0xff, 0xff, 7, 2), "CORRUPTED");
    refuse(shape(0x80, 0x80, 0x80, 0x80, 8, 2), "CORRUPTED");
    refuse(shape(0x81, 0x00, 2), "CORRUPTED");
    refuse(shape(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), "CORRUPTED");
    refuse(shape(0x81), "TRUNCATED");
    refuse(shape(12), "TRUNCATED");
  });

  test(`${name}: sections of several parts`, () => {
    const { lanes, corrections, indexChecks } = parsePacket(checked);
    assert.ok(lanes === 8 && corrections.length > 1 && indexChecks?.length === parts.length);
    const corrupted = (bytes: Uint8Array) => throwsCode(() => open(bytes), "CORRUPTED");
    corrupted(withHeader(checked, { n: 2 ** 31 }));
    // Two parts of 400 without a channel: what is put in stands behind prefix, control byte, fingerprint and n.
    const plain = writeParts(codec, [parts[2], parts[2]], { lanes: 8, checksum: false });
    const at = 3 + 1 + 4 + 2;
    const withShapes = (bytes: number[]) =>
      Uint8Array.from([...edited(plain, 2, plain[2] | 0x80).subarray(0, at), ...bytes, ...plain.subarray(at)]);
    const withSection = (bit: number, bytes: number[]) => {
      const head = [...plain.subarray(0, 3), plain[3] | 4, bit, ...plain.subarray(4, at)];
      return Uint8Array.from([...head, ...bytes, ...plain.subarray(at)]);
    };
    // Shapes: no rank, a stray bit, a batch of one written out, a length that is not minimal, an overflowing product.
    for (const bytes of [[0], [0x08], [0x21, 5], [0x42, 1, 5], [0x01, 1], [0x02, 1, 5], [0x01, 0x85, 0x00]])
      corrupted(withShapes(bytes));
    corrupted(withShapes([0x02, 0xff, 0xff, 0x03, 0xff, 0xff, 0x03]));
    // No corrections, more than there are bytes.
    for (const bytes of [[0], [0xff, 0x7f]]) corrupted(withSection(1, bytes));
    corrupted(withSection(8, [0]));
    throwsCode(() => open(withHeader(checked, { indexChecks: [] }).slice(0, 10)), "TRUNCATED");
    // A shape that no part asks for is found at the end.
    throwsCode(() => readAll(withShapes([0x01, 5]), [parts[2], parts[2]]), "SHAPE_MISMATCH");
    isGood();
  });

  test(`${name}: compact packets and bare streams need to know their shape`, () => {
    for (const header of ["none", "compact"] as const) {
      const packet = codec.encode(latent, prior, { header });
      throwsMistake(() => decode(packet, { header }), TypeError, "dims");
      throwsMistake(() => codec.reader(packet, { header }).read(prior), TypeError, "dims");
      throwsCode(() => decode(new Uint8Array(0), { header, dims }), "TRUNCATED");
      throwsCode(() => decode(packet, { header, dims, maxElements: 10 }), "LIMIT_EXCEEDED");
      throwsCode(() => codec.reader(packet, { header, maxElements: 10 }).read(prior, { dims }), "LIMIT_EXCEEDED");
    }
    const bare = codec.encode(latent, prior, { header: "none" });
    for (const bit of [16, 32, 64, 128])
      throwsCode(() => decode(edited(bare, 0, bare[0] ^ bit), { header: "none", dims }), damage);
    throwsCode(() => decode(bare, { header: "none", dims: [1, 12, 16, 15] }), damage);
  });

  // ---- another prior

  test(`${name}: WRONG_PRIOR, unless the packet says nothing of its prior`, () => {
    const ordinary = featureMap(6, 12, 16, 0);
    const other = { ...ordinary.table, offsets: ordinary.table.offsets.map((offset) => offset + 1) };
    const otherPrior = codec.factorized(other);
    const packet = codec.encode(ordinary.latent, ordinary.prior(codec));
    throwsCode(() => codec.decode(packet, otherPrior), "WRONG_PRIOR", /table/);
    // Before a symbol is decoded.
    throwsCode(() => codec.reader(packet).read(otherPrior), "WRONG_PRIOR");
    const anonymous = codec.encode(ordinary.latent, ordinary.prior(codec), { fingerprint: false });
    assert.equal(
      codec.decode(anonymous, otherPrior, { type: "int32" }).data,
      ordinary.symbols.map((v) => v + 1),
      "the same frequencies with other offsets",
    );
  });

  test(`${name}: WRONG_PRIOR names the axis, the step or what is subtracted`, () => {
    const cube = factorizedSample(rng, { ...table, medians: [1, 2, 3, 4, 5, 6, 7] }, [7, 7, 7], 1);
    const says = (write: Prior, read: Prior, message: RegExp) => {
      const packet = codec.encode(cube.latent, write);
      for (const call of [() => codec.decode(packet, read), () => codec.reader(packet).read(read, { dims: [7, 7, 7] })])
        throwsCode(call, "WRONG_PRIOR", message);
    };
    const own = codec.factorized(cube.table);
    for (const axis of [0, 2]) {
      says(codec.factorized(cube.table, { axis }), own, new RegExp(`axis is ${axis}`));
      says(own, codec.factorized(cube.table, { axis }), /axis is 1/);
    }
    for (const step of [0.5, 2, 0.1, 1.7, 64]) {
      says(codec.factorized(cube.table, { step }), own, new RegExp(`step is ${step}$`));
      says(own, codec.factorized(cube.table, { step }), /step is 1$/);
    }
    const index = cube.coding.index;
    const means = new Float32Array(343).fill(0.5);
    says(codec.indexed(table, index, { means }), codec.indexed(table, index), /subtracts means/);
    says(codec.indexed(table, index), codec.indexed(table, index, { means }), /subtracts nothing/);
    const scales = new Float32Array(343).fill(1);
    says(codec.gaussian(scales, { means }), codec.gaussian(scales), /subtracts means/);
    says(
      codec.gaussian(scales),
      codec.gaussian(scales, { scaleTable: Float32Array.of(1, 2) }),
      /table, scales or step/,
    );
    says(codec.gaussian(scales, { step: 0.25 }), codec.gaussian(scales), /step is 0.25/);
    // The kind of rows.
    says(codec.indexed(cube.table, index), codec.gaussian(scales), /table, scales or step/);
    const mixture = { means, scales };
    says(codec.mixture(mixture), codec.mixture(mixture, { kind: "laplace" }), /table, scales or step/);
    says(codec.mixture(mixture), codec.mixture(mixture, { support: [-128, 128] }), /table, scales or step/);
  });

  test(`${name}: a packet with step 0.5 is refused by a prior with step 1, and the symbols are not returned`, () => {
    const y = { type: "float32", dims: [1, 7, 20], data: Float32Array.from({ length: 140 }, (_, i) => (i % 9) / 4) };
    const half = codec.factorized(table, { step: 0.5 });
    const packet = codec.encode(y, half);
    const out = new Float32Array(140).fill(7);
    throwsCode(() => codec.decode(packet, codec.factorized(table), { out }), "WRONG_PRIOR");
    assert.ok(out.every((value) => value === 7));
    // With several parts it is said at the end.
    const writer = codec.writer();
    writer.write(y, half);
    writer.write(y, half);
    const reader = codec.reader(writer.finish());
    reader.read(half);
    reader.read(codec.factorized(table));
    throwsCode(() => reader.finish(), "WRONG_PRIOR", /part/);
    assert.equal(codec.decode(packet, half).data[1], 0);
  });

  // ---- shapes and limits

  test(`${name}: SHAPE_MISMATCH between latent, prior, packet and what is expected`, () => {
    const mismatch = (call: () => unknown) => throwsCode(call, "SHAPE_MISMATCH");
    mismatch(() => codec.encode({ ...latent, dims: [1, 16, 12, 16] }, prior));
    mismatch(() => codec.encode({ ...latent, dims: [12, 1, 16, 16] }, prior));
    mismatch(() => decode(good, { dims: [1, 12, 16, 15] }));
    mismatch(() => decode(good, { dims: [12, 16, 16] }));
    assert.equal(decode(good, { dims, type: "int32" }).data, symbols);
    const { index } = sample.coding;
    const indexed = codec.indexed(sample.table, Array.from(index).slice(1));
    mismatch(() => decode(good, {}, indexed));
    mismatch(() => codec.encode(latent, indexed));
    mismatch(() => codec.encode(latent, codec.gaussian(new Float32Array(5))));
    mismatch(() => decode(good, {}, codec.factorized(sample.table, { axis: 2 })));
    const twelve = { type: "int32", dims: [12], data: new Int32Array(12) };
    mismatch(() => codec.encode(twelve, codec.factorized(sample.table, { axis: 1 })));
    mismatch(() => codec.encode(latent, codec.indexed(sample.table, index, { means: new Float32Array(3) })));
  });

  test(`${name}: as many elements in another shape`, () => {
    const of = (...dims: number[]) => ({ type: "float32", dims, data: new Float32Array(64).fill(1) });
    const own = of(1, 4, 2, 8);
    const refuse = (call: () => unknown, message: RegExp) => throwsCode(call, "SHAPE_MISMATCH", message);
    const turned = codec.gaussian(of(1, 4, 8, 2));
    refuse(() => codec.writer().write(own, turned), /\[1,4,8,2\], the part \[1,4,2,8\]/);
    refuse(
      () => codec.gaussian(own, { means: of(1, 4, 8, 2) }),
      /means have the shape \[1,4,8,2\], the scales \[1,4,2,8\]/,
    );
    const mixed = { means: of(1, 4, 2, 8), scales: of(1, 4, 2, 8) };
    refuse(() => codec.mixture({ ...mixed, weights: of(1, 4, 8, 2) }, { components: 2 }), /weights have the shape/);
    refuse(() => codec.mixture({ ...mixed, means: of(1, 2, 4, 8) }, { components: 2 }), /means have the shape/);
    const writer = codec.writer();
    for (const scales of [of(64), of(4, 2, 8), of(1, 4, 2, 8), new Float32Array(64).fill(1)])
      writer.write(own, codec.gaussian(scales, { means: of(64) }));
    const reader = codec.reader(writer.finish());
    refuse(() => reader.read(codec.gaussian(own), { dims: [1, 4, 8, 2] }), /\[1,4,2,8\], the part \[1,4,8,2\]/);
    isGood();
  });

  test(`${name}: a packet of one part holds its shape, and a prior of another is refused by decode and by a reader`, () => {
    const of = (...dims: number[]) => ({ type: "float32", dims, data: new Float32Array(64).fill(1) });
    const packet = codec.encode(of(1, 4, 2, 8), codec.gaussian(of(1, 4, 2, 8)));
    const flat = codec.gaussian(new Float32Array(64).fill(1));
    assert.equal(codec.decode(packet, flat).dims, [1, 4, 2, 8]);
    assert.equal(codec.reader(packet).read(flat, { dims: [1, 4, 2, 8] }).dims, [1, 4, 2, 8]);
    const turned = codec.gaussian(of(1, 4, 8, 2));
    throwsCode(() => codec.encode(of(1, 4, 2, 8), turned), "SHAPE_MISMATCH");
    throwsCode(() => codec.decode(packet, turned), "SHAPE_MISMATCH");
    throwsCode(() => codec.reader(packet).read(turned), "SHAPE_MISMATCH");
    throwsCode(() => codec.reader(packet).read(flat, { dims: [1, 4, 8, 2] }), "SHAPE_MISMATCH");
  });

  test(`${name}: LIMIT_EXCEEDED before anything is allocated`, () => {
    throwsCode(() => decode(good, { maxElements: symbols.length - 1 }), "LIMIT_EXCEEDED");
    assert.equal(decode(good, { maxElements: symbols.length, type: "int32" }).data, symbols);
    const { n } = parsePacket(several) as { n: number };
    throwsCode(() => codec.reader(several, { maxElements: n - 1 }), "LIMIT_EXCEEDED");
    readParts(codec, several, parts, { maxElements: n });
    for (const claimed of [2 ** 24 + 1, 2 ** 31 - 1])
      throwsCode(() => open(withHeader(checked, { n: claimed })), "LIMIT_EXCEEDED");
    // 2^31 - 1 symbols of a row that costs nothing, claimed by a dozen bytes.
    const free: TableJson = { offsets: [0], cdfs: [[0, 65535, 65536]] };
    const freePrior = codec.factorized(free, { axis: 0 });
    const empty = factorizedSample(rng, free, [1, 0], 0);
    const claim = encodePacket(toReference([empty]), { check: 0 });
    const bomb = append(claim.subarray(0, -1), 0xff, 0xff, 0xff, 0xff, 7);
    const before = process.memoryUsage().rss;
    throwsCode(() => codec.decode(bomb, freePrior), "LIMIT_EXCEEDED");
    assert.ok(process.memoryUsage().rss - before < 50e6);
    // Even a caller who allows it gets an error and not a crash, where a part must be in memory as a whole.
    const whole = encodePacket(toReference([empty]), { check: 0, indexChecks: true });
    const larger = Uint8Array.from([...whole.subarray(0, -3), 0xff, 0xff, 0xff, 0xff, 7, 0, 0]);
    throwsCode(() => codec.decode(larger, freePrior, { maxElements: 2 ** 31 - 1 }), "LIMIT_EXCEEDED");
    assert.ok(process.memoryUsage().rss - before < 50e6);
    isGood();
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

test("packets of nothing but shapes, corrections or checks need no more memory than their bytes", async () => {
  // 64 MB of heap: lists of all entries would end the worker.
  const code = `
    const { parentPort } = require("node:worker_threads");
    (async () => {
      const { create } = await import("latentwire");
      const codec = await create();
      const packets = [];
      // Several parts, their number behind the control byte: 7 or more, n = 0.
      const flood = (shapes, sections, count, parts, entry) => {
        const packet = new Uint8Array(8_000_000).fill(entry);
        const bytes = [0x6c, 0x70, 1 | (7 << 3) | 64 | (shapes ? 128 : 0), sections ? 4 : 0, ...(sections ? [sections] : [])];
        for (const value of [parts, 0, ...(count ? [count] : [])])
          for (let rest = value; ; rest = Math.floor(rest / 128)) {
            bytes.push((rest % 128) | (rest < 128 ? 0 : 128));
            if (rest < 128) break;
          }
        packet.set(bytes);
        packets.push(packet);
        return packet;
      };
      flood(true, 0, 0, 7, 25)[7_999_999] = 9; // [1], another follows
      const empty = flood(true, 0, 0, 7, 0); // [0], another follows
      for (let i = 6; i < empty.length; i += 2) empty[i] = 17;
      empty[7_999_998] = 1;
      flood(false, 1, 7_999_900, 7, 0);
      flood(false, 2, 0, 3_999_900, 0);
      const outcomes = packets.map((packet) => {
        const said = [() => codec.reader(packet).close(), () => codec.inspect(packet)].map((call) => {
          try {
            call();
            return "read";
          } catch (error) {
            return error.code;
          }
        });
        return said.join();
      });
      parentPort.postMessage(outcomes);
    })();`;
  const worker = new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 64 } });
  const outcomes = await new Promise((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
  });
  await worker.terminate();
  assert.equal(outcomes, ["read,LIMIT_EXCEEDED", "read,LIMIT_EXCEEDED", "CORRUPTED,read", "CORRUPTED,read"]);
});

test.run();

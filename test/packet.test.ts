// What a packet says about itself, and what is said about bytes that are wrong: of one part and of several, with `decode` and with a reader.
import { Worker } from "node:worker_threads";
import { type Codec, CodecError, type DecodeOptions, type Prior, type TableJson } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, laneCounts } from "./builds.js";
import { factorizedSample, featureMap, random, type Sample } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { encodeByReference, type Options, readByPackage, readParts, toReference, writeParts } from "./io.js";
import { kinds } from "./messages.js";
import { reseal } from "./mutate.js";
import { writePacket } from "./reference/header.js";
import { encodePacket, type Header, packetFingerprint, parsePacket } from "./reference.js";

const sample = featureMap(5, 12, 16, 0.005);
const { symbols, dims, latent } = sample;
const { table, parts } = kinds;
const rng = random(78);
const cube = factorizedSample(rng, table, [7, 7, 7], 1);
const damage = ["TRUNCATED", "CORRUPTED"];

const edited = (packet: Uint8Array, at: number, value: number) => Object.assign(packet.slice(), { [at]: value });
const append = (packet: Uint8Array, ...extra: number[]) => Uint8Array.from([...packet, ...extra]);
/** The packet with another header. */
const withHeader = (packet: Uint8Array, change: Partial<Header>) =>
  writePacket({ ...parsePacket(packet), ...change }, 0);

/** A test with a packet of one part, one of four and one of four with corrections and without a check. Afterwards the codec must still read them. */
function packets(
  what: string,
  run: (given: {
    codec: Codec;
    prior: Prior;
    good: Uint8Array;
    several: Uint8Array;
    checked: Uint8Array;
    decode: (packet: Uint8Array, options?: DecodeOptions, own?: Prior) => unknown;
    open: (packet: Uint8Array) => void;
    readAll: (packet: Uint8Array, list?: readonly Sample[]) => void;
  }) => void,
): void {
  both(what, (codec) => {
    const prior = sample.prior(codec);
    const good = codec.encode(latent, prior, { lanes: 16 });
    const several = writeParts(codec, parts);
    const checked = writeParts(codec, parts, { lanes: 8, checksum: false, guard: { absolute: 5e-4 } });
    const readAll = (packet: Uint8Array, list: readonly Sample[] = parts) => readParts(codec, packet, list);
    run({
      ...{ codec, prior, good, several, checked, readAll },
      decode: (packet, options = {}, own = prior) => codec.decode(packet, own, options),
      open: (packet) => codec.reader(packet).close(),
    });
    assert.equal(codec.decode(good, prior, { type: "int32" }).data, symbols);
    readAll(several);
  });
}

// ---- what a packet says

both("inspect tells what the reference reads", (codec) => {
  const lists: Sample[][] = [[sample], [parts[1]], [parts[3]], [...parts], []];
  for (const list of lists)
    for (let bits = 0; bits < 32; bits++) {
      const [checksum, fingerprint] = [!!(bits & 1), !!(bits & 2)];
      const stream = bits & 4 ? "compressai" : "native";
      if (stream === "compressai" && (list.length !== 1 || list[0] === parts[3])) continue;
      const guard = stream === "native" ? 2e-4 : 0;
      const packet = encodeByReference(list, { stream, lanes: laneCounts[bits >> 3], checksum, fingerprint, guard });
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
        staticParts: [],
        fingerprint: fingerprint ? id.toString(16).padStart(8, "0") : undefined,
        checksum: checksum ? "valid" : "absent",
        headerBytes: packet.length - header.stream.length - (checksum ? 4 : 0),
        streamBytes: header.stream.length,
        totalBytes: packet.length,
      });
    }
});

packets("inspect marks a wrong check", ({ codec, good, several }) => {
  for (const packet of [good, several]) {
    const at = packet.length - 9;
    assert.is(codec.inspect(edited(packet, at, packet[at] ^ 1)).checksum, "invalid");
  }
});

packets("one part is read by decode and by a reader, whoever wrote it; several by a reader", (given) => {
  const { codec, decode, several } = given;
  for (const part of [sample, ...parts]) {
    const packet = codec.encode(part.latent, part.prior(codec));
    assert.equal(writeParts(codec, [part]), packet);
    readByPackage(codec, packet, [part], {});
    const guarded = writeParts(codec, [part], { guard: { absolute: 5e-4 } });
    assert.ok(guarded.length >= packet.length + 3, "index checks");
    readByPackage(codec, guarded, [part], {});
  }
  for (const packet of [several, writeParts(codec, [])]) throwsCode(() => decode(packet), "SHAPE_MISMATCH");
});

packets("file hashes are skipped", ({ codec, decode }) => {
  const files = [0, 1, 2].map((file) => ({ file, hash: Uint8Array.from({ length: 8 }, () => rng(256)) }));
  for (const list of [[sample], [parts[1]], parts])
    for (const form of ["full", "compact"] as const)
      for (const lanes of [1, 16] as const) {
        const packet = encodePacket(toReference(list, 2e-4), { form, lanes, files, indexChecks: true });
        readByPackage(codec, packet, list, form === "compact" ? { header: "compact" } : {});
      }
  const packet = encodePacket(toReference([sample]), { check: 0, files });
  // Prefix, control byte, sections byte, fingerprint, shape: then the length of 27.
  const at = 3 + 1 + 1 + 4 + 3;
  assert.is(packet[at], 27);
  for (const length of [0, 26, 28]) throwsCode(() => decode(edited(packet, at, length)), "CORRUPTED");
  throwsCode(() => decode(packet.subarray(0, at + 20)), "TRUNCATED");
});

// ---- first bytes

packets("NOT_A_PACKET, UNSUPPORTED_VERSION", ({ codec, decode, open, good, several }) => {
  const calls = [decode, open, (bytes: Uint8Array) => codec.inspect(bytes)];
  // Packets of releases before the first: seven channels of 12, one symbol, parts of a scale hyperprior.
  const old = `4c5781007c00bd44070304148837cf175508932deaf33e4235389a2458b3478897e3462f8e7be3ac0f415ab8b0c1d0b5
    4c5721007c00bd448169df8296f2 4c5721008169 4c53310839a667d8c8010c04020109471a9abbb006311c7b4d185e80056f 4c5011000000`;
  for (const call of calls) {
    for (const packet of [good, several]) {
      throwsCode(() => call(edited(packet, 0, 0x6d)), "NOT_A_PACKET");
      for (const bit of [8, 16, 32, 64, 128])
        throwsCode(() => call(edited(packet, 1, packet[1] ^ bit)), "NOT_A_PACKET");
      throwsCode(() => call(packet.subarray(0, 3)), "TRUNCATED");
      // The version is judged before the check, so an old reader says the right thing about a new packet.
      for (const version of [0, 2, 3, 4, 5, 6, 7])
        throwsCode(() => call(edited(packet, 2, (packet[2] & 0xf8) | version)), "UNSUPPORTED_VERSION");
    }
    throwsCode(() => call(new Uint8Array(100)), "NOT_A_PACKET");
    throwsCode(() => call(new Uint8Array(0)), "TRUNCATED");
    for (const hex of old.split(/\s+/))
      throwsCode(() => call(Uint8Array.from(Buffer.from(hex, "hex"))), "NOT_A_PACKET");
  }
});

packets(
  "reserved sections and reserved bits are UNSUPPORTED_VERSION, static flags without a context CORRUPTED",
  (given) => {
    const { codec, decode, open, good, prior } = given;
    const withSections = (byte: number) =>
      reseal(Uint8Array.from([...good.subarray(0, 3), good[3] | 4, byte, ...good.subarray(4)]));
    for (const call of [decode, open, (bytes: Uint8Array) => codec.inspect(bytes)]) {
      for (const bit of [32, 64, 128])
        for (const others of [0, 1, 2, 8]) throwsCode(() => call(withSections(bit | others)), "UNSUPPORTED_VERSION");
      for (const bits of [0, 16]) throwsCode(() => call(withSections(bits)), "CORRUPTED");
    }
    for (const flags of [0, 1, 2, 3, 255]) {
      const bytes = Uint8Array.from([...good.subarray(0, 3), good[3] | 4, 4, ...good.subarray(4)]);
      // Behind fingerprint and shape.
      const at = codec.inspect(good).headerBytes + 1;
      throwsCode(
        () => decode(reseal(Uint8Array.from([...bytes.subarray(0, at), flags, ...bytes.subarray(at)]))),
        "CORRUPTED",
      );
    }
    const compact = codec.encode(latent, prior, { header: "none", lanes: 16 });
    for (const bit of [32, 64, 128]) {
      const bytes = Uint8Array.from([compact[0] | 4, bit, ...compact.subarray(1)]);
      throwsCode(() => decode(bytes, { header: "none", dims }), "UNSUPPORTED_VERSION");
    }
  },
);

// ---- damage

packets("every cut of a packet is TRUNCATED or CORRUPTED", ({ codec, decode, open, readAll, good, several, prior }) => {
  const bare = codec.encode(latent, prior, { checksum: false, lanes: 8 });
  const single = codec.encode(latent, prior, { checksum: false, lanes: 1, fingerprint: false });
  const calls = [[good, decode] as const, [bare, decode] as const, [single, decode] as const, [several, open] as const];
  for (const [packet, call] of calls)
    for (let length = 0; length < packet.length; length++)
      throwsCode(() => call(packet.slice(0, length)), length < 4 ? "TRUNCATED" : damage);
  for (const length of [10, 20]) throwsCode(() => decode(bare.subarray(0, length)), "TRUNCATED");
  // Without a check the last words are the tail's, whose one lane may sink to 0 too early and end well (docs/determinism.md 5).
  const parts16 = writeParts(codec, parts, { checksum: false, lanes: 16 });
  for (let length = 0; length < parts16.length - 8; length++)
    throwsCode(() => readAll(parts16.slice(0, length)), [...damage, "SHAPE_MISMATCH"]);
  throwsCode(() => readAll(parts16.slice(0, -1)), damage);
  throwsCode(() => readAll(append(parts16, 0)), "CORRUPTED");
});

packets("every changed byte of a packet with a check is CORRUPTED", ({ decode, open, good, several }) => {
  for (const [packet, call] of [[good, decode] as const, [several, open] as const])
    for (let at = 3; at < packet.length; at++)
      throwsCode(() => call(edited(packet, at, packet[at] ^ (1 + (at % 255)))), "CORRUPTED");
});

packets("the compact form notices every flipped bit and every cut", ({ codec }) => {
  const lists: Sample[][] = [[featureMap(9, 6, 5, 0.02)], [parts[1]], [parts[3]], [parts[0], parts[2]]];
  const forms: [Options, number][] = [
    [{ header: "compact" }, 0],
    [{ header: "compact", checksum: 2 }, 2],
  ];
  for (const list of lists)
    for (const [options, most] of forms) {
      const packet = encodeByReference(list, { ...options, lanes: 8, indexChecks: true });
      const priors = list.map((part) => part.prior(codec));
      const read = (bytes: Uint8Array) => {
        const reader = codec.reader(bytes, options);
        for (const [i, own] of priors.entries()) reader.read(own, { dims: list[i].dims });
        reader.finish();
      };
      const decode = (bytes: Uint8Array) => codec.decode(bytes, priors[0], { ...options, dims: list[0].dims });
      let passed = 0;
      const refuses = (bytes: Uint8Array) => {
        for (const reading of list.length === 1 ? [read, decode] : [read])
          try {
            reading(bytes);
            passed++;
          } catch (error) {
            if (!(error instanceof CodecError)) throw error;
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
});

packets("the compact form notices another prior, step, axis or shape", ({ codec }) => {
  const other = { ...table, offsets: table.offsets.map((offset) => offset + 1) };
  const own = codec.factorized(table);
  const others = [
    codec.factorized(other),
    codec.factorized(table, { step: 0.5 }),
    codec.factorized(table, { axis: 0 }),
    codec.factorized({ ...table, medians: new Array(7).fill(0) }),
    codec.indexed(table, cube.coding.index),
  ];
  for (const checksum of [4, 2] as const) {
    const options = { header: "compact", checksum } as const;
    const packet = codec.encode(cube.latent, own, options);
    const given = { ...options, dims: cube.dims, type: "int32" } as const;
    assert.equal(codec.decode(packet, own, given).data, cube.symbols);
    for (const wrong of others) {
      throwsCode(() => codec.decode(packet, wrong, given), "CORRUPTED");
      throwsCode(() => codec.reader(packet, options).read(wrong, { dims: cube.dims }), "CORRUPTED");
    }
    for (const text of ["49,7", "1,7,49", "7,7,7,1", "7,7,8"]) {
      const shape = text.split(",").map(Number);
      throwsCode(() => codec.decode(packet, own, { ...given, dims: shape }), ["CORRUPTED", "SHAPE_MISMATCH"]);
      const reader = codec.reader(packet, options);
      throwsCode(() => reader.read(own, { dims: shape }), ["CORRUPTED", "SHAPE_MISMATCH"]);
    }
    throwsCode(() => codec.decode(packet, own, { ...given, dims: [1, 7, 49] }), "CORRUPTED");
    // Several parts: behind the last one.
    const reader = codec.reader(writeParts(codec, [cube, parts[2]], options), options);
    reader.read(codec.factorized(table, { step: 2 }), { dims: cube.dims });
    reader.read(parts[2].prior(codec), { dims: parts[2].dims });
    throwsCode(() => reader.finish(), "CORRUPTED");
  }
  // Without a check nothing tells.
  const none = { header: "compact", checksum: false } as const;
  const found = codec.decode(codec.encode(cube.latent, own, none), others[1], { ...none, dims: cube.dims });
  const halves = Float32Array.from(cube.symbols, (v) => v / 2);
  assert.equal(found.data, halves);
});

both("bytes behind the stream are CORRUPTED", (codec) => {
  const prior = sample.prior(codec);
  for (const stream of ["native", "compressai"] as const)
    for (const lanes of laneCounts) {
      const packet = codec.encode(latent, prior, { stream, lanes, checksum: false });
      for (const extra of [1, 2, 3, 4, 8])
        throwsCode(() => codec.decode(append(packet, ...new Array(extra).fill(0)), prior), damage);
    }
});

both("an escape that is not written in the fewest bytes is CORRUPTED", (codec) => {
  const prior = codec.factorized({ offsets: [0], cdfs: [[0, 65535, 65536]] }, { axis: 0 });
  const options = { header: "none", lanes: 1 } as const;
  const packet = codec.encode({ type: "int32", dims: [1], data: Int32Array.of(3) }, prior, options);
  const decode = (bytes: Uint8Array) => codec.decode(bytes, prior, { header: "none", dims: [1], type: "int32" }).data;
  // Control byte, size of the escapes, the state, and the escape: raw 4.
  assert.equal([packet[1], packet[packet.length - 1], decode(packet)[0]], [1, 4, 3]);
  const longer = Uint8Array.from([packet[0], 2, ...packet.subarray(2, -1), 0x84, 0]);
  throwsCode(() => decode(longer), "CORRUPTED");
});

// ---- a header that breaks its rules

packets("control byte, prefix, shapes", ({ codec, prior, decode, open, good, several }) => {
  const corrupted = (bytes: Uint8Array, call: (bytes: Uint8Array) => unknown = decode) =>
    throwsCode(() => call(reseal(bytes)), "CORRUPTED");
  // One lane with a tail code, lanes without one.
  for (const code of [2, 3, 8, 15]) corrupted(edited(good, 3, (good[3] & 0x0c) | (code << 4)));
  corrupted(edited(good, 3, good[3] & 0x0f));
  // CompressAI's stream with an escape section.
  const foreign = codec.encode(latent, prior, { stream: "compressai" });
  for (const bit of [8, 32, 64, 128]) corrupted(edited(foreign, 3, foreign[3] | bit));
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
  assert.equal([many[2] & 0x38, many[8]], [0x38, 9]);
  for (const count of [0, 1, 6]) throwsCode(() => open(edited(many, 8, count)), "CORRUPTED");
  // Dimensions that overflow, are not minimal, or are missing.
  const anonymous = codec.factorized(sample.table, { axis: 0 });
  const shape = (hex: string, code: string) =>
    throwsCode(() => decode(Uint8Array.from(Buffer.from(`6c701100${hex}`, "hex")), {}, anonymous), code);
  for (const hex of ["ffffffff0702", "808080800802", "810002", "ffffffffffffff01"]) shape(hex, "CORRUPTED");
  for (const hex of ["81", "0c"]) shape(hex, "TRUNCATED");
});

packets("sections of several parts", ({ codec, open, readAll, checked }) => {
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
  // No corrections, more than there are bytes; no file hashes.
  for (const bytes of [[0], [0xff, 0x7f]]) corrupted(withSection(1, bytes));
  corrupted(withSection(8, [0]));
  throwsCode(() => open(withHeader(checked, { indexChecks: [] }).slice(0, 10)), "TRUNCATED");
  // A shape that no part asks for is found at the end.
  throwsCode(() => readAll(withShapes([0x01, 5]), [parts[2], parts[2]]), "SHAPE_MISMATCH");
});

packets("compact packets and bare streams need to know their shape", ({ codec, prior, decode }) => {
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

both("WRONG_PRIOR, unless the packet says nothing of its prior", (codec) => {
  const ordinary = featureMap(6, 12, 16, 0);
  const other = codec.factorized({ ...ordinary.table, offsets: ordinary.table.offsets.map((offset) => offset + 1) });
  const packet = codec.encode(ordinary.latent, ordinary.prior(codec));
  throwsCode(() => codec.decode(packet, other), "WRONG_PRIOR", /table/);
  // Before a symbol is decoded.
  throwsCode(() => codec.reader(packet).read(other), "WRONG_PRIOR");
  const anonymous = codec.encode(ordinary.latent, ordinary.prior(codec), { fingerprint: false });
  const shifted = ordinary.symbols.map((v) => v + 1);
  assert.equal(codec.decode(anonymous, other, { type: "int32" }).data, shifted, "the same frequencies, other offsets");
});

both("WRONG_PRIOR names the axis, the step or what is subtracted", (codec) => {
  const says = (write: Prior, read: Prior, message: RegExp) => {
    const packet = codec.encode(cube.latent, write);
    for (const call of [() => codec.decode(packet, read), () => codec.reader(packet).read(read, { dims: [7, 7, 7] })])
      throwsCode(call, "WRONG_PRIOR", message);
  };
  const medians = { ...table, medians: [1, 2, 3, 4, 5, 6, 7] };
  const own = codec.factorized(medians);
  for (const axis of [0, 2]) {
    says(codec.factorized(medians, { axis }), own, new RegExp(`axis is ${axis}`));
    says(own, codec.factorized(medians, { axis }), /axis is 1/);
  }
  for (const step of [0.5, 2, 0.1, 1.7, 64]) {
    says(codec.factorized(medians, { step }), own, new RegExp(`step is ${step}$`));
    says(own, codec.factorized(medians, { step }), /step is 1$/);
  }
  const { index } = cube.coding;
  const means = new Float32Array(343).fill(0.5);
  const scales = new Float32Array(343).fill(1);
  const [rows, gaussian] = [codec.indexed(table, index), codec.gaussian(scales)];
  says(codec.indexed(table, index, { means }), rows, /subtracts means/);
  says(rows, codec.indexed(table, index, { means }), /subtracts nothing/);
  says(codec.gaussian(scales, { means }), gaussian, /subtracts means/);
  says(codec.gaussian(scales, { step: 0.25 }), gaussian, /step is 0.25/);
  // Other scales, another kind of rows, other mixtures.
  const rest = /table, context, scales or step/;
  says(gaussian, codec.gaussian(scales, { scaleTable: Float32Array.of(1, 2) }), rest);
  says(codec.indexed(medians, index), gaussian, rest);
  const mixture = codec.mixture({ means, scales });
  says(mixture, codec.mixture({ means, scales }, { kind: "laplace" }), rest);
  says(mixture, codec.mixture({ means, scales }, { support: [-128, 128] }), rest);
});

both("a packet with step 0.5 is refused by a prior with step 1, and the symbols are not returned", (codec) => {
  const y = { type: "float32", dims: [1, 7, 20], data: Float32Array.from({ length: 140 }, (_, i) => (i % 9) / 4) };
  const [half, one] = [codec.factorized(table, { step: 0.5 }), codec.factorized(table)];
  const packet = codec.encode(y, half);
  const out = new Float32Array(140).fill(7);
  throwsCode(() => codec.decode(packet, one, { out }), "WRONG_PRIOR");
  assert.ok(out.every((value) => value === 7));
  // With several parts it is said at the end.
  const writer = codec.writer();
  for (let part = 0; part < 2; part++) writer.write(y, half);
  const reader = codec.reader(writer.finish());
  reader.read(half);
  reader.read(one);
  throwsCode(() => reader.finish(), "WRONG_PRIOR", /part/);
  assert.is(codec.decode(packet, half).data[1], 0);
});

// ---- shapes and limits

packets("SHAPE_MISMATCH between latent, prior, packet and what is expected", ({ codec, prior, decode, good }) => {
  const { index } = sample.coding;
  const indexed = codec.indexed(sample.table, Array.from(index).slice(1));
  const twelve = { type: "int32", dims: [12], data: new Int32Array(12) };
  for (const call of [
    () => codec.encode({ ...latent, dims: [1, 16, 12, 16] }, prior),
    () => codec.encode({ ...latent, dims: [12, 1, 16, 16] }, prior),
    () => decode(good, { dims: [1, 12, 16, 15] }),
    () => decode(good, { dims: [12, 16, 16] }),
    () => decode(good, {}, indexed),
    () => codec.encode(latent, indexed),
    () => codec.encode(latent, codec.gaussian(new Float32Array(5))),
    () => decode(good, {}, codec.factorized(sample.table, { axis: 2 })),
    () => codec.encode(twelve, codec.factorized(sample.table, { axis: 1 })),
    () => codec.encode(latent, codec.indexed(sample.table, index, { means: new Float32Array(3) })),
  ])
    throwsCode(call, "SHAPE_MISMATCH");
  assert.equal(codec.decode(good, prior, { dims, type: "int32" }).data, symbols);
});

packets("as many elements in another shape", ({ codec }) => {
  const of = (...shape: number[]) => ({ type: "float32", dims: shape, data: new Float32Array(64).fill(1) });
  const [own, other, bare] = [of(1, 4, 2, 8), of(1, 4, 8, 2), new Float32Array(64).fill(1)];
  const refuse = (call: () => unknown, message?: RegExp) => throwsCode(call, "SHAPE_MISMATCH", message);
  const turned = codec.gaussian(other);
  refuse(() => codec.writer().write(own, turned), /\[1,4,8,2\], the part \[1,4,2,8\]/);
  refuse(() => codec.gaussian(own, { means: other }), /means have the shape \[1,4,8,2\], the scales \[1,4,2,8\]/);
  const mixed = { means: own, scales: own };
  refuse(() => codec.mixture({ ...mixed, weights: other }, { components: 2 }), /weights have the shape/);
  refuse(() => codec.mixture({ ...mixed, means: of(1, 2, 4, 8) }, { components: 2 }), /means have the shape/);
  const writer = codec.writer();
  for (const scales of [of(64), of(4, 2, 8), own, bare]) writer.write(own, codec.gaussian(scales, { means: of(64) }));
  const reader = codec.reader(writer.finish());
  refuse(() => reader.read(codec.gaussian(own), { dims: other.dims }), /\[1,4,2,8\], the part \[1,4,8,2\]/);
  // A packet of one part holds its shape.
  const packet = codec.encode(own, codec.gaussian(own));
  const flat = codec.gaussian(bare);
  assert.equal(codec.decode(packet, flat).dims, own.dims);
  assert.equal(codec.reader(packet).read(flat, { dims: own.dims }).dims, own.dims);
  refuse(() => codec.encode(own, turned));
  refuse(() => codec.decode(packet, turned));
  refuse(() => codec.reader(packet).read(turned));
  refuse(() => codec.reader(packet).read(flat, { dims: other.dims }));
});

packets("LIMIT_EXCEEDED before anything is allocated", ({ codec, decode, open, good, several, checked }) => {
  throwsCode(() => decode(good, { maxElements: symbols.length - 1 }), "LIMIT_EXCEEDED");
  decode(good, { maxElements: symbols.length });
  const { n } = parsePacket(several) as { n: number };
  throwsCode(() => codec.reader(several, { maxElements: n - 1 }), "LIMIT_EXCEEDED");
  readParts(codec, several, parts, { maxElements: n });
  for (const claimed of [2 ** 24 + 1, 2 ** 31 - 1])
    throwsCode(() => open(withHeader(checked, { n: claimed })), "LIMIT_EXCEEDED");
  // 2^31 - 1 symbols of a row that costs nothing, claimed by a dozen bytes.
  const free: TableJson = { offsets: [0], cdfs: [[0, 65535, 65536]] };
  const freePrior = codec.factorized(free, { axis: 0 });
  const empty = toReference([factorizedSample(rng, free, [1, 0], 0)]);
  const bomb = append(encodePacket(empty, { check: 0 }).subarray(0, -1), 0xff, 0xff, 0xff, 0xff, 7);
  const before = process.memoryUsage().rss;
  throwsCode(() => codec.decode(bomb, freePrior), "LIMIT_EXCEEDED");
  // Even a caller who allows it gets an error and not a crash, where a part must be in memory as a whole.
  const whole = encodePacket(empty, { check: 0, indexChecks: true });
  const larger = append(whole.subarray(0, -3), 0xff, 0xff, 0xff, 0xff, 7, 0, 0);
  throwsCode(() => codec.decode(larger, freePrior, { maxElements: 2 ** 31 - 1 }), "LIMIT_EXCEEDED");
  assert.ok(process.memoryUsage().rss - before < 50e6);
});

test("errors are of one class, with a code", () => {
  const error = new CodecError("CORRUPTED", "why");
  assert.instance(error, Error);
  assert.equal([error.name, error.code, error.message], ["CodecError", "CORRUPTED", "why"]);
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
  // No reader takes so many bytes for no symbol; inspect reads what it can. The last packet has too many parts for both.
  assert.equal(outcomes, [
    "CORRUPTED,LIMIT_EXCEEDED",
    "CORRUPTED,LIMIT_EXCEEDED",
    "CORRUPTED,read",
    "CORRUPTED,CORRUPTED",
  ]);
});

test.run();

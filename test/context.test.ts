// Context priors: the package and the reference agree to the byte, in every build; static rows where they need fewer bits; limits and mistakes.
import { type Codec, createSync, type EncodeOptions } from "latentwire";
import { javascript } from "latentwire/javascript";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, isFull, laneCounts, watched } from "./builds.js";
import { anySample, factorizedSample, makeTable, pick, productOf, type Random, random, type Sample } from "./cases.js";
import {
  type ContextSample,
  contextSample,
  randomNetwork,
  type Symbols,
  tempers,
  uselessTable,
} from "./context-cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import { agree, agreeInContext, writeParts } from "./io.js";
import { contextBits, contextRow, decodePacket, encodePacket, logistic, parsePacket, xxh32 } from "./reference.js";
import { twinContexts } from "./twin.js";

const codecs = [...builds.map((build) => build.codec), createSync({ build: javascript })];
const [codec] = codecs;

/** Shapes of every order of dimensions, with the axis of the channels. */
function anyShape(rng: Random, channels: number): { dims: number[]; axis: number } {
  const [n, h, w] = [1 + rng(2), 1 + rng(9), 1 + rng(8)];
  switch (rng(7)) {
    case 0:
      return { dims: [channels, h, w], axis: 0 };
    case 1:
      return { dims: [n, h, w, channels], axis: 3 };
    case 2:
      return { dims: [h, w, channels], axis: 2 };
    case 3:
      return { dims: [n, channels, h * w], axis: 1 };
    case 4:
      return rng(2) ? { dims: [n, channels], axis: 1 } : { dims: [channels], axis: 0 };
    case 5:
      return { dims: [n, channels, 2, h, w >> 1], axis: 1 };
    default:
      return { dims: [n, channels, h, w], axis: 1 };
  }
}

test("random networks, shapes and symbols: all builds and the reference write and read the same bytes", () => {
  const rng = random(20261127);
  for (let i = 0; i < (isFull ? 900 : 90); i++) {
    const channels = 1 + rng(6);
    const parameters = randomNetwork(rng, { channels, temper: tempers[i % 3] });
    const symbols = pick(rng, ["zero", "small", "large", "int32"] as const satisfies Symbols[]);
    const { dims, axis } = anyShape(rng, channels);
    const sample = contextSample(rng, dims, { parameters, axis, symbols });
    agreeInContext(codecs, sample, { lanes: pick(rng, [1, 8, "auto"] as const) });
  }
});

test("every size of a network, tame, wild and at the ends of all ranges", () => {
  const rng = random(3);
  for (const H of [32, 64, 128] as const)
    for (const Z of [8, 16, 24, 32] as const)
      for (const taps of [12, 20] as const)
        for (const temper of tempers) {
          const parameters = randomNetwork(rng, { channels: 2, active: 2, H, Z, taps, temper });
          agreeInContext(codecs, contextSample(rng, [1, 2, 4, 5], { parameters, symbols: "large" }));
        }
});

test("every width and height around what kernels handle at once", () => {
  const rng = random(4);
  const sizes = [1, 2, 3, 4, 5, 7, 8, 9];
  for (const h of sizes)
    for (const w of isFull ? [...sizes, 15, 16, 17, 30, 33] : [1, 2, 3, 8]) {
      const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32 });
      agreeInContext(codecs, contextSample(rng, [3, h, w], { parameters, axis: 0, symbols: "large" }));
    }
  agreeInContext(codecs, contextSample(rng, [1, 2, 30, 9], { parameters: randomNetwork(rng, { channels: 2 }) }));
});

test("sums of |p| beyond 2^25, whose 64-fold is beyond 32 bits", () => {
  const rng = random(5);
  const parameters = randomNetwork(rng, { channels: 2, active: 2, H: 32, Z: 8, taps: 12, ends: [490, 530] });
  const drawn = Int32Array.from({ length: 2 * 290 * 290 }, () => 508 + rng(6));
  const sample = contextSample(rng, [2, 290, 290], { parameters, axis: 0, drawn });
  const packet = agree(isFull ? codecs : [codec], [sample], {});
  assert.is(parsePacket(packet).statics, undefined);
});

test("every form of a packet, every lane count, every type of element", () => {
  const rng = random(6);
  const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32, ends: [-9, 9] });
  const sample = contextSample(rng, [2, 3, 14, 15], { parameters });
  for (const lanes of laneCounts)
    for (const form of [{}, { header: "compact" }, { header: "compact", checksum: 2 }, { header: "none" }] as const)
      agreeInContext(codecs, sample, { lanes, ...form });
  agreeInContext(codecs, sample, { checksum: false, fingerprint: false });
  for (const [type, Kind] of [["int16", Int16Array] as const, ["int8", Int8Array] as const]) {
    const data = Kind.from(Array.from(sample.symbols, (symbol) => symbol % 100));
    const symbols = Int32Array.from(data);
    agreeInContext(codecs, {
      ...sample,
      symbols,
      values: Float32Array.from(symbols),
      latent: { ...sample.latent, type, data },
    });
  }
  const table = uselessTable(3, [0.25, -1.5, 3]);
  agreeInContext(codecs, contextSample(rng, [2, 3, 5, 6], { parameters, table, step: 0.3, float: true }));
});

test("a row under a context is a logistic distribution", () => {
  assert.is(xxh32(Uint8Array.from(logistic.flatMap((value) => [value & 255, value >> 8]))), 0x5bc89fa1);
  const rng = random(20);
  for (let i = 0; i < 300; i++) {
    const [low, size] = [rng(50) - 25, 2 + rng(60)];
    const mu = Math.floor(256 * (low + rng.unit() * size));
    const l = rng(221) - 92;
    const { cdf } = contextRow(low, low + size, mu, l);
    const share = (65534 - size) / 65536;
    for (let k = 1; k <= size; k++) {
      assert.ok(cdf[k] > cdf[k - 1], `entry ${k - 1}`);
      // mu is in units of 2^-8, l in sixteenths of a power of two; the table has steps of 1/128.
      const at = (low + k - 0.5 - mu / 256) * 2 ** (l / 16);
      const expected = (share * 65536) / (1 + Math.exp(-at)) + k;
      assert.ok(Math.abs(cdf[k] - expected) < 16384 / 128 + 16, `${cdf[k]}, not ${expected}`);
    }
    assert.equal(cdf.slice(size + 1), [65535, 65536]);
  }
});

// ---- static rows

/** Zeros under a table that expects them and a network that expects anything. */
function staticSample(rng: Random, dims: number[]): ContextSample {
  const parameters = randomNetwork(rng, { channels: 2, H: 32, temper: "extreme" });
  const table = { offsets: [0, 0], cdfs: [0, 1].map(() => [0, 65000, 65536]) };
  return contextSample(rng, dims, { parameters, table, drawn: new Int32Array(productOf(dims)) });
}

test("a part has static rows where they need fewer bits, and the flags say which parts", () => {
  const rng = random(7);
  const ordinary = factorizedSample(rng, makeTable(rng, { rows: 4, entries: 9, flavour: "peaked" }), [1, 4, 5, 5]);
  const context = () => contextSample(rng, [1, 2, 4, 4], { parameters: randomNetwork(rng, { channels: 2, H: 32 }) });
  for (const count of [1, 2, 7, 8, 9, 17, 40]) {
    const kinds = Array.from({ length: count }, () => rng(4));
    const parts = kinds.map((kind) =>
      kind === 0 ? ordinary : kind === 1 ? anySample(rng, 20) : kind === 2 ? context() : staticSample(rng, [2, 2, 5]),
    );
    const flagged = [...kinds.keys()].filter((p) => kinds[p] === 3);
    const packet = agree(codecs, parts, { lanes: pick(rng, laneCounts), guard: 2e-4, checksum: false });
    assert.equal(parsePacket(packet).statics ?? [], flagged);
    for (const codec of codecs) assert.equal(codec.inspect(packet).staticParts, flagged);
  }
});

test("the context is taken exactly where it needs no more bits than static rows and their flag", () => {
  const rng = random(8);
  const found = { context: 0, static: 0 };
  for (let i = 0; i < 60; i++) {
    const parameters = randomNetwork(rng, { channels: 2, H: 32, Z: 8, taps: 12 });
    const table = makeTable(rng, { rows: 2, entries: 40, flavour: "peaked" });
    const sample = contextSample(rng, [1, 2, 6, 7], { parameters, table });
    const { context, rows } = contextBits(sample.reference, sample.dims, sample.symbols);
    const { statics } = parsePacket(codec.encode(sample.latent, sample.prior(codec)));
    found[statics ? "static" : "context"]++;
    // Within a bit it may count otherwise.
    if (Math.abs(context - rows - 16) > 1) assert.is(statics !== undefined, context > rows + 16, `${context}, ${rows}`);
  }
  assert.ok(found.context > 5 && found.static > 5, JSON.stringify(found));
});

test("CompressAI's stream has the rows of the table", () => {
  const rng = random(9);
  const sample = contextSample(rng, [2, 3, 5, 6], { parameters: randomNetwork(rng, { channels: 3 }) });
  const plain: Sample = { ...sample, prior: (own) => own.factorized(sample.table) };
  const bare = { stream: "compressai", header: "none" } as const;
  sameNumbers(agree(codecs, [sample], bare), codec.encode(plain.latent, plain.prior(codec), bare));
  for (const form of [{}, { header: "compact" }] as const) agree(codecs, [sample], { ...form, stream: "compressai" });
  const writer = codec.writer({ format: "strings" });
  writer.write(sample.latent, sample.prior(codec));
  const strings = writer.finishStrings();
  sameNumbers(strings[0], codec.encode(plain.latent, plain.prior(codec), bare));
  const reader = codec.reader(strings);
  sameNumbers(reader.read(sample.prior(codec), { dims: sample.dims, type: "int32" }).data, sample.symbols);
  reader.finish();
});

test("planes of more than 2^22 positions have static rows; a packet that says otherwise is refused", () => {
  const rng = random(10);
  const table = { offsets: [0], cdfs: [[0, 65535, 65536]] };
  const parameters = randomNetwork(rng, { channels: 1, H: 32, Z: 8, taps: 12 });
  const sample = contextSample(rng, [1, 1, 1, 1], { parameters, table });
  const prior = sample.prior(codec);
  const n = 2 ** 22 + 1;
  const latent = { type: "int8", dims: [1, 1, 1, n], data: new Int8Array(n) };
  const packet = codec.encode(latent, prior, { checksum: false, lanes: 1 });
  const { statics, stream } = parsePacket(packet);
  assert.equal(statics, [0]);
  assert.ok(codec.decode(packet, prior, { type: "int8" }).data.every((symbol) => symbol === 0));
  // The same without sections byte and flags: prefix, control byte, fingerprint, three dimensions.
  const [control, shape] = [3, 5 + 4];
  const flags = stream.byteOffset - packet.byteOffset - 1;
  const lying = [
    ...packet.subarray(0, control),
    packet[control] & ~4,
    ...packet.subarray(control + 2, flags),
    ...stream.subarray(0, 99),
  ];
  assert.is(flags, shape + 1 + 1 + 4);
  assert.is(parsePacket(Uint8Array.from(lying)).statics, undefined);
  for (const own of codecs) throwsCode(() => own.decode(Uint8Array.from(lying), sample.prior(own)), "CORRUPTED");
  throwsCode(() => decodePacket(Uint8Array.from(lying), [sample.reference]), "CORRUPTED");
});

test("empty parts", () => {
  const rng = random(11);
  const parameters = randomNetwork(rng, { channels: 3 });
  for (const dims of [
    [0, 3, 4, 4],
    [1, 3, 0, 5],
    [2, 3, 0],
    [0, 3, 2048, 2049],
  ]) {
    const sample = contextSample(rng, dims, { parameters });
    agree(codecs, [sample], {});
    if (dims[2] > 2000) continue;
    // The format allows the context, too.
    const packet = encodePacket([{ prior: sample.reference, dims, symbols: sample.symbols }]);
    assert.equal(codec.decode(packet, sample.prior(codec)).dims, dims);
  }
});

test("planes of no items take no memory, whatever their size", () => {
  const rng = random(21);
  const dims = [0, 3, 2048, 2048];
  const sample = contextSample(rng, dims, { parameters: randomNetwork(rng, { channels: 3, active: 2, H: 128 }) });
  const packet = encodePacket([{ prior: sample.reference, dims, symbols: [] }]);
  const { codec: fresh, bytes } = watched("simd");
  const prior = sample.prior(fresh);
  const before = bytes();
  assert.equal(fresh.decode(packet, prior).dims, dims);
  assert.ok(bytes() - before < 2 ** 20, `${bytes() - before} bytes`);
});

test("65,535 channels of which two are active", () => {
  const rng = random(12);
  const parameters = randomNetwork(rng, { channels: 65535, active: 2, H: 32, Z: 8, taps: 12 });
  const sample = contextSample(rng, [1, 65535, 2], { parameters });
  const packet = codec.encode(sample.latent, sample.prior(codec), { lanes: 1 });
  sameNumbers(codec.decode(packet, sample.prior(codec), { type: "int32" }).data, sample.symbols);
  sameNumbers(packet, encodePacket([{ prior: sample.reference, dims: sample.dims, symbols: sample.symbols }]));
});

// ---- limits, rate, memory

test("maxContextElements counts the active symbols of all parts, and is checked before any is decoded", () => {
  const rng = random(13);
  const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32 });
  const sample = contextSample(rng, [2, 3, 4, 5], { parameters });
  const prior = sample.prior(codec);
  const active = 2 * 2 * 4 * 5;
  const packet = codec.encode(sample.latent, prior);
  sameNumbers(codec.decode(packet, prior, { maxContextElements: active, type: "int32" }).data, sample.symbols);
  throwsCode(
    () => codec.decode(packet, prior, { maxContextElements: active - 1 }),
    "LIMIT_EXCEEDED",
    /maxContextElements/,
  );
  throwsMistake(() => codec.decode(packet, prior, { maxContextElements: -1 }), RangeError, "maxContextElements");
  const both = writeParts(codec, [sample, sample]);
  const reader = codec.reader(both, { maxContextElements: 2 * active - 1 });
  sameNumbers(reader.read(prior, { type: "int32" }).data, sample.symbols);
  throwsCode(() => reader.read(prior), "LIMIT_EXCEEDED");
  reader.close();
  // [2^18 + 1, 3, 1, 2] has 2^20 + 4 symbols under the context, in a packet of 14 bytes.
  const empty = encodePacket([{ prior: sample.reference, dims: [0, 3, 1, 2], symbols: [] }], { check: 0 });
  assert.equal([...empty.subarray(8)], [0, 3, 1, 2]);
  const claim = Uint8Array.from([...empty.subarray(0, 8), 0x81, 0x80, 0x10, 3, 1, 2]);
  assert.equal(parsePacket(claim).dims, [2 ** 18 + 1, 3, 1, 2]);
  throwsCode(() => codec.decode(claim, prior), "LIMIT_EXCEEDED", /maxContextElements/);
});

test("a symbol under a context takes at most 600 bytes of memory", () => {
  const rng = random(19);
  for (const [active, dims] of [
    [1, [1, 1, 2 ** 15]],
    [2, [2, 1, 2 ** 14]],
    [2, [2, 128, 128]],
  ] as const) {
    const parameters = randomNetwork(rng, { channels: active, active, H: 128, Z: 8, taps: 12 });
    const sample = contextSample(rng, [...dims], { parameters, axis: 0, symbols: "zero" });
    const packet = codec.encode(sample.latent, sample.prior(codec));
    const { codec: fresh, bytes } = watched("simd");
    const prior = sample.prior(fresh);
    const before = bytes();
    fresh.decode(packet, prior);
    assert.ok(bytes() - before < 600 * 2 ** 15 + 2 ** 20, `${bytes() - before} bytes`);
  }
});

test("rate: channels add up to the bits of the reference, and to the packet", () => {
  const rng = random(14);
  for (const [dims, axis] of [
    [[2, 4, 9, 11], 1],
    [[2, 9, 11, 4], 3],
    [[4, 200], 0],
  ] as const) {
    const parameters = randomNetwork(rng, { channels: 4, active: 3, H: 32 });
    const sample = contextSample(rng, [...dims], { parameters, axis, symbols: "large" });
    const prior = sample.prior(codec);
    const { bits, escapes, channels, symbols } = codec.rate(sample.latent, prior, { axis });
    const expected = contextBits(sample.reference, sample.dims, sample.symbols);
    assert.is(symbols, sample.symbols.length);
    assert.ok(Math.abs(bits - expected.context) < 1e-6 * bits, `${bits}, not ${expected.context}`);
    assert.is(escapes, expected.escapes);
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum(channels!.bits) - bits) < 1e-6 * bits);
    assert.is(sum(channels!.escapes), escapes);
    const packet = codec.encode(sample.latent, prior, { lanes: 1, header: "none" });
    assert.ok(Math.abs(packet.length - bits / 8) < 12, `${packet.length} bytes for ${bits / 8}`);
  }
});

test("trim keeps priors usable, and parameters that are loaded twice take no memory twice", () => {
  const rng = random(15);
  const parameters = randomNetwork(rng, { channels: 2, active: 2 });
  const sample = contextSample(rng, [2, 2, 6, 7], { parameters });
  for (const own of codecs) {
    const prior = sample.prior(own);
    const packet = own.encode(sample.latent, prior);
    own.trim();
    sameNumbers(own.decode(packet, prior, { type: "int32" }).data, sample.symbols);
    own.trim();
    sameNumbers(own.encode(sample.latent, prior), packet);
    sameNumbers(own.encode(sample.latent, sample.prior(own)), packet);
  }
});

test("two contexts with one fingerprint stay two", () => {
  const sample = contextSample(random(17), [1, 3, 12, 9], {
    parameters: randomNetwork(random(18), { channels: 3, active: 3, H: 32 }),
  });
  const packets = twinContexts(sample.bytes).map((bytes) => {
    const own = createSync();
    return [bytes, own.encode(sample.latent, own.context(bytes, { table: sample.table }))] as const;
  });
  assert.not.equal(packets[0][1], packets[1][1]);
  for (const own of codecs)
    for (const [bytes, packet] of [...packets, ...packets]) {
      const prior = own.context(bytes, { table: sample.table });
      assert.equal(own.encode(sample.latent, prior), packet);
      sameNumbers(own.decode(packet, prior, { type: "int32" }).data, sample.symbols);
    }
});

// ---- another prior, another shape

const otherCodes = (own: Codec, sample: Sample, packet: Uint8Array, options: Pick<EncodeOptions, "header">): void => {
  throwsCode(
    () => own.decode(packet, sample.prior(own), { ...options, dims: sample.dims }),
    options.header ? "CORRUPTED" : "WRONG_PRIOR",
  );
};

test("other parameters are WRONG_PRIOR, in compact form CORRUPTED", () => {
  const rng = random(16);
  const parameters = randomNetwork(rng, { channels: 2, active: 2, H: 32 });
  const other = randomNetwork(rng, { channels: 2, active: 2, H: 32 });
  const dims = [1, 2, 5, 5];
  const sample = contextSample(rng, dims, { parameters });
  for (const own of codecs)
    for (const options of [{}, { header: "compact" }] as const) {
      const packet = own.encode(sample.latent, sample.prior(own), options);
      otherCodes(own, contextSample(rng, dims, { parameters: other }), packet, options);
      otherCodes(own, { ...sample, prior: (each) => each.factorized(sample.table) }, packet, options);
      const plain = own.encode(sample.latent, own.factorized(sample.table), options);
      otherCodes(own, sample, plain, options);
    }
  const priors = [{ ...sample.reference, context: other }];
  throwsCode(() => decodePacket(codec.encode(sample.latent, sample.prior(codec)), priors), "WRONG_PRIOR");
});

test("other numbers of channels are SHAPE_MISMATCH", () => {
  const rng = random(17);
  const parameters = randomNetwork(rng, { channels: 3 });
  const sample = contextSample(rng, [1, 3, 2, 2], { parameters });
  const prior = sample.prior(codec);
  const zeros = (dims: number[]) => ({ type: "float32", dims, data: new Float32Array(productOf(dims)) });
  throwsCode(() => codec.encode(zeros([1, 4, 2, 2]), prior), "SHAPE_MISMATCH");
  throwsCode(() => codec.encode(zeros([1]), prior), "SHAPE_MISMATCH");
  throwsCode(() => codec.context(sample.bytes, { table: uselessTable(4) }), "SHAPE_MISMATCH");
  const packet = codec.encode(sample.latent, prior, { fingerprint: false });
  const four = contextSample(rng, [1, 4, 2, 2], { parameters: randomNetwork(rng, { channels: 4 }) });
  throwsCode(() => codec.decode(packet, four.prior(codec)), "SHAPE_MISMATCH");
  throwsCode(() => decodePacket(packet, [four.reference]), "SHAPE_MISMATCH");
});

test("index checks cover the rows of the table", () => {
  const rng = random(18);
  const sample = contextSample(rng, [1, 3, 4, 4], { parameters: randomNetwork(rng, { channels: 3, H: 32 }) });
  const options = { indexChecks: true, checksum: false } as const;
  const packet = agree(codecs, [sample], options);
  const { indexChecks } = parsePacket(packet);
  assert.equal(indexChecks, parsePacket(agree(codecs, [{ ...sample, ...staticOf(sample) }], options)).indexChecks);
  // Behind prefix, control, sections, fingerprint and shape.
  const damaged = packet.slice();
  damaged[4 + 1 + 4 + 3] ^= 1;
  for (const own of codecs) {
    const reader = own.reader(damaged);
    throwsCode(() => reader.read(sample.prior(own)), "MODEL_MISMATCH");
    reader.close();
  }
});

/** The same symbols under the table alone. */
function staticOf(sample: ContextSample): Pick<Sample, "reference" | "prior"> {
  const { context, ...reference } = sample.reference;
  return { reference, prior: (own) => own.factorized(sample.table) };
}

test.run();

// Hostile parameters and packets of context priors: each is refused with a code or gives a result, the same in the reference, and the codec goes on.
import { type Codec, CodecError, createSync, type DecodeOptions } from "latentwire";
import { javascript } from "latentwire/javascript";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildNames, isFull, made, watched } from "./builds.js";
import { factorizedSample, makeTable, productOf, type Random, random, type Sample, scaledTable } from "./cases.js";
import { contextSample, givenSample, randomNetwork, uselessTable } from "./context-cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import { agreementOf, type Options, writeParts } from "./io.js";
import { mutate, reseal } from "./mutate.js";
import {
  type ContextParameters,
  compactSeed,
  contextFromBytes,
  contextToBytes,
  decodePacket,
  encodePacket,
  FormatError,
  sealContext,
} from "./reference.js";

const own = random(31);
const small = { H: 32, Z: 8, taps: 12 } as const;
const hashSize = 8;

// ---- parameters

const parameters = randomNetwork(own, { channels: 3, active: 2, ...small });
const good = contextToBytes(parameters);

/** Both load them or both refuse them. */
function verdict(codec: Codec, bytes: Uint8Array): string {
  const codeOf = (load: () => unknown, kind: typeof CodecError | typeof FormatError) => {
    try {
      load();
      return "valid";
    } catch (error) {
      if (error instanceof kind) return (error as CodecError).code;
      // Loaded, and for a prior of the other kind.
      if (kind === CodecError && error instanceof TypeError && error.message.startsWith("over is missing"))
        return "valid";
      throw error;
    }
  };
  // Whether the table fits is asked last.
  const found = codeOf(() => codec.context(bytes, { table: uselessTable(3) }), CodecError);
  const code = found === "SHAPE_MISMATCH" ? "valid" : found;
  const other = codeOf(() => contextFromBytes(bytes), FormatError);
  // With fewer bytes than a header has, the version may be looked at or not.
  if (code !== other && (bytes.length > 20 || [code, other].includes("valid")))
    throw new Error(`${code}, but the reference says ${other}`);
  return code;
}

test("parameters that break a rule of the format", () => {
  const codec = made("simd");
  // Bytes of the header: H / 8, Z / 8, taps, C, A, two channels; then the first channel's lo, hi - lo and first row.
  const [version, h, z, taps, channels, active, first, second, low] = [3, 4, 5, 6, 7, 8, 9, 10, 11];
  const edit = (edits: Record<number, number>, bytes = good) => {
    const out = bytes.slice(0, -hashSize);
    for (const [at, byte] of Object.entries(edits)) out[Number(at)] = byte;
    return sealContext(out);
  };
  const of = (change: Partial<ContextParameters["active"][number]>): Uint8Array =>
    contextToBytes({ ...parameters, active: [{ ...parameters.active[0], ...change }, parameters.active[1]] });
  const bodyOf = (bytes: Uint8Array) => [...bytes.subarray(0, -hashSize)];
  const row = (numbers: number[], shift = 0) => {
    const [one, ...others] = parameters.active[0].taps;
    return of({ taps: [{ shift, numbers: one.numbers.map((number, i) => numbers[i] ?? number) }, ...others] });
  };
  assert.is(verdict(codec, good), "valid");
  const valid: Uint8Array[] = [
    ...[edit({ [first]: parameters.active[1].channel, [second]: parameters.active[0].channel }), row([127, -127], 8)],
    ...[of({ low: -32768, high: -32766 }), of({ low: 32765, high: 32767 }), of({ low: 0, high: 4095 })],
  ];
  for (const bytes of valid) assert.is(verdict(codec, bytes), "valid");
  const invalid: Uint8Array[] = [
    ...[0, 1, 2].map((at) => edit({ [at]: 0x4d })),
    ...[0, 1, 3, 5, 9, 16, 32, 255].map((byte) => edit({ [h]: byte })),
    ...[0, 5, 255].map((byte) => edit({ [z]: byte })),
    ...[0, 11, 13, 19, 21, 255].map((byte) => edit({ [taps]: byte })),
    // Numbers of channels: none, fewer than active, other than in the bytes, not minimal, too long.
    ...[edit({ [channels]: 0 }), edit({ [channels]: 1 }), edit({ [active]: 0 }), edit({ [active]: 1 })],
    ...[edit({ [active]: 3 }), edit({ [active]: 4 }), edit({ [first]: 3 }), edit({ [second]: good[first] })],
    sealContext(Uint8Array.from([...good.subarray(0, channels), 0x83, 0, ...bodyOf(good).slice(channels + 1)])),
    sealContext(Uint8Array.from([...good.subarray(0, channels), 0x80, 0x80, 4, ...bodyOf(good).slice(channels + 1)])),
    sealContext(Uint8Array.from([...good.subarray(0, channels), ...Array(6).fill(0x83), ...bodyOf(good).slice(8)])),
    ...[of({ low: -32769, high: -32760 }), of({ low: 32766, high: 32768 }), of({ low: 0, high: 1 })],
    ...[of({ low: 0, high: 4096 }), of({ low: 32760, high: 32768 }), of({ low: 2 ** 30, high: 2 ** 30 + 5 })],
    ...[row([], 9), row([], 255), row([-128]), row([1, 2, -128])],
    ...[good.slice(0, -1), Uint8Array.from([...good, 0]), sealContext(Uint8Array.from([...bodyOf(good), 0]))],
    sealContext(Uint8Array.from(bodyOf(good).slice(0, -1))),
    ...[0, 3, 4, 11, 12, 16, 17, 18, 40].map((length) => good.slice(0, length)),
    ...[0, 3, 4, 9, 10, low, low + 1, 40].map((length) => sealContext(good.slice(0, length))),
  ];
  // Rows that are given: their number and numbers follow the active channels.
  const given = contextToBytes(randomNetwork(own, { channels: 3, active: 2, ...small, given: 3 }));
  const count = second + 1;
  for (const bytes of [given, edit({ [count + 1]: 127, [count + 2]: -127 & 255 }, given)])
    assert.is(verdict(codec, bytes), "valid");
  invalid.push(
    ...[
      edit({ [count]: 0 }, given),
      edit({ [count + 1]: 128 }, given),
      edit({ [taps]: 12 }, given),
      edit({ [taps]: 140 }),
      edit({ [taps]: 139 }, given),
    ],
    ...[count, count + 1, count + 3].map((length) => sealContext(given.slice(0, length))),
    // 65,536 rows, and 65,535 of which there are three.
    sealContext(Uint8Array.from([...given.slice(0, count), 0x80, 0x80, 4, ...bodyOf(given).slice(count + 1)])),
    sealContext(Uint8Array.from([...given.slice(0, count), 0xff, 0xff, 3, ...bodyOf(given).slice(count + 1)])),
  );
  const damaged = good.slice();
  damaged[damaged.length - 1] ^= 1;
  for (const [i, bytes] of [...invalid, damaged].entries())
    assert.is(verdict(codec, bytes), "INVALID_CONTEXT", `case ${i}`);
  assert.is(verdict(codec, edit({ [version]: 2 })), "UNSUPPORTED_VERSION");
  assert.is(verdict(codec, edit({ [version]: 0 })), "UNSUPPORTED_VERSION");
  throwsCode(() => codec.context(good.slice(1), { table: uselessTable(3) }), "INVALID_CONTEXT", /context prior/);
  throwsMistake(() => codec.context([...good] as never, { table: uselessTable(3) }), TypeError, "parameters");
  throwsMistake(() => codec.context(good, undefined as never), TypeError, "table is missing: codec.context");
  throwsMistake(() => codec.context(good, {} as never), TypeError, "table is missing");
  throwsMistake(() => codec.context(good, null as never), TypeError, "options");
});

const shapes = [
  { channels: 1, active: 1, ...small },
  { channels: 3, active: 2, ...small },
  { channels: 2, active: 1, H: 64, Z: 16, taps: 20 },
  { channels: 2, active: 2, H: 32, Z: 32, taps: 20 },
  { channels: 2, active: 2, ...small, given: 4 },
] as const;

/** Damaged, and mostly with the right fingerprint, so that the damage is seen by what lies behind it. */
function mutateParameters(bytes: Uint8Array, rng: Random, other: Uint8Array): Uint8Array {
  const mutated = mutate(bytes, rng, other);
  return rng(8) > 0 && mutated.length > hashSize ? sealContext(mutated.subarray(0, -hashSize)) : mutated;
}

/** Codes a small latent under parameters that were accepted. Returns the packet. */
function use(codec: Codec, sample: Sample): Uint8Array {
  const prior = sample.prior(codec);
  const packet = codec.encode(sample.latent, prior);
  sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, sample.symbols, "symbols");
  return packet;
}

test("mutated parameters: refused as the reference refuses them, or every symbol comes back", () => {
  const count = isFull ? 200_000 : 5000;
  const rng = random(41);
  const bases = shapes.flatMap((shape) =>
    (["tame", "wild", "extreme"] as const).map((temper) => contextToBytes(randomNetwork(rng, { ...shape, temper }))),
  );
  const outcomes: Record<string, number> = {};
  // What is loaded stays for the life of a codec, so none lives long.
  const life = 500;
  const fresh = () => [
    watched("simd"),
    watched("scalar"),
    { codec: createSync({ build: javascript }), bytes: () => 0 },
  ];
  let codecs = fresh();
  for (let done = 0; done < count; done++) {
    if (done % life === 0) codecs = fresh();
    const [{ codec }] = codecs;
    const bytes = mutateParameters(bases[rng(bases.length)], rng, bases[rng(bases.length)]);
    try {
      const code = verdict(codec, bytes);
      outcomes[code] = (outcomes[code] ?? 0) + 1;
      if (code !== "valid") continue;
      const read = contextFromBytes(bytes);
      // A table of as many rows would take the memory that is watched here.
      if (read.channels > 100 || (read.given?.length ?? 0) > 100) continue;
      const dims = [read.channels, 1 + rng(3), 1 + rng(4)];
      const style = { parameters: read, axis: 0, symbols: "large" } as const;
      const sample: Sample = read.given
        ? givenSample(rng, dims, { ...style, table: uselessTable(read.given.length) })
        : contextSample(rng, dims, style);
      const packet = use(codec, sample);
      if (done % 16) continue;
      for (const other of codecs.slice(1)) sameNumbers(use(other.codec, sample), packet, "the builds");
      const part = { prior: sample.reference, dims, symbols: sample.symbols };
      sameNumbers(encodePacket([part], { lanes: 1 }), packet, "the reference");
    } catch (error) {
      throw new Error(`parameters ${done}: ${error}\n${Buffer.from(bytes).toString("hex")}`, { cause: error });
    }
    // 500 sets of at most 40 KB, and what one call needs.
    for (const { bytes: size } of codecs) assert.ok(size() < 48e6, `${size()} bytes of memory`);
  }
  for (const code of ["valid", "INVALID_CONTEXT", "UNSUPPORTED_VERSION"])
    assert.ok((outcomes[code] ?? 0) > count / 2000, `${code}: ${JSON.stringify(outcomes)}`);
});

test("parameters that are refused leave no memory behind", () => {
  for (const name of buildNames) {
    const { codec, bytes } = watched(name);
    const table = codec.table(uselessTable(3));
    const large = contextToBytes(randomNetwork(own, { channels: 40, active: 40, H: 128, Z: 32, taps: 20 }));
    const body = large.slice(0, -hashSize);
    // The last weight of the last row is none.
    const bad = sealContext(body.subarray(0, -1));
    const refuse = () => throwsCode(() => codec.context(bad, { table }), "INVALID_CONTEXT");
    refuse();
    const before = bytes();
    for (let i = 0; i < 200; i++) refuse();
    assert.is(bytes(), before);
  }
});

// ---- packets

test("the limit of symbols bounds the memory: shapes that take more are refused before memory is taken", () => {
  // One row of positions; two channels, so that each position has a state; both with the widest network.
  const shapes = [
    { channels: 1, dims: [1, 1, 1, 2 ** 20] },
    { channels: 2, dims: [1, 2, 1, 2 ** 19] },
    { channels: 2, dims: [1, 2, 2 ** 9, 2 ** 10] },
  ];
  for (const { channels, dims } of shapes)
    for (const name of buildNames) {
      const { codec, bytes } = watched(name);
      const parameters = randomNetwork(random(71), { channels, active: channels, H: 128, Z: 8, taps: 12 });
      const table = {
        offsets: [0, 0].slice(0, channels),
        cdfs: [0, 1].slice(0, channels).map(() => [0, 65535, 65536]),
      };
      const prior = codec.context(contextToBytes(parameters), { table });
      const zeros = { type: "int8", dims, data: new Int8Array(productOf(dims)) };
      // Static rows and no flag that says so: as a packet of an attacker.
      const packet = codec.encode(zeros, codec.factorized(table), { lanes: 1, fingerprint: false, checksum: false });
      codec.trim();
      const before = bytes();
      throwsCode(
        () => codec.decode(packet, prior),
        "LIMIT_EXCEEDED",
        /a context of this shape takes the memory of \d+ symbols/,
      );
      assert.ok(bytes() - before < 8e6, `${bytes() - before} bytes for a packet that is refused`);
    }

  // The limit that the message names is enough, and one less is not.
  const parameters = randomNetwork(random(72), { channels: 1, H: 128, Z: 8, taps: 12 });
  const sample = contextSample(random(73), [1, 1, 1, 30_000], { parameters });
  const { codec, bytes } = watched("simd");
  const prior = sample.prior(codec);
  const encoder = made("simd");
  const packet = encoder.encode(sample.latent, sample.prior(encoder));
  const decode = (maxContextElements: number) => codec.decode(packet, prior, { type: "int32", maxContextElements });
  const refusal = throwsCode(() => decode(30_000), "LIMIT_EXCEEDED", /the memory of \d+ symbols/);
  const named = Number(/memory of (\d+)/.exec(refusal.message)![1]);
  throwsCode(() => decode(named - 1), "LIMIT_EXCEEDED");
  sameNumbers(decode(named).data, sample.symbols, "with the limit that was named");
  assert.ok(bytes() < 256 * named + 2 ** 22 + 2e6, `${bytes()} bytes`);
});

/** A packet may claim no more, so that the reference can follow. */
const limits = { maxElements: 2048, maxContextElements: 900 };

interface Target {
  readonly parts: readonly Sample[];
  readonly options: Options;
  readonly packet: Uint8Array;
  readonly check: 0 | 2 | 4;
  readonly seed: number;
}

const forms: readonly Options[] = [
  { checksum: false, fingerprint: false },
  { checksum: false },
  {},
  { checksum: false, indexChecks: true },
  { header: "none" },
  { header: "compact" },
  { header: "compact", checksum: 2, indexChecks: true },
];

function targetsOf(codec: Codec): Target[] {
  const rng = random(51);
  const network = (channels: number, active: number) => ({
    parameters: randomNetwork(rng, { channels, active, ...small, ends: [-5, 6] }),
  });
  const ordinary = factorizedSample(rng, makeTable(rng, { rows: 4, entries: 9, flavour: "peaked" }), [1, 4, 2, 3]);
  const fallBack = contextSample(rng, [1, 2, 3, 4], {
    parameters: randomNetwork(rng, { channels: 2, ...small, temper: "extreme" }),
    table: { offsets: [0, 0], cdfs: [0, 1].map(() => [0, 60000, 65536]) },
    drawn: new Int32Array(24),
  });
  const three = contextSample(rng, [1, 3, 4, 4], network(3, 2));
  const last = contextSample(rng, [2, 3, 4, 2], { ...network(2, 1), axis: 3, symbols: "large" });
  const scaled = givenSample(rng, [1, 2, 5, 4], {
    ...{ ...scaledTable(rng, 5), table: uselessTable(5) },
    parameters: randomNetwork(rng, { channels: 2, active: 1, ...small, ends: [-5, 6], given: 5 }),
  });
  const lists: Sample[][] = [
    [scaled],
    [ordinary, scaled],
    [three],
    [last],
    [contextSample(rng, [1, 11, 8], { ...network(1, 1), axis: 0, symbols: "int32" })],
    [contextSample(rng, [2, 2, 10, 10], network(2, 2))],
    [fallBack],
    [three, ordinary, fallBack, last],
    [ordinary, fallBack, ...Array.from({ length: 8 }, () => three)],
  ];
  return lists.flatMap((parts) =>
    forms.flatMap((form) =>
      ([1, 8, "compressai"] as const).flatMap((stream): Target[] => {
        if (stream === "compressai" && (parts.length > 1 || form.indexChecks)) return [];
        const options: Options = stream === "compressai" ? { ...form, stream, lanes: 1 } : { ...form, lanes: stream };
        const { indexChecks, ...encoding } = options;
        const isOne = stream === "compressai";
        const packet = isOne
          ? codec.encode(parts[0].latent, parts[0].prior(codec), encoding)
          : writeParts(codec, parts, options);
        const agreement = agreementOf(options);
        const seed = compactSeed(parts.map(({ reference, dims }) => ({ prior: reference, dims })));
        return [{ parts, options, packet, check: agreement.check ?? 0, seed: agreement.form === "compact" ? seed : 0 }];
      }),
    ),
  );
}

type Outcome = string | ArrayLike<number>[];

function outcomeOf(read: () => ArrayLike<number>[], kind: typeof CodecError | typeof FormatError): Outcome {
  try {
    return read();
  } catch (error) {
    if (error instanceof kind) return (error as CodecError).code;
    throw error;
  }
}

function readBy(codec: Codec, { parts, options }: Target, bytes: Uint8Array): Outcome {
  const { header, checksum, stream } = options;
  const dimsOf = (part: Sample) => (header ? { dims: part.dims } : {});
  if (parts.length === 1) {
    const decode: DecodeOptions<"int32"> = { header, checksum, stream, ...limits, ...dimsOf(parts[0]), type: "int32" };
    return outcomeOf(() => [codec.decode(bytes, parts[0].prior(codec), decode).data], CodecError);
  }
  return outcomeOf(() => {
    const reader = codec.reader(bytes, { header, checksum, ...limits });
    const found = parts.map((part) => reader.read(part.prior(codec), { type: "int32", ...dimsOf(part) }));
    reader.finish();
    for (const { dims, data } of found) assert.is(data.length, productOf(dims));
    return found.map(({ data }) => data);
  }, CodecError);
}

function readByReference({ parts, options }: Target, bytes: Uint8Array): Outcome {
  const priors = parts.map(({ reference }) => reference);
  const dims = options.header ? parts.map((part) => part.dims) : undefined;
  return outcomeOf(() => decodePacket(bytes, priors, { ...agreementOf(options), dims }).symbols, FormatError);
}

/** Which kind of damage it is called is a decoder's choice (docs/format.md 2.5, 3.4). */
const alike = ["TRUNCATED", "CORRUPTED", "MODEL_MISMATCH", "SHAPE_MISMATCH", "WRONG_PRIOR"];

function same(found: Outcome, expected: Outcome, what: string): void {
  if (typeof found === "string" && typeof expected === "string") {
    if (found !== expected && ![found, expected].every((code) => alike.includes(code)))
      throw new Error(`${what}: ${found}, ${expected}`);
    return;
  }
  if (typeof found === "string" || typeof expected === "string")
    throw new Error(
      `${what}: ${typeof found === "string" ? found : "symbols"}, ${typeof expected === "string" ? expected : "symbols"}`,
    );
  assert.is(found.length, expected.length, what);
  for (const [p, symbols] of found.entries()) sameNumbers(symbols, expected[p], what);
}

test("mutated packets: refused, or read as the reference and every build read them, and the codec goes on", () => {
  const count = isFull ? 200_000 : 8000;
  const rng = random(61);
  const codecs = [watched("simd"), watched("scalar"), { codec: createSync({ build: javascript }), bytes: () => 0 }];
  const targets = targetsOf(codecs[0].codec);
  const outcomes: Record<string, number> = {};
  let compared = 0;
  for (let done = 0; done < count; done++) {
    const target = targets[rng(targets.length)];
    const mutated = mutate(target.packet, rng, targets[rng(targets.length)].packet);
    const isSealed = target.check > 0 && rng(4) > 0;
    const bytes = isSealed ? reseal(mutated, target.check as 2 | 4, target.seed) : mutated;
    // The plain JavaScript build is slower.
    const codec = codecs[rng(16) ? rng(2) : 2].codec;
    try {
      const found = readBy(codec, target, bytes);
      const code = typeof found === "string" ? found : "valid";
      outcomes[code] = (outcomes[code] ?? 0) + 1;
      if (done % 16 === 0) for (const other of codecs) same(readBy(other.codec, target, bytes), found, "the builds");
      if (done % 16 === 8 && code !== "LIMIT_EXCEEDED") {
        same(found, readByReference(target, bytes), "package and reference");
        compared++;
      }
      if (done % 20 === 0)
        same(
          readBy(codec, target, target.packet),
          target.parts.map(({ symbols }) => symbols),
          "after it, a good packet",
        );
    } catch (error) {
      throw new Error(
        `packet ${done}, ${JSON.stringify(target.options)}: ${error}\n${Buffer.from(bytes).toString("hex")}`,
        { cause: error },
      );
    }
  }
  const codes = "CORRUPTED TRUNCATED NOT_A_PACKET UNSUPPORTED_VERSION WRONG_PRIOR SHAPE_MISMATCH MODEL_MISMATCH";
  for (const code of ["valid", "LIMIT_EXCEEDED", ...codes.split(" ")])
    assert.ok((outcomes[code] ?? 0) > count / 4000, `${code}: ${JSON.stringify(outcomes)}`);
  assert.ok(compared > count / 20, `${compared} compared with the reference`);
  for (const { bytes } of codecs) assert.ok(bytes() < 16e6, `${bytes()} bytes of memory`);
});

test.run();

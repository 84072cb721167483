// The reference of docs/format.md against published values, packets made by hand and independent arithmetic. Against itself: reference-self.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { factorizedSample, indexedSample, makeTable, random, referencePart, scaledTable } from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { erfc as erfcByDefinition } from "./formulas.js";
import {
  compressaiScales,
  correctedRow,
  encodePacket,
  erfc,
  exp,
  fingerprint,
  indexCheck,
  type LaneCount,
  type Mixture,
  mixtureKinds,
  mixtureRow,
  nearest,
  type PartPrior,
  parsePacket,
  partFingerprint,
  quantizeMixture,
  type ReferencePart,
  rowsOfScales,
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

test("a packet by hand: shapes, checks, one symbol", () => {
  // One row of two values and the escape; symbol 1 is entry 1: 16384 + 32768 .. freq 16384.
  const table = tableFromJson({ offsets: [0], cdfs: [[0, 32768, 49152, 65536]] });
  const plain = { check: 0, fingerprint: false } as const;
  const part = { prior: { kind: "channels", table, axis: 0 }, dims: [1], symbols: [1] } as const;
  // x = C(0; 16384, 32768) = 32768: two bytes. The check of one row 0 is that of h = 0.
  const packet = encodePacket([part], { ...plain, indexChecks: true });
  assert.equal([...packet], [0x6c, 0x74, 0x09, 0x04, 0x02, 0, 0, 0x00, 0x80]);
  const other: ReferencePart = { ...part, dims: [1, 1, 1], prior: { ...part.prior, axis: 1 } };
  const two = encodePacket([part, other], plain);
  assert.equal([...two.subarray(0, 9)], [0x6c, 0x70, 0xd1, 0, 2, 0x19, 0x0b, 1, 1]);
});

test("the fingerprint of a part is made of four things, that of a packet is a chain", () => {
  const rng = random(3);
  const tables = [1, 2].map(() => makeTable(rng, { rows: 3, entries: 9, flavour: "random" }));
  const parts = tables.map((table, i) => referencePart(indexedSample(rng, table, [2], { means: true, step: i + 0.5 })));
  // Kind 1, centre 2, axis 0; 0.5 and 1.5 as float32.
  const [fa, fb] = tables.map((table, i) => {
    const low = BigInt(`0x${fingerprint(tableFromJson(table)).slice(8)}`);
    const setting = (9n * 0x85ebca77n) & 0xffffffffn;
    return low ^ ((([0x3f000000n, 0x3fc00000n][i] ^ setting) * 0x9e3779b1n) & 0xffffffffn);
  });
  assert.equal(
    parts.map(({ prior }) => partFingerprint(prior)),
    [fa, fb].map(Number),
  );
  const chain = (first: bigint, second: bigint) => Number(((first * 0x9e3779b1n) ^ second) & 0xffffffffn);
  const of = (list: typeof parts) => parsePacket(encodePacket(list)).fingerprint;
  assert.is(of(parts), chain(fa, fb));
  assert.is(of([...parts].reverse()), chain(fb, fa));
  assert.is(of([parts[0]]), Number(fa));
});

test("the index check is the hash that the format writes down", () => {
  const check = (values: number[]) => {
    let h = 0n;
    for (const value of values) h = ((h ^ BigInt(value)) * 0x9e3779b1n) & 0xffffffffn;
    h ^= h >> 15n;
    h = (h * 0x85ebca77n) & 0xffffffffn;
    h ^= h >> 13n;
    return Number(h >> 16n);
  };
  const rng = random(4);
  for (let i = 0; i < 200; i++) {
    const values = Array.from({ length: rng(40) }, () => rng(i < 100 ? 64 : 2 ** 22));
    assert.is(indexCheck(values), check(values));
  }
});

test("parts restart the lanes, and short runs do not", () => {
  const rng = random(6);
  const table = makeTable(rng, { rows: 5, entries: 20, flavour: "peaked" });
  const [one, two, three] = [
    indexedSample(rng, table, [1003]),
    factorizedSample(rng, table, [1, 5, 15], 1),
    indexedSample(rng, table, [1000]),
  ].map((part) => referencePart(part));
  const rowsOf = (part: ReferencePart, index: ArrayLike<number>): ReferencePart => {
    const prior: PartPrior = { kind: "rows", table: tableFromJson(table), index };
    return { ...part, dims: [index.length], prior };
  };
  // Runs of 15 with 8 lanes: the channels are as good as a row per symbol; with runs of 16 they would not be.
  const flat = rowsOf(
    two,
    Int32Array.from({ length: 75 }, (_, i) => Math.floor(i / 15)),
  );
  const streamOf = (parts: ReferencePart[], lanes: LaneCount) => parsePacket(encodePacket(parts, { lanes })).stream;
  sameNumbers(streamOf([one, two, three], 8), streamOf([one, flat, three], 8));
  // 1003 is no multiple of the lanes, so that two parts differ from one.
  const index = [one, three].flatMap(({ prior }) => (prior.kind === "rows" ? Array.from(prior.index) : []));
  const symbols = [one, three].flatMap((part) => Array.from(part.symbols));
  const whole = rowsOf({ ...one, symbols }, index);
  assert.not.equal(streamOf([one, three], 8), streamOf([whole], 8));
  assert.equal(streamOf([one, three], 1), streamOf([whole], 1));
});

test("corrections are written as distances", () => {
  const rng = random(9);
  const table = { ...scaledTable(rng, 6), scales: new Float32Array(50).fill(0.3) };
  const prior: PartPrior = { kind: "scales", ...table, table: tableFromJson(table.table) };
  const options = { check: 0, fingerprint: false } as const;
  const packet = encodePacket([{ prior, dims: [50], symbols: new Int32Array(50), corrections: [3, 4, 49] }], options);
  assert.equal(parsePacket(packet).corrections, [3, 4, 49]);
  // Prefix, control byte, sections, shape; count, then 3, and distances less 1.
  assert.equal([...packet.subarray(4, 10)], [1, 50, 3, 3, 0, 44]);
});

test("a corrected row is that above the nearest boundary, by definition", () => {
  const rng = random(8);
  const nearest = (sigma: number, table: Float32Array) => {
    let best = 0;
    for (let j = 0; j < table.length - 1; j++) {
      if (Math.abs(Math.log(table[j] / sigma)) < Math.abs(Math.log(table[best] / sigma))) best = j;
    }
    return best + 1;
  };
  for (const table of [compressaiScales, scaledTable(rng, 9).scaleTable, compressaiScales.slice(0, 2)]) {
    for (let i = 0; i < 5000; i++) {
      const sigma = Math.fround(Math.exp(rng.unit() * 12 - 5));
      const [row] = rowsOfScales(Float32Array.of(sigma), table);
      assert.is(correctedRow(sigma, row, table), nearest(sigma, table), `${sigma}`);
    }
  }
  assert.is(correctedRow(0, 0, compressaiScales), 1);
  assert.is(correctedRow(-5, 0, compressaiScales), 1);
  assert.is(correctedRow(Number.POSITIVE_INFINITY, 63, compressaiScales), 63);
});

test("exp and erfc are what they should be to 15 digits, and exact where that is known", () => {
  assert.is(exp(0), 1);
  assert.is(exp(-746), 0);
  assert.is(exp(710), Number.POSITIVE_INFINITY);
  assert.is(erfc(0), 1);
  assert.is(erfc(30), 0);
  assert.is(erfc(-30), 2);
  const rng = random(10);
  for (let i = 0; i < 20000; i++) {
    const x = (rng.unit() - 0.5) * 1400;
    assert.ok(Math.abs(exp(x) / Math.exp(x) - 1) < 4e-16, `exp(${x})`);
    const y = (rng.unit() - 0.5) * 20;
    const expected = erfcByDefinition(y);
    // Below 2.5 the definition is 1 - erf.
    assert.ok(
      Math.abs(erfc(y) - expected) < (y < 2.5 ? 6e-15 : 2e-14 * expected),
      `erfc(${y}) is ${erfc(y)}, not ${expected}`,
    );
  }
});

test("a row made at run time has a frequency for every value", () => {
  const rng = random(11);
  const edges = [
    -0.5,
    -1 / 128,
    0,
    1 / 128,
    3 / 128,
    0.5,
    7,
    ...[1e30, 40000, 32767, 32768.01].flatMap((v) => [v, -v]),
  ];
  edges.push(Infinity, -Infinity);
  const sigmas = [-1, 0, 1e-30, 0.11, 0.12, 1, 17, 255.9, 256, 1e9, Infinity];
  for (let round = 0; round < 400; round++) {
    const components = 1 + rng(16);
    const kind = mixtureKinds[round % 3];
    const low = [-32768, -4095, -128, -3, 0, 30000][rng(6)];
    const support = [low, low + [0, 1, 2, 255, 2767, 2000][rng(6)]] as const;
    const pick = (list: number[]) => Float32Array.from({ length: components }, () => list[rng(list.length)]);
    const mixture: Mixture = {
      kind,
      components,
      support,
      weights: pick([0, 0, 1 / 512, 1 / 256, 0.25, 1, 1.7, -3, Infinity]),
      means: rng(2) ? pick(edges) : pick([low, low + 0.5, low + 1 + rng(200), low - 9]),
      scales: pick(sigmas),
    };
    const [own] = quantizeMixture(mixture, compressaiScales);
    const { cdf, offset } = mixtureRow(own, mixture, compressaiScales);
    assert.is(offset, low);
    assert.is(cdf.length, support[1] - low + 3);
    for (let k = 1; k < cdf.length; k++) assert.ok(cdf[k] > cdf[k - 1], `entry ${k - 1} of ${JSON.stringify(own)}`);
    assert.equal(cdf.slice(-2), [65535, 65536]);
  }
});

test("no distribution falls from one value to the next, not even in its last bit", () => {
  // A row's arguments lie at least 1/256 apart; docs/math.md 6.
  const step = 1 / 256;
  for (const kind of mixtureKinds) {
    const at = {
      gaussian: (x: number) => 0.5 * erfc(-x * Math.SQRT1_2),
      laplace: (x: number) => (x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x)),
      logistic: (x: number) => 1 / (1 + exp(-x)),
    }[kind];
    for (const start of [0, step / 3, step / 7]) {
      let before = 0;
      for (let k = -800 * 256; k <= 800 * 256; k++) {
        const now = at(start + k * step);
        if (!(now >= before && now <= 1)) assert.unreachable(`${kind} at ${start + k * step}`);
        before = now;
      }
      assert.is(before, 1);
    }
  }
});

test("a mixture's frequencies are the probabilities of its quantized parameters", () => {
  const weights = Float32Array.of(0.5, 0.25);
  const means = Float32Array.of(-3.26, 4);
  const scales = Float32Array.of(2, 0.7);
  for (const kind of mixtureKinds) {
    const mixture: Mixture = { kind, components: 2, support: [-128, 127], weights, means, scales };
    const [own] = quantizeMixture(mixture, compressaiScales);
    assert.equal(
      own.map(({ weight, mean }) => [weight, mean]),
      [
        [128, -209],
        [64, 256],
      ],
    );
    for (const { scale } of own) assert.ok(scale > 0 && scale < 63);
    const { cdf } = mixtureRow(own, mixture, compressaiScales);
    const distribution = (x: number) =>
      own.reduce((sum, { weight, mean, scale }) => {
        const t = (x - mean / 64) / compressaiScales[scale];
        const tail = 0.5 * Math.exp(-Math.abs(t));
        const laplace = t < 0 ? tail : 1 - tail;
        const g = { gaussian: erfcByDefinition(-t / Math.SQRT2) / 2, laplace, logistic: 1 / (1 + Math.exp(-t)) };
        return sum + (weight / 192) * g[kind];
      }, 0);
    for (let k = 0; k < 256; k++) {
      const expected = 65279 * (distribution(k - 127.5) - distribution(k - 128.5)) + 1;
      const rim = k === 0 ? 65279 * distribution(-128.5) : k === 255 ? 65279 * (1 - distribution(127.5)) : 0;
      assert.ok(Math.abs(cdf[k + 1] - cdf[k] - expected - rim) < 1.001, `${kind} ${k - 128}`);
    }
  }
});

test("mixture parameters: ties to even, limits, no weight at all, NaN", () => {
  const one = { kind: "gaussian", components: 1, support: [0, 1] } as const;
  const floats = (...values: number[]) => {
    const [weights, means, scales] = values.map((value) => Float32Array.of(value));
    return { weights, means, scales };
  };
  const of = (weight: number, mean: number, scale: number) =>
    quantizeMixture({ ...one, ...floats(weight, mean, scale) }, compressaiScales)[0][0];
  assert.equal(of(0.5 / 256, 2.5 / 64, 1), { weight: 1, mean: 2, scale: of(1, 0, 1).scale });
  assert.equal(of(1.5 / 256, -3.5 / 64, 0), { weight: 2, mean: -4, scale: 0 });
  assert.equal(of(9, 1e9, 1e9), { weight: 256, mean: 2 ** 21, scale: 63 });
  assert.equal(of(-1, -1e9, 0.11), { weight: 1, mean: -(2 ** 21), scale: 0 });
  for (const bad of [
    [Number.NaN, 0, 1],
    [1, Number.NaN, 1],
    [1, 0, Number.NaN],
  ])
    throwsCode(() => of(bad[0], bad[1], bad[2]), "NON_FINITE");
});

test.run();

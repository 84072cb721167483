// The reference of docs/format.md sections 8 and 9 against itself, against packets made by hand and against independent arithmetic.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/scales.js";
import { factorizedSample, indexedSample, makeTable, random } from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { erfc as erfcByDefinition } from "./formulas.js";
import { anyPart, factorizedPart, gaussianPart, indexedPart, referencePart, scaledTable } from "./parts-cases.js";
import {
  correctedRow,
  decodeParts,
  encodeBare,
  encodeParts,
  erfc,
  exp,
  fingerprint,
  guardedPositions,
  indexCheck,
  type Mixture,
  mixtureKinds,
  mixtureRow,
  type PartsOptions,
  parseParts,
  quantizeMixture,
  rowsOfScales,
  tableFromJson,
  xxh32,
} from "./reference.js";

const bare: PartsOptions = { lanes: 1, checksum: false, fingerprint: false, indexChecks: false };

test("a packet of no parts", () => {
  assert.equal([...encodeParts([], bare)], [0x4c, 0x50, 0x11, 0, 0]);
  const sealed = encodeParts([], { ...bare, checksum: true, fingerprint: true });
  const body = [0x4c, 0x53, 0x11, 0, 0, 0, 0, 0, 0];
  const sum = xxh32(Uint8Array.from(body));
  assert.equal([...sealed], [...body, sum & 255, (sum >>> 8) & 255, (sum >>> 16) & 255, sum >>> 24]);
  assert.equal(decodeParts(sealed, []), []);
});

test("a packet by hand: shapes, checks, one symbol", () => {
  // One row of two values and the escape; symbol 1 is entry 1: 16384 + 32768 .. freq 16384.
  const table = tableFromJson({ offsets: [0], cdfs: [[0, 32768, 49152, 65536]] });
  const part = { prior: { kind: "factorized", table, axis: 0 }, dims: [1], symbols: [1] } as const;
  const packet = encodeParts([part], { ...bare, indexChecks: true });
  // x = C(0; 16384, 32768) = 32768: two bytes. The check of one row 0 is that of h = 0.
  assert.equal([...packet], [0x4c, 0x50, 0xb1, 0, 1, 0x09, 1, 0, 0, 0x00, 0x80]);
  const two = encodeParts([part, { ...part, dims: [1, 1, 1], prior: { ...part.prior, axis: 1 } }], bare);
  assert.equal([...two.subarray(0, 9)], [0x4c, 0x50, 0x31, 0, 2, 0x19, 0x0b, 1, 1]);
});

test("the fingerprint is a chain over the parts", () => {
  const rng = random(3);
  const [a, b] = [1, 2].map(() => makeTable(rng, { rows: 3, entries: 9, flavour: "random" }));
  const [fa, fb] = [a, b].map((table) => BigInt(`0x${fingerprint(tableFromJson(table)).slice(8)}`));
  const step = (h: bigint, f: bigint) => ((h ^ f) * 0x9e3779b1n) & 0xffffffffn;
  const parts = [a, b].map((table) => referencePart(indexedPart(rng, table, [2])));
  const of = (list: typeof parts) => parseParts(encodeParts(list, { ...bare, fingerprint: true })).fingerprint;
  assert.is(of(parts), Number(step(step(0n, fa), fb)));
  assert.is(of([...parts].reverse()), Number(step(step(0n, fb), fa)));
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

test("one part is the stream of section 3 behind another header", () => {
  const rng = random(5);
  const table = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });
  const indexed = indexedSample(rng, table, [1500], 0.01);
  const channels = factorizedSample(rng, table, [1, 7, 15, 16], 1, 0.01);
  for (const lanes of [1, 8, 16, 32] as const) {
    const options = { ...bare, lanes };
    const rows = { kind: "rows", table: tableFromJson(table), rows: indexed.coding.index } as const;
    const one = encodeParts([{ prior: rows, dims: [1500], symbols: indexed.symbols }], options);
    sameNumbers(parseParts(one).stream, encodeBare(indexed.symbols, indexed.coding, { lanes }).subarray(1));
    // Runs of 240, more than the lanes: they restart, as in layout 1.
    const axis = { kind: "factorized", table: tableFromJson(table), axis: 1 } as const;
    const runs = encodeParts([{ prior: axis, dims: channels.dims, symbols: channels.symbols }], options);
    const again = encodeBare(channels.symbols, channels.coding, { lanes, layout: lanes === 1 ? "continuous" : "runs" });
    sameNumbers(parseParts(runs).stream, again.subarray(1));
  }
});

test("parts restart the lanes, and short runs do not", () => {
  const rng = random(6);
  const table = makeTable(rng, { rows: 5, entries: 20, flavour: "peaked" });
  const first = indexedPart(rng, table, [1003]);
  const short = factorizedPart(rng, table, [1, 5, 15], 1);
  const last = indexedPart(rng, table, [1000]);
  const [one, two, three] = [first, short, last].map((part) => referencePart(part));
  const rowsOf = (part: typeof one, rows: ArrayLike<number>) =>
    ({ ...part, prior: { kind: "rows", table: tableFromJson(table), rows } }) as const;
  // Runs of 15 with 16 lanes: the channels are as good as a row per symbol; with 8 lanes they are not.
  const flat = rowsOf(
    two,
    Int32Array.from({ length: 75 }, (_, i) => Math.floor(i / 15)),
  );
  const streamOf = (parts: Parameters<typeof encodeParts>[0], lanes: 8 | 16) =>
    parseParts(encodeParts(parts, { ...bare, lanes })).stream;
  sameNumbers(streamOf([one, two, three], 16), streamOf([one, flat, three], 16));
  assert.not.equal(streamOf([one, two, three], 8), streamOf([one, flat, three], 8));
  // 1003 is no multiple of the lanes, so that two parts differ from one.
  const whole = {
    prior: {
      kind: "rows",
      table: tableFromJson(table),
      rows: [one, three].flatMap(({ prior }) => (prior.kind === "rows" ? Array.from(prior.rows) : [])),
    },
    dims: [2003],
    symbols: Int32Array.of(...(one.symbols as Int32Array), ...(three.symbols as Int32Array)),
  } as const;
  assert.not.equal(streamOf([one, three], 8), streamOf([whole], 8));
});

test("the reference reads what it writes", () => {
  const rng = random(7);
  for (let round = 0; round < 150; round++) {
    const parts = Array.from({ length: rng(6) }, () =>
      anyPart(rng, [0, 1, 2, 40, 700][rng(5)], [0, 0, 0.02, 1][rng(4)]),
    );
    const options = {
      lanes: ([1, 8, 16, 32] as const)[rng(4)],
      checksum: rng(2) === 0,
      fingerprint: rng(2) === 0,
      indexChecks: rng(2) === 0,
    };
    const guarded = parts.map((part) => {
      const { reference } = part;
      const guard = { relative: 0.005, absolute: 0 };
      return referencePart(
        part,
        reference.kind === "scales" ? guardedPositions(reference.scales, reference.scaleTable, guard) : [],
      );
    });
    const packet = encodeParts(guarded, options);
    const priors = parts.map(({ reference }) => reference);
    assert.equal(
      decodeParts(packet, priors),
      parts.map(({ symbols }) => symbols),
    );
    // Of a part of no symbols nothing need be in the packet.
    if (parts.length > 0 && parts[parts.length - 1].symbols.length > 0)
      throwsCode(() => decodeParts(packet, priors.slice(0, -1)), "SHAPE_MISMATCH");
  }
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
  for (const table of [stockScales, scaledTable(rng, 9).scaleTable, stockScales.slice(0, 2)]) {
    for (let i = 0; i < 5000; i++) {
      const sigma = Math.fround(Math.exp(rng.unit() * 12 - 5));
      const [row] = rowsOfScales(Float32Array.of(sigma), table);
      assert.is(correctedRow(sigma, row, table), nearest(sigma, table), `${sigma}`);
    }
  }
  assert.is(correctedRow(0, 0, stockScales), 1);
  assert.is(correctedRow(-5, 0, stockScales), 1);
  assert.is(correctedRow(Number.POSITIVE_INFINITY, 63, stockScales), 63);
});

test("corrections and checks that are wrong are refused", () => {
  const rng = random(9);
  const part = gaussianPart(rng, scaledTable(rng, 6), [50]);
  const rows = indexedPart(rng, makeTable(rng, { rows: 4, entries: 9, flavour: "random" }), [50]);
  const packet = encodeParts([referencePart(part, [3, 4, 49])], { ...bare, indexChecks: true });
  assert.equal(parseParts(packet).corrections, [3, 4, 49]);
  // count, then 3, and distances less 1.
  assert.equal([...packet.subarray(4, 9)], [50, 3, 3, 0, 44]);
  // Without the correction the reader's row is another one.
  const { reference } = part;
  if (reference.kind !== "scales") throw new Error("not the part it was made as");
  const moved = reference.scales.slice();
  moved[17] *= 1.5;
  throwsCode(() => decodeParts(packet, [{ ...reference, scales: moved }]), "MODEL_MISMATCH");
  throwsCode(() => encodeParts([referencePart(rows, [0])], bare), "CORRUPTED");
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
    -Infinity,
    -1e30,
    -40000,
    -32768.01,
    -0.5,
    -1 / 128,
    0,
    1 / 128,
    3 / 128,
    0.5,
    7,
    32767,
    1e30,
    Infinity,
  ];
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
    const [own] = quantizeMixture(mixture, stockScales);
    const { cdf, offset } = mixtureRow(own, mixture, stockScales);
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
    const at = (x: number) =>
      kind === "gaussian"
        ? 0.5 * erfc(-x * Math.SQRT1_2)
        : kind === "laplace"
          ? x < 0
            ? 0.5 * exp(x)
            : 1 - 0.5 * exp(-x)
          : 1 / (1 + exp(-x));
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
    const [own] = quantizeMixture(mixture, stockScales);
    assert.equal(
      own.map(({ weight, mean }) => [weight, mean]),
      [
        [128, -209],
        [64, 256],
      ],
    );
    for (const { scale } of own) assert.ok(scale > 0 && scale < 63);
    const { cdf } = mixtureRow(own, mixture, stockScales);
    const distribution = (x: number) =>
      own.reduce((sum, { weight, mean, scale }) => {
        const t = (x - mean / 64) / stockScales[scale];
        const tail = 0.5 * Math.exp(-Math.abs(t));
        const g =
          kind === "gaussian"
            ? erfcByDefinition(-t / Math.SQRT2) / 2
            : kind === "laplace"
              ? t < 0
                ? tail
                : 1 - tail
              : 1 / (1 + Math.exp(-t));
        return sum + (weight / 192) * g;
      }, 0);
    for (let k = 0; k < 256; k++) {
      const expected = 65279 * (distribution(k - 127.5) - distribution(k - 128.5)) + 1;
      const rim = k === 0 ? 65279 * distribution(-128.5) : k === 255 ? 65279 * (1 - distribution(127.5)) : 0;
      assert.ok(Math.abs(cdf[k + 1] - cdf[k] - expected - rim) < 1.001, `${kind} ${k - 128}`);
    }
  }
});

test("mixture parameters: ties to even, limits, no weight at all, NaN", () => {
  const of = (weight: number, mean: number, scale: number) =>
    quantizeMixture(
      {
        kind: "gaussian",
        components: 1,
        support: [0, 1],
        weights: Float32Array.of(weight),
        means: Float32Array.of(mean),
        scales: Float32Array.of(scale),
      },
      stockScales,
    )[0][0];
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

// The reference against itself: it reads what it writes, and refuses what docs/format.md says it must. It knows nothing of the package.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { laneCounts } from "./builds.js";
import {
  anySample,
  factorizedSample,
  gaussianSample,
  indexedSample,
  makeTable,
  mixtureSample,
  productOf,
  type Random,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { throwsCode } from "./expect.js";
import { toReference } from "./io.js";
import {
  compressaiScales,
  decodePacket,
  encodeCompressai,
  encodePacket,
  FormatError,
  type LaneCount,
  type Mixture,
  type PacketOptions,
  type PartPrior,
  parsePacket,
  partFingerprint,
  type ReferencePart,
  readFrames,
  rowsOfAxis,
  tableFromJson,
  writeFrames,
  xxh32,
} from "./reference.js";

const everyForm: readonly PacketOptions[] = [
  { form: "full", check: 4 },
  { form: "full", check: 0 },
  { form: "full", check: 4, fingerprint: false },
  { form: "compact", check: 4 },
  { form: "compact", check: 2 },
  { form: "compact", check: 0 },
];

// ---- parts of each kind, with the corrections of a guard where they have parameters

const of = (sample: Sample, guard = 0): ReferencePart => toReference([sample], guard)[0];

function table(rng: Random, rows: number, medians = rng(2) === 0) {
  return makeTable(rng, { rows, entries: 30, flavour: (["peaked", "random", "extreme"] as const)[rng(3)], medians });
}

function channels(rng: Random, dims: number[], axis = rng(dims.length), escapeRate = 0.02): ReferencePart {
  const style = { escapeRate, step: [undefined, 0.5, 3][rng(3)] };
  return of(factorizedSample(rng, table(rng, dims[axis]), dims, axis, style));
}

const rows = (rng: Random, dims: number[]): ReferencePart =>
  of(indexedSample(rng, table(rng, 1 + rng(9), false), dims, { escapeRate: 0.02, means: rng(2) === 0 }));
const scales = (rng: Random, dims: number[]): ReferencePart =>
  of(gaussianSample(rng, scaledTable(rng, 20), dims, { escapeRate: 0.02, step: 0.25 }), 0.002);
const mixture = (rng: Random, dims: number[]): ReferencePart =>
  of(mixtureSample(rng, dims, { escapeRate: 0.02 }), 1e-4);

/** A part of any kind, small. */
function anyPart(rng: Random): ReferencePart {
  const dims = Array.from({ length: 1 + rng(4) }, () => 1 + rng(5));
  return rng(3) ? of(anySample(rng, rng(120), 0.02), 1e-4) : channels(rng, dims);
}

const priorsOf = (parts: readonly ReferencePart[]) => parts.map(({ prior }) => prior);
const dimsOf = (parts: readonly ReferencePart[]) => parts.map(({ dims }) => [...dims]);

/** Says where the symbols differ instead of printing them. */
function same(symbols: readonly Int32Array[], parts: readonly ReferencePart[], what: string): void {
  const texts = [symbols, parts.map((part) => part.symbols)].map((all) => all.map((part) => Array.from(part).join()));
  assert.is(texts[0].length, texts[1].length, `${what}: parts`);
  for (let p = 0; p < parts.length; p++) assert.ok(texts[0][p] === texts[1][p], `${what}: part ${p}`);
}

function roundTrip(parts: readonly ReferencePart[], options: PacketOptions, what: string): Uint8Array {
  const packet = encodePacket(parts, options);
  const dims = dimsOf(parts);
  const read = decodePacket(packet, priorsOf(parts), { ...options, dims });
  assert.equal(read.dims, dims, what);
  same(read.symbols, parts, what);
  if (options.form !== "full") return packet;
  // Without the reader's shapes: those of parts whose prior says a number are flat.
  const flat = parts.map((part) =>
    parts.length === 1 || part.prior.kind === "channels" ? [...part.dims] : [part.symbols.length],
  );
  assert.equal(decodePacket(packet, priorsOf(parts)).dims, flat, what);
  return packet;
}

/** Symbols under a row that has nothing but the escape. */
const tiny = (dims: number[]): ReferencePart => ({
  prior: {
    kind: "rows",
    table: { rows: [{ offset: 0, cdf: [0, 65536] }], medians: undefined },
    index: new Array(productOf(dims)).fill(0),
  },
  dims,
  symbols: new Array(productOf(dims)).fill(0),
});

test("CompressAI's 64 scales have the hash of section 7", () => {
  assert.is(xxh32(new Uint8Array(compressaiScales.buffer)), 0xf825926d);
});

test("small packets, byte by byte", () => {
  const is = (bytes: Uint8Array, hex: string) => assert.is(Buffer.from(bytes).toString("hex"), hex.replaceAll(" ", ""));
  const plain = { check: 0, fingerprint: false } as const;
  const none: ReferencePart[] = [];
  // Prefix, control byte, n.
  is(encodePacket(none, plain), "6c704100 00");
  // Control byte, sections byte, number of parts, n.
  is(encodePacket(none, { form: "compact", check: 0 }), "0410 0000");
  // A shape of two dimensions, the first of which is 1: only the 3 is written. Its 3 escapes of raw 0 follow, and their size before them.
  is(encodePacket([tiny([1, 3])], plain), "6c741108 03 03 000000");
  is(encodePacket([tiny([3, 1])], plain), "6c701108 0301 03 000000");
  assert.is(Buffer.from(encodePacket([tiny([1, 3])])).toString("latin1", 0, 2), "lw");
  // Seven parts: their number is a varint.
  is(encodePacket(new Array(7).fill(tiny([0])), plain), "6c707900 0700");
  is(encodePacket(new Array(6).fill(tiny([0])), plain), "6c707100 00");
  // CompressAI's empty message: alone, then behind prefix, control byte and shape.
  const compressai = { ...plain, stream: "compressai" } as const;
  is(encodePacket([tiny([0])], { ...compressai, form: "string" }), "0000008000000000");
  is(encodePacket([tiny([0])], { ...compressai, form: "compact" }), "10 0000008000000000");
  // A sequence alone: its reader learns its length.
  is(encodePacket([tiny([0])], { ...plain, form: "compact", sequence: true }), "04 10 01 00");
  is(encodePacket([tiny([0])], compressai), "6c700910 00 0000008000000000");
});

test("fingerprints tell apart what a reader must know", () => {
  const rng = random(1);
  const own = tableFromJson(table(rng, 6, true));
  const scaleTable = Float32Array.of(0.5, 1, 2, 3, 4, 5);
  const floats = new Float32Array(2);
  const gaussian = { kind: "gaussian", components: 1, support: [-3, 4], weights: undefined, means: floats } as const;
  const priors: PartPrior[] = [
    { kind: "channels", table: own, axis: 1 },
    { kind: "channels", table: own, axis: 2 },
    { kind: "channels", table: own, axis: 1, step: 2 },
    { kind: "channels", table: own, axis: 1, centre: "none" },
    { kind: "channels", table: tableFromJson(table(rng, 6)), axis: 1 },
    { kind: "rows", table: own, index: [0] },
    { kind: "rows", table: own, index: [0], centre: "medians" },
    { kind: "rows", table: own, index: [0], centre: "means" },
    { kind: "scales", table: own, scales: floats, scaleTable },
    { kind: "scales", table: own, scales: floats, scaleTable: scaleTable.map((s) => s * 2) },
    { kind: "mixture", mixture: { ...gaussian, scales: floats } },
    { kind: "mixture", mixture: { ...gaussian, scales: floats, kind: "laplace" } },
    { kind: "mixture", mixture: { ...gaussian, scales: floats, components: 2 } },
    { kind: "mixture", mixture: { ...gaussian, scales: floats, support: [-4, 4] } },
    { kind: "mixture", mixture: { ...gaussian, scales: floats, support: [-3, 5] } },
  ];
  assert.is(new Set(priors.map(partFingerprint)).size, priors.length);
  const explicit: PartPrior = { kind: "channels", table: own, axis: 1, step: 1, centre: "medians" };
  assert.is(partFingerprint(explicit), partFingerprint(priors[0]));
  // By hand: T = 0, the support's 16-bit halves, K = 1, bits of 1.0, a = 3.
  const byHand = 0x0004fffd ^ Math.imul(4, 0x85ebca77) ^ Math.imul(0x3f800000 ^ Math.imul(3, 0x85ebca77), 0x9e3779b1);
  assert.is(partFingerprint(priors[10]), byHand >>> 0);
});

test("small packets of one part and of several, in every form", () => {
  const rng = random(2);
  for (let round = 0; round < 150; round++) {
    const parts = Array.from({ length: [1, 1, 0, 2, 3, 9][rng(6)] }, () => anyPart(rng));
    for (const options of everyForm)
      roundTrip(parts, { ...options, indexChecks: rng(2) === 0 }, `round ${round} ${JSON.stringify(options)}`);
  }
});

test("packets with lanes: runs long and short, body and tail in different parts", () => {
  const rng = random(3);
  const long = channels(rng, [2, 3, 9, 90], 1, 0);
  const short = channels(rng, [1, 40, 5, 5], 1, 0.1);
  const messages = [
    [long],
    [short],
    [channels(rng, [1500, 2], 0, 0)],
    [rows(rng, [4000])],
    [scales(rng, [2, 8, 150])],
    [mixture(rng, [1, 1500])],
    [short, long, rows(rng, [33]), scales(rng, [900]), tiny([4]), mixture(rng, [700]), rows(rng, [20])],
  ];
  for (const [m, parts] of messages.entries()) {
    for (const lanes of laneCounts) {
      const options = { form: lanes === 8 ? "compact" : "full", lanes, indexChecks: true } as const;
      const packet = roundTrip(parts, options, `message ${m}, ${lanes} lanes`);
      const header = parsePacket(packet, options);
      if (parts.includes(long)) assert.is(header.lanes, lanes, "the lanes asked for");
      assert.is(header.tailCode === 0, header.lanes === 1);
    }
  }
  assert.is(parsePacket(encodePacket([rows(rng, [20])], { lanes: 32 })).lanes, 1, "too short for lanes");
});

test("lanes restart at each run of at least two symbols a lane", () => {
  const one = { rows: [{ offset: 0, cdf: [0, 9, 30000, 60000, 65536] }], medians: undefined };
  const symbols = Array.from({ length: 4000 }, (_, i) => [1, 2, 1, 0, 2, 2][(i * i) % 6]);
  const two = { ...one, rows: [one.rows[0], one.rows[0]] };
  const code = (run: number, lanes: LaneCount) => {
    const dims = [symbols.length / run / 2, 2, run];
    const byChannel = { prior: { kind: "channels", table: two, axis: 1 } as const, dims, symbols };
    const each = {
      prior: { kind: "rows", table: two, index: symbols.map((_, i) => Math.floor(i / run) % 2) } as const,
      dims,
      symbols,
    };
    const streamOf = (part: ReferencePart) => parsePacket(encodePacket([part], { lanes })).stream;
    return Buffer.compare(streamOf(byChannel), streamOf(each)) === 0;
  };
  // Where the lane count divides the run a restart changes nothing.
  assert.equal(
    [code(25, 8), code(10, 8), code(50, 16), code(25, 16), code(125, 32), code(50, 32), code(80, 8)],
    [false, true, false, true, false, true, true],
  );
});

test("corrections: a reader whose parameters are a little off takes the same rows", () => {
  const rng = random(4);
  const off = (values: Float32Array, by: number) => values.map((v) => v * (1 + (2 * rng.unit() - 1) * by));
  const gaussian = [scales(rng, [3, 500]), channels(rng, [1, 3, 4]), scales(rng, [800])];
  const mixed = [mixture(rng, [400]), rows(rng, [7]), mixture(rng, [300])];
  for (const parts of [gaussian, mixed, [gaussian[0]], [mixed[0]]]) {
    assert.ok(parts[0].corrections!.length > 0, "something is corrected");
    const nearby = parts.map(({ prior }): PartPrior => {
      if (prior.kind === "scales") return { ...prior, scales: off(prior.scales, 0.0019) };
      if (prior.kind !== "mixture") return prior;
      const { weights, means, scales } = prior.mixture;
      const moved = {
        weights: weights && off(weights, 0.00009),
        means: off(means, 0.00009),
        scales: off(scales, 0.00009),
      };
      return { ...prior, mixture: { ...prior.mixture, ...moved } };
    });
    for (const form of ["full", "compact"] as const) {
      const options = { form, indexChecks: true, dims: dimsOf(parts) };
      same(decodePacket(encodePacket(parts, options), nearby, options).symbols, parts, form);
      const unguarded = parts.map(({ prior, dims, symbols }) => ({ prior, dims, symbols }));
      throwsCode(() => decodePacket(encodePacket(unguarded, options), nearby, options), "MODEL_MISMATCH");
    }
  }
});

test("corrections of parameters that have none are refused", () => {
  const rng = random(5);
  const part = (own: ReferencePart, corrections: number[]) => ({ ...own, corrections });
  const oneRow: ReferencePart = {
    prior: {
      kind: "scales",
      table: { rows: [{ offset: 0, cdf: [0, 9, 65536] }], medians: undefined },
      scaleTable: Float32Array.of(1),
      scales: Float32Array.of(1),
    },
    dims: [1],
    symbols: [0],
  };
  const bare = mixture(rng, [2]);
  const unweighted = { ...(bare.prior as { mixture: Mixture }).mixture, weights: undefined };
  for (const own of [rows(rng, [3]), channels(rng, [3]), oneRow])
    throwsCode(() => encodePacket([part(own, [0])], {}), "CORRUPTED");
  const free = { ...bare, prior: { kind: "mixture", mixture: unweighted } as const };
  throwsCode(() => encodePacket([part(free, [3])], {}), "CORRUPTED");
  // Behind the last parameter, of one part or of several.
  const one = scales(rng, [5]);
  for (const parts of [[one], [tiny([2]), one]]) {
    const last = [...parts.slice(0, -1), part(one, [0, 5])];
    throwsCode(() => decodePacket(encodePacket(last, {}), priorsOf(parts)), "CORRUPTED");
  }
});

test("another prior: WRONG_PRIOR, or CORRUPTED in compact form", () => {
  const rng = random(6);
  for (let round = 0; round < 40; round++) {
    const parts = Array.from({ length: 1 + (round % 3) }, () => rows(rng, [4, 1 + rng(4)]));
    const own = parts[parts.length - 1].prior as PartPrior & { kind: "rows" };
    const other = [...priorsOf(parts.slice(0, -1)), { ...own, step: 7 }];
    const dims = dimsOf(parts);
    throwsCode(() => decodePacket(encodePacket(parts, {}), other), "WRONG_PRIOR");
    const decodeAs = (options: PacketOptions, priors: readonly PartPrior[], shapes: number[][]) =>
      decodePacket(encodePacket(parts, options), priors, { ...options, dims: shapes });
    for (const check of [4, 2] as const)
      throwsCode(() => decodeAs({ form: "compact", check }, other, dims), "CORRUPTED");
    decodeAs({ fingerprint: false }, other, dims);
    decodeAs({ form: "compact", check: 0 }, other, dims);
    // Another table may fail earlier, where there are several parts.
    const foreign = [
      ...priorsOf(parts.slice(0, -1)),
      { ...own, table: tableFromJson(table(rng, own.table.rows.length)) },
    ];
    const codes = parts.length === 1 ? "WRONG_PRIOR" : ["WRONG_PRIOR", "CORRUPTED", "TRUNCATED"];
    throwsCode(() => decodePacket(encodePacket(parts, {}), foreign), codes);
  }
  // One part of another shape: only the compact form's check knows.
  const part = rows(rng, [4, 6]);
  const packet = encodePacket([part], { form: "compact" });
  const flat = { form: "compact", dims: [[24]] } as const;
  throwsCode(() => decodePacket(packet, [part.prior], flat), "CORRUPTED");
});

test("parts that are more, fewer, larger or of another shape", () => {
  const rng = random(17);
  const parts = [channels(rng, [2, 3, 4], 1), rows(rng, [8]), channels(rng, [5], 0)];
  const [first, second, third] = priorsOf(parts);
  const packet = encodePacket(parts, {});
  const mismatch = (priors: PartPrior[], dims?: number[][]) =>
    throwsCode(() => decodePacket(packet, priors, { dims }), "SHAPE_MISMATCH");
  mismatch([first]);
  mismatch([first, second]);
  mismatch([first, second, third, second]);
  mismatch([first, second, second]);
  mismatch([first, first, third]);
  mismatch([first, rows(rng, [9]).prior, third]);
  mismatch([first, second, third], [[2, 3, 4], [8], [6]]);
  mismatch([first, second, third], [[2, 3, 4], [2, 5], [5]]);
  mismatch([first, second, third], [[2, 3, 4], [8]]);
  decodePacket(packet, [first, second, third], { dims: [[2, 3, 4], [2, 4], [5]] });
  const one = encodePacket(parts.slice(0, 1), {});
  throwsCode(() => decodePacket(one, [first, second]), "SHAPE_MISMATCH");
  throwsCode(() => decodePacket(one, [first], { dims: [[6, 4]] }), "SHAPE_MISMATCH");
});

test("every cut and every changed byte of a packet with a check", () => {
  const rng = random(8);
  for (const parts of [[channels(rng, [1, 6, 8], 1)], [scales(rng, [60])], [rows(rng, [9]), scales(rng, [50])], []]) {
    for (const form of ["full", "compact"] as const) {
      const options = { form, indexChecks: true, dims: dimsOf(parts) };
      const packet = encodePacket(parts, options);
      const decode = (bytes: Uint8Array) => decodePacket(bytes, priorsOf(parts), options);
      const full = form === "full";
      const damage = ["CORRUPTED", "TRUNCATED"];
      const any = full ? damage : [...damage, "UNSUPPORTED_VERSION", "SHAPE_MISMATCH", "MODEL_MISMATCH"];
      for (let length = 0; length < packet.length; length++) throwsCode(() => decode(packet.slice(0, length)), any);
      const special = [
        ["NOT_A_PACKET"],
        // Without its bit the check is part of the stream.
        ["NOT_A_PACKET", ...damage, "WRONG_PRIOR", "SHAPE_MISMATCH"],
        ["UNSUPPORTED_VERSION", "CORRUPTED"],
      ];
      for (let at = 0; at < packet.length; at++) {
        const changed = Object.assign(packet.slice(), { [at]: packet[at] ^ (1 << rng(8)) });
        throwsCode(() => decode(changed), full ? (special[at] ?? ["CORRUPTED"]) : any);
      }
    }
  }
});

test("damage without a check is refused or gives symbols, and nothing else", () => {
  const rng = random(9);
  for (let round = 0; round < 600; round++) {
    const parts = Array.from({ length: 1 + (round % 3) }, () => anyPart(rng));
    const options = { form: (["full", "compact"] as const)[rng(2)], check: 0, indexChecks: rng(2) === 0 } as const;
    const packet = encodePacket(parts, { ...options, fingerprint: rng(2) === 0 });
    for (let change = rng(3); change >= 0; change--) packet[rng(packet.length)] = rng(256);
    // A large part whose symbols cost nothing is legal, but takes long.
    try {
      if ((parsePacket(packet, options).n ?? 0) > 1e5) continue;
      decodePacket(packet, priorsOf(parts), { ...options, dims: options.form === "full" ? undefined : dimsOf(parts) });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
});

test("headers that break a rule", () => {
  const refuse = (options: PacketOptions, code: string, packets: string) => {
    for (const packet of packets.trim().split(/\s+/))
      throwsCode(() => parsePacket(Buffer.from(packet, "hex"), options), code);
  };
  refuse(
    {},
    "TRUNCATED",
    "6c7041 6c714100000000 6c700900 6c72090002 6c70d100001102 6c7051040202000000 6c70090408020900 6c7009040402",
  );
  refuse({}, "NOT_A_PACKET", "4c70410000 6c50410000");
  refuse({}, "UNSUPPORTED_VERSION", "6c70420000 6c71400000 6c7009042002");
  refuse(
    {},
    "CORRUPTED",
    `6c71410000000000 6c74410000 6c70490000 6c70010000 6c70890000 6c70090001 6c7079000600
    6c701100808004808002 6c7009008000 6c7009008080808008 6c70092002 6c70090102 6c70091802 6c70511002
    6c7009040002 6c7051041002 6c70d1000000 6c70d100002102 6c70d100000101 6c700904010200 6c70090401020200
    6c700904080200 6c700904080208 6c700904040200 6c700904040202 6c7051040402040000`,
  );
  refuse({ form: "compact", check: 0 }, "CORRUPTED", "14100200");
  throwsCode(() => parsePacket(new Uint8Array(0), { form: "compact", check: 0 }), "TRUNCATED");
  assert.equal(parsePacket(Uint8Array.of(0x6c, 0x70, 0x51, 4, 4, 2, 3)).statics, [0, 1]);
  const { dims, corrections } = parsePacket(Uint8Array.of(0x6c, 0x74, 0x11, 4, 1, 0x80, 1, 3, 5, 0, 1));
  assert.equal({ dims, corrections }, { dims: [1, 128], corrections: [5, 6, 8] });
});

test("file hashes are skipped, and frames hold packets", () => {
  const rng = random(10);
  const files = [0, 2].map((file) => ({ file, hash: Uint8Array.from({ length: 8 }, () => rng(256)) }));
  const part = rows(rng, [200]);
  for (const options of everyForm) {
    const packet = roundTrip([part], { ...options, files, indexChecks: true }, "files");
    assert.equal(parsePacket(packet, options).files, files);
  }
  const packets = [encodePacket([part]), encodePacket([part], { form: "compact" }), encodePacket([])];
  const frames = writeFrames(packets);
  assert.equal(readFrames(frames), packets);
  throwsCode(() => readFrames(frames.slice(0, -1)), "TRUNCATED");
});

test("CompressAI's stream in every form, alone where there is no check", () => {
  const rng = random(11);
  const part = channels(rng, [1, 4, 30], 1);
  for (const options of everyForm) roundTrip([part], { ...options, stream: "compressai" }, JSON.stringify(options));
  const alone = encodePacket([part], { form: "string" });
  const { index } = rowsOfAxis(part.dims, 1);
  const prior = part.prior as PartPrior & { kind: "channels" };
  assert.equal(alone, encodeCompressai(part.symbols, { rows: prior.table.rows, index, run: 1 }));
  assert.throws(() => encodePacket([part, part], { stream: "compressai" }), RangeError);
});

test.run();

// Wasm memory and what is open in it: it grows with the largest call and is used again; no failed call, no forgotten reader or writer leaves
// anything behind; and what is open at the same time does not disturb each other.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Codec, PartReader } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, isFull, watched } from "./builds.js";
import {
  anySample,
  featureMap,
  gaussianSample,
  hyperprior,
  indexedSample,
  makeTable,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { readPart, readParts, writeParts } from "./io.js";
import { xxh32 } from "./reference/hash.js";

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

const roundTrip = ({ latent, symbols, prior }: Sample, codec: Codec) => {
  const own = prior(codec);
  for (const stream of ["native", "compressai"] as const)
    sameNumbers(codec.decode(codec.encode(latent, own, { stream }), own, { type: "int32" }).data, symbols);
};

/** A test with a codec of its own, whose memory can be seen. */
const alone = (what: string, run: (codec: Codec, bytes: () => number) => void | Promise<void>) =>
  both(what, (_, name) => {
    const { codec, bytes } = watched(name);
    return run(codec, bytes);
  });

// ---- one call after the other

alone("memory grows for a large tensor, with small ones before and after", (codec, bytes) => {
  const small = featureMap(1, 8, 8);
  roundTrip(small, codec);
  const before = bytes();
  const rng = random(2);
  const table = makeTable(rng, { rows: 3, entries: 16, flavour: "peaked" });
  roundTrip(indexedSample(rng, table, [2_000_000], { escapeRate: 0.0001 }), codec);
  assert.ok(bytes() > before, "2 million symbols fit where nothing grew");
  assert.ok(bytes() < 120e6, `${bytes()} bytes for 2 million symbols`);
  for (const next of [small, featureMap(3, 48, 28)]) roundTrip(next, codec);
});

alone("bytes that are no table leave no memory behind", (codec, bytes) => {
  const before = bytes();
  throwsCode(() => codec.table(new Uint8Array(30_000_000)), "INVALID_TABLE");
  assert.ok(bytes() <= before + 2 ** 20, `${bytes()} bytes`);
});

// ---- packets that are refused before they are copied, and memory that is given back

alone("a large packet is judged before memory grows for it", (codec, bytes) => {
  const sample = featureMap(6, 12, 16);
  const prior = sample.prior(codec);
  const packet = codec.encode(sample.latent, prior);
  codec.decode(packet, prior);
  const before = bytes();
  const { dims } = sample;
  const garbage = new Uint8Array(64e6).fill(0x5a);
  throwsCode(() => codec.decode(garbage, prior), "NOT_A_PACKET");
  // The head of a packet: its check is wrong. Without check, and with a valid one: too many bytes for so few symbols.
  garbage.set(packet.subarray(0, 64));
  const forged = (): void => {
    throwsCode(() => codec.decode(garbage, prior), "CORRUPTED");
    throwsCode(() => codec.reader(garbage), "CORRUPTED");
  };
  forged();
  assert.is(codec.inspect(garbage).checksum, "invalid");
  new DataView(garbage.buffer).setUint32(garbage.length - 4, xxh32(garbage.subarray(0, -4)), true);
  assert.is(codec.inspect(garbage).checksum, "valid");
  forged();
  garbage[1] &= ~1;
  forged();
  assert.is(codec.inspect(garbage).checksum, "absent");
  for (const options of [{ header: "compact" }, { header: "none", stream: "compressai" }] as const)
    throwsCode(() => codec.decode(garbage, prior, { ...options, dims }), "CORRUPTED");
  // Here nobody says how many symbols there are.
  throwsCode(() => codec.reader(garbage, { header: "compact", maxElements: 1e6 }), "CORRUPTED");
  throwsCode(() => codec.reader([garbage], { maxElements: 1e6 }).read(prior, { dims }), "CORRUPTED");
  throwsCode(() => codec.decode(packet, prior, { maxElements: 3 }), "LIMIT_EXCEEDED");
  assert.ok(bytes() <= before, `${bytes()} bytes, ${before} before`);
  sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, sample.symbols);
});

alone("the check of a packet that is judged in pieces is right at every length", (codec, bytes) => {
  const sample = featureMap(6, 12, 16);
  const prior = sample.prior(codec);
  const packet = codec.encode(sample.latent, prior);
  codec.decode(packet, prior);
  codec.trim();
  const before = bytes();
  // Around a multiple of a piece's 65,472 bytes.
  for (const beyond of [-1, 0, 1, 3, 4, 5, 15, 16, 17, 19, 20]) {
    const long = new Uint8Array(46 * 65472 + beyond).fill(7);
    long.set(packet.subarray(0, 64));
    throwsCode(() => codec.decode(long, prior), "CORRUPTED", /wrong checksum/);
    new DataView(long.buffer).setUint32(long.length - 4, xxh32(long.subarray(0, -4)), true);
    throwsCode(() => codec.decode(long, prior), "CORRUPTED", /the number of symbols contradicts/);
    assert.is(bytes(), before);
  }
});

alone("trim gives back what a large call took, and all that is open goes on", (codec, bytes) => {
  const parts = listOf(500, 6);
  const packet = writeParts(codec, parts);
  const [reader, writer] = [codec.reader(packet), codec.writer()];
  const sequences = [codec.writer(), codec.writer()].map((host) => ({ host, sequence: host.sequence() }));
  const piece = (value: number) => new Float32Array(9).fill(value);
  const next = () => {
    const out = piece(0);
    for (const { sequence } of sequences) sequence.next(piece(3), piece(2), undefined, out);
    assert.equal(out, piece(3));
  };
  const small = bytes();
  for (const [i, part] of parts.entries()) {
    readPart(reader, codec, part, i % 2 === 0);
    writer.write(part.latent, part.prior(codec));
    next();
    roundTrip(featureMap(i, 96, 64), codec);
    codec.trim();
    assert.ok(bytes() < small + 3e6, `${bytes()} bytes`);
  }
  reader.finish();
  sameNumbers(writer.finish(), packet);
  const [first, second] = sequences.map(({ host }) => host.finish());
  sameNumbers(first, second);
  readParts(codec, packet, parts);
});

alone("a part, a packet and a reader that are closed are given back, in any order", (codec, bytes) => {
  const { latent, prior, dims } = featureMap(4, 96, 64);
  const own = prior(codec);
  const packet = codec.encode(latent, own);
  codec.decode(packet, own);
  codec.trim();
  const small = bytes();
  for (const order of [
    [0, 1, 2, 3],
    [3, 1, 0, 2],
    [2, 3, 1, 0],
  ]) {
    const open = [codec.reader(packet), codec.writer(), codec.reader(packet), codec.writer()];
    for (const one of open) {
      if ("write" in one) one.write(latent, own);
      else one.read(own, { dims });
    }
    for (const i of order) open[i].close();
    codec.trim();
    assert.is(bytes(), small);
  }
  // Freed blocks below something that is open are used again.
  const open = Array.from({ length: 20 }, () => codec.reader(packet));
  for (const one of open.slice(0, -1)) one.close();
  codec.trim();
  const held = bytes();
  for (let i = 0; i < 19; i++) open[i] = codec.reader(packet);
  for (const one of open) one.close();
  codec.trim();
  assert.ok(bytes() <= held, `${bytes()} bytes, ${held} before`);
  assert.equal(codec.encode(latent, own), packet);
});

alone("many calls do not grow memory", (codec, bytes) => {
  const samples = [featureMap(1), hyperprior(2, 30000), featureMap(3, 48, 28, 0.2)];
  const priors = samples.map((sample) => sample.prior(codec));
  const y = samples.map(({ dims, symbols }) => ({ type: "float32", dims, data: Float32Array.from(symbols) }));
  const all = () => {
    samples.forEach((sample, i) => {
      for (const options of [{ lanes: 1 }, { lanes: 32 }, { stream: "compressai" }] as const)
        codec.decode(codec.encode(sample.latent, priors[i], options), priors[i]);
      // The third has escapes that float32 cannot hold as symbols.
      if (i < 2) codec.quantize(y[i], priors[i], { type: "int32" });
      // Made anew each time: the same table must not be loaded anew.
      sample.prior(codec);
    });
    codec.quantizedCdf(new Float32Array(500).fill(0.002));
  };
  // Once to load the tables, and once to compare their bytes behind them.
  all();
  all();
  const settled = bytes();
  for (let round = 0; round < 30; round++) all();
  assert.is(bytes(), settled);
});

alone("the same table is loaded once, and many tables live side by side", (codec, bytes) => {
  const json = makeTable(random(5), { rows: 20, entries: 2000, flavour: "random" });
  const table = codec.table(json);
  // Loading again needs scratch for the bytes, once.
  codec.table(table.bytes());
  const settled = bytes();
  for (let i = 0; i < 200; i++) assert.is(codec.table(i % 2 ? json : table.bytes()).fingerprint, table.fingerprint);
  assert.is(bytes(), settled);
  const samples = Array.from({ length: 60 }, (_, i) => featureMap(100 + i, 3 + (i % 9), 6));
  const priors = samples.map((sample) => sample.prior(codec));
  const packets = samples.map((sample, i) => codec.encode(sample.latent, priors[i]));
  for (const [i, { symbols }] of samples.entries())
    sameNumbers(codec.decode(packets[i], priors[i], { type: "int32" }).data, symbols);
});

alone("refused tables and packets leave nothing behind", (codec, bytes) => {
  const sample = featureMap(6, 12, 16);
  const prior = sample.prior(codec);
  const good = codec.encode(sample.latent, prior, { checksum: false });
  const expected = codec.decode(good, prior, { type: "int32" }).data;
  const broken = makeTable(random(7), { rows: 20, entries: 2000, flavour: "random" });
  const cdfs = broken.cdfs.map((cdf) => [...cdf]);
  cdfs[19][1] = 0;
  const data = new Float32Array(sample.symbols.length).fill(Number.NaN);
  const failures = () => {
    throwsCode(() => codec.table({ ...broken, cdfs }), "INVALID_TABLE");
    for (let at = 12; at < good.length; at += 7)
      throwsCode(() => codec.decode(good.slice(0, at), prior), ["TRUNCATED", "CORRUPTED"]);
    throwsCode(() => codec.quantizedCdf(new Float32Array(1000)), "INVALID_PMF");
    throwsCode(() => codec.encode({ type: "float32", dims: sample.dims, data }, prior), "NON_FINITE");
    sameNumbers(codec.decode(good, prior, { type: "int32" }).data, expected);
    sameNumbers(codec.encode(sample.latent, prior, { checksum: false }), good);
  };
  failures();
  const settled = bytes();
  for (let round = 0; round < 20; round++) failures();
  assert.is(bytes(), settled);
});

alone("a result is the caller's: later calls do not change it", (codec) => {
  const sample = featureMap(8);
  const prior = sample.prior(codec);
  const packet = codec.encode(sample.latent, prior);
  const { data } = codec.decode(packet, prior, { type: "int32" });
  const copies = [packet.slice(), data.slice()];
  roundTrip(hyperprior(9, 200_000), codec);
  assert.equal([packet, data], copies);
  assert.is(packet.buffer.byteLength, packet.length, "no view of a larger buffer");
});

both("two codecs do not know of each other", (_, name) => {
  const [first, second] = [watched(name), watched(name)];
  roundTrip(featureMap(10, 20, 12), first.codec);
  const size = first.bytes();
  for (let i = 0; i < 5; i++) {
    roundTrip(featureMap(10, 20, 12), first.codec);
    roundTrip(featureMap(11, 20, 12), second.codec);
    roundTrip(hyperprior(12, 100_000), second.codec);
  }
  assert.ok(second.bytes() > first.bytes());
  assert.ok(first.bytes() - size < 1e6, "the large calls of the one are not in the memory of the other");
});

// ---- several readers and writers at once

function listOf(seed: number, count: number): Sample[] {
  const rng = random(seed);
  return Array.from({ length: count }, () => anySample(rng, rng(800), 0.002));
}

const plain = featureMap(3, 12, 14, 0.001);
function plainCalls(codec: Codec): void {
  const prior = plain.prior(codec);
  const packet = codec.encode(plain.latent, prior, { lanes: 16 });
  sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, plain.symbols);
}

both("five readers, their reads in any order, other calls between", (codec) => {
  const rng = random(50);
  const sessions = ([1, 8, 16, 32, "auto"] as const).map((lanes, i) => {
    const parts = listOf(100 + i, 8);
    const reader: PartReader = codec.reader(writeParts(codec, parts, { lanes }));
    return { parts, reader, next: 0 };
  });
  for (let open = sessions.slice(); open.length > 0; ) {
    const session = open[rng(open.length)];
    readPart(session.reader, codec, session.parts[session.next++], rng(2) === 0);
    const choice = rng(6);
    if (choice === 0) plainCalls(codec);
    if (choice === 1) codec.table(makeTable(rng, { rows: 30, entries: 500, flavour: "random" }));
    if (choice === 2) writeParts(codec, listOf(rng(1000), 3));
    if (session.next < session.parts.length) continue;
    session.reader.finish();
    open = open.filter((other) => other !== session);
  }
});

both("writers side by side, among readers and other calls", (codec) => {
  const rng = random(51);
  const lists = [1, 2, 3, 4].map((i) => listOf(200 + i, 7));
  const expected = lists.map((parts) => writeParts(codec, parts));
  const writers = lists.map(() => codec.writer());
  const reader = codec.reader(expected[0]);
  for (let i = 0; i < 7; i++) {
    for (const [w, writer] of writers.entries()) {
      const { latent, prior, values } = lists[w][i];
      sameNumbers(writer.write(latent, prior(codec), { dequantize: true }).data, values);
      if (rng(3) === 0) plainCalls(codec);
    }
    readPart(reader, codec, lists[0][i], true);
  }
  reader.finish();
  // Finished in another order than begun.
  for (const w of [2, 0, 3, 1]) sameNumbers(writers[w].finish(), expected[w]);
  for (const [w, parts] of lists.entries()) readParts(codec, expected[w], parts);
});

both("the same packet by two readers, one of which fails", (codec) => {
  const parts = listOf(300, 6);
  const packet = writeParts(codec, parts);
  const [first, second] = [codec.reader(packet), codec.reader(packet)];
  const wrong = codec.gaussian(new Float32Array(1e6).fill(1));
  for (const [i, part] of parts.entries()) {
    if (i === 3) throwsCode(() => second.read(wrong), "SHAPE_MISMATCH");
    else if (i < 3) readPart(second, codec, part, false);
    readPart(first, codec, part, true);
  }
  first.finish();
  readParts(codec, packet, parts);
});

both("packets and latents may be changed once they are read and written", (codec) => {
  const parts = listOf(310, 5);
  const packet = writeParts(codec, parts);
  const own = packet.slice();
  const reader = codec.reader(own);
  own.fill(0);
  for (const part of parts) readPart(reader, codec, part, false);
  reader.finish();
  const writer = codec.writer();
  for (const { latent, prior } of parts) {
    const data = latent.data.slice();
    writer.write({ ...latent, data }, prior(codec));
    data.fill(1);
  }
  sameNumbers(writer.finish(), packet);
});

// ---- readers and writers that are closed, or forgotten

const rng = random(60);
const table = makeTable(rng, { rows: 9, entries: 40, flavour: "random" });
const parts = [
  indexedSample(rng, table, [700], { escapeRate: 0.01 }),
  gaussianSample(rng, scaledTable(rng, 12), [900]),
  indexedSample(rng, table, [3]),
];
const step = new Float32Array(900).fill(1);

/** The parts with a prior that is made once: a table loaded ten thousand times is not what is measured here. */
const withPriors = (codec: Codec) =>
  parts.map((part) => {
    const prior = part.prior(codec);
    return { ...part, prior: () => prior };
  });

type Given = { codec: Codec; own: Sample[]; packet: Uint8Array };

/** What it does must leave the memory as large as the first hundred times left it. */
const settles = (what: string, full: number, act: (given: Given, round: number) => void) =>
  alone(`memory does not grow: ${what}`, (codec, bytes) => {
    const given = { codec, own: withPriors(codec), packet: writeParts(codec, parts, { lanes: 8 }) };
    for (let round = 0; round < 100; round++) act(given, round);
    const settled = bytes();
    for (let round = 0; round < (isFull ? full : full / 4); round++) act(given, round);
    assert.is(bytes(), settled);
    readParts(codec, given.packet, given.own);
  });

settles("readers opened and closed", 10_000, ({ codec, packet }, round) => {
  const reader = codec.reader(packet);
  reader.close();
  if (round % 3 === 0) reader.close();
});

settles("readers closed in the middle", 2000, ({ codec, own, packet }, round) => {
  const reader = codec.reader(packet);
  for (const part of own.slice(0, round % 4)) readPart(reader, codec, part, false);
  reader.close();
});

settles("several open at once, closed in another order", 1000, ({ codec, packet }, round) => {
  const readers = Array.from({ length: 5 }, () => codec.reader(packet));
  for (let i = 0; i < 5; i++) readers[(i * 3 + round) % 5].close();
});

settles("packets that are refused", 2000, ({ codec, packet }, round) => {
  const broken = packet.slice();
  broken[4 + (round % (packet.length - 4))] ^= 64;
  throwsCode(() => codec.reader(broken), ["CORRUPTED", "TRUNCATED"]);
});

settles("readers that fail", 1000, ({ codec, packet }) => {
  const reader = codec.reader(packet);
  throwsCode(() => reader.read(codec.gaussian(new Float32Array(100_000).fill(1))), "SHAPE_MISMATCH");
});

settles("writers closed in the middle, some with an open sequence", 2000, ({ codec, own }, round) => {
  const writer = codec.writer({ guard: round % 2 ? 1e-4 : 0 });
  for (const { latent, prior } of own.slice(0, round % 4)) writer.write(latent, prior(codec));
  if (round % 3 === 0) writer.sequence().next(step, step, undefined, step.slice());
  writer.close();
  if (round % 5 === 0) writer.close();
});

settles("sequences of readers, closed in the middle", 2000, ({ codec, own, packet }, round) => {
  const reader = codec.reader(packet);
  readPart(reader, codec, own[0], false);
  const sequence = reader.sequence();
  if (round % 3) sequence.next(step.subarray(0, 10), undefined, step.slice(0, 10));
  reader.close();
});

settles("packets of encode and of writers, and their decoding", 10_000, ({ codec, own, packet }, round) => {
  const { latent, prior, dims } = own[round % own.length];
  const options = ([{}, { header: "compact" }, { stream: "compressai" }] as const)[round % 3];
  const encoded = codec.encode(latent, prior(codec), { ...options, lanes: round % 4 === 0 ? 32 : "auto" });
  if (round % 7 === 0) codec.decode(encoded, prior(codec), { ...options, dims });
  if (round % 50 === 0) sameNumbers(writeParts(codec, own, { lanes: 8 }), packet);
});

settles("writers that refuse a part", 500, ({ codec, own, packet }) => {
  const writer = codec.writer({ lanes: 8 });
  const lone = { type: "float32", dims: [1], data: Float32Array.of(1) };
  for (const { latent, prior } of own) {
    throwsCode(() => writer.write(lone, prior(codec)), "SHAPE_MISMATCH");
    writer.write(latent, prior(codec));
  }
  sameNumbers(writer.finish(), packet);
});

/** What 300 of them keep is given back once they are collected. */
const collects = (what: string, blockBytes: number, use: (given: Given) => () => void) =>
  alone(
    `memory of what is dropped without a word is given back once it is collected: ${what}`,
    async (codec, bytes) => {
      const one = use({ codec, own: withPriors(codec), packet: writeParts(codec, parts, { lanes: 8 }) });
      const drop = async () => {
        for (let i = 0; i < 300; i++) one();
        // Collected objects are reported between two turns of the event loop.
        for (let turn = 0; turn < 3; turn++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      for (let round = 0; round < 5; round++) await drop();
      const settled = bytes();
      for (let round = 0; round < (isFull ? 20 : 5); round++) await drop();
      assert.ok(bytes() <= settled + 300 * blockBytes, `${bytes()} bytes in the end, ${settled} after 1,500`);
    },
  );

collects("writers", 16384, ({ codec, own: [, { latent, prior }] }) => () => {
  codec.writer({ guard: 1e-3 }).write(latent, prior(codec));
});
collects("readers", 2048, ({ codec, own: [{ dims, prior }], packet }) => () => {
  codec.reader(packet).read(prior(codec), { dims });
});
collects("sequences of writers", 32768, ({ codec }) => () => {
  codec.writer().sequence().next(step, step, undefined, step);
});
collects("sequences of readers", 32768, ({ codec }) => {
  const writer = codec.writer();
  writer.sequence().next(step, step, undefined, step);
  const packet = writer.finish();
  return () => codec.reader(packet).sequence().next(step, undefined, step);
});

test.run();

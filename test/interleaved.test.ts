// Readers and writers that are open at once, calls in between, readers and writers that are never finished: none disturbs another,
// and none leaves memory behind.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Codec, PartReader, Prior } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildNames, builds, watched } from "./builds.js";
import {
  anySample,
  featureMap,
  gaussianSample,
  indexedSample,
  makeTable,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { readPart, readParts, writeParts } from "./io.js";

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

function listOf(seed: number, count: number): Sample[] {
  const rng = random(seed);
  return Array.from({ length: count }, () => anySample(rng, rng(800), 0.002));
}

interface Session {
  readonly parts: Sample[];
  readonly reader: PartReader;
  next: number;
}

for (const { name, codec } of builds) {
  const plain = featureMap(3, 12, 14, 0.001);
  const prior = plain.prior(codec);
  const good = codec.encode(plain.latent, prior, { lanes: 16 });
  const plainCalls = () => {
    sameNumbers(codec.encode(plain.latent, prior, { lanes: 16 }), good);
    sameNumbers(codec.decode(good, prior, { type: "int32" }).data, plain.symbols);
  };

  test(`${name}: five readers, their reads in any order, other calls between`, () => {
    const rng = random(50);
    const lanes = [1, 8, 16, 32, "auto"] as const;
    const sessions: Session[] = lanes.map((count, i) => {
      const parts = listOf(100 + i, 8);
      return { parts, reader: codec.reader(writeParts(codec, parts, { lanes: count })), next: 0 };
    });
    for (let open = sessions.slice(); open.length > 0; ) {
      const session = open[rng(open.length)];
      readPart(session.reader, codec, session.parts[session.next++], rng(2) === 0);
      const choice = rng(6);
      if (choice === 0) plainCalls();
      if (choice === 1) codec.table(makeTable(rng, { rows: 30, entries: 500, flavour: "random" }));
      if (choice === 2) writeParts(codec, listOf(rng(1000), 3));
      if (session.next < session.parts.length) continue;
      session.reader.finish();
      open = open.filter((other) => other !== session);
    }
  });

  test(`${name}: writers side by side, among readers and other calls`, () => {
    const rng = random(51);
    const lists = [1, 2, 3, 4].map((i) => listOf(200 + i, 7));
    const alone = lists.map((parts) => writeParts(codec, parts));
    const writers = lists.map(() => codec.writer());
    const reader = codec.reader(alone[0]);
    for (let i = 0; i < 7; i++) {
      writers.forEach((writer, w) => {
        const { latent, prior, values } = lists[w][i];
        sameNumbers(writer.write(latent, prior(codec), { dequantize: true }).data, values);
        if (rng(3) === 0) plainCalls();
      });
      readPart(reader, codec, lists[0][i], true);
    }
    reader.finish();
    // Finished in another order than begun.
    for (const w of [2, 0, 3, 1]) sameNumbers(writers[w].finish(), alone[w]);
    lists.forEach((parts, w) => {
      readParts(codec, alone[w], parts);
    });
  });

  test(`${name}: the same packet by two readers, one of which fails`, () => {
    const parts = listOf(300, 6);
    const packet = writeParts(codec, parts);
    const [first, second] = [codec.reader(packet), codec.reader(packet)];
    const wrong = codec.gaussian(new Float32Array(1e6).fill(1));
    parts.forEach((part, i) => {
      if (i === 3) throwsCode(() => second.read(wrong), "SHAPE_MISMATCH");
      else if (i < 3) readPart(second, codec, part, false);
      readPart(first, codec, part, true);
    });
    first.finish();
    readParts(codec, packet, parts);
  });

  test(`${name}: the packet may be changed or reused once the reader is open`, () => {
    const parts = listOf(310, 5);
    const packet = writeParts(codec, parts);
    const own = packet.slice();
    const reader = codec.reader(own);
    own.fill(0);
    for (const part of parts) readPart(reader, codec, part, false);
    reader.finish();
  });

  test(`${name}: latents may be changed once they are written`, () => {
    const parts = listOf(320, 5);
    const expected = writeParts(codec, parts);
    const writer = codec.writer();
    for (const part of parts) {
      const { data } = part.latent as { data: Float32Array | Int32Array };
      const own = data.slice();
      writer.write({ ...part.latent, data: own }, part.prior(codec));
      own.fill(1);
    }
    sameNumbers(writer.finish(), expected);
  });
}

for (const name of buildNames) {
  const rng = random(60);
  const table = makeTable(rng, { rows: 9, entries: 40, flavour: "random" });
  const parts = [
    indexedSample(rng, table, [700], { escapeRate: 0.01 }),
    gaussianSample(rng, scaledTable(rng, 12), [900]),
    indexedSample(rng, table, [3]),
  ];

  /** What it does must leave the memory as large as the first hundred times left it. */
  const settles = (what: string, rounds: number, act: (codec: Codec, packet: Uint8Array, round: number) => void) =>
    test(`${name}: memory does not grow: ${what}`, () => {
      const { codec, bytes } = watched(name);
      const packet = writeParts(codec, parts, { lanes: 8 });
      const own = parts.map((part) => ({ ...part, prior: once(part, codec) }));
      for (let round = 0; round < 100; round++) act(codec, packet, round);
      const settled = bytes();
      for (let round = 0; round < rounds; round++) act(codec, packet, round);
      assert.is(bytes(), settled);
      readParts(codec, packet, own);
    });

  /** A table loaded ten thousand times is not what is measured here. */
  const once = (part: Sample, codec: Codec) => {
    const prior = part.prior(codec);
    return () => prior;
  };

  const known = new WeakMap<Codec, Map<Sample, Prior>>();
  const priorOf = (codec: Codec, part: Sample): Prior => {
    const priors = known.get(codec) ?? new Map<Sample, Prior>();
    known.set(codec, priors);
    const prior = priors.get(part) ?? part.prior(codec);
    priors.set(part, prior);
    return prior;
  };

  const step = new Float32Array(900).fill(1);

  settles("10,000 readers opened and closed", 10_000, (codec, packet, round) => {
    const reader = codec.reader(packet);
    reader.close();
    if (round % 3 === 0) reader.close();
  });

  settles("readers closed in the middle", 2000, (codec, packet, round) => {
    const reader = codec.reader(packet);
    for (let i = 0; i < round % 4 && i < parts.length; i++) readPart(reader, codec, parts[i], false);
    reader.close();
  });

  /** What 300 of them keep is given back once they are collected. */
  const collects = (what: string, blockBytes: number, use: (codec: Codec) => () => void) =>
    test(`${name}: memory of what is dropped without a word is given back once it is collected: ${what}`, async () => {
      const { codec, bytes } = watched(name);
      const one = use(codec);
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
      for (let round = 0; round < 20; round++) await drop();
      assert.ok(bytes() <= settled + 300 * blockBytes, `${bytes()} bytes after 6,000, ${settled} after 1,500`);
    });

  collects("writers", 16384, (codec) => {
    const prior = parts[1].prior(codec);
    return () => codec.writer({ guard: 1e-3 }).write(parts[1].latent, prior);
  });

  collects("readers", 2048, (codec) => {
    const packet = writeParts(codec, parts, { lanes: 8 });
    const prior = parts[0].prior(codec);
    return () => codec.reader(packet).read(prior, { dims: parts[0].dims });
  });

  collects("sequences of writers", 32768, (codec) => () => {
    codec.writer().sequence().next(step, step, undefined, step);
  });

  collects("sequences of readers", 32768, (codec) => {
    const writer = codec.writer();
    writer.sequence().next(step, step, undefined, step);
    const packet = writer.finish();
    return () => codec.reader(packet).sequence().next(step, undefined, step);
  });

  settles("several open at once, closed in another order", 1000, (codec, packet, round) => {
    const readers = Array.from({ length: 5 }, () => codec.reader(packet));
    for (let i = 0; i < 5; i++) readers[(i * 3 + round) % 5].close();
  });

  settles("packets that are refused", 2000, (codec, packet, round) => {
    const broken = packet.slice();
    broken[4 + (round % (packet.length - 4))] ^= 64;
    throwsCode(() => codec.reader(broken), ["CORRUPTED", "TRUNCATED"]);
  });

  settles("readers that fail", 1000, (codec, packet) => {
    const reader = codec.reader(packet);
    throwsCode(() => reader.read(codec.gaussian(new Float32Array(100_000).fill(1))), "SHAPE_MISMATCH");
  });

  settles("writers closed in the middle, some with an open sequence", 2000, (codec, _, round) => {
    const writer = codec.writer({ guard: round % 2 ? 1e-4 : 0 });
    for (let i = 0; i < round % 4 && i < parts.length; i++) writer.write(parts[i].latent, parts[i].prior(codec));
    if (round % 3 === 0) writer.sequence().next(step, step, undefined, step.slice());
    writer.close();
    if (round % 5 === 0) writer.close();
  });

  settles("sequences of readers, closed in the middle", 2000, (codec, packet, round) => {
    const reader = codec.reader(packet);
    readPart(reader, codec, parts[0], false);
    const sequence = reader.sequence();
    if (round % 3) sequence.next(step.subarray(0, 10), undefined, step.slice(0, 10));
    reader.close();
  });

  settles("10,000 packets of encode and of writers, and their decoding", 10_000, (codec, packet, round) => {
    const part = parts[round % parts.length];
    const prior = priorOf(codec, part);
    const options = ([{}, { header: "compact" }, { stream: "compressai" }, { lanes: 32 }] as const)[round % 4];
    const own = codec.encode(part.latent, prior, options);
    if (round % 7 === 0) codec.decode(own, prior, { ...options, dims: part.dims });
    if (round % 50 === 0) sameNumbers(writeParts(codec, parts, { lanes: 8 }), packet);
  });

  settles("writers that refuse a part", 500, (codec, packet) => {
    const writer = codec.writer({ lanes: 8 });
    for (const part of parts) {
      throwsCode(
        () => writer.write({ type: "float32", dims: [1], data: Float32Array.of(1) }, part.prior(codec)),
        "SHAPE_MISMATCH",
      );
      writer.write(part.latent, part.prior(codec));
    }
    sameNumbers(writer.finish(), packet);
  });
}

test.run();

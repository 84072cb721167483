// Parts piece by piece, as autoregressive priors need them: the same bytes as one write, and no garbage.
import { GCProfiler } from "node:v8";
import type { PartReader, PartWriter, SequenceOptions } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { both, laneCounts, made, watched } from "./builds.js";
import { gaussianSample, indexedSample, makeTable, random, scaledTable } from "./cases.js";
import { sameNumbers, throwMistakes, throwsCode, throwsMistake } from "./expect.js";
import { fieldOf, naturalScale } from "./guard-trial.js";
import { readPart, toReference, writeParts } from "./io.js";
import { decodePacket, encodePacket } from "./reference.js";

const channels = 192;
const pixels = 16 * 16;
const n = channels * pixels;
const field = fieldOf(random(31), n, naturalScale(random(32)));
const { scales, means, latent } = field;
// As a sequence, of which nobody knows another shape.
const tensor = { type: "float32", dims: [n], data: latent };
const damage = ["CORRUPTED", "MODEL_MISMATCH"];

type Cuts = readonly (readonly [number, number])[];

/** Cuts 0 .. total into pieces of `largest`, or of random sizes up to that. */
function pieces(total: number, largest: number, seed?: number): Cuts {
  const rng = seed === undefined ? undefined : random(seed);
  const found: [number, number][] = [];
  for (let at = 0; at < total; ) {
    const end = Math.min(total, at + (rng ? rng(largest + 1) : largest));
    found.push([at, end]);
    at = end;
  }
  return found;
}

/** Scales, and means if there are any. */
interface Known {
  readonly scales: Float32Array;
  readonly means?: Float32Array;
}

/** Writes a sequence, and leaves its end to the writer. Returns what the reader will see. */
function push(writer: PartWriter, data: Float32Array, known: Known, cuts: Cuts, options?: SequenceOptions) {
  const sequence = writer.sequence(options);
  const out = new Float32Array(data.length);
  const { scales: s, means: m } = known;
  for (const [a, b] of cuts)
    sequence.next(data.subarray(a, b), s.subarray(a, b), m?.subarray(a, b), out.subarray(a, b));
  return out;
}

/** Reads a sequence, and what is left of the packet is the caller's. */
function pull(reader: PartReader, { scales: s, means: m }: Known, cuts: Cuts, options?: SequenceOptions) {
  const sequence = reader.sequence(options);
  const out = new Float32Array(s.length);
  const before = reader.remaining;
  for (const [a, b] of cuts) {
    sequence.next(s.subarray(a, b), m?.subarray(a, b), out.subarray(a, b));
    if (before !== undefined) assert.is(reader.remaining, before - b);
  }
  sequence.end();
  return out;
}

// The module keeps the address that element 0 of a part would have. For one piece it is 0, and was taken for "no means".
both("means count at every address", (_codec, name) => {
  const size = 16;
  const count = 2 ** 18;
  const scales = new Float32Array(size).fill(0.1);
  const means = new Float32Array(size).fill(100);
  const out = new Float32Array(size);
  // Codecs of their own: their memory is small, so that a piece is soon as far from the beginning as it lies in memory.
  const writer = made(name).writer();
  const written = writer.sequence();
  for (let at = 0; at < count; at += size) written.next(means, scales, means, out);
  written.end();
  const reader = made(name).reader(writer.finish());
  const read = reader.sequence();
  for (let at = 0; at < count; at += size) {
    read.next(scales, means, out);
    assert.is(out[0], 100, `element ${at}`);
  }
  read.end();
  reader.finish();
});

for (const lanes of [...laneCounts, "auto"] as const)
  both(`192 x 16 x 16 pixel by pixel is one write, ${lanes} lanes`, (codec) => {
    const options = { lanes, indexChecks: true, guard: 1e-4 };
    const whole = codec.writer(options);
    const values = whole.write(tensor, codec.gaussian(scales, { means }), { dequantize: true }).data;
    const packet = whole.finish();
    for (const cuts of [pieces(n, channels), pieces(n, 700, 5)]) {
      const writer = codec.writer(options);
      sameNumbers(push(writer, latent, field, cuts), values);
      sameNumbers(writer.finish(), packet);
    }
    for (const cuts of [...[channels, 1, 7, 33, n].map((size) => pieces(n, size)), pieces(n, 500, 6)]) {
      const reader = codec.reader(packet);
      sameNumbers(pull(reader, field, cuts), values);
      reader.finish();
    }
    const reader = codec.reader(packet);
    sameNumbers(reader.read(codec.gaussian(scales, { means })).data, values);
    reader.finish();
  });

both("each pixel's parameters may follow from the pixels before", (codec) => {
  const [s, m] = [new Float32Array(channels), new Float32Array(channels)];
  // A stand-in for a context model: scale and mean of the next from what was decoded.
  const eachPixel = (seen: Float32Array, next: (a: number, b: number) => void) => {
    for (let at = 0; at < n; at += channels) {
      for (let c = 0; c < channels; c++) {
        const previous = at === 0 ? 0 : seen[at - channels + c];
        s[c] = 0.2 + Math.abs(previous) / 2;
        m[c] = previous / 2;
      }
      next(at, at + channels);
    }
  };
  const [sent, received] = [new Float32Array(n), new Float32Array(n)];
  const writer = codec.writer();
  const sequence = writer.sequence();
  eachPixel(sent, (a, b) => sequence.next(latent.subarray(a, b), s, m, sent.subarray(a, b)));
  const reader = codec.reader(writer.finish());
  const steps = reader.sequence();
  eachPixel(received, (a, b) => steps.next(s, m, received.subarray(a, b)));
  steps.end();
  reader.finish();
  sameNumbers(received, sent);
});

both("sequences between other parts, without means, with steps and tables of their own", (codec) => {
  const rng = random(33);
  const table = makeTable(rng, { rows: 6, entries: 20, flavour: "random" });
  const own = scaledTable(rng, 15);
  const first = indexedSample(rng, table, [37]);
  const middle = gaussianSample(rng, own, [1001], { step: 0.5, escapeRate: 0.02, float: true });
  const last = indexedSample(rng, table, [555]);
  const options = { ...own, step: 0.5 };
  for (const lanes of laneCounts) {
    const packet = writeParts(codec, [first, middle, last], { lanes });
    const writer = codec.writer({ lanes });
    writer.write(first.latent, first.prior(codec));
    const data = middle.latent.data as Float32Array;
    sameNumbers(push(writer, data, middle.reference, pieces(1001, 90, 3), options), middle.values);
    // The next write ends the sequence.
    writer.write(last.latent, last.prior(codec));
    sameNumbers(writer.finish(), packet, `${lanes} lanes`);

    const reader = codec.reader(packet);
    readPart(reader, codec, first, false);
    sameNumbers(pull(reader, { scales: middle.reference.scales }, pieces(1001, 64, 4), options), middle.values);
    readPart(reader, codec, last, true);
    reader.finish();
  }
});

both("two sequences of two readers in turn", (codec) => {
  const made = ([8, 1] as const).map((lanes) => {
    const writer = codec.writer({ lanes, indexChecks: true, guard: 1e-4 });
    const expected = push(writer, latent, field, pieces(n, channels));
    const reader = codec.reader(writer.finish());
    return { expected, reader, sequence: reader.sequence(), out: new Float32Array(n) };
  });
  for (const [a, b] of pieces(n, 100))
    for (const { sequence, out } of made)
      sequence.next(scales.subarray(a, b), means.subarray(a, b), out.subarray(a, b));
  for (const { expected, reader, sequence, out } of made.reverse()) {
    sequence.end();
    reader.finish();
    sameNumbers(out, expected);
  }
});

both("a sequence alone, in compact form: the bytes of the reference codec, which reads it", (codec) => {
  const own = scaledTable(random(34), 15);
  const one = gaussianSample(random(35), own, [1001], { escapeRate: 0.02, float: true });
  for (const check of [4, 2, 0] as const) {
    const writer = codec.writer({ header: "compact", checksum: check === 0 ? false : check, lanes: 1 });
    push(writer, one.latent.data as Float32Array, { scales: one.reference.scales }, pieces(1001, 100), own);
    const packet = writer.finish();
    const agreement = { form: "compact", check } as const;
    sameNumbers(packet, encodePacket(toReference([one]), { ...agreement, sequence: true }));
    const { symbols } = decodePacket(packet, [one.reference], { ...agreement, dims: [[1001]] });
    sameNumbers(symbols[0], one.symbols);
  }
});

both("a sequence alone, in compact form: checked at its end, and what decode reads", (codec) => {
  for (const checksum of [4, 2, false] as const) {
    const options = { header: "compact", checksum } as const;
    const writer = codec.writer({ ...options, guard: 1e-4 });
    const sent = push(writer, latent, field, pieces(n, 1000));
    const packet = writer.finish();
    const prior = codec.gaussian(scales, { means });
    sameNumbers(codec.decode(packet, prior, { ...options, dims: [n] }).data, sent);
    const whole = codec.reader(packet, options);
    sameNumbers(whole.read(prior, { dims: [n] }).data, sent);
    whole.finish();
    const read = (count: number, step = 1) => {
      const reader = codec.reader(packet, options);
      const known = { scales: scales.subarray(0, count), means: means.subarray(0, count) };
      const out = pull(reader, known, pieces(count, 700), { step });
      reader.finish();
      return out;
    };
    sameNumbers(read(n), sent);
    // Fewer elements, another step.
    throwsCode(() => read(n - 1), damage);
    if (checksum) throwsCode(() => read(n, 2), "CORRUPTED");
  }
});

both("an empty sequence is an empty part", (codec) => {
  const none = new Float32Array(0);
  const [writer, other] = [codec.writer({ indexChecks: true }), codec.writer({ indexChecks: true })];
  writer.sequence().end();
  const packet = writer.finish();
  other.write({ type: "int32", dims: [0], data: new Int32Array(0) }, codec.gaussian(none));
  assert.equal(packet, other.finish());
  const reader = codec.reader(packet);
  pull(reader, { scales: none }, [[0, 0]]);
  reader.finish();
});

both("what a sequence refuses", (codec) => {
  const four = new Float32Array(4).fill(1);
  const three = four.subarray(1);
  const lone = codec.gaussian(Float32Array.of(1));
  const filled = codec.writer({ lanes: 16, indexChecks: true, guard: 1e-4 });
  push(filled, latent, field, pieces(n, channels));
  const packet = filled.finish();
  const steps = codec.reader(packet).sequence();
  steps.next(scales, means, new Float32Array(n));
  throwsMistake(() => steps.next(four, undefined, new Float32Array(4)), TypeError, "means");
  throwsCode(() => steps.next(four, four, new Float32Array(4)), "SHAPE_MISMATCH");
  // Means are a part of the prior.
  throwsCode(() => codec.reader(packet).sequence().next(scales, undefined, new Float32Array(n)), "WRONG_PRIOR");
  const moved = Object.assign(scales.slice(), { [n - 1]: 1.5 * scales[n - 1] });
  throwsCode(() => pull(codec.reader(packet), { scales: moved, means }, [[0, n]]), [...damage, "TRUNCATED"]);

  const writer = codec.writer();
  const sequence = writer.sequence();
  throwMistakes([
    [TypeError, "scales", () => sequence.next(four, three, undefined, four)],
    [TypeError, "means", () => sequence.next(four, four, three, four)],
    [TypeError, "out", () => sequence.next(four, four, undefined, three)],
  ]);
  const two = four.subarray(2);
  throwsCode(() => sequence.next(Float32Array.of(1, Number.NaN), two, undefined, two), "NON_FINITE");
  sequence.next(four, four, undefined, four.slice());
  throwsMistake(() => sequence.next(four, four, four, four), TypeError, "means");
  writer.write({ type: "int32", dims: [1], data: Int32Array.of(2) }, lone);
  // It has ended with the write, and with the read.
  assert.throws(() => sequence.next(four, four, undefined, four));
  const reader = codec.reader(writer.finish());
  const rest = reader.sequence();
  const out = new Float32Array(4);
  rest.next(four, undefined, out);
  assert.equal([...out], [1, 1, 1, 1]);
  assert.equal([...reader.read(lone, { type: "int32" }).data], [2]);
  assert.throws(() => rest.next(four, undefined, out));
  reader.finish();
});

both("a step of any size, in memory that has to grow for it and for its corrections", (_, name) => {
  for (const size of [5_000, 20_000, 50_000, 90_000, 400_000])
    for (const known of [
      { scales: new Float32Array(size).fill(2), means: new Float32Array(size).fill(0.25) },
      { scales: new Float32Array(size).fill(1) },
    ]) {
      const codec = made(name);
      const values = Float32Array.from({ length: size }, (_, i) => ((i * 7) % 5) - 2);
      const writer = codec.writer({ guard: 1e-5 });
      const out = push(writer, values, known, [[0, size]]);
      const reader = codec.reader(writer.finish());
      sameNumbers(pull(reader, known, [[0, size]]), out);
      reader.finish();
      // A mean of 0.25 moves no integer to another one.
      const [mean] = known.means ?? [0];
      sameNumbers(
        out,
        values.map((v) => v + mean),
      );
    }
});

both("a step for which there is no memory fails alone", (_, name) => {
  const { codec } = watched(name);
  const rng = random(34);
  const table = makeTable(rng, { rows: 3, entries: 200, flavour: "peaked" });
  const parts = [1, 2].map(() => indexedSample(rng, table, [1800]));
  const packets = parts.map((part) => writeParts(codec, [part]));
  // Blocks come in powers of two: these have the size of a stage for four elements.
  for (const { length } of packets) assert.ok(length > 600 && length < 1200, `${length} bytes`);

  const four = new Float32Array(4).fill(1);
  // More than Wasm can address; nothing of it is touched.
  const many = new Float32Array(750_000_000);
  const writer = codec.writer();
  const sequence = writer.sequence();
  sequence.next(four, four, undefined, four.slice());
  throwsCode(() => sequence.next(many, many, undefined, many), "LIMIT_EXCEEDED");
  sequence.next(four, four, undefined, four.slice());
  const huge = { type: "float32", dims: [many.length], data: many };
  throwsCode(() => codec.writer().write(huge, codec.gaussian(many)), "LIMIT_EXCEEDED");
  sequence.end();
  const steps = codec.reader(writer.finish()).sequence();
  throwsCode(() => steps.next(many, undefined, many), ["SHAPE_MISMATCH", "LIMIT_EXCEEDED"]);
  const readers = packets.map((packet) => codec.reader(packet));
  for (const [i, reader] of readers.entries()) {
    readPart(reader, codec, parts[i], false);
    reader.finish();
  }
});

both("a MODEL_MISMATCH at the end of a sequence names its part", (codec) => {
  // The two rows are alike, so the symbols are right and only the check can tell.
  const table = { offsets: [-1, -1], cdfs: [0, 1].map(() => [0, 20000, 45535, 65535, 65536]) };
  const options = { table, scaleTable: Float32Array.of(1, 2) };
  const writer = codec.writer({ indexChecks: true });
  writer.write({ type: "int32", dims: [1], data: Int32Array.of(0) }, codec.indexed(table, [1]));
  push(writer, Float32Array.of(0, 1, -1), { scales: Float32Array.of(1, 1, 1) }, [[0, 3]], options);
  const reader = codec.reader(writer.finish());
  reader.read(codec.indexed(table, [1]), { dims: [1] });
  const other = { scales: Float32Array.of(1, 1, 1.5) };
  throwsCode(() => pull(reader, other, [[0, 3]], options), "MODEL_MISMATCH", /part 1\b/);
});

both("corrections of an open sequence count", (codec) => {
  const writer = codec.writer({ guard: 1e-5 });
  const one = Float32Array.of(stockScales[20]);
  const sequence = writer.sequence();
  sequence.next(one, one, undefined, new Float32Array(1));
  assert.is(writer.corrections, 1);
  sequence.end();
  assert.is(writer.corrections, 1);
});

both("next allocates nothing", (codec) => {
  const calls = 100_000;
  const rounds = 6;
  const size = 8;
  const rng = random(34);
  const small = fieldOf(rng, size, naturalScale(rng));
  const out = new Float32Array(size);
  /** Bytes that a hundred thousand calls leave, of the round that left least: the engine compiles in some of them, and cleans up in others. */
  const garbage = (next: () => void) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round++) {
      const profiler = new GCProfiler();
      profiler.start();
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < calls; i++) next();
      const grown = process.memoryUsage().heapUsed - before;
      if (profiler.stop()?.statistics.length === 0) least = Math.min(least, grown);
    }
    return least;
  };
  // The smallest object takes 12 bytes: one per call would be 1.2 MB, or would have been collected.
  const margin = 50_000;
  assert.ok(garbage(() => new Float64Array(0)) > margin, "garbage is not seen");
  const writer = codec.writer();
  const sequence = writer.sequence();
  const written = garbage(() => sequence.next(small.latent, small.scales, small.means, out));
  assert.ok(written < margin, `${written / calls} bytes per call of a writer`);
  const expected = out.slice();
  const reader = codec.reader(writer.finish());
  const pull = reader.sequence();
  const read = garbage(() => pull.next(small.scales, small.means, out));
  assert.ok(read < margin, `${read / calls} bytes per call of a reader`);
  sameNumbers(out, expected);
  pull.end();
  reader.finish();
});

test.run();

// Parts piece by piece, as autoregressive priors need them: the same bytes as one write, and no garbage.
import { GCProfiler } from "node:v8";
import { type Codec, createSync } from "latentwire";
import { scalar } from "latentwire/scalar";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { builds, laneCounts, watched } from "./builds.js";
import { gaussianSample, indexedSample, makeTable, random, scaledTable } from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
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

/** Cuts 0 .. total into pieces of at most `largest`. */
function pieces(total: number, largest: number, seed?: number): [number, number][] {
  const rng = seed === undefined ? undefined : random(seed);
  const found: [number, number][] = [];
  for (let at = 0; at < total; ) {
    const end = Math.min(total, at + (rng ? rng(largest + 1) : largest));
    found.push([at, end]);
    at = end;
  }
  return found;
}

function writeSequence(
  codec: Codec,
  cuts: [number, number][],
  lanes: 1 | 8 | 16 | 32 | "auto",
  out: Float32Array,
): Uint8Array {
  const writer = codec.writer({ lanes, indexChecks: true, guard: 1e-4 });
  const sequence = writer.sequence();
  for (const [a, b] of cuts)
    sequence.next(latent.subarray(a, b), scales.subarray(a, b), means.subarray(a, b), out.subarray(a, b));
  sequence.end();
  return writer.finish();
}

for (const { name, codec } of builds) {
  for (const lanes of [...laneCounts, "auto"] as const) {
    test(`${name}: 192 x 16 x 16 pixel by pixel is one write, ${lanes} lanes`, () => {
      const writer = codec.writer({ lanes, indexChecks: true, guard: 1e-4 });
      const values = writer.write(tensor, codec.gaussian(scales, { means }), { dequantize: true }).data;
      const packet = writer.finish();
      const out = new Float32Array(n);
      sameNumbers(writeSequence(codec, pieces(n, channels), lanes, out), packet);
      sameNumbers(out, values);
      sameNumbers(writeSequence(codec, pieces(n, 700, 5), lanes, out.fill(0)), packet);
      sameNumbers(out, values);

      for (const cuts of [
        pieces(n, channels),
        pieces(n, 1),
        pieces(n, 7),
        pieces(n, 33),
        pieces(n, n),
        pieces(n, 500, 6),
      ]) {
        const reader = codec.reader(packet);
        const sequence = reader.sequence();
        out.fill(0);
        for (const [a, b] of cuts) {
          sequence.next(scales.subarray(a, b), means.subarray(a, b), out.subarray(a, b));
          assert.is(reader.remaining, n - b);
        }
        sequence.end();
        reader.finish();
        sameNumbers(out, values);
      }
      const reader = codec.reader(packet);
      sameNumbers(reader.read(codec.gaussian(scales, { means })).data, values);
      reader.finish();
    });
  }

  test(`${name}: each pixel's parameters may follow from the pixels before`, () => {
    // A stand-in for a context model: scale and mean of the next from what was decoded.
    const context = (previous: Float32Array, s: Float32Array, m: Float32Array) => {
      for (let c = 0; c < s.length; c++) {
        s[c] = 0.2 + Math.abs(previous[c]) / 2;
        m[c] = previous[c] / 2;
      }
    };
    const [s, m] = [new Float32Array(channels), new Float32Array(channels)];
    const sent = new Float32Array(n);
    const writer = codec.writer();
    const sequence = writer.sequence();
    for (let p = 0; p < pixels; p++) {
      context(p === 0 ? new Float32Array(channels) : sent.subarray((p - 1) * channels, p * channels), s, m);
      const at = p * channels;
      sequence.next(latent.subarray(at, at + channels), s, m, sent.subarray(at, at + channels));
    }
    const reader = codec.reader(writer.finish());
    const received = new Float32Array(n);
    const pull = reader.sequence();
    for (let p = 0; p < pixels; p++) {
      context(p === 0 ? new Float32Array(channels) : received.subarray((p - 1) * channels, p * channels), s, m);
      pull.next(s, m, received.subarray(p * channels, (p + 1) * channels));
    }
    pull.end();
    reader.finish();
    sameNumbers(received, sent);
  });

  test(`${name}: sequences between other parts, without means, with steps and tables of their own`, () => {
    const rng = random(33);
    const table = makeTable(rng, { rows: 6, entries: 20, flavour: "random" });
    const own = scaledTable(rng, 15);
    const first = indexedSample(rng, table, [37]);
    const middle = gaussianSample(rng, own, [1001], { step: 0.5, escapeRate: 0.02, float: true });
    const last = indexedSample(rng, table, [555]);
    const middleScales = middle.reference.scales;
    const data = middle.latent.data as Float32Array;
    const options = { ...own, step: 0.5 };
    for (const lanes of laneCounts) {
      const whole = codec.writer({ lanes });
      for (const part of [first, middle, last]) whole.write(part.latent, part.prior(codec));
      const packet = whole.finish();
      const writer = codec.writer({ lanes });
      writer.write(first.latent, first.prior(codec));
      const sequence = writer.sequence(options);
      const out = new Float32Array(1001);
      for (const [a, b] of pieces(1001, 90, 3))
        sequence.next(data.subarray(a, b), middleScales.subarray(a, b), undefined, out.subarray(a, b));
      sameNumbers(out, middle.values);
      // The next write ends the sequence.
      writer.write(last.latent, last.prior(codec));
      sameNumbers(writer.finish(), packet, `${lanes} lanes`);

      const reader = codec.reader(packet);
      readPart(reader, codec, first, false);
      const pull = reader.sequence(options);
      out.fill(0);
      for (const [a, b] of pieces(1001, 64, 4)) pull.next(middleScales.subarray(a, b), undefined, out.subarray(a, b));
      pull.end();
      sameNumbers(out, middle.values);
      readPart(reader, codec, last, true);
      reader.finish();
    }
  });

  test(`${name}: two sequences of two readers in turn`, () => {
    const out = new Float32Array(n);
    const packets = [8, 1].map((lanes) => writeSequence(codec, pieces(n, channels), lanes as 1 | 8, out));
    const expected = out.slice();
    const readers = packets.map((packet) => codec.reader(packet));
    const sequences = readers.map((reader) => reader.sequence());
    const results = [new Float32Array(n), new Float32Array(n)];
    for (const [a, b] of pieces(n, 100)) {
      sequences.forEach((sequence, i) => {
        sequence.next(scales.subarray(a, b), means.subarray(a, b), results[i].subarray(a, b));
      });
    }
    for (const i of [1, 0]) {
      sequences[i].end();
      readers[i].finish();
      sameNumbers(results[i], expected);
    }
  });

  test(`${name}: a sequence alone, in compact form: the bytes of the reference codec, which reads it`, () => {
    const own = scaledTable(random(34), 15);
    const one = gaussianSample(random(35), own, [1001], { escapeRate: 0.02, float: true });
    const { scales: sigmas } = one.reference;
    for (const check of [4, 2, 0] as const) {
      const writer = codec.writer({ header: "compact", checksum: check === 0 ? false : check, lanes: 1 });
      const sequence = writer.sequence(own);
      const data = one.latent.data as Float32Array;
      for (const [a, b] of pieces(1001, 100))
        sequence.next(data.subarray(a, b), sigmas.subarray(a, b), undefined, new Float32Array(b - a));
      const packet = writer.finish();
      const agreement = { form: "compact", check } as const;
      sameNumbers(packet, encodePacket(toReference([one]), { ...agreement, sequence: true }));
      const { symbols } = decodePacket(packet, [one.reference], { ...agreement, dims: [[1001]] });
      sameNumbers(symbols[0], one.symbols);
    }
  });

  test(`${name}: a sequence alone, in compact form: checked at its end, and what decode reads`, () => {
    for (const checksum of [4, 2, false] as const) {
      const options = { header: "compact", checksum } as const;
      const writer = codec.writer({ ...options, guard: 1e-4 });
      const sequence = writer.sequence();
      const sent = new Float32Array(n);
      for (const [a, b] of pieces(n, 1000))
        sequence.next(latent.subarray(a, b), scales.subarray(a, b), means.subarray(a, b), sent.subarray(a, b));
      const packet = writer.finish();
      const prior = codec.gaussian(scales, { means });
      sameNumbers(codec.decode(packet, prior, { ...options, dims: [n] }).data, sent);
      const whole = codec.reader(packet, options);
      sameNumbers(whole.read(prior, { dims: [n] }).data, sent);
      whole.finish();
      const pull = (count: number, other = 1) => {
        const reader = codec.reader(packet, options);
        const steps = reader.sequence({ step: other });
        const out = new Float32Array(count);
        for (const [a, b] of pieces(count, 700))
          steps.next(scales.subarray(a, b), means.subarray(a, b), out.subarray(a, b));
        steps.end();
        reader.finish();
        return out;
      };
      sameNumbers(pull(n), sent);
      // Fewer elements, another step.
      throwsCode(() => pull(n - 1), ["CORRUPTED", "MODEL_MISMATCH"]);
      if (checksum) throwsCode(() => pull(n, 2), "CORRUPTED");
    }
  });

  test(`${name}: an empty sequence is an empty part`, () => {
    const writer = codec.writer({ indexChecks: true });
    writer.sequence().end();
    const packet = writer.finish();
    const other = codec.writer({ indexChecks: true });
    other.write({ type: "int32", dims: [0], data: new Int32Array(0) }, codec.gaussian(new Float32Array(0)));
    assert.equal(packet, other.finish());
    const reader = codec.reader(packet);
    const sequence = reader.sequence();
    sequence.next(new Float32Array(0), undefined, new Float32Array(0));
    sequence.end();
    reader.finish();
  });

  test(`${name}: what a sequence refuses`, () => {
    const out = new Float32Array(n);
    const packet = writeSequence(codec, pieces(n, channels), 16, out);
    const four = new Float32Array(4).fill(1);
    const tooMany = codec.reader(packet);
    const pull = tooMany.sequence();
    pull.next(scales, means, out);
    throwsMistake(() => pull.next(four, undefined, new Float32Array(4)), TypeError, "means");
    throwsCode(() => pull.next(four, four, new Float32Array(4)), "SHAPE_MISMATCH");
    // Means are a part of the prior.
    throwsCode(() => codec.reader(packet).sequence().next(scales, undefined, out), "WRONG_PRIOR");

    const moved = scales.slice();
    moved[n - 1] *= 1.5;
    const mismatched = codec.reader(packet).sequence();
    throwsCode(() => {
      mismatched.next(moved, means, out);
      mismatched.end();
    }, ["MODEL_MISMATCH", "CORRUPTED", "TRUNCATED"]);

    const writer = codec.writer();
    const sequence = writer.sequence();
    throwsMistake(() => sequence.next(four, four.subarray(1), undefined, four), TypeError, "scales");
    throwsMistake(() => sequence.next(four, four, four.subarray(1), four), TypeError, "means");
    throwsMistake(() => sequence.next(four, four, undefined, four.subarray(1)), TypeError, "out");
    throwsCode(
      () => sequence.next(Float32Array.of(1, Number.NaN), four.subarray(2), undefined, four.subarray(2)),
      "NON_FINITE",
    );
    sequence.next(four, four, undefined, four.slice());
    throwsMistake(() => sequence.next(four, four, four, four), TypeError, "means");
    writer.write({ type: "int32", dims: [1], data: Int32Array.of(2) }, codec.gaussian(Float32Array.of(1)));
    // It has ended with the write.
    assert.throws(() => sequence.next(four, four, undefined, four));
    const reader = codec.reader(writer.finish());
    const rest = reader.sequence();
    rest.next(four, undefined, out.subarray(0, 4));
    assert.equal([...out.subarray(0, 4)], [1, 1, 1, 1]);
    assert.equal([...reader.read(codec.gaussian(Float32Array.of(1)), { type: "int32" }).data], [2]);
    assert.throws(() => rest.next(four, undefined, out));
    reader.finish();
  });

  test(`${name}: a step of any size, in memory that has to grow for it`, () => {
    for (const size of [5_000, 20_000, 50_000, 90_000, 400_000]) {
      const { codec } = watched(name);
      const values = Float32Array.from({ length: size }, (_, i) => (i % 7) - 3);
      const sigmas = new Float32Array(size).fill(2);
      const centres = new Float32Array(size).fill(0.25);
      const out = new Float32Array(size);
      const writer = codec.writer({ guard: 1e-5 });
      writer.sequence().next(values, sigmas, centres, out);
      const packet = writer.finish();
      const reader = codec.reader(packet);
      const sequence = reader.sequence();
      const read = new Float32Array(size);
      sequence.next(sigmas, centres, read);
      reader.finish();
      sameNumbers(read, out);
      // 0.25 below an integer, nearest to that integer.
      sameNumbers(
        out,
        values.map((v) => v + 0.25),
      );
    }
  });

  test(`${name}: a step for which there is no memory fails alone`, () => {
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
    const own = codec.reader(writer.finish());
    const pull = own.sequence();
    throwsCode(() => pull.next(many, undefined, many), ["SHAPE_MISMATCH", "LIMIT_EXCEEDED"]);
    const readers = packets.map((packet) => codec.reader(packet));
    readers.forEach((reader, i) => {
      sameNumbers(reader.read(parts[i].prior(codec), { type: "int32" }).data, parts[i].symbols);
      reader.finish();
    });
  });

  test(`${name}: a MODEL_MISMATCH at the end of a sequence names its part`, () => {
    // The two rows are alike, so the symbols are right and only the check can tell.
    const table = { offsets: [-1, -1], cdfs: [0, 1].map(() => [0, 20000, 45535, 65535, 65536]) };
    const options = { table, scaleTable: Float32Array.of(1, 2) };
    const writer = codec.writer({ indexChecks: true });
    writer.write({ type: "int32", dims: [1], data: Int32Array.of(0) }, codec.indexed(table, [1]));
    const sequence = writer.sequence(options);
    const out = new Float32Array(3);
    sequence.next(Float32Array.of(0, 1, -1), Float32Array.of(1, 1, 1), undefined, out);
    const reader = codec.reader(writer.finish());
    reader.read(codec.indexed(table, [1]), { dims: [1] });
    const pull = reader.sequence(options);
    pull.next(Float32Array.of(1, 1, 1.5), undefined, out);
    throwsCode(() => pull.end(), "MODEL_MISMATCH", /part 1\b/);
  });

  test(`${name}: memory that grows for the guard does not lose the step`, () => {
    const own = codec.simd ? createSync() : createSync({ build: scalar });
    // The stage ends where the memory does, so the positions behind it need more.
    const size = 50_000;
    const values = Float32Array.from({ length: size }, (_, i) => ((i * 7) % 5) - 2);
    const sigmas = new Float32Array(size).fill(1);
    const out = new Float32Array(size);
    const writer = own.writer({ guard: 1e-5 });
    writer.sequence().next(values, sigmas, undefined, out);
    sameNumbers(out, values);
    const reader = own.reader(writer.finish());
    reader.sequence().next(sigmas, undefined, out.fill(0));
    reader.finish();
    sameNumbers(out, values);
  });

  test(`${name}: corrections of an open sequence count`, () => {
    const writer = codec.writer({ guard: 1e-5 });
    const one = Float32Array.of(stockScales[20]);
    const sequence = writer.sequence();
    sequence.next(one, one, undefined, new Float32Array(1));
    assert.is(writer.corrections, 1);
    sequence.end();
    assert.is(writer.corrections, 1);
  });

  test(`${name}: next allocates nothing`, () => {
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
}

test.run();

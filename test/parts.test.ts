// Several parts in one packet: types, where results go, what parts cost; readers and writers that are used wrongly, or with other priors than the
// other side's. That the bytes are right, cross.test.ts says.
import type { Codec, PartReader, Prior, TensorLike } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, builds } from "./builds.js";
import {
  factorizedSample,
  gaussianSample,
  indexedSample,
  makeTable,
  mixtureSample,
  random,
  type Sample,
} from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import { readPart, readParts, writeParts } from "./io.js";
import { kinds } from "./messages.js";
import { writePacket } from "./reference/header.js";
import { type Header, parsePacket } from "./reference.js";

const rng = random(2025);
const { table, scaled, parts } = kinds;
const [channels, scaledPart, rows, mixed] = parts;
const other = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const random7 = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });
const garbage = ["SHAPE_MISMATCH", "CORRUPTED", "TRUNCATED"];

/** The packet with another header. */
const withHeader = (packet: Uint8Array, change: Partial<Header>) =>
  writePacket({ ...parsePacket(packet), ...change }, 0);
const checkedPacket = (codec: Codec) =>
  writeParts(codec, parts, { lanes: 8, checksum: false, guard: { absolute: 5e-4 } });

both("65,536 parts are the most, and the packet is one that every reader takes", (codec) => {
  const prior = codec.factorized({ offsets: [0], cdfs: [[0, 65535, 65536]] }, { axis: 0 });
  const most = 2 ** 31 - 1;
  const empty = { type: "int8", dims: [1, most, most, most, most, most, 0], data: new Int8Array() };
  const writer = codec.writer({ indexChecks: true });
  for (let p = 0; p < 65536; p++) writer.write(empty, prior);
  for (const more of [() => writer.write(empty, prior), () => writer.sequence()])
    throwsCode(more, "LIMIT_EXCEEDED", /65,536 parts.*several/);
  const packet = writer.finish();
  assert.ok(packet.length > 65536 * 29);
  assert.is(codec.judge(packet), undefined);
  const reader = codec.reader(packet);
  for (let p = 0; p < 65536; p++) reader.read(prior);
  reader.finish();
  const parsed = parsePacket(packet);
  assert.is(parsed.parts, 65536);
  const checks = [...parsed.indexChecks!, parsed.indexChecks![0]];
  const longer = writePacket({ ...parsed, parts: 65537, indexChecks: checks }, 0);
  throwsCode(() => parsePacket(longer), "CORRUPTED");
  throwsCode(() => codec.reader(longer), "CORRUPTED", /number of parts/);
  assert.is(codec.judge(longer), "CORRUPTED");
});

/** A reader that has read the first parts. */
function openAt(codec: Codec, count: number, packet = writeParts(codec, parts)): PartReader {
  const reader = codec.reader(packet);
  for (const part of parts.slice(0, count)) readPart(reader, codec, part, false);
  return reader;
}

/** Reads everything, whatever it is. */
function readAll(codec: Codec, packet: Uint8Array, list: readonly Sample[]): void {
  const reader = codec.reader(packet);
  for (const { prior, dims, reference } of list) reader.read(prior(codec), reference.kind === "rows" ? { dims } : {});
  reader.finish();
}

/** A misuse, after which the codec must go on. */
function misuse(what: string, run: (codec: Codec) => void): void {
  both(what, (codec) => {
    run(codec);
    readParts(codec, writeParts(codec, parts), parts);
  });
}

// ---- types and results

both("integer latents of every type, into every type", (codec) => {
  const part = indexedSample(rng, other, [2, 300], { step: 2, means: true });
  const prior = part.prior(codec);
  const arrays = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
  const types = ["int8", "int16", "int32"] as const;
  const [packet, ...others] = types.map((type) => {
    const writer = codec.writer();
    const latent = { type, dims: part.dims, data: arrays[type].from(part.symbols) };
    sameNumbers(writer.write(latent, prior, { dequantize: true }).data, part.values);
    return writer.finish();
  });
  for (const packetOf of others) assert.equal(packetOf, packet);
  for (const type of types) {
    const reader = codec.reader(packet);
    const { data } = reader.read(prior, { type, dims: part.dims });
    assert.instance(data, arrays[type]);
    sameNumbers(data, part.symbols);
    reader.finish();
  }
});

both("results go where the caller says, and write gives none that is not asked for", (codec) => {
  const list = [1, 0.25].map((step) => indexedSample(rng, random7, [2, 350], { means: true, step, float: true }));
  const writer = codec.writer();
  for (const part of list) {
    // In place: what is read afterwards stands where the latent was.
    const own = (part.latent.data as Float32Array).slice();
    assert.is(writer.write({ ...part.latent, data: own }, part.prior(codec), { out: own }).data, own);
    sameNumbers(own, part.values);
  }
  const [{ latent, prior, dims, values, symbols }, second] = list;
  for (const options of [undefined, {}, { dequantize: false } as const])
    assert.is(writer.write(latent, prior(codec), options), undefined);
  const { type, dims: shape, data } = writer.write(latent, prior(codec), { dequantize: true });
  assert.equal([type, shape], ["float32", dims]);
  sameNumbers(data, values);
  const reader = codec.reader(writer.finish());
  const out = new Float32Array(symbols.length);
  assert.is(reader.read(prior(codec), { out, dims }).data, out);
  sameNumbers(out, values);
  const whole = new Int32Array(symbols.length);
  assert.is(reader.read(second.prior(codec), { type: "int32", out: whole, dims }).data, whole);
  sameNumbers(whole, second.symbols);
  for (let i = 0; i < 4; i++) readPart(reader, codec, list[0], i % 2 === 0);
  reader.finish();
});

/** The same latent as one part and as slices of its channels. */
function sliced(codec: Codec, slices: number): Uint8Array {
  const seeded = random(41);
  const [depth, side] = [320, 8];
  const n = depth * side * side;
  const scales = Float32Array.from({ length: n }, () => 0.3 + 0.5 * seeded.unit());
  const data = Int32Array.from(scales, (s) =>
    Math.round((seeded.unit() + seeded.unit() + seeded.unit() - 1.5) * 2 * s),
  );
  const writer = codec.writer();
  for (let slice = 0; slice < slices; slice++) {
    const [from, to] = [slice, slice + 1].map((i) => (n / slices) * i);
    const dims = [1, depth / slices, side, side];
    writer.write({ type: "int32", dims, data: data.subarray(from, to) }, codec.gaussian(scales.subarray(from, to)));
  }
  return writer.finish();
}

both("ten slices in a packet of 3 KB cost at most 24 bytes more than one", (codec) => {
  const [one, ten] = [1, 10].map((slices) => sliced(codec, slices));
  assert.ok(one.length > 2500 && one.length < 6000, `${one.length} bytes`);
  assert.ok(ten.length <= one.length + 24, `${ten.length} bytes in ten slices, ${one.length} in one`);
});

// ---- reads that do not fit

misuse("too few reads, too many reads", (codec) => {
  for (let count = 0; count < parts.length; count++) throwsCode(() => openAt(codec, count).finish(), "SHAPE_MISMATCH");
  throwsCode(() => openAt(codec, 4).read(codec.gaussian(Float32Array.of(1))), "SHAPE_MISMATCH");
  // Without symbols there is nothing that a read could lack, but the checks count the parts.
  throwsCode(() => {
    const counted = openAt(codec, 4, checkedPacket(codec));
    counted.read(codec.gaussian(new Float32Array(0)));
    counted.finish();
  }, "SHAPE_MISMATCH");
});

misuse("a part of another size, a shape of another prior, parts in another order", (codec) => {
  const later = (prior: Prior, before: number, code: string | string[]) => {
    const reader = openAt(codec, before);
    throwsCode(() => {
      reader.read(prior);
      reader.finish();
    }, code);
  };
  later(codec.gaussian(new Float32Array(1_000_000).fill(1)), 1, "SHAPE_MISMATCH");
  later(codec.gaussian(new Float32Array(499).fill(1), { ...scaled }), 1, garbage);
  // The packet says [1, 7, 6, 5]: not 6 channels, and not on another axis.
  later(codec.factorized(makeTable(rng, { rows: 6, entries: 30, flavour: "peaked" })), 0, "SHAPE_MISMATCH");
  for (const axis of [2, 6]) later(codec.factorized(table, { axis }), 0, "SHAPE_MISMATCH");
  // There is one shape, and the second part's it is not.
  later(codec.factorized(table), 1, "SHAPE_MISMATCH");
  // A shape that nobody asks for.
  later(codec.indexed(table, new Uint16Array(210)), 0, garbage);
  for (const dims of [
    [1, 7, 5, 6],
    [7, 6, 5],
  ])
    throwsCode(() => openAt(codec, 0).read(channels.prior(codec), { dims }), "SHAPE_MISMATCH");
  assert.equal(openAt(codec, 0).read(channels.prior(codec), { dims: [1, 7, 6, 5] }).dims, [1, 7, 6, 5]);
  const swapped = [rows, scaledPart, channels, mixed];
  throwsCode(() => readAll(codec, writeParts(codec, parts), swapped), [...garbage, "WRONG_PRIOR"]);
  // The second part has corrections.
  const late = [channels, rows, scaledPart, mixed];
  throwsCode(() => readAll(codec, checkedPacket(codec), late), ["MODEL_MISMATCH", "CORRUPTED"]);
});

misuse("wrong tables are named at the end", (codec) => {
  // The rows are as wide and the offsets the same, so only the fingerprint can tell.
  const alike = { ...table, cdfs: table.cdfs.map((cdf) => [...cdf]) };
  const wide = alike.cdfs.find((cdf) => cdf.length > 5)!;
  wide[wide.findIndex((value, k) => k > 0 && value + 1 < wide[k + 1])]++;
  const reader = codec.reader(writeParts(codec, [channels, scaledPart, mixed], { checksum: false }));
  throwsCode(() => {
    for (const prior of [codec.factorized(alike), scaledPart.prior(codec), mixed.prior(codec)]) reader.read(prior);
    reader.finish();
  }, ["WRONG_PRIOR", "CORRUPTED", "TRUNCATED"]);
  // Symbols that cost nothing do not disturb the stream: here it is the fingerprint and nothing else.
  const [mine, foreign] = [0, 1].map((offset) =>
    codec.indexed({ offsets: [offset], cdfs: [[0, 65535, 65536]] }, new Uint8Array(40)),
  );
  for (const fingerprint of [true, false]) {
    const writer = codec.writer({ fingerprint });
    for (let i = 0; i < 2; i++) writer.write({ type: "int32", dims: [40], data: new Int32Array(40) }, mine);
    const wrong = codec.reader(writer.finish());
    for (const prior of [foreign, mine]) wrong.read(prior, { dims: [40] });
    if (fingerprint) throwsCode(() => wrong.finish(), "WRONG_PRIOR");
    else wrong.finish();
  }
});

misuse("MODEL_MISMATCH names the part, before a symbol is returned", (codec) => {
  const { scales } = scaledPart.reference;
  // In the first and the last row another scale is in the same row still.
  const at = scales.findIndex((s) => s > scaled.scaleTable[1] && s < scaled.scaleTable[5]);
  const moved = codec.gaussian(
    scales.map((s, i) => (i === at ? s * 1.5 : s)),
    scaled,
  );
  const out = new Float32Array(500).fill(7);
  const packet = checkedPacket(codec);
  throwsCode(() => openAt(codec, 1, packet).read(moved, { out }), "MODEL_MISMATCH", /part 1\b/);
  assert.ok(out.every((value) => value === 7));
  const wrongRows = codec.indexed(other, new Uint16Array(400));
  throwsCode(() => openAt(codec, 2, packet).read(wrongRows), "MODEL_MISMATCH", /part 2\b/);
  // A mixture whose parameters are others.
  const { components, kind, support, means, weights = means, scales: spread } = mixed.reference.mixture;
  const read = (change: { means?: Float32Array; scales?: Float32Array; weights?: Float32Array }) => {
    const reader = openAt(codec, 3, packet);
    const parameters = { weights, means, scales: spread, ...change };
    reader.read(codec.mixture(parameters, { components, kind, support, dims: [100] }));
    reader.finish();
  };
  read({});
  const changed = (values: Float32Array, by: number) => values.map((v, i) => (i === 3 ? v + by : v));
  throwsCode(() => read({ means: changed(means, 1 / 32) }), "MODEL_MISMATCH");
  throwsCode(() => read({ weights: changed(weights, 0.01) }), "MODEL_MISMATCH");
  throwsCode(() => read({ scales: changed(spread, 30) }), "MODEL_MISMATCH");
});

misuse("corrections where there is nothing to correct", (codec) => {
  const refuse = (packet: Uint8Array, list: readonly Sample[], corrections: number[]) => {
    const changed = withHeader(packet, { corrections, indexChecks: undefined });
    throwsCode(() => readAll(codec, changed, list), "CORRUPTED");
    return changed;
  };
  const bare = (part: Sample, guard = 0) => writeParts(codec, [part], { checksum: false, guard });
  // Where there are no scales: it is said with the part that should have taken it.
  const packet = checkedPacket(codec);
  const start = channels.symbols.length + scaledPart.symbols.length;
  for (const at of [0, start, start + rows.symbols.length - 1]) {
    const changed = refuse(packet, parts, [at]);
    if (at === 0) throwsCode(() => codec.reader(changed).read(channels.prior(codec)), "CORRUPTED");
  }
  for (const part of [channels, rows])
    throwsCode(() => codec.decode(refuse(bare(part), [part], [7]), part.prior(codec)), "CORRUPTED");
  // Behind the last parameter.
  const { n, corrections } = parsePacket(packet) as Header & { n: number };
  const last = n + 5 * mixed.symbols.length;
  for (const at of [last, last + 2 ** 30]) {
    const reader = openAt(codec, 4, withHeader(packet, { corrections: [...corrections, at] }));
    throwsCode(() => reader.finish(), "CORRUPTED");
  }
  // Of weights that are left out; of one scale.
  const unweighted = mixtureSample(rng, [60], { components: 2, weights: false });
  refuse(bare(unweighted), [unweighted], [7, 9]);
  const lone = { table: { offsets: [-1], cdfs: [[0, 100, 60000, 65535, 65536]] }, scaleTable: Float32Array.of(0.5) };
  const single = gaussianSample(rng, lone, [60]);
  assert.equal(parsePacket(bare(single, 0.01)).corrections, []);
  refuse(bare(single, 0.01), [single], [5]);
  for (const part of [unweighted, single]) readParts(codec, bare(part, part === single ? 0.01 : 0), [part]);
});

// ---- writes that fail

misuse("NaN scales on either side", (codec) => {
  const scales = new Float32Array(500).fill(1);
  scales[321] = Number.NaN;
  throwsCode(() => openAt(codec, 1).read(codec.gaussian(scales)), "NON_FINITE", /321/);
  const writer = codec.writer();
  const zeros = { type: "int32", dims: [500], data: new Int32Array(500) };
  throwsCode(() => writer.write(zeros, codec.gaussian(scales)), "NON_FINITE", /321/);
  writer.write(zeros, codec.gaussian(scales.fill(1)));
  assert.ok(writer.finish().length > 0);
});

both("a write that fails leaves the writer as it was, corrections included", (codec) => {
  const floats = (...data: number[]) => ({ type: "float32", dims: [data.length], data: Float32Array.from(data) });
  // Of more than a chunk, with a correction in most places, and wrong only at its end.
  const n = 70_000;
  const boundary = (last: number) => Object.assign(new Float32Array(n).fill(scaled.scaleTable[3]), { [n - 1]: last });
  const zeros = (count: number) => ({ type: "int32", dims: [count], data: new Int32Array(count) });
  const bad = { ...floats(), dims: [n], data: Object.assign(new Float32Array(n).fill(0.25), { [n - 1]: Number.NaN }) };
  const mixture = (last: number) => {
    const values = Object.assign(new Float32Array(2000).fill(0.5 / 64), { 1999: last });
    return codec.mixture({ means: values, scales: new Float32Array(2000).fill(1) });
  };
  const ones = codec.gaussian(Float32Array.of(1, 1));
  const refused: [TensorLike, Prior, string][] = [
    [floats(1, Number.NaN), ones, "NON_FINITE"],
    [floats(1, 1e20), ones, "OUT_OF_RANGE"],
    [floats(1, 2, 3), ones, "SHAPE_MISMATCH"],
    [floats(1, 2, 3), codec.factorized(table), "SHAPE_MISMATCH"],
    [zeros(n), codec.gaussian(boundary(Number.NaN), scaled), "NON_FINITE"],
    [bad, codec.gaussian(boundary(1), scaled), "NON_FINITE"],
    [zeros(2000), mixture(Number.NaN), "NON_FINITE"],
  ];
  for (const guard of [0, 2e-4]) {
    const expected = writeParts(codec, parts, { guard, indexChecks: true });
    const writer = codec.writer({ guard, indexChecks: true });
    for (const part of parts) {
      for (const [latent, prior, code] of refused) {
        const before = writer.corrections;
        throwsCode(() => writer.write(latent, prior), code);
        throwsCode(() => writer.write(latent, prior, { dequantize: true }), code);
        assert.is(writer.corrections, before);
      }
      writer.write(part.latent, part.prior(codec));
    }
    assert.is(writer.corrections, parsePacket(expected).corrections.length);
    assert.equal(writer.finish(), expected);
  }
  // A guard that is too wide is noticed at any place, and leaves nothing either.
  const writer = codec.writer({ guard: 1e-5 });
  throwsMistake(() => writer.write(zeros(2000), mixture(3e4)), RangeError, "guard");
  assert.is(writer.corrections, 0);
  writer.write(rows.latent, rows.prior(codec));
  assert.equal(writer.finish(), writeParts(codec, [rows], { guard: 1e-5 }));
});

misuse("a finished writer, a finished or closed reader", (codec) => {
  const written = () => {
    const writer = codec.writer();
    writer.write(rows.latent, rows.prior(codec));
    return writer;
  };
  const isClosed = (...calls: (() => unknown)[]) => {
    for (const call of calls) assert.throws(call);
  };
  const writer = written();
  writer.finish();
  isClosed(
    () => writer.write(rows.latent, rows.prior(codec)),
    () => writer.finish(),
    () => writer.sequence(),
  );
  const unfinished = written();
  unfinished.sequence();
  unfinished.close();
  unfinished.close();
  isClosed(
    () => unfinished.write(rows.latent, rows.prior(codec)),
    () => unfinished.finish(),
  );
  const reader = openAt(codec, 1);
  reader.close();
  reader.close();
  isClosed(
    () => reader.read(scaledPart.prior(codec)),
    () => reader.finish(),
  );
  const done = openAt(codec, 4);
  done.finish();
  isClosed(() => done.read(channels.prior(codec)));
  done.close();
  // After an error the reader is closed.
  const failed = openAt(codec, 0);
  throwsCode(() => failed.read(codec.gaussian(new Float32Array(1e6).fill(1))), "SHAPE_MISMATCH");
  isClosed(() => failed.read(channels.prior(codec)));
  failed.close();
});

test("the builds differ, so a prior of one is none of the other's", () => {
  const [{ codec }, elsewhere] = builds;
  const { latent, prior } = factorizedSample(rng, table, [1, 7, 2]);
  throwsMistake(() => codec.writer().write(latent, prior(elsewhere.codec)), TypeError, "prior");
  throwsMistake(() => elsewhere.codec.encode(latent, prior(codec)), TypeError, "prior");
});

test.run();

// What is said of a reader or a writer that is used wrongly, or with other priors than the other side's, and that the codec goes on afterwards.
import type { Prior, TensorLike } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import {
  factorizedSample,
  gaussianSample,
  indexedSample,
  makeTable,
  mixtureSample,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { readPart, readParts, writeParts } from "./io.js";
import { writePacket } from "./reference/header.js";
import { type Header, parsePacket } from "./reference.js";

const rng = random(77);
const table = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const other = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const scaled = scaledTable(rng, 12);
const scaledPart = gaussianSample(rng, scaled, [500]);
const mixedPart = mixtureSample(rng, [100], { components: 2, weights: true });
const parts: Sample[] = [
  factorizedSample(rng, table, [1, 7, 6, 5]),
  scaledPart,
  indexedSample(rng, table, [400]),
  mixedPart,
];

/** The packet with another header. */
const withHeader = (packet: Uint8Array, change: Partial<Header>) =>
  writePacket({ ...parsePacket(packet), ...change }, 0);

for (const { name, codec } of builds) {
  const packet = writeParts(codec, parts);
  const checked = writeParts(codec, parts, { lanes: 8, checksum: false, guard: { absolute: 5e-4 } });
  const good = () => readParts(codec, packet, parts);
  const open = (bytes = packet) => codec.reader(bytes);
  const readAll = (bytes: Uint8Array, list: readonly Sample[] = parts) => {
    const reader = open(bytes);
    for (const part of list) reader.read(part.prior(codec), part.reference.kind === "rows" ? { dims: part.dims } : {});
    reader.finish();
  };

  test(`${name}: too few reads`, () => {
    for (let count = 0; count < parts.length; count++) {
      const reader = open();
      for (let i = 0; i < count; i++) readPart(reader, codec, parts[i], false);
      throwsCode(() => reader.finish(), "SHAPE_MISMATCH");
      good();
    }
  });

  test(`${name}: too many reads`, () => {
    const reader = open();
    for (const part of parts) readPart(reader, codec, part, false);
    throwsCode(() => reader.read(codec.gaussian(Float32Array.of(1))), "SHAPE_MISMATCH");
    good();
    // Without symbols there is nothing that a read could lack, but the checks count the parts.
    const counted = open(checked);
    for (const part of parts) readPart(counted, codec, part, false);
    throwsCode(() => {
      counted.read(codec.gaussian(new Float32Array(0)));
      counted.finish();
    }, "SHAPE_MISMATCH");
  });

  test(`${name}: a part of another size, a shape of another prior`, () => {
    const later = (prior: () => Prior, before: number, code: string | string[]) => {
      const reader = open();
      for (let i = 0; i < before; i++) readPart(reader, codec, parts[i], false);
      throwsCode(() => {
        reader.read(prior());
        reader.finish();
      }, code);
      good();
    };
    const garbage = ["SHAPE_MISMATCH", "CORRUPTED", "TRUNCATED"];
    later(() => codec.gaussian(new Float32Array(1_000_000).fill(1)), 1, "SHAPE_MISMATCH");
    later(() => codec.gaussian(new Float32Array(499).fill(1), { ...scaled }), 1, garbage);
    // The packet says [1, 7, 6, 5]: not 6 channels, and not on another axis.
    const six = makeTable(rng, { rows: 6, entries: 30, flavour: "peaked" });
    later(() => codec.factorized(six), 0, "SHAPE_MISMATCH");
    later(() => codec.factorized(table, { axis: 2 }), 0, "SHAPE_MISMATCH");
    later(() => codec.factorized(table, { axis: 6 }), 0, "SHAPE_MISMATCH");
    // There is one shape, and the second part's it is not.
    later(() => codec.factorized(table), 1, "SHAPE_MISMATCH");
    // A shape that nobody asks for.
    later(() => codec.indexed(table, new Uint16Array(210)), 0, garbage);
  });

  test(`${name}: expected dims that are others`, () => {
    const reader = open();
    throwsCode(() => reader.read(parts[0].prior(codec), { dims: [1, 7, 5, 6] }), "SHAPE_MISMATCH");
    throwsCode(() => open().read(parts[0].prior(codec), { dims: [7, 6, 5] }), "SHAPE_MISMATCH");
    assert.equal(open().read(parts[0].prior(codec), { dims: [1, 7, 6, 5] }).dims, [1, 7, 6, 5]);
    good();
  });

  test(`${name}: wrong tables are named at the end`, () => {
    // The rows are as wide and the offsets the same, so only the fingerprint can tell.
    const alike = { ...table, cdfs: table.cdfs.map((cdf) => [...cdf]) };
    const row = alike.cdfs.findIndex((cdf) => cdf.length > 5);
    const list = [parts[0], parts[1], parts[3]];
    const bytes = writeParts(codec, list, { checksum: false });
    const widest = alike.cdfs[row];
    for (let k = 1; k < widest.length - 1; k++)
      if (widest[k] + 1 < widest[k + 1]) {
        widest[k]++;
        break;
      }
    const reader = open(bytes);
    throwsCode(() => {
      reader.read(codec.factorized(alike));
      reader.read(list[1].prior(codec));
      reader.read(list[2].prior(codec));
      reader.finish();
    }, ["WRONG_PRIOR", "CORRUPTED", "TRUNCATED"]);
    // Symbols that cost nothing do not disturb the stream: here it is the fingerprint and nothing else.
    const certain = [0, 1].map((offset) => ({ offsets: [offset], cdfs: [[0, 65535, 65536]] }));
    const quiet = indexedSample(rng, certain[0], [40]);
    const sure = {
      ...quiet,
      symbols: new Int32Array(40),
      latent: { ...quiet.latent, data: new Int32Array(40) },
      values: new Float32Array(40),
    };
    const otherPrior = codec.indexed(certain[1], new Uint8Array(40));
    for (const fingerprint of [true, false]) {
      const wrong = open(writeParts(codec, [sure, sure], { fingerprint }));
      wrong.read(otherPrior);
      wrong.read(sure.prior(codec));
      if (fingerprint) throwsCode(() => wrong.finish(), "WRONG_PRIOR");
      else wrong.finish();
    }
    good();
  });

  test(`${name}: parts in another order`, () => {
    const order = [parts[2], parts[1], parts[0], parts[3]];
    throwsCode(() => readAll(packet, order), ["SHAPE_MISMATCH", "CORRUPTED", "TRUNCATED", "WRONG_PRIOR"]);
    // The second part has corrections.
    throwsCode(() => readAll(checked, [parts[0], parts[2], parts[1], parts[3]]), ["MODEL_MISMATCH", "CORRUPTED"]);
    good();
  });

  test(`${name}: MODEL_MISMATCH names the part, before a symbol is returned`, () => {
    const { reference } = scaledPart;
    // In the first and the last row another scale is in the same row still.
    const at = reference.scales.findIndex((s) => s > scaled.scaleTable[1] && s < scaled.scaleTable[5]);
    const scales = reference.scales.map((s, i) => (i === at ? s * 1.5 : s));
    const reader = open(checked);
    readPart(reader, codec, parts[0], false);
    const out = new Float32Array(500).fill(7);
    throwsCode(
      () => reader.read(codec.gaussian(scales, { table: scaled.table, scaleTable: scaled.scaleTable }), { out }),
      "MODEL_MISMATCH",
      /part 1\b/,
    );

    assert.ok(
      out.every((value) => value === 7),
      "symbols of a part that does not fit",
    );
    const wrongRows = open(checked);
    readPart(wrongRows, codec, parts[0], false);
    readPart(wrongRows, codec, parts[1], false);
    throwsCode(() => wrongRows.read(codec.indexed(other, new Uint16Array(400))), "MODEL_MISMATCH", /part 2\b/);
    good();
  });

  test(`${name}: a mixture whose parameters are others`, () => {
    const { components, kind, support, means, scales, weights = means } = mixedPart.reference.mixture;
    const read = (change: { means?: Float32Array; scales?: Float32Array; weights?: Float32Array }) => {
      const reader = open(checked);
      for (const part of parts.slice(0, 3)) readPart(reader, codec, part, false);
      reader.read(codec.mixture({ weights, means, scales, ...change }, { components, kind, support, dims: [100] }));
      reader.finish();
    };
    read({});
    const moved = (values: Float32Array, by: number) => values.map((v, i) => (i === 3 ? v + by : v));
    throwsCode(() => read({ means: moved(means, 1 / 32) }), "MODEL_MISMATCH");
    throwsCode(() => read({ weights: moved(weights, 0.01) }), "MODEL_MISMATCH");
    throwsCode(() => read({ scales: moved(scales, 30) }), "MODEL_MISMATCH");
  });

  test(`${name}: a correction where there are no scales`, () => {
    const start = parts[0].symbols.length + parts[1].symbols.length;
    for (const at of [0, start, start + parts[2].symbols.length - 1]) {
      const bytes = withHeader(checked, { corrections: [at], indexChecks: undefined });
      throwsCode(() => readAll(bytes), "CORRUPTED");
      // It is said with the part that should have taken it.
      if (at === 0) throwsCode(() => open(bytes).read(parts[0].prior(codec)), "CORRUPTED");
    }
    for (const part of [parts[0], parts[2]]) {
      const one = withHeader(writeParts(codec, [part], { checksum: false }), { corrections: [7] });
      throwsCode(() => readAll(one, [part]), "CORRUPTED");
      throwsCode(() => codec.decode(one, part.prior(codec)), "CORRUPTED");
    }
    good();
  });

  test(`${name}: a correction behind the last parameter`, () => {
    const { n, corrections } = parsePacket(checked) as Header & { n: number };
    const last = n + 5 * parts[3].symbols.length;
    for (const list of [
      [...corrections, last],
      [...corrections, last + 2 ** 30],
    ]) {
      const reader = open(withHeader(checked, { corrections: list }));
      parts.forEach((part, i) => {
        readPart(reader, codec, part, i % 2 === 0);
      });
      throwsCode(() => reader.finish(), "CORRUPTED");
    }
    good();
  });

  test(`${name}: a correction of weights that are left out`, () => {
    const part = mixtureSample(rng, [60], { components: 2, weights: false });
    const bytes = writeParts(codec, [part], { checksum: false });
    throwsCode(() => readAll(withHeader(bytes, { corrections: [7, 9] }), [part]), "CORRUPTED");
    readParts(codec, bytes, [part]);
  });

  test(`${name}: a correction where there is one scale`, () => {
    const lone = { table: { offsets: [-1], cdfs: [[0, 100, 60000, 65535, 65536]] }, scaleTable: Float32Array.of(0.5) };
    const part = gaussianSample(rng, lone, [60]);
    const bytes = writeParts(codec, [part], { checksum: false, guard: 0.01 });
    assert.equal(parsePacket(bytes).corrections, []);
    readParts(codec, bytes, [part]);
    throwsCode(() => readAll(withHeader(bytes, { corrections: [5] }), [part]), "CORRUPTED");
  });

  test(`${name}: NaN scales on either side`, () => {
    const scales = new Float32Array(500).fill(1);
    scales[321] = Number.NaN;
    const reader = open();
    readPart(reader, codec, parts[0], false);
    throwsCode(() => reader.read(codec.gaussian(scales)), "NON_FINITE", /321/);
    const writer = codec.writer();
    const zeros = { type: "int32", dims: [500], data: new Int32Array(500) };
    throwsCode(() => writer.write(zeros, codec.gaussian(scales)), "NON_FINITE", /321/);
    writer.write(zeros, codec.gaussian(scales.fill(1)));
    assert.ok(writer.finish().length > 0);
    good();
  });

  test(`${name}: a write that fails leaves the writer as it was, corrections included`, () => {
    const floats = (...data: number[]) => ({ type: "float32", dims: [data.length], data: Float32Array.from(data) });
    // Of more than a chunk, with a correction in most places, and wrong only at its end.
    const n = 70_000;
    const boundary = (last: number) => Object.assign(new Float32Array(n).fill(scaled.scaleTable[3]), { [n - 1]: last });
    const sigmas = { table: scaled.table, scaleTable: scaled.scaleTable };
    const zeros = { type: "int32", dims: [n], data: new Int32Array(n) };
    const bad = floats(...new Float32Array(n).fill(0.25));
    bad.data[n - 1] = Number.NaN;
    const mixture = (last: number) => {
      const values = Object.assign(new Float32Array(2000).fill(0.5 / 64), { 1999: last });
      return codec.mixture({ means: values, scales: new Float32Array(2000).fill(1) });
    };
    for (const guard of [0, 2e-4]) {
      const options = { guard, indexChecks: true };
      const expected = writeParts(codec, parts, options);
      const writer = codec.writer(options);
      const refuse = (latent: TensorLike, prior: Prior, code: string) => {
        const before = writer.corrections;
        throwsCode(() => writer.write(latent, prior), code);
        throwsCode(() => writer.write(latent, prior, { dequantize: true }), code);
        assert.is(writer.corrections, before);
      };
      for (const part of parts) {
        refuse(floats(1, Number.NaN), codec.gaussian(Float32Array.of(1, 1)), "NON_FINITE");
        refuse(floats(1, 1e20), codec.gaussian(Float32Array.of(1, 1)), "OUT_OF_RANGE");
        refuse(floats(1, 2, 3), codec.gaussian(Float32Array.of(1, 1)), "SHAPE_MISMATCH");
        refuse(floats(1, 2, 3), codec.factorized(table), "SHAPE_MISMATCH");
        refuse(zeros, codec.gaussian(boundary(Number.NaN), sigmas), "NON_FINITE");
        refuse(bad, codec.gaussian(boundary(1), sigmas), "NON_FINITE");
        refuse({ ...zeros, dims: [2000], data: zeros.data.subarray(0, 2000) }, mixture(Number.NaN), "NON_FINITE");
        writer.write(part.latent, part.prior(codec));
      }
      assert.is(writer.corrections, parsePacket(expected).corrections.length);
      assert.equal(writer.finish(), expected);
    }
    // A guard that is too wide is noticed at any place, and leaves nothing either.
    const writer = codec.writer({ guard: 1e-5 });
    const latent = { ...zeros, dims: [2000], data: zeros.data.subarray(0, 2000) };
    throwsMistake(() => writer.write(latent, mixture(3e4)), RangeError, "guard");
    assert.is(writer.corrections, 0);
    writer.write(parts[2].latent, parts[2].prior(codec));
    assert.equal(writer.finish(), writeParts(codec, [parts[2]], { guard: 1e-5 }));
  });

  test(`${name}: a finished writer, a finished or closed reader`, () => {
    const writer = codec.writer();
    writer.write(parts[2].latent, parts[2].prior(codec));
    writer.finish();
    assert.throws(() => writer.write(parts[2].latent, parts[2].prior(codec)));
    assert.throws(() => writer.finish());
    assert.throws(() => writer.sequence());
    const unfinished = codec.writer();
    unfinished.write(parts[2].latent, parts[2].prior(codec));
    unfinished.sequence();
    unfinished.close();
    unfinished.close();
    assert.throws(() => unfinished.write(parts[2].latent, parts[2].prior(codec)));
    assert.throws(() => unfinished.finish());
    const reader = open();
    readPart(reader, codec, parts[0], false);
    reader.close();
    reader.close();
    assert.throws(() => reader.read(parts[1].prior(codec)));
    assert.throws(() => reader.finish());
    const done = open();
    for (const part of parts) readPart(done, codec, part, false);
    done.finish();
    assert.throws(() => done.read(parts[0].prior(codec)));
    done.close();
    // After an error the reader is closed.
    const failed = open();
    throwsCode(() => failed.read(codec.gaussian(new Float32Array(1e6).fill(1))), "SHAPE_MISMATCH");
    assert.throws(() => failed.read(parts[0].prior(codec)));
    failed.close();
    good();
  });

  test(`${name}: arguments that are none`, () => {
    throwsMistake(() => codec.writer({ lanes: 4 as 8 }), RangeError, "lanes");
    throwsMistake(() => codec.writer({ format: "zip" as "packet" }), TypeError, "format");
    throwsMistake(() => codec.writer({ guard: -1 }), RangeError, "guard");
    throwsMistake(() => codec.writer({ guard: Number.NaN }), RangeError, "guard");
    throwsMistake(() => codec.writer({ guard: { relative: Number.POSITIVE_INFINITY } }), RangeError, "guard");
    throwsMistake(() => codec.reader("packet" as unknown as Uint8Array), TypeError, "packet");
    throwsMistake(() => codec.writer().write(parts[0].latent, {} as never), TypeError, "prior");
    throwsMistake(() => open().read({} as never), TypeError, "prior");
    throwsMistake(() => codec.writer().finishStrings(), TypeError, "format");
    const [elsewhere] = builds.filter((build) => build.codec !== codec);
    assert.throws(() => codec.writer().write(parts[0].latent, parts[0].prior(elsewhere.codec)));
    throwsCode(() => codec.mixture({ means: new Float32Array(4), scales: new Float32Array(3) }), "SHAPE_MISMATCH");
    const four = { means: new Float32Array(4), scales: new Float32Array(4) };
    throwsMistake(() => codec.mixture(four, { components: 17 }), RangeError, "components");
    throwsCode(() => codec.mixture(four, { components: 3 }), "SHAPE_MISMATCH");
    throwsMistake(() => codec.mixture(four, { support: [3, 2] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { support: [0, 4096] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { support: [-32769, 0] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { kind: "cauchy" as "laplace" }), TypeError, "kind");
    const latent = { type: "int32", dims: [4], data: new Int32Array(4) };
    throwsMistake(() => codec.encode(latent, codec.mixture(four), { stream: "compressai" }), TypeError, "mixture");
    // A check of 2 bytes is the compact form's.
    for (const checksum of [2, 3, "yes"] as never[]) {
      throwsMistake(() => codec.encode(latent, codec.mixture(four), { checksum }), TypeError, "checksum");
      throwsMistake(() => codec.writer({ checksum }), TypeError, "checksum");
      throwsMistake(() => codec.reader(packet, { checksum }), TypeError, "checksum");
      throwsMistake(() => codec.decode(packet, codec.mixture(four), { checksum }), TypeError, "checksum");
    }
    for (const call of [
      () => codec.writer({ header: "some" as never }),
      () => codec.reader(packet, { header: "some" as never }),
    ])
      throwsMistake(call, TypeError, "header");
    for (const option of [{ guard: 1e-3 }, { indexChecks: true }])
      throwsMistake(() => codec.writer({ format: "strings", ...option }), TypeError, "strings");
    throwsMistake(() => codec.reader(packet, { maxElements: -1 }), RangeError, "maxElements");
    throwsMistake(() => codec.reader(packet, { maxElements: Number.NaN }), RangeError, "maxElements");
    good();
  });
}

test.run();

// What is said of a packet, a reader or a writer that is used wrongly, and that the codec goes on afterwards.
import { Worker } from "node:worker_threads";
import type { TensorLike } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeTable, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";
import { fullBuilds } from "./full-builds.js";
import { reseal } from "./mutate.js";
import { factorizedPart, gaussianPart, indexedPart, mixturePart, type PartCase, scaledTable } from "./parts-cases.js";
import { readPart, readParts, toReference, writeParts } from "./parts-io.js";
import { encodeParts, type PartsHeader, parseParts, writeParts as writeByHand } from "./reference.js";

const rng = random(77);
const table = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const other = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked" });
const scaled = scaledTable(rng, 12);
const parts = [
  factorizedPart(rng, table, [1, 7, 6, 5]),
  gaussianPart(rng, scaled, [500]),
  indexedPart(rng, table, [400]),
  mixturePart(rng, [100], { components: 2, weights: true }),
];
const all = { lanes: 8, checksum: false, fingerprint: true, indexChecks: true } as const;

function edited(packet: Uint8Array, at: number, value: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = value;
  return copy;
}

/** The packet with another header. */
function withHeader(packet: Uint8Array, change: Partial<PartsHeader>): Uint8Array {
  const { stream, ...header } = parseParts(packet);
  return writeByHand({ ...header, ...change }, stream);
}

for (const { name, codec } of fullBuilds) {
  const packet = writeParts(codec, parts);
  const checked = writeParts(codec, parts, { ...all, guard: { absolute: 5e-4 } });
  const good = () => readParts(codec, packet, parts);
  const open = (bytes = packet) => codec.reader(bytes);
  const readAll = (bytes: Uint8Array, list: readonly PartCase[] = parts) => {
    const reader = open(bytes);
    for (const part of list) reader.read(part.prior(codec), part.reference.kind === "rows" ? { dims: part.dims } : {});
    reader.finish();
  };

  test(`${name}: what is no packet of several parts`, () => {
    const single = codec.encode(parts[2].latent, parts[2].prior(codec));
    throwsCode(() => open(single), "UNSUPPORTED_VERSION");
    throwsCode(() => codec.decode(packet, parts[2].prior(codec)), "UNSUPPORTED_VERSION");
    throwsCode(() => open(new Uint8Array(0)), "TRUNCATED");
    throwsCode(() => open(packet.subarray(0, 3)), "TRUNCATED");
    throwsCode(() => open(new Uint8Array(64)), "NOT_A_PACKET");
    throwsCode(() => open(edited(packet, 1, 0x5b)), "NOT_A_PACKET");
    for (const bits of [0, 1, 2, 3, 4, 5, 6, 7, 8 + 1, 24 + 1, 16 + 2, 16])
      throwsCode(() => open(edited(packet, 2, (packet[2] & 0xe0) | bits)), "UNSUPPORTED_VERSION");
    good();
  });

  test(`${name}: every cut and every changed byte of a packet with a checksum`, () => {
    for (let length = 4; length < packet.length; length++)
      throwsCode(() => open(packet.slice(0, length)), ["TRUNCATED", "CORRUPTED"]);
    for (let at = 3; at < packet.length; at++)
      throwsCode(() => open(edited(packet, at, packet[at] ^ (1 + (at % 255)))), "CORRUPTED");
    good();
  });

  test(`${name}: every cut of a packet without one`, () => {
    const bare = writeParts(codec, parts, { checksum: false, lanes: 16 });
    const cut = (length: number) => readAll(bare.slice(0, length));
    // The last words are the tail's, whose one lane may sink to 0 too early and end well (docs/determinism.md 5).
    const sure = bare.length - 8;
    for (let length = 0; length < sure; length++)
      throwsCode(() => cut(length), ["TRUNCATED", "CORRUPTED", "SHAPE_MISMATCH"]);
    throwsCode(() => cut(bare.length - 1), ["TRUNCATED", "CORRUPTED"]);
    throwsCode(() => readAll(Uint8Array.from([...bare, 0])), "CORRUPTED");
    good();
  });

  test(`${name}: a header that breaks its rules`, () => {
    const { form, corrections, checks } = parseParts(checked);
    assert.ok(corrections.length > 1 && checks.length === parts.length);
    const corrupted = (bytes: Uint8Array) => throwsCode(() => open(bytes), "CORRUPTED");
    corrupted(reseal(edited(packet, 1, packet[1] | 4)));
    corrupted(edited(checked, 3, checked[3] | 4));
    corrupted(edited(checked, 3, checked[3] & 0x0f));
    corrupted(edited(checked, 3, checked[3] & 0xfc));
    corrupted(withHeader(checked, { n: 2 ** 31 }));
    // Flags for sections of no entries.
    const none = encodeParts(toReference([parts[2]]), { ...all, indexChecks: false });
    const at = 4 + 4 + 2;
    const inserted = (bit: number, bytes: number[]) =>
      Uint8Array.from([...edited(none, 2, none[2] | bit).subarray(0, at), ...bytes, ...none.subarray(at)]);
    for (const bit of [64, 128]) corrupted(inserted(bit, [0]));
    // Shapes: no rank, a stray bit, a batch of one written out, a length that is not minimal, an overflowing product.
    for (const shape of [[0], [0x08], [0x21, 5], [0x42, 1, 5], [0x01, 1], [0x02, 1, 5], [0x01, 0x85, 0x00]])
      corrupted(inserted(32, shape));
    corrupted(inserted(32, [0x02, 0xff, 0xff, 0x03, 0xff, 0xff, 0x03]));
    throwsCode(() => open(withHeader(checked, { checks: [] }).slice(0, 9)), "TRUNCATED");
    assert.is(form.lanes, 8);
    good();
  });

  test(`${name}: n beyond maxElements`, () => {
    const { n } = parseParts(packet);
    throwsCode(() => codec.reader(packet, { maxElements: n - 1 }), "LIMIT_EXCEEDED");
    readParts(codec, packet, parts, { maxElements: n });
    throwsCode(() => open(withHeader(checked, { n: 2 ** 24 + 1 })), "LIMIT_EXCEEDED");
    throwsCode(() => open(withHeader(checked, { n: 2 ** 31 - 1 })), "LIMIT_EXCEEDED");
    good();
  });

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
    const later = (prior: () => ReturnType<PartCase["prior"]>, before: number, code: string | string[]) => {
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
    }, ["WRONG_TABLES", "CORRUPTED", "TRUNCATED"]);
    // Symbols that cost nothing do not disturb the stream: here it is the fingerprint and nothing else.
    const certain = [0, 1].map((offset) => ({ offsets: [offset], cdfs: [[0, 65535, 65536]] }));
    const quiet = indexedPart(rng, certain[0], [40]);
    const sure = {
      ...quiet,
      symbols: new Int32Array(40),
      latent: { ...quiet.latent, data: new Int32Array(40) },
      values: new Float32Array(40),
    };
    const silent = writeParts(codec, [sure]);
    const wrong = open(silent);
    wrong.read(codec.indexed(certain[1], new Uint8Array(40)));
    throwsCode(() => wrong.finish(), "WRONG_TABLES");
    const unmarked = open(writeParts(codec, [sure], { fingerprint: false }));
    unmarked.read(codec.indexed(certain[1], new Uint8Array(40)));
    unmarked.finish();
    good();
  });

  test(`${name}: a mixture of another kind is another table`, () => {
    const part = mixturePart(rng, [1], { kind: "gaussian", components: 1, support: [0, 0] });
    const one = { type: "int32", dims: [1], data: Int32Array.of(0) };
    const writer = codec.writer();
    const parameters = { means: Float32Array.of(0), scales: Float32Array.of(1) };
    const shape = { support: [0, 0], dims: [1] } as const;
    writer.write(one, codec.mixture(parameters, shape));
    const bytes = writer.finish();
    const reader = open(bytes);
    reader.read(codec.mixture(parameters, { ...shape, kind: "laplace" }));
    throwsCode(() => reader.finish(), "WRONG_TABLES");
    const right = open(bytes);
    assert.equal([...right.read(codec.mixture(parameters, shape)).data], [0]);
    right.finish();
    assert.ok(part.symbols.length === 1);
  });

  test(`${name}: parts in another order`, () => {
    const order = [parts[2], parts[1], parts[0], parts[3]];
    throwsCode(() => readAll(packet, order), ["SHAPE_MISMATCH", "CORRUPTED", "TRUNCATED", "WRONG_TABLES"]);
    // The second part has corrections.
    throwsCode(() => readAll(checked, [parts[0], parts[2], parts[1], parts[3]]), ["MODEL_MISMATCH", "CORRUPTED"]);
    good();
  });

  test(`${name}: MODEL_MISMATCH names the part, before a symbol is returned`, () => {
    const reference = parts[1].reference;
    if (reference.kind !== "scales") throw new Error("not the part it was made as");
    // In the first and the last row another scale is in the same row still.
    const at = reference.scales.findIndex((s) => s > scaled.scaleTable[1] && s < scaled.scaleTable[5]);
    const scales = reference.scales.map((s, i) => (i === at ? s * 1.5 : s));
    const reader = open(checked);
    readPart(reader, codec, parts[0], false);
    const out = new Float32Array(500).fill(7);
    const message = throwsCode(
      () => reader.read(codec.gaussian(scales, { table: scaled.table, scaleTable: scaled.scaleTable }), { out }),
      "MODEL_MISMATCH",
    );
    assert.match(message, /part 1\b/);
    assert.ok(
      out.every((value) => value === 7),
      "symbols of a part that does not fit",
    );
    const wrongRows = open(checked);
    readPart(wrongRows, codec, parts[0], false);
    readPart(wrongRows, codec, parts[1], false);
    assert.match(
      throwsCode(() => wrongRows.read(codec.indexed(other, new Uint16Array(400))), "MODEL_MISMATCH"),
      /part 2\b/,
    );
    good();
  });

  test(`${name}: a mixture whose parameters are others`, () => {
    const mixture = parts[3].reference;
    if (mixture.kind !== "mixture" || !mixture.mixture.weights) throw new Error("not the part it was made as");
    const { weights } = mixture.mixture;
    const { components, kind, support, means, scales } = mixture.mixture;
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
    for (const at of [0, start, start + parts[2].symbols.length]) {
      const bytes = withHeader(checked, { corrections: [at], checks: [] });
      throwsCode(() => readAll(bytes), "CORRUPTED");
    }
    good();
  });

  test(`${name}: a correction behind the last parameter`, () => {
    const { n, corrections } = parseParts(checked);
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
    const part = mixturePart(rng, [60], { components: 2, weights: false });
    const bytes = writeParts(codec, [part], { checksum: false });
    throwsCode(() => readAll(withHeader(bytes, { corrections: [7, 9] }), [part]), "CORRUPTED");
    readParts(codec, bytes, [part]);
  });

  test(`${name}: a correction where there is one scale`, () => {
    const lone = { table: { offsets: [-1], cdfs: [[0, 100, 60000, 65535, 65536]] }, scaleTable: Float32Array.of(0.5) };
    const part = gaussianPart(rng, lone, [60]);
    const bytes = writeParts(codec, [part], { checksum: false, guard: 0.01 });
    assert.equal(parseParts(bytes).corrections, []);
    readParts(codec, bytes, [part]);
    throwsCode(() => readAll(withHeader(bytes, { corrections: [5] }), [part]), "CORRUPTED");
  });

  test(`${name}: NaN scales on either side`, () => {
    const scales = new Float32Array(500).fill(1);
    scales[321] = Number.NaN;
    const reader = open();
    readPart(reader, codec, parts[0], false);
    assert.match(
      throwsCode(() => reader.read(codec.gaussian(scales)), "NON_FINITE"),
      /321/,
    );
    const writer = codec.writer();
    const zeros = { type: "int32", dims: [500], data: new Int32Array(500) };
    assert.match(
      throwsCode(() => writer.write(zeros, codec.gaussian(scales)), "NON_FINITE"),
      /321/,
    );
    writer.write(zeros, codec.gaussian(scales.fill(1)));
    assert.ok(writer.finish().length > 0);
    good();
  });

  test(`${name}: a writer that refused a part writes the others`, () => {
    const expected = writeParts(codec, parts);
    const writer = codec.writer();
    const refuse = (latent: TensorLike, prior: ReturnType<PartCase["prior"]>, code: string) =>
      throwsCode(() => writer.write(latent, prior), code);
    const floats = (...data: number[]) => ({ type: "float32", dims: [data.length], data: Float32Array.from(data) });
    for (const part of parts) {
      refuse(floats(1, Number.NaN), codec.gaussian(Float32Array.of(1, 1)), "NON_FINITE");
      refuse(floats(1, 1e20), codec.gaussian(Float32Array.of(1, 1)), "OUT_OF_RANGE");
      refuse(floats(1, 2, 3), codec.gaussian(Float32Array.of(1, 1)), "SHAPE_MISMATCH");
      refuse(floats(1, 2, 3), codec.factorized(table), "SHAPE_MISMATCH");
      writer.write(part.latent, part.prior(codec));
    }
    assert.equal(writer.finish(), expected);
  });

  test(`${name}: a finished writer, a finished or closed reader`, () => {
    const writer = codec.writer();
    writer.write(parts[2].latent, parts[2].prior(codec));
    writer.finish();
    assert.throws(() => writer.write(parts[2].latent, parts[2].prior(codec)));
    assert.throws(() => writer.finish());
    assert.throws(() => writer.sequence());
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

  test(`${name}: as many elements in another shape`, () => {
    const of = (...dims: number[]) => ({ type: "float32", dims, data: new Float32Array(64).fill(1) });
    const latent = of(1, 4, 2, 8);
    const refuse = (call: () => unknown, message: RegExp) => assert.match(throwsCode(call, "SHAPE_MISMATCH"), message);
    refuse(() => codec.writer().write(latent, codec.gaussian(of(1, 4, 8, 2))), /\[1,4,8,2\], the part \[1,4,2,8\]/);
    refuse(
      () => codec.gaussian(latent, { means: of(1, 4, 8, 2) }),
      /means have the shape \[1,4,8,2\], the scales \[1,4,2,8\]/,
    );
    const mixed = { components: 2, means: of(1, 4, 2, 8), scales: of(1, 4, 2, 8) };
    refuse(() => codec.mixture({ ...mixed, weights: of(1, 4, 8, 2) }, mixed), /weights have the shape/);
    refuse(() => codec.mixture({ ...mixed, means: of(1, 2, 4, 8) }, mixed), /means have the shape/);
    const writer = codec.writer();
    for (const scales of [of(64), of(4, 2, 8), of(1, 4, 2, 8), new Float32Array(64).fill(1)])
      writer.write(latent, codec.gaussian(scales, { means: of(64) }));
    const reader = codec.reader(writer.finish());
    refuse(() => reader.read(codec.gaussian(latent), { dims: [1, 4, 8, 2] }), /\[1,4,2,8\], the part \[1,4,8,2\]/);
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
    const [elsewhere] = fullBuilds.filter((build) => build.codec !== codec);
    assert.throws(() => codec.writer().write(parts[0].latent, parts[0].prior(elsewhere.codec)));
    throwsCode(() => codec.mixture({ means: new Float32Array(4), scales: new Float32Array(3) }), "SHAPE_MISMATCH");
    const four = { means: new Float32Array(4), scales: new Float32Array(4) };
    throwsMistake(() => codec.mixture(four, { components: 17 }), RangeError, "components");
    throwsCode(() => codec.mixture(four, { components: 3 }), "SHAPE_MISMATCH");
    throwsMistake(() => codec.mixture(four, { support: [3, 2] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { support: [0, 4096] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { support: [-32769, 0] }), RangeError, "support");
    throwsMistake(() => codec.mixture(four, { kind: "cauchy" as "laplace" }), TypeError, "kind");
    assert.throws(() => codec.encode({ type: "int32", dims: [4], data: new Int32Array(4) }, codec.mixture(four)));
    good();
  });
}

test("packets of nothing but shapes, corrections or checks need no more memory than their bytes", async () => {
  // 64 MB of heap: lists of all entries would end the worker.
  const code = `
    const { parentPort } = require("node:worker_threads");
    (async () => {
      const { create, inspect } = await import("latentwire/full");
      const codec = await create();
      const packets = [];
      const flood = (sections, count, entry) => {
        const packet = new Uint8Array(8_000_000).fill(entry);
        packet.set([0x4c, 0x50, 1 | (2 << 3) | (sections << 5), 0, 1]);
        for (let i = 5; count > 0; i++, count = Math.floor(count / 128)) packet[i] = (count % 128) | (count < 128 ? 0 : 128);
        packets.push(packet);
        return packet;
      };
      flood(1, 0, 25)[7_999_999] = 9; // [1], another follows
      const empty = flood(1, 0, 0); // [0], another follows
      for (let i = 5; i < empty.length; i += 2) empty[i] = 17;
      empty[7_999_997] = 1;
      flood(2, 7_999_900, 0);
      flood(4, 3_999_900, 0);
      const outcomes = packets.map((packet) => {
        const said = [() => codec.reader(packet).close(), () => inspect(packet)].map((call) => {
          try {
            call();
            return "read";
          } catch (error) {
            return error.code;
          }
        });
        return said.join();
      });
      parentPort.postMessage(outcomes);
    })();`;
  const worker = new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 64 } });
  const outcomes = await new Promise((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
  });
  await worker.terminate();
  assert.equal(outcomes, ["read,LIMIT_EXCEEDED", "read,LIMIT_EXCEEDED", "CORRUPTED,read", "CORRUPTED,read"]);
});

test.run();

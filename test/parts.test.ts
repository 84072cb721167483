// Packets of several parts: the package's bytes are the reference's, and each reads the other's; docs/format.md section 8.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { laneCounts } from "./builds.js";
import { makeTable, random } from "./cases.js";
import { sameNumbers } from "./expect.js";
import { type FullCodec, fullBuilds } from "./full-builds.js";
import {
  anyPart,
  factorizedPart,
  gaussianPart,
  indexedPart,
  mixturePart,
  type PartCase,
  scaledTable,
} from "./parts-cases.js";
import { readParts, toReference, writeParts } from "./parts-io.js";
import { decodeParts, encodeParts, parseParts } from "./reference.js";

const rng = random(2025);
const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random" });
const medians = makeTable(rng, { rows: 7, entries: 30, flavour: "peaked", medians: true });
const extreme = makeTable(rng, { rows: 5, entries: 200, flavour: "extreme" });
const certain = { offsets: [3], cdfs: [[0, 65536]] };
const scaled = scaledTable(rng, 12);
const empty = () => indexedPart(rng, mixed, [0]);

const packets: Record<string, PartCase[]> = {
  "no parts": [],
  "one empty part": [empty()],
  "empty parts of every kind": [
    empty(),
    factorizedPart(rng, medians, [0, 7, 3]),
    factorizedPart(rng, mixed, [1, 7, 0, 5]),
    gaussianPart(rng, scaled, [0, 4]),
    mixturePart(rng, [0]),
  ],
  "empty parts among others": [empty(), indexedPart(rng, mixed, [900]), empty(), empty(), indexedPart(rng, mixed, [1])],
  "one symbol": [indexedPart(rng, mixed, [1])],
  "one symbol, an escape": [indexedPart(rng, mixed, [1], { escapeRate: 1 })],
  "300 parts of one symbol": Array.from({ length: 300 }, () => indexedPart(rng, mixed, [1])),
  "a large part and parts of one symbol": [
    indexedPart(rng, mixed, [3000]),
    ...Array.from({ length: 40 }, () => gaussianPart(rng, scaled, [1])),
  ],
  "a tail over many parts": [
    indexedPart(rng, mixed, [2000]),
    ...Array.from({ length: 60 }, (_, i) => indexedPart(rng, i % 2 ? mixed : extreme, [9])),
  ],
  "a tail over parts of every kind": [
    factorizedPart(rng, mixed, [1, 7, 40, 5]),
    gaussianPart(rng, scaled, [77]),
    factorizedPart(rng, medians, [1, 7, 9]),
    mixturePart(rng, [50]),
    factorizedPart(rng, medians, [3, 7]),
    indexedPart(rng, mixed, [70]),
  ],
  "a tail in the middle of a run": [indexedPart(rng, mixed, [500]), factorizedPart(rng, medians, [1, 7, 300])],
  "long runs": [
    factorizedPart(rng, medians, [1, 7, 28, 28]),
    factorizedPart(rng, mixed, [2, 7, 100], 1, { step: 0.5 }),
  ],
  "runs around the lane counts": [7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65].map((run) =>
    factorizedPart(rng, mixed, [3, 7, run], 1, { escapeRate: 0.003 }),
  ),
  "every axis": [
    factorizedPart(rng, mixed, [7, 40], 0),
    factorizedPart(rng, mixed, [40, 7], 1),
    factorizedPart(rng, medians, [2, 3, 7, 5, 4], 2),
    factorizedPart(rng, medians, [7], 0),
    factorizedPart(rng, mixed, [1, 2, 1, 7, 2, 5, 3], 3),
  ],
  "parts with different tables": Array.from({ length: 12 }, (_, i) =>
    indexedPart(rng, makeTable(rng, { rows: 1 + i, entries: 3 + 5 * i, flavour: "peaked" }), [101 + i]),
  ),
  "part sizes around the lane counts": Array.from({ length: 70 }, (_, n) => gaussianPart(rng, scaled, [n])),
  "escapes everywhere": Array.from({ length: 8 }, (_, i) => indexedPart(rng, mixed, [3 + 40 * i], { escapeRate: 1 })),
  "escapes now and then, in parts of every kind": [
    factorizedPart(rng, medians, [1, 7, 20, 20], 1, { escapeRate: 0.01 }),
    indexedPart(rng, extreme, [1200], { escapeRate: 0.05 }),
    gaussianPart(rng, scaled, [1300], { escapeRate: 0.01 }),
    mixturePart(rng, [400], { escapeRate: 0.05 }),
  ],
  "int32 symbols": [indexedPart(rng, extreme, [800], { escapeRate: 0.5 }), factorizedPart(rng, extreme, [1, 5, 90])],
  "nothing to say": [factorizedPart(rng, certain, [1, 1, 700]), indexedPart(rng, certain, [900])],
  "means and steps": [
    indexedPart(rng, mixed, [700], { means: true, float: true }),
    indexedPart(rng, mixed, [700], { means: true, step: 0.25, float: true }),
    gaussianPart(rng, scaled, [1, 10, 70], { means: true, step: 7, float: true }),
    gaussianPart(rng, scaled, [700], { step: 0.1 }),
    factorizedPart(rng, medians, [1, 7, 100], 1, { step: 1.7, float: true }),
  ],
  "mixtures of each kind": (["gaussian", "laplace", "logistic"] as const).flatMap((kind) => [
    mixturePart(rng, [300], { kind, components: 1 }),
    mixturePart(rng, [1, 3, 50], { kind, components: 5, escapeRate: 0.02 }),
  ]),
  anything: Array.from({ length: 20 }, () => anyPart(rng, rng(900), 0.001)),
};

const options = { checksum: true, fingerprint: true, indexChecks: false };

for (const { name: build, codec } of fullBuilds) {
  for (const [name, parts] of Object.entries(packets)) {
    const symbols = parts.map((part) => part.symbols);
    const priors = parts.map(({ reference }) => reference);

    test(`${build}: packets are equal: ${name}`, () => {
      for (const lanes of [...laneCounts, "auto"] as const) {
        const packet = writeParts(codec, parts, { lanes });
        // How many lanes "auto" means is the encoder's choice; what follows from it is not.
        const used = lanes === "auto" ? parseParts(packet).form.lanes : lanes;
        sameNumbers(packet, encodeParts(toReference(parts), { ...options, lanes: used }), `${lanes} lanes`);
        assert.equal(decodeParts(packet, priors), symbols);
        readParts(codec, packet, parts);
      }
    });

    test(`${build}: guards and index checks: ${name}`, () => {
      // The widest that the mixtures here allow: means up to 14.
      const guard = parts.some(({ reference }) => reference.kind === "mixture") ? 2e-4 : 0.004;
      const packet = writeParts(codec, parts, { lanes: 8, guard, indexChecks: true, checksum: false });
      const again = encodeParts(toReference(parts, guard), {
        ...options,
        lanes: 8,
        indexChecks: true,
        checksum: false,
      });
      sameNumbers(packet, again);
      assert.equal(decodeParts(packet, priors), symbols);
      readParts(codec, packet, parts);
    });
  }

  test(`${build}: the package reads what the reference writes with lanes that it would not choose`, () => {
    for (const parts of Object.values(packets)) {
      for (const lanes of laneCounts) {
        for (const [checksum, fingerprint] of [
          [false, false],
          [true, false],
          [false, true],
        ]) {
          const packet = encodeParts(toReference(parts), { lanes, checksum, fingerprint, indexChecks: false });
          readParts(codec, packet, parts);
        }
      }
    }
  });

  test(`${build}: parts larger than any buffer of the kernels`, () => {
    const seeded = random(2026);
    const table = makeTable(seeded, { rows: 48, entries: 20, flavour: "peaked" });
    const parts = [
      gaussianPart(seeded, scaled, [70_001], { escapeRate: 0.0005, means: true, float: true }),
      factorizedPart(seeded, table, [1, 48, 56, 57], 1, { escapeRate: 0.0005 }),
      indexedPart(seeded, table, [5]),
      factorizedPart(seeded, table, [900, 48, 3], 1),
      mixturePart(seeded, [5000], { components: 2, support: [-20, 20] }),
      indexedPart(seeded, table, [66_000]),
    ];
    for (const lanes of [1, 8, 32] as const) {
      const packet = writeParts(codec, parts, { lanes, guard: 2e-4, indexChecks: true });
      sameNumbers(packet, encodeParts(toReference(parts, 2e-4), { ...options, lanes, indexChecks: true }));
      readParts(codec, packet, parts);
    }
  });

  test(`${build}: every combination of options`, () => {
    const parts = packets["a tail over parts of every kind"];
    for (let bits = 0; bits < 16; bits++) {
      const chosen = {
        checksum: !!(bits & 1),
        fingerprint: !!(bits & 2),
        indexChecks: !!(bits & 4),
        lanes: 16,
      } as const;
      const guard = bits & 8 ? 2e-4 : 0;
      const packet = writeParts(codec, parts, { ...chosen, guard });
      sameNumbers(packet, encodeParts(toReference(parts, guard), chosen));
      readParts(codec, packet, parts);
    }
  });

  test(`${build}: integer latents of every type, into every type`, () => {
    const table = makeTable(rng, { rows: 4, entries: 12, flavour: "peaked" });
    const part = indexedPart(rng, table, [2, 300], { step: 2, means: true });
    const prior = part.prior(codec);
    const arrays = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
    const packetOf = (type: keyof typeof arrays) => {
      const writer = codec.writer();
      const latent = { type, dims: part.dims, data: arrays[type].from(part.symbols) };
      sameNumbers(writer.write(latent, prior).data, part.values);
      return writer.finish();
    };
    const packet = packetOf("int32");
    for (const type of ["int8", "int16"] as const) assert.equal(packetOf(type), packet);
    for (const type of ["int8", "int16", "int32"] as const) {
      const reader = codec.reader(packet);
      const { data } = reader.read(prior, { type, dims: part.dims });
      assert.instance(data, arrays[type]);
      sameNumbers(data, part.symbols);
      reader.finish();
    }
  });

  test(`${build}: results go where the caller says`, () => {
    const parts = packets["means and steps"].slice(0, 2);
    const writer = codec.writer();
    for (const part of parts) {
      // In place: what is read afterwards stands where the latent was.
      const { data } = part.latent;
      if (!(data instanceof Float32Array)) throw new Error("a latent that is not float32");
      const own = data.slice();
      const result = writer.write({ ...part.latent, data: own }, part.prior(codec), { out: own });
      assert.is(result.data, own);
      sameNumbers(own, part.values);
    }
    const reader = codec.reader(writer.finish());
    const out = new Float32Array(parts[0].symbols.length);
    assert.is(reader.read(parts[0].prior(codec), { out, dims: parts[0].dims }).data, out);
    sameNumbers(out, parts[0].values);
    const symbols = new Int32Array(parts[1].symbols.length);
    assert.is(reader.read(parts[1].prior(codec), { type: "int32", out: symbols, dims: parts[1].dims }).data, symbols);
    sameNumbers(symbols, parts[1].symbols);
    reader.finish();
  });
}

test("both builds choose alike", () => {
  for (const parts of Object.values(packets)) {
    const [first, second] = fullBuilds.map(({ codec }) => writeParts(codec, parts));
    sameNumbers(first, second);
  }
});

/** The same latent as one part and as slices of its channels. */
function sliced(codec: FullCodec, channels: number, side: number, slices: number): Uint8Array {
  const seeded = random(41);
  const n = channels * side * side;
  const scales = Float32Array.from({ length: n }, () => 0.3 + 0.5 * seeded.unit());
  const data = Int32Array.from(scales, (s) =>
    Math.round((seeded.unit() + seeded.unit() + seeded.unit() - 1.5) * 2 * s),
  );
  const writer = codec.writer();
  for (let slice = 0; slice < slices; slice++) {
    const [from, to] = [slice, slice + 1].map((i) => (n / slices) * i);
    const dims = [1, channels / slices, side, side];
    writer.write({ type: "int32", dims, data: data.subarray(from, to) }, codec.gaussian(scales.subarray(from, to)));
  }
  return writer.finish();
}

test("ten slices in a packet of 3 KB cost at most 24 bytes more than one", () => {
  for (const { codec } of fullBuilds) {
    const [one, ten] = [1, 10].map((slices) => sliced(codec, 320, 8, slices));
    assert.ok(one.length > 2500 && one.length < 6000, `${one.length} bytes`);
    assert.ok(ten.length <= one.length + 24, `${ten.length} bytes in ten slices, ${one.length} in one`);
  }
});

test.run();

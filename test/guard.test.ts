// Parameters of another machine: within the guard every packet decodes to the same symbols, and without one failures are noticed; docs/determinism.md.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { builds, laneCounts, made } from "./builds.js";
import { gaussianSample, makeTable, mixtureSample, type Random, random, scaledTable } from "./cases.js";
import { sameNumbers, throwsMistake } from "./expect.js";
import {
  correctedIn,
  type Field,
  fieldOf,
  gaussianTrial,
  mixtureTrial,
  naturalScale,
  perturbed,
  read,
  type Trial,
  write,
  wrongSymbols,
} from "./guard-trial.js";
import { agree, agreementOf } from "./io.js";
import { correctedRow, parsePacket, type ReferenceGuard } from "./reference.js";

const errors = [1e-6, 1e-5, 1e-4, 1e-3];
const [simd, withoutSimd] = builds;

function symbolsOf(found: ReturnType<typeof read>): Int32Array[] {
  if (!Array.isArray(found)) throw found;
  return found;
}

type MakeTrial = (rng: Random, bound: ReferenceGuard, isHard: boolean) => Trial;
const gaussians: MakeTrial = (rng, bound, isHard) => gaussianTrial(rng, [20_000, 30_000], bound, isHard);
const mixtures: MakeTrial = (rng, bound, isHard) => mixtureTrial(rng, 8000, bound, isHard);

for (const [what, rounds, error, make] of [
  ...errors.map((error) => ["gaussians", 5, error, gaussians] as const),
  ...errors.slice(0, 3).map((error) => ["mixtures", 4, error, mixtures] as const),
])
  test(`${what}, a guard of ${error}: every symbol decodes alike on the other machine`, () => {
    const rng = random(Math.round(rounds / error));
    const bound = { relative: error, absolute: 0 };
    let flipped = 0;
    for (let round = 0; round < rounds; round++) {
      const trial = make(rng, bound, round % 2 === 1);
      const options = { guard: error, indexChecks: true };
      const { packet, corrections } = trial.write(simd.codec, options);
      sameNumbers(trial.write(withoutSimd.codec, options).packet, packet);
      const truth = symbolsOf(trial.read(simd.codec, packet, false));
      for (const { codec } of builds) assert.is(wrongSymbols(symbolsOf(trial.read(codec, packet, true)), truth), 0);
      // The corrections are those of the rule, and without them the packet would have failed.
      const expected = trial.corrected();
      assert.is(corrections, expected.length);
      assert.equal(parsePacket(packet).corrections, expected);
      const unguarded = trial.read(simd.codec, trial.write(simd.codec, { indexChecks: true }).packet, true);
      if (Array.isArray(unguarded)) continue;
      assert.is(unguarded.code, "MODEL_MISMATCH");
      flipped++;
    }
    assert.ok(flipped >= 2, `only ${flipped} of ${rounds} packets would have failed without a guard`);
  });

test("without a guard every failure is a MODEL_MISMATCH that names the part", () => {
  const rng = random(9);
  for (let round = 0; round < 60; round++) {
    const error = errors[round % 4];
    const fields = [3000, 3000].map((n) => fieldOf(rng, n, naturalScale(rng)));
    // One scale that the other machine has on the other side of a boundary.
    const part = rng(2);
    const at = rng(3000);
    const boundary = stockScales[5 + rng(30)];
    const moved = fields.map(({ scales, means }) => ({ scales: scales.slice(), means }));
    fields[part].scales[at] = boundary;
    moved[part].scales[at] = Math.fround(boundary * (1 + error));
    const codec = builds[round % 2].codec;
    const found = read(codec, write(codec, fields, { indexChecks: true }).packet, moved);
    if (Array.isArray(found)) throw new Error("the packet was read with another row");
    assert.is(found.code, "MODEL_MISMATCH");
    assert.match(found.message, new RegExp(`part ${part + 1}\\b`));
  }
});

test("without index checks a wrong row is noticed by the lanes' seeds, and with one lane it may not be", () => {
  const rng = random(10);
  const noticed = { 1: 0, 8: 0, 16: 0, 32: 0 };
  for (let round = 0; round < 30; round++) {
    const fields: Field[] = [fieldOf(rng, 4000, naturalScale(rng))];
    const scales = perturbed(rng, fields[0].scales, { relative: 0.02, absolute: 0 });
    for (const lanes of laneCounts) {
      const found = read(simd.codec, write(simd.codec, fields, { lanes }).packet, [{ ...fields[0], scales }]);
      if (!Array.isArray(found)) noticed[lanes]++;
    }
  }
  // A state that has run out of words sinks to 0 and stays there, which is where it should end: docs/determinism.md 5.
  assert.ok(noticed[8] >= 29 && noticed[16] >= 29 && noticed[32] >= 29, JSON.stringify(noticed));
  assert.ok(noticed[1] < 30, "if one lane notices all, docs/determinism.md may say so");
});

test("an absolute guard, and both kinds", () => {
  const rng = random(11);
  for (const bound of [
    { relative: 0, absolute: 1e-4 },
    { relative: 1e-4, absolute: 3e-4 },
  ]) {
    const fields = [fieldOf(rng, 60_000, naturalScale(rng))];
    const others = [{ scales: perturbed(rng, fields[0].scales, bound), means: fields[0].means }];
    const { packet } = write(simd.codec, fields, { guard: bound });
    assert.equal(parsePacket(packet).corrections, correctedIn(fields, bound));
    const truth = symbolsOf(read(simd.codec, packet, fields));
    assert.is(wrongSymbols(symbolsOf(read(simd.codec, packet, others)), truth), 0);
    assert.not(Array.isArray(read(simd.codec, write(simd.codec, fields, { indexChecks: true }).packet, others)));
  }
});

test("mixtures: a guard of a quarter of a grid step and more is refused", () => {
  for (const { codec } of builds) {
    const write = (mean: number, weight: number, guard: number | { absolute: number }) => {
      const prior = codec.mixture(
        { weights: Float32Array.of(weight), means: Float32Array.of(mean), scales: Float32Array.of(1) },
        { components: 1, support: [-9, 9], dims: [1] },
      );
      codec.writer({ guard }).write({ type: "int32", dims: [1], data: Int32Array.of(0) }, prior);
    };
    // 0.25 / 64 = 0.00390625, 0.25 / 256 = 0.0009765625
    write(39, 0.1, 1e-4);
    throwsMistake(() => write(39.1, 0.1, 1e-4), RangeError, "guard is too wide for a mixture's mean of 39.09");
    write(Infinity, 0.1, 1e-4);
    write(0, 0.97, 1e-3);
    throwsMistake(() => write(0, 0.98, 1e-3), RangeError, "guard");
    write(0, 0, { absolute: 0.0009 });
    throwsMistake(() => write(0, 0, { absolute: 0.001 }), RangeError, "guard");
  }
});

test("scales out of the ordinary, on both sides of the guard", () => {
  const bounds = [0.11, 0.10999999, 0.11000001, 256, 255.99998, stockScales[62]];
  const scales = Float32Array.from([0, -1, 1e-40, ...bounds, 1e30, Infinity]);
  const n = scales.length;
  const field = { scales, means: new Float32Array(n), latent: new Float32Array(n).fill(1) };
  for (const { codec } of builds) {
    const { packet, corrections } = write(codec, [field], { guard: 1e-3, indexChecks: true });
    assert.is(corrections, correctedIn([field], { relative: 1e-3, absolute: 0 }).length);
    const lower = scales.map((s, i) => (Number.isFinite(s) && i > 2 ? Math.fround(s * (1 - 9e-4)) : s));
    const others = [{ ...field, scales: lower }];
    const truth = symbolsOf(read(codec, packet, [field]));
    assert.is(wrongSymbols(symbolsOf(read(codec, packet, others)), truth), 0);
  }
});

test("means affect the reconstruction by their own error and one rounding", () => {
  const rng = random(12);
  const n = 50_000;
  const { scales, means, latent } = fieldOf(rng, n, naturalScale(rng));
  const others = perturbed(rng, means, { relative: 1e-3, absolute: 1e-5 });
  for (const step of [1, 0.37, 5]) {
    const [{ codec }] = builds;
    const writer = codec.writer({ fingerprint: false });
    const tensor = { type: "float32", dims: [n], data: latent };
    const sent = writer.write(tensor, codec.gaussian(scales, { means, step }), { dequantize: true }).data;
    const packet = writer.finish();
    const symbols = codec.reader(packet).read(codec.gaussian(scales, { means, step }), { type: "int32" }).data;
    const reader = codec.reader(packet);
    const received = reader.read(codec.gaussian(scales, { means: others, step })).data;
    reader.finish();
    sameNumbers(codec.reader(packet).read(codec.gaussian(scales, { step }), { type: "int32" }).data, symbols);
    for (let i = 0; i < n; i++) {
      const rounding = 2 ** -24 * (Math.abs(sent[i]) + Math.abs(received[i]));
      const difference = Math.abs(sent[i] - received[i]);
      assert.ok(difference <= Math.abs(means[i] - others[i]) + rounding, `${difference} at ${i}`);
    }
  }
});

test("every guard that is accepted holds, up to the limit", () => {
  const rng = random(14);
  const [{ codec }] = builds;
  const table = makeTable(rng, { rows: 8, entries: 9, flavour: "peaked" });
  for (let round = 0; round < 60; round++) {
    const ratio = 1.05 + 3 * rng.unit() ** 3;
    const scaleTable = Float32Array.from({ length: 8 }, (_, j) => 0.2 * ratio ** j);
    const share = rng.unit();
    const guardOf = (size: number) => ({ relative: 0.3 * size * share, absolute: 0.06 * size * (1 - share) });
    const accepted = (size: number) => {
      try {
        const one = { type: "int32", dims: [1], data: Int32Array.of(0) };
        codec.writer({ guard: guardOf(size) }).write(one, codec.gaussian(Float32Array.of(1), { table, scaleTable }));
        return true;
      } catch (error) {
        if (error instanceof RangeError) return false;
        throw error;
      }
    };
    let [low, high] = [0, 3];
    for (let i = 0; i < 30; i++) {
      const middle = (low + high) / 2;
      if (accepted(middle)) low = middle;
      else high = middle;
    }
    const { relative, absolute } = guardOf(low);
    assert.ok(low > 0 && low < 3);
    // The scales furthest from each boundary that are corrected, and the furthest that the other machine may have.
    for (const boundary of scaleTable.subarray(0, 7)) {
      const ends = [(boundary + absolute) / (1 - relative), (boundary - absolute) / (1 + relative)];
      const [up, down] = [ends[0] * (1 + relative) + absolute, ends[1] * (1 - relative) - absolute];
      const rowOf = (sigma: number) =>
        correctedRow(sigma, scaleTable.subarray(0, -1).filter((s) => s < sigma).length, scaleTable);
      for (const [end, far] of [
        [ends[0], up],
        [ends[1], down],
      ])
        assert.is(rowOf(far + (end - far) * 1e-6), rowOf(boundary), `${relative} ${absolute} at ${boundary}`);
    }
  }
});

test("a guard that reaches from one boundary to the next is refused", () => {
  const one = { type: "int32", dims: [1], data: Int32Array.of(0) };
  for (const { codec } of builds) {
    const prior = codec.gaussian(Float32Array.of(1));
    const writeWith = (guard: number | { absolute: number }) => {
      const writer = codec.writer({ guard });
      writer.write(one, prior);
      return writer.finish();
    };
    // A quarter of the distance of CompressAI's scales is 0.0307 on a logarithmic scale.
    assert.ok(writeWith(0.029).length > 0);
    throwsMistake(() => writeWith(0.032), RangeError, "guard");
    throwsMistake(() => writeWith({ absolute: 0.01 }), RangeError, "guard");
    assert.ok(writeWith({ absolute: 0.003 }).length > 0);
    const close = codec.gaussian(Float32Array.of(1), {
      table: makeTable(random(1), { rows: 3, entries: 9, flavour: "peaked" }),
      scaleTable: Float32Array.of(1, 1.01, 1.02),
    });
    const writer = codec.writer({ guard: 0.004 });
    throwsMistake(() => writer.write(one, close), RangeError, "guard");
    // Parts without scales need none.
    writer.write(one, codec.indexed(makeTable(random(1), { rows: 3, entries: 9, flavour: "peaked" }), [0]));
    assert.is(writer.corrections, 0);
  }
});

test("the first packet of a codec is like any other: its memory grows for corrections while elements are staged", () => {
  const rng = random(15);
  const scaled = scaledTable(rng, 12);
  for (const { name } of builds)
    for (const [part, guard] of [
      [gaussianSample(rng, scaled, [500], { means: true, float: true }), 0.004],
      [gaussianSample(rng, scaled, [70_000], { means: true, float: true, step: 0.5 }), 0.03],
      [gaussianSample(rng, scaled, [3000], { means: true }), 0.03],
      [mixtureSample(rng, [900], { components: 3, weights: true, float: true }), 2e-4],
    ] as const)
      for (const header of ["packet", "compact"] as const) {
        const packet = agree([made(name)], [part], { header, guard, lanes: 8 });
        assert.ok(parsePacket(packet, agreementOf({ header })).corrections.length > 0);
      }
});

test("a guard of 1e-5 costs less than half a percent", () => {
  const rng = random(13);
  const fields = [fieldOf(rng, 200_000, naturalScale(rng))];
  const [plain, guarded] = [0, 1e-5].map((guard) => write(simd.codec, fields, { guard }).packet.length);
  assert.ok(guarded > plain && guarded <= plain * 1.005, `${guarded} bytes, ${plain} without`);
});

test.run();

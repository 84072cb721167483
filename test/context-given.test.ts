// Context priors over rows that each symbol is given: the package and the reference agree to the byte, in every build; hyperpriors, guards, mistakes.
import { type Codec, createSync, type Prior, type TableJson } from "latentwire";
import { javascript } from "latentwire/javascript";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, isFull } from "./builds.js";
import { makeTable, pick, productOf, type Random, random, scaledTable } from "./cases.js";
import { contextSample, givenSample, randomNetwork, tempers, uselessTable } from "./context-cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import { agree, agreeInContext } from "./io.js";
import { contextBits, decodePacket, encodePacket, parsePacket } from "./reference.js";

const codecs = [...builds.map((build) => build.codec), createSync({ build: javascript })];
const [codec] = codecs;

/** The rows of a scale table hold one value that no latent has, so that the context is used. */
function uselessScales(rng: Random, rows: number): { table: TableJson; scaleTable: Float32Array } {
  return { ...scaledTable(rng, rows), table: uselessTable(rows) };
}

test("random networks, rows, shapes and symbols: all builds and the reference write and read the same bytes", () => {
  const rng = random(20261201);
  for (let i = 0; i < (isFull ? 450 : 60); i++) {
    const [channels, rows] = [1 + rng(5), 1 + rng(9)];
    const parameters = randomNetwork(rng, { channels, given: rows, temper: tempers[i % 3] });
    const [n, h, w] = [1 + rng(2), 1 + rng(7), 1 + rng(9)];
    const [dims, axis] = pick(rng, [
      [[n, channels, h, w], 1],
      [[n, h, w, channels], 3],
      [[channels, h, w], 0],
      [[channels], 0],
      [[n, channels, h], 1],
    ] as [number[], number][]);
    const scaled = uselessScales(rng, rows);
    const sample = givenSample(rng, dims, {
      ...(rng(2) ? scaled : { table: scaled.table }),
      ...{ parameters, axis, symbols: pick(rng, ["zero", "small", "large", "int32"] as const) },
    });
    agreeInContext(codecs, sample, { lanes: pick(rng, [1, 8, "auto"] as const) });
  }
});

test("every form of a packet, with means and step, and beside other parts", () => {
  const rng = random(2);
  const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32, given: 6, ends: [-9, 9] });
  const style = { ...uselessScales(rng, 6), parameters };
  const sample = givenSample(rng, [2, 3, 9, 8], style);
  for (const form of [{}, { header: "compact" }, { header: "compact", checksum: 2 }, { header: "none" }] as const)
    for (const lanes of [1, 16] as const) agreeInContext(codecs, sample, { lanes, ...form });
  agreeInContext(codecs, givenSample(rng, [2, 3, 5, 6], { ...style, means: true, step: 0.3, float: true }));
  const channels = contextSample(rng, [1, 2, 4, 4], { parameters: randomNetwork(rng, { channels: 2, H: 32 }) });
  for (const indexChecks of [false, true]) agree(codecs, [channels, sample, channels, sample], { indexChecks });
  agree(codecs, [channels, sample], { guard: 1e-3, checksum: false });
});

test("static rows where they need fewer bits, and in CompressAI's stream", () => {
  const rng = random(3);
  const found = { context: 0, static: 0 };
  for (let i = 0; i < 40; i++) {
    const parameters = randomNetwork(rng, { channels: 2, given: 4, H: 32, Z: 8, taps: 12 });
    const table = makeTable(rng, { rows: 4, entries: 40, flavour: "peaked" });
    const sample = givenSample(rng, [1, 2, 6, 7], { parameters, table });
    const { context, rows } = contextBits(sample.reference, sample.dims, sample.symbols);
    const { statics } = parsePacket(agree(codecs, [sample], { lanes: 1 }));
    found[statics ? "static" : "context"]++;
    if (Math.abs(context - rows - 16) > 1) assert.is(statics !== undefined, context > rows + 16, `${context}, ${rows}`);
    const bare = { stream: "compressai", header: "none" } as const;
    sameNumbers(
      codec.encode(sample.latent, sample.prior(codec), bare),
      codec.encode(sample.latent, sample.over(codec), bare),
    );
    const { bits, channels } = codec.rate(sample.latent, sample.prior(codec), { axis: 1 });
    const expected = statics ? rows : context;
    assert.ok(Math.abs(bits - expected) < 1e-6 * bits, `${bits}, not ${expected}`);
    assert.ok(Math.abs(channels.bits[0] + channels.bits[1] - bits) < 1e-6 * bits);
  }
  assert.ok(found.context > 3 && found.static > 3, JSON.stringify(found));
});

test("two machines whose scales differ: with a guard every symbol is right, with index checks alone it is MODEL_MISMATCH", () => {
  const rng = random(4);
  const scaled = scaledTable(rng, 8);
  const table = uselessTable(8);
  const { scaleTable } = scaled;
  const dims = [1, 2, 12, 12];
  const n = productOf(dims);
  const bytes = givenSample(rng, dims, {
    ...{
      table,
      scaleTable,
      parameters: randomNetwork(rng, { channels: 2, active: 1, H: 32, given: 8, temper: "wild" }),
    },
  }).bytes;
  // A quarter of the scales lie so near a boundary that the other machine finds the next row.
  const scales = Float32Array.from({ length: n }, (_, i) => scaleTable[rng(7)] * (i % 4 ? 1.05 : 1));
  const others = scales.map((scale, i) => (i % 8 ? scale : scale * (1 + 1e-6)));
  const tensor = (data: Float32Array) => ({ type: "float32", dims, data });
  const priorOf = (own: Codec, data: Float32Array): Prior =>
    own.context(bytes, { over: own.gaussian(tensor(data), { table, scaleTable }) });
  const latent = { type: "int32", dims, data: Int32Array.from({ length: n }, () => rng(7) - 3) };
  for (const [p, own] of codecs.entries()) {
    const write = (options: { guard?: number; indexChecks?: boolean }) => {
      const writer = own.writer(options);
      writer.write(latent, priorOf(own, scales));
      return writer.finish();
    };
    const guarded = write({ guard: 1e-5 });
    assert.is(parsePacket(guarded).statics, undefined);
    const reader = codecs[(p + 1) % codecs.length];
    const guardedReader = reader.reader(guarded);
    const found = guardedReader.read(priorOf(reader, others), { type: "int32" });
    guardedReader.finish();
    sameNumbers(found.data, latent.data);
    const checked = reader.reader(write({ indexChecks: true }));
    throwsCode(() => checked.read(priorOf(reader, others)), "MODEL_MISMATCH");
    checked.close();
  }
});

test("the axis, the parameters and the scales are part of the fingerprint", () => {
  const rng = random(5);
  const parameters = randomNetwork(rng, { channels: 3, active: 2, H: 32, given: 5 });
  const style = { ...uselessScales(rng, 5), parameters };
  const sample = givenSample(rng, [3, 3, 4, 3], style);
  const packet = codec.encode(sample.latent, sample.prior(codec));
  const wrong = (prior: Prior) => throwsCode(() => codec.decode(packet, prior), "WRONG_PRIOR");
  wrong(sample.over(codec));
  wrong(codec.context(sample.bytes, { over: sample.over(codec), axis: 0 }));
  wrong(givenSample(rng, sample.dims, { ...style, ...uselessScales(rng, 5) }).prior(codec));
  const other = randomNetwork(rng, { channels: 3, active: 2, H: 32, given: 5 });
  const priors = [{ ...sample.reference, context: other }];
  throwsCode(() => decodePacket(packet, priors), "WRONG_PRIOR");
  const part = { prior: sample.reference, dims: sample.dims, symbols: sample.symbols };
  sameNumbers(packet, encodePacket([part], { lanes: parsePacket(packet).lanes }));
});

test("parameters and priors that do not belong together", () => {
  const rng = random(6);
  const parameters = randomNetwork(rng, { channels: 3, H: 32, given: 5 });
  const sample = givenSample(rng, [1, 3, 4, 4], { ...uselessScales(rng, 5), parameters });
  const plain = contextSample(rng, [1, 3, 4, 4], { parameters: randomNetwork(rng, { channels: 3, H: 32 }) });
  const over = sample.over(codec);
  throwsMistake(() => codec.context(sample.bytes, { table: uselessTable(3) }), TypeError, "over");
  throwsMistake(() => codec.context(plain.bytes, { over }), TypeError, "over");
  throwsMistake(() => codec.context(sample.bytes, { over: plain.prior(codec) }), TypeError, "over");
  throwsMistake(() => codec.context(sample.bytes, { over: codec.factorized(uselessTable(5)) }), TypeError, "over");
  throwsMistake(() => codec.context(sample.bytes, { over, axis: 7 }), RangeError, "axis");
  throwsCode(() => codec.context(sample.bytes, { over: codec.gaussian(new Float32Array(48)) }), "SHAPE_MISMATCH");
  throwsCode(() => codec.encode(sample.latent, codec.context(sample.bytes, { over, axis: 2 })), "SHAPE_MISMATCH");
  const { data } = sample.latent;
  throwsCode(() => codec.encode({ type: "int32", dims: [1, 4, 3, 4], data }, sample.prior(codec)), "SHAPE_MISMATCH");
  throwsCode(
    () =>
      codec.decode(codec.encode(sample.latent, sample.prior(codec)), sample.prior(codec), { maxContextElements: 1 }),
    "LIMIT_EXCEEDED",
    /maxContextElements/,
  );
  const scales = new Float32Array(48).fill(1);
  scales[7] = Number.NaN;
  const { scaleTable } = uselessScales(rng, 5);
  const broken = codec.gaussian(
    { type: "float32", dims: sample.dims, data: scales },
    { table: sample.table, scaleTable },
  );
  throwsCode(() => codec.encode(sample.latent, codec.context(sample.bytes, { over: broken })), "NON_FINITE");
  const packet = encodePacket([{ prior: sample.reference, dims: sample.dims, symbols: sample.symbols }], {
    fingerprint: false,
  });
  throwsCode(() => codec.decode(packet, codec.context(sample.bytes, { over: broken })), "NON_FINITE");
});

test("empty parts, and quantize and dequantize", () => {
  const rng = random(7);
  const parameters = randomNetwork(rng, { channels: 3, H: 32, given: 4 });
  const style = { ...uselessScales(rng, 4), parameters };
  for (const dims of [
    [0, 3, 4, 4],
    [2, 3, 0, 5],
  ])
    agree(codecs, [givenSample(rng, dims, style)], {});
  const sample = givenSample(rng, [1, 3, 4, 5], { ...style, means: true, step: 0.5, float: true });
  const prior = sample.prior(codec);
  const symbols = codec.quantize(sample.latent, prior);
  sameNumbers(symbols.data, sample.symbols);
  sameNumbers(codec.dequantize(symbols, prior).data, sample.values);
});

test.run();

// Context priors fitted to samples: what they save, that the number of threads changes nothing, and what a bundle makes of them.
import { create, type Table } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CONTEXT_SIZES, type ContextFitOptions, fitContext } from "../tables/context-fit.js";
import { activeChannels, type Item, itemsOf, splitItems } from "../tables/context-samples.js";
import { BATCH, Trainer } from "../tables/context-trainer.js";
import { formatParameters } from "../tables/context-writer.js";
import { fit } from "../tables/fit.js";
import { type SampleSet, sampleSet, tensorOf } from "../tables/fit-samples.js";
import { givenSet } from "../tables/given-samples.js";
import { xxh64 } from "../tables/xxh64.js";
import { isFull } from "./builds.js";
import { type Random, random } from "./cases.js";
import { uselessTable } from "./context-cases.js";
import { rejects, throwsCode, throwsMistake } from "./expect.js";
import { mutate, reseal } from "./mutate.js";

const codec = await create();

/** Planes in which each position resembles its neighbours, and the second channel the first one. */
function field(rng: Random, height: number, width: number): Float32Array {
  const cells = height * width;
  const data = new Float32Array(3 * cells);
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = (cy: number, cx: number) => (cy < 0 || cx < 0 ? 0 : data[c * cells + cy * width + cx]!);
        const noise = 3 * (rng.unit() + rng.unit() + rng.unit() - 1.5);
        const below = c === 1 ? 0.8 * data[y * width + x]! : 0;
        data[c * cells + y * width + x] = Math.round(0.45 * at(y - 1, x) + 0.45 * at(y, x - 1) + below + noise);
      }
  return data;
}

function setOf(count: number, make: (rng: Random) => { dims: number[]; data: Float32Array }, axis?: number): SampleSet {
  const rng = random(5);
  const latents = Array.from({ length: count }, (_, i) => {
    const { dims, data } = make(rng);
    return {
      name: `sample ${i}`,
      latent: { type: "float32" as const, dims, read: (a: number, b: number) => data.subarray(a, b) },
    };
  });
  return sampleSet(latents, axis);
}

const fields = (count: number) =>
  setOf(count, (rng) => {
    const [height, width] = [8 + rng(4), 9 + rng(5)];
    return { dims: [1, 3, height, width], data: field(rng, height, width) };
  });

const set = fields(60);
const { table } = fit(codec, set);
const options: ContextFitOptions = { size: "fast", positions: 40000, threads: 2, seed: 3 };
const fitted = await fitContext(codec, set, table, 1, options);

const equal = (a: Uint8Array | undefined, b: Uint8Array | undefined) => a && b && Buffer.compare(a, b) === 0;

test("neighbours and other channels save bytes on samples that were held back, as the codec counts them", () => {
  const { parameters, items, active, channels, bytesBefore, bytesAfter, positions } = fitted;
  assert.equal(items, { used: 48, checked: 6, reported: 6 });
  assert.is(active, 3);
  assert.is(positions, 256 * Math.round(40000 / 256));
  assert.ok(bytesAfter < 0.9 * bytesBefore, `${bytesAfter} of ${bytesBefore}`);
  for (const { after, before } of channels) assert.ok(after < before);

  const { reported } = splitItems(itemsOf(codec, set, codec.factorized(table)), 3);
  const prior = codec.context(parameters!, { table });
  let bytes = 0;
  for (const { symbols, height, width } of reported) {
    const latent = { type: "int16" as const, dims: [1, 3, height, width], data: symbols };
    bytes += codec.rate(latent, prior).bits / 8;
    const packet = codec.encode(latent, prior);
    assert.equal(codec.decode(packet, prior, { type: "int16" }).data, symbols);
  }
  assert.ok(Math.abs(bytes / reported.length - bytesAfter) < 1e-6);
});

test("any number of threads gives the same parameters; another seed gives others", async () => {
  for (const threads of [1, 3]) {
    const other = await fitContext(codec, set, table, 1, { ...options, threads });
    assert.ok(equal(other.parameters, fitted.parameters), `${threads} threads`);
  }
  const other = await fitContext(codec, set, table, 1, { ...options, seed: 4 });
  assert.not.ok(equal(other.parameters, fitted.parameters));
});

test("the other sizes, and shapes with the channels last, of one dimension and of single positions", async () => {
  const short = { threads: 1, positions: 12000 };
  const small = await fitContext(codec, set, table, 1, { ...short, size: "small" });
  const medium = await fitContext(codec, set, table, 1, { ...short, size: "default" });
  assert.ok(small.bytesAfter < small.bytesBefore && medium.bytesAfter < medium.bytesBefore);
  assert.equal(
    [small, medium].map(({ parameters }) => [...parameters!.subarray(4, 7)]),
    [
      [8, 3, 20],
      [8, 1, 12],
    ],
  );

  const turned = setOf(
    30,
    (rng) => {
      const planes = field(rng, 8, 12);
      return { dims: [8, 12, 3], data: Float32Array.from(planes, (_, i) => planes[(i % 3) * 96 + Math.floor(i / 3)]!) };
    },
    2,
  );
  const last = await fitContext(codec, turned, fit(codec, turned).table, 1, { ...short, size: "fast" });
  assert.is(last.active, 3);
  assert.ok(last.bytesAfter < 0.97 * last.bytesBefore);

  const rows = setOf(40, (rng) => ({ dims: [1, 3, 60], data: field(rng, 1, 60) }), 1);
  const line = await fitContext(codec, rows, fit(codec, rows).table, 1, { ...short, size: "fast" });
  assert.ok(line.bytesAfter < line.bytesBefore);

  // A position of three channels has less than three bytes per channel: there is nothing to gain.
  const points = setOf(40, (rng) => ({ dims: [1, 3], data: field(rng, 1, 1) }));
  const none = await fitContext(codec, points, fit(codec, points).table, 1, { ...short, size: "fast" });
  assert.is(none.parameters, undefined);
  assert.is(none.bytesAfter, none.bytesBefore);
});

/** Latents, and what a hyper decoder says of them: scales that are right, means that miss what neighbours share. */
function hyperprior(count: number): Record<"latents" | "scales" | "means", SampleSet> {
  const one = (rng: Random) => {
    const [height, width] = [8 + rng(4), 9 + rng(5)];
    const noise = field(rng, height, width);
    const scales = noise.map((_, i) => (i % width < width / 2 ? 0.6 : 3));
    const means = noise.map(() => rng.unit() * 8 - 4);
    const latents = noise.map((value, i) => means[i] + (scales[i] * value) / 3);
    return { dims: [1, 3, height, width], latents, scales, means };
  };
  const of = (what: "latents" | "scales" | "means") =>
    setOf(count, (rng) => {
      const made = one(rng);
      return { dims: made.dims, data: made[what] };
    });
  return { latents: of("latents"), scales: of("scales"), means: of("means") };
}

test("over the scales of a hyperprior: fewer bytes on samples held back, and a bundle's prior has them", async () => {
  const { latents, scales, means } = hyperprior(60);
  const scaleTable = Float32Array.from({ length: 20 }, (_, j) => 0.2 * 1.3 ** j);
  const stock = { table: codec.gaussianTable(scaleTable), scaleTable, step: 0.5 };
  const given = givenSet(codec, latents, { scales, means }, stock);
  const fit = await fitContext(codec, given, stock.table, 0.5, { ...options, size: "fast" });
  assert.ok(fit.bytesAfter < 0.93 * fit.bytesBefore, `${fit.bytesAfter} of ${fit.bytesBefore}`);
  const again = await fitContext(codec, given, stock.table, 0.5, { ...options, size: "fast", threads: 1 });
  assert.ok(equal(again.parameters, fit.parameters));
  // Rows and symbols that are given as they are make the same context.
  const asSymbols: SampleSet = { ...given, samples: given.samples.map((sample) => ({ ...sample, rows: undefined })) };
  const asRows: SampleSet = {
    ...given,
    samples: given.samples.map(({ rows, ...sample }) => ({ ...sample, read: () => Float32Array.from(rows!()) })),
  };
  const direct = givenSet(codec, asSymbols, { rows: asRows }, stock);
  const same = await fitContext(codec, direct, stock.table, 0.5, { ...options, size: "fast" });
  assert.ok(equal(same.parameters, fit.parameters));

  const input = { name: "y", kind: "gaussian", table: stock.table, scaleTable, rebuild: true, step: 0.5 } as const;
  const bundle = readBundle(writeBundle([{ ...input, context: fit.parameters! }]));
  assert.is(bundle.entry("y").context?.channels, 3);
  let [under, without] = [0, 0];
  for (const [i, latent] of latents.samples.entries()) {
    const y = tensorOf(latent);
    const own = { means: tensorOf(means.samples[i]) };
    const prior = bundle.gaussian(codec, "y", tensorOf(scales.samples[i]), own);
    const fixed = bundle.gaussian(codec, "y", tensorOf(scales.samples[i]), { ...own, context: false });
    assert.equal([prior.kind, fixed.kind, prior.step], ["context", "gaussian", 0.5]);
    const packet = codec.encode(y, prior);
    assert.equal(codec.decode(packet, prior).data, codec.decode(codec.encode(y, fixed), fixed).data);
    under += packet.length;
    without += codec.encode(y, fixed).length;
  }
  assert.ok(under < 0.95 * without, `${under} of ${without}`);

  for (const wrong of [
    { ...input, kind: "factorized", scaleTable: undefined, rebuild: false, context: fit.parameters! },
    { ...input, kind: "gaussian", context: fitted.parameters! },
  ] as const)
    throwsMistake(() => writeBundle([wrong]), RangeError, "context");
  throwsCode(() => givenSet(codec, latents, { scales: hyperprior(59).scales }, stock), "SHAPE_MISMATCH");
  const [first, second] = scales.samples;
  const swapped = { ...scales, samples: [second, first, ...scales.samples.slice(2)] };
  if (`${first.dims}` !== `${second.dims}`)
    throwsCode(() => givenSet(codec, latents, { scales: swapped }, stock), "SHAPE_MISMATCH", /sample 1/);
  const far = {
    ...asRows,
    samples: asRows.samples.map((sample) => ({ ...sample, read: () => new Float32Array(sample.elements).fill(20) })),
  };
  throwsCode(
    () => givenSet(codec, asSymbols, { rows: far }, stock).samples[0].rows!(),
    "INVALID_FILE",
    /row 20.* 0 \.\. 19/,
  );
});

test("a training that goes on too long gives the weights that were best on samples held back, not the last ones", async () => {
  const few = fields(12);
  const { table } = fit(codec, few);
  const long = { size: "fast", positions: 150_000, threads: 2, seed: 4 } as const;
  const split = splitItems(itemsOf(codec, few, codec.factorized(table)), long.seed);
  const channels = activeChannels(split.used, 3);
  const bitsUnder = (parameters: Uint8Array, items: readonly Item[]) =>
    items.reduce((sum, { symbols, height, width }) => {
      const latent = { type: "int16" as const, dims: [1, 3, height, width], data: symbols };
      return sum + codec.rate(latent, codec.context(parameters, { table: uselessTable(3) })).bits;
    }, 0);
  const size = CONTEXT_SIZES[long.size];
  const trainer = new Trainer({ size, channels, ...split, seed: long.seed, threads: long.threads });
  const total = Math.round(long.positions / BATCH);
  await trainer.train(0, total, total, 0.008);
  const last = formatParameters(size, 3, channels, trainer.weights());
  await trainer.close();

  const { parameters, positions } = await fitContext(codec, few, table, 1, long);
  assert.is(positions, total * BATCH);
  // They know the samples by heart, and are worse on others.
  assert.ok(bitsUnder(last, split.used) < 0.9 * bitsUnder(parameters!, split.used));
  assert.ok(bitsUnder(last, split.checked) > 1.05 * bitsUnder(parameters!, split.checked));
  assert.ok(bitsUnder(last, split.reported) > 1.02 * bitsUnder(parameters!, split.reported));
});

test("channels that gain nothing stay static", async () => {
  const mixed = setOf(60, (rng) => {
    const data = field(rng, 10, 10);
    // Two values far apart, at random: no logistic has that shape.
    for (let i = 200; i < 300; i++) data[i] = rng(2) === 0 ? -9 : 9;
    return { dims: [1, 3, 10, 10], data };
  });
  const { table: rows } = fit(codec, mixed);
  const { channels, active, bytesAfter, bytesBefore } = await fitContext(codec, mixed, rows, 1, options);
  assert.is(active, 2);
  assert.is(channels[2].after, channels[2].before);
  assert.ok(bytesAfter < bytesBefore);
});

test("a fit that is stopped keeps the best so far, and too few samples are refused", async () => {
  const stop = new AbortController();
  let calls = 0;
  const stopped = await fitContext(codec, set, table, 1, {
    ...options,
    signal: stop.signal,
    progress({ done, secondsLeft }) {
      assert.ok(done > 0 && done <= 1 && secondsLeft >= 0);
      if (++calls === 30) stop.abort();
    },
  });
  assert.ok(stopped.isInterrupted && stopped.positions < fitted.positions);
  assert.ok(stopped.parameters && stopped.bytesAfter < stopped.bytesBefore);

  const timed = await fitContext(codec, set, table, 1, { ...options, positions: undefined, minutes: 0.02 });
  assert.ok(timed.positions > 0 && timed.bytesAfter < timed.bytesBefore);
  await rejects(fitContext(codec, fields(9), table, 1, options), "NO_TABLES", /10 samples, here are 9: add/);
});

test("the range of a channel leaves rare symbols far away to escapes, and fits into the format", () => {
  const plane = (values: readonly number[]): Item => ({
    symbols: Int16Array.from(values),
    height: 1,
    width: values.length,
  });
  const rng = random(9);
  const values = Array.from({ length: 4000 }, () => rng(21) - 10);
  const [near] = activeChannels([plane([...values, 3000])], 1);
  assert.equal([near.low, near.high], [-11, 11]);
  const [wide] = activeChannels([plane(values.map((value) => 3000 * value))], 1);
  assert.ok(wide.low >= -32768 && wide.high <= 32767 && wide.high - wide.low <= 4095 && wide.high - wide.low >= 2);
  const [edge] = activeChannels([plane(values.map((value) => (value > 0 ? 32767 : -32768)))], 1);
  assert.ok(edge.low >= -32768 && edge.high <= 32767 && edge.high - edge.low >= 2);
});

test("integers are symbols, whatever medians and step the table has", () => {
  const data = Int8Array.from({ length: 24 }, (_, i) => i - 9);
  const symbols = {
    type: "int8" as const,
    dims: [2, 3, 2, 2],
    read: (from: number, to: number) => data.subarray(from, to),
  };
  const medians = codec.table({ offsets: [0, 0, 0], cdfs: [0, 0, 0].map(() => [0, 65536]), medians: [5, 6, 7] });
  const prior = codec.factorized(medians, { step: 4 });
  const items = itemsOf(codec, sampleSet([{ name: "symbols", latent: symbols }], undefined), prior);
  assert.equal(
    items.flatMap((item) => [...item.symbols]),
    [...data],
  );
});

test("XXH64 is that of its specification", () => {
  assert.is(xxh64(new Uint8Array(0)), 0xef46db3751d8e999n);
  assert.is(xxh64(new TextEncoder().encode("abc")), 0x44bc2cf5ad770999n);
  // The codec's fingerprint of a table: XXH64 of all bytes before the last eight.
  const bytes = table.bytes();
  assert.is(xxh64(bytes.subarray(0, -8)).toString(16).padStart(16, "0"), table.fingerprint);
});

const bundleOf = (rows: Table, context: Uint8Array) =>
  writeBundle([{ name: "y", kind: "factorized", table: rows, context }]);

test("a bundle carries the parameters: one call gives the prior", () => {
  const { parameters } = fitted;
  const bundle = readBundle(bundleOf(table, parameters!));
  const { context } = bundle.entry("y");
  assert.equal(context, {
    ...{ bytes: parameters!.length, hidden: 32, second: 16, taps: 12, active: 3, channels: 3 },
    fingerprint: xxh64(parameters!.subarray(0, -8)).toString(16).padStart(16, "0"),
  });
  assert.ok(equal(bundle.parameters("y"), parameters));
  const prior = bundle.factorized(codec, "y");
  assert.is(prior.kind, "context");
  assert.is(bundle.factorized(codec, "y", { context: false }).kind, "factorized");
  const latent = { type: "int8" as const, dims: [1, 3, 5, 6], data: new Int8Array(90).fill(2) };
  assert.equal(codec.encode(latent, prior), codec.encode(latent, codec.context(parameters!, { table })));
});

test("parameters that are none, or for other tables, are refused", () => {
  const { parameters } = fitted;
  const two = codec.table({
    offsets: [0, 0],
    cdfs: [
      [0, 65536],
      [0, 65536],
    ],
  });
  throwsMistake(() => bundleOf(two, parameters!), RangeError, "context");
  throwsMistake(() => bundleOf(table, new Uint8Array(99)), RangeError, "context");
  const gaussian = { name: "y", kind: "gaussian" as const, table: codec.gaussianTable(), context: parameters! };
  throwsMistake(() => writeBundle([gaussian]), RangeError, "context");

  // Damage that a bundle cannot see is found by the codec, when the prior is made.
  const changed = parameters!.slice();
  changed[200] ^= 1;
  const bundle = readBundle(bundleOf(table, changed));
  throwsCode(() => bundle.factorized(codec, "y"), "INVALID_CONTEXT");
  assert.is(bundle.factorized(codec, "y", { context: false }).kind, "factorized");
});

test("any bytes for a bundle with a context give one, or an error with a code", () => {
  const bytes = bundleOf(table, fitted.parameters!.slice());
  const other = writeBundle([{ name: "y", kind: "factorized", table }]);
  const rng = random(11);
  let read = 0;
  const count = isFull ? 20000 : 300;
  for (let i = 0; i < count; i++) {
    const damaged = reseal(mutate(bytes, rng, other));
    try {
      const bundle = readBundle(damaged);
      for (const { name, kind } of bundle.entries) if (kind === "factorized") bundle.factorized(codec, name);
      read++;
    } catch (error) {
      assert.match((error as { code?: string }).code ?? String(error), /^[A-Z_]+$/);
    }
  }
  assert.ok(read < count);
});

test.run();

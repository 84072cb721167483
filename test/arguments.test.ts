// What a caller may pass, and what is said to a caller who passes something else: mistakes are TypeErrors and RangeErrors that name the argument.
import { runInNewContext } from "node:vm";
import type { Codec, DecodeOptions, Prior } from "latentwire";
import { loadBundle, readBundle, writeBundle } from "latentwire/bundle";
import { factorized, splitDecoder, splitEncoder } from "latentwire/onnx";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both, builds, made } from "./builds.js";
import { featureMap, indexedSample, makeTable, random } from "./cases.js";
import { rejects, sameNumbers, throwMistakes, throwsCode, throwsMistake } from "./expect.js";

const sample = featureMap(5, 12, 16, 0.005);
const { symbols, dims, latent, table } = sample;
const four = { type: "int32", dims: [4], data: new Int32Array(4) };
const mixed = { means: new Float32Array(4), scales: new Float32Array(4) };

/** A test with a prior and its packet. */
function given(what: string, run: (codec: Codec, prior: Prior, packet: Uint8Array) => void): void {
  both(what, (codec) => {
    const prior = sample.prior(codec);
    run(codec, prior, codec.encode(latent, prior, { lanes: 16 }));
  });
}

given("tensors that contradict themselves", (codec, prior) => {
  const encode = (type: string, shape: unknown, data: unknown) => () =>
    codec.encode({ type, dims: shape, data } as never, prior);
  throwsCode(encode("int32", dims, symbols.subarray(1)), "SHAPE_MISMATCH", /data/);
  for (const shape of [[], [1, 1, 1, 1, 1, 1, 1, 1]])
    throwsCode(encode("int32", shape, new Int32Array(1)), "SHAPE_MISMATCH");
  for (const bad of [-1, 1.5, Number.NaN, 2 ** 31])
    throwsCode(encode("int32", [1, 12, bad], new Int32Array(12)), "SHAPE_MISMATCH", /a dimension outside/);
  for (const bad of [12n, "12", undefined])
    throwsMistake(encode("int32", [1, bad], new Int32Array(12)), TypeError, "dims[1]");
  throwMistakes([
    [TypeError, "data", encode("int32", dims, new Float32Array(symbols.length))],
    [TypeError, "data", encode("int32", dims, [...symbols])],
    [TypeError, "type", encode("int4", dims, new Int8Array(symbols.length))],
    [TypeError, "latent", () => codec.encode(undefined as never, prior)],
  ]);
});

given("the caller's mistakes are named", (codec, prior, packet) => {
  const not = (value: unknown) => value as never;
  throwMistakes([
    [TypeError, "packet", () => codec.decode(not("packet"), prior)],
    [TypeError, "packet", () => codec.inspect(not("packet"))],
    [TypeError, "packet", () => codec.reader(not("packet"))],
    [TypeError, "prior", () => codec.decode(packet, not({}))],
    [TypeError, "prior", () => codec.encode(latent, not(undefined))],
    [TypeError, "prior", () => codec.writer().write(latent, not({}))],
    [TypeError, "prior", () => codec.reader(packet).read(not({}))],
    [RangeError, "lanes", () => codec.encode(latent, prior, { lanes: not(4) })],
    [RangeError, "lanes", () => codec.writer({ lanes: not(4) })],
    [TypeError, "stream", () => codec.encode(latent, prior, { stream: not("zip") })],
    [TypeError, "mixture", () => codec.encode(four, codec.mixture(mixed), { stream: "compressai" })],
    [TypeError, "header", () => codec.encode(latent, prior, { header: not("some") })],
    [TypeError, "header", () => codec.decode(packet, prior, { header: not("some") })],
    [TypeError, "header", () => codec.writer({ header: not("some") })],
    [TypeError, "header", () => codec.reader(packet, { header: not("some") })],
    [TypeError, "type", () => codec.decode(packet, prior, { type: not("int4") })],
    ...[-1, Number.NaN].flatMap((maxElements) => [
      [RangeError, "maxElements", () => codec.decode(packet, prior, { maxElements })] as const,
      [RangeError, "maxElements", () => codec.reader(packet, { maxElements })] as const,
    ]),
    // A check of 2 bytes is the compact form's.
    ...[2, 3, "yes"]
      .map(not)
      .flatMap((checksum) => [
        [TypeError, "checksum", () => codec.encode(latent, prior, { checksum })] as const,
        [TypeError, "checksum", () => codec.decode(packet, prior, { checksum })] as const,
        [TypeError, "checksum", () => codec.writer({ checksum })] as const,
        [TypeError, "checksum", () => codec.reader(packet, { checksum })] as const,
      ]),
    [TypeError, "format", () => codec.writer({ format: not("zip") })],
    [TypeError, "format", () => codec.writer().finishStrings()],
    [TypeError, "strings", () => codec.writer({ format: "strings", guard: 1e-3 })],
    [TypeError, "strings", () => codec.writer({ format: "strings", indexChecks: true })],
    ...[-1, Number.NaN, { relative: Number.POSITIVE_INFINITY }].map(
      (guard) => [RangeError, "guard", () => codec.writer({ guard })] as const,
    ),
    [TypeError, "rows[0]", () => codec.indexed(table, not([0n]))],
    [RangeError, "rows[0]", () => codec.indexed(table, [12])],
    [RangeError, "axis", () => codec.factorized(table, { axis: -1 })],
    [RangeError, "axis", () => codec.factorized(table, { axis: 7 })],
    [RangeError, "components", () => codec.mixture(mixed, { components: 17 })],
    ...[
      [3, 2],
      [0, 4096],
      [-32769, 0],
    ].map((support) => [RangeError, "support", () => codec.mixture(mixed, { support: not(support) })] as const),
    [TypeError, "kind", () => codec.mixture(mixed, { kind: not("cauchy") })],
  ]);
  throwsCode(() => codec.mixture({ ...mixed, scales: new Float32Array(3) }), "SHAPE_MISMATCH");
  throwsCode(() => codec.mixture(mixed, { components: 3 }), "SHAPE_MISMATCH");
  sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, symbols);
});

const session = { inputNames: ["x"], outputNames: ["y"], run: async () => ({}) };

given(
  "an option that a function does not know is refused by name, and so are options that are none",
  (codec, prior, packet) => {
    const sequences = () => [codec.writer().sequence, codec.reader(packet).sequence];
    const calls: Record<string, (options: never) => unknown> = {
      encode: (options) => codec.encode(latent, prior, options),
      decode: (options) => codec.decode(packet, prior, options),
      quantize: (options) => codec.quantize(latent, prior, options),
      dequantize: (options) => codec.dequantize(latent, prior, options),
      rate: (options) => codec.rate(latent, prior, options),
      factorized: (options) => codec.factorized(table, options),
      indexed: (options) => codec.indexed(table, [0], options),
      gaussian: (options) => codec.gaussian(Float32Array.of(1), options),
      mixture: (options) => codec.mixture(mixed, options),
      writer: (options) => codec.writer(options),
      write: (options) => codec.writer().write(latent, prior, options),
      reader: (options) => codec.reader(packet, options),
      read: (options) => codec.reader(packet).read(prior, options),
      "a writer's sequence": (options) => codec.writer().sequence(options),
      "a reader's sequence": (options) => codec.reader(packet).sequence(options),
      splitEncoder: (options) => splitEncoder({ session, codec, prior, ...(options as object) }),
      splitDecoder: (options) => splitDecoder({ session, codec, prior, ...(options as object) }),
    };
    assert.is(sequences().length, 2);
    for (const [name, call] of Object.entries(calls)) {
      throwsMistake(() => call({ lane: 8 } as never), TypeError, '"lane"');
      // Where options are spread into a call, none of them is no options.
      if (!name.startsWith("split"))
        for (const options of [null, 5, "simd"]) throwsMistake(() => call(options as never), TypeError, "options");
    }
    throwsMistake(() => codec.writer({ guard: { relativ: 1e-4 } as never }), TypeError, '"relativ"');
    throwsMistake(() => codec.mixture({ ...mixed, mean: mixed.means } as never), TypeError, '"mean"');
  },
);

test("unknown options of bundles and recipes are refused by name; pool.test.ts has those of pools", async () => {
  const [{ codec }] = builds;
  const bytes = writeBundle([{ name: "a", kind: "factorized", table: codec.table(table) }]);
  const bundle = readBundle(bytes);
  const prior = bundle.factorized(codec, "a");
  const odd = { lane: 8 } as never;
  throwsMistake(() => bundle.factorized(codec, "a", odd), TypeError, '"lane"');
  await rejects(loadBundle(bytes, odd), TypeError, /"lane"/);
  await rejects(factorized.encode(codec, { prior }, latent, odd), TypeError, /"lane"/);
  await rejects(factorized.decode(codec, { prior }, codec.encode(latent, prior), odd), TypeError, /"lane"/);
  throwsMistake(
    () => writeBundle([{ name: "a", kind: "factorized", table: prior.table, lane: 8 } as never]),
    TypeError,
    '"lane"',
  );
});

given("out takes the packet", (codec, prior) => {
  for (const options of [
    {},
    { header: "none" },
    { header: "compact", checksum: 2 },
    { stream: "compressai" },
    { stream: "compressai", header: "none" },
    { checksum: false, lanes: 1 },
  ] as const) {
    const plain = codec.encode(latent, prior, options);
    const room = new Uint8Array(plain.length + 20).fill(0xaa);
    const packet = codec.encode(latent, prior, { ...options, out: room.subarray(7) });
    assert.equal(packet, plain);
    assert.equal([packet.buffer, packet.byteOffset], [room.buffer, 7]);
    const around = [...room.subarray(0, 7), ...room.subarray(7 + plain.length)];
    assert.equal(around, new Array(20).fill(0xaa), "nothing around it is touched");
    assert.equal(codec.encode(latent, prior, { ...options, out: new Uint8Array(plain.length) }), plain);
    const short = new Uint8Array(plain.length - 1);
    throwsMistake(() => codec.encode(latent, prior, { ...options, out: short }), RangeError, "out");
  }
  throwsMistake(() => codec.encode(latent, prior, { out: [] as never }), TypeError, "out");
});

given("out takes the elements", (codec, prior, packet) => {
  for (const [type, Kind] of Object.entries({ float32: Float32Array, int32: Int32Array })) {
    const options = { type } as DecodeOptions<"int32">;
    const plain = codec.decode(packet, prior, options).data;
    const room = new Kind(symbols.length + 3).fill(5);
    const { data } = codec.decode(packet, prior, { ...options, out: room });
    assert.equal(data, plain);
    assert.is(data.buffer, room.buffer);
    assert.equal([...room.subarray(symbols.length)], [5, 5, 5]);
    const short = new Kind(symbols.length - 1);
    throwsMistake(() => codec.decode(packet, prior, { ...options, out: short }), RangeError, "out");
  }
  const floats = new Float32Array(symbols.length);
  throwsMistake(() => codec.decode(packet, prior, { type: "int32", out: floats }), TypeError, "out");
});

given("packets may lie anywhere in a buffer, and an ArrayBuffer is one", (codec, prior, packet) => {
  const room = new Uint8Array(packet.length + 11);
  for (const at of [0, 1, 3, 11]) {
    room.set(packet, at);
    sameNumbers(codec.decode(room.subarray(at, at + packet.length), prior, { type: "int32" }).data, symbols);
  }
  const { buffer } = packet.slice();
  const shared = new Uint8Array(new SharedArrayBuffer(packet.length));
  shared.set(packet);
  for (const bytes of [buffer, Buffer.from(packet), shared, shared.buffer] as Uint8Array[]) {
    sameNumbers(codec.decode(bytes, prior, { type: "int32" }).data, symbols);
    assert.equal(codec.inspect(bytes), codec.inspect(packet));
    sameNumbers(codec.reader(bytes).read(prior, { type: "int32" }).data, symbols);
  }
});

given("values of another realm are judged by their structure", (codec, prior, packet) => {
  // A test runner's sandbox has classes of its own; what it makes is no instance of ours.
  const made = runInNewContext(`(packet, symbols, dims, table, scales) => ({
    packet: new Uint8Array(packet),
    buffer: new Uint8Array(packet).buffer,
    latent: { type: "int32", dims: [...dims], data: new Int32Array(symbols) },
    table: JSON.parse(table),
    scales: new Float32Array(scales),
    out: new Uint8Array(packet.length),
    symbols: new Int32Array(symbols.length),
    strings: (list) => Array.from(list, (one) => new Uint8Array(one)),
    options: { lanes: 16 },
  })`)(packet, symbols, dims, JSON.stringify(table), new Array(symbols.length).fill(2));
  assert.not.instance(made.packet, Uint8Array);
  const decoded = (bytes: Uint8Array, own = prior) => codec.decode(bytes, own, { type: "int32" }).data;
  for (const bytes of [made.packet, made.buffer]) {
    sameNumbers(decoded(bytes), symbols);
    assert.equal(codec.inspect(bytes), codec.inspect(packet));
    sameNumbers(codec.reader(bytes).read(prior, { type: "int32" }).data, symbols);
  }
  sameNumbers(codec.decode(packet, prior, { type: "int32", out: made.symbols }).data, symbols);
  const own = codec.factorized(made.table);
  sameNumbers(codec.encode(made.latent, own, { ...made.options, out: made.out }), packet);
  sameNumbers(codec.encode(made.latent, own, made.options), packet);
  const gaussian = codec.gaussian(made.scales, { means: { ...latent, type: "float32", data: made.scales } });
  const tensor = { type: "float32", dims, data: new Float32Array(symbols.length).fill(2) };
  sameNumbers(codec.encode(latent, gaussian), codec.encode(latent, codec.gaussian(tensor.data, { means: tensor })));
  assert.is(codec.quantize({ ...made.latent, type: "float32", data: made.scales }, own).data.length, symbols.length);
  const fingerprint = codec.table(runInNewContext("(bytes) => new Uint8Array(bytes)")(prior.table.bytes())).fingerprint;
  assert.is(fingerprint, prior.table.fingerprint);
  // Writers, sequences, strings.
  const writer = codec.writer({ format: "strings" });
  writer.write(made.latent, own);
  const sequence = writer.sequence();
  const piece = made.scales.subarray(0, 6);
  sequence.next(piece, piece, piece, made.scales.subarray(6, 12));
  const reader = codec.reader(made.strings(writer.finishStrings()));
  sameNumbers(reader.read(own, { type: "int32", dims: made.latent.dims, out: made.symbols }).data, symbols);
  reader.sequence().next(piece, piece, made.scales.subarray(12, 18));
  sameNumbers(made.scales.subarray(12, 18), made.scales.subarray(6, 12));
  // Bundles.
  const bundle = writeBundle([{ name: "a", kind: "factorized", table: made.table && codec.table(made.table) }]);
  const copy = runInNewContext("(bytes) => new Uint8Array(bytes)")(bundle);
  assert.is(readBundle(copy).entry("a").fingerprint, prior.table.fingerprint);
});

test("a bundle comes as an ArrayBuffer of any realm, too", async () => {
  const bytes = writeBundle([{ name: "a", kind: "factorized", table: builds[0].codec.table(table) }]);
  const foreign = runInNewContext("(bytes) => new Uint8Array(bytes).buffer")(bytes);
  for (const source of [bytes.buffer, foreign]) assert.is((await loadBundle(source)).entries.length, 1);
});

test("a table of one codec can be given to another", () => {
  const [{ codec }, { codec: other }] = builds;
  const json = makeTable(random(4), { rows: 3, entries: 9, flavour: "random", medians: true });
  const moved = indexedSample(random(5), codec.table(json).toJSON(), [500]);
  const packet = other.encode(moved.latent, other.indexed(codec.table(json), moved.coding.index));
  assert.equal(codec.decode(packet, moved.prior(codec), { type: "int32" }).data, moved.symbols);
});

given("a value that is refused is shown as what it is", (codec, prior, packet) => {
  const spec = { offsets: [-1], cdfs: [[0, 20000, 45000, 65000, 65536]] };
  throwMistakes([
    [RangeError, 'not "8"', () => codec.encode(latent, prior, { lanes: "8" as never })],
    [RangeError, "not 8n", () => codec.encode(latent, prior, { lanes: 8n as never })],
    [RangeError, "not Array", () => codec.encode(latent, prior, { lanes: [8] as never })],
    [RangeError, 'not "400"', () => codec.encode(latent, prior, { maxBytes: "400" as never })],
    [
      RangeError,
      'step must be a positive number of at most 2^94, not "2"',
      () => codec.factorized(spec, { step: "2" as never }),
    ],
    [RangeError, 'not "2"', () => codec.gaussian(new Float32Array(4), { step: "2" as never })],
    [
      RangeError,
      'maxElements must be a number of elements, not "9"',
      () => codec.decode(packet, prior, { maxElements: "9" as never }),
    ],
    [RangeError, 'step "1"', () => codec.encode(four as never, prior, { affine: { scale: "1" as never } })],
    [TypeError, 'not "yes"', () => codec.encode(latent, prior, { checksum: "yes" as never })],
  ]);
  throwsCode(
    () => codec.factorized({ offsets: [0], cdfs: [[0, 5.5, 65536]] }),
    "INVALID_TABLE",
    /cdf\[1\] is 5\.5, which is no whole/,
  );
  throwsCode(
    () => codec.factorized({ offsets: [0], cdfs: [[0, "5", 65536]] } as never),
    "INVALID_TABLE",
    /cdf\[1\] is "5"/,
  );
  const wide = { type: "int64", dims: [1], data: BigInt64Array.of(2n ** 40n) } as const;
  throwsCode(
    () => codec.encode(wide, codec.factorized(spec)),
    "OUT_OF_RANGE",
    /int32 cannot hold; subtract an offset or scale/,
  );
});

given("what was given instead of a tensor or a prior is named", (codec, prior, packet) => {
  const spec = { offsets: [-1], cdfs: [[0, 20000, 45000, 65000, 65536]] };
  const encode = (other: unknown) => () => codec.encode(latent, other as never);
  throwMistakes([
    [
      TypeError,
      "latent must be a tensor {type, dims, data}, not Float32Array",
      () => codec.encode(new Float32Array(4) as never, prior),
    ],
    [TypeError, "scales must be a Float32Array or a float32 tensor, not Array", () => codec.gaussian([1, 2] as never)],
    [TypeError, "a float32 tensor, not Array", () => codec.gaussianTable([1, 2] as never)],
    [TypeError, "not undefined; it is the second argument", encode(undefined)],
    [TypeError, "not a table: codec.factorized(table)", encode(spec)],
    [TypeError, "not a table: codec.factorized(table)", encode(prior.table)],
    [TypeError, "not another codec's", encode(made(codec.simd ? "scalar" : "simd").factorized(spec))],
    [TypeError, "not a pool's, or another", encode({ kind: "factorized", table: prior.table })],
    [TypeError, "not a tensor; it is the second argument", () => codec.encode(prior as never, latent as never)],
    [TypeError, "not Uint8Array; it is the second argument", () => codec.decode(prior as never, packet as never)],
  ]);
  const writer = codec.writer();
  writer.close();
  throwsMistake(() => writer.finish(), TypeError, "codec.writer()");
  const reader = codec.reader(packet);
  reader.close();
  throwsMistake(() => reader.read(prior), TypeError, "codec.reader()");
});

test.run();

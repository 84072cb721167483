// What a caller may pass, and what is said to a caller who passes something else.
import { runInNewContext } from "node:vm";
import { create, createSync, type DecodeOptions } from "latentwire";
import { scalar as scalarBuild } from "latentwire/scalar";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { featureMap, hyperprior, indexedSample, makeTable, random } from "./cases.js";
import { throwsCode, throwsMistake } from "./expect.js";

const sample = featureMap(5, 12, 16, 0.005);
const { symbols, dims, latent } = sample;

for (const { name, codec } of builds) {
  const prior = sample.prior(codec);
  const good = codec.encode(latent, prior, { lanes: 16 });

  test(`${name}: tensors that contradict themselves`, () => {
    throwsCode(() => codec.encode({ type: "int32", dims, data: symbols.subarray(1) }, prior), "SHAPE_MISMATCH", /data/);
    throwsMistake(
      () => codec.encode({ type: "int32", dims, data: new Float32Array(symbols.length) }, prior),
      TypeError,
      "data",
    );
    throwsMistake(() => codec.encode({ type: "int32", dims, data: [...symbols] }, prior), TypeError, "data");
    throwsMistake(
      () => codec.encode({ type: "int64", dims, data: new BigInt64Array(symbols.length) }, prior),
      TypeError,
      "type",
    );
    throwsCode(() => codec.encode({ type: "int32", dims: [], data: new Int32Array(1) }, prior), "SHAPE_MISMATCH");
    throwsCode(
      () => codec.encode({ type: "int32", dims: [1, 1, 1, 1, 1, 1, 1, 1], data: new Int32Array(1) }, prior),
      "SHAPE_MISMATCH",
    );
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 31]) {
      throwsCode(
        () => codec.encode({ type: "int32", dims: [1, 12, bad], data: new Int32Array(12) }, prior),
        "SHAPE_MISMATCH",
      );
    }
    for (const bad of [12n, "12", undefined])
      throwsMistake(
        () => codec.encode({ type: "int32", dims: [1, bad as never], data: new Int32Array(12) }, prior),
        TypeError,
        "dims[1]",
      );
    throwsMistake(() => codec.encode(undefined as never, prior), TypeError, "latent");
  });

  test(`${name}: out takes the packet`, () => {
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
      const view = room.subarray(7);
      const packet = codec.encode(latent, prior, { ...options, out: view });
      assert.equal(packet, plain);
      assert.is(packet.buffer, room.buffer);
      assert.is(packet.byteOffset, 7);
      assert.equal([...room.subarray(0, 7)], new Array(7).fill(0xaa), "nothing before it is touched");
      assert.equal([...room.subarray(7 + plain.length)], new Array(13).fill(0xaa), "nothing behind it is touched");
      assert.equal(codec.encode(latent, prior, { ...options, out: new Uint8Array(plain.length) }), plain);
      throwsMistake(
        () => codec.encode(latent, prior, { ...options, out: new Uint8Array(plain.length - 1) }),
        RangeError,
        "out",
      );
    }
    throwsMistake(() => codec.encode(latent, prior, { out: [] as never }), TypeError, "out");
  });

  test(`${name}: out takes the elements`, () => {
    for (const [type, Kind] of [
      ["float32", Float32Array],
      ["int32", Int32Array],
    ] as const) {
      const options = { type } as DecodeOptions<"int32">;
      const plain = codec.decode(good, prior, options).data;
      const room = new Kind(symbols.length + 3).fill(5);
      const { data } = codec.decode(good, prior, { ...options, out: room });
      assert.equal(data, plain);
      assert.is(data.buffer, room.buffer);
      assert.equal([...room.subarray(symbols.length)], [5, 5, 5]);
      throwsMistake(
        () => codec.decode(good, prior, { ...options, out: new Kind(symbols.length - 1) }),
        RangeError,
        "out",
      );
    }
    throwsMistake(
      () => codec.decode(good, prior, { type: "int32", out: new Float32Array(symbols.length) }),
      TypeError,
      "out",
    );
  });

  test(`${name}: input may lie anywhere in its buffer`, () => {
    const room = new Uint8Array(good.length + 11);
    for (const at of [0, 1, 3, 11]) {
      room.set(good, at);
      assert.equal(codec.decode(room.subarray(at, at + good.length), prior, { type: "int32" }).data, symbols);
    }
  });

  test(`${name}: arrays of another realm are taken`, () => {
    const { Foreign } = runInNewContext("({ Foreign: Uint8Array })") as { Foreign: typeof Uint8Array };
    const packet = new Foreign(good);
    assert.not.instance(packet, Uint8Array);
    assert.equal(codec.decode(packet, prior, { type: "int32" }).data, symbols);
    assert.equal(codec.inspect(packet), codec.inspect(good));
    assert.is(codec.table(new Foreign(prior.table.bytes())).fingerprint, prior.table.fingerprint);
    assert.equal([...codec.encode(latent, prior, { lanes: 16, out: new Foreign(good.length) })], [...good]);
  });

  test(`${name}: the caller's mistakes are named`, () => {
    throwsMistake(() => codec.decode("packet" as never, prior), TypeError, "packet");
    throwsMistake(() => codec.decode(good, {} as never), TypeError, "prior");
    throwsMistake(() => codec.encode(latent, undefined as never), TypeError, "prior");
    throwsMistake(() => codec.encode(latent, prior, { lanes: 4 as never }), RangeError, "lanes");
    throwsMistake(() => codec.encode(latent, prior, { stream: "zip" as never }), TypeError, "stream");
    throwsMistake(() => codec.encode(latent, prior, { header: "some" as never }), TypeError, "header");
    throwsMistake(() => codec.decode(good, prior, { header: "some" as never }), TypeError, "header");
    throwsMistake(() => codec.decode(good, prior, { type: "float64" as never }), TypeError, "type");
    throwsMistake(() => codec.decode(good, prior, { maxElements: -1 }), RangeError, "maxElements");
    throwsMistake(() => codec.decode(good, prior, { maxElements: Number.NaN }), RangeError, "maxElements");
    throwsMistake(() => codec.indexed(sample.table, [0n] as never), TypeError, "rows[0]");
    throwsMistake(() => codec.indexed(sample.table, [12]), RangeError, "rows[0]");
    throwsMistake(() => codec.factorized(sample.table, { axis: -1 }), RangeError, "axis");
    throwsMistake(() => codec.factorized(sample.table, { axis: 7 }), RangeError, "axis");
  });
}

test("the sync variant and a given module make the same codec", async () => {
  const expected = builds[0].codec.encode(latent, sample.prior(builds[0].codec));
  const sync = createSync();
  assert.equal(sync.encode(latent, sample.prior(sync)), expected);
  const scalar = createSync({ build: scalarBuild });
  assert.is(scalar.simd, false);
  assert.equal(scalar.encode(latent, sample.prior(scalar)), expected);
  const { readFileSync } = await import("node:fs");
  for (const file of ["codec.wasm", "codec.scalar.wasm"]) {
    const bytes = readFileSync(new URL(import.meta.resolve(`latentwire/${file}`)));
    for (const module of [bytes, new WebAssembly.Module(bytes)]) {
      const given = await create({ module });
      assert.is(given.simd, file === "codec.wasm");
      assert.equal(given.encode(latent, sample.prior(given)), expected);
    }
  }
});

test("a module that is none of the package's is refused", async () => {
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  throwsMistake(() => createSync({ module: empty }), TypeError, "codec.wasm");
  await create({ module: empty }).then(
    () => assert.unreachable("an empty module was taken"),
    (error: unknown) => assert.instance(error, TypeError),
  );
});

test("a prior is used with the codec that made it", () => {
  const [{ codec }, { codec: other }] = builds;
  const { latent: values, prior } = hyperprior(9, 100);
  throwsMistake(() => other.encode(values, prior(codec)), TypeError, "prior");
});

test("a table of one codec can be given to another", () => {
  const [{ codec }, { codec: other }] = builds;
  const table = makeTable(random(4), { rows: 3, entries: 9, flavour: "random", medians: true });
  const moved = indexedSample(random(5), codec.table(table).toJSON(), [500]);
  const packet = other.encode(moved.latent, other.indexed(codec.table(table), moved.coding.index));
  assert.equal(codec.decode(packet, moved.prior(codec), { type: "int32" }).data, moved.symbols);
});

test.run();

// A pool gives what a codec gives, whatever happens to its workers meanwhile. Workers here are real threads of Node.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type Codec, CodecError, channels, create, type EncodeOptions, type TensorLike } from "latentwire";
import { readBundle, writeBundle } from "latentwire/bundle";
import { javascript } from "latentwire/javascript";
import { createPool, type Pool, PoolError, type PoolOptions } from "latentwire/pool";
import { scalar } from "latentwire/scalar";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { featureMap, random } from "./cases.js";
import { contextSample, givenSample, randomNetwork } from "./context-cases.js";
import { sameNumbers } from "./expect.js";
import { root } from "./pack.js";
import { twinContexts, twinTables } from "./twin.js";

const sample = featureMap(5, 12, 64, 0.005);
const { latent, dims, symbols, table } = sample;
const codec = await create();
const prior = sample.prior(codec);
const packet = codec.encode(latent, prior);

/** Long enough for a worker to be busy with while this thread does something else. */
const big: TensorLike = { type: "float32", dims: [1, 12, 1, 500_000], data: new Float32Array(6_000_000).fill(1) };

async function withPool(options: PoolOptions, use: (pool: Pool) => Promise<void>) {
  const pool = await createPool(options);
  try {
    await use(pool);
  } finally {
    await pool.close({ abort: true });
  }
}

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const error = await promise.then(
    () => assert.unreachable("nothing was rejected"),
    (error) => error,
  );
  assert.instance(error, Error);
  return error;
}

/** Rejections to be looked at later are no unhandled ones. */
const later = (promise: Promise<unknown>) => rejection(promise);
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const workerFile = new URL(import.meta.resolve("latentwire/pool-worker"));

test("packets and latents are those of the codec, for every prior and option", async () => {
  await withPool({ size: 2 }, async (pool) => {
    const means = new Float32Array(symbols.length).fill(0.25);
    const scales = means.map((_, i) => 0.2 + (i % 50) / 10);
    const rows = Uint8Array.from(symbols, (_, i) => i % 12);
    const wide = codec.gaussianTable(Float32Array.of(0.5, 2, 9));
    const scaleTable = Float32Array.of(0.5, 2, 9);
    const priors = [
      [pool.factorized(table), prior],
      [pool.factorized(pool.table(table), { axis: 1, step: 0.5 }), codec.factorized(table, { step: 0.5 })],
      [pool.gaussian(scales), codec.gaussian(scales)],
      [pool.gaussian(scales, { means, step: 2 }), codec.gaussian(scales, { means, step: 2 })],
      [pool.gaussian(scales, { table: wide, scaleTable }), codec.gaussian(scales, { table: wide, scaleTable })],
      [pool.gaussian(scales, { scaleTable }), codec.gaussian(scales, { table: wide, scaleTable })],
      [pool.indexed(table, rows), codec.indexed(table, rows)],
      [pool.indexed(table, Array.from(rows), { means }), codec.indexed(table, rows, { means })],
    ] as const;
    for (const [pooled, own] of priors) {
      assert.is(pooled.kind, own.kind);
      assert.is(pooled.table.fingerprint, own.table.fingerprint);
      const tries: EncodeOptions[] = [
        {},
        { lanes: 8, checksum: false },
        { stream: "compressai", header: "none" },
        { header: "compact", checksum: 2 },
      ];
      for (const options of tries) {
        const expected = codec.encode(latent, own, options);
        // Several at once, so that both workers have some, more than one in a message, and priors change between them.
        const packets = await Promise.all(Array.from({ length: 6 }, () => pool.encode(latent, pooled, options)));
        for (const actual of packets) assert.equal(actual, expected);
        const { stream, header, checksum } = options;
        const how = { stream, header, checksum, dims };
        const restored = await Promise.all(packets.map((packet) => pool.decode(packet, pooled, how)));
        for (const actual of restored) assert.equal(actual, codec.decode(expected, own, how));
      }
    }
    const mixed = await Promise.all(priors.map(([pooled]) => pool.encode(latent, pooled)));
    mixed.forEach((actual, i) => {
      assert.equal(actual, codec.encode(latent, priors[i][1]));
    });
    const { type, data } = await pool.decode(packet, priors[0][0], { type: "int32" });
    assert.is(type, "int32");
    sameNumbers(data, symbols);
  });
});

const contextForms: EncodeOptions[] = [
  {},
  { lanes: 8 },
  { header: "compact" },
  { stream: "compressai", header: "none" },
];

test("a context prior, of parameters and of a bundle: packets, latents and errors are the codec's", async () => {
  const rng = random(12);
  const samples = [2, 3].map((channels) => {
    const parameters = randomNetwork(rng, { channels, H: 32, ends: [-9, 9] });
    return contextSample(rng, [2, channels, 7, 9], { parameters, step: 0.5 });
  });
  const [first] = samples;
  const { table } = first;
  const entry = { name: "y", kind: "factorized", table: codec.table(table), context: first.bytes, step: 0.5 } as const;
  const bundle = readBundle(writeBundle([entry]));
  const rows = { offsets: [-2, -1], cdfs: [0, 1].map(() => [0, 20000, 40000, 65535, 65536]) };
  const given = givenSample(rng, [1, 2, 7, 9], {
    parameters: randomNetwork(rng, { channels: 2, H: 32, ends: [-9, 9], given: 2 }),
    table: rows,
    scaleTable: Float32Array.of(0.5, 2),
    means: true,
  });
  const { scales } = given.reference as { scales: Float32Array };
  const started: Worker[] = [];
  const sent: { tables: unknown[]; networks: unknown[] }[] = [];
  const worker = () => {
    const thread = new Worker(workerFile);
    const post = thread.postMessage.bind(thread);
    thread.postMessage = (message, transfer) => {
      if ("tasks" in message) sent.push(message);
      post(message, transfer);
    };
    started.push(thread);
    return thread;
  };
  await withPool({ size: 2, worker }, async (pool) => {
    // The caller's array may change after the call.
    const bytes = first.bytes.slice();
    const priors = [
      [pool.context(bytes, { table, step: 0.5 }), first.prior(codec), first],
      [bundle.factorized(pool, "y"), first.prior(codec), first],
      [
        pool.context(samples[1].bytes, { table: samples[1].table, axis: 1, step: 0.5 }),
        samples[1].prior(codec),
        samples[1],
      ],
      [
        pool.context(given.bytes, {
          over: pool.gaussian(scales, { means: given.means, table: rows, scaleTable: Float32Array.of(0.5, 2) }),
        }),
        given.prior(codec),
        given,
      ],
      [bundle.factorized(pool, "y", { context: false }), codec.factorized(table, { step: 0.5 }), first],
    ] as const;
    bytes.fill(0);
    for (let turns = 0; turns < 3; turns++)
      await Promise.all(
        priors.flatMap(([pooled, own, { latent }]) =>
          contextForms.map(async (options) => {
            const expected = codec.encode(latent, own, options);
            assert.equal(await pool.encode(latent, pooled, options), expected);
            const { stream, header } = options;
            const how = { stream, header, dims: latent.dims, maxContextElements: 1000 };
            assert.equal(await pool.decode(expected, pooled, how), codec.decode(expected, own, how));
          }),
        ),
      );
    assert.is(priors[0][0].kind, "context");
    assert.is(priors[1][0].table.fingerprint, codec.table(table).fingerprint);
    // Once per worker, whatever alternates between: three networks, three tables.
    assert.ok(sent.length > 2);
    assert.is(sent.flatMap(({ networks }) => networks).length, 3 * started.length);
    assert.is(sent.flatMap(({ tables }) => tables).length, 3 * started.length);

    const packet = codec.encode(first.latent, first.prior(codec));
    const [pooled, own] = priors[0];
    const errors = [
      [() => pool.decode(packet, priors[2][0]), () => codec.decode(packet, priors[2][1])],
      [
        () => pool.decode(packet, pooled, { maxContextElements: 5 }),
        () => codec.decode(packet, own, { maxContextElements: 5 }),
      ],
      [() => pool.encode(samples[1].latent, pooled), () => codec.encode(samples[1].latent, own)],
    ] as const;
    for (const [there, here] of errors) sameError(await rejection(there()), thrown(here));
    const damaged = first.bytes.slice();
    damaged[20] ^= 1;
    for (const call of [
      (host: Pool | Codec) => host.context(damaged, { table }),
      (host: Pool | Codec) => host.context("parameters" as never, { table }),
      (host: Pool | Codec) => host.context(first.bytes, { table: samples[1].table }),
      (host: Pool | Codec) => host.context(first.bytes, { table, axes: 1 } as never),
      (host: Pool | Codec) => host.context(first.bytes, undefined as never),
      (host: Pool | Codec) => host.context(first.bytes, null as never),
      (host: Pool | Codec) => host.context(given.bytes, { table }),
      (host: Pool) => host.context(given.bytes, { over: host.factorized(table) }),
      (host: Pool) => host.context(given.bytes, { over: host.indexed(samples[1].table, []) }),
      (host: Pool) => host.context(first.bytes, { over: host.indexed(table, []) }),
    ] as ((host: Pool | Codec) => unknown)[])
      sameError(
        thrown(() => call(pool)),
        thrown(() => call(codec)),
      );
  });
});

function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable("nothing was thrown") as never;
}

function sameError(found: Error & { code?: string }, expected: Error & { code?: string }): void {
  assert.equal([found.name, found.code, found.message], [expected.name, expected.code, expected.message]);
}

test("every build, by name and by value, in the pool's own workers and in the file", async () => {
  const module = await WebAssembly.compile(readFileSync(new URL(import.meta.resolve("latentwire/codec.scalar.wasm"))));
  const choices: PoolOptions[] = [
    { build: "simd" },
    { build: "scalar" },
    { build: "javascript" },
    { build: scalar },
    { build: javascript },
    { module },
    { build: "javascript", worker: workerFile },
    { worker: workerFile },
    { worker: fileURLToPath(workerFile) },
  ];
  for (const options of choices)
    await withPool({ size: 1, ...options }, async (pool) => {
      const pooled = pool.factorized(table);
      assert.equal(await pool.encode(latent, pooled), packet, JSON.stringify(options));
      assert.equal(await pool.decode(packet, pooled), codec.decode(packet, prior));
    });
});

test("the worker's program, from its source: every prior, errors, tasks of another release", async () => {
  // Other tests run it bundled, where coverage does not see its lines.
  const source = JSON.stringify(new URL("../bindings/pool-worker.ts", import.meta.url));
  const contextRng = random(13);
  const parameters = randomNetwork(contextRng, { channels: 2, H: 32 });
  const sampled = contextSample(contextRng, [1, 2, 5, 5], { parameters });
  const program = `import("tsx/esm/api").then(({ tsImport }) => tsImport(${source}, ${source}))`;
  const started: Worker[] = [];
  const worker = () => {
    started.push(new Worker(program, { eval: true }));
    return started[started.length - 1];
  };
  await withPool({ size: 1, worker }, async (pool) => {
    const scales = Float32Array.from(symbols, (_, i) => 0.2 + (i % 50) / 10);
    const rows = Uint8Array.from(symbols, (_, i) => i % 12);
    for (const [pooled, own, latent] of [
      [pool.factorized(table), prior, sample.latent],
      [pool.gaussian(scales), codec.gaussian(scales), sample.latent],
      [pool.indexed(table, rows), codec.indexed(table, rows), sample.latent],
      [pool.context(sampled.bytes, { table: sampled.table }), sampled.prior(codec), sampled.latent],
    ] as const) {
      const expected = codec.encode(latent, own);
      assert.equal(await pool.encode(latent, pooled), expected);
      assert.equal(await pool.decode(expected, pooled), codec.decode(expected, own));
    }
    assert.is((await rejection(pool.decode(packet.subarray(1), pool.factorized(table)))).code, "NOT_A_PACKET");
    const refused = await rejection(pool.encode(latent, pool.indexed(table, rows.fill(99))));
    assert.match(refused.message, /99/);

    // What the pool of another release might send: a task that is neither, and a table that never came.
    const [thread] = started;
    thread.removeAllListeners("message");
    const heard = new Promise((resolve) => thread.once("message", resolve));
    const own = { kind: "factorized", table: "table 0", options: {} };
    const unknown = { prior: { ...own, table: "none" }, encode: { latent, options: {} } };
    thread.postMessage({ tables: [], networks: [], tasks: [{ prior: own }, unknown, { encode: unknown.encode }] });
    const [neither, ...others] = (await heard) as { error: Error }[];
    assert.match(neither.error.message, /task of another release/);
    for (const { error } of others) assert.instance(error, TypeError);
    assert.is(others.length, 2);
  });
});

test("two tables, and two contexts, with one fingerprint stay two in the workers", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const pair = twinTables(40, (json) => codec.table(json).bytes());
    const data = Float32Array.from({ length: 40 }, (_, i) => i / 3);
    const latent = { type: "float32", dims: [1, 40], data };
    for (const bytes of pair) {
      const own = codec.factorized(bytes);
      const packet = codec.encode(latent, own);
      assert.equal(await pool.encode(latent, pool.factorized(bytes)), packet);
      assert.equal(await pool.decode(packet, pool.factorized(bytes)), codec.decode(packet, own));
    }
    const sample = contextSample(random(12), [1, 2, 12, 9], {
      parameters: randomNetwork(random(13), { channels: 2, active: 2, H: 32 }),
    });
    for (const bytes of twinContexts(sample.bytes)) {
      const own = codec.context(bytes, { table: sample.table });
      const packet = codec.encode(sample.latent, own);
      assert.equal(await pool.encode(sample.latent, pool.context(bytes, { table: sample.table })), packet);
    }
  });
});

test("views: a latent, scales and means that are parts of other tensors", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const data = Float32Array.from({ length: 3 * 4 * 30 }, (_, i) => (i % 11) - 5);
    const whole = { type: "float32", dims: [1, 12, 5, 6], data };
    const [own, scales, means] = [0, 4, 8].map((from) => channels(whole, from, from + 4));
    const positive = { ...scales, data: data.map((value) => Math.abs(value) + 0.5) };
    const expected = codec.encode(own, codec.gaussian(positive, { means }));
    assert.equal(await pool.encode(own, pool.gaussian(positive, { means })), expected);
    const decoded = await pool.decode(expected.slice().buffer, pool.gaussian(positive, { means }));
    assert.equal(decoded, codec.decode(expected, codec.gaussian(positive, { means })));
  });
});

test("inputs stay as they are; views are copied without the rest of their buffer", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const pooled = pool.factorized(table);
    const around = new Uint8Array(packet.length + 100_000);
    around.set(packet, 50);
    const view = around.subarray(50, 50 + packet.length);
    const decoding = pool.decode(view, pooled);
    // The copy has been taken.
    around.fill(0);
    assert.equal(await decoding, codec.decode(packet, prior));
    assert.equal(await pool.decode(Buffer.from(packet), pooled), codec.decode(packet, prior));
    const encoding = pool.encode(latent, pooled);
    assert.ok((latent.data as Int32Array).length > 0);
    assert.equal(await encoding, packet);
  });
});

test("transfer hands memory over; out comes back filled; shared memory is used in place", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const pooled = pool.factorized(table);
    const given = packet.slice();
    const expected = codec.decode(packet, prior);
    assert.equal(await pool.decode(given, pooled, { transfer: true }), expected);
    assert.is(given.length, 0);
    const out = new Float32Array(symbols.length + 5);
    const first = await pool.decode(packet, pooled, { out });
    assert.is(out.length, 0);
    assert.equal(first, expected);
    assert.is(first.data.buffer.byteLength, 4 * (symbols.length + 5));
    const shared = new Int32Array(new SharedArrayBuffer(4 * symbols.length));
    const second = await pool.decode(packet, pooled, { type: "int32", out: shared });
    assert.instance(second.data.buffer, SharedArrayBuffer);
    sameNumbers(shared, symbols);
    assert.equal(await pool.encode({ type: "int32", dims, data: shared }, pooled), packet);
    const cut = new Float32Array(symbols.length + 5).subarray(5);
    assert.match((await rejection(pool.decode(packet, pooled, { out: cut }))).message, /out must/);

    // Memory can be handed over once.
    const twice = packet.slice();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => pool.decode(twice, pooled, { transfer: true })),
    );
    assert.is(results.filter(({ status }) => status === "fulfilled").length, 1);
    // Handed over before, then used without transfer.
    assert.instance(await rejection(pool.decode(given, pooled)), TypeError);
    assert.is(pool.pending, 0, "a task that was never started keeps no place");
    await pool.close();
  });
});

test("errors are those of the codec, class and code", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const pooled = pool.factorized(table);
    const nan = { type: "float32", dims, data: new Float32Array(symbols.length).fill(Number.NaN) };
    const damaged = packet.slice();
    damaged[damaged.length >> 1] ^= 1;
    const failing: [() => unknown, () => Promise<unknown>][] = [
      [() => codec.encode(nan, prior), () => pool.encode(nan, pooled)],
      [() => codec.decode(damaged, prior), () => pool.decode(damaged, pooled)],
      [() => codec.decode(packet.subarray(1), prior), () => pool.decode(packet.subarray(1), pooled)],
      [() => codec.decode(packet, prior, { maxElements: 5 }), () => pool.decode(packet, pooled, { maxElements: 5 })],
      [() => codec.decode(packet, prior, { dims: [1] }), () => pool.decode(packet, pooled, { dims: [1] })],
      [
        () => codec.encode(latent, prior, { lanes: 3 as never }),
        () => pool.encode(latent, pooled, { lanes: 3 as never }),
      ],
      [
        () => codec.decode(packet, prior, { type: "x" as never }),
        () => pool.decode(packet, pooled, { type: "x" as never }),
      ],
      [() => codec.encode(latent, codec.indexed(table, [99])), () => pool.encode(latent, pool.indexed(table, [99]))],
      [() => codec.encode({ ...latent, type: "bool" }, prior), () => pool.encode({ ...latent, type: "bool" }, pooled)],
      [() => codec.decode("x" as never, prior), () => pool.decode("x" as never, pooled)],
    ];
    for (const [direct, pooledly] of failing) {
      const error = await rejection(pooledly());
      let expected: unknown;
      try {
        direct();
      } catch (caught) {
        expected = caught;
      }
      assert.is(error.constructor, (expected as Error).constructor);
      assert.is(error.message, (expected as Error).message);
      if (expected instanceof CodecError) assert.is(error.code, expected.code);
    }
    assert.throws(
      () => pool.factorized({ offsets: [], cdfs: [] }),
      (error: CodecError) => error.code === "INVALID_TABLE",
    );
    assert.instance(await rejection(pool.encode(latent, prior as never)), TypeError);
    assert.equal(await pool.encode(latent, pooled), packet, "and the worker goes on");
    assert.is(pool.pending, 0);
  });
  await withPool({ size: 1 }, async (pool) => {
    const pooled = pool.factorized(table);
    const misspelt: [() => unknown, RegExp][] = [
      [() => createPool({ sise: 1 } as never), /createPool: unknown option "sise"/],
      [() => pool.factorized(table, { axes: 1 } as never), /factorized: unknown option "axes"/],
      [() => pool.gaussian(new Float32Array(4), { mean: 1 } as never), /gaussian: unknown option "mean"/],
      [() => pool.indexed(table, [0], { mean: 1 } as never), /indexed: unknown option "mean"/],
      [() => pool.encode(latent, pooled, { out: packet } as never), /encode: unknown option "out"/],
      [() => pool.decode(packet, pooled, { shape: [1] } as never), /decode: unknown option "shape"/],
      [() => pool.capacity({ count: 2 } as never), /capacity: unknown option "count"/],
      [() => pool.close({ force: true } as never), /close: unknown option "force"/],
    ];
    for (const [call, message] of misspelt) {
      const error = await rejection((async () => call())());
      assert.instance(error, TypeError);
      assert.match(error.message, message);
    }
    const uncloneable = await rejection(pool.decode(packet, pooled, { dims: [() => 1] as never }));
    assert.is(uncloneable.name, "DataCloneError");
    assert.is(pool.pending, 0);
  });
  assert.match((await rejection(createPool({ size: 0 }))).message, /size/);
  assert.match((await rejection(createPool({ size: 1, maxPending: 0 }))).message, /maxPending/);
});

test("abort: before, while waiting, under way", async () => {
  await withPool({ size: 1 }, async (pool) => {
    const pooled = pool.factorized(table);
    const reason = new Error("enough");
    assert.is(await rejection(pool.encode(latent, pooled, { signal: AbortSignal.abort(reason) })), reason);
    assert.is(pool.pending, 0);

    const under = new AbortController();
    const running = later(pool.encode(big, pooled, { signal: under.signal }));
    await turn();
    // Two messages go to the worker, so the third task waits here.
    const second = pool.encode(latent, pooled);
    await turn();
    const waiting = new AbortController();
    const third = later(pool.encode(latent, pooled, { signal: waiting.signal }));
    const fourth = pool.encode(latent, pooled, { signal: waiting.signal }).catch((error) => error);
    await turn();
    assert.is(pool.pending, 4);
    waiting.abort(reason);
    assert.is(pool.pending, 2, "waiting tasks leave at once");
    assert.is(await third, reason);
    assert.is(await fourth, reason);
    under.abort(reason);
    assert.is(await running, reason);
    assert.is(pool.pending, 2, "one under way keeps its place until the worker is done with it");
    assert.equal(await second, packet);
    assert.is(pool.pending, 0);
    const late = new AbortController();
    assert.equal(await pool.encode(latent, pooled, { signal: late.signal }), packet);
    late.abort();
  });
});

test("back-pressure: never more than maxPending; capacity() in order, abortable", async () => {
  await withPool({ size: 2, maxPending: 3 }, async (pool) => {
    const pooled = pool.factorized(table);
    const three = Array.from({ length: 3 }, () => pool.encode(latent, pooled));
    const full = await rejection(pool.encode(latent, pooled));
    assert.instance(full, PoolError);
    assert.is(full.code, "QUEUE_FULL");
    const reason = new Error("no longer");
    const controller = new AbortController();
    const given = later(pool.capacity({ signal: controller.signal }));
    controller.abort(reason);
    assert.is(await given, reason);
    await Promise.all(three);

    let most = 0;
    const order: number[] = [];
    // Many more callers than places, all waiting at once: nobody is turned away.
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await pool.capacity();
        order.push(i);
        const result = pool.decode(packet, pooled);
        most = Math.max(most, pool.pending);
        return result;
      }),
    );
    assert.is(most, 3);
    assert.equal(
      order,
      [...order].sort((a, b) => a - b),
    );
    for (const result of results) sameNumbers(result.data, codec.decode(packet, prior).data);
    // Places that are waited for and not taken are free again.
    await Promise.all([pool.capacity(), pool.capacity(), pool.capacity()]);
    await pool.capacity();
    assert.is(pool.pending, 0);
  });
});

test("a worker that dies is replaced, and its tasks rejected", async () => {
  const workers: Worker[] = [];
  const worker = () => {
    const started = new Worker(workerFile);
    workers.push(started);
    return started;
  };
  await withPool({ size: 1, worker }, async (pool) => {
    const pooled = pool.factorized(table);
    const running = later(pool.encode(big, pooled));
    await turn();
    const queued = [pool.encode(latent, pooled)];
    await turn();
    queued.push(pool.encode(latent, pooled));
    const second = later(queued[0]);
    await workers[0].terminate();
    for (const lost of [await running, await second]) {
      assert.instance(lost, PoolError);
      assert.is(lost.code, "WORKER_LOST");
    }
    assert.equal(await queued[1], packet, "the task that waited goes to the new worker, which gets the table too");
    assert.is(workers.length, 2);
    assert.is(pool.pending, 0);
    workers[1].emit("error", new Error("uncaught"));
    assert.equal(await pool.encode(latent, pooled), packet);
    assert.is(workers.length, 3);
  });
});

test("workers that die at once are replaced, before their first task and behind it", async () => {
  const workers: Worker[] = [];
  let broken = 0;
  // The first replacement is slow to fail. Meanwhile the pool has no worker at all.
  const worker = () => {
    const fails = workers.length >= 2 && broken-- > 0;
    const started = fails
      ? new Worker("setTimeout(() => process.exit(7), 20)", { eval: true })
      : new Worker(workerFile);
    workers.push(started);
    return started;
  };
  await withPool({ size: 2, worker }, async (pool) => {
    const pooled = pool.factorized(table);
    for (const failing of [0, 1, 3]) {
      broken = failing;
      const living = workers.slice(-2);
      await Promise.all(living.map((each) => each.terminate()));
      const answers = await Promise.all(Array.from({ length: 6 }, () => pool.encode(latent, pooled)));
      for (const answer of answers) assert.equal(answer, packet);
    }
    assert.is(pool.pending, 0);
    // Both are under way with something.
    const lost = [0, 1].map(() => later(pool.encode(big, pooled)));
    await turn();
    for (const each of workers.slice(-2)) each.emit("error", new Error("uncaught"));
    for (const error of await Promise.all(lost)) assert.is(error.code, "WORKER_LOST");
    assert.equal(await pool.encode(latent, pooled), packet);
  });
});

test("an answer that is none is the loss of its worker, and nothing else", async () => {
  const answers: unknown[] = [
    null,
    "ready",
    {},
    [],
    [null],
    [1],
    [{}, {}],
    new Array(1),
    [{ code: "CORRUPTED", error: null }],
  ];
  for (const answer of answers) {
    const worker = () => {
      const fake = {
        onmessage: (_: { data: unknown }) => {},
        postMessage: (message: object) =>
          queueMicrotask(() => fake.onmessage({ data: "tasks" in message ? answer : "ready" })),
        terminate() {},
      };
      return fake as unknown as Worker;
    };
    await withPool({ size: 1, worker }, async (pool) => {
      const { code } = await rejection(pool.decode(packet, pool.factorized(table)));
      const isReply = JSON.stringify(answer).includes("CORRUPTED");
      assert.is(code, isReply ? "CORRUPTED" : "WORKER_LOST", JSON.stringify(answer));
      assert.is(pool.pending, 0);
    });
  }
});

test("workers that cannot start", async () => {
  const broken = () => new Worker("throw new Error('no such file')", { eval: true, stderr: true });
  const error = (await rejection(createPool({ size: 2, worker: broken }))) as PoolError;
  assert.is(error.code, "WORKER_LOST");
  assert.match(error.message, /no such file/);
  const none = () => {
    throw new Error("forbidden");
  };
  assert.match((await rejection(createPool({ size: 1, worker: none }))).message, /forbidden/);
  const nothing = (() => undefined) as unknown as PoolOptions["worker"];
  assert.match((await rejection(createPool({ size: 1, worker: nothing }))).message, /must return a Worker/);

  const missing = (await rejection(createPool({ size: 1, worker: new URL("nowhere.js", workerFile) }))) as PoolError;
  assert.is(missing.code, "WORKER_LOST");
  assert.match(missing.message, /nowhere\.js.*option `worker` says/s);

  const workers: Worker[] = [];
  const once = () => {
    workers.push(workers.length === 0 ? new Worker(workerFile) : broken());
    return workers[workers.length - 1];
  };
  await withPool({ size: 1, worker: once }, async (pool) => {
    const pooled = pool.factorized(table);
    await workers[0].terminate();
    const waiting = later(pool.encode(latent, pooled));
    const room = later(pool.capacity().then(() => pool.encode(latent, pooled)));
    assert.is((await waiting).code, "WORKER_LOST");
    assert.is((await room).code, "WORKER_LOST");
    assert.is((await rejection(pool.encode(latent, pooled))).code, "WORKER_LOST");
    assert.is(workers.length, 4, "three attempts, and no more");
  });
});

function throwsClosed(make: () => unknown): void {
  let error: unknown;
  try {
    make();
  } catch (thrown) {
    error = thrown;
  }
  assert.is((error as PoolError).code, "CLOSED");
}

test("close drains; close with abort does not; then nothing is accepted", async () => {
  const pool = await createPool({ size: 1 });
  const pooled = pool.factorized(table);
  const pending = Array.from({ length: 20 }, () => pool.encode(latent, pooled));
  const closing = pool.close();
  assert.is((await rejection(pool.encode(latent, pooled))).code, "CLOSED");
  assert.is((await rejection(pool.capacity())).code, "CLOSED");
  for (const result of await Promise.all(pending)) assert.equal(result, packet);
  await closing;
  await pool.close();
  for (const make of [
    () => pool.table(table),
    () => pool.factorized(table),
    () => pool.gaussian(new Float32Array(4)),
    () => pool.indexed(table, [0]),
    () => pool.context(new Uint8Array(9), { table }),
  ])
    throwsClosed(make);

  const other = await createPool({ size: 1, maxPending: 20 });
  const cut = Array.from({ length: 20 }, () => later(other.encode(big, other.factorized(table))));
  const waiting = later(other.capacity());
  const draining = other.close();
  await other.close({ abort: true });
  await draining;
  for (const error of await Promise.all([...cut, waiting])) assert.is(error.code, "CLOSED");
  assert.is(other.pending, 0);
});

test("a host without workers is told so, whatever else it forbids", () => {
  const script = `import { createPool } from "latentwire/pool";
    process.getBuiltinModule = undefined;
    WebAssembly.compile = async () => { throw new WebAssembly.CompileError("forbidden"); };
    await createPool().catch(({ code, message }) => console.log(code, message));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    encoding: "utf8",
  });
  assert.match(stdout, /^WORKER_LOST there are no workers here/);
});

test("an idle pool does not keep the process alive, a busy one does", () => {
  const script = `import { createPool } from "latentwire/pool";
    const pool = await createPool({ size: 2 });
    const prior = pool.factorized({ offsets: [0], cdfs: [[0, 65535, 65536]] });
    pool.encode({ type: "int8", dims: [1, 1, 4], data: new Int8Array(4) }, prior).then(() => console.log("done"));`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout, status } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", timeout: 30_000 });
  assert.is(status, 0);
  assert.is(stdout, "done\n");
});

test.run();

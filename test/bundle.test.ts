// Bundles: docs/tables.md section 2, from the bytes up to priors.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CodecError, create, type Table, type TensorLike } from "latentwire";
import { type BundleInput, loadBundle, readBundle, writeBundle } from "latentwire/bundle";
import { createPool } from "latentwire/pool";
import { stockBundle } from "latentwire/tables/stock";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeTable, random } from "./cases.js";
import { rejects, sameNumbers, throwMistakes, throwsCode, throwsMistake } from "./expect.js";
import { mutate, reseal } from "./mutate.js";
import { xxh32 } from "./reference.js";
import { twinTables } from "./twin.js";

const codec = await create();
const channels = codec.table(makeTable(random(1), { rows: 6, entries: 20, flavour: "peaked", medians: true }));
const scaleTable = Float32Array.of(0.11, 0.5, 2, 7.5);
const gaussian = codec.gaussianTable(scaleTable);
const plain = codec.table(makeTable(random(2), { rows: 3, entries: 9, flavour: "random", medians: false }));

const inputs: BundleInput[] = [
  { name: "hyper", kind: "factorized", table: channels, shape: [null, 6, null, null], step: 0.25, meta: { epoch: 7 } },
  { name: "main", kind: "gaussian", table: gaussian, scaleTable, rebuild: true },
  { name: "stored", kind: "gaussian", table: gaussian, scaleTable, step: 2 },
  { name: "rows", kind: "indexed", table: plain.bytes(), step: 0.5 },
  { name: "last", kind: "factorized", table: channels, axis: 2 },
];
const bytes = writeBundle(inputs, { model: "m", nested: { list: [1, null] } });

const latent = (dims: number[], seed: number): TensorLike => {
  const rng = random(seed);
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 8 * rng.unit() - 4);
  return { type: "float32", dims, data };
};

test("what is written is read: names, kinds, shapes, steps, fingerprints, metadata", () => {
  const bundle = readBundle(bytes);
  assert.equal(bundle.meta, { model: "m", nested: { list: [1, null] } });
  const entry = (name: string, kind: string, table: Table, more = {}) => ({
    ...{ name, kind, rows: table.rows, fingerprint: table.fingerprint, medians: table.medians !== undefined },
    bytes: table.bytes().length,
    ...{ axis: undefined, shape: undefined, context: undefined, step: 1, meta: {}, ...more },
  });
  assert.equal(bundle.entries, [
    entry("hyper", "factorized", channels, { shape: [null, 6, null, null], step: 0.25, meta: { epoch: 7 } }),
    entry("main", "gaussian", gaussian, { bytes: 0 }),
    entry("stored", "gaussian", gaussian, { step: 2 }),
    entry("rows", "indexed", plain, { step: 0.5 }),
    entry("last", "factorized", channels, { axis: 2 }),
  ]);
  sameNumbers(bundle.scaleTable("main")!, scaleTable);
  assert.is(bundle.scaleTable("hyper"), undefined);
  assert.is(bundle.entry("rows").fingerprint, plain.fingerprint);
  assert.equal(writeBundle(inputs, { model: "m", nested: { list: [1, null] } }), bytes);
});

test("two tables with one fingerprint stay two, equal ones are stored once", () => {
  const pair = twinTables(40, (json) => codec.table(json).bytes());
  const written = writeBundle([0, 1, 0, 1].map((i, k) => ({ name: `${k}`, kind: "factorized", table: pair[i] })));
  const bundle = readBundle(written);
  [0, 1, 0, 1].forEach((i, k) => {
    assert.equal(bundle.table(codec, `${k}`).bytes(), pair[i]);
  });
  assert.ok(written.length < 2.5 * pair[0].length + 1000);
});

test("the bytes are those of docs/tables.md", () => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assert.equal([...bytes.subarray(0, 4)], [0x4c, 0x57, 0x42, 1]);
  const length = view.getUint32(4, true);
  const directory = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const blob = ([start, size]: [number, number]) => bytes.subarray(8 + length + start, 8 + length + start + size);
  const [hyper, main, stored, rows, last] = directory.entries;
  assert.equal(blob(hyper.table), channels.bytes());
  assert.equal(blob(rows.table), plain.bytes());
  assert.equal(hyper.table, last.table, "the same table is stored once");
  assert.is(main.table, undefined);
  assert.equal(new Float32Array(blob(main.scales).slice().buffer), scaleTable);
  assert.equal(main.scales, stored.scales);
  assert.is(view.getUint32(bytes.length - 4, true), xxh32(bytes.subarray(0, -4)));
  const held = [hyper.table, main.scales, stored.table, rows.table].reduce((sum, place) => sum + place[1], 0);
  assert.is(bytes.length, 8 + length + held + 4);
});

test("priors are the codec's own, with the entry's step and axis unless told otherwise", () => {
  const bundle = readBundle(bytes);
  const y = latent([1, 6, 5, 4], 3);
  const turned = latent([1, 5, 6, 4], 3);
  const scales = Float32Array.from({ length: 120 }, (_, i) => 0.05 + i / 12);
  const means = Float32Array.from({ length: 120 }, (_, i) => (i % 7) / 3);
  const rows = Array.from({ length: 120 }, (_, i) => i % 3);
  const direct = { table: gaussian, scaleTable, means };
  for (const [input, found, expected] of [
    [y, bundle.factorized(codec, "hyper"), codec.factorized(channels, { step: 0.25 })],
    [y, bundle.factorized(codec, "hyper", { step: 2 }), codec.factorized(channels, { step: 2 })],
    [turned, bundle.factorized(codec, "last"), codec.factorized(channels, { axis: 2 })],
    [y, bundle.gaussian(codec, "main", scales, { means }), codec.gaussian(scales, direct)],
    [y, bundle.gaussian(codec, "stored", scales, { means }), codec.gaussian(scales, { ...direct, step: 2 })],
    [y, bundle.indexed(codec, "rows", rows), codec.indexed(plain, rows, { step: 0.5 })],
  ] as const)
    assert.equal(codec.encode(input, found), codec.encode(input, expected));
});

test("tables are parsed when used, and once per codec", () => {
  const bundle = readBundle(bytes);
  let loads = 0;
  const counting = {
    table: (source: Parameters<typeof codec.table>[0]) => {
      loads++;
      return codec.table(source);
    },
    gaussian: codec.gaussian.bind(codec),
    factorized: codec.factorized.bind(codec),
  };
  assert.is(loads, 0);
  bundle.factorized(counting, "hyper");
  bundle.factorized(counting, "hyper");
  assert.is(loads, 1);
  const built: Table = bundle.table(counting, "main");
  assert.is(bundle.table(counting, "main"), built);
  assert.is(built.fingerprint, gaussian.fingerprint);
});

test("a pool takes a bundle's priors", async () => {
  const pool = await createPool({ size: 1 });
  try {
    const bundle = readBundle(bytes);
    const y = latent([1, 6, 3, 3], 9);
    const packet = await pool.encode(y, bundle.factorized(pool, "hyper"));
    assert.equal(packet, codec.encode(y, bundle.factorized(codec, "hyper")));
    const scales = new Float32Array(54).fill(1.5);
    const other = await pool.encode(y, bundle.gaussian(pool, "main", scales));
    assert.equal(other, codec.encode(y, bundle.gaussian(codec, "main", scales)));
  } finally {
    await pool.close();
  }
});

test("the caller's buffer is his own afterwards", () => {
  const own = bytes.slice();
  const bundle = readBundle(own);
  own.fill(0);
  assert.is(bundle.table(codec, "hyper").fingerprint, channels.fingerprint);
});

test("mistakes name the argument", () => {
  const bundle = readBundle(bytes);
  throwMistakes([
    [RangeError, "name", () => bundle.entry("nothing")],
    [RangeError, "name", () => bundle.factorized(codec, "main")],
    [RangeError, "tables fit --context", () => bundle.factorized(codec, "hyper", { context: true })],
    [TypeError, "context must be true or false", () => bundle.factorized(codec, "hyper", { context: "fast" as never })],
    [TypeError, "context must be true or false", () => bundle.factorized(codec, "hyper", { context: null as never })],
    [RangeError, "name", () => bundle.gaussian(codec, "hyper", new Float32Array(1))],
    [TypeError, "bytes", () => readBundle("x" as never)],
    [TypeError, "entries", () => writeBundle(null as never)],
  ]);
  const one = { name: "a", kind: "factorized", table: plain } as const;
  const wrong: [BundleInput[], string][] = [
    [[one, one], "a"],
    [[{ ...one, name: "" }], "entries[0].name"],
    [[{ ...one, name: "x\n" }], "entries[0].name"],
    [[one, { ...one, name: "b", kind: "other" as never }], "entries[1].kind"],
    [[{ ...one, table: new Uint8Array(40) }], "entries[0].table"],
    [[{ ...one, rebuild: true }], "entries[0].rebuild"],
    [[{ ...one, scaleTable }], "entries[0].scaleTable"],
    [[{ ...one, kind: "gaussian", scaleTable }], "entries[0].scaleTable"],
    [[{ ...one, step: -1 }], "entries[0].step"],
    [[{ ...one, step: Number.NaN }], "entries[0].step"],
    [[{ ...one, shape: [-1] }], "entries[0].shape"],
    [[{ ...one, axis: 9 }], "axis"],
  ];
  for (const [entries, argument] of wrong) throwsMistake(() => writeBundle(entries), RangeError, argument);
});

/** A bundle with this directory, its checksum right. */
function withDirectory(text: string, blobs: Uint8Array): Uint8Array {
  const directory = new TextEncoder().encode(text);
  const length = new Uint8Array(Uint32Array.of(directory.length).buffer);
  return reseal(new Uint8Array(Buffer.concat([bytes.subarray(0, 4), length, directory, blobs])));
}

/** The bundle above, its directory changed. */
function edited(change: (directory: { entries: Record<string, unknown>[] }) => unknown): Uint8Array {
  const end = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const directory = JSON.parse(new TextDecoder().decode(bytes.subarray(8, end)));
  return withDirectory(JSON.stringify(change(directory) ?? directory), bytes.subarray(end));
}

const set = (field: string, value: unknown, entry = 0) =>
  edited(({ entries }) => {
    entries[entry][field] = value;
  });

test("directories that contradict themselves are CORRUPTED", () => {
  readBundle(edited(() => {}));
  const many = Array.from({ length: 4097 }, () => ({}));
  for (const directory of [[], "text", { entries: 5 }, { entries: [null] }, { entries: many }])
    throwsCode(() => readBundle(edited(() => directory)), "CORRUPTED");
  const wrong: Record<string, unknown[]> = {
    name: ["", "main", "a\u0000", 5],
    rows: [5, -1, 1e9],
    fingerprint: ["0000000000000000", 7],
    table: [undefined, "x", [0, 1e9], [1e9, 0], [-1, 20], [0.5, 20], [0, 5], [1, 40]],
    scales: [[0, 24]],
    step: [0, "1", 1e300],
    axis: [7],
    shape: [[], [1, 2.5], [1, 1, 1, 1, 1, 1, 1, 1]],
    meta: [[]],
  };
  for (const [field, values] of Object.entries(wrong))
    for (const value of values) throwsCode(() => readBundle(set(field, value)), "CORRUPTED");
  throwsCode(() => readBundle(set("scales", [0, 8], 1)), "CORRUPTED");
  throwsCode(() => readBundle(set("kind", "mixture")), "UNSUPPORTED_VERSION");
});

test("keys that JavaScript treats specially are only keys, and an empty bundle is a bundle", () => {
  const text = `{"entries": [], "meta": {"__proto__": {"polluted": 1}}, "__proto__": {"entries": 5}}`;
  for (const empty of [withDirectory(text, new Uint8Array(4)), writeBundle([])])
    assert.equal(readBundle(empty).entries, []);
  assert.is(({} as { polluted?: number }).polluted, undefined);
});

test("a table other than the directory's is found out when it is loaded", () => {
  const other = set("fingerprint", channels.fingerprint, 1);
  throwsCode(() => readBundle(other).table(codec, "main"), "CORRUPTED");
  // Scales out of the middle of a table: hardly ascending.
  const scales = set("scales", [3, 16], 1);
  throwsCode(() => readBundle(scales).table(codec, "main"), ["INVALID_TABLE", "CORRUPTED"]);
});

test("damage is reported with a code, whatever it is", () => {
  for (let length = 0; length < bytes.length; length++)
    throwsCode(() => readBundle(bytes.slice(0, length)), ["NOT_A_BUNDLE", "TRUNCATED", "CORRUPTED"]);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] ^= 1 << (at % 8);
    throwsCode(() => readBundle(damaged), ["NOT_A_BUNDLE", "UNSUPPORTED_VERSION", "TRUNCATED", "CORRUPTED"]);
  }
});

test("fuzz: mutated bundles, with a right checksum and without, end in an error with a code or in tables that load", () => {
  const rng = random(77);
  const outcomes: Record<string, number> = {};
  const tried = <R>(call: () => R, codes: string): R | undefined => {
    try {
      return call();
    } catch (error) {
      const { code } = error as CodecError;
      if (!(error instanceof CodecError) || !codes.split(" ").includes(code)) throw error;
      outcomes.refused = (outcomes.refused ?? 0) + 1;
      return undefined;
    }
  };
  for (let i = 0; i < 6000; i++) {
    const damaged = mutate(bytes, rng, bytes);
    const sealed = i % 4 === 0 ? damaged : reseal(damaged);
    const bundle = tried(() => readBundle(sealed), "NOT_A_BUNDLE UNSUPPORTED_VERSION TRUNCATED CORRUPTED");
    for (const { name } of bundle?.entries ?? [])
      if (tried(() => bundle?.table(codec, name), "INVALID_TABLE CORRUPTED"))
        outcomes[name] = (outcomes[name] ?? 0) + 1;
  }
  assert.ok(outcomes.main > 0 && outcomes.refused > 1000, JSON.stringify(outcomes));
});

// ---- loading

const folder = mkdtempSync(join(tmpdir(), "latentwire-bundle-"));
test.after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "model.lwb"), bytes);

async function served(listener: RequestListener, call: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await call(`http://127.0.0.1:${(server.address() as AddressInfo).port}/tables.lwb`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("loadBundle takes bytes, buffers, blobs, files, paths, responses, URLs and promises of them", async () => {
  await served(
    (_, response) => response.end(bytes),
    async (url) => {
      const sources = [
        bytes,
        bytes.slice().buffer,
        Buffer.from(bytes),
        new Response(bytes.slice()),
        new Blob([bytes.slice()]),
        new File([bytes.slice()], "model.lwb"),
        join(folder, "model.lwb"),
        pathToFileURL(join(folder, "model.lwb")),
        pathToFileURL(join(folder, "model.lwb")).href,
        url,
        new URL(url),
        fetch(url),
        Promise.resolve(bytes),
      ];
      for (const source of sources) assert.is((await loadBundle(source as never)).entries.length, inputs.length);
    },
  );
});

test("loadBundle refuses what is no bundle, what is too long, and what it cannot take", async () => {
  await served(
    (request, response) => {
      if (request.url?.endsWith("long")) {
        // No content-length: what counts is what comes.
        response.write(bytes);
        return void response.end(Buffer.alloc(1 << 20));
      }
      response.statusCode = 404;
      response.end("no such file");
    },
    async (url) => {
      await rejects(loadBundle(url), "NOT_A_BUNDLE", new RegExp(`^${url}: the server answered with status 404$`));
      await rejects(loadBundle(`${url}long`, { maxBytes: 1000 }), "LIMIT_EXCEEDED");
    },
  );
  await rejects(loadBundle(new Response("hello there, I am text")), "NOT_A_BUNDLE");
  await rejects(loadBundle(new Response(bytes.slice()), { maxBytes: 10 }), "LIMIT_EXCEEDED");
  for (const source of [new Blob([bytes.slice()]), join(folder, "model.lwb")])
    await rejects(loadBundle(source, { maxBytes: 10 }), "LIMIT_EXCEEDED");
  throwsCode(() => codec.table(bytes), "INVALID_TABLE", /latentwire\/bundle/);
  throwsMistake(() => codec.table(readBundle(bytes) as never), TypeError, "bundle.table");
  for (const source of [5, null, {}]) await rejects(loadBundle(source as never), TypeError, /source/);
});

test("loadBundle names the place, and what is there", async () => {
  await served(
    // What a development server does with an address that it does not know.
    (_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>app</title>"),
    async (url) => {
      const page = new RegExp(`^${url}: the input is a page of HTML`);
      for (const source of [url, new URL(url), fetch(url)]) await rejects(loadBundle(source), "NOT_A_BUNDLE", page);
    },
  );
  const other = join(folder, "settings.json");
  writeFileSync(other, '{ "name": "settings" }\n');
  await rejects(
    loadBundle(other),
    "NOT_A_BUNDLE",
    /settings\.json: the input is no table bundle: it begins with "{ "name"/,
  );
  const cut = bytes.slice(0, -9);
  await rejects(loadBundle(new File([cut], "cut.lwb")), "CORRUPTED", /^cut\.lwb: /);
  await rejects(loadBundle(cut), "CORRUPTED", /^bundle: /);
  const long = `data:text/plain,${"x".repeat(5000)}`;
  await rejects(loadBundle(long), "NOT_A_BUNDLE", /^data:text.{100,300}$/);
});

test("the stock bundle has CompressAI's 64 scales", async () => {
  const stock = await stockBundle("gaussian64");
  const scales = new Float32Array(8).fill(3);
  const y = latent([8], 1);
  assert.equal(
    codec.encode(y, stock.gaussian(codec, "gaussian_conditional", scales)),
    codec.encode(y, codec.gaussian(scales)),
  );
  await rejects(stockBundle("other" as never), RangeError);
});

test.run();

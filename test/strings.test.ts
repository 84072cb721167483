// CompressAI's list of strings: one per part, byte for byte what its coder writes; docs/format.md section 4.
import { readdirSync, readFileSync } from "node:fs";
import type { Codec } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import {
  anySample,
  factorizedSample,
  gaussianSample,
  indexedSample,
  makeTable,
  mixtureSample,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { sameNumbers, throwsCode, throwsMistake } from "./expect.js";
import type { CompressaiVector } from "./golden.js";
import { encodeCompressai } from "./reference.js";

const folder = new URL("./vectors/", import.meta.url);
const vectors = readdirSync(folder)
  .filter((file) => /^compressai-.*\.json$/.test(file))
  .map((file) => ({ file, vector: JSON.parse(readFileSync(new URL(file, folder), "utf8")) as CompressaiVector }));

const form = { stream: "compressai", header: "none" } as const;

function stringsOf(codec: Codec, parts: readonly Sample[]): Uint8Array[] {
  const writer = codec.writer({ format: "strings" });
  for (const part of parts)
    sameNumbers(writer.write(part.latent, part.prior(codec), { dequantize: true }).data, part.values);
  return writer.finishStrings();
}

function readStrings(codec: Codec, strings: readonly Uint8Array[], parts: readonly Sample[]): void {
  const reader = codec.reader(strings);
  parts.forEach((part, i) => {
    assert.is(reader.remaining, undefined);
    // Strings know no shapes.
    const prior = part.prior(codec);
    const { dims } = part;
    const { data } = i % 2 ? reader.read(prior, { dims }) : reader.read(prior, { type: "int32", dims });
    sameNumbers(data, i % 2 ? part.values : part.symbols, part.name);
  });
  reader.finish();
}

const rng = random(88);
const table = makeTable(rng, { rows: 5, entries: 30, flavour: "random", medians: true });
const parts = [
  factorizedSample(rng, table, [1, 5, 4, 4]),
  gaussianSample(rng, scaledTable(rng, 9), [1, 600], { means: true, float: true }),
  indexedSample(rng, table, [0]),
  indexedSample(rng, table, [300], { escapeRate: 0.1, step: 0.5 }),
];

both("all of CompressAI's own strings, in one list", (codec) => {
  assert.ok(vectors.length >= 10);
  const writer = codec.writer({ format: "strings" });
  const priors = vectors.map(({ vector: { cdfs, cdf_lengths, offsets, indexes } }) =>
    codec.indexed({ offsets, cdfs: cdfs.map((cdf, r) => cdf.slice(0, cdf_lengths[r])) }, indexes),
  );
  vectors.forEach(({ vector: { symbols } }, i) => {
    writer.write({ type: "int32", dims: [symbols.length], data: Int32Array.from(symbols) }, priors[i]);
  });
  const strings = writer.finishStrings();
  strings.forEach((string, i) => {
    assert.is(Buffer.from(string).toString("hex"), vectors[i].vector.bytes_hex, vectors[i].file);
  });
  assert.is(strings.length, vectors.length);
  const reader = codec.reader(strings);
  vectors.forEach(({ file, vector: { symbols } }, i) => {
    const { data } = reader.read(priors[i], { type: "int32", dims: [symbols.length] });
    sameNumbers(data, symbols, file);
  });
  reader.finish();
});

both("a string is what encode writes as a bare CompressAI stream", (codec) => {
  for (let round = 0; round < 40; round++) {
    const list = Array.from({ length: 1 + rng(5) }, () => anySample(rng, rng(500), 0.01, false));
    const strings = stringsOf(codec, list);
    strings.forEach((string, i) => {
      sameNumbers(string, codec.encode(list[i].latent, list[i].prior(codec), form));
    });
    readStrings(codec, strings, list);
  }
});

both("a mixture's string is CompressAI's of its rows", (codec) => {
  for (const escapeRate of [0, 0.05, 1]) {
    const part = mixtureSample(rng, [70], { escapeRate });
    const [before, string, after] = stringsOf(codec, [parts[1], part, parts[3]]);
    sameNumbers(string, encodeCompressai(part.symbols, part.coding));
    readStrings(codec, [before, string, after], [parts[1], part, parts[3]]);
  }
});

both("sequences have strings too", (codec) => {
  const n = 900;
  const scales = Float32Array.from({ length: n }, () => 0.2 + 3 * rng.unit());
  const values = scales.map((s) => (rng.unit() - 0.5) * 4 * s);
  const out = new Float32Array(n);
  const writer = codec.writer({ format: "strings" });
  const sequence = writer.sequence();
  for (let at = 0; at < n; at += 30)
    sequence.next(values.subarray(at, at + 30), scales.subarray(at, at + 30), undefined, out.subarray(at, at + 30));
  sequence.end();
  const [string] = writer.finishStrings();
  sameNumbers(string, codec.encode({ type: "float32", dims: [n], data: values }, codec.gaussian(scales), form));
  const reader = codec.reader([string]);
  const pull = reader.sequence();
  const found = new Float32Array(n);
  for (let at = 0; at < n; at += 45) pull.next(scales.subarray(at, at + 45), undefined, found.subarray(at, at + 45));
  pull.end();
  reader.finish();
  sameNumbers(found, out);
});

both("strings that are cut, changed, too few or too many", (codec) => {
  const strings = stringsOf(codec, parts);
  const readAll = (list: Uint8Array[]) => readStrings(codec, list, parts);
  const damage = ["TRUNCATED", "CORRUPTED"];
  for (let length = 0; length < strings[1].length; length++)
    throwsCode(() => readAll([strings[0], strings[1].slice(0, length), strings[2], strings[3]]), damage);
  throwsCode(() => readAll([strings[0], Uint8Array.from([...strings[1], 0, 0, 0, 0]), strings[2], strings[3]]), damage);
  throwsCode(() => readAll(strings.slice(0, 3)), "TRUNCATED");
  throwsCode(() => readAll([...strings, strings[0]]), "SHAPE_MISMATCH");
  throwsCode(
    () => codec.reader(strings, { maxElements: 79 }).read(parts[0].prior(codec), { dims: [1, 5, 4, 4] }),
    "LIMIT_EXCEEDED",
  );
  readAll(strings);
});

both("a factorized part needs its shape, a packet is no list", (codec) => {
  const strings = stringsOf(codec, parts);
  throwsMistake(() => codec.reader(strings).read(parts[0].prior(codec)), TypeError, "dims");
  throwsMistake(() => codec.writer({ format: "strings" }).finish(), TypeError, "finishStrings");
  throwsMistake(() => codec.reader(["a"] as unknown as Uint8Array[]), TypeError, "strings");
});

test.run();

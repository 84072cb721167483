// CompressAI's list of strings: one per part, byte for byte what its coder writes; docs/format.md section 4. golden.test.ts has CompressAI's own strings.
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
import { sameNumbers, throwMistakes, throwsCode } from "./expect.js";
import { encodeCompressai } from "./reference.js";

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

both("a string is what encode writes as a bare CompressAI stream, or the reference for a mixture", (codec) => {
  for (let round = 0; round < 40; round++) {
    const list = Array.from({ length: 1 + rng(5) }, () => anySample(rng, rng(500), 0.01, false));
    if (round % 4 === 0) list.splice(1, 0, mixtureSample(rng, [70], { escapeRate: [0, 0.05, 1][round % 3] }));
    const strings = stringsOf(codec, list);
    list.forEach(({ reference, symbols, coding, latent, prior }, i) => {
      const isMixture = reference.kind === "mixture";
      sameNumbers(strings[i], isMixture ? encodeCompressai(symbols, coding) : codec.encode(latent, prior(codec), form));
    });
    readStrings(codec, strings, list);
  }
});

both("sequences have strings too", (codec) => {
  const n = 900;
  const scales = Float32Array.from({ length: n }, () => 0.2 + 3 * rng.unit());
  const values = scales.map((s) => (rng.unit() - 0.5) * 4 * s);
  const [out, found] = [new Float32Array(n), new Float32Array(n)];
  const writer = codec.writer({ format: "strings" });
  const sequence = writer.sequence();
  for (let at = 0; at < n; at += 30)
    sequence.next(values.subarray(at, at + 30), scales.subarray(at, at + 30), undefined, out.subarray(at, at + 30));
  sequence.end();
  const [string] = writer.finishStrings();
  sameNumbers(string, codec.encode({ type: "float32", dims: [n], data: values }, codec.gaussian(scales), form));
  const reader = codec.reader([string]);
  const pull = reader.sequence();
  for (let at = 0; at < n; at += 45) pull.next(scales.subarray(at, at + 45), undefined, found.subarray(at, at + 45));
  pull.end();
  reader.finish();
  sameNumbers(found, out);
});

both("strings that are cut, changed, too few or too many", (codec) => {
  const strings = stringsOf(codec, parts);
  const [first, second, ...others] = strings;
  const readAll = (list: Uint8Array[]) => () => readStrings(codec, list, parts);
  const damage = ["TRUNCATED", "CORRUPTED"];
  for (let length = 0; length < second.length; length++)
    throwsCode(readAll([first, second.slice(0, length), ...others]), damage);
  throwsCode(readAll([first, Uint8Array.from([...second, 0, 0, 0, 0]), ...others]), damage);
  throwsCode(readAll(strings.slice(0, 3)), "TRUNCATED");
  throwsCode(readAll([...strings, first]), "SHAPE_MISMATCH");
  const limited = codec.reader(strings, { maxElements: 79 });
  throwsCode(() => limited.read(parts[0].prior(codec), { dims: [1, 5, 4, 4] }), "LIMIT_EXCEEDED");
  readAll(strings)();
});

both("a factorized part needs its shape, a packet is no list", (codec) => {
  const strings = stringsOf(codec, parts);
  throwMistakes([
    [TypeError, "dims", () => codec.reader(strings).read(parts[0].prior(codec))],
    [TypeError, "finishStrings", () => codec.writer({ format: "strings" }).finish()],
    [TypeError, "strings", () => codec.reader(["a"] as unknown as Uint8Array[])],
  ]);
});

test.run();

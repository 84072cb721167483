// The package against the reference: the same bytes from all encoders, and each decoder reads them, for one tensor and for lists of parts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds, isFull, laneCounts } from "./builds.js";
import type { Sample } from "./cases.js";
import { agree, type Options } from "./io.js";
import { largeMessages, lists, samples } from "./messages.js";

const codecs = builds.map(({ codec }) => codec);

const compactForms: readonly Options[] = [
  { header: "compact" },
  { header: "compact", checksum: 2 },
  { header: "compact", checksum: false },
  { header: "none" },
];

/** Lanes, checks, guards and headers. Compact forms with two lane counts each: all of them, over the forms. */
function formsOf(parts: readonly Sample[]): Options[] {
  const hasMixture = parts.some(({ reference }) => reference.kind === "mixture");
  // The widest that the mixtures here allow: means up to 14.
  const guard = hasMixture ? 2e-4 : 0.004;
  const strings = parts.length === 1 && !hasMixture ? [{}, ...compactForms] : [];
  return [
    ...[...laneCounts, "auto" as const].map((lanes) => ({ lanes })),
    { lanes: 8, guard, checksum: false },
    { lanes: 1, indexChecks: true, fingerprint: false },
    ...compactForms.flatMap((form, i) => [
      { ...form, lanes: laneCounts[i] },
      { ...form, lanes: laneCounts[(i + 2) % 4] },
    ]),
    { header: "compact", lanes: 16, guard },
    ...strings.map((form) => ({ ...form, stream: "compressai" as const })),
  ];
}

const messages = [
  ...Object.entries(samples).map(([name, sample]) => [name, [sample]] as const),
  ...Object.entries(lists),
];

test("the builds are what they say", () => {
  assert.equal(
    builds.map(({ codec }) => codec.simd),
    [true, false],
  );
});

// The quick tier takes one form in three, another with each message.
for (const [i, [name, parts]] of messages.entries())
  test(`packets are equal, and each reads the other's: ${name}`, () => {
    for (const [k, form] of formsOf(parts).entries()) if (isFull || (i + k) % 3 === 0) agree(codecs, parts, form);
  });

for (const [i, [name, parts]] of Object.entries(largeMessages()).entries())
  test(`larger than a chunk: ${name}`, () => {
    const forms: Options[] = [{ lanes: 8 }, { lanes: 32 }, { lanes: 1, guard: 2e-4 }];
    for (const [k, form] of forms.entries()) if (isFull || k === i % 2) agree(codecs, parts, form);
  });

test("every combination of options", () => {
  for (const parts of [[samples["escapes now and then"]], lists["a tail over parts of every kind"]])
    for (let bits = 0; bits < 16; bits++)
      agree(codecs, parts, {
        checksum: !!(bits & 1),
        fingerprint: !!(bits & 2),
        indexChecks: !!(bits & 4),
        guard: bits & 8 ? 2e-4 : 0,
        lanes: 16,
      });
  for (const checksum of [false, true])
    for (const fingerprint of [false, true])
      agree(codecs, [samples["escapes now and then"]], { stream: "compressai", checksum, fingerprint });
});

test.run();

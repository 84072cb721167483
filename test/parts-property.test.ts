// Any list of parts, any options: the bytes of both builds are the reference's, and all three read them.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { laneCounts } from "./builds.js";
import { random } from "./cases.js";
import { sameNumbers } from "./expect.js";
import { fullBuilds } from "./full-builds.js";
import { anyPart } from "./parts-cases.js";
import { readParts, toReference, writeParts } from "./parts-io.js";
import { decodeParts, encodeParts, parseParts } from "./reference.js";

// uvu prints a message, not its cause.
fc.configureGlobal({ includeErrorInReport: true });

const sizes = fc.oneof(
  fc.constantFrom(0, 1, 2, 31, 32, 33),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 0, max: 2000 }),
);

const packetArbitrary = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  sizes: fc.array(sizes, { maxLength: 9 }),
  escapeRate: fc.constantFrom(0, 0, 0.001, 0.1, 1),
  lanes: fc.constantFrom(...laneCounts, "auto" as const),
  checksum: fc.boolean(),
  fingerprint: fc.boolean(),
  indexChecks: fc.boolean(),
  guard: fc.constantFrom(0, 1e-4, 0.01),
});

test("any packet of several parts", () => {
  let severalLanes = 0;
  let corrected = 0;
  fc.assert(
    fc.property(packetArbitrary, ({ seed, sizes, escapeRate, lanes, guard, ...flags }) => {
      const rng = random(seed);
      const parts = sizes.map((size) => anyPart(rng, size, escapeRate, guard < 0.01));
      const [first, second] = fullBuilds.map(({ codec }) => writeParts(codec, parts, { lanes, guard, ...flags }));
      sameNumbers(first, second, "the builds");
      const { form, corrections } = parseParts(first);
      if (form.lanes > 1) severalLanes++;
      if (corrections.length > 0) corrected++;
      const asked = lanes === "auto" ? form.lanes : lanes;
      sameNumbers(first, encodeParts(toReference(parts, guard), { lanes: asked, ...flags }), "the reference");
      for (const { codec } of fullBuilds) readParts(codec, first, parts);
      assert.equal(
        decodeParts(
          first,
          parts.map(({ reference }) => reference),
        ),
        parts.map(({ symbols }) => symbols),
      );
    }),
    { seed: 20250101, numRuns: 700 },
  );
  assert.ok(severalLanes > 100 && corrected > 50, `${severalLanes} with lanes, ${corrected} with corrections`);
});

test.run();

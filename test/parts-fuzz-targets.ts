// Good packets of several parts, of every form, for the fuzzer to damage.
import type { Prior, TableJson } from "latentwire";
import type { SequenceOptions } from "latentwire/full";
import { laneCounts } from "./builds.js";
import { makeTable, type Random, random } from "./cases.js";
import type { FullBuild } from "./full-builds.js";
import { factorizedPart, gaussianPart, indexedPart, mixturePart, type PartCase, scaledTable } from "./parts-cases.js";
import { writeParts } from "./parts-io.js";
import { tableToJson } from "./reference.js";

export interface PartsTarget {
  readonly name: string;
  readonly build: FullBuild;
  readonly parts: readonly PartCase[];
  readonly priors: readonly Prior[];
  /** For the parts that may be read piece by piece. */
  readonly sequences: readonly (SequenceOptions | undefined)[];
  readonly packet: Uint8Array;
  readonly checksum: boolean;
}

/** What the fuzzer allows a packet to claim. */
export const maxElements = 1 << 16;

function listsOf(rng: Random): PartCase[][] {
  const mixed = makeTable(rng, { rows: 6, entries: 30, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 5, entries: 200, flavour: "extreme" });
  const scaled = scaledTable(rng, 10);
  return [
    [],
    [indexedPart(rng, mixed, [0]), gaussianPart(rng, scaled, [1])],
    [factorizedPart(rng, mixed, [1, 6, 3, 3]), gaussianPart(rng, scaled, [120], { means: true })],
    [indexedPart(rng, mixed, [350]), ...[9, 1, 30, 2].map((n) => indexedPart(rng, extreme, [n], { escapeRate: 0.1 }))],
    [factorizedPart(rng, mixed, [2, 6, 40], 1, { escapeRate: 0.02 }), factorizedPart(rng, extreme, [5, 9], 0)],
    [mixturePart(rng, [30], { escapeRate: 0.05 }), gaussianPart(rng, scaled, [400]), mixturePart(rng, [1, 12])],
    [gaussianPart(rng, scaled, [300], { escapeRate: 0.2 }), gaussianPart(rng, scaled, [500])],
  ];
}

/** The targets of one build; the i-th of either are the same packet. */
export function partsTargetsOf(build: FullBuild, seed: number): PartsTarget[] {
  const targets: PartsTarget[] = [];
  for (const parts of listsOf(random(seed))) {
    const priors = parts.map((part) => part.prior(build.codec));
    const sequences = parts.map(({ reference }) =>
      reference.kind === "scales"
        ? { table: build.codec.table(tableToJson(reference.table) as TableJson), scaleTable: reference.scaleTable }
        : undefined,
    );
    for (const lanes of laneCounts) {
      for (const form of ["plain", "guarded", "checksum"] as const) {
        const checksum = form === "checksum";
        const packet = writeParts(build.codec, parts, {
          lanes,
          checksum,
          fingerprint: form !== "plain",
          guard: form === "guarded" ? { absolute: 5e-4 } : 0,
          indexChecks: form === "guarded",
        });
        const sizes = parts.map(({ symbols }) => symbols.length).join("+");
        targets.push({
          name: `${build.name}, ${lanes} lanes, ${form}, ${sizes}`,
          build,
          parts,
          priors,
          sequences,
          packet,
          checksum,
        });
      }
    }
  }
  return targets;
}

// Good packets of every form, of one part and of several, for the fuzzer to damage.
import type { Prior, SequenceOptions, TableJson } from "latentwire";
import { type Build, laneCounts } from "./builds.js";
import {
  factorizedSample,
  featureMap,
  gaussianSample,
  hyperprior,
  indexedSample,
  makeTable,
  mixtureSample,
  random,
  type Sample,
  scaledTable,
} from "./cases.js";
import { agreementOf, type Options, writeParts } from "./io.js";
import { compactSeed, tableToJson } from "./reference.js";

/** A packet, all that is needed to read it, and in which build. */
export interface Target {
  readonly name: string;
  readonly build: Build;
  readonly parts: readonly Sample[];
  readonly priors: readonly Prior[];
  /** For the parts that may be read piece by piece. */
  readonly sequences: readonly (SequenceOptions | undefined)[];
  readonly packet: Uint8Array;
  readonly options: Options;
  /** Bytes of the check, and its seed. */
  readonly check: 0 | 2 | 4;
  readonly seed: number;
}

/** What the fuzzer allows a packet to claim. */
export const maxElements = 1 << 16;

function listsOf(seed: number): Sample[][] {
  const rng = random(seed);
  const mixed = makeTable(rng, { rows: 6, entries: 30, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 5, entries: 200, flavour: "extreme" });
  const scaled = scaledTable(rng, 10);
  const few = { escapeRate: 0.02 };
  return [
    [indexedSample(rng, mixed, [0])],
    [indexedSample(rng, mixed, [1])],
    [indexedSample(rng, mixed, [40], { escapeRate: 0.1 })],
    [factorizedSample(rng, mixed, [1, 6, 7, 9], 1, { escapeRate: 0.01 })],
    [factorizedSample(rng, mixed, [2, 6, 40], 1, { escapeRate: 0.2 })],
    [featureMap(seed + 1, 8, 10)],
    [hyperprior(seed + 2, 900, 0.01)],
    [indexedSample(rng, extreme, [1200], { escapeRate: 0.05 })],
    [factorizedSample(rng, extreme, [1, 5, 16, 9], 1, few)],
    [gaussianSample(rng, scaled, [1, 700], { means: true, step: 0.5 })],
    [mixtureSample(rng, [60], { components: 2, escapeRate: 0.05 })],
    [],
    [indexedSample(rng, mixed, [0]), gaussianSample(rng, scaled, [1])],
    [factorizedSample(rng, mixed, [1, 6, 3, 3]), gaussianSample(rng, scaled, [120], { means: true })],
    [
      indexedSample(rng, mixed, [350]),
      ...[9, 1, 30, 2].map((n) => indexedSample(rng, extreme, [n], { escapeRate: 0.1 })),
    ],
    [factorizedSample(rng, mixed, [2, 6, 40], 1, few), factorizedSample(rng, extreme, [5, 9], 0)],
    [mixtureSample(rng, [30], { escapeRate: 0.05 }), gaussianSample(rng, scaled, [400]), mixtureSample(rng, [1, 12])],
    [gaussianSample(rng, scaled, [300], { escapeRate: 0.2 }), gaussianSample(rng, scaled, [500])],
    Array.from({ length: 8 }, (_, i) => indexedSample(rng, i % 2 ? mixed : extreme, [i])),
  ];
}

const forms: Record<string, Options> = {
  plain: { checksum: false, fingerprint: false },
  named: { checksum: false },
  check: {},
  // The widest that the mixtures here allow.
  guarded: { checksum: false, guard: 5e-5 },
  bare: { header: "none" },
  compact: { header: "compact" },
  "compact, 2 bytes": { header: "compact", checksum: 2 },
  "compact, guarded": { header: "compact", guard: 5e-5 },
};

/** The targets of one build; the i-th of either are the same packet. */
export function targetsOf(build: Build, seed: number): Target[] {
  const { codec } = build;
  const targets: Target[] = [];
  for (const parts of listsOf(seed)) {
    const priors = parts.map((part) => part.prior(codec));
    const sequences = parts.map(({ reference }): SequenceOptions | undefined => {
      if (reference.kind !== "scales") return undefined;
      const { table, scaleTable, step } = reference;
      return { table: codec.table(tableToJson(table) as TableJson), scaleTable, step };
    });
    const streams =
      parts.length === 1 && parts[0].reference.kind !== "mixture"
        ? (["native", "compressai"] as const)
        : (["native"] as const);
    for (const stream of streams) {
      for (const lanes of stream === "native" ? laneCounts : ([1] as const)) {
        for (const [form, own] of Object.entries(forms)) {
          if (stream === "compressai" && own.guard) continue;
          const options = { ...own, stream };
          const packet =
            stream === "native"
              ? writeParts(codec, parts, { ...own, lanes })
              : codec.encode(parts[0].latent, priors[0], { ...options, lanes });
          const agreement = agreementOf(options);
          const isCompact = agreement.form === "compact";
          targets.push({
            name: `${build.name}, ${stream}, ${lanes} lanes, ${form}, ${parts.map(({ dims }) => dims.join("x")).join(" + ")}`,
            build,
            parts,
            priors,
            sequences,
            packet,
            options,
            check: agreement.check ?? 0,
            seed: isCompact ? compactSeed(parts.map(({ reference, dims }) => ({ prior: reference, dims }))) : 0,
          });
        }
      }
    }
  }
  return targets;
}

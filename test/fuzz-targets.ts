// Good packets of every form, for the fuzzer to damage.
import type { DecodeOptions, Prior } from "latentwire";
import { type Build, builds } from "./builds.js";
import { factorizedSample, featureMap, hyperprior, indexedSample, makeTable, random, type Sample } from "./cases.js";
import type { StreamKind } from "./reference.js";

/** A packet, all that is needed to decode it, and in which build. */
export interface Target {
  readonly name: string;
  readonly sample: Sample;
  readonly build: Build;
  readonly prior: Prior;
  readonly packet: Uint8Array;
  readonly kind: StreamKind;
  readonly bare: boolean;
  readonly checksum: boolean;
  readonly options: DecodeOptions;
}

/** What the fuzzer allows a packet to claim. */
export const maxElements = 1 << 16;

function samplesOf(seed: number): Sample[] {
  const rng = random(seed);
  const mixed = makeTable(rng, { rows: 6, entries: 30, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 5, entries: 200, flavour: "extreme" });
  return [
    indexedSample(rng, mixed, [0]),
    indexedSample(rng, mixed, [1]),
    indexedSample(rng, mixed, [40], 0.1),
    factorizedSample(rng, mixed, [1, 6, 7, 9], 1, 0.01),
    factorizedSample(rng, mixed, [2, 6, 40], 1, 0.2),
    featureMap(seed + 1, 8, 10),
    hyperprior(seed + 2, 900, 0.01),
    indexedSample(rng, extreme, [1200], 0.05),
    factorizedSample(rng, extreme, [1, 5, 16, 9], 1, 0.02),
  ];
}

/** The targets of the one build, then the same of the other. */
export function targetsOf(seed: number): Target[] {
  const targets: Target[] = [];
  for (const build of builds) {
    for (const sample of samplesOf(seed)) {
      const prior = sample.prior(build.codec);
      for (const kind of ["native", "compressai"] as const) {
        for (const lanes of kind === "native" ? ([1, 8, 16, 32] as const) : ([1] as const)) {
          for (const form of ["bare", "packet", "checksum"] as const) {
            const bare = form === "bare";
            const header = bare ? "none" : "packet";
            const packet = build.codec.encode(sample.latent, prior, {
              stream: kind,
              lanes,
              header,
              checksum: form === "checksum",
            });
            const options: DecodeOptions = bare
              ? { header, stream: kind, dims: sample.dims, maxElements }
              : { maxElements };
            const name = `${build.name}, ${kind}, ${lanes} lanes, ${form}, ${sample.dims.join("x")}`;
            targets.push({ name, sample, build, prior, packet, kind, bare, checksum: form === "checksum", options });
          }
        }
      }
    }
  }
  return targets;
}

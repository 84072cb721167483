// Small packets of every form and prior, with all that is needed to read them: what the fuzzer begins with.
import type { Codec, Prior, SequenceOptions, TableJson } from "latentwire";
import { factorizedSample, indexedSample, makeTable, mixtureSample, random, type Sample } from "../cases.js";
import { agreementOf, type Options, writeParts } from "../io.js";
import { lists, samples } from "../messages.js";
import { compactSeed, mixtureKinds, tableToJson } from "../reference.js";

/** A packet and what reads it. */
export interface Case {
  readonly name: string;
  readonly parts: readonly Sample[];
  readonly priors: readonly Prior[];
  /** For the parts that may be read piece by piece. */
  readonly sequences: readonly (SequenceOptions | undefined)[];
  readonly options: Options;
  readonly packet: Uint8Array;
  /** Bytes of the check, and its seed. */
  readonly check: 0 | 2 | 4;
  readonly seed: number;
}

const forms: Record<string, Options> = {
  plain: { checksum: false, fingerprint: false },
  named: { checksum: false },
  check: {},
  // The widest that the mixtures here allow.
  guarded: { checksum: false, guard: 5e-5 },
  "guarded, check": { guard: 5e-5 },
  bare: { header: "none" },
  compact: { header: "compact" },
  "compact, 2 bytes": { header: "compact", checksum: 2 },
  "compact, guarded": { header: "compact", guard: 5e-5 },
};

const own = random(411);
const table = makeTable(own, { rows: 7, entries: 30, flavour: "random" });
const medians = makeTable(own, { rows: 5, entries: 12, flavour: "peaked", medians: true });

/** Enough symbols of enough bits for 8, 16 and 32 lanes, in few bytes; and mixtures of few symbols, whose rows take long to make. */
const ownSamples: Record<string, Sample> = {
  "a row per symbol": indexedSample(own, table, [230]),
  "a row per symbol, escapes": indexedSample(own, table, [90], { escapeRate: 0.05 }),
  channels: factorizedSample(own, table, [1, 7, 5, 6]),
  "channels, medians": factorizedSample(own, medians, [2, 5, 17], 1, { step: 0.5, float: true }),
  ...Object.fromEntries(
    mixtureKinds.map((kind) => [kind, mixtureSample(own, [12], { kind, components: 2, support: [-9, 9] })]),
  ),
};
const ownLists: Record<string, Sample[]> = {
  "mixtures and others": [
    mixtureSample(own, [7], { components: 1, support: [-6, 6] }),
    indexedSample(own, table, [40]),
    mixtureSample(own, [5], { components: 3, support: [-6, 6] }),
  ],
  "short runs": [factorizedSample(own, table, [3, 7, 8]), factorizedSample(own, medians, [5, 20], 0)],
};

const MAX_SYMBOLS = 450;
const MAX_BYTES = 330;
/** A mixture's row takes as long as so many symbols. */
const MIXTURE_COST = 20;

const cost = (parts: readonly Sample[]): number =>
  parts.reduce(
    (sum, { symbols, reference }) => sum + symbols.length * (reference.kind === "mixture" ? MIXTURE_COST : 1),
    0,
  );

const messages = [
  ...Object.entries({ ...samples, ...ownSamples }).map(([name, one]) => [name, [one]] as const),
  ...Object.entries({ ...lists, ...ownLists }),
].filter(([name, parts]) => parts.length <= 20 && cost(parts) <= MAX_SYMBOLS && !/^runs of/.test(name));

/** All cases; those of two builds are the same, in the same order. */
export function packetCases(codec: Codec): Case[] {
  const lanes = [8, 16, 32] as const;
  return messages
    .flatMap(([message, parts], m) => {
      const priors = parts.map((part) => part.prior(codec));
      const sequences = parts.map(({ reference }): SequenceOptions | undefined => {
        if (reference.kind !== "scales") return undefined;
        const { table, scaleTable, step } = reference;
        return { table: codec.table(tableToJson(table) as TableJson), scaleTable, step };
      });
      const one = (form: string, options: Options): Case => {
        const { stream, ...written } = options;
        const packet =
          stream === "compressai"
            ? codec.encode(parts[0].latent, priors[0], options)
            : writeParts(codec, parts, written);
        const agreement = agreementOf(options);
        const seed = compactSeed(parts.map(({ reference, dims }) => ({ prior: reference, dims })));
        return {
          ...{ name: `${message}, ${form}`, parts, priors, sequences, packet, options },
          check: agreement.check ?? 0,
          seed: agreement.form === "compact" ? seed : 0,
        };
      };
      const native = Object.entries(forms).flatMap(([form, options], f) =>
        [1 as const, lanes[(m + f) % 3]].map((count) => one(`${form}, ${count} lanes`, { ...options, lanes: count })),
      );
      if (parts.length !== 1 || parts[0].reference.kind === "mixture") return native;
      const strings = Object.entries(forms).filter(([, { guard }]) => !guard);
      return [...native, ...strings.map(([form, options]) => one(form, { ...options, stream: "compressai" }))];
    })
    .filter(({ packet }) => packet.length <= MAX_BYTES);
}

export const isBareString = ({ options }: Case): boolean =>
  options.stream === "compressai" && options.header !== undefined;

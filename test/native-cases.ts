// The cases behind test/vectors/native-packets.json. Their names are in the file, so what makes them must not change.
import { factorizedSample, featureMap, hyperprior, indexedSample, makeTable, random, type Sample } from "./cases.js";
import { encodeBare, encodePacket, fingerprint, type PacketOptions, tableFromJson } from "./reference.js";

export interface NativeCase {
  readonly name: string;
  readonly sample: Sample;
  readonly options: PacketOptions & { header: "packet" | "none" };
}

function samples(): Record<string, Sample> {
  const rng = random(1001);
  const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" });
  return {
    "no symbols": indexedSample(rng, mixed, [1, 0]),
    "one symbol": indexedSample(rng, mixed, [1]),
    "seven channels of 12": factorizedSample(rng, mixed, [1, 7, 3, 4]),
    "escapes of every size": indexedSample(rng, mixed, [64], 1),
    "a small feature map": featureMap(1002, 16, 9, 0.002),
    "a feature map": featureMap(1003, 48, 28, 0.0005),
    "a hyperprior": hyperprior(1004, 30000, 0.0005),
    "extreme rows": indexedSample(rng, extreme, [5000], 0.01),
  };
}

export function nativeCases(): NativeCase[] {
  const cases: NativeCase[] = [];
  for (const [name, sample] of Object.entries(samples())) {
    const id = fingerprint(tableFromJson(sample.table));
    for (const lanes of [1, 8, 16, 32] as const) {
      for (const layout of lanes > 1 && sample.coding.run > 1
        ? (["continuous", "runs"] as const)
        : (["continuous"] as const)) {
        cases.push({
          name: `${name}, ${lanes} lanes, ${layout}`,
          sample,
          options: { lanes, layout, checksum: true, fingerprint: id, header: "packet" },
        });
      }
    }
    cases.push({ name: `${name}, bare`, sample, options: { lanes: 8, header: "none" } });
    cases.push({ name: `${name}, neither checksum nor fingerprint`, sample, options: { lanes: 1, header: "packet" } });
    cases.push({
      name: `${name}, CompressAI stream`,
      sample,
      options: { stream: "compressai", checksum: true, fingerprint: id, header: "packet" },
    });
  }
  return cases;
}

export function encodeByReference({ sample, options }: NativeCase): Uint8Array {
  const { symbols, dims, coding } = sample;
  return options.header === "none"
    ? encodeBare(symbols, coding, options)
    : encodePacket(symbols, dims, coding, options);
}

// The cases behind test/vectors/native-packets.json. Their names are in the file, so what makes them must not change.
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
import { hex } from "./engines/cases.js";
import type { Options } from "./io.js";
import { xxh64 } from "./reference.js";

export interface NativeCase {
  readonly name: string;
  readonly parts: readonly Sample[];
  /** Lanes are given, never "auto". */
  readonly options: Options;
}

function partLists(): Record<string, Sample[]> {
  const rng = random(1001);
  const mixed = makeTable(rng, { rows: 7, entries: 30, flavour: "random", medians: true });
  const extreme = makeTable(rng, { rows: 10, entries: 300, flavour: "extreme" });
  const scaled = scaledTable(rng, 12);
  return {
    "no parts": [],
    "no symbols": [indexedSample(rng, mixed, [1, 0])],
    "one symbol": [indexedSample(rng, mixed, [1])],
    "seven channels of 12": [factorizedSample(rng, mixed, [1, 7, 3, 4])],
    "escapes of every size": [indexedSample(rng, mixed, [64], { escapeRate: 1 })],
    "a small feature map": [featureMap(1002, 16, 9, 0.002)],
    "a feature map": [featureMap(1003, 48, 28, 0.0005)],
    "a hyperprior": [hyperprior(1004, 30000, 0.0005)],
    "extreme rows": [indexedSample(rng, extreme, [5000], { escapeRate: 0.01 })],
    "scales and means": [gaussianSample(rng, scaled, [1, 600], { means: true, step: 0.5 })],
    "a mixture": [mixtureSample(rng, [150], { components: 3, escapeRate: 0.02 })],
    "parts of every kind": [
      factorizedSample(rng, mixed, [1, 7, 12, 12]),
      gaussianSample(rng, scaled, [900], { escapeRate: 0.01 }),
      indexedSample(rng, extreme, [70]),
      mixtureSample(rng, [60], { components: 2 }),
    ],
  };
}

export function nativeCases(): NativeCase[] {
  const cases: NativeCase[] = [];
  for (const [list, parts] of Object.entries(partLists())) {
    const add = (what: string, options: Options) => cases.push({ name: `${list}, ${what}`, parts, options });
    for (const lanes of [1, 8, 16, 32] as const) add(`${lanes} lanes`, { lanes });
    add("compact", { header: "compact", lanes: 16 });
    add("compact, a check of 2 bytes", { header: "compact", checksum: 2, lanes: 1 });
    add("bare", { header: "none", lanes: 8 });
    add("neither check nor fingerprint", { lanes: 1, checksum: false, fingerprint: false });
    add("guard and index checks", { lanes: 8, guard: 2e-4 });
    if (parts.length !== 1 || parts[0].reference.kind === "mixture") continue;
    add("CompressAI stream", { stream: "compressai", lanes: 1 });
  }
  return cases;
}

/** As it is committed: short packets in full, so that a difference can be read. */
export function vectorOf(
  name: string,
  packet: Uint8Array,
): { name: string; bytes: number; hex?: string; xxh64?: string } {
  const isShort = packet.length <= 400;
  const content = isShort ? { hex: hex(packet) } : { xxh64: xxh64(packet).toString(16).padStart(16, "0") };
  return { name, bytes: packet.length, ...content };
}

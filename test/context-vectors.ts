// test/vectors/context-packets.json: what it is made of, and what checks it. Another implementation needs nothing but that file and docs/format.md.
import type { Codec } from "latentwire";
import { productOf, random, type Sample } from "./cases.js";
import {
  contextSample,
  givenSample,
  type NetworkShape,
  randomNetwork,
  type Symbols,
  uselessTable,
} from "./context-cases.js";
import { bytesOf, type ContextVector, type ContextVectors, hex } from "./engines/cases.js";
import { sameNumbers } from "./expect.js";
import { agree, encodeByReference, type Options } from "./io.js";
import { contextFromBytes, contextToBytes } from "./reference.js";

const networks: Record<string, NetworkShape> = {
  tame: { channels: 2, active: 2, H: 32, Z: 8, taps: 12, temper: "tame", ends: [-6, 7] },
  wild: { channels: 3, active: 2, H: 64, Z: 16, taps: 20, temper: "wild" },
  extreme: { channels: 2, active: 1, H: 128, Z: 32, taps: 20, temper: "extreme" },
  "extreme, small": { channels: 4, active: 2, H: 32, Z: 24, taps: 12, temper: "extreme", ends: [-2, 9] },
};

interface PartShape {
  network: string;
  dims: number[];
  axis: number;
  symbols: Symbols;
  /** Under a table that fits better than the network. */
  isStatic?: boolean;
}

const tame: PartShape = { network: "tame", dims: [1, 2, 3, 3], axis: 1, symbols: "small" };
const fallBack: PartShape = { network: "extreme, small", dims: [4, 3, 3], axis: 0, symbols: "zero", isStatic: true };
const cases: Record<string, PartShape[]> = {
  tame: [{ ...tame, dims: [1, 2, 14, 15] }],
  "wild, a batch": [{ network: "wild", dims: [2, 3, 7, 5], axis: 1, symbols: "large" }],
  "extreme, channels last": [{ network: "extreme", dims: [6, 5, 2], axis: 2, symbols: "int32" }],
  "extreme, rows": [{ network: "extreme, small", dims: [4, 11], axis: 0, symbols: "int32" }],
  "static rows": [fallBack],
  "ten parts, the second and the tenth with static rows": [
    ...[tame, fallBack],
    ...Array.from({ length: 7 }, (_, i): PartShape => ({ ...tame, dims: [1, 2, 1 + i, 3] })),
    fallBack,
  ],
};

const forms: readonly Options[] = [
  ...([1, 8, 16, 32] as const).map((lanes) => ({ lanes })),
  { header: "compact", lanes: 8 },
  { header: "compact", checksum: 2, lanes: 1 },
  { header: "none", lanes: 1 },
  { lanes: 1, checksum: false, fingerprint: false },
];
const alone: readonly Options[] = [
  { stream: "compressai", lanes: 1 },
  { stream: "compressai", header: "none", lanes: 1 },
];

// Rows that each symbol is given.
const givenNetworks: Record<string, NetworkShape> = {
  "given, tame": { channels: 3, active: 2, H: 32, Z: 8, taps: 12, temper: "tame", ends: [-6, 7], given: 5 },
  "given, extreme": { channels: 2, active: 2, H: 64, Z: 16, taps: 20, temper: "extreme", given: 64 },
};
const givenCases: Record<string, PartShape[]> = {
  "given rows": [{ ...tame, network: "given, tame", dims: [1, 3, 8, 9] }],
  "given rows, extreme, channels last": [{ network: "given, extreme", dims: [4, 5, 2], axis: 2, symbols: "int32" }],
  "given rows that fit better": [{ ...fallBack, network: "given, tame", dims: [1, 3, 4, 4], axis: 1 }],
};

/** The parts of a vector, for the package and for the reference. */
export function samplesOf({ networks }: ContextVectors, { parts }: ContextVector): Sample[] {
  return parts.map(({ network, table, dims, axis, symbols, isStatic, rows }) => {
    const parameters = contextFromBytes(bytesOf(networks[network]));
    const drawn = Int32Array.from(symbols);
    if (rows) return { ...givenSample(random(0), dims, { parameters, table, axis, drawn, rows }), isStatic };
    return { ...contextSample(random(0), dims, { parameters, table, axis, drawn }), isStatic };
  });
}

/** The whole file, written by the reference. */
export function makeContextVectors(): ContextVectors {
  const [channels, given] = [vectorsOf(1201, networks, cases), vectorsOf(1202, givenNetworks, givenCases)];
  return { networks: { ...channels.networks, ...given.networks }, cases: [...channels.cases, ...given.cases] };
}

function vectorsOf(
  seed: number,
  networks: Record<string, NetworkShape>,
  cases: Record<string, PartShape[]>,
): ContextVectors {
  const rng = random(seed);
  const made = Object.fromEntries(Object.entries(networks).map(([name, shape]) => [name, randomNetwork(rng, shape)]));
  const content: ContextVectors = {
    networks: Object.fromEntries(Object.entries(made).map(([name, network]) => [name, hex(contextToBytes(network))])),
    cases: Object.entries(cases).map(([name, shapes]) => ({
      name,
      parts: shapes.map(({ network, dims, axis, symbols, isStatic = false }) => {
        const parameters = made[network];
        const count = parameters.given?.length ?? parameters.channels;
        const fitting = {
          offsets: Array.from({ length: count }, () => -1),
          cdfs: Array.from({ length: count }, () => [0, 99, 64000, 65500, 65536]),
        };
        const table = isStatic ? fitting : uselessTable(count);
        const style = { parameters, table, axis, symbols };
        const sample = parameters.given ? givenSample(rng, dims, style) : contextSample(rng, dims, style);
        const part = { network, table, dims, axis, symbols: [...sample.symbols], isStatic };
        return parameters.given ? { ...part, rows: Array.from(sample.coding.index) } : part;
      }),
      packets: [],
    })),
  };
  for (const vector of content.cases) {
    const parts = samplesOf(content, vector);
    for (const options of parts.length > 1 ? forms : [...forms, ...alone])
      vector.packets.push({ options, hex: hex(encodeByReference(parts, options)) });
  }
  return content;
}

/** Every codec and the reference write what the file has, and read it. Returns the number of packets. */
export function checkContextVectors(content: ContextVectors, codecs: readonly Codec[]): number {
  let checked = 0;
  for (const vector of content.cases) {
    const parts = samplesOf(content, vector);
    if (parts.some(({ symbols, dims }) => symbols.length !== productOf(dims)))
      throw new Error(`${vector.name}: symbols`);
    for (const { options, hex: packet } of vector.packets) {
      sameNumbers(agree(codecs, parts, options), bytesOf(packet), `${vector.name}, ${JSON.stringify(options)}`);
      checked++;
    }
  }
  return checked;
}

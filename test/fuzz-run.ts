// Decodes damaged packets and judges each outcome: a CodecError, or a result of the shape it claims. Anything else is a failure.
import { CodecError, type DecodeOptions, type Prior } from "latentwire";
import { type Build, builds } from "./builds.js";
import { factorizedSample, featureMap, hyperprior, indexedSample, makeTable, random, type Sample } from "./cases.js";
import { mutate, reseal } from "./mutate.js";
import { decodeBare, decodePacket, FormatError, fingerprint, type StreamKind, tableFromJson } from "./reference.js";

export interface FuzzOptions {
  count: number;
  seed: number;
  /** Told about every so many packets. */
  progress?: (done: number) => void;
}

export interface FuzzResult {
  count: number;
  /** Outcomes by code; "valid" where the bytes decoded. */
  outcomes: Record<string, number>;
  /** Of these, the outcome was compared with the reference's. */
  compared: number;
}

/** A packet, all that is needed to decode it, and in which build. */
interface Target {
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

const maxElements = 1 << 16;

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

function targetsOf(seed: number): Target[] {
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

const types = ["float32", "int32", "int16", "int8"] as const;

/** The code of the CodecError, or the symbols. */
function decode(
  { build, prior, options }: Target,
  bytes: Uint8Array,
  type: (typeof types)[number],
): string | { dims: number[]; data: ArrayLike<number> } {
  try {
    const result = build.codec.decode(bytes, prior, { ...options, type } as DecodeOptions);
    const elements = result.dims.reduce((a, b) => a * b, 1);
    if (result.type !== type || result.data.length !== elements || elements > maxElements)
      throw new Error(`a result of the wrong shape: ${result.dims}`);
    return result;
  } catch (error) {
    if (error instanceof CodecError) return error.code;
    throw error;
  }
}

function decodeByReference({ sample, kind, bare }: Target, bytes: Uint8Array): string | ArrayLike<number> {
  try {
    if (bare) return decodeBare(bytes, sample.symbols.length, sample.coding, kind);
    return decodePacket(bytes, sample.coding, fingerprint(tableFromJson(sample.table))).symbols;
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** That of the reference agrees: both refuse, or both decode and to the same symbols. Shapes other than the sample's are not its to judge. */
function compare(target: Target, bytes: Uint8Array): boolean {
  const own = decode(target, bytes, "int32");
  if (typeof own !== "string" && own.dims.join() !== target.sample.dims.join()) return false;
  if (own === "SHAPE_MISMATCH" || own === "LIMIT_EXCEEDED") return false;
  const other = decodeByReference(target, bytes);
  if (other === "SHAPE_MISMATCH") return false;
  if (typeof own === "string" || typeof other === "string") {
    // Which of the two damage is called is the decoder's choice; docs/format.md section 3.4.
    const bothDamage = [own, other].every((outcome) => outcome === "TRUNCATED" || outcome === "CORRUPTED");
    if (own !== other && !bothDamage)
      throw new Error(
        `the package says ${typeof own === "string" ? own : "valid"}, the reference ${typeof other === "string" ? other : "valid"}`,
      );
    return true;
  }
  for (let i = 0; i < other.length; i++)
    if (own.data[i] !== other[i]) throw new Error(`symbol ${i} is ${own.data[i]}, the reference reads ${other[i]}`);
  return true;
}

export function runFuzz({ count, seed, progress }: FuzzOptions): FuzzResult {
  const rng = random(seed);
  const targets = targetsOf(seed);
  const result: FuzzResult = { count: 0, outcomes: {}, compared: 0 };
  while (result.count < count) {
    const target = targets[rng(targets.length)];
    const mutated = mutate(target.packet, rng, targets[rng(targets.length)].packet);
    const bytes = target.checksum && rng(4) > 0 ? reseal(mutated) : mutated;
    try {
      const outcome = decode(target, bytes, types[rng(types.length)]);
      const key = typeof outcome === "string" ? outcome : "valid";
      result.outcomes[key] = (result.outcomes[key] ?? 0) + 1;
      if (result.count % 8 === 0 && compare(target, bytes)) result.compared++;
      if (result.count % 20 === 0) {
        const good = decode(target, target.packet, "int32");
        if (typeof good === "string") throw new Error(`after it, a good packet is ${good}`);
        for (let i = 0; i < good.data.length; i++)
          if (good.data[i] !== target.sample.symbols[i]) throw new Error("after it, a good packet decodes wrongly");
      }
    } catch (error) {
      throw new Error(`packet ${result.count} of seed ${seed} (${target.name}): ${error}\n${hex(bytes)}`, {
        cause: error,
      });
    }
    result.count++;
    if (progress && result.count % 10000 === 0) progress(result.count);
  }
  return result;
}

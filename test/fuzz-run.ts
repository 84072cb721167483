// Decodes damaged packets and judges each outcome: a CodecError, or a result of the shape it claims. Anything else is a failure.
import { CodecError, type DecodeOptions, inspect } from "latentwire";
import { random } from "./cases.js";
import { maxElements, type Target, targetsOf } from "./fuzz-targets.js";
import { mutate, reseal } from "./mutate.js";
import { decodeBare, decodePacket, FormatError, fingerprint, tableFromJson } from "./reference.js";

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

const describe = (outcome: unknown) => (typeof outcome === "string" ? outcome : "valid");

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

/** `inspect` judges no more than the header, and must do so without a table. */
function look(bytes: Uint8Array): void {
  try {
    const { dims, elements, totalBytes } = inspect(bytes);
    if (totalBytes !== bytes.length || elements !== dims.reduce((a, b) => a * b, 1))
      throw new Error("inspect contradicts itself");
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
  }
}

/** Both builds must say the same of the same bytes, down to the code. */
function compareBuilds(target: Target, twin: Target, bytes: Uint8Array): void {
  const [first, second] = [target, twin].map((each) => decode(each, bytes, "int32"));
  if (typeof first === "string" || typeof second === "string") {
    if (first !== second)
      throw new Error(`${target.build.name} says ${describe(first)}, ${twin.build.name} ${describe(second)}`);
    return;
  }
  for (let i = 0; i < first.data.length; i++) {
    if (first.data[i] !== second.data[i]) throw new Error(`symbol ${i} is ${first.data[i]} or ${second.data[i]}`);
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
      throw new Error(`the package says ${describe(own)}, the reference ${describe(other)}`);
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
    const choice = rng(targets.length);
    const target = targets[choice];
    // The same packet in the other build.
    const twin = targets[(choice + targets.length / 2) % targets.length];
    const mutated = mutate(target.packet, rng, targets[rng(targets.length)].packet);
    const bytes = target.checksum && rng(4) > 0 ? reseal(mutated) : mutated;
    try {
      const outcome = decode(target, bytes, types[rng(types.length)]);
      const key = typeof outcome === "string" ? outcome : "valid";
      result.outcomes[key] = (result.outcomes[key] ?? 0) + 1;
      if (result.count % 8 === 0 && compare(target, bytes)) result.compared++;
      if (result.count % 8 === 4) compareBuilds(target, twin, bytes);
      if (result.count % 4 === 1) look(bytes);
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

// Reads damaged packets of several parts and judges each outcome: a CodecError, or parts of the sizes they claim. Anything else is a failure.
import { CodecError } from "latentwire";
import type { PartReader } from "latentwire/full";
import { type Random, random } from "./cases.js";
import type { FullBuild } from "./full-builds.js";
import { mutate, reseal } from "./mutate.js";
import { maxElements, type PartsTarget, partsTargetsOf } from "./parts-fuzz-targets.js";
import { decodeParts, FormatError } from "./reference.js";

export interface PartsFuzzOptions {
  count: number;
  seed: number;
  builds: readonly FullBuild[];
  progress?: (done: number) => void;
}

export interface PartsFuzzResult {
  /** Outcomes by code; "valid" where the bytes decoded. */
  outcomes: Record<string, number>;
  compared: number;
}

function readOne({ parts, priors }: PartsTarget, reader: PartReader, i: number): Int32Array {
  const { reference, dims, symbols } = parts[i];
  const { data } = reader.read(priors[i], reference.kind === "rows" ? { type: "int32", dims } : { type: "int32" });
  // A factorized part is as large as the packet says.
  const limit = reference.kind === "factorized" ? maxElements : symbols.length;
  if (data.length > limit || (reference.kind !== "factorized" && data.length !== limit))
    throw new Error(`part ${i} has ${data.length} symbols`);
  return data;
}

/** A part with scales in pieces of any length; its values are not judged. */
function readPieces({ parts, sequences }: PartsTarget, reader: PartReader, i: number, rng: Random): Int32Array {
  const { reference, symbols } = parts[i];
  if (reference.kind !== "scales") throw new Error("only scales come in pieces");
  const sequence = reader.sequence(sequences[i]);
  const out = new Float32Array(symbols.length);
  for (let at = 0; at < symbols.length; ) {
    const end = Math.min(symbols.length, at + 1 + rng(90));
    sequence.next(reference.scales.subarray(at, end), undefined, out.subarray(at, end));
    at = end;
  }
  sequence.end();
  return new Int32Array(out.length);
}

/** The code of the CodecError, or the symbols of all parts; now and then the reader is left before its end. */
function decode(target: PartsTarget, bytes: Uint8Array, rng: Random): string | Int32Array[] {
  try {
    const reader = target.build.codec.reader(bytes, { maxElements });
    const symbols: Int32Array[] = [];
    for (let i = 0; i < target.parts.length; i++) {
      if (rng(200) === 0) {
        reader.close();
        return "closed";
      }
      const pieces = target.sequences[i] !== undefined && rng(3) === 0;
      symbols.push(pieces ? readPieces(target, reader, i, rng) : readOne(target, reader, i));
    }
    reader.finish();
    return symbols;
  } catch (error) {
    if (error instanceof CodecError) return error.code;
    throw error;
  }
}

const whole: Random = Object.assign(() => 1, { unit: () => 0 });

function decodeByReference({ parts }: PartsTarget, bytes: Uint8Array): string | Int32Array[] {
  try {
    return decodeParts(
      bytes,
      parts.map(({ reference }) => reference),
    );
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}

const describe = (outcome: unknown) => (typeof outcome === "string" ? outcome : "valid");

function same(first: Int32Array[], second: Int32Array[], what: string): void {
  first.forEach((symbols, part) => {
    if (symbols.length !== second[part].length) throw new Error(`${what}: part ${part} has two sizes`);
    for (let i = 0; i < symbols.length; i++)
      if (symbols[i] !== second[part][i])
        throw new Error(`${what}: symbol ${i} of part ${part} is ${symbols[i]} or ${second[part][i]}`);
  });
}

// What a reader meets first depends on when it looks: the reference knows all parts before it decodes the first.
const laterIsSooner = new Set(["TRUNCATED", "CORRUPTED", "SHAPE_MISMATCH", "MODEL_MISMATCH", "WRONG_TABLES"]);

/** Both refuse, or both read the same. */
function compareWithReference(target: PartsTarget, bytes: Uint8Array): boolean {
  const own = decode(target, bytes, whole);
  if (own === "LIMIT_EXCEEDED") return false;
  const other = decodeByReference(target, bytes);
  if (typeof own === "string" || typeof other === "string") {
    const bothLate = laterIsSooner.has(String(own)) && laterIsSooner.has(String(other));
    if (own !== other && !bothLate)
      throw new Error(`the package says ${describe(own)}, the reference ${describe(other)}`);
    return true;
  }
  same(own, other, "the reference");
  return true;
}

/** Both builds must say the same of the same bytes, down to the code. */
function compareBuilds(target: PartsTarget, twin: PartsTarget, bytes: Uint8Array): void {
  const [first, second] = [target, twin].map((each) => decode(each, bytes, whole));
  if (typeof first === "string" || typeof second === "string") {
    if (first !== second)
      throw new Error(`${target.build.name} says ${describe(first)}, ${twin.build.name} ${describe(second)}`);
    return;
  }
  same(first, second, "the other build");
}

export function runPartsFuzz({ count, seed, builds, progress }: PartsFuzzOptions): PartsFuzzResult {
  const rng = random(seed);
  const targets = builds.map((build) => partsTargetsOf(build, seed));
  const result: PartsFuzzResult = { outcomes: {}, compared: 0 };
  for (let done = 0; done < count; done++) {
    const own = rng(targets.length);
    const choice = rng(targets[own].length);
    const target = targets[own][choice];
    const mutated = mutate(target.packet, rng, targets[own][rng(targets[own].length)].packet);
    const bytes = target.checksum && rng(4) > 0 ? reseal(mutated) : mutated;
    try {
      const key = describe(decode(target, bytes, rng));
      result.outcomes[key] = (result.outcomes[key] ?? 0) + 1;
      if (done % 16 === 0 && compareWithReference(target, bytes)) result.compared++;
      if (done % 16 === 8) compareBuilds(target, targets[1 - own][choice], bytes);
      if (done % 20 === 0) {
        const good = decode(target, target.packet, whole);
        if (typeof good === "string") throw new Error(`after it, a good packet is ${good}`);
        same(
          good,
          target.parts.map(({ symbols }) => symbols),
          "after it, a good packet",
        );
      }
    } catch (error) {
      throw new Error(
        `packet ${done} of seed ${seed} (${target.name}): ${error}\n${Buffer.from(bytes).toString("hex")}`,
        {
          cause: error,
        },
      );
    }
    if (progress && (done + 1) % 10_000 === 0) progress(done + 1);
  }
  return result;
}

// Damaged packets of every form. Each must be refused with a code, or read to parts of the sizes that they claim; and the codec must go on.
// FUZZ_COUNT=2000000 FUZZ_SEED=7 npm test -- fuzz runs longer, or elsewhere.
import {
  CodecError,
  type DecodeOptions,
  type PartReader,
  type Prior,
  type SequenceOptions,
  type TableJson,
} from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Build, buildNames, isFull, laneCounts, watched } from "./builds.js";
import { productOf, type Random, random, type Sample } from "./cases.js";
import { agreementOf, type Options, writeParts } from "./io.js";
import { lists, samples } from "./messages.js";
import { mutate, reseal } from "./mutate.js";
import { compactSeed, decodePacket, FormatError, parsePacket, tableToJson } from "./reference.js";

/** A packet, all that is needed to read it, and in which build. */
interface Target {
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
const maxElements = 1 << 16;

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

/** Small ones, without the many that differ in the length of their rows alone. */
const messages = [...Object.entries(samples).map(([name, one]) => [name, [one]] as const), ...Object.entries(lists)]
  .filter(([name]) => !/entries$|hyperprior$/.test(name))
  .filter(([, parts]) => parts.length <= 20 && parts.flatMap(({ symbols }) => [...symbols]).length <= 1700);

/** The targets of one build; the i-th of either are the same packet. */
function targetsOf(build: Build): Target[] {
  const { codec } = build;
  return messages.flatMap(([message, parts], m) => {
    const priors = parts.map((part) => part.prior(codec));
    const sequences = parts.map(({ reference }): SequenceOptions | undefined => {
      if (reference.kind !== "scales") return undefined;
      const { table, scaleTable, step } = reference;
      return { table: codec.table(tableToJson(table) as TableJson), scaleTable, step };
    });
    const target = (form: string, options: Options): Target => {
      const { stream, ...written } = options;
      const packet =
        stream === "compressai" ? codec.encode(parts[0].latent, priors[0], options) : writeParts(codec, parts, written);
      const agreement = agreementOf(options);
      const seed = compactSeed(parts.map(({ reference, dims }) => ({ prior: reference, dims })));
      return {
        ...{ name: `${build.name}, ${message}, ${form}`, build, parts, priors, sequences, packet, options },
        check: agreement.check ?? 0,
        seed: agreement.form === "compact" ? seed : 0,
      };
    };
    // One lane and another count in turn.
    const native = Object.entries(forms).flatMap(([form, own], f) =>
      [1 as const, laneCounts[(m + f) % 4]].map((lanes) => target(`${form}, ${lanes} lanes`, { ...own, lanes })),
    );
    if (parts.length !== 1 || parts[0].reference.kind === "mixture") return native;
    const strings = Object.entries(forms).filter(([, { guard }]) => !guard);
    return [...native, ...strings.map(([form, own]) => target(form, { ...own, stream: "compressai" }))];
  });
}

type ArrayOf = ArrayLike<number>;
/** The code of an error, or the symbols of all parts. */
type Outcome = string | ArrayOf[];

const describe = (outcome: Outcome) => (typeof outcome === "string" ? outcome : "valid");
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const types = ["float32", "int32", "int16", "int8"] as const;
type Type = (typeof types)[number];

const isCompact = ({ options }: Target) => options.header !== undefined;

function codeOf<R>(action: () => R, kind: typeof CodecError | typeof FormatError): R | string {
  try {
    return action();
  } catch (error) {
    if (error instanceof kind) return (error as CodecError).code;
    throw error;
  }
}

/** With `decode`. */
function decodeOne({ build, parts, priors, options }: Target, bytes: Uint8Array, type: Type): ArrayOf {
  const { header, checksum, stream } = options;
  const dims = header ? parts[0].dims : undefined;
  const given = { header, checksum, stream, dims, maxElements, type };
  const result = build.codec.decode(bytes, priors[0], given as DecodeOptions);
  const elements = productOf(result.dims);
  if (result.type !== type || result.data.length !== elements || elements > maxElements)
    throw new Error(`a result of the wrong shape: ${result.dims}`);
  return result.data;
}

function readPart({ parts, priors, options }: Target, reader: PartReader, i: number, type: Type): ArrayOf {
  const { reference, dims, symbols } = parts[i];
  const given = options.header || reference.kind === "rows" ? { type, dims } : { type };
  const { data } = reader.read(priors[i], given);
  // A factorized part is as large as the packet says.
  const isOpen = reference.kind === "channels" && !options.header;
  if (data.length > maxElements || (!isOpen && data.length !== symbols.length))
    throw new Error(`part ${i} has ${data.length} symbols`);
  return data;
}

/** A part with scales in pieces of any length; its values are not judged. */
function readPieces({ parts, sequences }: Target, reader: PartReader, i: number, rng: Random): ArrayOf {
  const { reference, symbols, means } = parts[i];
  if (reference.kind !== "scales") throw new Error("only scales come in pieces");
  const sequence = reader.sequence(sequences[i]);
  const out = new Float32Array(symbols.length);
  for (let at = 0; at < symbols.length; ) {
    const end = Math.min(symbols.length, at + 1 + rng(90));
    sequence.next(reference.scales.subarray(at, end), means?.subarray(at, end), out.subarray(at, end));
    at = end;
  }
  sequence.end();
  return out;
}

/** With a reader; now and then it is left before its end. */
function readAll(target: Target, bytes: Uint8Array, type: Type, rng: Random): Outcome {
  const { build, parts, sequences, options } = target;
  const { header, checksum } = options;
  const reader = build.codec.reader(bytes, { header, checksum, maxElements });
  const found: ArrayOf[] = [];
  for (let i = 0; i < parts.length; i++) {
    if (rng(200) === 0) {
      reader.close();
      return "closed";
    }
    const pieces = sequences[i] !== undefined && rng(3) === 0;
    found.push(pieces ? readPieces(target, reader, i, rng) : readPart(target, reader, i, type));
  }
  reader.finish();
  return found;
}

const usual: Random = Object.assign(() => 1, { unit: () => 0 });

/** One part is read by `decode` two times in three, and always where a reader cannot know that it is CompressAI's. */
function read(target: Target, bytes: Uint8Array, type: Type, rng: Random): Outcome {
  const isBare = target.options.stream === "compressai" && isCompact(target);
  const isAlone = target.parts.length === 1 && (isBare || rng(3) > 0);
  return codeOf(() => (isAlone ? [decodeOne(target, bytes, type)] : readAll(target, bytes, type, rng)), CodecError);
}

function readByReference({ parts, options }: Target, bytes: Uint8Array): Outcome {
  const priors = parts.map(({ reference }) => reference);
  const dims = options.header ? parts.map((part) => part.dims) : undefined;
  return codeOf(() => decodePacket(bytes, priors, { ...agreementOf(options), dims }).symbols, FormatError);
}

function same(first: Outcome, second: Outcome, what: string): void {
  if (typeof first === "string" || typeof second === "string") {
    if (first !== second) throw new Error(`${what}: ${describe(first)} or ${describe(second)}`);
    return;
  }
  first.forEach((symbols, part) => {
    if (symbols.length !== second[part].length) throw new Error(`${what}: part ${part} has two sizes`);
    for (let i = 0; i < symbols.length; i++)
      if (symbols[i] !== second[part][i])
        throw new Error(`${what}: symbol ${i} of part ${part} is ${symbols[i]} or ${second[part][i]}`);
  });
}

// What is wrong in several ways has several names. Which of two kinds of damage it is called is the decoder's choice (docs/format.md section 3.4); a
// reader meets damage of the stream or a wrong prior first, as it looks; and a part's corrections the package judges behind its symbols.
const alike = ["TRUNCATED", "CORRUPTED", "MODEL_MISMATCH", "SHAPE_MISMATCH", "WRONG_PRIOR"];

/** Both refuse, or both read the same. */
function compare(target: Target, bytes: Uint8Array): boolean {
  const own = read(target, bytes, "int32", usual);
  if (own === "LIMIT_EXCEEDED") return false;
  const other = readByReference(target, bytes);
  const isChoice = [own, other].every((outcome) => alike.includes(String(outcome)));
  if (!isChoice) same(own, other, "the package and the reference");
  return true;
}

/** `inspect` judges no more than the header, and must do so without a prior. */
function look({ build }: Target, bytes: Uint8Array): void {
  const info = codeOf(() => build.codec.inspect(bytes), CodecError);
  const header = codeOf(() => parsePacket(bytes), FormatError);
  if (typeof info !== "string" && info.checksum === "invalid") return;
  if (typeof info === "string" || typeof header === "string") {
    const refused = [info, header].every((outcome) => typeof outcome === "string" || outcome === header);
    // Of the stream `inspect` reads the beginning, which counts as header there.
    if (!refused && typeof header === "string") throw new Error(`inspect reads what is ${header}`);
    return;
  }
  const { parts, n, dims, shapes, lanes, corrections } = header;
  const end = info.checksum === "absent" ? 0 : 4;
  const actual = [info.parts, info.elements, info.dims, info.shapes, info.lanes, info.corrections, info.totalBytes];
  const expected = [parts, n, dims, dims ? [dims] : shapes, lanes, corrections.length, bytes.length];
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`inspect says ${JSON.stringify(info)}`);
  if (info.headerBytes + info.streamBytes + end !== bytes.length) throw new Error("inspect does not count all bytes");
}

/** Outcomes by code: "valid" where the bytes were read, "closed" where the reader was closed before its end; and how many the reference confirms. */
function fuzz(
  count: number,
  seed: number,
  builds: readonly Build[],
): { outcomes: Record<string, number>; compared: number } {
  const rng = random(seed);
  const targets = builds.map(targetsOf);
  const outcomes: Record<string, number> = {};
  let compared = 0;
  for (let done = 0; done < count; done++) {
    const own = rng(targets.length);
    const choice = rng(targets[own].length);
    const target = targets[own][choice];
    const mutated = mutate(target.packet, rng, targets[own][rng(targets[own].length)].packet);
    const isSealed = target.check > 0 && rng(4) > 0;
    const bytes = isSealed ? reseal(mutated, target.check as 2 | 4, target.seed) : mutated;
    try {
      const key = describe(read(target, bytes, types[rng(4)], rng));
      outcomes[key] = (outcomes[key] ?? 0) + 1;
      // A check that is not the bytes' own lets nothing through.
      const isSuspect = key === "valid" && target.check > 0 && !isSealed;
      if ((done % 8 === 0 || isSuspect) && compare(target, bytes)) compared++;
      if (done % 8 === 4) {
        const [first, second] = [target, targets[1 - own][choice]].map((each) => read(each, bytes, "int32", usual));
        same(first, second, "the two builds");
      }
      if (done % 4 === 1 && !isCompact(target)) look(target, bytes);
      if (done % 20 === 0) {
        const symbols = target.parts.map((part) => part.symbols);
        same(read(target, target.packet, "int32", usual), symbols, "after it, a good packet");
      }
    } catch (error) {
      throw new Error(`packet ${done} of seed ${seed} (${target.name}): ${error}\n${hex(bytes)}`, { cause: error });
    }
    if ((done + 1) % 80_000 === 0) process.stderr.write(`progress: ${done + 1} of ${count} packets\n`);
  }
  return { outcomes, compared };
}

test("damaged packets: refused with a code, or read to their sizes, and the codec goes on", () => {
  const count = Number(process.env.FUZZ_COUNT ?? (isFull ? 320_000 : 40_000));
  const codecs = buildNames.map((name) => ({ name, ...watched(name) }));
  const { outcomes, compared } = fuzz(count, Number(process.env.FUZZ_SEED ?? 20240607), codecs);
  assert.is(
    Object.values(outcomes).reduce((a, b) => a + b, 0),
    count,
  );
  // A fuzzer whose packets all fail in the header, or all pass, tests nothing.
  const codes = "CORRUPTED TRUNCATED NOT_A_PACKET UNSUPPORTED_VERSION WRONG_PRIOR SHAPE_MISMATCH MODEL_MISMATCH";
  for (const outcome of ["valid", "LIMIT_EXCEEDED", ...codes.split(" ")])
    assert.ok((outcomes[outcome] ?? 0) > count / 2000, `${outcome}: ${JSON.stringify(outcomes)}`);
  assert.ok(compared > count / 20, `${compared} compared with the reference`);
  // The packets have some hundred bytes and claim at most 65,536 symbols; what a header says is not allocated.
  for (const { bytes } of codecs) assert.ok(bytes() < 16e6, `${bytes()} bytes of memory`);
});

test.run();

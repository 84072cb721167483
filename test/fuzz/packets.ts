// Damaged packets: one tensor, several parts with a reader, what `inspect` says, CompressAI's lists of strings. A packet is refused with a code or read to the
// sizes that it claims. Under a checksum that fits, it is what an honest encoder writes.
import {
  CodecError,
  type CreateOptions,
  createSync,
  type DecodeOptions,
  type PartReader,
  type Prior,
} from "latentwire";
import { xxh32 } from "../../tables/xxh32.js";
import { watchedOf } from "../builds.js";
import { productOf, type Random, random } from "../cases.js";
import { agreementOf, type Options } from "../io.js";
import { decodePacket, FormatError, parsePacket } from "../reference.js";
import { type Input, type Target, WrongSuccess } from "./engine.js";
import { mutateFields } from "./fields.js";
import { type Case, isBareString, packetCases } from "./packet-cases.js";

/** What the fuzzer allows a packet to claim. */
const MAX_ELEMENTS = 1 << 14;
/** One success without an honest check in so many, and one error in so many, are compared with the reference. */
const COMPARED = { success: 16, error: 512 };
/** The same in the tests, which run fewer. */
const COMPARED_THOROUGHLY = { success: 2, error: 8 };
const HEADER_REACH = 28;

const types = ["float32", "int32", "int16", "int8"] as const;
type Type = (typeof types)[number];
type Numbers = ArrayLike<number>;

/** FNV-1a of numbers: of their bits, where they have 32. */
export function hashOf(hash: number, data: Numbers): number {
  const { buffer, byteOffset } = data as Float32Array;
  const words = data instanceof Float32Array ? new Int32Array(buffer, byteOffset, data.length) : data;
  let h = hash;
  for (let i = 0; i < words.length; i++) h = Math.imul(h ^ words[i], 0x01000193);
  return h;
}

/** XXH32 with the seed of a compact packet. */
const sumOf = (bytes: Uint8Array, { check, seed }: Case): number =>
  xxh32(bytes.subarray(0, bytes.length - check), seed);

/** A full packet says itself whether it has a check. */
const hasCheck = (bytes: Uint8Array, { check, options }: Case): boolean =>
  options.header === undefined ? (bytes[1] & 1) === 1 : check > 0;

/** Whether the check at the end is that of the bytes before it. */
function isSealed(bytes: Uint8Array, one: Case): boolean {
  const { check } = one;
  if (bytes.length < check) return false;
  const sum = sumOf(bytes, one);
  for (let b = 0; b < check; b++) if (bytes[bytes.length - check + b] !== ((sum >>> (8 * b)) & 255)) return false;
  return true;
}

/** Puts the right check at the end. */
function seal(bytes: Uint8Array, one: Case): void {
  const { check } = one;
  if (bytes.length <= check) return;
  const sum = sumOf(bytes, one);
  for (let b = 0; b < check; b++) bytes[bytes.length - check + b] = sum >>> (8 * b);
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function codeOf<R>(action: () => R, kind: typeof CodecError | typeof FormatError): R | string {
  try {
    return action();
  } catch (error) {
    if (error instanceof kind) return (error as CodecError).code;
    throw error;
  }
}

const wrong = (message: string): never => {
  throw new WrongSuccess(message);
};

/** With `decode`. */
function decodeOne(
  codec: Codecs["codec"],
  { parts, priors, options }: Pick<Case, "parts" | "options"> & { priors: readonly (Prior | readonly Prior[])[] },
  bytes: Uint8Array,
  type: Type,
): Numbers {
  const { header, checksum, stream } = options;
  const dims = header ? parts[0].dims : undefined;
  const given = { header, checksum, stream, dims, maxElements: MAX_ELEMENTS, type };
  const result = codec.decode(bytes, priors[0], given as DecodeOptions);
  const elements = productOf(result.dims);
  if (result.type !== type || result.data.length !== elements || elements > MAX_ELEMENTS)
    wrong(`a result of the wrong shape: ${result.dims}`);
  return result.data as Numbers;
}

function readPart({ parts, priors, options }: Case, reader: PartReader, i: number, type: Type): Numbers {
  const { reference, dims, symbols } = parts[i];
  const given = options.header || reference.kind === "rows" ? { type, dims } : { type };
  const { data } = reader.read(priors[i], given);
  // A factorized part is as large as the packet says.
  const isOpen = reference.kind === "channels" && !options.header;
  if (data.length > MAX_ELEMENTS || (!isOpen && data.length !== symbols.length))
    wrong(`part ${i} has ${data.length} symbols`);
  return data;
}

/** A part with scales in pieces of any length. */
function readPieces({ parts, sequences }: Case, reader: PartReader, i: number, rng: Random): Numbers {
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

type Codecs = ReturnType<typeof watchedOf>;

/** A case's packet as it was written, and any bytes in its place. */
abstract class PacketTarget implements Target {
  readonly kind = "packets";
  readonly every: number = 64;
  readonly seeds: readonly Input[];
  protected hash = 0;

  constructor(
    readonly name: string,
    protected readonly codecs: Codecs,
    protected readonly cases: readonly Case[],
  ) {
    this.seeds = cases.map(({ packet }, variant) => ({ bytes: packet, variant, salt: 1, forged: false }));
  }

  digest(): number {
    return this.hash;
  }

  wasmBytes(): number {
    return this.codecs.bytes();
  }

  mutate({ bytes, variant, forged }: Input, rng: Random, other: Input): { bytes: Uint8Array; forged: boolean } {
    const one = this.cases[variant];
    let out = bytes;
    for (let round = rng(4) === 0 ? 2 : 1; round > 0; round--)
      out = mutateFields(out, rng, other.bytes, { reach: HEADER_REACH });
    if (one.check === 0 || rng(4) === 0) return { bytes: out, forged };
    if (out === bytes) out = bytes.slice();
    seal(out, one);
    return { bytes: out, forged: true };
  }

  run(input: Input): string {
    this.hash = 0;
    const one = this.cases[input.variant];
    try {
      return this.judged(one, input);
    } catch (error) {
      if (error instanceof CodecError) return error.code;
      throw error;
    }
  }

  protected abstract judged(one: Case, input: Input): string;
}

/** Reads all parts; undefined where it stops before the end. */
type Read = (codec: Codecs["codec"], one: Case, bytes: Uint8Array, type: Type, salt: number) => Numbers[] | undefined;

/** `decode`, or a reader: what comes out is judged. */
class ReadingTarget extends PacketTarget {
  readonly #read: Read;
  readonly #compared: typeof COMPARED;

  constructor(name: string, codecs: Codecs, cases: readonly Case[], compared: typeof COMPARED, read: Read) {
    super(name, codecs, cases);
    this.#read = read;
    this.#compared = compared;
  }

  protected judged(one: Case, { bytes, salt, forged }: Input): string {
    const type = types[salt & 3];
    let found: Numbers[] | undefined;
    try {
      found = this.#read(this.codecs.codec, one, bytes, type, salt);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      if ((salt >>> 4) % this.#compared.error === 0) this.#compare(one, bytes, error.code);
      return error.code;
    }
    if (found === undefined) return "closed";
    for (const data of found) this.hash = hashOf(this.hash, data);
    const isChecked = hasCheck(bytes, one);
    if (isChecked && !isSealed(bytes, { ...one, check: one.check || 4 }))
      return wrong("it was read in spite of its checksum");
    if (sameBytes(bytes, one.packet)) {
      this.#compareWithWritten(one, found);
      return isChecked ? "ok" : "unchecked";
    }
    if ((salt >>> 4) % this.#compared.success === 0) this.#compare(one, bytes, undefined);
    if (!isChecked) return "unchecked";
    if (forged) return "forged";
    // A splice may be another packet as a whole.
    const written = this.cases.find(({ packet }) => sameBytes(bytes, packet));
    if (written !== undefined) {
      this.#compareWithWritten(written, found);
      return "ok";
    }
    // Two bytes fit by accident once in 65,536 times.
    return one.check === 2 ? "accident" : wrong("other bytes than the writer's passed the checksum");
  }

  #compareWithWritten({ parts }: Case, found: readonly Numbers[]): void {
    parts.forEach(({ symbols, values }, p) => {
      const data = found[p];
      const expected = data instanceof Float32Array ? values : symbols;
      for (let i = 0; i < expected.length; i++)
        if (data[i] !== expected[i]) wrong(`symbol ${i} of part ${p} is ${data[i]} instead of ${expected[i]}`);
    });
  }

  /** The reference refuses it, too, or reads the same. */
  #compare(given: Case, bytes: Uint8Array, code: string | undefined): void {
    if (code === "LIMIT_EXCEEDED") return;
    // Of a list of strings the reference reads one.
    const one = this.name === "strings" ? alone(given) : given;
    const { parts, options } = one;
    const own = codeOf(() => this.#read(this.codecs.codec, one, bytes, "int32", 1), CodecError);
    if (own === undefined || own === "LIMIT_EXCEEDED") return;
    const priors = parts.map(({ reference }) => reference);
    const dims = options.header ? parts.map((part) => part.dims) : undefined;
    if (claimsTooMuch(bytes, options)) return;
    const other = codeOf(() => decodePacket(bytes, priors, { ...agreementOf(options), dims }).symbols, FormatError);
    if (typeof own === "string" || typeof other === "string") {
      const isChoice = [own, other].every((outcome) => alike.includes(String(outcome)));
      if (!isChoice && own !== other) wrong(`the package: ${described(own)}, the reference: ${described(other)}`);
      return;
    }
    own.forEach((symbols, p) => {
      if (symbols.length !== other[p].length) wrong(`part ${p}: the reference reads ${other[p].length} symbols`);
      for (let i = 0; i < symbols.length; i++)
        if (symbols[i] !== other[p][i]) wrong(`symbol ${i} of part ${p}: the reference reads ${other[p][i]}`);
    });
  }
}

/** Whether a packet has a shape that takes the reference long: it makes arrays of each dimension, also beside a dimension of 0. */
function claimsTooMuch(bytes: Uint8Array, options: Options): boolean {
  const header = codeOf(() => parsePacket(bytes, agreementOf(options)), FormatError);
  if (typeof header === "string") return false;
  const shapes = header.dims ? [header.dims] : header.shapes;
  return shapes.some((dims) => dims.reduce((n, dim) => n * Math.max(dim, 1), 1) > 4 * MAX_ELEMENTS);
}

const alone = (one: Case): Case => ({ ...one, parts: [one.parts[0]], priors: [one.priors[0]] });

const described = (outcome: string | readonly Numbers[]): string => (typeof outcome === "string" ? outcome : "valid");

// What is wrong in several ways has several names. Which of two kinds of damage it is called is the decoder's choice (docs/format.md section 3.4); a
// reader meets damage of the stream or a wrong prior first, as it looks; and a part's corrections the package judges behind its symbols.
const alike = ["TRUNCATED", "CORRUPTED", "MODEL_MISMATCH", "SHAPE_MISMATCH", "WRONG_PRIOR"];

/** With a reader; now and then it is left before its end, and now and then scales come in pieces. */
const readAll: Read = (codec, one, bytes, type, salt) => {
  const { parts, sequences, options } = one;
  const { header, checksum } = options;
  const reader = codec.reader(bytes, { header, checksum, maxElements: MAX_ELEMENTS });
  const found: Numbers[] = [];
  const rng = random(salt);
  const isUsual = salt === 1;
  for (let i = 0; i < parts.length; i++) {
    if (!isUsual && rng(200) === 0) {
      reader.close();
      return undefined;
    }
    const inPieces = !isUsual && sequences[i] !== undefined && rng(3) === 0;
    found.push(inPieces ? readPieces(one, reader, i, rng) : readPart(one, reader, i, type));
  }
  reader.finish();
  return found;
};

/** `inspect` judges no more than the header, and must do so without a prior. */
class InspectTarget extends PacketTarget {
  protected judged(one: Case, { bytes, salt, forged }: Input): string {
    let info: ReturnType<Codecs["codec"]["inspect"]>;
    const isCompared = (salt >>> 4) % 32 === 0;
    try {
      info = this.codecs.codec.inspect(bytes);
    } catch (error) {
      // Of the stream `inspect` reads the beginning, which counts as header there: it may refuse more than the reference.
      if (error instanceof CodecError) return error.code;
      throw error;
    }
    this.hash = hashOf(0, [info.parts, info.elements, info.lanes, info.corrections, info.headerBytes, info.totalBytes]);
    const end = info.checksum === "absent" ? 0 : 4;
    if (info.headerBytes + info.streamBytes + end !== bytes.length) wrong("inspect does not count all bytes");
    if (info.checksum === "invalid") return "a wrong checksum";
    if (info.checksum === "valid" && !isSealed(bytes, { ...one, check: 4, seed: 0 }))
      wrong("inspect calls a wrong checksum right");
    if (isCompared) this.#compare(bytes, info);
    if (info.checksum === "absent") return "unchecked";
    if (forged) return "forged";
    // A splice may be another packet as a whole.
    const isWritten = sameBytes(bytes, one.packet) || this.cases.some(({ packet }) => sameBytes(bytes, packet));
    return isWritten ? "ok" : wrong("other bytes than the writer's passed the checksum");
  }

  #compare(bytes: Uint8Array, info: ReturnType<Codecs["codec"]["inspect"]>): void {
    const header = codeOf(() => parsePacket(bytes), FormatError);
    const found = typeof header === "string" ? wrong(`inspect reads what the reference calls ${header}`) : header;
    const { parts, n, dims, shapes, lanes, corrections } = found;
    const actual = [info.parts, info.elements, info.dims, info.shapes, info.lanes, info.corrections, info.totalBytes];
    const expected = [parts, n, dims, dims ? [dims] : shapes, lanes, corrections.length, bytes.length];
    if (JSON.stringify(actual) !== JSON.stringify(expected)) wrong(`inspect says ${JSON.stringify(info)}`);
  }
}

/** One of CompressAI's strings is damaged, or the list of them. */
const readStrings: Read = (codec, one, bytes, type, salt) => {
  const rng = random(salt);
  const strings = one.parts.map(() => one.packet);
  strings[rng(strings.length)] = bytes;
  // One too few, one too many.
  if (salt !== 1 && rng(16) === 0) strings.pop();
  if (salt !== 1 && rng(16) === 0) strings.push(bytes);
  const reader = codec.reader(strings, { maxElements: MAX_ELEMENTS });
  const found = one.parts.map(({ dims }, i) => reader.read(one.priors[i], { type, dims }).data);
  reader.finish();
  return found;
};

export const packetTargets: readonly string[] = ["packets", "parts", "inspect", "strings"];

/** A target of packets, over a codec of its own. */
export function openPackets(name: string, options: CreateOptions, thorough: boolean): Target {
  const codecs = watchedOf(() => createSync(options));
  const cases = packetCases(codecs.codec);
  const compared = thorough ? COMPARED_THOROUGHLY : COMPARED;
  if (name === "inspect")
    return new InspectTarget(
      name,
      codecs,
      cases.filter(({ options }) => options.header === undefined),
    );
  if (name === "strings") return new ReadingTarget(name, codecs, stringLists(cases), compared, readStrings);
  const isAlone = name === "packets";
  // A reader cannot know that a lone string is CompressAI's.
  const own = cases.filter((one) => (isAlone ? one.parts.length === 1 : !isBareString(one)));
  const [{ priors: decoys }] = own;
  const decode: Read = (codec, one, bytes, type, salt) => {
    // As a ladder: the packet says which of its priors.
    const { header, fingerprint } = one.options;
    const isLadder = (salt >>> 8) % 16 === 5 && header === undefined && fingerprint !== false;
    return [decodeOne(codec, isLadder ? { ...one, priors: [[...decoys, ...one.priors]] } : one, bytes, type)];
  };
  return new ReadingTarget(name, codecs, own, compared, isAlone ? decode : readAll);
}

/** Lists of one to three strings; their case's packet is the one that is damaged. */
const stringLists = (cases: readonly Case[]): Case[] =>
  cases
    .filter((one) => one.options.stream === "compressai" && one.options.header === "none")
    .flatMap((one) =>
      [1, 2, 3].map((count) => ({
        ...one,
        parts: Array.from({ length: count }, () => one.parts[0]),
        priors: Array.from({ length: count }, () => one.priors[0]),
      })),
    );

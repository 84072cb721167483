// What committed vectors must give, as checks that know no file system: golden.ts runs them here, test/engines/ in every engine.
import { type Codec, CodecError } from "latentwire";
import { agree } from "./io.js";
import { nativeCases, vectorOf } from "./native-cases.js";
import { decodeCompressai, encodeCompressai, FormatError, pmfToQuantizedCdf, tableFromJson } from "./reference.js";

interface CompressaiVector {
  /** Rows filled up with zeros; `cdf_lengths` says where each ends. */
  cdfs: number[][];
  cdf_lengths: number[];
  offsets: number[];
  indexes: number[];
  symbols: number[];
  bytes_hex: string;
}

interface PmfVector {
  name: string;
  precision: number;
  pmf_f32_bits: number[];
  cdf: number[] | null;
  error: string | null;
}

/** What is under test: a build of the package or the reference, behind the calls that vectors make. */
export interface Subject {
  readonly name: string;
  encode(vector: CompressaiVector): Uint8Array;
  decode(vector: CompressaiVector, bytes: Uint8Array): Int32Array;
  quantizedCdf(pmf: Float32Array, precision: number): ArrayLike<number>;
}

function tableOf({ cdfs, cdf_lengths, offsets }: CompressaiVector) {
  return { offsets, cdfs: cdfs.map((cdf, r) => cdf.slice(0, cdf_lengths[r])) };
}

export function packageSubject(name: string, codec: Codec): Subject {
  const form = { stream: "compressai", header: "none" } as const;
  const priorOf = (vector: CompressaiVector) => codec.indexed(tableOf(vector), vector.indexes);
  return {
    name,
    encode: (vector) => {
      const latent = { type: "int32", dims: [vector.symbols.length], data: Int32Array.from(vector.symbols) };
      return codec.encode(latent, priorOf(vector), form);
    },
    decode: (vector, bytes) =>
      codec.decode(bytes, priorOf(vector), { ...form, type: "int32", dims: [vector.symbols.length] }).data,
    quantizedCdf: (pmf, precision) => codec.quantizedCdf(pmf, precision),
  };
}

const codingOf = (vector: CompressaiVector) => ({ ...tableFromJson(tableOf(vector)), index: vector.indexes, run: 1 });

export const referenceSubject: Subject = {
  name: "reference",
  encode: (vector) => encodeCompressai(vector.symbols, codingOf(vector)),
  decode: (vector, bytes) => decodeCompressai(bytes, vector.symbols.length, codingOf(vector)),
  quantizedCdf: pmfToQuantizedCdf,
};

function equal(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  if (actual.length !== expected.length) throw new Error(`${what}: ${actual.length} instead of ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`${what}: ${actual[i]} instead of ${expected[i]} at position ${i}`);
  }
}

function checkCompressai(subject: Subject, vector: CompressaiVector): void {
  const bytes = Uint8Array.from(vector.bytes_hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  equal(subject.encode(vector), bytes, "bytes");
  equal(subject.decode(vector, bytes), vector.symbols, "symbols");
}

function checkPmf(subject: Subject, vector: PmfVector): void {
  const pmf = new Float32Array(Uint32Array.from(vector.pmf_f32_bits).buffer);
  try {
    const cdf = subject.quantizedCdf(pmf, vector.precision);
    if (vector.error === null && vector.cdf !== null) return void equal(cdf, vector.cdf, "cdf");
  } catch (error) {
    const isRefusal = (error instanceof CodecError || error instanceof FormatError) && error.code === "INVALID_PMF";
    if (isRefusal && vector.error !== null) return;
    throw error;
  }
  throw new Error(`accepted, but CompressAI says ${vector.error}`);
}

type Check = [name: string, run: (subject: Subject) => void];

/** The checks of one file's content: none for a file of another kind. */
function checksOf(file: string, content: () => unknown): Check[] {
  if (/^compressai-.*\.json$/.test(file))
    return [[file, (subject) => checkCompressai(subject, content() as CompressaiVector)]];
  if (file !== "pmf_to_quantized_cdf.json") return [];
  return (content() as PmfVector[]).map((vector) => [`${file} ${vector.name}`, (subject) => checkPmf(subject, vector)]);
}

export interface Report {
  passed: string[];
  /** The checks and what went wrong. */
  failed: string[];
  /** Files of another kind. */
  skipped: string[];
}

/** Each vector of the files with each subject. */
export function checkFiles(files: Record<string, () => unknown>, subjects: readonly Subject[]): Report {
  const report: Report = { passed: [], failed: [], skipped: [] };
  for (const [file, content] of Object.entries(files)) {
    const checks = checksOf(file, content);
    if (checks.length === 0) report.skipped.push(file);
    for (const [name, run] of checks)
      for (const subject of subjects) {
        const check = `${name} [${subject.name}]`;
        try {
          run(subject);
          report.passed.push(check);
        } catch (error) {
          report.failed.push(`${check}: ${error}`);
        }
      }
  }
  return report;
}

/** Each of our own packets: every codec and the reference write what native-packets.json has, and read it back. */
export function checkNative(vectors: unknown, codecs: readonly Codec[]): Report {
  const report: Report = { passed: [], failed: [], skipped: [] };
  const cases = nativeCases();
  const committed = vectors as { name: string }[];
  if (committed.length !== cases.length) report.failed.push(`${committed.length} packets for ${cases.length} cases`);
  for (const [i, { name, parts, options }] of cases.entries()) {
    try {
      const [found, expected] = [vectorOf(name, agree(codecs, parts, options)), committed[i]];
      if (JSON.stringify(found) !== JSON.stringify(expected))
        throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
      report.passed.push(name);
    } catch (error) {
      report.failed.push(`${name}: ${error}`);
    }
  }
  return report;
}

// Runs the vectors of a folder against the built package, through its public API, and against the reference: npm run -s golden -- DIR.
// Formats: test/vectors/README.md.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Codec, CodecError, create } from "latentwire";
import { decodeCompressai, encodeCompressai, FormatError, pmfToQuantizedCdf, tableFromJson } from "./reference.js";

export interface CompressaiVector {
  name: string;
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

export interface Report {
  passed: string[];
  /** Name of the check and what went wrong. */
  failed: { check: string; reason: string }[];
  skipped: string[];
}

/** What is under test: the two builds of the package and the reference, behind the calls that vectors make. */
interface Subject {
  readonly name: string;
  encode(vector: CompressaiVector): Uint8Array;
  decode(vector: CompressaiVector, bytes: Uint8Array): Int32Array;
  quantizedCdf(pmf: Float32Array, precision: number): ArrayLike<number>;
}

function tableOf({ cdfs, cdf_lengths, offsets }: CompressaiVector) {
  return { offsets, cdfs: cdfs.map((cdf, r) => cdf.slice(0, cdf_lengths[r])) };
}

function packageSubject(name: string, codec: Codec): Subject {
  const form = { stream: "compressai", header: "none" } as const;
  return {
    name,
    encode: (vector) => {
      const latent = { type: "int32", dims: [vector.symbols.length], data: Int32Array.from(vector.symbols) };
      return codec.encode(latent, codec.indexed(tableOf(vector), vector.indexes), form);
    },
    decode: (vector, bytes) =>
      codec.decode(bytes, codec.indexed(tableOf(vector), vector.indexes), {
        ...form,
        type: "int32",
        dims: [vector.symbols.length],
      }).data,
    quantizedCdf: (pmf, precision) => codec.quantizedCdf(pmf, precision),
  };
}

const referenceSubject: Subject = {
  name: "reference",
  encode: (vector) =>
    encodeCompressai(vector.symbols, { ...tableFromJson(tableOf(vector)), index: vector.indexes, run: 1 }),
  decode: (vector, bytes) =>
    decodeCompressai(bytes, vector.symbols.length, {
      ...tableFromJson(tableOf(vector)),
      index: vector.indexes,
      run: 1,
    }),
  quantizedCdf: pmfToQuantizedCdf,
};

function equal(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  if (actual.length !== expected.length) throw new Error(`${what}: ${actual.length} instead of ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`${what}: ${actual[i]} instead of ${expected[i]} at position ${i}`);
  }
}

function checkCompressai(subject: Subject, vector: CompressaiVector): void {
  const bytes = Uint8Array.from(Buffer.from(vector.bytes_hex, "hex"));
  equal(subject.encode(vector), bytes, "bytes");
  equal(subject.decode(vector, bytes), vector.symbols, "symbols");
}

function checkPmf(subject: Subject, vector: PmfVector): void {
  const pmf = new Float32Array(Uint32Array.from(vector.pmf_f32_bits).buffer);
  if (vector.error === null && vector.cdf !== null) {
    equal(subject.quantizedCdf(pmf, vector.precision), vector.cdf, "cdf");
    return;
  }
  try {
    subject.quantizedCdf(pmf, vector.precision);
  } catch (error) {
    if ((error instanceof CodecError || error instanceof FormatError) && error.code === "INVALID_PMF") return;
    throw error;
  }
  throw new Error(`accepted, but CompressAI says ${vector.error}`);
}

/** The checks of one file, or undefined for a file of another kind. */
function checksOf(folder: string, file: string): { name: string; run: (subject: Subject) => void }[] | undefined {
  const read = () => JSON.parse(readFileSync(join(folder, file), "utf8"));
  if (/^compressai-.*\.json$/.test(file)) {
    const vector = read() as CompressaiVector;
    return [{ name: file, run: (subject) => checkCompressai(subject, vector) }];
  }
  if (file === "pmf_to_quantized_cdf.json") {
    return (read() as PmfVector[]).map((vector) => ({
      name: `${file} ${vector.name}`,
      run: (subject) => checkPmf(subject, vector),
    }));
  }
  return undefined;
}

export async function runGolden(folder: string): Promise<Report> {
  const subjects = [
    packageSubject("simd", await create()),
    packageSubject("scalar", await create({ build: "scalar" })),
    referenceSubject,
  ];
  const report: Report = { passed: [], failed: [], skipped: [] };
  for (const file of readdirSync(folder).sort()) {
    const checks = checksOf(folder, file);
    if (checks === undefined) report.skipped.push(file);
    for (const { name, run } of checks ?? []) {
      for (const subject of subjects) {
        const check = `${name} [${subject.name}]`;
        try {
          run(subject);
          report.passed.push(check);
        } catch (error) {
          report.failed.push({ check, reason: String(error) });
        }
      }
    }
  }
  return report;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , folder] = process.argv;
  if (folder === undefined) {
    console.error("usage: npm run -s golden -- DIR");
    process.exit(2);
  }
  const { passed, failed, skipped } = await runGolden(folder);
  for (const check of passed) console.log(`ok    ${check}`);
  for (const file of skipped) console.log(`skip  ${file}: another kind of file`);
  for (const { check, reason } of failed) console.log(`FAIL  ${check}: ${reason}`);
  console.log(`${passed.length} passed, ${failed.length} failed`);
  // A folder without a vector proves nothing.
  process.exitCode = failed.length > 0 || passed.length === 0 ? 1 : 0;
}

// Runs the vectors of a folder against the built package, through its public API, and against the reference: npm run -s golden -- DIR.
// Formats: test/vectors/README.md.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Codec, CodecError } from "latentwire";
import { builds } from "./builds.js";
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

const referenceSubject: Subject = {
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
  const bytes = Uint8Array.from(Buffer.from(vector.bytes_hex, "hex"));
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

/** The checks of one file: none for a file of another kind. */
function checksOf(folder: string, file: string): Check[] {
  const read = () => JSON.parse(readFileSync(join(folder, file), "utf8"));
  if (/^compressai-.*\.json$/.test(file)) return [[file, (subject) => checkCompressai(subject, read())]];
  if (file !== "pmf_to_quantized_cdf.json") return [];
  return (read() as PmfVector[]).map((vector) => [`${file} ${vector.name}`, (subject) => checkPmf(subject, vector)]);
}

/** `failed`: the checks and what went wrong. `skipped`: files of another kind. */
export function runGolden(folder: string) {
  const subjects = [...builds.map(({ name, codec }) => packageSubject(name, codec)), referenceSubject];
  const report = { passed: [] as string[], failed: [] as string[], skipped: [] as string[] };
  for (const file of readdirSync(folder).sort()) {
    const checks = checksOf(folder, file);
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

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , folder] = process.argv;
  if (folder === undefined) {
    console.error("usage: npm run -s golden -- DIR");
    process.exit(2);
  }
  const { passed, failed, skipped } = runGolden(folder);
  for (const check of passed) console.log(`ok    ${check}`);
  for (const file of skipped) console.log(`skip  ${file}: another kind of file`);
  for (const check of failed) console.log(`FAIL  ${check}`);
  console.log(`${passed.length} passed, ${failed.length} failed`);
  // A folder without a vector proves nothing.
  process.exitCode = failed.length > 0 || passed.length === 0 ? 1 : 0;
}

/** Samples whose symbols are each given a row: by scales, as behind a hyperprior, or by the rows themselves. */
import { type Codec, CodecError, type Table } from "latentwire";
import { emptyRows } from "./fit-rows.js";
import { type Sample, type SampleSet, tensorOf } from "./fit-samples.js";
import { naming } from "./layout.js";

/** What goes with the latents, sample by sample: scales and perhaps means, or rows. */
export interface Given {
  readonly scales?: SampleSet | undefined;
  readonly means?: SampleSet | undefined;
  readonly rows?: SampleSet | undefined;
}

/** The table of the rows, and how latents become symbols. */
export interface GivenTable {
  readonly table: Table;
  /** A scale per row, ascending; undefined where rows are given as they are. */
  readonly scaleTable: Float32Array | undefined;
  readonly step: number;
}

/**
 * Latents and what goes with them as a set of symbols with rows.
 *
 * @throws CodecError `SHAPE_MISMATCH` where numbers or shapes of samples differ, `INVALID_FILE` for a row that the table does not have
 */
export function givenSet(codec: Codec, set: SampleSet, given: Given, over: GivenTable): SampleSet {
  for (const [name, other] of Object.entries(given) as [string, SampleSet | undefined][]) checkPairs(set, name, other);
  const samples = set.samples.map((sample, i): Sample => {
    const [scales, means, rows] = [given.scales, given.means, given.rows].map((other) => other?.samples[i]);
    const read = () => naming(sample.name, () => symbolsOf(codec, set, sample, means, over));
    const readRows = () =>
      scales
        ? rowsOf(scales.read(), over.scaleTable!)
        : naming(rows!.name, () => checked(rows!.read(), over.table.rows));
    return { ...sample, read, rows: readRows };
  });
  return { ...set, samples, isSymbols: true, numbers: numbersOf(over) };
}

function checkPairs({ samples }: SampleSet, name: string, other: SampleSet | undefined): void {
  if (other === undefined) return;
  if (other.samples.length !== samples.length)
    throw new CodecError("SHAPE_MISMATCH", `${samples.length} samples, but --${name} has ${other.samples.length}`);
  for (const [i, sample] of samples.entries()) {
    const found = other.samples[i]!;
    if (`${found.dims}` !== `${sample.dims}`)
      throw new CodecError("SHAPE_MISMATCH", `${found.name}: [${found.dims}], but ${sample.name} is [${sample.dims}]`);
  }
}

function symbolsOf(
  codec: Codec,
  { isSymbols }: SampleSet,
  sample: Sample,
  means: Sample | undefined,
  { step }: GivenTable,
): Float32Array {
  if (isSymbols) return sample.read();
  // Which row a symbol has does not matter here.
  const rows = new Uint16Array(sample.elements);
  const prior = codec.indexed(emptyRows(1), rows, { step, means: means && tensorOf(means) });
  return Float32Array.from(codec.quantize(tensorOf(sample), prior).data);
}

/** Section 7 of docs/format.md: how many scales of the table, but for the last one, are below. */
function rowsOf(scales: Float32Array, scaleTable: Float32Array): Uint16Array {
  const bounds = scaleTable.subarray(0, -1);
  return Uint16Array.from(scales, (scale) => {
    let [from, to] = [0, bounds.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (bounds[middle]! < scale) from = middle + 1;
      else to = middle;
    }
    return from;
  });
}

function checked(rows: Float32Array, count: number): Uint16Array {
  const wrong = rows.find((row) => !(Number.isInteger(row) && row >= 0 && row < count));
  if (wrong !== undefined)
    throw new CodecError("INVALID_FILE", `there is no row ${wrong}, the table has rows 0 .. ${count - 1}`);
  return Uint16Array.from(rows);
}

/** Sixteenths of an octave of each row's scale; where it has none, of the standard deviation of its values. */
function numbersOf({ table, scaleTable }: GivenTable): Int8Array {
  const { offsets, cdfs } = table.toJSON();
  return Int8Array.from({ length: table.rows }, (_, r) => {
    const width = scaleTable ? scaleTable[r]! : deviation(offsets[r]!, cdfs[r]!);
    return Math.max(-127, Math.min(127, Math.round(16 * Math.log2(Math.max(width, 2 ** -8)))));
  });
}

function deviation(offset: number, cdf: readonly number[]): number {
  // The last entry is the escape's.
  const total = cdf.at(-2)!;
  let [sum, squares] = [0, 0];
  for (let i = 0; i + 2 < cdf.length; i++) {
    const share = (cdf[i + 1]! - cdf[i]!) / Math.max(1, total);
    sum += share * (offset + i);
    squares += share * (offset + i) ** 2;
  }
  return Math.sqrt(Math.max(0, squares - sum * sum));
}

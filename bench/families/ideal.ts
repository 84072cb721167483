import type { Codec, TableJson, TensorLike, TensorView } from "latentwire";
import { type Mixture, mixtureRow, nearest, quantizeMixture, rowsOfScales } from "../../test/reference.js";
import { ideal } from "../ideal.js";
import type { Piece, Step } from "./recorder.js";

/** Symbols of a part and the row of each, found without the codec. */
export interface Coded {
  readonly symbols: Int32Array;
  readonly rows: Uint16Array;
  readonly table: TableJson;
}

/** Elements in the order of their dimensions. */
function dense(tensor: TensorLike | TensorView): Float32Array {
  const data = tensor.data as Float32Array;
  const { dims } = tensor;
  const { strides, offset = 0 } = tensor as Partial<TensorView>;
  if (strides === undefined) return data;
  let places = [offset];
  for (const [d, count] of dims.entries())
    places = places.flatMap((place) => Array.from({ length: count }, (_, i) => place + i * strides[d]));
  return Float32Array.from(places, (place) => data[place]);
}

const floats = (value: Float32Array | TensorLike | TensorView): Float32Array =>
  ArrayBuffer.isView(value) ? (value as Float32Array) : dense(value as TensorLike);

/** docs/format.md section 6, with step 1. */
function quantized(values: ArrayLike<number>, mean: (i: number) => number): Int32Array {
  return Int32Array.from({ length: values.length }, (_, i) => nearest(Math.fround(values[i] - mean(i))));
}

function conditional(
  codec: Codec,
  scaleTable: Float32Array,
  values: Float32Array,
  scales: Float32Array,
  means: Float32Array | undefined,
  table: Parameters<Codec["table"]>[0] | undefined,
): Coded {
  const symbols = quantized(values, (i) => means?.[i] ?? 0);
  const json = table === undefined ? codec.gaussianTable() : codec.table(table);
  return { symbols, rows: Uint16Array.from(rowsOfScales(scales, scaleTable)), table: json.toJSON() };
}

/** What a step codes. `stock`: the 64 scales. */
export function coded(codec: Codec, step: Step, stock: Float32Array): Coded {
  if (step.kind === "pieces") {
    const joined = (pick: (piece: Piece) => Float32Array | undefined) =>
      Float32Array.from(step.pieces.flatMap((piece) => [...(pick(piece) ?? [])]));
    const { table, scaleTable = stock } = step.options ?? {};
    const means = joined((piece) => piece.means);
    return conditional(
      codec,
      scaleTable,
      joined(({ values }) => values),
      joined(({ scales }) => scales),
      means.length > 0 ? means : undefined,
      table,
    );
  }
  const values = dense(step.latent);
  const { source } = step;
  if (source.kind === "gaussian") {
    const [scales, { means, table, scaleTable = stock } = {}] = source.arguments;
    return conditional(codec, scaleTable, values, floats(scales), means && floats(means), table);
  }
  if (source.kind === "indexed") {
    const [table, rows] = source.arguments;
    return { symbols: Int32Array.from(values), rows: Uint16Array.from(rows), table: codec.table(table).toJSON() };
  }
  if (source.kind === "mixture") {
    const [{ weights, means, scales }, { components = 1, kind = "gaussian", support = [-128, 127] as const } = {}] =
      source.arguments;
    const count = floats(means).length;
    const given = weights === undefined ? new Float32Array(count).fill(1) : floats(weights);
    const mixture: Mixture = {
      kind,
      components,
      support,
      weights: given,
      means: floats(means),
      scales: floats(scales),
    };
    const made = quantizeMixture(mixture, stock).map((own) => mixtureRow(own, mixture, stock));
    return {
      symbols: quantized(values, () => 0),
      rows: Uint16Array.from(made, (_, i) => i),
      table: { offsets: made.map(({ offset }) => offset), cdfs: made.map(({ cdf }) => [...cdf]) },
    };
  }
  const { table } = source;
  const [batch, channels, ...size] = step.latent.dims;
  const plane = size.reduce((a, b) => a * b, 1);
  const rows = Uint16Array.from({ length: batch * channels * plane }, (_, i) => Math.floor(i / plane) % channels);
  return { symbols: quantized(values, (i) => table.medians?.[rows[i]] ?? 0), rows, table: table.toJSON() };
}

/** Bytes that the rows of all parts allow: -log2(freq / 65536) of every symbol, and the bytes of escaped values. */
export function idealBytes(parts: readonly Coded[]): number {
  return parts.reduce((sum, { symbols, rows, table }) => {
    const { bytes, escapeBytes } = ideal(symbols, rows, table);
    return sum + bytes + escapeBytes;
  }, 0);
}

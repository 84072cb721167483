/** Priors: plain data that says which row codes which symbol and what is subtracted before quantizing. */
import type { Centre } from "./centre.js";
import type { RowSource } from "./core.js";
import type { LoadedScales, LoadedTable } from "./core-tables.js";
import { CodecError } from "./errors.js";
import type { StreamChoice } from "./lanes.js";
import { MAX_DIMENSION } from "./packet.js";
import type { Prior, Table } from "./types.js";

/** What a codec keeps behind the public `Prior`. */
export interface PriorData extends Prior {
  readonly loaded: LoadedTable;
  readonly rows: FactorizedRows | SymbolRows | ScaleRows;
  readonly means: Float32Array | undefined;
}

interface FactorizedRows {
  kind: "axis";
  axis: number | undefined;
  /** For the last shape: most calls have the same. */
  last?: Applied;
}
interface SymbolRows {
  kind: "symbols";
  run: 1;
  rows: Uint16Array;
}
interface ScaleRows {
  kind: "scales";
  run: 1;
  sigmas: Float32Array;
  scales: LoadedScales;
}

interface Applied {
  n: number;
  /** The streams to try by default, once that has been asked. */
  auto?: StreamChoice[];
  source: RowSource;
  centre: Centre;
}

const mismatch = (message: string): never => {
  throw new CodecError("SHAPE_MISMATCH", message);
};

/** Row source and centre of a prior for a shape of n elements. Throws SHAPE_MISMATCH. */
export function applyPrior(prior: PriorData, dims: readonly number[], n: number): Applied {
  const { rows, step, means } = prior;
  if (rows.kind === "axis") {
    const axis = rows.axis ?? (dims.length === 1 ? 0 : 1);
    if (axis >= dims.length) mismatch(`the prior's axis is ${axis}, the shape [${dims}] has ${dims.length} dimensions`);
    const channels = dims[axis]!;
    if (channels !== prior.loaded.rows)
      mismatch(`dimension ${axis} of the shape [${dims}] is ${channels}, the table has ${prior.loaded.rows} rows`);
    let run = 1;
    for (let d = axis + 1; d < dims.length; d++) run *= dims[d]!;
    // Kernels divide by it, in 32 bits; without elements it may be anything.
    if (run === 0 || run > MAX_DIMENSION) run = 1;
    if (rows.last?.n !== n || rows.last.centre.run !== run) {
      const perRun = new Uint16Array(n === 0 ? 0 : n / run);
      for (let r = 0; r < perRun.length; r++) perRun[r] = r % channels;
      const centre = { means: undefined, medians: prior.table.medians, run, step };
      rows.last = { n, source: { kind: "runs", rows: perRun, run }, centre };
    }
    return rows.last;
  }
  const expected = rows.kind === "symbols" ? rows.rows.length : rows.sigmas.length;
  if (expected !== n) mismatch(`the prior is for ${expected} elements, the shape [${dims}] has ${n}`);
  if (means && means.length !== n)
    mismatch(`the prior has ${means.length} means, the shape [${dims}] has ${n} elements`);
  return { n, source: rows, centre: { means, medians: undefined, run: n, step } };
}

/** Rows as u16, each checked against the table. Throws RangeError. */
export function checkRows(rows: ArrayLike<number>, table: Table): Uint16Array {
  if (rows === null || typeof rows !== "object" || typeof rows.length !== "number")
    throw new TypeError("rows must be an array of row numbers");
  const limit = table.rows;
  // What cannot be lost in 16 bits is copied first, so that the loop sees one kind of array.
  if (rows instanceof Uint16Array || rows instanceof Uint8Array) {
    const checked = new Uint16Array(rows);
    for (let i = 0; i < checked.length; i++) if (checked[i]! >= limit) badRow(i, checked[i], limit);
    return checked;
  }
  const checked = new Uint16Array(rows.length);
  for (let i = 0; i < checked.length; i++) {
    const row = rows[i]!;
    if (!(typeof row === "number" && row >= 0 && row < limit && Math.floor(row) === row)) badRow(i, row, limit);
    checked[i] = row;
  }
  return checked;
}

function badRow(position: number, row: unknown, limit: number): never {
  if (typeof row !== "number") throw new TypeError(`rows must hold numbers, rows[${position}] is a ${typeof row}`);
  throw new RangeError(`rows[${position}] is ${row}, the table has rows 0 .. ${limit - 1}`);
}

/** A positive finite float32. Throws RangeError. */
export function checkStep(step: number | undefined): number {
  const rounded = Math.fround(step ?? 1);
  if (!(rounded > 0 && rounded < Number.POSITIVE_INFINITY))
    throw new RangeError(`step must be a positive number, not ${step}`);
  return rounded;
}

/** Ascending finite float32 scales. `name` is the argument's. Throws RangeError. */
export function checkScales(scales: Float32Array, rows: number, name: string): void {
  if (!(scales instanceof Float32Array)) throw new TypeError(`${name} must be a Float32Array`);
  if (scales.length !== rows) throw new RangeError(`${name} has ${scales.length} scales, the table ${rows} rows`);
  for (let j = 0; j < scales.length; j++) {
    const ascends = scales[j]! > (j === 0 ? 0 : scales[j - 1]!) && scales[j]! < Number.POSITIVE_INFINITY;
    if (!ascends) throw new RangeError(`${name} must hold positive ascending numbers; ${name}[${j}] is ${scales[j]}`);
  }
}

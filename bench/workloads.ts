import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Codec, LatentData, Prior, Table, TensorLike } from "latentwire";
import { MemorySource } from "../tables/byte-source.js";
import { readNpy } from "../tables/npy.js";
import { floats, integers } from "../tables/stored-tensor.js";

/** One tensor to code. */
export interface Item {
  readonly dims: number[];
  readonly symbols: Int32Array;
  /** What an encoder network would have put out for these symbols. */
  readonly latent: TensorLike & { readonly data: LatentData };
}

/** Items that share one prior, and what a codec without priors needs to know of it. */
export interface Workload {
  readonly name: string;
  readonly table: Table;
  readonly items: readonly Item[];
  /** The row of every symbol of an item; the same for all items. */
  readonly rows: Uint16Array;
  /** How many symbols in turn share a row; 0 where each symbol has its own. */
  readonly run: number;
  /** Only W1: the scales that chose the rows. */
  readonly scales?: Float32Array;
  prior(codec: Codec): Prior;
}

// Seeds are part of the workloads: figures of different days and machines are over the same symbols.
const SEED_W1 = 12345;
const SEED_W2 = 99991;

type Random = () => number;

/** xorshift32: uniform in [0, 1), the same everywhere. */
function random(seed: number): Random {
  let s = seed >>> 0;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

function normal(uniform: Random): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A float32 that quantizes to `symbol`, anywhere in its cell. */
function inCell(symbol: number, mean: number, uniform: Random): number {
  return symbol + mean + (uniform() - 0.5) * 0.98;
}

/** CompressAI's 64 scales: exp of 64 even steps from ln 0.11 to ln 256. */
function scaleTable(): Float32Array {
  const [low, high] = [Math.log(0.11), Math.log(256)];
  return Float32Array.from({ length: 64 }, (_, j) => Math.exp(low + (j * (high - low)) / 63));
}

/** W1, a hyperprior's latent: 192x48x32, a Gaussian row per symbol, scales log-normal with median 0.5. */
export function w1(codec: Codec): Workload {
  const dims = [1, 192, 48, 32];
  const n = 192 * 48 * 32;
  const uniform = random(SEED_W1);
  const scaleOfRow = scaleTable();
  const table = codec.gaussianTable();
  const rows = new Uint16Array(n);
  const symbols = new Int32Array(n);
  const scales = new Float32Array(n);
  const latent = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    scales[i] = Math.exp(Math.log(0.5) + normal(uniform));
    let row = 0;
    while (row < 63 && scaleOfRow[row] < scales[i]) row++;
    rows[i] = row;
    symbols[i] = Math.round(normal(uniform) * scaleOfRow[row]);
    latent[i] = inCell(symbols[i], 0, uniform);
  }
  return {
    name: "W1",
    table,
    rows,
    run: 0,
    scales,
    items: [{ dims, symbols, latent: { type: "float32", dims, data: latent } }],
    prior: (of) => of.indexed(table, rows),
  };
}

/** W2, FrankenSplit's latent: 48x28x28, a Laplace row per channel, 0.3 to 1 bit per symbol. */
export function w2(codec: Codec): Workload {
  const [channels, run] = [48, 28 * 28];
  const dims = [1, channels, 28, 28];
  const uniform = random(SEED_W2);
  const reach = 6;
  const medians: number[] = [];
  const cdfs: number[][] = [];
  const symbols = new Int32Array(channels * run);
  const latent = new Float32Array(channels * run);
  for (let c = 0; c < channels; c++) {
    // The first channels lie in the middle of the spread, so that W4, cut from them, is an average piece.
    const width = 0.155 + (0.148 * ((c + 20) % channels)) / (channels - 1);
    const centre = (uniform() - 0.5) * 0.3;
    const below = (x: number) =>
      x < centre ? Math.exp((x - centre) / width) / 2 : 1 - Math.exp((centre - x) / width) / 2;
    const pmf = Array.from({ length: 2 * reach + 1 }, (_, k) => below(k - reach + 0.5) - below(k - reach - 0.5));
    const escapeMass = 1e-9;
    cdfs.push(Array.from(codec.quantizedCdf(Float32Array.from([...pmf, escapeMass]))));
    medians.push(Math.fround(centre));
    for (let i = c * run; i < (c + 1) * run; i++) {
      const target = uniform();
      let k = 0;
      for (let sum = pmf[0]; k < 2 * reach && sum <= target; k++) sum += pmf[k + 1];
      symbols[i] = k - reach;
      latent[i] = inCell(symbols[i], medians[c], uniform);
    }
  }
  const table = codec.table({ offsets: cdfs.map(() => -reach), cdfs, medians });
  return {
    name: "W2",
    table,
    rows: Uint16Array.from(symbols, (_, i) => Math.floor(i / run)),
    run,
    items: [{ dims, symbols, latent: { type: "float32", dims, data: latent } }],
    prior: (of) => of.factorized(table),
  };
}

/** W4, a tiny message: the first 1,024 symbols of W2, flat, a row per symbol. */
export function w4(codec: Codec): Workload {
  const n = 1024;
  const whole = w2(codec);
  const { symbols } = whole.items[0];
  const rows = whole.rows.slice(0, n);
  const uniform = random(SEED_W2);
  const part = symbols.slice(0, n);
  const data = Float32Array.from(part, (symbol) => inCell(symbol, 0, uniform));
  return {
    name: "W4",
    table: whole.table,
    rows,
    run: 0,
    items: [{ dims: [n], symbols: part, latent: { type: "float32", dims: [n], data } }],
    prior: (of) => of.indexed(whole.table, rows),
  };
}

/** The workloads by name. */
export const MAKERS: Readonly<Record<string, (codec: Codec) => Workload>> = { W1: w1, W2: w2, W4: w4 };

/** A .npy file (or .npy.gz) as float32 or, where it holds integers, as int32. */
export function readLatents(file: string): {
  type: "float32" | "int32";
  dims: number[];
  data: Float32Array | Int32Array;
} {
  const bytes = readFileSync(file);
  const array = readNpy(new MemorySource(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes));
  const dims = [...array.shape];
  return array.type.startsWith("float")
    ? { type: "float32", dims, data: floats(array, file) }
    : { type: "int32", dims, data: integers(array, file) };
}

/** Real latents under a factorized prior: a .npy file, and a table as JSON or in binary form. A batch is coded item by item, as it would be sent. */
export function latents(codec: Codec, npyFile: string, tableFile: string): Workload {
  const bytes = new Uint8Array(readFileSync(tableFile));
  const table = codec.table(bytes[0] === 0x7b ? JSON.parse(new TextDecoder().decode(bytes)) : bytes);
  const array = readLatents(npyFile);
  const batch = array.dims[1] === table.rows;
  if (!batch && array.dims[0] !== table.rows)
    throw new Error(
      `${npyFile} is ${array.dims.join("x")}, but the table has ${table.rows} rows: the first dimension, or the second after a batch, must be ${table.rows}`,
    );
  const dims = [1, ...(batch ? array.dims.slice(1) : array.dims)];
  const size = dims.reduce((result, d) => result * d, 1);
  const run = size / table.rows;
  const means = table.medians ?? new Float32Array(table.rows);
  const prior = codec.factorized(table);
  const items: Item[] = [];
  for (let from = 0; from < array.data.length; from += size) {
    const piece = array.data.slice(from, from + size);
    const real = array.type === "float32";
    const symbols = real
      ? (codec.quantize({ type: "float32", dims, data: piece }, prior).data as Int32Array)
      : Int32Array.from(piece);
    const data = real ? piece : Float32Array.from(piece, (symbol, i) => symbol + means[Math.floor(i / run)]);
    items.push({ dims, symbols, latent: { type: "float32", dims, data } });
  }
  if (items.length === 0) throw new Error(`${npyFile} holds no latent`);
  const rows = Uint16Array.from({ length: size }, (_, i) => Math.floor(i / run));
  return { name: "latents", table, items, rows, run, prior: (of) => of.factorized(table) };
}

const MAGIC = 0x3142574c; // "LWB1"

/**
 * The first item of a workload as a file for programs in other languages, little-endian 32-bit words:
 * magic, n, run (0: each symbol has its own row), rows R; per row: offset, length of its cdf, the cdf; n rows; n symbols.
 */
export function writeWorkload({ table, rows, run, items }: Workload, file: string): void {
  const { offsets, cdfs } = table.toJSON();
  const words = [MAGIC, rows.length, run, offsets.length];
  offsets.forEach((offset, r) => {
    words.push(offset, cdfs[r].length, ...cdfs[r]);
  });
  writeFileSync(file, new Uint8Array(Int32Array.from([...words, ...rows, ...items[0].symbols]).buffer));
}

import { readFileSync } from "node:fs";
import type { Codec, LatentData, TableSource } from "latentwire";
import { readNpy } from "./npy.js";
import type { Item, Workload } from "./workloads.js";

function readTable(file: string): TableSource {
  const bytes = new Uint8Array(readFileSync(file));
  const binary = bytes[0] === 0x4c && bytes[1] === 0x57 && bytes[2] === 0x54;
  return binary ? bytes : JSON.parse(new TextDecoder().decode(bytes));
}

const product = (dims: readonly number[]) => dims.reduce((result, d) => result * d, 1);

/** Real latents under a factorized prior. A batch is coded item by item, as it would be sent. */
export function latents(codec: Codec, npyFile: string, tableFile: string): Workload {
  const table = codec.table(readTable(tableFile));
  const array = readNpy(npyFile);
  const batch = array.dims[1] === table.rows;
  if (!batch && array.dims[0] !== table.rows)
    throw new Error(
      `${npyFile} is ${array.dims.join("x")}, but the table has ${table.rows} rows: the first dimension, or the second after a batch, must be ${table.rows}`,
    );
  const inner = batch ? array.dims.slice(1) : array.dims;
  const dims = [1, ...inner];
  const size = product(inner);
  const run = size / table.rows;
  const means = table.medians ?? new Float32Array(table.rows);
  const prior = codec.factorized(table);
  const items: Item[] = [];
  for (let from = 0; from < array.data.length; from += size) {
    const piece = array.data.slice(from, from + size) as LatentData;
    const float = array.type === "float32";
    const symbols = float
      ? (codec.quantize({ type: "float32", dims, data: piece }, prior).data as Int32Array)
      : Int32Array.from(piece);
    const data = float ? piece : Float32Array.from(piece, (symbol, i) => symbol + means[Math.floor(i / run)]);
    items.push({ dims, symbols, latent: { type: "float32", dims, data } });
  }
  if (items.length === 0) throw new Error(`${npyFile} holds no latent`);
  return {
    name: "latents",
    table,
    items,
    rows: Uint16Array.from({ length: size }, (_, i) => Math.floor(i / run)),
    run,
    means,
    prior: (of) => of.factorized(table),
  };
}

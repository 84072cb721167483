// What every engine must agree on, byte for byte: run by Node, by pages and by Workers.
import type { Codec, EncodeOptions, Prior, TableJson, TensorLike } from "latentwire";

export interface Outcome {
  name: string;
  /** The packet, hex. */
  packet: string;
  /** FNV-1a of the bytes of the decoded elements. */
  decoded: string;
}

/** Numbers in [0, 1) that are the same in every engine: no Math function, no float rounding. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Rows of geometric frequencies around 0, flatter from row to row, with an escape entry. */
export function testTable(rows: number): TableJson {
  const offsets: number[] = [];
  const cdfs: number[][] = [];
  for (let row = 0; row < rows; row++) {
    const reach = 1 + (row % 12);
    const weights: number[] = [];
    for (let v = -reach; v <= reach; v++) weights.push(Math.floor((60000 * (row + 1)) / (row + 1 + 4 * v * v)) + 1);
    const sum = weights.reduce((a, b) => a + b);
    const cdf = [0];
    for (const weight of weights) cdf.push(cdf[cdf.length - 1] + 1 + Math.floor((weight * 65000) / sum));
    cdfs.push([...cdf, 65536]);
    offsets.push(-reach);
  }
  return { offsets, cdfs, medians: offsets.map((_, row) => (row % 5) / 8 - 0.25) };
}

/** Sums of uniform numbers, so mostly small; now and then one far outside every row. */
export function latent(dims: number[], seed: number, spread = 3): TensorLike & { data: Float32Array } {
  const random = generator(seed);
  const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) {
    data[i] = (random() + random() + random() - 1.5) * spread;
    if (random() < 1 / 2000) data[i] *= 1e6;
  }
  return { type: "float32", dims, data };
}

const optionSets: EncodeOptions[] = [
  {},
  { lanes: 1 },
  { lanes: 8 },
  { lanes: 16 },
  { lanes: 32 },
  { checksum: false, fingerprint: false },
  { header: "none" },
  { header: "compact" },
  { header: "compact", checksum: 2 },
  { stream: "compressai" },
  { stream: "compressai", header: "none" },
];

/** Encodes and decodes a fixed list of latents, priors and options. */
export function outcomes(codec: Codec): Outcome[] {
  const list: Outcome[] = [];
  const add = (name: string, tensor: TensorLike, prior: Prior) => {
    for (const encode of optionSets) {
      const packet = codec.encode(tensor, prior, encode);
      const { header, stream, checksum } = encode;
      const restored = codec.decode(packet, prior, { header, stream, checksum, dims: tensor.dims });
      list.push({ name: `${name} ${JSON.stringify(encode)}`, packet: hex(packet), decoded: fnv(restored.data) });
    }
  };

  const table = codec.table(testTable(48));
  add("factorized", latent([1, 48, 14, 14], 1), codec.factorized(table));
  add("factorized, step 0.5, batch 2", latent([2, 48, 5, 7], 2), codec.factorized(table, { step: 0.5 }));

  const dims = [1, 32, 12, 16];
  const means = latent(dims, 3).data;
  const random = generator(4);
  const scales = means.map(() => 0.05 + 40 * random() * random() * random());
  const wide = latent(dims, 5, 12);
  add("gaussian", wide, codec.gaussian(scales));
  add("gaussian, means", wide, codec.gaussian(scales, { means }));
  add("gaussian, built here", wide, codec.gaussian(scales, { table: codec.gaussianTable() }));

  const rows = Array.from(scales, () => Math.floor(random() * 48));
  add("indexed", wide, codec.indexed(table, rows));
  add("int8", { type: "int8", dims, data: Int8Array.from(wide.data) }, codec.indexed(table, rows));
  add("one element", latent([1, 48, 1, 1], 6), codec.factorized(table));
  return list;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fnv(data: ArrayBufferView): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

import type { Codec } from "latentwire";
import { dequantize, quantize } from "./plain/index.js";
import type { Workload } from "./workloads.js";

/** Something that turns the float32 latent of a workload's i-th item into symbols, and symbols back, without coding them. */
export interface Quantizer {
  readonly name: string;
  quantize(i: number): ArrayLike<number>;
  dequantize(i: number): ArrayLike<number>;
}

function latentwire(name: string, codec: Codec, workload: Workload): Quantizer {
  const prior = workload.prior(codec);
  const symbols = new Int32Array(workload.rows.length);
  const floats = new Float32Array(workload.rows.length);
  const tensors = workload.items.map((item) => ({ type: "int32", dims: item.dims, data: item.symbols }));
  return {
    name,
    quantize: (i) => codec.quantize(workload.items[i].latent, prior, { type: "int32", out: symbols }).data,
    dequantize: (i) => codec.dequantize(tensors[i], prior, { out: floats }).data,
  };
}

function plain(workload: Workload): Quantizer {
  const { items, means, rows } = workload;
  const run = workload.run || rows.length;
  const symbols = new Int32Array(rows.length);
  const floats = new Float32Array(rows.length);
  return {
    name: "reference-ts",
    quantize(i) {
      quantize(items[i].latent.data as Float32Array, means, run, symbols);
      return symbols;
    },
    dequantize(i) {
      dequantize(items[i].symbols, means, run, floats);
      return floats;
    },
  };
}

export function quantizers(workload: Workload, simd: Codec, scalar: Codec): Quantizer[] {
  return [latentwire("latentwire", simd, workload), latentwire("latentwire-scalar", scalar, workload), plain(workload)];
}

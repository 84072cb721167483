// Adding and taking away 1.5 * 2^52 leaves the nearest integer, ties to even: the same rule as torch.round, ONNX Round and
// Wasm's f32.nearest. Math.round takes ties up and is slower.
const TIES_TO_EVEN = 1.5 * 2 ** 52;

/** One mean per run of symbols (a row's median), as docs/format.md section 6 has it: float32 arithmetic, rounded once. */
export function quantize(latent: Float32Array, means: Float32Array, run: number, out: Int32Array): void {
  for (let from = 0, c = 0; from < latent.length; from += run, c++) {
    const mean = means[c];
    const to = Math.min(from + run, latent.length);
    for (let i = from; i < to; i++) out[i] = Math.fround(latent[i] - mean) + TIES_TO_EVEN - TIES_TO_EVEN;
  }
}

export function dequantize(symbols: Int32Array, means: Float32Array, run: number, out: Float32Array): void {
  for (let from = 0, c = 0; from < symbols.length; from += run, c++) {
    const mean = means[c];
    const to = Math.min(from + run, symbols.length);
    for (let i = from; i < to; i++) out[i] = symbols[i] + mean;
  }
}

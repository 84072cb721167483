/** What a latent costs under a factorized prior, without encoding it. */
import type { Codec, Prior, TensorLike } from "latentwire";

/** As `Rate` of latentwire/full. */
export interface Rate {
  readonly symbols: number;
  /** Ideal code length: the sum of -log2(freq / 65536), and 8 bits for every byte of an escape. */
  readonly bits: number;
  readonly escapes: number;
  readonly channels?: { readonly bits: Float64Array; readonly escapes: Uint32Array };
  readonly warning?: string;
}

/** Bytes of the varint that follows an escape; docs/format.md section 3.3. */
function varintBytes(raw: number): number {
  let bytes = 1;
  for (let rest = Math.floor(raw / 128); rest > 0; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** The rate of a latent under a factorized prior of `codec`. */
export function latentRate(codec: Codec, latent: TensorLike, prior: Prior, { axis = 1 } = {}): Rate {
  const { offsets, cdfs } = prior.table.toJSON();
  const symbols = codec.quantize(latent, prior).data as Int32Array;
  const channels = { bits: new Float64Array(offsets.length), escapes: new Uint32Array(offsets.length) };
  const run = latent.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  for (let i = 0; i < symbols.length; i++) {
    const c = Math.floor(i / run) % offsets.length;
    const cdf = cdfs[c]!;
    const max = cdf.length - 2;
    const u = symbols[i]! - offsets[c]!;
    const inside = u >= 0 && u < max;
    const entry = inside ? u : max;
    channels.bits[c]! += 16 - Math.log2(cdf[entry + 1]! - cdf[entry]!);
    if (inside) continue;
    channels.escapes[c]! += 1;
    channels.bits[c]! += 8 * varintBytes(u < 0 ? -2 * u - 1 : 2 * (u - max));
  }
  const bits = channels.bits.reduce((a, b) => a + b, 0);
  const escapes = channels.escapes.reduce((a, b) => a + b, 0);
  const share = escapes / Math.max(1, symbols.length);
  const warning =
    share > 0.01
      ? `${(100 * share).toFixed(1)} % of the symbols are escapes: the table does not fit the latent`
      : undefined;
  return { symbols: symbols.length, bits, escapes, channels, ...(warning !== undefined && { warning }) };
}

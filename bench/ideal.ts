import type { TableJson } from "latentwire";

/** What no coder that uses these rows can beat, and what escapes cost beside it. */
export interface Ideal {
  /** Sum of -log2(freq / 65536) / 8 under the quantized rows; an escape counts as its row's escape entry. */
  readonly bytes: number;
  readonly escapes: number;
  /** Bytes of the escaped values themselves (docs/format.md section 3.3). They are not part of `bytes`. */
  readonly escapeBytes: number;
}

function varintBytes(raw: number): number {
  let bytes = 1;
  for (let rest = Math.floor(raw / 128); rest > 0; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** `rows`: the row of every symbol. */
export function ideal(symbols: Int32Array, rows: Uint16Array, table: TableJson): Ideal {
  let bits = 0;
  let escapes = 0;
  let escapeBytes = 0;
  for (let i = 0; i < symbols.length; i++) {
    const cdf = table.cdfs[rows[i]];
    const max = cdf.length - 2;
    const u = symbols[i] - table.offsets[rows[i]];
    const inside = u >= 0 && u < max;
    if (!inside) {
      escapes++;
      escapeBytes += varintBytes(u < 0 ? -2 * u - 1 : 2 * (u - max));
    }
    const entry = inside ? u : max;
    bits += 16 - Math.log2(cdf[entry + 1] - cdf[entry]);
  }
  return { bytes: bits / 8, escapes, escapeBytes };
}

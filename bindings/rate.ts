/** What a latent costs, without coding it. Numbers for people: nothing here touches the coded path. */
import type { FullCore } from "./core-full.js";
import { CodecError } from "./errors.js";
import type { Rate, RateOptions, TensorView } from "./full-types.js";
import { applyPartPrior, type CodedPart, emptyPart, type PartPrior } from "./part.js";
import type { TensorLike } from "./types.js";
import { type Span, spanOf } from "./view.js";

interface Cost {
  bits: number;
  escapes: number;
}

/** Ideal code length of a latent under a prior. */
export function rateOf(core: FullCore, prior: PartPrior, latent: TensorLike | TensorView, { axis }: RateOptions): Rate {
  const span = spanOf(latent, "latent");
  const { dims, n } = span;
  if (axis !== undefined && !(Number.isInteger(axis) && axis >= 0 && axis < dims.length))
    throw new RangeError(`axis must be a dimension of [${dims}], not ${axis}`);
  const { rows, centre } = applyPartPrior(prior, dims, n);
  const part = emptyPart(prior, rows);
  const target: Span = {
    type: "float32",
    data: new Float32Array(n),
    dims,
    strides: undefined,
    offset: 0,
    n,
  };
  core.quantizePart(span, rows, centre, undefined, undefined, target, part);
  const perSymbol = part.entries ? new Uint16Array(0) : core.rowsOf(rows, n);
  const cost = (from: number, to: number): Cost =>
    part.entries && part.support
      ? entriesCost(part.entries.subarray(from, to), part.symbols.subarray(from, to), part.support)
      : tableCost(core, part, part.symbols.subarray(from, to), perSymbol.subarray(from, to));

  let channels: { bits: Float64Array; escapes: Uint32Array } | undefined;
  let total: Cost;
  if (axis === undefined) {
    total = cost(0, n);
  } else {
    const count = dims[axis];
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    channels = { bits: new Float64Array(count), escapes: new Uint32Array(count) };
    total = { bits: 0, escapes: 0 };
    for (let from = 0, c = 0; from < n; from += inner, c = (c + 1) % count) {
      const { bits, escapes } = cost(from, from + inner);
      channels.bits[c] += bits;
      channels.escapes[c] += escapes;
      total.bits += bits;
      total.escapes += escapes;
    }
  }
  return { symbols: n, ...total, channels, warning: warningOf(total, part, perSymbol) };
}

function tableCost(core: FullCore, part: CodedPart, symbols: Int32Array, rows: Uint16Array): Cost {
  if (!part.table) throw new CodecError("INVALID_TABLE", "the prior has no table");
  const { mantissa, exponent, escapes, escapeBytes } = core.frequencies(symbols, rows, 1, part.table);
  return { bits: 16 * symbols.length - exponent - Math.log2(mantissa) + 8 * escapeBytes, escapes };
}

function entriesCost(
  entries: Uint32Array,
  symbols: Int32Array,
  { low, size }: NonNullable<CodedPart["support"]>,
): Cost {
  let bits = 0;
  let escapes = 0;
  entries.forEach((entry, i) => {
    bits += 16 - Math.log2(entry & 0xffff);
    if (entry >>> 16 !== 65535) return;
    escapes++;
    // Its number is a varint; docs/format.md sections 1 and 3.3.
    const u = symbols[i] - low;
    for (let raw = u < 0 ? -2 * u - 1 : 2 * (u - size); ; raw = Math.floor(raw / 128)) {
      bits += 8;
      if (raw < 128) break;
    }
  });
  return { bits, escapes };
}

/** More escapes than that, or more bits than that times the latent's own histograms, are worth a word. */
const ESCAPE_SHARE = 0.005;
const EXCESS = 1.2;

function warningOf({ bits, escapes }: Cost, part: CodedPart, rows: Uint16Array): string | undefined {
  const n = part.symbols.length;
  if (escapes > ESCAPE_SHARE * n && escapes > 1)
    return `${escapes} of ${n} symbols (${((100 * escapes) / n).toFixed(1)} %) are escapes: the table does not reach the latent's values`;
  if (part.entries) return undefined;
  const own = histogramBits(part.symbols, rows);
  if (bits <= EXCESS * own + 64) return undefined;
  return `${(bits / 8).toFixed(0)} bytes, but ${(own / 8).toFixed(0)} under histograms of the latent itself: the table was made for other data`;
}

/** Code length under a histogram per row, with half a logarithm for each of its parameters (Rissanen 1978). */
function histogramBits(symbols: Int32Array, rows: Uint16Array): number {
  const counts = new Map<number, Map<number, number>>();
  for (let i = 0; i < symbols.length; i++) {
    let histogram = counts.get(rows[i]);
    if (!histogram) {
      histogram = new Map();
      counts.set(rows[i], histogram);
    }
    histogram.set(symbols[i], (histogram.get(symbols[i]) ?? 0) + 1);
  }
  let bits = 0;
  for (const histogram of counts.values()) {
    let n = 0;
    for (const count of histogram.values()) n += count;
    for (const count of histogram.values()) bits -= count * Math.log2(count / n);
    bits += 0.5 * (histogram.size - 1) * Math.log2(n);
  }
  return bits;
}

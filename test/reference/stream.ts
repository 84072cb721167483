// The native stream: lane count, escapes and the order of its parts; docs/format.md section 3.
import { concat, Reader, Writer } from "./bytes.js";
import { corrupted, truncated } from "./errors.js";
import { decodeLanes, encodeLanes, type Layout, type Place, placeOf, unpackStates } from "./lanes.js";
import { decodeSingle, encodeSingle } from "./single.js";
import { type Coding, entryOf, symbolOf, symbolOfEscape } from "./symbol.js";

export type LaneCount = 1 | 8 | 16 | 32;

/** What the control byte says about the stream. */
export interface StreamForm {
  readonly lanes: LaneCount;
  readonly layout: Layout;
  readonly escapes: boolean;
  /** 0 with one lane. */
  readonly tailCode: number;
}

// t of the tail codes 1 .. 14
const tails = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64];

/** Whether the tail code or the number behind it can say t. */
export function sayable(t: number): boolean {
  return t > 64 || tails.includes(t);
}

export function encodeNative(
  symbols: ArrayLike<number>,
  coding: Coding,
  lanes: LaneCount,
  layout: Layout = "continuous",
  /** Of packets of several parts; otherwise it follows from the layout. */
  place: Place = placeOf(layout, coding.run),
): { form: StreamForm; stream: Uint8Array } {
  const escapes = escapeSection(symbols, coding);
  const size = new Writer();
  if (escapes.length > 0) size.varint(escapes.length);
  const coded = lanes > 1 ? encodeLanes(symbols, coding, lanes, place, sayable) : undefined;
  if (coded === undefined) {
    const form = { lanes: 1, layout: "continuous", escapes: escapes.length > 0, tailCode: 0 } as const;
    return { form, stream: concat(size.done(), encodeSingle(symbols, coding), escapes) };
  }
  const tailCode = coded.t > 64 ? 15 : tails.indexOf(coded.t) + 1;
  const t = new Writer();
  if (tailCode === 15) t.varint(coded.t);
  const form = { lanes, layout, escapes: escapes.length > 0, tailCode };
  return { form, stream: concat(t.done(), size.done(), coded.states, coded.words, escapes) };
}

function escapeSection(symbols: ArrayLike<number>, { rows, index }: Coding): Uint8Array {
  const out = new Writer();
  for (let i = 0; i < symbols.length; i++) {
    const { raw } = entryOf(rows[index[i]], symbols[i]);
    if (raw !== undefined) out.varint(raw);
  }
  return out.done();
}

export function decodeNative(
  stream: Uint8Array,
  form: StreamForm,
  n: number,
  coding: Coding,
  place: Place = placeOf(form.layout, coding.run),
): Int32Array {
  const reader = new Reader(stream);
  const t = form.tailCode === 15 ? reader.varint() : form.tailCode > 0 ? tails[form.tailCode - 1] : 0;
  if (form.tailCode === 15 && t <= 64) corrupted(`a tail of ${t} has a code`);
  if (form.lanes > 1 && (t < 1 || 32 * t > n - 1)) corrupted(`a tail of ${t} x 32 of ${n} symbols`);
  const size = form.escapes ? reader.varint() : 0;
  if (form.escapes && size === 0) corrupted("an escape section without escapes");
  const states = form.lanes > 1 ? unpackStates(reader, form.lanes) : [];
  if (size > reader.left) truncated("the escapes are incomplete");
  const words = reader.take(reader.left - size);
  const escapes = new Reader(reader.take(size));

  const symbols = new Int32Array(n);
  const found = (i: number, k: number, escape: boolean) => {
    const row = coding.rows[coding.index[i]];
    symbols[i] = escape ? symbolOfEscape(row, escapes.varint()) : symbolOf(row, k);
  };
  if (form.lanes === 1) decodeSingle(words, n, coding, found);
  else decodeLanes(t, states, words, n, coding, place, found);
  if (escapes.left > 0) corrupted("escapes left over");
  return symbols;
}

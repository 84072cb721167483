// The native stream of all parts: lanes, escapes and the order of its sections; docs/format.md section 3.
import { concat, corrupted, Reader, truncated, Writer } from "./bytes.js";
import { encodeLanes, LaneDecoder, type PlacedEntry, readTail, unpackStates } from "./lanes.js";
import { encodeSingle, SingleDecoder } from "./single.js";
import { type Coding, entryOf, symbolOf, symbolOfEscape, type Turn } from "./symbol.js";

export type LaneCount = 1 | 8 | 16 | 32;

/** What the control byte says about the stream. */
export interface StreamForm {
  readonly lanes: LaneCount;
  readonly escapes: boolean;
  /** 0 with one lane. */
  readonly tailCode: number;
}

/** The symbols of one part, and what codes them. */
export interface CodedPart {
  readonly symbols: ArrayLike<number>;
  readonly coding: Coding;
}

const maxRaw = 2 ** 34 - 1;

/** The symbols of a part in the order in which they are coded. */
function turnsOf(coding: Coding, symbols: ArrayLike<number>, lanes: number): Iterable<Turn> {
  return coding.turns ? coding.turns(symbols) : turnsInOrder(coding, lanes);
}

function* turnsInOrder({ rows, index, run }: Coding, lanes: number): Generator<Turn> {
  for (let i = 0; i < index.length; i++) yield { at: i, row: rows[index[i]], place: run >= 2 * lanes ? i % run : i };
}

/** A stream that is too short for the lanes has one lane. */
export function encodeNative(parts: readonly CodedPart[], lanes: LaneCount): { form: StreamForm; stream: Uint8Array } {
  const entries: PlacedEntry[] = [];
  for (const { symbols, coding } of parts)
    for (const { at, row, place } of turnsOf(coding, symbols, lanes))
      entries.push({ ...entryOf(row, symbols[at]), place });

  const escapes = new Writer();
  for (const { raw } of entries) if (raw !== undefined) escapes.varint(raw);
  const size = new Writer();
  if (escapes.bytes.length > 0) size.varint(escapes.bytes.length);
  const form = { escapes: escapes.bytes.length > 0 };

  const coded = lanes > 1 ? encodeLanes(entries, lanes) : undefined;
  if (coded === undefined) {
    const stream = concat(size.bytes, encodeSingle(entries), escapes.bytes);
    return { form: { ...form, lanes: 1, tailCode: 0 }, stream };
  }
  const { tailCode, states, words } = coded;
  const t = new Writer();
  if (coded.t !== undefined) t.varint(coded.t);
  return { form: { ...form, lanes, tailCode }, stream: concat(t.bytes, size.bytes, states, words, escapes.bytes) };
}

/**
 * The symbols of every part, n in all. A coding is asked for when its part's first symbol is due, and the end of `codings` is reached before
 * the stream's own end is checked: so a caller who makes them one by one decides what is reported first.
 */
export function decodeNative(stream: Uint8Array, form: StreamForm, n: number, codings: Iterable<Coding>): Int32Array[] {
  const reader = new Reader(stream);
  const t = form.lanes > 1 ? readTail(form.tailCode, n, reader) : 0;
  const size = form.escapes ? reader.varint() : 0;
  if (form.escapes && size === 0) corrupted("an escape section without escapes");
  const states = form.lanes > 1 ? unpackStates(reader, form.lanes) : [];
  if (size > reader.left) truncated("the escapes are incomplete");
  const words = reader.take(reader.left - size);
  const escapes = new Reader(reader.take(size));
  const decoder = form.lanes > 1 ? new LaneDecoder(t, states, words, n) : new SingleDecoder(words);

  const parts: Int32Array[] = [];
  for (const coding of codings) {
    const symbols = new Int32Array(coding.index.length);
    for (const { at, row, place } of turnsOf(coding, symbols, form.lanes)) {
      const { k, escape } = decoder.next(row, place);
      symbols[at] = escape ? symbolOfEscape(row, escapes.varint(maxRaw)) : symbolOf(row, k);
    }
    parts.push(symbols);
  }
  decoder.end();
  if (escapes.left > 0) corrupted("escapes left over");
  return parts;
}

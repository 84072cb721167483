// The parameters of a context prior: binary form and fingerprint; docs/format.md section 10.5.
import { FormatError, fail, Reader, unzigzag, Writer, zigzag } from "./bytes.js";
import { xxh64 } from "./hash.js";

/** A row of weights: each is a number times 2^shift. */
export interface WeightRow {
  /** 0 .. 8. */
  readonly shift: number;
  /** -127 .. 127. */
  readonly numbers: readonly number[];
}

/** What codes one active channel. H, Z and the taps are those of the whole. */
export interface ContextChannel {
  readonly channel: number;
  readonly low: number;
  readonly high: number;
  /** V and U of each tap in turn, then R: 2 taps + 1 rows of H. In the bytes, those of `given` are before R. */
  readonly taps: readonly WeightRow[];
  /** Where rows are given: of g and |g|, 2 rows of H. Otherwise none. */
  readonly given: readonly WeightRow[];
  /** What a plane adds to the state: of p and |p| for each of nine neighbours, of ring, of glob. None for the last channel. */
  readonly spread: readonly WeightRow[];
  /** Z + 2 rows of H. */
  readonly second: readonly WeightRow[];
  /** 2 rows of Z. */
  readonly third: readonly WeightRow[];
  /** bias, top, bottom, left, right: H int16 each. */
  readonly biases: readonly (readonly number[])[];
  /** b: Z + 2 int32. */
  readonly secondBias: readonly number[];
}

export interface ContextParameters {
  readonly H: number;
  readonly Z: number;
  readonly taps: number;
  /** C. */
  readonly channels: number;
  /** g of each row of the table, where each symbol is given one; -127 .. 127. */
  readonly given?: readonly number[] | undefined;
  /** In the order of coding. */
  readonly active: readonly ContextChannel[];
}

const magic = [0x4c, 0x57, 0x43] as const;
const version = 1;
/** Of the fingerprint. */
const hashSize = 8;
/** Of the byte of the taps: rows are given. */
const hasGiven = 128;
export const spreadRows = 20;
export const biasRows = 5;

function invalid(message: string): never {
  fail("INVALID_CONTEXT", message);
}

export function contextToBytes({ H, Z, taps, channels, given, active }: ContextParameters): Uint8Array {
  const out = new Writer();
  out.all([...magic, version, H / 8, Z / 8, taps + (given ? hasGiven : 0)]);
  out.varint(channels);
  out.varint(active.length);
  for (const { channel } of active) out.varint(channel);
  if (given) {
    out.varint(given.length);
    out.all(given.map((g) => g & 0xff));
  }
  const rows = (all: readonly WeightRow[]) => {
    for (const { shift, numbers } of all) out.all([shift, ...numbers.map((number) => number & 0xff)]);
  };
  for (const own of active) {
    out.varint(zigzag(own.low));
    out.varint(own.high - own.low);
    rows([
      ...own.taps.slice(0, -1),
      ...own.given,
      own.taps[own.taps.length - 1],
      ...own.spread,
      ...own.second,
      ...own.third,
    ]);
    for (const bias of own.biases.flat()) out.u16(bias);
    for (const bias of own.secondBias) out.u32(bias);
  }
  return sealContext(out.done());
}

/** The same bytes with their fingerprint behind them. */
export function sealContext(body: Uint8Array): Uint8Array {
  const out = new Writer();
  out.all(body);
  const hash = xxh64(body);
  out.u32(Number(hash & 0xffffffffn));
  out.u32(Number(hash >> 32n));
  return out.done();
}

/** The low 32 bits of the fingerprint: X of section 8.1. */
export function contextHash(parameters: ContextParameters): number {
  const bytes = contextToBytes(parameters);
  return new Reader(bytes.subarray(bytes.length - hashSize)).u32();
}

export function contextFromBytes(bytes: Uint8Array): ContextParameters {
  if (bytes.length < 4 || magic.some((byte, i) => bytes[i] !== byte)) invalid("no magic");
  if (bytes[3] !== version) fail("UNSUPPORTED_VERSION", `version ${bytes[3]}`);
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof FormatError) invalid(error.message);
    throw error;
  }
}

function parse(bytes: Uint8Array): ContextParameters {
  const body = new Reader(bytes.subarray(0, Math.max(0, bytes.length - hashSize)));
  const hash = new Reader(bytes.subarray(body.bytes.length));
  if (BigInt(hash.u32()) + (BigInt(hash.u32()) << 32n) !== xxh64(body.bytes)) invalid("fingerprint");
  body.take(4);
  const [H, Z, marked] = [8 * body.byte(), 8 * body.byte(), body.byte()];
  const taps = marked % hasGiven;
  if (![32, 64, 128].includes(H)) invalid(`H is ${H}`);
  if (Z < 8 || Z > 32) invalid(`Z is ${Z}`);
  if (taps !== 12 && taps !== 20) invalid(`${taps} taps`);
  const channels = body.varint();
  if (channels < 1 || channels > 65535) invalid(`${channels} channels`);
  const count = body.varint();
  if (count < 1 || count > channels) invalid(`${count} active channels of ${channels}`);
  const order = Array.from({ length: count }, () => body.varint());
  if (order.some((channel) => channel >= channels)) invalid("an active channel that is none");
  if (new Set(order).size !== count) invalid("an active channel twice");

  const given = marked < hasGiven ? undefined : readGiven(body);

  const rows = (number: number, length: number) => Array.from({ length: number }, () => readRow(body, length));
  const int16 = () => (body.u16() << 16) >> 16;
  const active = order.map((channel, k): ContextChannel => {
    const low = unzigzag(body.varint());
    const high = low + body.varint();
    if (low < -32768 || low > 32767) invalid(`lo is ${low}`);
    if (high - low < 2 || high - low > 4095 || high > 32767) invalid(`hi is ${high}, lo ${low}`);
    const tapRows = rows(2 * taps, H);
    const givenRows = rows(given ? 2 : 0, H);
    return {
      ...{ channel, low, high },
      taps: [...tapRows, ...rows(1, H)],
      given: givenRows,
      spread: rows(k < count - 1 ? spreadRows : 0, H),
      second: rows(Z + 2, H),
      third: rows(2, Z),
      biases: Array.from({ length: biasRows }, () => Array.from({ length: H }, int16)),
      secondBias: Array.from({ length: Z + 2 }, () => body.u32() | 0),
    };
  });
  if (body.left > 0) invalid("bytes left over");
  return { H, Z, taps, channels, given, active };
}

function readGiven(body: Reader): number[] {
  const count = body.varint();
  if (count < 1 || count > 65535) invalid(`${count} given rows`);
  const numbers = Array.from(body.take(count), (byte) => (byte << 24) >> 24);
  if (numbers.includes(-128)) invalid("a given row of -128");
  return numbers;
}

function readRow(body: Reader, length: number): WeightRow {
  const shift = body.byte();
  if (shift > 8) invalid(`a shift of ${shift}`);
  const numbers = Array.from(body.take(length), (byte) => (byte << 24) >> 24);
  if (numbers.includes(-128)) invalid("a weight of -128");
  return { shift, numbers };
}

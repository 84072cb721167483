/**
 * Writes and reads the bytes of a bundle, docs/tables.md section 2. Every field is checked before it is used. Needs no
 * codec and no Wasm.
 */
import { CodecError } from "../bindings/errors.js";
import { begins, refuseKind } from "../bindings/kinds.js";
import type { Bytes, Prior } from "../bindings/types.js";
import { Budget, gaussianEntries } from "./budget.js";
import { described, isRecord, parseJson } from "./json.js";
import { xxh32 } from "./xxh32.js";

/** What a table is for. */
export type BundleKind = Exclude<Prior["kind"], "mixture" | "context">;

/** What a bundle says of the parameters of a context prior. */
export interface BundleContext {
  /** Bytes that they take in the bundle. */
  readonly bytes: number;
  /** 16 hex digits that identify them; docs/format.md section 10.5. */
  readonly fingerprint: string;
  /** Width of the first hidden layer. */
  readonly hidden: number;
  /** Width of the second one. */
  readonly second: number;
  /** Symbols of its own plane that a position reads. */
  readonly taps: number;
  /** Channels that are coded under their context. */
  readonly active: number;
  /** Channels of the latent. */
  readonly channels: number;
}

/** A table of a bundle: what the bundle says about it, without loading it. */
export interface BundleEntry {
  /**
   * 1 to 255 characters, unique in its bundle; for tables of a checkpoint the module's path, such as
   * `entropy_bottleneck`.
   */
  readonly name: string;
  /** `factorized`: a row per channel; `gaussian`: a row per scale; `indexed`: rows chosen by the caller. */
  readonly kind: BundleKind;
  /** Number of rows: channels of a factorized table, scales of a Gaussian one. */
  readonly rows: number;
  /** 16 hex digits that identify the table; docs/format.md section 5. */
  readonly fingerprint: string;
  /** Bytes that the table takes in the bundle; 0 where it is built from its scales when loaded. */
  readonly bytes: number;
  /** Whether the table has a median per row. */
  readonly medians: boolean;
  /** Shape of its latent, null where a dimension may be anything: `[null, 48, null, null]`. */
  readonly shape: readonly (number | null)[] | undefined;
  /** The dimension that selects the row of a factorized table; undefined is the codec's default. */
  readonly axis: number | undefined;
  /** Quantization step for which the table was made. 1 if the bundle does not say. */
  readonly step: number;
  /** Parameters of a context prior over the table; undefined where it has none. */
  readonly context: BundleContext | undefined;
  /** Anything that its maker wrote. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** An entry as {@link parseBundle} finds it: with the places of its bytes. */
export interface FoundEntry extends BundleEntry {
  /** The table in binary form, a view; undefined where it is to be built from the scales. */
  readonly table: Uint8Array | undefined;
  /** float32, little-endian, a view; undefined for kinds without scales and for CompressAI's 64. */
  readonly scales: Uint8Array | undefined;
  /** The parameters of the context prior, a view. */
  readonly parameters: Uint8Array | undefined;
}

/** An entry to be written. */
export interface EntryFields {
  name: string;
  kind: BundleKind;
  rows: number;
  fingerprint: string;
  table: Uint8Array | undefined;
  scales: Uint8Array | undefined;
  parameters: Uint8Array | undefined;
  medians: boolean;
  shape?: readonly (number | null)[] | undefined;
  axis?: number | undefined;
  step?: number | undefined;
  meta?: Readonly<Record<string, unknown>> | undefined;
}

const VERSION = 1;
const FIXED = 8;
const CHECKSUM = 4;
const MAX_DIRECTORY = 2 ** 22;
const MAX_ENTRIES = 4096;
const MAX_ROWS = 65535;
const TABLE_MAGIC = [0x4c, 0x57, 0x54, 1];
const CONTEXT_MAGIC = [0x4c, 0x57, 0x43, 1];
/** Of the byte of the taps: rows are given. */
const HAS_GIVEN = 128;
/** Work and memory of loading parameters of a context prior, for each of their bytes. */
const CONTEXT_WORK = 2;
const CONTEXT_BYTES = 8;
/** Scales of an entry that has none of its own. */
const STOCK_ROWS = 64;
/** The largest scale of which rows can be computed; see bindings/cdfs.ts. */
const MAX_SCALE = 5000;

const corrupted = (message: string): never => {
  throw new CodecError("CORRUPTED", `bundle: ${message}`);
};

const budgetOf = (size: number): Budget =>
  new Budget(size, (message) => {
    throw new CodecError("LIMIT_EXCEEDED", message);
  });

/** Writes a bundle. Equal blobs are stored once. Throws RangeError if the result would be no bundle. */
export function formatBundle(entries: readonly EntryFields[], meta: Readonly<Record<string, unknown>>): Bytes {
  const blobs: Uint8Array[] = [];
  // By their last bytes, which are the fingerprint where there is one. Equal ones do not say that all bytes are.
  const places = new Map<string, { bytes: Uint8Array; place: [number, number] }[]>();
  let end = 0;
  const place = (bytes: Uint8Array | undefined): [number, number] | undefined => {
    if (bytes === undefined) return undefined;
    const key = lastWord(bytes);
    const alike = places.get(key) ?? [];
    places.set(key, alike);
    const found = alike.find((other) => sameBytes(other.bytes, bytes));
    if (found) return found.place;
    const at: [number, number] = [end, bytes.length];
    alike.push({ bytes, place: at });
    blobs.push(bytes);
    end += bytes.length;
    return at;
  };
  const directory = new TextEncoder().encode(
    JSON.stringify({
      entries: entries.map(({ table, scales, parameters, ...entry }) => ({
        ...entry,
        step: entry.step === 1 ? undefined : entry.step,
        table: place(table),
        scales: place(scales),
        context: place(parameters),
      })),
      meta,
    }),
  );
  if (directory.length > MAX_DIRECTORY)
    throw new RangeError(`the directory of the bundle has ${directory.length} bytes, ${MAX_DIRECTORY} is the most`);
  const bytes = new Uint8Array(FIXED + directory.length + end + CHECKSUM);
  const view = new DataView(bytes.buffer);
  bytes.set([0x4c, 0x57, 0x42, VERSION]);
  view.setUint32(4, directory.length, true);
  bytes.set(directory, FIXED);
  let at = FIXED + directory.length;
  for (const blob of blobs) {
    bytes.set(blob, at);
    at += blob.length;
  }
  view.setUint32(at, xxh32(bytes.subarray(0, at)), true);
  return bytes;
}

/**
 * Reads what {@link formatBundle} wrote. The result has views of `bytes`. What loading its tables will cost is charged
 * here, so that a bundle that has been read can be used.
 *
 * @throws CodecError `NOT_A_BUNDLE`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`, `LIMIT_EXCEEDED`
 */
export function parseBundle(
  bytes: Uint8Array,
  budget: Budget = budgetOf(bytes.length),
): { entries: FoundEntry[]; meta: Readonly<Record<string, unknown>> } {
  if (!begins(bytes, "LWB")) refuseKind("NOT_A_BUNDLE", bytes, "table bundle");
  if (bytes.length < FIXED + CHECKSUM) throw new CodecError("TRUNCATED", "bundle: it ends inside its header");
  if (bytes[3] !== VERSION)
    throw new CodecError("UNSUPPORTED_VERSION", `bundle version ${bytes[3]}; this release reads ${VERSION}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(4, true);
  const end = bytes.length - CHECKSUM;
  if (FIXED + length > end) throw new CodecError("TRUNCATED", "bundle: it ends inside its directory");
  if (length > MAX_DIRECTORY) corrupted(`its directory has ${length} bytes, ${MAX_DIRECTORY} is the most`);
  // Before the directory is parsed, so that damage is reported as damage.
  if (view.getUint32(end, true) !== xxh32(bytes.subarray(0, end))) corrupted("the checksum does not match");

  const parsed = parseJson("bundle: its directory", bytes.subarray(FIXED, FIXED + length), budget, (message) =>
    corrupted(`the directory ${message}`),
  );
  const directory = record(parsed, "the directory");
  const blobs = bytes.subarray(FIXED + length, end);
  const list = directory.entries;
  if (!Array.isArray(list)) return corrupted("entries is not a list");
  if (list.length > MAX_ENTRIES) corrupted(`${list.length} entries, ${MAX_ENTRIES} is the most`);
  const names = new Set<string>();
  const entries = list.map((fields) => parseEntry(fields, blobs, names, budget));
  return { entries, meta: record(directory.meta ?? {}, "meta") };
}

function record(value: unknown, name: string): Record<string, unknown> {
  return isRecord(value) ? value : corrupted(`${name} is no object`);
}

function parseEntry(value: unknown, blobs: Uint8Array, names: Set<string>, budget: Budget): FoundEntry {
  const fields = record(value, "an entry");
  const { name, kind, rows, fingerprint } = fields;
  if (typeof name !== "string" || !isName(name)) return corrupted(`${described(name)} is not a name`);
  if (names.has(name)) corrupted(`two entries are named ${name}`);
  names.add(name);
  if (!isKind(kind)) throw new CodecError("UNSUPPORTED_VERSION", `bundle: ${name} is of the kind ${described(kind)}`);
  if (!isWhole(rows, 1, MAX_ROWS)) return corrupted(`${name}: ${described(rows)} rows`);
  if (typeof fingerprint !== "string" || !/^[0-9a-f]{16}$/.test(fingerprint))
    return corrupted(`${name}: the fingerprint is not 16 hex digits`);
  const table = blob(fields.table, blobs, `${name}: table`);
  const scales = blob(fields.scales, blobs, `${name}: scales`);
  if (scales !== undefined && kind !== "gaussian") corrupted(`${name} has scales, but is ${kind}`);
  if (scales !== undefined && scales.length !== 4 * rows) corrupted(`${name}: the scales are not one per row`);
  if (kind === "gaussian" && scales === undefined && rows !== STOCK_ROWS)
    corrupted(`${name}: ${rows} rows without scales, CompressAI's scales are ${STOCK_ROWS}`);
  if (table === undefined && kind !== "gaussian") corrupted(`${name} has no table`);
  if (scales !== undefined) checkScales(scales, name, table === undefined, budget);
  const parameters = blob(fields.context, blobs, `${name}: context`);
  const context = parameters && peekContext(parameters);
  if (parameters !== undefined && !fitsContext(context, kind, rows))
    return corrupted(`${name}: the context is none, or not for a ${kind} table of ${rows} rows`);
  // Any number of entries may name the same bytes.
  if (parameters !== undefined)
    budget.charge(`bundle: ${name}`, CONTEXT_WORK * parameters.length, CONTEXT_BYTES * parameters.length);
  budget.charge(`bundle: ${name}`, table?.length ?? 0, table?.length ?? 0);
  let medians = false;
  if (table !== undefined) {
    const peeked = peekTable(table);
    if (peeked === undefined || peeked.rows !== rows || peeked.fingerprint !== fingerprint)
      return corrupted(`${name}: the table is not the one that the directory describes`);
    medians = peeked.medians;
  }
  const step = fields.step ?? 1;
  if (typeof step !== "number" || !isStep(step)) return corrupted(`${name}: the step is ${described(step)}`);
  const axis = fields.axis ?? undefined;
  if (axis !== undefined && !isWhole(axis, 0, 6)) return corrupted(`${name}: the axis is ${described(axis)}`);
  const shape = fields.shape ?? undefined;
  if (shape !== undefined && !isShape(shape)) return corrupted(`${name}: the shape is ${described(shape)}`);
  const meta = record(fields.meta ?? {}, `${name}: meta`);
  const bytes = table?.length ?? 0;
  const found = { name, kind, rows, fingerprint, bytes, medians, shape, axis, step, meta, table, scales, parameters };
  return { ...found, context: context?.description };
}

/** The scale of each row: positive, ascending. Where the rows are to be built they are charged. */
function checkScales(scales: Uint8Array, name: string, isBuilt: boolean, budget: Budget): void {
  budget.charge(`bundle: ${name}`, scales.length, scales.length);
  const values = floatsOf(scales);
  values.forEach((scale, j) => {
    const ascends = scale > (j === 0 ? 0 : values[j - 1]!) && scale < Number.POSITIVE_INFINITY;
    if (!ascends) corrupted(`${name}: scales are positive and ascend, scale ${j} is ${scale}`);
    if (isBuilt && scale > MAX_SCALE) corrupted(`${name}: scale ${j} is ${scale}, rows are built up to ${MAX_SCALE}`);
  });
  if (isBuilt) budget.chargeEntries(`bundle: ${name}`, gaussianEntries(values));
}

/** Scales as a bundle stores them. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, j) => view.getFloat32(4 * j, true));
}

function blob(place: unknown, blobs: Uint8Array, name: string): Uint8Array | undefined {
  if (place === undefined || place === null) return undefined;
  if (!Array.isArray(place) || place.length !== 2 || !place.every((number) => isWhole(number, 0, blobs.length)))
    return corrupted(`${name} is not a place in the bundle`);
  const [start, length] = place as [number, number];
  if (start + length > blobs.length) return corrupted(`${name} reaches past the end`);
  return blobs.subarray(start, start + length);
}

/** What parameters of a context prior say of themselves. Undefined if they do not begin like some; the codec checks the rest. */
export function peekContext(parameters: Uint8Array): { givenRows: number; description: BundleContext } | undefined {
  if (parameters.length < 24 || CONTEXT_MAGIC.some((byte, i) => parameters[i] !== byte)) return undefined;
  const [hidden = 0, second = 0, marked = 0] = parameters.subarray(4, 7);
  const channels = varint(parameters, 7);
  const active = varint(parameters, channels.end);
  let at = active.end;
  // The numbers of the active channels, behind which given rows are counted.
  for (let k = 0; k < active.value && at < parameters.length; k++) at = varint(parameters, at).end;
  return {
    givenRows: marked < HAS_GIVEN ? 0 : varint(parameters, at).value,
    description: {
      bytes: parameters.length,
      fingerprint: lastWord(parameters),
      hidden: 8 * hidden,
      second: 8 * second,
      taps: marked % HAS_GIVEN,
      active: active.value,
      channels: channels.value,
    },
  };
}

/** Whether parameters are for a table: a factorized one has a row per channel, of others each symbol is given a row. */
export function fitsContext(found: ReturnType<typeof peekContext>, kind: BundleKind, rows: number): boolean {
  if (found === undefined) return false;
  return kind === "factorized"
    ? found.givenRows === 0 && found.description.channels === rows
    : found.givenRows === rows;
}

/** A varint of at most 65,535; others are the codec's to refuse. */
function varint(bytes: Uint8Array, at: number): { value: number; end: number } {
  const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
  if (a < 128) return { value: a, end: at + 1 };
  if (b < 128) return { value: (a & 127) + 128 * b, end: at + 2 };
  return { value: (a & 127) + 128 * (b & 127) + 16384 * (c & 3), end: at + 3 };
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The last eight bytes as a number, 16 hex digits. */
function lastWord(bytes: Uint8Array): string {
  const tail = Array.from(bytes.subarray(-8), (byte) => byte.toString(16).padStart(2, "0"));
  return tail.reverse().join("");
}

/** Rows, medians and fingerprint of a table in binary form. Undefined if it does not begin and end like one. */
export function peekTable(table: Uint8Array): { rows: number; medians: boolean; fingerprint: string } | undefined {
  if (table.length < 14 || TABLE_MAGIC.some((byte, i) => table[i] !== byte)) return undefined;
  return { rows: varint(table, 5).value, medians: (table[4]! & 1) === 1, fingerprint: lastWord(table) };
}

const isWhole = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

/** Whether it is a name for a table: not empty, not too long, without control characters. */
export const isName = (name: string): boolean => name.length >= 1 && name.length <= 255 && !/\p{Cc}/u.test(name);

export const isKind = (kind: unknown): kind is BundleKind =>
  kind === "factorized" || kind === "gaussian" || kind === "indexed";

/** Whether it is a positive float32 of at most 2^94: docs/format.md section 6. */
export const isStep = (step: number): boolean => Math.fround(step) > 0 && Math.fround(step) <= 2 ** 94;

export const isShape = (shape: unknown): shape is (number | null)[] =>
  Array.isArray(shape) &&
  shape.length >= 1 &&
  shape.length <= 7 &&
  shape.every((d) => d === null || isWhole(d, 0, 2 ** 31 - 1));

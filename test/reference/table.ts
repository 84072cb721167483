// Tables: binary and JSON form, fingerprint; docs/format.md section 5.
import { Reader, unzigzag, Writer, zigzag } from "./bytes.js";
import { FormatError } from "./errors.js";
import { xxh64 } from "./hash.js";

export interface Row {
  readonly offset: number;
  /** 0 .. 65536, one number more than the row has entries. */
  readonly cdf: readonly number[];
}

export interface ReferenceTable {
  readonly rows: readonly Row[];
  readonly medians: Float32Array | undefined;
}

export interface ReferenceTableJson {
  readonly format?: string;
  readonly version?: number;
  readonly offsets: readonly number[];
  readonly cdfs: readonly (readonly number[])[];
  readonly medians?: readonly number[];
}

const total = 65536;
const maxRows = 65535;
const maxEntries = 2 ** 24;
const maxOffset = 2 ** 30;

function invalid(message: string): never {
  throw new FormatError("INVALID_TABLE", message);
}

function check(table: ReferenceTable): ReferenceTable {
  const { rows, medians } = table;
  if (rows.length < 1 || rows.length > maxRows) invalid(`${rows.length} rows`);
  let entries = 0;
  rows.forEach(({ offset, cdf }, r) => {
    if (!Number.isInteger(offset) || Math.abs(offset) > maxOffset) invalid(`row ${r}: offset ${offset}`);
    if (cdf.length < 2 || cdf.length > total + 1) invalid(`row ${r}: ${cdf.length - 1} entries`);
    if (cdf[0] !== 0 || cdf[cdf.length - 1] !== total) invalid(`row ${r}: does not run from 0 to ${total}`);
    for (let k = 1; k < cdf.length; k++) {
      if (!Number.isInteger(cdf[k]) || cdf[k] <= cdf[k - 1]) invalid(`row ${r}: entry ${k - 1} has no frequency`);
    }
    entries += cdf.length - 1;
  });
  if (entries > maxEntries) invalid(`${entries} entries`);
  if (medians) {
    if (medians.length !== rows.length) invalid(`${medians.length} medians for ${rows.length} rows`);
    if (!medians.every(Number.isFinite)) invalid("a median is not finite");
  }
  return table;
}

export function tableFromJson(json: ReferenceTableJson): ReferenceTable {
  if (json.format !== undefined && json.format !== "latentwire-tables") invalid(`format ${json.format}`);
  if (json.version !== undefined && json.version !== 1) invalid(`version ${json.version}`);
  if (json.offsets.length !== json.cdfs.length) invalid(`${json.offsets.length} offsets for ${json.cdfs.length} rows`);
  const rows = json.cdfs.map((cdf, r) => ({ offset: json.offsets[r], cdf: [...cdf] }));
  return check({ rows, medians: json.medians && Float32Array.from(json.medians) });
}

export function tableToJson(table: ReferenceTable): ReferenceTableJson {
  return {
    format: "latentwire-tables",
    version: 1,
    offsets: table.rows.map((row) => row.offset),
    cdfs: table.rows.map((row) => [...row.cdf]),
    ...(table.medians && { medians: [...table.medians] }),
  };
}

export function tableToBytes(table: ReferenceTable): Uint8Array {
  const out = new Writer();
  out.all([0x4c, 0x57, 0x54, 1, table.medians ? 1 : 0]);
  out.varint(table.rows.length);
  for (const { offset, cdf } of table.rows) {
    out.varint(zigzag(offset));
    out.varint(cdf.length - 1);
    for (let k = 0; k < cdf.length - 2; k++) out.varint(cdf[k + 1] - cdf[k] - 1);
  }
  if (table.medians) out.all(new Uint8Array(Float32Array.from(table.medians).buffer));
  const hash = xxh64(out.done());
  out.u32(Number(hash & 0xffffffffn));
  out.u32(Number(hash >> 32n));
  return out.done();
}

export function tableFromBytes(bytes: Uint8Array): ReferenceTable {
  try {
    return check(parse(bytes));
  } catch (error) {
    // Whatever is wrong with the bytes of a table, the table is what is invalid.
    if (error instanceof FormatError) invalid(error.message);
    throw error;
  }
}

function parse(bytes: Uint8Array): ReferenceTable {
  const body = new Reader(bytes.subarray(0, Math.max(0, bytes.length - 8)));
  const [m0, m1, m2, version, flags] = body.take(5);
  if (m0 !== 0x4c || m1 !== 0x57 || m2 !== 0x54) invalid("not a table");
  if (version !== 1) invalid(`version ${version}`);
  if (flags > 1) invalid(`flags ${flags}`);
  const count = body.varint();
  if (count < 1 || count > maxRows) invalid(`${count} rows`);
  const rows: Row[] = [];
  for (let r = 0; r < count; r++) {
    const offset = unzigzag(body.varint());
    const m = body.varint();
    if (m < 1 || m > total) invalid(`row ${r}: ${m} entries`);
    const cdf = [0];
    for (let k = 0; k < m - 1; k++) cdf.push(cdf[k] + body.varint() + 1);
    cdf.push(total);
    rows.push({ offset, cdf });
  }
  const medians = flags & 1 ? new Float32Array(body.take(4 * count).slice().buffer) : undefined;
  if (body.left !== 0) invalid("bytes left over");
  const hash = new Reader(bytes.subarray(bytes.length - 8));
  if (BigInt(hash.u32()) + (BigInt(hash.u32()) << 32n) !== xxh64(body.bytes)) invalid("fingerprint");
  return { rows, medians };
}

/** 16 hex digits. */
export function fingerprint(table: ReferenceTable): string {
  const bytes = tableToBytes(table);
  return xxh64(bytes.subarray(0, bytes.length - 8))
    .toString(16)
    .padStart(16, "0");
}

// Tables: binary and JSON form, fingerprint; docs/format.md section 5. And CompressAI's way from probabilities to a row.
import { FormatError, fail, Reader, unzigzag, Writer, zigzag } from "./bytes.js";
import { xxh64 } from "./hash.js";

export interface Row {
  readonly offset: number;
  /** 0 .. 65536, one number more than the row has entries. */
  readonly cdf: readonly number[];
  /** Escapes count from 0 (section 10.4), not from the row's ends. */
  readonly wholeEscapes?: boolean;
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
  fail("INVALID_TABLE", message);
}

function unsupported(message: string): never {
  fail("UNSUPPORTED_VERSION", message);
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
  if (json.version !== undefined && json.version !== 1) unsupported(`version ${json.version}`);
  if (json.offsets.length !== json.cdfs.length) invalid(`${json.offsets.length} offsets for ${json.cdfs.length} rows`);
  const rows = json.cdfs.map((cdf, r) => ({ offset: json.offsets[r], cdf: [...cdf] }));
  return check({ rows, medians: json.medians && Float32Array.from(json.medians, (median) => median + 0) });
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
  if (table.medians) out.float32(table.medians);
  const hash = xxh64(out.done());
  out.u32(Number(hash & 0xffffffffn));
  out.u32(Number(hash >> 32n));
  return out.done();
}

export function tableFromBytes(bytes: Uint8Array): ReferenceTable {
  try {
    return check(parse(bytes));
  } catch (error) {
    // Whatever else is wrong with the bytes of a table, the table is what is invalid.
    if (error instanceof FormatError && error.code !== "UNSUPPORTED_VERSION") invalid(error.message);
    throw error;
  }
}

function parse(bytes: Uint8Array): ReferenceTable {
  const body = new Reader(bytes.subarray(0, Math.max(0, bytes.length - 8)));
  const [m0, m1, m2, version, flags] = body.take(5);
  if (m0 !== 0x4c || m1 !== 0x57 || m2 !== 0x54) invalid("not a table");
  if (version !== 1) unsupported(`version ${version}`);
  const hash = new Reader(bytes.subarray(bytes.length - 8));
  if (BigInt(hash.u32()) + (BigInt(hash.u32()) << 32n) !== xxh64(body.bytes)) invalid("fingerprint");
  if (flags > 1) unsupported(`flags ${flags}`);
  const count = body.varint();
  if (count < 1 || count > maxRows) invalid(`${count} rows`);
  const rows: Row[] = [];
  for (let r = 0; r < count; r++) {
    const offset = unzigzag(body.varint(zigzag(maxOffset)));
    const m = body.varint();
    if (m < 1 || m > total) invalid(`row ${r}: ${m} entries`);
    const cdf = [0];
    for (let k = 0; k < m - 1; k++) cdf.push(cdf[k] + body.varint() + 1);
    cdf.push(total);
    rows.push({ offset, cdf });
  }
  const medians = flags & 1 ? body.float32(count) : undefined;
  if (body.left !== 0) invalid("bytes left over");
  return { rows, medians };
}

/** 16 hex digits. */
export function fingerprint(table: ReferenceTable): string {
  const bytes = tableToBytes(table);
  return xxh64(bytes.subarray(0, bytes.length - 8))
    .toString(16)
    .padStart(16, "0");
}

function invalidPmf(message: string): never {
  fail("INVALID_PMF", message);
}

/** C's `round`: halves away from zero. Never called with a negative number. */
function roundHalfAway(x: number): number {
  const floor = Math.floor(x);
  return x - floor >= 0.5 ? floor + 1 : floor;
}

/** CompressAI's pmf_to_quantized_cdf: nothing gets frequency 0. */
export function pmfToQuantizedCdf(pmf: Float32Array, precision = 16): number[] {
  const whole = 2 ** precision;
  pmf.forEach((p, i) => {
    if (!Number.isFinite(p) || p < 0) invalidPmf(`element ${i} is ${p}`);
  });
  const rounded = Array.from(pmf, (p) => roundHalfAway(Math.fround(p * whole)));
  const sum = rounded.reduce((a, b) => a + b, 0);
  if (sum === 0) invalidPmf("all probabilities are zero");

  const cdf = [0];
  for (const f of rounded) cdf.push(cdf[cdf.length - 1] + Number((BigInt(whole) * BigInt(f)) / BigInt(sum)));
  cdf[cdf.length - 1] = whole;

  for (let i = 0; i < pmf.length; i++) {
    if (cdf[i] !== cdf[i + 1]) continue;
    let giver = -1;
    let smallest = Number.POSITIVE_INFINITY;
    for (let j = 0; j < pmf.length; j++) {
      const freq = cdf[j + 1] - cdf[j];
      if (freq > 1 && freq < smallest) {
        smallest = freq;
        giver = j;
      }
    }
    if (giver < 0) invalidPmf("more elements than frequencies");
    if (giver < i) for (let k = giver + 1; k <= i; k++) cdf[k]--;
    else for (let k = i + 1; k <= giver; k++) cdf[k]++;
  }
  return cdf;
}

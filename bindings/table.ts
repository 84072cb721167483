/** JSON form <-> binary form of a table: docs/format.md section 5. Pure TypeScript; the binary form is validated in Wasm when loaded. */
import { CodecError } from "./errors.js";
import { pushVarint, VarintReader } from "./packet.js";
import type { TableJson } from "./types.js";

const HEADER = [0x4c, 0x57, 0x54, 1];
const FINGERPRINT_BYTES = 8;
const MAX_ROWS = 65535;
const MAX_ENTRIES = 65536;
const MAX_OFFSET = 2 ** 30;

const invalid = (message: string): never => {
  throw new CodecError("INVALID_TABLE", message);
};

/**
 * The binary form without a valid fingerprint: its last 8 bytes are zero. Checks what the binary form cannot express (non-integers,
 * cdfs that do not ascend), naming the row.
 *
 * @throws CodecError `INVALID_TABLE`
 */
export function tableToBinary(json: TableJson): Uint8Array {
  const { offsets, cdfs, medians } = json;
  if (json.format !== undefined && json.format !== "latentwire-tables")
    invalid(`format is ${JSON.stringify(json.format)}, not "latentwire-tables"`);
  if (json.version !== undefined && json.version !== 1) invalid(`table version ${json.version}; this release reads 1`);
  if (!Array.isArray(offsets) || !Array.isArray(cdfs)) invalid("a table needs the arrays offsets and cdfs");
  const rows = cdfs.length;
  if (rows < 1 || rows > MAX_ROWS) invalid(`${rows} rows; a table has 1 .. ${MAX_ROWS}`);
  if (offsets.length !== rows) invalid(`${offsets.length} offsets for ${rows} rows`);
  if (medians !== undefined && medians.length !== rows) invalid(`${medians.length} medians for ${rows} rows`);

  const out = [...HEADER, medians === undefined ? 0 : 1];
  pushVarint(out, rows);
  for (let r = 0; r < rows; r++) {
    const offset = offsets[r]!;
    const cdf = cdfs[r]!;
    if (!Number.isInteger(offset) || Math.abs(offset) > MAX_OFFSET)
      invalid(`row ${r}: offset ${offset} is not an integer within +-2^30`);
    const entries = (cdf?.length ?? 0) - 1;
    if (!(entries >= 1 && entries <= MAX_ENTRIES)) invalid(`row ${r}: a cdf has 2 .. ${MAX_ENTRIES + 1} numbers`);
    if (cdf[0] !== 0 || cdf[entries] !== 65536)
      invalid(`row ${r}: a cdf goes from 0 to 65536, not ${cdf[0]} to ${cdf[entries]}; cut rows to _cdf_length`);
    pushVarint(out, offset < 0 ? -2 * offset - 1 : 2 * offset);
    pushVarint(out, entries);
    for (let k = 0; k < entries; k++) {
      const freq = cdf[k + 1]! - cdf[k]!;
      if (!Number.isInteger(freq) || freq < 1) invalid(`row ${r}: cdf[${k}] and cdf[${k + 1}] do not ascend`);
      if (k < entries - 1) pushVarint(out, freq - 1);
    }
  }
  const head = out.length;
  const bytes = new Uint8Array(head + (medians === undefined ? 0 : 4 * rows) + FINGERPRINT_BYTES);
  bytes.set(out);
  if (medians !== undefined) {
    const view = new DataView(bytes.buffer);
    for (let r = 0; r < rows; r++) {
      const median = Math.fround(medians[r]!);
      if (!Number.isFinite(median)) invalid(`row ${r}: median ${medians[r]} is not a finite float32`);
      view.setFloat32(head + 4 * r, median, true);
    }
  }
  return bytes;
}

/** The JSON form of a binary form that has been validated. */
export function tableToJson(bytes: Uint8Array): TableJson {
  const reader = new VarintReader(bytes, HEADER.length + 1, bytes.length - FINGERPRINT_BYTES);
  const rows = reader.read("the number of rows");
  const offsets: number[] = [];
  const cdfs: number[][] = [];
  for (let r = 0; r < rows; r++) {
    offsets.push(readZigzag(reader));
    const entries = reader.read("a row's length");
    const cdf = [0];
    for (let k = 1; k < entries; k++) cdf.push(cdf[k - 1]! + reader.read("a frequency") + 1);
    cdf.push(65536);
    cdfs.push(cdf);
  }
  const json: TableJson = { format: "latentwire-tables", version: 1, offsets, cdfs };
  const medians = tableMedians(bytes, rows);
  return medians === undefined ? json : { ...json, medians: [...medians] };
}

// An offset of 2^30 is 2^31 in zigzag form, one more than VarintReader takes.
function readZigzag(reader: VarintReader): number {
  let value = 0;
  let byte: number;
  let scale = 1;
  do {
    byte = reader.bytes[reader.position++]!;
    value += (byte & 0x7f) * scale;
    scale *= 128;
  } while (byte >= 0x80);
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

/** The medians of a binary form that has been validated. */
export function tableMedians(bytes: Uint8Array, rows: number): Float32Array | undefined {
  if ((bytes[HEADER.length]! & 1) === 0) return undefined;
  const medians = new Float32Array(rows);
  const start = bytes.length - FINGERPRINT_BYTES - 4 * rows;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let r = 0; r < rows; r++) medians[r] = view.getFloat32(start + 4 * r, true);
  return medians;
}

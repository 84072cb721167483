/**
 * Tables: JSON form <-> binary form (docs/format.md section 5), and the tables that a codec has loaded. Wasm checks the
 * binary form.
 */
import * as abi from "./abi.js";
import { CodecError, shown, tag } from "./errors.js";
import { begins, refuseKind } from "./kinds.js";
import type { Memory } from "./memory.js";
import { ownValues } from "./options.js";
import { bytesOf, isBytes } from "./tensor.js";
import type { Bytes, Table, TableJson, TableSource } from "./types.js";
import { readVarint, varintSize, writeVarint } from "./varint.js";

const HEADER = [0x4c, 0x57, 0x54, 1];
const FINGERPRINT_BYTES = 8;
const MAX_ROWS = 65535;
const MAX_ENTRIES = 65536;
const MAX_OFFSET = 2 ** 30;
const FIELDS = ["format", "version", "offsets", "cdfs", "medians"];

export const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

const invalid = (message: string): never => {
  throw new CodecError("INVALID_TABLE", message);
};

/** Throws `UNSUPPORTED_VERSION`. */
const unsupported = (what: string): never => {
  throw new CodecError("UNSUPPORTED_VERSION", `${what}: update latentwire, or make the table again`);
};

/** A loaded table, as the caller has it. */
export class TableHandle implements Table {
  readonly rows: number;
  readonly fingerprint: string;
  readonly medians: Float32Array | undefined;
  readonly #bytes: Uint8Array;
  readonly #memory: Memory;
  readonly #address: number;

  constructor(memory: Memory, address: number, bytes: Uint8Array) {
    this.rows = memory.word(address, abi.TABLE_ROWS);
    const [low, high] = memory.words(address, abi.TABLE_FINGERPRINT, 2) as [number, number];
    this.fingerprint = hex(high, 8) + hex(low, 8);
    this.medians = mediansOf(bytes, this.rows);
    this.#bytes = bytes;
    this.#memory = memory;
    this.#address = address;
  }

  /** Its address, if it is in this memory. */
  addressIn(memory: Memory): number | undefined {
    return this.#memory === memory ? this.#address : undefined;
  }

  bytes(): Bytes {
    return this.#bytes.slice();
  }

  toJSON(): TableJson {
    return tableToJson(this.#bytes);
  }
}

/** Whether it is a function: a table's JSON may have any key, but no functions. */
const isMethod = (source: object, name: string): boolean =>
  typeof (source as Record<string, unknown>)[name] === "function";

/** The tables of a codec. Loading the same one twice costs no memory. */
export class Tables {
  readonly #memory: Memory;
  readonly #handles = new Map<number, TableHandle>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** @throws CodecError `INVALID_TABLE`, `UNSUPPORTED_VERSION`, `LIMIT_EXCEEDED`; TypeError for what is no table. */
  load(source: TableSource): TableHandle {
    if (source === null || typeof source !== "object")
      throw new TypeError("table must be a Table, its JSON form or its binary form");
    if (source instanceof TableHandle && source.addressIn(this.#memory) !== undefined) return source;
    if (isBytes(source) || tag(source) === "ArrayBuffer")
      return this.#loadBytes(bytesOf(source, "table").slice(), false);
    // A table of another codec, which may be of another copy of this package.
    if (isMethod(source, "bytes"))
      return this.#loadBytes(bytesOf((source as Table).bytes(), "table.bytes()").slice(), false);
    if (isMethod(source, "factorized"))
      throw new TypeError("table is a Bundle: bundle.table(codec, name) gives its tables");
    return this.#loadBytes(tableToBinary(source as TableJson), true);
  }

  #loadBytes(bytes: Uint8Array, seal: boolean): TableHandle {
    const memory = this.#memory;
    const { wasm } = memory;
    const size = memory.u8.length;
    const source = memory.address(wasm.tableSource(bytes.length));
    memory.u8.set(bytes, source);
    if (seal) {
      wasm.sealTable(source, bytes.length);
      bytes.set(memory.u8.subarray(source, source + bytes.length));
    }
    const address = wasm.loadTable(source, bytes.length) >>> 0;
    if (address === 0) {
      const code = memory.faultCode;
      memory.trim(size);
      if (code === abi.INVALID_TABLE && !begins(bytes, "LWT"))
        refuseKind("INVALID_TABLE", bytes, "table in binary form");
      if (code === abi.UNSUPPORTED_VERSION) unsupported("the table has another version, or flags of a later one");
      invalid(`the binary form ${code === abi.TRUNCATED ? "ends too early" : "breaks docs/format.md section 5"}`);
    }
    let handle = this.#handles.get(address);
    if (!handle) {
      handle = new TableHandle(memory, address, bytes);
      this.#handles.set(address, handle);
    }
    return handle;
  }
}

/**
 * The binary form, with 8 zero bytes for its fingerprint. Checks what the binary form cannot express (fractions, cdfs
 * that do not ascend), and names the row.
 */
function tableToBinary(json: TableJson): Uint8Array {
  const { format, version, offsets, cdfs, medians } = ownValues(json, FIELDS);
  if (format !== undefined && format !== "latentwire-tables")
    invalid(`format is ${shown(format)}, not latentwire-tables`);
  if (version !== undefined && version !== 1)
    (Number.isInteger(version) ? unsupported : invalid)(`table version ${shown(version)}; this release reads 1`);
  if (!Array.isArray(offsets) || !Array.isArray(cdfs)) invalid("a table needs the arrays offsets and cdfs");
  const rows = cdfs.length;
  if (rows < 1 || rows > MAX_ROWS) invalid(`${rows} rows; a table has 1 .. ${MAX_ROWS}`);
  if (offsets.length !== rows) invalid(`${offsets.length} offsets for ${rows} rows`);
  if (medians !== undefined && medians?.length !== rows)
    invalid(`${shown((medians as typeof medians | null)?.length)} medians for ${rows} rows`);

  const out = [...HEADER, medians === undefined ? 0 : 1];
  writeVarint(out, out.length, rows);
  for (let r = 0; r < rows; r++) {
    const offset = offsets[r]!;
    const cdf = cdfs[r]!;
    if (!Number.isInteger(offset) || Math.abs(offset) > MAX_OFFSET)
      invalid(`row ${r}: offset ${shown(offset)} is not an integer within +-2^30`);
    const entries = (cdf?.length ?? 0) - 1;
    if (!(entries >= 1 && entries <= MAX_ENTRIES)) invalid(`row ${r}: a cdf has 2 .. ${MAX_ENTRIES + 1} numbers`);
    if (cdf[0] !== 0 || cdf[entries] !== 65536)
      invalid(
        `row ${r}: a cdf goes from 0 to 65536, not ${shown(cdf[0])} to ${shown(cdf[entries])}; cut rows to _cdf_length`,
      );
    writeVarint(out, out.length, offset < 0 ? -2 * offset - 1 : 2 * offset);
    writeVarint(out, out.length, entries);
    // Each number is read once: an array may be a Proxy.
    let cum = 0;
    for (let k = 0; k < entries; k++) {
      const next = cdf[k + 1]!;
      if (!Number.isInteger(next)) invalid(`row ${r}: cdf[${k + 1}] is ${shown(next)}, which is no whole number`);
      if (next <= cum) invalid(`row ${r}: cdf[${k}] and cdf[${k + 1}] do not ascend`);
      if (k < entries - 1) writeVarint(out, out.length, next - cum - 1);
      cum = next;
    }
  }
  const head = out.length;
  const bytes = new Uint8Array(head + (medians === undefined ? 0 : 4 * rows) + FINGERPRINT_BYTES);
  bytes.set(out);
  if (medians !== undefined) {
    const view = new DataView(bytes.buffer);
    for (let r = 0; r < rows; r++) {
      const given: unknown = medians[r];
      // JSON has no -0: its 0 would be another table's.
      const median = typeof given === "number" ? Math.fround(given) + 0 : Number.NaN;
      if (!Number.isFinite(median)) invalid(`row ${r}: median ${shown(given)} is not a finite float32`);
      view.setFloat32(head + 4 * r, median, true);
    }
  }
  return bytes;
}

/** The JSON form of a binary form that has been checked. */
function tableToJson(bytes: Uint8Array): TableJson {
  let at = HEADER.length + 1;
  const varint = (): number => {
    const value = readVarint(bytes, at, bytes.length);
    at += varintSize(value);
    return value;
  };
  const rows = varint();
  const offsets: number[] = [];
  const cdfs: number[][] = [];
  for (let r = 0; r < rows; r++) {
    const zigzag = varint();
    offsets.push(zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2);
    const entries = varint();
    const cdf = [0];
    for (let k = 1; k < entries; k++) cdf.push(cdf[k - 1]! + varint() + 1);
    cdf.push(65536);
    cdfs.push(cdf);
  }
  const medians = mediansOf(bytes, rows);
  const json: TableJson = { format: "latentwire-tables", version: 1, offsets, cdfs };
  return medians === undefined ? json : { ...json, medians: [...medians] };
}

function mediansOf(bytes: Uint8Array, rows: number): Float32Array | undefined {
  if ((bytes[HEADER.length]! & 1) === 0) return undefined;
  const start = bytes.length - FINGERPRINT_BYTES - 4 * rows;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: rows }, (_, r) => view.getFloat32(start + 4 * r, true));
}

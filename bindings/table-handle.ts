/** What a caller holds of a loaded table. */
import type { LoadedTable } from "./core-tables.js";
import { tableMedians, tableToJson } from "./table.js";
import type { Bytes, Table, TableJson } from "./types.js";

export const hex = (value: bigint | number, digits: number): string => value.toString(16).padStart(digits, "0");

export class LoadedTableHandle implements Table {
  readonly rows: number;
  readonly fingerprint: string;
  readonly medians: Float32Array | undefined;
  readonly #bytes: Uint8Array;
  constructor(loaded: LoadedTable, bytes: Uint8Array) {
    this.rows = loaded.rows;
    this.fingerprint = hex(loaded.fingerprint, 16);
    this.medians = tableMedians(bytes, loaded.rows);
    this.#bytes = bytes;
  }
  bytes(): Bytes {
    return this.#bytes.slice();
  }
  toJSON(): TableJson {
    return tableToJson(this.#bytes);
  }
}

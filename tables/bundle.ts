/**
 * Table bundles: the tables of a model in one file, under their names. docs/tables.md describes the file and how to
 * make one.
 *
 * @module
 */
import { CodecError, shown } from "../bindings/errors.js";
import { checkOptions } from "../bindings/options.js";
import { isBytes } from "../bindings/tensor.js";
import type {
  Bytes,
  ContextOptions,
  FactorizedOptions,
  GaussianOptions,
  IndexedOptions,
  Table,
  TableSource,
  TensorLike,
} from "../bindings/types.js";
import {
  type BundleEntry,
  type BundleKind,
  type EntryFields,
  fitsContext,
  floatsOf,
  formatBundle,
  isKind,
  isName,
  isShape,
  isStep,
  parseBundle,
  peekContext,
  peekTable,
} from "./bundle-format.js";
import { type BundleSource, inPlace, placeOf, readSource } from "./bundle-source.js";

export type { BundleContext, BundleEntry, BundleKind } from "./bundle-format.js";
export type { BundleSource } from "./bundle-source.js";

/** A table for {@link writeBundle}. */
export interface BundleInput {
  /** 1 to 255 characters without control characters, unique in the bundle. */
  name: string;
  kind: BundleKind;
  /** A loaded table or its binary form. */
  table: Table | Uint8Array;
  /** For `gaussian`: the ascending scale of each row; default CompressAI's 64. */
  scaleTable?: Float32Array;
  /**
   * For `gaussian`: leaves the rows out; they are built from the scales when loaded. Only for tables of
   * `codec.gaussianTable(scaleTable)`.
   */
  rebuild?: boolean;
  /** The parameters of a context prior for such a table, docs/format.md section 10.5. */
  context?: Uint8Array;
  /** Shape of its latent, null where a dimension may be anything. */
  shape?: readonly (number | null)[];
  /** The dimension that selects the row of a factorized table, 0 to 6. */
  axis?: number;
  /** Quantization step of the priors made from the entry, unless their options say another. Default 1. */
  step?: number;
  /** Anything that JSON can hold. */
  meta?: Readonly<Record<string, unknown>>;
}

/** How {@link Bundle.factorized} makes a prior. */
export interface BundleFactorizedOptions extends FactorizedOptions {
  /**
   * False: static rows, which are faster and take more bytes. True: the entry must have a context. Default: its context
   * where it has one.
   */
  context?: boolean;
}

/** How {@link Bundle.gaussian} and {@link Bundle.indexed} make a prior. */
export interface BundleGivenOptions extends IndexedOptions {
  /** Whether an entry's context is used. Default: where it has one. False gives static rows; true asks for the context. */
  context?: boolean;
  /** Under a context: the dimension of the channels. Default: the entry's, or the codec's. */
  axis?: number | undefined;
}

/** How {@link loadBundle} loads. */
export interface LoadBundleOptions {
  /** A file, a Blob or a response of more bytes is refused. Default 2^26. */
  maxBytes?: number;
  /** Ends a fetch or the reading of a file. */
  signal?: AbortSignal;
}

/** What a bundle needs of a codec to make a table; a codec and a pool both have it. */
export interface TableLoader {
  /** As `codec.table`. */
  table(source: TableSource): Table;
  /** As `codec.gaussian`. */
  gaussian(scales: Float32Array, options?: GaussianOptions): { readonly table: Table };
}

/** What a bundle needs to make a context prior over another prior; a codec and a pool both have it. */
export interface ContextLoader<P> {
  /** As `codec.context`. */
  context?(parameters: Uint8Array, options: { over: P; axis?: number | undefined }): P;
}

/**
 * Tables under their names. A table is parsed when it is first used, once per codec. `codec` may be a codec or a pool.
 */
export class Bundle {
  /** Anything that the bundle's maker wrote. */
  readonly meta: Readonly<Record<string, unknown>>;
  /** Every table, in the order of the file. */
  readonly entries: readonly BundleEntry[];
  readonly #found: ReturnType<typeof parseBundle>["entries"];
  readonly #loaded = new WeakMap<TableLoader, Map<string, Table>>();

  /** Reads a bundle; see {@link readBundle}. */
  constructor(bytes: Uint8Array) {
    // A copy, because the caller may change the buffer.
    const { entries, meta } = parseBundle(bytes.slice());
    this.#found = entries;
    this.meta = meta;
    this.entries = entries.map(({ table: _, scales: __, parameters: ___, ...entry }) => Object.freeze(entry));
  }

  /** What the bundle says of a table. Throws RangeError where it has none of that name. */
  entry(name: string): BundleEntry {
    return this.entries[this.#index(name)]!;
  }

  #index(name: string): number {
    const index = this.#found.findIndex((entry) => entry.name === name);
    if (index >= 0) return index;
    const names = this.#found.map((entry) => entry.name).join(", ");
    throw new RangeError(`name ${JSON.stringify(name)} is not in the bundle, which has: ${names || "no tables"}`);
  }

  #kind(name: string, kind: BundleKind): BundleEntry {
    const entry = this.entry(name);
    if (entry.kind !== kind) throw new RangeError(`name ${JSON.stringify(name)} is a ${entry.kind} table, not ${kind}`);
    return entry;
  }

  /** The scale of each row of a Gaussian table; undefined for other kinds, and where they are CompressAI's 64. */
  scaleTable(name: string): Float32Array | undefined {
    const { scales } = this.#found[this.#index(name)]!;
    return scales && floatsOf(scales);
  }

  /**
   * The table, loaded into `codec`.
   *
   * @throws RangeError for an unknown name; CodecError `INVALID_TABLE`, `CORRUPTED` where it is not what the bundle says.
   */
  table(codec: TableLoader, name: string): Table {
    if (typeof codec?.table !== "function")
      throw new TypeError("codec must be what create() gives (await it), the first argument");
    const tables = this.#loaded.get(codec) ?? new Map<string, Table>();
    this.#loaded.set(codec, tables);
    const known = tables.get(name);
    if (known !== undefined) return known;
    const found = this.#found[this.#index(name)]!;
    const table = found.table === undefined ? this.#build(codec, name) : codec.table(found.table);
    if (table.fingerprint !== found.fingerprint)
      throw new CodecError(
        "CORRUPTED",
        `bundle: ${name} is table ${table.fingerprint}, the directory says ${found.fingerprint}`,
      );
    tables.set(name, table);
    return table;
  }

  #build(codec: TableLoader, name: string): Table {
    const scaleTable = this.scaleTable(name);
    // Not gaussianTable: a pool has none.
    return codec.gaussian(new Float32Array(0), scaleTable === undefined ? {} : { scaleTable }).table;
  }

  /** The parameters of an entry's context prior, a copy; undefined where it has none. Throws RangeError for an unknown name. */
  parameters(name: string): Bytes | undefined {
    return this.#found[this.#index(name)]!.parameters?.slice();
  }

  /**
   * A prior of a factorized table, as `codec.factorized` makes it, or `codec.context` where the entry has a context; axis and
   * step are the entry's unless `options` says otherwise.
   *
   * @throws RangeError for a name that is unknown or of another kind, and for `context: true` where the entry has none;
   * what {@link table}, `codec.factorized` and `codec.context` throw.
   */
  factorized<P>(
    codec: TableLoader & {
      factorized(table: TableSource, options?: FactorizedOptions): P;
      context?(parameters: Uint8Array, options: ContextOptions): P;
    },
    name: string,
    options: BundleFactorizedOptions = {},
  ): P {
    const { axis, step } = this.#kind(name, "factorized");
    const { context, ...others } = options;
    const under = this.#under(codec, name, context);
    const table = this.table(codec, name);
    const all = { ...(axis !== undefined && { axis }), step, ...others };
    return under ? under({ ...all, table }) : codec.factorized(table, all);
  }

  /**
   * Makes a prior under the context of an entry; undefined for static rows. `isOver`: each symbol is given a row. The context
   * of a factorized table is not for that.
   */
  #under<P, Options>(
    codec: { context?(parameters: Uint8Array, options: Options): P },
    name: string,
    context: boolean | undefined,
    isOver = false,
  ): ((options: Options) => P) | undefined {
    if (context !== undefined && typeof context !== "boolean")
      throw new TypeError(`context must be true or false, not ${shown(context)}`);
    const { parameters, kind } = this.#found[this.#index(name)]!;
    const own = isOver && kind === "factorized" ? undefined : parameters;
    if (context && own === undefined)
      throw new RangeError(
        `context: ${JSON.stringify(name)} has none in this bundle; \`latentwire tables fit --context\` adds one, with --tables to a bundle`,
      );
    if (context === false || own === undefined) return undefined;
    if (codec.context === undefined)
      throw new TypeError("codec has no context priors: say context: false for static rows");
    return (options) => codec.context!(own, options);
  }

  /**
   * A prior of a Gaussian table, as `codec.gaussian` makes it, or `codec.context` over that where the entry has a context.
   *
   * @param scales - a scale per symbol, from the hyper decoder.
   * @throws RangeError for a name that is unknown or of another kind; what {@link table} and `codec.gaussian` throw.
   */
  gaussian<P>(
    codec: { table(source: TableSource): Table } & ContextLoader<P> & {
        gaussian(scales: Float32Array | TensorLike, options?: GaussianOptions): P & { readonly table: Table };
      },
    name: string,
    scales: Float32Array | TensorLike,
    options: BundleGivenOptions = {},
  ): P {
    this.#kind(name, "gaussian");
    const scaleTable = this.scaleTable(name);
    return this.#over(codec, name, options, (given) => {
      const table = this.table(codec, name);
      return codec.gaussian(scales, { table, ...(scaleTable && { scaleTable }), ...given });
    });
  }

  /** A prior with a row per symbol, which `make` makes of the step and the other options; under the entry's context if it has one. */
  #over<P>(codec: ContextLoader<P>, name: string, options: BundleGivenOptions, make: (given: IndexedOptions) => P): P {
    const { step, axis: own } = this.entry(name);
    const { context, axis = own, ...others } = options;
    const under = this.#under(codec, name, context, true);
    const over = make({ step, ...others });
    return under ? under({ over, axis }) : over;
  }

  /**
   * A prior with a row per symbol, as `codec.indexed` makes it, of a table of any kind; or `codec.context` over that where the
   * entry is not factorized and has a context.
   *
   * @param rows - a row number per symbol.
   * @throws RangeError for an unknown name; what {@link table} and `codec.indexed` throw.
   */
  indexed<P>(
    codec: TableLoader &
      ContextLoader<P> & { indexed(table: TableSource, rows: ArrayLike<number>, options?: IndexedOptions): P },
    name: string,
    rows: ArrayLike<number>,
    options: BundleGivenOptions = {},
  ): P {
    return this.#over(codec, name, options, (given) => codec.indexed(this.table(codec, name), rows, given));
  }
}

/**
 * Writes tables into a bundle, docs/tables.md section 2. The same tables in the same order give the same bytes.
 *
 * @param meta - anything that JSON can hold, about the whole bundle.
 * @throws TypeError, RangeError for an invalid entry.
 */
export function writeBundle(entries: readonly BundleInput[], meta: Readonly<Record<string, unknown>> = {}): Bytes {
  if (!Array.isArray(entries)) throw new TypeError("entries must be a list of tables");
  const bytes = formatBundle(entries.map(checkedEntry), meta);
  // Names that occur twice, too many entries: all that a reader would refuse.
  try {
    parseBundle(bytes);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new RangeError(`entries: ${error.message}`);
  }
  return bytes;
}

const INPUT = ["name", "kind", "table", "scaleTable", "rebuild", "context", "shape", "axis", "step", "meta"];

/** An entry as it is written. Throws TypeError, RangeError for a wrong one. */
function checkedEntry(input: BundleInput, i: number): EntryFields {
  checkOptions(`entries[${i}]`, input, INPUT);
  const { name, kind, table, scaleTable, context, shape, axis, step = 1, meta, rebuild = false } = input;
  const wrong = (what: string): never => {
    throw new RangeError(`entries[${i}].${what}`);
  };
  if (typeof name !== "string" || !isName(name)) wrong("name must have 1 to 255 characters and no control characters");
  if (!isKind(kind)) wrong(`kind must be factorized, gaussian or indexed, not ${shown(kind)}`);
  const bytes = isBytes(table) ? table : table.bytes();
  const found = peekTable(bytes) ?? wrong("table is not the binary form of a table");
  if (rebuild && kind !== "gaussian") wrong("rebuild is for gaussian tables");
  if (scaleTable !== undefined && (kind !== "gaussian" || scaleTable.length !== found.rows))
    wrong(`scaleTable must be one scale per row of a gaussian table`);
  if (context !== undefined && !(isBytes(context) && fitsContext(peekContext(context), kind, found.rows)))
    wrong(`context must be parameters of a context prior for a ${kind} table of ${found.rows} rows`);
  if (!isStep(step)) wrong(`step must be a positive number of at most 2^94, not ${shown(step)}`);
  if (shape !== undefined && !isShape(shape)) wrong("shape must be 1 to 7 dimensions or nulls");
  return {
    name,
    kind,
    rows: found.rows,
    fingerprint: found.fingerprint,
    medians: found.medians,
    table: rebuild ? undefined : bytes,
    scales: scaleTable && littleEndian(scaleTable),
    parameters: context,
    ...(shape !== undefined && { shape }),
    ...(axis !== undefined && { axis }),
    step,
    ...(meta !== undefined && { meta }),
  };
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return bytes;
}

/**
 * Reads a bundle from its bytes. Tables are parsed later, when used.
 *
 * @throws CodecError `NOT_A_BUNDLE`, `UNSUPPORTED_VERSION`, `TRUNCATED`, `CORRUPTED`; `LIMIT_EXCEEDED` where its tables
 * would take far more work or memory than a file of its size may (SECURITY.md)
 */
export function readBundle(bytes: Uint8Array): Bundle {
  if (!isBytes(bytes)) throw new TypeError("bytes must be a Uint8Array");
  return new Bundle(bytes);
}

/**
 * Loads a bundle, in Node and in browsers alike: from bytes, from a file, or from the network.
 *
 * @param source - bytes, a Blob or File, a Response, a URL, in Node a path, or a promise of one of them, such as `fetch(url)`.
 * @throws what {@link readBundle} throws; CodecError `NOT_A_BUNDLE` where the server answers with an error, `LIMIT_EXCEEDED` above `maxBytes`;
 * what `fetch` and the file system throw; TypeError for anything else. The message of a CodecError begins with the URL or the path.
 */
export async function loadBundle(
  source: BundleSource | PromiseLike<BundleSource>,
  options: LoadBundleOptions = {},
): Promise<Bundle> {
  checkOptions("loadBundle", options, ["maxBytes", "signal"]);
  const { maxBytes = 2 ** 26, signal } = options;
  const given = await source;
  return inPlace(placeOf(given), async () => new Bundle(await readSource(given, maxBytes, signal)));
}

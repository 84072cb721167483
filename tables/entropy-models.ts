/** Finds the entropy models in a checkpoint, and the table of each. It knows all names that CompressAI has used. */
import { type Codec, CodecError, type Table, type TableJson } from "latentwire";
import type { BundleInput } from "latentwire/bundle";
import { type Budget, gaussianEntries } from "./budget.js";
import { budgetOf } from "./byte-source.js";
import type { Checkpoint } from "./checkpoint.js";
import { floats, integers, type StoredTensor } from "./stored-tensor.js";

/** A table that was found, and where. */
export interface ImportedModel {
  readonly input: BundleInput;
  readonly table: Table;
  /** Path of the module in the checkpoint. */
  readonly path: string;
  /** `buffers`: CompressAI's own integers; `parameters`: computed here because the buffers were empty. */
  readonly from: "buffers" | "parameters";
  readonly notes: readonly string[];
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/** A module's tensors by their names within it. */
interface Module {
  readonly path: string;
  readonly tensors: Map<string, StoredTensor>;
}

const BUFFERS = ["_quantized_cdf", "_offset", "_cdf_length"] as const;
/** Smaller scales count as this one: the bound that is used, and how the model was made. */
const BOUNDS = ["lower_bound_scale.bound", "scale_bound"] as const;
const PLAIN = new Set<string>([...BUFFERS, ...BOUNDS, "quantiles", "scale_table"]);
/** `matrices.0` (from 1.2.7), `_matrix0` (up to 1.2.6), `_matrices.0` (before 1.1). */
const LAYER = /^_?(matri(?:x|ces)|bias(?:es)?|factors?)\.?(\d{1,3})$/;
/** What training programs put in front of a path; the rest is the module's name in the model. */
const WRAPPERS = new Set(["state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"]);
/** An item of a list that holds the model. */
const ITEM = /^\[\d+\]$/;
/** What torch.compile puts into paths, in front or in between. */
const COMPILED = "_orig_mod";

const none = (message: string): never => {
  throw new CodecError("NO_TABLES", message);
};

/** What {@link importModels} found. */
export interface ImportedModels {
  readonly models: readonly ImportedModel[];
  /** Entropy models that could not be imported. */
  readonly failed: readonly { readonly name: string; readonly error: CodecError }[];
}

/**
 * Every entropy model of a checkpoint. One that fails does not stop the others.
 *
 * @param only - names or paths of the wanted ones; all if it is empty. One of these that fails is an error.
 * @throws CodecError if there is no model, or none could be imported: `NO_TABLES` where there is none or one that is
 * empty and cannot be rebuilt, `INVALID_TABLE` for one that is no table; `LIMIT_EXCEEDED`
 */
export function importModels(
  codec: Codec,
  { tensors, skipped }: Omit<Checkpoint, "format">,
  only: readonly string[] = [],
): ImportedModels {
  const modules = findModules(tensors);
  const unread = skipped.length === 0 ? "" : `. Not read: ${skipped.join(", ")}`;
  if (modules.length === 0)
    none(
      `no entropy model among its ${tensors.size} tensors: none is named ${BUFFERS.join(", ")} or quantiles${unread}. Tables for a model without one: latentwire tables fit`,
    );
  const names = nameModules(modules);
  const wanted = modules.filter(
    (module, i) => only.length === 0 || only.includes(names[i]!) || only.includes(module.path),
  );
  const unknown = only.find((name) => !names.includes(name) && !modules.some((module) => module.path === name));
  if (unknown !== undefined) none(`it has no entropy model ${unknown}; it has ${names.join(", ")}${unread}`);
  if (wanted.length > MAX_MODELS)
    throw new CodecError("LIMIT_EXCEEDED", `${wanted.length} entropy models, a bundle has at most ${MAX_MODELS}`);
  const rated = [...tensors.keys()].some((path) => STEP_OF_GAIN.test(path));
  const models: ImportedModel[] = [];
  const failed: { name: string; error: CodecError }[] = [];
  // Of any bundle, however small.
  const bundle = budgetOf(0);
  for (const module of wanted) {
    const name = names[modules.indexOf(module)]!;
    try {
      const model = importModule(codec, module, name, bundle);
      models.push(rated && model.input.kind === "factorized" ? { ...model, notes: [...model.notes, RATED] } : model);
    } catch (error) {
      // Where a limit is reached the others would fail, too.
      if (!(error instanceof CodecError) || error.code === "LIMIT_EXCEEDED" || only.length > 0) throw error;
      failed.push({ name, error });
    }
  }
  const [first] = failed;
  if (models.length === 0 && first) throw new CodecError(first.error.code, `${first.error.message}${unread}`);
  return { models, failed };
}

/** The network of CompressAI's variable-rate models from a gain to the step of z. */
const STEP_OF_GAIN = /(?:^|\.)gayn2zqstep\.0\.weight$/;
const RATED =
  "the model's step of z follows the gain, and the file does not say for which gain its rows are; step 1 was written. compressai_export.py makes a table with its step for each level";

/** Entries of a bundle, docs/tables.md section 2. */
const MAX_MODELS = 4096;
/** Bytes that a number of a table takes on its way from a buffer to a row. */
const NUMBER_BYTES = 32;
/** Work of a factorized entry, over that of a Gaussian one, for each weight of its channel. CompressAI has 33 weights. */
const WEIGHT_WORK = 0.5;

const size = (tensor: StoredTensor | undefined): number => tensor?.shape.reduce((a, b) => a * b, 1) ?? 0;

function findModules(tensors: Tensors): Module[] {
  const modules = new Map<string, Module>();
  for (const [path, tensor] of tensors) {
    const parts = path.split(".");
    const isDeeper = /^\d+$/.test(parts.at(-1)!) || path.endsWith(BOUNDS[0]);
    const name = parts.splice(isDeeper ? -2 : -1).join(".");
    if (!PLAIN.has(name) && !LAYER.test(name)) continue;
    const prefix = parts.join(".");
    const module = modules.get(prefix) ?? { path: prefix, tensors: new Map<string, StoredTensor>() };
    modules.set(prefix, module);
    module.tensors.set(name, tensor);
  }
  // Other modules have biases, too.
  return [...modules.values()].filter(({ tensors }) => tensors.has("_quantized_cdf") || tensors.has("quantiles"));
}

/** Paths without the part in front of the model; whole paths if two would become equal. */
function nameModules(modules: readonly Module[]): string[] {
  const taken = new Set<string>();
  return modules.map(({ path, tensors }) => {
    const parts = path === "" ? [] : path.split(".").filter((part) => part !== COMPILED);
    while (parts.length > 0 && (WRAPPERS.has(parts[0]!) || ITEM.test(parts[0]!))) parts.shift();
    const short = parts.join(".") || (tensors.has("scale_table") ? "gaussian_conditional" : "entropy_bottleneck");
    const name = taken.has(short) ? path : short;
    taken.add(name);
    return name;
  });
}

function importModule(codec: Codec, module: Module, name: string, bundle: Budget): ImportedModel {
  const { tensors } = module;
  const isFactorized = tensors.has("quantiles");
  const missing = BUFFERS.filter((buffer) => !tensors.has(buffer));
  const full = BUFFERS.filter((buffer) => size(tensors.get(buffer)) > 0);
  if (missing.length > 0 && full.length > 0)
    none(
      `${name}: ${full.join(", ")} are in the file, but not ${missing.join(", ")}: shared with another tensor and left out, or in another file; save the state dict with torch.save`,
    );
  if (full.length < BUFFERS.length) {
    const why = missing.length > 0 ? ABSENT : EMPTY;
    return isFactorized
      ? rebuiltFactorized(codec, module, name, why)
      : rebuiltGaussian(codec, module, name, why, bundle);
  }
  const json = tableOfBuffers(tensors, name);
  if (isFactorized) {
    const medians = mediansOf(tensors, name, json.cdfs.length);
    const table = load(codec, { ...json, medians: [...medians] }, name);
    return { input: factorizedInput(name, table), table, path: module.path, from: "buffers", notes: [] };
  }
  return gaussianOfBuffers(codec, module, name, load(codec, json, name), bundle);
}

const factorizedInput = (name: string, table: Table): BundleInput => ({
  name,
  kind: "factorized",
  table,
  shape: [null, table.rows, null, null],
});

function load(codec: Codec, json: TableJson, name: string): Table {
  try {
    return codec.table(json);
  } catch (error) {
    if (error instanceof CodecError) throw new CodecError(error.code, `${name}: ${error.message}`);
    throw error;
  }
}

/** `_quantized_cdf`, each row cut to its `_cdf_length`, and `_offset`. */
function tableOfBuffers(tensors: Tensors, name: string): TableJson {
  const invalid = (message: string): never => {
    throw new CodecError("INVALID_TABLE", `${name}: ${message}`);
  };
  const [cdf, offset, length] = BUFFERS.map((buffer) => tensors.get(buffer)!) as [
    StoredTensor,
    StoredTensor,
    StoredTensor,
  ];
  const [rows = 0, width = 0] = cdf.shape;
  if (cdf.shape.length !== 2) invalid(`_quantized_cdf has the shape [${cdf.shape}], not rows x numbers`);
  cdf.budget.charge(name, size(cdf), NUMBER_BYTES * size(cdf));
  const numbers = integers(cdf, `${name}._quantized_cdf`);
  const offsets = integers(offset, `${name}._offset`);
  const lengths = integers(length, `${name}._cdf_length`);
  if (offsets.length !== rows || lengths.length !== rows)
    invalid(`${rows} rows, but ${offsets.length} offsets and ${lengths.length} lengths`);
  const cdfs = Array.from(lengths, (count, r) => {
    if (!(count >= 2 && count <= width)) invalid(`row ${r} is to have ${count} of ${width} numbers`);
    return Array.from(numbers.subarray(r * width, r * width + count));
  });
  const precision = Math.log2(cdfs[0]?.at(-1) ?? 0);
  if (precision !== 16 && Number.isInteger(precision) && cdfs.every((row) => row.at(-1) === 2 ** precision))
    invalid(
      `its rows end at ${2 ** precision}: they have a precision of ${precision} bits (entropy_coder_precision), latentwire and CompressAI's own coder have 16; in Python, make the model with entropy_coder_precision=16, load the weights and call update(force=True)`,
    );
  return { offsets: [...offsets], cdfs };
}

function mediansOf(tensors: Tensors, name: string, channels: number): Float32Array {
  const quantiles = floats(tensors.get("quantiles")!, `${name}.quantiles`);
  if (quantiles.length !== 3 * channels)
    throw new CodecError("INVALID_TABLE", `${name}: ${quantiles.length} quantiles for ${channels} channels`);
  return Float32Array.from({ length: channels }, (_, c) => quantiles[3 * c + 1]!);
}

// ---- empty buffers

const EMPTY = "its buffers are empty: the model was saved before update()";
const ABSENT = "its buffers are not in the file";
const REMEDY = "in Python, call model.update() and save the state dict again";

/** Whether a codec refused parameters. They come from the file, so its RangeError is an error of the file. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof CodecError
    ? error.code !== "LIMIT_EXCEEDED"
    : error instanceof RangeError && /^(quantiles|biases|layer|scales)/.test(error.message);

function rebuiltFactorized(codec: Codec, { path, tensors }: Module, name: string, why: string): ImportedModel {
  const parts = { matrices: layers(tensors, "matri", name, why), biases: layers(tensors, "bias", name, why) };
  const factors = layers(tensors, "factor", name, why);
  if (parts.matrices.length === 0) none(`${name}: ${why}, and its parameters are not in the file; ${REMEDY}`);
  const quantiles = floats(tensors.get("quantiles")!, `${name}.quantiles`);
  let entries = 0;
  for (let c = 0; c + 2 < quantiles.length; c += 3) {
    const [low, median, high] = quantiles.subarray(c, c + 3) as unknown as [number, number, number];
    entries += Math.max(0, median - low) + Math.max(0, high - median) + 4;
  }
  const weights = parts.matrices.reduce((sum, { length }) => sum + length, 0) / Math.max(1, quantiles.length / 3);
  tensors.get("quantiles")!.budget.chargeEntries(name, entries, Math.max(1, WEIGHT_WORK * weights));
  let table: Table;
  try {
    table = codec.factorizedTable({ ...parts, factors, quantiles });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return none(`${name}: ${why}, and it cannot be rebuilt: ${error.message}; ${REMEDY}`);
  }
  const notes = [`${why}; built from its parameters`];
  return { input: factorizedInput(name, table), table, path, from: "parameters", notes };
}

/** Matrices, biases or factors by layer, without gaps. */
function layers(tensors: Tensors, kind: string, name: string, why: string): Float32Array[] {
  const found: Float32Array[] = [];
  for (const [key, tensor] of tensors) {
    const [, stem, layer] = LAYER.exec(key) ?? [];
    if (stem?.startsWith(kind)) found[Number(layer)] = floats(tensor, `${name}.${key}`);
  }
  if (found.includes(undefined as never)) none(`${name}: ${why}, and a layer of its parameters is missing; ${REMEDY}`);
  return found;
}

function rebuiltGaussian(
  codec: Codec,
  { path, tensors }: Module,
  name: string,
  why: string,
  bundle: Budget,
): ImportedModel {
  const stored = tensors.get("scale_table");
  if (stored === undefined) return none(`${name}: ${why}, and it has no scales; ${REMEDY}`);
  const scales = floats(stored, `${name}.scale_table`);
  const entries = gaussianEntries(scales);
  stored.budget.chargeEntries(name, entries);
  // Without scales of its own a model gets CompressAI's 64 from update().
  const scaleTable = scales.length === 0 ? undefined : scales;
  try {
    const computed = codec.gaussianTable(scaleTable);
    const notes = [`${why}; built from ${scaleTable ? "its scale table" : "CompressAI's 64 scales"}`];
    const table = scaleTable ? bounded(codec, tensors, name, computed, scaleTable) : computed;
    const rebuild = table === computed && chargeRebuild(bundle, name, entries);
    return { input: gaussianInput(name, table, scaleTable, rebuild), table, path, from: "parameters", notes };
  } catch (error) {
    if (error instanceof CodecError || !isRefusal(error)) throw error;
    return none(`${name}: ${why}, and it cannot be rebuilt: ${error.message}; ${REMEDY}`);
  }
}

// ---- Gaussian tables

/** Charges the bundle for rows that it leaves out; false where its readers would refuse to build so many. */
function chargeRebuild(bundle: Budget, name: string, entries: number): boolean {
  if (!bundle.affordsEntries(entries)) return false;
  bundle.chargeEntries(name, entries);
  return true;
}

const gaussianInput = (
  name: string,
  table: Table,
  scaleTable: Float32Array | undefined,
  rebuild: boolean,
): BundleInput => ({ name, kind: "gaussian", table, ...(scaleTable && { scaleTable }), rebuild });

function gaussianOfBuffers(
  codec: Codec,
  { path, tensors }: Module,
  name: string,
  table: Table,
  bundle: Budget,
): ImportedModel {
  const indexed = (note: string): ImportedModel => ({
    input: { name, kind: "indexed", table },
    table,
    path,
    from: "buffers",
    notes: [note],
  });
  const stored = tensors.get("scale_table");
  if (stored === undefined) return indexed("it has no scale table: rows are to be chosen by the caller");
  const scales = floats(stored, `${name}.scale_table`);
  const ascends = scales.every((scale, j) => scale > (j === 0 ? 0 : scales[j - 1]!));
  if (scales.length !== table.rows || !ascends)
    return indexed(
      `its ${scales.length} scales do not belong to its ${table.rows} rows: rows are to be chosen by the caller`,
    );
  const used = bounded(codec, tensors, name, table, scales);
  if (used !== table)
    return { input: gaussianInput(name, used, scales, false), table: used, path, from: "buffers", notes: [] };
  // Rows that can be computed need not be stored: 30 KB in a bundle for 64 scales.
  const entries = gaussianEntries(scales);
  const buildable = scales.at(-1)! <= 5000 && stored.budget.affordsEntries(entries);
  if (buildable) stored.budget.chargeEntries(name, entries);
  const isEqual = buildable && codec.gaussianTable(scales).fingerprint === table.fingerprint;
  const rebuild = isEqual && chargeRebuild(bundle, name, entries);
  return { input: gaussianInput(name, table, scales, rebuild), table, path, from: "buffers", notes: [] };
}

/**
 * The table with CompressAI's lower bound of scales in it. Scales below the bound count as the bound, so the rows of
 * smaller scales become copies of the bound's row, and no reader needs to know the bound. `table` itself where no row changes.
 */
function bounded(codec: Codec, tensors: Tensors, name: string, table: Table, scales: Float32Array): Table {
  const stored = tensors.get(BOUNDS[0]) ?? tensors.get(BOUNDS[1]);
  const [bound = 0] = stored === undefined || size(stored) === 0 ? [] : floats(stored, `${name}.scale_bound`);
  const first = scales.subarray(0, -1).filter((scale) => scale < bound).length;
  if (first === 0) return table;
  const { offsets, cdfs } = table.toJSON();
  const numbers = first * cdfs[first]!.length;
  stored!.budget.charge(name, numbers, NUMBER_BYTES * numbers);
  const fromBound = <T>(rows: readonly T[]): T[] => rows.map((row, r) => (r < first ? rows[first]! : row));
  return codec.table({ offsets: fromBound(offsets), cdfs: fromBound(cdfs) });
}

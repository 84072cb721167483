/** Files of torch.save: a zip of one pickle and the tensors' storages. The pickle is read, never run; see pickle.ts. */
import { CodecError } from "latentwire";
import type { Budget } from "./budget.js";
import { fromColumns, littleEndian } from "./npy.js";
import { type ElementType, typeOf } from "./npy-header.js";
import { readPickle } from "./pickle.js";
import { PickleForeign, PickleGlobal, PickleObject, PickleTuple, type PickleValue } from "./pickle-values.js";
import { elementBytes, elementCount, gather, type StoredTensor, type StoredType } from "./stored-tensor.js";
import type { ZipArchive } from "./zip.js";

/** Deepest nesting that is read. Modules nest a few levels deep; a pickle can nest without end. */
const MAX_DEPTH = 64;
const MAX_KEY = 256;
/** Most notes about what is not read. */
const MAX_SKIPPED = 8;
/** The limit of torch. */
const MAX_RANK = 64;
/** What a dict's item costs: work, and bytes. */
const ITEM_WORK = 4;
const ITEM_BYTES = 64;

const invalid = (message: string): never => {
  throw new CodecError("INVALID_FILE", `torch: ${message}`);
};
const unsupported = (message: string): never => {
  throw new CodecError("UNSUPPORTED_FILE", `torch: ${message}`);
};

const STORAGES: Record<string, StoredType> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
};

/** The pickle's first bytes in a file of `_use_new_zipfile_serialization=False`: the number 0x1950a86a20f9469cfc6c. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** Whether a file is torch.save's former format, which is not a zip. */
export const isLegacyTorch = (head: Uint8Array): boolean => LEGACY.every((byte, i) => head[i] === byte);

class Storage extends PickleForeign {
  constructor(
    /** Undefined for types that no table needs. */
    readonly type: StoredType | undefined,
    readonly typeName: string,
    readonly key: string,
    readonly count: number,
  ) {
    super();
  }
}

class TorchTensor extends PickleForeign {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/**
 * Every tensor of the file under its path: `state_dict.entropy_bottleneck.quantiles`. An item of a list, and one under a
 * number, is `[0]`. Nothing is read but the pickle.
 *
 * @param skipped - gets what may hold tensors and is not read.
 * @throws CodecError `INVALID_FILE`, `UNSUPPORTED_FILE`, `TRUNCATED`, `LIMIT_EXCEEDED`
 */
export function torchTensors(archive: ZipArchive, skipped: string[] = []): Map<string, StoredTensor> {
  const pickle = archive.names.find((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (pickle === undefined) return invalid("the zip has no data.pkl: it is not a file of torch.save");
  const folder = pickle.slice(0, -"data.pkl".length);
  if (archive.names.includes(`${folder}constants.pkl`))
    unsupported("a TorchScript archive; save the state dict instead: torch.save(model.state_dict(), path)");
  if (archive.names.includes(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(archive.read(`${folder}byteorder`)).slice(0, 16);
    if (order !== "little") unsupported(`its bytes are ${order}-endian; save it on a little-endian machine`);
  }
  const { budget } = archive;
  const hooks = {
    persistent: storage,
    reduce: (callable: PickleGlobal, args: readonly PickleValue[]) => reduce(callable, args, budget),
  };
  const root = readPickle(archive.read(pickle), hooks, budget);
  const collector = new Collector(archive, folder, skipped);
  collector.collect(root, [], 0);
  return collector.found;
}

/** `('storage', torch.FloatStorage, '0', 'cpu', 1152)` */
function storage(id: PickleValue): PickleValue {
  const [kind, type, key, , count] = id instanceof PickleTuple ? id.items : [];
  if (kind !== "storage" || !(type instanceof PickleGlobal) || typeof key !== "string" || !isWhole(count))
    return invalid("a persistent id that is no storage");
  return new Storage(STORAGES[type.name], String(type), key, count);
}

/** The constructors of a state dict; anything else remains a record. */
function reduce(callable: PickleGlobal, args: readonly PickleValue[], budget: Budget): PickleValue | undefined {
  switch (String(callable)) {
    case "collections.OrderedDict":
    case "builtins.dict":
      return dict(args[0], budget);
    case "torch.Size":
      return args[0] instanceof PickleTuple ? args[0] : undefined;
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return tensor(args);
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      return args[0] instanceof TorchTensor ? args[0] : undefined;
    case "torch._tensor._rebuild_from_type_v2": {
      const [inner, , innerArgs] = args;
      return inner instanceof PickleGlobal && innerArgs instanceof PickleTuple && String(inner) !== String(callable)
        ? reduce(inner, innerArgs.items, budget)
        : undefined;
    }
    default:
      return undefined;
  }
}

function dict(pairs: PickleValue | undefined, budget: Budget): Map<PickleValue, PickleValue> | undefined {
  const made = new Map<PickleValue, PickleValue>();
  if (pairs === undefined) return made;
  if (!Array.isArray(pairs)) return undefined;
  // Before it is walked: a pickle can recall one list again and again.
  budget.charge("torch: the dicts", ITEM_WORK * pairs.length, ITEM_BYTES * pairs.length);
  for (const pair of pairs) {
    const items = pair instanceof PickleTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2) return undefined;
    made.set(items[0], items[1]);
  }
  return made;
}

function tensor([from, offset, shape, strides]: readonly PickleValue[]): TorchTensor {
  const numbers = (value: PickleValue | undefined) =>
    value instanceof PickleTuple && value.items.length <= MAX_RANK && value.items.every(isWhole)
      ? value.items
      : undefined;
  const dims = numbers(shape as PickleValue);
  const steps = numbers(strides as PickleValue);
  if (!(from instanceof Storage) || !isWhole(offset) || dims === undefined || dims.length !== steps?.length)
    return invalid("a tensor that is described by something else than storage, offset, size and stride");
  return new TorchTensor(from, offset, dims, steps as number[]);
}

const isWhole = (value: PickleValue | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** Walks through containers and modules. Each is visited once: a pickle may refer to one from many places, and to itself. */
class Collector {
  readonly found = new Map<string, StoredTensor>();
  readonly #archive: ZipArchive;
  readonly #folder: string;
  readonly #skipped: string[];
  readonly #seen = new Set<PickleValue>();

  constructor(archive: ZipArchive, folder: string, skipped: string[]) {
    this.#archive = archive;
    this.#folder = folder;
    this.#skipped = skipped;
  }

  collect(value: PickleValue, path: readonly string[], depth: number): void {
    // A few bytes of pickle can give a tensor any number of long names.
    const characters = path.reduce((sum, part) => sum + part.length + 1, 0);
    this.#archive.budget.charge("torch: its tensors", ITEM_WORK + path.length, ITEM_BYTES + 2 * characters);
    if (value instanceof TorchTensor) this.#add(value, path.join("."));
    else if (value instanceof PickleObject && value.callable instanceof PickleGlobal) this.#object(value, path);
    const parts = value instanceof PickleObject ? [value.items, value.list, value.state] : [value];
    for (const part of parts) {
      const isList = Array.isArray(part) || part instanceof PickleTuple;
      if (!(isList || part instanceof Map) || this.#seen.has(part)) continue;
      if (depth > MAX_DEPTH) {
        this.#skip(path.join("."), `nested more than ${MAX_DEPTH} levels deep`);
        return;
      }
      this.#seen.add(part);
      const items = part instanceof PickleTuple ? part.items : part;
      this.#archive.budget.charge("torch: its containers", "size" in items ? items.size : items.length, 0);
      for (const [key, item] of items.entries()) {
        if (item === null || typeof item !== "object") continue;
        const name = typeof key === "number" ? `[${key}]` : key;
        if (typeof name !== "string" || name.length > MAX_KEY) {
          this.#skip(path.join("."), "a key that is no name or number");
          continue;
        }
        // A pickled module keeps its children and tensors in dicts of these names, which a state dict leaves out.
        const own = value instanceof PickleObject && /^_(modules|parameters|buffers)$/.test(name);
        this.collect(item, own ? path : [...path, name], depth + 1);
      }
    }
  }

  #skip(name: string, why: string): void {
    if (this.#skipped.length < MAX_SKIPPED) this.#skipped.push(`${name || "the file"} (${why})`);
  }

  #add(tensor: TorchTensor, name: string): void {
    const { type, typeName } = tensor.storage;
    if (type === undefined) this.#skip(name, typeName);
    else this.found.set(name, stored(name, tensor, type, this.#archive, this.#folder));
  }

  /** An object may be an array of NumPy, or a tensor in a form that is not read. */
  #object(object: PickleObject, path: readonly string[]): void {
    const name = String(object.callable);
    if (/^numpy\.(_?core)\.multiarray\._reconstruct$/.test(name)) {
      const array = numpyArray(object.state, this.#archive.budget);
      if (typeof array === "string") this.#skip(path.join("."), array);
      else this.found.set(path.join("."), array);
    } else if (/^torch\._(utils|tensor)\._rebuild/.test(name)) this.#skip(path.join("."), name);
  }
}

/** An array of NumPy from the state that its pickle sets: `(1, shape, dtype, in Fortran order, bytes)`. Or why not. */
function numpyArray(state: PickleValue, budget: Budget): StoredTensor | string {
  const [, dims, dtype, columns, data] = state instanceof PickleTuple ? state.items : [];
  if (!(dims instanceof PickleTuple) || !(dtype instanceof PickleObject) || !dims.items.every(isWhole))
    return "an array of NumPy without a shape";
  const [code] = dtype.args instanceof PickleTuple ? dtype.args.items : [];
  const [, order] = dtype.state instanceof PickleTuple ? dtype.state.items : [];
  // Protocol 2 has no bytes: they are text, to be encoded.
  const text = data instanceof PickleObject && data.args instanceof PickleTuple ? data.args.items[0] : undefined;
  const stored = typeof text === "string" ? () => Buffer.from(text, "latin1") : () => data;
  const shape = dims.items;
  let element: ElementType;
  try {
    element = typeOf(`${order === ">" ? ">" : "<"}${code}`);
  } catch (error) {
    if (error instanceof CodecError) return `an array of NumPy: ${error.message}`;
    throw error;
  }
  const { type, isBigEndian } = element;
  const bytes = () => {
    const found = stored();
    if (!(found instanceof Uint8Array)) return invalid("an array of NumPy without bytes");
    const ordered = isBigEndian ? littleEndian(found, elementBytes[type], budget) : found;
    return columns === true ? fromColumns(ordered, type, shape, budget) : ordered;
  };
  return { type, shape, budget, bytes };
}

function stored(
  name: string,
  tensor: TorchTensor,
  type: StoredType,
  archive: ZipArchive,
  folder: string,
): StoredTensor {
  const { storage, offset, shape, strides } = tensor;
  const bytes = () => {
    const count = elementCount(shape, type, name);
    if (count === 0) return new Uint8Array(0);
    const width = elementBytes[type];
    const last = shape.reduce((sum, d, i) => sum + (d - 1) * strides[i]!, 0);
    if (!(offset + last < storage.count)) invalid(`${name} reaches past its storage`);
    const part = archive.readPart(`${folder}data/${storage.key}`, offset * width, (last + 1) * width);
    return isContiguous(shape, strides) ? part : gather(part, type, shape, strides, archive.budget);
  };
  return { type, shape, budget: archive.budget, bytes };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}
